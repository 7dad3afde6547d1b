// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <sys/mman.h>

#include "vma_text.h"

_Static_assert(REMAP_FIXED == MREMAP_FIXED && REMAP_DONTUNMAP == MREMAP_DONTUNMAP, "as the kernel's");

/* --- calls that fail --- */

static void a_failed_remove_puts_back_what_it_took(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 14, 4);
	removes(*state, T1, 12, 4);
	assert_ranges(*state, "10-12 A, 16-18 B");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 A, 14-18 B");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_site(*state, B, "4/1 - 0/0 = 4/1 peak 4");
}

static void a_failed_remove_of_all_is_no_free(void **state)
{
	add(*state, T1, A, 10, 4);
	removes(*state, T1, 0, 100);
	assert_site(*state, A, "4/1 - 4/1 = 0/0 peak 4");
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 A");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
}

static void a_failed_remove_leaves_what_another_thread_mapped_meanwhile(void **state)
{
	add(*state, T1, A, 10, 6);
	removes(*state, T1, 10, 6);
	add(*state, T2, B, 12, 2);
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-12 A, 12-14 B, 14-16 A");
	assert_site(*state, A, "6/1 - 2/0 = 4/1 peak 6");
	removes(*state, T1, 0, 100);
	assert_site(*state, A, "6/1 - 6/1 = 0/0 peak 6");
}

static void a_failed_remove_whose_place_is_taken_stays_freed(void **state)
{
	add(*state, T1, A, 10, 4);
	removes(*state, T1, 10, 4);
	add(*state, T2, B, 9, 6);
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "9-15 B");
	assert_site(*state, A, "4/1 - 4/1 = 0/0 peak 4");
}

static void what_came_back_counts_in_the_peak(void **state)
{
	add(*state, T1, A, 10, 4);
	removes(*state, T1, 10, 4);
	add(*state, T2, A, 20, 4);
	assert_site(*state, A, "8/2 - 4/1 = 4/1 peak 4");
	restore(*state, T1);
	assert_site(*state, A, "8/2 - 0/0 = 8/2 peak 8");
}

static void a_call_that_cannot_be_fails_and_there_is_nothing_to_put_back(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_REMOVE, T1);

	add(*state, T1, A, 10, 4);
	ev.addr = 10 * PAGE + 1;
	ev.bytes = PAGE;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_int_equal(restore(*state, T1), 0);
	assert_int_equal(removes(*state, T1, 10, 0), 0);
	assert_int_equal(restore(*state, T1), 0);
	ev.op = HB_MAP_REMAP_BEGIN;
	ev.old_addr = 10 * PAGE + 1;
	ev.old_bytes = PAGE;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 A");
	assert_int_equal(vma_odd(*state), 0);
}

static void a_failure_without_its_beginning_does_not_tell_enough(void **state)
{
	add(*state, T1, A, 10, 4);
	assert_int_equal(restore(*state, T1), 1);
	removes(*state, T1, 10, 1);
	add(*state, T1, A, 20, 1); /* so that had ended well */
	assert_int_equal(restore(*state, T1), 1);
	assert_ranges(*state, "11-14 A, 20-21 A");
}

static void threads_beyond_64_with_calls_under_way_cost_the_oldest_remove_its_failure(void **state)
{
	for (uint32_t i = 0; i < 66; i++)
		add(*state, T1, A, 10 * i, 4);
	assert_int_equal(remap_begin(*state, 1000, 0, 4, 8, 0, 0), 0);
	for (uint32_t i = 1; i < 65; i++)
		assert_int_equal(removes(*state, 1000 + i, 10 * i, 4), 0);
	assert_int_equal(restore(*state, 1001), 1); /* given up: the mremap is older, but surely under way */
	assert_int_equal(restore(*state, 1002), 0);
	assert_int_equal(remap_end(*state, 1000, B, 2000, 8), 0);
	assert_ranges(*state, "20-24 A, 650-654 A, 2000-2004 A, 2004-2008 B");
	assert_site(*state, A, "264/66 - 252/63 = 12/3 peak 264");
}

