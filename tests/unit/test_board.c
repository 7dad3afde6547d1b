// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/board.h"

#define SECOND 1000000000ULL

/* Stacks 1 and 2 share their callsite, 3 its module, 4 lies in no file, 5 is another 4. */
#define APP(offset_, function_) { .kind = FRAME_NATIVE, .address = 0x1000 + (offset_), .function = (function_), \
				  .module = "/bin/app", .build_id = "aa", .offset = (offset_) }
static const struct frame stack_frames[][2] = {
	[1] = { APP(0x10, "parse"), APP(0x90, "main") },
	[2] = { APP(0x10, "parse"), APP(0x99, "main") },
	[3] = { APP(0x20, "load") },
	[4] = { { .kind = FRAME_UNKNOWN, .address = 0x9999 } },
	[5] = { { .kind = FRAME_UNKNOWN, .address = 0x8888 } },
};
static const size_t stack_depths[] = { 0, 2, 2, 1, 1, 1 };

static size_t frames(void *ctx, uint32_t gen, uint64_t stack, const struct frame **out)
{
	int *asked = ctx;

	(void)gen;
	(*asked)++;
	if (stack >= sizeof(stack_depths) / sizeof(stack_depths[0]))
		return 0;
	*out = stack_frames[stack];
	return stack_depths[stack];
}

static const char *container(void *ctx, uint32_t gen)
{
	(void)ctx;
	return gen == 3 ? "/other" : gen == 4 ? NULL : "/app";
}

static int asked;
static const struct board_names names = { &asked, frames, container };

/* A site that allocated @bytes in @count blocks and freed none. */
static struct board_site site(uint32_t gen, uint64_t stack, uint64_t bytes, uint64_t count)
{
	return (struct board_site){
		.key = { .gen = gen, .stack = stack, .source = HB_SRC_MALLOC },
		.totals = { .allocated_bytes = bytes, .allocated_count = count,
			    .outstanding_bytes = bytes, .peak_bytes = bytes },
	};
}

static struct board_site walked(struct board_site from, uint64_t bytes, uint64_t count,
				uint64_t born_ns)
{
	from.walked = true;
	from.held_bytes = bytes;
	from.held_count = count;
	from.oldest_born_ns = born_ns;
	return from;
}

static void update(struct board *board, uint64_t seconds, const struct board_site *sites,
		   size_t count)
{
	assert_int_equal(board_update(board, sites, count, seconds * SECOND), 0);
}

static struct board_row *rank(const struct board *board, struct board_query query, size_t want)
{
	struct board_row *rows;
	size_t count;

	asked = 0;
	assert_int_equal(board_rank(board, &query, &names, &rows, &count), 0);
	assert_int_equal(count, want);
	return rows;
}

static int setup(void **state)
{
	*state = board_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	board_free(*state);
	return 0;
}

static void a_new_board_has_no_rows(void **state)
{
	free(rank(*state, (struct board_query){ 0 }, 0));
	board_free(NULL);
}

static void the_largest_site_ranks_first_and_ties_keep_their_order(void **state)
{
	const struct board_site sites[] = {
		site(1, 1, 100, 1), site(1, 2, 0, 0), site(1, 3, 300, 1), site(1, 4, 100, 9),
	};
	struct board_row *rows;

	update(*state, 1, sites, 4);
	rows = rank(*state, (struct board_query){ .sort = SORT_OUTSTANDING }, 4);
	assert_int_equal(rows[0].stack, 3);
	assert_int_equal(rows[1].stack, 1);
	assert_int_equal(rows[2].stack, 4);
	assert_int_equal(rows[3].stack, 2);
	assert_int_equal(rows[0].rank, 1);
	assert_int_equal(rows[3].rank, 4);
	assert_int_equal(rows[3].outstanding_bytes, 0);
	free(rows);
}

