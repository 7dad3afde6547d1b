/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one include of every .bpf.c: the headers, the records, and what the core offers to probes.
 * tests/native compiles the same files as plain C over maps of its own (HB_NATIVE).
 */
#ifndef HB_CORE_BPF_H
#define HB_CORE_BPF_H

#ifdef HB_NATIVE
#include "fake_bpf.h" /* tests/native */
#else
#include "../vmlinux/vmlinux.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#endif

#include "record.h"

/* config.bpf.c: set by user space before the programs are loaded. */
extern const volatile __u64 hb_min_size;  /* blocks smaller than this many bytes are not kept */
extern const volatile __u32 hb_by_thread; /* sites are split by thread */
extern const volatile __u32 hb_session;   /* one program per call: nested calls' returns are not trapped */
extern const volatile __u32 hb_can_fault; /* programs are sleepable: pages may be faulted in */

/* emit.bpf.c */
__hidden void count(u32 counter);
__hidden void count_add(u32 counter, u64 value);
__hidden void emit_process(const struct hb_ev_process *event);

/* process.bpf.c */
/* The generation of the current process if its calls count, else 0. */
__hidden u32 process_traced(void);
/*
 * A process begins, has a new image, has ended. @event comes described but for its generations, which
 * these fill in before they send it; nothing is sent of processes that are not traced.
 */
__hidden void process_fork(u32 parent, u32 child, bool shares_memory, struct hb_ev_process *event);
__hidden void process_exec(u32 tgid, struct hb_ev_process *event);
__hidden void process_exit(u32 tgid, struct hb_ev_process *event);

/* An allocation that has succeeded. */
struct hb_alloc {
	u64 addr;
	u64 bytes;
	u64 stack;
	u32 gen;
	u32 source;
	u32 tid;
	u32 pad;
};

/* acct.bpf.c */
/* Count a block in. Its stack must be stored already. */
__hidden void acct_add(const struct hb_alloc *alloc);
/* Take the row of a block off the live ones and hand out a copy; its site still counts it. 0: there was none. */
__hidden int acct_take(const struct hb_block_key *key, struct hb_block *block);
/* Count a taken block out: it is freed. */
__hidden void acct_sub(const struct hb_block_key *key, const struct hb_block *block);
/* Put a taken block back: it lives on. */
__hidden void acct_reput(const struct hb_block_key *key, const struct hb_block *block);
/* Whether the site of a stack is known, so that its stack need not be stored again. */
__hidden bool acct_site_known(const struct hb_alloc *alloc);

/* Whether a probe's function may throw: it has no return probe then. */
static __always_inline bool cookie_throws(u64 cookie)
{
	return HB_COOKIE_GET(cookie, HB_COOKIE_THROWS_SHIFT, 1);
}

/* A call that has been entered and not yet returned. */
struct hb_pending {
	u64 slot;      /* stack address that holds its return address */
	u64 bytes;     /* asked for; ~0 if the product overflows */
	u64 extra;     /* RESIZE: may be that much more */
	u64 ptr;       /* block given up, or where the new one is stored */
	u64 cookie;
	u64 text_lo;   /* [text_lo, text_hi): the module of the function */
	u64 text_hi;
	u64 barrier;   /* stack pointer when a signal interrupted the call; 0: none did */
	u64 signals;   /* the signals that did, a bit each */
	struct hb_block old; /* REALLOC: the row taken off for the time of the call */
	u32 gen;
	u8 has_old;
	u8 on_altstack;
	u8 chained;    /* returns still to come at the same slot, from calls it ended in */
	u8 pad;
};

/* Per thread, in task storage: 1.7 KB for each thread that allocates. */
struct hb_task {
	u32 depth;      /* slots in use */
	u32 pad;
	u64 last_free;  /* block freed last: free_sized() and the like end in free() */
	struct hb_pending pending[HB_PENDING_MAX];
	struct hb_stack scratch; /* not per CPU: these programs can be preempted */
};

/* Where a probe fired. */
struct hb_place {
	u64 slot;   /* stack address of the return address */
	u64 caller; /* the return address */
	u64 ip;     /* the probed instruction */
	u32 gen;
	u32 pad;
};

/* pending.bpf.c */
__hidden struct hb_task *pending_task(void);        /* the current thread's, or NULL: it has none yet */
__hidden struct hb_task *pending_task_create(void); /* NULL: counted as lost */
/* Whether a call here is made by a call that is still open; abandoned calls are dropped on the way. */
__hidden bool pending_nested(struct hb_task *task, const struct hb_place *place);
/* Open a call. NULL: it is nested, or there is no room (counted). */
__hidden struct hb_pending *pending_push(struct hb_task *task, const struct hb_place *place, u64 cookie);
/*
 * Close the call whose return address was at @slot and copy it to @call. @by_ret: a probed ret
 * instruction is about to return, else a return probe has fired; each closes only the calls that
 * are its to close. 0: no such call is open.
 */
__hidden int pending_pop(struct hb_task *task, u64 slot, bool by_ret, struct hb_pending *call);
/* The thread ends: what is open will not return. */
__hidden void pending_end(struct hb_task *task);
/*
 * A handler of @signal (1..64) is about to interrupt the thread at stack pointer @sp. @deferred:
 * the signal stays blocked while the handler runs.
 */
__hidden void pending_signal(struct hb_task *task, u32 signal, u64 sp, bool deferred);

/* stack.bpf.c */
/*
 * Walk the current thread's frames into @task's scratch: @pc first, then return addresses by
 * frame pointers from @fp, above @sp. Returns the stack's key; stack_store() keeps the frames.
 */
__hidden u64 stack_capture(struct hb_task *task, u32 gen, u64 pc, u64 sp, u64 fp);
/* Keep the frames in @task's scratch under @key. Returns @key, or HB_STACK_NONE if there is no room. */
__hidden u64 stack_store(struct hb_task *task, u64 key);
/* Read a word of user memory, faulting its page in if that is allowed here. 0 or negative errno. */
__hidden long stack_read_u64(u64 address, u64 *value);

#endif
