// SPDX-License-Identifier: Apache-2.0
/* Files of 32 bits: the same image as in the other tests, with narrower fields. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "../../user/probe/allocators.h"
#include "../../user/symbol/elffile.h"
#include "../../user/symbol/elfparts.h"
#include "elf_image.h"

#define T IMAGE_TEXT_VADDR

struct narrow_image {
	Elf32_Ehdr header;
	Elf32_Phdr segments[2];
	Elf32_Shdr sections[IMAGE_SECTIONS];
	Elf32_Sym symbols[32];
	uint16_t versions[32];
	char strings[1024];
	char rest[IMAGE_BYTES - 2200];
};

static Elf32_Shdr narrow_section(const Elf64_Shdr *from)
{
	return (Elf32_Shdr){
		.sh_type = from->sh_type, .sh_flags = (Elf32_Word)from->sh_flags, .sh_addr = (Elf32_Addr)from->sh_addr,
		.sh_offset = (Elf32_Off)from->sh_offset, .sh_size = (Elf32_Word)from->sh_size,
		.sh_link = from->sh_link, .sh_info = from->sh_info, .sh_entsize = (Elf32_Word)from->sh_entsize,
	};
}

/* As image_make(). */
static void narrow_make(struct narrow_image *narrow, const struct image_symbol *symbols, size_t count,
			unsigned int table)
{
	struct image image;

	image_make(&image, symbols, count, table);
	memset(narrow, 0, sizeof(*narrow));
	memcpy(narrow->header.e_ident, image.header.e_ident, EI_NIDENT);
	narrow->header.e_ident[EI_CLASS] = ELFCLASS32;
	narrow->header.e_type = ET_DYN;
	narrow->header.e_machine = EM_386;
	narrow->header.e_version = EV_CURRENT;
	narrow->header.e_ehsize = sizeof(Elf32_Ehdr);
	narrow->header.e_phoff = offsetof(struct narrow_image, segments);
	narrow->header.e_phentsize = sizeof(Elf32_Phdr);
	narrow->header.e_phnum = 2;
	narrow->header.e_shoff = offsetof(struct narrow_image, sections);
	narrow->header.e_shentsize = sizeof(Elf32_Shdr);
	narrow->header.e_shnum = IMAGE_SECTIONS;
	for (size_t i = 0; i < 2; i++) {
		const Elf64_Phdr *from = &image.segments[i];

		narrow->segments[i] = (Elf32_Phdr){
			.p_type = from->p_type, .p_flags = from->p_flags, .p_offset = (Elf32_Off)from->p_offset,
			.p_vaddr = (Elf32_Addr)from->p_vaddr, .p_filesz = (Elf32_Word)from->p_filesz,
			.p_memsz = (Elf32_Word)from->p_memsz,
		};
	}
	for (size_t i = 0; i < IMAGE_SECTIONS; i++)
		narrow->sections[i] = narrow_section(&image.sections[i]);
	narrow->sections[IMAGE_SYMBOLS].sh_offset = offsetof(struct narrow_image, symbols);
	narrow->sections[IMAGE_SYMBOLS].sh_size = (Elf32_Word)((count + 1) * sizeof(Elf32_Sym));
	narrow->sections[IMAGE_SYMBOLS].sh_entsize = sizeof(Elf32_Sym);
	narrow->sections[IMAGE_STRINGS].sh_offset = offsetof(struct narrow_image, strings);
	narrow->sections[IMAGE_VERSIONS].sh_offset = offsetof(struct narrow_image, versions);
	for (size_t i = 1; i <= count; i++) {
		const Elf64_Sym *from = &image.symbols[i];

		narrow->symbols[i] = (Elf32_Sym){
			.st_name = from->st_name, .st_value = (Elf32_Addr)from->st_value,
			.st_size = (Elf32_Word)from->st_size, .st_info = from->st_info, .st_shndx = from->st_shndx,
		};
	}
	memcpy(narrow->versions, image.versions, sizeof(narrow->versions));
	memcpy(narrow->strings, image.strings, sizeof(narrow->strings));
}

static int open_bytes(const struct narrow_image *image, size_t bytes, struct elf_file **file)
{
	int fd = image_file(image, bytes), err;

	assert_true(fd >= 0);
	err = elffile_open(file, fd);
	close(fd);
	return err;
}

