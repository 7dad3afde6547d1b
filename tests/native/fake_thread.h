/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated thread: a stack in fake user memory, functions that are called and return, tail
 * calls, signals, longjmp; and the kernel's uprobes on them, which put the trampoline in place of
 * return addresses (kernel/events/uprobes.c: prepare_uretprobe(), handle_trampoline()) and run
 * the real programs. A call is entered and left one step at a time, so a test decides what
 * happens in between.
 */
#ifndef HB_FAKE_THREAD_H
#define HB_FAKE_THREAD_H

#include "core.bpf.h"

/* The programs. */
int hb_malloc_enter(struct pt_regs *ctx);
int hb_malloc_exit(struct pt_regs *ctx);
int hb_malloc_sess(struct pt_regs *ctx);
int hb_malloc_ret(struct pt_regs *ctx);
int hb_free_enter(struct pt_regs *ctx);
int hb_task_fork(struct task_struct *parent, struct task_struct *child);
int hb_task_exec(struct task_struct *task);
int hb_task_exit(struct task_struct *task);
int hb_task_signal(int signal, void *info, struct k_sigaction *action);

extern __u32 hb_last_gen; /* process.bpf.c */
extern __u32 hb_epoch; /* process.bpf.c */
extern struct hb_plan hb_plans[HB_PLANS]; /* sampling.bpf.c */
extern bool fake_first; /* what faults_first() says of every generation */

/* How a function is probed. */
enum how {
	HOW_NOT,  /* it is not */
	HOW_CALL, /* entry and return: two probes or a session, as thread_session() says */
	HOW_RETS, /* entry and its ret instructions: it may throw */
	HOW_FREE, /* entry only */
};

struct function {
	u64 ip;
	u64 cookie;
	enum how how;
};

/* libc: text from LIBC to LIBC_END. */
#define LIBC	 0x7f0000100000ULL
#define LIBC_END 0x7f0000200000ULL
#define LIBJVM	 0x7f1000000000ULL
#define APP	 0x0000000000401000ULL /* return addresses in here name the callsites */

extern const struct function fn_malloc, fn_calloc, fn_realloc, fn_reallocarray, fn_aligned_alloc,
	fn_posix_memalign, fn_xallocx, fn_free, fn_free_sized, fn_new, fn_unsafe_alloc,
	fn_unsafe_realloc, fn_unsafe_free, fn_helper;

struct instance {
	u64 slot;
	u64 caller;
	const struct function *function;
	bool chained;
};

struct frame {
	u64 slot;
	u64 caller;
	const struct function *function;
};

/* Where a thread is: what setjmp and a signal frame keep. */
struct mark {
	u64 sp, bp, pc;
	unsigned int frames, signals;
};

#define STEPS_MAX 64

struct thread {
	struct task_struct *task;
	u64 sp, bp;
	u64 pc; /* the return address of what it calls next */
	unsigned int frames, instances, signals;
	struct frame frame[STEPS_MAX];
	struct instance instance[STEPS_MAX]; /* the kernel's return_instances, oldest first */
	struct mark interrupted[STEPS_MAX];
};

/* From now on calls are probed by one session program, or by an entry and a return program. */
void thread_session(bool session);
/* A process whose calls count: a row in hb_procs as user space puts it. */
void process_put(int tgid, u32 gen, u32 flags);
/* @leader NULL: the first thread of process @pid. */
struct thread *thread_new(int pid, struct thread *leader);
/* It exits: the program runs, the task is gone. */
void thread_exit(struct thread *thread);
/* fork() or, with @shares, vfork(): the only thread of process @pid, where @parent was. */
struct thread *thread_fork(struct thread *parent, int pid, bool shares);
/* A new image, with memory and a stack of its own. */
void thread_exec(struct thread *thread);

/* Enter a function. Its return address is @thread->pc, which then points into the function. */
void thread_call(struct thread *thread, const struct function *function, u64 a1, u64 a2, u64 a3);
/* The innermost function ends in a jump to another. */
void thread_jump(struct thread *thread, const struct function *function, u64 a1, u64 a2, u64 a3);
/* The innermost function, and those that ended in it, return. */
void thread_return(struct thread *thread, u64 result);
/* Locals are pushed. */
void thread_grow(struct thread *thread, u64 bytes);
/* A handler begins, called from APP + 0xf00. */
void thread_signal(struct thread *thread);
/* Like thread_signal(), on the alternate stack, if it is not there already. */
void thread_signal_alt(struct thread *thread);
void thread_sigreturn(struct thread *thread);
struct mark thread_setjmp(const struct thread *thread);
void thread_longjmp(struct thread *thread, const struct mark *mark);
/* The alternate stack: @bytes from @start on. */
void thread_altstack(struct thread *thread, u64 start, u64 bytes);

/* Call from callsite @pc of the application and return. */
void take(struct thread *thread, u64 pc, u64 bytes, u64 block);
void give(struct thread *thread, u64 block);

/* What came out. */
u64 counter(u32 index);
/* Counters whose meaning is a loss. */
u64 losses(void);
/* The site of the stack @frames (@count addresses) of @gen, NULL: there is none. */
struct hb_site *site_of(u32 gen, const u64 *frames, u32 count, u32 source, u32 tid);
struct hb_site *site_at(u32 gen, u64 pc); /* malloc, one frame, no tid */
struct hb_block *block_at(u32 gen, u64 addr);

#define assert_site(gen, pc, allocated, allocated_n, freed, freed_n)                           \
	do {                                                                                   \
		const struct hb_site *_site = site_at(gen, pc);                                \
                                                                                               \
		assert_non_null(_site);                                                        \
		assert_int_equal(_site->allocated_bytes, allocated);                           \
		assert_int_equal(_site->allocated_count, allocated_n);                         \
		assert_int_equal(_site->freed_bytes, freed);                                   \
		assert_int_equal(_site->freed_count, freed_n);                                 \
		assert_int_equal(_site->outstanding_bytes, (allocated) - (freed));             \
	} while (0)

/* Setup and teardown of every test: fakes as new, a session or not by the state passed. */
int fresh(void **state);
int done(void **state);

#endif
