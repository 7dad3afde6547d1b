/* SPDX-License-Identifier: Apache-2.0 */
/* One document: what a view turns into bytes. Everything is borrowed. */
#ifndef HB_MODEL_REPORT_H
#define HB_MODEL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "budget.h"
#include "loss.h"
#include "process.h"

struct report_hook {
	const char *source; /* "malloc" */
	const char *rung;   /* "uprobe.session" */
};

/* How full one kernel table is. */
struct report_table {
	const char *name;   /* "blocks" */
	uint64_t rows, max_rows;
	const char *option; /* "--max-blocks" */
};

/* How the walks up the stack ended, since tracing began. */
struct report_stacks {
	uint64_t ended[HB_END_LAST]; /* by enum hb_end */
};

/* How closely calls are followed has changed, to keep to the budget. */
struct report_change {
	int64_t time_unix_ns;
	uint32_t gen;  /* 0: of all processes */
	bool direct;   /* those of a runtime's own memory; else malloc's */
	enum budget_level from, to;
	double share;  /* of one core, that it had cost in the interval before */
};

#define REPORT_CHANGES_MAX 256

struct report {
	int64_t time_unix_ns;
	const char *host;
	double interval_s; /* since the report before */
	double since_s;    /* since tracing began */
	bool final;
	const struct report_hook *hooks;
	size_t hooks_count;
	const struct process_info *processes;
	size_t processes_count;
	const struct board_row *rows;
	size_t rows_count;
	size_t rows_total;      /* before --top cut them */
	enum board_sort sort;
	enum board_group group;
	uint64_t min_size;      /* --min-size in force, 0: none */
	double older_s;         /* --older in force, 0: none */
	struct losses losses;
	struct report_stacks stacks;
	const char *unwinding_note; /* why only frame pointers are followed; NULL: .eh_frame is */
	const struct report_table *tables;
	size_t tables_count;
	const char *sampling;   /* malloc's: "exact", "auto", or bytes; NULL: exact */
	const struct report_change *changes; /* since the report before, oldest first */
	size_t changes_count;
};

/*
 * The processes of a report, found by generation: a report has thousands of both processes and
 * rows. Borrows the processes. Initialize with report_owners_init(); release in any case.
 */
struct report_owners {
	const struct process_info **by_gen; /* sorted */
	size_t count;
};
int report_owners_init(struct report_owners *owners, const struct report *report); /* 0, -ENOMEM */
void report_owners_release(struct report_owners *owners);

/* The process image of generation @gen, or NULL. */
const struct process_info *report_owners_find(const struct report_owners *owners, uint32_t gen);

/* Rows of anything but pages; those of pages, a view of their own, come behind them. */
size_t report_others(const struct report *report);

/* "malloc", "direct"; NULL for anything else (a row that spans sources). */
const char *report_source_name(uint32_t source);
/* As on the command line: "outstanding", ...; "site", ... */
const char *report_sort_name(enum board_sort sort);
const char *report_group_name(enum board_group group);

/* Walks up the stack, however they ended. */
uint64_t report_walks(const struct report_stacks *stacks);

/* Whether allocations of @process are known at all: it is not blind, or some were seen. */
bool report_sees(const struct process_info *process);
/* Whether anything was lost, dropped or missed. */
bool report_lossy(const struct report *report);
/* Whether what is held may be more than it says. Not for dropped changes of mappings: those are read anew. */
bool report_approximate(const struct report *report);
/* Whether any sum of @row may be too low: what came and went among dropped changes of mappings is in none. */
bool report_row_approximate(const struct report *report, const struct board_row *row);

#endif
