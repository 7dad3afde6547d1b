// SPDX-License-Identifier: Apache-2.0
/*
 * A program that must not notice its tracer, nor the tracer's death: a hot loop of malloc, calloc,
 * realloc and free in two threads over blocks whose bytes are checked and summed. Prints the sum
 * and leaves with 3.
 */
#include "load.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING 128

static unsigned long long rounds;

LOAD_CALL unsigned char *hot_malloc(size_t bytes)
{
	unsigned char *block = malloc(bytes);

	load_check(block != NULL, "malloc");
	memset(block, (int)(bytes & 0xff), bytes);
	return block;
}

LOAD_CALL unsigned char *hot_calloc(size_t bytes)
{
	unsigned char *block = calloc(1, bytes);

	load_check(block && !block[0] && !block[bytes - 1], "calloc gives zeros");
	memset(block, (int)(bytes & 0xff), bytes);
	return block;
}

LOAD_CALL unsigned char *hot_realloc(unsigned char *old, size_t bytes, size_t more)
{
	unsigned char *block = realloc(old, bytes + more);

	load_check(block && block[0] == (bytes & 0xff) && block[bytes - 1] == (bytes & 0xff),
		   "realloc keeps the bytes");
	return block;
}

static void *churn(void *argument)
{
	unsigned char *ring[RING] = { NULL };
	size_t sizes[RING] = { 0 };
	uint64_t state = (uint64_t)(uintptr_t)argument * 2654435761u + 1;
	uint64_t sum = 0;

	for (unsigned long long i = 0; i < rounds; i++) {
		size_t at, bytes;

		state = state * 6364136223846793005u + 1442695040888963407u;
		at = (state >> 40) % RING;
		bytes = (state >> 20) % 1000 + 1;
		if (ring[at]) {
			load_check(ring[at][sizes[at] - 1] == (sizes[at] & 0xff), "bytes stay");
			sum = sum * 31 + ring[at][0] + sizes[at];
			free(ring[at]);
		}
		ring[at] = i % 3 ? hot_malloc(bytes) : hot_calloc(bytes);
		sizes[at] = bytes;
		if (i % 5 == 0)
			ring[at] = hot_realloc(ring[at], bytes, bytes % 77);
	}
	for (size_t at = 0; at < RING; at++)
		free(ring[at]);
	return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *other;
	uint64_t sum;
	char text[32];

	rounds = load_number(argc > 1 ? argv[1] : "");
	load_check(!pthread_create(&thread, NULL, churn, (void *)7), "a thread");
	sum = (uintptr_t)churn((void *)1);
	load_check(!pthread_join(thread, &other), "a thread ends");
	sum ^= (uintptr_t)other;
	snprintf(text, sizeof(text), "%016llx\n", (unsigned long long)sum);
	load_check(write(STDOUT_FILENO, text, 17) == 17, "a reader on stdout");
	return 3;
}
