// SPDX-License-Identifier: Apache-2.0
/* How deep stacks go, the memory they lie in, and the keys they have. */
#include "unwind_test.h"

/* --- depth ------------------------------------------------------------------------------------- */

static const struct hb_stack *deep(void)
{
	return fake_storage("&hb_deep", walker->task, sizeof(struct hb_stack), 0);
}

/* @count frames, the last one outermost. */
static u64 pile(u64 pc, u32 count)
{
	for (u32 i = 0; i + 1 < count; i++)
		put(STACK + 8 * i, i + 2 < count ? pc : outermost);
	return walk(pc, STACK, 0);
}

static void check_depth(u32 limit)
{
	const struct hb_stack *stack, *row;
	u64 pc, key, truncated;

	begin();
	fake_unwinding(1, limit);
	pc = function(RULE_SP(8));
	key = pile(pc, limit);
	stack = limit > HB_FRAMES_MAX ? deep() : walked();
	assert_int_equal(stack->count, limit);
	assert_int_equal(stack->end, HB_END_COMPLETE);
	assert_int_equal(stack->frames[limit - 2], word(pc));
	assert_int_equal(stack->frames[limit - 1], word(outermost));
	assert_int_equal(stack_store(pending_task(), key), key);

	truncated = pile(pc, limit + 1);
	assert_int_equal(stack->count, limit);
	assert_int_equal(stack->end, HB_END_DEPTH);
	assert_int_equal(stack->frames[limit - 1], word(pc));
	assert_int_equal(stack_store(pending_task(), truncated), truncated);
	assert_int_equal(pile(pc, limit + 40), truncated); /* what is kept is the same */
	if (limit < HB_FRAMES_MAX)
		assert_int_equal(walked()->frames[limit], 0xeeeeeeeeeeeeeeeeULL);

	row = fake_find("hb_stacks", &key);
	assert_int_equal(row->count, limit);
	assert_memory_equal(&row->frames[limit - 2], ((u64[]){ word(pc), word(outermost) }), 16);
	row = fake_find("hb_stacks", &truncated);
	assert_int_equal(row->frames[limit - 1], word(pc));
}

static void as_many_frames_are_kept_as_are_asked_for(void **state)
{
	check_depth(127);
	fresh(state);
	check_depth(16);
	fresh(state);
	check_depth(510);
	fresh(state);
	check_depth(128);
	fresh(state);
	check_depth(2);
}

static void one_frame_can_be_asked_for(void **state)
{
	u64 pc;

	begin();
	fake_unwinding(1, 1);
	pc = function(RULE_SP(8));
	put(STACK, outermost);
	walk(pc, STACK, 0);
	assert_walked(DEPTH, word(pc));
}

static void without_memory_for_a_deep_stack_there_is_none(void **state)
{
	u64 key;

	begin();
	fake_unwinding(1, 200);
	fake_fail("hb_deep", FAKE_STORAGE, 0, 1, -ENOMEM);
	key = walk(outermost, STACK, 0);
	assert_int_equal(key, HB_STACK_NONE);
	assert_int_equal(counter(HB_CNT_STACK_FULL), 1);
	assert_int_equal(counter(HB_CNT_STACKS_ENDED + HB_END_COMPLETE), 0);
	assert_int_equal(stack_store(pending_task(), key), HB_STACK_NONE);
	assert_int_not_equal(walk(outermost, STACK, 0), HB_STACK_NONE);
	assert_int_equal(deep()->frames[0], word(outermost));
}

static void a_signal_frame_that_leads_to_itself_ends(void **state)
{
	u64 restorer;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	put(STACK + 40 + 8 * 15, STACK);
	put(STACK + 40 + 8 * 16, restorer);
	walk(restorer, STACK, 0);
	assert_int_equal(walked()->end, HB_END_DEPTH);
	assert_int_equal(walked()->count, HB_FRAMES_MAX);
}

static void frame_pointers_alone_keep_as_many_frames(void **state)
{
	u64 whole, cut;

	begin();
	fake_unwinding(0, 16);
	for (u32 i = 0; i < 40; i++) {
		put(STACK + 16 * i, STACK + 16 * (i + 1));
		put(STACK + 16 * i + 8, outermost);
	}
	cut = walk(outermost, STACK, STACK);
	assert_int_equal(walked()->count, 16);
	put(STACK + 16 * 14, 0); /* 16 frames and no more: the same to the reader */
	whole = walk(outermost, STACK, STACK);
	assert_int_equal(walked()->count, 16);
	assert_int_equal(walked()->end, HB_END_POINTERS);
	assert_int_not_equal(whole, HB_STACK_NONE);
	put(STACK + 16 * 14, STACK + 16 * 15);
	put(STACK + 16 * 30, 0); /* what is not kept changes nothing */
	assert_int_equal(walk(outermost, STACK, STACK), cut);
}

