// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as call frame information. The first byte says as what: a whole ELF image, or a section of
 * an image that is otherwise whole, so that most of the bytes reach the parser of records.
 */
#define _GNU_SOURCE 1
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/symbol/cfi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How the bytes are taken: bit 2, of aarch64. */
enum { AS_IMAGE, AS_EH_FRAME, AS_DEBUG_FRAME, AS_UNBOUNDED, ARM = 4 };

#define SECTION_VADDR 0x10000000
#define TEXT_BYTES    (1ULL << 40) /* from 0 on: nearly any function lies in it */

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	Elf64_Shdr sections[3];
	char names[32];
	uint8_t hdr[8]; /* .eh_frame_hdr */
};

static const char names[] = "\0.eh_frame\0.debug_frame";

/* An image whose one section has the @size bytes behind it. */
static struct image image_around(unsigned int kind, size_t size)
{
	struct image image = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_DYN, .e_machine = kind & ARM ? EM_AARCH64 : EM_X86_64,
			.e_phoff = offsetof(struct image, segments), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3,
			.e_shoff = offsetof(struct image, sections), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3,
			.e_shstrndx = 2,
		},
		.segments = {
			{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = TEXT_BYTES, .p_memsz = TEXT_BYTES },
			{ .p_type = PT_LOAD, .p_flags = PF_R, .p_offset = offsetof(struct image, hdr),
			  .p_vaddr = SECTION_VADDR - 8, .p_filesz = size + 8, .p_memsz = size + 8 },
			{ .p_type = PT_GNU_EH_FRAME, .p_vaddr = SECTION_VADDR - 8, .p_filesz = 8 },
		},
		.sections = {
			{ .sh_type = SHT_NULL },
			{ .sh_type = SHT_PROGBITS, .sh_addr = SECTION_VADDR, .sh_offset = sizeof(image),
			  .sh_size = size, .sh_name = kind % ARM == AS_DEBUG_FRAME ? 11 : 1 },
			{ .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct image, names), .sh_size = sizeof(names) },
		},
		.hdr = { 1, 0x1b, 0xff, 0xff, 4 },
	};

	memcpy(image.names, names, sizeof(names));
	if (kind % ARM == AS_UNBOUNDED)
		image.header.e_shoff = 0;
	return image;
}

/* What is true of every table. */
static void check(const struct cfi_table *table, int err)
{
	uint32_t before = HB_RULE_NONE;
	size_t i;

	if (table->rules_count < 2 || table->rules_count > CFI_RULES_MAX || table->rules[0].cfa != HB_CFA_NONE ||
	    table->rules[1].cfa != HB_CFA_UNSUPPORTED || (err && table->rows_count))
		abort();
	for (i = 0; i < table->rows_count; i++) {
		const struct cfi_row *row = &table->rows[i];

		if (row->rule >= table->rules_count || row->rule == before || (i && row[-1].offset >= row->offset) ||
		    cfi_find(table, row->offset) != &table->rules[row->rule])
			abort();
		before = row->rule;
	}
	if (before != HB_RULE_NONE || cfi_find(table, UINT64_MAX)->cfa != HB_CFA_NONE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int kind = size ? data[0] % 8 : 0;
	struct cfi_table table;
	uint8_t *exact; /* no byte more than promised */
	size_t head = 0;

	if (!size--)
		return 0;
	data++;
	if (kind % ARM != AS_IMAGE)
		head = sizeof(struct image);
	exact = malloc(head + size ? head + size : 1);
	if (!exact)
		abort();
	if (head) {
		struct image image = image_around(kind, size);

		memcpy(exact, &image, head);
	}
	memcpy(exact + head, data, size);
	check(&table, cfi_read_image(&table, exact, head + size));
	cfi_release(&table);
	free(exact);
	return 0;
}
