// SPDX-License-Identifier: Apache-2.0
/*
 * Threads that change their mappings in every way and as fast as they can, each of its own ranges only. Each
 * page's owner is known at every moment. Does one thing per letter on its input and answers each with a dot.
 */
#include "mapped.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_MAX 16
#define SLOTS       24  /* ranges of one thread */
#define SLOT_PAGES  64
#define CALLS_MAX   (SLOTS * SLOT_PAGES + 1) /* mappings of one thread that have pages left */
#define BREAK_PAGES 256

LOAD_SITE(storm_map);
LOAD_SITE(storm_fix);
LOAD_SITE(storm_grow);
LOAD_SITE(storm_twin);
LOAD_SITE(storm_brk);
LOAD_SITE(storm_shm);

/* What one call mapped, as far as it is there. */
struct call {
	struct load_site *site;
	size_t left;
};

/* A range; pages that are gone belong to no call. Holes are left alone: others may map there. */
struct slot {
	char *start;
	struct call *owners[SLOT_PAGES];
	size_t pages; /* 0: free */
	int segment;  /* by shmat: only shmdt takes it away */
};

struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned long long calls;
	struct slot slots[SLOTS];
	struct call book[CALLS_MAX];
};

/* Pages of one slot that lie side by side and have owners. */
struct run {
	struct slot *slot;
	size_t first, pages;
};

static struct worker workers[THREADS_MAX];
static size_t threads = 4;
static unsigned long long calls = 5000;
static size_t segments; /* whether shmat is among the calls */

static pthread_mutex_t break_lock = PTHREAD_MUTEX_INITIALIZER;
static struct call *break_owners[BREAK_PAGES];
static struct call break_book[BREAK_PAGES];
static size_t break_pages;
static char *break_start;

static size_t below(struct worker *worker, size_t limit)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return (size_t)(worker->random % limit);
}

static struct call *call_new(struct call *book, size_t count, struct load_site *site, size_t pages)
{
	for (size_t i = 0; i < count; i++) {
		if (book[i].left)
			continue;
		book[i] = (struct call){ site, pages };
		mapped_took(site, pages);
		return &book[i];
	}
	load_fail("too many mappings");
}

static void gone(struct call **owner)
{
	struct call *call = *owner;

	*owner = NULL;
	call->left--;
	mapped_gave(call->site, 1, !call->left);
}

static int prots(struct worker *worker)
{
	static const int all[] = { PROT_NONE, PROT_READ, READ_WRITE, READ_WRITE };

	return all[below(worker, 4)];
}

static struct slot *free_slot(struct worker *worker)
{
	for (size_t i = 0; i < SLOTS; i++) {
		if (!worker->slots[i].pages)
			return &worker->slots[i];
	}
	return NULL;
}

static void slot_tidy(struct slot *slot)
{
	for (size_t i = 0; i < slot->pages; i++) {
		if (slot->owners[i])
			return;
	}
	slot->pages = 0;
}

/* Any run of owned pages; none has no pages. */
static struct run any_run(struct worker *worker)
{
	struct slot *slot = &worker->slots[below(worker, SLOTS)];
	struct run run = { .slot = slot };
	size_t end, most;

	if (!slot->pages || slot->segment)
		return run;
	run.first = below(worker, slot->pages);
	for (end = run.first; end < slot->pages && slot->owners[end]; end++)
		;
	most = end - run.first;
	run.pages = most ? 1 + below(worker, most) : 0;
	return run;
}

static char *run_start(const struct run *run)
{
	return run->slot->start + run->first * PAGE;
}

static void run_gone(const struct run *run)
{
	for (size_t i = 0; i < run->pages; i++)
		gone(&run->slot->owners[run->first + i]);
	slot_tidy(run->slot);
}

static void run_owned(const struct run *run, struct call *call)
{
	for (size_t i = 0; i < run->pages; i++)
		run->slot->owners[run->first + i] = call;
}

LOAD_CALL void storm_map(struct worker *worker, struct slot *slot, size_t pages)
{
	slot->start = mmap(NULL, pages * PAGE, prots(worker), ANONYMOUS, -1, 0);
	load_check(slot->start != MAP_FAILED, "a mapping");
	slot->pages = pages;
	run_owned(&(struct run){ slot, 0, pages }, call_new(worker->book, CALLS_MAX, &truth_storm_map, pages));
}

static void do_map(struct worker *worker)
{
	struct slot *slot = free_slot(worker);

	if (slot)
		storm_map(worker, slot, 1 + below(worker, 40));
}

