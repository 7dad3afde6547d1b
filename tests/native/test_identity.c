// SPDX-License-Identifier: Apache-2.0
/*
 * 200,000 random steps of processes, threads, handlers, jumps, execs and forks against a model
 * that knows the truth: the sums of every site must agree to the byte. HB_SEED chooses another run.
 */
#include "native_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SITE(i)	   (APP + 0x10000 * (i))
#define STEPS	   200000
#define THREADS	   9
#define PROCESSES  3
#define SITES	   7
#define GENS_MAX   4096
#define BLOCKS_MAX 512
#define OPEN_MAX   32
#define SIGNALS_MAX 3 /* with the first call that is four open: none is lost */
#define BASE_GEN   1000 /* generations by user space, one per process; exec and fork count from 1 */

struct truth {
	u64 allocated, allocated_n, freed, freed_n;
};

struct block {
	u64 addr, bytes;
	u32 gen;
	unsigned int site;
};

/* A step in the model's thread: a call, or a signal frame. */
struct open {
	const struct function *function; /* NULL: a signal frame */
	unsigned int site;
	u64 bytes;
	bool owns;    /* its bytes count: it is no call of the allocator itself */
	bool has_old; /* realloc */
	struct block old;
	bool released; /* realloc: the allocator has freed the old block by now */
};

struct actor {
	struct thread *thread;
	unsigned int process, count;
	struct open open[OPEN_MAX];
	unsigned int signals;
	struct mark base;
};

struct process {
	u32 gen;
	struct block blocks[BLOCKS_MAX];
	unsigned int count;
	u64 next_addr;
	u64 spare[BLOCKS_MAX]; /* addresses given back: the next to be given out */
	unsigned int spares;
};

static struct truth truths[GENS_MAX][SITES];
static struct process processes[PROCESSES];
static struct actor actors[THREADS];
static u64 seed, random_state;

static u64 pick(u64 below)
{
	random_state += 0x9e3779b97f4a7c15ULL; /* splitmix64 */
	u64 z = random_state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % below;
}

static unsigned int index_of(u32 gen)
{
	u32 index = gen & HB_GEN_USER ? (gen & ~HB_GEN_USER) : gen;

	assert_in_range(index, 1, GENS_MAX - 1);
	return index;
}

static struct truth *truth_of(u32 gen, unsigned int site)
{
	return &truths[index_of(gen)][site];
}

static u64 address(struct process *process)
{
	if (process->spares && pick(4))
		return process->spare[--process->spares];
	return process->next_addr += 0x100;
}

static void spare(struct process *process, u64 addr)
{
	if (process->spares < BLOCKS_MAX)
		process->spare[process->spares++] = addr;
}

static void counted_in(struct process *process, u64 addr, u64 bytes, unsigned int site)
{
	struct truth *truth = truth_of(process->gen, site);

	truth->allocated += bytes;
	truth->allocated_n++;
	process->blocks[process->count++] = (struct block){
		.addr = addr, .bytes = bytes, .gen = process->gen, .site = site,
	};
}

static void counted_out(const struct block *block)
{
	struct truth *truth = truth_of(block->gen, block->site);

	truth->freed += block->bytes;
	truth->freed_n++;
}

static struct block pull(struct process *process)
{
	unsigned int at = pick(process->count);
	struct block block = process->blocks[at];

	process->blocks[at] = process->blocks[--process->count];
	return block;
}

static struct open *top(struct actor *actor)
{
	return actor->count ? &actor->open[actor->count - 1] : NULL;
}

static bool in_allocator(struct actor *actor)
{
	return actor->count && top(actor)->function;
}

