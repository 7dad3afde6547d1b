/* SPDX-License-Identifier: Apache-2.0 */
/* What came out, on stdout. */
#ifndef HB_TEST_TELL_H
#define HB_TEST_TELL_H

#include "judge.h"
#include "sample.h"

/* Of one program, or of all. */
struct result {
	uint64_t taken;             /* and compared */
	uint64_t verdicts[VERDICT_END];
	uint64_t ends[HB_END_LAST]; /* of our walks */
	uint64_t frames;            /* of ours */
	uint64_t above;             /* of ours, above those that are equal */
	uint64_t in_call;           /* taken in a system call */
	/* Not compared. */
	uint64_t moved;  /* the thread went on before it stopped */
	uint64_t ended;  /* it ended */
	uint64_t locked; /* its mappings were: see compare() */
	uint64_t others; /* another program, started by the one that is meant */
	uint64_t probed; /* another tracer's return probe was on the stack: see judge_probed() */
	uint64_t unread; /* the oracle could not read it */
	double seconds;
};

/* Stacks that are not the oracle's; shorter ones say so themselves. */
uint64_t result_wrong(const struct result *result);
void result_add(struct result *all, const struct result *one);

/* One line, and why our walks ended. */
void tell_result(const char *name, const struct result *result);
void tell_skip(const char *name, const char *why);

/* Both stacks from where they are still equal, @common frames. */
void tell_sample(struct target *target, const struct watched *watched, const struct sample *sample,
		 enum verdict verdict, const struct hb_stack *ours, const struct oracle_stack *theirs, size_t common);

#endif
