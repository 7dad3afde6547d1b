// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <sys/mman.h>

#include "vma_text.h"

/* --- mapping and unmapping --- */

static void a_new_set_is_empty(void **state)
{
	const struct vma_sums sums = sums_of(*state);

	assert_ranges(*state, "");
	assert_int_equal(sums.mapped_bytes, 0);
	assert_int_equal(sums.ranges, 0);
	assert_int_equal(vma_odd(*state), 0);
	assert_int_equal(vma_difference(*state, NULL, 0), 0);
	vma_free(NULL);
}

static void an_add_maps_its_range_for_its_stack(void **state)
{
	assert_int_equal(add(*state, T1, A, 10, 4), 0);
	assert_ranges(*state, "10-14 A");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_int_equal(sums_of(*state).owned_bytes[VMA_CALLER], 4 * PAGE);
	assert_int_equal(sums_of(*state).committed_bytes, 4 * PAGE);
}

static void bytes_that_are_no_whole_pages_take_whole_ones(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);

	ev.addr = 10 * PAGE;
	ev.bytes = 1;
	ev.stack = A;
	ev.prot = READ_WRITE;
	assert_int_equal(vma_apply(*state, &ev), 0);
	ev.addr = 20 * PAGE;
	ev.bytes = PAGE + 1;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_ranges(*state, "10-11 A, 20-22 A");
	ev = event(HB_MAP_REMOVE, T1);
	ev.addr = 20 * PAGE;
	ev.bytes = 1;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_ranges(*state, "10-11 A, 21-22 A");
	assert_site(*state, A, "3/2 - 1/0 = 2/2 peak 3");
}

static void pages_may_be_of_64_kib(void **state)
{
	struct vma_set *set = vma_new(65536);
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);

	(void)state;
	ev.addr = 65536;
	ev.bytes = 1;
	ev.stack = A;
	assert_int_equal(vma_apply(set, &ev), 0);
	assert_ranges(set, "16-32 A 0");
	ev.addr = PAGE;
	assert_int_equal(vma_apply(set, &ev), 0);
	assert_int_equal(vma_odd(set), 1);
	vma_free(set);
}

static void neighbours_of_one_site_stay_two_ranges(void **state)
{
	add(*state, T1, A, 10, 2);
	add(*state, T1, A, 12, 2);
	assert_ranges(*state, "10-12 A, 12-14 A");
	assert_site(*state, A, "4/2 - 0/0 = 4/2 peak 4");
}

static void neighbours_of_the_allocator_become_one(void **state)
{
	add(*state, T1, ALLOCATOR, 10, 2);
	add(*state, T1, ALLOCATOR, 14, 2);
	add(*state, T1, ALLOCATOR, 12, 2);
	assert_ranges(*state, "10-16 m");
}

static void a_remove_at_the_front_leaves_the_back(void **state)
{
	add(*state, T1, A, 10, 4);
	assert_int_equal(removes(*state, T1, 8, 3), 0);
	assert_ranges(*state, "11-14 A");
	assert_site(*state, A, "4/1 - 1/0 = 3/1 peak 4");
}

static void a_remove_at_the_back_leaves_the_front(void **state)
{
	add(*state, T1, A, 10, 4);
	assert_int_equal(removes(*state, T1, 13, 9), 0);
	assert_ranges(*state, "10-13 A");
	assert_site(*state, A, "4/1 - 1/0 = 3/1 peak 4");
}

static void a_remove_in_the_middle_leaves_two_ranges_that_count_once(void **state)
{
	add(*state, T1, A, 10, 4);
	assert_int_equal(removes(*state, T1, 11, 2), 0);
	assert_ranges(*state, "10-11 A, 13-14 A");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	removes(*state, T1, 10, 1);
	assert_site(*state, A, "4/1 - 3/0 = 1/1 peak 4");
	removes(*state, T1, 13, 1);
	assert_ranges(*state, "");
	assert_site(*state, A, "4/1 - 4/1 = 0/0 peak 4");
}

static void a_remove_across_several_takes_of_each(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 14, 2);
	add(*state, T1, ALLOCATOR, 16, 2);
	add(*state, T1, C, 20, 4);
	assert_int_equal(removes(*state, T1, 12, 10), 0);
	assert_ranges(*state, "10-12 A, 22-24 C");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	assert_site(*state, B, "2/1 - 2/1 = 0/0 peak 2");
	assert_site(*state, C, "4/1 - 2/0 = 2/1 peak 4");
}

