// SPDX-License-Identifier: Apache-2.0
/* Stacks that do not begin at main: of a thread, of a clone that shares memory, of children. */
#include "unwind.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (256 << 10)

LOAD_CALL void thread_take(size_t bytes)
{
	UNWIND_TAKE(bytes);
}

static void *thread_main(void *bytes)
{
	thread_take((size_t)bytes);
	UNWIND_STAY();
	return NULL;
}

static void run_thread(size_t bytes)
{
	pthread_t thread;

	load_check(!pthread_create(&thread, NULL, thread_main, (void *)bytes), "a thread");
	pthread_join(thread, NULL);
}

static int clone_main(void *bytes)
{
	thread_take((size_t)bytes);
	UNWIND_STAY();
	_exit(0);
}

static void ended(pid_t pid)
{
	int status;

	load_check(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "a child that ends well");
}

/* A process of its own, in our memory, on a stack of its own. */
static void run_clone(size_t bytes)
{
	static char stack[STACK_SIZE] __attribute__((aligned(16)));

	ended(clone(clone_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)bytes));
}

LOAD_CALL void run_fork(size_t bytes)
{
	pid_t pid = fork();

	if (!pid) {
		thread_take(bytes);
		_exit(0);
	}
	ended(pid);
}

/* Deep enough to see that they are the parent's frames that the child stands on. */
LOAD_CALL void vfork_deep(unsigned int depth, size_t bytes)
{
	pid_t pid;

	if (depth) {
		vfork_deep(depth - 1, bytes);
		UNWIND_STAY();
		return;
	}
	pid = vfork();
	if (!pid) {
		thread_take(bytes);
		execl("/bin/true", "true", NULL);
		_exit(98);
	}
	ended(pid);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "thread"))
		run_thread(7301);
	else if (!strcmp(mode, "clone"))
		run_clone(7302);
	else if (!strcmp(mode, "vfork"))
		vfork_deep(4, 7303);
	else if (!strcmp(mode, "fork"))
		run_fork(7304);
	else
		load_fail("usage: unwind_threads thread|clone|vfork|fork");
	_exit(0);
}
