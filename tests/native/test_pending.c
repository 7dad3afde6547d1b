// SPDX-License-Identifier: Apache-2.0
/* What is between entry and return: signal handlers, longjmp, threads that end, too many calls. */
#include "native_test.h"

#define ALT_LOW	  0x7f0000000000ULL /* below every stack of ours */
#define ALT_BYTES 0x10000ULL

static void open_malloc(struct thread *thread, u64 pc, u64 bytes)
{
	thread->pc = pc;
	thread_call(thread, &fn_malloc, bytes, 0, 0);
	thread_grow(thread, 48);
}

static void a_handler_that_interrupts_malloc_counts_its_own_calls(void **state)
{
	struct thread *thread = traced_thread();

	open_malloc(thread, SITE_A, 100);
	thread_signal(thread);
	take(thread, SITE_B, 30, 0x2000);
	take(thread, SITE_B, 5, 0x3000);
	give(thread, 0x3000);
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(GEN, SITE_B, 35, 2, 5, 1);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
	assert_int_equal(losses(), 0);
}

static void a_handler_on_the_altstack_counts_its_own_calls(void **state)
{
	struct thread *thread = traced_thread();

	thread_altstack(thread, ALT_LOW, ALT_BYTES);
	open_malloc(thread, SITE_A, 100);
	thread_signal_alt(thread);
	take(thread, SITE_B, 30, 0x2000);
	thread->pc = SITE_C;
	thread_call(thread, &fn_calloc, 5, 5, 0);
	thread_grow(thread, 16);
	thread_call(thread, &fn_malloc, 32, 0, 0); /* nested there too */
	thread_return(thread, 0x3000);
	thread_return(thread, 0x3000);
	give(thread, 0x2000);
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(GEN, SITE_B, 30, 1, 30, 1);
	assert_site(GEN, SITE_C, 25, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
	assert_int_equal(losses(), 0);
}

static void a_handler_on_an_altstack_above_the_stack_is_a_handler_too(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 10, 0x5000);
	thread_altstack(thread, thread->sp + 0x1000, ALT_BYTES);
	open_malloc(thread, SITE_A, 100);
	thread_signal_alt(thread);
	give(thread, 0x5000);
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 110, 2, 10, 1);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
}

static void a_handler_returns_and_the_allocator_makes_its_nested_call(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_grow(thread, 48);
	thread_signal(thread);
	take(thread, SITE_B, 30, 0x2000);
	thread_sigreturn(thread);
	thread_grow(thread, 800); /* less than a signal frame: no handler can be in between */
	thread_call(thread, &fn_malloc, 108, 0, 0);
	thread_return(thread, 0x1000);
	thread_call(thread, &fn_free, 0x7000, 0, 0);
	thread_return(thread, 0);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(GEN, SITE_B, 30, 1, 0, 0);
	assert_int_equal(fake_rows("hb_live"), 2);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
}

static void a_handler_interrupts_realloc_and_another_thread_gets_the_old_address(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	take(thread, SITE_A, 100, 0x1000);
	thread->pc = SITE_B;
	thread_call(thread, &fn_realloc, 0x1000, 150, 0);
	thread_signal(thread);
	take(thread, SITE_C, 1, 0x9000);
	take(other, SITE_A, 8, 0x1000);
	give(thread, 0x9000);
	thread_sigreturn(thread);
	thread_return(thread, 0x2000);
	assert_site(GEN, SITE_A, 108, 2, 100, 1);
	assert_site(GEN, SITE_B, 150, 1, 0, 0);
	assert_site(GEN, SITE_C, 1, 1, 1, 1);
	assert_int_equal(losses(), 0);
}

static void a_handler_that_interrupts_a_handlers_malloc_counts_its_own(void **state)
{
	struct thread *thread = traced_thread();

	open_malloc(thread, SITE_A, 1);
	thread_signal(thread);
	open_malloc(thread, SITE_B, 10);
	thread_signal(thread);
	take(thread, SITE_C, 100, 0x3000);
	thread_sigreturn(thread);
	thread_return(thread, 0x2000);
	take(thread, SITE_B, 20, 0x4000);
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 1, 1, 0, 0);
	assert_site(GEN, SITE_B, 30, 2, 0, 0);
	assert_site(GEN, SITE_C, 100, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
}

