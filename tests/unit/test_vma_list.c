// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <errno.h>
#include <sys/mman.h>

#include "vma_text.h"

#define LINES(array) array, sizeof(array) / sizeof((array)[0])

/* --- a list around which nothing happened --- */

static void a_first_list_is_all_from_before(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 5, 0), LINE(14, 16, 0, 0), LINE(100, 140, 3, STACK) };

	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_ranges(*state, "10-14 - 5, 14-16 - 0, 100-140 -");
	assert_int_equal(sums_of(*state).mapped_bytes, 46 * PAGE);
	assert_int_equal(sums_of(*state).owned_bytes[VMA_BEFORE], 46 * PAGE);
	assert_int_equal(sums_of(*state).committed_bytes, 44 * PAGE);
	assert_int_equal(sums_of(*state).stack_bytes, 40 * PAGE);
}

static void a_list_keeps_owners_and_sets_protection(void **state)
{
	static const struct vma_line lines[] = { LINE(8, 13, 3, 0), LINE(13, 18, 1, 0), LINE(20, 22, 3, 0) };

	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 14, 2);
	add(*state, T1, ALLOCATOR, 21, 4);
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_ranges(*state, "8-10 -, 10-13 A, 13-14 A 1, 14-16 B 1, 16-18 - 1, 20-21 -, 21-22 m");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_site(*state, B, "2/1 - 0/0 = 2/1 peak 2");
}

static void what_a_list_lacks_counts_as_freed(void **state)
{
	static const struct vma_line lines[] = { LINE(11, 12, 3, 0), LINE(13, 14, 3, 0) };

	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 20, 2);
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_ranges(*state, "11-12 A, 13-14 A");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	assert_site(*state, B, "2/1 - 2/1 = 0/0 peak 2");
	assert_int_equal(follows(*state, NULL, 0), 0);
	assert_ranges(*state, "");
	assert_site(*state, A, "4/1 - 4/1 = 0/0 peak 4");
}

static void a_list_raises_no_peak(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0) };

	add(*state, T1, A, 10, 4);
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
}

static void a_list_that_cannot_be_changes_nothing(void **state)
{
	static const struct vma_line empty[] = { LINE(10, 10, 3, 0) };
	static const struct vma_line unsorted[] = { LINE(20, 22, 3, 0), LINE(10, 12, 3, 0) };
	static const struct vma_line overlap[] = { LINE(10, 14, 3, 0), LINE(13, 15, 3, 0) };

	add(*state, T1, A, 10, 4);
	removes(*state, T1, 10, 4);
	assert_int_equal(follows(*state, LINES(empty)), -EINVAL);
	assert_int_equal(follows(*state, LINES(unsorted)), -EINVAL);
	assert_int_equal(follows(*state, LINES(overlap)), -EINVAL);
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 A");
}

static void the_stack_is_where_the_list_has_it(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 12, 3, 0), LINE(12, 20, 3, STACK) };
	static const struct vma_line grown[] = { LINE(10, 20, 3, STACK) };
	static const struct vma_line gone[] = { LINE(10, 20, 3, 0) };

	add(*state, T1, A, 10, 4);
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_ranges(*state, "10-12 A, 12-20 -");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	assert_int_equal(follows(*state, LINES(grown)), 0);
	assert_ranges(*state, "10-20 -");
	assert_int_equal(sums_of(*state).stack_bytes, 10 * PAGE);
	assert_int_equal(follows(*state, LINES(gone)), 0);
	assert_ranges(*state, "10-20 -");
	assert_int_equal(sums_of(*state).stack_bytes, 0);
}

static void a_segment_stays_attached(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0) };
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);

	ev.stack = A;
	ev.marks = HB_MAP_SHM;
	ev.addr = 10 * PAGE;
	ev.bytes = 4 * PAGE;
	vma_apply(*state, &ev);
	assert_int_equal(follows(*state, LINES(lines)), 0);
	ev.op = HB_MAP_DETACH;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_ranges(*state, "");
}

static void the_lists_heap_tells_where_the_break_was(void **state)
{
	static const struct vma_line lines[] = {
		LINE(100, 102, 3, HEAP), LINE(102, 110, 1, HEAP), LINE(200, 201, 3, 0),
	};

	assert_int_equal(follows(*state, lines, 3), 0);
	assert_int_equal(set_break(*state, T1, A, 100 * PAGE, 104 * PAGE), 0);
	assert_ranges(*state, "100-102 -, 102-104 - 1, 200-201 -");
}

