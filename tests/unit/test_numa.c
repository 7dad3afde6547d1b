// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/base/numa.h"

static void two_nodes_with_memory_are_balanced_if_that_is_on(void **state)
{
	(void)state;
	assert_true(numa_parse("0-1\n", "1\n"));
	assert_true(numa_parse("0,4\n", "1\n"));
	assert_true(numa_parse("0-7\n", "3\n"));
	assert_false(numa_parse("0-1\n", "0\n"));
}

static void one_node_is_never_balanced(void **state)
{
	(void)state;
	assert_false(numa_parse("0\n", "1\n"));
	assert_false(numa_parse("3\n", "2\n"));
}

static void what_is_no_list_or_no_number_is_no(void **state)
{
	(void)state;
	assert_false(numa_parse("", "1\n"));
	assert_false(numa_parse("nodes\n", "1\n"));
	assert_false(numa_parse("0-1\n", ""));
	assert_false(numa_parse("0-1\n", "-1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_nodes_with_memory_are_balanced_if_that_is_on),
		cmocka_unit_test(one_node_is_never_balanced),
		cmocka_unit_test(what_is_no_list_or_no_number_is_no),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