/* All that is left of a slot. */
static void do_drop(struct worker *worker)
{
	struct slot *slot = &worker->slots[below(worker, SLOTS)];
	const size_t pages = slot->segment ? 0 : slot->pages;

	for (size_t i = 0, end; i < pages; i = end + 1) {
		for (end = i; end < pages && slot->owners[end]; end++)
			;
		if (end > i) {
			load_check(!munmap(slot->start + i * PAGE, (end - i) * PAGE), "munmap");
			run_gone(&(struct run){ slot, i, end - i });
		}
	}
}

static void do_unmap(struct worker *worker)
{
	struct run run = any_run(worker);

	if (!run.pages)
		return;
	load_check(!munmap(run_start(&run), run.pages * PAGE), "munmap");
	run_gone(&run);
}

LOAD_CALL void storm_fix(struct worker *worker, const struct run *run)
{
	struct call *call;

	load_check(mmap(run_start(run), run->pages * PAGE, prots(worker), ANONYMOUS | MAP_FIXED, -1, 0) ==
			   run_start(run), "a mapping in place of another");
	call = call_new(worker->book, CALLS_MAX, &truth_storm_fix, run->pages);
	for (size_t i = 0; i < run->pages; i++)
		gone(&run->slot->owners[run->first + i]);
	run_owned(run, call);
}

static void do_fix(struct worker *worker)
{
	struct run run = any_run(worker);

	if (run.pages)
		storm_fix(worker, &run);
}

/* The pages of @run are in @slot now. */
static void moved(const struct run *run, struct slot *slot, char *start)
{
	struct call *owners[SLOT_PAGES];

	memcpy(owners, run->slot->owners + run->first, run->pages * sizeof(owners[0]));
	memset(run->slot->owners + run->first, 0, run->pages * sizeof(owners[0]));
	slot_tidy(run->slot);
	memcpy(slot->owners, owners, run->pages * sizeof(owners[0]));
	slot->start = start;
	slot->pages = run->pages;
}

/* Fails where the range is of more than one kind; then nothing has changed. */
LOAD_CALL void storm_grow(struct worker *worker, const struct run *run, struct slot *slot, size_t more)
{
	const int flags = below(worker, 4) ? MREMAP_MAYMOVE : 0;
	const struct run tail = { slot, run->pages, more };
	char *start = mremap(run_start(run), run->pages * PAGE, (run->pages + more) * PAGE, flags);

	if (start == MAP_FAILED)
		return;
	moved(run, slot, start);
	slot->pages += more;
	run_owned(&tail, call_new(worker->book, CALLS_MAX, &truth_storm_grow, more));
}

static void do_grow(struct worker *worker)
{
	struct run run = any_run(worker);
	struct slot *slot = free_slot(worker);

	if (slot && run.pages && run.pages < SLOT_PAGES)
		storm_grow(worker, &run, slot, 1 + below(worker, SLOT_PAGES - run.pages));
}

static void do_shrink(struct worker *worker)
{
	struct run run = any_run(worker);
	size_t less = run.pages > 1 ? 1 + below(worker, run.pages - 1) : 0;

	if (!less || mremap(run_start(&run), run.pages * PAGE, (run.pages - less) * PAGE, 0) == MAP_FAILED)
		return;
	run.first += run.pages - less;
	run.pages = less;
	run_gone(&run);
}

/* What is new is of one kind: moving it onto another range does not fail. */
static void do_move(struct worker *worker)
{
	struct run run = any_run(worker);
	struct slot *slot = free_slot(worker);
	char *target;

	if (!slot || !run.pages)
		return;
	storm_map(worker, slot, run.pages);
	target = run_start(&run);
	load_check(mremap(slot->start, run.pages * PAGE, run.pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) ==
			   target, "a move onto another mapping");
	for (size_t i = 0; i < run.pages; i++)
		gone(&run.slot->owners[run.first + i]);
	memcpy(run.slot->owners + run.first, slot->owners, run.pages * sizeof(slot->owners[0]));
	memset(slot->owners, 0, sizeof(slot->owners));
	slot->pages = 0;
}

LOAD_CALL void storm_twin(struct worker *worker, const struct run *run, struct slot *slot)
{
	char *start = mremap(run_start(run), run->pages * PAGE, run->pages * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);

	if (start == MAP_FAILED)
		return;
	slot->start = start;
	slot->pages = run->pages;
	run_owned(&(struct run){ slot, 0, run->pages },
		  call_new(worker->book, CALLS_MAX, &truth_storm_twin, run->pages));
}

