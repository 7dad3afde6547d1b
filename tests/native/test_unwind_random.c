// SPDX-License-Identifier: Apache-2.0
/* Stacks made up of random frames, from the outermost inwards, are found again from the innermost outwards. */
#include "unwind_test.h"

#include <stdlib.h>

#define FRAMES_MAX 120

struct made {
	u64 pc, sp, cfa;
	u64 fp;    /* in this frame */
	bool needs_fp; /* this frame, or one that it hands it on to, goes by it */
};

static struct made frames[FRAMES_MAX];

static u32 below(u32 limit)
{
	return (u32)rand() % limit;
}

/* A word of the frame that nothing else lies in: neither its return address nor what @taken tells. */
static u64 free_word(const struct made *frame, u64 taken)
{
	u32 words = (frame->cfa - frame->sp) / 8 - 1;
	u64 word = frame->sp + 8 * below(words);

	while (word == taken)
		word = frame->sp + 8 * below(words);
	return word;
}

/* How @frame brings its caller's frame pointer, and what its own is then. Returns where it lies, if it does. */
static u64 save_pointer(struct hb_rule *rule, struct made *frame, const struct made *caller)
{
	u64 at = 0;

	frame->fp = below(4) ? frame->sp + 8 * below(40) : 0xbad0000;
	frame->needs_fp = false;
	switch (below(caller->needs_fp ? 3 : 4)) {
	case 0:
		rule->fp = HB_SAVED_SAME;
		frame->fp = caller->fp;
		frame->needs_fp = caller->needs_fp;
		return 0;
	case 1:
		rule->fp = HB_SAVED_AT_CFA;
		at = below(2) ? frame->cfa - 16 : free_word(frame, 0);
		rule->fp_offset = (s64)(at - frame->cfa);
		break;
	case 2:
		rule->fp = HB_SAVED_AT_FP;
		at = free_word(frame, 0);
		frame->fp = at + 8 * ((s64)below(40) - 20);
		rule->fp_offset = (s64)(at - frame->fp);
		frame->needs_fp = caller->needs_fp; /* if it is lost, so is what lies there */
		break;
	default:
		rule->fp = HB_SAVED_LOST;
		return 0;
	}
	put(at, caller->fp);
	return at;
}

/* How @frame's CFA is found. */
static void find_cfa(struct hb_rule *rule, struct made *frame, u64 saved)
{
	bool near = frame->fp - STACK < 1 << 30; /* it need not point to the stack */
	u64 at;

	switch (below(4)) {
	case 0:
		if (!near)
			break;
		rule->cfa = HB_CFA_FP;
		rule->cfa_offset = (s64)(frame->cfa - frame->fp);
		frame->needs_fp = true;
		return;
	case 1:
		at = free_word(frame, saved);
		rule->cfa = near && below(2) ? HB_CFA_DEREF_FP : HB_CFA_DEREF_SP;
		rule->cfa_offset = (s64)(at - (rule->cfa == HB_CFA_DEREF_SP ? frame->sp : frame->fp));
		rule->aux = 8 * ((s32)below(9) - 4);
		put(at, frame->cfa - rule->aux);
		frame->needs_fp |= rule->cfa == HB_CFA_DEREF_FP;
		return;
	}
	rule->cfa = HB_CFA_SP;
	rule->cfa_offset = frame->cfa - frame->sp;
}

/* @count frames below @top; the innermost is frames[0]. */
static void make(u32 count, u64 top)
{
	frames[count - 1] = (struct made){ .pc = outermost, .sp = top, .fp = 0x123 };
	for (u32 i = count - 1; i-- > 0;) {
		struct made *frame = &frames[i], *caller = &frames[i + 1];
		struct hb_rule rule = { .ra = HB_SAVED_AT_CFA };

		frame->cfa = caller->sp;
		frame->sp = frame->cfa - 8 * (5 + below(below(3) ? 12 : 300));
		put(frame->cfa - 8, caller->pc);
		find_cfa(&rule, frame, save_pointer(&rule, frame, caller));
		frame->pc = function(rule);
	}
}

static void any_stack_that_rules_describe_is_found_again(void **state)
{
	u64 wanted[FRAMES_MAX];
	u64 key;

	srand(20240917);
	for (u32 round = 0; round < 150; round++) {
		u32 count = 2 + below(FRAMES_MAX - 1);

		fresh(state);
		begin();
		make(count, STACK + 0x100000 + 8 * below(512));
		for (u32 i = 0; i < count; i++)
			wanted[i] = word(frames[i].pc);
		key = walk(frames[0].pc, frames[0].sp, frames[0].fp);
		check_walked(walked(), HB_END_COMPLETE, wanted, count, __FILE__, __LINE__);
		assert_int_equal(walk(frames[0].pc, frames[0].sp, frames[0].fp), key); /* from memory */
		check_walked(walked(), HB_END_COMPLETE, wanted, count, __FILE__, __LINE__);
		/* From anywhere in it. */
		for (u32 i = 1; i < count; i += 1 + below(20)) {
			walk(frames[i].pc, frames[i].sp, frames[i].fp);
			check_walked(walked(), HB_END_COMPLETE, wanted + i, count - i, __FILE__, __LINE__);
		}
	}
}

/* Whatever lies on the stack, the walk ends, within the stack's room and by one of the reasons. */
static void no_garbage_leads_astray(void **state)
{
	srand(4711);
	for (u32 round = 0; round < 150; round++) {
		u32 count = 2 + below(FRAMES_MAX - 1);

		fresh(state);
		begin();
		fake_knobs(0, 0, 0, round & 1);
		make(count, STACK + 0x100000);
		code_function(&program, RULE_SIGNAL);
		for (u32 i = 0; i < 300; i++) {
			u64 at = frames[0].sp + 8 * below((STACK + 0x100000 - frames[0].sp) / 8);
			u64 pc = frames[below(count)].pc + below(2) * 8 * below(64);
			u64 value = below(3) ? pc : STACK + below(0x200000);

			if (!below(8))
				fake_swap_out(mm, at);
			else
				put(at, below(9) ? value : (u64)rand() << 33 ^ rand());
			walk(frames[0].pc, frames[0].sp + 8 * below(3), frames[0].fp);
			assert_in_range(walked()->count, 1, HB_FRAMES_MAX);
			assert_in_range(walked()->end, 0, HB_END_LAST - 1);
			for (u32 n = 0; n < walked()->count; n++) {
				assert_int_equal(HB_FRAME_KIND(walked()->frames[n]), HB_FRAME_OBJECT);
				assert_int_equal(HB_FRAME_OBJECT_ID(walked()->frames[n]), OBJECT);
				assert_in_range(HB_FRAME_OFFSET(walked()->frames[n]), 0x3000, 0x13000);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(any_stack_that_rules_describe_is_found_again),
		ONCE(no_garbage_leads_astray),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
