// SPDX-License-Identifier: Apache-2.0
/* A walk that an earlier one has made already is not made again, and never taken for another. */
#include "unwind_test.h"

#include <stdlib.h>

extern u32 hb_flushes[HB_FLUSHES];

#define FP (STACK + 0x20)

static u64 inner, outer, by_register;
static struct hb_walk *remembered;

/* by_register or inner, called by outer, which keeps a frame pointer; called by the outermost. */
static void begin_with_stack(void)
{
	begin();
	inner = function(RULE_SP(8));
	by_register = function(RULE(FP, 0, SAME, 0, 0));
	outer = function(RULE_FP);
	put(STACK, outer);
	put(FP, 0x1234);
	put(FP + 8, outermost);
	put(FP - 8, outer); /* the return address of by_register */
	remembered = &pending_task()->walk;
}

/* Whether the walk from @pc was an earlier one's. */
static bool again(u64 pc, u64 fp)
{
	walk_anyhow(GEN, pc, STACK, fp);
	return remembered->replayed;
}

static void a_stack_is_walked_once(void **state)
{
	u32 calls, hits;
	u64 key;

	begin_with_stack();
	key = walk_anyhow(GEN, inner, STACK, FP);
	assert_false(remembered->replayed);
	calls = fake_find_vma_calls();
	hits = fake_rows("hb_pcs");
	assert_int_equal(walk_anyhow(GEN, inner, STACK, FP), key);
	assert_true(remembered->replayed);
	assert_int_equal(remembered->end, HB_END_COMPLETE);
	assert_int_equal(fake_find_vma_calls(), calls);
	assert_int_equal(fake_rows("hb_pcs"), hits);
}

static void each_word_that_was_read_counts(void **state)
{
	static const u64 words[] = { STACK, FP, FP + 8 };

	begin_with_stack();
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		u64 value = 0;

		walk_gen(GEN, inner, STACK, FP);
		assert_int_equal(stack_read_u64(words[i], &value), 0);
		put(words[i], value + 1);
		assert_false(again(inner, FP));
		put(words[i], value);
	}
	walk_gen(GEN, inner, STACK, FP);
	put(STACK + 8, 0x99); /* and one that was not does not */
	assert_true(again(inner, FP));
}

static void so_do_the_registers_that_it_began_with(void **state)
{
	begin_with_stack();
	walk_gen(GEN, inner, STACK, FP);
	assert_true(again(inner, FP));
	assert_false(again(inner + 1, FP));
	walk_gen(GEN, inner, STACK, FP);
	put(STACK + 0x100, outer);
	walk_anyhow(GEN, inner, STACK + 0x100, FP);
	assert_false(remembered->replayed);
}

static void a_frame_pointer_counts_where_it_was_needed(void **state)
{
	begin_with_stack();
	put(STACK, outermost);
	walk_gen(GEN, inner, STACK, FP);
	assert_true(again(inner, 0x5555)); /* it is any register there */
	put(STACK, outer);
	walk_gen(GEN, inner, STACK, FP);
	assert_false(again(inner, FP + 8)); /* outer's frame is found by it */
	walk_gen(GEN, by_register, STACK, FP);
	assert_false(again(by_register, FP + 8));
}

static void so_do_the_tables_and_the_image(void **state)
{
	begin_with_stack();
	walk_gen(GEN, inner, STACK, FP);
	hb_flushes[GEN % HB_FLUSHES]++;
	assert_false(again(inner, FP));
	assert_true(again(inner, FP));
	fake_map(mm, LIBRARY, LIBRARY + 0x1000, 0, FAKE_EXEC, NULL); /* another number of executable pages */
	assert_false(again(inner, FP));
	assert_true(again(inner, FP));
	walk_anyhow(GEN + 1, inner, STACK, FP);
	assert_false(remembered->replayed);
}

static void interrupted_there_is_not_returned_to_there(void **state)
{
	struct hb_resume resume = { .pc = 0, .sp = STACK, .fp = FP, .exact = 1 };

	begin_with_stack();
	walk_gen(GEN, inner, STACK, FP);
	resume.pc = inner;
	stack_capture(pending_task(), GEN, &resume);
	assert_false(remembered->replayed);
}