static void top_cuts_rows_and_asks_for_the_frames_of_the_rest_only(void **state)
{
	const struct board_site sites[] = { site(1, 1, 1, 1), site(1, 2, 2, 1), site(1, 3, 3, 1) };
	size_t total = 0;
	struct board_row *rows;

	update(*state, 1, sites, 3);
	rows = rank(*state, (struct board_query){ .top = 2, .total = &total }, 2);
	assert_int_equal(rows[0].outstanding_bytes, 3);
	assert_int_equal(rows[1].outstanding_bytes, 2);
	assert_int_equal(rows[1].frames_count, 2);
	assert_string_equal(rows[1].frames[1].function, "main");
	assert_int_equal(total, 3);
	assert_int_equal(asked, 2);
	free(rows);
}

static void a_walked_site_shows_what_the_walk_held(void **state)
{
	struct board_site sites[] = { site(1, 1, 1000, 10), site(1, 2, 500, 5) };
	struct board_row *rows;
	struct board_sums sums;

	sites[0] = walked(sites[0], 40, 4, 7 * SECOND);
	update(*state, 10, sites, 2);
	rows = rank(*state, (struct board_query){ .now_ns = 12 * SECOND }, 2);
	assert_int_equal(rows[0].stack, 2);
	assert_int_equal(rows[0].outstanding_bytes, 500);
	assert_false(rows[0].has_age);
	assert_int_equal(rows[1].outstanding_bytes, 40);
	assert_int_equal(rows[1].outstanding_count, 4);
	assert_int_equal(rows[1].allocated_bytes, 1000);
	assert_true(rows[1].has_age);
	assert_true(rows[1].oldest_s == 5);
	free(rows);
	board_sums(*state, 1, &sums);
	assert_int_equal(sums.outstanding_bytes, 1500);
	assert_int_equal(sums.outstanding_count, 15);
}

static void a_walked_site_that_holds_nothing_has_no_age(void **state)
{
	const struct board_site sites[] = { walked(site(1, 1, 1000, 10), 0, 0, 0) };
	struct board_row *rows;

	update(*state, 10, sites, 1);
	rows = rank(*state, (struct board_query){ .now_ns = 12 * SECOND }, 1);
	assert_false(rows[0].has_age);
	assert_int_equal(rows[0].outstanding_bytes, 0);
	free(rows);
}

static void growth_is_unknown_on_the_first_look(void **state)
{
	const struct board_site sites[] = { site(1, 1, 100, 1) };
	struct board_row *rows;

	update(*state, 1, sites, 1);
	rows = rank(*state, (struct board_query){ 0 }, 1);
	assert_false(rows[0].has_growth);
	free(rows);
}

static void growth_is_the_difference_of_two_readings_by_their_time(void **state)
{
	struct board_site sites[] = { site(1, 1, 100, 1), site(1, 2, 100, 1), site(1, 3, 50, 1) };
	struct board_row *rows;

	update(*state, 1, sites, 2);
	sites[0].totals.allocated_bytes = 600;
	sites[1].totals.freed_bytes = 100;
	sites[1].totals.freed_count = 1;
	update(*state, 6, sites, 3); /* the third is new: it grew from nothing */
	rows = rank(*state, (struct board_query){ .sort = SORT_GROWTH }, 3);
	assert_int_equal(rows[0].stack, 1);
	assert_true(rows[0].has_growth);
	assert_true(rows[0].growth_bytes_per_s == 100);
	assert_int_equal(rows[1].stack, 3);
	assert_true(rows[1].growth_bytes_per_s == 10);
	assert_int_equal(rows[2].stack, 2);
	assert_true(rows[2].growth_bytes_per_s == -20);
	free(rows);
}

static void a_site_missing_from_a_reading_is_kept_without_growth(void **state)
{
	const struct board_site first[] = { site(1, 1, 100, 1), site(2, 1, 70, 1) };
	struct board_row *rows;

	update(*state, 1, first, 2);
	update(*state, 2, first + 1, 1);
	rows = rank(*state, (struct board_query){ 0 }, 2);
	assert_int_equal(rows[0].gen, 1);
	assert_int_equal(rows[0].outstanding_bytes, 100);
	assert_false(rows[0].has_growth);
	assert_true(rows[1].has_growth);
	assert_true(rows[1].growth_bytes_per_s == 0);
	free(rows);
	update(*state, 5, first, 2); /* it is back: since it was last read, four seconds ago */
	rows = rank(*state, (struct board_query){ 0 }, 2);
	assert_true(rows[0].has_growth);
	assert_true(rows[0].growth_bytes_per_s == 0);
	free(rows);
}

