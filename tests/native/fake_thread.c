// SPDX-License-Identifier: Apache-2.0
/* Simulated threads and the kernel's uprobes on them. */
#include "fake_thread.h"
#include "fake_private.h"

#include <stdlib.h>
#include <string.h>

#define TRAMPOLINE   0x7fffffffd000ULL
#define STACK_TOP    0x7ffd00000000ULL
#define STACK_APART  0x1000000ULL
#define THREADS_MAX  4096
#define TEXT_OFFSET  0x20
/* Red zone, FXSAVE area, ucontext, siginfo: the smallest frame that x86-64 makes. */
#define SIGNAL_FRAME 1088

#define COOKIE(role, source, size, count, ptr, throws, below, above)                           \
	((u64)(role) << HB_COOKIE_ROLE_SHIFT | (u64)(source) << HB_COOKIE_SOURCE_SHIFT |       \
	 (u64)(size) << HB_COOKIE_SIZE_SHIFT | (u64)(count) << HB_COOKIE_COUNT_SHIFT |         \
	 (u64)(ptr) << HB_COOKIE_PTR_SHIFT | (u64)(throws) << HB_COOKIE_THROWS_SHIFT |         \
	 (u64)(below) << HB_COOKIE_BELOW_SHIFT | (u64)(above) << HB_COOKIE_ABOVE_SHIFT)

/* Each function has a page of its own; its library is 256 pages of text. */
#define IN(base, page, how_, role, source, size, count, ptr, throws)                           \
	{                                                                                      \
		.ip = (base) + (page)*0x1000ULL, .how = how_,                                  \
		.cookie = COOKIE(HB_ROLE_##role, HB_SRC_##source, size, count, ptr, throws,    \
				 REACH(how_, page), REACH(how_, 256 - (page))),                \
	}
/* In pages; of a free in smaller steps. */
#define REACH(how, pages) ((how) == HOW_FREE ? (pages)*0x1000 >> HB_COOKIE_REACH_SHIFT : (pages))
#define LIBC_FN(page, how, role, size, count, ptr)                                             \
	IN(LIBC, page, how, role, MALLOC, size, count, ptr, how == HOW_RETS)
#define JVM_FN(page, role, size, ptr) IN(LIBJVM, page, HOW_CALL, role, DIRECT, size, 0, ptr, 0)

const struct function fn_malloc = LIBC_FN(1, HOW_CALL, ALLOC, 1, 0, 0);
const struct function fn_calloc = LIBC_FN(2, HOW_CALL, ALLOC, 2, 1, 0);
const struct function fn_realloc = LIBC_FN(3, HOW_CALL, REALLOC, 2, 0, 1);
const struct function fn_reallocarray = LIBC_FN(4, HOW_CALL, REALLOC, 3, 2, 1);
const struct function fn_aligned_alloc = LIBC_FN(5, HOW_CALL, ALLOC, 2, 0, 0);
const struct function fn_posix_memalign = LIBC_FN(6, HOW_CALL, POSIX, 3, 0, 1);
const struct function fn_xallocx = LIBC_FN(7, HOW_CALL, RESIZE, 2, 0, 1);
const struct function fn_free = LIBC_FN(8, HOW_FREE, FREE, 0, 0, 1);
const struct function fn_free_sized = LIBC_FN(9, HOW_FREE, FREE, 0, 0, 1);
const struct function fn_new = LIBC_FN(10, HOW_RETS, ALLOC, 1, 0, 0);
const struct function fn_helper = { .ip = LIBC + 11 * 0x1000, .how = HOW_NOT };
const struct function fn_unsafe_alloc = JVM_FN(1, ALLOC, 3, 0);
const struct function fn_unsafe_realloc = JVM_FN(2, REALLOC, 2, 1);
const struct function fn_unsafe_free = JVM_FN(3, FREE, 0, 1);

bool fake_first;

bool faults_first(u32 gen)
{
	return fake_first;
}

static struct thread *threads[THREADS_MAX];
static unsigned int thread_count;
static bool session;

void thread_session(bool on)
{
	session = on;
	fake_knobs(0, 0, on, 0);
}

