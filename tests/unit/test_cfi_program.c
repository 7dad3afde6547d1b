// SPDX-License-Identifier: Apache-2.0
/* Every call frame instruction, and the rule that it makes. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cfi_image.h"

#define END (O + 0x200) /* of the one function that most tests have */

/* The one function [O, END) of a plain CIE with these instructions, or those in @code. */
#define ONE(broken, expected_rows, ...) \
	do { \
		struct bytes one_code = { 0 }; \
		PUT(&one_code, __VA_ARGS__); \
		one_function(&one_code, broken, expected_rows); \
	} while (0)

/* Rows in brackets, so that they pass through a macro. */
#define ROWS(...) (const struct expected[]){ __VA_ARGS__ }, \
	sizeof((const struct expected[]){ __VA_ARGS__ }) / sizeof(struct expected)

#define NO_ROWS NULL, 0

static void one_function(struct bytes *code, size_t broken, const struct expected *rows, size_t count)
{
	struct image_parts parts = { 0 };
	struct cfi_table table;
	size_t cie = put_plain_cie(&parts.eh_frame);

	put_fde(&parts.eh_frame, cie, T, END - O, code);
	free(code->data);
	assert_int_equal(parts_read(&parts, &table), 0);
	assert_int_equal(table.skipped, broken);
	expect_rows(&table, rows, count);
	cfi_release(&table);
}

static void a_function_without_instructions_has_the_rule_of_its_cie(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP(8) }, { END, NONE }), DW_CFA_nop);
}

static void a_row_begins_where_each_advance_leads(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP(8) }, { O + 1, SP(16) }, { O + 64, SP(24) }, { O + 0x80, SP(32) },
		    { O + 0x180, SP(40) }, { O + 0x1c0, SP(48) }, { END, NONE }),
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16,
	    DW_CFA_advance_loc | 63, DW_CFA_def_cfa_offset, 24,
	    DW_CFA_advance_loc1, 0x40, DW_CFA_def_cfa_offset, 32,
	    DW_CFA_advance_loc2, 0x00, 0x01, DW_CFA_def_cfa_offset, 40,
	    DW_CFA_advance_loc4, 0x40, 0x00, 0x00, 0x00, DW_CFA_def_cfa_offset, 48);
}

static void set_loc_leads_to_an_address_but_never_back(void **state)
{
	static const uint64_t to[] = { T + 0x10, T + 0x08 };
	struct bytes code = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct image_parts parts = { 0 };
		size_t cie = put_plain_cie(&parts.eh_frame), at;

		PUT(&code, DW_CFA_advance_loc | 0xc, DW_CFA_set_loc, 0, 0, 0, 0, DW_CFA_def_cfa_offset, 16);
		at = put_fde(&parts.eh_frame, cie, T, END - O, &code) + 17 + 2; /* of the operand */
		memcpy(parts.eh_frame.data + at, &(uint32_t){ (uint32_t)(to[i] - (FRAME_VADDR + at)) }, 4);
		code.count = 0;
		if (i == 0)
			EXPECT(&parts, 0, { O, SP(8) }, { O + 0x10, SP(16) }, { END, NONE });
		else
			EXPECT(&parts, 1);
	}
	free(code.data);
}

static void what_lies_behind_the_function_does_not_count(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP(8) }, { END, NONE }), DW_CFA_advance_loc2, 0, 2, DW_CFA_def_cfa_offset, 16);
	ONE(0, ROWS({ O, SP(8) }, { END, NONE }), DW_CFA_advance_loc4, 0xff, 0xff, 0xff, 0xff, 0x3f);
	ONE(0, ROWS({ O, SP(8) }, { END - 1, SP(16) }, { END, NONE }),
	    DW_CFA_advance_loc2, 0xff, 1, DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc | 1, 0x3f);
}

static void of_several_states_at_one_place_the_last_holds(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP(24) }, { O + 4, SP(40) }, { END, NONE }),
	    DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc | 0, DW_CFA_def_cfa_offset, 24,
	    DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 32, DW_CFA_advance_loc1, 0,
	    DW_CFA_def_cfa_offset, 40);
}

static void equal_neighbours_are_one_row(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP(8) }, { O + 8, SP(16) }, { END, NONE }),
	    DW_CFA_advance_loc | 4, DW_CFA_offset | 12, 2, DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 16,
	    DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 16);
}

