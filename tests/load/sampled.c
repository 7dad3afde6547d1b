// SPDX-License-Identifier: Apache-2.0
/*
 * The same blocks again and again, each time in a child of its own: what a tracer that samples says of each child
 * differs, and must be right on average. Some blocks are given back, also by another thread, some change their size,
 * some belong to a second thread. Half-way each child has a child itself, which gives back some of what it inherits
 * and goes on; that one's truth begins with its fork. Takes the number of children.
 */
#include "load.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 150

LOAD_SITE(by_malloc);
LOAD_SITE(by_calloc);
LOAD_SITE(by_realloc);
LOAD_SITE(by_reallocarray);
LOAD_SITE(by_memalign);
LOAD_SITE(by_posix_memalign);
LOAD_SITE(by_aligned_alloc);
LOAD_SITE(by_thread);
LOAD_SITE(by_large);
LOAD_SITE(by_small);
LOAD_SITE(by_chain);
LOAD_SITE(by_second_link);
LOAD_SITE(by_third_link);
LOAD_SITE(by_last_link);
LOAD_SITE(by_giver);
LOAD_SITE(by_forked);
LOAD_SITE(before_fork);

/* Most sizes are far below a period, some around it. */
static size_t size_of(int i)
{
	return 200 + (size_t)(i % 7) * 300;
}

LOAD_CALL void *by_malloc(int i)
{
	return load_took(&truth_by_malloc, malloc(size_of(i)), size_of(i));
}

LOAD_CALL void *by_calloc(int i)
{
	return load_took(&truth_by_calloc, calloc(3, size_of(i)), 3 * size_of(i));
}

LOAD_CALL void *by_realloc(void *block, size_t before, int i)
{
	void *grown = realloc(block, 2 * size_of(i));

	load_check(grown != NULL, "realloc");
	if (block)
		load_gave(&truth_by_malloc, before);
	return load_took(&truth_by_realloc, grown, 2 * size_of(i));
}

LOAD_CALL void *by_reallocarray(int i)
{
	return load_took(&truth_by_reallocarray, reallocarray(NULL, 2, size_of(i)), 2 * size_of(i));
}

LOAD_CALL void *by_memalign(int i)
{
	return load_took(&truth_by_memalign, memalign(i % 2 ? 16 : 256, size_of(i)), size_of(i));
}

LOAD_CALL void *by_posix_memalign(int i)
{
	void *block = NULL;

	load_check(!posix_memalign(&block, i % 2 ? 16 : 512, size_of(i)), "posix_memalign");
	return load_took(&truth_by_posix_memalign, block, size_of(i));
}

LOAD_CALL void *by_aligned_alloc(int i)
{
	return load_took(&truth_by_aligned_alloc, aligned_alloc(64, 64 * (size_of(i) / 64)), 64 * (size_of(i) / 64));
}

LOAD_CALL void *by_thread(int i)
{
	return load_took(&truth_by_thread, malloc(size_of(i)), size_of(i));
}

LOAD_CALL void *by_large(void)
{
	return load_took(&truth_by_large, malloc(30000), 30000);
}

LOAD_CALL void *by_small(void)
{
	return load_took(&truth_by_small, malloc(24), 24);
}

LOAD_CALL void *by_giver(int i)
{
	return load_took(&truth_by_giver, malloc(size_of(i)), size_of(i));
}

LOAD_CALL void *before_fork(int i)
{
	return load_took(&truth_before_fork, malloc(size_of(i)), size_of(i));
}

LOAD_CALL void *by_forked(int i)
{
	return load_took(&truth_by_forked, malloc(size_of(i)), size_of(i));
}

LOAD_CALL void *by_chain(int i)
{
	return load_took(&truth_by_chain, malloc(size_of(i)), size_of(i));
}

/* One realloc of a chain, from @before bytes of @from to @after. */
#define LINK(name)                                                                                             \
	LOAD_CALL void *name(void *block, struct load_site *from, size_t before, size_t after)                 \
	{                                                                                                      \
		void *moved = realloc(block, after);                                                           \
                                                                                                               \
		load_check(moved != NULL, "realloc");                                                          \
		load_gave(from, before);                                                                       \
		return load_took(&truth_##name, moved, after);                                                 \
	}
LINK(by_second_link)
LINK(by_third_link)
LINK(by_last_link)

/* It grows twice and shrinks, or ends on the way there. */
static void chain(int i)
{
	const size_t bytes = size_of(i);
	void *block = by_chain(i);

	block = by_second_link(block, &truth_by_chain, bytes, 3 * bytes);
	if (i % 4)
		block = by_third_link(block, &truth_by_second_link, 3 * bytes, 9 * bytes);
	if (i % 4 > 1)
		block = by_last_link(block, &truth_by_third_link, 9 * bytes, 2 * bytes);
	if (i % 4 > 2)
		load_drop(&(struct load_block){ block, 2 * bytes, &truth_by_last_link });
}

static struct load_block given[BLOCKS];

static void *second_thread(void *unused)
{
	for (int i = 0; i < BLOCKS; i++) {
		load_check(by_thread(i) != NULL, "malloc in a thread");
		if (i % 3)
			load_drop(&given[i]);
	}
	return unused;
}

/* What is inherited is the parent's: its child's frees of it change nothing for either. */
static void forked(struct load_block *inherited)
{
	load_reset();
	for (int i = 0; i < BLOCKS; i++) {
		struct load_block block = { NULL, size_of(i), &truth_by_forked };

		if (i % 2)
			free(inherited[i].block);
		block.block = by_forked(i);
		if (i % 3 == 0)
			load_drop(&block);
	}
	load_write("forked");
	_exit(0);
}

static void wait_for(pid_t child)
{
	int status;

	load_check(child > 0 && waitpid(child, &status, 0) == child && !status, "a child");
}

static void fork_half_way(void)
{
	struct load_block inherited[BLOCKS];
	pid_t child;

	for (int i = 0; i < BLOCKS; i++)
		inherited[i] = (struct load_block){ before_fork(i), size_of(i), &truth_before_fork };
	child = fork();
	if (!child)
		forked(inherited);
	wait_for(child);
	for (int i = 0; i < BLOCKS; i += 3)
		load_drop(&inherited[i]);
}

static void allocate(void)
{
	pthread_t thread;

	for (int i = 0; i < BLOCKS; i++) {
		struct load_block first = { by_malloc(i), size_of(i), &truth_by_malloc };
		struct load_block zeroed = { by_calloc(i), 3 * size_of(i), &truth_by_calloc };

		if (i % 3 == 1)
			load_drop(&first);
		else if (i % 3 == 2)
			by_realloc(first.block, first.bytes, i);
		if (i % 2)
			load_drop(&zeroed);
		by_realloc(NULL, 0, i);
		by_reallocarray(i);
		by_memalign(i);
		by_posix_memalign(i);
		by_aligned_alloc(i);
		for (int j = 0; j < 10; j++)
			by_small();
		if (i % 10 == 0)
			by_large();
		chain(i);
		given[i] = (struct load_block){ by_giver(i), size_of(i), &truth_by_giver };
	}
	fork_half_way();
	load_check(!pthread_create(&thread, NULL, second_thread, NULL), "pthread_create");
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	const int children = argc > 1 ? (int)load_number(argv[1]) : 1;

	for (int i = 0; i < children; i++) {
		const pid_t child = fork();

		if (!child) {
			allocate();
			load_write("sampled");
			_exit(0);
		}
		wait_for(child);
	}
	return 0;
}
