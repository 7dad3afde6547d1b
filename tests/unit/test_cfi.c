// SPDX-License-Identifier: Apache-2.0
/* From functions to rows: order, overlaps, gaps; where the sections are; aarch64. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "cfi_image.h"

/* An FDE [@vaddr, @vaddr + @length) whose CFA is sp + @offset all through. */
static void put_function(struct bytes *frame, size_t cie, uint64_t vaddr, uint64_t length, uint8_t offset)
{
	struct bytes code = { 0 };

	PUT(&code, DW_CFA_def_cfa_offset, offset);
	put_fde(frame, cie, vaddr, length, &code);
	free(code.data);
}

/* --- flattening ------------------------------------------------------------------------------ */

static void functions_in_any_order_become_sorted_rows(void **state)
{
	struct image_parts parts = { 0 };
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	put_function(&parts.eh_frame, cie, T + 0x200, 0x100, 24);
	put_function(&parts.eh_frame, cie, T, 0x100, 8);
	put_function(&parts.eh_frame, cie, T + 0x300, 0x10, 32);
	put_function(&parts.eh_frame, cie, T + 0x100, 0x100, 16);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 0x100, SP(16) }, { O + 0x200, SP(24) }, { O + 0x300, SP(32) },
	       { O + 0x310, NONE });
}

static void a_gap_of_15_bytes_is_padding_and_one_of_16_has_no_rows(void **state)
{
	struct image_parts parts = { 0 };
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	put_function(&parts.eh_frame, cie, T, 0x11, 8);
	put_function(&parts.eh_frame, cie, T + 0x20, 0x10, 16);
	put_function(&parts.eh_frame, cie, T + 0x40, 0x10, 24);
	put_function(&parts.eh_frame, cie, T + 0x50, 0x10, 24);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 0x20, SP(16) }, { O + 0x30, NONE }, { O + 0x40, SP(24) },
	       { O + 0x60, NONE });
}

static void of_two_functions_that_overlap_the_later_one_wins_from_its_start(void **state)
{
	struct image_parts parts = { 0 };
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	put_function(&parts.eh_frame, cie, T, 0x100, 8);
	put_function(&parts.eh_frame, cie, T + 0x80, 0x100, 16);
	/* One inside the other: what is left behind it is a gap. */
	put_function(&parts.eh_frame, cie, T + 0x200, 0x100, 24);
	put_function(&parts.eh_frame, cie, T + 0x240, 0x10, 32);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 0x80, SP(16) }, { O + 0x180, NONE }, { O + 0x200, SP(24) },
	       { O + 0x240, SP(32) }, { O + 0x250, NONE });
}

static void of_two_functions_at_one_place_the_first_wins(void **state)
{
	struct image_parts parts = { 0 };
	struct cfi_table table;
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	put_function(&parts.eh_frame, cie, T + 0x40, 0x10, 8);
	put_function(&parts.eh_frame, cie, T, 0x10, 16);
	put_function(&parts.eh_frame, cie, T, 0x20, 24);
	assert_int_equal(parts_read(&parts, &table), 0);
	assert_int_equal(table.fdes, 2);
	assert_int_equal(cfi_find(&table, O)->cfa_offset, 16);
	assert_int_equal(cfi_find(&table, O + 0x18)->cfa, HB_CFA_NONE);
	cfi_release(&table);
}

static void a_broken_function_between_others_has_no_rows_even_if_it_is_small(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes code = { 0 };
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	PUT(&code, DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 24, DW_CFA_advance_loc | 1, 0x3f);
	put_function(&parts.eh_frame, cie, T, 0x10, 16);
	put_fde(&parts.eh_frame, cie, T + 0x10, 8, &code);
	put_function(&parts.eh_frame, cie, T + 0x18, 0x10, 16);
	free(code.data);
	EXPECT(&parts, 1, { O, SP(16) }, { O + 0x10, NONE }, { O + 0x18, SP(16) }, { O + 0x28, NONE });
}

