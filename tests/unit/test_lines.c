// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "folder.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../user/symbol/lines.h"

/* The label stands in a function that is inlined twice over. */
static const char sample[] =
	"struct box { int held; struct box *next; };\n"                                       /* 1 */
	"static inline __attribute__((always_inline)) int inner(struct box *box)\n"
	"{\n"
	"	__asm__ volatile(\".globl mark\\nmark: nop\" : : \"r\"(box) : \"memory\");\n" /* 4 */
	"	return box->held;\n"
	"}\n"
	"static inline __attribute__((always_inline)) int middle(struct box *box)\n"
	"{\n"
	"	if (box->next) {\n"
	"		int once = inner(box->next);\n"                                      /* 10 */
	"		box->held += once;\n"
	"	}\n"
	"	return box->held;\n"
	"}\n"
	"int outer(struct box *box)\n"
	"{\n"
	"	return middle(box) + 1;\n"                                                    /* 17 */
	"}\n";

struct opened {
	struct elf_file *file, *common;
	struct lines *lines;
	uint64_t mark;
};

static struct elf_file *open_name(const char *name, int (*open_as)(struct elf_file **file, int fd))
{
	struct elf_file *file;
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s%s%s", *name == '/' ? "" : files_folder, *name == '/' ? "" : "/", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(open_as(&file, fd), 0);
	close(fd);
	return file;
}

static void opened_init(struct opened *opened, const char *name, const char *common)
{
	const struct elf_symbol *mark;

	*opened = (struct opened){ .file = open_name(name, elffile_open) };
	if (common)
		opened->common = open_name(common, elffile_open_common);
	opened->lines = lines_open(opened->file, opened->common);
	assert_non_null(opened->lines);
	assert_int_equal(elffile_index(opened->file), 0);
	mark = elffile_symbol(opened->file, "mark");
	opened->mark = mark ? mark->vaddr : 0;
}

static void opened_release(struct opened *opened)
{
	lines_free(opened->lines);
	elffile_free(opened->file);
	elffile_free(opened->common);
}

static void expect_level(const struct line_level *level, const char *function, const char *file, unsigned int line)
{
	char path[256];

	if (function)
		assert_string_equal(level->function, function);
	else
		assert_null(level->function);
	snprintf(path, sizeof(path), "%s/%s", files_folder, file);
	assert_string_equal(level->file, path);
	assert_int_equal(level->line, line);
}

static void expect_sample(struct opened *opened)
{
	struct line_level levels[LINES_INLINED_MAX + 1];

	assert_int_equal(lines_find(opened->lines, opened->mark, levels, LINES_INLINED_MAX + 1), 3);
	expect_level(&levels[0], "inner", "sample.c", 4);
	expect_level(&levels[1], "middle", "sample.c", 10);
	expect_level(&levels[2], "outer", "sample.c", 17);
}

static void build_sample(const char *name, const char *compiler, const char *flags)
{
	files_write("sample.c", sample);
	if (!files_run("%s -g -O2 -shared -fPIC %s -o %s \"$PWD\"/sample.c", compiler, flags, name))
		fail_msg("%s %s: does not compile", compiler, flags);
}

static void inlined_calls_are_told_innermost_first_in_every_dialect(void **state)
{
	static const char *const compilers[] = { "gcc", "clang-14" };
	static const char *const dialects[] = {
		"-gdwarf-2 -gno-strict-dwarf", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gdwarf-5 -gz",
		"-gdwarf-4 -gz", "-gdwarf-5 -ffunction-sections", "-gdwarf-5 -fdebug-types-section",
	};
	static const char *const wide[] = { "-gdwarf64 -gdwarf-5", "-gdwarf64 -gdwarf-4" };
	struct opened opened;
	size_t c, i;

	(void)state;
	for (c = 0; c < 2; c++) {
		files_need(compilers[c]);
		for (i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
			build_sample("sample.so", compilers[c], dialects[i]);
			opened_init(&opened, "sample.so", NULL);
			expect_sample(&opened);
			opened_release(&opened);
		}
	}
	for (i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		build_sample("sample.so", "gcc", wide[i]);
		opened_init(&opened, "sample.so", NULL);
		expect_sample(&opened);
		opened_release(&opened);
	}
}