void process_put(int tgid, u32 gen, u32 flags)
{
	struct hb_proc proc = { .gen = gen, .flags = flags };
	u32 key = tgid;

	fake_put("hb_procs", &key, sizeof(key), &proc, sizeof(proc));
	hb_epoch++;
}

static struct thread *thread_of(struct task_struct *task)
{
	struct thread *thread = calloc(1, sizeof(*thread));

	if (thread_count == THREADS_MAX)
		fake_die("more threads than THREADS_MAX");
	threads[thread_count] = thread;
	thread->task = task;
	thread->sp = STACK_TOP - thread_count++ * STACK_APART;
	thread->pc = APP;
	return thread;
}

struct thread *thread_new(int pid, struct thread *leader)
{
	return thread_of(fake_task(pid, leader ? leader->task : NULL));
}

void thread_exit(struct thread *thread)
{
	struct task_struct *task = thread->task;

	fake_current(task);
	task->signal->live.counter--;
	hb_task_exit(task);
	fake_task_gone(task);
}

/* The kernel's own list: what the thread has. */
static void tell_returns(struct thread *thread)
{
	struct task_struct *task = thread->task;

	for (unsigned int i = 0; i < thread->instances; i++) {
		task->returns[i].stack = thread->instance[i].slot;
		task->returns[i].orig_ret_vaddr = thread->instance[i].caller;
	}
	task->return_count = thread->instances;
}

struct thread *thread_fork(struct thread *parent, int pid, bool shares)
{
	struct task_struct *task = fake_task(pid, NULL);
	struct thread *child = thread_of(task);

	*child = *parent; /* the kernel copies its return instances too: dup_utask() */
	child->task = task;
	tell_returns(child);
	if (shares) {
		task->mm = parent->task->mm;
	} else {
		for (u64 at = child->sp; at < child->sp + 4096; at += 8)
			fake_write_u64(task->mm, at, fake_read_u64(parent->task->mm, at));
	}
	fake_current(parent->task);
	hb_task_fork(parent->task, task);
	return child;
}

void thread_exec(struct thread *thread)
{
	struct task_struct *task = thread->task;

	task->mm = fake_mm(TRAMPOLINE);
	task->sas_ss_size = 0;
	thread->sp = STACK_TOP;
	thread->bp = 0;
	thread->pc = APP;
	thread->frames = 0;
	thread->instances = 0;
	thread->signals = 0;
	tell_returns(thread);
	fake_current(task);
	hb_task_exec(task);
}

static void regs_at(const struct thread *thread, struct pt_regs *regs, u64 ip, u64 sp)
{
	fake_current(thread->task);
	memset(regs, 0, sizeof(*regs));
	regs->ip = ip;
	regs->sp = sp;
	regs->bp = thread->bp;
}

/* prepare_uretprobe(): the trampoline takes the place of the return address. */
static void hijack(struct thread *thread, const struct function *function)
{
	u64 caller = fake_read_u64(thread->task->mm, thread->sp);
	u64 trampoline = thread->task->mm->area.vaddr;
	bool chained = caller == trampoline;
	struct instance *top;

	while (thread->instances) { /* cleanup_return_instances(), arch_uretprobe_is_alive() */
		top = &thread->instance[thread->instances - 1];
		if (chained ? thread->sp <= top->slot : thread->sp < top->slot)
			break;
		thread->instances--;
	}
	tell_returns(thread);
	if (thread->instances == STEPS_MAX || (chained && !thread->instances))
		return;
	if (chained)
		caller = thread->instance[thread->instances - 1].caller;
	fake_write_u64(thread->task->mm, thread->sp, trampoline);
	thread->instance[thread->instances++] = (struct instance){
		.slot = thread->sp, .caller = caller, .function = function, .chained = chained,
	};
	tell_returns(thread);
}

