// SPDX-License-Identifier: Apache-2.0
/*
 * The machine that runs call frame instructions. Of the caller's registers only the CFA, the frame pointer,
 * the return address and rbx are followed; the operands of all others are read and dropped.
 */
#include <dwarf.h>
#include <errno.h>

#include "cfi_parts.h"

#define REMEMBERED_MAX 16 /* remember_state inside remember_state; compilers use 1 */
#define TOO_FAR        INT64_MIN /* an offset that no rule can hold */

#define CFA_NEGATE_RA_STATE_WITH_PC 0x2c /* aarch64, DWARF for the Arm 64-bit Architecture; newer than dwarf.h */

struct program {
	struct cfi_build *build; /* where rows go; NULL: a CIE's own instructions have no location */
	const struct cfi_machine *machine;
	const struct cfi_section *section;
	const struct cfi_cie *cie;
	struct cursor code;
	uint64_t at, end;        /* file offsets; done at the end */
	uint64_t start, vaddr;   /* of the function */
	struct cfi_state state;
	size_t remembered_count;
	struct cfi_state remembered[REMEMBERED_MAX];
};

static int64_t factored(int64_t value, int64_t factor)
{
	int64_t product;

	return __builtin_mul_overflow(value, factor, &product) ? TOO_FAR : product;
}

static int64_t unsigned_offset(uint64_t value)
{
	return value > INT64_MAX ? TOO_FAR : (int64_t)value;
}

/* The next operand, unsigned and in units of the data alignment. */
static int64_t data_offset(struct program *program)
{
	return factored(unsigned_offset(cursor_uleb(&program->code)), program->cie->data_align);
}

static int64_t data_offset_signed(struct program *program)
{
	return factored(cursor_sleb(&program->code), program->cie->data_align);
}

/* Where what is said about @reg is kept, or NULL. */
static struct cfi_saved *saved_find(const struct program *program, struct cfi_state *state, uint64_t reg)
{
	if (reg == program->machine->fp)
		return &state->fp;
	if (reg == program->machine->bx)
		return &state->bx;
	return reg == program->cie->ra ? &state->ra : NULL;
}

static void saved_set(struct program *program, uint64_t reg, enum cfi_how how, int64_t offset)
{
	struct cfi_saved *saved = saved_find(program, &program->state, reg);

	if (saved)
		*saved = (struct cfi_saved){ .how = how, .offset = offset };
}

static void saved_restore(struct program *program, uint64_t reg)
{
	struct cfi_state initial = program->cie->initial;
	const struct cfi_saved *before = saved_find(program, &initial, reg);

	if (before)
		saved_set(program, reg, before->how, before->offset);
}

/* The state so far is that of the bytes up to @offset. */
static int move_to(struct program *program, uint64_t offset)
{
	struct hb_rule rule;
	int err;

	if (!program->build || offset < program->at)
		return -EBADMSG;
	if (offset == program->at)
		return 0; /* what is said last about a place holds */
	rule = cfi_rule_make(program->machine, &program->state, program->cie->signal);
	err = cfi_row_add(program->build, program->at, cfi_rule_intern(program->build, &rule));
	program->at = offset;
	return err;
}

static int advance(struct program *program, uint64_t units)
{
	uint64_t bytes, offset;

	if (__builtin_mul_overflow(units, program->cie->code_align, &bytes) ||
	    __builtin_add_overflow(program->at, bytes, &offset))
		return -EBADMSG;
	return move_to(program, offset);
}

static int advance_to(struct program *program)
{
	uint64_t field = program->section->vaddr + (uint64_t)(program->code.at - program->section->data);
	uint64_t vaddr = cfi_address(&program->code, program->cie->encoding, field);

	if (program->code.bad || vaddr < program->vaddr)
		return -EBADMSG;
	return move_to(program, program->start + (vaddr - program->vaddr));
}

static int remember(struct program *program)
{
	if (program->remembered_count == REMEMBERED_MAX)
		return -EBADMSG;
	program->remembered[program->remembered_count++] = program->state;
	return 0;
}

static int restore(struct program *program)
{
	if (!program->remembered_count)
		return -EBADMSG;
	program->state = program->remembered[--program->remembered_count];
	return 0;
}

static void base_set(struct program *program, uint64_t reg, int64_t offset)
{
	program->state.base = CFI_BASE_REGISTER;
	program->state.reg = reg;
	program->state.offset = offset;
}

/* Instructions about the CFA. */
static int base_step(struct program *program, uint8_t op)
{
	struct cfi_state *state = &program->state;
	struct cursor *code = &program->code;
	uint64_t reg = 0;

	if (op == DW_CFA_def_cfa_expression) {
		cfi_base_expression(program->machine, cfi_part(code, cursor_uleb(code)), state);
		return 0;
	}
	if (op == DW_CFA_def_cfa || op == DW_CFA_def_cfa_sf || op == DW_CFA_def_cfa_register)
		reg = cursor_uleb(code);
	switch (op) {
	case DW_CFA_def_cfa:
		base_set(program, reg, unsigned_offset(cursor_uleb(code)));
		return 0;
	case DW_CFA_def_cfa_sf:
		base_set(program, reg, data_offset_signed(program));
		return 0;
	}
	/* The others change one half of register + offset. */
	if (state->base == CFI_BASE_UNSET)
		return -EBADMSG;
	state->base = CFI_BASE_REGISTER;
	if (op == DW_CFA_def_cfa_register)
		state->reg = reg;
	else if (op == DW_CFA_def_cfa_offset)
		state->offset = unsigned_offset(cursor_uleb(code));
	else
		state->offset = data_offset_signed(program);
	return 0;
}

