// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/symbol/jitnames.h"
#include "jitdump_image.h"

struct files {
	struct jitnames *names;
	int fd;
};

static int start_empty(void **state)
{
	static struct files files;

	files.names = jitnames_new();
	files.fd = memfd_create("names", MFD_CLOEXEC);
	*state = &files;
	return !files.names || files.fd < 0;
}

static int release(void **state)
{
	struct files *files = *state;

	jitnames_free(files->names);
	close(files->fd);
	return 0;
}

static void append_bytes(int fd, const void *bytes, size_t count)
{
	assert_int_equal(lseek(fd, 0, SEEK_END) >= 0, 1);
	assert_int_equal(write(fd, bytes, count), count);
}

static void append(int fd, const char *text)
{
	append_bytes(fd, text, strlen(text));
}

/* Write the file anew, and give it a time of its own: clocks of files tick slowly. */
static void rewrite(int fd, const char *text, time_t mtime)
{
	struct timespec times[2] = { { .tv_sec = mtime }, { .tv_sec = mtime } };

	assert_int_equal(ftruncate(fd, 0), 0);
	append(fd, text);
	assert_int_equal(futimens(fd, times), 0);
}

static void expect(const struct jitnames *names, uint64_t address, const char *name)
{
	if (name)
		assert_string_equal(jitnames_find(names, address), name);
	else
		assert_null(jitnames_find(names, address));
}

static void a_map_names_addresses(void **state)
{
	struct files *files = *state;

	append(files->fd, "1000 10 first\n0x1010 0x20 second one\n");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0xfff, NULL);
	expect(files->names, 0x1000, "first");
	expect(files->names, 0x100f, "first");
	expect(files->names, 0x1010, "second one");
	expect(files->names, 0x102f, "second one");
	expect(files->names, 0x1030, NULL);
	assert_int_equal(jitnames_skipped(files->names), 0);
}

static void later_lines_win(void **state)
{
	struct files *files = *state;

	append(files->fd, "1000 100 old\n1080 100 new\n1000 10 newest\n");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "newest");
	expect(files->names, 0x1010, "old");
	expect(files->names, 0x1080, "new");
	expect(files->names, 0x117f, "new");
}

static void an_unfinished_line_waits_for_its_end(void **state)
{
	struct files *files = *state;

	append(files->fd, "1000 10 first\n2000 10 sec");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "first");
	expect(files->names, 0x2000, NULL);
	append(files->fd, "ond");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x2000, NULL);
	append(files->fd, "\n3000 10 third\n");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "first");
	expect(files->names, 0x2000, "second");
	expect(files->names, 0x3000, "third");
	assert_int_equal(jitnames_skipped(files->names), 0);
}

static void a_file_read_byte_by_byte_says_the_same(void **state)
{
	static const char text[] = "1000 10 first\njunk\n1008 10 second\n\n3000 10 third\n4000 0 none\n";
	struct files *files = *state;
	size_t i;

	for (i = 0; i < sizeof(text) - 1; i++) {
		append_bytes(files->fd, &text[i], 1);
		assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	}
	expect(files->names, 0x1007, "first");
	expect(files->names, 0x1008, "second");
	expect(files->names, 0x3000, "third");
	assert_int_equal(jitnames_skipped(files->names), 3);
}

static void lines_without_sense_are_counted_and_skipped(void **state)
{
	struct files *files = *state;

	append(files->fd, "hello\n1000 10 a\n\n2000 0 empty\n3000 10 \n4000 10 b\n");
	append_bytes(files->fd, "5000 10 c\0d\n6000 10 e\n", 22);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "a");
	expect(files->names, 0x4000, "b");
	expect(files->names, 0x5000, NULL);
	expect(files->names, 0x6000, "e");
	assert_int_equal(jitnames_skipped(files->names), 5);
}

