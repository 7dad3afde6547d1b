// SPDX-License-Identifier: Apache-2.0
/* Blocks that threads take, hand to other threads, and leave behind. */
#include "load.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 8
#define BLOCKS	20000

LOAD_SITE(thread_take);
LOAD_SITE(exit_take);
LOAD_SITE(race_take);

static struct load_block handed[THREADS][BLOCKS];
static size_t ready[THREADS]; /* how many of handed[] are filled in */

LOAD_CALL void *thread_take(size_t bytes)
{
	return load_took(&truth_thread_take, malloc(bytes), bytes);
}

LOAD_CALL void *exit_take(size_t bytes)
{
	return load_took(&truth_exit_take, malloc(bytes), bytes);
}

LOAD_CALL void *race_take(void)
{
	return load_took(&truth_race_take, malloc(4), 4);
}

static void start(pthread_t *threads, size_t count, void *(*body)(void *))
{
	for (size_t i = 0; i < count; i++)
		load_check(!pthread_create(&threads[i], NULL, body, (void *)i), "a thread");
}

static void join(const pthread_t *threads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		load_check(!pthread_join(threads[i], NULL), "a thread ends");
}

static void *producer(void *argument)
{
	size_t me = (size_t)argument;

	for (size_t i = 0; i < BLOCKS; i++) {
		size_t bytes = (i * 37 + me) % 2000 + 1;

		handed[me][i] = (struct load_block){ thread_take(bytes), bytes,
						     &truth_thread_take };
		__atomic_store_n(&ready[me], i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Frees another thread's blocks, all but every tenth. */
static void *consumer(void *argument)
{
	size_t from = ((size_t)argument + 3) % THREADS;

	for (size_t i = 0; i < BLOCKS; i++) {
		while (__atomic_load_n(&ready[from], __ATOMIC_ACQUIRE) <= i)
			sched_yield();
		if (i % 10)
			load_drop(&handed[from][i]);
	}
	return NULL;
}

static void do_handoff(void)
{
	pthread_t threads[2 * THREADS];

	start(threads, THREADS, producer);
	start(threads + THREADS, THREADS, consumer);
	join(threads, 2 * THREADS);
}

static void *leaver(void *argument)
{
	size_t me = (size_t)argument;

	for (size_t i = 0; i < 10; i++) {
		struct load_block held = { exit_take(100 + me), 100 + me, &truth_exit_take };

		if (i % 2)
			load_drop(&held);
	}
	if (me % 2)
		pthread_exit(NULL);
	return NULL;
}

static void do_exit(void)
{
	pthread_t threads[THREADS];

	for (int round = 0; round < 50; round++) {
		start(threads, THREADS, leaver);
		join(threads, THREADS);
	}
}

/* The race of bcc's two-thread program: 4 bytes, 200,000 times, in every thread at once. */
static void *racer(void *argument)
{
	(void)argument;
	for (int i = 0; i < 200000; i++) {
		struct load_block held = { race_take(), 4, &truth_race_take };

		if (i % 1000)
			load_drop(&held);
	}
	return NULL;
}

static void do_race(void)
{
	pthread_t threads[2];

	start(threads, 2, racer);
	join(threads, 2);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "handoff"))
		do_handoff();
	else if (!strcmp(mode, "exit"))
		do_exit();
	else if (!strcmp(mode, "race"))
		do_race();
	else
		load_fail("usage: threads handoff|exit|race");
	load_write(mode);
	_exit(0);
}
