// SPDX-License-Identifier: Apache-2.0
#include "folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/remote/cgroup.h"

static void expect_path(const char *lines, const char *path, enum cgroup_kind kind)
{
	char text[256];
	enum cgroup_kind got = CGROUP_KINDS;
	char *found;

	snprintf(text, sizeof(text), "%s", lines);
	found = cgroup_memory_path(text, &got);
	if (!path) {
		assert_null(found);
		return;
	}
	assert_string_equal(found, path);
	assert_int_equal(got, kind);
}

static void the_memory_controllers_line_comes_before_the_unified_one(void **state)
{
	(void)state;
	expect_path("0::/kubepods/x\n", "/kubepods/x", CGROUP_V2);
	expect_path("0::/unified\n4:hugetlb,memory:/v1/a:b\n", "/v1/a:b", CGROUP_V1);
	expect_path("5:memory:/v1 \\n\n0::/unified\n", "/v1 \\n", CGROUP_V1);
	expect_path("5:memoryx,xmemory:/no\n0::/\n", "/", CGROUP_V2);
	expect_path("1:name=systemd:/user\n2:cpu:/\n", NULL, CGROUP_KINDS);
	expect_path("memory\n:\nmemory:\n", NULL, CGROUP_KINDS);
	expect_path("", NULL, CGROUP_KINDS);
}

/* The mounts of a mountinfo, in whose lines @ stands for the test's folder. */
static void find(struct cgroup_mounts *mounts, const char *lines, bool genuine)
{
	char text[4096], path[192];
	size_t length = 0;

	for (; *lines; lines++) {
		if (*lines == '@')
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", files_folder);
		else
			text[length++] = *lines;
	}
	text[length] = '\0';
	files_write("mountinfo", text);
	snprintf(path, sizeof(path), "%s/mountinfo", files_folder);
	assert_int_equal(cgroup_mounts_find(mounts, path, genuine), 0);
}

