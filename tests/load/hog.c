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
 *   veiled     grow without end, the pages of its command line being unreadable; with MIB 1 as a child, with MIB 2 all
 *              but the first of those pages
 *   bound      grow on memory of the NUMA node alone that MIB names
 *   doomed     a parent that stays small, whose child takes MIB and is held by its tracer, the parent, as it ends
 *              of a SIGKILL; the parent says "." then, and once told lets it end and leaves with 0
 *   calls      grow by calls: keep_blocks() by malloc, keep_mappings() by mmap; a third of the blocks is freed
 *
 * FILE gets two numbers of 8 bytes, which outlive a kill: the bytes that hold_most and hold_rest have touched, or
 * those that keep_blocks and keep_mappings hold.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

#define MIB     (1ul << 20)
#define PAGE    4096ul
#define PAGE_MOST 65536ul /* of any kernel */
#define RUN     (16 * PAGE)
#define AHEAD   (16384 * MIB) /* of address space: more than a test lets it have */
#define THREADS 8
#define BEGIN_US 50000 /* of threads, so that their first waits by then */
#define USER    4242
#define CHOSEN  "1000" /* oom_score_adj */
#define FILL_US 4000   /* for a MiB */
#define LINGER_US 500000 /* the parent of a child that was killed, so that others find it alive */
#define BIND    2      /* MPOL_BIND, linux/mempolicy.h */
#define BLOCK   60000  /* bytes: glibc has no mapping for each */

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

LOAD_CALL static void keep_blocks(void)
{
	char *block = malloc(BLOCK), *brief;

	touched[0] += BLOCK; /* before any page is touched again: that may be the fault that kills */
	brief = malloc(BLOCK / 2);
	load_check(block && brief, "malloc");
	free(brief);
	memset(block, 1, BLOCK);
}

LOAD_CALL static void keep_mappings(void)
{
	char *at = mmap(NULL, 4 * RUN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	load_check(at != MAP_FAILED, "mmap");
	touched[1] += 4 * RUN;
	memset(at, 1, 4 * RUN);
}

LOAD_CALL static void grow_by_calls(void)
{
	for (size_t i = 0; i < AHEAD; i += BLOCK) {
		keep_blocks();
		if (i % 8 == 0)
			keep_mappings();
	}
	load_fail("nobody killed it");
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	load_check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static void join(const char *cgroup)
{
	char path[4096];

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
	fflush(stdout);
	usleep(LINGER_US);
}

static pthread_barrier_t begun;

/* Not before all are there, and the main thread waits. */
static void *grow_too(void *unused)
{
	pthread_barrier_wait(&begun);
	usleep(BEGIN_US);
	grow();
	return unused;
}

static void threads(void)
{
	pthread_t thread;

	say_and_wait();
	load_check(!pthread_barrier_init(&begun, NULL, THREADS + 1), "a barrier");
	for (size_t i = 0; i < THREADS; i++)
		load_check(!pthread_create(&thread, NULL, grow_too, NULL), "pthread_create");
	pthread_barrier_wait(&begun);
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

/* Its own stack is below those pages by now. */
LOAD_CALL static void veil_and_grow(char **argv, bool all)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = (uintptr_t)argv[0] & -page, end;

	while (argv[1])
		argv++;
	end = (uintptr_t)argv[0] + strlen(argv[0]) + 1;
	if (!all)
		first += page;
	load_check(first < end && !mprotect((void *)first, end - first, PROT_NONE), "mprotect");
	grow();
}

/* As after a hint of NUMA balancing, which nobody would ever follow: the kernel takes such pages for no memory. */
LOAD_CALL static void veiled(char **argv, size_t how)
{
	volatile char apart[4 * PAGE_MOST];
	int status;
	pid_t pid = 0;

	apart[0] = 0;
	say_and_wait();
	if (how == 1)
		pid = fork();
	load_check(pid >= 0, "fork");
	if (!pid)
		veil_and_grow(argv, how != 2);
	load_check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "a child that is killed");
	printf("child %d\n", pid);
	fflush(stdout);
	usleep(LINGER_US + (unsigned int)apart[0]);
}

static void bound(size_t node)
{
	unsigned long nodes = 1ul << node;

	say_and_wait();
	load_check(!syscall(SYS_set_mempolicy, BIND, &nodes, 8 * sizeof(nodes)), "set_mempolicy");
	grow();
}

static void doomed(size_t bytes)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	load_check(!pipe(ready), "pipe");
	pid = fork();
	load_check(pid >= 0, "fork");
	if (!pid) {
		put("/proc/self/oom_score_adj", CHOSEN);
		take(bytes, 0);
		load_check(write(ready[1], ".", 1) == 1, "its parent");
		for (;;)
			pause();
	}
	load_check(read(ready[0], &byte, 1) == 1, "its child");
	load_check(!ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT), "ptrace");
	load_check(!kill(pid, SIGKILL), "kill");
	load_check(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status), "a child that ends");
	say_and_wait();
	ptrace(PTRACE_CONT, pid, 0, 0);
	load_check(waitpid(pid, &status, __WALL) == pid && WIFSIGNALED(status), "a child that has ended");
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
	if (!strcmp(mode, "doomed")) {
		doomed(bytes);
		return 0;
	}
	if (!strcmp(mode, "veiled")) {
		veiled(argv, bytes / MIB);
		return 0;
	}
	if (!strcmp(mode, "bound"))
		bound(bytes / MIB);
	if (!strcmp(mode, "threads"))
		threads();
	if (!strcmp(mode, "team"))
		team(bytes / MIB);
	say_and_wait();
	if (!strcmp(mode, "alone"))
		grow();
	if (!strcmp(mode, "calls"))
		grow_by_calls();
	load_check(!strcmp(mode, "fill"), mode);
	take(bytes, FILL_US);
	return 0;
}
