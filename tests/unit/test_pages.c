// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../bpf/record.h"
#include "../../user/model/pages.h"

#define PAGE  4096u
#define BLOCK (64ull * PAGE)
#define A     11u
#define B     22u

static struct page_site *find(struct page_site *sites, size_t count, uint64_t stack)
{
	for (size_t i = 0; i < count; i++) {
		if (sites[i].stack == stack)
			return &sites[i];
	}
	return NULL;
}

static void every_aligned_block_of_64_has_one_sampled_page(void **state)
{
	uint64_t places = 0;

	(void)state;
	for (uint64_t block = 0x7f1234500; block < 0x7f1234500 + 4096; block++) {
		unsigned int sampled = 0;

		for (uint64_t page = block * 64; page < block * 64 + 64; page++) {
			if (hb_page_sampled(page, 12345)) {
				sampled++;
				places |= 1ull << (page & 63);
			}
		}
		assert_int_equal(sampled, 1);
	}
	assert_int_equal(places, UINT64_MAX); /* each place is drawn */
}

static void a_coarser_sample_has_one_page_of_each_larger_block_and_lies_inside_the_finer(void **state)
{
	(void)state;
	for (uint32_t shift = 7; shift <= 12; shift++) {
		for (uint64_t block = 77; block < 77 + 64; block++) {
			unsigned int kept = 0;

			for (uint64_t page = block << shift; page < (block + 1) << shift; page++) {
				if (!hb_page_sampled(page, 99) || !hb_page_kept(page, 99, shift))
					continue;
				kept++;
				assert_true(hb_page_kept(page, 99, shift - 1));
			}
			assert_int_equal(kept, 1);
		}
	}
}

static void every_sampled_page_is_in_the_finest_sample(void **state)
{
	(void)state;
	for (uint64_t page = 0; page < 100000; page++)
		assert_true(hb_page_kept(page, 7, HB_SAMPLE_SHIFT));
}

static void another_seed_draws_other_pages(void **state)
{
	unsigned int same = 0;

	(void)state;
	for (uint64_t page = 0; page < 64 * 1024; page++)
		same += hb_page_sampled(page, 1) && hb_page_sampled(page, 0xdeadbeefcafe);
	assert_true(same < 64); /* 16 of 1,024 would be chance */
}

static void a_sampled_page_stands_for_its_block_and_a_run_for_one_block_of_error(void **state)
{
	struct page_record records[8] = { 0 };
	struct page_site *sites;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		records[i] = (struct page_record){ .page = i * 64 + 5, .stack = A, .shift = 6, .resident = 1,
						   .time_ns = 100 - i };
	count = pages_settle(records, 8);
	assert_int_equal(count, 8);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(sites[0].bytes, 8 * BLOCK);
	assert_int_equal(sites[0].sampled_count, 8);
	assert_int_equal(sites[0].oldest_ns, 93);
	assert_int_equal(sites[0].error_bytes, 260088); /* sqrt(1 - 1/64) blocks */
	free(sites);
}

static void a_granule_stands_for_a_block_of_granules_by_what_of_it_is_resident(void **state)
{
	struct page_record records[8] = { 0 };
	struct page_site *sites;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		records[i] = (struct page_record){ .page = (i * 64 + 5) * 16, .stack = A, .shift = 6, .granule = 4,
						   .resident = 16 };
	count = pages_settle(records, 8);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(sites[0].bytes, 8 * 16 * BLOCK);
	assert_int_equal(sites[0].error_bytes, 4161407); /* sqrt(1 - 1/64) blocks of granules */
	free(sites);

	records[3].resident = 4;
	records[3].swapped = 12;
	assert_int_equal(pages_estimate(records, 8, PAGE, &sites, &count), 0);
	assert_int_equal(sites[0].bytes, 7 * 16 * BLOCK + 4 * BLOCK);
	assert_int_equal(sites[0].swapped_bytes, 12 * BLOCK);
	assert_int_equal(sites[0].error_bytes, 5976366); /* two runs, and the one between: sqrt(2 * 16 * 16 + 4 * 4) */
	free(sites);
}

