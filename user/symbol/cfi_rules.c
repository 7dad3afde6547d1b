// SPDX-License-Identifier: Apache-2.0
/* From the state of a location to the rule that the kernel side follows, and each rule once. */
#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "cfi_parts.h"

#define SLOTS      (4 * CFI_RULES_MAX) /* a power of two */
#define PROBES_MAX 128 /* slots looked at: only rules chosen to collide need more */

/* System V ABI, AMD64 supplement, figure 3.36; DWARF for the Arm 64-bit Architecture, section 4.1. */
static const struct cfi_machine machines[] = {
	/* signal_sp: ucontext.uc_mcontext.gregs[15], arch/x86/include/uapi/asm/sigcontext.h */
	{ .elf = EM_X86_64, .sp = 7, .fp = 6, .ra = 16, .bx = 3, .link = false, .signal_sp = 40 + 8 * 15 },
	{ .elf = EM_AARCH64, .sp = 31, .fp = 29, .ra = 30, .bx = CFI_NO_REGISTER, .link = true },
};

const struct cfi_machine *cfi_machine_find(uint16_t elf)
{
	size_t i;

	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].elf == elf)
			return &machines[i];
	}
	return NULL;
}

/* --- expressions ----------------------------------------------------------------------------- */

/* What linkers say about a PLT: the slot pushes one word before its instruction at byte 10 or 11. */
static bool is_plt(const struct cfi_machine *machine, const struct cursor *code, int64_t *threshold)
{
	static const uint8_t plt[] = {
		DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit0 /* + threshold */,
		DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus,
	};
	const size_t variable = 6;
	size_t i;

	if (machine->elf != EM_X86_64 || cursor_left(code) != sizeof(plt))
		return false;
	for (i = 0; i < sizeof(plt); i++) {
		if (i != variable && code->at[i] != plt[i])
			return false;
	}
	*threshold = code->at[variable] - DW_OP_lit0;
	return *threshold >= 0 && *threshold <= 15;
}

/* A register and a number to be added: breg0 to breg31, bregx. */
static bool register_plus(struct cursor *code, uint64_t *reg, int64_t *offset)
{
	uint8_t op = cursor_u8(code);

	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		*reg = op - DW_OP_breg0;
	else if (op == DW_OP_bregx)
		*reg = cursor_uleb(code);
	else
		return false;
	*offset = cursor_sleb(code);
	return !code->bad;
}

void cfi_base_expression(const struct cfi_machine *machine, struct cursor code, struct cfi_state *state)
{
	uint64_t added = 0;

	state->base = CFI_BASE_OTHER;
	if (is_plt(machine, &code, &state->aux)) {
		state->base = CFI_BASE_PLT;
		return;
	}
	if (!register_plus(&code, &state->at_reg, &state->at_offset) || cursor_u8(&code) != DW_OP_deref)
		return;
	if (cursor_left(&code)) {
		if (cursor_u8(&code) != DW_OP_plus_uconst)
			return;
		added = cursor_uleb(&code);
	}
	if (code.bad || cursor_left(&code) || added > INT32_MAX)
		return;
	state->base = CFI_BASE_DEREF;
	state->aux = (int64_t)added;
}

void cfi_saved_expression(const struct cfi_machine *machine, struct cursor code, struct cfi_saved *saved)
{
	uint64_t reg;
	int64_t offset;

	saved->how = CFI_OTHER;
	if (!register_plus(&code, &reg, &offset) || cursor_left(&code) || reg != machine->fp)
		return;
	saved->how = CFI_AT_FP;
	saved->offset = offset;
}

/* --- rules ----------------------------------------------------------------------------------- */

static bool fits(int64_t value)
{
	return value >= INT32_MIN && value <= INT32_MAX;
}

static void fp_make(const struct cfi_saved *saved, struct hb_rule *rule)
{
	rule->fp = HB_SAVED_LOST;
	if (saved->how == CFI_UNSET || saved->how == CFI_SAME)
		rule->fp = HB_SAVED_SAME;
	if ((saved->how != CFI_AT_CFA && saved->how != CFI_AT_FP) || !fits(saved->offset))
		return;
	rule->fp = saved->how == CFI_AT_CFA ? HB_SAVED_AT_CFA : HB_SAVED_AT_FP;
	rule->fp_offset = (int32_t)saved->offset;
}

static void bx_make(const struct cfi_saved *saved, struct hb_rule *rule)
{
	if (saved->how == CFI_UNSET || saved->how == CFI_SAME)
		rule->more = HB_BX_SAME;
	else if (saved->how == CFI_AT_CFA && saved->offset <= -16 && saved->offset >= -8 * UINT8_MAX &&
		 saved->offset % 8 == 0)
		rule->more = (uint8_t)(-saved->offset / 8);
	else
		rule->more = HB_BX_LOST;
}