/* --- the stack's own memory -------------------------------------------------------------------- */

static void a_stack_that_is_swapped_out_is_read_where_sleeping_is_allowed(void **state)
{
	u64 inner, outer;

	begin();
	inner = function(RULE_SP(0x2000));
	outer = function(RULE_FP);
	put(STACK + 0x1ff8, outer);
	put(STACK + 0x3000, 0);
	put(STACK + 0x3008, outermost);
	fake_swap_out(mm, STACK + 0x1ff8);
	walk(inner, STACK, STACK + 0x3000);
	assert_walked(FAULT, word(inner));
	assert_int_equal(fake_pages_faulted_in(), 0);

	fake_knobs(0, 0, 0, 1);
	fake_swap_out(mm, STACK + 0x3000);
	walk(inner, STACK, STACK + 0x3000);
	assert_walked(COMPLETE, word(inner), word(outer), word(outermost));
	assert_int_equal(fake_pages_faulted_in(), 2);
}

/* The process chooses where it points, and might never answer the fault. */
static void a_frame_pointer_that_may_be_none_faults_nothing_in(void **state)
{
	u64 bare;

	begin();
	fake_knobs(0, 0, 0, 1);
	bare = function(RULE_NONE);
	put(STACK + 0x3000, 0);
	put(STACK + 0x3008, outermost);
	walk(bare, STACK, STACK + 0x3000);
	assert_walked(COMPLETE, word(bare), word(outermost));
	fake_swap_out(mm, STACK + 0x3000);
	walk(bare, STACK, STACK + 0x3000);
	assert_walked(NO_ROWS, word(bare));
	put(STACK + 0x40, 0);
	put(STACK + 0x48, outermost);
	fake_swap_out(mm, outermost); /* the code that it leads to */
	walk(bare, STACK, STACK + 0x40);
	assert_walked(NO_ROWS, word(bare));
	assert_int_equal(fake_pages_faulted_in(), 0);
}

static void a_signal_frame_that_can_be_read_in_part_is_none(void **state)
{
	static const u32 registers[] = { 10, 15, 16 };
	u64 restorer;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	for (u32 i = 0; i < 3; i++) {
		u64 border = STACK + 0x10000 * (i + 1), sp = border - 40 - 8 * registers[i] - 4;

		put(border - 8, 1); /* the register begins on the last page there is */
		put(sp + 40, 1);
		walk(restorer, sp, 0);
		assert_walked(FAULT, restorer_word(restorer));
	}
}

static void a_saved_frame_pointer_that_cannot_be_read_ends_the_stack(void **state)
{
	const struct hb_rule rules[] = { RULE(SP, 8, AT_CFA, -0x5000, 0), RULE(SP, 8, AT_FP, 0x5000, 0),
					 RULE(SP, 8, AT_CFA, -16, 0), RULE(DEREF_SP, 0x5000, SAME, 0, 0) };

	begin();
	for (u32 i = 0; i < 4; i++) {
		u64 pc = function(rules[i]);

		put(STACK, outermost); /* the page below is not there */
		walk(pc, STACK, STACK);
		assert_walked(FAULT, word(pc));
	}
}

/* --- keys ---------------------------------------------------------------------------------------- */

static void equal_stacks_have_equal_keys_wherever_they_lie(void **state)
{
	u64 inner, outer, key;

	begin();
	inner = function(RULE_FP);
	outer = function(RULE_SP(0x20));
	for (u32 i = 0; i < 3; i++) {
		u64 base = STACK + 0x700 * i;

		put(base + 0x10 * i, 77 * i);
		put(base + 0x10 * i + 8, outer);
		put(base + 0x10 * i + 0x28, outermost);
		if (!i)
			key = walk(inner, base, base);
		assert_int_equal(walk(inner, base, base + 0x10 * i), key);
		assert_walked(COMPLETE, word(inner), word(outer), word(outermost));
	}
	/* In another place of the address space as well: the words are the file's. */
	fake_map(mm, 0x7e0000000000ULL, 0x7e0000010000ULL, 0x3000, FAKE_EXEC, program.file);
	put(STACK + 8, outer - PROGRAM + 0x7e0000000000ULL);
	put(STACK + 0x28, outermost);
	assert_int_equal(walk(inner - PROGRAM + 0x7e0000000000ULL, STACK, STACK), key);
}

