// SPDX-License-Identifier: Apache-2.0
/* Stacks with a function that has no unwind information in them (unwind_asm.S). */
#include "unwind.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *bare_take(size_t bytes);
void *false_take(size_t bytes, const void *record);
void *pointer_take(size_t bytes, uintptr_t *pcs);

LOAD_CALL void under_bare(size_t bytes)
{
	load_check(bare_take(bytes) != NULL, "a block");
}

/* Deeper than false_take, as a frame's record would be, with code's address where one returns to. */
LOAD_CALL void under_false(size_t bytes)
{
	uintptr_t record[2] = { 0, (uintptr_t)under_bare };

	record[0] = (uintptr_t)(record + 2);
	__asm__ volatile("" ::"r"(record) : "memory");
	load_check(false_take(bytes, record) != NULL, "a block");
	__asm__ volatile("" ::"r"(record) : "memory");
}

/* Two frames as noted there, then those above ours. Too large for unwind.c to tell of it, too. */
LOAD_CALL void under_pointer(size_t bytes)
{
	uintptr_t pcs[2];

	load_check(pointer_take(bytes, pcs) != NULL, "a block");
	unwind_tell(bytes, pcs, 2);
	UNWIND_STAY();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "bare"))
		under_bare(7401);
	else if (!strcmp(mode, "false"))
		under_false(7402);
	else if (!strcmp(mode, "pointer"))
		under_pointer(8403);
	else
		load_fail("usage: unwind_bare bare|false|pointer");
	UNWIND_STAY();
	_exit(0);
}