static void expect_mount(const struct cgroup_mount *mount, const char *root, const char *folder)
{
	char path[256];
	struct stat got, want;

	if (!folder) {
		assert_int_equal(mount->dir, -1);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", files_folder, folder);
	assert_string_equal(mount->root, root);
	assert_int_equal(fstat(mount->dir, &got), 0);
	assert_int_equal(stat(path, &want), 0);
	assert_int_equal(got.st_ino, want.st_ino);
}

static void mounts_are_found_by_type_and_controller(void **state)
{
	struct cgroup_mounts mounts;

	(void)state;
	assert_true(files_run("mkdir -p 'with blank' cpu two"));
	find(&mounts,
	     "31 23 0:28 / @/nowhere rw - tmpfs tmpfs rw\n"
	     "32 31 0:29 / @/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,memoryless\n"
	     "35 31 0:32 / @/with\\040blank rw,relatime shared:9 master:2 - cgroup cgroup rw,memory\n"
	     "38 31 0:38 / @/two rw - cgroup2 cgroup2 rw\n"
	     "39 31 0:39 / @/cpu rw - cgroup2x cgroup2 rw\n",
	     false);
	expect_mount(&mounts.of[CGROUP_V1], "/", "with blank");
	expect_mount(&mounts.of[CGROUP_V2], "/", "two");
	cgroup_mounts_release(&mounts);
	find(&mounts, "31 23 0:28 / /proc rw - proc proc rw\n", false);
	expect_mount(&mounts.of[CGROUP_V1], NULL, NULL);
	expect_mount(&mounts.of[CGROUP_V2], NULL, NULL);
	cgroup_mounts_release(&mounts);
}

static void a_whole_hierarchy_is_better_than_a_part(void **state)
{
	struct cgroup_mounts mounts;

	(void)state;
	assert_true(files_run("mkdir -p part other whole later"));
	find(&mounts,
	     "1 1 0:1 /pod/one @/part rw - cgroup2 cgroup2 rw\n"
	     "2 1 0:1 /pod/two @/other rw - cgroup2 cgroup2 rw\n",
	     false);
	expect_mount(&mounts.of[CGROUP_V2], "/pod/one", "part");
	cgroup_mounts_release(&mounts);
	find(&mounts,
	     "1 1 0:1 /pod/one @/part rw - cgroup2 cgroup2 rw\n"
	     "2 1 0:1 / @/missing rw - cgroup2 cgroup2 rw\n"
	     "3 1 0:1 / @/whole rw - cgroup2 cgroup2 rw\n"
	     "4 1 0:1 / @/later rw - cgroup2 cgroup2 rw\n",
	     false);
	expect_mount(&mounts.of[CGROUP_V2], "/", "whole");
	cgroup_mounts_release(&mounts);
}

static void what_hides_a_mount_is_no_cgroup(void **state)
{
	struct cgroup_mounts mounts;

	(void)state;
	assert_true(files_run("mkdir -p hidden"));
	find(&mounts, "1 1 0:1 / @/hidden rw - cgroup2 cgroup2 rw\n", true);
	expect_mount(&mounts.of[CGROUP_V2], NULL, NULL);
	cgroup_mounts_release(&mounts);
	assert_int_equal(cgroup_mounts_find(&mounts, "/nowhere/at/all", true), -ENOENT);
	cgroup_mounts_release(&mounts);
}

static void lines_of_another_shape_are_passed_over(void **state)
{
	struct cgroup_mounts mounts;

	(void)state;
	find(&mounts,
	     "\n - cgroup2 cgroup2 rw\n1 2 3 - cgroup2 x rw\n1 2 3 4 - cgroup2 x rw\n"
	     "1 2 3 / @ rw cgroup2\n1 2 3 / @ rw - cgroup2\n1 2 3 / @\\777\\08 rw - cgroup2 cgroup2 rw\n",
	     false);
	expect_mount(&mounts.of[CGROUP_V1], NULL, NULL);
	expect_mount(&mounts.of[CGROUP_V2], NULL, NULL);
	cgroup_mounts_release(&mounts);
}

/* Of both versions: /pod has a limit of 10000, /pod/one of 1000. */
static void make_trees(struct cgroup_mounts *mounts)
{
	assert_true(files_run("rm -rf one two && mkdir -p one/pod/one one/free two/pod/one two/free && cd one && "
			      "for d in . pod pod/one free; do echo 9223372036854771712 >$d/memory.limit_in_bytes; "
			      "echo 100 >$d/memory.usage_in_bytes; done; "
			      "echo 10000 >pod/memory.limit_in_bytes; echo 1000 >pod/one/memory.limit_in_bytes"));
	assert_true(files_run("cd two && for d in pod pod/one free; do echo max >$d/memory.max; "
			      "echo 100 >$d/memory.current; done; "
			      "echo 10000 >pod/memory.max; echo 1000 >pod/one/memory.max"));
	find(mounts,
	     "1 1 0:1 / @/one rw - cgroup cgroup rw,memory\n"
	     "2 1 0:2 / @/two rw - cgroup2 cgroup2 rw\n",
	     false);
}

static void the_levels_of_a_path_are_those_with_a_limit(void **state)
{
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	struct cgroup_mounts mounts;

	(void)state;
	make_trees(&mounts);
	for (int kind = 0; kind < CGROUP_KINDS; kind++) {
		const struct cgroup_mount *mount = &mounts.of[kind];

		assert_int_equal(cgroup_levels(mount, kind, "/pod/one", levels), 2);
		assert_int_equal(levels[0].length, 3);
		assert_int_equal(levels[0].limit_bytes, 10000);
		assert_int_equal(levels[0].swap_limit_bytes, CGROUP_NO_LIMIT);
		assert_int_equal(levels[1].length, 7);
		assert_int_equal(levels[1].limit_bytes, 1000);
		assert_int_equal(cgroup_levels(mount, kind, "/free", levels), 0);
		assert_int_equal(cgroup_levels(mount, kind, "/", levels), 0);
		assert_int_equal(cgroup_levels(mount, kind, "", levels), 0);
		assert_int_equal(cgroup_levels(mount, kind, "pod", levels), 0);
	}
	cgroup_mounts_release(&mounts);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/pod/one", levels), 0);
}

static void a_cgroup_that_is_gone_leaves_those_above_it(void **state)
{
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	struct cgroup_mounts mounts;

	(void)state;
	make_trees(&mounts);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/pod/gone (deleted)", levels), 1);
	assert_int_equal(levels[0].limit_bytes, 10000);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/pod/gone/deeper", levels), 1);
	cgroup_mounts_release(&mounts);
}

static void in_a_part_of_the_hierarchy_paths_begin_at_its_root(void **state)
{
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	struct cgroup_mounts mounts;

	(void)state;
	make_trees(&mounts);
	cgroup_mounts_release(&mounts);
	find(&mounts, "2 1 0:2 /pod @/two/pod rw - cgroup2 cgroup2 rw\n", false);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/pod/one", levels), 2);
	assert_int_equal(levels[0].length, 0);
	assert_int_equal(levels[0].limit_bytes, 10000);
	assert_int_equal(levels[1].length, 3);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/pod", levels), 1);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/podx/one", levels), 0);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/", levels), 0);
	cgroup_mounts_release(&mounts);
	/* As a cgroup namespace shows what lies above its own root. */
	find(&mounts, "2 1 0:2 /../.. @/two rw - cgroup2 cgroup2 rw\n", false);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/../../pod/one", levels), 2);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/../sibling", levels), 0);
	cgroup_mounts_release(&mounts);
}

