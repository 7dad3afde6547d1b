/* SPDX-License-Identifier: Apache-2.0 */
/* ELF images with call frame information written byte by byte, and the rows they should have. */
#ifndef HB_TESTS_UNIT_CFI_IMAGE_H
#define HB_TESTS_UNIT_CFI_IMAGE_H

#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/symbol/cfi.h"

#define TEXT_OFFSET 0x1000  /* of the file */
#define TEXT_VADDR  0x41000 /* not its offset, on purpose */
#define TEXT_BYTES  0x4000
#define FRAME_VADDR 0x81000
#define FRAME_OFFSET (TEXT_OFFSET + TEXT_BYTES)
#define O TEXT_OFFSET
#define T TEXT_VADDR

/* --- bytes ----------------------------------------------------------------------------------- */

struct bytes {
	uint8_t *data;
	size_t count, room;
};

static inline void put(struct bytes *to, const void *from, size_t count)
{
	if (to->count + count > to->room) {
		to->room = 2 * (to->count + count);
		to->data = realloc(to->data, to->room);
		assert_non_null(to->data);
	}
	if (count)
		memcpy(to->data + to->count, from, count);
	to->count += count;
}

/* The low @count bytes of @value. */
static inline void put_number(struct bytes *to, uint64_t value, size_t count)
{
	put(to, &value, count);
}

static inline void put_uleb(struct bytes *to, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		put_number(to, value | 0x80, 1);
	put_number(to, value, 1);
}

static inline void put_sleb(struct bytes *to, int64_t value)
{
	for (; value < -0x40 || value > 0x3f; value >>= 7)
		put_number(to, (uint64_t)value | 0x80, 1);
	put_number(to, (uint64_t)value & 0x7f, 1);
}

/* Instructions: PUT(&code, DW_CFA_def_cfa, 7, 16). */
#define PUT(to, ...) \
	do { \
		const uint8_t put_bytes[] = { __VA_ARGS__ }; \
		put(to, put_bytes, sizeof(put_bytes)); \
	} while (0)

/* --- records --------------------------------------------------------------------------------- */

/* Begin a record: its length is patched by record_end(). Returns where it begins. */
static inline size_t record_begin(struct bytes *frame)
{
	size_t at = frame->count;

	put_number(frame, 0, 4);
	return at;
}

static inline void record_end(struct bytes *frame, size_t at)
{
	uint32_t length;

	while ((frame->count - at) % 4)
		put_number(frame, DW_CFA_nop, 1);
	length = (uint32_t)(frame->count - at - 4);
	memcpy(frame->data + at, &length, 4);
}

/* What CIEs differ in. The rest: version 1, code alignment 1, data alignment -8. */
struct cie {
	const char *augmentation;
	uint8_t data[8]; /* augmentation data */
	uint8_t data_count;
	uint8_t ra;      /* 0: 16 */
	uint8_t code_align; /* 0: 1 */
	bool debug;      /* of .debug_frame */
};

__attribute__((unused)) static const struct cie plain_cie = {
	.augmentation = "zR", .data = { DW_EH_PE_pcrel | DW_EH_PE_sdata4 }, .data_count = 1,
};

static inline size_t put_cie(struct bytes *frame, const struct cie *cie, const struct bytes *code)
{
	size_t at = record_begin(frame);

	put_number(frame, cie->debug ? DW_CIE_ID_32 : 0, 4);
	put_number(frame, 1, 1);
	put(frame, cie->augmentation, strlen(cie->augmentation) + 1);
	put_uleb(frame, cie->code_align ? cie->code_align : 1);
	put_sleb(frame, -8);
	put_number(frame, cie->ra ? cie->ra : 16, 1);
	if (*cie->augmentation == 'z')
		put_uleb(frame, cie->data_count);
	put(frame, cie->data, cie->data_count);
	put(frame, code->data, code->count);
	record_end(frame, at);
	return at;
}

/* The CIE that compilers write for x86_64: CFA = sp + 8, return address at CFA - 8. */
static inline size_t put_plain_cie(struct bytes *frame)
{
	struct bytes code = { 0 };
	size_t at;

	PUT(&code, DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1);
	at = put_cie(frame, &plain_cie, &code);
	free(code.data);
	return at;
}