static const char *name_at(const struct elf_file *file, uint64_t vaddr)
{
	const struct elf_symbol *symbol = elffile_function(file, vaddr);

	return symbol ? symbol->name : "-";
}

static const struct image_symbol SYMBOLS[] = {
	{ "first", T + 0x10, 0x20, STT_FUNC, STB_GLOBAL, 0 },
	{ "second", T + 0x40, 0, STT_FUNC, STB_LOCAL, 0 },
	{ "third", T + 0x80, 0x10, STT_FUNC, STB_WEAK, 0x8002 },
	{ "data", T + 0x200, 0x10, STT_OBJECT, STB_GLOBAL, 0 },
};
#define COUNT (sizeof(SYMBOLS) / sizeof(SYMBOLS[0]))

static void functions_of_a_32_bit_file_are_found(void **state)
{
	struct narrow_image image;
	struct elf_file *file;
	uint64_t out;

	(void)state;
	narrow_make(&image, SYMBOLS, COUNT, SHT_DYNSYM);
	assert_int_equal(open_bytes(&image, sizeof(image), &file), 0);
	assert_true(file->narrow);
	assert_int_equal(file->machine, EM_386);
	assert_int_equal(file->segments_count, 2);
	assert_int_equal(elffile_index(file), 0);
	assert_int_equal(file->symbols_count, 3);
	assert_string_equal(name_at(file, T + 0x0f), "-");
	assert_string_equal(name_at(file, T + 0x10), "first");
	assert_string_equal(name_at(file, T + 0x2f), "first");
	assert_string_equal(name_at(file, T + 0x30), "-");
	assert_string_equal(name_at(file, T + 0x7f), "second");
	assert_string_equal(name_at(file, T + 0x8f), "third");
	assert_int_equal(elffile_symbol(file, "third")->vaddr, T + 0x80);
	assert_true(elffile_exports(file, "first"));
	assert_false(elffile_exports(file, "second"));
	assert_false(elffile_exports(file, "third")); /* under a version of its own */
	assert_true(elffile_vaddr(file, IMAGE_TEXT_OFFSET + 0x10, &out));
	assert_int_equal(out, T + 0x10);
	elffile_free(file);
}

static void a_32_bit_file_that_ends_early_is_refused_or_has_fewer_names(void **state)
{
	struct narrow_image image;
	struct elf_file *file;

	(void)state;
	narrow_make(&image, SYMBOLS, COUNT, SHT_SYMTAB);
	for (size_t bytes = 0; bytes < offsetof(struct narrow_image, rest); bytes++) {
		int err = open_bytes(&image, bytes, &file);

		if (bytes < sizeof(Elf32_Ehdr) + 2 * sizeof(Elf32_Phdr))
			assert_int_equal(err, -ENOEXEC);
		if (err)
			continue;
		elffile_index(file);
		if (bytes < offsetof(struct narrow_image, symbols))
			assert_int_equal(file->symbols_count, 0);
		elffile_free(file);
	}
}

static void headers_of_the_other_width_are_refused(void **state)
{
	struct narrow_image good, bad;
	struct elf_file *file;

	(void)state;
	narrow_make(&good, SYMBOLS, COUNT, SHT_SYMTAB);
	bad = good, bad.header.e_phentsize = sizeof(Elf64_Phdr);
	assert_int_equal(open_bytes(&bad, sizeof(bad), &file), -ENOEXEC);
	bad = good, bad.header.e_ident[EI_CLASS] = ELFCLASSNONE;
	assert_int_equal(open_bytes(&bad, sizeof(bad), &file), -ENOEXEC);
	bad = good, bad.header.e_machine = EM_X86_64; /* x32 */
	assert_int_equal(open_bytes(&bad, sizeof(bad), &file), -ENOEXEC);
	bad = good, bad.header.e_shentsize = sizeof(Elf64_Shdr);
	assert_int_equal(open_bytes(&bad, sizeof(bad), &file), 0);
	elffile_index(file);
	assert_int_equal(file->symbols_count, 0);
	elffile_free(file);
	bad = good, bad.sections[IMAGE_SYMBOLS].sh_entsize = sizeof(Elf64_Sym);
	assert_int_equal(open_bytes(&bad, sizeof(bad), &file), 0);
	assert_int_equal(elffile_index(file), -ENOEXEC);
	assert_int_equal(file->symbols_count, 0);
	elffile_free(file);
}

