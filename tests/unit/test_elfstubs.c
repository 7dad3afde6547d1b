// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "folder.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/symbol/elffile.h"

static struct elf_file *open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_file *file;

	assert_true(fd >= 0);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	assert_int_equal(elffile_index(file), 0);
	return file;
}

static struct elf_file *open_name(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", files_folder, name);
	return open_path(path);
}

static void build(const char *flags)
{
	files_write("stubs.c", "int alpha(int), beta(int); int (*keep)(int) = beta;\n"
			       "int call(int x) { return alpha(x) + beta(x) + keep(x); }\n");
	assert_true(files_run("gcc -O1 -shared -fPIC %s -o stubs.so stubs.c", flags));
}

/* As binutils finds them, which knows the layouts of all linkers. Their number. */
static size_t compare_with_objdump(const struct elf_file *file, const char *path)
{
	char command[512], line[4096], name[4096];
	unsigned long vaddr;
	size_t seen = 0;
	FILE *from;

	snprintf(command, sizeof(command), "objdump -d -j .plt -j .plt.sec -j .plt.got '%s' 2>/dev/null", path);
	from = popen(command, "r");
	assert_non_null(from);
	while (fgets(line, sizeof(line), from)) {
		const struct elf_symbol *stub;
		int whole = 0;

		if (sscanf(line, "%lx <%4000[^@>]@plt>:%n", &vaddr, name, &whole) != 2 || !whole)
			continue;
		stub = elffile_stub(file, vaddr);
		assert_non_null(stub);
		assert_int_equal(stub->vaddr, vaddr);
		assert_string_equal(stub->name, name);
		assert_ptr_equal(elffile_stub(file, vaddr + 7), stub);
		seen++;
	}
	assert_int_equal(pclose(from), 0);
	assert_int_equal(seen, file->stubs_count);
	return seen;
}

static void stubs_are_named_by_what_they_jump_to(void **state)
{
	static const char *const flags[] = {
		"-Wl,-z,lazy", "-Wl,-z,now", "-fcf-protection -Wl,-z,ibtplt", "-fcf-protection -Wl,-z,now",
		"-Wl,-z,lazy -Wl,--build-id=none",
	};
	struct elf_file *file;
	char path[256];
	size_t i;

	(void)state;
	files_need("objdump");
	snprintf(path, sizeof(path), "%s/stubs.so", files_folder);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		build(flags[i]);
		file = open_path(path);
		assert_in_range(compare_with_objdump(file, path), 2, 16);
		elffile_free(file);
	}
}

static void the_stubs_of_a_large_program_are_those_that_binutils_finds(void **state)
{
	struct elf_file *file;

	(void)state;
	files_need("objdump");
	if (access("/usr/bin/python3", R_OK)) {
		print_message("skipped: there is no /usr/bin/python3\n");
		skip();
	}
	file = open_path("/usr/bin/python3");
	assert_true(compare_with_objdump(file, "/usr/bin/python3") > 100);
	elffile_free(file);
}

static void what_is_no_stub_has_no_name(void **state)
{
	struct elf_file *file;
	uint64_t before, after;

	(void)state;
	build("-Wl,-z,lazy");
	file = open_name("stubs.so");
	assert_true(file->stubs_count >= 2);
	before = file->stubs[0].vaddr - 1;
	after = file->stubs[file->stubs_count - 1].vaddr + file->stubs[file->stubs_count - 1].size;
	assert_null(elffile_stub(file, before));
	assert_null(elffile_stub(file, after));
	assert_null(elffile_stub(file, 0));
	assert_null(elffile_stub(file, UINT64_MAX));
	elffile_free(file);
}

enum { NOTHING, PLT, RELOCS, SYMBOLS, STRINGS, NAMES, SECTIONS };

/* An aarch64 library of two stubs, as binutils lays it out. */
struct arm {
	Elf64_Ehdr header;
	Elf64_Phdr text;
	Elf64_Shdr sections[SECTIONS];
	uint32_t plt[32];
	Elf64_Rela relocs[2];
	Elf64_Sym symbols[3];
	char strings[32];
	char names[64];
};

#define PLT_VADDR (0x10000 + offsetof(struct arm, plt))
#define GOT_VADDR 0x31000

/* adrp x16, GOT; ldr x17, [x16, #offset]; add x16, x16, #offset; br x17. Returns the next place. */
static uint32_t *arm_stub(uint32_t *to, uint64_t vaddr, uint32_t offset)
{
	uint64_t pages = ((uint64_t)GOT_VADDR >> 12) - (vaddr >> 12);

	*to++ = 0x90000010u | (uint32_t)(pages & 3) << 29 | (uint32_t)(pages >> 2 & 0x7ffff) << 5;
	*to++ = 0xf9400211u | offset / 8 << 10;
	*to++ = 0x91000210u | offset << 10;
	*to++ = 0xd61f0220u;
	return to;
}

static void section_set(struct arm *arm, int number, const char *name, unsigned int type, size_t offset, size_t bytes)
{
	static const char all[] = "\0.plt\0.rela.plt\0.dynsym\0.dynstr\0.shstrtab";
	Elf64_Shdr *section = &arm->sections[number];

	memcpy(arm->names, all, sizeof(all));
	section->sh_name = (Elf64_Word)((const char *)memmem(all, sizeof(all), name, strlen(name) + 1) - all);
	section->sh_type = type;
	section->sh_offset = offset;
	section->sh_size = bytes;
}

