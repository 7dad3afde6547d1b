// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/symbol/debugfile.h"

/* The folder is the process's root; what is below src/ is the test's. */
static int root = -1;

static struct elf_file *open_name(const char *name)
{
	int fd = openat(root, name, O_RDONLY | O_CLOEXEC);
	struct elf_file *file;

	assert_true(fd >= 0);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	return file;
}

/* app/prog is stripped; src/prog.debug is what was taken from it. @flags are the linker's. */
static struct elf_file *build(const char *flags)
{
	assert_true(files_run("rm -rf app usr src && mkdir -p app/.debug usr/lib/debug/app src"));
	files_write("src/prog.c", "static __attribute__((noinline)) int hidden(int x) { return x + 1; }\n"
				  "int main(int argc, char **argv) { (void)argv; return hidden(argc); }\n");
	assert_true(files_run("gcc -g %s -o src/prog src/prog.c && objcopy --only-keep-debug src/prog src/prog.debug "
			      "&& strip -o app/prog src/prog", flags));
	return open_name("app/prog");
}

/* Write the link to @name, with the checksum of src/prog.debug, into app/prog. */
static struct elf_file *link_to(const char *name)
{
	assert_true(files_run("cp src/prog.debug %s && objcopy --add-gnu-debuglink=%s app/prog && rm %s", name, name,
			      name));
	return open_name("app/prog");
}

#define WITH    "-Wl,--build-id=0x1234567890abcdef"
#define WITHOUT "-Wl,--build-id=none"

static void expect_none(const struct elf_file *file)
{
	struct elf_file *debug;

	assert_int_equal(debugfile_open(file, "/app/prog", root, &debug), -ENOENT);
}

static void expect_debug(const struct elf_file *file)
{
	struct elf_file *debug;

	assert_int_equal(debugfile_open(file, "/app/prog", root, &debug), 0);
	assert_string_equal(debug->build_id, file->build_id);
	assert_true(debugfile_has_dwarf(debug));
	assert_int_equal(elffile_index(debug), 0);
	assert_non_null(elffile_symbol(debug, "hidden"));
	elffile_free(debug);
}

static void a_debug_file_is_found_by_build_id_in_the_root_of_the_process(void **state)
{
	struct elf_file *file = build(WITH), *debug;

	(void)state;
	assert_false(debugfile_has_dwarf(file));
	expect_none(file);
	assert_true(files_run("mkdir -p usr/lib/debug/.build-id/12 && "
			      "cp src/prog.debug usr/lib/debug/.build-id/12/34567890abcdef.debug"));
	expect_debug(file);
	elffile_close(file);
	expect_debug(file); /* a closed file still has its build-id */
	assert_int_equal(debugfile_open(file, "/app/prog", -1, &debug), -ENOENT); /* our own root has none */
	elffile_free(file);
}

static void a_debug_file_with_another_build_id_is_not_believed(void **state)
{
	struct elf_file *file = build(WITH);

	(void)state;
	assert_true(files_run("gcc -g -Wl,--build-id=0x1234567890abcdee -o src/other src/prog.c && "
			      "mkdir -p usr/lib/debug/.build-id/12 && "
			      "cp src/other usr/lib/debug/.build-id/12/34567890abcdef.debug"));
	expect_none(file);
	elffile_free(file);
}

static void a_debuglink_is_looked_for_in_three_places(void **state)
{
	static const char *const places[] = { "app", "app/.debug", "usr/lib/debug/app" };
	struct elf_file *file;
	size_t i;

	(void)state;
	elffile_free(build(WITH));
	file = link_to("prog.dbg");
	expect_none(file);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_true(files_run("cp src/prog.debug %s/prog.dbg", places[i]));
		expect_debug(file);
		assert_true(files_run("rm %s/prog.dbg", places[i]));
	}
	elffile_free(file);
}

static void without_a_build_id_the_checksum_decides(void **state)
{
	struct elf_file *file;

	(void)state;
	elffile_free(build(WITHOUT));
	file = link_to("prog.dbg");
	assert_string_equal(file->build_id, "");
	assert_true(files_run("cp src/prog.debug app/prog.dbg"));
	expect_debug(file);
	assert_true(files_run("printf x >> app/prog.dbg"));
	expect_none(file);
	elffile_free(file);
}

static void a_file_too_large_for_its_checksum_is_not_read(void **state)
{
	struct elf_file *file;

	(void)state;
	elffile_free(build(WITHOUT));
	file = link_to("prog.dbg");
	assert_true(files_run("cp src/prog.debug app/prog.dbg && truncate -s 600M app/prog.dbg"));
	expect_none(file);
	elffile_free(file);
}

static void a_link_to_the_file_itself_leads_nowhere(void **state)
{
	struct elf_file *file;

	(void)state;
	elffile_free(build(WITH));
	file = link_to("prog");
	expect_none(file);
	elffile_free(file);
}