static void the_cfa_follows_each_of_its_instructions(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, FP(16) }, { O + 1, SP(16) }, { O + 2, SP(300) }, { O + 3, FP(24) }, { O + 4, FP(-16) },
		    { END, NONE }),
	    DW_CFA_def_cfa, 6, 16, DW_CFA_advance_loc | 1, DW_CFA_def_cfa_register, 7,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 0xac, 0x02,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_sf, 6, 0x7d,      /* -3 * -8 */
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset_sf, 0x02); /* 2 * -8 */
}

static void half_a_cfa_cannot_be_changed_before_there_is_a_whole(void **state)
{
	static const uint8_t halves[][3] = {
		{ DW_CFA_def_cfa_register, 7, 0 }, { DW_CFA_def_cfa_offset, 8, 0 }, { DW_CFA_def_cfa_offset_sf, 1, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct image_parts parts = { 0 };
		struct bytes none = { 0 }, code = { 0 };
		size_t cie = put_cie(&parts.eh_frame, &plain_cie, &none);

		put(&code, halves[i], 3);
		put_fde(&parts.eh_frame, cie, T, END - O, &code);
		free(code.data);
		EXPECT(&parts, 1);
	}
}

static void a_frame_without_a_cfa_or_a_return_address_is_unsupported(void **state)
{
	struct image_parts parts = { 0 };
	struct bytes code = { 0 };
	size_t cie;

	(void)state;
	cie = put_cie(&parts.eh_frame, &plain_cie, &code);
	PUT(&code, DW_CFA_offset | 16, 1, DW_CFA_advance_loc | 4, DW_CFA_def_cfa, 7, 8);
	put_fde(&parts.eh_frame, cie, T, END - O, &code);
	code.count = 0;
	PUT(&code, DW_CFA_def_cfa, 7, 8);
	put_fde(&parts.eh_frame, cie, T + 0x1000, 16, &code);
	free(code.data);
	EXPECT(&parts, 0, { O, UNSUPPORTED }, { O + 4, SP(8) }, { END, NONE }, { O + 0x1000, UNSUPPORTED },
	       { O + 0x1010, NONE });
}

static void the_saved_frame_pointer_follows_each_of_its_instructions(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP_SAVED(8, -16) }, { O + 1, SP(8) }, { O + 2, SP_SAVED(8, -24) }, { O + 3, SP(8) },
		    { O + 4, SP_SAVED(8, 16) }, { O + 5, SP_SAVED(8, 8) }, { O + 6, SP(8) }, { END, NONE }),
	    DW_CFA_offset | 6, 2,
	    DW_CFA_advance_loc | 1, DW_CFA_restore | 6,
	    DW_CFA_advance_loc | 1, DW_CFA_offset_extended, 6, 3,
	    DW_CFA_advance_loc | 1, DW_CFA_restore_extended, 6,
	    DW_CFA_advance_loc | 1, DW_CFA_offset_extended_sf, 6, 0x7e, /* -2 * -8 */
	    DW_CFA_advance_loc | 1, DW_CFA_GNU_negative_offset_extended, 6, 1,
	    DW_CFA_advance_loc | 1, DW_CFA_same_value, 6);
}

static void a_frame_pointer_that_is_not_in_memory_is_lost(void **state)
{
	static const struct hb_rule lost = { .cfa = HB_CFA_SP, .fp = HB_SAVED_LOST, .ra = HB_SAVED_AT_CFA,
					     .cfa_offset = 8 };

	(void)state;
	ONE(0, ROWS({ O, lost }, { O + 1, SP(8) }, { O + 2, lost }, { O + 3, SP(8) }, { O + 4, lost },
		    { O + 6, SP(8) }, { O + 7, lost }, { END, NONE }),
	    DW_CFA_undefined, 6,
	    DW_CFA_advance_loc | 1, DW_CFA_same_value, 6,
	    DW_CFA_advance_loc | 1, DW_CFA_register, 6, 3,
	    DW_CFA_advance_loc | 1, DW_CFA_register, 6, 6, /* in itself */
	    DW_CFA_advance_loc | 1, DW_CFA_val_offset, 6, 2,
	    DW_CFA_advance_loc | 1, DW_CFA_val_offset_sf, 6, 0x7e,
	    DW_CFA_advance_loc | 1, DW_CFA_restore | 6,
	    DW_CFA_advance_loc | 1, DW_CFA_val_expression, 6, 2, DW_OP_breg6, 0x70);
}