static void threads_beyond_64_in_mremap_cost_the_oldest_its_owner(void **state)
{
	for (uint32_t i = 0; i < 65; i++)
		add(*state, T1, A, 10 * i, 4);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(remap_begin(*state, 1000 + i, 10 * i, 4, 4, 0, 0), 0);
	assert_int_equal(remap_begin(*state, 1064, 640, 4, 4, 0, 0), 1);
	assert_int_equal(sums_of(*state).mapped_bytes, 64 * 4 * PAGE);
	assert_int_equal(remap_end(*state, 1000, B, 0, 4), 1);
	for (uint32_t i = 1; i < 65; i++)
		assert_int_equal(remap_end(*state, 1000 + i, B, 10 * i, 4), 0);
	assert_site(*state, A, "260/65 - 4/1 = 256/64 peak 260");
	assert_int_equal(sums_of(*state).owned_bytes[VMA_BEFORE], 4 * PAGE);
}

/* --- mremap --- */

static void a_mremap_grows_in_place_and_its_tail_is_its_own(void **state)
{
	add(*state, T1, A, 10, 4);
	assert_int_equal(remap_begin(*state, T1, 10, 4, 6, 0, 0), 0);
	assert_ranges(*state, "");
	assert_int_equal(sums_of(*state).mapped_bytes, 4 * PAGE);
	assert_int_equal(remap_end(*state, T1, B, 10, 6), 0);
	assert_ranges(*state, "10-14 A, 14-16 B");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_site(*state, B, "2/1 - 0/0 = 2/1 peak 2");
}

static void a_mremap_shrinks_and_frees_the_rest(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 14, 4);
	remap_begin(*state, T1, 10, 8, 3, 0, 0);
	assert_int_equal(remap_end(*state, T1, C, 10, 3), 0);
	assert_ranges(*state, "10-13 A");
	assert_site(*state, A, "4/1 - 1/0 = 3/1 peak 4");
	assert_site(*state, B, "4/1 - 4/1 = 0/0 peak 4");
	assert_site(*state, C, "0/0 - 0/0 = 0/0 peak 0");
}

static void a_mremap_moves_with_its_owner_age_and_protection(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 14, 2);
	protect(*state, T1, 14, 2, PROT_READ);
	remap_begin(*state, T1, 12, 4, 6, MREMAP_MAYMOVE, 0);
	add(*state, T2, C, 12, 3); /* the room that it left */
	assert_int_equal(remap_end(*state, T1, C, 100, 6), 0);
	assert_ranges(*state, "10-12 A, 12-15 C, 100-102 A, 102-104 B 1, 104-106 C 1");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_site(*state, B, "2/1 - 0/0 = 2/1 peak 2");
	assert_site(*state, C, "5/2 - 0/0 = 5/2 peak 5");
}

static void a_mremap_to_a_fixed_place_frees_what_was_there(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 20, 8);
	assert_int_equal(remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, 22), 0);
	assert_ranges(*state, "20-22 B, 26-28 B");
	assert_int_equal(remap_end(*state, T1, C, 22, 4), 0);
	assert_ranges(*state, "20-22 B, 22-26 A, 26-28 B");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_site(*state, B, "8/1 - 4/0 = 4/1 peak 8");
}

static void a_failed_mremap_puts_everything_back(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 14, 4);
	remap_begin(*state, T1, 12, 4, 100, MREMAP_MAYMOVE, 0);
	assert_ranges(*state, "10-12 A, 16-18 B");
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 A, 14-18 B");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
}

static void a_failed_mremap_leaves_what_another_thread_mapped_meanwhile(void **state)
{
	add(*state, T1, A, 10, 4);
	remap_begin(*state, T1, 10, 4, 8, MREMAP_MAYMOVE, 0);
	add(*state, T2, B, 11, 2);
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-11 A, 11-13 B, 13-14 A");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
}