static void a_lookup_finds_the_row_at_or_before(void **state)
{
	struct image_parts parts = { 0 };
	struct cfi_table table;
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	put_function(&parts.eh_frame, cie, T + 0x10, 0x10, 16);
	put_function(&parts.eh_frame, cie, T + 0x20, 0x10, 24);
	assert_int_equal(parts_read(&parts, &table), 0);
	assert_int_equal(cfi_find(&table, 0)->cfa, HB_CFA_NONE);
	assert_int_equal(cfi_find(&table, O + 0xf)->cfa, HB_CFA_NONE);
	assert_int_equal(cfi_find(&table, O + 0x10)->cfa_offset, 16);
	assert_int_equal(cfi_find(&table, O + 0x1f)->cfa_offset, 16);
	assert_int_equal(cfi_find(&table, O + 0x20)->cfa_offset, 24);
	assert_int_equal(cfi_find(&table, O + 0x2f)->cfa_offset, 24);
	assert_int_equal(cfi_find(&table, O + 0x30)->cfa, HB_CFA_NONE);
	assert_int_equal(cfi_find(&table, UINT64_MAX)->cfa, HB_CFA_NONE);
	cfi_release(&table);
	assert_int_equal(cfi_find(&table, O)->cfa, HB_CFA_NONE);
}

static void each_rule_is_kept_once_and_those_beyond_the_cap_are_unsupported(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes code = { 0 };
	struct cfi_table table;
	size_t cie = put_plain_cie(&parts.eh_frame), i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		PUT(&code, DW_CFA_def_cfa_offset);
		put_uleb(&code, 8 + 8 * i);
		PUT(&code, DW_CFA_advance_loc | 1);
	}
	for (i = 0; i < 3; i++)
		PUT(&code, DW_CFA_def_cfa_offset, 8, DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16,
		    DW_CFA_advance_loc | 1);
	put_fde(&parts.eh_frame, cie, T, TEXT_BYTES, &code);
	free(code.data);
	assert_int_equal(parts_read(&parts, &table), 0);
	assert_int_equal(table.rules_count, CFI_RULES_MAX);
	assert_int_equal(table.rules[HB_RULE_NONE].cfa, HB_CFA_NONE);
	assert_int_equal(table.rules[HB_RULE_UNSUPPORTED].cfa, HB_CFA_UNSUPPORTED);
	for (i = 0; i < CFI_RULES_MAX - 2; i++)
		assert_int_equal(cfi_find(&table, O + i)->cfa_offset, 8 + 8 * i);
	assert_int_equal(cfi_find(&table, O + CFI_RULES_MAX - 2)->cfa, HB_CFA_UNSUPPORTED);
	assert_int_equal(cfi_find(&table, O + 4999)->cfa, HB_CFA_UNSUPPORTED);
	assert_int_equal(cfi_find(&table, O + 5000)->cfa_offset, 8);
	assert_int_equal(cfi_find(&table, O + 5005)->cfa_offset, 16);
	cfi_release(&table);
}

static void the_entry_point_that_nobody_described_is_the_outermost_frame(void **state)
{
	struct image_parts parts = { .entry = T + 0x100 };
	size_t cie = put_plain_cie(&parts.eh_frame);
	struct cfi_table table;

	(void)state;
	put_function(&parts.eh_frame, cie, T, 0x100, 16);
	EXPECT(&parts, 0, { O, SP(16) }, { O + 0x100, STOP }, { O + 0x160, NONE });
	parts = (struct image_parts){ .entry = T + 0x100 }; /* up to the next function */
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T + 0x110, 0x10, 16);
	EXPECT(&parts, 0, { O + 0x100, STOP }, { O + 0x110, SP(16) }, { O + 0x120, NONE });
	parts = (struct image_parts){ .entry = T + 0x100 }; /* described */
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T + 0xf0, 0x20, 16);
	EXPECT(&parts, 0, { O + 0xf0, SP(16) }, { O + 0x110, NONE });
	parts = (struct image_parts){ .entry = T + 0x100 }; /* without other rows there is none */
	assert_int_equal(parts_read(&parts, &table), -ENOENT);
	cfi_release(&table);
}