/* --- calls under way, and what happens around a reading --- */

/* Make @set follow @lines, the events of @around having come from before their reading on. */
#define follows_around(set, lines, ...)                                                        \
	({                                                                                     \
		const struct hb_ev_map events_[] = { __VA_ARGS__ };                            \
		const struct vma_around around_ = { .events = events_,                        \
						    .count = sizeof(events_) / sizeof(events_[0]) }; \
		vma_follow(set, LINES(lines), &around_);                                       \
	})

/* An event as it is told, without a time. */
#define EVENT(op_, tid_, page, pages) { .op = HB_MAP_##op_, .tid = (tid_), .addr = (page) * PAGE, \
					.bytes = (pages) * PAGE }
#define REMAP(op_, tid_, old_page, old_pages, page, pages)                                     \
	{ .op = HB_MAP_REMAP_##op_, .tid = (tid_), .old_addr = (old_page) * PAGE,              \
	  .old_bytes = (old_pages) * PAGE, .addr = (page) * PAGE, .bytes = (pages) * PAGE }

static void what_was_mapped_behind_the_readers_back_stays(void **state)
{
	static const struct vma_line lines[] = { LINE(30, 32, 3, 0) };

	add(*state, T1, A, 10, 6);
	add(*state, T2, B, 30, 2);
	assert_int_equal(follows_around(*state, lines, EVENT(ADD, T1, 10, 6)), 0);
	assert_ranges(*state, "10-16 A, 30-32 B");
	assert_site(*state, A, "6/1 - 0/0 = 6/1 peak 6");
	/* Without the event the list is right. */
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_ranges(*state, "30-32 B");
}

static void what_was_unmapped_behind_the_readers_back_does_not_come_again(void **state)
{
	static const struct vma_line lines[] = { LINE(8, 16, 3, 0), LINE(30, 32, 3, 0) };

	add(*state, T1, A, 8, 8);
	removes(*state, T1, 10, 2);
	assert_int_equal(follows_around(*state, lines, EVENT(REMOVE, T1, 10, 2)), 0);
	assert_ranges(*state, "8-10 A, 12-16 A, 30-32 -");
	assert_site(*state, A, "8/1 - 2/0 = 6/1 peak 8");
}

static void a_removal_that_failed_gives_its_range_back_to_its_owner(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0) };

	add(*state, T1, A, 10, 4);
	removes(*state, T1, 10, 4);
	assert_int_equal(follows_around(*state, lines, EVENT(REMOVE, T1, 10, 4)), 0);
	assert_ranges(*state, "");
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 A");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
}

static void a_removal_that_failed_while_the_list_was_read_hides_nothing_of_it(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 20, 3, 0) };

	removes(*state, T1, 12, 2);
	assert_int_equal(restore(*state, T1), 0);
	assert_int_equal(follows_around(*state, lines, EVENT(REMOVE, T1, 12, 2), EVENT(ADD, T2, 16, 1),
					EVENT(RESTORE, T1, 0, 0)), 0);
	assert_ranges(*state, "10-16 -, 17-20 -");
}

static void a_removal_of_long_ago_that_failed_has_lost_its_owner(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0) };

	add(*state, T1, A, 10, 4);
	removes(*state, T1, 10, 4);
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_int_equal(restore(*state, T1), 0);
	assert_ranges(*state, "10-14 -");
	assert_site(*state, A, "4/1 - 4/1 = 0/0 peak 4");
}