static void a_link_is_a_name_and_no_path(void **state)
{
	struct elf_file *file;

	(void)state;
	elffile_free(build(WITH));
	assert_true(files_run("cp src/prog.debug usr/prog.dbg && printf '../usr/prog.dbg\\0' > src/link && "
			      "printf 'abcd' >> src/link && objcopy --add-section .gnu_debuglink=src/link app/prog"));
	file = open_name("app/prog");
	expect_none(file);
	elffile_free(file);
}

static void links_lead_out_of_no_root_and_nothing_blocks(void **state)
{
	struct elf_file *file;

	(void)state;
	elffile_free(build(WITH));
	file = link_to("prog.dbg");
	assert_true(files_run("cp src/prog.debug outside.dbg && ln -s \"$PWD\"/outside.dbg app/prog.dbg"));
	expect_none(file);
	assert_true(files_run("rm app/prog.dbg && ln -s /outside.dbg app/prog.dbg"));
	expect_debug(file); /* inside the root that is a path like others */
	assert_true(files_run("rm app/prog.dbg outside.dbg && mkfifo app/prog.dbg"));
	expect_none(file);
	elffile_free(file);
}

static void what_is_no_debug_file_is_passed_over(void **state)
{
	struct elf_file *file;

	(void)state;
	elffile_free(build(WITH));
	file = link_to("prog.dbg");
	assert_true(files_run("echo text > app/prog.dbg && cp src/prog.debug app/.debug/prog.dbg"));
	expect_debug(file);
	elffile_free(file);
}

/* one.so and two.so share what is in usr/lib/debug/.dwz/common. */
static void build_common(const char *link)
{
	files_need("dwz");
	assert_true(files_run("rm -rf usr src && mkdir -p usr/lib/debug/.dwz src"));
	files_write("src/lib.c", "struct s { int a; struct s *b; char c[10]; }; int f(struct s *s) { return s->a; }\n");
	assert_true(files_run("gcc -g -O2 -shared -fPIC -o src/one.so src/lib.c && cp src/one.so src/two.so && "
			      "dwz -m usr/lib/debug/.dwz/common -M %s src/one.so src/two.so", link));
}

static void what_dwz_moved_out_is_found_where_the_file_says(void **state)
{
	static const char *const links[] = { "/usr/lib/debug/.dwz/common", "../../../.dwz/common" };
	struct elf_file *file, *common;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		build_common(links[i]);
		file = open_name("src/one.so");
		assert_int_equal(debugfile_open_common(file, root, &common), 0);
		assert_true(debugfile_has_dwarf(common));
		elffile_free(common);
		assert_int_equal(debugfile_open_common(file, -1, &common), -ENOENT);
		elffile_free(file);
	}
}

static void a_strangers_path_leads_to_none_of_our_own_files(void **state)
{
	struct elf_file *file, *found;
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/usr/lib/debug/.dwz/common", files_folder); /* as we see it */
	build_common(path);
	file = open_name("src/one.so");
	assert_int_equal(debugfile_open_common(file, root, &found), -ENOENT);
	assert_int_equal(debugfile_open_common(file, -1, &found), 0);
	elffile_free(found);
	elffile_free(file);
	elffile_free(build(WITH));
	file = link_to("prog.dbg");
	assert_true(files_run("cp src/prog.debug app/prog.dbg"));
	snprintf(path, sizeof(path), "%s/app/prog", files_folder);
	assert_int_equal(debugfile_open(file, path, root, &found), -ENOENT);
	assert_int_equal(debugfile_open(file, path, -1, &found), 0);
	elffile_free(found);
	elffile_free(file);
}

static void another_common_file_is_not_believed_and_nothing_blocks(void **state)
{
	struct elf_file *file, *common;

	(void)state;
	build_common("/usr/lib/debug/.dwz/common");
	file = open_name("src/one.so");
	assert_true(files_run("cp src/two.so usr/lib/debug/.dwz/common"));
	assert_int_equal(debugfile_open_common(file, root, &common), -ENOENT);
	assert_true(files_run("rm usr/lib/debug/.dwz/common && mkfifo usr/lib/debug/.dwz/common"));
	assert_int_equal(debugfile_open_common(file, root, &common), -ENOENT);
	elffile_free(file);
	file = build(WITH);
	assert_int_equal(debugfile_open_common(file, root, &common), -ENOENT);
	elffile_free(file);
}

/* app/prog with src/mini, packed, as .gnu_debugdata. */
static struct elf_file *with_mini(const char *pack)
{
	files_need("xz");
	elffile_free(build(WITH));
	assert_true(files_run("objcopy -S --keep-symbol=hidden src/prog src/mini && %s && "
			      "objcopy --add-section .gnu_debugdata=src/mini.xz app/prog", pack));
	return open_name("app/prog");
}

