// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/base/text.h"

#define BAD "\xef\xbf\xbd"

static void expect_utf8(const char *bytes, const char *text)
{
	char *clean = text_utf8(bytes);

	assert_non_null(clean);
	assert_string_equal(clean, text);
	free(clean);
}

static void expect_printable(const char *bytes, const char *text)
{
	char *clean = text_printable(bytes);

	assert_non_null(clean);
	assert_string_equal(clean, text);
	free(clean);
}

static void expect_bytes(uint64_t bytes, const char *text)
{
	char out[16];

	assert_ptr_equal(text_bytes(bytes, out), out);
	assert_string_equal(out, text);
	assert_true(strlen(out) <= 10);
}

static void expect_seconds(double seconds, const char *text)
{
	char out[16];

	assert_ptr_equal(text_seconds(seconds, out), out);
	assert_string_equal(out, text);
}

static void valid_utf8_is_kept(void **state)
{
	(void)state;
	expect_utf8("", "");
	expect_utf8("plain\n\033[1m", "plain\n\033[1m");
	expect_utf8("\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf");
	expect_utf8("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
		    "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
	expect_utf8("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

static void bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
	(void)state;
	expect_utf8("a\xff" "b", "a" BAD "b");
	expect_utf8("\x80\xbf", BAD BAD);
	expect_utf8("\xc0\xaf", BAD BAD);             /* overlong '/' */
	expect_utf8("\xe0\x80\xaf", BAD BAD BAD);     /* overlong '/' */
	expect_utf8("\xed\xa0\x80", BAD BAD BAD);     /* a surrogate */
	expect_utf8("\xf4\x90\x80\x80", BAD BAD BAD BAD); /* beyond U+10FFFF */
	expect_utf8("\xf8\x88\x80\x80\x80", BAD BAD BAD BAD BAD);
}

static void a_sequence_that_breaks_off_is_replaced_once(void **state)
{
	(void)state;
	expect_utf8("\xe2\x82", BAD);
	expect_utf8("\xe2\x82z", BAD "z");
	expect_utf8("\xf0\x9f\x98", BAD);
	expect_utf8("\xc3", BAD);
	expect_utf8("\xc3\xc3\xa9", BAD "\xc3\xa9");
}

static void control_characters_never_reach_a_terminal(void **state)
{
	(void)state;
	expect_printable("a\nb\tc\rd", "a?b?c?d");
	expect_printable("\033[31mred\033[0m", "?[31mred?[0m");
	expect_printable("\x7f", "?");
	expect_printable("\xc2\x9b" "31m", "?31m"); /* CSI as one C1 character */
	expect_printable("\x9b" "31m", BAD "31m");
	expect_printable("\xc2\xa0\xc3\xa9", "\xc2\xa0\xc3\xa9");
}

static void characters_that_reorder_text_are_controls(void **state)
{
	(void)state;
	expect_printable("a\xe2\x80\xae" "b", "a?b"); /* right-to-left override */
	expect_printable("a\xe2\x81\xa6" "b", "a?b"); /* isolate */
	expect_printable("a\xe2\x80\xa8" "b", "a?b"); /* line separator */
	expect_printable("a\xe2\x80\xa7" "b", "a\xe2\x80\xa7" "b");
}

static void bytes_keep_one_decimal(void **state)
{
	(void)state;
	expect_bytes(0, "0 B");
	expect_bytes(512, "512 B");
	expect_bytes(1023, "1023 B");
	expect_bytes(1024, "1.0 KiB");
	expect_bytes(1536, "1.5 KiB");
	expect_bytes(2147483648, "2.0 GiB");
	expect_bytes(1099511627776, "1.0 TiB");
	expect_bytes(UINT64_MAX, "16.0 EiB");
}

static void bytes_are_rounded_into_the_next_unit(void **state)
{
	(void)state;
	expect_bytes(1024 * 1023 + 921, "1023.9 KiB");
	expect_bytes(1024 * 1024 - 52, "1023.9 KiB"); /* 1023.949 */
	expect_bytes(1024 * 1024 - 51, "1.0 MiB");    /* 1023.950 */
	expect_bytes(1024 * 1024 - 1, "1.0 MiB");
	expect_bytes(1075, "1.0 KiB"); /* 1.0498 */
	expect_bytes(1076, "1.1 KiB"); /* 1.0508 */
}

static void seconds_show_two_units_at_most(void **state)
{
	(void)state;
	expect_seconds(0, "0.0s");
	expect_seconds(0.44, "0.4s");
	expect_seconds(9.94, "9.9s");
	expect_seconds(9.96, "10s");
	expect_seconds(12.2, "12s");
	expect_seconds(59.6, "1m00s");
	expect_seconds(303, "5m03s");
	expect_seconds(7800, "2h10m");
	expect_seconds(86400 * 3 + 4 * 3600, "3d04h");
	expect_seconds(1e300, "46296d07h");
}

static void seconds_that_are_no_span_are_unknown(void **state)
{
	(void)state;
	expect_seconds(-1, "-");
	expect_seconds(NAN, "-");
	expect_seconds(INFINITY, "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_utf8_is_kept),
		cmocka_unit_test(bytes_that_are_no_utf8_become_replacement_characters),
		cmocka_unit_test(a_sequence_that_breaks_off_is_replaced_once),
		cmocka_unit_test(control_characters_never_reach_a_terminal),
		cmocka_unit_test(characters_that_reorder_text_are_controls),
		cmocka_unit_test(bytes_keep_one_decimal),
		cmocka_unit_test(bytes_are_rounded_into_the_next_unit),
		cmocka_unit_test(seconds_show_two_units_at_most),
		cmocka_unit_test(seconds_that_are_no_span_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