static bool cfa_make(const struct cfi_machine *machine, const struct cfi_state *state, struct hb_rule *rule)
{
	bool deref = state->base == CFI_BASE_DEREF;
	uint64_t reg = deref ? state->at_reg : state->reg;
	int64_t offset = deref ? state->at_offset : state->offset;
	bool sp = reg == machine->sp, bx = !deref && !machine->link && reg == machine->bx;

	if (deref || state->base == CFI_BASE_PLT)
		rule->aux = (int32_t)state->aux;
	if (state->base == CFI_BASE_PLT) {
		rule->cfa = HB_CFA_PLT;
		return true;
	}
	if ((!deref && state->base != CFI_BASE_REGISTER) || (!sp && !bx && reg != machine->fp) || !fits(offset))
		return false;
	if (deref && machine->link)
		return false; /* there aux is the return address's */
	rule->cfa_offset = (int32_t)offset;
	if (deref)
		rule->cfa = sp ? HB_CFA_DEREF_SP : HB_CFA_DEREF_FP;
	else if (bx)
		rule->cfa = HB_CFA_BX;
	else
		rule->cfa = sp ? HB_CFA_SP : HB_CFA_FP;
	return true;
}

static bool ra_make(const struct cfi_machine *machine, const struct cfi_saved *saved, struct hb_rule *rule)
{
	rule->ra = HB_SAVED_AT_CFA;
	if (!machine->link) /* a call pushes it, and it stays there */
		return saved->how == CFI_AT_CFA && saved->offset == -8;
	if (saved->how == CFI_UNSET || saved->how == CFI_SAME) {
		rule->ra = HB_SAVED_SAME;
		return true;
	}
	rule->aux = (int32_t)saved->offset;
	return saved->how == CFI_AT_CFA && fits(saved->offset);
}

static bool is_signal_frame(const struct cfi_machine *machine, const struct cfi_state *state)
{
	return !machine->signal_sp || (state->base == CFI_BASE_DEREF && state->at_reg == machine->sp &&
				       state->at_offset == machine->signal_sp && !state->aux);
}

struct hb_rule cfi_rule_make(const struct cfi_machine *machine, const struct cfi_state *state, bool signal)
{
	struct hb_rule rule = { 0 };

	if (signal && is_signal_frame(machine, state))
		return (struct hb_rule){ .cfa = HB_CFA_SIGNAL };
	if (state->ra.how == CFI_UNDEFINED)
		return (struct hb_rule){ .cfa = HB_CFA_STOP };
	if (!cfa_make(machine, state, &rule) || !ra_make(machine, &state->ra, &rule))
		return (struct hb_rule){ .cfa = HB_CFA_UNSUPPORTED };
	fp_make(&state->fp, &rule);
	if (!machine->link)
		bx_make(&state->bx, &rule);
	return rule;
}

/* --- each rule once -------------------------------------------------------------------------- */

static size_t slot_of(const struct hb_rule *rule)
{
	uint64_t words[2];

	memcpy(words, rule, sizeof(words));
	words[0] *= 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio: Knuth's multiplicative hash */
	words[0] = (words[0] ^ words[0] >> 32 ^ words[1]) * 0x9e3779b97f4a7c15u;
	return (words[0] >> 40) & (SLOTS - 1);
}

int cfi_rules_init(struct cfi_build *build)
{
	static const struct hb_rule fixed[] = {
		[HB_RULE_NONE] = { .cfa = HB_CFA_NONE },
		[HB_RULE_UNSUPPORTED] = { .cfa = HB_CFA_UNSUPPORTED },
	};
	struct cfi_table *table = build->table;

	build->slots = calloc(SLOTS, sizeof(*build->slots));
	table->rules = malloc(CFI_RULES_MAX * sizeof(*table->rules));
	if (!build->slots || !table->rules)
		return -ENOMEM;
	memcpy(table->rules, fixed, sizeof(fixed));
	table->rules_count = sizeof(fixed) / sizeof(fixed[0]);
	build->slots[slot_of(&fixed[HB_RULE_UNSUPPORTED])] = HB_RULE_UNSUPPORTED;
	return 0;
}

uint32_t cfi_rule_intern(struct cfi_build *build, const struct hb_rule *rule)
{
	struct cfi_table *table = build->table;
	size_t slot = slot_of(rule), probes = 0;

	while (build->slots[slot]) {
		if (!memcmp(&table->rules[build->slots[slot]], rule, sizeof(*rule)))
			return build->slots[slot];
		if (++probes == PROBES_MAX)
			return HB_RULE_UNSUPPORTED;
		slot = (slot + 1) & (SLOTS - 1);
	}
	if (table->rules_count == CFI_RULES_MAX)
		return HB_RULE_UNSUPPORTED;
	table->rules[table->rules_count] = *rule;
	build->slots[slot] = (uint16_t)table->rules_count;
	return (uint32_t)table->rules_count++;
}
