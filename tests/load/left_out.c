// SPDX-License-Identifier: Apache-2.0
/* An allocator with an operator new whose ways out nobody can find: it goes on where a table says. */
#include "load.h"

#include <stdlib.h>

LOAD_SITE(plain_take);

static size_t taken_by_new;

void *operator_new(size_t bytes) __asm__("_Znwm");

__attribute__((noipa)) void *operator_new(size_t bytes)
{
	static void *const ways[] = { &&few, &&many };
	static char room[4096];

	taken_by_new += bytes;
	goto *ways[bytes > 100];
few:
	return room;
many:
	return room + 1024;
}

LOAD_CALL void *plain_take(size_t bytes)
{
	return load_took(&truth_plain_take, malloc(bytes), bytes);
}

int main(void)
{
	for (size_t i = 1; i <= 50; i++) {
		load_check(operator_new(4 * i) != NULL, "a block");
		plain_take(i);
	}
	load_check(taken_by_new == 4 * 50 * 51 / 2, "what operator new took");
	load_write("left-out");
	return 0;
}
