// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/report.h"

static void a_process_is_found_by_its_generation_in_any_order(void **state)
{
	static const struct process_info processes[] = {
		{ .gen = 0x80000001, .pid = 10 }, { .gen = 7, .pid = 20 }, { .gen = 3, .pid = 30 },
		{ .gen = 0xffffffff, .pid = 40 }, { .gen = 5, .pid = 50 },
	};
	const struct report report = { .processes = processes, .processes_count = 5 };
	struct report_owners owners;
	size_t i;

	(void)state;
	assert_int_equal(report_owners_init(&owners, &report), 0);
	for (i = 0; i < 5; i++)
		assert_ptr_equal(report_owners_find(&owners, processes[i].gen), &processes[i]);
	assert_null(report_owners_find(&owners, 4));
	assert_null(report_owners_find(&owners, 1));
	assert_null(report_owners_find(&owners, 0x80000000));
	report_owners_release(&owners);
	assert_null(report_owners_find(&owners, 7));
}

static void generation_zero_is_nobody(void **state)
{
	static const struct process_info waiting = { .gen = 0, .pid = 10 };
	const struct report report = { .processes = &waiting, .processes_count = 1 };
	struct report_owners owners;

	(void)state;
	assert_int_equal(report_owners_init(&owners, &report), 0);
	assert_null(report_owners_find(&owners, 0));
	report_owners_release(&owners);
}

static void a_report_without_processes_has_no_owners(void **state)
{
	const struct report report = { 0 };
	struct report_owners owners;

	(void)state;
	assert_int_equal(report_owners_init(&owners, &report), 0);
	assert_null(report_owners_find(&owners, 1));
	report_owners_release(&owners);
}

static void a_blind_process_is_seen_once_it_allocated(void **state)
{
	struct process_info process = { .gen = 1, .pid = 1 };

	(void)state;
	assert_true(report_sees(&process));
	process.blind = "no symbol";
	assert_false(report_sees(&process));
	process.allocated_count = 1;
	assert_true(report_sees(&process));
}

static void lost_dropped_and_missed_make_a_report_approximate_and_notes_do_not(void **state)
{
	static const size_t exact[] = { HB_CNT_FREE_UNKNOWN, HB_CNT_ABANDONED, HB_CNT_STACK_FULL,
					HB_CNT_BLOCKS_IN, LOSS_FORGOTTEN };
	static const size_t rough[] = { HB_CNT_BLOCK_FULL, HB_CNT_RING_FULL, HB_CNT_FREE_MISSED,
					LOSS_MAP_EVENTS, LOSS_LATE_ATTACH };
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		struct report report = { 0 };

		report.losses.counts[exact[i]] = 1;
		assert_false(report_approximate(&report));
		report.losses.counts[rough[i]] = 1;
		assert_true(report_approximate(&report));
	}
}

static void dropped_changes_of_mappings_make_sums_of_mappings_approximate(void **state)
{
	struct report report = { 0 };
	struct board_row mapped = { .source = HB_SRC_MMAP }, taken = { .source = HB_SRC_MALLOC };

	(void)state;
	assert_false(report_lossy(&report));
	assert_false(report_row_approximate(&report, &mapped));
	report.losses.counts[HB_CNT_MAP_RING_FULL] = 3;
	assert_true(report_lossy(&report));
	assert_false(report_approximate(&report));
	assert_true(report_row_approximate(&report, &mapped));
	assert_false(report_row_approximate(&report, &taken));
	report.losses.counts[HB_CNT_RING_FULL] = 1;
	assert_true(report_approximate(&report));
	assert_true(report_row_approximate(&report, &taken));
}

static void walks_are_counted_however_they_ended(void **state)
{
	struct report_stacks stacks = { 0 };

	(void)state;
	assert_int_equal(report_walks(&stacks), 0);
	stacks.ended[HB_END_COMPLETE] = 100;
	stacks.ended[HB_END_LAST - 1] = 7;
	assert_int_equal(report_walks(&stacks), 107);
}

static void words_are_those_of_the_command_line(void **state)
{
	(void)state;
	assert_string_equal(report_source_name(HB_SRC_MALLOC), "malloc");
	assert_string_equal(report_source_name(HB_SRC_DIRECT), "direct");
	assert_null(report_source_name(0));
	assert_null(report_source_name(HB_SRC_END));
	assert_null(report_source_name(UINT32_MAX));
	assert_string_equal(report_sort_name(SORT_OUTSTANDING), "outstanding");
	assert_string_equal(report_sort_name(SORT_PEAK), "peak");
	assert_string_equal(report_group_name(GROUP_SITE), "site");
	assert_string_equal(report_group_name(GROUP_CONTAINER), "container");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_found_by_its_generation_in_any_order),
		cmocka_unit_test(generation_zero_is_nobody),
		cmocka_unit_test(a_report_without_processes_has_no_owners),
		cmocka_unit_test(a_blind_process_is_seen_once_it_allocated),
		cmocka_unit_test(lost_dropped_and_missed_make_a_report_approximate_and_notes_do_not),
		cmocka_unit_test(dropped_changes_of_mappings_make_sums_of_mappings_approximate),
		cmocka_unit_test(walks_are_counted_however_they_ended),
		cmocka_unit_test(words_are_those_of_the_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
