/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The independent unwinder: elfutils' libdwfl, over the registers of a stopped thread and its memory. It
 * evaluates .eh_frame itself, with all registers. Where there is none it follows frame pointers (x86_64
 * and aarch64 backends of libebl), and takes what it finds there for frames as long as it lies up the stack.
 *
 * On aarch64 neither serves above a signal's handler: the kernel's trampoline has no unwind information, and
 * the record that it keeps holds the link register of what was interrupted, not where that was. From there
 * on the walk is begun anew with the registers that the kernel saved. On x86_64 libdw's list of what a call
 * leaves alone has rax in rbx's place (elfutils 0.188), and frames of the dynamic linker are found by rbx.
 */
#ifndef HB_TEST_ORACLE_H
#define HB_TEST_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sample.h"

#define ORACLE_FRAMES_MAX 1024 /* deeper stacks are cut */

struct oracle_frame {
	uint64_t pc;
	uint64_t sp;
	bool exact;   /* pc was interrupted, not returned to */
	bool resumed; /* a signal's trampoline, above which the walk was begun anew */
};

struct oracle_stack {
	struct oracle_frame frames[ORACLE_FRAMES_MAX]; /* innermost first */
	size_t count;
	bool complete;    /* the unwind information says that this was the outermost frame */
	bool lost;        /* the last frame's end is found by a register that was not followed */
	bool cut;         /* at ORACLE_FRAMES_MAX */
	char why[128];    /* it went no further, else "" */
};

/* One per process; what it read of the process's files is kept until its mappings change. */
struct oracle;

/* 0 or negative errno. */
int oracle_new(struct oracle **oracle, pid_t pid);
void oracle_free(struct oracle *oracle);

/* The mappings are not what they were. 0 or negative errno. */
int oracle_remap(struct oracle *oracle);

/* Walk the stack of thread @tid, which is stopped, from @registers on (struct pt_regs). 0 or negative errno. */
int oracle_walk(struct oracle *oracle, pid_t tid, const __u64 registers[SAMPLE_WORDS], struct oracle_stack *stack);

/* Whether there is unwind information for a frame at @pc. */
bool oracle_knows(struct oracle *oracle, uint64_t pc, bool exact);

/* "function+0x12 (libc.so.6)" of a frame at @pc into @out; returns it. */
const char *oracle_name(struct oracle *oracle, uint64_t pc, bool exact, char *out, size_t size);

/* Read 8 bytes of the process. */
bool oracle_read(struct oracle *oracle, uint64_t address, uint64_t *value);

/* What of @registers the kernel shows of a stopped thread. */
uint64_t registers_pc(const __u64 registers[SAMPLE_WORDS]);
uint64_t registers_sp(const __u64 registers[SAMPLE_WORDS]);

#endif
