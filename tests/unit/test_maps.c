// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/base/clock.h"
#include "../../user/remote/maps.h"

static char path_buffer[65536];

static int parse(const char *line, struct map_line *out)
{
	return maps_parse_line(line, strlen(line), out, path_buffer);
}

static void a_line_gives_all_its_fields(void **state)
{
	struct map_line line;

	(void)state;
	assert_int_equal(parse("7f0000001000-7f0000003000 r-xp 00002000 fe:1f 1234567        "
			       "            /usr/lib/libc.so.6", &line), 0);
	assert_int_equal(line.start, 0x7f0000001000);
	assert_int_equal(line.end, 0x7f0000003000);
	assert_int_equal(line.offset, 0x2000);
	assert_true(line.read);
	assert_false(line.write);
	assert_true(line.exec);
	assert_false(line.shared);
	assert_int_equal(line.major, 0xfe);
	assert_int_equal(line.minor, 0x1f);
	assert_int_equal(line.ino, 1234567);
	assert_false(line.deleted);
	assert_string_equal(line.path, "/usr/lib/libc.so.6");
	assert_int_equal(parse("0-1 -w-s 0 0:0 0", &line), 0);
	assert_false(line.read);
	assert_true(line.write);
	assert_false(line.exec);
	assert_true(line.shared);
}

static void an_anonymous_mapping_has_an_empty_path(void **state)
{
	struct map_line line;

	(void)state;
	assert_int_equal(parse("1000-2000 rw-p 00000000 00:00 0", &line), 0);
	assert_string_equal(line.path, "");
	assert_int_equal(parse("1000-2000 rw-p 00000000 00:00 0 ", &line), 0);
	assert_string_equal(line.path, "");
	assert_int_equal(parse("1000-2000 rw-p 00000000 00:00 0       [heap]", &line), 0);
	assert_string_equal(line.path, "[heap]");
}

static void a_deleted_file_is_marked_and_keeps_its_path(void **state)
{
	struct map_line line;

	(void)state;
	assert_int_equal(parse("1000-2000 r-xp 0 8:1 7 /tmp/a b.so (deleted)", &line), 0);
	assert_true(line.deleted);
	assert_string_equal(line.path, "/tmp/a b.so");
	assert_int_equal(parse("1000-2000 r-xp 0 8:1 7 /tmp/x(deleted)", &line), 0);
	assert_false(line.deleted);
	assert_string_equal(line.path, "/tmp/x(deleted)");
}

static void a_newline_in_a_path_comes_back_and_other_backslashes_stay(void **state)
{
	struct map_line line;

	(void)state;
	assert_int_equal(parse("1000-2000 r-xp 0 8:1 7 /a\\012b\\040\\01\\", &line), 0);
	assert_string_equal(line.path, "/a\nb\\040\\01\\");
}

static void lines_that_cannot_be_are_refused(void **state)
{
	static const char *const lines[] = {
		"", " ", "-", "1000", "1000-", "1000-2000", "1000-2000 ", "1000-2000 rwxp",
		"1000-2000 rwxp 0", "1000-2000 rwxp 0 8:1", "1000-2000 rwxp 0 8:1 ",
		"2000-1000 rwxp 0 8:1 1", "1000-1000 rwxp 0 8:1 1", "1000-2000 rwx 0 8:1 1",
		"1000-2000 qwxp 0 8:1 1", "1000-2000 rwxq 0 8:1 1", "x1000-2000 rwxp 0 8:1 1",
		"1000-10000000000000000 rwxp 0 8:1 1", "1000-2000 rwxp 0 100000000:1 1",
		"1000-2000 rwxp 0 8:1 18446744073709551616", "1000-2000 rwxp 0 8:1 1x",
		"1000-2000 rwxp g 8:1 1", "1000 -2000 rwxp 0 8:1 1",
	};
	struct map_line line;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(parse(lines[i], &line), -EINVAL);
	assert_int_equal(maps_parse_line("0-1 rwxp 0 8:1 1 /a\0b", 21, &line, path_buffer), -EINVAL);
}

static void the_largest_numbers_fit(void **state)
{
	struct map_line line;

	(void)state;
	assert_int_equal(parse("fffffffffffff000-ffffffffffffffff --xp ffffffffffffffff "
			       "ffffffff:ffffffff 18446744073709551615 [vsyscall]", &line), 0);
	assert_int_equal(line.end, UINT64_MAX);
	assert_int_equal(line.offset, UINT64_MAX);
	assert_int_equal(line.major, UINT32_MAX);
	assert_int_equal(line.ino, UINT64_MAX);
}

struct seen {
	size_t count, stop_at;
	char last[64];
	uint64_t start, offset; /* of it */
	uintptr_t wanted;
	bool found;
};

static int see(void *ctx, const struct map_line *line)
{
	struct seen *seen = ctx;

	seen->count++;
	snprintf(seen->last, sizeof(seen->last), "%s", line->path);
	seen->start = line->start;
	seen->offset = line->offset;
	if (seen->wanted >= line->start && seen->wanted < line->end)
		seen->found = line->exec && *line->path == '/';
	return seen->count == seen->stop_at ? 7 : 0;
}

