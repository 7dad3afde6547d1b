// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/symbol/elffile.h"
#include "elf_image.h"

#define T IMAGE_TEXT_VADDR
#define JVM "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so"

__attribute__((noinline)) int a_function_to_find(int x);

int a_function_to_find(int x)
{
	__asm__ volatile("");
	return x + 1;
}

static struct elf_file *open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_file *file;

	assert_true(fd >= 0);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd); /* the file keeps its own */
	return file;
}

static int open_image(const struct image *image, size_t bytes, struct elf_file **file)
{
	int fd = image_file(image, bytes), err;

	assert_true(fd >= 0);
	err = elffile_open(file, fd);
	close(fd);
	return err;
}

/* An indexed file with these symbols. */
static struct elf_file *with_symbols(const struct image_symbol *symbols, size_t count,
				     unsigned int table)
{
	struct image image;
	struct elf_file *file;

	image_make(&image, symbols, count, table);
	assert_int_equal(open_image(&image, sizeof(image), &file), 0);
	assert_int_equal(elffile_index(file), 0);
	return file;
}

static const char *name_at(const struct elf_file *file, uint64_t vaddr)
{
	const struct elf_symbol *symbol = elffile_function(file, vaddr);

	return symbol ? symbol->name : "-";
}

static uint64_t load_bias(const void *address)
{
	struct link_map *map;
	Dl_info info;

	assert_int_not_equal(dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP), 0);
	return map->l_addr;
}

static void the_test_itself_has_its_functions_where_they_are(void **state)
{
	struct elf_file *file = open_path("/proc/self/exe");
	uint64_t bias = load_bias((void *)a_function_to_find);
	uint64_t vaddr = (uint64_t)(uintptr_t)a_function_to_find - bias, offset, back;
	const struct elf_symbol *symbol;
	unsigned char bytes[4];

	(void)state;
	assert_int_equal(elffile_index(file), 0);
	symbol = elffile_symbol(file, "a_function_to_find");
	assert_non_null(symbol);
	assert_int_equal(symbol->vaddr, vaddr);
	assert_true(symbol->global);
	assert_string_equal(name_at(file, vaddr), "a_function_to_find");
	assert_string_equal(name_at(file, vaddr + symbol->size - 1), "a_function_to_find");
	assert_true(elffile_offset(file, vaddr, &offset));
	assert_true(elffile_vaddr(file, offset, &back));
	assert_int_equal(back, vaddr);
	assert_int_equal(elffile_read(file, vaddr, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, (void *)a_function_to_find, sizeof(bytes));
	assert_true(file->has_interp);
	assert_true(file->has_dynamic);
	assert_true(file->interp[0] == '/');
	elffile_free(file);
}

/* Ask the dynamic linker about every exported function of a loaded file. */
static size_t compare_with_dladdr(const char *path, uint64_t bias)
{
	struct elf_file *file = open_path(path);
	size_t i, compared = 0;

	assert_int_equal(elffile_index(file), 0);
	for (i = 0; i < file->symbols_count; i++) {
		const struct elf_symbol *symbol = &file->symbols[i];
		uint64_t last = symbol->vaddr + (symbol->size ? symbol->size - 1 : 0);
		uint64_t places[] = { symbol->vaddr, symbol->vaddr + (last - symbol->vaddr) / 2, last };
		size_t k;

		/* What dladdr knows: not the symbols that only .symtab has. */
		if (!symbol->exported || !symbol->size)
			continue;
		for (k = 0; k < 3; k++) {
			const struct elf_symbol *ours = elffile_function(file, places[k]);
			Dl_info info;

			assert_non_null(ours);
			assert_int_not_equal(dladdr((void *)(uintptr_t)(bias + places[k]), &info), 0);
			assert_non_null(info.dli_saddr);
			assert_int_equal((uint64_t)(uintptr_t)info.dli_saddr - bias, ours->vaddr);
			compared++;
		}
	}
	elffile_free(file);
	return compared;
}

/* Walk .symtab and .dynsym without elffile and call @each for every function in them. */
static size_t each_function(const char *path,
			    void (*each)(void *ctx, const char *name, const GElf_Sym *symbol),
			    void *ctx)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t seen = 0, i;
	Elf *elf;

	assert_true(fd >= 0);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(elf);
	while ((section = elf_nextscn(elf, section)) && gelf_getshdr(section, &header)) {
		bool wanted = header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM;
		Elf_Data *data = wanted ? elf_getdata(section, NULL) : NULL;
		GElf_Sym symbol;

		for (i = 0; data && i < header.sh_size / header.sh_entsize; i++) {
			assert_non_null(gelf_getsym(data, (int)i, &symbol));
			if (symbol.st_shndx == SHN_UNDEF ||
			    (GELF_ST_TYPE(symbol.st_info) != STT_FUNC &&
			     GELF_ST_TYPE(symbol.st_info) != STT_GNU_IFUNC))
				continue;
			each(ctx, elf_strptr(elf, header.sh_link, symbol.st_name), &symbol);
			seen++;
		}
	}
	elf_end(elf);
	close(fd);
	return seen;
}

