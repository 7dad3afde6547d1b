// SPDX-License-Identifier: Apache-2.0
/* What was found out about an address is kept, and forgotten when it may not hold any more. */
#include "unwind_test.h"

u32 process_mappings(void);

extern u32 hb_flushes[HB_FLUSHES];

static u64 inner, outer;

/* Two functions of the program, and a stack of them. */
static void begin_with_stack(void)
{
	begin();
	inner = function(RULE_SP(8));
	outer = function(RULE_FP);
	put(STACK, outer);
	put(STACK + 0x20, 0);
	put(STACK + 0x28, outermost);
}

/* Returns how often the kernel's list of mappings was asked: all three frames are of one mapping. */
static u32 walk_stack(void)
{
	u32 calls = fake_find_vma_calls();

	walk(inner, STACK, STACK + 0x20);
	assert_walked(COMPLETE, word(inner), word(outer), word(outermost));
	return fake_find_vma_calls() - calls;
}

static void the_second_walk_asks_nobody(void **state)
{
	u64 key;

	begin_with_stack();
	assert_int_equal(walk_stack(), 1);
	assert_int_equal(fake_rows("hb_pcs"), 3);
	key = walk(inner, STACK, STACK + 0x20);
	assert_int_equal(walk_stack(), 0);
	assert_int_equal(walk(inner, STACK, STACK + 0x20), key);
	fake_find_vma_busy(0, 1000); /* so a locked list hurts only what is new */
	assert_int_equal(walk_stack(), 0);
	assert_int_equal(fake_rows("hb_pcs"), 3);
}

static void frames_of_another_mapping_ask_again(void **state)
{
	u64 address;
	u32 calls;

	begin_with_stack();
	address = with_library();
	put(STACK - 8, inner);
	calls = fake_find_vma_calls();
	walk(address, STACK - 0x10, STACK + 0x20);
	assert_walked(COMPLETE, code_word(&library, address), word(inner), word(outer), word(outermost));
	assert_int_equal(fake_find_vma_calls() - calls, 2);
}

static void an_address_means_another_thing_where_it_was_interrupted(void **state)
{
	u64 restorer, next;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	code_function(&program, RULE_SP(0x20));
	next = code_function(&program, RULE_SP(8));
	put(STACK, outermost);
	put(STACK + 0x18, 0);
	for (u32 i = 0; i < 2; i++) {
		walk(next, STACK, 0); /* where the thread goes on */
		assert_walked(COMPLETE, word(next), word(outermost));
		put(STACK + 0x100, next); /* returned to: the call is the function's before */
		put(STACK + 0x120, outermost);
		walk(next, STACK + 0x100, 0);
		assert_walked(COMPLETE, word(next), word(next), word(outermost));
		put(STACK + 0x200 + 40 + 8 * 15, STACK); /* interrupted */
		put(STACK + 0x200 + 40 + 8 * 16, next);
		walk(restorer, STACK + 0x200, 0);
		assert_walked(COMPLETE, restorer_word(restorer), word(next) | HB_FRAME_EXACT, word(outermost));
	}
}

static void what_was_found_in_one_process_is_not_anothers(void **state)
{
	struct code other;
	struct thread *thread;
	u64 there;

	begin_with_stack();
	walk_stack();
	process_put(PID + 1, GEN + 1, HB_PROC_TRACED);
	thread = thread_new(PID + 1, NULL);
	fake_current(thread->task);
	assert_non_null(pending_task_create());
	other = code_new(thread->task->mm, 20, PROGRAM, 0x10000, 0);
	code_function(&other, RULE_STOP);
	fake_write_u64(thread->task->mm, STACK, 1);
	there = fake_find_vma_calls();
	walk_gen(GEN + 1, inner, STACK, 0);
	assert_int_equal(fake_find_vma_calls(), there + 1);
	assert_int_equal(walked()->count, 1);
	assert_int_equal(walked()->frames[0], code_word(&other, inner));
	fake_current(walker->task);
	assert_int_equal(walk_stack(), 0);
}

static void a_flush_makes_a_process_forget(void **state)
{
	begin_with_stack();
	walk_stack();
	hb_flushes[(GEN + 1) % HB_FLUSHES]++; /* another's */
	assert_int_equal(walk_stack(), 0);
	hb_flushes[GEN % HB_FLUSHES]++;
	assert_int_equal(walk_stack(), 1);
	assert_int_equal(walk_stack(), 0);
}

