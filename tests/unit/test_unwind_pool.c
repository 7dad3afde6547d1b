// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/probe/unwind_pool.h"

#define PAGE_BYTES (1u << HB_PAGE_SHIFT)
#define RULES	   1000 /* that tables of the tests use */

static struct hb_chunk *chunks;
static struct unwind_pool pool;
static uint16_t rules[RULES]; /* index in hb_rules by number in the table: never the same */

static uint32_t made_count, refused_from = UINT32_MAX;

/* Each once, the first of those that are not there. */
static int make(void *ctx, uint32_t chunk)
{
	assert_ptr_equal(ctx, &made_count);
	assert_int_equal(chunk, made_count);
	if (chunk >= refused_from)
		return -ENOMEM;
	made_count++;
	return 0;
}

static void start(uint32_t chunks_count, uint32_t pages_count)
{
	free(chunks);
	chunks = malloc(chunks_count * sizeof(*chunks));
	assert_non_null(chunks);
	memset(chunks, 0xee, chunks_count * sizeof(*chunks));
	unwind_pool_release(&pool);
	made_count = 0;
	assert_int_equal(unwind_pool_init(&pool, chunks, chunks_count, pages_count, make, &made_count), 0);
	for (uint32_t i = 2; i < RULES; i++)
		rules[i] = 16000 - i;
	rules[HB_RULE_NONE] = HB_RULE_NONE;
	rules[HB_RULE_UNSUPPORTED] = HB_RULE_UNSUPPORTED;
}

static int stop(void **state)
{
	(void)state;
	unwind_pool_release(&pool);
	free(chunks);
	chunks = NULL;
	return 0;
}

/* What the kernel side reads at @offset: the last row not above it, in the page. */
static uint32_t look_up(const struct unwind_rows *rows, uint64_t offset)
{
	const struct hb_page *page = &rows->pages[offset >> HB_PAGE_SHIFT];
	const struct hb_row *row = &chunks[page->chunk].rows[page->first];
	uint32_t at = 0;

	if (offset >> HB_PAGE_SHIFT >= rows->pages_count || !page->count)
		return HB_RULE_NONE;
	while (at + 1 < page->count && row[at + 1].offset <= (offset & (PAGE_BYTES - 1)))
		at++;
	return row[at].rule;
}

/* Every offset of one page, in one pass over its rows and one over the table's, from row @at on. */
static size_t check_page(const struct unwind_rows *rows, const struct cfi_table *table, uint32_t p, size_t at)
{
	const struct hb_page *page = &rows->pages[p];
	const struct hb_row *row = page->count ? &chunks[page->chunk].rows[page->first] : NULL;
	uint32_t in_page = 0;

	if (row)
		assert_int_equal(row[0].offset, 0);
	assert_true(page->first + page->count <= HB_CHUNK_ROWS);
	for (uint32_t low = 0; low < PAGE_BYTES; low++) {
		uint64_t offset = (uint64_t)p << HB_PAGE_SHIFT | low;
		uint32_t wanted, found = HB_RULE_NONE;

		while (at < table->rows_count && table->rows[at].offset <= offset)
			at++; /* rows up to here begin at or below */
		wanted = at ? rules[table->rows[at - 1].rule] : HB_RULE_NONE;
		if (row) {
			if (in_page + 1 < page->count && row[in_page + 1].offset <= low)
				in_page++;
			assert_false(in_page + 1 < page->count && row[in_page + 1].offset <= low); /* they rise */
			found = row[in_page].rule;
		}
		if (found != wanted)
			fail_msg("offset %#llx: rule %u, not %u", (unsigned long long)offset, found, wanted);
	}
	return at;
}

static void check_table(const struct unwind_rows *rows, const struct cfi_table *table)
{
	uint64_t count = 0;
	size_t at = 0;

	assert_int_equal(rows->pages_count,
			 (table->rows_count ? table->rows[table->rows_count - 1].offset >> HB_PAGE_SHIFT : 0) + 1);
	for (uint32_t p = 0; p < rows->pages_count; p++) {
		at = check_page(rows, table, p, at);
		count += rows->pages[p].count;
	}
	assert_int_equal(count, rows->rows_count);
}

