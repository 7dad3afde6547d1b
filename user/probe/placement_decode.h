/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one instruction at a function's beginning does to a call, and what a probe on it costs. A
 * machine is a row in placement.c and a file placement_<machine>.c; each is built everywhere.
 */
#ifndef HB_PROBE_PLACEMENT_DECODE_H
#define HB_PROBE_PLACEMENT_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEP_TEXT 40
#define STEP_ARGS 6 /* arguments that travel in registers and that a cookie can name */

/* What the kernel does in place of the instruction. Cheapest first. */
enum step_cost {
	STEP_CALLED,   /* a 5-byte nop: newer kernels make a call of it, older ones single-step it */
	STEP_EMULATED, /* by every kernel since 5.10 */
	STEP_STEPPED,  /* runs a copy, with an exception of its own */
};

/* Bits of what is written. Those of the arguments are 1u << 1 to 1u << STEP_ARGS. */
#define STEP_WRITES_STACK (1u << 7) /* the stack pointer */
#define STEP_WRITES_FRAME (1u << 8) /* what unwinding begins with: frame pointer, rbx, link register */

/* Where to go on if an argument is NULL. */
#define STEP_NULL_FLAGS 7 /* jumps if the flags say "zero", and only then */

struct step {
	unsigned int length;  /* in bytes */
	enum step_cost cost;
	bool passes;          /* the next one follows, and nothing but registers is written */
	uint32_t writes;
	uint8_t null_test;    /* sets the zero flag if this argument is NULL, clears it if not; 0: no test */
	bool keeps_flags;
	uint8_t null_branch;  /* jumps if this argument is NULL, and only then, or STEP_NULL_FLAGS; 0: neither */
	char text[STEP_TEXT]; /* as objdump writes it */
};

/*
 * Decode the instruction that begins with @bytes, which lie at @vaddr. @size: as many as there
 * are. false: it is no instruction.
 */
bool x86_step(const uint8_t *bytes, size_t size, uint64_t vaddr, struct step *step);
bool arm64_step(const uint8_t *bytes, size_t size, uint64_t vaddr, struct step *step);

/*
 * Call @visit(@arg, to) for every address in [@low, @high) that code in @bytes may jump to or call
 * directly, wherever in them an instruction may begin. Left to others: x86's jumps of one byte. Up
 * to 6 bytes behind @size are not looked at: pieces of a text must overlap by as many.
 */
#define SCAN_OVERLAP 6
void x86_targets(const uint8_t *bytes, size_t size, uint64_t vaddr, uint64_t low, uint64_t high,
		 void (*visit)(void *arg, uint64_t to), void *arg);
void arm64_targets(const uint8_t *bytes, size_t size, uint64_t vaddr, uint64_t low, uint64_t high,
		   void (*visit)(void *arg, uint64_t to), void *arg);

#endif