static void an_expression_finds_the_frame_pointer_by_itself(void **state)
{
	static const struct hb_rule at_fp = { .cfa = HB_CFA_SP, .fp = HB_SAVED_AT_FP, .ra = HB_SAVED_AT_CFA,
					      .cfa_offset = 8, .fp_offset = -16 };
	static const struct hb_rule lost = { .cfa = HB_CFA_SP, .fp = HB_SAVED_LOST, .ra = HB_SAVED_AT_CFA,
					     .cfa_offset = 8 };

	(void)state;
	ONE(0, ROWS({ O, at_fp }, { O + 1, lost }, { O + 2, at_fp }, { O + 3, lost }, { END, NONE }),
	    DW_CFA_expression, 6, 2, DW_OP_breg6, 0x70,
	    DW_CFA_advance_loc | 1, DW_CFA_expression, 6, 2, DW_OP_breg7, 0x70,
	    DW_CFA_advance_loc | 1, DW_CFA_expression, 6, 3, DW_OP_bregx, 6, 0x70,
	    DW_CFA_advance_loc | 1, DW_CFA_expression, 6, 3, DW_OP_breg6, 0x70, DW_OP_deref);
}

static void a_cfa_in_memory_is_found_through_either_pointer(void **state)
{
	/* gcc realigns a stack so, and libcrypto. */
	static const struct hb_rule drap = { .cfa = HB_CFA_DEREF_FP, .fp = HB_SAVED_AT_FP, .ra = HB_SAVED_AT_CFA,
					     .cfa_offset = -40, .fp_offset = 0 };
	static const struct hb_rule kept = { .cfa = HB_CFA_DEREF_SP, .fp = HB_SAVED_AT_FP, .ra = HB_SAVED_AT_CFA,
					     .cfa_offset = 152, .aux = 8 };

	(void)state;
	ONE(0, ROWS({ O, drap }, { O + 1, kept }, { O + 2, UNSUPPORTED }, { END, NONE }),
	    DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x58, DW_OP_deref,
	    DW_CFA_expression, 6, 2, DW_OP_breg6, 0,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0x98, 0x01, DW_OP_deref,
	    DW_OP_plus_uconst, 8,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_expression, 3, DW_OP_breg3, 0, DW_OP_deref);
}

static void expressions_that_are_not_known_are_unsupported(void **state)
{
	static const struct {
		uint8_t bytes[10], count;
	} unknown[] = {
		{ { 0 }, 0 },
		{ { DW_OP_breg7 }, 1 },
		{ { DW_OP_breg7, 8 }, 2 },
		{ { DW_OP_breg7, 0x88 }, 2 }, /* a number cut off */
		{ { DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst }, 4 },
		{ { DW_OP_breg7, 8, DW_OP_deref, DW_OP_deref }, 4 },
		{ { DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst, 8, DW_OP_nop }, 6 },
		{ { DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst, 0x80, 0x80, 0x80, 0x80, 0x08 }, 9 }, /* 2^31 */
		{ { DW_OP_lit0 }, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		struct bytes code = { 0 };

		PUT(&code, DW_CFA_def_cfa_expression);
		put_uleb(&code, unknown[i].count);
		put(&code, unknown[i].bytes, unknown[i].count);
		one_function(&code, 0, ROWS({ O, UNSUPPORTED }, { END, NONE }));
	}
}

static void a_register_after_an_expression_goes_on_with_the_offset_from_before(void **state)
{
	static const struct hb_rule kept = { .cfa = HB_CFA_DEREF_SP, .ra = HB_SAVED_AT_CFA, .cfa_offset = 24,
					     .aux = 56 };

	(void)state;
	ONE(0, ROWS({ O, SP(56) }, { O + 1, kept }, { O + 2, SP(56) }, { END, NONE }),
	    DW_CFA_def_cfa_offset, 56,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_expression, 5, DW_OP_breg7, 24, DW_OP_deref, DW_OP_plus_uconst, 56,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_register, 7);
}

static void the_plt_has_a_rule_of_its_own(void **state)
{
	static const struct hb_rule plt11 = { .cfa = HB_CFA_PLT, .ra = HB_SAVED_AT_CFA, .aux = 11 };
	static const struct hb_rule plt10 = { .cfa = HB_CFA_PLT, .ra = HB_SAVED_AT_CFA, .aux = 10 };

	(void)state;
	ONE(0, ROWS({ O, SP(16) }, { O + 6, SP(24) }, { O + 16, plt11 }, { O + 32, plt10 }, { O + 48, UNSUPPORTED },
		    { END, NONE }),
	    DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc | 6, DW_CFA_def_cfa_offset, 24, DW_CFA_advance_loc | 10,
	    DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit11,
	    DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus, DW_CFA_advance_loc | 16,
	    DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit10,
	    DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus, DW_CFA_advance_loc | 16,
	    DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit16,
	    DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus);
}

static void other_registers_than_the_two_pointers_are_unsupported(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP(8) }, { O + 4, UNSUPPORTED }, { O + 9, FP(8) }, { END, NONE }),
	    DW_CFA_advance_loc | 4, DW_CFA_def_cfa, 10, 0, DW_CFA_advance_loc | 4, DW_CFA_def_cfa_register, 0,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa, 6, 8);
}

