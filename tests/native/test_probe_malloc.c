// SPDX-License-Identifier: Apache-2.0
/* Every role of the malloc probes, its failures, and other threads in between; no signals here. */
#include "native_test.h"

static void malloc_counts_what_was_asked_for_where_it_was_called(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	take(thread, SITE_A, 28, 0x2000);
	take(thread, SITE_B, 3, 0x3000);
	give(thread, 0x2000);
	assert_site(GEN, SITE_A, 128, 2, 28, 1);
	assert_site(GEN, SITE_B, 3, 1, 0, 0);
	assert_int_equal(site_at(GEN, SITE_A)->peak_bytes, 128);
	assert_int_equal(fake_rows("hb_live"), 2);
	assert_int_equal(losses(), 0);
}

static void a_failed_malloc_counts_nothing(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, ~0ULL, 0);
	assert_int_equal(fake_rows("hb_sites"), 0);
	assert_int_equal(fake_rows("hb_live"), 0);
}

static void malloc_of_0_is_a_block_of_0_bytes(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 0, 0x1000);
	assert_site(GEN, SITE_A, 0, 1, 0, 0);
	give(thread, 0x1000);
	assert_site(GEN, SITE_A, 0, 1, 0, 1);
}

static void calloc_counts_the_product(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 12, 10, 0);
	thread_return(thread, 0x1000);
	thread_call(thread, &fn_calloc, 0, 10, 0);
	thread_return(thread, 0x2000);
	thread_call(thread, &fn_calloc, 10, 0, 0);
	thread_return(thread, 0x3000);
	assert_site(GEN, SITE_A, 120, 3, 0, 0);
}

static void an_overflowed_calloc_counts_nothing(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 1ULL << 33, 1ULL << 31, 0); /* 2^64: looks like 0 */
	thread_return(thread, 0);
	assert_int_equal(fake_rows("hb_sites"), 0);
	assert_int_equal(losses(), 0);
}

static void the_largest_product_that_fits_is_exact(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 0x100000001ULL, 0xffffffffULL, 0); /* 2^64 - 1 */
	thread_return(thread, 0x1000);
	assert_int_equal(site_at(GEN, SITE_A)->allocated_bytes, ~0ULL);
}

static void aligned_alloc_takes_its_second_argument(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_aligned_alloc, 4096, 77, 0);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 77, 1, 0, 0);
}

static void posix_memalign_is_read_from_where_it_stored_the_block(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_posix_memalign, 0x5000, 64, 300);
	fake_write_u64(thread->task->mm, 0x5000, 0x1000);
	thread_return(thread, 0xffffffff00000000ULL); /* an int: what is above it means nothing */
	assert_site(GEN, SITE_A, 300, 1, 0, 0);
	give(thread, 0x1000);
	assert_site(GEN, SITE_A, 300, 1, 300, 1);
}

static void a_failed_posix_memalign_counts_nothing(void **state)
{
	struct thread *thread = traced_thread();

	fake_write_u64(thread->task->mm, 0x5000, 0xdead);
	thread->pc = SITE_A;
	thread_call(thread, &fn_posix_memalign, 0x5000, 64, 300);
	thread_return(thread, 12);
	assert_int_equal(fake_rows("hb_sites"), 0);
	assert_int_equal(losses(), 0);
}

static void an_unreadable_posix_memalign_result_is_lost(void **state)
{
	struct thread *thread = traced_thread();

	thread_call(thread, &fn_posix_memalign, 0x5000, 64, 300);
	fake_write_u64(thread->task->mm, 0x5000, 0x1000);
	fake_swap_out(thread->task->mm, 0x5000);
	thread_return(thread, 0);
	assert_int_equal(fake_rows("hb_sites"), 0);
	assert_int_equal(counter(HB_CNT_READ_FAILED), 1);
}

static void a_swapped_out_posix_memalign_result_is_faulted_in_where_that_is_allowed(void **state)
{
	struct thread *thread = traced_thread();

	fake_knobs(0, 0, *state != NULL, 1);
	thread->pc = SITE_A;
	thread_call(thread, &fn_posix_memalign, 0x5000, 64, 300);
	fake_write_u64(thread->task->mm, 0x5000, 0x1000);
	fake_swap_out(thread->task->mm, 0x5000);
	thread_return(thread, 0);
	assert_site(GEN, SITE_A, 300, 1, 0, 0);
	assert_int_equal(fake_pages_faulted_in(), 1);
	assert_int_equal(losses(), 0);
}

static void resized(struct thread *thread, u64 pc, u64 old, u64 bytes, u64 block)
{
	thread->pc = pc;
	thread_call(thread, &fn_realloc, old, bytes, 0);
	thread_return(thread, block);
}