/* The application calls. */
static void do_call(struct actor *actor)
{
	static const struct function *const functions[] = { &fn_malloc, &fn_calloc, &fn_realloc,
							    &fn_new, &fn_posix_memalign };
	struct process *process = &processes[actor->process];
	struct thread *thread = actor->thread;
	struct open *open;
	u64 old = 0;

	if (actor->count >= OPEN_MAX - 6 || process->count >= BLOCKS_MAX - THREADS * 5)
		return;
	open = &actor->open[actor->count];
	memset(open, 0, sizeof(*open));
	open->function = functions[pick(5)];
	open->site = pick(SITES);
	open->bytes = pick(1000);
	open->owns = true;
	if (open->function == &fn_realloc && process->count && pick(5)) {
		open->old = pull(process);
		open->has_old = true;
		old = open->old.addr;
	}
	if (!actor->count)
		thread_grow(thread, pick(60) * 8);
	thread->pc = SITE(open->site);
	if (open->function == &fn_calloc)
		thread_call(thread, open->function, 1, open->bytes, 0);
	else if (open->function == &fn_realloc)
		thread_call(thread, open->function, old, open->bytes, 0);
	else if (open->function == &fn_posix_memalign)
		thread_call(thread, open->function, 0x5000 + 8 * thread->task->pid, 16, open->bytes);
	else
		thread_call(thread, open->function, open->bytes, 0, 0);
	actor->count++;
	thread_grow(thread, pick(4) * 16);
}

/* The allocator calls its own entry points: deeper, or in a tail call. */
static void do_nested(struct actor *actor)
{
	struct thread *thread = actor->thread;
	struct open *open;

	if (actor->count >= OPEN_MAX - 4 || (actor->count > 1 && !top(actor)->owns))
		return;
	open = &actor->open[actor->count];
	memset(open, 0, sizeof(*open));
	open->function = pick(2) ? &fn_malloc : &fn_aligned_alloc;
	if (top(actor)->function->how == HOW_CALL && !pick(3)) {
		/* It takes the place of its caller. */
		thread_jump(thread, open->function, 16, pick(100), 0);
		return;
	}
	thread_call(thread, open->function, 16, pick(100), 0);
	actor->count++;
}

static void do_nested_free(struct actor *actor)
{
	struct process *process = &processes[actor->process];
	struct open *open = top(actor);

	if (!open->has_old || open->released) {
		thread_call(actor->thread, &fn_free, 0x7777, 0, 0); /* of its own */
		thread_return(actor->thread, 0);
		return;
	}
	open->released = true;
	thread_call(actor->thread, &fn_free, open->old.addr, 0, 0);
	spare(process, open->old.addr);
	thread_return(actor->thread, 0);
}

static void do_return(struct actor *actor)
{
	struct process *process = &processes[actor->process];
	struct thread *thread = actor->thread;
	struct open open = *top(actor);
	bool fails = open.owns && !open.released && !pick(8);
	u64 addr = fails ? 0 : address(process);

	actor->count--;
	if (open.function == &fn_posix_memalign) {
		fake_write_u64(thread->task->mm, 0x5000 + 8 * thread->task->pid, addr);
		thread_return(thread, fails ? 12 : 0);
	} else {
		thread_return(thread, addr);
	}
	if (!open.owns)
		return;
	/* realloc to 0 with NULL as its result has freed. */
	if (fails && open.has_old && open.bytes)
		process->blocks[process->count++] = open.old;
	else if (open.has_old)
		counted_out(&open.old);
	if (open.has_old && !open.released && (!fails || !open.bytes))
		spare(process, open.old.addr);
	if (!fails)
		counted_in(process, addr, open.bytes, open.site);
}

static void do_free(struct actor *actor)
{
	struct process *process = &processes[actor->process];
	struct block block;

	if (!process->count || in_allocator(actor))
		return;
	block = pull(process);
	thread_call(actor->thread, pick(2) ? &fn_free : &fn_free_sized, block.addr, 0, 0);
	spare(process, block.addr);
	if (pick(2))
		thread_jump(actor->thread, &fn_free, block.addr, 0, 0);
	thread_return(actor->thread, 0);
	counted_out(&block);
}

static void do_signal(struct actor *actor)
{
	if (actor->signals >= SIGNALS_MAX)
		return;
	memset(&actor->open[actor->count++], 0, sizeof(struct open));
	actor->signals++;
	if (actor->thread->task->sas_ss_size && pick(2))
		thread_signal_alt(actor->thread);
	else
		thread_signal(actor->thread);
}

/* What was open will not return; a realloc's old block lives on, but nobody knows it any more. */
static void left(struct actor *actor)
{
	actor->count = 0;
	actor->signals = 0;
}