/* Of 300 MiB that the file does not have on disk: widened they would be 450, and its strings are as many. */
static void too_many_symbols_are_refused(void **state)
{
	const uint32_t bytes = 300u << 20;
	struct narrow_image image;
	struct elf_file *file;
	int fd;

	(void)state;
	narrow_make(&image, SYMBOLS, COUNT, SHT_SYMTAB);
	image.sections[IMAGE_SYMBOLS].sh_offset = sizeof(image);
	image.sections[IMAGE_SYMBOLS].sh_size = bytes;
	fd = image_file(&image, sizeof(image));
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(sizeof(image) + bytes)), 0);
	assert_int_equal(elffile_open(&file, fd), 0);
	assert_int_equal(elffile_index(file), -EFBIG);
	assert_int_equal(file->symbols_count, 0);
	elffile_free(file);
	close(fd);
}

/* Its calls have their arguments where no program looks. */
static void nothing_allocates_in_a_32_bit_file(void **state)
{
	static const struct image_symbol libc[] = {
		{ "malloc", T + 0x10, 0x10, STT_FUNC, STB_GLOBAL, 0 },
		{ "free", T + 0x20, 0x10, STT_FUNC, STB_GLOBAL, 0 },
		{ "calloc", T + 0x30, 0x10, STT_FUNC, STB_GLOBAL, 0 },
		{ "realloc", T + 0x40, 0x10, STT_FUNC, STB_GLOBAL, 0 },
	};
	struct narrow_image image;
	struct elf_file *file;
	struct probe_set set;

	(void)state;
	narrow_make(&image, libc, sizeof(libc) / sizeof(libc[0]), SHT_DYNSYM);
	assert_int_equal(open_bytes(&image, sizeof(image), &file), 0);
	assert_int_equal(elffile_index(file), 0);
	assert_true(elffile_exports(file, "malloc"));
	assert_int_equal(allocators_find(file, &set), 0);
	assert_int_equal(set.count, 0);
	assert_int_equal(set.left_out, 0);
	assert_string_equal(set.allocator, "");
	assert_string_equal(set.note, "");
	probe_set_release(&set);
	elffile_free(file);
}

static void packed_sections_of_a_32_bit_file_are_unpacked(void **state)
{
	static const char text[] = "text that is packed, text that is packed, text that is packed";
	struct narrow_image image;
	Elf32_Chdr *packing = (Elf32_Chdr *)image.rest;
	uLongf packed = sizeof(image.rest) - sizeof(*packing);
	struct elf_file *file;
	GElf_Shdr header = { .sh_flags = SHF_COMPRESSED, .sh_offset = offsetof(struct narrow_image, rest) };
	size_t bytes;
	void *out;

	(void)state;
	narrow_make(&image, SYMBOLS, COUNT, SHT_SYMTAB);
	*packing = (Elf32_Chdr){ .ch_type = ELFCOMPRESS_ZLIB, .ch_size = sizeof(text), .ch_addralign = 1 };
	assert_int_equal(compress((Bytef *)(packing + 1), &packed, (const Bytef *)text, sizeof(text)), Z_OK);
	header.sh_size = sizeof(*packing) + packed;
	assert_int_equal(open_bytes(&image, sizeof(image), &file), 0);
	assert_int_equal(elf_section_read(file, &header, 4096, &out, &bytes), 0);
	assert_int_equal(bytes, sizeof(text));
	assert_memory_equal(out, text, sizeof(text));
	free(out);
	header.sh_size = sizeof(*packing) - 1;
	assert_int_equal(elf_section_read(file, &header, 4096, &out, &bytes), -EBADMSG);
	elffile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_a_32_bit_file_are_found),
		cmocka_unit_test(a_32_bit_file_that_ends_early_is_refused_or_has_fewer_names),
		cmocka_unit_test(headers_of_the_other_width_are_refused),
		cmocka_unit_test(too_many_symbols_are_refused),
		cmocka_unit_test(nothing_allocates_in_a_32_bit_file),
		cmocka_unit_test(packed_sections_of_a_32_bit_file_are_unpacked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