/* Rows { offset, rule }, ended by a rule of ~0. */
static struct cfi_table table_of(struct cfi_row *rows)
{
	struct cfi_table table = { .rows = rows };

	while (rows[table.rows_count].rule != ~0u)
		table.rows_count++;
	return table;
}

#define TABLE(...) table_of((struct cfi_row[]){ __VA_ARGS__, { 0, ~0u } })

static void each_page_that_a_row_reaches_begins_with_a_row(void **state)
{
	struct cfi_table table = TABLE({ 0x10, 5 }, { 0x20, HB_RULE_NONE }, { 0x2ff00, 7 }, { 0x30000, 8 },
				       { 0x50008, HB_RULE_NONE }, { 0x70000, 9 });
	struct unwind_rows rows;
	const struct hb_page *page;

	(void)state;
	start(2, 20);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	assert_int_equal(rows.pages_count, 8);
	assert_int_equal(rows.page_base, 0);
	page = &rows.pages[0];
	assert_int_equal(page->count, 3);
	assert_memory_equal(&chunks[page->chunk].rows[page->first],
			    ((struct hb_row[]){ { 0, HB_RULE_NONE }, { 0x10, rules[5] }, { 0x20, HB_RULE_NONE } }), 12);
	assert_int_equal(rows.pages[1].count, 0); /* reached by none but no rule */
	page = &rows.pages[2];
	assert_memory_equal(&chunks[page->chunk].rows[page->first],
			    ((struct hb_row[]){ { 0, HB_RULE_NONE }, { 0xff00, rules[7] } }), 8);
	assert_int_equal(rows.pages[3].count, 1); /* its own first row, not the one before it */
	assert_int_equal(rows.pages[4].count, 1);
	page = &rows.pages[4];
	assert_memory_equal(&chunks[page->chunk].rows[page->first], ((struct hb_row[]){ { 0, rules[8] } }), 4);
	assert_int_equal(rows.pages[5].count, 2);
	assert_int_equal(rows.pages[6].count, 0);
	assert_int_equal(rows.pages[7].count, 1);
	assert_int_equal(rows.rows_count, 10);
	assert_int_equal(pool.rows_used, 10);
	assert_int_equal(pool.pages_used, 8);
	check_table(&rows, &table);
	assert_int_equal(look_up(&rows, 0x4ffff), rules[8]);
	unwind_pool_drop(&pool, &rows);
	assert_int_equal(pool.rows_used, 0);
	assert_int_equal(pool.pages_used, 0);
}

static void a_table_without_rows_takes_a_page_and_no_rows(void **state)
{
	struct cfi_table table = { 0 };
	struct unwind_rows rows;

	(void)state;
	start(1, 3);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	check_table(&rows, &table);
	assert_int_equal(pool.rows_used, 0);
	assert_int_equal(pool.pages_used, 1);
	unwind_pool_drop(&pool, &rows);
	assert_int_equal(pool.pages_used, 0);
}

/* --- random tables ------------------------------------------------------------------------------ */

static uint32_t random_below(uint32_t limit)
{
	return (uint32_t)random() % limit;
}

/* Rows that rise by less than @apart, until @count or @bytes. */
static struct cfi_table random_table(uint32_t count, uint32_t apart, uint64_t bytes)
{
	struct cfi_table table = { .rows = calloc(count, sizeof(*table.rows)) };
	uint64_t offset = random_below(apart);
	uint32_t before = HB_RULE_NONE;

	assert_non_null(table.rows);
	while (table.rows_count < count && offset < bytes) {
		uint32_t rule = random_below(8) ? random_below(RULES) : HB_RULE_NONE;

		if (rule != before)
			table.rows[table.rows_count++] = (struct cfi_row){ .offset = offset, .rule = before = rule };
		offset += 1 + random_below(apart);
	}
	return table;
}

static struct cfi_table any_table(void)
{
	switch (random_below(4)) {
	case 0:
		return random_table(1 + random_below(40), 200, 1 << 20);
	case 1:
		return random_table(1 + random_below(4000), 64, 1 << 20);
	case 2:
		return random_table(1 + random_below(30), 40000, 1 << 20); /* few rows, many pages */
	default:
		return random_table(1 + random_below(30000), 12, 1 << 20); /* more than a chunk */
	}
}

