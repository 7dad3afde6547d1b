// SPDX-License-Identifier: Apache-2.0
/*
 * A loop of malloc and free at a given depth of the stack, for the bench. With OWN_MALLOC its malloc and
 * free are its own and begin with a push, which the kernel emulates: what is measured is the tracing, not
 * the single step that another first instruction would cost. Without, they are libc's. Threads are for libc's:
 * they would get the same blocks of the own one.
 *
 * churn DEPTH [THREADS]: says "ready"; for each byte on stdin a round; each round prints "pair", nanoseconds of
 * CPU and of wall time per pair, of a thread on average.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROUND_NS    40000000ULL
#define PAIRS       256 /* between two looks at the clock */
#define THREADS_MAX 64

#ifdef OWN_MALLOC
#define BLOCKS      64
#define BLOCK_BYTES 128

static _Alignas(16) unsigned char pool[BLOCKS][BLOCK_BYTES];
static unsigned int next;

/* glibc's stdio and start-up come here too: they get what lies above the pool of the loop. */
static _Alignas(16) unsigned char early[1 << 16];
static size_t early_used;

void *own_malloc(size_t bytes);
void own_free(void *block);
void *calloc(size_t count, size_t bytes);

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

/* For threads; what is given out is never taken back, so it is zero. */
void *calloc(size_t count, size_t bytes)
{
	return own_malloc(count * bytes < 64 ? BLOCK_BYTES + 1 : count * bytes + BLOCK_BYTES);
}
#endif

static pthread_barrier_t begin, end;
static bool over;
static double cpu_ns[THREADS_MAX], wall_ns[THREADS_MAX];
static unsigned int threads = 1;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

__attribute__((noinline, noclone)) static void round_of_pairs(unsigned int me)
{
	uint64_t wall = now_ns(CLOCK_MONOTONIC), first = now_ns(CLOCK_THREAD_CPUTIME_ID), pairs = 0, used;

	do {
		for (unsigned int i = 0; i < PAIRS; i++)
			free(malloc(64 + i % 64));
		pairs += PAIRS;
		used = now_ns(CLOCK_THREAD_CPUTIME_ID) - first;
	} while (used < ROUND_NS);
	cpu_ns[me] = (double)used / pairs;
	wall_ns[me] = (double)(now_ns(CLOCK_MONOTONIC) - wall) / pairs;
}

/* The first thread asks for rounds and tells of them. */
static bool asked(void)
{
	char line[16];

	return read(STDIN_FILENO, line, 1) == 1;
}

static void tell(void)
{
	double cpu = 0, wall = 0;

	for (unsigned int i = 0; i < threads; i++) {
		cpu += cpu_ns[i] / threads;
		wall += wall_ns[i] / threads;
	}
	dprintf(STDOUT_FILENO, "pair %.1f %.1f\n", cpu, wall);
}

static void rounds(unsigned int me)
{
	for (;;) {
		if (!me)
			over = !asked();
		pthread_barrier_wait(&begin);
		if (over)
			return;
		round_of_pairs(me);
		pthread_barrier_wait(&end);
		if (!me)
			tell();
	}
}

__attribute__((noinline, noclone)) static void descend(unsigned int depth, unsigned int me)
{
	if (depth)
		descend(depth - 1, me);
	else
		rounds(me);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

static unsigned int depth;

static void *thread(void *me)
{
	descend(depth, (unsigned int)(uintptr_t)me);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t id;

	depth = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	if (!threads || threads > THREADS_MAX)
		return 2;
	if (pthread_barrier_init(&begin, NULL, threads) || pthread_barrier_init(&end, NULL, threads))
		return 1;
	for (uintptr_t i = 1; i < threads; i++)
		if (pthread_create(&id, NULL, thread, (void *)i))
			return 1;
	dprintf(STDOUT_FILENO, "ready\n");
	descend(depth, 0);
	return 0;
}
