// SPDX-License-Identifier: Apache-2.0
/* Why walks end, and return addresses that return probes have taken. */
#include "unwind_test.h"

#define JIT	   0x7f4000000000ULL
#define TRAMPOLINE (mm->area.vaddr)

static u64 ended(enum hb_end end)
{
	return counter(HB_CNT_STACKS_ENDED + end);
}

static u64 all_ended(void)
{
	u64 sum = 0;

	for (u32 end = 0; end < HB_END_LAST; end++)
		sum += ended(end);
	return sum;
}

static void ends_complete(void)
{
	walk(outermost, STACK, 0);
	assert_walked(COMPLETE, word(outermost));
}

static void ends_at_pointers(void)
{
	fake_unwinding(0, HB_FRAMES_MAX);
	walk(outermost, STACK, 0);
	assert_walked(POINTERS, outermost);
	fake_unwinding(1, HB_FRAMES_MAX);
}

static void ends_too_deep(void)
{
	u64 pc = function(RULE_SP(8));

	for (u32 i = 0; i < 200; i++)
		put(STACK + 8 * i, pc);
	walk(pc, STACK, 0);
	assert_int_equal(walked()->count, HB_FRAMES_MAX);
	assert_int_equal(walked()->end, HB_END_DEPTH);
}

static void ends_without_rows(void)
{
	u64 pc = function(RULE_NONE);

	walk(pc, STACK, 0);
	assert_walked(NO_ROWS, word(pc));
}

static void ends_in_a_new_file(void)
{
	struct code lib = code_new(mm, LIBRARY_OBJECT, LIBRARY, 0x1000, 0);

	tables_object(lib.object, 0, 0, HB_OBJECT_PENDING);
	walk(LIBRARY + 0x10, STACK, 0);
	assert_walked(PENDING, code_word(&lib, LIBRARY + 0x10));
	fake_map_gone(mm, LIBRARY);
}

static void ends_in_a_file_without_room(void)
{
	struct code lib = code_new(mm, LIBRARY_OBJECT, LIBRARY, 0x1000, 0);

	tables_object(lib.object, 0, 0, HB_OBJECT_FULL);
	walk(LIBRARY + 0x10, STACK, 0);
	assert_walked(FULL, code_word(&lib, LIBRARY + 0x10));
}

static void ends_at_a_rule_not_followed(void)
{
	u64 pc = function(RULE_UNSUPPORTED);

	walk(pc, STACK, 0);
	assert_walked(UNSUPPORTED, word(pc));
}

static void ends_at_a_bad_cfa(void)
{
	u64 pc = function(RULE_SP(-8));

	walk(pc, STACK, 0);
	assert_walked(BAD_CFA, word(pc));
}

static void ends_where_the_stack_is_not(void)
{
	u64 pc = function(RULE_SP(0x100000));

	walk(pc, STACK, 0);
	assert_walked(FAULT, word(pc));
}

static void ends_outside_of_code(void)
{
	u64 pc = function(RULE_SP(8));

	put(STACK, 0x10000);
	walk(pc, STACK, 0);
	assert_walked(UNMAPPED, word(pc));
}

static void ends_for_a_lost_pointer(void)
{
	u64 loses = function(RULE(SP, 8, LOST, 0, 0)), needs = function(RULE_FP);

	put(STACK, needs);
	walk(loses, STACK, STACK);
	assert_walked(POINTER_LOST, word(loses), word(needs));
}

static void ends_at_a_probe(void)
{
	u64 pc = function(RULE_SP(8));

	put(STACK, TRAMPOLINE);
	walk(pc, STACK, 0);
	assert_walked(PROBE, word(pc));
}

static void ends_in_no_file(void)
{
	fake_map(mm, JIT, JIT + 0x1000, 0, FAKE_EXEC, NULL);
	walk(JIT + 0x10, STACK, 0);
	assert_walked(ANONYMOUS, JIT + 0x10);
}