#define LIVE_MAX 24

struct live {
	struct cfi_table table; /* rows NULL: free */
	struct unwind_rows rows;
};

/* No row and no page belongs to two, and the pool's sums are those of what lives. */
static void check_ownership(const struct live *live)
{
	uint8_t *taken = calloc(pool.chunks_count, HB_CHUNK_ROWS), *pages = calloc(pool.pages_count, 1);
	uint64_t rows_used = 0, pages_used = 0;

	for (uint32_t i = 0; i < LIVE_MAX; i++) {
		const struct unwind_rows *rows = &live[i].rows;

		if (!live[i].table.rows)
			continue;
		assert_true(rows->page_base + rows->pages_count <= pool.pages_count);
		for (uint32_t p = 0; p < rows->pages_count; p++) {
			const struct hb_page *page = &rows->pages[p];

			assert_int_equal(pages[rows->page_base + p]++, 0);
			for (uint32_t r = 0; r < page->count; r++)
				assert_int_equal(taken[page->chunk * HB_CHUNK_ROWS + page->first + r]++, 0);
			rows_used += page->count;
		}
		pages_used += rows->pages_count;
	}
	assert_int_equal(pool.rows_used, rows_used);
	assert_int_equal(pool.pages_used, pages_used);
	free(taken);
	free(pages);
}

static void check_all(const struct live *live)
{
	check_ownership(live);
	for (uint32_t i = 0; i < LIVE_MAX; i++) {
		if (live[i].table.rows)
			check_table(&live[i].rows, &live[i].table);
	}
}

static void drop(struct live *live)
{
	/* Whoever still reads these rows would be misled: nobody may. */
	for (uint32_t p = 0; p < live->rows.pages_count; p++)
		memset(&chunks[live->rows.pages[p].chunk].rows[live->rows.pages[p].first], 0xee,
		       live->rows.pages[p].count * sizeof(struct hb_row));
	unwind_pool_drop(&pool, &live->rows);
	assert_null(live->rows.pages);
	free(live->table.rows);
	live->table.rows = NULL;
}

static void every_offset_of_every_table_finds_its_rule_in_any_storm(void **state)
{
	static struct live live[LIVE_MAX];
	uint32_t refused = 0, taken = 0;

	(void)state;
	srandom(20240917);
	start(5, 90);
	for (uint32_t step = 0; step < 1500; step++) {
		struct live *one = &live[random_below(LIVE_MAX)];
		uint64_t rows_before = pool.rows_used, pages_before = pool.pages_used;
		int err;

		if (one->table.rows) {
			drop(one);
		} else {
			one->table = any_table();
			err = unwind_pool_put(&pool, &one->table, rules, &one->rows);
			if (!err) {
				check_table(&one->rows, &one->table);
				taken++;
			} else { /* nothing is taken */
				assert_int_equal(err, -ENOSPC);
				assert_int_equal(pool.rows_used, rows_before);
				assert_int_equal(pool.pages_used, pages_before);
				assert_null(one->rows.pages);
				free(one->table.rows);
				one->table.rows = NULL;
				refused++;
			}
		}
		if (step % 50 == 0)
			check_all(live);
	}
	check_all(live);
	assert_true(taken > 300);
	assert_true(refused > 50);
	for (uint32_t i = 0; i < LIVE_MAX; i++) {
		if (live[i].table.rows)
			drop(&live[i]);
	}
	check_all(live);
	for (uint32_t i = 0; i < pool.chunks_count; i++)
		assert_int_equal(pool.chunk_info[i].used, 0);
}

/* --- room ------------------------------------------------------------------------------------------ */

/* @count rows, one every 4 bytes. */
static struct cfi_table dense_table(uint32_t count)
{
	struct cfi_table table = { .rows = calloc(count, sizeof(*table.rows)), .rows_count = count };

	assert_non_null(table.rows);
	for (uint32_t i = 0; i < count; i++)
		table.rows[i] = (struct cfi_row){ .offset = 4ULL * i, .rule = 2 + i % (RULES - 2) };
	return table;
}