static void realloc_moves_a_block_to_the_site_of_the_last_realloc(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	resized(thread, SITE_B, 0x1000, 150, 0x2000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 150, 1, 0, 0);
	resized(thread, SITE_A, 0x2000, 5, 0x2000); /* in place */
	assert_site(GEN, SITE_A, 105, 2, 100, 1);
	assert_site(GEN, SITE_B, 150, 1, 150, 1);
	assert_int_equal(fake_rows("hb_live"), 1);
	assert_int_equal(losses(), 0);
}

static void realloc_of_null_is_a_malloc(void **state)
{
	struct thread *thread = traced_thread();

	resized(thread, SITE_A, 0, 100, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
}

static void realloc_to_0_with_a_null_result_frees(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	resized(thread, SITE_B, 0x1000, 0, 0);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_null(site_at(GEN, SITE_B));
	assert_int_equal(fake_rows("hb_live"), 0);
}

static void realloc_to_0_with_a_block_makes_a_block_of_0_bytes(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	resized(thread, SITE_B, 0x1000, 0, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 0, 1, 0, 0);
}

static void a_failed_realloc_leaves_the_old_block(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	resized(thread, SITE_B, 0x1000, 1ULL << 60, 0);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_null(site_at(GEN, SITE_B));
	assert_int_equal(block_at(GEN, 0x1000)->bytes, 100);
	give(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_int_equal(losses(), 0);
}

static void an_overflowed_reallocarray_leaves_the_old_block(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	thread_call(thread, &fn_reallocarray, 0x1000, 1ULL << 32, 1ULL << 32); /* looks like 0 */
	thread_return(thread, 0);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(block_at(GEN, 0x1000)->bytes, 100);
}

static void a_realloc_of_an_unknown_block_counts_an_unknown_free_once_it_succeeded(void **state)
{
	struct thread *thread = traced_thread();

	resized(thread, SITE_A, 0x9000, 1ULL << 60, 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
	resized(thread, SITE_A, 0x9000, 40, 0x9000);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 1);
	assert_site(GEN, SITE_A, 40, 1, 0, 0);
}

static void the_old_address_may_be_another_threads_before_realloc_returns(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	take(thread, SITE_A, 100, 0x1000);
	thread->pc = SITE_B;
	thread_call(thread, &fn_realloc, 0x1000, 150, 0);
	take(other, SITE_C, 64, 0x1000);
	thread_return(thread, 0x2000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 150, 1, 0, 0);
	assert_site(GEN, SITE_C, 64, 1, 0, 0);
	give(other, 0x1000);
	give(thread, 0x2000);
	assert_site(GEN, SITE_B, 150, 1, 150, 1);
	assert_site(GEN, SITE_C, 64, 1, 64, 1);
	assert_int_equal(fake_rows("hb_live"), 0);
	assert_int_equal(losses(), 0);
}

static void an_address_may_be_another_threads_before_free_returns(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	take(thread, SITE_A, 100, 0x1000);
	thread_call(thread, &fn_free, 0x1000, 0, 0);
	take(other, SITE_B, 64, 0x1000);
	thread_return(thread, 0);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 64, 1, 0, 0);
	assert_int_equal(losses(), 0);
}

static void a_failed_realloc_whose_block_cannot_go_back_is_reported(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	fake_limit("hb_live", 1);
	take(thread, SITE_A, 100, 0x1000);
	thread_call(thread, &fn_realloc, 0x1000, 150, 0);
	take(other, SITE_B, 64, 0x3000);
	thread_return(thread, 0);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 64, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_REPUT_FAILED), 1);
	give(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
}

static void xallocx_grows_a_block_in_place_by_what_it_could_of_the_extra(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	thread->pc = SITE_B;
	thread_call(thread, &fn_xallocx, 0x1000, 200, 50);
	thread_return(thread, 224);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 224, 1, 0, 0);
	thread->pc = SITE_C;
	thread_call(thread, &fn_xallocx, 0x1000, 200, 50);
	thread_return(thread, 256); /* its usable size: more than was asked for */
	assert_site(GEN, SITE_C, 250, 1, 0, 0);
	give(thread, 0x1000);
	assert_site(GEN, SITE_C, 250, 1, 250, 1);
}

static void a_refused_xallocx_leaves_the_block(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	thread->pc = SITE_B;
	thread_call(thread, &fn_xallocx, 0x1000, 200, 0);
	thread_return(thread, 112);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_null(site_at(GEN, SITE_B));
}

