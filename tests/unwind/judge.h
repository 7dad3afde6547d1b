/* SPDX-License-Identifier: Apache-2.0 */
/* Our stack beside the oracle's. */
#ifndef HB_TEST_JUDGE_H
#define HB_TEST_JUDGE_H

#include "../../bpf/record.h"
#include "../../user/probe/target.h"
#include "watched.h"

enum verdict {
	VERDICT_EQUAL,     /* frame by frame; or as many frames as are kept */
	VERDICT_FURTHER,   /* equal up to where the oracle stops for want of unwind information, or of rbx; we go on */
	VERDICT_GUESSED,   /* equal up to a frame in code without unwind information; above it both guess */
	VERDICT_PARTLY,    /* the same on aarch64, where the oracle guesses wrong: nothing above it is compared */
	VERDICT_SHORTER,   /* equal up to where we stop and say why; the oracle goes on */
	VERDICT_DIFFERENT, /* not equal, or complete by us and not by the oracle */
	VERDICT_END
};

/*
 * Whether somebody's return probe is waiting on the stack: the true return address is in the kernel, where
 * we find it and the oracle does not.
 */
bool judge_probed(const struct watched *watched, const struct oracle_stack *theirs);

/*
 * @common receives the number of frames that are equal. @jit: code in no file keeps no frame pointers, so
 * what follows it is a guess of either side; else such guesses must be equal, too (on x86_64).
 */
enum verdict judge(struct target *target, struct watched *watched, const struct hb_stack *ours,
		   const struct oracle_stack *theirs, bool jit, size_t *common);

/* The address of a frame of ours in the process; 0: its file is not mapped. */
uint64_t judge_address(struct target *target, const struct watched *watched, uint64_t frame);

#endif