static void a_failed_mremap_to_a_fixed_place_may_have_freed_it(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 20, 4);
	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, 22);
	assert_site(*state, B, "4/1 - 2/0 = 2/1 peak 4");
	assert_int_equal(restore(*state, T1), 1);
	assert_ranges(*state, "10-14 A, 20-24 B"); /* the kernel's list says which; it has its owner */
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_site(*state, B, "4/1 - 0/0 = 4/1 peak 4");
}

static void a_mremap_that_does_not_unmap_leaves_the_old_range(void **state)
{
	add(*state, T1, A, 10, 4);
	protect(*state, T1, 10, 4, PROT_READ);
	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	assert_ranges(*state, "10-14 A 1");
	assert_int_equal(remap_end(*state, T1, B, 20, 4), 0);
	assert_ranges(*state, "10-14 A 1, 20-24 B 1");
	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, 22);
	assert_ranges(*state, "10-14 A 1, 20-22 B 1");
	assert_int_equal(remap_end(*state, T1, C, 22, 4), 0);
	assert_ranges(*state, "10-14 A 1, 20-22 B 1, 22-26 C 1");
	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 A 1, 20-22 B 1, 22-26 C 1");
}

static void a_mremap_of_no_bytes_maps_the_same_once_more(void **state)
{
	add(*state, T1, A, 10, 4);
	remap_begin(*state, T1, 10, 0, 4, MREMAP_MAYMOVE, 0);
	assert_int_equal(remap_end(*state, T1, B, 20, 4), 0);
	assert_ranges(*state, "10-14 A, 20-24 B");
	remap_begin(*state, T1, 500, 0, 4, MREMAP_MAYMOVE, 0);
	assert_int_equal(remap_end(*state, T1, B, 30, 1), 0);
	assert_ranges(*state, "10-14 A, 20-24 B, 30-31 B");
	assert_int_equal(vma_odd(*state), 0);
}

static void what_a_mremap_moves_unknown_was_there_before(void **state)
{
	remap_begin(*state, T1, 10, 4, 6, MREMAP_MAYMOVE, 0);
	assert_int_equal(remap_end(*state, T1, A, 20, 6), 1);
	assert_ranges(*state, "20-24 -, 24-26 A");
}

static void what_a_mremap_moves_partly_unknown_may_have_gaps(void **state)
{
	add(*state, T1, A, 11, 2);
	add(*state, T1, B, 14, 4);
	remap_begin(*state, T1, 10, 6, 7, MREMAP_MAYMOVE, 0);
	assert_int_equal(remap_end(*state, T1, C, 20, 7), 1);
	assert_ranges(*state, "16-18 B, 20-21 -, 21-23 A, 23-24 -, 24-26 B, 26-27 C");
	assert_site(*state, B, "4/1 - 0/0 = 4/1 peak 4");
}

static void an_end_without_its_beginning_is_mapped_by_nobody(void **state)
{
	add(*state, T1, A, 10, 4);
	assert_int_equal(remap_end(*state, T1, B, 12, 4), 1);
	assert_ranges(*state, "10-12 A, 12-16 -");
	removes(*state, T1, 10, 1);
	assert_int_equal(remap_end(*state, T1, B, 20, 1), 1);
	assert_ranges(*state, "11-12 A, 12-16 -, 20-21 -");
	assert_site(*state, B, "0/0 - 0/0 = 0/0 peak 0");
}

static void a_mremap_whose_end_is_not_told_is_given_up_at_the_threads_next_call(void **state)
{
	add(*state, T1, A, 10, 4);
	remap_begin(*state, T1, 10, 4, 8, MREMAP_MAYMOVE, 0);
	assert_int_equal(add(*state, T2, B, 30, 1), 0);
	assert_int_equal(add(*state, T1, B, 20, 1), 1);
	assert_ranges(*state, "20-21 B, 30-31 B");
	assert_site(*state, A, "4/1 - 4/1 = 0/0 peak 4");
}

