// SPDX-License-Identifier: Apache-2.0
/*
 * Touches pages in known functions: "pages MODE". A dot on stdout says that it is ready, and one more after each
 * byte on stdin that a step is done: the steps of MODE, then the end. Facts: resident bytes by function.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define MIB  (1ul << 20)
#define PAGE 4096ul
#define HUGE_BYTES (2 * MIB)

static unsigned long long random_state;

static unsigned long long random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* One write per page. */
LOAD_CALL static void write_pages(char *at, size_t bytes)
{
	/* It has a frame pointer then, which some kernels' stacks need. */
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
	for (size_t i = 0; i < bytes; i += PAGE)
		*(volatile char *)(at + i) = 1;
}

LOAD_CALL void touch_a(char *at, size_t bytes)
{
	write_pages(at, bytes);
}

LOAD_CALL void touch_b(char *at, size_t bytes)
{
	write_pages(at, bytes);
}

LOAD_CALL void touch_c(char *at, size_t bytes)
{
	write_pages(at, bytes);
}

LOAD_CALL void look_at(const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		(void)*(volatile const char *)(at + i);
}

LOAD_CALL void fill_by_read(int fd, char *at, size_t bytes)
{
	load_check(read(fd, at, bytes) == (ssize_t)bytes, "read");
}

/* Memory at an address that is aligned to huge pages, with or without them. */
static char *map(size_t bytes, int flags, int advice)
{
	char *all = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((unsigned long)all + HUGE_BYTES - 1) & -HUGE_BYTES);

	load_check(all != MAP_FAILED, "mmap");
	madvise(all, bytes + HUGE_BYTES, advice);
	return at;
}

static char *small_pages(size_t bytes)
{
	return map(bytes, MAP_PRIVATE | MAP_ANONYMOUS, MADV_NOHUGEPAGE);
}

/* How much of it is resident, by the kernel's own word. */
static size_t resident_bytes(char *at, size_t bytes)
{
	static unsigned char pages[256 * MIB / PAGE];
	size_t sum = 0;

	load_check(bytes / PAGE <= sizeof(pages) && !mincore(at, bytes, pages), "mincore");
	for (size_t i = 0; i < bytes / PAGE; i++)
		sum += pages[i] & 1 ? PAGE : 0;
	return sum;
}

static void step(void)
{
	char byte;

	load_check(write(STDOUT_FILENO, ".", 1) == 1, "write");
	load_check(read(STDIN_FILENO, &byte, 1) == 1, "read");
}

/* Two sites, each of them grown in steps of 1 MiB; a third touches 64 MiB that go again. */
static void contiguous(void)
{
	char *a = small_pages(256 * MIB), *b = small_pages(128 * MIB), *c = small_pages(64 * MIB);

	for (size_t i = 0; i < 256; i++) {
		touch_a(a + i * MIB, MIB);
		if (i < 128)
			touch_b(b + i * MIB, MIB);
	}
	touch_c(c, 64 * MIB);
	load_check(!madvise(c, 64 * MIB, MADV_DONTNEED), "madvise");
	load_fact("touch_a", resident_bytes(a, 256 * MIB));
	load_fact("touch_b", resident_bytes(b, 128 * MIB));
	load_fact("touch_c", resident_bytes(c, 64 * MIB));
}

/* Every page of 192 MiB is the one's or, half as often, the other's. */
static void at_random(void)
{
	char *at = small_pages(192 * MIB);
	unsigned long long a = 0, b = 0;

	for (size_t i = 0; i < 192 * MIB; i += PAGE) {
		if (random_number() % 3) {
			touch_a(at + i, PAGE);
			a += PAGE;
		} else {
			touch_b(at + i, PAGE);
			b += PAGE;
		}
	}
	load_check(resident_bytes(at, 192 * MIB) == a + b, "all to be resident, by mincore");
	load_fact("touch_a", a);
	load_fact("touch_b", b);
}

