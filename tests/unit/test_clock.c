// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/base/clock.h"

static void expect_time(int64_t unix_ns, const char *text)
{
	char out[32];

	memset(out, 'x', sizeof(out));
	clock_rfc3339(unix_ns, out);
	assert_string_equal(out, text);
}

static void times_are_utc_with_milliseconds(void **state)
{
	(void)state;
	expect_time(0, "1970-01-01T00:00:00.000Z");
	expect_time(1795295111123456789, "2026-11-21T21:05:11.123Z");
	expect_time(951782400000000000, "2000-02-29T00:00:00.000Z");
}

static void milliseconds_are_cut_and_not_rounded(void **state)
{
	(void)state;
	expect_time(999999999, "1970-01-01T00:00:00.999Z");
}

static void times_before_1970_count_towards_the_past(void **state)
{
	(void)state;
	expect_time(-1, "1969-12-31T23:59:59.999Z");
	expect_time(-1000000000, "1969-12-31T23:59:59.000Z");
}

static void the_ends_of_64_bits_are_times_too(void **state)
{
	(void)state;
	expect_time(INT64_MAX, "2262-04-11T23:47:16.854Z");
	expect_time(INT64_MIN, "1677-09-21T00:12:43.145Z");
}

static void the_monotonic_clock_never_goes_back(void **state)
{
	uint64_t first = clock_mono_ns();

	(void)state;
	assert_true(first > 0);
	assert_true(clock_mono_ns() >= first);
	assert_true(clock_unix_ns() > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_utc_with_milliseconds),
		cmocka_unit_test(milliseconds_are_cut_and_not_rounded),
		cmocka_unit_test(times_before_1970_count_towards_the_past),
		cmocka_unit_test(the_ends_of_64_bits_are_times_too),
		cmocka_unit_test(the_monotonic_clock_never_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
