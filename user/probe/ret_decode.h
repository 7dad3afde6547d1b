/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one instruction means for the way through a function. A machine is a row in ret_sites.c and
 * a file ret_decode_<machine>.c; each is built everywhere, for a file's machine need not be ours.
 */
#ifndef HB_PROBE_RET_DECODE_H
#define HB_PROBE_RET_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_BYTES_MAX 20 /* decoded as one: x86 has instructions of 15, arm64 PLT entries of 20 */

enum code_kind {
	CODE_PLAIN,   /* the next one follows */
	CODE_RET,     /* returns, and the kernel takes a probe there */
	CODE_CALL,
	CODE_JUMP,
	CODE_BRANCH,  /* jumps or not; its target is TARGET_CODE */
	CODE_TRAP,    /* ends the process, if it is ever reached */
	CODE_UNKNOWN, /* leads where we cannot follow: @why */
};

/* How a call or a jump says where it goes. */
enum code_target {
	TARGET_UNKNOWN, /* by a register or a table */
	TARGET_CODE,    /* to address @to */
	TARGET_SLOT,    /* to what the word at @to holds */
};

struct code {
	enum code_kind kind;
	enum code_target target;
	uint64_t to;
	const char *why;     /* goes after "it"; static */
	unsigned int length; /* in bytes */
	bool padding;        /* linkers fill the space between functions with it */
	bool landing;        /* does nothing but allow to be jumped to, as endbr64 and bti do */
};

/*
 * Decode what begins with @bytes, which lie at @vaddr: one instruction, or those of a PLT entry up
 * to its jump. @size: as many as there are, CODE_BYTES_MAX will do. false: it is no instruction.
 */
bool x86_decode(const uint8_t *bytes, size_t size, uint64_t vaddr, struct code *code);
bool arm64_decode(const uint8_t *bytes, size_t size, uint64_t vaddr, struct code *code);

#endif
