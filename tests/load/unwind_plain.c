// SPDX-License-Identifier: Apache-2.0
/*
 * Stacks of one thread without frame pointers: deep ones whose frames differ, ones that begin
 * alike and end apart, frames of a size known only when they run, calls back out of libc, and a
 * stack made by hand.
 */
#include "unwind.h"

#include <alloca.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_SIZE (64 << 10)
#define USE(room) __asm__ volatile("" ::"r"(room) : "memory")

LOAD_CALL void leaf_take(size_t bytes)
{
	UNWIND_TAKE(bytes);
}

static void deeper(unsigned int depth, size_t bytes);

/* Registers saved, nothing else. */
LOAD_CALL void rec_plain(unsigned int depth, size_t bytes)
{
	deeper(depth, bytes);
	UNWIND_STAY();
}

/* The caller's frame is a fixed way off, which takes four bytes to say. */
LOAD_CALL void rec_wide(unsigned int depth, size_t bytes)
{
	char room[3000];

	USE(room);
	deeper(depth, bytes);
	USE(room);
}

/* Only a register that is saved knows how far off. */
LOAD_CALL void rec_sized(unsigned int depth, size_t bytes)
{
	char room[depth % 50 * 8 + 1];

	USE(room);
	deeper(depth, bytes);
	USE(room);
}

static inline __attribute__((always_inline)) void deeper(unsigned int depth, size_t bytes)
{
	if (!depth)
		leaf_take(bytes);
	else if (depth % 3 == 1)
		rec_plain(depth - 1, bytes);
	else if (depth % 3 == 2)
		rec_wide(depth - 1, bytes);
	else
		rec_sized(depth - 1, bytes);
}

/* Two ways to the same deep end. */
LOAD_CALL void from_left(unsigned int depth, size_t bytes)
{
	rec_sized(depth, bytes);
	UNWIND_STAY();
}

LOAD_CALL void from_right(unsigned int depth, size_t bytes)
{
	char room[100];

	USE(room);
	rec_sized(depth, bytes);
	USE(room);
}

LOAD_CALL void tail_second(size_t bytes)
{
	UNWIND_TAKE(bytes);
}

/* Is gone when tail_second runs. */
LOAD_CALL void tail_first(size_t bytes)
{
	__asm__ volatile("" : "+r"(bytes));
	tail_second(bytes);
}

/* Is gone when malloc runs. */
LOAD_CALL void *tail_malloc(size_t bytes)
{
	__asm__ volatile("" : "+r"(bytes));
	return malloc(bytes);
}

LOAD_CALL void under_tail(size_t bytes)
{
	load_check(tail_malloc(bytes) != NULL, "a block");
	UNWIND_STAY();
}

LOAD_CALL void alloca_take(size_t bytes)
{
	char *room = alloca(bytes / 10);

	USE(room);
	UNWIND_TAKE(bytes);
}

LOAD_CALL void array_take(size_t bytes)
{
	char room[bytes * 3];

	USE(room);
	UNWIND_TAKE(bytes);
}

LOAD_CALL void large_take(size_t bytes)
{
	char room[70 << 10];

	USE(room);
	UNWIND_TAKE(bytes);
	USE(room);
}

/* The caller's frame is found through a pointer saved in this one. */
LOAD_CALL void aligned_take(size_t bytes)
{
	char line[64] __attribute__((aligned(64)));
	char *room = alloca(bytes / 10);

	USE(line);
	USE(room);
	UNWIND_TAKE(bytes);
	USE(line);
}

/* The same without a size that varies: nothing but the stack pointer is moved. */
LOAD_CALL void aligned_fixed_take(size_t bytes)
{
	char line[64] __attribute__((aligned(64)));

	USE(line);
	UNWIND_TAKE(bytes);
	USE(line);
}

static size_t compare_bytes;

LOAD_CALL int compare_take(const void *one, const void *other)
{
	if (compare_bytes) {
		UNWIND_TAKE(compare_bytes);
		compare_bytes = 0;
	}
	return *(const int *)one - *(const int *)other;
}

LOAD_CALL void sort_numbers(size_t bytes)
{
	int numbers[] = { 9, 3, 7, 1, 8, 2, 6, 4 };

	compare_bytes = bytes;
	qsort(numbers, sizeof(numbers) / sizeof(numbers[0]), sizeof(numbers[0]), compare_take);
	load_check(numbers[0] == 1 && !compare_bytes, "sorted, with a block");
}

static ucontext_t back, there;

static void context_main(void)
{
	leaf_take(7040);
	UNWIND_STAY();
}

/* On a stack that is no thread's, and that ends where it was made. */
LOAD_CALL void switch_context(void)
{
	static char stack[STACK_SIZE] __attribute__((aligned(16)));

	load_check(!getcontext(&there), "a context");
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof(stack);
	there.uc_link = &back;
	makecontext(&there, context_main, 0);
	load_check(!swapcontext(&back, &there), "a context to come back from");
}

static void run(const char *mode)
{
	if (!strcmp(mode, "deep")) {
		rec_sized(99, 7001);
	} else if (!strcmp(mode, "shallow")) {
		rec_sized(39, 7005);
	} else if (!strcmp(mode, "too-deep")) {
		from_left(300, 7002);
		from_right(300, 7002);
	} else if (!strcmp(mode, "tail")) {
		tail_first(7003);
		under_tail(7004);
	} else if (!strcmp(mode, "sizes")) {
		alloca_take(7010);
		array_take(7011);
		large_take(7012);
	} else if (!strcmp(mode, "aligned")) {
		aligned_take(7020);
		aligned_fixed_take(7021);
	} else if (!strcmp(mode, "sort")) {
		sort_numbers(7030);
	} else if (!strcmp(mode, "context")) {
		switch_context();
	} else {
		load_fail("usage: unwind_plain deep|shallow|too-deep|tail|sizes|aligned|sort|context");
	}
	UNWIND_STAY();
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	_exit(0);
}
