// SPDX-License-Identifier: Apache-2.0
/* Events at random, beside an array of pages that knows the owner of each. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "vma_check.h"

#define PAGES    512
#define EVENTS   100000
#define SITES    7 /* 0 is the allocator */
#define THREADS  5
#define HEAP     300 /* page at which it begins */
#define MAPPINGS (2 * EVENTS)

enum { NOTHING, BEFORE, ALLOCATOR, MAPPED }; /* a page: nothing, nobody's, or from MAPPED on a mapping's number */

struct page {
	uint32_t mapping;
	uint32_t prot;
};

struct drawn {
	uint64_t since_ns, pages;
	uint32_t site, attached;
};

/* What a call under way took away. */
struct call {
	enum hb_map_op op; /* 0: none */
	uint32_t from, old_pages;
	bool stays;
	struct page moving[PAGES], gone[PAGES];
};

static struct page pages[PAGES];
static struct drawn mappings[MAPPINGS];
static uint32_t mapping_count;
static struct hb_site totals[SITES]; /* in pages */
static struct call calls[THREADS];
static uint32_t break_page;
static uint64_t chance;

static uint32_t below(uint32_t limit)
{
	chance = chance * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(chance >> 33) % limit;
}

/* --- the pages, one by one --- */

static struct hb_site *totals_of(struct page page)
{
	return page.mapping < MAPPED ? NULL : &totals[mappings[page.mapping].site];
}

static void raise_outstanding(struct hb_site *site)
{
	site->outstanding_bytes++;
	if (site->peak_bytes < site->outstanding_bytes)
		site->peak_bytes = site->outstanding_bytes;
}

static void gain(struct page page)
{
	struct hb_site *site = totals_of(page);

	if (!site)
		return;
	site->allocated_count += !mappings[page.mapping].pages++;
	site->allocated_bytes++;
	raise_outstanding(site);
}

static void lose(struct page page)
{
	struct hb_site *site = totals_of(page);

	if (!site)
		return;
	site->freed_count += !--mappings[page.mapping].pages;
	site->freed_bytes++;
	site->outstanding_bytes--;
}

static void regain(struct page page)
{
	struct hb_site *site = totals_of(page);

	if (!site)
		return;
	site->freed_count -= !mappings[page.mapping].pages++;
	site->freed_bytes--;
	raise_outstanding(site);
}

static struct page new_page(uint32_t site, uint32_t prot)
{
	if (!site)
		return (struct page){ ALLOCATOR, prot };
	assert_true(mapping_count < MAPPINGS);
	mappings[mapping_count] = (struct drawn){ .site = site, .since_ns = seconds * 1000000000ULL };
	return (struct page){ mapping_count++, prot };
}

static void clear(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		lose(pages[i]);
		pages[i] = (struct page){ 0 };
	}
}

static void map_pages(uint32_t from, uint32_t to, struct page page)
{
	clear(from, to);
	for (uint32_t i = from; i < to; i++) {
		pages[i] = page;
		gain(page);
	}
}

static void give_up(struct call *call)
{
	for (uint32_t i = 0; i < PAGES; i++)
		lose(call->moving[i]);
	memset(call, 0, sizeof(*call));
}

static void put_back(struct call *call)
{
	for (uint32_t i = 0; i < PAGES; i++) {
		if (!pages[i].mapping)
			pages[i] = call->moving[i];
		else
			lose(call->moving[i]);
	}
}

/* --- each event, for both --- */

static void do_add(struct vma_set *set, uint32_t thread, uint32_t site, uint32_t from, uint32_t count)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, thread + 1);
	struct page page;

	ev.stack = site;
	ev.addr = from * PAGE;
	ev.bytes = count * PAGE - below(PAGE);
	ev.prot = below(8);
	ev.marks = (site ? 0 : HB_MAP_OWNED) | (below(4) ? 0 : HB_MAP_SHM);
	page = new_page(site, ev.prot);
	if (ev.marks & HB_MAP_SHM && site)
		mappings[page.mapping].attached = from;
	map_pages(from, from + count, page);
	vma_apply(set, &ev);
}

