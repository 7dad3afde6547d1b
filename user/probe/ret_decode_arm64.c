// SPDX-License-Identifier: Apache-2.0
/*
 * A64, from the Arm Architecture Reference Manual (DDI 0487), C4.1: every instruction is one
 * little-endian word, and all that do not go on to the next one are in one group.
 */
#include "ret_decode.h"

#include <string.h>

#define WORD 4u

/* The first row that fits says what a word is. */
struct pattern {
	uint32_t mask, value;
	enum code_kind kind;
	uint8_t bits, shift; /* where the offset to the target is, in words; 0 bits: none */
	bool padding, landing;
	const char *why;
};

/*
 * The kernel takes probes on branches only if it can do in their place what they do, as it can for
 * ret, but not for one that checks a signature (arm_probe_decode_insn(), arch/arm64/kernel/probes/
 * decode-insn.c).
 */
#define NO_PROBE "returns by retaa, where the kernel takes no probe"

static const struct pattern patterns[] = {
	{ 0xfc000000, 0x14000000, .kind = CODE_JUMP, .bits = 26 },      /* b */
	{ 0xfc000000, 0x94000000, .kind = CODE_CALL, .bits = 26 },      /* bl */
	{ 0xff000000, 0x54000000, .kind = CODE_BRANCH, .bits = 19, .shift = 5 }, /* b.cond, bc.cond */
	{ 0x7e000000, 0x34000000, .kind = CODE_BRANCH, .bits = 19, .shift = 5 }, /* cbz, cbnz */
	{ 0x7e000000, 0x36000000, .kind = CODE_BRANCH, .bits = 14, .shift = 5 }, /* tbz, tbnz */
	{ 0xffffffff, 0xd65f03c0, .kind = CODE_RET },                   /* ret */
	{ 0xfffffc1f, 0xd65f0000, .kind = CODE_UNKNOWN, .why = "returns by another register" }, /* ret x17 */
	{ 0xfffffbe0, 0xd65f0be0, .kind = CODE_UNKNOWN, .why = NO_PROBE }, /* retaa, retab, retaasppcr ... */
	{ 0xffc0001f, 0x5500001f, .kind = CODE_UNKNOWN, .why = NO_PROBE }, /* retaasppc, retabsppc */
	{ 0xfffffc1f, 0xd61f0000, .kind = CODE_JUMP },                  /* br */
	{ 0xfffff81f, 0xd61f081f, .kind = CODE_JUMP },                  /* braaz, brabz */
	{ 0xfffff800, 0xd71f0800, .kind = CODE_JUMP },                  /* braa, brab */
	{ 0xfffffc1f, 0xd63f0000, .kind = CODE_CALL },                  /* blr */
	{ 0xfffff81f, 0xd63f081f, .kind = CODE_CALL },                  /* blraaz, blrabz */
	{ 0xfffff800, 0xd73f0800, .kind = CODE_CALL },                  /* blraa, blrab */
	{ 0xffff0000, 0x00000000, .kind = CODE_TRAP, .padding = true }, /* udf */
	{ 0xffe0001f, 0xd4200000, .kind = CODE_TRAP, .padding = true }, /* brk */
	{ 0xffe0001f, 0xd4400000, .kind = CODE_TRAP },                  /* hlt */
	{ 0xff000000, 0xd4000000, .kind = CODE_PLAIN },                 /* svc and its like */
	{ 0xffffffff, 0xd503201f, .kind = CODE_PLAIN, .padding = true }, /* nop */
	{ 0xffffff3f, 0xd503241f, .kind = CODE_PLAIN, .landing = true }, /* bti */
	{ 0xff000000, 0xd5000000, .kind = CODE_PLAIN },                 /* hints, system registers */
	/* What is left of the group of branches: newer ones, and those of kernels. */
	{ 0x1c000000, 0x14000000, .kind = CODE_UNKNOWN, .why = "has a branch of an unknown kind" },
	{ 0, 0, .kind = CODE_PLAIN },
};