static void what_has_grown_often_moves_as_it_is(void **state)
{
	add(*state, T1, ALLOCATOR, 10, 1);
	add(*state, T1, A, 100, 1);
	for (uint64_t i = 1; i < 100; i++) {
		remap_begin(*state, T1, 10, i, i + 1, 0, 0);
		remap_end(*state, T1, ALLOCATOR, 10, i + 1);
	}
	assert_ranges(*state, "10-110 m");
	remap_begin(*state, T1, 10, 100, 50, MREMAP_MAYMOVE, 0);
	remap_end(*state, T1, A, 500, 50);
	assert_ranges(*state, "500-550 m");
	add(*state, T1, ALLOCATOR, 600, 4);
	remap_begin(*state, T1, 600, 4, 4, MREMAP_MAYMOVE, 0);
	remap_end(*state, T1, A, 550, 4);
	assert_ranges(*state, "500-554 m");
}

/* --- the break --- */

static void the_first_break_maps_the_heap_from_its_beginning(void **state)
{
	assert_int_equal(set_break(*state, T1, A, 100 * PAGE + 1, 104 * PAGE - 1), 0);
	assert_ranges(*state, "101-104 A");
	assert_site(*state, A, "3/1 - 0/0 = 3/1 peak 3");
}

static void the_break_goes_up_by_what_is_new_and_down_from_the_end(void **state)
{
	set_break(*state, T1, A, 100 * PAGE, 104 * PAGE);
	assert_int_equal(set_break(*state, T1, B, 100 * PAGE, 104 * PAGE + 1), 0);
	assert_ranges(*state, "100-104 A, 104-105 B");
	assert_int_equal(set_break(*state, T1, B, 100 * PAGE, 105 * PAGE), 0);
	assert_site(*state, B, "1/1 - 0/0 = 1/1 peak 1");
	assert_int_equal(set_break(*state, T2, C, 100 * PAGE, 102 * PAGE), 0);
	assert_ranges(*state, "100-102 A");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	assert_site(*state, B, "1/1 - 1/1 = 0/0 peak 1");
	assert_site(*state, C, "0/0 - 0/0 = 0/0 peak 0");
	assert_int_equal(set_break(*state, T1, B, 100 * PAGE, 100 * PAGE), 0);
	assert_ranges(*state, "");
	assert_int_equal(set_break(*state, T1, B, 100 * PAGE, 101 * PAGE), 0);
	assert_ranges(*state, "100-101 B");
}

static void a_heap_that_grows_for_the_allocator_is_one_range(void **state)
{
	for (uint64_t i = 1; i <= 100; i++)
		set_break(*state, T1, ALLOCATOR, 100 * PAGE, (100 + i) * PAGE);
	assert_ranges(*state, "100-200 m");
}

static void the_first_break_leaves_what_is_known(void **state)
{
	add(*state, T1, B, 101, 1);
	assert_int_equal(set_break(*state, T1, A, 100 * PAGE, 104 * PAGE), 0);
	assert_ranges(*state, "100-101 A, 101-102 B, 102-104 A");
	assert_site(*state, A, "3/1 - 0/0 = 3/1 peak 3");
}

static void a_break_that_cannot_be_changes_nothing(void **state)
{
	set_break(*state, T1, A, 100 * PAGE, 104 * PAGE);
	assert_int_equal(set_break(*state, T1, A, 0, 0), 0);
	assert_int_equal(set_break(*state, T1, A, 105 * PAGE, 104 * PAGE), 0);
	assert_int_equal(set_break(*state, T1, A, 100 * PAGE, UINT64_MAX - PAGE + 2), 0);
	assert_ranges(*state, "100-104 A");
	assert_int_equal(vma_odd(*state), 3);
}

/* --- shared memory --- */

