// SPDX-License-Identifier: Apache-2.0
/* CIEs and FDEs in all their forms, whole and broken. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cfi_image.h"

/* def_cfa sp + 8, the return address at CFA - 8: to be freed. */
static struct bytes plain_code(void)
{
	struct bytes code = { 0 };

	PUT(&code, DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1);
	return code;
}

/* A CIE, byte by byte up to its instructions, and an FDE [T, T + 16) with @fde behind its pointer. */
static struct image_parts records(const uint8_t *cie, size_t cie_count, const uint8_t *fde, size_t fde_count)
{
	struct image_parts parts = { 0 };
	struct bytes code = plain_code(), *frame = &parts.eh_frame;
	size_t at = record_begin(frame);

	put_number(frame, 0, 4);
	put(frame, cie, cie_count);
	put(frame, code.data, code.count);
	record_end(frame, at);
	free(code.data);
	at = record_begin(frame);
	put_number(frame, frame->count, 4); /* back to the CIE at 0 */
	put(frame, fde, fde_count);
	record_end(frame, at);
	return parts;
}

#define RECORDS(cie, fde) records(cie, sizeof(cie), fde, sizeof(fde))

static const uint8_t absolute_fde[] = { 0x00, 0x10, 4, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0 }; /* T, 16 */
static const uint8_t absolute_sized_fde[] = { 0x00, 0x10, 4, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0,
					      3, 0x3f, 0x3f, 0x3f };

static void cies_of_all_versions_are_read(void **state)
{
	static const uint8_t one[] = { 1, 0, 1, 0x78, 16 };
	static const uint8_t three[] = { 3, 0, 1, 0x78, 0x90, 0x00 };
	static const uint8_t four[] = { 4, 0, 8, 0, 1, 0x78, 16 };
	struct image_parts parts;

	(void)state;
	parts = RECORDS(one, absolute_fde);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
	parts = RECORDS(three, absolute_fde);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
	parts = RECORDS(four, absolute_fde);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
}

static int read_and_drop(struct image_parts *parts, size_t *skipped)
{
	struct cfi_table table;
	int err = parts_read(parts, &table);

	*skipped = table.skipped;
	assert_int_equal(table.rows_count, 0);
	assert_int_equal(cfi_find(&table, O)->cfa, HB_CFA_NONE);
	cfi_release(&table);
	return err;
}

static void a_broken_cie_takes_its_functions_with_it(void **state)
{
	static const uint8_t two[] = { 2, 0, 1, 0x78, 16 };
	static const uint8_t narrow[] = { 4, 0, 4, 0, 1, 0x78, 16 };
	static const uint8_t segmented[] = { 4, 0, 8, 2, 1, 0x78, 16 };
	static const uint8_t endless[] = { 1, 'z', 'z', 'z', 'z', 'z', 'z' };
	static const uint8_t foreign[] = { 1, 'a', 0, 1, 0x78, 16 };
	static const uint8_t too_long[] = { 1, 'z', 'R', 0, 1, 0x78, 16, 100, 0 };
	static const uint8_t too_short[] = { 1, 'z', 'R', 0, 1, 0x78, 16, 0 };
	static const uint8_t advances[] = { 1, 0, 1, 0x78, 16, DW_CFA_advance_loc | 1 };
	static const struct {
		const uint8_t *cie;
		size_t count;
	} broken[] = {
		{ two, sizeof(two) }, { narrow, sizeof(narrow) }, { segmented, sizeof(segmented) },
		{ endless, sizeof(endless) }, { foreign, sizeof(foreign) }, { too_long, sizeof(too_long) },
		{ too_short, sizeof(too_short) }, { advances, sizeof(advances) },
	};
	struct image_parts parts;
	size_t i, skipped;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		parts = records(broken[i].cie, broken[i].count, absolute_fde, sizeof(absolute_fde));
		assert_int_equal(read_and_drop(&parts, &skipped), -ENOENT);
		assert_int_equal(skipped, 2);
	}
}