static uint32_t word_at(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The @bits from @shift on, as a number with a sign. */
static int64_t field(uint32_t word, unsigned int shift, unsigned int bits)
{
	uint64_t sign = 1ULL << (bits - 1), value = word >> shift & ((1ULL << bits) - 1);

	return (int64_t)((value ^ sign) - sign);
}

static unsigned int register_at(uint32_t word, unsigned int shift)
{
	return word >> shift & 31;
}

static bool jumps_by(uint32_t word, unsigned int reg)
{
	return register_at(word, 5) == reg &&
	       ((word & 0xfffffc1f) == 0xd61f0000 ||  /* br */
		(word & 0xfefff800) == 0xd61f0800);   /* braaz, brabz, braa, brab */
}

/* adrp: the page that it puts into register *@reg. */
static bool page_of(uint32_t word, uint64_t vaddr, unsigned int *reg, uint64_t *page)
{
	if ((word & 0x9f000000) != 0x90000000)
		return false;
	*reg = register_at(word, 0);
	*page = (vaddr & ~0xfffULL) + ((uint64_t)field(word, 5, 19) << 14) + ((uint64_t)(word >> 29 & 3) << 12);
	return true;
}

/*
 * A jump that takes several words, as linkers write it:
 *   adrp x16, page; ldr x17, [x16, #low]; add x16, x16, #low; br x17   an entry of the PLT
 *   adrp x16, page; add x16, x16, #low; br x16                         a way to far code
 * The first may lack its add, or have "autia1716" before its br. What jumps into the midst of one
 * finds a jump by register there.
 */
static bool linker_jump(const uint8_t *bytes, size_t size, uint64_t vaddr, struct code *code)
{
	uint32_t words[CODE_BYTES_MAX / WORD + 1] = { 0 }; /* the last stays 0, which is none of them */
	unsigned int base, reg, at = 2;
	bool slot;
	uint64_t page;
	size_t i;

	for (i = 0; i < CODE_BYTES_MAX / WORD && i < size / WORD; i++)
		words[i] = word_at(bytes + i * WORD);
	if (!page_of(words[0], vaddr, &base, &page) || register_at(words[1], 5) != base)
		return false;
	slot = (words[1] & 0xffc00000) == 0xf9400000; /* ldr reg, [base, #] */
	if (!slot && (words[1] & 0xffc00000) != 0x91000000) /* add reg, base, # */
		return false;
	reg = register_at(words[1], 0);
	if (slot && reg != base && (words[at] & 0xffc003ff) == (0x91000000 | base << 5 | base))
		at++;
	if (slot && words[at] == 0xd503219f) /* autia1716 */
		at++;
	if (!jumps_by(words[at], reg))
		return false;
	code->kind = CODE_JUMP;
	code->length = (at + 1) * WORD;
	code->target = slot ? TARGET_SLOT : TARGET_CODE;
	code->to = page + (words[1] >> 10 & 0xfff) * (slot ? 8 : 1);
	return true;
}

bool arm64_decode(const uint8_t *bytes, size_t size, uint64_t vaddr, struct code *code)
{
	const struct pattern *pattern = patterns;
	uint32_t word;

	memset(code, 0, sizeof(*code));
	if (size < WORD || vaddr % WORD)
		return false;
	if (linker_jump(bytes, size, vaddr, code))
		return true;
	word = word_at(bytes);
	while ((word & pattern->mask) != pattern->value)
		pattern++;
	code->kind = pattern->kind;
	code->why = pattern->why;
	code->length = WORD;
	code->padding = pattern->padding;
	code->landing = pattern->landing;
	if (pattern->bits) {
		code->target = TARGET_CODE;
		code->to = vaddr + (uint64_t)field(word, pattern->shift, pattern->bits) * WORD;
	}
	return true;
}
