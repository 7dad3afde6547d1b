// SPDX-License-Identifier: Apache-2.0
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"

/* What a record adds to its site. */
struct share {
	uint64_t stack;
	uint64_t block; /* where it was touched; of a huge one its first page */
	uint64_t moved_ns; /* as of its record: blocks that moved together lie side by side */
	uint64_t bytes, swapped_bytes, time_ns;
	uint64_t taken_bytes; /* of these bytes: by pages touched later, which may stand for more than there was */
	double taken_square;  /* variance of that, where they do */
	uint8_t shift; /* 0: exact */
	bool resident, shared;
	bool whole; /* all pages of the granule are resident */
};

/* log2 of the pages of a block that @record stands for. */
static unsigned int block_shift(const struct page_record *record)
{
	return record->shift + record->granule;
}

/* The block that a sampled @page stands for, as far as @record tells how large it is. */
static uint64_t block_of(const struct page_record *record, uint64_t page)
{
	return page >> block_shift(record);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* The first of @moves that is later than @time_ns. */
static size_t first_after(const struct page_move *moves, size_t count, uint64_t time_ns)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (moves[middle].time_ns <= time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void pages_follow(struct page_record *records, size_t count, struct page_move *moves, size_t moves_count)
{
	for (size_t i = 0; i < count; i++) {
		struct page_record *record = &records[i];

		for (size_t j = first_after(moves, moves_count, record->time_ns); j < moves_count; j++) {
			struct page_move *move = &moves[j];

			if (move->depth > record->depth || record->page - move->from >= move->pages)
				continue;
			if (!record->moved_ns) {
				record->from = record->page;
				record->moved_ns = move->time_ns;
				record->moved_to = move->from;
				record->moved_pages = move->pages;
			}
			record->page += move->to - move->from;
			record->moved_to += move->to - move->from;
			move->used = true;
		}
	}
}

static int by_place(const void *left, const void *right)
{
	const struct page_record *a = left, *b = right;
	int order = compare_u64(a->page, b->page);

	if (!order)
		order = (int)b->order - (int)a->order;
	if (!order)
		order = (int)a->depth - (int)b->depth;
	return order ? order : compare_u64(a->time_ns, b->time_ns);
}

/*
 * A page that was moved is in no sample where it is now; that of its block there is, of 1 << @shift pages. Whether
 * @other says what became of that after @moved came: it is of that range, and later.
 */
static bool of_moved_block(const struct page_record *moved, const struct page_record *other, unsigned int shift)
{
	return moved->moved_ns && !moved->order && !other->order && other->time_ns > moved->moved_ns &&
	       other->page >> shift == moved->page >> shift && other->page - moved->moved_to < moved->moved_pages;
}

/*
 * Whether @record says nothing any more, because of @other from nearby. It was touched anew there: of as much as the
 * other stands for. Or it was only written to what the other, which was moved there, stands for.
 */
static bool is_outlived(const struct page_record *record, const struct page_record *other)
{
	const unsigned int own = block_shift(record), others = block_shift(other);

	if (!other->present && of_moved_block(record, other, others))
		return true;
	return record->present && of_moved_block(other, record, own > others ? own : others);
}

/* Whether any of the records before or behind, in the same block of 1 << @widest pages, outlives that at @i. */
static bool has_successor(const struct page_record *records, size_t count, size_t i, unsigned int widest)
{
	const struct page_record *record = &records[i];
	const uint64_t block = record->page >> widest;

	if (record->order || (!record->moved_ns && !record->present))
		return false;
	for (size_t j = i; j-- > 0 && records[j].page >> widest == block;) {
		if (is_outlived(record, &records[j]))
			return true;
	}
	for (size_t j = i + 1; j < count && records[j].page >> widest == block; j++) {
		if (is_outlived(record, &records[j]))
			return true;
	}
	return false;
}

static size_t drop_outlived(struct page_record *records, size_t count)
{
	unsigned int widest = 0;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		widest = block_shift(&records[i]) > widest ? block_shift(&records[i]) : widest;
	for (size_t i = 0; i < count; i++)
		records[i].outlived = has_successor(records, count, i, widest);
	for (size_t i = 0; i < count; i++) {
		if (!records[i].outlived)
			records[kept++] = records[i];
	}
	return kept;
}

size_t pages_settle(struct page_record *records, size_t count)
{
	size_t kept = 0;
	bool moved = false;

	qsort(records, count, sizeof(*records), by_place);
	for (size_t i = 0; i < count; i++) {
		struct page_record *last = kept ? &records[kept - 1] : NULL;

		moved |= records[i].moved_ns != 0;
		if (!last || last->order != records[i].order || last->page != records[i].page)
			records[kept++] = records[i];
		else if (last->depth == records[i].depth && !records[i].present)
			*last = records[i];
	}
	return moved ? drop_outlived(records, kept) : kept;
}

static bool inside(const struct page_record *huge, const struct page_record *record)
{
	return huge && record->page - huge->page < 1ull << huge->order;
}

/*
 * A huge page holds what is resident in its range, but for what was touched page by page later: it had been
 * given back then, wholly or in part. A record that stands for more than the huge page takes from its neighbours as
 * well, of which no record tells; so that is right only of all huge pages of a site together.
 */
static void take_later(struct share *share, const struct page_record *huge, const struct page_record *end,
		       uint64_t page_bytes)
{
	const struct page_record *record;
	uint64_t taken;

	for (record = huge + 1; record < end && inside(huge, record); record++) {
		if (record->time_ns <= huge->time_ns)
			continue;
		taken = record->resident * page_bytes << record->shift;
		share->taken_bytes += taken;
		if (block_shift(record) > huge->order)
			share->taken_square += (double)taken * (double)taken;
	}
	if (!(share->taken_square > 0) && share->taken_bytes > share->bytes)
		share->taken_bytes = share->bytes;
}

static struct share share_of(const struct page_record *record, const struct page_record *end, uint64_t page_bytes)
{
	const uint64_t page = record->moved_ns ? record->from : record->page;
	struct share share = { .stack = record->stack, .block = block_of(record, page),
			       .moved_ns = record->moved_ns, .time_ns = record->time_ns };

	if (record->order) {
		share.bytes = record->resident * page_bytes;
		take_later(&share, record, end, page_bytes);
		share.swapped_bytes = record->swapped * page_bytes;
	} else {
		share.shift = record->shift;
		share.bytes = record->resident * page_bytes << record->shift;
		share.swapped_bytes = record->swapped * page_bytes << record->shift;
		share.whole = record->resident == 1u << record->granule;
	}
	share.resident = share.bytes != share.taken_bytes || share.taken_square > 0;
	share.shared = record->shared;
	return share;
}

static size_t shares_of(const struct page_record *records, size_t count, uint64_t page_bytes, struct share *shares)
{
	const struct page_record *huge = NULL;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		struct share share;

		if (records[i].order)
			huge = &records[i];
		else if (inside(huge, &records[i]) && records[i].time_ns <= huge->time_ns)
			continue; /* the huge page stands for it */
		share = share_of(&records[i], records + count, page_bytes);
		if (share.resident || share.swapped_bytes)
			shares[n++] = share;
	}
	return n;
}

static int by_stack(const void *left, const void *right)
{
	const struct share *a = left, *b = right;
	int order = compare_u64(a->stack, b->stack);

	if (!order)
		order = (int)a->shift - (int)b->shift;
	if (!order)
		order = compare_u64(a->moved_ns, b->moved_ns);
	return order ? order : compare_u64(a->block, b->block);
}

/* Blocks that begin a run: the one before is not the site's, or one of the two is there in part. */
static bool begins(const struct share *shares, size_t i)
{
	const struct share *before = &shares[i - 1], *share = &shares[i];

	return !i || before->stack != share->stack || before->shift != share->shift || !before->whole ||
	       !share->whole || before->moved_ns != share->moved_ns || before->block + 1 != share->block;
}

uint64_t pages_root(double square)
{
	double root = square > 1 ? square : 1;

	if (!(square > 0))
		return 0;
	for (int i = 0; i < 1100; i++) { /* Newton's way, from above: no math library for this */
		double next = (root + square / root) / 2;

		if (next >= root)
			break;
		root = next;
	}
	return (uint64_t)(root + 0.5);
}

/* The variance of a site: one block's for each run, of which the sampled page itself is known. */
static double variance(const struct share *shares, size_t first, size_t end)
{
	double sum = 0;

	for (size_t i = first; i < end; i++) {
		double bytes = (double)shares[i].bytes;

		sum += shares[i].taken_square;
		if (shares[i].shift && shares[i].resident && begins(shares, i))
			sum += bytes * bytes * (1 - 1.0 / (double)(1ull << shares[i].shift));
	}
	return sum;
}

static void add(struct page_site *site, const struct share *share)
{
	const uint64_t bytes = share->bytes - share->taken_bytes; /* may be less than nothing, until all are added up */

	site->stack = share->stack;
	site->bytes += bytes;
	site->swapped_bytes += share->swapped_bytes;
	site->shared_bytes += share->shared ? bytes : 0;
	site->sampled_count += share->resident;
	if (share->resident && (!site->oldest_ns || share->time_ns < site->oldest_ns))
		site->oldest_ns = share->time_ns;
}

static uint64_t at_least_none(uint64_t bytes)
{
	return (int64_t)bytes > 0 ? bytes : 0;
}

int pages_estimate(const struct page_record *records, size_t count, uint64_t page_bytes, struct page_site **sites,
		   size_t *sites_count)
{
	__cleanup(freep) struct share *shares = malloc((count + 1) * sizeof(*shares));
	struct page_site *list;
	size_t n, found = 0, first = 0;

	if (!shares)
		return -ENOMEM;
	n = shares_of(records, count, page_bytes, shares);
	qsort(shares, n, sizeof(*shares), by_stack);
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		add(&list[found], &shares[i]);
		if (i + 1 < n && shares[i + 1].stack == shares[i].stack)
			continue;
		list[found].bytes = at_least_none(list[found].bytes);
		list[found].shared_bytes = at_least_none(list[found].shared_bytes);
		list[found++].error_bytes = pages_root(variance(shares, first, i + 1));
		first = i + 1;
	}
	*sites = list;
	*sites_count = found;
	return 0;
}

/* All of them are known or not by a block's one page: each byte has the variance of a block's. */
void pages_doubt_first(struct page_site *sites, size_t count, uint64_t first_bytes, uint64_t block_bytes)
{
	const double square = (double)first_bytes * (double)block_bytes;
	size_t doubtful = 0;

	for (size_t i = 0; i < count; i++)
		doubtful += sites[i].error_bytes > 0;
	for (size_t i = 0; i < count; i++) {
		const double error = (double)sites[i].error_bytes;

		if (first_bytes && sites[i].error_bytes)
			sites[i].error_bytes = pages_root(error * error + square / (double)doubtful);
	}
}
