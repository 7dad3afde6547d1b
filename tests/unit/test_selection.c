// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/model/selection.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct container_info web = { .id = ID, .name = "app", .pod = "web-0", .namespace = "shop" };

static void what_was_not_given_does_not_matter(void **state)
{
	const struct selection none = { 0 }, all = { .all = true };

	(void)state;
	assert_false(selection_given(&none));
	assert_true(selection_given(&all));
	assert_true(selection_matches(&none, "java", NULL, NULL));
	assert_true(selection_matches(&all, "java", "/a", &web));
}

static void a_name_is_meant_whole(void **state)
{
	const struct selection java = { .comm = "java" };

	(void)state;
	assert_true(selection_given(&java));
	assert_true(selection_matches(&java, "java", NULL, NULL));
	assert_false(selection_matches(&java, "javac", NULL, NULL));
	assert_false(selection_matches(&java, "jav", NULL, NULL));
}

static void a_cgroup_means_all_below_it(void **state)
{
	const struct selection at = { .cgroup = "/kubepods/burstable" }, slash = { .cgroup = "/kubepods/" },
			       root = { .cgroup = "/" };

	(void)state;
	assert_true(selection_matches(&at, "x", "/kubepods/burstable", NULL));
	assert_true(selection_matches(&at, "x", "/kubepods/burstable/pod1/c", NULL));
	assert_false(selection_matches(&at, "x", "/kubepods/burstable2", NULL));
	assert_false(selection_matches(&at, "x", "/kubepods", NULL));
	assert_false(selection_matches(&at, "x", NULL, NULL));
	assert_true(selection_matches(&slash, "x", "/kubepods", NULL));
	assert_true(selection_matches(&root, "x", "/a/b", NULL));
	assert_true(selection_matches(&root, "x", "/", NULL));
}

static void a_container_is_meant_by_how_its_id_begins_or_by_its_name(void **state)
{
	const struct selection begin = { .container = "0123456789ab" }, whole = { .container = ID },
			       other = { .container = "1123" }, name = { .container = "app" },
			       part = { .container = "ap" }, empty = { .container = "" };

	(void)state;
	assert_true(selection_matches(&begin, "x", NULL, &web));
	assert_true(selection_matches(&whole, "x", NULL, &web));
	assert_true(selection_matches(&name, "x", NULL, &web));
	assert_false(selection_matches(&part, "x", NULL, &web));
	assert_false(selection_matches(&other, "x", NULL, &web));
	assert_false(selection_matches(&empty, "x", NULL, &web));
	assert_false(selection_matches(&begin, "x", "/a", NULL));
}

static void a_pod_is_meant_by_namespace_and_name(void **state)
{
	const struct selection pod = { .pod = "shop/web-0" }, space = { .pod = "sho/web-0" },
			       name = { .pod = "shop/web-01" };

	(void)state;
	assert_true(selection_matches(&pod, "x", NULL, &web));
	assert_false(selection_matches(&space, "x", NULL, &web));
	assert_false(selection_matches(&name, "x", NULL, &web));
	assert_false(selection_matches(&pod, "x", NULL, NULL));
	assert_true(selection_is_pod("shop/web-0"));
	assert_false(selection_is_pod("web-0"));
	assert_false(selection_is_pod("/web-0"));
	assert_false(selection_is_pod("shop/"));
	assert_false(selection_is_pod("a/b/c"));
}

static void several_narrow_each_other(void **state)
{
	const struct selection both = { .comm = "java", .pod = "shop/web-0" };

	(void)state;
	assert_true(selection_matches(&both, "java", NULL, &web));
	assert_false(selection_matches(&both, "sh", NULL, &web));
	assert_false(selection_matches(&both, "java", NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_given_does_not_matter),
		cmocka_unit_test(a_name_is_meant_whole),
		cmocka_unit_test(a_cgroup_means_all_below_it),
		cmocka_unit_test(a_container_is_meant_by_how_its_id_begins_or_by_its_name),
		cmocka_unit_test(a_pod_is_meant_by_namespace_and_name),
		cmocka_unit_test(several_narrow_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