static void do_remove(struct vma_set *set, uint32_t thread, uint32_t from, uint32_t count)
{
	struct call *call = &calls[thread];

	call->op = HB_MAP_REMOVE;
	memcpy(&call->gone[from], &pages[from], count * sizeof(*pages));
	clear(from, from + count);
	removes(set, thread + 1, from, count);
}

static void do_remap(struct vma_set *set, uint32_t thread, uint32_t from, uint32_t count)
{
	const uint32_t flags = below(4) ? 0 : below(2) ? REMAP_FIXED : REMAP_DONTUNMAP;
	const uint32_t target = below(PAGES - 40), fresh = 1 + below(40);
	struct call *call = &calls[thread];

	if (!below(8))
		count = 0;
	call->op = HB_MAP_REMAP_BEGIN;
	call->from = from;
	call->old_pages = count;
	call->stays = !count || flags & REMAP_DONTUNMAP;
	for (uint32_t i = from; i < from + count && !call->stays; i++) {
		call->moving[i] = pages[i];
		pages[i] = (struct page){ 0 };
	}
	if (flags & REMAP_FIXED) {
		memcpy(&call->gone[target], &pages[target], fresh * sizeof(*pages));
		clear(target, target + fresh);
	}
	remap_begin(set, thread + 1, from, count, fresh, flags, target);
}

static void do_restore(struct vma_set *set, uint32_t thread)
{
	struct call *call = &calls[thread];

	put_back(call);
	for (uint32_t i = 0; i < PAGES; i++) {
		if (!pages[i].mapping) {
			pages[i] = call->gone[i];
			regain(pages[i]);
		}
	}
	memset(call, 0, sizeof(*call));
	restore(set, thread + 1);
}

static void do_end(struct vma_set *set, uint32_t thread, uint32_t site, uint32_t to, uint32_t count)
{
	struct call *call = &calls[thread];
	const bool known = call->op == HB_MAP_REMAP_BEGIN;
	const uint32_t moved = !known || call->old_pages > count ? count : call->old_pages;
	uint32_t prot = READ_WRITE;

	remap_end(set, thread + 1, site, to, count);
	if (known && call->stays) {
		if (pages[call->from].mapping)
			prot = pages[call->from].prot;
		map_pages(to, to + count, new_page(site, prot));
		memset(call, 0, sizeof(*call));
		return;
	}
	clear(to, to + count);
	for (uint32_t i = 0; i < call->old_pages; i++) {
		const struct page page = call->moving[call->from + i];

		if (!page.mapping)
			continue;
		prot = page.prot;
		if (to != call->from && page.mapping >= MAPPED)
			mappings[page.mapping].attached = 0;
		if (i < moved)
			pages[to + i] = page;
		else
			lose(page);
	}
	for (uint32_t i = to; i < to + moved; i++) {
		if (!pages[i].mapping)
			pages[i] = (struct page){ BEFORE, prot };
	}
	if (moved < count)
		map_pages(to + moved, to + count, new_page(site, prot));
	memset(call, 0, sizeof(*call));
}

static void do_break(struct vma_set *set, uint32_t thread, uint32_t site, uint32_t to)
{
	const uint32_t from = break_page > HEAP ? break_page : HEAP;
	struct page page;

	set_break(set, thread + 1, site, HEAP * PAGE - below(PAGE), to * PAGE - below(PAGE));
	page = new_page(site, READ_WRITE);
	if (break_page > to)
		clear(to, break_page);
	else if (break_page)
		clear(from, to); /* it is new, whatever a list has said */
	for (uint32_t i = from; i < to; i++) {
		if (!pages[i].mapping) {
			pages[i] = page;
			gain(page);
		}
	}
	break_page = to;
}