static int file_of(const char *text, size_t length)
{
	int fd = memfd_create("maps", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, length), length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void a_walk_skips_what_it_cannot_parse_and_takes_a_last_line_without_newline(void **state)
{
	static const char text[] = "1000-2000 rwxp 0 8:1 1 /one\nnonsense\n\n"
				   "2000-3000 rwxp 0 8:1 1 /two";
	struct seen seen = { 0 };
	int fd = file_of(text, sizeof(text) - 1);

	(void)state;
	assert_int_equal(maps_walk(fd, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.last, "/two");
	close(fd);
}

static void a_walk_ends_with_what_the_callback_returned(void **state)
{
	static const char text[] = "1000-2000 rwxp 0 8:1 1 /one\n2000-3000 rwxp 0 8:1 1 /two\n";
	struct seen seen = { .stop_at = 1 };
	int fd = file_of(text, sizeof(text) - 1);

	(void)state;
	assert_int_equal(maps_walk(fd, see, &seen), 7);
	assert_string_equal(seen.last, "/one");
	close(fd);
	assert_int_equal(maps_walk(-1, see, &seen), -EBADF);
}

/* As a list looks that is read in two pieces, of which the second begins in what the first ended with. */
static void what_was_listed_already_is_left_out_of_the_next_line(void **state)
{
	static const char text[] = "1000-3000 rw-p 0 0:0 0\n2000-6000 r--p 5000 8:1 1 /grown\n"
				   "4000-6000 r--p 0 8:1 1 /again\n";
	static const char memory[] = "1000-3000 rw-p 0 0:0 0\n2000-6000 r--p 0 0:0 0\n";
	struct seen seen = { 0 };
	int fd = file_of(text, sizeof(text) - 1);

	(void)state;
	assert_int_equal(maps_walk(fd, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.last, "/grown");
	assert_int_equal(seen.start, 0x3000);
	assert_int_equal(seen.offset, 0x6000);
	close(fd);
	fd = file_of(memory, sizeof(memory) - 1);
	assert_int_equal(maps_walk(fd, see, &seen), 0);
	assert_int_equal(seen.count, 4);
	assert_int_equal(seen.start, 0x3000);
	assert_int_equal(seen.offset, 0);
	close(fd);
}

static void a_line_too_long_is_skipped_and_the_next_one_is_read(void **state)
{
	static const char head[] = "1000-2000 rwxp 0 8:1 1 /", next[] = "\n0-1 rwxp 0 8:1 1 /next\n";
	const size_t bytes = 40000;
	char *text = malloc(bytes + sizeof(next));
	struct seen seen = { 0 };
	int fd;

	(void)state;
	memset(text, 'a', bytes);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + 32768, "0-1 rwxp 0 8:1 1 /x", 19); /* no line: in the middle of a path */
	memcpy(text + bytes, next, sizeof(next));
	fd = file_of(text, bytes + sizeof(next) - 1);
	assert_int_equal(maps_walk(fd, see, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.last, "/next");
	close(fd);
	/* As long as a path can get, with every byte escaped: that is read. */
	fd = file_of(text, 17000);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(maps_walk(fd, see, &seen), 0);
	assert_int_equal(seen.count, 1);
	close(fd);
	free(text);
}

static void our_own_text_is_in_our_own_maps(void **state)
{
	struct seen seen = { .wanted = (uintptr_t)our_own_text_is_in_our_own_maps };
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(maps_walk(fd, see, &seen), 0);
	assert_true(seen.found);
	close(fd);
}

static void how_long_a_reading_holds_the_process_is_added_up(void **state)
{
	struct seen seen = { .wanted = (uintptr_t)how_long_a_reading_holds_the_process_is_added_up };
	struct proc proc = PROC_INIT;
	uint64_t held_ns = 0, once_ns, began_ns = clock_mono_ns();

	(void)state;
	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(maps_read_held(&proc, see, &seen, &held_ns), 0);
	assert_true(seen.found);
	once_ns = held_ns;
	assert_in_range(once_ns, 1, clock_mono_ns() - began_ns);
	assert_int_equal(maps_read_held(&proc, see, &seen, &held_ns), 0);
	assert_in_range(held_ns, once_ns + 1, clock_mono_ns() - began_ns);
	proc_close(&proc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_gives_all_its_fields),
		cmocka_unit_test(an_anonymous_mapping_has_an_empty_path),
		cmocka_unit_test(a_deleted_file_is_marked_and_keeps_its_path),
		cmocka_unit_test(a_newline_in_a_path_comes_back_and_other_backslashes_stay),
		cmocka_unit_test(lines_that_cannot_be_are_refused),
		cmocka_unit_test(the_largest_numbers_fit),
		cmocka_unit_test(a_walk_skips_what_it_cannot_parse_and_takes_a_last_line_without_newline),
		cmocka_unit_test(a_walk_ends_with_what_the_callback_returned),
		cmocka_unit_test(what_was_listed_already_is_left_out_of_the_next_line),
		cmocka_unit_test(a_line_too_long_is_skipped_and_the_next_one_is_read),
		cmocka_unit_test(our_own_text_is_in_our_own_maps),
		cmocka_unit_test(how_long_a_reading_holds_the_process_is_added_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