static void a_name_is_any_bytes_and_cut_where_it_is_too_long(void **state)
{
	static char name[200001];
	struct files *files = *state;

	memset(name, 'n', 200000);
	append(files->fd, "1000 10 \x1b[31m\xff\n2000 10 ");
	append(files->fd, name);
	append(files->fd, "\n3000 10 after\n4000 10 ");
	append(files->fd, name);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "\x1b[31m\xff");
	assert_int_equal(strlen(jitnames_find(files->names, 0x2000)), JITNAMES_NAME_MAX);
	assert_string_equal(jitnames_find(files->names, 0x2000) + JITNAMES_NAME_MAX - 5, "nn...");
	expect(files->names, 0x3000, "after");
	assert_int_equal(strlen(jitnames_find(files->names, 0x4000)), JITNAMES_NAME_MAX);
	append(files->fd, "5000 10 no line of its own\n5000 10 end\n");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x5000, "end");
	assert_int_equal(jitnames_skipped(files->names), 0);
}

static void a_file_that_shrank_is_read_anew(void **state)
{
	struct files *files = *state;

	append(files->fd, "1000 10 first\n2000 10 second\n");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	rewrite(files->fd, "3000 10 third\n", 1000);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, NULL);
	expect(files->names, 0x2000, NULL);
	expect(files->names, 0x3000, "third");
	assert_int_equal(ftruncate(files->fd, 0), 0);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x3000, NULL);
}

static void a_file_written_anew_and_longer_is_read_anew(void **state)
{
	struct files *files = *state;

	rewrite(files->fd, "1000 10 first\n2000 10 second\n", 1000);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	rewrite(files->fd, "1000 10 first\n1800 10 between\n2000 10 second\n", 1001);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "first");
	expect(files->names, 0x1800, "between");
	expect(files->names, 0x2000, "second");
}

static void a_file_written_anew_and_as_long_is_read_anew(void **state)
{
	struct files *files = *state;

	rewrite(files->fd, "1000 10 first\n2000 10 second line that stays as it is, to its very last byte\n", 1000);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	rewrite(files->fd, "3000 10 third\n2000 10 second line that stays as it is, to its very last byte\n", 1001);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, NULL);
	expect(files->names, 0x3000, "third");
}

static void another_file_replaces_the_one_before(void **state)
{
	int fd = memfd_create("other", MFD_CLOEXEC);
	struct files *files = *state;

	append(files->fd, "1000 10 first\n");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	append(fd, "1000 10 first\n2000 10 second\n");
	assert_int_equal(jitnames_read_map(files->names, fd), 0);
	expect(files->names, 0x1000, "first");
	expect(files->names, 0x2000, "second");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "first");
	expect(files->names, 0x2000, NULL);
	close(fd);
}

static void the_descriptors_offset_is_left_alone(void **state)
{
	struct files *files = *state;

	append(files->fd, "1000 10 first\n");
	assert_int_equal(lseek(files->fd, 5, SEEK_SET), 5);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	assert_int_equal(lseek(files->fd, 0, SEEK_CUR), 5);
	expect(files->names, 0x1000, "first");
}

static void what_cannot_be_read_keeps_the_names(void **state)
{
	struct files *files = *state;

	append(files->fd, "1000 10 first\n");
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	assert_int_equal(jitnames_read_map(files->names, -1), -EBADF);
	assert_int_equal(jitnames_read_dump(files->names, -1), -EBADF);
	expect(files->names, 0x1000, "first");
}

static void of_an_enormous_map_the_end_is_read(void **state)
{
	static const char last[] = "\n3000 10 last\n";
	struct files *files = *state;
	off_t size = (off_t)JITNAMES_BYTES_MAX + 20;

	/* A hole: zeros, which make one long line. The last 256 MiB begin behind the first line. */
	append(files->fd, "1000 10 first, beyond\n");
	assert_int_equal(pwrite(files->fd, last, strlen(last), size - (off_t)strlen(last)), strlen(last));
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, NULL);
	expect(files->names, 0x3000, "last");
}

static void a_map_written_anew_each_time_is_read_in_parts(void **state)
{
	struct files *files = *state;
	off_t part = JITNAMES_BYTES_MORE;

	/* The first two calls take all that they are allowed; the third has a little more to read than that. */
	rewrite(files->fd, "1000 10 first\n", 1000);
	assert_int_equal(pwrite(files->fd, "\n2000 10 a\n", 11, (off_t)JITNAMES_BYTES_MAX - 11), 11);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x2000, "a");
	rewrite(files->fd, "1000 10 second\n", 1001);
	assert_int_equal(pwrite(files->fd, "\n2000 10 b\n", 11, part - 11), 11);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x2000, "b");
	rewrite(files->fd, "1000 10 third\n", 1002);
	assert_int_equal(pwrite(files->fd, "\n2000 10 c\n", 11, part + 64 - 11), 11);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x1000, "third");
	expect(files->names, 0x2000, NULL);
	assert_int_equal(jitnames_read_map(files->names, files->fd), 0);
	expect(files->names, 0x2000, "c"); /* the rest has come with the next call */
}

