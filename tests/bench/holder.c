// SPDX-License-Identifier: Apache-2.0
/*
 * A program that holds many blocks of many sites, for the bench. Site N is reached by a chain of calls whose
 * turns, left or right, are N's bits.
 *
 * holder SITES BLOCKS: waits for a byte on stdin, takes the blocks, says "held", and ends with its stdin.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TURNS 17
#define BYTES 16

#define CALL __attribute__((noinline, noclone))

static bool failed;

CALL static void turn_left(size_t number, unsigned int turns);
CALL static void turn_right(size_t number, unsigned int turns);

CALL static void take(void)
{
	if (!malloc(BYTES))
		failed = true;
}

static inline __attribute__((always_inline)) void turn(size_t number, unsigned int turns)
{
	if (!turns)
		take();
	else if (number >> (turns - 1) & 1)
		turn_right(number, turns - 1);
	else
		turn_left(number, turns - 1);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

CALL static void turn_left(size_t number, unsigned int turns)
{
	turn(number, turns);
}

CALL static void turn_right(size_t number, unsigned int turns)
{
	turn(number, turns);
}

int main(int argc, char **argv)
{
	size_t sites = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	size_t blocks = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	char line;

	if (!sites || sites > 1UL << TURNS || read(STDIN_FILENO, &line, 1) != 1)
		return 2;
	for (size_t i = 0; i < blocks; i++)
		turn_left(i % sites, TURNS);
	if (failed)
		return 1;
	dprintf(STDOUT_FILENO, "held\n");
	while (read(STDIN_FILENO, &line, 1) > 0)
		continue;
	return 0;
}
