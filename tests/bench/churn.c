// SPDX-License-Identifier: Apache-2.0
/*
 * A loop of malloc and free at a given depth of the stack, for the bench. Its malloc and free are its
 * own and begin with a push, which the kernel emulates: what is measured is the tracing, not the single
 * step that another first instruction would cost. Prints nanoseconds per pair, a line for each round.
 *
 * churn DEPTH ROUNDS: waits for a line on stdin before it begins.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BLOCKS      64
#define BLOCK_BYTES 128
#define ROUND_NS    200000000ULL
#define PAIRS       256 /* between two looks at the clock */

static _Alignas(16) unsigned char pool[BLOCKS][BLOCK_BYTES];
static unsigned int next;

/* glibc's stdio and start-up come here too: they get what lies above the pool of the loop. */
static _Alignas(16) unsigned char early[1 << 16];
static size_t early_used;

void *own_malloc(size_t bytes);
void own_free(void *block);

#ifdef __x86_64__
#define OWN(name)                                                                              \
	__asm__(".globl " #name "\n.type " #name ", @function\n" #name ":\n"                   \
		".cfi_startproc\n"                                                             \
		"push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\n"                   \
		"call own_" #name "\n"                                                         \
		"pop %rbp\n.cfi_def_cfa_offset 8\n"                                            \
		"ret\n.cfi_endproc\n.size " #name ", . - " #name "\n")
OWN(malloc);
OWN(free);
#else
#error "what is the cheapest first instruction here?"
#endif

__attribute__((used)) void *own_malloc(size_t bytes)
{
	if (bytes <= BLOCK_BYTES && bytes >= 64)
		return pool[next++ % BLOCKS];
	if (bytes > sizeof(early) - early_used)
		return NULL;
	early_used += (bytes + 15) & ~(size_t)15;
	return early + early_used - ((bytes + 15) & ~(size_t)15);
}

__attribute__((used)) void own_free(void *block)
{
	__asm__ volatile("" ::"r"(block) : "memory");
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

__attribute__((noinline, noclone)) static void round_of_pairs(void)
{
	uint64_t begin = now_ns(), pairs = 0, now;

	do {
		for (unsigned int i = 0; i < PAIRS; i++)
			free(malloc(64 + i % 64));
		pairs += PAIRS;
		now = now_ns();
	} while (now - begin < ROUND_NS);
	dprintf(STDOUT_FILENO, "%.1f\n", (double)(now - begin) / pairs);
}

__attribute__((noinline, noclone)) static void descend(unsigned int depth, unsigned int rounds)
{
	if (depth) {
		descend(depth - 1, rounds);
		__asm__ volatile("" ::: "memory"); /* no tail call */
		return;
	}
	while (rounds--)
		round_of_pairs();
}

int main(int argc, char **argv)
{
	unsigned int depth = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
	char line[16];

	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 1;
	descend(depth, rounds);
	return 0;
}
