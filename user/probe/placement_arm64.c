// SPDX-License-Identifier: Apache-2.0
/*
 * A64, from the Arm Architecture Reference Manual (DDI 0487), C4.1. What the kernel does with a
 * probe: arm_probe_decode_insn(), arch/arm64/kernel/probes/decode-insn.c, which simulates branches
 * and adr, adrp; all else runs as a copy. Not relied upon: nop, which is simulated since 6.13
 * ("arm64: insn: Simulate nop instruction for better uprobe performance"). Its first version did
 * "stp x29, x30, [sp, #imm]!" too, its second left that out.
 */
#include "placement_decode.h"

#include <stdio.h>
#include <string.h>

#define WORD  4u
#define ZERO  31u /* the zero register, or the stack pointer */
#define FRAME 29u
#define LINK  30u

/* What a word writes. */
enum writes {
	WRITES_NOTHING,
	WRITES_RD,      /* bits 0 to 4; 31 is the zero register */
	WRITES_RD_SP,   /* bits 0 to 4; 31 is the stack pointer */
	WRITES_PAIR,    /* bits 0 to 4 and 10 to 14 */
	WRITES_ELSE,    /* memory, or what we do not know */
};

/* The first row that fits says what a word is. */
struct pattern {
	uint32_t mask, value;
	enum writes writes;
	bool emulated;
	bool flags; /* it writes them */
	const char *name; /* NULL: it stands for several */
};

static const struct pattern patterns[] = {
	{ 0xffffffff, 0xd503201f, WRITES_NOTHING, .name = "nop" },
	{ 0xffffff3f, 0xd503241f, WRITES_NOTHING, .name = "bti" },
	{ 0xffffffff, 0xd503233f, WRITES_ELSE, .name = "paciasp" },
	{ 0xffffffff, 0xd503237f, WRITES_ELSE, .name = "pacibsp" },
	{ 0xfc000000, 0x14000000, WRITES_ELSE, .emulated = true, .name = "b" },
	{ 0xff000010, 0x54000000, WRITES_ELSE, .emulated = true, .name = "b.cond" },
	{ 0x7f000000, 0x34000000, WRITES_ELSE, .emulated = true, .name = "cbz" },
	{ 0x7f000000, 0x35000000, WRITES_ELSE, .emulated = true, .name = "cbnz" },
	{ 0x7f000000, 0x36000000, WRITES_ELSE, .emulated = true, .name = "tbz" },
	{ 0x7f000000, 0x37000000, WRITES_ELSE, .emulated = true, .name = "tbnz" },
	{ 0x9f000000, 0x10000000, WRITES_RD, .emulated = true, .name = "adr" },
	{ 0x9f000000, 0x90000000, WRITES_RD, .emulated = true, .name = "adrp" },
	/* Add, subtract, and, or, ... of an immediate. Those that set flags have no stack pointer as result. */
	{ 0x3f800000, 0x31000000, WRITES_RD, .flags = true },
	{ 0x1f800000, 0x11000000, .writes = WRITES_RD_SP },
	{ 0x7f800000, 0x72000000, WRITES_RD, .flags = true, .name = "ands" },
	{ 0x1f800000, 0x12000000, .writes = WRITES_RD_SP },
	{ 0x1f800000, 0x12800000, WRITES_RD, .name = "mov" },
	{ 0x1f800000, 0x13000000, .writes = WRITES_RD },
	/* The same of registers. */
	{ 0x7f000000, 0x6a000000, WRITES_RD, .flags = true, .name = "ands" },
	{ 0x1f000000, 0x0a000000, .writes = WRITES_RD },
	{ 0x3f000000, 0x2b000000, WRITES_RD, .flags = true },
	{ 0x1f200000, 0x0b000000, .writes = WRITES_RD },
	{ 0x1fe00000, 0x0b200000, .writes = WRITES_RD_SP },
	{ 0x1fe00000, 0x1a800000, WRITES_RD, .name = "csel" },
	{ 0x1f000000, 0x1b000000, .writes = WRITES_RD },
	/* The thread's own memory. */
	{ 0xffffffe0, 0xd53bd040, WRITES_RD, .name = "mrs" },
	/* Loads into general registers that leave their base: literal, scaled, unscaled, by register, pairs. */
	{ 0xbf000000, 0x18000000, WRITES_RD, .name = "ldr" },
	{ 0xff000000, 0x98000000, WRITES_RD, .name = "ldrsw" },
	{ 0xffc00000, 0xf9800000, WRITES_NOTHING, .name = "prfm" },
	{ 0x3fc00000, 0x39400000, WRITES_RD, .name = "ldr" },
	{ 0x3f800000, 0x39800000, .writes = WRITES_RD },
	{ 0xffe00c00, 0xf8800000, WRITES_NOTHING, .name = "prfum" },
	{ 0x3fe00c00, 0x38400000, WRITES_RD, .name = "ldur" },
	{ 0xffe00c00, 0xf8a00800, WRITES_NOTHING, .name = "prfm" },
	{ 0x3fe00c00, 0x38600800, WRITES_RD, .name = "ldr" },
	{ 0x7fc00000, 0x29400000, WRITES_PAIR, .name = "ldp" },
	{ 0x7e400000, 0x28000000, WRITES_ELSE, .name = "stp" },
	{ .writes = WRITES_ELSE },
};