static void letters_of_the_augmentation_are_read_or_skipped(void **state)
{
	static const uint8_t empty[] = { 1, 'z', 0, 1, 0x78, 16, 0 };
	static const uint8_t skipped[] = { 1, 'z', 'Q', 'R', 0, 1, 0x78, 16, 5, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t lsda[] = { 1, 'z', 'L', 'R', 0, 1, 0x78, 16, 2, 0x1b, DW_EH_PE_udata8 };
	static const uint8_t personality[] = { 1, 'z', 'P', 'L', 'R', 0, 1, 0x78, 16, 7,
					       DW_EH_PE_pcrel | DW_EH_PE_indirect | DW_EH_PE_sdata4, 1, 2, 3, 4,
					       DW_EH_PE_omit, DW_EH_PE_absptr };
	static const uint8_t leb[] = { 1, 'z', 'P', 'R', 0, 1, 0x78, 16, 4, DW_EH_PE_uleb128, 0x80, 0x01, 0 };
	static const uint8_t nobody[] = { 1, 'z', 'P', 'R', 0, 1, 0x78, 16, 2, DW_EH_PE_omit, 0 };
	/* The pointer is aligned to 8: 18 bytes of the record are before it. */
	static const uint8_t aligned[] = { 1, 'z', 'P', 'R', 0, 1, 0x78, 16, 16, DW_EH_PE_aligned,
					   0xee, 0xee, 0xee, 0xee, 0xee, 0xee,
					   1, 2, 3, 4, 5, 6, 7, 8, 0 };
	static const uint8_t keyed[] = { 1, 'z', 'R', 'B', 'G', 0, 1, 0x78, 16, 1, 0 };
	static const struct {
		const uint8_t *cie;
		size_t count;
	} good[] = {
		{ empty, sizeof(empty) }, { skipped, sizeof(skipped) }, { lsda, sizeof(lsda) },
		{ personality, sizeof(personality) }, { leb, sizeof(leb) }, { nobody, sizeof(nobody) },
		{ aligned, sizeof(aligned) }, { keyed, sizeof(keyed) },
	};
	struct image_parts parts;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		parts = records(good[i].cie, good[i].count, absolute_sized_fde, sizeof(absolute_sized_fde));
		EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
	}
}

static void the_augmentation_of_an_old_compiler_is_a_pointer(void **state)
{
	static const uint8_t eh[] = { 1, 'e', 'h', 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0x78, 16 };
	static const uint8_t unsized[] = { 1, 'R', 0, 1, 0x78, 16, DW_EH_PE_absptr };
	struct image_parts parts = RECORDS(eh, absolute_fde);

	(void)state;
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
	parts = RECORDS(unsized, absolute_fde); /* known letters need no 'z' */
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
}

