// SPDX-License-Identifier: Apache-2.0
/*
 * A program that does nothing but touch memory and give it back, for the bench: each touch is a page fault.
 * Prints nanoseconds of CPU per fault, a line for each round.
 *
 * faults ROUNDS: waits for a line on stdin before it begins.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BYTES (64UL << 20)

static uint64_t used_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), line[8];

	if (at == MAP_FAILED || madvise(at, BYTES, MADV_NOHUGEPAGE) || !fgets(line, sizeof(line), stdin))
		return 1;
	for (int i = 0; i < rounds; i++) {
		uint64_t begin = used_ns();

		for (size_t offset = 0; offset < BYTES; offset += page)
			at[offset] = 1;
		printf("%.1f\n", (double)(used_ns() - begin) / (double)(BYTES / page));
		if (madvise(at, BYTES, MADV_DONTNEED))
			return 1;
	}
	return 0;
}
