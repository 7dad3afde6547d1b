// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/view/jsonscan.h"

/* The tokens of @text, a letter each; what follows the end shows that there is no other. */
static void expect(const char *text, const char *wanted)
{
	static const char letters[] = "{}[]ks1.!";
	size_t length = strlen(text), i = 0;
	char *copy = malloc(length + !length), seen[128]; /* the sanitizer sees a byte read too many */
	struct jsonscan scan;
	enum jsonscan_token token;

	assert_non_null(copy);
	memcpy(copy, text, length);
	jsonscan_init(&scan, copy, length);
	do {
		token = jsonscan_next(&scan);
		seen[i++] = letters[token];
		assert_true(scan.start + scan.length <= length);
	} while (token < JSONSCAN_END && i < sizeof(seen) - 1);
	seen[i] = '\0';
	assert_string_equal(seen, wanted);
	assert_int_equal(jsonscan_next(&scan), token);
	assert_true(token != JSONSCAN_BROKEN || scan.why);
	free(copy);
}

static void every_kind_of_value_is_a_token(void **state)
{
	(void)state;
	expect("{}", "{}.");
	expect("[]", "[].");
	expect("{\"a\":1,\"b\":[true,false,null,\"x\"]}", "{k1k[111s]}.");
	expect(" \t\r\n{ \"a\" : { \"b\" : [ [ ] , { } ] } } ", "{k{k[[]{}]}}.");
	expect("\"s\"", "s.");
	expect("7", "1.");
}

static void numbers_are_those_of_the_grammar(void **state)
{
	static const char *const good[] = { "0", "-0", "10", "-1.5", "1e5", "1E+5", "0.5e-10",
					    "123456789012345678901234567890" };
	static const char *const bad[] = { "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity",
					   "-Infinity", "1 2", "1a" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		expect(good[i], "1.");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct jsonscan scan;
		enum jsonscan_token token;

		jsonscan_init(&scan, bad[i], strlen(bad[i]));
		do
			token = jsonscan_next(&scan);
		while (token < JSONSCAN_END);
		assert_int_equal(token, JSONSCAN_BROKEN);
	}
}

static void strings_have_escapes_and_no_control_characters(void **state)
{
	(void)state;
	expect("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD834\\uDd1e\"", "s.");
	expect("\"\xc3\xa9\x7f\"", "s.");
	expect("\"a\nb\"", "!");
	expect("\"a", "!");
	expect("\"a\\\"", "!");
	expect("\"\\", "!");
	expect("\"\\x\"", "!");
	expect("\"\\u12\"", "!");
	expect("\"\\u12g4\"", "!");
}

static void what_is_no_json_is_broken(void **state)
{
	(void)state;
	expect("", "!");
	expect("  ", "!");
	expect("{", "{!");
	expect("[", "[!");
	expect("[1", "[1!");
	expect("[1,]", "[1!");
	expect("[,1]", "[!");
	expect("[1 2]", "[1!");
	expect("[1}", "[1!");
	expect("{]", "{!");
	expect("{\"a\"}", "{!");
	expect("{\"a\":}", "{k!");
	expect("{\"a\":1,}", "{k1!");
	expect("{1:1}", "{!");
	expect("{a:1}", "{!");
	expect("{\"a\":1]", "{k1!");
	expect("{} {}", "{}!");
	expect("{},", "{}!");
	expect("tru", "!");
	expect("truee", "1!");
	expect("/* */ 1", "!");
	expect("}", "!");
}

static void a_nul_is_no_blank(void **state)
{
	struct jsonscan scan;

	(void)state;
	jsonscan_init(&scan, "1\0", 2);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_OTHER);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_BROKEN);
}

static void a_token_tells_its_place(void **state)
{
	static const char text[] = " { \"frames\" : [ -1.5 , \"x\" ] }";
	struct jsonscan scan;

	(void)state;
	jsonscan_init(&scan, text, strlen(text));
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_OBJECT);
	assert_int_equal(scan.start, 1);
	assert_int_equal(scan.depth, 1);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_KEY);
	assert_true(jsonscan_is(&scan, "\"frames\""));
	assert_false(jsonscan_is(&scan, "\"frame\""));
	assert_false(jsonscan_is(&scan, "frames"));
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_ARRAY);
	assert_int_equal(scan.depth, 2);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_OTHER);
	assert_true(jsonscan_is(&scan, "-1.5"));
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_STRING);
	assert_true(jsonscan_is(&scan, "\"x\""));
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_ARRAY_END);
	assert_int_equal(scan.depth, 1);
	assert_int_equal(scan.at, strlen(text) - 2);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_OBJECT_END);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_END);
}

static void nesting_is_capped(void **state)
{
	char text[2 * JSONSCAN_DEPTH_MAX + 2];
	struct jsonscan scan;
	size_t i;

	(void)state;
	memset(text, '[', JSONSCAN_DEPTH_MAX);
	memset(text + JSONSCAN_DEPTH_MAX, ']', JSONSCAN_DEPTH_MAX);
	jsonscan_init(&scan, text, 2 * JSONSCAN_DEPTH_MAX);
	for (i = 0; i < 2 * JSONSCAN_DEPTH_MAX; i++)
		assert_int_equal(jsonscan_next(&scan),
				 i < JSONSCAN_DEPTH_MAX ? JSONSCAN_ARRAY : JSONSCAN_ARRAY_END);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_END);
	text[JSONSCAN_DEPTH_MAX] = '[';
	jsonscan_init(&scan, text, 2 * JSONSCAN_DEPTH_MAX);
	for (i = 0; i < JSONSCAN_DEPTH_MAX; i++)
		assert_int_equal(jsonscan_next(&scan), JSONSCAN_ARRAY);
	assert_int_equal(jsonscan_next(&scan), JSONSCAN_BROKEN);
	assert_string_equal(scan.why, "it is nested too deep");
	assert_int_equal(scan.at, JSONSCAN_DEPTH_MAX);
}

static void levels_of_objects_and_arrays_are_told_apart(void **state)
{
	(void)state;
	expect("[{\"a\":[{\"b\":[]},1]},{\"c\":{}}]", "[{k[{k[]}1]}{k{}}].");
	expect("[{\"a\":[1}]", "[{k[1!");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_is_a_token),
		cmocka_unit_test(numbers_are_those_of_the_grammar),
		cmocka_unit_test(strings_have_escapes_and_no_control_characters),
		cmocka_unit_test(what_is_no_json_is_broken),
		cmocka_unit_test(a_nul_is_no_blank),
		cmocka_unit_test(a_token_tells_its_place),
		cmocka_unit_test(nesting_is_capped),
		cmocka_unit_test(levels_of_objects_and_arrays_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
