// SPDX-License-Identifier: Apache-2.0
/* Each system call that changes mappings, alone, from a function of its own. One line of truth per process. */
#include "mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

LOAD_SITE(anon_map);
LOAD_SITE(file_map);
LOAD_SITE(none_map);
LOAD_SITE(shared_map);
LOAD_SITE(raw_map);
LOAD_SITE(fixed_map);
LOAD_SITE(grow_map);
LOAD_SITE(twin_map);
LOAD_SITE(brk_move);
LOAD_SITE(shm_map);
LOAD_SITE(thread_map);
LOAD_SITE(child_map);
LOAD_SITE(vfork_map);
LOAD_SITE(image_map);
LOAD_SITE(crowd_map);

#define CROWD       64 /* threads */
#define CROWD_CALLS 40
#define CROWD_PAGES 32
#define ADVISED     (32UL << 20)

static char *self;

/* Before: until the runner says so. After: until it has seen enough. */
static void wait_for_runner(void)
{
	char byte;

	load_check(write(STDOUT_FILENO, ".", 1) == 1, "a reader on stdout");
	load_check(read(STDIN_FILENO, &byte, 1) == 1, "a writer on stdin");
}

static char *must(void *address, const char *what)
{
	load_check(address != MAP_FAILED, what);
	return address;
}

LOAD_CALL char *anon_map(size_t bytes)
{
	char *address = must(mmap(NULL, bytes, READ_WRITE, ANONYMOUS, -1, 0), "anonymous memory");

	mapped_took(&truth_anon_map, (bytes + PAGE - 1) / PAGE);
	return address;
}

LOAD_CALL char *file_map(int file, size_t bytes)
{
	char *address = must(mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0), "a file");

	mapped_took(&truth_file_map, (bytes + PAGE - 1) / PAGE);
	return address;
}

LOAD_CALL char *none_map(size_t pages)
{
	char *address = must(mmap(NULL, pages * PAGE, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0), "a reservation");

	mapped_took(&truth_none_map, pages);
	return address;
}

LOAD_CALL char *shared_map(size_t pages)
{
	char *address = must(mmap(NULL, pages * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), "shared memory");

	mapped_took(&truth_shared_map, pages);
	return address;
}