static void addresses_are_read_in_every_encoding(void **state)
{
	static const struct {
		uint8_t encoding, bytes;
	} encodings[] = {
		{ DW_EH_PE_absptr, 8 }, { DW_EH_PE_udata8, 8 }, { DW_EH_PE_sdata8, 8 }, { DW_EH_PE_signed, 8 },
		{ DW_EH_PE_udata4, 4 }, { DW_EH_PE_sdata4, 4 },
		{ DW_EH_PE_uleb128, 0 }, { DW_EH_PE_sleb128, 0 },
		{ DW_EH_PE_pcrel | DW_EH_PE_absptr, 8 }, { DW_EH_PE_pcrel | DW_EH_PE_sdata8, 8 },
		{ DW_EH_PE_pcrel | DW_EH_PE_sdata4, 4 }, { DW_EH_PE_pcrel | DW_EH_PE_sleb128, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		struct cie cie = { .augmentation = "zR", .data = { encodings[i].encoding }, .data_count = 1 };
		struct image_parts parts = { 0 };
		struct bytes code = plain_code(), *frame = &parts.eh_frame;
		uint64_t vaddr = T + 0x20;
		size_t at;

		put_cie(frame, &cie, &code);
		free(code.data);
		at = record_begin(frame);
		put_number(frame, frame->count, 4);
		if (encodings[i].encoding & DW_EH_PE_pcrel)
			vaddr -= FRAME_VADDR + frame->count;
		if (encodings[i].bytes) {
			put_number(frame, vaddr, encodings[i].bytes);
			put_number(frame, 0x30, encodings[i].bytes);
		} else if ((encodings[i].encoding & 0xf) == DW_EH_PE_sleb128) {
			put_sleb(frame, (int64_t)vaddr);
			put_sleb(frame, 0x30);
		} else {
			put_uleb(frame, vaddr);
			put_uleb(frame, 0x30);
		}
		put_uleb(frame, 0);
		record_end(frame, at);
		EXPECT(&parts, 0, { O + 0x20, SP(8) }, { O + 0x50, NONE });
	}
}

static void addresses_of_16_bits_reach_only_the_near(void **state)
{
	struct cie cie = { .augmentation = "zR", .data_count = 1 };
	struct image_parts parts;
	struct bytes code;
	size_t at, i, skipped;

	(void)state;
	for (i = 0; i < 2; i++) {
		parts = (struct image_parts){ 0 };
		code = plain_code();
		cie.data[0] = i ? DW_EH_PE_sdata2 : DW_EH_PE_udata2;
		put_cie(&parts.eh_frame, &cie, &code);
		free(code.data);
		at = record_begin(&parts.eh_frame);
		put_number(&parts.eh_frame, parts.eh_frame.count, 4);
		put_number(&parts.eh_frame, 0x9010, 2); /* as a signed number it is below 0 */
		put_number(&parts.eh_frame, 0x10, 2);
		put_uleb(&parts.eh_frame, 0);
		record_end(&parts.eh_frame, at);
		assert_int_equal(read_and_drop(&parts, &skipped), -ENOENT);
		assert_int_equal(skipped, 1); /* no text is there */
	}
}

static void bases_that_only_a_running_program_has_are_left_out(void **state)
{
	static const uint8_t encodings[] = {
		DW_EH_PE_datarel | DW_EH_PE_sdata4, DW_EH_PE_textrel, DW_EH_PE_funcrel, DW_EH_PE_aligned,
		DW_EH_PE_indirect | DW_EH_PE_absptr, DW_EH_PE_pcrel | 0x05, DW_EH_PE_omit,
	};
	size_t i, skipped;

	(void)state;
	for (i = 0; i < sizeof(encodings); i++) {
		const uint8_t cie[] = { 1, 'z', 'R', 0, 1, 0x78, 16, 1, encodings[i] };
		struct image_parts parts = RECORDS(cie, absolute_sized_fde);

		assert_int_equal(read_and_drop(&parts, &skipped), -ENOENT);
		assert_int_equal(skipped, 1);
	}
}

static void a_function_at_0_was_left_out_by_the_linker(void **state)
{
	static const uint8_t cie[] = { 1, 0, 1, 0x78, 16 };
	static const uint8_t at_0[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 16 };
	struct image_parts parts = RECORDS(cie, at_0);
	size_t skipped, pointer;

	(void)state;
	assert_int_equal(read_and_drop(&parts, &skipped), -ENOENT);
	assert_int_equal(skipped, 0);
	/* Relative to itself 0 means nothing, too. */
	parts = (struct image_parts){ 0 };
	pointer = put_fde(&parts.eh_frame, put_plain_cie(&parts.eh_frame), T, 16, NULL) + 8;
	memset(parts.eh_frame.data + pointer, 0, 4);
	assert_int_equal(read_and_drop(&parts, &skipped), -ENOENT);
	assert_int_equal(skipped, 0);
}

static void a_function_outside_the_text_is_left_out_and_one_over_its_end_is_cut(void **state)
{
	static const struct {
		uint64_t vaddr, length;
	} outside[] = {
		{ T - 1, 16 }, { T + TEXT_BYTES, 16 }, { FRAME_VADDR, 16 }, { T, 0 },
		{ T, 0x80000000 }, /* below 0 */
	};
	struct image_parts parts = { 0 };
	size_t cie = put_plain_cie(&parts.eh_frame), i;

	(void)state;
	for (i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		put_fde(&parts.eh_frame, cie, outside[i].vaddr, outside[i].length, NULL);
	put_fde(&parts.eh_frame, cie, T + TEXT_BYTES - 4, 16, NULL);
	EXPECT(&parts, 5, { O + TEXT_BYTES - 4, SP(8) }, { O + TEXT_BYTES, NONE });
}

static void a_zero_length_in_the_middle_is_padding(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes *frame = &parts.eh_frame;
	size_t cie = put_plain_cie(frame);

	(void)state;
	put_fde(frame, cie, T, 16, NULL);
	put_number(frame, 0, 8);
	put_fde(frame, cie, T + 0x40, 16, NULL);
	put_number(frame, 0, 4);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE }, { O + 0x40, SP(8) }, { O + 0x50, NONE });
}

