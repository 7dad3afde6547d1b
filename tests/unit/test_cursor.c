// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/symbol/cursor.h"

#define ON(...) cursor_on((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void numbers_are_read_one_behind_the_other(void **state)
{
	struct cursor cursor = ON(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19);

	(void)state;
	assert_int_equal(cursor_u8(&cursor), 1);
	assert_int_equal(cursor_number(&cursor, 1), 2);
	assert_int_equal(cursor_number(&cursor, 2), 0x0403);
	assert_int_equal(cursor_number(&cursor, 3), 0x070605);
	assert_int_equal(cursor_number(&cursor, 4), 0x0b0a0908);
	assert_int_equal(cursor_number(&cursor, 8), 0x131211100f0e0d0c);
	assert_int_equal(cursor_left(&cursor), 0);
	assert_false(cursor.bad);
}

static void past_the_end_all_is_zero_and_bad_for_good(void **state)
{
	struct cursor cursor = ON(1, 2, 3);

	(void)state;
	assert_int_equal(cursor_number(&cursor, 4), 0);
	assert_true(cursor.bad);
	assert_int_equal(cursor_left(&cursor), 0);
	assert_int_equal(cursor_u8(&cursor), 0);
	assert_int_equal(cursor_uleb(&cursor), 0);
	assert_int_equal(cursor_sleb(&cursor), 0);
	assert_null(cursor_string(&cursor));
	cursor_skip(&cursor, 0);
	assert_true(cursor.bad);
	cursor = ON(1, 2, 3);
	cursor_skip(&cursor, UINT64_MAX);
	assert_true(cursor.bad);
	cursor = ON(1, 2, 3, 4, 5, 6, 7, 8);
	assert_int_equal(cursor_number(&cursor, 5), 0);
	assert_true(cursor.bad);
}

static void leb_numbers_are_those_of_the_standard(void **state)
{
	struct cursor cursor = ON(2, 0x7f, 0x80, 1, 0x81, 1, 0xb9, 0x64);

	(void)state;
	assert_int_equal(cursor_uleb(&cursor), 2);
	assert_int_equal(cursor_uleb(&cursor), 127);
	assert_int_equal(cursor_uleb(&cursor), 128);
	assert_int_equal(cursor_uleb(&cursor), 129);
	assert_int_equal(cursor_uleb(&cursor), 12857);
	cursor = ON(2, 0x7e, 0xff, 0, 0x81, 0x7f, 0x80, 0x7f, 0xff, 0x7e);
	assert_int_equal(cursor_sleb(&cursor), 2);
	assert_int_equal(cursor_sleb(&cursor), -2);
	assert_int_equal(cursor_sleb(&cursor), 127);
	assert_int_equal(cursor_sleb(&cursor), -127);
	assert_int_equal(cursor_sleb(&cursor), -128);
	assert_int_equal(cursor_sleb(&cursor), -129);
	assert_false(cursor.bad);
}

static void leb_numbers_of_64_bits_fit_and_larger_ones_are_bad(void **state)
{
	struct cursor cursor = ON(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
				  0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f);

	(void)state;
	assert_int_equal(cursor_uleb(&cursor), UINT64_MAX);
	assert_int_equal(cursor_sleb(&cursor), INT64_MIN);
	assert_false(cursor.bad);
	cursor = ON(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2);
	assert_int_equal(cursor_uleb(&cursor), 0);
	assert_true(cursor.bad);
	cursor = ON(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2);
	assert_int_equal(cursor_sleb(&cursor), 0);
	assert_true(cursor.bad);
	cursor = ON(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0);
	cursor_uleb(&cursor);
	assert_true(cursor.bad);
}

static void a_string_needs_its_end(void **state)
{
	struct cursor cursor = ON('a', 'b', 0, 0, 'c', 'd');

	(void)state;
	assert_string_equal(cursor_string(&cursor), "ab");
	assert_string_equal(cursor_string(&cursor), "");
	assert_null(cursor_string(&cursor));
	assert_true(cursor.bad);
	cursor = cursor_on("", 0);
	assert_null(cursor_string(&cursor));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_one_behind_the_other),
		cmocka_unit_test(past_the_end_all_is_zero_and_bad_for_good),
		cmocka_unit_test(leb_numbers_are_those_of_the_standard),
		cmocka_unit_test(leb_numbers_of_64_bits_fit_and_larger_ones_are_bad),
		cmocka_unit_test(a_string_needs_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