/* At the start of each function stands it, or an alias; by name its first address is found. */
static void expect_function(void *ctx, const char *name, const GElf_Sym *symbol)
{
	const struct elf_file *file = ctx;
	const struct elf_symbol *at = elffile_function(file, symbol->st_value);
	const struct elf_symbol *named;
	char plain[4096];

	snprintf(plain, sizeof(plain), "%s", name);
	plain[strcspn(plain, "@")] = '\0';
	named = elffile_symbol(file, plain);
	assert_non_null(at);
	assert_int_equal(at->vaddr, symbol->st_value);
	assert_non_null(named);
	assert_string_equal(named->name, plain);
	assert_true(named->vaddr <= symbol->st_value);
	if (symbol->st_size) {
		at = elffile_function(file, symbol->st_value + symbol->st_size - 1);
		assert_non_null(at);
		assert_true(at->vaddr >= symbol->st_value);
	}
}

static void every_function_of_libc_is_found_where_the_dynamic_linker_finds_it(void **state)
{
	struct elf_file *file;
	Dl_info info;

	(void)state;
	assert_int_not_equal(dladdr((void *)getppid, &info), 0);
	file = open_path(info.dli_fname);
	assert_int_equal(elffile_index(file), 0);
	assert_true(each_function(info.dli_fname, expect_function, file) > 1000);
	elffile_free(file);
	assert_true(compare_with_dladdr(info.dli_fname, load_bias((void *)getppid)) > 3000);
}

static void every_function_of_libjvm_is_found(void **state)
{
	struct elf_file *file;
	Dl_info info;
	void *handle, *address;

	(void)state;
	if (access(JVM, R_OK)) {
		print_message("skipped: no %s\n", JVM);
		skip();
	}
	file = open_path(JVM);
	assert_int_equal(elffile_index(file), 0);
	assert_true(each_function(JVM, expect_function, file) > 1000);
	elffile_free(file);
	handle = dlopen(JVM, RTLD_LAZY | RTLD_LOCAL);
	if (!handle) {
		print_message("%s is not compared with dladdr: %s\n", JVM, dlerror());
		return;
	}
	address = dlsym(handle, "JNI_CreateJavaVM");
	assert_int_not_equal(dladdr(address, &info), 0);
	assert_true(compare_with_dladdr(JVM, load_bias(address)) > 0);
}

static void exports_are_what_dlsym_finds(void **state)
{
	struct elf_file *file;
	Dl_info info;

	(void)state;
	assert_int_not_equal(dladdr((void *)getppid, &info), 0);
	file = open_path(info.dli_fname);
	assert_int_equal(elffile_index(file), 0);
	assert_true(elffile_exports(file, "malloc"));
	assert_true(elffile_exports(file, "posix_memalign"));
	assert_false(elffile_exports(file, "stdout")); /* data */
	assert_false(elffile_exports(file, "no_such_function"));
	elffile_free(file);
}