static void whole_program_optimisation_refers_from_unit_to_unit(void **state)
{
	struct opened opened;

	(void)state;
	build_sample("sample.so", "gcc", "-flto");
	opened_init(&opened, "sample.so", NULL);
	expect_sample(&opened);
	opened_release(&opened);
}

static void names_are_mangled_where_the_language_mangles(void **state)
{
	struct line_level levels[4];
	struct opened opened;

	(void)state;
	files_need("g++");
	files_write("sample.cc",
		    "namespace a { struct B { int x; inline __attribute__((always_inline)) int in(int y) {\n"
		    "	__asm__ volatile(\".globl mark\\nmark: nop\" : : : \"memory\");\n"
		    "	return x * y; }\n"
		    "	int out(int y); };\n"
		    "int B::out(int y) { return in(y) + 1; } }\n");
	assert_true(files_run("g++ -g -O2 -shared -fPIC -o cc.so \"$PWD\"/sample.cc"));
	opened_init(&opened, "cc.so", NULL);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 4), 2);
	expect_level(&levels[0], "_ZN1a1B2inEi", "sample.cc", 2);
	expect_level(&levels[1], "_ZN1a1B3outEi", "sample.cc", 5);
	opened_release(&opened);
}

static void what_has_no_mangled_name_is_called_by_its_scopes(void **state)
{
	static const char *const compilers[] = { "g++", "clang++-14" };
	struct line_level levels[4];
	struct opened opened;
	size_t i;

	(void)state;
	files_write("scopes.cc",
		    "namespace a { namespace { struct B { int x; template <class T> struct C {\n"
		    "	inline __attribute__((always_inline)) T in(T y) {\n"
		    "	__asm__ volatile(\".globl mark\\nmark: nop\" : : : \"memory\");\n"
		    "	return y + 1; } }; }; } }\n"
		    "int out(int y) { a::B::C<int> c; return c.in(y); }\n");
	for (i = 0; i < 2; i++) {
		files_need(compilers[i]);
		assert_true(files_run("%s -g -O2 -shared -fPIC -o scopes.so \"$PWD\"/scopes.cc", compilers[i]));
		opened_init(&opened, "scopes.so", NULL);
		assert_int_equal(lines_find(opened.lines, opened.mark, levels, 4), 2);
		if (i == 0)
			expect_level(&levels[0], "a::(anonymous namespace)::B::C<int>::in", "scopes.cc", 3);
		else
			expect_level(&levels[0], "_ZN1a12_GLOBAL__N_11B1CIiE2inEi", "scopes.cc", 3);
		expect_level(&levels[1], "_Z3outi", "scopes.cc", 5);
		opened_release(&opened);
	}
}

static void with_little_room_the_innermost_and_the_function_stay(void **state)
{
	struct line_level levels[3];
	struct opened opened;

	(void)state;
	build_sample("sample.so", "gcc", "");
	opened_init(&opened, "sample.so", NULL);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 2), 2);
	expect_level(&levels[0], "inner", "sample.c", 4);
	expect_level(&levels[1], "outer", "sample.c", 17);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 1), 1);
	expect_level(&levels[0], "outer", "sample.c", 17);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 0), 0);
	opened_release(&opened);
}

static void of_calls_nested_beyond_the_cap_the_innermost_and_the_function_stay(void **state)
{
	struct line_level levels[LINES_INLINED_MAX + 1];
	struct opened opened;
	char text[8192];
	size_t i, length;

	(void)state;
	length = (size_t)snprintf(text, sizeof(text), "#define I static inline __attribute__((always_inline)) int\n"
				  "I f0(int x) { __asm__ volatile(\".globl mark\\nmark: nop\"); return x; }\n");
	for (i = 1; i < 50; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "I f%zu(int x) { return f%zu(x + 1); }\n", i, i - 1);
	snprintf(text + length, sizeof(text) - length, "int g(int x) { return f49(x); }\n");
	files_write("deep.c", text);
	assert_true(files_run("gcc -g -O2 -shared -fPIC -o deep.so \"$PWD\"/deep.c"));
	opened_init(&opened, "deep.so", NULL);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, LINES_INLINED_MAX + 1), LINES_INLINED_MAX + 1);
	expect_level(&levels[0], "f0", "deep.c", 2);
	expect_level(&levels[31], "f31", "deep.c", 33);
	assert_string_equal(levels[32].function, "g");
	assert_null(levels[32].file); /* the call in it is one of those left out */
	opened_release(&opened);
}

