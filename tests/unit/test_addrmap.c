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
#include <unistd.h>

#include "../../user/symbol/addrmap.h"
#include "elf_image.h"

#define T IMAGE_TEXT_VADDR

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

static void a_stack_is_named_until_the_first_address_in_no_mapping(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "first", T + 0x100, 0x10, STT_FUNC, STB_GLOBAL, 0 },
		{ "_ZN3foo3barEi", T + 0x110, 0x10, STT_FUNC, STB_GLOBAL, 0 },
	};
	static const uint64_t stack[] = {
		0x400120, /* the byte after foo::bar(int) */
		0x400110, /* the byte after first, which is the first of foo::bar(int) */
		0x400800, /* no function */
		0x500010, /* anonymous memory */
		0x600040, /* vdso */
		0x402000, /* the end of the mapping: a call was its last instruction */
		0x402001, /* garbage */
		0x400120,
	};
	struct frame frames[8];
	struct addrmap *map = *state;
	struct symcache *cache = symcache_new();
	struct elf_file *file;
	struct image image;
	int fd;

	image_make(&image, symbols, 2, SHT_SYMTAB);
	fd = image_file(&image, sizeof(image));
	assert_int_equal(symcache_add(cache, fd, NULL, -1, &file), 0);
	close(fd);
	addrmap_add(map, 0x400000, 0x402000, IMAGE_TEXT_OFFSET, "/lib/x.so", file);
	addrmap_add(map, 0x500000, 0x501000, 0, "", NULL);
	addrmap_add(map, 0x600000, 0x601000, 0, "[vdso]", NULL);
	memset(frames, 0xee, sizeof(frames));
	assert_int_equal(addrmap_symbolize(map, cache, stack, 8, frames), 6);
	assert_string_equal(frames[0].function, "foo::bar(int)");
	assert_string_equal(frames[0].module, "/lib/x.so");
	assert_int_equal(frames[0].kind, FRAME_NATIVE);
	assert_int_equal(frames[0].address, 0x400120);
	assert_int_equal(frames[0].offset, T + 0x120);
	assert_null(frames[0].build_id);
	assert_string_equal(frames[1].function, "first");
	assert_int_equal(frames[1].offset, T + 0x110);
	assert_null(frames[2].function);
	assert_string_equal(frames[2].module, "/lib/x.so");
	assert_int_equal(frames[2].offset, T + 0x800);
	assert_int_equal(frames[3].kind, FRAME_UNKNOWN);
	assert_int_equal(frames[3].address, 0x500010);
	assert_null(frames[3].module);
	assert_string_equal(frames[4].module, "[vdso]");
	assert_int_equal(frames[4].offset, 0x40);
	assert_int_equal(frames[5].offset, T + 0x2000);
	assert_string_equal(frames[5].module, "/lib/x.so");
	symcache_free(cache);
}

static void the_first_address_always_yields_a_frame(void **state)
{
	static const uint64_t nowhere[] = { 0x1234, 0x400120 }, zero[] = { 0 };
	struct symcache *cache = symcache_new();
	struct addrmap *map = *state;
	struct frame frames[2];

	add(map, 0x400, 0x401, 0, "/x");
	assert_int_equal(addrmap_symbolize(map, cache, nowhere, 2, frames), 1);
	assert_int_equal(frames[0].kind, FRAME_UNKNOWN);
	assert_int_equal(frames[0].address, 0x1234);
	assert_int_equal(addrmap_symbolize(map, cache, zero, 1, frames), 1);
	assert_int_equal(frames[0].address, 0);
	assert_int_equal(addrmap_symbolize(map, cache, zero, 0, frames), 0);
	symcache_free(cache);
}

static void a_file_that_could_not_be_opened_is_named_by_its_path_and_offset(void **state)
{
	static const uint64_t stack[] = { 0x400120 };
	struct symcache *cache = symcache_new();
	struct addrmap *map = *state;
	struct frame frame;

	add(map, 0x400, 0x401, 3, "/gone.so");
	assert_int_equal(addrmap_symbolize(map, cache, stack, 1, &frame), 1);
	assert_int_equal(frame.kind, FRAME_NATIVE);
	assert_string_equal(frame.module, "/gone.so");
	assert_int_equal(frame.offset, 0x3120);
	assert_null(frame.function);
	symcache_free(cache);
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
		TEST(a_stack_is_named_until_the_first_address_in_no_mapping),
		TEST(the_first_address_always_yields_a_frame),
		TEST(a_file_that_could_not_be_opened_is_named_by_its_path_and_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