static void an_inner_handlers_frame_does_not_hide_the_outer_handlers_calls(void **state)
{
	struct thread *thread = traced_thread();

	open_malloc(thread, SITE_A, 1);
	thread_signal(thread);
	thread_grow(thread, 2000);
	thread_signal(thread); /* while the outer handler runs and has no call open */
	take(thread, SITE_C, 100, 0x3000);
	thread_sigreturn(thread);
	thread_grow(thread, (u64)-1500);
	take(thread, SITE_B, 10, 0x2000); /* above the inner barrier */
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 1, 1, 0, 0);
	assert_site(GEN, SITE_B, 10, 1, 0, 0);
	assert_site(GEN, SITE_C, 100, 1, 0, 0);
}

static void after_a_longjmp_out_of_a_handler_a_call_at_a_higher_slot_counts(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	thread_grow(thread, 400);
	open_malloc(thread, SITE_A, 100);
	thread_signal(thread);
	thread_longjmp(thread, &mark);
	take(thread, SITE_B, 30, 0x2000);
	assert_null(site_at(GEN, SITE_A));
	assert_site(GEN, SITE_B, 30, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 1);
	assert_int_equal(losses(), 0);
}

static void after_a_longjmp_out_of_a_handler_a_call_at_the_same_slot_counts(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	open_malloc(thread, SITE_A, 100);
	thread_signal(thread);
	thread_longjmp(thread, &mark);
	take(thread, SITE_A, 30, 0x2000);
	assert_site(GEN, SITE_A, 30, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 1);
}

static void after_a_longjmp_out_of_a_handler_a_call_at_a_lower_slot_counts(void **state)
{
	static const u64 lower[] = { 8, 16, 48, 64, 500, 1000, 1100, 5000, 60000, 70000 };
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	for (u64 i = 0; i < sizeof(lower) / sizeof(lower[0]); i++) {
		thread_longjmp(thread, &mark);
		open_malloc(thread, SITE_A, 100);
		thread_signal(thread);
		thread_longjmp(thread, &mark);
		thread_grow(thread, lower[i]);
		take(thread, SITE_B, 30, 0x2000 + 0x100 * i);
	}
	assert_null(site_at(GEN, SITE_A));
	assert_site(GEN, SITE_B, 300, 10, 0, 0);
	assert_int_equal(losses(), 0);
}

static void a_longjmp_out_of_two_handlers_abandons_both_calls(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	open_malloc(thread, SITE_A, 1);
	thread_signal(thread);
	open_malloc(thread, SITE_B, 10);
	thread_signal(thread);
	thread_longjmp(thread, &mark);
	take(thread, SITE_C, 100, 0x3000);
	assert_null(site_at(GEN, SITE_A));
	assert_null(site_at(GEN, SITE_B));
	assert_site(GEN, SITE_C, 100, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 2);
}

static void a_longjmp_out_of_a_handlers_handler_lets_the_first_malloc_return(void **state)
{
	struct thread *thread = traced_thread();
	struct mark in_handler;

	open_malloc(thread, SITE_A, 1);
	thread_signal(thread);
	in_handler = thread_setjmp(thread);
	open_malloc(thread, SITE_B, 10);
	thread_signal(thread);
	take(thread, SITE_C, 100, 0x3000);
	thread_longjmp(thread, &in_handler);
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 1, 1, 0, 0);
	assert_null(site_at(GEN, SITE_B));
	assert_site(GEN, SITE_C, 100, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 1);
}

static void a_longjmp_off_the_altstack_abandons_what_was_open_there(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark;

	thread_altstack(thread, ALT_LOW, ALT_BYTES);
	mark = thread_setjmp(thread);
	open_malloc(thread, SITE_A, 1);
	thread_signal_alt(thread);
	open_malloc(thread, SITE_B, 10);
	thread_signal_alt(thread);
	thread_longjmp(thread, &mark);
	thread_grow(thread, 16);
	take(thread, SITE_C, 100, 0x3000);
	assert_site(GEN, SITE_C, 100, 1, 0, 0);
	assert_null(site_at(GEN, SITE_A));
	assert_null(site_at(GEN, SITE_B));
	assert_int_equal(counter(HB_CNT_ABANDONED), 2);
}

