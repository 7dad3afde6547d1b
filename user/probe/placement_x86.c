// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel does with a probe: arch/x86/kernel/uprobes.c. branch_setup_xol_ops() and
 * push_setup_xol_ops() choose what is emulated, can_optimize() (6.18) what becomes a call.
 */
#include "placement_decode.h"

#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

/* The registers that matter, and their bit. */
static uint32_t writes_bit(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_RDI: return 1u << 1;
	case ZYDIS_REGISTER_RSI: return 1u << 2;
	case ZYDIS_REGISTER_RDX: return 1u << 3;
	case ZYDIS_REGISTER_RCX: return 1u << 4;
	case ZYDIS_REGISTER_R8: return 1u << 5;
	case ZYDIS_REGISTER_R9: return 1u << 6;
	case ZYDIS_REGISTER_RSP: return STEP_WRITES_STACK;
	case ZYDIS_REGISTER_RBP:
	case ZYDIS_REGISTER_RBX: return STEP_WRITES_FRAME;
	default: return 0;
	}
}

static uint8_t argument_of(ZydisRegister reg)
{
	uint32_t bit = writes_bit(reg);
	uint8_t arg;

	for (arg = 1; arg <= STEP_ARGS; arg++) {
		if (bit == 1u << arg)
			return arg;
	}
	return 0;
}

/* What only computes, or loads, whatever its operands: where it stores, its operands say so. */
static bool is_harmless(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_ENDBR64:
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_TEST:
	case ZYDIS_MNEMONIC_CMP:
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
	case ZYDIS_MNEMONIC_LEA:
	case ZYDIS_MNEMONIC_XOR:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_ADC:
	case ZYDIS_MNEMONIC_SBB:
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_NOT:
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_IMUL:
	case ZYDIS_MNEMONIC_MUL:
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BSR:
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_LZCNT:
	case ZYDIS_MNEMONIC_TZCNT:
	case ZYDIS_MNEMONIC_BSWAP:
	case ZYDIS_MNEMONIC_CDQE:
	case ZYDIS_MNEMONIC_SETZ:
	case ZYDIS_MNEMONIC_SETNZ:
	case ZYDIS_MNEMONIC_SETB:
	case ZYDIS_MNEMONIC_SETNB:
	case ZYDIS_MNEMONIC_SETBE:
	case ZYDIS_MNEMONIC_SETNBE:
	case ZYDIS_MNEMONIC_CMOVZ:
	case ZYDIS_MNEMONIC_CMOVNZ:
	case ZYDIS_MNEMONIC_CMOVB:
	case ZYDIS_MNEMONIC_CMOVNB:
	case ZYDIS_MNEMONIC_CMOVBE:
	case ZYDIS_MNEMONIC_CMOVNBE:
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_PXOR:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_MOVUPS:
		return true;
	default:
		return false;
	}
}

/* A register that a plain computation may write: general, vector, flags, instruction pointer (by going on). */
static bool is_ordinary(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR64:
	case ZYDIS_REGCLASS_MMX:
	case ZYDIS_REGCLASS_XMM:
	case ZYDIS_REGCLASS_YMM:
	case ZYDIS_REGCLASS_ZMM:
	case ZYDIS_REGCLASS_FLAGS:
		return true;
	default:
		return false;
	}
}

static void operand_take(const ZydisDecodedOperand *operand, struct step *step)
{
	ZydisRegister reg;

	if (!(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return;
	if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
		step->passes = false; /* it stores */
		return;
	}
	reg = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand->reg.value);
	if (reg == ZYDIS_REGISTER_NONE)
		reg = operand->reg.value;
	if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_FLAGS)
		step->keeps_flags = false;
	step->writes |= writes_bit(reg);
	step->passes &= is_ordinary(reg);
}