/* --- where the bytes are --------------------------------------------------------------------- */

static void without_section_headers_the_program_header_leads_to_eh_frame(void **state)
{
	struct image_parts parts = { .no_sections = true };
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	put_function(&parts.eh_frame, cie, T, 0x10, 16);
	put_number(&parts.eh_frame, 0, 4); /* here it ends; what follows is something else */
	put_function(&parts.eh_frame, cie, T + 0x40, 0x10, 24);
	EXPECT(&parts, 0, { O, SP(16) }, { O + 0x10, NONE });
}

static void a_program_header_that_leads_nowhere_gives_no_rows(void **state)
{
	struct image_parts parts = { .no_sections = true };
	struct bytes image;
	struct cfi_table table;
	size_t i;

	(void)state;
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T, 0x10, 16);
	image = image_build(&parts);
	for (i = 0; i < 5; i++) {
		uint8_t *hdr = image.data + FRAME_OFFSET - 8;
		Elf64_Phdr *segments = (Elf64_Phdr *)(image.data + sizeof(Elf64_Ehdr));
		struct bytes broken = { 0 };

		hdr[0] = i == 0 ? 2 : 1;                                   /* another version */
		hdr[1] = i == 1 ? DW_EH_PE_omit : DW_EH_PE_pcrel | DW_EH_PE_sdata4;
		hdr[5] = i == 2 ? 0x10 : 0;                                /* 4 KiB on: behind the segment */
		segments[2].p_vaddr = i == 3 ? 0x1234567 : HDR_VADDR;      /* in no segment */
		put(&broken, image.data, i == 4 ? FRAME_OFFSET - 9 : image.count); /* cut off before it */
		assert_int_equal(cfi_read_image(&table, broken.data, broken.count), -ENOENT);
		assert_int_equal(table.rows_count, 0);
		assert_int_equal(cfi_find(&table, O)->cfa, HB_CFA_NONE);
		cfi_release(&table);
		free(broken.data);
	}
	free(image.data);
	parts_release(&parts);
}

static void what_is_no_elf_file_of_our_machines_has_no_rows(void **state)
{
	struct image_parts parts = { 0 };
	struct cfi_table table;
	struct bytes image;

	(void)state;
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T, 0x10, 16);
	image = image_build(&parts);
	parts_release(&parts);
	assert_int_equal(cfi_read_image(&table, image.data, sizeof(Elf64_Ehdr) - 1), -ENOEXEC);
	cfi_release(&table);
	image.data[offsetof(Elf64_Ehdr, e_machine)] = EM_386;
	assert_int_equal(cfi_read_image(&table, image.data, image.count), -ENOENT);
	assert_int_equal(table.rules_count, 2);
	cfi_release(&table);
	image.data[EI_CLASS] = ELFCLASS32;
	assert_int_equal(cfi_read_image(&table, image.data, image.count), -ENOEXEC);
	cfi_release(&table);
	free(image.data);
}

static struct elf_file *file_of(struct image_parts *parts)
{
	struct bytes image = image_build(parts);
	struct elf_file *file;
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image.data, image.count), image.count);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	free(image.data);
	parts_release(parts);
	return file;
}

static void a_file_reads_like_its_image_until_it_is_closed(void **state)
{
	static const struct expected rows[] = { { O, SP(16) }, { O + 0x10, NONE } };
	struct image_parts parts = { 0 };
	struct cfi_table table;
	struct elf_file *file;

	(void)state;
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T, 0x10, 16);
	file = file_of(&parts);
	assert_int_equal(cfi_read(&table, file), 0);
	expect_rows(&table, rows, 2);
	assert_int_equal(table.text_bytes, TEXT_BYTES);
	assert_int_equal(table.covered_bytes, 0x10);
	cfi_release(&table);
	assert_int_equal(ftruncate(file->fd, FRAME_OFFSET + 8), 0); /* under our hands */
	assert_int_equal(cfi_read(&table, file), -ENOENT);
	cfi_release(&table);
	elffile_close(file);
	assert_int_equal(cfi_read(&table, file), -EBADF);
	cfi_release(&table);
	elffile_free(file);
}

