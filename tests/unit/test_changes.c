// SPDX-License-Identifier: Apache-2.0
/* Changes that wait for a report: in order, and counted where there is no room. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../user/model/changes.h"

static void add(struct changes *changes, int first, int count)
{
	for (int i = first; i < first + count; i++) {
		const struct report_change change = { .time_unix_ns = i, .to = BUDGET_FINE };

		changes_add(changes, &change);
	}
}

static void changes_are_handed_over_once_oldest_first(void **state)
{
	struct report_change rows[REPORT_CHANGES_MAX];
	struct changes changes = { .count = 0 };

	(void)state;
	assert_int_equal(changes_take(&changes, rows, REPORT_CHANGES_MAX), 0);
	add(&changes, 1, 3);
	assert_int_equal(changes_take(&changes, rows, REPORT_CHANGES_MAX), 3);
	assert_int_equal(rows[0].time_unix_ns, 1);
	assert_int_equal(rows[2].time_unix_ns, 3);
	assert_int_equal(rows[2].to, BUDGET_FINE);
	assert_int_equal(changes_take(&changes, rows, REPORT_CHANGES_MAX), 0);
	assert_int_equal(changes.forgotten, 0);
}

static void where_there_is_no_room_the_oldest_go_and_are_counted(void **state)
{
	struct report_change rows[REPORT_CHANGES_MAX];
	struct changes changes = { .count = 0 };

	(void)state;
	add(&changes, 0, REPORT_CHANGES_MAX);
	assert_int_equal(changes.forgotten, 0);
	add(&changes, REPORT_CHANGES_MAX, 44);
	assert_int_equal(changes.forgotten, 44);
	assert_int_equal(changes_take(&changes, rows, REPORT_CHANGES_MAX), REPORT_CHANGES_MAX);
	assert_int_equal(rows[0].time_unix_ns, 44);
	assert_int_equal(rows[REPORT_CHANGES_MAX - 1].time_unix_ns, REPORT_CHANGES_MAX + 43);
}

static void what_the_taker_has_no_room_for_is_counted_as_well(void **state)
{
	struct changes changes = { .count = 0 };
	struct report_change rows[2];

	(void)state;
	add(&changes, 0, 5);
	assert_int_equal(changes_take(&changes, rows, 2), 2);
	assert_int_equal(rows[0].time_unix_ns, 3);
	assert_int_equal(rows[1].time_unix_ns, 4);
	assert_int_equal(changes.forgotten, 3);
	assert_int_equal(changes_take(&changes, rows, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_handed_over_once_oldest_first),
		cmocka_unit_test(where_there_is_no_room_the_oldest_go_and_are_counted),
		cmocka_unit_test(what_the_taker_has_no_room_for_is_counted_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