static void a_dump_names_addresses(void **state)
{
	struct files *files = *state;
	char bytes[4096], *at = bytes;

	at += dump_put_header(at);
	at += dump_put_other(at, 4, 24);
	at += dump_put_load(at, 0x1000, 0x10, "first");
	at += dump_put_other(at, 2, 100);
	at += dump_put_load(at, 0x2000, 0x20, "second");
	at += dump_put_load(at, 0x1008, 0x10, "later");
	at += dump_put_load(at, 0x5000, 0, "no code");
	at += dump_put_other(at, 3, 0);
	append_bytes(files->fd, bytes, (size_t)(at - bytes));
	assert_int_equal(jitnames_read_dump(files->names, files->fd), 0);
	expect(files->names, 0x1007, "first");
	expect(files->names, 0x1008, "later");
	expect(files->names, 0x1018, NULL);
	expect(files->names, 0x2000, "second");
	expect(files->names, 0x5000, NULL);
	assert_int_equal(jitnames_skipped(files->names), 0);
}

static void moved_code_keeps_its_name(void **state)
{
	struct files *files = *state;
	char bytes[4096], *at = bytes;

	at += dump_put_header(at);
	at += dump_put_load(at, 0x1000, 0x10, "f");
	at += dump_put_move(at, 0x1000, 0x3000, 0x10);
	at += dump_put_load(at, 0x1000, 0x10, "g");
	at += dump_put_move(at, 0x3000, 0x4000, 0x10);
	at += dump_put_move(at, 0x9000, 0xa000, 0x10); /* nothing was there */
	append_bytes(files->fd, bytes, (size_t)(at - bytes));
	assert_int_equal(jitnames_read_dump(files->names, files->fd), 0);
	expect(files->names, 0x1000, "g");
	expect(files->names, 0x3000, "f");
	expect(files->names, 0x400f, "f");
	expect(files->names, 0xa000, NULL);
	assert_int_equal(jitnames_skipped(files->names), 1);
}

static void a_dump_read_byte_by_byte_says_the_same(void **state)
{
	struct files *files = *state;
	char bytes[4096], *at = bytes, *end;

	at += dump_put_header(at);
	at += dump_put_load(at, 0x1000, 0x10, "f");
	at += dump_put_load(at, 0x2000, 0x10, ""); /* skipped */
	at += dump_put_move(at, 0x1000, 0x3000, 0x10);
	end = at;
	for (at = bytes; at < end; at++) {
		expect(files->names, 0x3000, NULL);
		append_bytes(files->fd, at, 1);
		assert_int_equal(jitnames_read_dump(files->names, files->fd), 0);
	}
	expect(files->names, 0x1000, "f");
	expect(files->names, 0x3000, "f");
	assert_int_equal(jitnames_skipped(files->names), 1);
}

static void records_longer_than_what_is_read_at_once_are_passed_over(void **state)
{
	static char bytes[1 << 20], name[100001];
	struct files *files = *state;
	char *at = bytes;

	memset(name, 'n', 100000);
	at += dump_put_header(at);
	at += dump_put_load(at, 0x1000, 300000, "large");
	at += dump_put_other(at, 2, 200000);
	at += dump_put_load(at, 0x100000, 10, name);
	at += dump_put_load(at, 0x200000, 10, "last");
	append_bytes(files->fd, bytes, (size_t)(at - bytes));
	assert_int_equal(jitnames_read_dump(files->names, files->fd), 0);
	expect(files->names, 0x1000 + 299999, "large");
	assert_int_equal(strlen(jitnames_find(files->names, 0x100000)), JITNAMES_NAME_MAX);
	expect(files->names, 0x200009, "last");
}

