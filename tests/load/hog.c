// SPDX-License-Identifier: Apache-2.0
/*
 * Joins a memory cgroup and holds memory there until it is killed: "hog CGROUP MODE [MIB [FILE]]". CGROUP is the
 * directory. Unless it is told otherwise below, it says "." on stdout once it is a member, then waits for a byte
 * on stdin or for its end.
 *
 *   alone      grow without end: of ten runs of pages seven by hold_most(), three by hold_rest()
 *   child      a parent that stays small; its child, of user 4242, takes 3 MiB of shared memory and grows. The
 *              parent says "child NUMBER" when the child has died by that signal, and leaves with 0
 *   threads    eight threads grow side by side
 *   brief      grow at once, saying nothing and waiting for nobody
 *   idle       the one to be chosen: take MIB, say ".", and sleep
 *   fill       take MIB, slowly enough for a kill in the middle, and leave with 0
 *   team       a parent of so many children as MIB says, of a MiB each; when told, it grows
 *
 * FILE gets two numbers of 8 bytes, which outlive a kill: the bytes that hold_most and hold_rest have touched.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

#define MIB     (1ul << 20)
#define PAGE    4096ul
#define RUN     (16 * PAGE)
#define AHEAD   (16384 * MIB) /* of address space: more than a test lets it have */
#define THREADS 8
#define USER    4242
#define CHOSEN  "1000" /* oom_score_adj */
#define FILL_US 4000   /* for a MiB */

/* bytes touched: by hold_most, by hold_rest */
static volatile uint64_t untold[2], *touched = untold;

/* Small pages: what is touched is what is held. */
static char *room(size_t bytes, int flags)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);

	load_check(at != MAP_FAILED, "mmap");
	madvise(at, bytes, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses it */
	return at;
}

LOAD_CALL static void hold_most(char *at, size_t bytes)
{
	/* It has a frame pointer then, which some kernels' stacks need. */
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
	for (size_t i = 0; i < bytes; i += PAGE) {
		*(volatile char *)(at + i) = 1;
		touched[0] += PAGE;
	}
}

LOAD_CALL static void hold_rest(char *at, size_t bytes)
{
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
	for (size_t i = 0; i < bytes; i += PAGE) {
		*(volatile char *)(at + i) = 1;
		touched[1] += PAGE;
	}
}

LOAD_CALL static void grow(void)
{
	char *at = room(AHEAD, MAP_PRIVATE);

	for (size_t i = 0; i < AHEAD; i += 10 * RUN) {
		for (size_t run = 0; run < 10; run++) {
			if (i + (run + 1) * RUN > AHEAD)
				break;
			if (run % 3 == 2)
				hold_rest(at + i + run * RUN, RUN);
			else
				hold_most(at + i + run * RUN, RUN);
		}
	}
	load_fail("nobody killed it");
}

LOAD_CALL static void take(size_t bytes, unsigned int pause_us)
{
	char *at = bytes ? room(bytes, MAP_PRIVATE) : NULL;

	for (size_t i = 0; i < bytes; i += MIB) {
		hold_most(at + i, MIB);
		if (pause_us)
			usleep(pause_us);
	}
}

static void say_and_wait(void)
{
	char byte;

	load_check(write(STDOUT_FILENO, ".", 1) == 1, "stdout");
	if (read(STDIN_FILENO, &byte, 1) < 0)
		load_fail("stdin");
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	load_check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static void join(const char *cgroup)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	put(path, "0");
}

static void tell_in(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *at;

	load_check(fd >= 0 && !ftruncate(fd, sizeof(untold)), "its file");
	at = mmap(NULL, sizeof(untold), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	load_check(at != MAP_FAILED, "mmap of its file");
	close(fd);
	touched = at;
}

static void idle(size_t bytes)
{
	put("/proc/self/oom_score_adj", CHOSEN);
	take(bytes, 0);
	say_and_wait();
	for (;;)
		pause();
}

static void child(void)
{
	int status;
	pid_t pid;

	say_and_wait();
	pid = fork();
	load_check(pid >= 0, "fork");
	if (!pid) {
		load_check(!setresgid(USER, USER, USER) && !setresuid(USER, USER, USER), "its user");
		hold_most(room(3 * MIB, MAP_SHARED), 3 * MIB);
		grow();
	}
	load_check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "a child that is killed");
	printf("child %d\n", WTERMSIG(status));
}

static void *grow_too(void *unused)
{
	grow();
	return unused;
}

static void threads(void)
{
	pthread_t thread;

	say_and_wait();
	for (size_t i = 0; i < THREADS; i++)
		load_check(!pthread_create(&thread, NULL, grow_too, NULL), "pthread_create");
	for (;;)
		pause();
}

static void team(size_t children)
{
	for (size_t i = 0; i < children; i++) {
		pid_t pid = fork();

		load_check(pid >= 0, "fork");
		if (!pid) {
			take(MIB, 0);
			for (;;)
				pause();
		}
	}
	say_and_wait();
	grow();
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 3 ? load_number(argv[3]) : 0) * MIB;
	const char *mode = argc > 2 ? argv[2] : "";

	load_check(argc > 2, "CGROUP MODE");
	if (argc > 4)
		tell_in(argv[4]);
	join(argv[1]);
	if (!strcmp(mode, "brief"))
		grow();
	if (!strcmp(mode, "idle"))
		idle(bytes);
	if (!strcmp(mode, "child")) {
		child();
		return 0;
	}
	if (!strcmp(mode, "threads"))
		threads();
	if (!strcmp(mode, "team"))
		team(bytes / MIB);
	say_and_wait();
	if (!strcmp(mode, "alone"))
		grow();
	load_check(!strcmp(mode, "fill"), mode);
	take(bytes, FILL_US);
	return 0;
}