static void a_remove_of_what_is_not_mapped_changes_nothing(void **state)
{
	add(*state, T1, A, 10, 4);
	assert_int_equal(removes(*state, T1, 14, 4), 0);
	assert_int_equal(removes(*state, T1, 2, 8), 0);
	assert_ranges(*state, "10-14 A");
	assert_int_equal(vma_odd(*state), 0);
}

static void an_add_over_halves_takes_their_place(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 14, 4);
	assert_int_equal(add(*state, T2, C, 12, 4), 0);
	assert_ranges(*state, "10-12 A, 12-16 C, 16-18 B");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	assert_site(*state, B, "4/1 - 2/0 = 2/1 peak 4");
	assert_site(*state, C, "4/1 - 0/0 = 4/1 peak 4");
}

static void an_add_inside_of_another_of_its_site_does_not_raise_the_peak(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, A, 11, 2);
	assert_ranges(*state, "10-11 A, 11-13 A, 13-14 A");
	assert_site(*state, A, "6/2 - 2/0 = 4/2 peak 4");
}

static void the_peak_stays_when_ranges_go(void **state)
{
	add(*state, T1, A, 10, 4);
	add(*state, T1, A, 20, 4);
	removes(*state, T1, 10, 4);
	add(*state, T1, A, 30, 2);
	assert_site(*state, A, "10/3 - 4/1 = 6/2 peak 8");
}

static void huge_pages_are_mapped_whole(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);

	ev.stack = A;
	ev.prot = READ_WRITE;
	ev.addr = 512 * PAGE;
	ev.bytes = PAGE;
	ev.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_ranges(*state, "512-1024 A");
	/* Of the default size, which the call does not tell. */
	ev.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	assert_int_equal(vma_apply(*state, &ev), 1);
	ev.bytes = 512 * PAGE;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_ranges(*state, "512-1024 A");
	ev.bytes = UINT64_MAX;
	ev.flags |= 63u << MAP_HUGE_SHIFT;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_int_equal(vma_odd(*state), 1);
}

/* --- whose it is, and since when --- */

static void the_allocators_ranges_are_no_site(void **state)
{
	struct vma_site *sites;
	size_t count;

	add(*state, T1, ALLOCATOR, 10, 4);
	assert_ranges(*state, "10-14 m");
	assert_int_equal(sums_of(*state).owned_bytes[VMA_ALLOCATOR], 4 * PAGE);
	assert_int_equal(vma_sites(*state, 0, &sites, NULL, &count), 0);
	assert_int_equal(count, 0);
	free(sites);
	removes(*state, T1, 12, 2);
	restore(*state, T1);
	remap_begin(*state, T1, 10, 4, 5, 0, 0);
	remap_end(*state, T1, A, 20, 5);
	assert_ranges(*state, "20-24 m, 24-25 A");
}

static void sites_are_split_by_thread_where_asked(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);
	struct vma_site *sites;
	size_t count;

	ev.stack = A;
	ev.addr = 10 * PAGE;
	ev.bytes = PAGE;
	ev.marks = HB_MAP_BY_THREAD;
	vma_apply(*state, &ev);
	ev.tid = T2;
	ev.addr = 11 * PAGE;
	vma_apply(*state, &ev);
	ev.marks = 0;
	ev.addr = 12 * PAGE;
	vma_apply(*state, &ev);
	assert_int_equal(vma_sites(*state, 0, &sites, NULL, &count), 0);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(sites[i].stack, A);
		assert_int_equal(sites[i].totals.outstanding_bytes, PAGE);
	}
	assert_int_equal(sites[0].tid, T1);
	assert_int_equal(sites[1].tid, T2);
	assert_int_equal(sites[2].tid, 0);
	free(sites);
}

