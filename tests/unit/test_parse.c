// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../user/base/parse.h"

static int u64_error(const char *text)
{
	uint64_t value;

	return parse_u64(text, &value);
}

static uint64_t bytes_of(const char *text)
{
	uint64_t bytes = 1;

	assert_int_equal(parse_bytes(text, &bytes), 0);
	return bytes;
}

static int bytes_error(const char *text)
{
	uint64_t bytes;

	return parse_bytes(text, &bytes);
}

static double seconds_of(const char *text)
{
	double seconds = -1;

	assert_int_equal(parse_seconds(text, &seconds), 0);
	return seconds;
}

static int seconds_error(const char *text)
{
	double seconds;

	return parse_seconds(text, &seconds);
}

static int pids_error(const char *text)
{
	pid_t *pids;
	size_t count;

	return parse_pids(text, &pids, &count);
}

static void a_decimal_number_is_taken_up_to_the_last_bit(void **state)
{
	uint64_t value = 1;

	(void)state;
	assert_int_equal(parse_u64("0", &value), 0);
	assert_true(value == 0);
	assert_int_equal(parse_u64("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(u64_error("18446744073709551616"), -ERANGE);
	assert_int_equal(u64_error("99999999999999999999999"), -ERANGE);
}

static void a_number_with_anything_around_it_is_refused(void **state)
{
	static const char *const texts[] = {
		"", " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "one",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(u64_error(texts[i]), -EINVAL);
}

static void a_failed_parse_leaves_the_value_alone(void **state)
{
	uint64_t value = 42;
	double seconds = 42;

	(void)state;
	assert_int_equal(parse_u64("7x", &value), -EINVAL);
	assert_int_equal(parse_bytes("7x", &value), -EINVAL);
	assert_true(value == 42);
	assert_int_equal(parse_seconds("7x", &seconds), -EINVAL);
	assert_true(seconds == 42);
}

static void byte_suffixes_are_powers_of_1024(void **state)
{
	(void)state;
	assert_true(bytes_of("4096") == 4096);
	assert_true(bytes_of("512B") == 512);
	assert_true(bytes_of("64K") == 65536);
	assert_true(bytes_of("64k") == 65536);
	assert_true(bytes_of("64KiB") == 65536);
	assert_true(bytes_of("3MiB") == 3145728);
	assert_true(bytes_of("2G") == 2147483648);
	assert_true(bytes_of("1T") == 1099511627776);
	assert_true(bytes_of("1P") == 1125899906842624);
	assert_true(bytes_of("15E") == 15ULL << 60);
}

static void fractions_of_a_unit_are_exact(void **state)
{
	(void)state;
	assert_true(bytes_of("1.5M") == 1572864);
	assert_true(bytes_of("0.5K") == 512);
	assert_true(bytes_of("0.1K") == 102);
	assert_true(bytes_of("1.0009765625K") == 1024); /* digits beyond the ninth say nothing */
	assert_true(bytes_of("15.5E") == 31ULL << 59);
}

static void bytes_beyond_64_bits_are_out_of_range(void **state)
{
	(void)state;
	assert_int_equal(bytes_error("16E"), -ERANGE);
	assert_int_equal(bytes_error("18446744073709551615K"), -ERANGE);
	assert_int_equal(bytes_error("18446744073709551616"), -ERANGE);
}

static void half_bytes_and_strange_units_are_refused(void **state)
{
	static const char *const texts[] = {
		"", "1.5", "1.5B", "1.", ".5K", "K", "1KB", "1KiBs", "1X", "1 K", "-1K", "1.-5K",
		"1iB",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(bytes_error(texts[i]), -EINVAL);
}

static void seconds_take_their_unit(void **state)
{
	(void)state;
	assert_true(seconds_of("0") == 0);
	assert_true(seconds_of("5") == 5);
	assert_true(seconds_of("0.5") == 0.5);
	assert_true(seconds_of("30s") == 30);
	assert_true(seconds_of("500ms") == 0.5);
	assert_true(seconds_of("2m") == 120);
	assert_true(seconds_of("1.5h") == 5400);
	assert_true(seconds_of("1000000000") == 1e9);
}

static void seconds_of_no_sense_are_refused(void **state)
{
	static const char *const texts[] = {
		"", "s", "-1", "1us", "1 s", "inf", "nan", "0x1p3", "1,5", "1.",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(seconds_error(texts[i]), -EINVAL);
	assert_int_equal(seconds_error("1000000001"), -ERANGE);
	assert_int_equal(seconds_error("300000h"), -ERANGE);
}

static void percentages_may_say_so(void **state)
{
	double percent = -1;

	(void)state;
	assert_int_equal(parse_percent("5", &percent), 0);
	assert_true(percent == 5);
	assert_int_equal(parse_percent("0.25%", &percent), 0);
	assert_true(percent == 0.25);
	assert_int_equal(parse_percent("250%", &percent), 0);
	assert_true(percent == 250);
	assert_int_equal(parse_percent("0", &percent), -EINVAL);
	assert_int_equal(parse_percent("5%%", &percent), -EINVAL);
	assert_int_equal(parse_percent("-1", &percent), -EINVAL);
	assert_int_equal(parse_percent("", &percent), -EINVAL);
	assert_true(percent == 250);
}

static void pids_are_listed_once_in_their_order(void **state)
{
	pid_t *pids = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(parse_pids("56,12,56,4194304,12", &pids, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(pids[0], 56);
	assert_int_equal(pids[1], 12);
	assert_int_equal(pids[2], 4194304);
	free(pids);
}

static void a_list_of_pids_has_no_holes(void **state)
{
	static const char *const texts[] = { "", ",", "1,", ",1", "1,,2", "0", "-1", "1 2", "1,x" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(pids_error(texts[i]), -EINVAL);
	assert_int_equal(pids_error("1,4194305"), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decimal_number_is_taken_up_to_the_last_bit),
		cmocka_unit_test(a_number_with_anything_around_it_is_refused),
		cmocka_unit_test(a_failed_parse_leaves_the_value_alone),
		cmocka_unit_test(byte_suffixes_are_powers_of_1024),
		cmocka_unit_test(fractions_of_a_unit_are_exact),
		cmocka_unit_test(bytes_beyond_64_bits_are_out_of_range),
		cmocka_unit_test(half_bytes_and_strange_units_are_refused),
		cmocka_unit_test(seconds_take_their_unit),
		cmocka_unit_test(seconds_of_no_sense_are_refused),
		cmocka_unit_test(percentages_may_say_so),
		cmocka_unit_test(pids_are_listed_once_in_their_order),
		cmocka_unit_test(a_list_of_pids_has_no_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