/* The system call is made right here: this function is the innermost frame. */
LOAD_CALL char *raw_map(size_t pages)
{
	char *address;
#if defined(__x86_64__)
	register long flags __asm__("r10") = ANONYMOUS;
	register long file __asm__("r8") = -1;
	register long offset __asm__("r9") = 0;

	__asm__ volatile("syscall"
			 : "=a"(address)
			 : "a"((long)SYS_mmap), "D"(0L), "S"(pages * PAGE), "d"((long)READ_WRITE), "r"(flags),
			   "r"(file),
			   "r"(offset)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long number __asm__("x8") = SYS_mmap;
	register long result __asm__("x0") = 0;
	register long bytes __asm__("x1") = (long)(pages * PAGE);
	register long prot __asm__("x2") = READ_WRITE;
	register long flags __asm__("x3") = ANONYMOUS;
	register long file __asm__("x4") = -1;
	register long offset __asm__("x5") = 0;

	__asm__ volatile("svc 0"
			 : "+r"(result)
			 : "r"(number), "r"(bytes), "r"(prot), "r"(flags), "r"(file), "r"(offset)
			 : "memory");
	address = (char *)result;
#endif
	load_check((unsigned long)address < -4095UL, "a mapping without the library");
	mapped_took(&truth_raw_map, pages);
	return address;
}

LOAD_CALL void fixed_map(char *at, size_t pages)
{
	load_check(mmap(at, pages * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == at, "a fixed mapping");
	mapped_took(&truth_fixed_map, pages);
}

/* From @old to @pages; what is added belongs to this function. */
LOAD_CALL char *grow_map(char *at, size_t old, size_t pages, int flags)
{
	char *address = must(mremap(at, old * PAGE, pages * PAGE, flags), "a mapping that grows");

	mapped_took(&truth_grow_map, pages - old);
	return address;
}

/* Another mapping of what is at @at, which stays. */
LOAD_CALL char *twin_map(char *at, size_t old, size_t pages, int flags)
{
	char *address = must(mremap(at, old * PAGE, pages * PAGE, MREMAP_MAYMOVE | flags), "a second mapping");

	mapped_took(&truth_twin_map, pages);
	return address;
}

static void unmap(struct load_site *site, char *at, size_t pages, int whole)
{
	load_check(!munmap(at, pages * PAGE), "munmap");
	mapped_gave(site, pages, whole);
}

static void do_mmap(void)
{
	int file = open(self, O_RDONLY | O_CLOEXEC);

	load_check(file >= 0, "our own file");
	anon_map(1);
	anon_map(3 * PAGE + 1);
	unmap(&truth_anon_map, anon_map(7 * PAGE), 7, 1);
	file_map(file, 10000);
	unmap(&truth_file_map, file_map(file, 5000), 2, 1);
	none_map(1000);
	unmap(&truth_none_map, none_map(64), 64, 1);
	raw_map(11);
}

static void do_munmap(void)
{
	char *front = anon_map(20 * PAGE), *back = anon_map(20 * PAGE), *middle = anon_map(20 * PAGE);
	char *reserved = none_map(40);

	unmap(&truth_anon_map, front, 3, 0);
	unmap(&truth_anon_map, back + 16 * PAGE, 4, 0);
	unmap(&truth_anon_map, middle + 8 * PAGE, 5, 0);
	unmap(&truth_anon_map, middle, 8, 0);
	unmap(&truth_anon_map, middle + 13 * PAGE, 7, 1);
	/* Three mappings with a hole between two of them; one call, from the first's end to the last's start. */
	fixed_map(reserved, 10);
	fixed_map(reserved + 10 * PAGE, 10);
	fixed_map(reserved + 20 * PAGE, 20);
	mapped_gave(&truth_none_map, 40, 1);
	unmap(&truth_fixed_map, reserved + 18 * PAGE, 2, 0);
	load_check(!munmap(reserved + 4 * PAGE, 26 * PAGE), "munmap over several");
	mapped_gave(&truth_fixed_map, 6, 0);
	mapped_gave(&truth_fixed_map, 8, 1);
	mapped_gave(&truth_fixed_map, 10, 0);
	/* Length is rounded up, and what is not there goes without an error. */
	load_check(!munmap(reserved + 3 * PAGE, 1), "munmap of a byte");
	mapped_gave(&truth_fixed_map, 1, 0);
	load_check(!munmap(reserved + 4 * PAGE, PAGE), "munmap of nothing");
}

static void do_fixed(void)
{
	char *base = anon_map(32 * PAGE);

	fixed_map(base, 16);             /* the first half */
	mapped_gave(&truth_anon_map, 16, 0);
	fixed_map(base + 24 * PAGE, 8);  /* the end */
	mapped_gave(&truth_anon_map, 8, 0);
	fixed_map(base + 8 * PAGE, 10);  /* over two */
	mapped_gave(&truth_fixed_map, 8, 0);
	mapped_gave(&truth_anon_map, 2, 0);
	fixed_map(base, 32);             /* over all */
	mapped_gave(&truth_fixed_map, 8, 1);
	mapped_gave(&truth_fixed_map, 10, 1);
	mapped_gave(&truth_anon_map, 6, 1);
	mapped_gave(&truth_fixed_map, 8, 1);
}

static void do_failing(void)
{
	char *held = anon_map(16 * PAGE), *blocked = none_map(16);
	const size_t endless = (size_t)1 << 60;

	mapped_refused(mmap(NULL, 0, READ_WRITE, ANONYMOUS, -1, 0), "no bytes");
	mapped_refused(mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, 12345, 0), "no file");
	mapped_refused(mmap(NULL, endless, READ_WRITE, ANONYMOUS, -1, 0), "too much");
	mapped_refused(mmap(held, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), "not free");
	load_check(munmap(held + 1, PAGE) && munmap(held, 0) && munmap(held, endless), "munmaps that fail");
	fixed_map(blocked + 8 * PAGE, 8);
	mapped_gave(&truth_none_map, 8, 0);
	mapped_refused(mremap(blocked, 8 * PAGE, 9 * PAGE, 0), "no room to grow");
	mapped_refused(mremap(blocked + 1, PAGE, PAGE, MREMAP_MAYMOVE), "no page's start");
	mapped_refused(mremap(blocked, PAGE, endless, MREMAP_MAYMOVE), "too large");
	mapped_refused(shmat(-1, NULL, 0), "no segment");
	syscall(SYS_brk, (char *)syscall(SYS_brk, 0) + endless);
}

/* Calls that fail and do not tell what they have changed. */
static void do_unclear(void)
{
	char *held = anon_map(16 * PAGE), *target = anon_map(16 * PAGE), *holey = none_map(16);

	mapped_refused(mmap(held + 1, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0), "no page's start");
	mapped_refused(mmap(held, PAGE, READ_WRITE, MAP_PRIVATE | MAP_FIXED, 12345, 0), "fixed, and no file");
	mapped_refused(mremap(held, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, held + 4 * PAGE),
		       "they overlap");
	mapped_refused(mremap(held, 8 * PAGE, 8 * PAGE, MREMAP_FIXED, target), "it may not move");
	load_check(shmdt(held), "nothing to detach");
	unmap(&truth_none_map, holey + 8 * PAGE, 1, 0);
	load_check(mprotect(holey, 16 * PAGE, PROT_READ), "a hole stops mprotect");
}

static void do_remap(void)
{
	char *held = anon_map(32 * PAGE), *moved, *target;

	/* Where there is room, and where there is none. */
	unmap(&truth_anon_map, held + 16 * PAGE, 16, 0);
	held = grow_map(held, 16, 20, 0);
	held = grow_map(held, 20, 2000, MREMAP_MAYMOVE);
	load_check(mremap(held, 2000 * PAGE, 30 * PAGE, 0) == held, "a mapping that shrinks");
	mapped_gave(&truth_grow_map, 1970, 0);
	load_check(mremap(held, 30 * PAGE, 10 * PAGE, MREMAP_MAYMOVE) == held, "a mapping that shrinks by more");
	mapped_gave(&truth_grow_map, 10, 1);
	mapped_gave(&truth_grow_map, 4, 1);
	mapped_gave(&truth_anon_map, 6, 0);
	/* To an address; what was there goes. */
	target = anon_map(40 * PAGE);
	moved = must(mremap(held, 10 * PAGE, 10 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + 5 * PAGE), "a move");
	load_check(moved == target + 5 * PAGE, "moved where it should");
	mapped_gave(&truth_anon_map, 10, 0);
	/* A part out of the middle, which grows on its way. */
	moved = grow_map(target + 20 * PAGE, 8, 12, MREMAP_MAYMOVE);
	load_check(moved < target || moved >= target + 40 * PAGE, "a part moves away");
	/* The old range stays, and with MAP_SHARED and no bytes a copy comes. */
	twin_map(target, 5, 5, MREMAP_DONTUNMAP);
	target = shared_map(6);
	twin_map(target, 0, 6, 0);
	unmap(&truth_shared_map, target, 6, 1);
}

LOAD_CALL char *brk_move(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

static void do_brk(void)
{
	char *start = brk_move(NULL), *page = (char *)(((size_t)start + PAGE - 1) & ~(PAGE - 1));

	load_check(brk_move(page + 10 * PAGE) == page + 10 * PAGE, "the break goes up");
	mapped_took(&truth_brk_move, 10);
	load_check(brk_move(page + 10 * PAGE + 3) == page + 10 * PAGE + 3, "by three bytes");
	mapped_took(&truth_brk_move, 1);
	load_check(brk_move(page + 11 * PAGE) == page + 11 * PAGE, "to the end of the page");
	load_check(brk_move(page + 7 * PAGE - 1) == page + 7 * PAGE - 1, "the break goes down");
	mapped_gave(&truth_brk_move, 1, 1);
	mapped_gave(&truth_brk_move, 3, 0);
	load_check(brk_move(page + 9 * PAGE) == page + 9 * PAGE, "and up again");
	mapped_took(&truth_brk_move, 2);
	load_check(brk_move(start - PAGE) == page + 9 * PAGE, "not below its start");
	load_check(brk_move(page + 1) == page + 1, "and down to one page");
	mapped_gave(&truth_brk_move, 2, 1);
	mapped_gave(&truth_brk_move, 6, 0);
}

LOAD_CALL char *shm_map(int id, size_t pages)
{
	char *address = must(shmat(id, NULL, 0), "shmat");

	mapped_took(&truth_shm_map, pages);
	return address;
}

static void do_shm(void)
{
	int id = shmget(IPC_PRIVATE, 5 * PAGE - 100, IPC_CREAT | 0600);
	char *first, *second;

	load_check(id >= 0, "a segment");
	first = shm_map(id, 5);
	second = shm_map(id, 5);
	load_check(!shmctl(id, IPC_RMID, NULL), "to be removed with its last user");
	shm_map(id, 5);
	load_check(!shmdt(first), "shmdt");
	mapped_gave(&truth_shm_map, 5, 1);
	unmap(&truth_shm_map, second + 2 * PAGE, 1, 0); /* a hole in it, which shmdt passes over */
	load_check(!shmdt(second), "shmdt with a hole");
	mapped_gave(&truth_shm_map, 4, 1);
}

static void do_protect(void)
{
	char *held = none_map(100);

	load_check(!mprotect(held, 40 * PAGE, READ_WRITE), "readable and writable");
	load_check(!mprotect(held + 10 * PAGE, 5 * PAGE, PROT_NONE), "neither");
	load_check(!mprotect(held + 90 * PAGE, 10 * PAGE, PROT_READ), "readable");
	load_check(!mprotect(held + 95 * PAGE, PAGE - 1, PROT_EXEC), "a page, by one byte less");
	load_check(!syscall(SYS_pkey_mprotect, held + 50 * PAGE, 4 * PAGE, READ_WRITE, -1), "by the other call");
	unmap(&truth_none_map, held + 30 * PAGE, 30, 0);
}

static void wait_for(pid_t pid)
{
	int status = -1;

	load_check(pid > 0 && waitpid(pid, &status, 0) == pid, "a child");
	load_check(WIFEXITED(status) && !WEXITSTATUS(status), "a child ends well");
}

LOAD_CALL char *child_map(size_t pages)
{
	char *address = must(mmap(NULL, pages * PAGE, READ_WRITE, ANONYMOUS, -1, 0), "a child's memory");

	mapped_took(&truth_child_map, pages);
	return address;
}

/* What it inherits is its parent's: unmapping it takes nothing off any site. */
static void do_fork(void)
{
	char *inherited = anon_map(50 * PAGE), *mine;
	pid_t pid = fork();

	if (!pid) {
		load_reset();
		child_map(3);
		load_check(!munmap(inherited + 10 * PAGE, 10 * PAGE), "a part of what was inherited");
		fixed_map(inherited, 5);
		mine = child_map(8);
		unmap(&truth_child_map, mine + PAGE, 2, 0);
		mapped_tell();
		load_write("child");
		_exit(0);
	}
	wait_for(pid);
	unmap(&truth_anon_map, inherited, 20, 0);
}

LOAD_CALL char *vfork_map(size_t pages)
{
	char *address = must(mmap(NULL, pages * PAGE, READ_WRITE, ANONYMOUS, -1, 0), "memory of a vfork child");

	mapped_took(&truth_vfork_map, pages);
	return address;
}

/* The memory is shared: what the child maps its parent has. */
static void do_vfork(void)
{
	char *held = anon_map(20 * PAGE);
	pid_t pid = vfork();

	if (!pid) {
		vfork_map(9);
		load_check(!munmap(held, 4 * PAGE), "the parent's own");
		_exit(0);
	}
	wait_for(pid);
	mapped_gave(&truth_anon_map, 4, 0);
	anon_map(2 * PAGE);
}

LOAD_CALL char *image_map(size_t pages)
{
	char *address = must(mmap(NULL, pages * PAGE, READ_WRITE, ANONYMOUS, -1, 0), "memory of the second image");

	mapped_took(&truth_image_map, pages);
	return address;
}

static void do_image(void)
{
	unmap(&truth_image_map, image_map(6), 4, 0);
}

static void do_exec(void)
{
	char *arguments[] = { self, (char *)"image", (char *)"slow", NULL };

	anon_map(30 * PAGE);
	mapped_tell();
	load_write("exec");
	execve(self, arguments, environ);
	load_fail("exec");
}

LOAD_CALL void *thread_map(void *pages)
{
	char *address = must(mmap(NULL, (size_t)pages * PAGE, READ_WRITE, ANONYMOUS, -1, 0), "a thread's memory");

	mapped_took(&truth_thread_map, (size_t)pages);
	return address;
}

static void do_thread(void)
{
	pthread_t threads[4];
	void *held;

	for (size_t i = 0; i < 4; i++)
		load_check(!pthread_create(&threads[i], NULL, thread_map, (void *)(i + 1)), "a thread");
	for (size_t i = 0; i < 4; i++) {
		load_check(!pthread_join(threads[i], &held), "its end");
		if (i < 2)
			unmap(&truth_thread_map, held, i + 1, 1);
	}
}

LOAD_CALL char *crowd_map(void)
{
	char *address = must(mmap(NULL, CROWD_PAGES * PAGE, READ_WRITE, ANONYMOUS | MAP_POPULATE, -1, 0),
			     "memory that is there at once");

	mapped_took(&truth_crowd_map, CROWD_PAGES);
	return address;
}

static void *crowd_member(void *unused)
{
	for (size_t i = 0; i < CROWD_CALLS; i++) {
		char *at = crowd_map();

		load_check(!mprotect(at, CROWD_PAGES / 2 * PAGE, PROT_NONE), "mprotect");
		if (i % 20)
			unmap(&truth_crowd_map, at, CROWD_PAGES, 1);
	}
	return unused;
}

/* So many calls at once that a kretprobe may have no instance left for one. */
static void do_crowd(void)
{
	pthread_t threads[CROWD];

	for (size_t i = 0; i < CROWD; i++)
		load_check(!pthread_create(&threads[i], NULL, crowd_member, NULL), "a thread");
	for (size_t i = 0; i < CROWD; i++)
		load_check(!pthread_join(threads[i], NULL), "its end");
}

/* What leaves memory and stays mapped; the runner looks after each step. */
static void do_advise(void)
{
	char *at = anon_map(2 * ADVISED);

	memset(at, 1, 2 * ADVISED);
	wait_for_runner();
	load_check(!madvise(at, ADVISED, MADV_DONTNEED), "MADV_DONTNEED");
	wait_for_runner();
	load_check(!madvise(at + ADVISED, ADVISED, MADV_FREE), "MADV_FREE");
	madvise(at + ADVISED, ADVISED, MADV_PAGEOUT); /* what is free goes when memory is wanted: now, if it can */
}

/* What the library maps to have something to give is the allocator's. */
static void do_malloc(void)
{
	unsigned long long before = mapped_bytes();
	char *kept[10];

	for (size_t i = 0; i < 10; i++) {
		kept[i] = malloc((1 << 20) + i * 10000);
		load_check(kept[i] != NULL, "a large block");
	}
	for (size_t i = 0; i < 3; i++)
		free(kept[i]);
	kept[3] = realloc(kept[3], 5 << 20);
	kept[4] = realloc(kept[4], 300000);
	for (size_t i = 0; i < 3000; i++)
		load_check(malloc(100) != NULL, "a small block");
	load_fact("by_allocators_bytes", mapped_bytes() - before);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	{ "mmap", do_mmap },       { "munmap", do_munmap },   { "fixed", do_fixed }, { "failing", do_failing },
	{ "unclear", do_unclear }, { "remap", do_remap },     { "brk", do_brk },     { "shm", do_shm },
	{ "protect", do_protect }, { "fork", do_fork },       { "vfork", do_vfork }, { "image", do_image },
	{ "exec", do_exec },       { "thread", do_thread },   { "malloc", do_malloc },
	{ "crowd", do_crowd },     { "advise", do_advise },
};

/* mappings MODE [wait|slow]: slow gives a tracer the time to look at what was there before. */
int main(int argc, char **argv)
{
	const int waits = argc > 2 && !strcmp(argv[2], "wait");

	if (argc > 2 && !waits)
		usleep(300000);

	self = argv[0];
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[1]))
			continue;
		if (waits)
			wait_for_runner();
		modes[i].run();
		mapped_tell();
		load_write(argv[1]);
		if (waits)
			wait_for_runner();
		_exit(0);
	}
	load_fail("usage: mappings MODE [wait|slow]");
}
