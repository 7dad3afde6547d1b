/* SPDX-License-Identifier: Apache-2.0 */
/* A small ELF file made in memory, so that tests can have the symbols they want. */
#ifndef HB_TESTS_UNIT_ELF_IMAGE_H
#define HB_TESTS_UNIT_ELF_IMAGE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IMAGE_TEXT_OFFSET 0x1000 /* of the file; 0x2000 bytes */
#define IMAGE_TEXT_VADDR  0x5000 /* not its offset, on purpose */
#define IMAGE_TEXT_BYTES  0x2000
#define IMAGE_BYTES       0x4000

enum image_section {
	IMAGE_NULL,
	IMAGE_TEXT,
	IMAGE_SYMBOLS,
	IMAGE_STRINGS,
	IMAGE_VERSIONS,
	IMAGE_SECTIONS /* their number */
};

struct image_symbol {
	const char *name;
	uint64_t vaddr, size;
	unsigned char type, bind;
	uint16_t version;
};

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Shdr sections[IMAGE_SECTIONS];
	Elf64_Sym symbols[32];
	uint16_t versions[32];
	char strings[1024];
	char rest[IMAGE_BYTES - 3000];
};

/* Fill @image: @count symbols in one table, SHT_SYMTAB or SHT_DYNSYM. */
static inline void image_make(struct image *image, const struct image_symbol *symbols, size_t count,
			      unsigned int table)
{
	size_t i, at = 1;

	memset(image, 0, sizeof(*image));
	memcpy(image->header.e_ident, ELFMAG, SELFMAG);
	image->header.e_ident[EI_CLASS] = ELFCLASS64;
	image->header.e_ident[EI_DATA] = ELFDATA2LSB;
	image->header.e_ident[EI_VERSION] = EV_CURRENT;
	image->header.e_type = ET_DYN;
	image->header.e_machine = EM_X86_64;
	image->header.e_version = EV_CURRENT;
	image->header.e_ehsize = sizeof(Elf64_Ehdr);
	image->header.e_phoff = offsetof(struct image, segments);
	image->header.e_phentsize = sizeof(Elf64_Phdr);
	image->header.e_phnum = 2;
	image->header.e_shoff = offsetof(struct image, sections);
	image->header.e_shentsize = sizeof(Elf64_Shdr);
	image->header.e_shnum = IMAGE_SECTIONS;
	image->segments[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 0x1000, .p_memsz = 0x1000,
	};
	image->segments[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = IMAGE_TEXT_OFFSET,
		.p_vaddr = IMAGE_TEXT_VADDR, .p_filesz = IMAGE_TEXT_BYTES, .p_memsz = IMAGE_TEXT_BYTES,
	};
	/* The second half of the segment is in no section. */
	image->sections[IMAGE_TEXT] = (Elf64_Shdr){
		.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
		.sh_addr = IMAGE_TEXT_VADDR, .sh_offset = IMAGE_TEXT_OFFSET, .sh_size = 0x1000,
	};
	image->sections[IMAGE_SYMBOLS] = (Elf64_Shdr){
		.sh_type = table, .sh_offset = offsetof(struct image, symbols),
		.sh_size = (count + 1) * sizeof(Elf64_Sym), .sh_link = IMAGE_STRINGS,
		.sh_entsize = sizeof(Elf64_Sym), .sh_info = 1,
	};
	image->sections[IMAGE_STRINGS] = (Elf64_Shdr){
		.sh_type = SHT_STRTAB, .sh_offset = offsetof(struct image, strings),
		.sh_size = sizeof(image->strings),
	};
	image->sections[IMAGE_VERSIONS] = (Elf64_Shdr){
		.sh_type = SHT_GNU_versym, .sh_offset = offsetof(struct image, versions),
		.sh_size = (count + 1) * sizeof(uint16_t), .sh_link = IMAGE_SYMBOLS,
		.sh_entsize = sizeof(uint16_t),
	};
	for (i = 0; i < count; i++) {
		image->symbols[i + 1] = (Elf64_Sym){
			.st_name = (Elf64_Word)at,
			.st_info = ELF64_ST_INFO(symbols[i].bind, symbols[i].type),
			.st_shndx = IMAGE_TEXT,
			.st_value = symbols[i].vaddr,
			.st_size = symbols[i].size,
		};
		image->versions[i + 1] = symbols[i].version ? symbols[i].version : 1;
		strcpy(image->strings + at, symbols[i].name);
		at += strlen(symbols[i].name) + 1;
	}
}

/* A file that holds the first @bytes of @image, of whatever width, to be closed, or -1. */
static inline int image_file(const void *image, size_t bytes)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, image, bytes) != (ssize_t)bytes)) {
		close(fd);
		return -1;
	}
	return fd;
}

#endif