/* --- .debug_frame ---------------------------------------------------------------------------- */

/* A CIE and @count functions of 16 bytes from @vaddr on, with a CFA of fp + 16. */
static void put_debug(struct bytes *frame, uint64_t vaddr, size_t count)
{
	static const struct cie debug_cie = { .augmentation = "", .debug = true };
	struct bytes code = { 0 };
	size_t cie;

	PUT(&code, DW_CFA_def_cfa, 6, 16, DW_CFA_offset | 16, 1);
	cie = put_cie(frame, &debug_cie, &code);
	for (; count--; vaddr += 16)
		put_debug_fde(frame, cie, vaddr, 16, NULL);
	free(code.data);
}

static void debug_frame_fills_only_the_gaps_of_eh_frame(void **state)
{
	struct image_parts parts = { 0 };
	size_t cie = put_plain_cie(&parts.eh_frame);

	(void)state;
	put_function(&parts.eh_frame, cie, T + 0x10, 0x10, 16);
	put_function(&parts.eh_frame, cie, T + 0x28, 0x10, 24); /* inside one of the others */
	put_debug(&parts.debug_frame, T, 6);
	EXPECT(&parts, 0, { O, FP(16) }, { O + 0x10, SP(16) }, { O + 0x20, FP(16) }, { O + 0x28, SP(24) },
	       { O + 0x40, FP(16) }, { O + 0x60, NONE });
}

static void debug_frame_is_not_asked_when_eh_frame_describes_the_text(void **state)
{
	struct image_parts parts = { 0 };
	size_t cie = put_plain_cie(&parts.eh_frame), i;
	struct cfi_table table;

	(void)state;
	for (i = 0; i < 8; i++)
		put_function(&parts.eh_frame, cie, T + i * TEXT_BYTES / 9, TEXT_BYTES / 9 + 1, 16);
	put_debug(&parts.debug_frame, T + TEXT_BYTES - 0x100, 6);
	assert_int_equal(parts_read(&parts, &table), 0);
	assert_true(table.covered_bytes < table.text_bytes / 100 * 90);
	assert_true(cfi_sparse(&table));
	assert_int_equal(table.fdes, 14); /* 8/9 is less than 90 % */
	cfi_release(&table);

	parts = (struct image_parts){ 0 };
	put_plain_cie(&parts.eh_frame);
	for (i = 0; i < 8; i++)
		put_function(&parts.eh_frame, cie, T + i * TEXT_BYTES / 9, i < 7 ? TEXT_BYTES / 9 + 1 : 0xa00, 16);
	put_debug(&parts.debug_frame, T + TEXT_BYTES - 0x100, 6);
	assert_int_equal(parts_read(&parts, &table), 0);
	assert_false(cfi_sparse(&table));
	assert_int_equal(table.fdes, 8);
	cfi_release(&table);

	parts = (struct image_parts){ 0 }; /* fewer than 8, whatever they describe */
	put_plain_cie(&parts.eh_frame);
	for (i = 0; i < 7; i++)
		put_function(&parts.eh_frame, cie, T + i * TEXT_BYTES / 7, TEXT_BYTES / 7 + 1, 16);
	assert_int_equal(parts_read(&parts, &table), 0);
	assert_int_equal(table.covered_bytes, TEXT_BYTES);
	assert_true(cfi_sparse(&table));
	cfi_release(&table);
}

static void a_section_that_is_only_a_header_is_not_read(void **state)
{
	struct image_parts parts = { .no_bits = true };

	(void)state;
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T, 0x10, 16);
	put_debug(&parts.debug_frame, T + 0x100, 1);
	EXPECT(&parts, 0, { O + 0x100, FP(16) }, { O + 0x110, NONE });
}

