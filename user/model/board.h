/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leaderboard: every site that was ever read from the kernel, what it held then and one
 * interval before, ranked and grouped on demand.
 */
#ifndef HB_MODEL_BOARD_H
#define HB_MODEL_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/record.h"
#include "frame.h"

enum board_sort {
	SORT_OUTSTANDING,
	SORT_GROWTH,
	SORT_COUNT,
	SORT_ALLOCATED,
	SORT_AGE,
	SORT_PEAK,
};

enum board_group {
	GROUP_SITE,
	GROUP_CALLSITE,
	GROUP_MODULE,
	GROUP_THREAD,
	GROUP_PROCESS,
	GROUP_CONTAINER,
};

/* One site as read from the kernel, and what a walk over its live blocks found, if one was made. */
struct board_site {
	struct hb_site_key key;
	struct hb_site totals;
	bool walked;             /* the four below are known */
	uint64_t held_bytes;     /* of blocks old enough (--older) */
	uint64_t held_count;
	uint64_t oldest_born_ns; /* CLOCK_MONOTONIC; 0 if it holds nothing */
	/* Of what was sampled among them: how many blocks, and the squares of what the two sums may be off. */
	uint64_t held_sampled_count;
	double held_bytes_variance, held_count_variance;
	uint64_t error_bytes;    /* pages: the standard error of held_bytes; held_count are sampled pages */
	uint64_t swapped_bytes;  /* pages: swapped out, beside held_bytes */
};

/* One printed row: a site, or several that share a group's key. */
struct board_row {
	unsigned int rank;      /* from 1 */
	uint32_t gen;           /* 0 where the row spans processes */
	uint32_t tid;           /* 0 unless grouped by thread */
	uint32_t source;        /* enum hb_source; 0 where the row spans sources */
	const char *label;      /* container id or cgroup of a container's row; else NULL */
	uint64_t stack;         /* of the row's first site, HB_STACK_NONE if unknown */
	uint64_t outstanding_bytes, outstanding_count;
	uint64_t allocated_bytes, allocated_count;
	uint64_t freed_bytes, freed_count;
	bool sampled;           /* sums are estimates; of pages, always, and their outstanding_count is of samples */
	uint64_t sampled_count; /* blocks that outstanding_* are estimated from */
	double error_square, count_error_square; /* standard errors of outstanding_*, squared */
	uint64_t swapped_bytes; /* pages: beside the outstanding ones */
	bool has_peak;          /* only a single site has an exact one */
	uint64_t peak_bytes;
	bool has_growth;        /* false on the first look */
	double growth_bytes_per_s;
	bool has_age;           /* the live blocks were walked, and it holds some */
	double oldest_s;
	/* Innermost first. site: all; callsite: the innermost; module: one with only the module and
	 * its build-id; else none. None as well where the stack is unknown. */
	const struct frame *frames;
	size_t frames_count;
};

/* Names a board needs for grouping; implemented by probe/target over symbol/. */
struct board_names {
	void *ctx;
	/* Frames of a stack of a process image, innermost first. Returns their number, 0 if they
	 * are not known. Borrowed: all frames handed out for one board_rank() live together until
	 * the owner of @ctx drops them, before the next report. The board does not keep them. */
	size_t (*frames)(void *ctx, uint32_t gen, uint64_t stack, const struct frame **frames);
	/* Container id, else cgroup path, else NULL; borrowed. */
	const char *(*container)(void *ctx, uint32_t gen);
};

struct board_query {
	enum board_sort sort;
	enum board_group group;
	size_t top;       /* rows wanted; 0: all */
	uint64_t now_ns;  /* CLOCK_MONOTONIC, for ages */
	uint32_t only_gen; /* 0: every process */
	size_t *total;     /* receives the number of rows before @top cut them; may be NULL */
};

struct board;

/* A board that has seen nothing. NULL if memory is short. Free with board_free() (NULL is fine). */
struct board *board_new(void);
void board_free(struct board *board);

/*
 * Take in one reading of the kernel's sites: @count sites at @now_ns. What the last reading held
 * becomes the base of growth. Sites not in this reading are kept as they were last seen (their
 * process may have ended); their growth is unknown. Of two readings of one site the later counts.
 * Returns 0 or -ENOMEM (the board is unchanged then).
 */
int board_update(struct board *board, const struct board_site *sites, size_t count,
		 uint64_t now_ns);

/* Forget every site of @gen; or those of one source. */
void board_forget(struct board *board, uint32_t gen);
void board_forget_source(struct board *board, uint32_t gen, uint32_t source);

/* Sums over all blocks (malloc, direct) of @gen: outstanding is allocated less freed. */
struct board_sums {
	uint64_t mapped_bytes; /* beside them: outstanding by mmap */
	uint64_t outstanding_bytes, outstanding_count;
	uint64_t allocated_bytes, allocated_count;
	uint64_t freed_bytes, freed_count;
	bool sampled;        /* they are estimates */
	double error_square; /* outstanding_bytes' standard error, squared */
};
void board_sums(const struct board *board, uint32_t gen, struct board_sums *sums);

/*
 * Rank and group. Rows whose outstanding_bytes are 0 are kept (a sort by allocated wants them)
 * but rank last for SORT_OUTSTANDING. Rows whose growth, age or peak is unknown rank last where
 * that is the sort, by outstanding bytes among themselves. Rows of pages come behind all others, with ranks of
 * their own, and @top counts each of the two. Ties: older site first (the order in
 * which the board first saw them). Frames are asked for through @names only for rows that are
 * returned, and for every site where the group needs them (callsite, module). @names may be NULL.
 *
 * A row's growth is that of its sites in the last reading; its age is known if all of its sites
 * that hold something were walked. Returns rows in a malloc'ed array in *@rows (free() it, frames
 * of modules live in it too; NULL if there are none) and their number in *@count, or -ENOMEM.
 */
int board_rank(const struct board *board, const struct board_query *query,
	       const struct board_names *names, struct board_row **rows, size_t *count);

#endif