static void a_return_address_elsewhere_is_unsupported_and_none_is_the_end(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, STOP }, { O + 1, SP(8) }, { O + 2, UNSUPPORTED }, { O + 4, SP(8) }, { O + 5, UNSUPPORTED },
		    { END, NONE }),
	    DW_CFA_undefined, 16,
	    DW_CFA_advance_loc | 1, DW_CFA_restore | 16,
	    DW_CFA_advance_loc | 1, DW_CFA_register, 16, 5,
	    DW_CFA_advance_loc | 1, DW_CFA_offset | 16, 2,
	    DW_CFA_advance_loc | 1, DW_CFA_offset_extended, 16, 1,
	    DW_CFA_advance_loc | 1, DW_CFA_same_value, 16);
}

static void operands_of_other_registers_are_skipped_at_their_length(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP(16) }, { END, NONE }),
	    DW_CFA_offset | 12, 0x80, 0x01, DW_CFA_restore | 12,
	    DW_CFA_offset_extended, 0x8c, 0x00, 0x80, 0x01,
	    DW_CFA_offset_extended_sf, 12, 0xff, 0x7f,
	    DW_CFA_GNU_negative_offset_extended, 12, 0x81, 0x01,
	    DW_CFA_restore_extended, 12, DW_CFA_undefined, 12, DW_CFA_same_value, 12,
	    DW_CFA_register, 12, 0x90, 0x00,
	    DW_CFA_val_offset, 12, 0x80, 0x01, DW_CFA_val_offset_sf, 12, 0x80, 0x7f,
	    DW_CFA_expression, 12, 3, DW_OP_breg7, 0x80, 0x01,
	    DW_CFA_val_expression, 12, 3, DW_OP_breg7, 0x80, 0x01,
	    DW_CFA_GNU_args_size, 0x80, 0x01, DW_CFA_GNU_window_save, 0x2c, DW_CFA_nop,
	    DW_CFA_def_cfa_offset, 16);
}

static void rbx_follows_each_of_its_instructions(void **state)
{
	static const struct hb_rule at_16 = { .cfa = HB_CFA_SP, .ra = HB_SAVED_AT_CFA, .cfa_offset = 8, .more = 2 };
	static const struct hb_rule at_2040 = { .cfa = HB_CFA_SP, .ra = HB_SAVED_AT_CFA, .cfa_offset = 8, .more = 255 };
	static const struct hb_rule lost = { .cfa = HB_CFA_SP, .ra = HB_SAVED_AT_CFA, .cfa_offset = 8,
					     .more = HB_BX_LOST };
	static const struct hb_rule found_by = { .cfa = HB_CFA_BX, .ra = HB_SAVED_AT_CFA, .cfa_offset = 24, .more = 3 };

	(void)state;
	ONE(0, ROWS({ O, at_16 }, { O + 1, SP(8) }, { O + 2, at_2040 }, { O + 4, SP(8) }, { END, NONE }),
	    DW_CFA_offset | 3, 2, DW_CFA_advance_loc | 1, DW_CFA_restore | 3,
	    DW_CFA_advance_loc | 1, DW_CFA_offset_extended, 3, 0xff, 0x01, DW_CFA_advance_loc | 2,
	    DW_CFA_same_value, 3);
	/* Where the return address is, above it, out of reach, undefined, in another register, by an expression. */
	ONE(0, ROWS({ O, lost }, { END, NONE }), DW_CFA_offset | 3, 1, DW_CFA_advance_loc | 1,
	    DW_CFA_offset_extended_sf, 3, 0x7f, DW_CFA_advance_loc | 1, DW_CFA_offset_extended, 3, 0x80, 0x02,
	    DW_CFA_advance_loc | 1, DW_CFA_undefined, 3, DW_CFA_advance_loc | 1, DW_CFA_register, 3, 12,
	    DW_CFA_advance_loc | 1, DW_CFA_expression, 3, 2, DW_OP_breg6, 0x70);
	ONE(0, ROWS({ O, found_by }, { END, NONE }), DW_CFA_def_cfa, 3, 24, DW_CFA_offset | 3, 3);
}

