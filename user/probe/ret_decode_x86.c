// SPDX-License-Identifier: Apache-2.0
#include "ret_decode.h"

#include <string.h>

#include <Zydis/Zydis.h>

_Static_assert(ZYDIS_MAX_INSTRUCTION_LENGTH <= CODE_BYTES_MAX, "any instruction is seen whole");

/* Where a call or jump goes. A memory operand without base is relative to the next instruction. */
static void target_of(const ZydisDecodedInstruction *instruction, uint64_t next, struct code *code)
{
	if (instruction->raw.imm[0].size && instruction->raw.imm[0].is_relative) {
		code->target = TARGET_CODE;
		code->to = next + (uint64_t)instruction->raw.imm[0].value.s;
	} else if ((instruction->attributes & ZYDIS_ATTRIB_HAS_MODRM) && !instruction->raw.modrm.mod &&
		   instruction->raw.modrm.rm == 5) {
		code->target = TARGET_SLOT;
		code->to = next + (uint64_t)instruction->raw.disp.value;
	}
}

static void unknown(struct code *code, const char *why)
{
	code->kind = CODE_UNKNOWN;
	code->why = why;
}

static void kind_by_name(ZydisMnemonic mnemonic, struct code *code)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_INT3:
		code->padding = true;
		/* fall through */
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		code->kind = CODE_TRAP;
		break;
	case ZYDIS_MNEMONIC_NOP:
		code->padding = true;
		break;
	case ZYDIS_MNEMONIC_ENDBR64:
		code->landing = true;
		break;
	default:
		break;
	}
}

static void kind_of(const ZydisDecodedInstruction *instruction, uint64_t next, struct code *code)
{
	switch (instruction->meta.category) {
	case ZYDIS_CATEGORY_RET:
		if (instruction->mnemonic == ZYDIS_MNEMONIC_RET &&
		    instruction->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR)
			code->kind = CODE_RET;
		else
			unknown(code, "returns to another mode");
		break;
	case ZYDIS_CATEGORY_CALL:
		code->kind = CODE_CALL;
		target_of(instruction, next, code);
		break;
	case ZYDIS_CATEGORY_UNCOND_BR:
		code->kind = CODE_JUMP;
		target_of(instruction, next, code);
		break;
	case ZYDIS_CATEGORY_COND_BR:
		code->kind = CODE_BRANCH;
		target_of(instruction, next, code);
		if (code->target != TARGET_CODE)
			unknown(code, "jumps in an unknown way");
		break;
	default:
		kind_by_name(instruction->mnemonic, code);
	}
}

bool x86_decode(const uint8_t *bytes, size_t size, uint64_t vaddr, struct code *code)
{
	ZydisDecodedInstruction instruction;
	ZydisDecoder decoder;

	memset(code, 0, sizeof(*code));
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, size, &instruction)))
		return false;
	code->length = instruction.length;
	kind_of(&instruction, vaddr + instruction.length, code);
	return true;
}