static void a_library_in_anothers_place_is_not_taken_for_it(void **state)
{
	struct code first, second;
	u64 address, same;

	begin_with_stack();
	first = code_new(mm, 20, LIBRARY, 0x4000, 0);
	address = code_function(&first, RULE_SP(0x10)) + 0x10;
	put(STACK + 8, outermost);
	put(STACK + 0x28, outermost);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&first, address), word(outermost));

	/* dlclose(), an allocation, dlopen() of one that has as many pages. */
	fake_map_gone(mm, LIBRARY);
	walk(outermost, STACK, 0);
	second = code_new(mm, 21, LIBRARY, 0x4000, 0);
	same = code_function(&second, RULE_SP(0x30)) + 0x10;
	assert_int_equal(same, address);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&second, address), word(outermost));

	/* And the first one again. */
	fake_map_gone(mm, LIBRARY);
	walk(outermost, STACK, 0);
	fake_map(mm, LIBRARY, LIBRARY + 0x4000, 0, FAKE_EXEC, first.file);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&first, address), word(outermost));

	/* In one step, without an allocation in between: user space hears of it and flushes. */
	fake_map_gone(mm, LIBRARY);
	fake_map(mm, LIBRARY, LIBRARY + 0x4000, 0, FAKE_EXEC, second.file);
	hb_flushes[GEN % HB_FLUSHES]++;
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&second, address), word(outermost));
}

static void code_that_goes_is_forgotten(void **state)
{
	u64 address;
	struct code lib;

	begin_with_stack();
	lib = code_new(mm, 20, LIBRARY, 0x4000, 0);
	address = code_function(&lib, RULE_STOP) + 0x10;
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&lib, address));
	fake_map_gone(mm, LIBRARY);
	walk(address, STACK, 0);
	assert_walked(UNMAPPED, address);
}

static void numbers_of_mappings_change_when_executable_pages_do(void **state)
{
	u32 first, second;

	begin();
	first = process_mappings();
	assert_int_not_equal(first, 0);
	assert_int_equal(process_mappings(), first);
	fake_map(mm, LIBRARY, LIBRARY + 0x1000, 0, 0, NULL); /* not executable */
	fake_map(mm, LIBRARY + 0x1000, LIBRARY + 0x2000, 0, FAKE_EXEC | FAKE_WRITE, NULL); /* does not count */
	assert_int_equal(process_mappings(), first);
	fake_map(mm, LIBRARY + 0x2000, LIBRARY + 0x3000, 0, FAKE_EXEC, NULL);
	second = process_mappings();
	assert_int_not_equal(second, first);
	fake_map_gone(mm, LIBRARY + 0x2000);
	assert_int_not_equal(process_mappings(), second);
	assert_int_not_equal(process_mappings(), first); /* as many pages as before may be others */
}

static void numbers_of_mappings_are_never_given_out_again(void **state)
{
	u32 keys[60], count = 0;
	struct thread *thread;

	begin();
	for (u32 i = 0; i < 10; i++) {
		fake_map(mm, LIBRARY, LIBRARY + 0x1000, 0, FAKE_EXEC, NULL);
		keys[count++] = process_mappings();
		fake_map_gone(mm, LIBRARY);
		keys[count++] = process_mappings();
		thread = thread_new(PID, NULL); /* the same pid again */
		process_put(PID, GEN + i, HB_PROC_TRACED);
		fake_map(thread->task->mm, LIBRARY, LIBRARY + 0x1000, 0, FAKE_EXEC, NULL);
		fake_current(thread->task);
		keys[count++] = process_mappings();
		thread_exec(thread);
		fake_map(thread->task->mm, LIBRARY, LIBRARY + 0x1000, 0, FAKE_EXEC, NULL);
		keys[count++] = process_mappings();
		thread = thread_fork(thread, 5000 + i, false);
		process_put(5000 + i, GEN + i, HB_PROC_TRACED);
		fake_map(thread->task->mm, LIBRARY, LIBRARY + 0x1000, 0, FAKE_EXEC, NULL);
		fake_current(thread->task);
		keys[count++] = process_mappings();
		fake_current(walker->task);
		process_put(PID, GEN, HB_PROC_TRACED);
	}
	for (u32 i = 0; i < count; i++) {
		assert_int_not_equal(keys[i], 0);
		for (u32 j = 0; j < i; j++)
			assert_int_not_equal(keys[i], keys[j]);
	}
}