static void a_length_beyond_the_section_ends_the_reading(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes *frame = &parts.eh_frame;
	size_t cie = put_plain_cie(frame), last;

	(void)state;
	put_fde(frame, cie, T, 16, NULL);
	last = put_fde(frame, cie, T + 0x40, 16, NULL);
	frame->data[last]++;
	EXPECT(&parts, 1, { O, SP(8) }, { O + 16, NONE });
	parts = (struct image_parts){ 0 };
	put_fde(frame, put_plain_cie(frame), T, 16, NULL);
	put_number(frame, 0xffffff, 3); /* no length any more */
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
}

static void lengths_of_64_bits_are_read(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes code = plain_code(), *frame = &parts.eh_frame;

	(void)state;
	PUT(frame, 0xff, 0xff, 0xff, 0xff, 16, 0, 0, 0, 0, 0, 0, 0, /* a CIE; its id has 4 bytes in .eh_frame */
	    0, 0, 0, 0, 1, 0, 1, 0x78, 16);
	put(frame, code.data, code.count);
	put_number(frame, 0, 2); /* nops */
	assert_int_equal(frame->count, 28);
	PUT(frame, 0xff, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 0, 0, 0);
	put_number(frame, frame->count, 4);
	put(frame, absolute_fde, sizeof(absolute_fde));
	free(code.data);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
	parts = (struct image_parts){ 0 };
	put_fde(frame, put_plain_cie(frame), T, 16, NULL);
	PUT(frame, 0xff, 0xff, 0xff, 0xff, 0xf4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff); /* back to its start */
	EXPECT(&parts, 1, { O, SP(8) }, { O + 16, NONE });
	parts = (struct image_parts){ 0 };
	put_fde(frame, put_plain_cie(frame), T, 16, NULL);
	PUT(frame, 0xff, 0xff, 0xff, 0xff, 20, 0, 0, 0); /* cut off */
	EXPECT(&parts, 1, { O, SP(8) }, { O + 16, NONE });
}

static void a_pointer_that_leads_to_no_cie_leaves_its_function_out(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes *frame = &parts.eh_frame;
	size_t cie = put_plain_cie(frame), fde = put_fde(frame, cie, T, 16, NULL);

	(void)state;
	put_fde(frame, fde, T + 0x40, 16, NULL);     /* an FDE */
	put_fde(frame, cie + 4, T + 0x80, 16, NULL); /* the middle */
	put_fde(frame, cie - 8, T + 0xc0, 16, NULL); /* before the section */
	put_fde(frame, frame->count + 0x100, T + 0x100, 16, NULL); /* ahead */
	PUT(frame, 3, 0, 0, 0, 1, 2, 3); /* too short for one */
	PUT(frame, 0, 0, 0, 0);
	EXPECT(&parts, 5, { O, SP(8) }, { O + 16, NONE });
}

