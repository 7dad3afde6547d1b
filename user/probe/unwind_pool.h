/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for unwind rows, of a fixed size: chunks of 16,384 rows, and descriptors of the pages they
 * belong to. Pure bookkeeping over memory of the caller's; unwind_tables.c maps it into the kernel.
 */
#ifndef HB_PROBE_UNWIND_POOL_H
#define HB_PROBE_UNWIND_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../symbol/cfi.h"

struct unwind_pool {
	struct hb_chunk *chunks; /* borrowed */
	struct unwind_chunk {
		uint32_t used;  /* rows, from the first on */
		uint32_t pages; /* that have rows in it */
		bool made;
	} *chunk_info;
	int (*make)(void *ctx, uint32_t chunk);
	void *ctx;
	uint32_t chunks_count;
	uint32_t filling;        /* the chunk that is filled first */
	bool *page_taken;
	uint32_t pages_count;
	uint32_t pages_used;
	uint64_t rows_used;
	uint16_t version;
};

/* What one file's rows take. */
struct unwind_rows {
	uint32_t page_base;    /* the first of them */
	uint32_t pages_count;
	struct hb_page *pages; /* as they are to be published */
	uint64_t rows_count;
	uint64_t hash;         /* of rows and pages, to find its like */
};

/*
 * Before the first row is written to a chunk, @make is called once to have it there; it returns 0 or negative errno
 * but -ENOSPC (the chunk is not used, and asked for again). 0 or -ENOMEM. unwind_pool_release() in any case.
 */
int unwind_pool_init(struct unwind_pool *pool, struct hb_chunk *chunks, uint32_t chunks_count, uint32_t pages_count,
		     int (*make)(void *ctx, uint32_t chunk), void *ctx);
void unwind_pool_release(struct unwind_pool *pool);

/*
 * Write @table's rows into the pool; @rules[i] is the index in hb_rules of the table's rule i. Nobody reads them before
 * the pages are published. 0; -ENOSPC: no room, -ENOMEM or what make() returned: nothing is taken. A page with more
 * rows than a chunk holds (no compiler makes one) gets none.
 */
int unwind_pool_put(struct unwind_pool *pool, const struct cfi_table *table, const uint16_t *rules,
		    struct unwind_rows *rows);
/* Give back what @rows take; its pages must not be published any more. */
void unwind_pool_drop(struct unwind_pool *pool, struct unwind_rows *rows);

/* Whether the two say the same of every address. */
bool unwind_pool_equal(const struct unwind_pool *pool, const struct unwind_rows *a, const struct unwind_rows *b);

#endif