static void names_are_whole_wherever_a_chunk_ends(void **state)
{
	static char bytes[200000], name[4001];
	struct files *files = *state;
	char *at = bytes;
	uint64_t i;

	memset(name, 'n', 4000);
	at += dump_put_header(at);
	for (i = 0; i < 40; i++)
		at += dump_put_load(at, i, 1, name);
	append_bytes(files->fd, bytes, (size_t)(at - bytes));
	assert_int_equal(jitnames_read_dump(files->names, files->fd), 0);
	for (i = 0; i < 40; i++)
		expect(files->names, i, name);
}

static void a_broken_dump_is_read_up_to_there(void **state)
{
	struct files *files = *state;
	char bytes[4096], *at = bytes;
	uint32_t less = 8;

	at += dump_put_header(at);
	at += dump_put_load(at, 0x1000, 0x10, "f");
	memcpy(at + dump_put_other(at, 3, 0) - 12, &less, 4);
	at += 16;
	at += dump_put_load(at, 0x2000, 0x10, "g");
	append_bytes(files->fd, bytes, (size_t)(at - bytes));
	assert_int_equal(jitnames_read_dump(files->names, files->fd), -EBADMSG);
	expect(files->names, 0x1000, "f");
	expect(files->names, 0x2000, NULL);
	append_bytes(files->fd, bytes, 1);
	assert_int_equal(jitnames_read_dump(files->names, files->fd), -EBADMSG);
	assert_int_equal(ftruncate(files->fd, 0), 0);
	append_bytes(files->fd, bytes, (size_t)(at - bytes) - 200);
	assert_int_equal(jitnames_read_dump(files->names, files->fd), 0);
}

static void what_is_no_dump_is_refused(void **state)
{
	struct files *files = *state;

	append(files->fd, "1000 10 a line of a perf map, which is long enough\n");
	assert_int_equal(jitnames_read_dump(files->names, files->fd), -EBADMSG);
	assert_int_equal(jitnames_read_dump(files->names, files->fd), -EBADMSG);
	rewrite(files->fd, "JTiD\1\0\0\0", 1000);
	assert_int_equal(jitnames_read_dump(files->names, files->fd), 0); /* it may yet come */
	expect(files->names, 0x1000, NULL);
}

static void a_dump_comes_before_a_map(void **state)
{
	int fd = memfd_create("map", MFD_CLOEXEC);
	struct files *files = *state;
	char bytes[4096], *at = bytes;

	at += dump_put_header(at);
	at += dump_put_load(at, 0x1000, 0x10, "of the dump");
	append_bytes(files->fd, bytes, (size_t)(at - bytes));
	append(fd, "1000 20 of the map\n");
	assert_int_equal(jitnames_read_dump(files->names, files->fd), 0);
	assert_int_equal(jitnames_read_map(files->names, fd), 0);
	expect(files->names, 0x1000, "of the dump");
	expect(files->names, 0x1010, "of the map");
	close(fd);
}

static void nothing_is_freed_for_nothing(void **state)
{
	struct jitnames *names = jitnames_new();

	(void)state;
	assert_true(jitnames_bytes(names) < 2048);
	jitnames_free(names);
	jitnames_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_empty, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_map_names_addresses),
		TEST(later_lines_win),
		TEST(an_unfinished_line_waits_for_its_end),
		TEST(a_file_read_byte_by_byte_says_the_same),
		TEST(lines_without_sense_are_counted_and_skipped),
		TEST(a_name_is_any_bytes_and_cut_where_it_is_too_long),
		TEST(a_file_that_shrank_is_read_anew),
		TEST(a_file_written_anew_and_longer_is_read_anew),
		TEST(a_file_written_anew_and_as_long_is_read_anew),
		TEST(another_file_replaces_the_one_before),
		TEST(the_descriptors_offset_is_left_alone),
		TEST(what_cannot_be_read_keeps_the_names),
		TEST(of_an_enormous_map_the_end_is_read),
		TEST(a_map_written_anew_each_time_is_read_in_parts),
		TEST(a_dump_names_addresses),
		TEST(moved_code_keeps_its_name),
		TEST(a_dump_read_byte_by_byte_says_the_same),
		TEST(records_longer_than_what_is_read_at_once_are_passed_over),
		TEST(names_are_whole_wherever_a_chunk_ends),
		TEST(a_broken_dump_is_read_up_to_there),
		TEST(what_is_no_dump_is_refused),
		TEST(a_dump_comes_before_a_map),
		TEST(nothing_is_freed_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