static void what_dwz_moved_out_is_found_in_its_common_file(void **state)
{
	struct line_level levels[3];
	struct opened opened;

	(void)state;
	files_need("dwz");
	build_sample("one.so", "gcc", "");
	assert_true(files_run("cp one.so two.so && dwz -m common.dwz one.so two.so"));
	opened_init(&opened, "one.so", "common.dwz");
	expect_sample(&opened);
	opened_release(&opened);
	opened_init(&opened, "one.so", NULL);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 3), 3);
	expect_level(&levels[0], NULL, "sample.c", 4);
	expect_level(&levels[1], NULL, "sample.c", 10);
	expect_level(&levels[2], NULL, "sample.c", 17); /* even this name is in both files */
	opened_release(&opened);
}

static void of_split_files_the_lines_are_known(void **state)
{
	struct line_level levels[3];
	struct opened opened;

	(void)state;
	build_sample("split.so", "gcc", "-gsplit-dwarf -gdwarf-5");
	opened_init(&opened, "split.so", NULL);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 3), 1);
	expect_level(&levels[0], NULL, "sample.c", 4);
	opened_release(&opened);
}

static void a_path_begins_at_the_folder_of_compilation(void **state)
{
	static const char *const dialects[] = { "-gdwarf-4", "-gdwarf-5" };
	struct line_level levels[3];
	struct opened opened;
	size_t i;

	(void)state;
	assert_true(files_run("mkdir -p src inc"));
	files_write("inc/in.h", "static inline __attribute__((always_inline)) int in(int x)\n"
				"{ __asm__ volatile(\".globl mark\\nmark: nop\"); return x; }\n");
	files_write("src/out.c", "#include \"in.h\"\nint out(int x) { return in(x); }\n");
	for (i = 0; i < 2; i++) {
		assert_true(files_run("gcc -g %s -O2 -shared -fPIC -I./inc -o path.so ./src/out.c", dialects[i]));
		opened_init(&opened, "path.so", NULL);
		assert_int_equal(lines_find(opened.lines, opened.mark, levels, 3), 2);
		expect_level(&levels[0], "in", "inc/in.h", 2);
		expect_level(&levels[1], "out", "src/out.c", 2);
		opened_release(&opened);
	}
}

static void places_that_dwarf_does_not_describe_have_no_levels(void **state)
{
	struct line_level levels[3];
	struct opened opened;

	(void)state;
	build_sample("sample.so", "gcc", "");
	opened_init(&opened, "sample.so", NULL);
	assert_int_equal(lines_find(opened.lines, 0, levels, 3), 0);
	assert_int_equal(lines_find(opened.lines, 1, levels, 3), 0);
	assert_int_equal(lines_find(opened.lines, UINT64_MAX, levels, 3), 0);
	assert_int_equal(lines_find(opened.lines, elffile_symbol(opened.file, "_init")->vaddr, levels, 3), 0);
	elffile_close(opened.file);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 3), 0);
	opened_release(&opened);
}

