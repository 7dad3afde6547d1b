// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../user/remote/filepages.h"

#define PAGE 4096u

/* An empty file of @pages pages at @path. */
static int make_file(char *path, size_t pages)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE)), 0);
	return fd;
}

static char *map_file(int fd, size_t pages, int flags)
{
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	madvise(at, pages * PAGE, MADV_RANDOM); /* a fault brings one page */
	return at;
}

/* What is told of ourselves. */
static struct filepages read_own(void)
{
	struct pagemap map = PAGEMAP_INIT;
	struct proc proc = PROC_INIT;
	struct filepages files;

	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(pagemap_open(&map, &proc), 0);
	assert_int_equal(filepages_read(&files, &map, PAGE), 0);
	pagemap_close(&map);
	proc_close(&proc);
	return files;
}

static const struct file_pages *find(const struct filepages *files, const char *path)
{
	for (size_t i = 0; i < files->count; i++) {
		if (!strcmp(files->files[i].path, path))
			return &files->files[i];
	}
	return NULL;
}

static void pages_of_a_files_mappings_are_summed_and_written_private_ones_are_none(void **state)
{
	char path[] = "/var/tmp/heldby-filepages.XXXXXX";
	int fd = make_file(path, 8);
	char *shared = map_file(fd, 8, MAP_SHARED), *copied = map_file(fd, 8, MAP_PRIVATE);
	const struct file_pages *file;
	struct filepages files;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		shared[i * PAGE] = 1;
	copied[0] = 1;
	for (size_t i = 1; i < 8; i++)
		(void)*(volatile char *)(copied + i * PAGE);
	files = read_own();
	file = find(&files, path);
	assert_non_null(file);
	assert_int_equal(file->resident_bytes, 15 * PAGE);
	assert_int_equal(file->mappings, 2);
	assert_int_equal(files.left_out, 0);
	filepages_release(&files);
	munmap(shared, 8 * PAGE);
	munmap(copied, 8 * PAGE);
	close(fd);
	unlink(path);
}

static void a_file_without_a_resident_page_is_left_out_and_the_rest_is_sorted(void **state)
{
	char path[] = "/var/tmp/heldby-filepages.XXXXXX";
	int fd = make_file(path, 8);
	char *at = map_file(fd, 8, MAP_SHARED);
	struct filepages files = read_own();

	(void)state;
	assert_null(find(&files, path));
	assert_true(files.count > 1);
	for (size_t i = 1; i < files.count; i++)
		assert_true(files.files[i - 1].resident_bytes >= files.files[i].resident_bytes);
	assert_true(files.files[files.count - 1].resident_bytes > 0);
	filepages_release(&files);
	assert_int_equal(files.count, 0);
	munmap(at, 8 * PAGE);
	close(fd);
	unlink(path);
}

static void shared_memory_is_no_file(void **state)
{
	int fd = memfd_create("heldby-filepages", MFD_CLOEXEC);
	struct filepages files;
	char *at;

	(void)state;
	assert_int_equal(ftruncate(fd, PAGE), 0);
	at = map_file(fd, 1, MAP_SHARED);
	*at = 1;
	files = read_own();
	for (size_t i = 0; i < files.count; i++)
		assert_null(strstr(files.files[i].path, "memfd:"));
	filepages_release(&files);
	munmap(at, PAGE);
	close(fd);
}

static void a_mapping_that_is_too_large_is_left_out_and_told(void **state)
{
	const size_t pages = FILEPAGES_LOOKED_AT + 1;
	char path[] = "/var/tmp/heldby-filepages.XXXXXX";
	int fd = make_file(path, pages);
	char *at = map_file(fd, pages, MAP_SHARED);
	struct filepages files;

	(void)state;
	*at = 1;
	files = read_own();
	assert_null(find(&files, path));
	assert_int_equal(files.left_out, pages);
	assert_true(files.count > 0);
	filepages_release(&files);
	munmap(at, pages * PAGE);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_a_files_mappings_are_summed_and_written_private_ones_are_none),
		cmocka_unit_test(a_file_without_a_resident_page_is_left_out_and_the_rest_is_sorted),
		cmocka_unit_test(shared_memory_is_no_file),
		cmocka_unit_test(a_mapping_that_is_too_large_is_left_out_and_told),
	};

	return cmocka_run_group_tests_name("filepages", tests, NULL, NULL);
}
