// SPDX-License-Identifier: Apache-2.0
/*
 * Allocates as it is told from standard input: 's' some thousand blocks a second, 'x' as fast as it can, '.' no more,
 * and says what it holds. Two thousand blocks are held at a time, the oldest goes when another comes.
 */
#include "load.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define HELD 2000
#define STEP 50

LOAD_SITE(held_by_burst);

LOAD_CALL void *held_by_burst(size_t bytes)
{
	return load_took(&truth_held_by_burst, malloc(bytes), bytes);
}

int main(void)
{
	static struct load_block held[HELD];
	unsigned long next = 0;
	char order = '.';

	for (;;) {
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		const int wait_ms = order == 'x' ? 0 : order == 's' ? 10 : -1;

		if (poll(&input, 1, wait_ms) > 0) {
			if (read(STDIN_FILENO, &order, 1) != 1)
				return 0;
			if (order == '.')
				load_write("bursts");
			continue;
		}
		for (int i = 0; i < STEP; i++, next++) {
			struct load_block *block = &held[next % HELD];

			if (block->block)
				load_drop(block);
			block->bytes = 500 + next % 13 * 100;
			block->site = &truth_held_by_burst;
			block->block = held_by_burst(block->bytes);
		}
	}
}