static void a_symbol_under_a_hidden_version_is_indexed_but_not_exported(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "old", T + 0x10, 16, STT_FUNC, STB_GLOBAL, 0x8002 },
		{ "new", T + 0x20, 16, STT_FUNC, STB_GLOBAL, 2 },
		{ "own", T + 0x30, 16, STT_FUNC, STB_LOCAL, 2 },
	};
	struct elf_file *file = with_symbols(symbols, 3, SHT_DYNSYM);

	(void)state;
	assert_non_null(elffile_symbol(file, "old"));
	assert_false(elffile_exports(file, "old"));
	assert_true(elffile_exports(file, "new"));
	assert_false(elffile_exports(file, "own"));
	elffile_free(file);
}

static void symtab_alone_exports_nothing(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "f@@V2", T + 0x10, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 1, SHT_SYMTAB);

	(void)state;
	assert_int_equal(elffile_symbol(file, "f")->vaddr, T + 0x10);
	assert_null(elffile_symbol(file, "f@@V2"));
	assert_false(elffile_exports(file, "f"));
	elffile_free(file);
}

static void an_address_between_functions_has_no_name(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "first", T + 0x100, 0x10, STT_FUNC, STB_GLOBAL, 0 },
		{ "second", T + 0x200, 0x10, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 2, SHT_SYMTAB);

	(void)state;
	assert_string_equal(name_at(file, T + 0xff), "-");
	assert_string_equal(name_at(file, T + 0x100), "first");
	assert_string_equal(name_at(file, T + 0x10f), "first");
	assert_string_equal(name_at(file, T + 0x110), "-");
	assert_string_equal(name_at(file, T + 0x20f), "second");
	assert_string_equal(name_at(file, T + 0x210), "-");
	assert_string_equal(name_at(file, 0), "-");
	assert_string_equal(name_at(file, UINT64_MAX), "-");
	elffile_free(file);
}

static void a_symbol_without_size_reaches_to_the_next_or_to_the_end_of_its_section(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "assembly", T + 0x100, 0, STT_NOTYPE, STB_LOCAL, 0 },
		{ "next", T + 0x200, 0x10, STT_FUNC, STB_GLOBAL, 0 },
		{ "last", T + 0x300, 0, STT_NOTYPE, STB_GLOBAL, 0 },
		{ "_etext", T + 0x1000, 0, STT_NOTYPE, STB_GLOBAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 4, SHT_SYMTAB);

	(void)state;
	assert_string_equal(name_at(file, T + 0x1ff), "assembly");
	assert_string_equal(name_at(file, T + 0x200), "next");
	assert_string_equal(name_at(file, T + 0x210), "-");
	assert_string_equal(name_at(file, T + 0xfff), "last");
	assert_string_equal(name_at(file, T + 0x1000), "-");
	elffile_free(file);
}

static void of_nested_functions_the_innermost_wins_and_the_outer_goes_on_behind_it(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "outer", T + 0x100, 0x100, STT_FUNC, STB_GLOBAL, 0 },
		{ "inner", T + 0x140, 0x10, STT_FUNC, STB_GLOBAL, 0 },
		{ "label", T + 0x160, 0, STT_NOTYPE, STB_LOCAL, 0 },
		{ "over", T + 0x1f0, 0x20, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 4, SHT_SYMTAB);

	(void)state;
	assert_string_equal(name_at(file, T + 0x13f), "outer");
	assert_string_equal(name_at(file, T + 0x14f), "inner");
	assert_string_equal(name_at(file, T + 0x150), "outer");
	assert_string_equal(name_at(file, T + 0x168), "outer"); /* a label splits no function */
	assert_int_equal(elffile_symbol(file, "label")->vaddr, T + 0x160);
	assert_string_equal(name_at(file, T + 0x1f0), "over");
	assert_string_equal(name_at(file, T + 0x20f), "over");
	assert_string_equal(name_at(file, T + 0x210), "-");
	elffile_free(file);
}