static void a_site_read_twice_in_one_reading_counts_once(void **state)
{
	struct board_site sites[] = { site(1, 1, 100, 1), site(1, 1, 300, 3) };
	struct board_row *rows;

	update(*state, 1, sites, 1);
	update(*state, 2, sites, 2);
	rows = rank(*state, (struct board_query){ 0 }, 1);
	assert_int_equal(rows[0].outstanding_bytes, 300);
	assert_true(rows[0].growth_bytes_per_s == 200);
	free(rows);
}

static void growth_across_a_change_of_filter_is_unknown(void **state)
{
	struct board_site sites[] = { site(1, 1, 100, 1) };
	struct board_row *rows;

	update(*state, 1, sites, 1);
	sites[0] = walked(sites[0], 10, 1, 1);
	update(*state, 2, sites, 1);
	rows = rank(*state, (struct board_query){ 0 }, 1);
	assert_false(rows[0].has_growth);
	free(rows);
}

static void more_freed_than_allocated_holds_nothing(void **state)
{
	struct board_site sites[] = { site(1, 1, 100, 1) };
	struct board_row *rows;

	sites[0].totals.freed_bytes = 200; /* the two were read while they changed */
	sites[0].totals.freed_count = 2;
	update(*state, 1, sites, 1);
	rows = rank(*state, (struct board_query){ 0 }, 1);
	assert_int_equal(rows[0].outstanding_bytes, 0);
	assert_int_equal(rows[0].outstanding_count, 0);
	free(rows);
}

static void each_sort_ranks_by_its_own_number(void **state)
{
	struct board_site sites[] = { site(1, 1, 10, 5), site(1, 2, 20, 1), site(1, 3, 30, 3) };
	const struct { enum board_sort sort; uint64_t stacks[3]; } orders[] = {
		{ SORT_OUTSTANDING, { 3, 2, 1 } }, { SORT_COUNT, { 1, 3, 2 } },
		{ SORT_ALLOCATED, { 2, 3, 1 } },   { SORT_PEAK, { 1, 2, 3 } },
		{ SORT_AGE, { 2, 1, 3 } },
	};
	size_t i, j;

	sites[0].totals.peak_bytes = 900;
	sites[1].totals.peak_bytes = 800;
	sites[1].totals.allocated_bytes = 500;
	sites[1].totals.freed_bytes = 480;
	sites[0] = walked(sites[0], 10, 5, 3 * SECOND);
	sites[1] = walked(sites[1], 20, 1, 2 * SECOND);
	update(*state, 5, sites, 3);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct board_row *rows = rank(*state, (struct board_query){
			.sort = orders[i].sort, .now_ns = 5 * SECOND }, 3);

		for (j = 0; j < 3; j++)
			assert_int_equal(rows[j].stack, orders[i].stacks[j]);
		free(rows);
	}
}

static void a_callsite_is_the_innermost_frame_of_one_process(void **state)
{
	const struct board_site sites[] = {
		site(1, 1, 10, 1), site(1, 2, 20, 1), site(1, 3, 5, 1), site(1, 4, 4, 1),
		site(1, 5, 3, 1), site(2, 1, 2, 1), site(1, HB_STACK_NONE, 1, 1),
	};
	struct board_row *rows;

	update(*state, 1, sites, 7);
	rows = rank(*state, (struct board_query){ .group = GROUP_CALLSITE }, 6);
	assert_int_equal(rows[0].outstanding_bytes, 30);
	assert_int_equal(rows[0].frames_count, 1);
	assert_string_equal(rows[0].frames[0].function, "parse");
	assert_false(rows[0].has_peak);
	assert_string_equal(rows[1].frames[0].function, "load");
	assert_true(rows[1].has_peak);
	assert_int_equal(rows[2].frames[0].address, 0x9999);
	assert_int_equal(rows[3].frames[0].address, 0x8888);
	assert_int_equal(rows[4].gen, 2);
	assert_int_equal(rows[5].frames_count, 0);
	free(rows);
}

