// SPDX-License-Identifier: Apache-2.0
/* Stacks whose functions are known, built with frame pointers. */
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP_FRAME() __asm__ volatile("" ::: "memory")

LOAD_SITE(leaf_take);
LOAD_SITE(tail_second);
LOAD_SITE(array_take);
LOAD_SITE(asm_take);

LOAD_CALL void *leaf_take(size_t bytes)
{
	return load_took(&truth_leaf_take, malloc(bytes), bytes);
}

/* Its frames differ in size with the depth. */
LOAD_CALL void recurse(unsigned int depth)
{
	volatile char room[depth % 50 + 1];

	room[0] = 1;
	if (depth)
		recurse(depth - 1);
	else
		leaf_take(2000 + room[0]);
	KEEP_FRAME();
}

LOAD_CALL void *tail_second(size_t bytes)
{
	return load_took(&truth_tail_second, malloc(bytes), bytes);
}

LOAD_CALL void *array_take(size_t bytes)
{
	char room[bytes * 10];
	char large[70000];

	__asm__ volatile("" ::"r"(room), "r"(large) : "memory");
	return load_took(&truth_array_take, malloc(bytes), bytes);
}

void *asm_take(size_t bytes);
void *tail_first(size_t bytes);

/*
 * asm_take has a frame pointer, but not a word of unwind information. tail_first jumps to its
 * callee: no frame of it is left, and none may be shown.
 */
#ifdef __x86_64__
__asm__(".text\n"
	".globl asm_take\n"
	".type asm_take, @function\n"
	"asm_take:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	call malloc@PLT\n"
	"	pop %rbp\n"
	"	ret\n"
	".size asm_take, . - asm_take\n"
	".globl tail_first\n"
	".type tail_first, @function\n"
	"tail_first:\n"
	"	inc %rdi\n"
	"	jmp tail_second\n"
	".size tail_first, . - tail_first\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl asm_take\n"
	".type asm_take, %function\n"
	"asm_take:\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	mov x29, sp\n"
	"	bl malloc\n"
	"	ldp x29, x30, [sp], #16\n"
	"	ret\n"
	".size asm_take, . - asm_take\n"
	".globl tail_first\n"
	".type tail_first, %function\n"
	"tail_first:\n"
	"	add x0, x0, #1\n"
	"	b tail_second\n"
	".size tail_first, . - tail_first\n");
#else
#error "no assembly for this machine"
#endif

LOAD_CALL void stand_under(const char *mode)
{
	if (!strcmp(mode, "asm"))
		load_took(&truth_asm_take, asm_take(555), 555);
	else
		tail_first(444);
	KEEP_FRAME();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "deep"))
		recurse(99);
	else if (!strcmp(mode, "too-deep"))
		recurse(299);
	else if (!strcmp(mode, "array"))
		array_take(333);
	else if (!strcmp(mode, "asm") || !strcmp(mode, "tail"))
		stand_under(mode);
	else
		load_fail("usage: frames deep|too-deep|array|asm|tail");
	load_write(mode);
	_exit(0);
}