static void of_names_at_one_address_the_best_comes_first(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "a", T + 0x100, 16, STT_FUNC, STB_LOCAL, 0 },
		{ "__libc_read", T + 0x100, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "read", T + 0x100, 16, STT_FUNC, STB_WEAK, 0 },
		{ "reader", T + 0x100, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "shorter", T + 0x200, 4, STT_FUNC, STB_GLOBAL, 0 },
		{ "zz_longer", T + 0x200, 8, STT_FUNC, STB_LOCAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 6, SHT_SYMTAB);

	(void)state;
	assert_string_equal(name_at(file, T + 0x100), "read");
	assert_string_equal(file->symbols[0].name, "read");
	assert_string_equal(file->symbols[1].name, "reader");
	assert_string_equal(file->symbols[2].name, "__libc_read");
	assert_string_equal(file->symbols[3].name, "a");
	assert_string_equal(name_at(file, T + 0x203), "shorter");
	assert_string_equal(name_at(file, T + 0x204), "zz_longer");
	elffile_free(file);
}

static void what_is_no_code_is_not_in_the_index(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "data", T + 0x100, 16, STT_OBJECT, STB_GLOBAL, 0 },
		{ "$x", T + 0x110, 0, STT_NOTYPE, STB_LOCAL, 0 },
		{ "$d.7", T + 0x118, 0, STT_NOTYPE, STB_LOCAL, 0 },
		{ "@V1", T + 0x120, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "elsewhere", 0x100, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "rodata", T + 0x1800, 16, STT_NOTYPE, STB_GLOBAL, 0 },
		{ "nowhere", 0, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "code", T + 0x200, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 8, SHT_SYMTAB);

	(void)state;
	assert_int_equal(file->symbols_count, 1);
	assert_string_equal(file->symbols[0].name, "code");
	elffile_free(file);
}

static void of_several_symbols_of_one_name_the_first_address_is_found(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "init", T + 0x300, 16, STT_FUNC, STB_LOCAL, 0 },
		{ "init", T + 0x100, 16, STT_FUNC, STB_LOCAL, 0 },
		{ "init", T + 0x200, 16, STT_FUNC, STB_LOCAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 3, SHT_SYMTAB);

	(void)state;
	assert_int_equal(elffile_symbol(file, "init")->vaddr, T + 0x100);
	elffile_free(file);
}

static void offsets_and_addresses_differ_by_segment(void **state)
{
	struct elf_file *file = with_symbols(NULL, 0, SHT_SYMTAB);
	char bytes[32];
	uint64_t out;

	(void)state;
	assert_true(elffile_vaddr(file, 0x1234, &out));
	assert_int_equal(out, 0x5234);
	assert_true(elffile_offset(file, 0x5234, &out));
	assert_int_equal(out, 0x1234);
	assert_true(elffile_vaddr(file, 0x10, &out));
	assert_int_equal(out, 0x10);
	assert_false(elffile_vaddr(file, 0x3000, &out));
	assert_false(elffile_offset(file, 0x4fff, &out));
	assert_false(elffile_offset(file, 0x7000, &out));
	assert_int_equal(elffile_read(file, 0x6ff0, bytes, 16), 0);
	assert_int_equal(elffile_read(file, 0x6ff0, bytes, 17), -EFAULT);
	assert_int_equal(elffile_read(file, 0x7000, bytes, 1), -EFAULT);
	elffile_free(file);
}

