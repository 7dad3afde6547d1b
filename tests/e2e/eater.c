// SPDX-License-Identifier: Apache-2.0
/*
 * What runs in the containers of these tests: "eater MODE".
 *
 *   alone    grow until killed
 *   child    a child grows until it is killed; the parent says "child NUMBER", the signal's, and lives on
 *   hold     take 64 MiB and wait as below
 *   pause    wait for a signal that ends it: the first process of a pod
 *
 * It gives up at 512 MiB, with status 3: then nothing limited it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST (512ul << 20)
#define SOME (64ul << 20)
#define PAGE 4096ul

/* Returns 3 when it has @bytes. */
static int grow(size_t bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return 2;
	madvise(at, bytes, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses it */
	for (size_t i = 0; i < bytes; i += PAGE)
		*(volatile char *)(at + i) = 1;
	return 3;
}

static void leave(int number)
{
	_exit(128 + number);
}

/* As a container's first process it has to say which signals end it. */
static int wait_for_the_end(void)
{
	signal(SIGTERM, leave);
	signal(SIGINT, leave);
	while (pause() < 0)
		;
	return 0;
}

static int outlive(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(grow(MOST));
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
		return 2;
	printf("child %d\n", WTERMSIG(status));
	fflush(stdout);
	return wait_for_the_end();
}

int main(int argc, char **argv)
{
	const char *mode = argc == 2 ? argv[1] : "";

	if (!strcmp(mode, "alone"))
		return grow(MOST);
	if (!strcmp(mode, "child"))
		return outlive();
	if (!strcmp(mode, "hold"))
		return grow(SOME) == 3 ? wait_for_the_end() : 2;
	return strcmp(mode, "pause") ? 2 : wait_for_the_end();
}