static void what_an_allocator_calls_itself_is_not_counted_again(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_grow(thread, 200);
	thread_call(thread, &fn_malloc, 108, 0, 0);
	thread_grow(thread, 64);
	thread_call(thread, &fn_malloc, 4096, 0, 0);
	thread_return(thread, 0x8000);
	thread_return(thread, 0x1000);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(fake_rows("hb_sites"), 1);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
}

static void a_tail_call_at_the_same_slot_counts_once_for_the_first_function(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_jump(thread, &fn_malloc, 108, 0, 0);
	thread_jump(thread, &fn_aligned_alloc, 16, 112, 0);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	take(thread, SITE_A, 7, 0x2000); /* nothing is left open */
	assert_site(GEN, SITE_A, 107, 2, 0, 0);
	assert_int_equal(counter(HB_CNT_ABANDONED), 0);
	assert_int_equal(losses(), 0);
}

static void a_call_deeper_inside_a_tail_call_is_still_nested(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_calloc, 10, 10, 0);
	thread_jump(thread, &fn_malloc, 108, 0, 0);
	thread_grow(thread, 40);
	thread_call(thread, &fn_malloc, 4096, 0, 0);
	thread_jump(thread, &fn_malloc, 4096, 0, 0);
	thread_return(thread, 0x8000);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(fake_rows("hb_live"), 1);
}

static void a_free_that_realloc_makes_is_ignored(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	thread->pc = SITE_B;
	thread_call(thread, &fn_realloc, 0x1000, 150, 0);
	thread_grow(thread, 40);
	thread_call(thread, &fn_malloc, 150, 0, 0);
	thread_return(thread, 0x2000);
	thread_call(thread, &fn_free, 0x1000, 0, 0);
	thread_return(thread, 0);
	thread_return(thread, 0x2000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 150, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
	assert_int_equal(losses(), 0);
}

static void a_realloc_to_0_that_ends_in_free_frees_once(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	thread_call(thread, &fn_realloc, 0x1000, 0, 0);
	thread_jump(thread, &fn_free, 0x1000, 0, 0);
	thread_return(thread, 0);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
}

static void free_sized_ending_in_free_counts_no_unknown_free(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	thread_call(thread, &fn_free_sized, 0x1000, 100, 0);
	thread_jump(thread, &fn_free, 0x1000, 0, 0);
	thread_return(thread, 0);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
}

static void a_free_of_a_block_from_before_is_unknown_and_no_loss(void **state)
{
	struct thread *thread = traced_thread();

	give(thread, 0x9000);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 1);
	assert_int_equal(losses(), 0);
	give(thread, 0); /* free(NULL) is nothing */
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 1);
}

static void what_an_allocator_frees_of_its_own_is_not_unknown(void **state)
{
	struct thread *thread = traced_thread();

	thread_call(thread, &fn_helper, 0, 0, 0); /* a thread's cache, emptied at its end */
	give(thread, 0x9000);
	thread_return(thread, 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
}

static void a_missed_free_is_counted_when_the_address_is_given_out_again(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	take(thread, SITE_B, 60, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(GEN, SITE_B, 60, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_FREE_MISSED), 1);
}

static void operator_new_is_counted_at_its_ret_instruction(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_new, 48, 0, 0);
	thread_grow(thread, 24);
	thread_call(thread, &fn_malloc, 48, 0, 0);
	thread_return(thread, 0x1000);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 48, 1, 0, 0);
	assert_int_equal(fake_rows("hb_sites"), 1);
	assert_int_equal(thread->pc, SITE_A);
}

static void operator_new_that_ends_in_malloc_is_counted_once(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_new, 48, 0, 0);
	thread_jump(thread, &fn_malloc, 48, 0, 0);
	thread_return(thread, 0x1000);
	assert_site(GEN, SITE_A, 48, 1, 0, 0);
	assert_int_equal(fake_rows("hb_sites"), 1);
}

static const struct hb_site *direct_at(u64 pc)
{
	return site_of(GEN, &pc, 1, HB_SRC_DIRECT, 0);
}

