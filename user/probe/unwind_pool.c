// SPDX-License-Identifier: Apache-2.0
#include "unwind_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int unwind_pool_init(struct unwind_pool *pool, struct hb_chunk *chunks, uint32_t chunks_count, uint32_t pages_count,
		     int (*make)(void *ctx, uint32_t chunk), void *ctx)
{
	*pool = (struct unwind_pool){
		.chunks = chunks, .chunks_count = chunks_count, .pages_count = pages_count, .make = make, .ctx = ctx,
	};
	pool->chunk_info = calloc(chunks_count, sizeof(*pool->chunk_info));
	pool->page_taken = calloc(pages_count, sizeof(*pool->page_taken));
	return pool->chunk_info && pool->page_taken ? 0 : -ENOMEM;
}

void unwind_pool_release(struct unwind_pool *pool)
{
	free(pool->chunk_info);
	free(pool->page_taken);
	*pool = (struct unwind_pool){ 0 };
}

/* The first @count pages in a row that are free, or pages_count. */
static uint32_t pages_find(const struct unwind_pool *pool, uint32_t count)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < pool->pages_count; i++) {
		run = pool->page_taken[i] ? 0 : run + 1;
		if (run == count)
			return i + 1 - count;
	}
	return pool->pages_count;
}

static void pages_mark(struct unwind_pool *pool, const struct unwind_rows *rows, bool taken)
{
	memset(pool->page_taken + rows->page_base, taken, rows->pages_count * sizeof(*pool->page_taken));
	if (taken)
		pool->pages_used += rows->pages_count;
	else
		pool->pages_used -= rows->pages_count;
}

/*
 * Room for @count rows of one page in one chunk: that of the last page, or the first that has it. Errors as
 * unwind_pool_put().
 */
static int rows_take(struct unwind_pool *pool, uint32_t count, struct hb_page *page)
{
	struct unwind_chunk *info;
	uint32_t at = pool->filling;

	for (uint32_t i = 0; pool->chunk_info[at].used + count > HB_CHUNK_ROWS; i++) {
		if (i == pool->chunks_count)
			return -ENOSPC;
		at = i;
	}
	info = &pool->chunk_info[at];
	if (!info->made) {
		const int err = pool->make(pool->ctx, at);

		if (err)
			return err;
		info->made = true;
	}
	pool->filling = at;
	*page = (struct hb_page){
		.chunk = pool->filling, .first = info->used, .count = count, .version = ++pool->version,
	};
	info->used += count;
	info->pages++;
	pool->rows_used += count;
	return 0;
}

static void rows_give_back(struct unwind_pool *pool, const struct hb_page *page)
{
	struct unwind_chunk *info = &pool->chunk_info[page->chunk];

	if (!page->count)
		return;
	pool->rows_used -= page->count;
	if (!--info->pages)
		info->used = 0;
	else if (page->first + page->count == info->used)
		info->used = page->first;
}

void unwind_pool_drop(struct unwind_pool *pool, struct unwind_rows *rows)
{
	for (uint32_t i = rows->pages_count; i-- > 0;) /* the last first: what is on top can be filled again */
		rows_give_back(pool, &rows->pages[i]);
	pages_mark(pool, rows, false);
	free(rows->pages);
	*rows = (struct unwind_rows){ 0 };
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 29);
}

/*
 * Write the rows [@from, @to) of one page. It begins with what the page before it ended with, unless a
 * row of its own stands there.
 */
static int put_page(struct unwind_pool *pool, const struct cfi_table *table, const uint16_t *rules, size_t from,
		    size_t to, uint16_t inherited, struct hb_page *page, uint64_t *hash)
{
	bool own_start = from < to && !(table->rows[from].offset & ((1 << HB_PAGE_SHIFT) - 1));
	size_t count = to - from + !own_start;
	struct hb_row *out;
	int err;

	*page = (struct hb_page){ 0 };
	if ((from == to && inherited == HB_RULE_NONE) || count > HB_CHUNK_ROWS)
		return 0;
	err = rows_take(pool, count, page);
	if (err)
		return err;
	out = &pool->chunks[page->chunk].rows[page->first];
	if (!own_start)
		*out++ = (struct hb_row){ .offset = 0, .rule = inherited };
	for (size_t i = from; i < to; i++) {
		*out++ = (struct hb_row){
			.offset = table->rows[i].offset & ((1 << HB_PAGE_SHIFT) - 1),
			.rule = rules[table->rows[i].rule],
		};
	}
	out = &pool->chunks[page->chunk].rows[page->first];
	*hash = mix(*hash, count);
	for (size_t i = 0; i < count; i++)
		*hash = mix(*hash, (uint64_t)out[i].offset << 16 | out[i].rule);
	return 0;
}

int unwind_pool_put(struct unwind_pool *pool, const struct cfi_table *table, const uint16_t *rules,
		    struct unwind_rows *rows)
{
	uint64_t last = table->rows_count ? table->rows[table->rows_count - 1].offset >> HB_PAGE_SHIFT : 0;
	uint16_t inherited = HB_RULE_NONE;
	size_t from = 0;
	int err;

	*rows = (struct unwind_rows){ 0 };
	if (last >= pool->pages_count)
		return -ENOSPC;
	rows->pages_count = last + 1;
	rows->page_base = pages_find(pool, rows->pages_count);
	if (rows->page_base == pool->pages_count)
		return -ENOSPC;
	rows->pages = calloc(rows->pages_count, sizeof(*rows->pages));
	if (!rows->pages)
		return -ENOMEM;
	pages_mark(pool, rows, true);
	for (uint32_t p = 0; p < rows->pages_count; p++) {
		size_t to = from;

		while (to < table->rows_count && table->rows[to].offset >> HB_PAGE_SHIFT == p)
			to++;
		err = put_page(pool, table, rules, from, to, inherited, &rows->pages[p], &rows->hash);
		if (err) {
			unwind_pool_drop(pool, rows);
			return err;
		}
		rows->rows_count += rows->pages[p].count;
		if (to > from)
			inherited = rules[table->rows[to - 1].rule];
		from = to;
	}
	return 0;
}

bool unwind_pool_equal(const struct unwind_pool *pool, const struct unwind_rows *a, const struct unwind_rows *b)
{
	if (a->hash != b->hash || a->pages_count != b->pages_count || a->rows_count != b->rows_count)
		return false;
	for (uint32_t i = 0; i < a->pages_count; i++) {
		const struct hb_page *left = &a->pages[i], *right = &b->pages[i];

		if (left->count != right->count)
			return false;
		if (left->count && memcmp(&pool->chunks[left->chunk].rows[left->first],
					  &pool->chunks[right->chunk].rows[right->first],
					  left->count * sizeof(struct hb_row)))
			return false;
	}
	return true;
}
