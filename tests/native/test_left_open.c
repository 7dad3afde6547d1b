// SPDX-License-Identifier: Apache-2.0
/* Wrong numbers that a review constructed: what is left open when a call does not end in order. */
#include "native_test.h"

/* Generation and first frame are mixed by one xor: (gen 1, pc) and (gen 2, pc ^ 3) share a key. */
static void stacks_of_two_generations_never_share_a_row(void **state)
{
	struct thread *one = thread_new(PID, NULL), *two = thread_new(PID + 1, NULL);

	process_put(PID, 1, HB_PROC_TRACED);
	process_put(PID + 1, 2, HB_PROC_TRACED);
	take(one, APP + 0xa0, 100, 0x1000);
	take(two, APP + 0xa3, 20, 0x1000);
	assert_int_equal(fake_rows("hb_stacks"), 2);
	assert_site(1, APP + 0xa0, 100, 1, 0, 0);
	assert_site(2, APP + 0xa3, 20, 1, 0, 0);
}

/* Calls left by longjmp take up levels when the next thing is a handler on the altstack. */
static void calls_left_by_longjmp_do_not_take_a_later_handlers_room(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	thread_altstack(thread, 0x7f0000000000ULL, 0x10000);
	for (int i = 0; i < 3; i++) {
		thread->pc = SITE_A;
		thread_call(thread, &fn_malloc, 1, 0, 0);
		thread_signal(thread);
	}
	thread_longjmp(thread, &mark);
	thread_signal_alt(thread);
	thread->pc = SITE_B;
	thread_call(thread, &fn_malloc, 10, 0, 0);
	thread_signal_alt(thread);
	take(thread, SITE_C, 100, 0x3000);
	thread_sigreturn(thread);
	thread_return(thread, 0x2000);
	assert_site(GEN, SITE_C, 100, 1, 0, 0);
	assert_int_equal(losses(), 0);
}

/* A signal to a handler on an altstack above the stack raises the barrier over the open call. */
static void a_signal_on_the_altstack_sets_no_barrier_for_a_call_on_the_stack(void **state)
{
	struct thread *thread = traced_thread();

	thread_altstack(thread, thread->sp + 0x1000, 0x10000);
	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_signal_alt(thread);
	thread_signal_alt(thread);
	thread_sigreturn(thread);
	thread_sigreturn(thread);
	thread_call(thread, &fn_malloc, 108, 0, 0);
	thread_return(thread, 0x1000);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(fake_rows("hb_sites"), 1);
	assert_int_equal(losses(), 0);
}

/* After any signal, even an ignored one, nested calls more than 1000 bytes down count twice. */
static void a_deep_nested_call_after_a_handler_returned_is_still_nested(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_signal(thread);
	thread_sigreturn(thread);
	thread_grow(thread, 1200);
	thread_call(thread, &fn_malloc, 4096, 0, 0); /* a block of the allocator's own */
	thread_return(thread, 0x8000);
	thread_return(thread, 0x1000);
	assert_int_equal(fake_rows("hb_live"), 1);
}

/* operator news that throw, each deeper than the last, use up the levels. */
static void operator_news_that_throw_ever_deeper_lose_no_call(void **state)
{
	struct thread *thread = traced_thread();

	for (u64 i = 0; i < 6; i++) {
		struct mark mark = thread_setjmp(thread);

		thread->pc = SITE_A;
		thread_call(thread, &fn_new, 1ULL << 60, 0, 0);
		thread_longjmp(thread, &mark);
		thread_grow(thread, 100);
	}
	take(thread, SITE_B, 30, 0x2000);
	assert_site(GEN, SITE_B, 30, 1, 0, 0);
	assert_int_equal(losses(), 0);
}

static void drop_live(const void *key, void *value, void *arg)
{
	*(struct hb_block_key *)arg = *(const struct hb_block_key *)key;
}

/* A realloc left by exec puts its row back long after user space has put the image away. */
static void an_exec_leaves_no_row_of_the_old_image_behind(void **state)
{
	struct thread *thread = traced_thread();
	struct hb_block_key key;

	take(thread, SITE_A, 100, 0x1000);
	thread_call(thread, &fn_realloc, 0x1000, 150, 0);
	thread_signal(thread);
	thread_exec(thread);
	while (fake_rows("hb_live")) { /* user space, at HB_EV_EXEC */
		fake_each("hb_live", drop_live, &key);
		fake_drop("hb_live", &key);
	}
	take(thread, SITE_B, 1, 0x2000);
	assert_int_equal(fake_rows("hb_live"), 1);
}