static void what_a_child_touches_takes_the_place_of_its_parents_record(void **state)
{
	struct page_record records[4] = {
		{ .page = 5, .stack = A, .shift = 11, .depth = 1, .resident = 1 },
		{ .page = 5, .stack = B, .shift = 7, .present = true, .resident = 1 },
		{ .page = 2205, .stack = A, .shift = 7, .depth = 1, .resident = 1 },
		{ .page = 2205, .stack = B, .shift = 11, .present = true, .resident = 1 },
	};
	struct page_site *sites;
	size_t count = pages_settle(records, 4);

	(void)state;
	assert_int_equal(count, 2);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(sites[0].stack, B);
	assert_int_equal(sites[0].bytes, (128 + 2048) * PAGE);
	assert_int_equal(sites[0].sampled_count, 2);
	free(sites);
}

static void a_record_that_stands_for_more_than_a_huge_page_takes_from_all_of_its_site(void **state)
{
	struct page_record records[6] = {
		{ .page = 512, .stack = A, .order = 9, .time_ns = 1, .resident = 512 },
		{ .page = 700, .stack = B, .shift = 11, .time_ns = 2, .resident = 1 },
		{ .page = 1024, .stack = A, .order = 9, .time_ns = 1, .resident = 512 },
		{ .page = 1536, .stack = A, .order = 9, .time_ns = 1, .resident = 512 },
		{ .page = 2048, .stack = A, .order = 9, .time_ns = 1, .resident = 512 },
		{ .page = 2560, .stack = A, .order = 9, .time_ns = 1, .resident = 512 },
	};
	struct page_site *sites, *a;
	size_t count = pages_settle(records, 6), few;

	(void)state;
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &few), 0);
	assert_int_equal(few, 2);
	a = find(sites, few, A);
	assert_non_null(a);
	assert_int_equal(a->bytes, (5 * 512 - 2048) * PAGE);
	assert_int_equal(a->error_bytes, 2048 * PAGE); /* which of them it was is not known */
	assert_int_equal(find(sites, few, B)->bytes, 2048 * PAGE);
	free(sites);

	assert_int_equal(pages_estimate(records, 2, PAGE, &sites, &few), 0);
	assert_int_equal(find(sites, few, A)->bytes, 0); /* not less than nothing */
	free(sites);
}

static void two_sites_in_turns_have_an_error_of_a_block_for_each_turn(void **state)
{
	struct page_record records[32] = { 0 };
	struct page_site *sites, *a;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 32; i++)
		records[i] = (struct page_record){ .page = i * 64, .stack = i & 1 ? A : B, .shift = 6, .resident = 1 };
	count = pages_settle(records, 32);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(count, 2);
	a = find(sites, count, A);
	assert_non_null(a);
	assert_int_equal(a->bytes, 16 * BLOCK);
	assert_int_equal(a->error_bytes, 1040352); /* four times that of one run */
	free(sites);
}

static void pages_that_are_gone_are_nobodys_and_swapped_ones_are_told_apart(void **state)
{
	struct page_record records[3] = {
		{ .page = 0, .stack = A, .shift = 6 },
		{ .page = 64, .stack = A, .shift = 6, .swapped = 1 },
		{ .page = 128, .stack = B, .shift = 6 },
	};
	struct page_site *sites;
	size_t count = pages_settle(records, 3);

	(void)state;
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(sites[0].stack, A);
	assert_int_equal(sites[0].bytes, 0);
	assert_int_equal(sites[0].swapped_bytes, BLOCK);
	assert_int_equal(sites[0].sampled_count, 0);
	free(sites);
}

static void a_child_owns_what_it_touched_and_inherits_the_rest(void **state)
{
	struct page_record records[3] = {
		{ .page = 10, .stack = A, .shift = 6, .resident = 1, .depth = 1 },
		{ .page = 10, .stack = B, .shift = 6, .resident = 1 },
		{ .page = 74, .stack = A, .shift = 6, .resident = 1, .depth = 1 },
	};
	struct page_site *sites;
	size_t count = pages_settle(records, 3);

	(void)state;
	assert_int_equal(count, 2);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(find(sites, count, A)->bytes, BLOCK);
	assert_int_equal(find(sites, count, B)->bytes, BLOCK);
	free(sites);
}