static void ends_at_a_busy_moment(void)
{
	u64 pc = function(RULE_SP(8));

	fake_find_vma_busy(0, 1);
	fake_tree_busy(2);
	walk(pc, STACK, 0);
	assert_walked(BUSY, pc);
}

static void every_end_is_counted_under_its_reason(void **state)
{
	static void (*const ends[HB_END_LAST])(void) = {
		[HB_END_COMPLETE] = ends_complete,
		[HB_END_POINTERS] = ends_at_pointers,
		[HB_END_DEPTH] = ends_too_deep,
		[HB_END_NO_ROWS] = ends_without_rows,
		[HB_END_PENDING] = ends_in_a_new_file,
		[HB_END_FULL] = ends_in_a_file_without_room,
		[HB_END_UNSUPPORTED] = ends_at_a_rule_not_followed,
		[HB_END_BAD_CFA] = ends_at_a_bad_cfa,
		[HB_END_FAULT] = ends_where_the_stack_is_not,
		[HB_END_UNMAPPED] = ends_outside_of_code,
		[HB_END_POINTER_LOST] = ends_for_a_lost_pointer,
		[HB_END_PROBE] = ends_at_a_probe,
		[HB_END_ANONYMOUS] = ends_in_no_file,
		[HB_END_BUSY] = ends_at_a_busy_moment,
	};

	u32 walks = 0;

	begin();
	for (u32 end = 0; end < HB_END_LAST; end++) {
		if (end == HB_END_NARROW)
			continue; /* programs of 32 bits are for tests/bpf: none is simulated here */
		assert_non_null(ends[end]);
		ends[end]();
		assert_int_equal(ended(end), 1);
		assert_int_equal(all_ended(), ++walks);
	}
	assert_int_equal(counter(HB_CNT_STACK_FULL), 0);
}

/* --- return addresses that return probes have taken ------------------------------------------- */

static void add_return(u64 slot, u64 caller)
{
	struct task_struct *task = walker->task;

	task->returns[task->return_count].stack = slot;
	task->returns[task->return_count++].orig_ret_vaddr = caller;
	put(slot, TRAMPOLINE);
}

static void what_return_probes_have_taken_is_put_back(void **state)
{
	u64 inner, outer;

	begin();
	inner = function(RULE_SP(0x10));
	outer = function(RULE_SP(0x20));
	add_return(STACK + 0x48, outermost); /* the outer one was entered first */
	add_return(STACK + 0x28, outer);
	add_return(STACK + 8, outer);
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, word(inner), word(outer), word(outer), word(outermost));
}

static void of_two_return_probes_at_one_slot_the_newest_is_meant(void **state)
{
	u64 inner;

	begin();
	inner = function(RULE_SP(8));
	add_return(STACK, PROGRAM + 0x5000); /* left by longjmp long ago */
	add_return(STACK + 0x100, PROGRAM + 0x6000);
	add_return(STACK, outermost);
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, word(inner), word(outermost));
}

static void a_return_probe_on_a_frame_found_by_pointer_is_seen_through(void **state)
{
	u64 bare;

	begin();
	bare = function(RULE_NONE);
	put(STACK + 0x40, 0);
	add_return(STACK + 0x48, outermost);
	walk(bare, STACK, STACK + 0x40);
	assert_walked(COMPLETE, word(bare), word(outermost));
	/* Its true return address must be code behind a call, too. */
	walker->task->returns[0].orig_ret_vaddr = outermost + 1;
	walk(bare, STACK, STACK + 0x40);
	assert_walked(NO_ROWS, word(bare));
}

static void a_return_probe_that_is_not_known_ends_the_stack(void **state)
{
	u64 inner, outer;

	begin();
	inner = function(RULE_SP(8));
	outer = function(RULE_SP(8));
	put(STACK, outer);
	put(STACK + 8, TRAMPOLINE);
	add_return(STACK + 0x10, outermost); /* another slot's */
	walk(inner, STACK, 0);
	assert_walked(PROBE, word(inner), word(outer));
	/* And one whose address nobody wrote down. */
	add_return(STACK + 8, 0);
	walk(inner, STACK, 0);
	assert_walked(PROBE, word(inner), word(outer));
}