static void arm_make(struct arm *arm, bool landing_pads)
{
	uint64_t vaddr = PLT_VADDR;
	uint32_t *to = arm->plt;
	size_t i;

	memset(arm, 0, sizeof(*arm));
	memcpy(arm->header.e_ident, ELFMAG "\2\1\1", 7);
	arm->header.e_type = ET_DYN;
	arm->header.e_machine = EM_AARCH64;
	arm->header.e_version = EV_CURRENT;
	arm->header.e_phoff = offsetof(struct arm, text);
	arm->header.e_phentsize = sizeof(arm->text);
	arm->header.e_phnum = 1;
	arm->header.e_shoff = offsetof(struct arm, sections);
	arm->header.e_shentsize = sizeof(arm->sections[0]);
	arm->header.e_shnum = SECTIONS;
	arm->header.e_shstrndx = NAMES;
	arm->text = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x10000, .p_filesz = sizeof(*arm),
		.p_memsz = sizeof(*arm),
	};
	for (i = 0; i < 2; i++) {
		if (landing_pads)
			*to++ = 0xd503245fu;
		to = arm_stub(to, vaddr + (size_t)((char *)to - (char *)arm->plt), 8 * (uint32_t)i);
		if (landing_pads)
			*to++ = 0xd503201fu;
		arm->relocs[i] = (Elf64_Rela){
			.r_offset = GOT_VADDR + 8 * i, .r_info = ELF64_R_INFO(i + 1, R_AARCH64_JUMP_SLOT),
		};
		arm->symbols[i + 1].st_name = i ? 7 : 1;
	}
	memcpy(arm->strings, "\0alpha\0beta", 12);
	section_set(arm, PLT, ".plt", SHT_PROGBITS, offsetof(struct arm, plt), (size_t)((char *)to - (char *)arm->plt));
	arm->sections[PLT].sh_addr = PLT_VADDR;
	section_set(arm, RELOCS, ".rela.plt", SHT_RELA, offsetof(struct arm, relocs), sizeof(arm->relocs));
	section_set(arm, SYMBOLS, ".dynsym", SHT_DYNSYM, offsetof(struct arm, symbols), sizeof(arm->symbols));
	arm->sections[SYMBOLS].sh_entsize = sizeof(arm->symbols[0]);
	arm->sections[SYMBOLS].sh_link = STRINGS;
	section_set(arm, STRINGS, ".dynstr", SHT_STRTAB, offsetof(struct arm, strings), sizeof(arm->strings));
	section_set(arm, NAMES, ".shstrtab", SHT_STRTAB, offsetof(struct arm, names), sizeof(arm->names));
}

static struct elf_file *arm_open(const struct arm *arm)
{
	int fd = memfd_create("arm", MFD_CLOEXEC);
	struct elf_file *file;

	assert_int_equal(write(fd, arm, sizeof(*arm)), sizeof(*arm));
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	assert_int_equal(elffile_index(file), 0);
	return file;
}

static void expect_stub(const struct elf_file *file, uint64_t vaddr, const char *name, uint64_t start)
{
	const struct elf_symbol *stub = elffile_stub(file, vaddr);

	assert_non_null(stub);
	assert_string_equal(stub->name, name);
	assert_int_equal(stub->vaddr, start);
}

static void stubs_of_aarch64_are_found_with_and_without_landing_pads(void **state)
{
	struct elf_file *file;
	struct arm arm;

	(void)state;
	arm_make(&arm, false);
	file = arm_open(&arm);
	assert_int_equal(file->stubs_count, 2);
	expect_stub(file, PLT_VADDR, "alpha", PLT_VADDR);
	expect_stub(file, PLT_VADDR + 15, "alpha", PLT_VADDR);
	expect_stub(file, PLT_VADDR + 16, "beta", PLT_VADDR + 16);
	elffile_free(file);
	arm_make(&arm, true);
	file = arm_open(&arm);
	expect_stub(file, PLT_VADDR, "alpha", PLT_VADDR);
	expect_stub(file, PLT_VADDR + 23, "alpha", PLT_VADDR);
	expect_stub(file, PLT_VADDR + 24, "beta", PLT_VADDR + 24);
	expect_stub(file, PLT_VADDR + 47, "beta", PLT_VADDR + 24);
	assert_null(elffile_stub(file, PLT_VADDR + 48));
	elffile_free(file);
}

static void relocations_that_point_nowhere_name_nothing(void **state)
{
	struct elf_file *file;
	struct arm arm;

	(void)state;
	arm_make(&arm, false);
	arm.relocs[0].r_info = ELF64_R_INFO(99, R_AARCH64_JUMP_SLOT);
	arm.symbols[2].st_name = sizeof(arm.strings);
	file = arm_open(&arm);
	assert_int_equal(file->stubs_count, 0);
	elffile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stubs_are_named_by_what_they_jump_to),
		cmocka_unit_test(the_stubs_of_a_large_program_are_those_that_binutils_finds),
		cmocka_unit_test(what_is_no_stub_has_no_name),
		cmocka_unit_test(stubs_of_aarch64_are_found_with_and_without_landing_pads),
		cmocka_unit_test(relocations_that_point_nowhere_name_nothing),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