static void states_are_remembered_sixteen_deep(void **state)
{
	struct bytes code = { 0 };
	size_t depth, i;

	(void)state;
	for (depth = 16; depth <= 17; depth++) {
		for (i = 0; i < depth; i++)
			PUT(&code, DW_CFA_remember_state, DW_CFA_def_cfa_offset, (uint8_t)(16 + i));
		PUT(&code, DW_CFA_offset | 6, 2);
		for (i = 0; i < depth; i++)
			PUT(&code, DW_CFA_advance_loc | 1, DW_CFA_restore_state);
		if (depth == 16)
			one_function(&code, 0, ROWS({ O, SP_SAVED(31, -16) }, { O + 1, SP(30) }, { O + 2, SP(29) },
				{ O + 3, SP(28) }, { O + 4, SP(27) }, { O + 5, SP(26) }, { O + 6, SP(25) },
				{ O + 7, SP(24) }, { O + 8, SP(23) }, { O + 9, SP(22) }, { O + 10, SP(21) },
				{ O + 11, SP(20) }, { O + 12, SP(19) }, { O + 13, SP(18) }, { O + 14, SP(17) },
				{ O + 15, SP(16) }, { O + 16, SP(8) }, { END, NONE }));
		else
			one_function(&code, 1, NO_ROWS);
		code = (struct bytes){ 0 };
	}
	ONE(1, NO_ROWS, DW_CFA_restore_state);
}