static void a_module_row_shows_the_module_and_no_offset(void **state)
{
	const struct board_site sites[] = {
		site(1, 1, 10, 1), site(1, 3, 20, 1), site(1, 4, 4, 1), site(1, 5, 3, 1),
	};
	struct board_row *rows;

	update(*state, 1, sites, 4);
	rows = rank(*state, (struct board_query){ .group = GROUP_MODULE }, 2);
	assert_int_equal(rows[0].outstanding_bytes, 30);
	assert_int_equal(rows[0].frames_count, 1);
	assert_string_equal(rows[0].frames[0].module, "/bin/app");
	assert_string_equal(rows[0].frames[0].build_id, "aa");
	assert_null(rows[0].frames[0].function);
	assert_int_equal(rows[0].frames[0].offset, 0);
	assert_int_equal(rows[0].frames[0].kind, FRAME_NATIVE);
	assert_int_equal(rows[1].outstanding_bytes, 7);
	assert_int_equal(rows[1].frames_count, 0);
	free(rows);
}

static void sources_are_kept_apart_by_site_and_joined_by_process(void **state)
{
	struct board_site sites[] = { site(1, 1, 10, 1), site(1, 1, 20, 1), site(2, 1, 7, 1) };
	struct board_row *rows;

	sites[1].key.source = HB_SRC_DIRECT;
	update(*state, 1, sites, 3);
	rows = rank(*state, (struct board_query){ .group = GROUP_SITE }, 3);
	assert_int_equal(rows[0].source, HB_SRC_DIRECT);
	free(rows);
	rows = rank(*state, (struct board_query){ .group = GROUP_CALLSITE }, 3);
	assert_int_equal(rows[1].source, HB_SRC_MALLOC);
	free(rows);
	rows = rank(*state, (struct board_query){ .group = GROUP_PROCESS }, 2);
	assert_int_equal(rows[0].outstanding_bytes, 30);
	assert_int_equal(rows[0].source, 0);
	assert_int_equal(rows[0].frames_count, 0);
	assert_int_equal(rows[1].source, HB_SRC_MALLOC);
	assert_int_equal(rows[1].gen, 2);
	assert_int_equal(asked, 0);
	free(rows);
}

static void threads_are_rows_of_their_process(void **state)
{
	struct board_site sites[] = { site(1, 1, 10, 1), site(1, 2, 20, 1), site(1, 3, 5, 1) };
	struct board_row *rows;

	sites[0].key.tid = 71;
	sites[1].key.tid = 72;
	sites[2].key.tid = 71;
	update(*state, 1, sites, 3);
	rows = rank(*state, (struct board_query){ .group = GROUP_THREAD }, 2);
	assert_int_equal(rows[0].tid, 72);
	assert_int_equal(rows[1].tid, 71);
	assert_int_equal(rows[1].outstanding_bytes, 15);
	assert_int_equal(rows[1].gen, 1);
	free(rows);
	rows = rank(*state, (struct board_query){ .group = GROUP_SITE }, 3);
	assert_int_equal(rows[0].tid, 0);
	free(rows);
}

static void a_container_spans_processes(void **state)
{
	const struct board_site sites[] = {
		site(1, 1, 10, 1), site(2, 1, 20, 2), site(3, 1, 25, 1), site(4, 1, 1, 1),
	};
	struct board_row *rows;

	update(*state, 1, sites, 4);
	rows = rank(*state, (struct board_query){ .group = GROUP_CONTAINER }, 3);
	assert_string_equal(rows[0].label, "/app");
	assert_int_equal(rows[0].outstanding_bytes, 30);
	assert_int_equal(rows[0].outstanding_count, 3);
	assert_int_equal(rows[0].gen, 0);
	assert_string_equal(rows[1].label, "/other");
	assert_null(rows[2].label);
	free(rows);
}