static void unsafe_memory_is_direct_and_its_malloc_is_not_counted_again(void **state)
{
	struct thread *thread = traced_thread();

	thread->pc = SITE_A;
	thread_call(thread, &fn_unsafe_alloc, 1, 2, 4096);
	thread_grow(thread, 100);
	thread_call(thread, &fn_malloc, 4112, 0, 0);
	thread_return(thread, 0x1000);
	thread_return(thread, 0x1010);
	assert_int_equal(direct_at(SITE_A)->outstanding_bytes, 4096);
	assert_null(site_at(GEN, LIBJVM + 0x1020));

	thread->pc = SITE_B;
	thread_call(thread, &fn_unsafe_realloc, 0x1010, 8192, 0);
	thread_call(thread, &fn_realloc, 0x1000, 8208, 0);
	thread_return(thread, 0x4000);
	thread_return(thread, 0x4010);
	assert_int_equal(direct_at(SITE_A)->outstanding_bytes, 0);
	assert_int_equal(direct_at(SITE_B)->outstanding_bytes, 8192);

	thread_call(thread, &fn_unsafe_free, 0x4010, 0, 0);
	thread_call(thread, &fn_free, 0x4000, 0, 0);
	thread_return(thread, 0);
	thread_return(thread, 0);
	assert_int_equal(direct_at(SITE_B)->outstanding_bytes, 0);
	assert_int_equal(fake_rows("hb_live"), 0);
	assert_int_equal(fake_rows("hb_sites"), 2);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
	assert_int_equal(losses(), 0);
}

static void blocks_below_the_minimum_are_left_out(void **state)
{
	struct thread *thread = traced_thread();

	fake_knobs(64, 0, *state != NULL, 0);
	take(thread, SITE_A, 63, 0x1000);
	take(thread, SITE_A, 64, 0x2000);
	give(thread, 0x1000);
	assert_site(GEN, SITE_A, 64, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
	resized(thread, SITE_B, 0x2000, 10, 0x2000);
	assert_site(GEN, SITE_A, 64, 1, 64, 1);
	assert_null(site_at(GEN, SITE_B));
	resized(thread, SITE_B, 0x2000, 100, 0x3000);
	assert_site(GEN, SITE_B, 100, 1, 0, 0);
	assert_int_equal(losses(), 0);
}

static void by_thread_each_thread_has_sites_of_its_own(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);
	u64 pc = SITE_A;

	fake_knobs(0, 1, *state != NULL, 0);
	take(thread, pc, 100, 0x1000);
	take(other, pc, 20, 0x2000);
	give(other, 0x1000); /* it stays the block of the thread that took it */
	assert_int_equal(site_of(GEN, &pc, 1, HB_SRC_MALLOC, PID)->freed_bytes, 100);
	assert_int_equal(site_of(GEN, &pc, 1, HB_SRC_MALLOC, PID + 1)->freed_bytes, 0);
	assert_int_equal(site_of(GEN, &pc, 1, HB_SRC_MALLOC, PID + 1)->allocated_bytes, 20);
	assert_int_equal(fake_rows("hb_sites"), 2);
	assert_int_equal(fake_rows("hb_stacks"), 1);
}

static void a_process_that_is_not_traced_costs_nothing(void **state)
{
	struct thread *thread = thread_new(PID, NULL);

	take(thread, SITE_A, 100, 0x1000);
	give(thread, 0x1000);
	assert_null(thread->task->storage);
	assert_int_equal(fake_rows("hb_sites"), 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
}

static void a_call_without_storage_is_lost_and_counted(void **state)
{
	struct thread *thread = traced_thread();

	fake_fail("hb_pending", FAKE_STORAGE, 0, 3, -EBUSY);
	take(thread, SITE_A, 100, 0x1000);
	assert_int_equal(counter(HB_CNT_TASK_STORAGE), 1);
	assert_null(site_at(GEN, SITE_A));
	fake_fail("hb_pending", FAKE_STORAGE, 0, 2, -EBUSY); /* the third try succeeds */
	take(thread, SITE_A, 10, 0x2000);
	assert_site(GEN, SITE_A, 10, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_TASK_STORAGE), 1);
}

static void a_return_without_its_entry_counts_nothing(void **state)
{
	struct thread *thread = thread_new(PID, NULL);

	thread_call(thread, &fn_malloc, 100, 0, 0);
	process_put(PID, GEN, HB_PROC_TRACED); /* attached while the call was open */
	thread_return(thread, 0x1000);
	assert_int_equal(fake_rows("hb_live"), 0);
	assert_int_equal(losses(), 0);
}