static void a_page_can_fill_a_chunk_and_a_pool_can_be_full(void **state)
{
	struct cfi_table table = dense_table(3 * HB_CHUNK_ROWS), one = TABLE({ 0, 5 });
	struct unwind_rows rows, more;

	(void)state;
	start(3, 4);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	check_table(&rows, &table);
	assert_int_equal(pool.rows_used, 3 * HB_CHUNK_ROWS);
	assert_int_equal(unwind_pool_put(&pool, &one, rules, &more), -ENOSPC); /* a page is free, no row is */
	assert_int_equal(pool.pages_used, 3);
	unwind_pool_drop(&pool, &rows);
	assert_int_equal(unwind_pool_put(&pool, &one, rules, &more), 0);
	check_table(&more, &one);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), -ENOSPC);
	assert_int_equal(pool.rows_used, 1);
	check_table(&more, &one);
	unwind_pool_drop(&pool, &more);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	check_table(&rows, &table);
	unwind_pool_drop(&pool, &rows);
	free(table.rows);
}

static void pages_of_one_file_lie_side_by_side(void **state)
{
	struct cfi_table two = TABLE({ 0, 5 }, { 0x10000, 6 }), three = TABLE({ 0, 5 }, { 0x20000, 6 });
	struct cfi_table far = TABLE({ 0, 5 }, { 1ULL << 40, 6 }), farthest = TABLE({ 0, 5 }, { ~0ULL, 6 });
	struct unwind_rows a, b, c, d;

	(void)state;
	start(1, 6);
	assert_int_equal(unwind_pool_put(&pool, &two, rules, &a), 0);
	assert_int_equal(unwind_pool_put(&pool, &two, rules, &b), 0);
	assert_int_equal(unwind_pool_put(&pool, &two, rules, &c), 0);
	assert_int_equal(a.page_base, 0);
	assert_int_equal(b.page_base, 2);
	assert_int_equal(c.page_base, 4);
	unwind_pool_drop(&pool, &a);
	unwind_pool_drop(&pool, &c);
	assert_int_equal(unwind_pool_put(&pool, &three, rules, &d), -ENOSPC); /* four are free, no three together */
	unwind_pool_drop(&pool, &b);
	assert_int_equal(unwind_pool_put(&pool, &three, rules, &d), 0);
	assert_int_equal(d.page_base, 0);
	check_table(&d, &three);
	assert_int_equal(unwind_pool_put(&pool, &far, rules, &a), -ENOSPC);
	assert_int_equal(unwind_pool_put(&pool, &farthest, rules, &a), -ENOSPC);
	unwind_pool_drop(&pool, &d);
}

static void a_page_with_more_rows_than_a_chunk_gets_none(void **state)
{
	struct cfi_table table = dense_table(HB_CHUNK_ROWS + 10);
	struct unwind_rows rows;

	(void)state;
	start(3, 4);
	for (uint32_t i = 0; i < table.rows_count - 5; i++)
		table.rows[i].offset = 2ULL * i; /* 16,389 rows in the first half of a page */
	table.rows[table.rows_count - 5].offset = 0x10010;
	for (size_t i = table.rows_count - 4; i < table.rows_count; i++)
		table.rows[i].offset = 0x10010 + 4 * (i - table.rows_count + 5);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	assert_int_equal(rows.pages[0].count, 0);
	assert_int_equal(rows.pages[1].count, 6);
	assert_int_equal(look_up(&rows, 0x100), HB_RULE_NONE);
	assert_int_equal(look_up(&rows, 0x10000), rules[table.rows[table.rows_count - 6].rule]);
	assert_int_equal(look_up(&rows, 0x10010), rules[table.rows[table.rows_count - 5].rule]);
	unwind_pool_drop(&pool, &rows);
	free(table.rows);
}

