/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sampled pages, and what moved them: a part of the contract. Only through record.h. */
#ifndef HB_RECORD_PAGES_H
#define HB_RECORD_PAGES_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/*
 * Who made a page resident. Pages are sampled by their address: of every aligned block of 64 or 128 pages one, at a
 * place drawn from the block's number, so that each fault on it is seen, whoever makes it. Where one fault may bring
 * several pages, so many are a granule, and granules are sampled in place of pages: it brings them all or none. Huge
 * pages are few and have rows of their own, all of them.
 */
struct hb_fault_key {
	__u64 page;  /* its address by the page size; of a granule the first */
	__u32 gen;   /* generation, as in struct hb_block_key */
	__u32 order; /* 0, or HB_HUGE_ORDER: it stands for so many pages itself. HB_FAULT_ASIDE: see struct hb_moved */
};
_Static_assert(sizeof(struct hb_fault_key) == 16, "layout is shared with user space");

struct hb_fault {
	__u64 stack;   /* key into hb_stacks */
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 flags;   /* HB_FAULT_* */
	__u32 shift;   /* it stands for 1 << shift pages; for more where its image's rate says so */
};
_Static_assert(sizeof(struct hb_fault) == 24, "layout is shared with user space");

/*
 * mremap moves pages without a fault. A row stays where it was made, and user space finds its page by the moves
 * that came after it; one whose address was moved away and is touched anew goes aside to make room for the new.
 */
#define HB_FAULT_ASIDE 8 /* log2: bits of an order from there on, with the number of the move it was put aside after */

/* What a process image moved, by generation. */
struct hb_moved {
	__u64 last_ns; /* CLOCK_MONOTONIC */
	__u32 count;
	__u32 pad;
};
_Static_assert(sizeof(struct hb_moved) == 16, "layout is shared with user space");

struct hb_move_key {
	__u64 time_ns; /* CLOCK_MONOTONIC, when it was done */
	__u32 gen;
	__u32 tid;
};
_Static_assert(sizeof(struct hb_move_key) == 16, "layout is shared with user space");

struct hb_move {
	__u64 from, to; /* the first page, by the page size */
	__u64 pages;    /* as many as there are at both ends */
};
_Static_assert(sizeof(struct hb_move) == 24, "layout is shared with user space");

#define HB_HUGE_ORDER    9
#define HB_FAULT_PRESENT 1u /* the page was there, and may not be written (copy on write) */
#define HB_FAULT_WRITE   2u

/* How densely a process image is sampled: one page in 1 << shift. */
struct hb_rate {
	__u32 shift;   /* HB_SAMPLE_SHIFT to HB_SAMPLE_SHIFT_MAX; it never goes down */
	__u32 records; /* rows of hb_faults, order 0, about */
	__u32 first;   /* faults so far that brought a sampled page, counted up to hb_first_faults; or HB_RATE_OLD */
	__u32 pad;
};
_Static_assert(sizeof(struct hb_rate) == 16, "layout is shared with user space");

/*
 * Where that is wanted the first pages of a process image are sampled by HB_SAMPLE_SHIFT_FIRST, less densely than what
 * follows: most processes never touch more. Those outside of that sample have no row, so that later none of them can
 * be told from a page that was never seen. So of all pages that were there already when a fault of theirs is the first
 * to be seen (copies on write, first writes of what was read) the same few are followed, and stand for all of them.
 *
 * That is right where an image began while we looked, and inherited no row but of first pages. Others are old: what
 * they touch is sampled as all else, from the first on.
 */
#define HB_FIRST_FAULTS 40 /* of pages that would be sampled: 20 MiB, small pages: a JVM takes them to begin */
#define HB_RATE_OLD     0xffffffffu

#endif