static void a_huge_page_is_exact_and_stands_for_older_records_inside_it(void **state)
{
	struct page_record records[3] = {
		{ .page = 600, .stack = A, .shift = 6, .resident = 1, .time_ns = 10 },
		{ .page = 512, .stack = B, .order = 9, .resident = 512, .time_ns = 20 },
		{ .page = 1100, .stack = A, .shift = 6, .resident = 1, .time_ns = 10 },
	};
	struct page_site *sites;
	size_t count = pages_settle(records, 3);

	(void)state;
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(find(sites, count, B)->bytes, 2 << 20);
	assert_int_equal(find(sites, count, B)->error_bytes, 0);
	assert_int_equal(find(sites, count, A)->bytes, BLOCK);
	free(sites);
}

static void pages_touched_one_by_one_later_are_not_the_huge_pages_any_more(void **state)
{
	struct page_record records[9] = { { .page = 512, .stack = B, .order = 9, .resident = 512, .time_ns = 20 } };
	struct page_site *sites;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		records[1 + i] = (struct page_record){ .page = 512 + i * 64, .stack = A, .shift = 6, .resident = 1,
						       .time_ns = 30 };
	count = pages_settle(records, 9);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(count, 1); /* nothing is left of it */
	assert_int_equal(sites[0].stack, A);
	assert_int_equal(sites[0].bytes, 2 << 20);
	free(sites);
}

/* What the site A holds of @records after @moves, in blocks of 64 pages. */
static uint64_t blocks_of_a(struct page_record *records, size_t count, struct page_move *moves, size_t moves_count)
{
	struct page_site *sites, *a;
	uint64_t bytes;

	pages_follow(records, count, moves, moves_count);
	count = pages_settle(records, count);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	a = find(sites, count, A);
	bytes = a ? a->bytes : 0;
	free(sites);
	return bytes / BLOCK;
}

static void a_record_follows_the_moves_that_came_after_it_and_no_others(void **state)
{
	struct page_move moves[] = {
		{ .from = 0, .to = 1000, .pages = 128, .time_ns = 10 },
		{ .from = 0, .to = 5000, .pages = 128, .time_ns = 20 },
		{ .from = 1064, .to = 9000, .pages = 64, .time_ns = 30 },
	};
	struct page_record records[] = {
		{ .page = 5, .time_ns = 1 }, { .page = 70, .time_ns = 1 }, { .page = 127, .time_ns = 15 },
		{ .page = 128, .time_ns = 1 }, { .page = 5, .time_ns = 25 },
	};

	(void)state;
	pages_follow(records, 5, moves, 3);
	assert_int_equal(records[0].page, 1005);
	assert_int_equal(records[0].from, 5);
	assert_int_equal(records[1].page, 9006);
	assert_int_equal(records[1].from, 70);
	assert_int_equal(records[1].moved_ns, 10);
	assert_int_equal(records[2].page, 5127);
	assert_int_equal(records[3].page, 128);
	assert_int_equal(records[3].moved_ns, 0);
	assert_int_equal(records[4].page, 5);
	assert_true(moves[0].used && moves[1].used && moves[2].used);
}

static void what_was_inherited_moves_with_the_child_and_what_the_parent_moves_later_does_not(void **state)
{
	struct page_move moves[] = {
		{ .from = 0, .to = 1000, .pages = 64, .time_ns = 10, .depth = 1 },
		{ .from = 1000, .to = 2000, .pages = 64, .time_ns = 20, .depth = 0 },
		{ .from = 64, .to = 3000, .pages = 64, .time_ns = 30, .depth = 1 },
	};
	struct page_record records[] = {
		{ .page = 5, .time_ns = 1, .depth = 1 }, { .page = 70, .time_ns = 15, .depth = 0 },
	};

	(void)state;
	pages_follow(records, 2, moves, 3);
	assert_int_equal(records[0].page, 2005);
	assert_int_equal(records[1].page, 70);
	assert_false(moves[2].used);
}

static void a_page_that_was_moved_stands_for_its_block_beside_what_took_its_place(void **state)
{
	struct page_move move = { .from = 0, .to = 1000, .pages = 128, .time_ns = 10 };
	struct page_record records[] = {
		{ .page = 5, .time_ns = 1, .stack = A, .shift = 6, .resident = 1, .aside = 1 },
		{ .page = 70, .time_ns = 1, .stack = A, .shift = 6, .resident = 1, .aside = 1 },
		{ .page = 5, .time_ns = 11, .stack = B, .shift = 6, .resident = 1 },
		{ .page = 70, .time_ns = 11, .stack = B, .shift = 6, .resident = 1 },
	};

	(void)state;
	assert_int_equal(blocks_of_a(records, 4, &move, 1), 2);
}