static void a_group_is_as_old_as_its_oldest_block(void **state)
{
	struct board_site sites[] = {
		walked(site(1, 1, 10, 1), 10, 1, 4 * SECOND),
		walked(site(1, 2, 10, 1), 10, 1, 2 * SECOND),
		walked(site(1, 3, 10, 1), 0, 0, 0),
		site(2, 1, 5, 1),
		walked(site(2, 2, 5, 1), 5, 1, 1),
	};
	struct board_row *rows;

	update(*state, 5, sites, 5);
	rows = rank(*state, (struct board_query){ .group = GROUP_PROCESS, .now_ns = 5 * SECOND },
		    2);
	assert_true(rows[0].has_age);
	assert_true(rows[0].oldest_s == 3);
	assert_false(rows[1].has_age); /* one of its sites was not walked */
	free(rows);
}

static void one_generation_can_be_ranked_alone_and_forgotten(void **state)
{
	const struct board_site sites[] = {
		site(1, 1, 10, 1), site(2, 1, 20, 1), site(1, 2, 30, 1),
	};
	struct board_row *rows;
	struct board_sums sums;

	update(*state, 1, sites, 3);
	rows = rank(*state, (struct board_query){ .only_gen = 1 }, 2);
	assert_int_equal(rows[0].outstanding_bytes, 30);
	free(rows);
	board_forget(*state, 1);
	rows = rank(*state, (struct board_query){ 0 }, 1);
	assert_int_equal(rows[0].gen, 2);
	free(rows);
	board_sums(*state, 1, &sums);
	assert_int_equal(sums.allocated_bytes, 0);
}

static void sums_balance_over_all_sites_of_a_process(void **state)
{
	struct board_site sites[] = { site(1, 1, 1000, 10), site(1, 2, 500, 5), site(2, 1, 1, 1), site(1, 3, 9000, 4) };
	struct board_sums sums;

	sites[0].totals.freed_bytes = 300;
	sites[0].totals.freed_count = 3;
	sites[3].key.source = HB_SRC_MMAP;
	sites[3].totals.freed_bytes = 1000;
	update(*state, 1, sites, 4);
	board_sums(*state, 1, &sums);
	assert_int_equal(sums.mapped_bytes, 8000);
	assert_int_equal(sums.allocated_bytes, 1500);
	assert_int_equal(sums.allocated_count, 15);
	assert_int_equal(sums.freed_bytes, 300);
	assert_int_equal(sums.freed_count, 3);
	assert_int_equal(sums.outstanding_bytes, 1200);
	assert_int_equal(sums.outstanding_count, 12);
}

static void a_board_without_names_has_rows_without_frames(void **state)
{
	const struct board_site sites[] = { site(1, 1, 10, 1), site(1, 3, 10, 1) };
	const struct board_query query = { .group = GROUP_CALLSITE };
	struct board_row *rows;
	size_t count;

	update(*state, 1, sites, 2);
	assert_int_equal(board_rank(*state, &query, NULL, &rows, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].outstanding_bytes, 20);
	assert_int_equal(rows[0].frames_count, 0);
	free(rows);
}

static void pages_rank_by_themselves_behind_the_others_and_top_counts_each(void **state)
{
	struct board_site sites[] = {
		site(1, 1, 100, 1), site(1, 2, 0, 0), site(1, 3, 300, 1), site(1, 4, 0, 0), site(1, 5, 200, 1),
	};
	struct board_row *rows;

	sites[1] = walked(sites[1], 1000, 4, SECOND);
	sites[3] = walked(sites[3], 2000, 8, SECOND);
	sites[1].key.source = sites[3].key.source = HB_SRC_PAGES;
	update(*state, 1, sites, 5);
	rows = rank(*state, (struct board_query){ .top = 2 }, 4);
	for (size_t i = 0; i < 4; i++) {
		static const uint64_t stacks[] = { 3, 5, 4, 2 };

		assert_int_equal(rows[i].stack, stacks[i]);
		assert_int_equal(rows[i].rank, i % 2 + 1);
	}
	free(rows);
	rows = rank(*state, (struct board_query){ .top = 1 }, 2);
	assert_int_equal(rows[1].outstanding_bytes, 2000);
	free(rows);
	free(rank(*state, (struct board_query){ 0 }, 5));
	rows = rank(*state, (struct board_query){ .group = GROUP_PROCESS }, 2);
	assert_int_equal(rows[0].outstanding_bytes, 600);
	assert_int_equal(rows[1].outstanding_bytes, 3000);
	free(rows);
}