static int attach(struct vma_set *set, uint32_t tid, uint64_t stack, uint64_t page, uint64_t pages)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, tid);

	ev.stack = stack;
	ev.marks = HB_MAP_SHM | (stack ? 0 : HB_MAP_OWNED);
	ev.addr = page * PAGE;
	ev.bytes = pages * PAGE;
	ev.prot = READ_WRITE;
	return vma_apply(set, &ev);
}

static int detach(struct vma_set *set, uint32_t tid, uint64_t page)
{
	struct hb_ev_map ev = event(HB_MAP_DETACH, tid);

	ev.addr = page * PAGE;
	return vma_apply(set, &ev);
}

static void a_detach_takes_all_that_is_left_of_the_segment(void **state)
{
	assert_int_equal(attach(*state, T1, A, 10, 6), 0);
	attach(*state, T1, A, 16, 2);
	removes(*state, T1, 12, 1);
	protect(*state, T1, 14, 1, PROT_READ);
	add(*state, T1, B, 13, 1);
	assert_ranges(*state, "10-12 A, 13-14 B, 14-15 A 1, 15-16 A, 16-18 A");
	assert_int_equal(detach(*state, T2, 10), 0);
	assert_ranges(*state, "13-14 B, 16-18 A");
	assert_site(*state, A, "8/2 - 6/1 = 2/1 peak 8");
}

static void a_detach_of_what_is_not_known_as_attached_does_not_tell_enough(void **state)
{
	add(*state, T1, A, 10, 2);
	attach(*state, T1, ALLOCATOR, 20, 2);
	attach(*state, T1, A, 30, 2);
	assert_int_equal(detach(*state, T1, 10), 1);
	assert_int_equal(detach(*state, T1, 20), 1);
	assert_int_equal(detach(*state, T1, 31), 1);
	assert_int_equal(detach(*state, T1, 0), 1);
	assert_ranges(*state, "10-12 A, 20-22 m, 30-32 A");
	/* Where mremap put it the kernel may find it or not. */
	remap_begin(*state, T1, 30, 2, 2, MREMAP_MAYMOVE, 0);
	remap_end(*state, T1, B, 40, 2);
	assert_int_equal(detach(*state, T1, 30), 1);
	assert_int_equal(detach(*state, T1, 40), 1);
	assert_ranges(*state, "10-12 A, 20-22 m, 40-42 A");
}

/* --- protection --- */

static void a_protection_splits_ranges_that_count_once(void **state)
{
	add(*state, T1, A, 10, 6);
	assert_int_equal(protect(*state, T1, 12, 2, PROT_NONE), 0);
	assert_ranges(*state, "10-12 A, 12-14 A 0, 14-16 A");
	assert_int_equal(sums_of(*state).committed_bytes, 4 * PAGE);
	assert_int_equal(sums_of(*state).mapped_bytes, 6 * PAGE);
	assert_site(*state, A, "6/1 - 0/0 = 6/1 peak 6");
}

static void a_protection_joins_what_it_makes_equal(void **state)
{
	add(*state, T1, A, 10, 6);
	add(*state, T1, A, 16, 2);
	protect(*state, T1, 12, 2, PROT_READ);
	assert_int_equal(protect(*state, T1, 14, 4, PROT_READ), 0);
	assert_ranges(*state, "10-12 A, 12-16 A 1, 16-18 A 1");
	assert_int_equal(protect(*state, T1, 0, 100, READ_WRITE), 0);
	assert_ranges(*state, "10-16 A, 16-18 A");
}

static void a_protection_across_gaps_changes_what_is_there(void **state)
{
	add(*state, T1, A, 10, 2);
	add(*state, T1, B, 14, 2);
	assert_int_equal(protect(*state, T1, 11, 4, PROT_READ | PROT_EXEC), 0);
	assert_ranges(*state, "10-11 A, 11-12 A 5, 14-15 B 5, 15-16 B");
	assert_int_equal(protect(*state, T1, 20, 4, PROT_READ), 0);
	assert_int_equal(protect(*state, T1, 10, 0, PROT_READ), 0);
	assert_ranges(*state, "10-11 A, 11-12 A 5, 14-15 B 5, 15-16 B");
	assert_int_equal(vma_odd(*state), 0); /* mprotect of no bytes succeeds */
}

