/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a file lets memory be allocated and freed: the table of allocators and the search for
 * their entry points in one ELF file. A new allocator whose functions fit a role is a row in
 * allocators.c.
 */
#ifndef HB_PROBE_ALLOCATORS_H
#define HB_PROBE_ALLOCATORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../symbol/elffile.h"

enum probe_place {
	PLACE_CALL, /* entry and, unless the cookie says THROWS, return */
	PLACE_FREE, /* entry only: a free that calls no other entry point */
	PLACE_RET,  /* a ret instruction of a function that must have no return probe */
	PLACE_END
};

struct probe_point {
	uint64_t offset;      /* in the file, of the instruction */
	uint64_t cookie;      /* HB_COOKIE_*; for PLACE_RET that of its function */
	enum probe_place place;
	const char *function; /* the entry point's name; static or owned by the table */
	uint64_t entry;       /* offset of the function's first byte; not for PLACE_RET */
	bool cheap;           /* the kernel does not single-step the instruction */
	const char *why;      /* this place; static, NULL for PLACE_RET */
	char text[40];        /* the instruction, or "" */
};

/* What one file offers. */
struct probe_set {
	char allocator[64]; /* "glibc 2.36", "jemalloc 5.3.0", "malloc" (unknown maker), or "" */
	char runtime[64];   /* "jvm 17.0.15+6", or "" */
	char note[160];     /* what could not be had, and why, or "" */
	struct probe_point *points; /* sorted by offset, one per (offset, place) */
	size_t count;
	size_t left_out;    /* allocating functions that are not probed; @note says why */
};

/*
 * Search @file (indexed here if need be). A file without any entry point gives an empty set and 0, and so does one
 * of 32 bits: its calls have their arguments where no program looks.
 * Release with probe_set_release(). 0, -ENOMEM.
 */
int allocators_find(struct elf_file *file, struct probe_set *set);
void probe_set_release(struct probe_set *set);

#endif