static void what_moved_while_the_list_was_read_keeps_its_owner_wherever_the_list_has_it(void **state)
{
	static const struct vma_line before[] = { LINE(10, 14, 3, 0) };
	static const struct vma_line after[] = { LINE(20, 28, 3, 0) };
	static const struct vma_line both[] = { LINE(10, 14, 3, 0), LINE(20, 28, 3, 0) };
	static const struct vma_line none[] = { LINE(40, 41, 3, 0) };

	add(*state, T1, A, 10, 4);
	remap_begin(*state, T1, 10, 4, 8, MREMAP_MAYMOVE, 0);
	assert_int_equal(remap_end(*state, T1, B, 20, 8), 0);
	assert_int_equal(follows_around(*state, before, REMAP(END, T1, 10, 4, 20, 8)), 0);
	assert_ranges(*state, "20-24 A, 24-28 B");
	assert_int_equal(follows_around(*state, after, REMAP(END, T1, 10, 4, 20, 8)), 0);
	assert_ranges(*state, "20-24 A, 24-28 B");
	assert_int_equal(follows_around(*state, both, REMAP(END, T1, 10, 4, 20, 8)), 0);
	assert_ranges(*state, "20-24 A, 24-28 B");
	assert_int_equal(follows_around(*state, none, REMAP(END, T1, 10, 4, 20, 8)), 0);
	assert_ranges(*state, "20-24 A, 24-28 B, 40-41 -");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	assert_site(*state, B, "4/1 - 0/0 = 4/1 peak 4");
}

static void a_mremap_under_way_goes_on_and_counts_twice_where_the_list_has_its_new_place(void **state)
{
	static const struct vma_line before[] = { LINE(10, 14, 3, 0) };
	static const struct vma_line after[] = { LINE(20, 28, 3, 0) };

	add(*state, T1, A, 10, 4);
	remap_begin(*state, T1, 10, 4, 8, MREMAP_MAYMOVE, 0);
	assert_int_equal(follows_around(*state, before), 0);
	assert_ranges(*state, "");
	assert_int_equal(sums_of(*state).mapped_bytes, 4 * PAGE);
	assert_int_equal(follows_around(*state, after), 1);
	assert_ranges(*state, "20-28 -");
	assert_int_equal(sums_of(*state).mapped_bytes, 12 * PAGE);
	assert_int_equal(remap_end(*state, T1, B, 20, 8), 0);
	assert_ranges(*state, "20-24 A, 24-28 B");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
}

static void what_a_mremap_under_way_moves_is_in_doubt_and_not_what_is_beside_it(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0), LINE(20, 24, 3, 0) };

	add(*state, T1, A, 10, 2); /* two more are not known yet */
	add(*state, T1, B, 20, 4);
	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, 20);
	assert_int_equal(follows_around(*state, lines), 1);
	assert_ranges(*state, "12-14 -");
	assert_int_equal(restore(*state, T1), 1); /* what is left of 20-24 is not known */
	assert_ranges(*state, "10-12 A, 12-14 -, 20-24 B");
}

static void what_is_listed_twice_while_it_moves_is_told(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0), LINE(20, 24, 3, 0) };

	add(*state, T1, A, 10, 4);
	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE, 0);
	assert_int_equal(follows_around(*state, lines), 1);
	assert_int_equal(sums_of(*state).mapped_bytes, 8 * PAGE);
	assert_int_equal(remap_end(*state, T1, B, 20, 4), 0);
	assert_ranges(*state, "20-24 A");
}

static void what_moves_in_a_set_that_was_untrue_is_not_made_right(void **state)
{
	static const struct vma_line lines[] = { LINE(20, 24, 3, 0) };
	const struct hb_ev_map moved[] = { REMAP(END, T1, 10, 4, 20, 4) };
	const struct vma_around untrue = { .events = moved, .count = 1, .untrue = true };
	const struct vma_around later = { .untrue = true };

	remap_begin(*state, T1, 10, 4, 4, MREMAP_MAYMOVE, 0);
	assert_int_equal(remap_end(*state, T1, A, 20, 4), 1); /* of what protection is not known */
	assert_int_equal(vma_follow(*state, LINES(lines), &untrue), 1);
	assert_int_equal(vma_follow(*state, LINES(lines), &later), 0);
}

static void a_break_that_cannot_be_hides_nothing(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0), LINE(100, 104, 3, HEAP) };

	assert_int_equal(follows_around(*state, lines, { .op = HB_MAP_BREAK, .tid = T1 }), 0);
	assert_ranges(*state, "10-14 -, 100-104 -");
}

static void a_mremap_whose_end_was_dropped_is_where_the_list_has_it(void **state)
{
	static const struct vma_line lines[] = { LINE(12, 14, 3, 0), LINE(20, 24, 3, 0) };

	add(*state, T1, A, 10, 4);
	remap_begin(*state, T1, 10, 4, 8, MREMAP_MAYMOVE, 0);
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_ranges(*state, "12-14 A, 20-24 -");
	assert_site(*state, A, "4/1 - 2/0 = 2/1 peak 4");
	assert_int_equal(remap_end(*state, T1, B, 20, 8), 1);
}

