/* SPDX-License-Identifier: Apache-2.0 */
/* Events of an address space, and what holds for it after each of them. Addresses are in pages. */
#ifndef HB_TESTS_UNIT_VMA_CHECK_H
#define HB_TESTS_UNIT_VMA_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "vma_ranges.h"

#define PAGE 4096ULL
#define READ_WRITE 3u /* PROT_READ | PROT_WRITE */
#define REMAP_FIXED 2u /* include/uapi/linux/mman.h */
#define REMAP_DONTUNMAP 4u

struct checked {
	uint64_t end;
	uint64_t bytes[VMA_OWNERS];
	uint64_t committed;
	size_t ranges;
	const char *wrong;
};

static inline void check_range(void *ctx, const struct vma_range *range)
{
	struct checked *checked = ctx;

	if (range->start >= range->end)
		checked->wrong = "a range is empty";
	if (range->start % PAGE || range->end % PAGE)
		checked->wrong = "a range is not of whole pages";
	if (checked->ranges && range->start < checked->end)
		checked->wrong = "ranges overlap or are not sorted";
	if ((range->owner == VMA_CALLER) != (range->since_ns != 0))
		checked->wrong = "a caller's range has no time, or another has one";
	if (range->prot > 7)
		checked->wrong = "a protection is none";
	checked->end = range->end;
	checked->bytes[range->owner] += range->end - range->start;
	checked->committed += range->prot & READ_WRITE ? range->end - range->start : 0;
	checked->ranges++;
}

static inline const char *check_sites(const struct vma_set *set, const struct vma_sums *sums)
{
	uint64_t outstanding = 0, held_bytes = 0, committed = 0;
	struct vma_site *sites;
	struct vma_held *held;
	const char *wrong = NULL;
	size_t count;

	if (vma_sites(set, UINT64_MAX, &sites, &held, &count))
		return "no memory for the sites";
	for (size_t i = 0; i < count; i++) {
		const struct hb_site *totals = &sites[i].totals;

		if (totals->allocated_bytes != totals->freed_bytes + totals->outstanding_bytes)
			wrong = "allocated is not freed and outstanding";
		if (totals->allocated_count - totals->freed_count != held[i].count)
			wrong = "the counts do not add up";
		if (totals->outstanding_bytes != held[i].bytes || !held[i].bytes != !held[i].count)
			wrong = "held is not outstanding";
		if (totals->freed_count > totals->allocated_count)
			wrong = "more was freed than allocated";
		if (totals->peak_bytes < totals->outstanding_bytes)
			wrong = "the peak is below what is outstanding";
		if (!sites[i].oldest_ns != !totals->outstanding_bytes)
			wrong = "something outstanding has no age, or nothing has one";
		if (sites[i].committed_bytes > totals->outstanding_bytes)
			wrong = "more is committed than outstanding";
		outstanding += totals->outstanding_bytes;
		held_bytes += held[i].bytes;
		committed += sites[i].committed_bytes;
	}
	if (outstanding != sums->owned_bytes[VMA_CALLER] || held_bytes != outstanding)
		wrong = "the sites' outstanding bytes are not the callers'";
	if (committed > sums->committed_bytes)
		wrong = "the sites have more committed than there is";
	free(sites);
	free(held);
	return wrong;
}

/* What is wrong with @set; NULL: nothing. @moving: a mremap may be under way, whose pages are in no range. */
static inline const char *check_set(const struct vma_set *set, bool moving)
{
	struct checked checked = { 0 };
	struct vma_sums sums;
	uint64_t all = 0;

	vma_each(set, check_range, &checked);
	vma_sums(set, &sums);
	for (int i = 0; i < VMA_OWNERS; i++) {
		if (!moving && checked.bytes[i] != sums.owned_bytes[i])
			return "the ranges are not what the sums say";
		all += sums.owned_bytes[i];
	}
	if (checked.wrong)
		return checked.wrong;
	if (all != sums.mapped_bytes || sums.ranges != checked.ranges ||
	    sums.stack_bytes > sums.owned_bytes[VMA_BEFORE])
		return "the sums do not add up";
	if (!moving && checked.committed != sums.committed_bytes)
		return "the ranges' protection is not what the sums say";
	return check_sites(set, &sums);
}

/* --- events; each is a second after the one before --- */

static uint64_t seconds;

static inline struct hb_ev_map event(enum hb_map_op op, uint32_t tid)
{
	return (struct hb_ev_map){ .kind = HB_EV_MAP, .tgid = 1, .gen = 1, .op = op, .tid = tid,
				   .time_ns = ++seconds * 1000000000ULL };
}

/* The allocator has no stack here. */
static inline int add(struct vma_set *set, uint32_t tid, uint64_t stack, uint64_t page, uint64_t pages)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, tid);

	ev.stack = stack;
	ev.marks = stack ? 0 : HB_MAP_OWNED;
	ev.addr = page * PAGE;
	ev.bytes = pages * PAGE;
	ev.prot = READ_WRITE;
	return vma_apply(set, &ev);
}

static inline int removes(struct vma_set *set, uint32_t tid, uint64_t page, uint64_t pages)
{
	struct hb_ev_map ev = event(HB_MAP_REMOVE, tid);

	ev.addr = page * PAGE;
	ev.bytes = pages * PAGE;
	return vma_apply(set, &ev);
}

static inline int restore(struct vma_set *set, uint32_t tid)
{
	struct hb_ev_map ev = event(HB_MAP_RESTORE, tid);

	return vma_apply(set, &ev);
}

static inline int remap_begin(struct vma_set *set, uint32_t tid, uint64_t page, uint64_t old_pages, uint64_t pages,
			      uint32_t flags, uint64_t target)
{
	struct hb_ev_map ev = event(HB_MAP_REMAP_BEGIN, tid);

	ev.old_addr = page * PAGE;
	ev.old_bytes = old_pages * PAGE;
	ev.bytes = pages * PAGE;
	ev.flags = flags;
	ev.addr = target * PAGE;
	return vma_apply(set, &ev);
}

static inline int remap_end(struct vma_set *set, uint32_t tid, uint64_t stack, uint64_t page, uint64_t pages)
{
	struct hb_ev_map ev = event(HB_MAP_REMAP_END, tid);

	ev.stack = stack;
	ev.marks = stack ? 0 : HB_MAP_OWNED;
	ev.addr = page * PAGE;
	ev.bytes = pages * PAGE;
	return vma_apply(set, &ev);
}

/* Bytes, for neither need be whole pages. */
static inline int set_break(struct vma_set *set, uint32_t tid, uint64_t stack, uint64_t start, uint64_t end)
{
	struct hb_ev_map ev = event(HB_MAP_BREAK, tid);

	ev.stack = stack;
	ev.marks = stack ? 0 : HB_MAP_OWNED;
	ev.old_addr = start;
	ev.addr = end;
	return vma_apply(set, &ev);
}

static inline int protect(struct vma_set *set, uint32_t tid, uint64_t page, uint64_t pages, uint32_t prot)
{
	struct hb_ev_map ev = event(HB_MAP_PROTECT, tid);

	ev.addr = page * PAGE;
	ev.bytes = pages * PAGE;
	ev.prot = prot;
	return vma_apply(set, &ev);
}

/* A list around whose reading nothing happened; what was under way is forgotten, and the break is the list's. */
static inline int follows(struct vma_set *set, const struct vma_line *lines, size_t count)
{
	static const struct vma_around long_ago = { .lost_ns = UINT64_MAX };

	vma_lost(set);
	return vma_follow(set, lines, count, &long_ago);
}

#endif