static void a_realloc_left_by_longjmp_gives_its_block_back(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	take(thread, SITE_A, 100, 0x1000);
	thread_call(thread, &fn_realloc, 0x1000, 150, 0);
	assert_null(block_at(GEN, 0x1000));
	thread_signal(thread);
	thread_longjmp(thread, &mark);
	take(thread, SITE_B, 1, 0x2000);
	assert_int_equal(block_at(GEN, 0x1000)->bytes, 100);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	give(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_int_equal(losses(), 0);
}

static void a_free_is_enough_to_notice_that_a_call_was_left(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	take(thread, SITE_A, 100, 0x1000);
	take(thread, SITE_A, 11, 0x2000);
	thread_call(thread, &fn_realloc, 0x1000, 150, 0);
	thread_signal(thread);
	thread_longjmp(thread, &mark);
	give(thread, 0x2000);
	assert_int_equal(block_at(GEN, 0x1000)->bytes, 100);
	assert_site(GEN, SITE_A, 111, 2, 11, 1);
}

static void an_operator_new_that_throws_hides_no_call_after_it(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	for (u64 i = 0; i < 10; i++) {
		thread->pc = SITE_A;
		thread_call(thread, &fn_new, 1ULL << 60, 0, 0);
		thread_longjmp(thread, &mark); /* as good as an exception */
	}
	thread_grow(thread, 100);
	take(thread, SITE_B, 30, 0x2000);
	give(thread, 0x2000);
	take(thread, SITE_B, 4, 0x2000);
	assert_null(site_at(GEN, SITE_A));
	assert_site(GEN, SITE_B, 34, 2, 30, 1);
	assert_int_equal(losses(), 0);
}

static void a_new_handlers_calls_are_its_own_and_operator_new_counts_in_the_end(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_new, 100, 0, 0);
	thread_grow(thread, 32);
	thread_call(thread, &fn_malloc, 100, 0, 0);
	thread_return(thread, 0);
	take(thread, SITE_B, 5, 0x2000); /* by the new handler */
	thread->pc = fn_new.ip + 0x20;
	thread_call(thread, &fn_malloc, 100, 0, 0);
	thread_return(thread, 0x1000);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(GEN, SITE_B, 5, 1, 0, 0);
	assert_int_equal(fake_rows("hb_live"), 2);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
}

static void a_call_far_below_an_open_one_is_not_made_by_it(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	open_malloc(thread, SITE_A, 100);
	thread_longjmp(thread, &mark);
	thread_grow(thread, 70000);
	take(thread, SITE_B, 30, 0x2000);
	assert_site(GEN, SITE_B, 30, 1, 0, 0);
	assert_int_equal(losses(), 0);
}

static void four_calls_are_open_at_once_and_the_fifth_is_lost(void **state)
{
	struct thread *thread = traced_thread();

	for (u64 i = 0; i < 5; i++) {
		open_malloc(thread, SITE_A + i, 1ULL << i);
		thread_signal(thread);
	}
	assert_int_equal(counter(HB_CNT_PENDING_DEEP), 1);
	for (u64 i = 5; i > 0; i--) {
		thread_sigreturn(thread);
		thread_return(thread, 0x1000 * i);
	}
	for (u64 i = 0; i < 4; i++)
		assert_site(GEN, SITE_A + i, 1ULL << i, 1, 0, 0);
	assert_null(site_at(GEN, SITE_A + 4));
	take(thread, SITE_B, 7, 0x9000);
	assert_site(GEN, SITE_B, 7, 1, 0, 0);
	assert_int_equal(losses(), 1);
}

static void a_thread_that_ends_inside_realloc_gives_the_block_back(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	take(thread, SITE_A, 100, 0x1000);
	thread_call(other, &fn_realloc, 0x1000, 150, 0);
	assert_null(block_at(GEN, 0x1000));
	thread_exit(other);
	assert_int_equal(block_at(GEN, 0x1000)->bytes, 100);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 1);
	assert_int_equal(fake_events(), 0); /* its process lives */
}

static void a_thread_that_ends_gives_back_every_open_call(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	take(thread, SITE_A, 100, 0x1000);
	take(thread, SITE_B, 20, 0x2000);
	thread_call(other, &fn_realloc, 0x1000, 150, 0);
	thread_signal(other);
	thread_call(other, &fn_realloc, 0x2000, 150, 0);
	thread_exit(other);
	assert_int_equal(block_at(GEN, 0x1000)->bytes, 100);
	assert_int_equal(block_at(GEN, 0x2000)->bytes, 20);
	assert_int_equal(counter(HB_CNT_ABANDONED), 2);
}

