// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/symbol/symcache.h"
#include "elf_image.h"

#define T IMAGE_TEXT_VADDR

static const struct image_symbol two[] = {
	{ "first", T + 0x100, 0x10, STT_FUNC, STB_GLOBAL, 0 },
	{ "_ZN3foo3barEi", T + 0x110, 0x10, STT_FUNC, STB_GLOBAL, 0 },
};

static int new_cache(void **state)
{
	*state = symcache_new();
	return !*state;
}

static int free_cache(void **state)
{
	symcache_free(*state);
	return 0;
}

/* A new file with @symbols. */
static int make_file(const struct image_symbol *symbols, size_t count)
{
	struct image image;
	int fd;

	image_make(&image, symbols, count, SHT_SYMTAB);
	fd = image_file(&image, sizeof(image));
	assert_true(fd >= 0);
	return fd;
}

static void one_file_is_opened_once(void **state)
{
	int fd = make_file(two, 2), other = make_file(two, 2);
	struct elf_file *a, *b, *c;

	assert_int_equal(symcache_add(*state, fd, &a), 0);
	assert_int_equal(symcache_add(*state, fd, &b), 0);
	assert_int_equal(symcache_add(*state, other, &c), 0);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	close(fd);
	close(other);
}

static void a_file_that_was_written_to_is_another_file(void **state)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1, .tv_nsec = 5 } };
	int fd = make_file(two, 2);
	struct elf_file *a, *b;

	assert_int_equal(symcache_add(*state, fd, &a), 0);
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(symcache_add(*state, fd, &b), 0);
	assert_ptr_not_equal(a, b);
	close(fd);
}

static void what_is_no_elf_file_is_refused_each_time(void **state)
{
	int fd = memfd_create("text", MFD_CLOEXEC);
	struct elf_file *file;

	assert_int_equal(symcache_add(*state, fd, &file), -ENOEXEC);
	assert_int_equal(symcache_add(*state, fd, &file), -ENOEXEC);
	assert_int_equal(symcache_add(*state, -1, &file), -EBADF);
	close(fd);
}

static void a_return_address_means_the_call_before_it(void **state)
{
	int fd = make_file(two, 2);
	struct elf_file *file;
	struct frame frame = { .address = 77 };

	assert_int_equal(symcache_add(*state, fd, &file), 0);
	close(fd);
	symcache_frame(*state, file, "/x", IMAGE_TEXT_OFFSET + 0x110, 0, &frame);
	assert_string_equal(frame.function, "first");
	assert_int_equal(frame.offset, T + 0x110);
	symcache_frame(*state, file, "/x", IMAGE_TEXT_OFFSET + 0x110, 1, &frame);
	assert_string_equal(frame.function, "foo::bar(int)");
	assert_int_equal(frame.offset, T + 0x110);
	assert_int_equal(frame.address, 77);
}

static void names_are_made_once_and_shared(void **state)
{
	int fd = make_file(two, 2);
	struct elf_file *file;
	struct frame a, b;
	char path[] = "/lib/x";

	assert_int_equal(symcache_add(*state, fd, &file), 0);
	close(fd);
	symcache_frame(*state, file, path, IMAGE_TEXT_OFFSET + 0x112, 1, &a);
	path[5] = 'y';
	assert_string_equal(a.module, "/lib/x"); /* not the caller's bytes */
	path[5] = 'x';
	symcache_frame(*state, file, path, IMAGE_TEXT_OFFSET + 0x118, 1, &b);
	assert_ptr_equal(a.function, b.function);
	assert_ptr_equal(a.module, b.module);
	symcache_frame(*state, file, path, IMAGE_TEXT_OFFSET + 0x112, 1, &b);
	assert_ptr_equal(a.function, b.function);
}

static void an_offset_outside_of_all_segments_has_a_module_and_no_name(void **state)
{
	int fd = make_file(two, 2);
	struct elf_file *file;
	struct frame frame;

	assert_int_equal(symcache_add(*state, fd, &file), 0);
	close(fd);
	symcache_frame(*state, file, "/x", 0x123456, 0, &frame);
	assert_null(frame.function);
	assert_string_equal(frame.module, "/x");
	assert_int_equal(frame.offset, 0x123456);
	symcache_frame(*state, NULL, "/y", 0, 0, &frame);
	assert_string_equal(frame.module, "/y");
	assert_int_equal(frame.offset, 0);
	assert_null(frame.build_id);
}

static void beyond_the_cap_the_oldest_file_is_closed_and_keeps_its_names(void **state)
{
	struct elf_file *files[SYMCACHE_OPEN_MAX + 2];
	struct frame frame;
	size_t i;

	for (i = 0; i < SYMCACHE_OPEN_MAX + 2; i++) {
		int fd = make_file(two, 2);

		assert_int_equal(symcache_add(*state, fd, &files[i]), 0);
		close(fd);
	}
	assert_int_equal(files[0]->fd, -1);
	assert_int_equal(files[1]->fd, -1);
	for (i = 2; i < SYMCACHE_OPEN_MAX + 2; i++)
		assert_true(files[i]->fd >= 0);
	symcache_frame(*state, files[0], "/x", IMAGE_TEXT_OFFSET + 0x112, 1, &frame);
	assert_string_equal(frame.function, "foo::bar(int)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_cache, free_cache)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_file_is_opened_once),
		TEST(a_file_that_was_written_to_is_another_file),
		TEST(what_is_no_elf_file_is_refused_each_time),
		TEST(a_return_address_means_the_call_before_it),
		TEST(names_are_made_once_and_shared),
		TEST(an_offset_outside_of_all_segments_has_a_module_and_no_name),
		TEST(beyond_the_cap_the_oldest_file_is_closed_and_keeps_its_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
