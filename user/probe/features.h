/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel lets us do, found by doing it once: the smallest program on a function of our
 * own. Not by version, for distributions backport, and lockdown or seccomp refuse; but for what no
 * try finds out: features_since().
 */
#ifndef HB_PROBE_FEATURES_H
#define HB_PROBE_FEATURES_H

#include <stdbool.h>

/* Ways to attach a program to a function of a process, best first. */
enum rung {
	RUNG_SESSION, /* one link, one program for entry and return (6.13+) */
	RUNG_MULTI,   /* one link for many functions, entry and return apart (6.6+) */
	RUNG_PERF,    /* a perf event for each function, entry and return apart */
	RUNG_END
};

/* How the frames of native code are found, best first. */
enum unwinder {
	UNWINDER_ROWS,     /* by rows of .eh_frame (5.17+) */
	UNWINDER_POINTERS, /* by frame pointers alone */
	UNWINDER_OLDEST,   /* the same, by the programs for kernels that cannot have the first */
};

struct feature {
	const char *name; /* "uprobe.session" */
	bool tried;
	bool works;
	char why[160];    /* if tried and not working: what was refused */
};

struct features {
	struct feature rungs[RUNG_END];
	struct feature sleepable;    /* uprobe programs may fault pages in */
	struct feature task_storage; /* memory per thread, in uprobe programs */
	struct feature btf;          /* the kernel describes its types */
	struct feature unwinding;    /* programs can follow unwind rows */
	bool views;                  /* programs can read the kernel's structures by loads (6.2+) */
	enum rung best;              /* RUNG_END: none works */
};

/* Whether the kernel is Linux @major.@minor or newer: for what no try can find out. */
bool features_since(unsigned int major, unsigned int minor);

/*
 * Find the best rung, and with @all try the lesser ones too (each takes some 50 ms, for links go
 * after an RCU grace period). Without root everything is refused with the reason.
 */
void features_probe(struct features *features, bool all);

#endif
