// SPDX-License-Identifier: Apache-2.0
/*
 * A block, and a stack, at every single instruction of this program's own: of functions that make
 * and give up their frames, and of the way through the PLT while its slot is not yet bound. x86_64.
 */
#include "unwind.h"

#include <alloca.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <ucontext.h>
#include <unistd.h>

#define TRAP_FLAG 0x100
#define USE(room) __asm__ volatile("" ::"r"(room) : "memory")

extern const char __executable_start, etext;

static volatile int stepping;
static volatile unsigned long long steps;

static void on_step(int number, siginfo_t *info, void *data)
{
	greg_t *registers = ((ucontext_t *)data)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	if (stepping)
		registers[REG_EFL] |= TRAP_FLAG;
	else
		registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	if (registers[REG_RIP] - (greg_t)&__executable_start > &etext - &__executable_start)
		return;
	steps++;
	UNWIND_TAKE(7601);
}

/* Six registers to save, and a slot of the PLT that is bound by this call. */
LOAD_CALL size_t step_saved(size_t a, size_t b, size_t c, size_t d, size_t e)
{
	size_t bit = (size_t)ffs(64);

	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(bit));
	return (size_t)ffs((int)(a + b + c + d + e)) + bit;
}

LOAD_CALL size_t step_sized(size_t size)
{
	char room[size];

	memset(room, 1, 8);
	USE(room);
	return size;
}

LOAD_CALL size_t step_early(size_t value)
{
	if (value == 7)
		return 0;
	return step_sized(value * 16) + step_saved(value, 2, 3, 4, 5);
}

LOAD_CALL void step_aligned(size_t size)
{
	char line[64] __attribute__((aligned(64)));
	char *room = alloca(size);

	USE(line);
	USE(room);
}

LOAD_CALL void step_all(int aligned)
{
	stepping = 1;
	raise(SIGTRAP);
	if (aligned)
		step_aligned(40);
	else
		step_early(step_early(7) + 3);
	stepping = 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	load_check(argc == 2, "usage: unwind_step plain|aligned");
	sigemptyset(&action.sa_mask);
	load_check(!sigaction(SIGTRAP, &action, NULL), "a handler");
	step_all(!strcmp(argv[1], "aligned"));
	load_fact("steps", steps);
	load_write("step");
	_exit(0);
}
