// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "allocator_files.h"

#include <gnu/libc-version.h>

#define LIB "/usr/lib/x86_64-linux-gnu/"

static const char c_program[] =
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	void *block = malloc(argc * 100);\n"
	"	block = realloc(block, argc * 1000);\n"
	"	printf(\"%p %p %s\\n\", block, calloc(argc, 3), argv[0]);\n"
	"	free(block);\n"
	"	return 0;\n"
	"}\n";

static const char cxx_program[] =
	"#include <cstdio>\n"
	"#include <new>\n"
	"struct alignas(64) wide { char bytes[64]; };\n"
	"int main(int argc, char **)\n"
	"{\n"
	"	int *one = new int(argc), *none = new (std::nothrow) int[argc];\n"
	"	wide *aligned = new wide;\n"
	"	std::printf(\"%p %p %p\\n\", (void *)one, (void *)none, (void *)aligned);\n"
	"	delete one;\n"
	"	delete[] none;\n"
	"	delete aligned;\n"
	"	return 0;\n"
	"}\n";

static void glibc_has_its_whole_c_api_probed_once(void **state)
{
	struct found found;
	char name[64];

	(void)state;
	found_open(&found, LIB "libc.so.6");
	snprintf(name, sizeof(name), "glibc %s", gnu_get_libc_version());
	assert_string_equal(found.set.allocator, name);
	assert_string_equal(found.set.runtime, "");
	assert_string_equal(found.set.note, "");
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "calloc", IS_ALLOC_N(1, 2));
	assert_call(&found, "realloc", IS_REALLOC(1, 2));
	assert_call(&found, "reallocarray", IS_REALLOC_N(1, 2, 3));
	assert_call(&found, "posix_memalign", IS_POSIX(1, 3));
	assert_call(&found, "memalign", IS_ALLOC(2));
	assert_call(&found, "valloc", IS_ALLOC(1));
	assert_call(&found, "pvalloc", IS_ALLOC(1));
	assert_call(&found, "free", IS_FREE(1));
	assert_absent(&found, "__libc_malloc"); /* the same address as malloc */
	assert_int_equal(found_count(&found, PLACE_RET), 0);
	assert_orderly(&found);
	found_close(&found);
}

static void a_cookie_tells_how_far_the_text_reaches(void **state)
{
	const struct probe_point *point;
	const struct elf_segment *text = NULL;
	struct found found;
	uint64_t vaddr;
	size_t i;

	(void)state;
	found_open(&found, LIB "libc.so.6");
	point = found_point(&found, "malloc", PLACE_CALL);
	assert_non_null(point);
	for (i = 0; i < found.file->segments_count; i++) {
		if (found.file->segments[i].flags & 1) { /* PF_X */
			assert_null(text);
			text = &found.file->segments[i];
		}
	}
	assert_non_null(text);
	vaddr = elffile_symbol(found.file, "malloc")->vaddr;
	assert_int_equal(HB_COOKIE_GET(point->cookie, HB_COOKIE_BELOW_SHIFT, 20),
			 (vaddr - text->vaddr + 4095) / 4096);
	assert_int_equal(HB_COOKIE_GET(point->cookie, HB_COOKIE_ABOVE_SHIFT, 20),
			 (text->vaddr + text->memsz - vaddr + 4095) / 4096);
	found_close(&found);
}

static void jemalloc_has_its_x_functions_and_its_operator_new(void **state)
{
	struct found found;

	(void)state;
	found_open(&found, LIB "libjemalloc.so.2");
	assert_int_equal(strncmp(found.set.allocator, "jemalloc 5.", 11), 0);
	assert_string_equal(found.set.note, "");
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "aligned_alloc", IS_ALLOC(2));
	assert_call(&found, "posix_memalign", IS_POSIX(1, 3));
	assert_call(&found, "mallocx", IS_ALLOC(1));
	assert_call(&found, "rallocx", IS_REALLOC(1, 2));
	assert_call(&found, "xallocx", IS_RESIZE(1, 2));
	assert_call(&found, "dallocx", IS_FREE(1));
	assert_call(&found, "sdallocx", IS_FREE(1));
	assert_call(&found, "_Znwm", IS_NEW(1));
	assert_call(&found, "_ZnwmRKSt9nothrow_t", IS_NEW(1));
	assert_absent(&found, "nallocx"); /* allocates nothing */
	assert_absent(&found, "sallocx");
	assert_true(found_count(&found, PLACE_RET) >= 2);
	assert_orderly(&found);
	found_close(&found);
}