static void a_site_is_as_old_as_its_oldest_range_that_is_there(void **state)
{
	struct vma_held held;

	add(*state, T1, A, 10, 2);      /* second 1 */
	add(*state, T1, A, 20, 4);      /* 2 */
	remap_begin(*state, T1, 10, 2, 2, MREMAP_MAYMOVE, 0);
	assert_int_equal(site_of(*state, A, 1, &held).oldest_ns, 1000000000ULL);
	assert_int_equal(held.bytes, 2 * PAGE);
	assert_int_equal(held.count, 1);
	remap_end(*state, T1, B, 30, 3); /* 4 */
	assert_int_equal(site_of(*state, A, 1, &held).oldest_ns, 1000000000ULL);
	assert_int_equal(held.bytes, 2 * PAGE);
	site_of(*state, B, 3, &held);
	assert_int_equal(held.bytes, 0);
	assert_int_equal(site_of(*state, B, 4, &held).oldest_ns, 4000000000ULL);
	assert_int_equal(held.count, 1);
	removes(*state, T1, 30, 1);
	removes(*state, T1, 21, 1);
	site_of(*state, A, 0, &held);
	assert_int_equal(held.bytes, 0);
	site_of(*state, A, 1, &held);
	assert_int_equal(held.bytes, PAGE);
	site_of(*state, A, 2, &held);
	assert_int_equal(held.bytes, 4 * PAGE);
	assert_int_equal(held.count, 2);
	removes(*state, T1, 31, 1);
	assert_int_equal(site_of(*state, A, 2, &held).oldest_ns, 2000000000ULL);
	assert_int_equal(held.count, 1);
	removes(*state, T1, 20, 4);
	assert_int_equal(site_of(*state, A, 9, &held).oldest_ns, 0);
	assert_int_equal(held.bytes, 0);
}

/* --- events that tell nothing --- */

static void what_cannot_be_is_counted_and_harmless(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);

	add(*state, T1, A, 10, 4);
	ev.stack = A;
	ev.addr = 10 * PAGE + 8;
	ev.bytes = PAGE;
	assert_int_equal(vma_apply(*state, &ev), 0);
	ev.addr = 0 - PAGE;
	assert_int_equal(vma_apply(*state, &ev), 0);
	ev.addr = 10 * PAGE;
	ev.bytes = UINT64_MAX;
	assert_int_equal(vma_apply(*state, &ev), 0);
	ev.bytes = 0;
	assert_int_equal(vma_apply(*state, &ev), 0);
	ev.op = HB_MAP_REMAP_END;
	assert_int_equal(vma_apply(*state, &ev), 1);
	ev.op = 99;
	assert_int_equal(vma_apply(*state, &ev), 1);
	ev.op = HB_MAP_ADD;
	ev.bytes = PAGE;
	ev.tid = 0;
	assert_int_equal(vma_apply(*state, &ev), 1);
	assert_int_equal(vma_odd(*state), 7);
	assert_ranges(*state, "10-14 A");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
}

static void the_whole_address_space_can_be_one_range(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);

	ev.stack = A;
	ev.prot = 0xfffffff8 | READ_WRITE; /* of this only three bits are a protection that is kept */
	ev.bytes = UINT64_MAX - PAGE + 1;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_int_equal(removes(*state, T1, 5, 1), 0);
	assert_ranges(*state, "0-5 A, 6-4503599627370495 A");
	assert_int_equal(vma_odd(*state), 0);
}

static void an_unclear_change_does_not_tell_enough(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_UNCLEAR, T1);

	add(*state, T1, A, 10, 4);
	assert_int_equal(vma_apply(*state, &ev), 1);
	assert_ranges(*state, "10-14 A");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vma_test(a_new_set_is_empty),
		vma_test(an_add_maps_its_range_for_its_stack),
		vma_test(bytes_that_are_no_whole_pages_take_whole_ones),
		vma_test(pages_may_be_of_64_kib),
		vma_test(neighbours_of_one_site_stay_two_ranges),
		vma_test(neighbours_of_the_allocator_become_one),
		vma_test(a_remove_at_the_front_leaves_the_back),
		vma_test(a_remove_at_the_back_leaves_the_front),
		vma_test(a_remove_in_the_middle_leaves_two_ranges_that_count_once),
		vma_test(a_remove_across_several_takes_of_each),
		vma_test(a_remove_of_what_is_not_mapped_changes_nothing),
		vma_test(an_add_over_halves_takes_their_place),
		vma_test(an_add_inside_of_another_of_its_site_does_not_raise_the_peak),
		vma_test(the_peak_stays_when_ranges_go),
		vma_test(huge_pages_are_mapped_whole),
		vma_test(the_allocators_ranges_are_no_site),
		vma_test(sites_are_split_by_thread_where_asked),
		vma_test(a_site_is_as_old_as_its_oldest_range_that_is_there),
		vma_test(what_cannot_be_is_counted_and_harmless),
		vma_test(the_whole_address_space_can_be_one_range),
		vma_test(an_unclear_change_does_not_tell_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