static void a_vfork_child_walks_its_parents_stack(void **state)
{
	struct thread *child;
	u64 key;

	begin_with_stack();
	walk_stack();
	key = walk(inner, STACK, STACK + 0x20);
	child = thread_fork(walker, PID + 1, true);
	fake_current(child->task);
	assert_int_equal(process_traced(), GEN);
	assert_non_null(pending_task_create());
	assert_int_equal(walk_stack(), 1); /* right, only cold */
	assert_int_equal(walk(inner, STACK, STACK + 0x20), key);
	assert_int_equal(walk_stack(), 0);
	/* What it maps is its parent's too. */
	fake_map(mm, LIBRARY, LIBRARY + 0x1000, 0, FAKE_EXEC, NULL);
	assert_int_equal(walk_stack(), 1);
	fake_current(walker->task);
	assert_int_equal(walk_stack(), 1);
}

static void a_fork_child_starts_anew(void **state)
{
	struct thread *child;

	begin_with_stack();
	walk_stack();
	walker->sp = STACK; /* what of its memory the child gets */
	child = thread_fork(walker, PID + 1, false);
	fake_map(child->task->mm, PROGRAM, program.end, program.offset, FAKE_EXEC, program.file);
	fake_current(child->task);
	assert_non_null(pending_task_create());
	assert_int_equal(walk_stack(), 1);
	fake_current(walker->task);
	assert_int_equal(walk_stack(), 0);
}

static void processes_that_were_let_go_share_nothing(void **state)
{
	struct thread *other;
	struct code there;

	begin_with_stack();
	process_put(PID + 1, GEN, HB_PROC_TRACED);
	other = thread_new(PID + 1, NULL);
	fake_current(other->task);
	assert_non_null(pending_task_create());
	there = code_new(other->task->mm, 20, PROGRAM, 0x10000, 0);
	code_function(&there, RULE_STOP);
	fake_drop("hb_procs", &(u32){ PID });
	fake_drop("hb_procs", &(u32){ PID + 1 });
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, code_word(&there, inner));
	fake_current(walker->task);
	assert_int_equal(walk_stack(), 1);
	assert_int_equal(walk_stack(), 1);
	assert_int_equal(fake_rows("hb_pcs"), 0);
}

static void what_may_change_is_not_kept(void **state)
{
	struct code lib;
	u64 address;

	begin_with_stack();
	lib = code_new(mm, 20, LIBRARY, 0x1000, 0);
	address = code_function(&lib, RULE_STOP) + 0x10;
	tables_object(20, 0, 0, HB_OBJECT_PENDING);
	walk(address, STACK, 0);
	assert_walked(PENDING, code_word(&lib, address));
	tables_object(20, 0, 0, HB_OBJECT_FULL);
	walk(address, STACK, 0);
	assert_walked(FULL, code_word(&lib, address));
	tables_object(20, 0, 0, HB_OBJECT_DROPPED);
	walk(address, STACK, 0);
	assert_walked(FULL, code_word(&lib, address));
	fake_find_vma_busy(0, 1);
	fake_tree_busy(2);
	walk(address, STACK, 0);
	assert_walked(BUSY, address);
	walk(0x10000, STACK, 0);
	assert_walked(UNMAPPED, 0x10000);
	assert_int_equal(fake_rows("hb_pcs"), 0);
	/* What stays as it is, is: the files' numbers are for ever, and so are their rows. */
	tables_object(20, lib.page_base, 1, HB_OBJECT_READY);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&lib, address));
	assert_int_equal(fake_rows("hb_pcs"), 1);
	tables_drop(&lib);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&lib, address));
}

static void files_without_rows_and_code_in_none_are_kept(void **state)
{
	struct code lib;
	u32 calls = 0;
	u64 bare;

	begin();
	bare = function(RULE_NONE);
	lib = code_new(mm, 20, LIBRARY, 0x1000, 0);
	tables_object(20, 0, 0, HB_OBJECT_NO_ROWS);
	fake_map(mm, LIBRARY + 0x1000, LIBRARY + 0x2000, 0, FAKE_EXEC, NULL);
	for (u32 i = 0; i < 3; i++) {
		walk(LIBRARY + 0x10, STACK, 0);
		assert_walked(NO_ROWS, code_word(&lib, LIBRARY + 0x10));
		walk(LIBRARY + 0x1010, STACK, 0);
		assert_walked(ANONYMOUS, LIBRARY + 0x1010);
		walk(bare, STACK, 0);
		assert_walked(NO_ROWS, word(bare));
		if (!i)
			calls = fake_find_vma_calls();
	}
	assert_int_equal(fake_find_vma_calls(), calls);
	assert_int_equal(fake_rows("hb_pcs"), 3);
}