static void do_twin(struct worker *worker)
{
	struct run run = any_run(worker);
	struct slot *slot = free_slot(worker);

	if (slot && run.pages)
		storm_twin(worker, &run, slot);
}

static void do_protect(struct worker *worker)
{
	struct run run = any_run(worker);

	if (run.pages)
		load_check(!mprotect(run_start(&run), run.pages * PAGE, prots(worker)), "mprotect");
}

LOAD_CALL void storm_brk(size_t pages)
{
	char *to = break_start + pages * PAGE;

	load_check((char *)syscall(SYS_brk, to) == to, "the break");
	if (pages > break_pages) {
		struct call *call = call_new(break_book, BREAK_PAGES, &truth_storm_brk, pages - break_pages);

		for (size_t i = break_pages; i < pages; i++)
			break_owners[i] = call;
	}
	for (size_t i = pages; i < break_pages; i++)
		gone(&break_owners[i]);
	break_pages = pages;
}

static void do_brk(struct worker *worker)
{
	size_t pages = below(worker, BREAK_PAGES);

	pthread_mutex_lock(&break_lock);
	storm_brk(pages);
	pthread_mutex_unlock(&break_lock);
}

LOAD_CALL void storm_shm(struct worker *worker, struct slot *slot, size_t pages)
{
	int id = shmget(IPC_PRIVATE, pages * PAGE, IPC_CREAT | 0600);

	load_check(id >= 0, "a segment");
	slot->start = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	load_check(slot->start != MAP_FAILED, "shmat");
	slot->pages = pages;
	slot->segment = 1;
	run_owned(&(struct run){ slot, 0, pages }, call_new(worker->book, CALLS_MAX, &truth_storm_shm, pages));
}

static void do_shm(struct worker *worker)
{
	struct slot *slot = &worker->slots[below(worker, SLOTS)];

	if (slot->pages && slot->segment) {
		load_check(!shmdt(slot->start), "shmdt");
		slot->segment = 0;
		run_gone(&(struct run){ slot, 0, slot->pages });
	} else if (!slot->pages) {
		storm_shm(worker, slot, 1 + below(worker, 8));
	}
}

static void *storm(void *argument)
{
	static void (*const kinds[])(struct worker *) = {
		do_map, do_map, do_drop, do_drop, do_unmap, do_fix, do_grow, do_grow, do_shrink, do_move, do_twin,
		do_protect, do_brk, do_shm,
	};
	const size_t count = sizeof(kinds) / sizeof(kinds[0]) - !segments;
	struct worker *worker = argument;

	for (worker->calls = 0; worker->calls < calls; worker->calls++)
		kinds[below(worker, count)](worker);
	return NULL;
}

static void begin(void)
{
	for (size_t i = 0; i < threads; i++) {
		if (!workers[i].random)
			workers[i].random = 88172645463325252ULL + i * 1000003;
		load_check(!pthread_create(&workers[i].thread, NULL, storm, &workers[i]), "a thread");
	}
}

static void join(void)
{
	for (size_t i = 0; i < threads; i++)
		load_check(!pthread_join(workers[i].thread, NULL), "its end");
}

static void step(char letter)
{
	switch (letter) {
	case 'z': /* give a tracer the time to look at what was there before */
		usleep(300000);
		return;
	case 's': /* with shared segments, whose length only the mapping tells */
		segments = 1;
		return;
	case 'b': /* begin a storm */
		begin();
		return;
	case 'j': /* wait for its end */
		join();
		return;
	case 't': /* tell the truth */
		mapped_tell();
		load_write("storm");
		return;
	case 'q':
		_exit(0);
	default:
		load_fail("an unknown letter");
	}
}

/* storm [THREADS CALLS [LETTERS]]: the letters are done first, or all that there is to do. */
int main(int argc, char **argv)
{
	char letter;

	if (argc > 2) {
		threads = load_number(argv[1]);
		calls = load_number(argv[2]);
	}
	load_check(threads && threads <= THREADS_MAX, "the number of threads");
	free(malloc(1)); /* what threads need of the heap is there before the break is ours */
	break_start = (char *)(((uintptr_t)sbrk(0) + (1 << 20)) & ~(PAGE - 1));
	load_check((char *)syscall(SYS_brk, break_start) == break_start, "room for the heap");
	for (const char *letters = argc > 3 ? argv[3] : ""; *letters; letters++)
		step(*letters);
	while (read(STDIN_FILENO, &letter, 1) == 1) {
		step(letter);
		load_check(write(STDOUT_FILENO, ".", 1) == 1, "a reader on stdout");
	}
	return 0;
}
