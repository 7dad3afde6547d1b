// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/unwinding.h"

static void every_end_has_a_name_of_its_own_and_words(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < HB_END_LAST; i++) {
		const char *name = unwinding_name(i);

		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		assert_true(strlen(unwinding_words(i)) > 3);
		for (j = 0; j < i; j++) {
			assert_string_not_equal(name, unwinding_name(j));
			assert_string_not_equal(unwinding_words(i), unwinding_words(j));
		}
	}
}

static void an_end_beyond_the_table_has_none(void **state)
{
	char out[64];

	(void)state;
	assert_null(unwinding_name(HB_END_LAST));
	assert_null(unwinding_words(HB_END_LAST));
	assert_null(unwinding_name(-1));
	assert_true(unwinding_sentence(HB_END_LAST, "/bin/app", out, sizeof(out)) > 0);
	assert_true(unwinding_sentence(-1, NULL, out, sizeof(out)) > 0);
}

static void the_promised_names_stay(void **state)
{
	(void)state;
	assert_string_equal(unwinding_name(HB_END_COMPLETE), "complete");
	assert_string_equal(unwinding_name(HB_END_NO_ROWS), "no_rows");
	assert_string_equal(unwinding_name(HB_END_DEPTH), "depth");
}

static void expect(enum hb_end end, const char *module, const char *wanted)
{
	char out[256];

	assert_int_equal(unwinding_sentence(end, module, out, sizeof(out)), strlen(wanted));
	assert_string_equal(out, wanted);
}

static void a_sentence_names_the_last_part_of_the_path(void **state)
{
	(void)state;
	expect(HB_END_NO_ROWS, "/usr/lib/libfoo.so", "no unwind rows for libfoo.so");
	expect(HB_END_NO_ROWS, "libfoo.so", "no unwind rows for libfoo.so");
	expect(HB_END_PENDING, "/a/b", "the unwind rows of b were not read yet");
	expect(HB_END_FULL, "[vdso]", "the unwind rows of [vdso] do not fit into --unwind-memory");
	expect(HB_END_NO_ROWS, "/usr/lib/", "no unwind rows for /usr/lib/");
	expect(HB_END_NO_ROWS, "/", "no unwind rows for /");
}

static void what_is_not_known_is_not_made_up(void **state)
{
	(void)state;
	expect(HB_END_NO_ROWS, NULL, "no unwind rows for a file without a name");
	expect(HB_END_NO_ROWS, "", "no unwind rows for a file without a name");
	expect(HB_END_DEPTH, NULL, "more frames than are kept: --max-frames keeps more");
}

static void a_whole_stack_needs_no_sentence(void **state)
{
	(void)state;
	expect(HB_END_COMPLETE, "/bin/app", "");
}

static void a_name_is_no_format(void **state)
{
	(void)state;
	expect(HB_END_NO_ROWS, "/x/%s%n%p", "no unwind rows for %s%n%p");
}

static void a_sentence_is_cut_to_fit(void **state)
{
	char out[8] = "1234567";

	(void)state;
	assert_int_equal(unwinding_sentence(HB_END_NO_ROWS, "/x", out, 0), 0);
	assert_string_equal(out, "1234567");
	assert_int_equal(unwinding_sentence(HB_END_NO_ROWS, "/x", out, 1), 0);
	assert_string_equal(out, "");
	assert_int_equal(unwinding_sentence(HB_END_NO_ROWS, "/x", out, sizeof(out)), 7);
	assert_string_equal(out, "no unwi");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_end_has_a_name_of_its_own_and_words),
		cmocka_unit_test(an_end_beyond_the_table_has_none),
		cmocka_unit_test(the_promised_names_stay),
		cmocka_unit_test(a_sentence_names_the_last_part_of_the_path),
		cmocka_unit_test(what_is_not_known_is_not_made_up),
		cmocka_unit_test(a_whole_stack_needs_no_sentence),
		cmocka_unit_test(a_name_is_no_format),
		cmocka_unit_test(a_sentence_is_cut_to_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