static void no_path_leads_upwards_or_through_a_link(void **state)
{
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	struct cgroup_mounts mounts;

	(void)state;
	make_trees(&mounts);
	assert_true(files_run("ln -s pod two/link && ln -s ../pod/one/memory.max two/free/link && mkdir two/..pod && "
			      "echo 500 >two/..pod/memory.max && echo 7 >memory.max && "
			      "ln -sf ../pod/memory.max two/free/memory.max"));
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/link/one", levels), 0);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/free", levels), 0);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/..", levels), 0);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/pod/../../x", levels), 0);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/free/../pod", levels), 0);
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/..pod", levels), 1);
	assert_int_equal(levels[0].limit_bytes, 500);
	cgroup_mounts_release(&mounts);
}

static void levels_beyond_the_sixty_fourth_are_not_looked_at(void **state)
{
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	struct cgroup_mounts mounts;
	char path[256] = "";

	(void)state;
	make_trees(&mounts);
	assert_true(files_run("cd two && for i in $(seq 70); do mkdir d; cd d; echo $i >memory.max; done"));
	for (int i = 0; i < 70; i++)
		strcat(path, "/d");
	assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, path, levels), 63); /* and the mount */
	assert_int_equal(levels[62].limit_bytes, 63);
	cgroup_mounts_release(&mounts);
}

static void near_is_the_last_twentieth(void **state)
{
	(void)state;
	assert_false(cgroup_near(949, 1000));
	assert_true(cgroup_near(950, 1000));
	assert_true(cgroup_near(2000, 1000));
	assert_true(cgroup_near(0, 0));
	assert_false(cgroup_near(1ull << 60, CGROUP_NO_LIMIT));
}

static bool near(const struct cgroup_mounts *mounts, enum cgroup_kind kind)
{
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	size_t count = cgroup_levels(&mounts->of[kind], kind, "/pod/one", levels);

	assert_int_equal(count, 2);
	assert_false(cgroup_is_near(&mounts->of[kind], kind, "/pod/one", &levels[0]));
	return cgroup_is_near(&mounts->of[kind], kind, "/pod/one", &levels[1]);
}

