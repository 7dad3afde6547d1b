// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "../../user/symbol/perfmap.h"

static void expect(const char *line, uint64_t start, uint64_t end, const char *name)
{
	struct perfmap_entry entry;

	assert_int_equal(perfmap_parse_line(line, strlen(line), &entry), 0);
	assert_int_equal(entry.start, start);
	assert_int_equal(entry.end, end);
	assert_int_equal(entry.length, strlen(name));
	assert_memory_equal(entry.name, name, entry.length);
}

static void expect_nothing(const char *line, size_t length)
{
	struct perfmap_entry entry;

	assert_int_equal(perfmap_parse_line(line, length, &entry), -EINVAL);
}

static void lines_of_real_programs_are_read(void **state)
{
	(void)state;
	expect("18c4000 300 Builtin:DeoptimizationEntry_Eager", 0x18c4000, 0x18c4300,
	       "Builtin:DeoptimizationEntry_Eager"); /* node 20 */
	expect("7fc0937c5b80 1d0 JS:*foo /srv/a.js:1:13", 0x7fc0937c5b80, 0x7fc0937c5d50, "JS:*foo /srv/a.js:1:13");
	expect("0x00007f5fe8ec7620 0x0000000000000218 double J.f(int)", 0x7f5fe8ec7620, 0x7f5fe8ec7838,
	       "double J.f(int)"); /* JDK 17 */
	expect("00007F1A2B3C4D50 1f instance void [System.Private.CoreLib] A::B()[Tier0]", 0x7f1a2b3c4d50,
	       0x7f1a2b3c4d6f, "instance void [System.Private.CoreLib] A::B()[Tier0]"); /* .NET */
}

static void prefixes_blanks_and_letters_of_any_size_are_read(void **state)
{
	(void)state;
	expect("0XaB\t0Xc  d", 0xab, 0xb7, "d");
	expect("000000000000000000000001 \t 2 f ", 1, 3, "f ");
	expect("0 1 0x", 0, 1, "0x");
	expect("1 1 \xff\xfe\x1b[31m", 1, 2, "\xff\xfe\x1b[31m");
	expect("fffffffffffffffe 1 top", UINT64_MAX - 1, UINT64_MAX, "top");
}

static void lines_that_make_no_sense_are_refused(void **state)
{
	static const char *const lines[] = {
		"", " ", "1", "1 ", "1 2", "1 2 ", "1 2 \t", " 1 2 f", "g 2 f", "1 g f", "1g 2 f", "1 2g f",
		" -1 2 f", "1 -2 f", "0x 2 f", "x1 2 f", "1 0x f", "1,2,f", "1 0 f", "ffffffffffffffff 1 f",
		"1 ffffffffffffffff f", "10000000000000000 1 f", "1 10000000000000000 f",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_nothing(lines[i], strlen(lines[i]));
	expect_nothing("1 2 f\0g", 7);
	expect_nothing("\0\0\0001 2 f", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_real_programs_are_read),
		cmocka_unit_test(prefixes_blanks_and_letters_of_any_size_are_read),
		cmocka_unit_test(lines_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