static void what_depends_on_more_is_always_walked(void **state)
{
	u64 restorer, bare;

	begin_with_stack();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	put(STACK + 0x200 + 40 + 8 * 15, STACK);
	put(STACK + 0x200 + 40 + 8 * 16, inner);
	for (int i = 0; i < 3; i++) {
		walk_anyhow(GEN, restorer, STACK + 0x200, FP);
		assert_false(remembered->replayed); /* what was interrupted is anywhere */
	}
	bare = function(RULE_NONE);
	put(STACK, bare);
	put(FP + 8, outermost);
	for (int i = 0; i < 3; i++)
		assert_false(again(inner, FP)); /* what a frame pointer leads to must be code, still */
}

static void a_stack_that_reads_more_than_is_remembered_is_always_walked(void **state)
{
	begin_with_stack();
	for (u32 i = 0; i < HB_REPLAY_READS; i++)
		put(STACK + 8 * i, inner);
	put(STACK + 8 * HB_REPLAY_READS, outermost);
	assert_false(again(inner, 0));
	assert_false(again(inner, 0));
	assert_int_equal(walked()->count, HB_REPLAY_READS + 2);
	put(STACK + 8 * (HB_REPLAY_READS - 1), outermost); /* one less fits */
	assert_false(again(inner, 0));
	assert_true(again(inner, 0));
}

static void frames_that_nobody_has_kept_are_walked_again(void **state)
{
	struct hb_resume resume = { .sp = STACK, .fp = FP };
	u64 first, key;

	begin_with_stack();
	resume.pc = inner;
	first = stack_capture_kept(pending_task(), GEN, &resume);
	assert_int_equal(fake_rows("hb_stacks"), 1);
	memset(pending_task()->scratch, 0xee, sizeof(pending_task()->scratch)); /* another walk's, say */
	assert_int_equal(stack_capture_kept(pending_task(), GEN, &resume), first);
	assert_true(remembered->replayed);
	fake_drop("hb_stacks", &first);
	key = stack_capture_kept(pending_task(), GEN, &resume);
	assert_int_equal(key, first);
	assert_walked(COMPLETE, word(inner), word(outer), word(outermost));
	assert_int_equal(fake_rows("hb_stacks"), 1);
}

/* Stacks of random functions, of which a word changes now and then; each is walked with and without what is kept. */
static void of_random_stacks_none_is_taken_for_another(void **state)
{
	struct hb_replay kept[HB_REPLAYS];
	u64 functions[6], replayed = 0;

	begin_with_stack();
	functions[0] = inner;
	functions[1] = outer;
	functions[2] = outermost;
	functions[3] = function(RULE_SP(0x18));
	functions[4] = function(RULE(SP, 0x20, AT_CFA, -16, 0));
	functions[5] = function(RULE(FP, 0x10, SAME, 0, 0));
	srand(6);
	for (u32 i = 0; i < 64; i++)
		put(STACK + 8 * i, functions[rand() % 6]);
	for (u32 i = 0; i < 30000; i++) {
		u64 pc = functions[rand() % 6], sp = STACK + 8 * (rand() % 4), fp = STACK + 0x40 + 8 * (rand() % 3);
		u64 key, end;

		if (rand() % 4 == 0)
			put(STACK + 8 * (rand() % 64), rand() % 4 ? functions[rand() % 6] : STACK + 8 * (rand() % 64));
		key = walk_anyhow(GEN, pc, sp, fp);
		end = remembered->end;
		replayed += remembered->replayed;
		memcpy(kept, remembered->replays, sizeof(kept));
		memset(remembered->replays, 0, sizeof(kept));
		assert_int_equal(walk_anyhow(GEN, pc, sp, fp), key);
		assert_int_equal(remembered->end, end);
		memcpy(remembered->replays, kept, sizeof(kept));
	}
	assert_in_range(replayed, 1000, 29000); /* both ways were gone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(a_stack_is_walked_once),
		ONCE(each_word_that_was_read_counts),
		ONCE(so_do_the_registers_that_it_began_with),
		ONCE(a_frame_pointer_counts_where_it_was_needed),
		ONCE(so_do_the_tables_and_the_image),
		ONCE(interrupted_there_is_not_returned_to_there),
		ONCE(what_depends_on_more_is_always_walked),
		ONCE(a_stack_that_reads_more_than_is_remembered_is_always_walked),
		ONCE(frames_that_nobody_has_kept_are_walked_again),
		ONCE(of_random_stacks_none_is_taken_for_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