/*
 * Whether no one could tell what became of the open calls if they were left now: a realloc that
 * has freed its block, an operator new, which stays open for a new handler that calls others.
 */
static bool in_doubt(const struct actor *actor)
{
	for (unsigned int i = 0; i < actor->count; i++) {
		if (actor->open[i].released || actor->open[i].function == &fn_new)
			return true;
	}
	return false;
}

static void do_longjmp(struct actor *actor)
{
	if (!actor->signals || in_doubt(actor))
		return;
	left(actor);
	thread_longjmp(actor->thread, &actor->base);
	/* What was left is noticed at the next call: before a handler can need the room. */
	give(actor->thread, 0x7777);
}

static void stop_others(const struct actor *actor)
{
	for (unsigned int i = 0; i < THREADS; i++) {
		if (&actors[i] != actor && actors[i].process == actor->process)
			left(&actors[i]);
	}
}

static u32 gen_now(u32 tgid)
{
	const struct hb_proc *proc = fake_find("hb_procs", &tgid);

	assert_non_null(proc);
	return proc->gen;
}

/* Its threads end, and begin anew in the new image. */
static void do_exec(struct actor *actor)
{
	struct process *process = &processes[actor->process];
	struct task_struct *leader = actor->thread->task->group_leader;

	for (unsigned int i = 0; i < THREADS; i++) {
		if (actors[i].process == actor->process && in_doubt(&actors[i]))
			return;
	}
	left(actor);
	stop_others(actor);
	for (unsigned int i = 0; i < THREADS; i++) {
		struct thread *thread = actors[i].thread;

		if (actors[i].process != actor->process || thread->task == leader)
			continue;
		fake_current(thread->task);
		hb_task_exit(thread->task);
		fake_task_gone(thread->task);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		struct thread *thread = actors[i].thread;

		if (actors[i].process == actor->process && thread->task == leader)
			thread_exec(thread);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		struct thread *thread = actors[i].thread;
		u64 top_of_stack = actors[i].base.sp;

		if (actors[i].process != actor->process)
			continue;
		thread->task->mm = leader->mm;
		thread->frames = 0;
		thread->instances = 0;
		thread->signals = 0;
		thread->sp = top_of_stack;
	}
	process->gen = gen_now(leader->tgid);
	process->count = 0;
	process->spares = 0;
}

/* A child that takes, gives what it inherited, and ends. */
static void do_fork(struct actor *actor)
{
	struct process *process = &processes[actor->process];
	bool shares = pick(2);
	struct thread *child;
	struct truth *truth;
	u32 gen;

	if (actor->count)
		return;
	child = thread_fork(actor->thread, 5000, shares);
	gen = gen_now(5000);
	truth = truth_of(gen, 3);
	take(child, SITE(3), 11, 0x70);
	give(child, 0x70);
	truth->allocated += 11;
	truth->allocated_n++;
	truth->freed += 11;
	truth->freed_n++;
	if (!shares && process->count)
		give(child, process->blocks[0].addr);
	thread_exit(child);
}

static void step(void)
{
	struct actor *actor = &actors[pick(THREADS)];
	u64 what = pick(1000);

	if (!actor->count) { /* back at the base */
		actor->thread->sp = actor->base.sp;
		actor->thread->pc = APP;
	}
	if (what == 0 && !pick(4))
		do_exec(actor);
	else if (what == 1)
		do_fork(actor);
	else if (what < 60)
		do_signal(actor);
	else if (what < 75)
		do_longjmp(actor);
	else if (in_allocator(actor) && what < 250)
		do_nested(actor);
	else if (in_allocator(actor) && what < 350)
		do_nested_free(actor);
	else if (in_allocator(actor))
		do_return(actor);
	else if (actor->count && what < 300) {
		actor->count--;
		actor->signals--;
		thread_sigreturn(actor->thread);
	} else if (what < 700)
		do_call(actor);
	else
		do_free(actor);
}