static void a_hundred_thousand_sites_are_ranked_in_order(void **state)
{
	const size_t count = 100000;
	struct board_site *sites = calloc(count, sizeof(*sites));
	struct board_row *rows;
	size_t i;

	assert_non_null(sites);
	for (i = 0; i < count; i++)
		sites[i] = site(1, 1000 + i, i * 7919 % count, 1);
	update(*state, 1, sites, count);
	update(*state, 2, sites, count);
	rows = rank(*state, (struct board_query){ .top = 20 }, 20);
	for (i = 0; i < 20; i++)
		assert_int_equal(rows[i].outstanding_bytes, count - 1 - i);
	free(rows);
	free(sites);
}

/* As after `make -j`: every process has a few sites of its own. */
static void each_of_five_thousand_processes_has_its_own_sums(void **state)
{
	enum { PROCESSES = 5000, SITES = 10000 };
	struct board_site *sites = calloc(SITES, sizeof(*sites));
	struct board_sums sums;
	size_t i;

	assert_non_null(sites);
	for (i = 0; i < SITES; i++)
		sites[i] = site(1 + i % PROCESSES, 1000 + i, 1 + i, 2);
	update(*state, 1, sites, SITES);
	update(*state, 2, sites, SITES);
	for (i = 0; i < PROCESSES; i++) {
		board_sums(*state, 1 + i, &sums);
		assert_int_equal(sums.allocated_bytes, 2 + 2 * i + PROCESSES);
		assert_int_equal(sums.allocated_count, 4);
	}
	for (i = 0; i < PROCESSES; i += 2)
		board_forget(*state, 1 + i);
	free(rank(*state, (struct board_query){ 0 }, SITES / 2));
	board_sums(*state, 1, &sums);
	assert_int_equal(sums.allocated_count, 0);
	board_sums(*state, 2, &sums);
	assert_int_equal(sums.allocated_bytes, 4 + PROCESSES);
	free(sites);
}

static void a_forgotten_process_that_is_read_again_starts_anew(void **state)
{
	const struct board_site first[] = { site(1, 1, 10, 1), site(1, 2, 20, 1) };
	const struct board_site again[] = { site(1, 2, 7, 1) };
	struct board_sums sums;

	update(*state, 1, first, 2);
	board_forget(*state, 1);
	board_forget(*state, 1);
	update(*state, 2, again, 1);
	board_sums(*state, 1, &sums);
	assert_int_equal(sums.allocated_bytes, 7);
	assert_int_equal(sums.allocated_count, 1);
	free(rank(*state, (struct board_query){ 0 }, 1));
}

/* A site of which @samples blocks are there of @before that were. */
static struct board_site sampled(struct board_site from, uint64_t before, uint64_t samples, uint64_t bytes_variance,
				 uint64_t count_variance)
{
	from.totals.sampled_count = before;
	from.totals.sampled_freed_count = before - samples;
	from.totals.bytes_variance = bytes_variance;
	from.totals.count_variance = count_variance;
	return from;
}

static void errors_of_sampled_sites_add_up_in_squares_and_their_peak_is_none(void **state)
{
	const struct board_site sites[] = {
		sampled(site(1, 1, 1000, 10), 9, 4, 900, 9),
		sampled(site(1, 2, 500, 5), 3, 3, 1600, 16),
		site(1, 3, 70, 1),
	};
	struct board *board = *state;
	struct board_sums sums;
	struct board_row *rows;

	update(board, 1, sites, 3);
	rows = rank(board, (struct board_query){ .sort = SORT_OUTSTANDING, .group = GROUP_CALLSITE }, 2);
	assert_true(rows[0].sampled);
	assert_int_equal(rows[0].sampled_count, 7);
	assert_true(rows[0].error_square == 2500);
	assert_true(rows[0].count_error_square == 25);
	assert_false(rows[1].sampled);
	free(rows);
	rows = rank(board, (struct board_query){ .sort = SORT_OUTSTANDING, .group = GROUP_SITE }, 3);
	assert_false(rows[0].has_peak);
	assert_true(rows[2].has_peak);
	free(rows);
	board_sums(board, 1, &sums);
	assert_true(sums.sampled);
	assert_true(sums.error_square == 2500);
}

