/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks told by a second unwinder, libgcc's, for programs that a tracer walks too. unwind.c is
 * linked with --wrap=malloc: a call for UNWIND_LOW to UNWIND_HIGH bytes appends the stack of its
 * caller to the file named by HB_ORACLE, then jumps to malloc, so that malloc returns to that same
 * caller. Blocks of such sizes are never freed.
 *
 * A line: {"bytes":7001,"frames":[["unwind_plain",4660,0],...]} innermost first; a frame is its
 * module's last name, the address in the file's own terms, and 1 where it was interrupted there.
 */
#ifndef HB_UNWIND_H
#define HB_UNWIND_H

#include <stddef.h>
#include <stdint.h>

#include "load.h"

#define UNWIND_LOW  7000
#define UNWIND_HIGH 7999

#ifdef __cplusplus
extern "C" {
#endif

/* A frame that returns: what is called in it is called, not jumped to. */
#define UNWIND_STAY() __asm__ volatile("" ::: "memory")

/* Take @bytes for ever; written where it is called, so that the frame above malloc is the caller's. */
#define UNWIND_TAKE(bytes)                                                                           \
	do {                                                                                         \
		void *taken_block = malloc(bytes);                                                   \
                                                                                                     \
		load_check(taken_block != NULL, "a block");                                          \
		__asm__ volatile("" ::"r"(taken_block) : "memory");                                  \
	} while (0)

/* The line of a stack that libgcc cannot walk: @pcs, then the frames of the caller's callers. */
void unwind_tell(size_t bytes, const uintptr_t *pcs, size_t count);

#ifdef __cplusplus
}
#endif

#endif