static void do_protect(struct vma_set *set, uint32_t thread, uint32_t from, uint32_t count)
{
	const uint32_t prot = below(8);

	for (uint32_t i = from; i < from + count; i++)
		pages[i].prot = pages[i].mapping ? prot : 0;
	protect(set, thread + 1, from, count, prot);
}

static void do_detach(struct vma_set *set, uint32_t thread)
{
	const uint32_t at = below(PAGES), attached = mappings[pages[at].mapping].attached;
	struct hb_ev_map ev = event(HB_MAP_DETACH, thread + 1);

	ev.addr = attached * PAGE;
	for (uint32_t i = 0; i < PAGES && attached; i++) {
		if (pages[i].mapping >= MAPPED && mappings[pages[i].mapping].attached == attached)
			clear(i, i + 1);
	}
	vma_apply(set, &ev);
}

static void do_any(struct vma_set *set)
{
	const uint32_t thread = below(THREADS), site = below(SITES), count = 1 + below(40), from = below(PAGES - 40);
	const uint32_t what = below(16);
	struct call *call = &calls[thread];

	if (call->op && what < 6)
		return do_restore(set, thread);
	if (call->op == HB_MAP_REMAP_BEGIN && what < 15)
		return do_end(set, thread, site, below(3) ? from : call->from, count);
	if (what == 15)
		return do_end(set, thread, site, from, count);
	give_up(call);
	if (what < 5)
		do_add(set, thread, site, from, count);
	else if (what < 8)
		do_remove(set, thread, from, count);
	else if (what < 11)
		do_remap(set, thread, from, count);
	else if (what == 11)
		do_break(set, thread, site, HEAP + 1 + below(100));
	else if (what < 14)
		do_protect(set, thread, from, count);
	else
		do_detach(set, thread);
}

/* --- what both say --- */

static void compare_range(void *ctx, const struct vma_range *range)
{
	uint32_t *next = ctx;

	for (; *next < range->start / PAGE; ++*next)
		assert_int_equal(pages[*next].mapping, NOTHING);
	for (; *next < range->end / PAGE; ++*next) {
		const struct page page = pages[*next];

		assert_int_equal(range->prot, page.prot);
		assert_int_equal(range->owner, page.mapping == BEFORE ? VMA_BEFORE :
					       page.mapping == ALLOCATOR ? VMA_ALLOCATOR : VMA_CALLER);
		if (page.mapping >= MAPPED) {
			assert_int_equal(range->stack, mappings[page.mapping].site);
			assert_int_equal(range->since_ns, mappings[page.mapping].since_ns);
		} else {
			assert_int_not_equal(page.mapping, NOTHING);
			assert_int_equal(range->since_ns, 0);
		}
	}
}

static bool any_moves(void)
{
	for (int i = 0; i < THREADS; i++) {
		if (calls[i].op == HB_MAP_REMAP_BEGIN)
			return true;
	}
	return false;
}

static void compare_sites(const struct vma_set *set)
{
	struct vma_site *sites;
	size_t count;

	assert_int_equal(vma_sites(set, 0, &sites, NULL, &count), 0);
	for (size_t i = 0; i < count; i++) {
		const struct hb_site *theirs = &sites[i].totals, *ours = &totals[sites[i].stack];

		assert_int_equal(theirs->allocated_bytes, ours->allocated_bytes * PAGE);
		assert_int_equal(theirs->allocated_count, ours->allocated_count);
		assert_int_equal(theirs->freed_bytes, ours->freed_bytes * PAGE);
		assert_int_equal(theirs->freed_count, ours->freed_count);
		assert_int_equal(theirs->outstanding_bytes, ours->outstanding_bytes * PAGE);
		assert_int_equal(theirs->peak_bytes, ours->peak_bytes * PAGE);
	}
	free(sites);
}