static void assert_tcmalloc(const char *path)
{
	struct found found;

	found_open(&found, path);
	assert_int_equal(strncmp(found.set.allocator, "tcmalloc 2.", 11), 0);
	assert_string_equal(found.set.note, "");
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "free", IS_FREE(1));
	assert_call(&found, "calloc", IS_ALLOC_N(1, 2));
	assert_call(&found, "memalign", IS_ALLOC(2));
	assert_call(&found, "posix_memalign", IS_POSIX(1, 3));
	assert_call(&found, "tc_malloc_skip_new_handler", IS_ALLOC(1));
	assert_call(&found, "_Znwm", IS_NEW(1));
	assert_call(&found, "_ZnwmRKSt9nothrow_t", IS_NEW(1));
	assert_call(&found, "_ZnwmSt11align_val_t", IS_NEW(1));
	assert_call(&found, "_ZdlPvm", IS_FREE(1));
	assert_absent(&found, "tc_malloc"); /* malloc's address */
	assert_absent(&found, "tc_new");
	assert_absent(&found, "tc_nallocx");
	assert_true(found_count(&found, PLACE_RET) >= 4);
	assert_orderly(&found);
	found_close(&found);
}

static void tcmalloc_has_its_operator_new(void **state)
{
	(void)state;
	assert_tcmalloc(LIB "libtcmalloc.so.4");
}

static void minimal_tcmalloc_has_its_operator_new(void **state)
{
	(void)state;
	assert_tcmalloc(LIB "libtcmalloc_minimal.so.4");
}

static void mimalloc_has_its_heap_functions_one_argument_further(void **state)
{
	struct found found;

	(void)state;
	found_open(&found, LIB "libmimalloc.so.2");
	assert_int_equal(strncmp(found.set.allocator, "mimalloc 2.", 11), 0);
	assert_string_equal(found.set.note, "");
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "mi_zalloc", IS_ALLOC(1));
	assert_call(&found, "mi_malloc_aligned", IS_ALLOC(1));
	assert_call(&found, "mi_mallocn", IS_ALLOC_N(1, 2));
	assert_call(&found, "mi_reallocn", IS_REALLOC_N(1, 2, 3));
	assert_call(&found, "mi_heap_malloc", IS_ALLOC(2));
	assert_call(&found, "mi_heap_calloc", IS_ALLOC_N(2, 3));
	assert_call(&found, "mi_heap_realloc", IS_REALLOC(2, 3));
	assert_call(&found, "mi_heap_reallocn", IS_REALLOC_N(2, 3, 4));
	assert_call(&found, "_Znwm", IS_NEW(1));
	assert_call(&found, "mi_heap_alloc_new", IS_NEW(2));
	assert_absent(&found, "mi_malloc"); /* malloc's address */
	assert_absent(&found, "mi_new");    /* operator new's */
	assert_absent(&found, "mi_good_size");
	assert_orderly(&found);
	found_close(&found);
}

static void a_function_that_only_frees_through_another_is_left_to_it(void **state)
{
	struct found found;

	(void)state;
	found_open(&found, LIB "libmimalloc.so.2");
	assert_non_null(elffile_symbol(found.file, "mi_free_size"));
	assert_absent(&found, "mi_free_size");
	assert_absent(&found, "_ZdlPvm");
	assert_call(&found, "free", IS_FREE(1));
	found_close(&found);
}

static void musl_has_its_plain_names_only(void **state)
{
	struct found found;

	(void)state;
	found_open(&found, "/usr/lib/x86_64-linux-musl/libc.so");
	assert_int_equal(strncmp(found.set.allocator, "musl 1.", 7), 0);
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "calloc", IS_ALLOC_N(1, 2));
	assert_call(&found, "realloc", IS_REALLOC(1, 2));
	assert_call(&found, "posix_memalign", IS_POSIX(1, 3));
	assert_call(&found, "free", IS_FREE(1));
	assert_absent(&found, "__libc_malloc");
	assert_orderly(&found);
	found_close(&found);
}

static void assert_empty(const char *name, const char *note)
{
	struct found found;

	found_open(&found, name);
	assert_int_equal(found.set.count, 0);
	assert_string_equal(found.set.allocator, "");
	assert_string_equal(found.set.runtime, "");
	assert_string_equal(found.set.note, note);
	found_close(&found);
}

static void libstdcxx_has_nothing_for_malloc_lies_beneath(void **state)
{
	(void)state;
	assert_empty(LIB "libstdc++.so.6", "");
}

