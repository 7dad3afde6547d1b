// SPDX-License-Identifier: Apache-2.0
/*
 * Built twice: the same code at the same places, but with frames of another size (ROOM), other
 * names (NAME) and blocks (BYTES). Its constructor takes BYTES + 10.
 */
#include "unwind.h"

#include <stdlib.h>

#define JOIN(a, b)   JOIN_(a, b)
#define JOIN_(a, b)  a##b
#define NAMED(what)  JOIN(NAME, what)
#define USE(room) __asm__ volatile("" ::"r"(room) : "memory")

void NAMED(_take)(void);

LOAD_CALL void NAMED(_inner)(size_t bytes)
{
	char room[ROOM];

	USE(room);
	UNWIND_TAKE(bytes);
	USE(room);
}

LOAD_CALL void NAMED(_take)(void)
{
	char room[ROOM];

	USE(room);
	NAMED(_inner)(BYTES);
	USE(room);
}

__attribute__((constructor)) static void NAMED(_begin)(void)
{
	char room[ROOM];

	USE(room);
	UNWIND_TAKE(BYTES + 10);
	USE(room);
}