static void runs_that_move_together_have_the_error_of_one_run(void **state)
{
	struct page_move move = { .from = 0, .to = 1000 + 17, .pages = 512, .time_ns = 10 };
	struct page_record records[8] = { 0 };
	struct page_site *sites;
	size_t count = 8;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		records[i] = (struct page_record){ .page = i * 64 + i * 9 % 64, .stack = A, .shift = 6, .resident = 1 };
	pages_follow(records, count, &move, 1);
	count = pages_settle(records, count);
	assert_int_equal(pages_estimate(records, count, PAGE, &sites, &count), 0);
	assert_int_equal(sites[0].bytes, 8 * BLOCK);
	assert_int_equal(sites[0].error_bytes, 260088);
	free(sites);
}

static void a_moved_block_that_is_touched_anew_is_of_who_touched_it_last(void **state)
{
	struct page_move move = { .from = 0, .to = 6400, .pages = 64, .time_ns = 10 };
	struct page_record records[] = {
		{ .page = 5, .time_ns = 1, .stack = A, .shift = 6, .resident = 1 },
		{ .page = 6440, .time_ns = 11, .stack = B, .shift = 6, .resident = 1 },
	};

	(void)state;
	assert_int_equal(blocks_of_a(records, 2, &move, 1), 0);
}

static void a_moved_record_ends_with_the_block_of_what_is_touched_in_its_place(void **state)
{
	/* One stands for 2,048 pages; of those that are touched anew there is one in 128, or one in 2,048 as well. */
	const struct page_record moved = { .page = 2048 + 130, .stack = A, .shift = 11, .time_ns = 1, .resident = 1,
					   .from = 130, .moved_ns = 10, .moved_to = 2048, .moved_pages = 2048 };
	struct page_record records[2] = { moved, { .page = 2048 + 300, .stack = B, .shift = 7, .time_ns = 20,
						   .resident = 1 } };

	(void)state;
	assert_int_equal(pages_settle(records, 2), 2);
	records[1].page = 2048 + 200;
	assert_int_equal(pages_settle(records, 2), 1);
	assert_int_equal(records[0].stack, B);
	records[0] = moved;
	records[1] = (struct page_record){ .page = 2048 + 1300, .stack = B, .shift = 11, .time_ns = 20, .resident = 1 };
	assert_int_equal(pages_settle(records, 2), 1);
	assert_int_equal(records[0].stack, B);
}

static void a_moved_record_keeps_its_block_when_that_is_written_to(void **state)
{
	struct page_record records[2] = {
		{ .page = 2048 + 130, .stack = A, .shift = 11, .time_ns = 1, .resident = 1,
		  .from = 130, .moved_ns = 10, .moved_to = 2048, .moved_pages = 2048 },
		{ .page = 2048 + 1300, .stack = B, .shift = 11, .time_ns = 20, .resident = 1, .present = true },
	};
	const struct page_record moved = records[0];

	(void)state;
	assert_int_equal(pages_settle(records, 2), 1);
	assert_int_equal(records[0].stack, A);
	records[0] = moved; /* by a child that is sampled more densely */
	records[1] = (struct page_record){ .page = 2048 + 300, .stack = B, .shift = 7, .time_ns = 20, .resident = 1,
					   .present = true };
	assert_int_equal(pages_settle(records, 2), 1);
	assert_int_equal(records[0].stack, A);
}

static void a_moved_block_that_is_copied_on_write_keeps_its_owner(void **state)
{
	struct page_move move = { .from = 0, .to = 6400, .pages = 64, .time_ns = 10 };
	struct page_record records[] = {
		{ .page = 5, .time_ns = 1, .stack = A, .shift = 6, .resident = 1 },
		{ .page = 6440, .time_ns = 11, .stack = B, .shift = 6, .resident = 1, .present = true },
	};
	struct page_record same[] = { records[0], records[1] };

	(void)state;
	assert_int_equal(blocks_of_a(records, 2, &move, 1), 1);
	same[1].page = 6405; /* the very page */
	assert_int_equal(blocks_of_a(same, 2, &move, 1), 1);
}