static void the_dynamic_linker_has_nothing(void **state)
{
	(void)state;
	assert_empty(LIB "ld-linux-x86-64.so.2", "");
}

static void node_has_nothing_of_its_own(void **state)
{
	(void)state;
	assert_empty("/usr/bin/node", "");
}

static void build_program(const char *compiler, const char *flags, const char *source,
			  const char *text, const char *name)
{
	files_need(compiler);
	files_write(source, text);
	if (files_run("%s -O2 -w %s -o %s %s 2>/dev/null", compiler, flags, name, source))
		return;
	print_message("skipped: %s cannot link with %s\n", compiler, flags);
	skip();
}

static void assert_static_glibc(const char *name)
{
	struct found found;

	found_open(&found, name);
	assert_int_equal(strncmp(found.set.allocator, "glibc", 5), 0);
	assert_string_equal(found.set.note, "");
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "calloc", IS_ALLOC_N(1, 2));
	assert_call(&found, "realloc", IS_REALLOC(1, 2));
	assert_call(&found, "free", IS_FREE(1));
	assert_absent(&found, "_Znwm");
	assert_absent(&found, "_ZnamRKSt9nothrow_t");
	assert_absent(&found, "_ZdlPv");
	assert_absent(&found, "_ZdlPvm");
	assert_int_equal(found_count(&found, PLACE_RET), 0);
	assert_int_equal(found_count(&found, PLACE_FREE), 1);
	assert_orderly(&found);
	found_close(&found);
}

static void a_static_program_has_its_own_malloc(void **state)
{
	(void)state;
	build_program("gcc", "-static", "c.c", c_program, "static");
	assert_static_glibc("static");
}

static void a_static_pie_has_its_own_malloc(void **state)
{
	(void)state;
	build_program("gcc", "-static-pie", "c.c", c_program, "static-pie");
	assert_static_glibc("static-pie");
}

static void operator_new_of_a_static_program_is_left_to_malloc(void **state)
{
	struct found found;

	(void)state;
	build_program("g++", "-static -std=c++17", "cxx.cc", cxx_program, "static-cxx");
	assert_static_glibc("static-cxx");
	found_open(&found, "static-cxx");
	assert_non_null(elffile_symbol(found.file, "_Znwm"));
	assert_non_null(elffile_symbol(found.file, "_ZdlPvm"));
	found_close(&found);
}

static void a_static_musl_program_has_its_own_malloc(void **state)
{
	struct found found;

	(void)state;
	build_program("musl-gcc", "-static", "c.c", c_program, "static-musl");
	found_open(&found, "static-musl");
	assert_int_equal(strncmp(found.set.allocator, "musl", 4), 0);
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "calloc", IS_ALLOC_N(1, 2));
	assert_call(&found, "realloc", IS_REALLOC(1, 2));
	assert_call(&found, "free", IS_FREE(1));
	assert_absent(&found, "__libc_malloc");
	assert_absent(&found, "__libc_free");
	assert_int_equal(found.set.count, 4);
	found_close(&found);
}

static void a_stripped_static_program_says_that_it_has_no_symbols(void **state)
{
	static const char note[] = "no symbols: whatever allocates in this file cannot be found";

	(void)state;
	build_program("gcc", "-static -s", "c.c", c_program, "stripped");
	assert_empty("stripped", note);
	build_program("gcc", "-static-pie -s", "c.c", c_program, "stripped-pie");
	assert_empty("stripped-pie", note);
}

static void a_program_that_imports_malloc_has_none(void **state)
{
	(void)state;
	build_program("gcc", "", "c.c", c_program, "dynamic");
	assert_empty("dynamic", "");
}

/* An ordinary program's functions, by chance called like an allocator's. */
static const char chance_names[] =
	"static int total;\n"
	"__attribute__((noinline)) static void *take(long n) __asm__(\"malloc\");\n"
	"__attribute__((noinline)) static void give(void *p) __asm__(\"free\");\n"
	"static void *take(long n) { total += n; return &total; }\n"
	"static void give(void *p) { total -= *(int *)p; }\n"
	"int CHANCE(int n) { give(take(n)); return total; }\n";

static void local_functions_called_free_are_no_allocator_beside_an_imported_malloc(void **state)
{
	(void)state;
	files_need("gcc");
	files_write("chance.c", chance_names);
	files_write("user.c", "#include <stdlib.h>\nint chance(int);\n"
		    "int main(void) { return chance(1) + !malloc(3); }\n");
	assert_true(files_run("gcc -O1 -fno-builtin -DCHANCE=chance -c chance.c && "
			      "gcc -O1 -fno-builtin -o chance user.c chance.o"));
	assert_empty("chance", "");
}

