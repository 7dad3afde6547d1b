// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/symbol/elffile.h"
#include "../../user/symbol/resolve.h"
#include "../../user/view/saved.h"

#define LEVELS 8

/* It says where the call lies that is inlined into parse_row, in terms of its file. */
static const char source[] =
	"#include <stdio.h>\n"
	"extern const char __ehdr_start[];\n"
	"__attribute__((noinline)) void where(void)\n"
	"{ printf(\"%lx\\n\", (unsigned long)((const char *)__builtin_return_address(0) - __ehdr_start)); }\n"
	"#line 20 \"/src/grow.h\"\n"
	"static inline __attribute__((always_inline)) void grow(void) { where(); __asm__ volatile(\"\"); }\n"
	"#line 118 \"/src/rows.c\"\n"
	"static __attribute__((noinline)) int parse_row(void) { grow(); return 1; }\n"
	"int main(void) { return parse_row() - 1; }\n";

/* @app and what was made of it: one program in four places. */
static struct {
	char dir[64];
	char app[PATH_MAX], stripped[PATH_MAX], gone[PATH_MAX], debug_dir[PATH_MAX];
	char build_id[2 * ELFFILE_BUILD_ID_MAX + 1];
	uint64_t offset; /* the return address into parse_row */
} made;

static void shell(const char *format, ...)
{
	char command[4 * PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

static void read_offset(void)
{
	FILE *out = popen(made.app, "r");
	unsigned long offset = 0;

	assert_non_null(out);
	assert_int_equal(fscanf(out, "%lx", &offset), 1);
	assert_int_equal(pclose(out), 0);
	made.offset = offset;
}

static void read_build_id(void)
{
	int fd = open(made.app, O_RDONLY | O_CLOEXEC);
	struct elf_file *file = NULL;

	assert_int_equal(elffile_open(&file, fd), 0);
	strcpy(made.build_id, file->build_id);
	elffile_free(file);
	close(fd);
	assert_true(strlen(made.build_id) > 4);
}

static int make_files(void **state)
{
	char path[PATH_MAX];
	FILE *file;

	(void)state;
	strcpy(made.dir, "/tmp/heldby-resolve-XXXXXX");
	assert_non_null(mkdtemp(made.dir));
	snprintf(path, sizeof(path), "%s/app.c", made.dir);
	snprintf(made.app, sizeof(made.app), "%s/app", made.dir);
	snprintf(made.stripped, sizeof(made.stripped), "%s/stripped", made.dir);
	snprintf(made.gone, sizeof(made.gone), "%s/gone", made.dir);
	snprintf(made.debug_dir, sizeof(made.debug_dir), "%s/debug", made.dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(source, file);
	fclose(file);
	shell("gcc -O2 -g -fPIE -pie -Wl,--build-id=sha1 -o %s %s", made.app, path);
	shell("strip -o %s %s", made.stripped, made.app);
	read_offset();
	read_build_id();
	shell("mkdir -p %s/.build-id/%.2s && objcopy --only-keep-debug %s %s/.build-id/%.2s/%s.debug", made.debug_dir,
	      made.build_id, made.app, made.debug_dir, made.build_id, made.build_id + 2);
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
	(void)stat;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int remove_files(void **state)
{
	(void)state;
	return nftw(made.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct resolve *new_resolve(const char *dir)
{
	struct resolve *resolve = NULL;
	size_t bad = 0;

	assert_int_equal(resolve_new(&resolve, &dir, dir ? 1 : 0, false, &bad), 0);
	return resolve;
}

static void count_missing(void *ctx, const char *path, const char *build_id)
{
	size_t *count = ctx;

	assert_non_null(path);
	assert_non_null(build_id);
	(*count)++;
}

static size_t missing(const struct resolve *resolve)
{
	size_t count = 0;

	resolve_missing(resolve, count_missing, &count);
	return count;
}

static size_t ask(struct resolve *resolve, const char *path, const char *build_id, struct frame *frames)
{
	struct frame saved = { .kind = FRAME_NATIVE, .module = path, .build_id = build_id, .offset = made.offset };

	return resolve_frames(resolve, &saved, frames, LEVELS);
}

static void expect_levels(struct resolve *resolve, const char *path)
{
	struct frame frames[LEVELS];

	assert_int_equal(ask(resolve, path, made.build_id, frames), 2);
	assert_string_equal(frames[0].function, "grow");
	assert_string_equal(frames[0].file, "/src/grow.h");
	assert_int_equal(frames[0].line, 20);
	assert_true(frames[0].inlined);
	assert_string_equal(frames[1].function, "parse_row");
	assert_string_equal(frames[1].file, "/src/rows.c");
	assert_int_equal(frames[1].line, 118);
	assert_false(frames[1].inlined);
	assert_int_equal(missing(resolve), 0);
}

static void expect_nothing(struct resolve *resolve, const char *path, const char *build_id)
{
	struct frame frames[LEVELS];
	size_t before = missing(resolve);

	assert_int_equal(ask(resolve, path, build_id, frames), 0);
	assert_int_equal(missing(resolve), before + 1);
}

static void a_file_that_is_still_there_is_found_by_its_path(void **state)
{
	struct resolve *resolve = new_resolve(NULL);

	(void)state;
	expect_levels(resolve, made.app);
	expect_levels(resolve, made.app);
	resolve_free(resolve);
}

static void a_file_that_was_replaced_is_not_believed(void **state)
{
	struct resolve *resolve = new_resolve(NULL);
	char other[sizeof(made.build_id)];

	(void)state;
	strcpy(other, made.build_id);
	other[0] = other[0] == '0' ? '1' : '0';
	expect_nothing(resolve, made.app, other);
	resolve_free(resolve);
}

static void a_stripped_file_has_no_name_for_what_it_keeps_to_itself(void **state)
{
	struct resolve *resolve = new_resolve(NULL);
	struct frame frames[LEVELS];

	(void)state;
	assert_int_equal(ask(resolve, made.stripped, made.build_id, frames), 1);
	assert_null(frames[0].function);
	assert_null(frames[0].file);
	resolve_free(resolve);
}

static void a_folder_of_debug_files_knows_more_than_a_stripped_file(void **state)
{
	struct resolve *resolve = new_resolve(made.debug_dir);

	(void)state;
	expect_levels(resolve, made.stripped);
	resolve_free(resolve);
}

static void a_debug_file_stands_in_for_a_file_that_is_gone(void **state)
{
	struct resolve *resolve = new_resolve(made.debug_dir);

	(void)state;
	expect_levels(resolve, made.gone);
	expect_levels(resolve, "relative");
	expect_levels(resolve, "[vdso]");
	resolve_free(resolve);
}

static void a_build_id_is_no_path(void **state)
{
	struct resolve *resolve = new_resolve(made.debug_dir);
	char upper[sizeof(made.build_id)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(upper); i++)
		upper[i] = made.build_id[i] >= 'a' ? made.build_id[i] - 'a' + 'A' : made.build_id[i];
	expect_nothing(resolve, made.app, "");
	expect_nothing(resolve, made.app, "../../../../../../etc/passwd");
	expect_nothing(resolve, made.app, "ab");
	expect_nothing(resolve, made.app, "abc/ef");
	expect_nothing(resolve, made.app, upper);
	resolve_free(resolve);
}

static void only_files_of_a_disk_are_read(void **state)
{
	struct resolve *resolve = new_resolve(NULL);
	char fifo[PATH_MAX];

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s/fifo", made.dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	expect_nothing(resolve, fifo, made.build_id);
	expect_nothing(resolve, made.dir, made.build_id);
	expect_nothing(resolve, "/dev/zero", made.build_id);
	expect_nothing(resolve, "/proc/self/maps", made.build_id);
	expect_nothing(resolve, "", made.build_id);
	resolve_free(resolve);
}

static void a_frame_without_module_or_build_id_is_not_looked_for(void **state)
{
	struct resolve *resolve = new_resolve(NULL);
	struct frame frames[LEVELS];

	(void)state;
	assert_int_equal(ask(resolve, made.app, NULL, frames), 0);
	assert_int_equal(ask(resolve, NULL, made.build_id, frames), 0);
	assert_int_equal(missing(resolve), 0);
	resolve_free(resolve);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
	const char *const dirs[] = { made.debug_dir, made.gone };
	struct resolve *resolve = NULL;
	size_t bad = 0;

	(void)state;
	assert_int_equal(resolve_new(&resolve, dirs, 2, false, &bad), -ENOENT);
	assert_int_equal(bad, 1);
	assert_int_equal(resolve_new(&resolve, dirs, RESOLVE_DIRS_MAX + 1, false, &bad), -E2BIG);
}

static size_t name_frame(void *ctx, const struct frame *saved, struct frame *frames, size_t cap)
{
	return resolve_frames(ctx, saved, frames, cap);
}

static void a_saved_board_gets_the_names_that_its_host_did_not_know(void **state)
{
	struct resolve *resolve = new_resolve(made.debug_dir);
	const struct saved_names names = { .ctx = resolve, .frames = name_frame };
	char before[1024], place[256], wanted[2048], *text = NULL;
	struct saved_line line = { .bytes = before };
	struct saved_counts counts = { 0 };
	size_t size = 0, at;
	const char *why;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	snprintf(place, sizeof(place), "\"module\":\"/gone/app\",\"build_id\":\"%s\",\"offset\":%llu", made.build_id,
		 (unsigned long long)made.offset);
	line.length = snprintf(before, sizeof(before), "{\"schema\":\"heldby.board/1\",\"sites\":[{\"frames\":["
			       "{%s,\"kind\":\"native\"}]}]}", place);
	assert_int_equal(saved_write(&line, &names, out, &counts, &why, &at), 0);
	fclose(out);
	snprintf(wanted, sizeof(wanted),
		 "{\"schema\":\"heldby.board/1\",\"sites\":[{\"frames\":["
		 "{\"function\":\"grow\",%s,\"file\":\"/src/grow.h\",\"line\":20,\"inlined\":true,\"kind\":\"native\"},"
		 "{\"function\":\"parse_row\",%s,\"file\":\"/src/rows.c\",\"line\":118,\"kind\":\"native\"}]}]}\n",
		 place, place);
	assert_string_equal(text, wanted);
	assert_int_equal(counts.named, 1);
	free(text);
	resolve_free(resolve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_still_there_is_found_by_its_path),
		cmocka_unit_test(a_file_that_was_replaced_is_not_believed),
		cmocka_unit_test(a_stripped_file_has_no_name_for_what_it_keeps_to_itself),
		cmocka_unit_test(a_folder_of_debug_files_knows_more_than_a_stripped_file),
		cmocka_unit_test(a_debug_file_stands_in_for_a_file_that_is_gone),
		cmocka_unit_test(a_build_id_is_no_path),
		cmocka_unit_test(only_files_of_a_disk_are_read),
		cmocka_unit_test(a_frame_without_module_or_build_id_is_not_looked_for),
		cmocka_unit_test(a_folder_that_is_not_there_is_named),
		cmocka_unit_test(a_saved_board_gets_the_names_that_its_host_did_not_know),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
