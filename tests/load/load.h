/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Truth kept beside every call, for programs whose sums are known. Nothing here allocates:
 * counters live in a linker section, text is made in static buffers and leaves by write(2).
 */
#ifndef HB_LOAD_H
#define HB_LOAD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one callsite took, and what was given back of it. */
struct load_site {
	const char *function; /* the C name a tracer must show as frames[0] */
	unsigned long long allocated_bytes, allocated_count;
	unsigned long long freed_bytes, freed_count;
} __attribute__((aligned(64))); /* an array in its section, whatever the linker pads */

#define LOAD_SITE(name)                                                                    \
	static struct load_site truth_##name                                               \
		__attribute__((section("load_sites"), used)) = { #name, 0, 0, 0, 0 }

/* A callsite keeps its name and its frame. */
#ifdef __clang__
#define LOAD_CALL __attribute__((noinline))
#else
#define LOAD_CALL __attribute__((noinline, noclone))
#endif

/* A block and whom it belongs to; no block: nothing is held. */
struct load_block {
	void *block;
	size_t bytes;
	struct load_site *site;
};

/* Count @block as @bytes taken by @site unless it is NULL. Returns @block. */
void *load_took(struct load_site *site, void *block, size_t bytes);

/* Count @bytes given back of what @site took. */
void load_gave(struct load_site *site, size_t bytes);

/* free() the block and count it; empties @held. */
void load_drop(struct load_block *held);

/* Start again from zero: a forked child, or a program that was attached to only now. */
void load_reset(void);

/* A number besides the sums, under a name that lives for ever. The last one wins. */
void load_fact(const char *name, unsigned long long value);

/* Append this process's truth as one line to the file named by HB_TRUTH. Nothing if unset. */
void load_write(const char *mode);

/* The program itself went wrong: say so and leave with 99. */
void load_fail(const char *why) __attribute__((noreturn));
void load_check(int holds, const char *what);

/* The number in @text, or a failure. */
unsigned long long load_number(const char *text);

#ifdef __cplusplus
}
#endif

#endif
