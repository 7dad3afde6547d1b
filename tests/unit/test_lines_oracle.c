// SPDX-License-Identifier: Apache-2.0
/* Lines and inlined calls as libdw has them, address by address, in files that we trust it with. */
#define _GNU_SOURCE 1
#include "folder.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../../user/symbol/debugfile.h"
#include "../../user/symbol/lines.h"

#define CHAIN_MAX 64
#define TEXT_LEAST 0x1000 /* functions that the linker threw away are left at 0 and thereabouts */

struct compared {
	Dwarf *dwarf;
	struct lines *lines;
	size_t step, seen, asked, inlined, wrong;
};

static bool is_code(int tag)
{
	return tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
	       tag == DW_TAG_catch_block;
}

static bool may_hold_functions(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type || tag == DW_TAG_subprogram;
}

/* The function @die and the calls inlined in it around @address, outermost first. */
static int chain_in(Dwarf_Die *die, Dwarf_Addr address, Dwarf_Die *chain)
{
	Dwarf_Die at = *die, child;
	int count = 0;
	bool inside = true;

	while (inside) {
		if (!is_code(dwarf_tag(&at)) || dwarf_tag(&at) == DW_TAG_inlined_subroutine)
			chain[count++] = at;
		inside = false;
		if (count == CHAIN_MAX || dwarf_child(&at, &child))
			break;
		do {
			inside = is_code(dwarf_tag(&child)) && dwarf_haspc(&child, address) == 1;
		} while (!inside && !dwarf_siblingof(&child, &child));
		at = child;
	}
	return count;
}

static int chain_find(Dwarf_Die *parent, Dwarf_Addr address, Dwarf_Die *chain)
{
	Dwarf_Die child;
	int count = 0;

	if (dwarf_child(parent, &child))
		return 0;
	do {
		if (dwarf_tag(&child) == DW_TAG_subprogram && dwarf_haspc(&child, address) == 1)
			return chain_in(&child, address, chain);
		if (may_hold_functions(dwarf_tag(&child)))
			count = chain_find(&child, address, chain);
	} while (!count && !dwarf_siblingof(&child, &child));
	return count;
}

static const char *name_of(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute) ||
	    dwarf_attr_integrate(die, DW_AT_name, &attribute))
		return dwarf_formstring(&attribute);
	return NULL;
}

/* Where there is no mangled name ours has the scopes before the plain one. */
static bool same_name(const char *ours, const char *theirs)
{
	size_t length, plain;

	if (!ours || !theirs)
		return !ours && !theirs;
	length = strlen(ours);
	plain = strlen(theirs);
	if (length > plain + 2 && strncmp(ours, "_Z", 2))
		return !strncmp(ours + length - plain - 2, "::", 2) && !strcmp(ours + length - plain, theirs);
	return !strcmp(ours, theirs);
}

/* Ours is tidied, and begins at the folder of compilation where theirs is relative. */
static bool same_path(const char *ours, const char *theirs)
{
	char tidy[8192];
	size_t to = 0, length;

	if (!ours || !theirs)
		return !ours && !theirs;
	while (*theirs && to < sizeof(tidy) - 1) {
		if (!strncmp(theirs, "//", 2))
			theirs++;
		else if (!strncmp(theirs, "/./", 3))
			theirs += 2;
		else
			tidy[to++] = *theirs++;
	}
	tidy[to] = '\0';
	length = strlen(ours);
	if (*tidy != '/' && *ours == '/')
		return length > to && ours[length - to - 1] == '/' && !strcmp(ours + length - to, tidy);
	return !strcmp(ours, tidy);
}

static const char *call_place(Dwarf_Die *unit, Dwarf_Die *call, int *line)
{
	Dwarf_Attribute attribute;
	Dwarf_Files *files;
	Dwarf_Word file, at;

	*line = 0;
	if (dwarf_getsrcfiles(unit, &files, NULL) ||
	    dwarf_formudata(dwarf_attr(call, DW_AT_call_line, &attribute), &at) ||
	    dwarf_formudata(dwarf_attr(call, DW_AT_call_file, &attribute), &file))
		return NULL;
	*line = (int)at;
	return dwarf_filesrc(files, file, NULL, NULL);
}

static void compare_at(struct compared *compared, Dwarf_Die *unit, Dwarf_Addr address)
{
	struct line_level levels[LINES_INLINED_MAX + 1];
	size_t count = lines_find(compared->lines, address, levels, LINES_INLINED_MAX + 1), i;
	Dwarf_Line *row = dwarf_getsrc_die(unit, address);
	const char *file = row ? dwarf_linesrc(row, NULL, NULL) : NULL;
	Dwarf_Die chain[CHAIN_MAX];
	int line = 0, theirs = chain_find(unit, address, chain);
	bool same = count == (size_t)(theirs ? theirs : 1);

	if (row)
		dwarf_lineno(row, &line);
	for (i = 0; i < count && same; i++) {
		Dwarf_Die *die = theirs ? &chain[theirs - 1 - (int)i] : NULL;

		same = same_name(levels[i].function, die ? name_of(die) : NULL) && same_path(levels[i].file, file) &&
		       (!file || levels[i].line == (unsigned int)line);
		if (!same)
			print_message("%#lx, level %zu: %s %s:%u, libdw: %s %s:%d\n", (unsigned long)address, i,
				      levels[i].function, levels[i].file, levels[i].line, die ? name_of(die) : "-",
				      file, line);
		if (i + 1 < count)
			file = call_place(unit, die, &line);
	}
	compared->asked++;
	compared->inlined += count > 1;
	compared->wrong += !same;
}

