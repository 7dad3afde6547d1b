// SPDX-License-Identifier: Apache-2.0
/* What fork, vfork, posix_spawn and exec do to a process's sums. One line of truth per process. */
#include "load.h"

#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT 40

extern char **environ;

LOAD_SITE(parent_take);
LOAD_SITE(child_take);
LOAD_SITE(vfork_take);
LOAD_SITE(image_take);

static struct load_block kept[KEPT];
static char *self;

LOAD_CALL void *parent_take(size_t bytes)
{
	return load_took(&truth_parent_take, malloc(bytes), bytes);
}

LOAD_CALL void *child_take(size_t bytes)
{
	return load_took(&truth_child_take, malloc(bytes), bytes);
}

LOAD_CALL void *vfork_take(size_t bytes)
{
	return load_took(&truth_vfork_take, malloc(bytes), bytes);
}

LOAD_CALL void *image_take(size_t bytes)
{
	return load_took(&truth_image_take, malloc(bytes), bytes);
}

static void take_kept(void)
{
	for (size_t i = 0; i < KEPT; i++)
		kept[i] = (struct load_block){ parent_take(i + 500), i + 500, &truth_parent_take };
}

static void wait_for(pid_t pid)
{
	int status = -1;

	load_check(pid > 0 && waitpid(pid, &status, 0) == pid, "a child");
	load_check(WIFEXITED(status) && !WEXITSTATUS(status), "a child ends well");
}

/* Frees half of what it inherited, takes blocks of its own. */
static void child_body(size_t number)
{
	load_reset();
	for (size_t i = 0; i < KEPT; i += 2)
		free(kept[i].block);
	for (size_t i = 0; i < 30; i++) {
		struct load_block held = { child_take(i + number + 1), i + number + 1,
					   &truth_child_take };

		if (i % 3)
			load_drop(&held);
	}
	load_fact("unknown_frees", KEPT / 2);
	load_write("child");
	_exit(0);
}

static void do_fork(size_t children)
{
	take_kept();
	for (size_t i = 0; i < children; i++) {
		pid_t pid = fork();

		if (!pid)
			child_body(i);
		wait_for(pid);
	}
	for (size_t i = 0; i < KEPT; i += 4)
		load_drop(&kept[i]);
}

/* A fork whose child gets the pid asked for, where the caller may choose it. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args arguments = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&pid,
		.set_tid_size = 1,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* Two children, one after the other, with one pid: two processes all the same. */
static void do_reuse(void)
{
	pid_t first, second;

	take_kept();
	first = fork();
	if (!first)
		child_body(100);
	wait_for(first);
	second = fork_as(first);
	if (!second)
		child_body(200);
	if (second < 0) {
		load_fact("refused", (unsigned long long)errno);
		return;
	}
	load_check(second == first, "the pid that was asked for");
	wait_for(second);
}

/* All at once, so that children and parent run side by side. */
static void do_crowd(void)
{
	pid_t pids[20];

	take_kept();
	for (size_t i = 0; i < 20; i++) {
		pids[i] = fork();
		if (!pids[i])
			child_body(i);
		parent_take(64);
	}
	for (size_t i = 0; i < 20; i++)
		wait_for(pids[i]);
}

static void do_vfork(int take_first)
{
	char *arguments[] = { self, (char *)"image", NULL };
	pid_t pid;

	take_kept();
	pid = vfork();
	if (!pid) {
		if (take_first) {
			for (size_t i = 0; i < 5; i++)
				vfork_take(1000 + i);
			load_drop(&kept[0]); /* the parent's own block: the memory is shared */
		}
		execve(self, arguments, environ);
		_exit(98);
	}
	wait_for(pid);
	load_drop(&kept[1]);
}

static void do_spawn(void)
{
	char *arguments[] = { self, (char *)"image", NULL };
	pid_t pid = 0;

	take_kept();
	load_check(!posix_spawn(&pid, self, NULL, NULL, arguments, environ), "posix_spawn");
	wait_for(pid);
	load_drop(&kept[0]);
}

/* The second image begins at zero; its blocks may lie where the first one's lay. */
static void do_image(void)
{
	for (size_t i = 0; i < 25; i++) {
		struct load_block held = { image_take(i + 300), i + 300, &truth_image_take };

		if (i % 5)
			load_drop(&held);
	}
}

static void *exec_self(void *argument)
{
	char *arguments[] = { self, (char *)"image", NULL };

	load_write((const char *)argument);
	execve(self, arguments, environ);
	load_fail("exec");
}

static void do_exec(void)
{
	take_kept();
	exec_self((void *)"exec");
}

static void do_exec_thread(void)
{
	pthread_t thread;

	take_kept();
	load_check(!pthread_create(&thread, NULL, exec_self, (void *)"exec-thread"), "a thread");
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	self = argv[0];
	if (!strcmp(mode, "fork"))
		do_fork(1);
	else if (!strcmp(mode, "forks"))
		do_fork(50);
	else if (!strcmp(mode, "reuse"))
		do_reuse();
	else if (!strcmp(mode, "crowd"))
		do_crowd();
	else if (!strcmp(mode, "vfork"))
		do_vfork(0);
	else if (!strcmp(mode, "vfork-take"))
		do_vfork(1);
	else if (!strcmp(mode, "spawn"))
		do_spawn();
	else if (!strcmp(mode, "image"))
		do_image();
	else if (!strcmp(mode, "exec"))
		do_exec();
	else if (!strcmp(mode, "exec-thread"))
		do_exec_thread();
	else
		load_fail("usage: process MODE");
	load_write(mode);
	_exit(0);
}