static void a_signal_to_a_thread_that_never_allocated_changes_nothing(void **state)
{
	struct thread *thread = traced_thread();

	thread_signal(thread);
	assert_null(thread->task->storage);
	take(thread, SITE_A, 1, 0x1000);
	thread_sigreturn(thread);
	assert_site(GEN, SITE_A, 1, 1, 0, 0);
}

static void a_signal_between_calls_changes_nothing(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 1, 0x1000);
	thread_signal(thread);
	take(thread, SITE_B, 10, 0x2000);
	thread_sigreturn(thread);
	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_grow(thread, 5000);
	thread_call(thread, &fn_malloc, 108, 0, 0);
	thread_return(thread, 0x3000);
	thread_return(thread, 0x3000);
	assert_site(GEN, SITE_A, 101, 2, 0, 0);
	assert_site(GEN, SITE_B, 10, 1, 0, 0);
	assert_int_equal(fake_rows("hb_live"), 3);
}

static void a_handler_that_interrupts_a_tail_call_leaves_its_chain_whole(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_jump(thread, &fn_malloc, 108, 0, 0);
	thread_signal(thread);
	thread->pc = SITE_B;
	thread_call(thread, &fn_calloc, 3, 3, 0);
	thread_jump(thread, &fn_malloc, 16, 0, 0);
	thread_return(thread, 0x2000);
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(GEN, SITE_B, 9, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
}

static void a_chain_left_by_longjmp_does_not_swallow_the_next_call(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_jump(thread, &fn_malloc, 108, 0, 0);
	thread_signal(thread);
	thread_longjmp(thread, &mark);
	take(thread, SITE_B, 30, 0x2000);
	take(thread, SITE_B, 4, 0x3000);
	assert_site(GEN, SITE_B, 34, 2, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 1);
}

static void an_exec_with_an_open_call_begins_anew(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	open_malloc(thread, SITE_A, 50);
	thread_signal(thread);
	thread_exec(thread);
	take(thread, SITE_B, 30, 0x2000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(1, SITE_B, 30, 1, 0, 0);
	assert_null(site_at(1, SITE_A));
	assert_int_equal(counter(HB_CNT_ABANDONED), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_handler_that_interrupts_malloc_counts_its_own_calls),
		BOTH(a_handler_on_the_altstack_counts_its_own_calls),
		BOTH(a_handler_on_an_altstack_above_the_stack_is_a_handler_too),
		BOTH(a_handler_returns_and_the_allocator_makes_its_nested_call),
		BOTH(a_handler_interrupts_realloc_and_another_thread_gets_the_old_address),
		BOTH(a_handler_that_interrupts_a_handlers_malloc_counts_its_own),
		BOTH(an_inner_handlers_frame_does_not_hide_the_outer_handlers_calls),
		BOTH(after_a_longjmp_out_of_a_handler_a_call_at_a_higher_slot_counts),
		BOTH(after_a_longjmp_out_of_a_handler_a_call_at_the_same_slot_counts),
		BOTH(after_a_longjmp_out_of_a_handler_a_call_at_a_lower_slot_counts),
		BOTH(a_longjmp_out_of_two_handlers_abandons_both_calls),
		BOTH(a_longjmp_out_of_a_handlers_handler_lets_the_first_malloc_return),
		BOTH(a_longjmp_off_the_altstack_abandons_what_was_open_there),
		BOTH(a_realloc_left_by_longjmp_gives_its_block_back),
		BOTH(a_free_is_enough_to_notice_that_a_call_was_left),
		BOTH(an_operator_new_that_throws_hides_no_call_after_it),
		BOTH(a_new_handlers_calls_are_its_own_and_operator_new_counts_in_the_end),
		BOTH(a_call_far_below_an_open_one_is_not_made_by_it),
		BOTH(four_calls_are_open_at_once_and_the_fifth_is_lost),
		BOTH(a_thread_that_ends_inside_realloc_gives_the_block_back),
		BOTH(a_thread_that_ends_gives_back_every_open_call),
		BOTH(a_signal_to_a_thread_that_never_allocated_changes_nothing),
		BOTH(a_signal_between_calls_changes_nothing),
		BOTH(a_handler_that_interrupts_a_tail_call_leaves_its_chain_whole),
		BOTH(a_chain_left_by_longjmp_does_not_swallow_the_next_call),
		BOTH(an_exec_with_an_open_call_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