static void debug_frame_names_its_cies_by_offset_even_ahead(void **state)
{
	static const struct cie debug_cie = { .augmentation = "", .debug = true };
	struct image_parts parts = { 0 };
	struct bytes code = plain_code(), *frame = &parts.debug_frame;
	size_t cie = put_cie(frame, &debug_cie, &code), fde;

	(void)state;
	put_debug_fde(frame, cie, T, 16, NULL);
	fde = put_debug_fde(frame, 0, T + 0x40, 16, NULL);
	cie = frame->count;
	memcpy(frame->data + fde + 4, &(uint32_t){ (uint32_t)cie }, 4);
	code.count = 0;
	PUT(&code, DW_CFA_def_cfa, 6, 16, DW_CFA_offset | 16, 1);
	put_cie(frame, &debug_cie, &code);
	free(code.data);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE }, { O + 0x40, FP(16) }, { O + 0x50, NONE });
}

static void debug_frame_has_ids_of_64_bits_in_long_records(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes code = plain_code(), *frame = &parts.debug_frame;

	(void)state;
	PUT(frame, 0xff, 0xff, 0xff, 0xff, 18, 0, 0, 0, 0, 0, 0, 0);
	put_number(frame, UINT64_MAX, 8);
	PUT(frame, 4, 0, 8, 0, 1);
	PUT(frame, 0x78, 16, DW_CFA_nop, DW_CFA_nop, DW_CFA_nop);
	PUT(frame, 0xff, 0xff, 0xff, 0xff, 29, 0, 0, 0, 0, 0, 0, 0);
	put_number(frame, 0, 8);
	put(frame, absolute_fde, sizeof(absolute_fde));
	put(frame, code.data, code.count);
	free(code.data);
	EXPECT(&parts, 0, { O, SP(8) }, { O + 16, NONE });
}

static void more_functions_or_cies_than_the_caps_are_too_many(void **state)
{
	static const uint8_t cie_bytes[] = { 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 16 };
	struct image_parts parts = { 0 };
	struct cfi_table table;
	size_t i;

	(void)state;
	for (i = 0; i < CFI_CIES_MAX + 1; i++)
		put(&parts.eh_frame, cie_bytes, sizeof(cie_bytes));
	assert_int_equal(parts_read(&parts, &table), -EFBIG);
	cfi_release(&table);

	parts = (struct image_parts){ 0 };
	put(&parts.eh_frame, cie_bytes, sizeof(cie_bytes));
	for (i = 0; i < CFI_FDES_MAX + 1; i++) {
		put_number(&parts.eh_frame, 4 + sizeof(absolute_fde), 4);
		put_number(&parts.eh_frame, parts.eh_frame.count, 4);
		put(&parts.eh_frame, absolute_fde, sizeof(absolute_fde));
	}
	assert_int_equal(parts_read(&parts, &table), -EFBIG);
	assert_int_equal(table.rows_count, 0);
	assert_int_equal(table.rules_count, 2);
	cfi_release(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cies_of_all_versions_are_read),
		cmocka_unit_test(a_broken_cie_takes_its_functions_with_it),
		cmocka_unit_test(letters_of_the_augmentation_are_read_or_skipped),
		cmocka_unit_test(the_augmentation_of_an_old_compiler_is_a_pointer),
		cmocka_unit_test(addresses_are_read_in_every_encoding),
		cmocka_unit_test(addresses_of_16_bits_reach_only_the_near),
		cmocka_unit_test(bases_that_only_a_running_program_has_are_left_out),
		cmocka_unit_test(a_function_at_0_was_left_out_by_the_linker),
		cmocka_unit_test(a_function_outside_the_text_is_left_out_and_one_over_its_end_is_cut),
		cmocka_unit_test(a_zero_length_in_the_middle_is_padding),
		cmocka_unit_test(a_length_beyond_the_section_ends_the_reading),
		cmocka_unit_test(lengths_of_64_bits_are_read),
		cmocka_unit_test(a_pointer_that_leads_to_no_cie_leaves_its_function_out),
		cmocka_unit_test(debug_frame_names_its_cies_by_offset_even_ahead),
		cmocka_unit_test(debug_frame_has_ids_of_64_bits_in_long_records),
		cmocka_unit_test(more_functions_or_cies_than_the_caps_are_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