static void a_file_without_dwarf_has_no_lines(void **state)
{
	struct elf_file *file;

	(void)state;
	build_sample("sample.so", "gcc", "-g0");
	file = open_name("sample.so", elffile_open);
	assert_null(lines_open(file, NULL));
	elffile_free(file);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Assembly of a file whose .debug_info is @info, for code f of 64 bytes at mark. */
static void build_hostile(const char *info, const char *more)
{
	char text[4096];

	snprintf(text, sizeof(text),
		 ".text\n.globl mark\nmark: .zero 64\n"
		 ".section .debug_abbrev,\"\",@progbits\n"
		 "abbrevs: .uleb128 1, 0x11\n.byte 1\n.uleb128 0x11, 1, 0x12, 7, 0, 0\n" /* unit, low_pc, high_pc */
		 ".uleb128 2, 0x0b\n.byte 1\n.uleb128 0x11, 1, 0x12, 7, 0, 0\n"          /* lexical block */
		 ".uleb128 3, 0x2e\n.byte 1\n.uleb128 0x11, 1, 0x12, 7, 0, 0\n"          /* function */
		 ".uleb128 4, 0x11\n.byte 0\n.uleb128 0x55, 0x17, 0, 0\n"                /* unit, ranges */
		 ".uleb128 5, 0x1d\n.byte 0\n.uleb128 0x31, 0x13, 0x11, 1, 0x12, 7, 0, 0\n" /* inlined, origin */
		 ".byte 0\n"
		 ".section .debug_info,\"\",@progbits\n%s\n%s\n", info, more);
	files_write("hostile.s", text);
	assert_true(files_run("gcc -shared -nostdlib -o hostile.so hostile.s"));
}

static void entries_may_nest_as_deep_as_they_like(void **state)
{
	struct line_level levels[3];
	struct opened opened;
	uint64_t began;

	(void)state;
	build_hostile(".long 2f - 1f\n1: .short 4\n.long abbrevs\n.byte 8\n.uleb128 1\n.quad mark, 64\n"
		      ".uleb128 3\n.quad mark, 64\n"
		      ".rept 1000000\n.uleb128 2\n.quad mark, 64\n.endr\n.zero 1000002\n2:", "");
	began = now_ms();
	opened_init(&opened, "hostile.so", NULL);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 3), 1);
	assert_null(levels[0].function);
	opened_release(&opened);
	assert_true(now_ms() - began < 20000); /* with sanitizers */
}

static void what_refers_to_itself_has_no_name(void **state)
{
	struct line_level levels[3];
	struct opened opened;

	(void)state;
	build_hostile("0: .long 2f - 1f\n1: .short 4\n.long abbrevs\n.byte 8\n.uleb128 1\n.quad mark, 64\n"
		      ".uleb128 3\n.quad mark, 64\n"
		      "3: .uleb128 5\n.long 3b - 0b\n.quad mark, 64\n.byte 0, 0\n2:", "");
	opened_init(&opened, "hostile.so", NULL);
	assert_int_equal(lines_find(opened.lines, opened.mark, levels, 3), 2);
	assert_null(levels[0].function);
	assert_null(levels[1].function);
	opened_release(&opened);
}

/* 50,000 units, all with the same list of 50,000 ranges: 2.5 billion rows, if one were to read them all. */
static void many_units_with_one_long_list_are_given_up(void **state)
{
	struct line_level levels[3];
	struct elf_file *file;
	struct lines *lines;
	uint64_t began;

	(void)state;
	build_hostile(".rept 50000\n.long 13\n.short 4\n.long abbrevs\n.byte 8\n.uleb128 4\n.long 0\n.byte 0\n.endr",
		      ".section .debug_ranges,\"\",@progbits\n.rept 50000\n.quad 1, 2\n.endr\n.quad 0, 0\n");
	began = now_ms();
	file = open_name("hostile.so", elffile_open);
	lines = lines_open(file, NULL);
	assert_non_null(lines);
	assert_int_equal(lines_find(lines, 0x1000, levels, 3), 0);
	lines_free(lines);
	elffile_free(file);
	assert_true(now_ms() - began < 60000); /* with sanitizers; about a second without */
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(inlined_calls_are_told_innermost_first_in_every_dialect),
		TEST(whole_program_optimisation_refers_from_unit_to_unit),
		TEST(names_are_mangled_where_the_language_mangles),
		TEST(what_has_no_mangled_name_is_called_by_its_scopes),
		TEST(with_little_room_the_innermost_and_the_function_stay),
		TEST(of_calls_nested_beyond_the_cap_the_innermost_and_the_function_stay),
		TEST(what_dwz_moved_out_is_found_in_its_common_file),
		TEST(of_split_files_the_lines_are_known),
		TEST(a_path_begins_at_the_folder_of_compilation),
		TEST(places_that_dwarf_does_not_describe_have_no_levels),
		TEST(a_file_without_dwarf_has_no_lines),
		TEST(entries_may_nest_as_deep_as_they_like),
		TEST(what_refers_to_itself_has_no_name),
		TEST(many_units_with_one_long_list_are_given_up),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