static void begin(bool session)
{
	const char *wanted = getenv("HB_SEED");

	seed = wanted ? strtoull(wanted, NULL, 0) : 20240917;
	print_message("seed %llu%s\n", (unsigned long long)seed, session ? ", sessions" : "");
	random_state = 2 * seed + session;
	memset(truths, 0, sizeof(truths));
	memset(processes, 0, sizeof(processes));
	memset(actors, 0, sizeof(actors));
	for (unsigned int i = 0; i < THREADS; i++) {
		unsigned int process = i % PROCESSES;
		struct actor *actor = &actors[i];
		struct actor *leader = i < PROCESSES ? NULL : &actors[process];

		if (!leader) {
			processes[process].gen = HB_GEN_USER | (BASE_GEN + process);
			processes[process].next_addr = 0x100000;
			process_put(100 * (process + 1), processes[process].gen,
				    HB_PROC_TRACED | HB_PROC_FOLLOW);
		}
		actor->process = process;
		actor->thread = thread_new(100 * (process + 1) + i / PROCESSES,
					   leader ? leader->thread : NULL);
		if (i % 2)
			thread_altstack(actor->thread, 0x7f0000000000ULL + i * 0x100000, 0x10000);
		actor->base = thread_setjmp(actor->thread);
	}
}

static u64 rows_bytes, sites_bytes;

static void add_row(const void *key, void *value, void *arg)
{
	const struct hb_block *block = value;

	rows_bytes += block->bytes;
}

static void add_site(const void *key, void *value, void *arg)
{
	const struct hb_site *site = value;

	assert_int_equal(site->allocated_bytes, site->freed_bytes + site->outstanding_bytes);
	assert_in_range(site->peak_bytes, site->outstanding_bytes, site->allocated_bytes);
	sites_bytes += site->outstanding_bytes;
}

static void compare(u32 gen, const struct truth *truth, unsigned int site)
{
	const struct hb_site *found;

	if (!truth->allocated_n)
		return;
	found = site_at(gen, SITE(site));
	assert_non_null(found);
	assert_int_equal(found->allocated_bytes, truth->allocated);
	assert_int_equal(found->allocated_count, truth->allocated_n);
	assert_int_equal(found->freed_bytes, truth->freed);
	assert_int_equal(found->freed_count, truth->freed_n);
}

/* Every thread notices what it has left: nothing is open any more. */
static void settle(void)
{
	for (unsigned int i = 0; i < THREADS; i++) {
		while (actors[i].count) {
			if (in_allocator(&actors[i])) {
				do_return(&actors[i]);
				continue;
			}
			actors[i].count--;
			thread_sigreturn(actors[i].thread);
		}
		fake_current(actors[i].thread->task);
		if (pending_task())
			pending_end(pending_task());
	}
}

static void random_steps_agree_with_the_model(void **state)
{
	unsigned int seen = 0;
	u64 sums = 0;

	sites_bytes = 0;
	rows_bytes = 0;
	begin(*state != NULL);
	for (unsigned int i = 0; i < STEPS; i++)
		step();
	settle();
	for (u32 i = 1; i < GENS_MAX; i++) {
		u32 gen = i >= BASE_GEN && i < BASE_GEN + PROCESSES ? HB_GEN_USER | i : i;

		for (unsigned int site = 0; site < SITES; site++) {
			compare(gen, &truths[i][site], site);
			sums += truths[i][site].allocated - truths[i][site].freed;
			seen += truths[i][site].allocated_n > 0;
		}
	}
	assert_int_equal(fake_rows("hb_sites"), seen);
	fake_each("hb_sites", add_site, NULL);
	fake_each("hb_live", add_row, NULL);
	assert_int_equal(sites_bytes, sums);
	assert_int_equal(rows_bytes, sums);
	assert_int_equal(losses(), 0);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN) - counter(HB_CNT_BLOCKS_OUT),
			 fake_rows("hb_live"));
	print_message("%llu blocks in, %llu out, %u sites, %llu calls left, %llu unknown frees\n",
		      (unsigned long long)counter(HB_CNT_BLOCKS_IN),
		      (unsigned long long)counter(HB_CNT_BLOCKS_OUT), seen,
		      (unsigned long long)counter(HB_CNT_ABANDONED),
		      (unsigned long long)counter(HB_CNT_FREE_UNKNOWN));
}

int main(void)
{
	const struct CMUnitTest tests[] = { BOTH(random_steps_agree_with_the_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