/* Instructions about a register that is named by the first operand. */
static int register_step(struct program *program, uint8_t op)
{
	struct cursor *code = &program->code;
	uint64_t reg = cursor_uleb(code), other;
	struct cfi_saved *saved = saved_find(program, &program->state, reg);

	switch (op) {
	case DW_CFA_offset_extended:
		saved_set(program, reg, CFI_AT_CFA, data_offset(program));
		return 0;
	case DW_CFA_offset_extended_sf:
		saved_set(program, reg, CFI_AT_CFA, data_offset_signed(program));
		return 0;
	case DW_CFA_GNU_negative_offset_extended:
		saved_set(program, reg, CFI_AT_CFA, factored(data_offset(program), -1));
		return 0;
	case DW_CFA_restore_extended:
		saved_restore(program, reg);
		return 0;
	case DW_CFA_undefined:
		saved_set(program, reg, CFI_UNDEFINED, 0);
		return 0;
	case DW_CFA_same_value:
		saved_set(program, reg, CFI_SAME, 0);
		return 0;
	case DW_CFA_register:
		other = cursor_uleb(code);
		saved_set(program, reg, other == reg ? CFI_SAME : CFI_OTHER, 0);
		return 0;
	case DW_CFA_val_offset:
		cursor_uleb(code);
		saved_set(program, reg, CFI_OTHER, 0);
		return 0;
	case DW_CFA_val_offset_sf:
		cursor_sleb(code);
		saved_set(program, reg, CFI_OTHER, 0);
		return 0;
	case DW_CFA_expression:
	case DW_CFA_val_expression: {
		struct cursor expression = cfi_part(code, cursor_uleb(code));

		saved_set(program, reg, CFI_OTHER, 0);
		if (saved && op == DW_CFA_expression)
			cfi_saved_expression(program->machine, expression, saved);
		return 0;
	}
	}
	return -EBADMSG;
}

static int step_extended(struct program *program, uint8_t op)
{
	struct cursor *code = &program->code;

	switch (op) {
	case DW_CFA_nop:
	case DW_CFA_GNU_window_save: /* aarch64: the return address is signed from here on, or no longer */
	case CFA_NEGATE_RA_STATE_WITH_PC: /* signed or not, the kernel side strips it */
		return 0;
	case DW_CFA_set_loc: return advance_to(program);
	case DW_CFA_advance_loc1: return advance(program, cursor_u8(code));
	case DW_CFA_advance_loc2: return advance(program, cursor_number(code, 2));
	case DW_CFA_advance_loc4: return advance(program, cursor_number(code, 4));
	case DW_CFA_remember_state: return remember(program);
	case DW_CFA_restore_state: return restore(program);
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
	case DW_CFA_def_cfa_register:
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_def_cfa_expression:
		return base_step(program, op);
	case DW_CFA_GNU_args_size: /* what was pushed for a call: for landing pads only */
		cursor_uleb(code);
		return 0;
	}
	return register_step(program, op);
}

static int run(struct program *program)
{
	struct cursor *code = &program->code;
	int err = 0;

	while (!err && code->at < code->end && program->at < program->end) {
		uint8_t op = *code->at++, low = op & 0x3f;

		switch (op & 0xc0) {
		case DW_CFA_advance_loc: err = advance(program, low); break;
		case DW_CFA_offset: saved_set(program, low, CFI_AT_CFA, data_offset(program)); break;
		case DW_CFA_restore: saved_restore(program, low); break;
		default: err = step_extended(program, op); break;
		}
		if (code->bad)
			return -EBADMSG;
	}
	return err;
}

int cfi_cie_run(const struct cfi_build *build, const struct cfi_section *section, struct cfi_cie *cie,
		struct cursor code)
{
	struct program program;
	int err;

	program.build = NULL;
	program.machine = build->machine;
	program.section = section;
	program.cie = cie;
	program.code = code;
	program.at = program.start = program.vaddr = 0;
	program.end = 1;
	program.state = (struct cfi_state){ 0 };
	program.remembered_count = 0;
	err = run(&program);
	if (!err)
		cie->initial = program.state;
	return err;
}


static int one_row(struct cfi_build *build, const struct cfi_fde *fde, enum hb_cfa cfa)
{
	const struct hb_rule rule = { .cfa = cfa };

	return cfi_row_add(build, fde->start, cfi_rule_intern(build, &rule));
}

int cfi_fde_run(struct cfi_build *build, const struct cfi_fde *fde, uint64_t end)
{
	const struct cfi_section *section = &build->sections[fde->section];
	struct program program; /* not cleared: what is remembered is written before it is read */
	int err;

	if (fde->signal)
		return one_row(build, fde, HB_CFA_SIGNAL);
	if (fde->entry)
		return one_row(build, fde, HB_CFA_STOP);
	if (build->machine->link && section->cies[fde->cie].ra != build->machine->ra)
		return one_row(build, fde, HB_CFA_UNSUPPORTED); /* called with the address in another register */
	program.build = build;
	program.machine = build->machine;
	program.section = section;
	program.cie = &section->cies[fde->cie];
	program.code = cursor_on(section->data + fde->program, fde->program_bytes);
	program.at = program.start = fde->start;
	program.end = end;
	program.vaddr = fde->vaddr;
	program.state = program.cie->initial;
	program.remembered_count = 0;
	err = run(&program);
	if (!err && program.at < end)
		err = move_to(&program, end);
	return err;
}