static void protections_are_the_events_where_they_changed_and_else_the_lists(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 20, 0, 0) };

	add(*state, T1, A, 10, 10);
	protect(*state, T1, 12, 2, PROT_READ);
	assert_int_equal(follows_around(*state, lines, { .op = HB_MAP_PROTECT, .tid = T1, .addr = 12 * PAGE,
							 .bytes = 2 * PAGE, .prot = PROT_READ }), 0);
	assert_ranges(*state, "10-12 A 0, 12-14 A 1, 14-20 A 0");
}

static void a_protection_of_what_was_not_known_yet_is_the_events_and_the_rest_the_lists(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 20, 3, 0) };
	const struct hb_ev_map none = { .op = HB_MAP_PROTECT, .tid = T1, .addr = 12 * PAGE, .bytes = 6 * PAGE };

	protect(*state, T1, 12, 6, 0);
	removes(*state, T1, 14, 2);
	assert_int_equal(follows_around(*state, lines, none, EVENT(REMOVE, T1, 14, 2)), 0);
	assert_ranges(*state, "10-12 -, 12-14 - 0, 16-18 - 0, 18-20 -");
}

static void a_segment_that_went_while_the_list_was_read_is_as_long_as_its_line(void **state)
{
	static const struct vma_line lines[] = { LINE(10, 14, 3, 0), LINE(14, 20, 1, 0) };

	assert_int_equal(follows_around(*state, lines, EVENT(DETACH, T1, 10, 0)), 0);
	assert_ranges(*state, "14-20 - 1");
}

static void a_list_that_is_ahead_of_the_break_takes_nothing_from_its_caller(void **state)
{
	static const struct vma_line lines[] = { LINE(100, 104, 3, HEAP) };
	static const struct vma_around none = { .lost_ns = 0 };

	set_break(*state, T1, A, 100 * PAGE, 102 * PAGE); /* and then one to 104, which is still to be told */
	assert_int_equal(vma_follow(*state, LINES(lines), &none), 0);
	assert_int_equal(set_break(*state, T1, B, 100 * PAGE, 104 * PAGE), 0);
	assert_ranges(*state, "100-102 A, 102-104 B");
}

static void a_list_that_is_behind_the_break_changes_nothing_of_the_heap(void **state)
{
	static const struct vma_line longer[] = { LINE(100, 108, 3, HEAP) }, shorter[] = { LINE(100, 101, 3, HEAP) };
	const struct hb_ev_map brk = { .op = HB_MAP_BREAK, .tid = T1, .old_addr = 100 * PAGE, .addr = 104 * PAGE };

	set_break(*state, T1, A, 100 * PAGE, 108 * PAGE);
	set_break(*state, T1, A, 100 * PAGE, 104 * PAGE);
	assert_int_equal(follows_around(*state, longer, brk), 0);
	assert_ranges(*state, "100-104 A");
	assert_int_equal(follows_around(*state, shorter, brk), 0);
	assert_ranges(*state, "100-104 A");
	assert_site(*state, A, "8/1 - 4/0 = 4/1 peak 8");
}

static void the_break_and_the_stack_follow(void **state)
{
	static const struct vma_line lines[] = { LINE(100, 104, 3, HEAP), LINE(200, 210, 3, STACK) };

	set_break(*state, T1, A, 100 * PAGE, 102 * PAGE); /* and then one to 104, which was dropped */
	assert_int_equal(follows(*state, LINES(lines)), 0);
	assert_int_equal(sums_of(*state).stack_bytes, 10 * PAGE);
	assert_int_equal(set_break(*state, T1, B, 100 * PAGE, 103 * PAGE), 0);
	assert_ranges(*state, "100-102 A, 102-103 -, 200-210 -");
}

/* --- vma_copy --- */

