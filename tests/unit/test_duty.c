// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/model/duty.h"

#define MS 1000000ull

static void what_was_never_read_may_be(void **state)
{
	struct duty duty = { 0 };

	(void)state;
	assert_true(duty_may(&duty, 5, false));
}

static void a_reading_of_2_ms_is_made_up_for_after_4_s(void **state)
{
	struct duty duty = { 0 };

	(void)state;
	duty_add(&duty, 100 * MS, 2 * MS);
	assert_false(duty_may(&duty, 101 * MS, false));
	assert_false(duty_may(&duty, 4100 * MS - 1, false));
	assert_true(duty_may(&duty, 4100 * MS, false));
}

static void readings_that_follow_each_other_add_up(void **state)
{
	struct duty duty = { 0 };

	(void)state;
	duty_add(&duty, 100 * MS, 2 * MS);
	duty_add(&duty, 101 * MS, MS);
	assert_false(duty_may(&duty, 6100 * MS - 1, false));
	assert_true(duty_may(&duty, 6100 * MS, false));
}

static void time_that_was_not_used_is_not_saved_up(void **state)
{
	struct duty duty = { 0 };

	(void)state;
	duty_add(&duty, 100 * MS, 1);
	duty_add(&duty, 900000 * MS, MS);
	assert_false(duty_may(&duty, 902000 * MS - 1, false));
	assert_true(duty_may(&duty, 902000 * MS, false));
}

static void all_readings_of_one_look_get_the_same_answer(void **state)
{
	struct duty duty = { 0 };

	(void)state;
	assert_true(duty_may(&duty, 10 * MS, false));
	duty_add(&duty, 11 * MS, MS);
	assert_true(duty_may(&duty, 10 * MS, false));
	assert_false(duty_may(&duty, 20 * MS, false));
	duty.free_ns = 0;
	assert_false(duty_may(&duty, 20 * MS, false));
}

static void the_last_look_may_hold_it_anyway(void **state)
{
	struct duty duty = { 0 };

	(void)state;
	duty_add(&duty, 100 * MS, 60000 * MS);
	assert_false(duty_may(&duty, 200 * MS, false));
	assert_true(duty_may(&duty, 201 * MS, true));
}

static void a_reading_without_end_is_never_made_up_for(void **state)
{
	struct duty duty = { 0 };

	(void)state;
	duty_add(&duty, 100 * MS, UINT64_MAX / 2);
	duty_add(&duty, 100 * MS, UINT64_MAX / 2);
	assert_false(duty_may(&duty, UINT64_MAX - 1, false));
}

static void over_an_hour_of_looks_half_a_thousandth_of_it_is_spent(void **state)
{
	struct duty duty = { 0 };
	uint64_t spent_ns = 0;

	(void)state;
	for (uint64_t now_ns = MS; now_ns < 3600000 * MS; now_ns += 100 * MS) {
		if (!duty_may(&duty, now_ns, false))
			continue;
		duty_add(&duty, now_ns + 7 * MS, 7 * MS);
		spent_ns += 7 * MS;
	}
	assert_in_range(spent_ns, 1750 * MS, 1800 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_never_read_may_be),
		cmocka_unit_test(a_reading_of_2_ms_is_made_up_for_after_4_s),
		cmocka_unit_test(readings_that_follow_each_other_add_up),
		cmocka_unit_test(time_that_was_not_used_is_not_saved_up),
		cmocka_unit_test(all_readings_of_one_look_get_the_same_answer),
		cmocka_unit_test(the_last_look_may_hold_it_anyway),
		cmocka_unit_test(a_reading_without_end_is_never_made_up_for),
		cmocka_unit_test(over_an_hour_of_looks_half_a_thousandth_of_it_is_spent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