/* Runs of 16 KiB to 1 MiB, one after the other. */
static void runs(void)
{
	char *at = small_pages(192 * MIB);
	unsigned long long sums[2] = { 0 };

	for (size_t i = 0; i < 192 * MIB;) {
		size_t bytes = (4 + random_number() % 253) * PAGE;
		int second = random_number() % 3 == 0;

		if (bytes > 192 * MIB - i)
			bytes = 192 * MIB - i;
		if (second)
			touch_b(at + i, bytes);
		else
			touch_a(at + i, bytes);
		sums[second] += bytes;
		i += bytes;
	}
	load_check(resident_bytes(at, 192 * MIB) == sums[0] + sums[1], "all to be resident, by mincore");
	load_fact("touch_a", sums[0]);
	load_fact("touch_b", sums[1]);
}

/* Memory of huge pages, where the kernel gives them; half of one site's is given back page by page. */
static void huge(void)
{
	char *a = map(256 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, MADV_HUGEPAGE);
	char *b = map(128 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, MADV_HUGEPAGE);

	touch_a(a, 256 * MIB);
	touch_b(b, 128 * MIB);
	for (size_t i = 0; i < 128 * MIB; i += HUGE_BYTES)
		load_check(!madvise(b + i + MIB, MIB, MADV_DONTNEED), "madvise");
	load_fact("touch_a", 256 * MIB);
	load_fact("touch_b", 64 * MIB);
}

/* Reads of memory that was never written are nobody's. */
static void zeros(void)
{
	char *at = small_pages(64 * MIB), *b = small_pages(64 * MIB);

	look_at(at, 64 * MIB);
	touch_b(at, 16 * MIB);
	look_at(b, 64 * MIB);
	touch_a(b, 64 * MIB);
	load_fact("look_at", 0);
	load_fact("touch_b", 16 * MIB);
	load_fact("touch_a", 64 * MIB);
}

/* The kernel writes for the program: the system call's stack. */
static void copied(void)
{
	char *at = small_pages(64 * MIB);
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < 64; i++)
		fill_by_read(fd, at + i * MIB, MIB);
	load_fact("fill_by_read", 64 * MIB);
}

/* Shared memory, and a file of which private pages are written. */
static void shared(void)
{
	char *at = map(64 * MIB, MAP_SHARED | MAP_ANONYMOUS, MADV_NOHUGEPAGE), *file;
	char name[] = "pages.XXXXXX";
	int fd = mkstemp(name);

	touch_a(at, 64 * MIB);
	load_check(fd >= 0 && !unlink(name) && !ftruncate(fd, 64 * MIB), "a file");
	file = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	load_check(file != MAP_FAILED, "mmap of a file");
	look_at(file, 64 * MIB);
	touch_b(file, 32 * MIB);
	load_fact("touch_a", 64 * MIB);
	load_fact("touch_b", 32 * MIB);
	load_fact("look_at", 0);
}

/*
 * 64 MiB that move twice, the second time in part, and whose first place is taken by others; half of another site's
 * is written to anew where it moved to.
 */
