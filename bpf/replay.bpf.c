// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns what earlier walks of a thread came to. A walk is determined by the registers that it begins with, by the words
 * of the stack that it reads, and by the tables: where all of them are as they were, so is its stack, and nothing
 * needs to be looked up for a frame. A walk that depended on anything else is not kept.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

#ifndef HB_POINTERS_ONLY

static __always_inline struct hb_replay *seat_of(struct hb_walk *walk)
{
	return &walk->replays[walk->seat & (HB_REPLAYS - 1)];
}

/* Whether @replay began as @walk does, under the same tables. */
static __always_inline bool same_begin(const struct hb_replay *replay, const struct hb_walk *walk)
{
	return replay->reads && replay->pc == walk->pc && replay->sp == walk->sp && replay->lr == walk->lr &&
	       (replay->fp == walk->fp || !replay->by_fp) && replay->exact == walk->exact &&
	       replay->gen == walk->gen && replay->mappings == walk->mappings && replay->flushes == walk->flushes;
}

/* For bpf_loop(): the words of a replay, read again. */
struct reading {
	struct hb_walk *walk;
	u64 words;
	u64 failed;
};

static long read_again(u32 index, struct reading *reading)
{
	struct hb_walk *walk = reading->walk;
	u64 n = index, at, address, words, next;

	asm volatile("" : "+r"(n)); /* as in replay_note() */
	at = seat_of(walk)->at[n & (HB_REPLAY_READS - 1)];
	address = walk->sp + 8 * (at >> 1);
	reading->failed = 1;
	if (stack_read_up(walk, address, &words))
		return 1;
	if (at & 1) {
		if (stack_read_up(walk, address + 8, &next))
			return 1;
		words = stack_mix(stack_mix(0, words), next);
	}
	reading->words = stack_mix(reading->words, words);
	reading->failed = 0;
	return 0;
}

__noinline u64 replay_find(struct hb_walk *walk)
{
	struct reading reading = { .walk = walk };
	struct hb_replay *replay;

	if (!walk)
		return HB_STACK_NONE;
	walk->seat = stack_mix(walk->pc, walk->sp);
	walk->reads = 0;
	walk->words = 0;
	walk->reach = 0;
	walk->once = !walk->mappings; /* the process is not traced any more: the number tells nothing */
	walk->begin_pc = walk->pc;
	walk->begin_sp = walk->sp;
	walk->begin_fp = walk->fp;
	walk->begin_lr = walk->lr;
	walk->begin_exact = walk->exact;
	walk->fp_begins = 1;
	walk->by_fp = 0;
	replay = seat_of(walk);
	if (!same_begin(replay, walk) || walk->once)
		return HB_STACK_NONE;
	bpf_loop(replay->reads, read_again, &reading, 0);
	if (reading.failed || reading.words != replay->words)
		return HB_STACK_NONE;
	walk->end = replay->end;
	return replay->key;
}

__hidden void replay_keep(struct hb_walk *walk, u64 key)
{
	struct hb_replay *replay = seat_of(walk);

	if (walk->once || !walk->reads || walk->reads > HB_REPLAY_READS || walk->reach >= HB_REPLAY_REACH ||
	    (walk->reach & 7)) {
		replay->reads = 0; /* what was there has been written over */
		return;
	}
	replay->pc = walk->begin_pc;
	replay->sp = walk->begin_sp;
	replay->fp = walk->begin_fp;
	replay->lr = walk->begin_lr;
	replay->words = walk->words;
	replay->key = key;
	replay->gen = walk->gen;
	replay->mappings = walk->mappings;
	replay->flushes = walk->flushes;
	replay->reads = walk->reads;
	replay->exact = walk->begin_exact;
	replay->by_fp = walk->by_fp;
	replay->end = walk->end;
}

__hidden void replay_forget(struct hb_walk *walk)
{
	seat_of(walk)->reads = 0;
}

#endif /* HB_POINTERS_ONLY */