static void a_protection_to_the_end_of_its_mapping_does_not_tell_enough(void **state)
{
	add(*state, T1, A, 10, 6);
	assert_int_equal(protect(*state, T1, 12, 2, PROT_READ | PROT_GROWSDOWN), 1);
	assert_ranges(*state, "10-12 A, 12-14 A 1, 14-16 A");
}

static void readable_or_writable_is_committed(void **state)
{
	struct vma_held held;

	add(*state, T1, A, 10, 8);
	protect(*state, T1, 10, 1, PROT_NONE);
	protect(*state, T1, 11, 1, PROT_EXEC);
	protect(*state, T1, 12, 1, PROT_READ);
	protect(*state, T1, 13, 1, PROT_WRITE);
	assert_int_equal(sums_of(*state).committed_bytes, 6 * PAGE);
	assert_int_equal(site_of(*state, A, 100, &held).committed_bytes, 6 * PAGE);
	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE, 0);
	assert_int_equal(sums_of(*state).committed_bytes, 6 * PAGE);
	assert_int_equal(site_of(*state, A, 100, &held).committed_bytes, 6 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vma_test(a_failed_remove_puts_back_what_it_took),
		vma_test(a_failed_remove_of_all_is_no_free),
		vma_test(a_failed_remove_leaves_what_another_thread_mapped_meanwhile),
		vma_test(a_failed_remove_whose_place_is_taken_stays_freed),
		vma_test(what_came_back_counts_in_the_peak),
		vma_test(a_call_that_cannot_be_fails_and_there_is_nothing_to_put_back),
		vma_test(a_failure_without_its_beginning_does_not_tell_enough),
		vma_test(threads_beyond_64_with_calls_under_way_cost_the_oldest_remove_its_failure),
		vma_test(threads_beyond_64_in_mremap_cost_the_oldest_its_owner),
		vma_test(a_mremap_grows_in_place_and_its_tail_is_its_own),
		vma_test(a_mremap_shrinks_and_frees_the_rest),
		vma_test(a_mremap_moves_with_its_owner_age_and_protection),
		vma_test(a_mremap_to_a_fixed_place_frees_what_was_there),
		vma_test(a_failed_mremap_puts_everything_back),
		vma_test(a_failed_mremap_leaves_what_another_thread_mapped_meanwhile),
		vma_test(a_failed_mremap_to_a_fixed_place_may_have_freed_it),
		vma_test(a_mremap_that_does_not_unmap_leaves_the_old_range),
		vma_test(a_mremap_of_no_bytes_maps_the_same_once_more),
		vma_test(what_a_mremap_moves_unknown_was_there_before),
		vma_test(what_a_mremap_moves_partly_unknown_may_have_gaps),
		vma_test(an_end_without_its_beginning_is_mapped_by_nobody),
		vma_test(a_mremap_whose_end_is_not_told_is_given_up_at_the_threads_next_call),
		vma_test(what_has_grown_often_moves_as_it_is),
		vma_test(the_first_break_maps_the_heap_from_its_beginning),
		vma_test(the_break_goes_up_by_what_is_new_and_down_from_the_end),
		vma_test(a_heap_that_grows_for_the_allocator_is_one_range),
		vma_test(the_first_break_leaves_what_is_known),
		vma_test(a_break_that_cannot_be_changes_nothing),
		vma_test(a_detach_takes_all_that_is_left_of_the_segment),
		vma_test(a_detach_of_what_is_not_known_as_attached_does_not_tell_enough),
		vma_test(a_protection_splits_ranges_that_count_once),
		vma_test(a_protection_joins_what_it_makes_equal),
		vma_test(a_protection_across_gaps_changes_what_is_there),
		vma_test(a_protection_to_the_end_of_its_mapping_does_not_tell_enough),
		vma_test(readable_or_writable_is_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