static void a_cache_that_is_full_forgets_and_finds_again(void **state)
{
	begin_with_stack();
	fake_limit("hb_pcs", 2);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(walk_stack(), 1);
	assert_int_equal(fake_rows("hb_pcs"), 2);
	fake_limit("hb_pcs", 0);
	walk_stack();
	assert_int_equal(walk_stack(), 0);
}

static void without_memory_for_the_cache_the_walk_goes_on(void **state)
{
	begin_with_stack();
	fake_fail("hb_pcs", FAKE_UPDATE, 0, 3, -ENOMEM);
	assert_int_equal(walk_stack(), 1);
	assert_int_equal(walk_stack(), 1);
	assert_int_equal(walk_stack(), 0);
}

/* --- places in files ---------------------------------------------------------------------------- */

static void what_one_process_found_in_a_file_the_next_one_knows(void **state)
{
	struct code other;
	struct thread *thread;

	begin_with_stack();
	walk_stack();
	tables_drop(&program);
	thread = thread_new(PID + 1, NULL);
	process_put(PID + 1, GEN, HB_PROC_TRACED); /* the same number only for what assert_walked() compares */
	fake_current(thread->task);
	assert_non_null(pending_task_create());
	other = program; /* mapped elsewhere */
	other.start = LIBRARY;
	fake_map(thread->task->mm, LIBRARY, LIBRARY + 0x10000, program.offset, FAKE_EXEC, program.file);
	fake_write_u64(thread->task->mm, STACK, outer - PROGRAM + LIBRARY);
	fake_write_u64(thread->task->mm, STACK + 0x20, 0);
	fake_write_u64(thread->task->mm, STACK + 0x28, outermost - PROGRAM + LIBRARY);
	walk(inner - PROGRAM + LIBRARY, STACK, STACK + 0x20);
	assert_walked(COMPLETE, word(inner), word(outer), word(outermost));
	assert_int_equal(code_word(&other, inner - PROGRAM + LIBRARY), word(inner));
	walk(outermost + FUNCTION_BYTES - PROGRAM + LIBRARY, STACK, 0); /* of that nobody has asked */
	assert_walked(FULL, word(outermost + FUNCTION_BYTES));
}

/* How many places are known. */
static u32 seats_taken(void)
{
	u32 taken = 0;

	for (u32 i = 0; i < 1u << 16; i++) {
		const u64 *seat = fake_find("hb_places", &i);

		taken += seat && *seat;
	}
	return taken;
}

#define PLACES 8192

static void two_places_with_one_seat_are_told_apart(void **state)
{
	static const u8 offsets[] = { 8, 16, 24, 32, 40 };

	begin();
	for (u32 i = 0; i < 200; i++)
		function(RULE_SP(offsets[i % sizeof(offsets)]));
	put(STACK, outermost);
	for (u32 i = 0; i < sizeof(offsets); i++)
		put(STACK + offsets[i] - 8, outermost - i);
	for (u32 i = 0; i < 3 * PLACES; i++) {
		u64 offset = FUNCTION_BYTES + i * 2654435761ULL % PLACES * 6; /* behind the outermost */
		u32 function = offset / FUNCTION_BYTES - 1;

		hb_flushes[GEN % HB_FLUSHES]++;
		walk(PROGRAM + offset, STACK, 0);
		assert_walked(COMPLETE, word(PROGRAM + offset), word(outermost - function % sizeof(offsets)));
	}
	assert_in_range(seats_taken(), PLACES / 2, PLACES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(the_second_walk_asks_nobody),
		ONCE(frames_of_another_mapping_ask_again),
		ONCE(an_address_means_another_thing_where_it_was_interrupted),
		ONCE(what_was_found_in_one_process_is_not_anothers),
		ONCE(a_flush_makes_a_process_forget),
		ONCE(a_library_in_anothers_place_is_not_taken_for_it),
		ONCE(code_that_goes_is_forgotten),
		ONCE(numbers_of_mappings_change_when_executable_pages_do),
		ONCE(numbers_of_mappings_are_never_given_out_again),
		ONCE(a_vfork_child_walks_its_parents_stack),
		ONCE(a_fork_child_starts_anew),
		ONCE(processes_that_were_let_go_share_nothing),
		ONCE(what_may_change_is_not_kept),
		ONCE(files_without_rows_and_code_in_none_are_kept),
		ONCE(a_cache_that_is_full_forgets_and_finds_again),
		ONCE(without_memory_for_the_cache_the_walk_goes_on),
		ONCE(what_one_process_found_in_a_file_the_next_one_knows),
		ONCE(two_places_with_one_seat_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
