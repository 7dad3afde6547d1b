// SPDX-License-Identifier: Apache-2.0
/*
 * A process that lives before its tracer comes. It does one thing per letter on its input and
 * answers each with a dot, so that the runner decides what lies before and what after.
 */
#include "load.h"

#include <stdlib.h>
#include <unistd.h>

#define BEFORE 100

LOAD_SITE(before_take);
LOAD_SITE(after_take);
LOAD_SITE(grow_before);
LOAD_SITE(loop_take);

static struct load_block before[BEFORE];
static unsigned long long unknown_frees;

LOAD_CALL void *before_take(size_t bytes)
{
	return load_took(&truth_before_take, malloc(bytes), bytes);
}

LOAD_CALL void *after_take(size_t bytes)
{
	return load_took(&truth_after_take, malloc(bytes), bytes);
}

/* The old block is nobody's for a tracer that came later; the new one counts. */
LOAD_CALL void *grow_before(void *old, size_t bytes)
{
	return load_took(&truth_grow_before, realloc(old, bytes), bytes);
}

LOAD_CALL void *loop_take(size_t bytes)
{
	return load_took(&truth_loop_take, malloc(bytes), bytes);
}

static void take_before(void)
{
	for (size_t i = 0; i < BEFORE; i++)
		before[i].block = before_take(i + 200);
}

static void free_before(void)
{
	for (size_t i = 0; i < BEFORE / 2; i++) {
		free(before[i].block);
		before[i].block = NULL;
		unknown_frees++;
	}
}

static void grow_all_before(void)
{
	for (size_t i = BEFORE / 2; i < BEFORE; i++) {
		before[i].block = grow_before(before[i].block, 5000 + i);
		load_check(before[i].block != NULL, "an old block grows");
		unknown_frees++;
	}
}

static void take_after(void)
{
	for (size_t i = 0; i < 200; i++) {
		struct load_block held = { after_take(i + 10), i + 10, &truth_after_take };

		if (i % 4)
			load_drop(&held);
	}
}

static void loop(void)
{
	for (size_t i = 0; i < 20000; i++) {
		struct load_block held = { loop_take(i % 100 + 1), i % 100 + 1, &truth_loop_take };

		if (i % 100)
			load_drop(&held);
	}
}

static void reset(void)
{
	load_reset();
	unknown_frees = 0;
}

static void step(char letter)
{
	switch (letter) {
	case 'b':
		take_before();
		return;
	case 'r':
		reset();
		return;
	case 'f':
		free_before();
		return;
	case 'g':
		grow_all_before();
		return;
	case 'a':
		take_after();
		return;
	case 'l':
		loop();
		return;
	case 't':
		load_fact("unknown_frees", unknown_frees);
		load_write("attach");
		return;
	case 'q':
		_exit(0);
	default:
		load_fail("an unknown letter");
	}
}

int main(void)
{
	char letter;

	while (read(STDIN_FILENO, &letter, 1) == 1) {
		step(letter);
		load_check(write(STDOUT_FILENO, ".", 1) == 1, "a reader on stdout");
	}
	return 0;
}