static void what_did_not_fit_or_was_there_already_costs_nothing(void **state)
{
	struct cfi_table large = dense_table(5 * HB_CHUNK_ROWS / 2), small = dense_table(400);
	struct unwind_rows kept[64], extra;

	(void)state;
	start(4, 100);
	/* The small ones take less than half of the room: they fit if nothing of the others stays. */
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(unwind_pool_put(&pool, &small, rules, &kept[i]), 0);
		if (!unwind_pool_put(&pool, &large, rules, &extra)) {
			check_table(&extra, &large);
			unwind_pool_drop(&pool, &extra);
		}
		assert_int_equal(pool.rows_used, 400 * (i + 1));
	}
	for (uint32_t i = 0; i < 64; i++) {
		check_table(&kept[i], &small);
		unwind_pool_drop(&pool, &kept[i]);
	}
	free(large.rows);
	free(small.rows);
}

/* A chunk's rest is used, whatever came and went since it was the one being filled. */
static void the_rest_of_any_chunk_is_used(void **state)
{
	struct cfi_table half = dense_table(HB_CHUNK_ROWS / 2), most = dense_table(HB_CHUNK_ROWS / 2 + 1);
	struct unwind_rows rows[8];

	(void)state;
	start(4, 8);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(unwind_pool_put(&pool, &most, rules, &rows[i]), 0);
	assert_int_equal(unwind_pool_put(&pool, &half, rules, &rows[4]), -ENOSPC);
	unwind_pool_drop(&pool, &rows[3]);
	for (uint32_t i = 3; i < 5; i++)
		assert_int_equal(unwind_pool_put(&pool, &half, rules, &rows[i]), 0);
	unwind_pool_drop(&pool, &rows[0]);
	unwind_pool_drop(&pool, &rows[1]);
	for (uint32_t i = 5; i < 8; i++)
		assert_int_equal(unwind_pool_put(&pool, &half, rules, &rows[i]), 0);
	assert_int_equal(unwind_pool_put(&pool, &half, rules, &rows[0]), 0);
	assert_int_equal(pool.rows_used, 6 * (HB_CHUNK_ROWS / 2) + HB_CHUNK_ROWS / 2 + 1);
	check_table(&rows[2], &most);
	for (uint32_t i = 3; i < 8; i++) {
		check_table(&rows[i], &half);
		unwind_pool_drop(&pool, &rows[i]);
	}
	unwind_pool_drop(&pool, &rows[0]);
	unwind_pool_drop(&pool, &rows[2]);
	free(half.rows);
	free(most.rows);
}

static void chunks_are_made_when_rows_need_them(void **state)
{
	struct cfi_table table = dense_table(2 * HB_CHUNK_ROWS), one = TABLE({ 0, 5 });
	struct unwind_rows rows, more;

	(void)state;
	start(4, 8);
	assert_int_equal(made_count, 0);
	assert_int_equal(unwind_pool_put(&pool, &one, rules, &more), 0);
	assert_int_equal(made_count, 1);
	/* Where none is to be had there is no room, and what is there stays. */
	refused_from = 2;
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), -ENOMEM);
	assert_int_equal(made_count, 2);
	assert_int_equal(pool.rows_used, 1);
	check_table(&more, &one);
	refused_from = UINT32_MAX;
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	check_table(&rows, &table);
	assert_int_equal(made_count, 3);
	unwind_pool_drop(&pool, &rows);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	assert_int_equal(made_count, 3); /* they stay */
	unwind_pool_drop(&pool, &rows);
	unwind_pool_drop(&pool, &more);
	free(table.rows);
}

/* --- what is published ------------------------------------------------------------------------------- */

static void a_page_that_is_used_anew_never_looks_as_before(void **state)
{
	struct cfi_table table = TABLE({ 0, 5 });
	struct hb_page before = { 0 };
	struct unwind_rows rows;

	(void)state;
	start(1, 1);
	for (uint32_t i = 0; i < 70000; i++) { /* more than there are versions */
		assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
		assert_memory_not_equal(&rows.pages[0], &before, sizeof(before));
		before = rows.pages[0];
		unwind_pool_drop(&pool, &rows);
	}
}

/* --- equality ------------------------------------------------------------------------------------------ */