static uint32_t word_at(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint32_t writes_bit(unsigned int reg)
{
	if (reg < STEP_ARGS)
		return 1u << (reg + 1);
	return reg == FRAME || reg == LINK ? STEP_WRITES_FRAME : 0;
}

static void writes_take(uint32_t word, const struct pattern *pattern, struct step *step)
{
	unsigned int rd = word & 31, other = word >> 10 & 31;

	step->passes = pattern->writes != WRITES_ELSE;
	step->keeps_flags = !pattern->flags;
	switch (pattern->writes) {
	case WRITES_RD_SP:
		step->writes = rd == ZERO ? STEP_WRITES_STACK : writes_bit(rd);
		break;
	case WRITES_PAIR:
		step->writes = writes_bit(rd) | writes_bit(other);
		break;
	case WRITES_RD:
		step->writes = writes_bit(rd);
		break;
	default:
		break;
	}
}

bool arm64_step(const uint8_t *bytes, size_t size, uint64_t vaddr, struct step *step)
{
	const struct pattern *pattern = patterns;
	uint32_t word;

	memset(step, 0, sizeof(*step));
	if (size < WORD || vaddr % WORD)
		return false;
	word = word_at(bytes);
	while ((word & pattern->mask) != pattern->value)
		pattern++;
	step->length = WORD;
	step->cost = pattern->emulated ? STEP_EMULATED : STEP_STEPPED;
	writes_take(word, pattern, step);
	/* cbz of a whole register: that of an argument asks whether it is NULL. */
	if ((word & 0xff000000) == 0xb4000000 && (word & 31) < STEP_ARGS)
		step->null_branch = (uint8_t)((word & 31) + 1);
	if (pattern->name)
		snprintf(step->text, sizeof(step->text), "%s", pattern->name);
	else
		snprintf(step->text, sizeof(step->text), ".inst 0x%08x", word);
	return true;
}

/* The offset of a branch in bytes, from the @bits at @shift of @word. */
static uint64_t offset_of(uint32_t word, unsigned int shift, unsigned int bits)
{
	uint64_t sign = 1ULL << (bits - 1), value = word >> shift & ((1ULL << bits) - 1);

	return ((value ^ sign) - sign) * WORD;
}

void arm64_targets(const uint8_t *bytes, size_t size, uint64_t vaddr, uint64_t low, uint64_t high,
		   void (*visit)(void *arg, uint64_t to), void *arg)
{
	size_t i;

	for (i = (0 - vaddr) % WORD; i + WORD <= size; i += WORD) {
		uint32_t word = word_at(bytes + i);
		uint64_t to = vaddr + i;

		if ((word & 0x7c000000) == 0x14000000) /* b, bl */
			to += offset_of(word, 0, 26);
		else if ((word & 0xff000000) == 0x54000000 || (word & 0x7e000000) == 0x34000000) /* b.cond, cbz */
			to += offset_of(word, 5, 19);
		else if ((word & 0x7e000000) == 0x36000000) /* tbz */
			to += offset_of(word, 5, 14);
		else
			continue;
		if (to - low < high - low)
			visit(arg, to);
	}
}