static void compare_unit(struct compared *compared, Dwarf_Die *unit)
{
	Dwarf_Lines *rows;
	size_t i, count;

	if (dwarf_getsrclines(unit, &rows, &count))
		return;
	for (i = 0; i < count; i++) {
		Dwarf_Line *row = dwarf_onesrcline(rows, i);
		Dwarf_Addr address;
		bool ends;

		if (dwarf_lineaddr(row, &address) || dwarf_lineendsequence(row, &ends) || ends ||
		    address < TEXT_LEAST || dwarf_haspc(unit, address) != 1 || compared->seen++ % compared->step)
			continue;
		compare_at(compared, unit, address);
	}
}

/* Every @step-th row of all line programs of the file behind @fd, which is closed. */
static void compare_file(int fd, size_t step, struct compared *compared)
{
	Dwarf_CU *at = NULL;
	struct elf_file *file;
	Dwarf_Die unit;

	*compared = (struct compared){ .step = step };
	assert_true(fd >= 0);
	assert_int_equal(elffile_open(&file, fd), 0);
	compared->lines = lines_open(file, NULL);
	compared->dwarf = dwarf_begin(fd, DWARF_C_READ);
	assert_non_null(compared->lines);
	assert_non_null(compared->dwarf);
	while (!dwarf_get_units(compared->dwarf, at, &at, NULL, NULL, NULL, NULL)) {
		if (!dwarf_cu_info(at, NULL, NULL, &unit, NULL, NULL, NULL, NULL))
			compare_unit(compared, &unit);
	}
	dwarf_end(compared->dwarf);
	lines_free(compared->lines);
	elffile_free(file);
	close(fd);
	print_message("%zu addresses, %zu of them in inlined calls\n", compared->asked, compared->inlined);
}

static void this_test_has_the_lines_that_libdw_finds(void **state)
{
	struct compared compared;

	(void)state;
	compare_file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 3, &compared);
	assert_true(compared.asked > 1000);
	assert_int_equal(compared.wrong, 0);
}

static void the_debug_file_of_libc_has_the_lines_that_libdw_finds(void **state)
{
	struct compared compared;
	struct elf_file *file, *debug;
	Dl_info info;
	int fd, err;

	(void)state;
	assert_int_not_equal(dladdr((void *)getppid, &info), 0);
	fd = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	err = debugfile_open(file, NULL, -1, &debug);
	elffile_free(file);
	if (err) {
		print_message("skipped: there is no debug file of libc\n");
		skip();
	}
	compare_file(dup(debug->fd), 23, &compared);
	elffile_free(debug);
	assert_true(compared.asked > 5000);
	assert_true(compared.inlined > 500);
	assert_int_equal(compared.wrong, 0);
}

/* Functions inside of types and namespaces, cut in two, with exceptions. */
static const char source[] =
	"#include <map>\n#include <string>\n#include <vector>\n#include <stdexcept>\n"
	"namespace shop { struct Basket { std::map<std::string, std::vector<int>> things;\n"
	"	int put(const std::string &what, int how_many) {\n"
	"		if (how_many < 0) throw std::runtime_error(\"no \" + what);\n"
	"		auto &kept = things[what]; kept.push_back(how_many); return (int)kept.size(); } }; }\n"
	"int main(int argc, char **argv) { shop::Basket basket; int n = 0;\n"
	"	for (int i = 0; i < argc; i++) { try { n += basket.put(argv[i], 3 - i); }\n"
	"	catch (const std::exception &e) { n -= (int)std::string(e.what()).size(); } }\n"
	"	return n; }\n";

static void cxx_has_the_lines_that_libdw_finds(void **state)
{
	static const char *const flags[] = { "-O2 -gdwarf-5", "-O3 -gdwarf-4 -ffunction-sections", "-O2 -flto" };
	struct compared compared;
	char path[256];
	size_t i;

	(void)state;
	files_need("g++");
	files_write("shop.cc", source);
	snprintf(path, sizeof(path), "%s/shop", files_folder);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		assert_true(files_run("g++ -g %s -o shop shop.cc", flags[i]));
		compare_file(open(path, O_RDONLY | O_CLOEXEC), 1, &compared);
		assert_true(compared.inlined > 100);
		assert_int_equal(compared.wrong, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_test_has_the_lines_that_libdw_finds),
		cmocka_unit_test(the_debug_file_of_libc_has_the_lines_that_libdw_finds),
		cmocka_unit_test(cxx_has_the_lines_that_libdw_finds),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
