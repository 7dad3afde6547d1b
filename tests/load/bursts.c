// SPDX-License-Identifier: Apache-2.0
/*
 * Allocates as it is told from standard input: 's' 5,000 blocks a second, 'd' as many from deep down, 'm' 50,000 from
 * there, 'x' as fast as it can, 't' as fast as threads can that take 60 each and end, '.' no more, and says what it
 * holds; '?' says so, too, and goes on; 'p' maps a page and unmaps it, as fast as it can, which counts as a block; 'g'
 * grows without end. Two thousand blocks are held at a time, the oldest goes when another comes. It also says how many
 * there were, and what CPU time that took.
 * "bursts CHILDREN SECONDS" is told nothing: it allocates as fast as it can beside so many children that do nothing.
 */
#include "load.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define HELD    2000
#define STEP_NS 10000000LL
#define FAST    500 /* between two looks at the time */
#define DEPTH   40
#define LITTLE  60  /* of one thread: fewer than heldby counts at once (HB_PLAN_STEP) */

LOAD_SITE(held_by_burst);
LOAD_SITE(held_by_idle);

static struct load_block held[HELD];
static unsigned long next;

LOAD_CALL void *held_by_burst(size_t bytes)
{
	return load_took(&truth_held_by_burst, malloc(bytes), bytes);
}

LOAD_CALL void *held_by_idle(void)
{
	return load_took(&truth_held_by_idle, malloc(1000), 1000);
}

static long long read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

static void tell(void)
{
	load_fact("blocks", next);
	load_fact("cpu_ns", (unsigned long long)read_ns(CLOCK_PROCESS_CPUTIME_ID));
	load_fact("time_ns", (unsigned long long)now_ns());
	load_write("bursts");
}

static void burst(int count)
{
	for (int i = 0; i < count; i++, next++) {
		struct load_block *block = &held[next % HELD];

		if (block->block)
			load_drop(block);
		block->bytes = 500 + next % 13 * 100;
		block->site = &truth_held_by_burst;
		block->block = held_by_burst(block->bytes);
	}
}

LOAD_CALL void burst_deep(int depth, int count)
{
	if (depth)
		burst_deep(depth - 1, count);
	else
		burst(count);
}

static void *take_little(void *unused)
{
	burst(LITTLE);
	return unused;
}

static void burst_in_a_thread(void)
{
	pthread_t thread;

	load_check(!pthread_create(&thread, NULL, take_little, NULL), "a thread");
	load_check(!pthread_join(thread, NULL), "a thread ends");
}

static void idle(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	load_check(held_by_idle() != NULL, "malloc in a child");
	for (;;)
		pause();
}

static void beside(unsigned long long children, unsigned long long seconds)
{
	const long long end = now_ns() + (long long)seconds * 1000000000;

	for (; children; children--) {
		const pid_t child = fork();

		load_check(child >= 0, "fork");
		if (!child)
			idle();
	}
	while (now_ns() < end)
		burst(FAST);
	tell();
}

static void map_pairs(int count)
{
	for (int i = 0; i < count; i++, next++) {
		void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		load_check(page != MAP_FAILED && !munmap(page, 4096), "a page");
	}
}

static void grow(void)
{
	char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	load_check(at != MAP_FAILED, "mmap");
	memset(at, 1, 1 << 20);
}

static void do_as_told(char order)
{
	if (order == 'g')
		grow();
	else if (order == 'm' || order == 'd')
		burst_deep(DEPTH, order == 'm' ? 500 : 50);
	else if (order == 'p')
		map_pairs(FAST);
	else if (order == 't')
		burst_in_a_thread();
	else
		burst(order == 's' ? 50 : order == 'x' ? FAST : 0);
}

int main(int argc, char **argv)
{
	long long due = now_ns();
	char order = '.', told;

	if (argc == 3) {
		beside(load_number(argv[1]), load_number(argv[2]));
		return 0;
	}
	for (;;) {
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		const long long now = now_ns();
		struct timespec left = { 0 };

		if (due < now) /* what it could not do in time is not made up for */
			due = now;
		left.tv_nsec = due - now;
		if (ppoll(&input, 1, order == '.' ? NULL : &left, NULL) > 0) {
			if (read(STDIN_FILENO, &told, 1) != 1)
				return 0;
			if (told == '.' || told == '?')
				tell();
			order = told == '?' ? order : told;
			continue;
		}
		due = order == 'x' || order == 't' || order == 'p' ? now : due + STEP_NS;
		do_as_told(order);
	}
}