static void a_compressed_debug_frame_is_unpacked(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes plain = { 0 }, packed = { 0 };
	uint8_t out[1024];
	uLongf out_bytes;
	size_t i;

	(void)state;
	put_debug(&plain, T, 4);
	for (i = 0; i < 5; i++) {
		Elf64_Chdr header = { .ch_type = i == 1 ? ELFCOMPRESS_ZLIB + 1 : ELFCOMPRESS_ZLIB,
				      .ch_size = plain.count };

		if (i == 2)
			header.ch_size = 1u << 30; /* more than deflate could have packed */
		if (i == 4)
			header.ch_size++; /* more than there is */
		out_bytes = sizeof(out);
		assert_int_equal(compress(out, &out_bytes, plain.data, plain.count), Z_OK);
		packed = (struct bytes){ 0 };
		put(&packed, &header, sizeof(header));
		put(&packed, out, out_bytes - (i == 3)); /* cut short */
		parts = (struct image_parts){ .debug_frame = packed, .debug_flags = SHF_COMPRESSED };
		put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T + 0x100, 0x10, 16);
		if (i == 0)
			EXPECT(&parts, 0, { O, FP(16) }, { O + 0x40, NONE }, { O + 0x100, SP(16) },
			       { O + 0x110, NONE });
		else
			EXPECT(&parts, 0, { O + 0x100, SP(16) }, { O + 0x110, NONE });
	}
	free(plain.data);
}

static void a_debug_file_gives_its_rows_at_the_offsets_of_the_file_it_belongs_to(void **state)
{
	static const struct expected rows[] = { { O, FP(16) }, { O + 0x40, NONE } };
	struct image_parts parts = { 0 }, debug_parts = { 0 };
	struct elf_file *file, *debug;
	struct cfi_table table;

	(void)state;
	file = file_of(&parts);
	put_debug(&debug_parts.debug_frame, T, 4);
	debug = file_of(&debug_parts);
	assert_int_equal(cfi_read(&table, file), -ENOENT);
	assert_true(cfi_sparse(&table));
	cfi_release(&table);
	assert_int_equal(cfi_read_with_debug(&table, file, debug), 0);
	expect_rows(&table, rows, 2);
	assert_int_equal(table.fdes, 4);
	cfi_release(&table);
	elffile_close(debug);
	assert_int_equal(cfi_read_with_debug(&table, file, debug), -EBADF);
	cfi_release(&table);
	elffile_free(file);
	elffile_free(debug);
}

static void a_broken_debug_frame_leaves_the_rows_of_eh_frame(void **state)
{
	struct image_parts parts = { 0 };

	(void)state;
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T, 0x10, 16);
	PUT(&parts.debug_frame, 0xf0, 0, 0, 0, 1, 2, 3, 4);
	EXPECT(&parts, 1, { O, SP(16) }, { O + 0x10, NONE });
}

/* --- aarch64 --------------------------------------------------------------------------------- */

/* What compilers write: CFA = sp, the return address in the link register; steps of 4. */
static size_t put_arm_cie(struct bytes *frame, const char *augmentation, uint8_t ra)
{
	const struct cie cie = { .augmentation = augmentation, .data = { 0x1b }, .data_count = 1, .ra = ra,
				 .code_align = 4 };
	struct bytes code = { 0 };
	size_t at;

	PUT(&code, DW_CFA_def_cfa, 31, 0);
	at = put_cie(frame, &cie, &code);
	free(code.data);
	return at;
}

#define ARM_LEAF(offset) { .cfa = HB_CFA_SP, .ra = HB_SAVED_SAME, .cfa_offset = (offset) }
#define ARM_SAVED(base, offset, fp_at, ra_at) \
	{ .cfa = (base), .fp = HB_SAVED_AT_CFA, .ra = HB_SAVED_AT_CFA, .cfa_offset = (offset), .fp_offset = (fp_at), \
	  .aux = (ra_at) }