static void a_true_return_address_may_be_garbage_too(void **state)
{
	static const u64 garbage[] = {
		0x00fffffffffff001ULL, HB_FRAME_IN_OBJECT(OBJECT, 0x3010), 1ULL << 62, 1ULL << 63, ~0ULL,
	};
	u64 inner;

	begin();
	inner = function(RULE_SP(8));
	add_return(STACK, 0);
	for (u32 i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		walker->task->returns[0].orig_ret_vaddr = garbage[i];
		walk(inner, STACK, 0);
		assert_walked(PROBE, word(inner));
	}
	/* Not even one that looks like what is known of another address. */
	walk(outermost, STACK, 0);
	walker->task->returns[0].orig_ret_vaddr = outermost | 1ULL << 62;
	walk(inner, STACK, 0);
	assert_walked(PROBE, word(inner));
	walker->task->returns[0].orig_ret_vaddr = 0x10000; /* may be one, but nothing is mapped there */
	walk(inner, STACK, 0);
	assert_walked(UNMAPPED, word(inner));
}

static void only_the_page_of_the_trampoline_is_the_trampoline(void **state)
{
	u64 inner;

	begin();
	inner = function(RULE_SP(8));
	add_return(STACK, outermost);
	put(STACK, TRAMPOLINE + 4095);
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, word(inner), word(outermost));
	put(STACK, TRAMPOLINE + 4096);
	walk(inner, STACK, 0);
	assert_walked(UNMAPPED, word(inner));
	put(STACK, TRAMPOLINE - 1);
	walk(inner, STACK, 0);
	assert_walked(UNMAPPED, word(inner));
	put(STACK, TRAMPOLINE);
	mm->uprobes_state.xol_area = NULL; /* nobody probes this process */
	walk(inner, STACK, 0);
	assert_walked(UNMAPPED, word(inner));
}

static void the_first_address_may_have_been_taken_as_well(void **state)
{
	struct hb_resume resume = { .sp = STACK + 8, .slot = STACK };
	u64 caller;

	begin();
	caller = function(RULE_SP(0x20));
	add_return(STACK, caller);
	resume.pc = TRAMPOLINE;
	put(STACK + 0x20, outermost);
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(COMPLETE, word(caller), word(outermost));

	walker->task->return_count = 0;
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_int_equal(walked()->count, 0);
	assert_int_equal(walked()->end, HB_END_PROBE);

	resume.slot = 0; /* nothing held it: the thread really is there */
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(UNMAPPED, TRAMPOLINE);
}

static void an_operator_new_under_somebodys_return_probe_has_its_whole_stack(void **state)
{
	u64 caller, slot;
	const struct hb_site *site;

	begin();
	caller = function(RULE_SP(0x30));
	walker->pc = caller;
	put(walker->sp + 0x28, outermost);
	thread_call(walker, &fn_new, 100, 0, 0);
	slot = walker->sp;
	add_return(slot, caller);
	walker->instance[walker->instances++] = (struct instance){
		.slot = slot, .caller = caller, .function = &fn_helper,
	};
	thread_return(walker, 0x9000);
	site = site_of(GEN, (const u64[]){ word(caller), word(outermost) }, 2, HB_SRC_MALLOC, 0);
	assert_non_null(site);
	assert_int_equal(site->allocated_bytes, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(every_end_is_counted_under_its_reason),
		ONCE(what_return_probes_have_taken_is_put_back),
		ONCE(of_two_return_probes_at_one_slot_the_newest_is_meant),
		ONCE(a_return_probe_on_a_frame_found_by_pointer_is_seen_through),
		ONCE(a_return_probe_that_is_not_known_ends_the_stack),
		ONCE(a_true_return_address_may_be_garbage_too),
		ONCE(only_the_page_of_the_trampoline_is_the_trampoline),
		ONCE(the_first_address_may_have_been_taken_as_well),
		ONCE(an_operator_new_under_somebodys_return_probe_has_its_whole_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