static void without_room_for_stacks_blocks_count_at_a_site_without_one(void **state)
{
	struct thread *thread = traced_thread();
	struct hb_site_key key = { .stack = HB_STACK_NONE, .gen = GEN, .source = HB_SRC_MALLOC };
	const struct hb_site *none;

	fake_limit("hb_stacks", 1);
	take(thread, SITE_A, 100, 0x1000);
	take(thread, SITE_B, 20, 0x2000);
	take(thread, SITE_C, 3, 0x3000);
	give(thread, 0x2000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	none = fake_find("hb_sites", &key);
	assert_non_null(none);
	assert_int_equal(none->allocated_bytes, 23);
	assert_int_equal(none->freed_bytes, 20);
	assert_int_equal(none->outstanding_bytes, 3);
	assert_int_equal(counter(HB_CNT_STACK_FULL), 2);
}

static void in_full_maps_allocated_and_lost_make_the_truth(void **state)
{
	struct thread *thread = traced_thread();
	u64 truth = 0, counted = 0;

	fake_limit("hb_live", 20);
	fake_limit("hb_sites", 5);
	for (u64 i = 0; i < 100; i++) {
		take(thread, SITE_A + i % 10, i + 1, 0x1000 * (i + 1));
		truth += i + 1;
		if (i % 3 == 0)
			give(thread, 0x1000 * (i + 1));
	}
	for (u64 i = 0; i < 10; i++) {
		const struct hb_site *site = site_at(GEN, SITE_A + i);

		if (!site)
			continue;
		counted += site->allocated_bytes;
		assert_int_equal(site->allocated_bytes, site->freed_bytes + site->outstanding_bytes);
	}
	assert_int_equal(truth, 5050);
	assert_int_equal(counted + counter(HB_CNT_BLOCK_FULL_BYTES) + counter(HB_CNT_SITE_FULL_BYTES),
			 truth);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN) + counter(HB_CNT_BLOCK_FULL) +
			 counter(HB_CNT_SITE_FULL), 100);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN) - counter(HB_CNT_BLOCKS_OUT),
			 fake_rows("hb_live"));
	assert_int_equal(fake_rows("hb_live"), 20);
	assert_int_equal(fake_rows("hb_sites"), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(malloc_counts_what_was_asked_for_where_it_was_called),
		BOTH(a_failed_malloc_counts_nothing),
		BOTH(malloc_of_0_is_a_block_of_0_bytes),
		BOTH(calloc_counts_the_product),
		BOTH(an_overflowed_calloc_counts_nothing),
		BOTH(the_largest_product_that_fits_is_exact),
		BOTH(aligned_alloc_takes_its_second_argument),
		BOTH(posix_memalign_is_read_from_where_it_stored_the_block),
		BOTH(a_failed_posix_memalign_counts_nothing),
		BOTH(an_unreadable_posix_memalign_result_is_lost),
		BOTH(a_swapped_out_posix_memalign_result_is_faulted_in_where_that_is_allowed),
		BOTH(realloc_moves_a_block_to_the_site_of_the_last_realloc),
		BOTH(realloc_of_null_is_a_malloc),
		BOTH(realloc_to_0_with_a_null_result_frees),
		BOTH(realloc_to_0_with_a_block_makes_a_block_of_0_bytes),
		BOTH(a_failed_realloc_leaves_the_old_block),
		BOTH(an_overflowed_reallocarray_leaves_the_old_block),
		BOTH(a_realloc_of_an_unknown_block_counts_an_unknown_free_once_it_succeeded),
		BOTH(the_old_address_may_be_another_threads_before_realloc_returns),
		BOTH(an_address_may_be_another_threads_before_free_returns),
		BOTH(a_failed_realloc_whose_block_cannot_go_back_is_reported),
		BOTH(xallocx_grows_a_block_in_place_by_what_it_could_of_the_extra),
		BOTH(a_refused_xallocx_leaves_the_block),
		BOTH(what_an_allocator_calls_itself_is_not_counted_again),
		BOTH(a_tail_call_at_the_same_slot_counts_once_for_the_first_function),
		BOTH(a_call_deeper_inside_a_tail_call_is_still_nested),
		BOTH(a_free_that_realloc_makes_is_ignored),
		BOTH(a_realloc_to_0_that_ends_in_free_frees_once),
		BOTH(free_sized_ending_in_free_counts_no_unknown_free),
		BOTH(a_free_of_a_block_from_before_is_unknown_and_no_loss),
		BOTH(what_an_allocator_frees_of_its_own_is_not_unknown),
		BOTH(a_missed_free_is_counted_when_the_address_is_given_out_again),
		BOTH(operator_new_is_counted_at_its_ret_instruction),
		BOTH(operator_new_that_ends_in_malloc_is_counted_once),
		BOTH(unsafe_memory_is_direct_and_its_malloc_is_not_counted_again),
		BOTH(blocks_below_the_minimum_are_left_out),
		BOTH(by_thread_each_thread_has_sites_of_its_own),
		BOTH(a_process_that_is_not_traced_costs_nothing),
		BOTH(a_call_without_storage_is_lost_and_counted),
		BOTH(a_return_without_its_entry_counts_nothing),
		BOTH(without_room_for_stacks_blocks_count_at_a_site_without_one),
		BOTH(in_full_maps_allocated_and_lost_make_the_truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