static void a_variance_that_is_read_while_it_changes_is_not_below_nothing(void **state)
{
	const struct board_site sites[] = { sampled(site(1, 1, 1000, 10), 2, 1, (uint64_t)-5, (uint64_t)-1) };
	struct board *board = *state;
	struct board_row *rows;

	update(board, 1, sites, 1);
	rows = rank(board, (struct board_query){ .sort = SORT_OUTSTANDING, .group = GROUP_SITE }, 1);
	assert_true(rows[0].error_square == 0);
	assert_true(rows[0].count_error_square == 0);
	free(rows);
}

static void the_sites_of_one_source_can_be_forgotten(void **state)
{
	struct board_site sites[] = { site(1, 1, 1000, 10), site(1, 1, 5, 1), site(2, 1, 7, 1) };
	struct board *board = *state;
	struct board_row *rows;

	sites[1].key.source = HB_SRC_MMAP;
	update(board, 1, sites, 3);
	board_forget_source(board, 1, HB_SRC_MALLOC);
	rows = rank(board, (struct board_query){ .sort = SORT_OUTSTANDING, .group = GROUP_SITE }, 2);
	assert_int_equal(rows[0].outstanding_bytes, 7);
	assert_int_equal(rows[1].source, HB_SRC_MMAP);
	free(rows);
}

#define BOARD_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOARD_TEST(a_new_board_has_no_rows),
		BOARD_TEST(the_largest_site_ranks_first_and_ties_keep_their_order),
		BOARD_TEST(top_cuts_rows_and_asks_for_the_frames_of_the_rest_only),
		BOARD_TEST(a_walked_site_shows_what_the_walk_held),
		BOARD_TEST(a_walked_site_that_holds_nothing_has_no_age),
		BOARD_TEST(growth_is_unknown_on_the_first_look),
		BOARD_TEST(growth_is_the_difference_of_two_readings_by_their_time),
		BOARD_TEST(a_site_missing_from_a_reading_is_kept_without_growth),
		BOARD_TEST(a_site_read_twice_in_one_reading_counts_once),
		BOARD_TEST(growth_across_a_change_of_filter_is_unknown),
		BOARD_TEST(more_freed_than_allocated_holds_nothing),
		BOARD_TEST(each_sort_ranks_by_its_own_number),
		BOARD_TEST(a_callsite_is_the_innermost_frame_of_one_process),
		BOARD_TEST(a_module_row_shows_the_module_and_no_offset),
		BOARD_TEST(sources_are_kept_apart_by_site_and_joined_by_process),
		BOARD_TEST(threads_are_rows_of_their_process),
		BOARD_TEST(a_container_spans_processes),
		BOARD_TEST(a_group_is_as_old_as_its_oldest_block),
		BOARD_TEST(one_generation_can_be_ranked_alone_and_forgotten),
		BOARD_TEST(sums_balance_over_all_sites_of_a_process),
		BOARD_TEST(each_of_five_thousand_processes_has_its_own_sums),
		BOARD_TEST(a_forgotten_process_that_is_read_again_starts_anew),
		BOARD_TEST(a_board_without_names_has_rows_without_frames),
		BOARD_TEST(pages_rank_by_themselves_behind_the_others_and_top_counts_each),
		BOARD_TEST(a_hundred_thousand_sites_are_ranked_in_order),
		BOARD_TEST(errors_of_sampled_sites_add_up_in_squares_and_their_peak_is_none),
		BOARD_TEST(a_variance_that_is_read_while_it_changes_is_not_below_nothing),
		BOARD_TEST(the_sites_of_one_source_can_be_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