/* An FDE of CIE @cie in .eh_frame, addresses pcrel | sdata4, without augmentation data. */
static inline size_t put_fde(struct bytes *frame, size_t cie, uint64_t vaddr, uint64_t length,
			     const struct bytes *code)
{
	size_t at = record_begin(frame);

	put_number(frame, frame->count - cie, 4);
	put_number(frame, vaddr - (FRAME_VADDR + frame->count), 4);
	put_number(frame, length, 4);
	put_uleb(frame, 0);
	if (code)
		put(frame, code->data, code->count);
	record_end(frame, at);
	return at;
}

/* The same in .debug_frame: absolute addresses. */
static inline size_t put_debug_fde(struct bytes *frame, size_t cie, uint64_t vaddr, uint64_t length,
				   const struct bytes *code)
{
	size_t at = record_begin(frame);

	put_number(frame, cie, 4);
	put_number(frame, vaddr, 8);
	put_number(frame, length, 8);
	if (code)
		put(frame, code->data, code->count);
	record_end(frame, at);
	return at;
}

/* --- images ---------------------------------------------------------------------------------- */

/* An ELF file: text, and up to three sections more. */
struct image_parts {
	uint16_t machine; /* 0: x86_64 */
	struct bytes eh_frame, debug_frame, symbols;
	uint64_t debug_flags; /* SHF_COMPRESSED */
	bool no_sections;     /* PT_GNU_EH_FRAME instead */
	bool no_bits;         /* .eh_frame is only a header, as in a debug file */
	uint64_t entry;
};

static const char image_names[] = "\0.text\0.eh_frame\0.debug_frame\0.dynsym\0.shstrtab\0__kernel_rt_sigreturn\0other";

enum { SEC_NULL, SEC_TEXT, SEC_EH, SEC_DEBUG, SEC_SYMBOLS, SEC_NAMES, SEC_COUNT };

static inline uint32_t image_name(const char *name)
{
	size_t at;

	for (at = 1; at < sizeof(image_names); at += strlen(image_names + at) + 1) {
		if (!strcmp(image_names + at, name))
			return (uint32_t)at;
	}
	return 0;
}

/* .eh_frame_hdr without a table, at the end of the segment before .eh_frame. */
#define HDR_VADDR (FRAME_VADDR - 8)

static inline void image_headers(const struct image_parts *parts, struct bytes *image)
{
	const uint64_t rest = parts->eh_frame.count + parts->debug_frame.count + parts->symbols.count;
	Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN, .e_machine = parts->machine ? parts->machine : EM_X86_64,
		.e_version = EV_CURRENT, .e_entry = parts->entry, .e_ehsize = sizeof(header), .e_phoff = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3,
	};
	Elf64_Phdr segments[3] = {
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = TEXT_OFFSET, .p_vaddr = TEXT_VADDR,
		  .p_filesz = TEXT_BYTES, .p_memsz = TEXT_BYTES },
		{ .p_type = PT_LOAD, .p_flags = PF_R, .p_offset = FRAME_OFFSET - 8, .p_vaddr = HDR_VADDR,
		  .p_filesz = rest + 8, .p_memsz = rest + 8 },
		{ .p_type = PT_GNU_EH_FRAME, .p_offset = FRAME_OFFSET - 8, .p_vaddr = HDR_VADDR,
		  .p_filesz = 8, .p_memsz = 8 },
	};

	if (!parts->no_sections) {
		segments[2].p_type = PT_NULL;
		header.e_shoff = FRAME_OFFSET + rest;
		header.e_shentsize = sizeof(Elf64_Shdr);
		header.e_shnum = SEC_COUNT;
		header.e_shstrndx = SEC_NAMES;
	}
	put(image, &header, sizeof(header));
	put(image, segments, sizeof(segments));
}

static inline void image_sections(const struct image_parts *parts, struct bytes *image)
{
	const uint64_t debug = FRAME_OFFSET + parts->eh_frame.count, symbols = debug + parts->debug_frame.count;
	const Elf64_Shdr sections[SEC_COUNT] = {
		[SEC_TEXT] = { .sh_name = image_name(".text"), .sh_type = SHT_PROGBITS,
			       .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addr = TEXT_VADDR,
			       .sh_offset = TEXT_OFFSET, .sh_size = TEXT_BYTES },
		[SEC_EH] = { .sh_name = image_name(".eh_frame"), .sh_flags = SHF_ALLOC,
			     .sh_type = parts->no_bits ? SHT_NOBITS : SHT_PROGBITS,
			     .sh_addr = FRAME_VADDR, .sh_offset = FRAME_OFFSET, .sh_size = parts->eh_frame.count },
		[SEC_DEBUG] = { .sh_name = image_name(".debug_frame"), .sh_type = SHT_PROGBITS,
				.sh_flags = parts->debug_flags, .sh_offset = debug,
				.sh_size = parts->debug_frame.count },
		[SEC_SYMBOLS] = { .sh_name = image_name(".dynsym"), .sh_type = SHT_DYNSYM, .sh_link = SEC_NAMES,
				  .sh_offset = symbols, .sh_size = parts->symbols.count },
		[SEC_NAMES] = { .sh_name = image_name(".shstrtab"), .sh_type = SHT_STRTAB,
				.sh_offset = symbols + parts->symbols.count + sizeof(sections),
				.sh_size = sizeof(image_names) },
	};

	put(image, sections, sizeof(sections));
	put(image, image_names, sizeof(image_names));
}

