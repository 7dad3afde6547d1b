// SPDX-License-Identifier: Apache-2.0
/*
 * Hundreds of mappings, each with a gap behind it. Their second halves become mappings of their own, and one with the
 * first halves again, all the time: nothing comes and nothing goes, wherever a list of them is cut. Does one thing per
 * letter on its input and answers each with a dot.
 */
#include "mapped.h"

#include <poll.h>
#include <unistd.h>

#define RANGES 500 /* a list of them is read in some twenty pieces */
#define PAGES  4    /* of each, and between two */

LOAD_SITE(reserve);
LOAD_SITE(fill);

static char *base;
static unsigned int random_state = 1;

static char *range(size_t i)
{
	return base + i * 2 * PAGES * PAGE;
}

LOAD_CALL static void reserve(void)
{
	const size_t pages = RANGES * 2 * PAGES;

	base = mmap(NULL, pages * PAGE, PROT_NONE, ANONYMOUS, -1, 0);
	load_check(base != MAP_FAILED, "mmap");
	mapped_took(&truth_reserve, pages);
}

LOAD_CALL static void fill(void)
{
	for (size_t i = 0; i < RANGES; i++) {
		load_check(mmap(range(i), PAGES * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == range(i), "mmap");
		mapped_gave(&truth_reserve, PAGES, 0);
		mapped_took(&truth_fill, PAGES);
	}
}

static void protect_half(size_t i, int prot)
{
	load_check(!mprotect(range(i) + PAGES / 2 * PAGE, PAGES / 2 * PAGE, prot), "mprotect");
}

/* Until there is something to read. */
static void split(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	do {
		for (size_t calls = 0; calls < 100; calls++) {
			random_state = random_state * 1103515245 + 12345;
			protect_half((random_state >> 8) % RANGES, random_state >> 24 & 1 ? PROT_READ : READ_WRITE);
		}
	} while (!poll(&input, 1, 0));
}

static void tell(void)
{
	for (size_t i = 0; i < RANGES; i++)
		protect_half(i, READ_WRITE);
	mapped_tell();
	load_write("splits");
}

int main(void)
{
	char letter;

	while (read(STDIN_FILENO, &letter, 1) == 1) {
		if (letter == 'm') { /* map */
			reserve();
			fill();
		} else if (letter == 't') {
			tell();
		}
		load_check(write(STDOUT_FILENO, ".", 1) == 1, "a reader on stdout");
		if (letter == 's')
			split();
	}
	return 0;
}
