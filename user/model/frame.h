/* SPDX-License-Identifier: Apache-2.0 */
/* One frame of a stack, named as far as could be. */
#ifndef HB_MODEL_FRAME_H
#define HB_MODEL_FRAME_H

#include <stdbool.h>
#include <stdint.h>

enum frame_kind {
	FRAME_UNKNOWN, /* in no known mapping */
	FRAME_NATIVE,
	FRAME_KERNEL, /* the kernel's own, a module's, or that of a BPF program */
};

/* All strings are borrowed from the symbol cache (the kernel's: from kallsyms) and live as long as it does. */
struct frame {
	enum frame_kind kind;
	bool inlined;         /* into the next frame: it has no return address of its own */
	bool exact;           /* the address itself is meant (interrupted there), not the call before it */
	uint64_t address;     /* in the process or kernel; 0: not known (the frame is known by file and offset) */
	const char *function; /* demangled, or NULL */
	const char *module;   /* path as the process sees it, "[jit]"; "[kernel]", "[nf_tables]"; or NULL */
	const char *build_id; /* hex, or NULL */
	uint64_t offset;      /* vaddr in the ELF file (of the kernel: see kallsyms.h); valid if module is set */
	const char *file;     /* source file as DWARF has it, or NULL */
	unsigned int line;    /* in it, from 1; 0: not known */
	const char *stopped;  /* why the walk ended at this frame ("no unwind rows for libfoo.so"), or NULL */
};

#endif
