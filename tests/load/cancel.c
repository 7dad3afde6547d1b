// SPDX-License-Identifier: Apache-2.0
/*
 * Threads cancelled at any instruction while they allocate, in rounds, beside threads that
 * survive. Linked with own.c, for libc's allocator may not be left half-way.
 *
 * A cancelled thread may die between malloc's return and its note of it, so its truth has two
 * ends: what it noted ("noted"), and one call more for each cancelled thread ("cancelled").
 */
#include "load.h"
#include "own.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define DOOMED	  4
#define SURVIVORS 2
#define ROUNDS	  50
#define BYTES	  48

LOAD_SITE(doomed_take);
LOAD_SITE(survivor_take);

static unsigned long long noted;
static unsigned long long cancelled;
static unsigned int running;

LOAD_CALL void *doomed_take(void)
{
	void *block = malloc(BYTES);

	__atomic_add_fetch(&noted, 1, __ATOMIC_RELAXED);
	return block;
}

LOAD_CALL void *survivor_take(size_t bytes)
{
	return load_took(&truth_survivor_take, malloc(bytes), bytes);
}

static void *doomed(void *argument)
{
	(void)argument;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	__atomic_add_fetch(&running, 1, __ATOMIC_RELEASE);
	for (;;)
		free(doomed_take());
	return NULL;
}

static void *survivor(void *argument)
{
	size_t me = (size_t)argument;

	for (size_t i = 0; i < 5000; i++) {
		size_t bytes = i % 300 + me + 1;
		struct load_block held = { survivor_take(bytes), bytes, &truth_survivor_take };

		if (i % 5)
			load_drop(&held);
	}
	return NULL;
}

static void round_of_cancels(void)
{
	pthread_t threads[DOOMED];
	void *result;

	__atomic_store_n(&running, 0, __ATOMIC_RELEASE);
	for (size_t i = 0; i < DOOMED; i++)
		load_check(!pthread_create(&threads[i], NULL, doomed, NULL), "a doomed thread");
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) < DOOMED)
		usleep(100);
	usleep(3000);
	for (size_t i = 0; i < DOOMED; i++)
		load_check(!pthread_cancel(threads[i]), "a cancel");
	for (size_t i = 0; i < DOOMED; i++) {
		load_check(!pthread_join(threads[i], &result), "a cancelled thread ends");
		cancelled += result == PTHREAD_CANCELED;
	}
}

int main(void)
{
	pthread_t threads[SURVIVORS];

	own_spin = 300;
	for (size_t i = 0; i < SURVIVORS; i++)
		load_check(!pthread_create(&threads[i], NULL, survivor, (void *)i), "a survivor");
	for (int i = 0; i < ROUNDS; i++)
		round_of_cancels();
	for (size_t i = 0; i < SURVIVORS; i++)
		load_check(!pthread_join(threads[i], NULL), "a survivor ends");
	load_fact("noted", noted);
	load_fact("cancelled", cancelled);
	load_fact("block_bytes", BYTES);
	load_write("cancel");
	_exit(0);
}