static void enter(struct thread *thread, const struct function *function, u64 a1, u64 a2, u64 a3)
{
	struct pt_regs regs;

	regs_at(thread, &regs, function->ip, thread->sp);
	regs.di = a1;
	regs.si = a2;
	regs.dx = a3;
	fake_probe(function->cookie, function->ip);
	switch (function->how) {
	case HOW_NOT:
		break;
	case HOW_CALL:
		if (!session)
			hb_malloc_enter(&regs);
		if (!session || !hb_malloc_sess(&regs))
			hijack(thread, function);
		break;
	case HOW_RETS:
		hb_malloc_enter(&regs);
		break;
	case HOW_FREE:
		hb_free_enter(&regs);
		break;
	}
}

static void push(struct thread *thread, const struct function *function, u64 caller)
{
	if (thread->frames == STEPS_MAX)
		fake_die("a thread deeper than STEPS_MAX");
	thread->frame[thread->frames++] = (struct frame){
		.slot = thread->sp, .caller = caller, .function = function,
	};
	thread->pc = function->ip + TEXT_OFFSET;
}

void thread_call(struct thread *thread, const struct function *function, u64 a1, u64 a2, u64 a3)
{
	u64 caller = thread->pc;

	thread->sp -= 8;
	fake_write_u64(thread->task->mm, thread->sp, caller);
	enter(thread, function, a1, a2, a3);
	push(thread, function, caller);
}

void thread_jump(struct thread *thread, const struct function *function, u64 a1, u64 a2, u64 a3)
{
	const struct frame *from = &thread->frame[thread->frames - 1];

	thread->sp = from->slot;
	enter(thread, function, a1, a2, a3);
	push(thread, function, from->caller);
}

static void run_return(const struct thread *thread, const struct instance *of, u64 result, u64 ip)
{
	struct pt_regs regs;

	regs_at(thread, &regs, ip, thread->sp);
	regs.ax = result;
	fake_probe(of->function->cookie, of->function->ip);
	if (session)
		hb_malloc_sess(&regs);
	else
		hb_malloc_exit(&regs);
}

/* handle_trampoline(): those chained to one slot go together; those left by longjmp go unheard. */
static u64 trampoline(struct thread *thread, u64 result)
{
	unsigned int next;
	bool valid;
	u64 ip;

	do {
		if (!thread->instances)
			fake_die("a return to the trampoline that the kernel would answer with SIGILL");
		next = thread->instances - 1;
		while (next && thread->instance[next].chained)
			next--;
		valid = !next || thread->sp <= thread->instance[next - 1].slot;
		ip = thread->instance[thread->instances - 1].caller;
		while (thread->instances > next) {
			struct instance gone = thread->instance[--thread->instances];

			tell_returns(thread);
			if (valid)
				run_return(thread, &gone, result, ip);
		}
	} while (!valid);
	return ip;
}

void thread_return(struct thread *thread, u64 result)
{
	struct frame frame = thread->frame[thread->frames - 1];
	struct pt_regs regs;

	thread->sp = frame.slot;
	if (frame.function->how == HOW_RETS) {
		regs_at(thread, &regs, frame.function->ip + 0x40, thread->sp);
		regs.ax = result;
		fake_probe(frame.function->cookie, regs.ip);
		hb_malloc_ret(&regs);
	}
	while (thread->frames && thread->frame[thread->frames - 1].slot == frame.slot)
		thread->frames--;
	thread->pc = fake_read_u64(thread->task->mm, thread->sp);
	thread->sp += 8;
	if (thread->pc == thread->task->mm->area.vaddr)
		thread->pc = trampoline(thread, result);
	if (thread->pc != frame.caller)
		fake_die("a return to where no one called");
}

void thread_grow(struct thread *thread, u64 bytes)
{
	thread->sp -= bytes;
}

struct mark thread_setjmp(const struct thread *thread)
{
	return (struct mark){ .sp = thread->sp, .bp = thread->bp, .pc = thread->pc,
			      .frames = thread->frames, .signals = thread->signals };
}

#define FIRST_SIGNAL 10 /* a handler in a handler is for the next one */

/* @count handlers run one above the other, each with its signal blocked. */
static void block_delivered(struct thread *thread, u32 count)
{
	thread->signals = count;
	thread->task->blocked.sig[0] = ((1UL << count) - 1) << (FIRST_SIGNAL - 1);
}

