// SPDX-License-Identifier: Apache-2.0
/* A second allocator, loaded by dlopen while the program runs, beside libc's. */
#include "load.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

LOAD_SITE(libc_take);
LOAD_SITE(second_take);

static void *(*second_malloc)(size_t);
static void (*second_free)(void *);

LOAD_CALL void *libc_take(size_t bytes)
{
	return load_took(&truth_libc_take, malloc(bytes), bytes);
}

LOAD_CALL void *second_take(size_t bytes)
{
	return load_took(&truth_second_take, second_malloc(bytes), bytes);
}

static void both(size_t rounds)
{
	for (size_t i = 0; i < rounds; i++) {
		struct load_block first = { libc_take(i + 40), i + 40, &truth_libc_take };
		void *second = second_take(i + 90);

		if (i % 2)
			load_drop(&first);
		if (i % 3) {
			load_gave(&truth_second_take, i + 90);
			second_free(second);
		}
	}
}

int main(int argc, char **argv)
{
	void *library;

	load_check(argc > 1, "usage: later LIBRARY");
	libc_take(1234);
	library = dlopen(argv[1], RTLD_LOCAL | RTLD_NOW);
	load_check(library != NULL, "dlopen");
	*(void **)&second_malloc = dlsym(library, "malloc");
	*(void **)&second_free = dlsym(library, "free");
	load_check(second_malloc && second_free, "dlsym");
	load_check((void *)second_malloc != (void *)malloc, "two different allocators");
	usleep(300000); /* what a tracer has, to notice */
	both(300);
	load_write("later");
	_exit(0);
}