static void clean_files_that_lie_idle_do_not_count(void **state)
{
	struct cgroup_mounts mounts;

	(void)state;
	make_trees(&mounts);
	files_write("one/pod/one/memory.usage_in_bytes", "949\n");
	files_write("two/pod/one/memory.current", "949\n");
	assert_false(near(&mounts, CGROUP_V1));
	assert_false(near(&mounts, CGROUP_V2));
	files_write("one/pod/one/memory.usage_in_bytes", "1000\n");
	files_write("two/pod/one/memory.current", "1000\n");
	assert_true(near(&mounts, CGROUP_V1));
	assert_true(near(&mounts, CGROUP_V2));
	files_write("one/pod/one/memory.stat", "inactive_file 900\ntotal_inactive_file 61\ntotal_dirty 4\n"
					       "total_writeback 6\n");
	files_write("two/pod/one/memory.stat", "anon 5\ninactive_file 61\nfile_dirty 4\nfile_writeback 6\n");
	assert_false(near(&mounts, CGROUP_V1)); /* 51 bytes are given back, 949 stay */
	assert_false(near(&mounts, CGROUP_V2));
	files_write("one/pod/one/memory.stat", "total_inactive_file 60\ntotal_dirty 5\ntotal_writeback 6\n");
	files_write("two/pod/one/memory.stat", "xinactive_file 900\ninactive_file 60\nfile_dirty 5\nfile_writeback 6");
	assert_true(near(&mounts, CGROUP_V1));
	assert_true(near(&mounts, CGROUP_V2));
	cgroup_mounts_release(&mounts);
}

static void memory_and_swap_together_may_be_near_their_own_limit(void **state)
{
	struct cgroup_mounts mounts;

	(void)state;
	make_trees(&mounts);
	files_write("one/pod/one/memory.memsw.limit_in_bytes", "2000\n");
	files_write("one/pod/one/memory.memsw.usage_in_bytes", "1899\n");
	assert_false(near(&mounts, CGROUP_V1));
	files_write("one/pod/one/memory.memsw.usage_in_bytes", "1900\n");
	assert_true(near(&mounts, CGROUP_V1));
	cgroup_mounts_release(&mounts);
}

static void numbers_of_another_shape_are_none(void **state)
{
	static const char *const bad[] = { "", "\n", "-1\n", " 5\n", "5x\n", "99999999999999999999999\n", "max 5\n" };
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	struct cgroup_mounts mounts;

	(void)state;
	make_trees(&mounts);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		files_write("two/free/memory.max", bad[i]);
		assert_int_equal(cgroup_levels(&mounts.of[CGROUP_V2], CGROUP_V2, "/free", levels), 0);
	}
	cgroup_mounts_release(&mounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_memory_controllers_line_comes_before_the_unified_one),
		cmocka_unit_test(mounts_are_found_by_type_and_controller),
		cmocka_unit_test(a_whole_hierarchy_is_better_than_a_part),
		cmocka_unit_test(what_hides_a_mount_is_no_cgroup),
		cmocka_unit_test(lines_of_another_shape_are_passed_over),
		cmocka_unit_test(the_levels_of_a_path_are_those_with_a_limit),
		cmocka_unit_test(a_cgroup_that_is_gone_leaves_those_above_it),
		cmocka_unit_test(in_a_part_of_the_hierarchy_paths_begin_at_its_root),
		cmocka_unit_test(no_path_leads_upwards_or_through_a_link),
		cmocka_unit_test(levels_beyond_the_sixty_fourth_are_not_looked_at),
		cmocka_unit_test(near_is_the_last_twentieth),
		cmocka_unit_test(clean_files_that_lie_idle_do_not_count),
		cmocka_unit_test(memory_and_swap_together_may_be_near_their_own_limit),
		cmocka_unit_test(numbers_of_another_shape_are_none),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
