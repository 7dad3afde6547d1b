// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/model/jvmargs.h"

#define MIB (1ull << 20)

/* @words with a 0 byte behind each, the last as well. 0: nothing was found. */
#define HEAP(words) heap(words, sizeof(words))

static uint64_t heap(const char *words, size_t bytes)
{
	uint64_t found = 0;

	return jvmargs_heap_max(words, bytes, &found) ? found : 0;
}

static void the_last_of_them_counts(void **state)
{
	(void)state;
	assert_int_equal(HEAP("java\0-Xmx64m\0-jar\0a.jar"), 64 * MIB);
	assert_int_equal(HEAP("/usr/lib/jvm/bin/java\0-Xmx64m\0-Xmx2G\0Main"), 2048 * MIB);
	assert_int_equal(HEAP("java\0-Xmx64m\0-XX:MaxHeapSize=1048576\0Main"), MIB);
	assert_int_equal(HEAP("java\0-Xmx1t\0Main"), MIB * MIB);
	assert_int_equal(HEAP("java\0-Xmx512K\0Main"), MIB / 2);
}

static void what_is_no_size_says_nothing(void **state)
{
	(void)state;
	assert_int_equal(HEAP("java\0-Xmx\0Main"), 0);
	assert_int_equal(HEAP("java\0-Xmx64x\0Main"), 0);
	assert_int_equal(HEAP("java\0-Xmx64mm\0Main"), 0);
	assert_int_equal(HEAP("java\0-Xmx-1\0Main"), 0);
	assert_int_equal(HEAP("java\0-Xmx0\0Main"), 0);
	assert_int_equal(HEAP("java\0-Xmx99999999999999999999\0Main"), 0);
	assert_int_equal(HEAP("java\0-Xmx18446744073709551615k\0Main"), 0);
	assert_int_equal(HEAP("java\0-Xmx64m\0-Xmxbad\0Main"), 64 * MIB);
	assert_int_equal(HEAP("java\0Main"), 0);
}

static void other_programs_have_no_java_heap(void **state)
{
	(void)state;
	assert_int_equal(HEAP("grep\0-Xmx64m"), 0);
	assert_int_equal(HEAP("javac\0-Xmx64m"), 0);
	assert_int_equal(HEAP("/java/sh\0-Xmx64m"), 0);
	assert_int_equal(heap("", 0), 0);
}

static void a_word_that_was_cut_does_not_count(void **state)
{
	static const char words[] = "java\0-Xmx1g\0-Xmx64";

	(void)state;
	assert_int_equal(heap(words, sizeof(words) - 1), 1024 * MIB);
	assert_int_equal(heap(words, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_of_them_counts),
		cmocka_unit_test(what_is_no_size_says_nothing),
		cmocka_unit_test(other_programs_have_no_java_heap),
		cmocka_unit_test(a_word_that_was_cut_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