static void moved(void)
{
	char *a = small_pages(64 * MIB), *b = small_pages(64 * MIB), *there = small_pages(192 * MIB), *again;

	touch_a(a, 64 * MIB);
	touch_b(b, 64 * MIB);
	again = mremap(a, 64 * MIB, 64 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, there + 17 * PAGE);
	load_check(again == there + 17 * PAGE, "mremap");
	again = mmap(a, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	load_check(again == a, "mmap");
	madvise(a, 64 * MIB, MADV_NOHUGEPAGE);
	touch_c(a, 48 * MIB);
	again = mremap(there + 17 * PAGE, 32 * MIB, 32 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, there + 150 * MIB);
	load_check(again == there + 150 * MIB, "mremap of a half");
	again = mremap(b, 64 * MIB, 64 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, there + 82 * MIB + 33 * PAGE);
	load_check(again == there + 82 * MIB + 33 * PAGE, "mremap");
	load_check(!madvise(again, 32 * MIB, MADV_DONTNEED), "madvise");
	touch_a(again, 32 * MIB);
	load_fact("touch_a", 96 * MIB);
	load_fact("touch_b", 32 * MIB);
	load_fact("touch_c", 48 * MIB);
}

/* A block that the library lets grow, which moves it again and again. */
static void grown(void)
{
	size_t bytes = MIB, moves = 0;
	char *block = malloc(bytes);

	madvise((char *)((unsigned long)block & -PAGE), bytes, MADV_NOHUGEPAGE);
	touch_a(block, bytes);
	for (; bytes < 96 * MIB; bytes += MIB) {
		char *wall = mmap(block + bytes + PAGE - 16, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *larger = realloc(block, bytes + MIB);

		load_check(larger && wall != MAP_FAILED, "realloc");
		moves += larger != block;
		block = larger;
		touch_a(block + bytes, MIB);
	}
	load_check(moves > 3, "a realloc that moves");
	load_fact("touch_a", 96 * MIB);
}

/* A child that says when it has done its part, and stays until its parent ends. */
struct pair {
	int link[2], back[2];
};

static pid_t fork_in(struct pair *pair)
{
	pid_t child;

	load_check(!pipe(pair->link) && !pipe(pair->back), "pipe");
	child = fork();
	load_check(child >= 0, "fork");
	return child;
}

static void stay(const struct pair *pair)
{
	char byte;

	load_check(write(pair->back[1], ".", 1) == 1, "write");
	close(pair->link[1]);
	_exit(read(pair->link[0], &byte, 1) < 0 ? 99 : 0);
}

static void wait_for(const struct pair *pair)
{
	char byte;

	close(pair->link[0]);
	load_check(read(pair->back[0], &byte, 1) == 1, "read");
}

/* Shared memory of two: each touches its half, the child afterwards looks at all of it. */
static void between(void)
{
	char *at = map(256 * MIB, MAP_SHARED | MAP_ANONYMOUS, MADV_NOHUGEPAGE);
	struct pair pair;

	touch_a(at, 128 * MIB);
	if (!fork_in(&pair)) {
		touch_b(at + 128 * MIB, 128 * MIB);
		look_at(at, 128 * MIB);
		load_reset();
		load_fact("touch_a", 0);
		load_fact("touch_b", 128 * MIB);
		load_write("child");
		stay(&pair);
	}
	wait_for(&pair);
	load_fact("touch_a", 128 * MIB);
	load_fact("touch_b", 0);
}

/* A file that is mapped twice and read once, and in part: 24 MiB of it are resident, in two mappings. */
static void of_files(void)
{
	char name[] = "pages-file.XXXXXX", *shared, *copied;
	int fd = mkstemp(name);

	load_check(fd >= 0 && !ftruncate(fd, 32 * MIB), "a file");
	shared = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	copied = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	load_check(shared != MAP_FAILED && copied != MAP_FAILED, "mmap of a file");
	madvise(shared, 32 * MIB, MADV_RANDOM);
	madvise(copied, 32 * MIB, MADV_RANDOM);
	touch_a(shared, 16 * MIB);
	touch_b(copied, 8 * MIB);
	look_at(copied + 8 * MIB, 8 * MIB);
	load_fact("touch_a", 0);
	load_fact("touch_b", 8 * MIB);
	load_fact("look_at", 0);
}

/* A child that touches half of what it inherits; the parent touches the rest once more. */
static void forked(void)
{
	char *at = small_pages(128 * MIB);
	struct pair pair;

	touch_a(at, 128 * MIB);
	if (!fork_in(&pair)) {
		touch_b(at, 64 * MIB);
		load_reset();
		load_fact("touch_a", 64 * MIB);
		load_fact("touch_b", 64 * MIB);
		load_write("child");
		stay(&pair);
	}
	wait_for(&pair);
	touch_c(at + 64 * MIB, 64 * MIB); /* copies on write: still touch_a's */
	load_fact("touch_a", 128 * MIB);
	load_fact("touch_c", 0);
}

/* So much that the sample gets coarser; most of it is never written, and costs nothing. */
static void wide(void)
{
	const size_t bytes = 6144 * MIB;
	char *at = small_pages(bytes);

	look_at(at, bytes);
	touch_a(at + bytes / 2, 256 * MIB);
	load_fact("look_at", 0);
	load_fact("touch_a", 256 * MIB);
}

/* What is given back lazily is resident until somebody needs it, and touched anew nobody sees it. */
static void lazy(void)
{
	char *at = small_pages(64 * MIB);

	touch_a(at, 64 * MIB);
	load_check(!madvise(at, 32 * MIB, MADV_FREE), "madvise");
	touch_b(at, 16 * MIB);
	load_fact("touch_a", 64 * MIB);
	load_fact("touch_b", 0);
}

LOAD_CALL char *fill_by_mapping(size_t bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	load_check(at != MAP_FAILED, "mmap");
	return at;
}

LOAD_CALL void fill_by_lock(char *at, size_t bytes)
{
	load_check(!mlock(at, bytes), "mlock");
}

/* What the kernel makes resident with nobody touching it; in pieces that no huge page fits into. */
static void populated(void)
{
	char *locked = small_pages(32 * MIB);

	for (size_t i = 0; i < 64; i++) {
		fill_by_mapping(MIB);
		load_check(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "a wall");
	}
	fill_by_lock(locked, 32 * MIB);
	touch_a(small_pages(16 * MIB), 16 * MIB);
	load_fact("fill_by_mapping", 64 * MIB);
	load_fact("fill_by_lock", 32 * MIB);
	load_fact("touch_a", 16 * MIB);
}

/* Small pages that become huge ones behind the program's back: as khugepaged does it, but when we say so. */
static void collapsed(void)
{
	char *a = small_pages(128 * MIB), *b = small_pages(64 * MIB);
	int err = 0;

	touch_a(a, 128 * MIB);
	touch_b(b, 64 * MIB);
	madvise(a, 64 * MIB, MADV_HUGEPAGE);
	if (madvise(a, 64 * MIB, 25 /* MADV_COLLAPSE, of 6.1 */))
		err = errno;
	load_fact("refused", (unsigned long long)err);
	load_fact("touch_a", 128 * MIB);
	load_fact("touch_b", 64 * MIB);
}

/* How many bytes of it are swapped out, by our own page table. */
static unsigned long long swapped_bytes(const char *at, size_t bytes)
{
	unsigned long long entry, sum = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < bytes; i += PAGE) {
		off_t place = (off_t)(((unsigned long)at + i) / PAGE * sizeof(entry));

		load_check(pread(fd, &entry, sizeof(entry), place) == sizeof(entry), "pagemap");
		sum += entry >> 62 & 1 ? PAGE : 0;
	}
	close(fd);
	return sum;
}

/* Half of one site's memory and all of another's goes to the swap, as far as there is room. */
static void swapped(void)
{
	char *a = small_pages(64 * MIB), *b = small_pages(32 * MIB);

	touch_a(a, 64 * MIB);
	touch_b(b, 32 * MIB);
	madvise(a, 32 * MIB, MADV_PAGEOUT);
	madvise(b, 32 * MIB, MADV_PAGEOUT);
	load_fact("touch_a swapped", swapped_bytes(a, 64 * MIB));
	load_fact("touch_b swapped", swapped_bytes(b, 32 * MIB));
}

/*
 * What a program touches first, and a little more: memory that is only read at first, some that is given back later,
 * then two sites. Then what was read is written, what was given back is read and written anew, and a child copies a
 * half of the later site's, its parent one of the earlier's.
 */
static void young(void)
{
	char *read_first = small_pages(8 * MIB), *again = small_pages(8 * MIB);
	char *a = small_pages(24 * MIB), *b = small_pages(24 * MIB);
	struct pair pair;

	look_at(read_first, 8 * MIB);
	touch_a(again, 8 * MIB);
	touch_a(a, 24 * MIB);
	touch_b(b, 24 * MIB);
	touch_c(read_first, 8 * MIB);
	load_check(!madvise(again, 8 * MIB, MADV_DONTNEED), "madvise");
	look_at(again, 8 * MIB);
	touch_c(again, 8 * MIB);
	if (!fork_in(&pair)) {
		touch_c(b, 12 * MIB);
		load_reset();
		load_fact("touch_a", 24 * MIB);
		load_fact("touch_b", 12 * MIB);
		load_fact("touch_c", 28 * MIB);
		load_write("child");
		stay(&pair);
	}
	wait_for(&pair);
	touch_c(a, 12 * MIB); /* copies on write: still touch_a's */
	load_fact("look_at", 0);
	load_fact("touch_a", 24 * MIB);
	load_fact("touch_b", 24 * MIB);
	load_fact("touch_c", 16 * MIB);
}

/* Little enough that all of it is first pages, when it forks and after. */
static void small(void)
{
	char *a = small_pages(6 * MIB), *b = small_pages(6 * MIB);
	struct pair pair;

	touch_a(a, 6 * MIB);
	touch_b(b, 6 * MIB);
	if (!fork_in(&pair)) {
		touch_c(b, 3 * MIB);
		load_check(!madvise(a, 2 * MIB, MADV_DONTNEED), "madvise");
		touch_c(a, 2 * MIB);
		load_reset();
		load_fact("touch_a", 4 * MIB);
		load_fact("touch_b", 3 * MIB);
		load_fact("touch_c", 5 * MIB);
		load_write("child");
		stay(&pair);
	}
	wait_for(&pair);
	touch_c(a, 6 * MIB); /* copies on write: still touch_a's */
	load_fact("touch_a", 6 * MIB);
	load_fact("touch_b", 6 * MIB);
	load_fact("touch_c", 0);
}

/* Memory that no huge page fits into, but pages of the sizes between do; and some of small pages alone. */
static void medium(void)
{
	for (size_t i = 0; i < 128; i++) {
		char *piece = map(MIB, MAP_PRIVATE | MAP_ANONYMOUS, MADV_NOHUGEPAGE);

		madvise(piece, MIB, MADV_HUGEPAGE);
		if (i < 64)
			touch_a(piece, MIB);
		else
			touch_b(piece, MIB);
	}
	touch_b(small_pages(64 * MIB), 64 * MIB);
	load_fact("touch_a", 64 * MIB);
	load_fact("touch_b", 128 * MIB);
}

#define STEPS      16
#define STEP_BYTES (32 * MIB)

/* Two sites in turns, each step when we are told to. */
static void steps(void)
{
	char *at = small_pages(STEPS * STEP_BYTES);

	for (size_t i = 0; i < STEPS; i++) {
		if (i)
			step();
		if (i & 1)
			touch_b(at + i * STEP_BYTES, STEP_BYTES);
		else
			touch_a(at + i * STEP_BYTES, STEP_BYTES);
	}
	load_fact("touch_a", STEPS / 2 * STEP_BYTES);
	load_fact("touch_b", STEPS / 2 * STEP_BYTES);
}

/* Half of it at once by one site, the rest in steps by another. */
static void burst(void)
{
	char *at = small_pages(STEPS * STEP_BYTES);

	touch_c(at, STEPS / 2 * STEP_BYTES);
	for (size_t i = STEPS / 2; i < STEPS; i++) {
		step();
		touch_b(at + i * STEP_BYTES, STEP_BYTES);
	}
	load_fact("touch_b", STEPS / 2 * STEP_BYTES);
}

#define FRAME_BYTES (64ul << 10)

/* Another @depth frames on the stack. */
LOAD_CALL static void grow_stack(size_t depth)
{
	volatile char room[FRAME_BYTES];

	for (size_t i = 0; i < sizeof(room); i += PAGE)
		room[i] = 1;
	if (depth)
		grow_stack(depth - 1);
	room[0] = 2; /* it is needed until here */
}

/* So many mappings that their list is long; then the stack grows, which no call tells. */
static void growing(void)
{
	for (size_t i = 0; i < 4000; i++) {
		int protection = i & 1 ? PROT_READ : PROT_READ | PROT_WRITE;

		load_check(mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
	}
	for (size_t i = 1; i < 10; i++) {
		step();
		grow_stack(10 * i);
	}
}

/* By itself, and for a while. */
static void linger(void)
{
	struct timespec second = { 1, 500000000 };

	touch_a(small_pages(64 * MIB), 64 * MIB);
	load_fact("touch_a", 64 * MIB);
	nanosleep(&second, NULL);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	{ "contiguous", contiguous }, { "random", at_random }, { "runs", runs }, { "huge", huge }, { "zeros", zeros },
	{ "copied", copied }, { "wide", wide },
	{ "linger", linger }, { "shared", shared }, { "forked", forked }, { "young", young }, { "small", small },
	{ "between", between }, { "files", of_files }, { "moved", moved }, { "grown", grown },
	{ "lazy", lazy }, { "populated", populated }, { "collapsed", collapsed }, { "swapped", swapped },
	{ "medium", medium }, { "steps", steps }, { "burst", burst }, { "growing", growing },
};

int main(int argc, char **argv)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random_state = ((unsigned long long)now.tv_nsec << 20 ^ (unsigned long long)getpid()) | 1;
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[1]))
			continue;
		if (modes[i].run != linger)
			step();
		modes[i].run();
		load_write(argv[1]);
		if (modes[i].run != linger)
			step();
		return 0;
	}
	load_fail("which mode?");
}