static void a_forked_child_begins_with_all_ranges_and_owes_nobody(void **state)
{
	static const struct vma_line lines[] = { LINE(100, 104, 3, HEAP), LINE(200, 210, 3, STACK) };
	struct vma_set *child = vma_new(PAGE);

	follows(*state, LINES(lines));
	add(*state, T1, A, 10, 4);
	add(*state, T1, ALLOCATOR, 20, 4);
	protect(*state, T1, 12, 2, PROT_READ);
	removes(*state, T1, 22, 2);
	assert_int_equal(vma_copy(child, *state), 0);
	assert_ranges(child, "10-12 -, 12-14 - 1, 20-22 -, 100-104 -, 200-210 -");
	assert_int_equal(sums_of(child).stack_bytes, 10 * PAGE);
	assert_int_equal(restore(child, T1), 1); /* the call was its parent's */
	set_break(child, T1, A, 100 * PAGE, 102 * PAGE);
	add(child, T1, B, 13, 2);
	assert_ranges(child, "10-12 -, 12-13 - 1, 13-15 B, 20-22 -, 100-102 -, 200-210 -");
	assert_ranges(*state, "10-12 A, 12-14 A 1, 20-22 m, 100-104 -, 200-210 -");
	assert_site(*state, A, "4/1 - 0/0 = 4/1 peak 4");
	vma_free(child);
}

static void a_fork_during_a_mremap_does_not_tell_enough(void **state)
{
	struct vma_set *child = vma_new(PAGE);

	add(*state, T1, A, 10, 4);
	add(*state, T1, A, 20, 4);
	remap_begin(*state, T1, 10, 4, 8, MREMAP_MAYMOVE, 0);
	assert_int_equal(vma_copy(child, *state), 1);
	assert_ranges(child, "20-24 -");
	vma_free(child);
}

/* --- vma_difference --- */

static void the_difference_is_what_one_has_and_the_other_lacks(void **state)
{
	static const struct vma_line same[] = { LINE(10, 12, 3, 0), LINE(12, 14, 0, 0), LINE(20, 24, 3, 0) };
	static const struct vma_line other[] = { LINE(8, 11, 3, 0), LINE(12, 13, 3, 0), LINE(23, 30, 3, 0) };

	add(*state, T1, A, 10, 4);
	add(*state, T1, B, 20, 2);
	add(*state, T1, B, 22, 2);
	assert_int_equal(vma_difference(*state, LINES(same)), 0);
	/* 8-10, 11-12, 13-14, 20-23, 24-30 */
	assert_int_equal(vma_difference(*state, LINES(other)), 13 * PAGE);
	assert_int_equal(vma_difference(*state, NULL, 0), 8 * PAGE);
	follows(*state, LINES(other));
	assert_int_equal(vma_difference(*state, LINES(other)), 0);
}

/* --- very many parts --- */

static void from_65536_parts_on_neighbours_of_one_site_become_one(void **state)
{
	for (uint64_t i = 0; i < 32768; i++)
		add(*state, T1, A, i, 1);
	for (uint64_t i = 0; i < 32767; i++)
		add(*state, T1, i % 2 ? B : C, 40000 + i, 1);
	assert_int_equal(sums_of(*state).ranges, 65535);
	assert_site(*state, A, "32768/32768 - 0/0 = 32768/32768 peak 32768");
	removes(*state, T2, 100, 1);
	restore(*state, T2);
	assert_int_equal(sums_of(*state).ranges, 65535);
	removes(*state, T2, 100, 1); /* what may come back is not joined: here, nothing but a hole */
	add(*state, T1, A, 39999, 1);
	add(*state, T1, A, 32768, 1);
	assert_int_equal(sums_of(*state).ranges, 32767 + 3);
	assert_string_equal(check_set(*state, false) ? check_set(*state, false) : "", "");
	assert_site(*state, A, "32770/4 - 1/1 = 32769/3 peak 32769");
	assert_int_equal(restore(*state, T2), 0);
	assert_int_equal(sums_of(*state).ranges, 32767 + 4);
	assert_site(*state, A, "32770/4 - 0/0 = 32770/4 peak 32770");
	removes(*state, T1, 0, 40000);
	assert_site(*state, A, "32770/4 - 32770/4 = 0/0 peak 32770");
	assert_site(*state, B, "16383/16383 - 0/0 = 16383/16383 peak 16383");
}