static void instructions_that_do_not_exist_or_end_early_leave_the_function_out(void **state)
{
	static const struct {
		uint8_t bytes[13], count;
	} broken[] = {
		{ { 0x17 }, 1 }, { { 0x1d, 0, 0, 0, 0, 0, 0, 0, 0 }, 9 }, { { 0x30, 0, 0, 0 }, 4 }, { { 0x3f, 0 }, 2 },
		{ { DW_CFA_nop, DW_CFA_nop, DW_CFA_nop, DW_CFA_advance_loc1 }, 4 },
		{ { DW_CFA_nop, DW_CFA_nop, DW_CFA_advance_loc2, 1 }, 4 },
		{ { DW_CFA_nop, DW_CFA_nop, DW_CFA_offset | 6, 0x80 }, 4 },
		{ { DW_CFA_nop, DW_CFA_nop, DW_CFA_def_cfa, 7 }, 4 },
		{ { DW_CFA_def_cfa_expression, 3, DW_OP_breg7, 0 }, 4 },
		{ { DW_CFA_expression, 3, 0xff, 0x7f }, 4 },
		/* LEB128: more than 64 bits, more than 10 bytes */
		{ { DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 }, 11 },
		{ { DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0 }, 12 },
		{ { DW_CFA_def_cfa_offset_sf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7e }, 11 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct bytes code = { 0 };
		size_t pad = (4 - broken[i].count % 4) % 4; /* the record ends with the last byte */

		PUT(&code, DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 16);
		while (pad--)
			PUT(&code, DW_CFA_nop);
		put(&code, broken[i].bytes, broken[i].count);
		one_function(&code, 1, NO_ROWS);
	}
}

static void numbers_beyond_the_rule_are_unsupported_or_lost(void **state)
{
	static const struct hb_rule lost = { .cfa = HB_CFA_SP, .fp = HB_SAVED_LOST, .ra = HB_SAVED_AT_CFA,
					     .cfa_offset = INT32_MAX };

	(void)state;
	ONE(0, ROWS({ O, SP(INT32_MAX) }, { O + 1, UNSUPPORTED }, { O + 3, lost }, { END, NONE }),
	    DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0x07, DW_CFA_advance_loc | 1,
	    DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x08, DW_CFA_advance_loc | 1,
	    DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, DW_CFA_advance_loc | 1,
	    DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0x07,
	    DW_CFA_offset | 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
}

static void padded_numbers_are_still_numbers(void **state)
{
	(void)state;
	ONE(0, ROWS({ O, SP_SAVED(16, -16) }, { END, NONE }),
	    DW_CFA_def_cfa_offset, 0x90, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
	    DW_CFA_offset_extended_sf, 6, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00);
	ONE(0, ROWS({ O, SP_SAVED(8, 8) }, { END, NONE }),
	    DW_CFA_val_offset_sf, 12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	    DW_CFA_offset_extended_sf, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);
}

/* One function of a CIE with 'S'. */
#define SIGNAL_ONE(rows, ...) \
	do { \
		struct image_parts signal_parts = { 0 }; \
		struct bytes signal_code = { 0 }; \
		struct cfi_table signal_table; \
		size_t signal_cie; \
		PUT(&signal_code, DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1); \
		signal_cie = put_cie(&signal_parts.eh_frame, &signal_frames, &signal_code); \
		signal_code.count = 0; \
		PUT(&signal_code, __VA_ARGS__); \
		put_fde(&signal_parts.eh_frame, signal_cie, T, END - O, &signal_code); \
		free(signal_code.data); \
		assert_int_equal(parts_read(&signal_parts, &signal_table), 0); \
		assert_int_equal(signal_table.skipped, 0); \
		expect_rows(&signal_table, rows); \
		cfi_release(&signal_table); \
	} while (0)

static void a_signal_frame_is_told_by_where_its_cfa_lies(void **state)
{
	static const struct cie signal_frames = { .augmentation = "zRS", .data = { 0x1b }, .data_count = 1 };

	(void)state;
	SIGNAL_ONE(ROWS({ O, SIGNAL }, { END, NONE }),
		   DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 0x01, DW_OP_deref,
		   DW_CFA_expression, 6, 3, DW_OP_breg7, 0xf8, 0x00, DW_CFA_expression, 16, 3, DW_OP_breg7, 0xa8, 0x01);
	/* user space that switches contexts by itself */
	SIGNAL_ONE(ROWS({ O, { .cfa = HB_CFA_DEREF_SP, .ra = HB_SAVED_AT_CFA, .cfa_offset = 152 } }, { END, NONE }),
		   DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0x98, 0x01, DW_OP_deref);
	SIGNAL_ONE(ROWS({ O, SP(16) }, { O + 2, UNSUPPORTED }, { END, NONE }), DW_CFA_def_cfa, 7, 16,
		   DW_CFA_advance_loc | 2, DW_CFA_expression, 16, 3, DW_OP_breg7, 0xa8, 0x01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_without_instructions_has_the_rule_of_its_cie),
		cmocka_unit_test(a_row_begins_where_each_advance_leads),
		cmocka_unit_test(set_loc_leads_to_an_address_but_never_back),
		cmocka_unit_test(what_lies_behind_the_function_does_not_count),
		cmocka_unit_test(of_several_states_at_one_place_the_last_holds),
		cmocka_unit_test(equal_neighbours_are_one_row),
		cmocka_unit_test(the_cfa_follows_each_of_its_instructions),
		cmocka_unit_test(half_a_cfa_cannot_be_changed_before_there_is_a_whole),
		cmocka_unit_test(a_frame_without_a_cfa_or_a_return_address_is_unsupported),
		cmocka_unit_test(the_saved_frame_pointer_follows_each_of_its_instructions),
		cmocka_unit_test(a_frame_pointer_that_is_not_in_memory_is_lost),
		cmocka_unit_test(an_expression_finds_the_frame_pointer_by_itself),
		cmocka_unit_test(a_cfa_in_memory_is_found_through_either_pointer),
		cmocka_unit_test(expressions_that_are_not_known_are_unsupported),
		cmocka_unit_test(a_register_after_an_expression_goes_on_with_the_offset_from_before),
		cmocka_unit_test(the_plt_has_a_rule_of_its_own),
		cmocka_unit_test(other_registers_than_the_two_pointers_are_unsupported),
		cmocka_unit_test(a_return_address_elsewhere_is_unsupported_and_none_is_the_end),
		cmocka_unit_test(operands_of_other_registers_are_skipped_at_their_length),
		cmocka_unit_test(rbx_follows_each_of_its_instructions),
		cmocka_unit_test(states_are_remembered_sixteen_deep),
		cmocka_unit_test(instructions_that_do_not_exist_or_end_early_leave_the_function_out),
		cmocka_unit_test(numbers_beyond_the_rule_are_unsupported_or_lost),
		cmocka_unit_test(padded_numbers_are_still_numbers),
		cmocka_unit_test(a_signal_frame_is_told_by_where_its_cfa_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
