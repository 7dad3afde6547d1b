// SPDX-License-Identifier: Apache-2.0
#include "tell.h"

#include <stdio.h>

#include "../../user/model/unwinding.h"

#define SHOWN_EQUAL  3  /* frames in front of the first that differs */
#define SHOWN_FRAMES 60 /* of each stack */

uint64_t result_wrong(const struct result *result)
{
	return result->verdicts[VERDICT_SHORTER] + result->verdicts[VERDICT_DIFFERENT];
}

void result_add(struct result *all, const struct result *one)
{
	for (size_t i = 0; i < VERDICT_END; i++)
		all->verdicts[i] += one->verdicts[i];
	for (size_t i = 0; i < HB_END_LAST; i++)
		all->ends[i] += one->ends[i];
	all->taken += one->taken;
	all->frames += one->frames;
	all->above += one->above;
	all->in_call += one->in_call;
	all->moved += one->moved;
	all->ended += one->ended;
	all->locked += one->locked;
	all->others += one->others;
	all->probed += one->probed;
	all->unread += one->unread;
	all->seconds += one->seconds;
}

void tell_result(const char *name, const struct result *result)
{
	const uint64_t *verdicts = result->verdicts;

	printf("%-10s %lu samples: %lu equal, %lu in part, %lu we went further, %lu guessed, "
	       "%lu the oracle went further, %lu different; %.1f s\n",
	       name, result->taken, verdicts[VERDICT_EQUAL], verdicts[VERDICT_PARTLY], verdicts[VERDICT_FURTHER],
	       verdicts[VERDICT_GUESSED], verdicts[VERDICT_SHORTER], verdicts[VERDICT_DIFFERENT], result->seconds);
	printf("   %.1f frames on average, %lu of all above what is equal, %lu samples in system calls; not compared: "
	       "%lu moved, %lu ended, %lu locked, %lu others, %lu probed, %lu unread\n",
	       result->taken ? (double)result->frames / result->taken : 0, result->above, result->in_call,
	       result->moved, result->ended, result->locked, result->others, result->probed, result->unread);
	printf("   our walks ended:");
	for (size_t i = 0; i < HB_END_LAST; i++) {
		if (result->ends[i])
			printf(" %s %lu", unwinding_name(i), result->ends[i]);
	}
	printf("\n");
	fflush(stdout);
}

void tell_skip(const char *name, const char *why)
{
	printf("%-10s %s\n", name, why);
	fflush(stdout);
}

static void tell_frame(const struct watched *watched, const char *whose, size_t i, uint64_t pc, bool exact, uint64_t sp)
{
	char name[256];

	printf("   %-6s %3zu %016lx%s", whose, i, pc, exact ? "!" : " ");
	if (sp)
		printf(" sp %lx", sp);
	printf(" %s%s\n", oracle_name(watched->oracle, pc, exact, name, sizeof(name)),
	       oracle_knows(watched->oracle, pc, exact) ? "" : " [no unwind information]");
}

void tell_sample(struct target *target, const struct watched *watched, const struct sample *sample,
		 enum verdict verdict, const struct hb_stack *ours, const struct oracle_stack *theirs, size_t common)
{
	static const char *const names[] = {
		[VERDICT_EQUAL] = "equal",
		[VERDICT_FURTHER] = "we went further",
		[VERDICT_GUESSED] = "guessed",
		[VERDICT_PARTLY] = "in part",
		[VERDICT_SHORTER] = "the oracle went further",
		[VERDICT_DIFFERENT] = "different",
	};
	const size_t from = common > SHOWN_EQUAL ? common - SHOWN_EQUAL : 0;

	printf("%s: process %u, thread %u, pc %lx, sp %lx\n", names[verdict], sample->pid, sample->tid,
	       registers_pc(sample->registers), registers_sp(sample->registers));
	printf("   %zu frames are equal; ours %u, %s; the oracle's %zu, %s\n", common, ours->count,
	       unwinding_name(ours->end), theirs->count, theirs->complete ? "complete" : theirs->why);
	for (size_t i = from; i < ours->count && i < from + SHOWN_FRAMES; i++)
		tell_frame(watched, "ours", i, judge_address(target, watched, ours->frames[i]),
			   ours->frames[i] & HB_FRAME_EXACT, 0);
	for (size_t i = from; i < theirs->count && i < from + SHOWN_FRAMES; i++)
		tell_frame(watched, "oracle", i, theirs->frames[i].pc, theirs->frames[i].exact, theirs->frames[i].sp);
}
