/* SPDX-License-Identifier: Apache-2.0 */
/* Files for the tests of the allocator search: the system's own, and some built on the spot. */
#ifndef HB_TESTS_ALLOCATOR_FILES_H
#define HB_TESTS_ALLOCATOR_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../bpf/record.h"
#include "../../user/probe/allocators.h"
#include "folder.h"

/* A file and what was found in it. */
struct found {
	struct elf_file *file;
	struct probe_set set;
};

/* @name is a path, or a name in the folder. Skips the test if a path is not there. */
__attribute__((unused)) static void found_open(struct found *found, const char *name)
{
	char path[256];
	int fd;

	if (*name == '/')
		snprintf(path, sizeof(path), "%s", name);
	else
		snprintf(path, sizeof(path), "%s/%s", files_folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && *name == '/') {
		print_message("skipped: there is no %s\n", path);
		skip();
	}
	assert_true(fd >= 0);
	assert_int_equal(elffile_open(&found->file, fd), 0);
	close(fd);
	assert_int_equal(allocators_find(found->file, &found->set), 0);
}

__attribute__((unused)) static void found_close(struct found *found)
{
	probe_set_release(&found->set);
	elffile_free(found->file);
}

__attribute__((unused)) static const struct probe_point *
found_point(const struct found *found, const char *function, enum probe_place place)
{
	size_t i;

	for (i = 0; i < found->set.count; i++) {
		const struct probe_point *point = &found->set.points[i];

		if (point->place == place && !strcmp(point->function, function))
			return point;
	}
	return NULL;
}

__attribute__((unused)) static size_t found_count(const struct found *found, enum probe_place place)
{
	size_t i, count = 0;

	for (i = 0; i < found->set.count; i++)
		count += found->set.points[i].place == place;
	return count;
}

/* The file offset of symbol @name. */
__attribute__((unused)) static uint64_t found_symbol(const struct found *found, const char *name)
{
	const struct elf_symbol *symbol = elffile_symbol(found->file, name);
	uint64_t offset;

	assert_non_null(symbol);
	assert_true(elffile_offset(found->file, symbol->vaddr, &offset));
	return offset;
}

/* What a cookie says, as "role source size count ptr throws". */
__attribute__((unused)) static const char *cookie_text(uint64_t cookie)
{
	static char text[64];

	snprintf(text, sizeof(text), "%d %d %d %d %d %d",
		 (int)HB_COOKIE_GET(cookie, HB_COOKIE_ROLE_SHIFT, 4),
		 (int)HB_COOKIE_GET(cookie, HB_COOKIE_SOURCE_SHIFT, 4),
		 (int)HB_COOKIE_GET(cookie, HB_COOKIE_SIZE_SHIFT, 3),
		 (int)HB_COOKIE_GET(cookie, HB_COOKIE_COUNT_SHIFT, 3),
		 (int)HB_COOKIE_GET(cookie, HB_COOKIE_PTR_SHIFT, 3),
		 (int)HB_COOKIE_GET(cookie, HB_COOKIE_THROWS_SHIFT, 1));
	return text;
}

/* What the tests expect of a function, in cookie_text()'s order. */
#define IS_ALLOC(size)                 "1 1 " #size " 0 0 0"
#define IS_ALLOC_N(count, size)        "1 1 " #size " " #count " 0 0"
#define IS_NEW(size)                   "1 1 " #size " 0 0 1"
#define IS_POSIX(ptr, size)            "2 1 " #size " 0 " #ptr " 0"
#define IS_REALLOC(ptr, size)          "3 1 " #size " 0 " #ptr " 0"
#define IS_REALLOC_N(ptr, count, size) "3 1 " #size " " #count " " #ptr " 0"
#define IS_RESIZE(ptr, size)           "4 1 " #size " 0 " #ptr " 0"
#define IS_FREE(ptr)                   "5 1 0 0 " #ptr " 0"

/* @function is probed, at its symbol's address or a little behind it, with these arguments. */
__attribute__((unused)) static void assert_call(const struct found *found, const char *function,
						const char *expected)
{
	/* An allocator's free has no return probe, a JVM's has. */
	enum probe_place place = !strncmp(expected, "5 1", 3) ? PLACE_FREE : PLACE_CALL;
	const struct probe_point *point = found_point(found, function, place);

	if (!point)
		fail_msg("%s is not probed", function);
	assert_string_equal(cookie_text(point->cookie), expected);
	assert_int_equal(point->entry, found_symbol(found, function));
	assert_in_range(point->offset - point->entry, 0, 63);
}

__attribute__((unused)) static void assert_absent(const struct found *found, const char *function)
{
	assert_null(found_point(found, function, PLACE_CALL));
	assert_null(found_point(found, function, PLACE_FREE));
	assert_null(found_point(found, function, PLACE_RET));
}

/* Sorted, no two alike, all calls probed where a symbol says so, all rets at ret instructions. */
__attribute__((unused)) static void assert_orderly(const struct found *found)
{
	size_t i;

	for (i = 0; i < found->set.count; i++) {
		const struct probe_point *point = &found->set.points[i];
		uint8_t code[2];

		if (i) {
			const struct probe_point *last = point - 1;

			assert_true(last->offset < point->offset ||
				    (last->offset == point->offset && last->place < point->place));
		}
		assert_int_equal(pread(found->file->fd, code, 2, (off_t)point->offset), 2);
		if (point->place == PLACE_RET)
			assert_true(code[0] == 0xc3 || code[0] == 0xc2 ||
				    ((code[0] == 0xf3 || code[0] == 0xf2) && code[1] == 0xc3));
	}
}

#endif
