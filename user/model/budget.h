/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How closely a process's calls are followed: as closely as what that costs it stays within a budget.
 * From every call to samples, ever coarser, to none at all, and back, when it has been cheap for a while.
 */
#ifndef HB_MODEL_BUDGET_H
#define HB_MODEL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum budget_level {
	BUDGET_EXACT,
	BUDGET_FINE,   /* one sample in 64 KiB */
	BUDGET_MEDIUM, /* in 512 KiB */
	BUDGET_COARSE, /* in 4 MiB */
	BUDGET_PAUSED, /* no probe is left: the traps alone would cost too much */
};

/* Mean bytes between two samples; 0: every call counts. Of PAUSED what it will begin with again. */
uint32_t budget_period(enum budget_level level);

/* Probes hit per second: entries of calls that allocate, return probes, ret instructions of those without, frees. */
struct budget_load {
	double entered, returned, left, freed;
	double counted; /* calls whose return was waited for, by either: every one, or the samples */
};

/* What one of each costs, in ns: the trap alone, and what the program does. */
struct budget_prices {
	double enter_ns, return_ns, left_ns, free_ns;
	double call_work_ns, free_work_ns; /* of each run of the programs, on average over entries and returns */
	bool all_return; /* return probes are hit by calls that are not waited for as well */
};

/* Of one core. */
double budget_share(const struct budget_load *load, const struct budget_prices *prices);

/* All 0 at the beginning, but for @whole. */
struct budget {
	enum budget_level level;
	bool whole;           /* it is followed call by call or not at all */
	double share;         /* of one core, in the last interval; above 1 is possible */
	double exact_call_ns; /* a call, from entry to return, when every one counted last; 0: not known */
	uint64_t calm_ns;     /* since when the next closer level would fit; 0: it would not */
	uint64_t retry_ns;    /* PAUSED: when to try again */
	uint64_t patience_ns; /* how long to pause the next time */
};

/*
 * An interval has passed with @load at @prices. @most: the share of one core that may be spent. Returns whether the
 * level has changed: by one, or by two where it costs several times what it may. @now_ns: CLOCK_MONOTONIC.
 */
bool budget_step(struct budget *budget, const struct budget_load *load, const struct budget_prices *prices,
		 double most, uint64_t now_ns);

/* What is left of @most for one whose fellow takes @other: half of it in any case. */
double budget_room(double most, double other);

/* "exact", "65536", ..., "off". */
const char *budget_name(enum budget_level level);

#endif