/* The last free of the old image hides an unknown free of the new one. */
static void an_unknown_free_after_exec_is_counted(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	give(thread, 0x1000);
	thread_exec(thread);
	give(thread, 0x1000);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 1);
}

static void an_unknown_free_sized_counts_one_unknown_free(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 1, 0x1000);
	thread_call(thread, &fn_free_sized, 0x9000, 10, 0);
	thread_jump(thread, &fn_free, 0x9000, 0, 0);
	thread_return(thread, 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 1);
}

static void the_generation_after_the_last_is_not_0(void **state)
{
	struct thread *thread = traced_thread();

	hb_last_gen = 0x7fffffff;
	thread_exec(thread);
	take(thread, SITE_A, 1, 0x1000);
	assert_int_equal(fake_rows("hb_sites"), 1);
}

/* A call that never returns, without a signal (a hook's longjmp, a return probe that was missed). */
static void a_call_left_without_a_signal_hides_no_deeper_call(void **state)
{
	struct thread *thread = traced_thread();
	struct mark mark = thread_setjmp(thread);

	thread->pc = SITE_A;
	thread_call(thread, &fn_malloc, 1, 0, 0);
	thread_longjmp(thread, &mark);
	thread_grow(thread, 100);
	take(thread, SITE_B, 30, 0x2000);
	assert_site(GEN, SITE_B, 30, 1, 0, 0);
}

/* An allocator's own call from a frame of more than 64 KB: the outer call is dropped unheard. */
static void a_nested_call_below_a_large_frame_is_still_nested(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_grow(thread, 70000);
	thread_call(thread, &fn_malloc, 4096, 0, 0);
	thread_return(thread, 0x8000);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
}

static void xallocx_over_the_minimum_counts_like_realloc_over_it(void **state)
{
	struct thread *thread = traced_thread();

	fake_knobs(64, 0, *state != NULL, 0);
	take(thread, SITE_A, 10, 0x1000);
	thread->pc = SITE_B;
	thread_call(thread, &fn_xallocx, 0x1000, 100, 0);
	thread_return(thread, 112);
	assert_site(GEN, SITE_B, 100, 1, 0, 0);
}

/* By sessions: a return probe on the handler's call would cost the interrupted one its own. */
static void a_handler_on_a_stack_above_is_lost_by_count_and_the_call_beneath_returns(void **state)
{
	struct thread *thread = traced_thread();

	thread_altstack(thread, thread->sp + 0x1000, 0x10000);
	thread->pc = SITE_A;
	thread_call(thread, &fn_malloc, 100, 0, 0);
	thread_signal_alt(thread);
	take(thread, SITE_B, 7, 0x2000);
	thread_sigreturn(thread);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(fake_rows("hb_sites"), 1);
	assert_int_equal(counter(HB_CNT_ALTSTACK), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(stacks_of_two_generations_never_share_a_row),
		BOTH(calls_left_by_longjmp_do_not_take_a_later_handlers_room),
		BOTH(a_signal_on_the_altstack_sets_no_barrier_for_a_call_on_the_stack),
		BOTH(a_deep_nested_call_after_a_handler_returned_is_still_nested),
		BOTH(operator_news_that_throw_ever_deeper_lose_no_call),
		BOTH(an_exec_leaves_no_row_of_the_old_image_behind),
		BOTH(an_unknown_free_after_exec_is_counted),
		BOTH(an_unknown_free_sized_counts_one_unknown_free),
		BOTH(the_generation_after_the_last_is_not_0),
		BOTH(a_call_left_without_a_signal_hides_no_deeper_call),
		BOTH(a_nested_call_below_a_large_frame_is_still_nested),
		BOTH(xallocx_over_the_minimum_counts_like_realloc_over_it),
		{ "a_handler_on_a_stack_above_is_lost_by_count_and_the_call_beneath_returns (session)",
		  a_handler_on_a_stack_above_is_lost_by_count_and_the_call_beneath_returns, fresh, done, (void *)1 },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