static void hidden_malloc_and_free_are_an_allocator(void **state)
{
	struct found found;

	(void)state;
	files_need("gcc");
	files_write("chance.c", chance_names);
	assert_true(files_run("gcc -O1 -fno-builtin -fPIC -shared -nostdlib -DCHANCE=one "
			      "-o hidden.so chance.c"));
	found_open(&found, "hidden.so");
	assert_string_equal(found.set.allocator, "malloc");
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "free", IS_FREE(1));
	assert_int_equal(found.set.count, 2);
	found_close(&found);
}

static void several_local_functions_of_one_name_are_no_allocator(void **state)
{
	(void)state;
	files_need("gcc");
	files_write("chance.c", chance_names);
	assert_true(files_run("gcc -O1 -fno-builtin -fPIC -DCHANCE=one -c -o one.o chance.c && "
			      "gcc -O1 -fno-builtin -fPIC -DCHANCE=two -c -o two.o chance.c && "
			      "gcc -shared -nostdlib -o several.so one.o two.o"));
	assert_empty("several.so", "");
}

static void a_resolver_is_not_the_function_it_resolves(void **state)
{
	(void)state;
	files_need("gcc");
	files_write("ifunc.c",
		    "static char room[64];\n"
		    "static void *take(long n) { return room + n; }\n"
		    "static void *(*choose(void))(long) { return take; }\n"
		    "void *malloc(long n) __attribute__((ifunc(\"choose\")));\n"
		    "void free(void *p) { room[0] = !!p; }\n");
	assert_true(files_run("gcc -O1 -w -fno-builtin -fPIC -shared -nostdlib "
			      "-o ifunc.so ifunc.c"));
	assert_empty("ifunc.so", "");
}

static void a_prefixed_jemalloc_stands_beside_the_programs_own_malloc(void **state)
{
	struct found found;

	(void)state;
	files_need("gcc");
	files_write("rjem.c",
		    "#include <stdio.h>\n"
		    "#include <stdlib.h>\n"
		    "char room[64];\n"
		    "const char *version = \"5.2.1-0-gea6b3e973b477b8061e0076bb257dbd7f3faa756\";\n"
		    "void *_rjem_mallocx(size_t n, int f) { return room + n + f; }\n"
		    "void *_rjem_rallocx(void *p, size_t n, int f) { room[n] = f; return p; }\n"
		    "size_t _rjem_xallocx(void *p, size_t n, size_t x, int f)\n"
		    "{ return n + x + f + !p; }\n"
		    "void _rjem_sdallocx(void *p, size_t n, int f) { room[n] = f + !p; }\n"
		    "int main(void) { free(malloc(9)); return puts(version); }\n");
	assert_true(files_run("gcc -O1 -fno-builtin -o rjem rjem.c"));
	found_open(&found, "rjem");
	assert_string_equal(found.set.allocator, "jemalloc 5.2.1");
	assert_call(&found, "_rjem_mallocx", IS_ALLOC(1));
	assert_call(&found, "_rjem_rallocx", IS_REALLOC(1, 2));
	assert_call(&found, "_rjem_xallocx", IS_RESIZE(1, 2));
	assert_call(&found, "_rjem_sdallocx", IS_FREE(1));
	assert_int_equal(found.set.count, 4);
	found_close(&found);
	if (!files_run("gcc -O1 -fno-builtin -static -o rjem-static rjem.c 2>/dev/null"))
		return;
	found_open(&found, "rjem-static");
	assert_int_equal(strncmp(found.set.allocator, "glibc", 5), 0);
	assert_non_null(strstr(found.set.allocator, " + jemalloc 5.2.1"));
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "_rjem_mallocx", IS_ALLOC(1));
	found_close(&found);
}

static void operator_new_with_a_jump_table_is_left_out_and_told(void **state)
{
	struct found found;

	(void)state;
	files_need("gcc");
	files_write("table.s",
		    ".text\n"
		    ".globl malloc, free, _Znwm, _ZdlPv\n"
		    ".type malloc,@function\n.type free,@function\n"
		    ".type _Znwm,@function\n.type _ZdlPv,@function\n"
		    "malloc: xor %eax,%eax\n ret\n.size malloc,.-malloc\n"
		    "free: ret\n.size free,.-free\n"
		    "_Znwm: lea 1f(%rip),%rax\n jmp *%rax\n1: ret\n.size _Znwm,.-_Znwm\n"
		    "_ZdlPv: jmp free\n.size _ZdlPv,.-_ZdlPv\n");
	assert_true(files_run("gcc -shared -nostdlib -Wl,-Bsymbolic -o table.so table.s"));
	found_open(&found, "table.so");
	assert_string_equal(found.set.note,
			    "_Znwm is not counted: it jumps through a register or table");
	assert_int_equal(found.set.left_out, 1);
	assert_call(&found, "malloc", IS_ALLOC(1));
	assert_call(&found, "free", IS_FREE(1));
	assert_absent(&found, "_Znwm");
	assert_absent(&found, "_ZdlPv");
	found_close(&found);
}