static void on_aarch64_the_return_address_is_in_the_link_register_or_at_its_offset(void **state)
{
	struct image_parts parts = { .machine = EM_AARCH64 };
	struct bytes code = { 0 };
	size_t cie = put_arm_cie(&parts.eh_frame, "zRB", 30);

	(void)state;
	PUT(&code, DW_CFA_advance_loc | 1, DW_CFA_AARCH64_negate_ra_state,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 32, DW_CFA_offset | 29, 4, DW_CFA_offset | 30, 3,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_register, 29, DW_CFA_advance_loc | 9, DW_CFA_remember_state,
	    DW_CFA_restore | 29, DW_CFA_restore | 30, DW_CFA_def_cfa, 31, 0,
	    DW_CFA_advance_loc | 1, DW_CFA_AARCH64_negate_ra_state, DW_CFA_advance_loc | 1, DW_CFA_restore_state);
	put_fde(&parts.eh_frame, cie, T, 0x40, &code);
	free(code.data);
	EXPECT(&parts, 0, { O, ARM_LEAF(0) }, { O + 8, ARM_SAVED(HB_CFA_SP, 32, -32, -24) },
	       { O + 12, ARM_SAVED(HB_CFA_FP, 32, -32, -24) }, { O + 48, ARM_LEAF(0) },
	       { O + 56, ARM_SAVED(HB_CFA_FP, 32, -32, -24) }, { O + 64, NONE });
}

static void on_aarch64_what_is_not_followed_is_unsupported(void **state)
{
	struct image_parts parts = { .machine = EM_AARCH64 };
	struct bytes code = { 0 };
	size_t cie = put_arm_cie(&parts.eh_frame, "zR", 30), other;

	(void)state;
	PUT(&code, DW_CFA_def_cfa_expression, 3, DW_OP_breg31, 8, DW_OP_deref,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa, 31, 16,
	    DW_CFA_advance_loc | 1, DW_CFA_register, 30, 15,
	    DW_CFA_advance_loc | 1, DW_CFA_same_value, 30,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa, 19, 16,
	    DW_CFA_advance_loc | 1, DW_CFA_undefined, 30);
	put_fde(&parts.eh_frame, cie, T, 0x20, &code);
	other = put_arm_cie(&parts.eh_frame, "zR", 15); /* called with the address in x15 */
	code.count = 0;
	put_fde(&parts.eh_frame, other, T + 0x20, 0x20, &code);
	free(code.data);
	EXPECT(&parts, 0, { O, UNSUPPORTED }, { O + 4, ARM_LEAF(16) }, { O + 8, UNSUPPORTED },
	       { O + 12, ARM_LEAF(16) }, { O + 16, UNSUPPORTED }, { O + 20, STOP }, { O + 32, UNSUPPORTED },
	       { O + 64, NONE });
}

static void put_symbol(struct bytes *symbols, const char *name, uint64_t vaddr, uint64_t size)
{
	const Elf64_Sym symbol = { .st_name = image_name(name), .st_shndx = SEC_TEXT, .st_value = vaddr,
				   .st_size = size };

	put(symbols, &symbol, sizeof(symbol));
}

static void the_trampoline_of_aarch64s_vdso_is_a_signal_frame(void **state)
{
	struct image_parts parts = { .machine = EM_AARCH64 };
	size_t cie = put_arm_cie(&parts.eh_frame, "zR", 30);

	(void)state;
	put_fde(&parts.eh_frame, cie, T, 0x20, NULL);
	put_symbol(&parts.symbols, "other", T, 0x20);
	put_symbol(&parts.symbols, "__kernel_rt_sigreturn", T + 0x40, 0);
	EXPECT(&parts, 0, { O, ARM_LEAF(0) }, { O + 0x20, NONE }, { O + 0x3c, SIGNAL }, { O + 0x48, NONE });
	/* Older kernels describe it themselves. */
	parts = (struct image_parts){ .machine = EM_AARCH64 };
	put_fde(&parts.eh_frame, put_arm_cie(&parts.eh_frame, "zRS", 30), T + 0x3c, 12, NULL);
	EXPECT(&parts, 0, { O + 0x3c, SIGNAL }, { O + 0x48, NONE });
}

