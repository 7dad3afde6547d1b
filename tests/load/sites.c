// SPDX-License-Identifier: Apache-2.0
/*
 * As many distinct stacks as asked for: number N goes down a chain of calls whose turns, left or
 * right, are N's bits, and at its end takes one block of N + 1 bytes.
 */
#include "load.h"

#include <stdlib.h>
#include <unistd.h>

#define TURNS 17

LOAD_SITE(site_take);

LOAD_CALL void turn_left(size_t number, unsigned int turns);
LOAD_CALL void turn_right(size_t number, unsigned int turns);

LOAD_CALL void *site_take(size_t bytes)
{
	return load_took(&truth_site_take, malloc(bytes), bytes);
}

static inline __attribute__((always_inline)) void turn(size_t number, unsigned int turns)
{
	if (!turns)
		site_take(number + 1);
	else if (number >> (turns - 1) & 1)
		turn_right(number, turns - 1);
	else
		turn_left(number, turns - 1);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

LOAD_CALL void turn_left(size_t number, unsigned int turns)
{
	turn(number, turns);
}

LOAD_CALL void turn_right(size_t number, unsigned int turns)
{
	turn(number, turns);
}

int main(int argc, char **argv)
{
	size_t count = load_number(argc > 1 ? argv[1] : "");

	load_check(count <= 1UL << TURNS, "too many sites");
	for (size_t number = 0; number < count; number++)
		turn_left(number, TURNS);
	load_fact("count", count);
	load_write("sites");
	_exit(0);
}