static void libc_without_sections_exports_the_same_functions(void **state)
{
	struct elf_file *whole, *bare;
	int fd = memfd_create("bare", MFD_CLOEXEC);
	Elf64_Ehdr header;
	char buf[65536];
	Dl_info info;
	ssize_t got;
	size_t i, compared = 0;
	int from;

	(void)state;
	assert_int_not_equal(dladdr((void *)getppid, &info), 0);
	from = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	while ((got = read(from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(fd, buf, (size_t)got), got);
	close(from);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	header.e_shoff = header.e_shnum = header.e_shstrndx = 0;
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(elffile_open(&bare, fd), 0);
	close(fd);
	whole = open_path(info.dli_fname);
	assert_int_equal(elffile_index(whole), 0);
	assert_int_equal(elffile_index(bare), 0);
	assert_string_equal(whole->build_id, bare->build_id);
	assert_int_equal(strlen(whole->build_id), 40);
	for (i = 0; i < whole->symbols_count; i++) {
		const struct elf_symbol *symbol = &whole->symbols[i];

		assert_true(elffile_exports(whole, symbol->name) ==
			    elffile_exports(bare, symbol->name));
		if (!symbol->exported)
			continue;
		assert_int_equal(elffile_symbol(bare, symbol->name)->vaddr,
				 elffile_symbol(whole, symbol->name)->vaddr);
		compared++;
	}
	assert_true(compared > 1000);
	elffile_free(whole);
	elffile_free(bare);
}

static void expect_refused(const struct image *image, size_t bytes, int err)
{
	struct elf_file *file = NULL;

	assert_int_equal(open_image(image, bytes, &file), err);
	assert_null(file);
}

static void what_is_no_native_program_is_refused(void **state)
{
	struct image good, bad;
	struct elf_file *file = NULL;
	int pipes[2], dir;

	(void)state;
	image_make(&good, NULL, 0, SHT_SYMTAB);
	expect_refused(&good, 0, -ENOEXEC);
	expect_refused(&good, 63, -ENOEXEC);
	bad = good, bad.header.e_ident[0] = 'x';
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.header.e_ident[EI_CLASS] = ELFCLASSNUM;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.header.e_ident[EI_DATA] = ELFDATA2MSB;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.header.e_type = ET_REL;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(elffile_open(&file, pipes[0]), -ENOEXEC);
	dir = open("/", O_RDONLY | O_DIRECTORY);
	assert_int_equal(elffile_open(&file, dir), -ENOEXEC);
	assert_int_equal(elffile_open(&file, -1), -EBADF);
	close(pipes[0]);
	close(pipes[1]);
	close(dir);
}

static void segments_that_cannot_be_are_refused(void **state)
{
	struct image good, bad;

	(void)state;
	image_make(&good, NULL, 0, SHT_SYMTAB);
	bad = good, bad.segments[1].p_vaddr = UINT64_MAX - 0xfff;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.segments[1].p_offset = UINT64_MAX - 0xfff;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.segments[1].p_filesz = IMAGE_TEXT_BYTES + 1;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.header.e_phnum = PN_XNUM;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.header.e_phoff = UINT64_MAX - 8;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.header.e_phoff = sizeof(bad) - 100;
	expect_refused(&bad, sizeof(bad), -ENOEXEC);
}

/* @image opens, and its index is empty. */
static void expect_nameless(const struct image *image, size_t bytes, int err)
{
	struct elf_file *file;

	assert_int_equal(open_image(image, bytes, &file), 0);
	assert_int_equal(elffile_index(file), err);
	assert_int_equal(elffile_index(file), err);
	assert_int_equal(file->symbols_count, 0);
	assert_null(elffile_function(file, T + 0x10));
	assert_null(elffile_symbol(file, "f"));
	assert_false(elffile_exports(file, "f"));
	elffile_free(file);
}

static void symbol_tables_that_lie_about_their_size_give_no_names_and_no_crash(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "f", T + 0x10, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct image good, bad;

	(void)state;
	image_make(&good, symbols, 1, SHT_SYMTAB);
	bad = good, bad.sections[IMAGE_SYMBOLS].sh_size = UINT64_MAX - 7;
	expect_nameless(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.sections[IMAGE_SYMBOLS].sh_offset = UINT64_MAX - 7;
	expect_nameless(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.sections[IMAGE_SYMBOLS].sh_entsize = 8;
	expect_nameless(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.sections[IMAGE_SYMBOLS].sh_link = 77;
	expect_nameless(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.sections[IMAGE_SYMBOLS].sh_link = IMAGE_TEXT;
	expect_nameless(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.sections[IMAGE_STRINGS].sh_size = UINT64_MAX;
	expect_nameless(&bad, sizeof(bad), -ENOEXEC);
	bad = good, bad.symbols[1].st_name = sizeof(bad.strings);
	expect_nameless(&bad, sizeof(bad), 0);
	bad = good, bad.sections[IMAGE_STRINGS].sh_size = 2; /* cuts the name's end off */
	expect_nameless(&bad, sizeof(bad), 0);
	bad = good, bad.symbols[1].st_value = UINT64_MAX;
	expect_nameless(&bad, sizeof(bad), 0);
	bad = good, bad.header.e_shnum = 0, bad.sections[0].sh_size = UINT64_MAX;
	expect_nameless(&bad, sizeof(bad), 0);
	bad = good, bad.header.e_shnum = 0xfeff;
	expect_nameless(&bad, sizeof(bad), 0);
	bad = good, bad.header.e_shoff = UINT64_MAX - 63;
	expect_nameless(&bad, sizeof(bad), 0);
}

static void a_size_beyond_the_section_is_cut_there(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "endless", T + 0x10, UINT64_MAX, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 1, SHT_SYMTAB);

	(void)state;
	assert_string_equal(name_at(file, T + 0xfff), "endless");
	assert_string_equal(name_at(file, T + 0x1000), "-");
	elffile_free(file);
}

static void names_that_all_share_one_long_tail_are_refused_before_they_cost(void **state)
{
	const size_t count = 4000, tail = 1 << 20;
	struct image image;
	struct elf_file *file;
	Elf64_Sym symbol = {
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = IMAGE_TEXT,
		.st_value = T + 0x10, .st_size = 16,
	};
	char *strings = malloc(tail);
	size_t i;
	int fd;

	(void)state;
	image_make(&image, NULL, 0, SHT_SYMTAB);
	image.sections[IMAGE_SYMBOLS].sh_offset = sizeof(image);
	image.sections[IMAGE_SYMBOLS].sh_size = count * sizeof(symbol);
	image.sections[IMAGE_STRINGS].sh_offset = sizeof(image) + count * sizeof(symbol);
	image.sections[IMAGE_STRINGS].sh_size = tail;
	fd = image_file(&image, sizeof(image));
	for (i = 0; i < count; i++) {
		symbol.st_name = (Elf64_Word)i + 1;
		assert_int_equal(write(fd, &symbol, sizeof(symbol)), sizeof(symbol));
	}
	memset(strings, 'a', tail);
	strings[tail - 1] = '\0';
	assert_int_equal(write(fd, strings, tail), tail);
	free(strings);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	assert_int_equal(elffile_index(file), -EFBIG);
	assert_int_equal(file->symbols_count, 0);
	elffile_free(file);
}

static void a_file_cut_short_after_it_was_opened_is_an_error_and_no_signal(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "f", T + 0x10, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct image image;
	struct elf_file *file;
	char byte;
	int fd;

	(void)state;
	image_make(&image, symbols, 1, SHT_SYMTAB);
	fd = image_file(&image, sizeof(image));
	assert_int_equal(elffile_open(&file, fd), 0);
	assert_int_equal(ftruncate(fd, offsetof(struct image, symbols)), 0);
	assert_int_equal(elffile_index(file), -ENOEXEC);
	assert_int_equal(file->symbols_count, 0);
	assert_int_equal(elffile_read(file, T, &byte, 1), -EIO);
	close(fd);
	elffile_free(file);
}

static void a_file_replaced_on_disk_keeps_its_old_names(void **state)
{
	static const struct image_symbol before[] = {
		{ "old_name", T + 0x10, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	static const struct image_symbol after[] = {
		{ "new_name", T + 0x10, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	char dir[] = "/tmp/heldby-elffile-XXXXXX", path[64], next[64];
	struct elf_file *file;
	struct image image;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lib.so", dir);
	snprintf(next, sizeof(next), "%s/next.so", dir);
	image_make(&image, before, 1, SHT_SYMTAB);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, &image, sizeof(image)), sizeof(image));
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	image_make(&image, after, 1, SHT_SYMTAB);
	fd = open(next, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, &image, sizeof(image)), sizeof(image));
	close(fd);
	assert_int_equal(rename(next, path), 0);
	assert_int_equal(elffile_index(file), 0);
	assert_string_equal(name_at(file, T + 0x10), "old_name");
	elffile_free(file);
	file = open_path(path);
	assert_int_equal(elffile_index(file), 0);
	assert_string_equal(name_at(file, T + 0x10), "new_name");
	elffile_free(file);
	unlink(path);
	rmdir(dir);
}

static void a_closed_file_keeps_its_index_and_reads_no_more(void **state)
{
	static const struct image_symbol symbols[] = {
		{ "f", T + 0x10, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct elf_file *file = with_symbols(symbols, 1, SHT_SYMTAB);
	char byte;

	(void)state;
	elffile_close(file);
	elffile_close(file);
	assert_int_equal(file->fd, -1);
	assert_int_equal(elffile_index(file), 0);
	assert_string_equal(name_at(file, T + 0x10), "f");
	assert_int_equal(elffile_read(file, T, &byte, 1), -EIO);
	elffile_free(file);
	elffile_free(NULL);
}

static void a_build_id_is_found_in_segments_before_sections(void **state)
{
	static const unsigned char note[] = {
		4, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 0xab, 0xcd, 0, 0,
	};
	struct image good, image;
	struct elf_file *file;

	(void)state;
	image_make(&good, NULL, 0, SHT_SYMTAB);
	memcpy(good.strings + 100, note, sizeof(note));
	image = good;
	image.sections[IMAGE_VERSIONS] = (Elf64_Shdr){
		.sh_type = SHT_NOTE, .sh_offset = offsetof(struct image, strings) + 100,
		.sh_size = sizeof(note),
	};
	assert_int_equal(open_image(&image, sizeof(image), &file), 0);
	assert_string_equal(file->build_id, "abcd");
	elffile_free(file);
	memcpy(image.strings + 200, note, sizeof(note));
	image.strings[217] = 0x12;
	image.segments[0].p_type = PT_NOTE;
	image.segments[0].p_offset = offsetof(struct image, strings) + 200;
	image.segments[0].p_filesz = sizeof(note);
	assert_int_equal(open_image(&image, sizeof(image), &file), 0);
	assert_string_equal(file->build_id, "ab12");
	elffile_free(file);
	image = good;
	image.segments[0].p_type = PT_NOTE;
	image.segments[0].p_offset = offsetof(struct image, strings) + 100;
	image.strings[104] = 65; /* longer than a build-id may be */
	image.segments[0].p_filesz = 200;
	assert_int_equal(open_image(&image, sizeof(image), &file), 0);
	assert_string_equal(file->build_id, "");
	elffile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_test_itself_has_its_functions_where_they_are),
		cmocka_unit_test(every_function_of_libc_is_found_where_the_dynamic_linker_finds_it),
		cmocka_unit_test(every_function_of_libjvm_is_found),
		cmocka_unit_test(exports_are_what_dlsym_finds),
		cmocka_unit_test(a_symbol_under_a_hidden_version_is_indexed_but_not_exported),
		cmocka_unit_test(symtab_alone_exports_nothing),
		cmocka_unit_test(an_address_between_functions_has_no_name),
		cmocka_unit_test(a_symbol_without_size_reaches_to_the_next_or_to_the_end_of_its_section),
		cmocka_unit_test(of_nested_functions_the_innermost_wins_and_the_outer_goes_on_behind_it),
		cmocka_unit_test(of_names_at_one_address_the_best_comes_first),
		cmocka_unit_test(what_is_no_code_is_not_in_the_index),
		cmocka_unit_test(of_several_symbols_of_one_name_the_first_address_is_found),
		cmocka_unit_test(offsets_and_addresses_differ_by_segment),
		cmocka_unit_test(libc_without_sections_exports_the_same_functions),
		cmocka_unit_test(what_is_no_native_program_is_refused),
		cmocka_unit_test(segments_that_cannot_be_are_refused),
		cmocka_unit_test(symbol_tables_that_lie_about_their_size_give_no_names_and_no_crash),
		cmocka_unit_test(a_size_beyond_the_section_is_cut_there),
		cmocka_unit_test(names_that_all_share_one_long_tail_are_refused_before_they_cost),
		cmocka_unit_test(a_file_cut_short_after_it_was_opened_is_an_error_and_no_signal),
		cmocka_unit_test(a_file_replaced_on_disk_keeps_its_old_names),
		cmocka_unit_test(a_closed_file_keeps_its_index_and_reads_no_more),
		cmocka_unit_test(a_build_id_is_found_in_segments_before_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
