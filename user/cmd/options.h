/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked for on the command line. */
#ifndef HB_CMD_OPTIONS_H
#define HB_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../model/board.h"
#include "../model/selection.h"
#include "../probe/features.h"
#include "../probe/oomhooks.h"
#include "../probe/pagehooks.h"
#include "../probe/vmhooks.h"
#include "../symbol/resolve.h"
#include "../view/view.h"

#define OPTIONS_OUTPUTS_MAX 8

struct output_option {
	const struct view *view;
	const char *path; /* "-" is stdout */
};

struct options {
	pid_t *pids;
	size_t pids_count;
	struct selection selection;
	unsigned int sources; /* bit 1 << enum hb_source each */
	unsigned int optional_sources; /* of them, those nobody asked for: left out where the kernel cannot */
	enum board_sort sort;
	enum board_group group;
	size_t top;          /* 0: all */
	uint64_t min_size;   /* bytes */
	double older_s;
	bool json;
	struct output_option outputs[OPTIONS_OUTPUTS_MAX];
	size_t outputs_count;
	bool no_color;
	int verbose;         /* -1: -q */
	uint32_t max_blocks, max_sites, max_stacks, max_processes, max_events;
	uint32_t max_frames; /* of a stack */
	uint32_t max_faults; /* sampled pages */
	bool everything;     /* top without a target, oom: the whole host */
	bool oom;            /* OOM kills are listened for */
	enum unwinder unwinder; /* --unwind */
	uint64_t unwind_bytes; /* for unwind rows */
	enum rung rung;      /* --rung, RUNG_END: the best */
	enum vm_rung vm_rung; /* --mmap-rung, VM_RUNG_END: the best */
	enum page_rung page_rung; /* --pages-rung, PAGES_RUNG_END: the best */
	enum oom_rung oom_rung; /* --oom-rung, OOM_RUNG_BEST: the best */
	uint32_t period;     /* --malloc BYTES; 0: exact, or */
	bool governed;       /* --malloc auto: whatever costs no more than */
	double budget_percent; /* of one core, for each process */
	double interval_s;
	uint64_t count;      /* reports, or kills; 0: until ended */
	const char *reports; /* oom: a folder, or NULL */
	uint32_t max_reports;
	uint64_t max_report_bytes;
	bool no_journal;
	const char *host_root;
	const char *debug_dirs[RESOLVE_DIRS_MAX];
	size_t debug_dirs_count;
	const char *file;    /* symbolize: NULL is stdin */
	char **command;      /* run: CMD and its arguments, NULL-terminated */
};

/* Which of the options a command takes. */
enum options_for { OPTIONS_TOP, OPTIONS_RUN, OPTIONS_DOCTOR, OPTIONS_SYMBOLIZE, OPTIONS_OOM };

enum options_result {
	OPTIONS_GO,    /* go on */
	OPTIONS_DONE,  /* --help or so was answered: exit 0 */
	OPTIONS_USAGE, /* a line was printed: exit 2 */
};

/* Parse what follows the command's name (argv[0]). Release with options_release(). */
enum options_result options_parse(struct options *options, enum options_for command, int argc, char **argv);
void options_release(struct options *options);

/*
 * All of it for a command: parse, set how much is said, run @body (which returns the exit status), release.
 * Returns the exit status.
 */
int options_run(enum options_for command, int argc, char **argv, int (*body)(const struct options *options));

/* The help text of a command, to stdout. */
void options_help(enum options_for command);

#endif