static void rows_are_equal_when_they_say_the_same(void **state)
{
	struct cfi_table table = TABLE({ 0x10, 5 }, { 0x20010, 6 }, { 0x20020, HB_RULE_NONE });
	struct cfi_table others[] = {
		TABLE({ 0x10, 5 }, { 0x20010, 6 }),
		TABLE({ 0x10, 5 }, { 0x20010, 6 }, { 0x20024, HB_RULE_NONE }),
		TABLE({ 0x10, 5 }, { 0x20010, 7 }, { 0x20020, HB_RULE_NONE }),
		TABLE({ 0x14, 5 }, { 0x20010, 6 }, { 0x20020, HB_RULE_NONE }),
		TABLE({ 0x10, 5 }, { 0x10010, 6 }, { 0x10020, HB_RULE_NONE }),
		TABLE({ 0x10, 5 }, { 0x20010, 6 }, { 0x20020, HB_RULE_NONE }, { 0x30000, 6 }),
		TABLE({ 0x10, 6 }, { 0x20010, 5 }, { 0x20020, HB_RULE_NONE }),
		{ 0 },
	};
	struct unwind_rows rows, same, other;

	(void)state;
	start(2, 40);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &rows), 0);
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &same), 0);
	assert_int_not_equal(rows.page_base, same.page_base);
	assert_true(unwind_pool_equal(&pool, &rows, &same));
	assert_true(unwind_pool_equal(&pool, &rows, &rows));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(unwind_pool_put(&pool, &others[i], rules, &other), 0);
		assert_false(unwind_pool_equal(&pool, &rows, &other));
		assert_false(unwind_pool_equal(&pool, &other, &rows));
		other.hash = rows.hash; /* not by their hashes alone */
		assert_false(unwind_pool_equal(&pool, &rows, &other));
		unwind_pool_drop(&pool, &other);
	}
	/* The numbers of rules are a table's own: what counts is what they stand for. */
	rules[6] = 4242;
	assert_int_equal(unwind_pool_put(&pool, &table, rules, &other), 0);
	assert_false(unwind_pool_equal(&pool, &rows, &other));
	unwind_pool_drop(&pool, &other);
	unwind_pool_drop(&pool, &same);
	unwind_pool_drop(&pool, &rows);
}

static void of_random_tables_only_the_same_are_equal(void **state)
{
	struct cfi_table tables[20];
	struct unwind_rows rows[40];

	(void)state;
	srandom(7);
	start(40, 600);
	for (uint32_t i = 0; i < 20; i++) {
		tables[i] = random_table(500 + random_below(500), 300, 1 << 20);
		assert_int_equal(unwind_pool_put(&pool, &tables[i], rules, &rows[i]), 0);
	}
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(unwind_pool_put(&pool, &tables[i], rules, &rows[20 + i]), 0);
	for (uint32_t i = 0; i < 40; i++) {
		for (uint32_t j = 0; j < 40; j++) {
			assert_int_equal(unwind_pool_equal(&pool, &rows[i], &rows[j]), i % 20 == j % 20);
			assert_int_equal(rows[i].hash == rows[j].hash, i % 20 == j % 20);
		}
	}
	for (uint32_t i = 0; i < 40; i++)
		unwind_pool_drop(&pool, &rows[i]);
	for (uint32_t i = 0; i < 20; i++)
		free(tables[i].rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_page_that_a_row_reaches_begins_with_a_row, stop),
		cmocka_unit_test_teardown(a_table_without_rows_takes_a_page_and_no_rows, stop),
		cmocka_unit_test_teardown(every_offset_of_every_table_finds_its_rule_in_any_storm, stop),
		cmocka_unit_test_teardown(a_page_can_fill_a_chunk_and_a_pool_can_be_full, stop),
		cmocka_unit_test_teardown(pages_of_one_file_lie_side_by_side, stop),
		cmocka_unit_test_teardown(a_page_with_more_rows_than_a_chunk_gets_none, stop),
		cmocka_unit_test_teardown(what_did_not_fit_or_was_there_already_costs_nothing, stop),
		cmocka_unit_test_teardown(the_rest_of_any_chunk_is_used, stop),
		cmocka_unit_test_teardown(chunks_are_made_when_rows_need_them, stop),
		cmocka_unit_test_teardown(a_page_that_is_used_anew_never_looks_as_before, stop),
		cmocka_unit_test_teardown(rows_are_equal_when_they_say_the_same, stop),
		cmocka_unit_test_teardown(of_random_tables_only_the_same_are_equal, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