/* The image of @parts, to be freed by its .data. */
static inline struct bytes image_build(const struct image_parts *parts)
{
	struct bytes image = { 0 };
	size_t i;

	image_headers(parts, &image);
	for (i = image.count; i < FRAME_OFFSET - 8; i++)
		put_number(&image, 0xcc, 1);
	PUT(&image, 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, DW_EH_PE_omit, DW_EH_PE_omit, 4, 0, 0, 0);
	put(&image, parts->eh_frame.data, parts->eh_frame.count);
	put(&image, parts->debug_frame.data, parts->debug_frame.count);
	put(&image, parts->symbols.data, parts->symbols.count);
	if (!parts->no_sections)
		image_sections(parts, &image);
	return image;
}

static inline void parts_release(struct image_parts *parts)
{
	free(parts->eh_frame.data);
	free(parts->debug_frame.data);
	free(parts->symbols.data);
}

/* --- rows ------------------------------------------------------------------------------------ */

struct expected {
	uint64_t offset;
	struct hb_rule rule;
};

#define NONE        { .cfa = HB_CFA_NONE }
#define UNSUPPORTED { .cfa = HB_CFA_UNSUPPORTED }
#define STOP        { .cfa = HB_CFA_STOP }
#define SIGNAL      { .cfa = HB_CFA_SIGNAL }
/* x86_64: the frame pointer as it was, or at CFA + .fp_offset. */
#define SP(offset)  { .cfa = HB_CFA_SP, .ra = HB_SAVED_AT_CFA, .cfa_offset = (offset) }
#define FP(offset)  { .cfa = HB_CFA_FP, .ra = HB_SAVED_AT_CFA, .cfa_offset = (offset) }
#define SP_SAVED(offset, at) \
	{ .cfa = HB_CFA_SP, .fp = HB_SAVED_AT_CFA, .ra = HB_SAVED_AT_CFA, .cfa_offset = (offset), .fp_offset = (at) }

/* The rows are exactly these. */
static inline void expect_rows(const struct cfi_table *table, const struct expected *rows, size_t count)
{
	size_t i;

	assert_int_equal(table->rows_count, count);
	for (i = 0; i < count; i++) {
		const struct hb_rule *rule = &table->rules[table->rows[i].rule];

		assert_int_equal(table->rows[i].offset, rows[i].offset);
		assert_int_equal(rule->cfa, rows[i].rule.cfa);
		assert_int_equal(rule->cfa_offset, rows[i].rule.cfa_offset);
		assert_int_equal(rule->fp_offset, rows[i].rule.fp_offset);
		assert_memory_equal(rule, &rows[i].rule, sizeof(*rule));
	}
}

/* Read @parts, which is then released. */
static inline int parts_read(struct image_parts *parts, struct cfi_table *table)
{
	struct bytes image = image_build(parts);
	uint8_t *exact = malloc(image.count); /* no byte more: the sanitizer watches its end */
	int err;

	assert_non_null(exact);
	memcpy(exact, image.data, image.count);
	err = cfi_read_image(table, exact, image.count);
	free(exact);
	free(image.data);
	parts_release(parts);
	return err;
}

/* Read @parts and compare: EXPECT(&parts, skipped, { offset, rule }, ...). */
#define EXPECT(parts, broken, ...) \
	do { \
		const struct expected expect_them[] = { __VA_ARGS__ }; \
		struct cfi_table expect_table; \
		assert_int_equal(parts_read(parts, &expect_table), 0); \
		assert_int_equal(expect_table.skipped, broken); \
		expect_rows(&expect_table, expect_them, sizeof(expect_them) / sizeof(expect_them[0])); \
		cfi_release(&expect_table); \
	} while (0)

#endif