/* What a hostile file looks like: some of its bytes are not what they were. */
static void damaged_files_neither_crash_nor_hang(void **state)
{
	static const uint8_t values[] = { 0x00, 0xff, 0x7f, 0x80 };
	unsigned int round, seed = 12345;

	(void)state;
	build_program("gcc", "-shared -fPIC -nostdlib -fno-builtin -DCHANCE=one", "chance.c",
		      chance_names, "whole.so");
	for (round = 0; round < 400; round++) {
		struct elf_file *file;
		struct probe_set set;
		char path[256];
		int fd, k;

		assert_true(files_folder[0]);
		snprintf(path, sizeof(path), "%s/damaged.so", files_folder);
		if (!round)
			assert_true(files_run("cp whole.so damaged.so"));
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		for (k = 0; k < 3; k++) {
			seed = seed * 1103515245 + 12345;
			/* Beyond the ELF header: what is damaged there is no ELF file. */
			assert_int_equal(pwrite(fd, &values[seed >> 30], 1,
						64 + (seed >> 8) % 12000), 1);
		}
		if (!elffile_open(&file, fd)) {
			if (!allocators_find(file, &set))
				probe_set_release(&set);
			elffile_free(file);
		}
		close(fd);
		if (round % 20 == 19)
			assert_true(files_run("cp whole.so damaged.so"));
	}
}

static void malloc_and_free_are_probed_where_the_kernel_emulates(void **state)
{
	static const char *const names[] = { LIB "libc.so.6", LIB "libjemalloc.so.2", LIB "libtcmalloc_minimal.so.4" };
	struct found found;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		found_open(&found, names[i]);
		assert_true(found_point(&found, "malloc", PLACE_CALL)->cheap);
		assert_true(found_point(&found, "free", PLACE_FREE)->cheap);
		assert_true(found_point(&found, "realloc", PLACE_CALL)->text[0]);
		found_close(&found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(glibc_has_its_whole_c_api_probed_once),
		cmocka_unit_test(a_cookie_tells_how_far_the_text_reaches),
		cmocka_unit_test(jemalloc_has_its_x_functions_and_its_operator_new),
		cmocka_unit_test(tcmalloc_has_its_operator_new),
		cmocka_unit_test(minimal_tcmalloc_has_its_operator_new),
		cmocka_unit_test(mimalloc_has_its_heap_functions_one_argument_further),
		cmocka_unit_test(a_function_that_only_frees_through_another_is_left_to_it),
		cmocka_unit_test(musl_has_its_plain_names_only),
		cmocka_unit_test(libstdcxx_has_nothing_for_malloc_lies_beneath),
		cmocka_unit_test(the_dynamic_linker_has_nothing),
		cmocka_unit_test(node_has_nothing_of_its_own),
		cmocka_unit_test(a_static_program_has_its_own_malloc),
		cmocka_unit_test(a_static_pie_has_its_own_malloc),
		cmocka_unit_test(operator_new_of_a_static_program_is_left_to_malloc),
		cmocka_unit_test(a_static_musl_program_has_its_own_malloc),
		cmocka_unit_test(a_stripped_static_program_says_that_it_has_no_symbols),
		cmocka_unit_test(a_program_that_imports_malloc_has_none),
		cmocka_unit_test(
			local_functions_called_free_are_no_allocator_beside_an_imported_malloc),
		cmocka_unit_test(hidden_malloc_and_free_are_an_allocator),
		cmocka_unit_test(several_local_functions_of_one_name_are_no_allocator),
		cmocka_unit_test(a_resolver_is_not_the_function_it_resolves),
		cmocka_unit_test(a_prefixed_jemalloc_stands_beside_the_programs_own_malloc),
		cmocka_unit_test(operator_new_with_a_jump_table_is_left_out_and_told),
		cmocka_unit_test(damaged_files_neither_crash_nor_hang),
		cmocka_unit_test(malloc_and_free_are_probed_where_the_kernel_emulates),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