static void other_ends_generations_and_frames_have_other_keys(void **state)
{
	u64 keys[8], pc, restorer;
	u32 count = 0;

	begin();
	pc = function(RULE_SP(8));
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	put(STACK, outermost);
	keys[count++] = walk(pc, STACK, 0);
	keys[count++] = walk_gen(GEN + 1, pc, STACK, 0);
	keys[count++] = walk(pc + 1, STACK, 0);
	put(STACK, 0x10000);
	keys[count++] = walk(pc, STACK, 0);
	assert_walked(UNMAPPED, word(pc));
	fake_swap_out(mm, STACK);
	keys[count++] = walk(pc, STACK, 0);
	assert_walked(FAULT, word(pc));
	fake_knobs(0, 0, 0, 1);
	put(STACK + 8, pc);
	put(STACK + 0x10, 0x10000);
	keys[count++] = walk(pc, STACK + 8, 0);
	assert_walked(UNMAPPED, word(pc), word(pc));
	put(STACK + 40 + 8 * 15, STACK + 0x10);
	put(STACK + 40 + 8 * 16, pc);
	keys[count++] = walk(restorer, STACK, 0);
	assert_walked(UNMAPPED, restorer_word(restorer), word(pc) | HB_FRAME_EXACT);
	put(STACK - 8, restorer);
	put(STACK + 0x10, pc);
	put(STACK, 0x10000);
	keys[count++] = walk(restorer, STACK, 0);
	for (u32 i = 0; i < count; i++) {
		assert_int_not_equal(keys[i], HB_STACK_NONE);
		for (u32 j = 0; j < i; j++)
			assert_int_not_equal(keys[i], keys[j]);
	}
}

static void an_address_is_never_taken_for_a_file(void **state)
{
	static const u64 garbage[] = { ~0ULL, HB_FRAME_IN_OBJECT(OBJECT, 0x3010), 1ULL << 59, 0xffffffff81000000ULL };

	begin();
	for (u32 unwind = 0; unwind < 2; unwind++) {
		fake_unwinding(unwind, HB_FRAMES_MAX);
		for (u32 i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
			walk(garbage[i], STACK, 0);
			assert_int_equal(walked()->count, 1);
			assert_int_equal(walked()->end, unwind ? HB_END_UNMAPPED : HB_END_POINTERS);
			assert_int_equal(HB_FRAME_KIND(walked()->frames[0]), HB_FRAME_ADDRESS);
			assert_false(walked()->frames[0] & HB_FRAME_EXACT);
		}
	}
}

static void a_malloc_is_counted_at_its_whole_stack(void **state)
{
	const struct hb_site *site;
	u64 caller;

	begin();
	caller = function(RULE_SP(0x30));
	put(walker->sp + 0x28, outermost);
	take(walker, caller, 100, 0x1000);
	walker->pc = caller;
	thread_call(walker, &fn_new, 10, 0, 0); /* seen at its ret instruction: the same stack */
	thread_return(walker, 0x2000);
	site = site_of(GEN, (const u64[]){ word(caller), word(outermost) }, 2, HB_SRC_MALLOC, 0);
	assert_non_null(site);
	assert_int_equal(site->allocated_bytes, 110);
	assert_int_equal(fake_rows("hb_sites"), 1);
	assert_int_equal(fake_rows("hb_stacks"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(as_many_frames_are_kept_as_are_asked_for),
		ONCE(one_frame_can_be_asked_for),
		ONCE(without_memory_for_a_deep_stack_there_is_none),
		ONCE(a_signal_frame_that_leads_to_itself_ends),
		ONCE(frame_pointers_alone_keep_as_many_frames),
		ONCE(a_stack_that_is_swapped_out_is_read_where_sleeping_is_allowed),
		ONCE(a_frame_pointer_that_may_be_none_faults_nothing_in),
		ONCE(a_signal_frame_that_can_be_read_in_part_is_none),
		ONCE(a_saved_frame_pointer_that_cannot_be_read_ends_the_stack),
		ONCE(equal_stacks_have_equal_keys_wherever_they_lie),
		ONCE(other_ends_generations_and_frames_have_other_keys),
		ONCE(an_address_is_never_taken_for_a_file),
		BOTH(a_malloc_is_counted_at_its_whole_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
