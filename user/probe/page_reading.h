/* SPDX-License-Identifier: Apache-2.0 */
/* One reading of the kernel side's records of page faults, and what each process has of them. For target_pages.c. */
#ifndef HB_PROBE_PAGE_READING_H
#define HB_PROBE_PAGE_READING_H

#include "target_private.h"

#define PAGE_READING_FORKS 16 /* generations up which pages are inherited */

struct page_reading {
	struct target *target;
	struct session_fault *faults; /* by generation */
	size_t count;
	struct session_move *moves; /* by generation, then time */
	size_t moves_count;
	bool *moves_used; /* a record there still is moved with it */
	uint64_t began_ns;
	uint64_t page_bytes;
	uint64_t seed;
	uint8_t granule; /* what is sampled are granules of 1 << granule pages */
	bool crowded; /* the table is nearly full */
};

/* Read all. 0 or negative errno; to be released in any case. */
int page_reading_begin(struct page_reading *reading, struct target *target);
void page_reading_release(struct page_reading *reading);

/* The records of @gen: their number, and the first. */
size_t page_reading_records(const struct page_reading *reading, uint32_t gen, struct session_fault **first);
/* The moves of @gen: their number, and the place of the first. */
size_t page_reading_moves(const struct page_reading *reading, uint32_t gen, size_t *first);

/* The order of a record's page, without the number that it was put aside under. */
static inline uint8_t page_reading_order(const struct session_fault *fault)
{
	return fault->key.order & ((1u << HB_FAULT_ASIDE) - 1);
}

/* Whether a record of @page, of order 0, is in the sample of one in 1 << @shift. */
static inline bool page_reading_kept(const struct page_reading *reading, uint64_t page, uint32_t shift)
{
	return hb_page_kept(page >> reading->granule, reading->seed, shift);
}

/*
 * The records that may tell of @process's pages, settled and where the pages are now: its own, and those of whom it
 * was forked from until then. In a malloc'ed array. 0 or -ENOMEM.
 */
int page_reading_collect(const struct page_reading *reading, const struct process *process,
			 struct page_record **records, size_t *count);

#endif
