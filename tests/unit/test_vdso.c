// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../user/symbol/vdso.h"

/* Its mapping, as the kernel tells it. */
static size_t mapped_bytes(const void *image)
{
	unsigned long start, end;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t bytes = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &start, &end) == 2) {
			assert_int_equal(start, (unsigned long)(uintptr_t)image);
			bytes = end - start;
		}
	}
	fclose(maps);
	return bytes;
}

static void the_image_is_what_the_kernel_mapped_and_no_more(void **state)
{
	const void *image;
	size_t bytes;

	(void)state;
	assert_int_equal(vdso_image(&image, &bytes), 0);
	assert_memory_equal(image, ELFMAG, SELFMAG);
	assert_int_equal(bytes, mapped_bytes(image));
}

static void the_file_is_a_copy_of_the_image(void **state)
{
	char page[4096];
	const void *image;
	size_t bytes, at;
	int fd = vdso_open();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(vdso_image(&image, &bytes), 0);
	for (at = 0; at < bytes; at += sizeof(page)) {
		assert_int_equal(pread(fd, page, sizeof(page), (off_t)at), sizeof(page));
		assert_memory_equal(page, (const char *)image + at, sizeof(page));
	}
	assert_int_equal(pread(fd, page, 1, (off_t)bytes), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_image_is_what_the_kernel_mapped_and_no_more),
		cmocka_unit_test(the_file_is_a_copy_of_the_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