static void a_packed_symbol_table_is_part_of_the_index(void **state)
{
	struct elf_file *file = with_mini("xz -k src/mini"), *mini;

	(void)state;
	assert_int_equal(debugfile_mini(file, &mini), 0);
	assert_int_equal(elffile_index(mini), 0);
	assert_non_null(elffile_symbol(mini, "hidden"));
	assert_null(elffile_symbol(mini, "main"));
	assert_int_equal(elffile_index(file), 0);
	assert_int_equal(elffile_symbol(file, "hidden")->vaddr, elffile_symbol(mini, "hidden")->vaddr);
	elffile_free(mini);
	elffile_free(file);
}

static void what_unpacks_to_too_much_is_left_alone(void **state)
{
	struct elf_file *mini, *file = with_mini("head -c 70000000 /dev/zero | xz > src/mini.xz");

	(void)state;
	assert_int_equal(debugfile_mini(file, &mini), -EFBIG);
	assert_int_equal(elffile_index(file), 0); /* without it */
	elffile_free(file);
	/* A dictionary of 256 MiB: what it unpacks to would be small. */
	file = with_mini("xz -k --lzma2=dict=256MiB src/mini");
	assert_int_equal(debugfile_mini(file, &mini), -EFBIG);
	elffile_free(file);
}

static void what_is_not_packed_by_xz_is_an_error_and_no_crash(void **state)
{
	struct elf_file *mini, *file = with_mini("cp src/mini src/mini.xz");

	(void)state;
	assert_int_equal(debugfile_mini(file, &mini), -EBADMSG);
	elffile_free(file);
	file = with_mini("xz -k src/mini && truncate -s -40 src/mini.xz");
	assert_int_equal(debugfile_mini(file, &mini), -EBADMSG);
	elffile_free(file);
	file = with_mini("echo text | xz > src/mini.xz");
	assert_int_equal(debugfile_mini(file, &mini), -ENOEXEC);
	elffile_free(file);
	file = build(WITH);
	assert_int_equal(debugfile_mini(file, &mini), -ENOENT);
	elffile_free(file);
}

static void the_symbols_of_a_debug_file_join_those_of_the_file(void **state)
{
	struct elf_file *file = build(WITH), *debug = open_name("src/prog.debug");

	(void)state;
	elffile_set_debug(file, debug);
	assert_int_equal(elffile_index(file), 0);
	assert_string_equal(elffile_function(file, elffile_symbol(file, "hidden")->vaddr)->name, "hidden");
	assert_non_null(elffile_symbol(file, "_start"));
	assert_false(elffile_exports(file, "hidden"));
	elffile_close(file);
	assert_int_equal(debug->fd, -1);
	elffile_free(file);
}

static void a_debug_file_on_its_own_has_its_symbols_and_no_others(void **state)
{
	struct elf_file *debug;
	size_t count;

	(void)state;
	elffile_free(build(WITH));
	debug = open_name("src/prog.debug");
	assert_int_equal(elffile_index(debug), 0);
	assert_non_null(elffile_symbol(debug, "hidden"));
	assert_false(elffile_exports(debug, "hidden"));
	count = debug->symbols_count;
	elffile_free(debug);
	/* Where its program headers say that dynamic symbols are, there are symbols: not its own. */
	assert_true(files_run("cat src/prog src/prog >> src/prog.debug"));
	debug = open_name("src/prog.debug");
	assert_int_equal(elffile_index(debug), 0);
	assert_int_equal(debug->symbols_count, count);
	elffile_free(debug);
}

static int setup(void **state)
{
	if (files_setup(state))
		return -1;
	root = open(files_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0;
}

static int teardown(void **state)
{
	close(root);
	return files_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_debug_file_is_found_by_build_id_in_the_root_of_the_process),
		cmocka_unit_test(a_debug_file_with_another_build_id_is_not_believed),
		cmocka_unit_test(a_debuglink_is_looked_for_in_three_places),
		cmocka_unit_test(without_a_build_id_the_checksum_decides),
		cmocka_unit_test(a_file_too_large_for_its_checksum_is_not_read),
		cmocka_unit_test(a_link_to_the_file_itself_leads_nowhere),
		cmocka_unit_test(a_link_is_a_name_and_no_path),
		cmocka_unit_test(links_lead_out_of_no_root_and_nothing_blocks),
		cmocka_unit_test(what_is_no_debug_file_is_passed_over),
		cmocka_unit_test(what_dwz_moved_out_is_found_where_the_file_says),
		cmocka_unit_test(a_strangers_path_leads_to_none_of_our_own_files),
		cmocka_unit_test(another_common_file_is_not_believed_and_nothing_blocks),
		cmocka_unit_test(a_packed_symbol_table_is_part_of_the_index),
		cmocka_unit_test(what_unpacks_to_too_much_is_left_alone),
		cmocka_unit_test(what_is_not_packed_by_xz_is_an_error_and_no_crash),
		cmocka_unit_test(the_symbols_of_a_debug_file_join_those_of_the_file),
		cmocka_unit_test(a_debug_file_on_its_own_has_its_symbols_and_no_others),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