void thread_longjmp(struct thread *thread, const struct mark *mark)
{
	thread->sp = mark->sp;
	thread->bp = mark->bp;
	thread->pc = mark->pc;
	thread->frames = mark->frames;
	block_delivered(thread, mark->signals);
}

static void deliver(struct thread *thread, u64 stack)
{
	struct k_sigaction action = { .sa.sa_handler = (void *)(APP + 0xf00) };

	thread->task->user_regs.sp = thread->sp;
	fake_current(thread->task);
	hb_task_signal(FIRST_SIGNAL + thread->signals, NULL, &action);
	thread->interrupted[thread->signals] = thread_setjmp(thread);
	block_delivered(thread, thread->signals + 1);
	thread->sp = stack - SIGNAL_FRAME;
	thread->pc = APP + 0xf00;
}

void thread_signal(struct thread *thread)
{
	deliver(thread, thread->sp);
}

void thread_signal_alt(struct thread *thread)
{
	const struct task_struct *task = thread->task;

	fake_current(thread->task);
	deliver(thread, compat_on_altstack(thread->sp) ? thread->sp :
							 task->sas_ss_sp + task->sas_ss_size);
}

void thread_sigreturn(struct thread *thread)
{
	thread_longjmp(thread, &thread->interrupted[thread->signals - 1]);
}

void thread_altstack(struct thread *thread, u64 start, u64 bytes)
{
	thread->task->sas_ss_sp = start;
	thread->task->sas_ss_size = bytes;
}

void take(struct thread *thread, u64 pc, u64 bytes, u64 block)
{
	thread->pc = pc;
	thread_call(thread, &fn_malloc, bytes, 0, 0);
	thread_return(thread, block);
}

void give(struct thread *thread, u64 block)
{
	thread_call(thread, &fn_free, block, 0, 0);
	thread_return(thread, 0);
}

u64 counter(u32 index)
{
	const u64 *value = fake_find("hb_counts", &index);

	return value ? *value : 0;
}

u64 losses(void)
{
	return counter(HB_CNT_BLOCK_FULL) + counter(HB_CNT_SITE_FULL) + counter(HB_CNT_STACK_FULL) +
	       counter(HB_CNT_PROC_FULL) + counter(HB_CNT_TASK_STORAGE) +
	       counter(HB_CNT_PENDING_DEEP) + counter(HB_CNT_READ_FAILED) +
	       counter(HB_CNT_RING_FULL) + counter(HB_CNT_FREE_MISSED) +
	       counter(HB_CNT_REPUT_FAILED);
}

struct wanted {
	const u64 *frames;
	u32 count, gen;
	u64 key;
};

static void match_stack(const void *key, void *value, void *arg)
{
	const struct hb_stack *stack = value;
	struct wanted *wanted = arg;

	if (stack->gen == wanted->gen && stack->count == wanted->count &&
	    !memcmp(stack->frames, wanted->frames, wanted->count * sizeof(u64)))
		wanted->key = *(const u64 *)key;
}

struct hb_site *site_of(u32 gen, const u64 *frames, u32 count, u32 source, u32 tid)
{
	struct wanted wanted = { .frames = frames, .count = count, .gen = gen };
	struct hb_site_key key = { .gen = gen, .tid = tid, .source = source };

	fake_each("hb_stacks", match_stack, &wanted);
	key.stack = wanted.key;
	return wanted.key ? fake_find("hb_sites", &key) : NULL;
}

struct hb_site *site_at(u32 gen, u64 pc)
{
	return site_of(gen, &pc, 1, HB_SRC_MALLOC, 0);
}

struct hb_block *block_at(u32 gen, u64 addr)
{
	struct hb_block_key key = { .addr = addr, .gen = gen, .source = HB_SRC_MALLOC };

	return fake_find("hb_live", &key);
}

static void all_gone(void)
{
	for (unsigned int i = 0; i < thread_count; i++)
		free(threads[i]);
	thread_count = 0;
	fake_reset();
}

int fresh(void **state)
{
	all_gone();
	thread_session(*state != NULL);
	return 0;
}

int done(void **state)
{
	all_gone();
	return 0;
}