/* test %reg,%reg and cmp $0,%reg with the whole of an argument. */
static uint8_t null_test(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operands)
{
	const ZydisDecodedOperand *left = &operands[0], *right = &operands[1];

	if (instruction->operand_count_visible != 2 || left->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return 0;
	if (instruction->mnemonic == ZYDIS_MNEMONIC_TEST && right->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    left->reg.value == right->reg.value)
		return argument_of(left->reg.value);
	if (instruction->mnemonic == ZYDIS_MNEMONIC_CMP && right->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	    !right->imm.value.u)
		return argument_of(left->reg.value);
	return 0;
}

/*
 * Without prefixes, for with them kernels differ: "66 90" was refused before 6.2, as a branch with
 * 66 still is. A call is left out: whether the emulated one tells a shadow stack depends on the kernel.
 */
static enum step_cost cost_of(const uint8_t *bytes, unsigned int length, uint64_t vaddr)
{
	static const uint8_t nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	uint8_t first = bytes[0], second = length > 1 ? bytes[1] : 0;

	if ((first == 0x90 || (first >= 0x50 && first <= 0x57)) && length == 1)
		return STEP_EMULATED; /* nop, push */
	if (first == 0x41 && second >= 0x50 && second <= 0x57 && length == 2)
		return STEP_EMULATED; /* push %r8 and up */
	if ((first == 0xeb || (first >= 0x70 && first <= 0x7f)) && length == 2)
		return STEP_EMULATED; /* short jumps */
	if ((first == 0xe9 && length == 5) || (first == 0x0f && (second & 0xf0) == 0x80 && length == 6))
		return STEP_EMULATED; /* jumps */
	if (length == sizeof(nop5) && !memcmp(bytes, nop5, sizeof(nop5)) && vaddr % 4096 <= 4096 - sizeof(nop5))
		return STEP_CALLED; /* it is rewritten at once, so not across pages */
	return STEP_STEPPED;
}

/* Names of conditional jumps as objdump has them, by the low half of the opcode. */
static const char *const conditional[16] = {
	"jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg",
};

static bool formatter_init(ZydisFormatter *formatter)
{
	static const ZydisFormatterProperty unpadded[] = {
		ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_FORMATTER_PROP_IMM_PADDING,
		ZYDIS_FORMATTER_PROP_DISP_PADDING,
	};
	size_t i;

	if (!ZYAN_SUCCESS(ZydisFormatterInit(formatter, ZYDIS_FORMATTER_STYLE_ATT)))
		return false;
	for (i = 0; i < sizeof(unpadded) / sizeof(unpadded[0]); i++)
		ZydisFormatterSetProperty(formatter, unpadded[i], ZYDIS_PADDING_DISABLED);
	ZydisFormatterSetProperty(formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
	return true;
}

static void text_of(const uint8_t *bytes, const ZydisDecodedInstruction *instruction,
		    const ZydisDecodedOperand *operands, uint64_t vaddr, struct step *step)
{
	ZydisFormatter formatter;

	if (instruction->meta.category == ZYDIS_CATEGORY_COND_BR && step->cost == STEP_EMULATED)
		snprintf(step->text, sizeof(step->text), "%s 0x%llx", conditional[bytes[bytes[0] == 0x0f] & 15],
			 (unsigned long long)(vaddr + step->length + (uint64_t)operands[0].imm.value.s));
	else if (step->cost == STEP_CALLED)
		snprintf(step->text, sizeof(step->text), "nopl 0x0(%%rax,%%rax,1)");
	else if (!formatter_init(&formatter) ||
		 !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, instruction, operands,
							       instruction->operand_count_visible, step->text,
							       sizeof(step->text), vaddr, NULL)))
		snprintf(step->text, sizeof(step->text), "%s", ZydisMnemonicGetString(instruction->mnemonic));
}

bool x86_step(const uint8_t *bytes, size_t size, uint64_t vaddr, struct step *step)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction instruction;
	ZydisDecoder decoder;
	size_t i;

	memset(step, 0, sizeof(*step));
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, size, &instruction, operands)))
		return false;
	step->length = instruction.length;
	step->cost = cost_of(bytes, instruction.length, vaddr);
	step->passes = is_harmless(instruction.mnemonic) && !(instruction.attributes & ZYDIS_ATTRIB_HAS_LOCK);
	step->keeps_flags = true;
	for (i = 0; i < instruction.operand_count; i++)
		operand_take(&operands[i], step);
	step->null_test = null_test(&instruction, operands);
	if (instruction.mnemonic == ZYDIS_MNEMONIC_JZ)
		step->null_branch = STEP_NULL_FLAGS;
	text_of(bytes, &instruction, operands, vaddr, step);
	return true;
}

/*
 * Jumps and calls that carry 4 bytes of offset: e8, e9, 0f 80 to 0f 8f. Every byte may begin one, so
 * there may be found what is none, in the midst of another instruction, but none is overlooked.
 */
void x86_targets(const uint8_t *bytes, size_t size, uint64_t vaddr, uint64_t low, uint64_t high,
		 void (*visit)(void *arg, uint64_t to), void *arg)
{
	size_t i;

	for (i = 0; i + SCAN_OVERLAP <= size; i++) {
		uint64_t to = vaddr + i;
		int32_t offset;

		if ((bytes[i] & 0xfe) == 0xe8) {
			memcpy(&offset, bytes + i + 1, sizeof(offset));
			to += 5;
		} else if (bytes[i] == 0x0f && (bytes[i + 1] & 0xf0) == 0x80) {
			memcpy(&offset, bytes + i + 2, sizeof(offset));
			to += 6;
		} else {
			continue;
		}
		to += (uint64_t)(int64_t)offset;
		if (to - low < high - low)
			visit(arg, to);
	}
}
