// SPDX-License-Identifier: Apache-2.0
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"

/* What a record adds to its site. */
struct share {
	uint64_t stack;
	uint64_t block; /* page >> shift; of a huge one its first page */
	uint64_t bytes, swapped_bytes, time_ns;
	uint8_t shift; /* 0: exact */
	bool resident;
};

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static uint64_t first_page(const struct page_record *record)
{
	return record->page >> record->order << record->order;
}

static int by_place(const void *left, const void *right)
{
	const struct page_record *a = left, *b = right;
	int order = compare_u64(first_page(a), first_page(b));

	if (!order)
		order = (int)b->order - (int)a->order;
	return order ? order : (int)a->depth - (int)b->depth;
}

size_t pages_settle(struct page_record *records, size_t count)
{
	size_t kept = 0;

	qsort(records, count, sizeof(*records), by_place);
	for (size_t i = 0; i < count; i++) {
		if (kept && records[kept - 1].order == records[i].order &&
		    first_page(&records[kept - 1]) == first_page(&records[i]))
			continue;
		records[kept++] = records[i];
	}
	return kept;
}

static bool inside(const struct page_record *huge, const struct page_record *record)
{
	return huge && record->page - first_page(huge) < 1ull << huge->order;
}

/*
 * A huge page holds what is resident in its range, but for what was touched page by page later: it had been
 * given back then, wholly or in part.
 */
static uint64_t later_pages(const struct page_record *huge, const struct page_record *end)
{
	const struct page_record *record;
	uint64_t pages = 0;

	for (record = huge + 1; record < end && inside(huge, record); record++) {
		if (record->time_ns > huge->time_ns && record->resident)
			pages += 1ull << record->shift;
	}
	return pages;
}

static struct share share_of(const struct page_record *record, const struct page_record *end, uint64_t page_bytes)
{
	struct share share = { .stack = record->stack, .block = record->page >> record->shift,
			       .time_ns = record->time_ns };
	uint64_t taken;

	if (record->order) {
		taken = later_pages(record, end);
		share.bytes = record->resident > taken ? (record->resident - taken) * page_bytes : 0;
		share.swapped_bytes = record->swapped * page_bytes;
	} else {
		share.shift = record->shift;
		share.bytes = record->resident ? page_bytes << record->shift : 0;
		share.swapped_bytes = record->swapped ? page_bytes << record->shift : 0;
	}
	share.resident = share.bytes != 0;
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
		if (share.bytes || share.swapped_bytes)
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
	return order ? order : compare_u64(a->block, b->block);
}

/* Blocks that begin a run: the one before is not the same site's, or is not resident. */
static bool begins(const struct share *shares, size_t i)
{
	const struct share *before = &shares[i - 1], *share = &shares[i];

	return !i || before->stack != share->stack || before->shift != share->shift || !before->resident ||
	       before->block + 1 != share->block;
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

		if (shares[i].shift && shares[i].resident && begins(shares, i))
			sum += bytes * bytes * (1 - 1.0 / (double)(1ull << shares[i].shift));
	}
	return sum;
}

static void add(struct page_site *site, const struct share *share)
{
	site->stack = share->stack;
	site->bytes += share->bytes;
	site->swapped_bytes += share->swapped_bytes;
	site->sampled_count += share->resident;
	if (share->resident && (!site->oldest_ns || share->time_ns < site->oldest_ns))
		site->oldest_ns = share->time_ns;
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
		list[found++].error_bytes = pages_root(variance(shares, first, i + 1));
		first = i + 1;
	}
	*sites = list;
	*sites_count = found;
	return 0;
}
