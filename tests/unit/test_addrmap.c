// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../user/symbol/addrmap.h"

/* The map as text: "start-end@offset path;" for each entry, in pages. */
static const char *describe(const struct addrmap *map)
{
	static char text[1024];
	size_t i, at = 0;

	text[0] = '\0';
	for (i = 0; i < map->count; i++) {
		const struct addrmap_entry *entry = &map->entries[i];

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%llx-%llx@%llx %s;",
				       (unsigned long long)entry->start >> 12,
				       (unsigned long long)entry->end >> 12,
				       (unsigned long long)entry->offset >> 12, entry->path);
	}
	return text;
}

static int add(struct addrmap *map, uint64_t start, uint64_t end, uint64_t offset, const char *path)
{
	return addrmap_add(map, start << 12, end << 12, offset << 12, path, NULL);
}

static int start_empty(void **state)
{
	static struct addrmap map;

	addrmap_init(&map);
	*state = &map;
	return 0;
}

static int release(void **state)
{
	addrmap_release(*state);
	return 0;
}

static void mappings_are_kept_in_order_of_address(void **state)
{
	struct addrmap *map = *state;

	assert_int_equal(add(map, 0x50, 0x60, 1, "c"), 0);
	assert_int_equal(add(map, 0x10, 0x20, 2, "a"), 0);
	assert_int_equal(add(map, 0x20, 0x30, 3, "b"), 0);
	assert_string_equal(describe(map), "10-20@2 a;20-30@3 b;50-60@1 c;");
}

static void a_mapping_in_the_middle_of_another_cuts_it_in_two(void **state)
{
	struct addrmap *map = *state;

	add(map, 0x10, 0x40, 5, "old");
	assert_int_equal(add(map, 0x20, 0x28, 0, "new"), 0);
	assert_string_equal(describe(map), "10-20@5 old;20-28@0 new;28-40@1d old;");
}

static void a_mapping_over_the_ends_of_others_shortens_them(void **state)
{
	struct addrmap *map = *state;

	add(map, 0x10, 0x20, 0, "a");
	add(map, 0x20, 0x28, 0, "gone");
	add(map, 0x30, 0x40, 0, "b");
	add(map, 0x50, 0x60, 0, "c");
	assert_int_equal(add(map, 0x18, 0x38, 7, "new"), 0);
	assert_string_equal(describe(map), "10-18@0 a;18-38@7 new;38-40@8 b;50-60@0 c;");
	assert_int_equal(add(map, 0x0, 0x100, 0, "all"), 0);
	assert_string_equal(describe(map), "0-100@0 all;");
}

static void the_same_mapping_again_replaces_itself(void **state)
{
	struct addrmap *map = *state;

	add(map, 0x10, 0x20, 0, "a");
	assert_int_equal(add(map, 0x10, 0x20, 0, "a"), 0);
	assert_int_equal(add(map, 0x10, 0x20, 4, "b"), 0);
	assert_string_equal(describe(map), "10-20@4 b;");
}

static void empty_and_wrapping_mappings_are_refused(void **state)
{
	struct addrmap *map = *state;

	assert_int_equal(add(map, 0x10, 0x10, 0, "a"), -EINVAL);
	assert_int_equal(add(map, 0x20, 0x10, 0, "a"), -EINVAL);
	assert_int_equal(addrmap_add(map, 0x1000, 0x3000, UINT64_MAX - 0xfff, "a", NULL), -EINVAL);
	assert_int_equal(map->count, 0);
}

static void more_mappings_than_the_cap_are_refused(void **state)
{
	struct addrmap *map = *state;
	uint64_t i;

	for (i = 0; i < ADDRMAP_ENTRIES_MAX; i++)
		assert_int_equal(add(map, 4 * i, 4 * i + 3, 0, "x"), 0);
	assert_int_equal(add(map, 4 * i, 4 * i + 3, 0, "x"), -E2BIG);
	assert_int_equal(add(map, 1, 2, 0, "splits"), -E2BIG);
	assert_int_equal(add(map, 0, 3, 0, "replaces"), 0);
	assert_int_equal(map->count, ADDRMAP_ENTRIES_MAX);
	assert_string_equal(addrmap_find(map, 0x1000)->path, "replaces");
}

static void a_mapping_holds_its_first_byte_and_not_its_end(void **state)
{
	struct addrmap *map = *state;

	add(map, 0x10, 0x20, 0, "a");
	assert_null(addrmap_find(map, 0xffff));
	assert_string_equal(addrmap_find(map, 0x10000)->path, "a");
	assert_string_equal(addrmap_find(map, 0x1ffff)->path, "a");
	assert_null(addrmap_find(map, 0x20000));
}

static void a_copy_owns_its_paths(void **state)
{
	struct addrmap *map = *state, copy;

	add(map, 0x10, 0x20, 0, "a");
	add(map, 0x30, 0x40, 0, "b");
	addrmap_init(&copy);
	assert_int_equal(addrmap_copy(&copy, map), 0);
	addrmap_release(map);
	assert_int_equal(map->count, 0);
	assert_string_equal(describe(&copy), "10-20@0 a;30-40@0 b;");
	addrmap_release(&copy);
	assert_int_equal(addrmap_copy(&copy, map), 0);
	assert_int_equal(copy.count, 0);
}

static void code_has_a_module_and_memory_has_none(void **state)
{
	static const struct {
		const char *path;
		bool module;
	} rows[] = {
		{ "/lib/x.so", true }, { "x", true }, { "[vdso]", true }, { "[vsyscall]", true }, { "", false },
		{ "[heap]", false }, { "[stack]", false }, { "[anon:JIT]", false }, { "[vdso", false },
	};
	struct elf_file *file = (struct elf_file *)state; /* any: it is not looked at */
	struct addrmap *map = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add(map, 0x10, 0x20, 0, rows[i].path);
		assert_int_equal(addrmap_has_module(addrmap_find(map, 0x10000)), rows[i].module);
	}
	addrmap_add(map, 0x10000, 0x20000, 0, "", file);
	assert_true(addrmap_has_module(addrmap_find(map, 0x10000)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_empty, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mappings_are_kept_in_order_of_address),
		TEST(a_mapping_in_the_middle_of_another_cuts_it_in_two),
		TEST(a_mapping_over_the_ends_of_others_shortens_them),
		TEST(the_same_mapping_again_replaces_itself),
		TEST(empty_and_wrapping_mappings_are_refused),
		TEST(more_mappings_than_the_cap_are_refused),
		TEST(a_mapping_holds_its_first_byte_and_not_its_end),
		TEST(a_copy_owns_its_paths),
		TEST(code_has_a_module_and_memory_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