static void what_grows_behind_a_moved_range_does_not_stand_for_it(void **state)
{
	struct page_move moves[] = {
		{ .from = 0, .to = 6400, .pages = 32, .time_ns = 10 },
		{ .from = 6400, .to = 12800, .pages = 64, .time_ns = 20 },
	};
	struct page_record records[] = {
		{ .page = 5, .time_ns = 1, .stack = A, .shift = 6, .resident = 1 },
		{ .page = 6440, .time_ns = 11, .stack = B, .shift = 6, .resident = 1 },
	};

	(void)state;
	assert_int_equal(blocks_of_a(records, 2, moves, 2), 1);
}

static void what_first_pages_lack_is_spread_over_all_sites_of_single_pages(void **state)
{
	struct page_site sites[3] = { { .error_bytes = 3000 }, { .error_bytes = 0 }, { .error_bytes = 3000 } };

	(void)state;
	pages_doubt_first(sites, 3, 4000, 8000);
	assert_int_equal(sites[0].error_bytes, 5000);
	assert_int_equal(sites[1].error_bytes, 0); /* of huge pages alone */
	assert_int_equal(sites[2].error_bytes, 5000);
	pages_doubt_first(sites, 0, 8000, 8000);
	assert_int_equal(sites[0].error_bytes, 5000);
}

static void roots_are_rounded(void **state)
{
	(void)state;
	assert_int_equal(pages_root(0), 0);
	assert_int_equal(pages_root(-1), 0);
	assert_int_equal(pages_root(1), 1);
	assert_int_equal(pages_root(2), 1);
	assert_int_equal(pages_root(3), 2);
	assert_int_equal(pages_root(1e20), 10000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_aligned_block_of_64_has_one_sampled_page),
		cmocka_unit_test(a_coarser_sample_has_one_page_of_each_larger_block_and_lies_inside_the_finer),
		cmocka_unit_test(every_sampled_page_is_in_the_finest_sample),
		cmocka_unit_test(another_seed_draws_other_pages),
		cmocka_unit_test(a_sampled_page_stands_for_its_block_and_a_run_for_one_block_of_error),
		cmocka_unit_test(a_granule_stands_for_a_block_of_granules_by_what_of_it_is_resident),
		cmocka_unit_test(what_a_child_touches_takes_the_place_of_its_parents_record),
		cmocka_unit_test(a_record_that_stands_for_more_than_a_huge_page_takes_from_all_of_its_site),
		cmocka_unit_test(two_sites_in_turns_have_an_error_of_a_block_for_each_turn),
		cmocka_unit_test(pages_that_are_gone_are_nobodys_and_swapped_ones_are_told_apart),
		cmocka_unit_test(a_child_owns_what_it_touched_and_inherits_the_rest),
		cmocka_unit_test(a_huge_page_is_exact_and_stands_for_older_records_inside_it),
		cmocka_unit_test(pages_touched_one_by_one_later_are_not_the_huge_pages_any_more),
		cmocka_unit_test(a_record_follows_the_moves_that_came_after_it_and_no_others),
		cmocka_unit_test(what_was_inherited_moves_with_the_child_and_what_the_parent_moves_later_does_not),
		cmocka_unit_test(a_page_that_was_moved_stands_for_its_block_beside_what_took_its_place),
		cmocka_unit_test(runs_that_move_together_have_the_error_of_one_run),
		cmocka_unit_test(a_moved_block_that_is_touched_anew_is_of_who_touched_it_last),
		cmocka_unit_test(a_moved_record_ends_with_the_block_of_what_is_touched_in_its_place),
		cmocka_unit_test(a_moved_record_keeps_its_block_when_that_is_written_to),
		cmocka_unit_test(a_moved_block_that_is_copied_on_write_keeps_its_owner),
		cmocka_unit_test(what_grows_behind_a_moved_range_does_not_stand_for_it),
		cmocka_unit_test(what_first_pages_lack_is_spread_over_all_sites_of_single_pages),
		cmocka_unit_test(roots_are_rounded),
	};

	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
