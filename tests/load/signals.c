// SPDX-License-Identifier: Apache-2.0
/*
 * Signal handlers that allocate. With libc's allocator only "between": the main loop keeps the
 * signals blocked while it is inside a call. With own.c (WITH_OWN) handlers interrupt malloc
 * itself ("inside", "altstack"), come two deep ("nested"), jump out of it ("jump"), and come as
 * deep as asked for, each inside the malloc of the one before ("deep" N).
 */
#include "load.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#ifdef WITH_OWN
#include "own.h"
#else
static const int own_inside;
#endif

#define CALLS	   40000
#define JUMPS	   1000
#define EVERY_US   200
#define RING	   64
#define STACK_SIZE (256 << 10)

LOAD_SITE(main_take);
LOAD_SITE(handler_take);

static struct load_block ring[RING]; /* the handlers' blocks; each place is swapped atomically */
static unsigned int ring_at;
static volatile unsigned long long handled, interrupted, jumped;
static volatile int jumping;
static sigjmp_buf landing;

LOAD_CALL void *main_take(size_t bytes)
{
	return load_took(&truth_main_take, malloc(bytes), bytes);
}

LOAD_CALL void *handler_take(size_t bytes)
{
	return load_took(&truth_handler_take, malloc(bytes), bytes);
}

/* Takes two blocks, gives one back at once and keeps the other in place of an older one. */
static void handle_block(void)
{
	unsigned int at = __atomic_fetch_add(&ring_at, 1, __ATOMIC_RELAXED) % RING;
	struct load_block held = { handler_take(77), 77, &truth_handler_take };
	void *old;

	load_drop(&held);
	old = __atomic_exchange_n(&ring[at].block, handler_take(at + 1), __ATOMIC_ACQ_REL);
	if (old)
		load_gave(&truth_handler_take, at + 1);
	free(old);
}

static void on_signal(int number)
{
	int inside = own_inside;

	(void)number;
	handled++;
	if (inside)
		interrupted++;
	handle_block();
	if (!jumping || !inside)
		return;
	jumped++;
#ifdef WITH_OWN
	own_inside = 0; /* now: the next signal may come before the jump has landed */
#endif
	siglongjmp(landing, 1);
}

static void arm(int flags, int both)
{
	struct itimerval every = { { 0, EVERY_US }, { 0, EVERY_US } };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART | flags };

	sigemptyset(&action.sa_mask);
	if (!both)
		sigaddset(&action.sa_mask, SIGPROF);
	load_check(!sigaction(SIGALRM, &action, NULL), "a handler");
	load_check(!setitimer(ITIMER_REAL, &every, NULL), "a timer");
	if (!both)
		return;
	load_check(!sigaction(SIGPROF, &action, NULL), "a second handler");
	load_check(!setitimer(ITIMER_PROF, &every, NULL), "a second timer");
}

static void disarm(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &never, NULL);
	setitimer(ITIMER_PROF, &never, NULL);
	signal(SIGALRM, SIG_IGN);
	signal(SIGPROF, SIG_IGN);
}

static void one_call(size_t i)
{
	struct load_block held = { main_take(i % 400 + 1), i % 400 + 1, &truth_main_take };

	if (i % 50 || i >= CALLS)
		load_drop(&held);
}

#ifndef WITH_OWN
static void loop_between(void)
{
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGALRM);
	sigaddset(&both, SIGPROF);
	for (size_t i = 0; i < CALLS; i++) {
		sigprocmask(SIG_BLOCK, &both, NULL);
		one_call(i);
		sigprocmask(SIG_UNBLOCK, &both, NULL);
	}
}
#else
static void loop_inside(void)
{
	for (size_t i = 0; i < CALLS; i++)
		one_call(i);
}

/* A call that is jumped out of did not return: it is not counted, nor is anything it took. */
static void loop_jump(void)
{
	volatile size_t i = 0;

	jumping = 1;
	sigsetjmp(landing, 1);
	while (jumped < JUMPS)
		one_call(i++);
	jumping = 0;
}

static volatile unsigned int depth, depth_wanted;

static void raise_inside(void)
{
	if (depth < depth_wanted)
		raise(SIGUSR1);
}

static void on_deeper(int number)
{
	(void)number;
	depth++;
	handled++;
	interrupted++;
	handler_take(depth);
	depth--;
}

/* Every call has all handlers above it: N + 1 calls open at once, a hundred times. */
static void loop_deep(const char *wanted)
{
	struct sigaction action = { .sa_handler = on_deeper, .sa_flags = SA_NODEFER };

	depth_wanted = (unsigned int)load_number(wanted);
	sigemptyset(&action.sa_mask);
	load_check(!sigaction(SIGUSR1, &action, NULL), "a handler");
	own_hook = raise_inside;
	for (size_t i = 0; i < 100; i++)
		main_take(i + 1);
	own_hook = NULL;
}

static void use_other_stack(void)
{
	static char other_stack[STACK_SIZE] __attribute__((aligned(16)));
	stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };

	load_check(!sigaltstack(&stack, NULL), "another stack");
}
#endif

static void run(const char *mode, const char *number)
{
#ifdef WITH_OWN
	int alternate = !strcmp(mode, "altstack") || !strcmp(mode, "altjump");

	if (!strcmp(mode, "deep")) {
		loop_deep(number);
		return;
	}
	own_spin = 400;
	if (alternate)
		use_other_stack();
	arm(alternate ? SA_ONSTACK : 0, !strcmp(mode, "nested"));
	if (!strcmp(mode, "jump") || !strcmp(mode, "altjump"))
		loop_jump();
	else
		loop_inside();
#else
	load_check(!strcmp(mode, "between") && !number, "usage: signals between");
	arm(0, 0);
	loop_between();
#endif
	disarm();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	run(mode, argc > 2 ? argv[2] : NULL);
	load_fact("handled", handled);
	load_fact("interrupted", interrupted);
	load_fact("jumped", jumped);
	load_write(mode);
	_exit(0);
}
