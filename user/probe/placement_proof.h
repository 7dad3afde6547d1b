/* SPDX-License-Identifier: Apache-2.0 */
/* Whether code may be entered behind a function's first byte: what leads there, and from where. */
#ifndef HB_PROBE_PLACEMENT_PROOF_H
#define HB_PROBE_PLACEMENT_PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "allocator_image.h"

struct proof {
	uint64_t entry, size; /* of the function; size 0: unknown */
	uint64_t last;        /* behind the entry, up to and with this byte, nothing may lead */
	size_t of;            /* the caller's */
	uint64_t limit;       /* the answer: the first address that something may lead to, or beyond @last */
	const char *why;      /* what does; NULL: nothing. Static */
};

#define PROOF_SCAN_MAX         (64u << 20) /* bytes of text searched for jumps, around the functions */
#define PROOF_INSTRUCTIONS_MAX 1000000u    /* decoded for all functions of a file */
#define PROOF_FUNCTION_MAX     (128u << 10) /* bytes of one function that are decoded */

/* Answer all of @count, which are sorted. No two have the same entry. */
void proof_find(const struct image *image, struct proof *proofs, size_t count);

/* How many bytes of executable text the file has from @vaddr on. */
uint64_t proof_text_left(const struct elf_file *file, uint64_t vaddr);

#endif
