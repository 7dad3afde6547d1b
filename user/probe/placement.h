/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which instruction of a function gets its entry probe. A kernel emulates a push, a jump or a nop in
 * place and single-steps everything else, at ten times the cost: an instruction a little further on
 * may be the better one. It is taken if it is proved to stand for the entry:
 *
 * - From the function's first byte one instruction follows the other. None of them writes memory,
 *   the stack pointer, what unwinding begins with, or an argument that the probe reads.
 * - The one way around that may lie between: a free that is given NULL, and frees nothing.
 * - No jump or call whose target is known leads behind the first byte: of the whole text those with
 *   four bytes of offset, of the function and its neighbours also the short ones.
 * - The function itself has no jump whose target is not known, as those through tables are. (Parts of
 *   it that a compiler moved elsewhere are not looked at for such.)
 * - No function is known to start in between.
 *
 * What is not proved is probed at its first byte. A loop back to the first byte passes both places
 * as often. Reads only the file's bytes, which are a stranger's.
 */
#ifndef HB_PROBE_PLACEMENT_H
#define HB_PROBE_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator_image.h"
#include "allocator_points.h"

#define PLACEMENT_TEXT 40
#define PLACEMENT_REACH 64 /* bytes from the entry on that are considered */

struct placement {
	uint64_t vaddr;            /* of the instruction to probe */
	bool cheap;                /* the kernel does not single-step it */
	const char *why;           /* this place; if it is not cheap, why no other. Static */
	char text[PLACEMENT_TEXT]; /* the instruction, or "" */
};

struct placement_request {
	uint64_t entry;
	uint64_t size; /* of the function, 0: unknown */
	const struct call_shape *shape;
	struct placement place; /* the answer */
};

/*
 * Choose a place for each of @count functions. @nops_called: the kernel makes calls of 5-byte nops
 * (placement_nops_called() tells of this one). The cost is linear in the text, and bounded.
 */
void placement_choose(const struct image *image, bool nops_called, struct placement_request *requests, size_t count);

bool placement_nops_called(void);

#endif