static void on_x86_64_that_name_means_nothing(void **state)
{
	struct image_parts parts = { 0 };

	(void)state;
	put_function(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T, 0x10, 16);
	put_symbol(&parts.symbols, "__kernel_rt_sigreturn", T + 0x40, 0);
	EXPECT(&parts, 0, { O, SP(16) }, { O + 0x10, NONE });
}

/* --- threads --------------------------------------------------------------------------------- */

static void *read_often(void *arg)
{
	const struct bytes *image = arg;
	size_t i, good = 0;

	for (i = 0; i < 200; i++) {
		struct cfi_table table;

		good += !cfi_read_image(&table, image->data, image->count) && table.rows_count == 65 &&
			cfi_find(&table, O + 0x3f0)->cfa_offset == 8 * 64;
		cfi_release(&table);
	}
	return (void *)(uintptr_t)good;
}

static void two_threads_read_at_once(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes image, code = { 0 };
	pthread_t threads[2];
	size_t cie = put_plain_cie(&parts.eh_frame), i;
	void *good;

	(void)state;
	for (i = 1; i <= 64; i++) {
		code.count = 0;
		PUT(&code, DW_CFA_def_cfa_offset);
		put_uleb(&code, 8 * i);
		put_fde(&parts.eh_frame, cie, T + 16 * (i - 1), 16, &code);
	}
	image = image_build(&parts);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_often, &image), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_int_equal((uintptr_t)good, 200);
	}
	free(code.data);
	free(image.data);
	parts_release(&parts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_in_any_order_become_sorted_rows),
		cmocka_unit_test(a_gap_of_15_bytes_is_padding_and_one_of_16_has_no_rows),
		cmocka_unit_test(of_two_functions_that_overlap_the_later_one_wins_from_its_start),
		cmocka_unit_test(of_two_functions_at_one_place_the_first_wins),
		cmocka_unit_test(a_broken_function_between_others_has_no_rows_even_if_it_is_small),
		cmocka_unit_test(a_lookup_finds_the_row_at_or_before),
		cmocka_unit_test(each_rule_is_kept_once_and_those_beyond_the_cap_are_unsupported),
		cmocka_unit_test(the_entry_point_that_nobody_described_is_the_outermost_frame),
		cmocka_unit_test(without_section_headers_the_program_header_leads_to_eh_frame),
		cmocka_unit_test(a_program_header_that_leads_nowhere_gives_no_rows),
		cmocka_unit_test(what_is_no_elf_file_of_our_machines_has_no_rows),
		cmocka_unit_test(a_file_reads_like_its_image_until_it_is_closed),
		cmocka_unit_test(debug_frame_fills_only_the_gaps_of_eh_frame),
		cmocka_unit_test(debug_frame_is_not_asked_when_eh_frame_describes_the_text),
		cmocka_unit_test(a_section_that_is_only_a_header_is_not_read),
		cmocka_unit_test(a_compressed_debug_frame_is_unpacked),
		cmocka_unit_test(a_debug_file_gives_its_rows_at_the_offsets_of_the_file_it_belongs_to),
		cmocka_unit_test(a_broken_debug_frame_leaves_the_rows_of_eh_frame),
		cmocka_unit_test(on_aarch64_the_return_address_is_in_the_link_register_or_at_its_offset),
		cmocka_unit_test(on_aarch64_what_is_not_followed_is_unsupported),
		cmocka_unit_test(the_trampoline_of_aarch64s_vdso_is_a_signal_frame),
		cmocka_unit_test(on_x86_64_that_name_means_nothing),
		cmocka_unit_test(two_threads_read_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