static void compare(const struct vma_set *set)
{
	const char *wrong = check_set(set, any_moves());
	uint32_t next = 0;

	if (wrong)
		fail_msg("%s", wrong);
	vma_each(set, compare_range, &next);
	for (; next < PAGES; next++)
		assert_int_equal(pages[next].mapping, NOTHING);
	compare_sites(set);
}

/* --- the list, made of the pages --- */

static size_t list_pages(struct vma_line *lines)
{
	size_t count = 0;

	for (uint32_t i = 0; i < PAGES; i++) {
		if (!pages[i].mapping)
			continue;
		if (count && lines[count - 1].end == i * PAGE && lines[count - 1].prot == pages[i].prot)
			lines[count - 1].end += PAGE;
		else
			lines[count++] = (struct vma_line){ i * PAGE, (i + 1) * PAGE, pages[i].prot, false, false };
	}
	return count;
}

/* Two mremaps under way may want one place back; then which of them gets it does not matter. Leave @left. */
static void end_moves(struct vma_set *set, uint32_t left)
{
	for (uint32_t i = 0; i < THREADS; i++) {
		if (calls[i].op != HB_MAP_REMAP_BEGIN)
			continue;
		if (left)
			left--;
		else
			do_restore(set, i);
	}
}

/* Read a list that is as the pages are, or with @changes in it. */
static void resync(struct vma_set *set, uint32_t changes)
{
	struct vma_line lines[PAGES];
	struct page known[PAGES];
	size_t count;

	end_moves(set, 1);
	for (int i = 0; i < THREADS; i++) {
		put_back(&calls[i]);
		memset(&calls[i], 0, sizeof(calls[i]));
	}
	memcpy(known, pages, sizeof(known));
	while (changes--) {
		const uint32_t from = below(PAGES - 40), to = from + 1 + below(40), what = below(3);

		for (uint32_t i = from; i < to; i++) {
			if (!what)
				clear(i, i + 1);
			else if (what == 1 && !known[i].mapping)
				pages[i] = (struct page){ BEFORE, 1 };
			else if (pages[i].mapping)
				pages[i].prot = 5;
		}
	}
	count = list_pages(lines);
	assert_int_equal(follows(set, lines, count), 0);
	break_page = 0; /* no line is a heap's */
	assert_int_equal(vma_difference(set, lines, count), 0);
}

static void begin(uint64_t seed)
{
	memset(pages, 0, sizeof(pages));
	memset(mappings, 0, sizeof(mappings));
	memset(totals, 0, sizeof(totals));
	memset(calls, 0, sizeof(calls));
	mapping_count = MAPPED;
	break_page = 0;
	chance = seed;
	seconds = 0;
}

static void after_any_events_each_page_has_the_owner_that_it_has_alone(void **state)
{
	struct vma_set *set = vma_new(PAGE);

	(void)state;
	begin(1);
	for (uint32_t i = 1; i <= EVENTS; i++) {
		do_any(set);
		if (i % 100)
			continue;
		compare(set);
		if (i % 1000 == 0) {
			resync(set, below(2) * below(8));
			compare(set);
		}
	}
	assert_int_equal(vma_odd(set), 0);
	assert_true(mapping_count > EVENTS / 8);
	vma_free(set);
}

static void a_list_that_says_what_is_known_changes_no_totals(void **state)
{
	struct hb_site before[SITES];
	struct vma_set *set = vma_new(PAGE);

	(void)state;
	begin(2);
	for (uint32_t i = 1; i <= 10000; i++) {
		do_any(set);
		if (i % 50)
			continue;
		end_moves(set, 0);
		memcpy(before, totals, sizeof(before));
		resync(set, 0);
		assert_memory_equal(before, totals, sizeof(before));
		compare(set);
	}
	vma_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_any_events_each_page_has_the_owner_that_it_has_alone),
		cmocka_unit_test(a_list_that_says_what_is_known_changes_no_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