static void a_range_of_which_a_piece_may_come_back_is_not_joined_to_another(void **state)
{
	add(*state, T1, A, 8, 2);
	add(*state, T1, A, 10, 4);
	removes(*state, T2, 12, 2);
	for (uint64_t i = 0; i < 65534; i++)
		add(*state, T1, B, 1000 + 2 * i, 1);
	assert_int_equal(sums_of(*state).ranges, 65536);
	assert_site(*state, A, "6/2 - 2/0 = 4/2 peak 6");
	assert_int_equal(restore(*state, T2), 0);
	assert_int_equal(sums_of(*state).ranges, 65536);
	assert_site(*state, A, "6/2 - 0/0 = 6/2 peak 6");
	removes(*state, T1, 0, 100);
	assert_site(*state, A, "6/2 - 6/2 = 0/0 peak 6");
	/* Nothing could be joined: the next time is at twice as many. */
	add(*state, T1, A, 8, 1);
	add(*state, T1, A, 9, 1);
	add(*state, T1, A, 10, 1);
	assert_int_equal(sums_of(*state).ranges, 65537);
	assert_string_equal(check_set(*state, false) ? check_set(*state, false) : "", "");
}

static void segments_are_not_joined_to_what_is_beside(void **state)
{
	struct hb_ev_map ev = event(HB_MAP_ADD, T1);

	ev.stack = A;
	ev.bytes = PAGE;
	for (uint64_t i = 1; i <= 65536; i++) {
		ev.marks = i % 2 ? HB_MAP_SHM : 0;
		ev.addr = i * PAGE;
		vma_apply(*state, &ev);
	}
	assert_int_equal(sums_of(*state).ranges, 65536);
	ev.op = HB_MAP_DETACH;
	ev.addr = 3 * PAGE;
	assert_int_equal(vma_apply(*state, &ev), 0);
	assert_site(*state, A, "65536/65536 - 1/1 = 65535/65535 peak 65536");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vma_test(a_first_list_is_all_from_before),
		vma_test(a_list_keeps_owners_and_sets_protection),
		vma_test(what_a_list_lacks_counts_as_freed),
		vma_test(a_list_raises_no_peak),
		vma_test(a_list_that_cannot_be_changes_nothing),
		vma_test(the_stack_is_where_the_list_has_it),
		vma_test(a_segment_stays_attached),
		vma_test(the_lists_heap_tells_where_the_break_was),
		vma_test(what_was_mapped_behind_the_readers_back_stays),
		vma_test(what_was_unmapped_behind_the_readers_back_does_not_come_again),
		vma_test(a_removal_that_failed_gives_its_range_back_to_its_owner),
		vma_test(a_removal_that_failed_while_the_list_was_read_hides_nothing_of_it),
		vma_test(a_removal_of_long_ago_that_failed_has_lost_its_owner),
		vma_test(what_moved_while_the_list_was_read_keeps_its_owner_wherever_the_list_has_it),
		vma_test(a_mremap_under_way_goes_on_and_counts_twice_where_the_list_has_its_new_place),
		vma_test(what_a_mremap_under_way_moves_is_in_doubt_and_not_what_is_beside_it),
		vma_test(what_is_listed_twice_while_it_moves_is_told),
		vma_test(what_moves_in_a_set_that_was_untrue_is_not_made_right),
		vma_test(a_break_that_cannot_be_hides_nothing),
		vma_test(a_mremap_whose_end_was_dropped_is_where_the_list_has_it),
		vma_test(protections_are_the_events_where_they_changed_and_else_the_lists),
		vma_test(a_protection_of_what_was_not_known_yet_is_the_events_and_the_rest_the_lists),
		vma_test(a_segment_that_went_while_the_list_was_read_is_as_long_as_its_line),
		vma_test(a_list_that_is_ahead_of_the_break_takes_nothing_from_its_caller),
		vma_test(a_list_that_is_behind_the_break_changes_nothing_of_the_heap),
		vma_test(the_break_and_the_stack_follow),
		vma_test(a_forked_child_begins_with_all_ranges_and_owes_nobody),
		vma_test(a_fork_during_a_mremap_does_not_tell_enough),
		vma_test(the_difference_is_what_one_has_and_the_other_lacks),
		vma_test(from_65536_parts_on_neighbours_of_one_site_become_one),
		vma_test(a_range_of_which_a_piece_may_come_back_is_not_joined_to_another),
		vma_test(segments_are_not_joined_to_what_is_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
