/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the board: what it keeps of each site and process image. For board.c and rank.c. */
#ifndef HB_MODEL_BOARD_SITES_H
#define HB_MODEL_BOARD_SITES_H

#include "board.h"

/* Memory may be short: an entry that could not be added has no table afterwards. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((void)(entry))
#include <uthash.h>
#include <utlist.h>

/* A process image that has sites. */
struct board_image {
	uint32_t gen;
	struct board_entry *sites;
	UT_hash_handle hh;
};

struct board_entry {
	struct board_site now;  /* as last read; now.key is the hash key */
	uint64_t order;         /* the board's how-manieth site */
	uint64_t reading;       /* the last reading it was in; 0: just made */
	uint64_t read_ns;       /* when that was */
	bool has_before;
	uint64_t before_bytes;  /* outstanding one reading before */
	uint64_t before_ns;     /* when that was */
	struct board_image *image;
	struct board_entry *prev, *next; /* among its image's */
	UT_hash_handle hh;
};

struct board {
	struct board_entry *entries; /* in the order they were first seen */
	struct board_image *images;
	uint64_t readings;
	uint64_t read_ns;            /* the last one */
	uint64_t orders;
};

/* What a site holds: of the blocks the walk chose, if one was made. */
uint64_t board_entry_bytes(const struct board_entry *entry);
uint64_t board_entry_count(const struct board_entry *entry);

/* How far that may be off: of sampled blocks. */
struct board_doubt {
	uint64_t sampled_count;
	double bytes_variance, count_variance;
};
struct board_doubt board_entry_doubt(const struct board_entry *entry);

#endif
