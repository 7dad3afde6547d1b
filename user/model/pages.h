/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From sampled pages to resident bytes by stack. A sampled page stands for a block of 1 << shift pages; how far
 * that may be off is told by how many runs of neighbouring blocks a site has: only where a run begins and ends
 * is it open to which of two sites a block's sampled page belongs. Where several pages are a granule, granules are
 * sampled in the same way; of one that is there in part it is open, too, how much the rest of its block holds.
 */
#ifndef HB_MODEL_PAGES_H
#define HB_MODEL_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One sampled page, or a huge one, and what became of it. */
struct page_record {
	uint64_t page; /* address by the page size; the first of a granule's */
	uint64_t stack;
	uint64_t time_ns; /* when it was touched */
	uint32_t gen;  /* whose record it is: the process's own, or that of one it was forked from */
	uint16_t depth; /* 0: its own; else how many forks ago */
	uint8_t order; /* 0; else it stands for 1 << order pages, and is no sample */
	uint8_t granule; /* order 0: it is 1 << granule pages */
	uint8_t shift; /* order 0: it stands for 1 << shift granules */
	uint16_t resident, swapped; /* pages of it: of a single one 0 or 1, else up to all of them */
	bool shared;      /* it is shared memory */
	uint32_t aside;   /* 0; else its row was put aside, under that number */
	bool outlived;    /* by pages_settle() alone */
	bool present;     /* some page was there when it was touched: a copy on write */
	/* By pages_follow(): */
	uint64_t moved_ns; /* when it was first moved; 0: it never was, and the next three say nothing */
	uint64_t from;    /* where it was touched */
	uint64_t moved_to, moved_pages; /* the range that it was first moved with, where that is now, in pages */
};

/* mremap moved pages. */
struct page_move {
	uint64_t from, to, pages; /* [from, from + pages) to [to, to + pages) */
	uint64_t time_ns;
	uint16_t depth; /* as of a record: of whose memory */
	bool used;      /* a record moved with it */
};

/* What one stack made resident. */
struct page_site {
	uint64_t stack;
	uint64_t bytes;       /* resident now; an estimate */
	uint64_t error_bytes; /* its standard error */
	uint64_t swapped_bytes;
	uint64_t shared_bytes; /* of the resident ones: shared memory */
	uint64_t sampled_count; /* records that are resident */
	uint64_t oldest_ns;   /* when the oldest of them was touched */
};

/*
 * Let records whose page is still where it was touched follow the moves that came later, which are sorted by
 * time. What a process was forked from does not move with the process itself, but what it inherited does.
 */
void pages_follow(struct page_record *records, size_t count, struct page_move *moves, size_t moves_count);

/*
 * Sort @records by place, and leave one for each: of a page that a process and those it was forked from touched
 * its own is right, and of a page touched twice the later touch, unless that was a copy on write. A page that was moved
 * stands for its block, until that block's own sampled page is touched there; a range that is less than a block may
 * have been moved without any record, and counts once more when it is written to there after a fork. Huge pages come
 * before the pages inside them. Returns how many are left.
 */
size_t pages_settle(struct page_record *records, size_t count);

/*
 * The sites of @count settled records, by stack, in a malloc'ed array. Stacks without a resident or swapped page
 * are left out. 0 or -ENOMEM.
 */
int pages_estimate(const struct page_record *records, size_t count, uint64_t page_bytes, struct page_site **sites,
		   size_t *sites_count);

/*
 * Where the first @first_bytes of a process are sampled one page in @block_bytes only, its later ones more densely:
 * any site may have made some of those resident without a record of it. Add to the standard errors of those of
 * the process's @count sites that have single pages what that amounts to if they had equal parts in them; over all of
 * them it is that of all of those bytes.
 */
void pages_doubt_first(struct page_site *sites, size_t count, uint64_t first_bytes, uint64_t block_bytes);

/* The square root, rounded: standard errors add up in squares. */
uint64_t pages_root(double square);

#endif
