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

/* include/uapi/asm-generic/errno-base.h */
#define ENOENT 2
#define EBUSY  16
#endif

#include "record.h"

/* config.bpf.c: set by user space before the programs are loaded. */
extern const volatile __u64 hb_min_size;  /* blocks smaller than this many bytes are not kept */
extern const volatile __u32 hb_by_thread; /* sites are split by thread */
extern const volatile __u32 hb_session;   /* one program per call: nested calls' returns are not trapped */
extern const volatile __u32 hb_can_fault; /* programs are sleepable: pages may be faulted in */
extern const volatile __u32 hb_unwind;    /* stacks by unwind rows; else by frame pointers alone */
extern const volatile __u32 hb_short_frames; /* stacks of no more are in hb_short_stacks; 0: none */
extern const volatile __u32 hb_frames_max; /* frames kept of a stack, at most HB_FRAMES_LIMIT */

extern const volatile __u32 hb_no_storage; /* no task storage (before 5.11): no uprobes; no program is preempted */
extern const volatile __u32 hb_views;    /* the kernel's structures can be read by loads (6.2) */
extern const volatile __u32 hb_never;     /* 0: what it guards is dropped by the verifier */
extern const volatile __u64 hb_sample_seed; /* which pages are sampled */
extern const volatile __u32 hb_sampling; /* calls may be sampled: hb_plans says which; else every one counts */
extern const volatile __u32 hb_budget;   /* hits are counted in hb_plans */
extern const volatile __u32 hb_sample_shift; /* pages are sampled one in 1 << this, or coarser */
extern const volatile __u32 hb_first_faults; /* so many faults of sampled pages are of an image's first; 0: none */
extern const volatile __u32 hb_page_bits; /* log2 of the page size */
extern const volatile __u32 hb_granule_order; /* what is sampled are granules of 1 << so many pages */
extern const volatile __u32 hb_everything; /* page faults of every process are looked at */
extern const volatile __u32 hb_see_pages; /* page faults are looked at */
extern const volatile __u32 hb_cpus; /* CPUs that there may be, at most HB_CPUS_MAX */
#define HB_CPUS_MAX 1024

/* emit.bpf.c */
__hidden void count(u32 counter);
__hidden void count_add(u32 counter, u64 value);
__hidden void emit_process(const struct hb_ev_process *event);
__hidden void emit_object(const struct hb_ev_object *event);
__hidden void emit_map(const struct hb_ev_map *event);
__hidden bool emit_huge(void); /* false: there is no room, and it counts nothing */

/* process.bpf.c */
/* The generation of the current process if its calls count, else 0. */
__hidden u32 process_traced(void);
/* The same, as @task, the current thread's, remembers it. */
struct hb_task;
__hidden u32 process_traced_by(struct hb_task *task);
/* The same if its page faults are looked at. */
__hidden u32 process_seen(void);
/* The same of @tgid. */
__hidden u32 process_known(u32 tgid);
/* Whether the current process's image is HB_PROC_BEGAN. */
__hidden bool process_began(void);
/* They are from now on. @event comes described; its generation is filled in. Returns that, 0: there is no room. */
__hidden u32 process_see(u32 tgid, struct hb_ev_process *event);
/*
 * A number that changes whenever the current process's executable mappings may have: what was found
 * out about an address holds as long as it stays.
 */
__hidden u32 process_mappings(void);
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
	u32 period; /* as in struct hb_block */
};

/* acct.bpf.c */
/* The site of an allocation; NULL: nothing was counted there yet, and its stack is to be stored. */
__hidden struct hb_site *acct_site(const struct hb_alloc *alloc);
/* Count a block in at @site, or (NULL) at a new one. Its stack must be stored already. */
__hidden void acct_add(const struct hb_alloc *alloc, struct hb_site *site);
/* Take the row of a block off the live ones and hand out a copy; its site still counts it. 0: there was none. */
__hidden int acct_take(const struct hb_block_key *key, struct hb_block *block);
/* Count a taken block out: it is freed. */
__hidden void acct_sub(const struct hb_block_key *key, const struct hb_block *block);
/* Put a taken block back: it lives on. */
__hidden void acct_reput(const struct hb_block_key *key, const struct hb_block *block);
/* Whether a block has a row. */
__hidden bool acct_has(const struct hb_block_key *key);

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
	u8 left_out;   /* its block is not sampled: only what the call gives up counts */
	u32 period;    /* as in struct hb_block */
	u32 pad;
};

/* Where the caller goes on: where a walk over its frames begins. */
struct hb_resume {
	u64 pc;
	u64 sp;
	u64 fp;
	u64 lr;    /* arm64: the link register, where it may still hold a return address; else 0 */
	u64 bx;    /* x86_64: rbx */
	u64 slot;  /* stack address that held @pc; 0: none did */
	u32 exact; /* @pc was interrupted, not returned to */
	u16 unlocked; /* interrupts are off: the list of mappings is read without its lock */
	u16 narrow;   /* 32-bit code, in a program of 32 bits */
};

/* The mapping around an address. */
struct hb_mapping {
	u64 start, end, offset;
	struct hb_inode_key key;
	u8 exec, file, vdso;
	u8 prot;    /* PROT_*, while it is mapped */
	u8 settled; /* nobody was changing it */
	u8 pad[3];
};

/* Words of the stack that a walk reads in one go: a read costs more than what it copies. */
#define HB_WINDOW_WORDS 64
#define HB_CALLS        64 /* return addresses that a thread's walks by frame pointers remember */

/*
 * What a walk came to, and what that depends on. The words of the stack that it read are kept as their places and
 * one hash of them all: two walks that differ in a word are as likely taken for one as two stacks are.
 */
#define HB_REPLAYS      8  /* of a thread */
#define HB_REPLAY_READS 32 /* of a word, or of two side by side: as many frames */
#define HB_REPLAY_REACH (8ULL << 15) /* bytes from the beginning to the last of them */
struct hb_replay {
	u64 pc, sp, fp, lr; /* it began with */
	u64 words;          /* hash of those at the places below */
	u64 key;
	u32 gen, mappings, flushes;
	u16 reads;          /* 0: none is kept here */
	u8 exact;
	u8 by_fp;           /* fp mattered */
	u8 end;
	u8 pad[7];
	u16 at[HB_REPLAY_READS]; /* twice the words above sp; and 1, if the next word was read as well */
};

/* A walk under way. In task storage: it is too large for the stack, and verified faster there. */
struct hb_walk {
	u64 pc, sp, fp, lr;
	u64 bx;           /* x86_64: rbx, or */
	u64 bx_slot;      /* where it is saved on the stack */
	u64 slot;         /* stack address that held pc, 0: none did */
	u64 hash;
	u64 trampoline;   /* of this process's return probes, 0: it has none */
	u64 fault;        /* HB_END_FAULT: the address that could not be read */
	u64 frame;        /* the record of pc */
	struct hb_rule rule; /* and how its caller is found */
	struct hb_mapping mapping; /* around pc, if it had to be found out */
	u64 pivots[15];   /* of a node of the kernel's list of mappings */
	struct hb_ev_object asked; /* what user space is asked of it */
	u32 object;       /* the number of the file that is mapped there; 0: not asked for yet, or there is none */
	u32 gen;
	u32 mappings;     /* process_mappings() */
	u32 flushes;
	u32 count;        /* frames recorded */
	u8 exact;         /* pc itself is meant, not the call before it */
	u8 first;         /* pc is where the thread goes on: its rule is that of pc itself */
	u8 fp_valid;
	u8 lr_valid;
	u8 by_pointer;    /* pc was found through a frame pointer: it may be none */
	u8 end;           /* enum hb_end, once it has ended */
	u8 why;           /* enum hb_end to give if pc turns out to be none */
	u8 bx_valid;
	u8 unlocked;      /* as in struct hb_resume */
	u64 window_at;    /* address of the first word below; STACK_WINDOW_NONE: none was read */
	u64 window[HB_WINDOW_WORDS];
	union {
		u64 calls[HB_CALLS]; /* by frame pointers: return addresses behind a call, mixed with gen */
		struct hb_replay replays[HB_REPLAYS]; /* by rows */
	};
	u64 begin_pc, begin_sp, begin_fp, begin_lr;
	u64 words;        /* as of a replay, so far */
	u64 reach;        /* the distances of all of them from begin_sp, or'ed */
	u32 seat;         /* of the replay that is being written */
	u16 reads;
	u8 begin_exact;
	u8 fp_begins;     /* fp is what the walk began with */
	u8 by_fp;         /* and was needed */
	u8 once;          /* it depends on what may be another the next time */
	u8 replayed;      /* nothing was walked: the frames in the scratch stack are another's */
	u8 pad;
};

/* The stack being walked has room for HB_FRAMES_MAX frames here; deeper ones go to hb_deep. */
#define HB_SCRATCH_WORDS (1 + HB_FRAMES_MAX)

/* Per thread, in task storage: 3.6 KB for each thread that allocates. */
struct hb_task {
	u32 depth;      /* slots in use */
	u32 pad;
	u64 last_free;  /* block freed last: free_sized() and the like end in free() */
	u32 gen, epoch; /* process_traced(), as it was when hb_epoch was @epoch */
	u64 countdown;  /* bytes until the next sample, drawn for @period */
	u32 period;
	u32 entered, returned, left, freed, counted; /* as in struct hb_plan, since its last step */
	struct hb_pending pending[HB_PENDING_MAX];
	struct hb_walk walk;
	u64 scratch[HB_SCRATCH_WORDS]; /* a struct hb_stack; not per CPU: these programs can be preempted */
};

/* Where a probe fired. */
struct hb_place {
	u64 slot;   /* stack address of the return address */
	u64 caller; /* the return address, if the thread has a call open */
	u64 ip;     /* the probed instruction */
	u32 gen;
	u32 pad;
};

/* pending.bpf.c */
__hidden struct hb_task *pending_task(void);        /* the current thread's, or NULL: it has none yet */
__hidden struct hb_task *pending_task_create(void); /* the same, made if need be; NULL: counted as lost */
/* Whether a call here is made by a call that is still open; abandoned calls are dropped on the way. */
__hidden bool pending_nested(struct hb_task *task, const struct hb_place *place);
/* Open a call. NULL: it is nested, or there is no room (counted). */
__hidden struct hb_pending *pending_push(struct hb_task *task, const struct hb_place *place, u64 cookie);
/* Whether a call is open that goes on above @sp: what the thread does there is done for it. */
__hidden bool pending_open(const struct hb_task *task, u64 sp, u32 gen);
/*
 * Close the call whose return address was at @slot. @by_ret: a probed ret instruction is about to
 * return, else a return probe has fired; each closes only the calls that are its to close. NULL: no
 * such call is open. What is returned stays until the thread's next call.
 */
__hidden struct hb_pending *pending_pop(struct hb_task *task, u64 slot, bool by_ret);
/* The thread ends: what is open will not return. */
__hidden void pending_end(struct hb_task *task);
/*
 * A handler of @signal (1..64) is about to interrupt the thread at stack pointer @sp. @deferred:
 * the signal stays blocked while the handler runs.
 */
__hidden void pending_signal(struct hb_task *task, u32 signal, u64 sp, bool deferred);

/*
 * Verified once, whatever calls it. In the object for old kernels it is verified with each caller: they
 * take no pointers there (before 5.12).
 */
#ifndef HB_POINTERS_ONLY
#define HB_ONCE
#else
#define HB_ONCE __hidden
#endif

/* sampling.bpf.c */
/* Mean bytes between two samples in @gen; 0: every call counts. */
__hidden u32 sampling_period(u32 gen);
/* Whether a block of @bytes, which is about to be allocated by the current thread, is sampled. @period is not 0. */
__hidden bool sampling_take(struct hb_task *task, u32 period, u64 bytes);
/* What a sampled block stands for: hb_weigh(). @identity: hb_block_identity(). 0. */
HB_ONCE int sampling_weigh(struct hb_weight *weight, u64 bytes, u64 identity, u32 period);
/* A probe of the current thread was hit. @task of the last may be NULL. */
__hidden void sampling_entered(struct hb_task *task, u32 gen, u32 source);
/* @by_ret: on a ret instruction; @call: that was waited for there, or NULL. */
__hidden void sampling_returned(struct hb_task *task, u32 gen, bool by_ret, const struct hb_pending *call);
__hidden void sampling_freed(struct hb_task *task, u32 gen);
/* The thread ends, or its image: what it was hit since its last step counts as well. */
__hidden void sampling_ended(struct hb_task *task);

/* stack.bpf.c */
/*
 * Walk the current thread's frames from @resume on into the thread's scratch stack. Returns its key;
 * stack_store() keeps the frames. For stack_capture().
 */
HB_ONCE u64 stack_walk(struct hb_task *task, u32 gen, const struct hb_resume *resume);
/* Keep the scratch stack under @key. Returns @key, or HB_STACK_NONE if there is no room. */
__hidden u64 stack_store(struct hb_task *task, u64 key);
/* Whether the frames of @key are kept. */
__hidden bool stack_kept(u64 key);
/* Read user memory that is there. 0 or negative errno. */
__hidden long stack_read_u64(u64 address, u64 *value);
/* Whether the bytes in front of @address are a call. */
bool stack_after_call(u64 address);

#define STACK_FRAME_BYTES_MAX (8ULL << 20)          /* a frame larger than the usual whole stack is garbage */
#define STACK_TEXT_MIN        0x1000ULL             /* page 0 is never mapped */
#define STACK_TEXT_MAX        0x00fffffffffff000ULL /* user space ends below, on every architecture we know */

static __always_inline u64 stack_mix(u64 hash, u64 value)
{
	hash ^= value;
	hash *= 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio: Knuth's multiplicative hashing */
	return hash ^ (hash >> 29);
}

#define STACK_WINDOW_NONE (~0ULL << 32) /* above STACK_TEXT_MAX: nothing is taken from there */

/*
 * A word of the stack, from the window if it lies there. A walk goes up: the window begins at what is
 * asked for. Where a window cannot be read (the stack ends, or a page is not there) the word is read
 * alone. 0 or negative errno.
 */
static __always_inline long stack_read_up(struct hb_walk *walk, u64 address, u64 *value)
{
	u64 at = address - walk->window_at;

	if ((at & 7) || address > STACK_TEXT_MAX)
		return stack_read_u64(address, value);
	if (at >= sizeof(walk->window)) {
		walk->window_at = address;
		at = 0;
		if (bpf_probe_read_user(walk->window, sizeof(walk->window), (void *)address)) {
			walk->window_at = STACK_WINDOW_NONE;
			return stack_read_u64(address, value);
		}
	}
	*value = walk->window[(at >> 3) & (HB_WINDOW_WORDS - 1)];
	return 0;
}

/* replay.bpf.c */
/* What the walk that begins as @walk says came to before, or HB_STACK_NONE: it must be walked. */
u64 replay_find(struct hb_walk *walk);
/* The walk has come to @key. */
__hidden void replay_keep(struct hb_walk *walk, u64 key);
/* What replay_find() has just found must be walked again. */
__hidden void replay_forget(struct hb_walk *walk);

/*
 * The walk has read from the stack at @address a word, or (@two) two, of which @words is the hash. Free of branches: it
 * is verified wherever something is read.
 */
static __always_inline void replay_note(struct hb_walk *walk, u64 address, u64 words, u32 two)
{
	struct hb_replay *replay = &walk->replays[walk->seat & (HB_REPLAYS - 1)];
	u64 distance = address - walk->begin_sp, n = walk->reads;

	walk->words = stack_mix(walk->words, words);
	walk->reach |= distance;
	asm volatile("" : "+r"(n)); /* or clang bounds a copy of it, and 6.1's verifier loses sight of the bound */
	replay->at[n & (HB_REPLAY_READS - 1)] = distance >> 2 | two;
	walk->reads++;
}

/* A walk into @stack has ended. Returns its key. */
static __always_inline u64 stack_end(struct hb_walk *walk, struct hb_stack *stack)
{
	stack->gen = walk->gen;
	stack->count = walk->count;
	stack->end = walk->end;
	stack->pad = 0;
	walk->hash = stack_mix(walk->hash, walk->end);
	if (walk->count <= hb_short_frames)
		return walk->hash | HB_STACK_SHORT;
	walk->hash &= ~HB_STACK_SHORT;
	return walk->hash == HB_STACK_NONE ? 2 : walk->hash;
}

/* The same as stack_read_u64(), faulting the page in if it must and hb_can_fault. For uprobes alone. */
static __always_inline long stack_fetch_u64(u64 address, u64 *value)
{
	long err = stack_read_u64(address, value);

	if (err && hb_can_fault)
		err = bpf_copy_from_user(value, sizeof(*value), (void *)address);
	return err;
}

/* A walk that gave @key is the last one. Returns @key. */
static __always_inline u64 stack_walked(const struct hb_task *task, u64 key)
{
	if (key != HB_STACK_NONE)
		count(HB_CNT_STACKS_ENDED + task->walk.end);
	return key;
}

/* Whether @key came without its frames, and nobody has kept those: it must be walked again, which it then is. */
static __always_inline bool stack_without_frames(struct hb_task *task, u64 key)
{
#ifndef HB_POINTERS_ONLY
	if (hb_unwind && task->walk.replayed && !stack_kept(key)) {
		replay_forget(&task->walk);
		return true;
	}
#endif
	return false;
}

/* Walk, in a program that must not sleep. */
static __always_inline u64 stack_capture(struct hb_task *task, u32 gen, const struct hb_resume *resume)
{
	return stack_walked(task, stack_walk(task, gen, resume));
}

/* The same, and the frames are kept. */
static __always_inline u64 stack_capture_kept(struct hb_task *task, u32 gen, const struct hb_resume *resume)
{
	u64 key = stack_capture(task, gen, resume);

	if (stack_without_frames(task, key))
		key = stack_walk(task, gen, resume);
	return stack_store(task, key);
}

#define STACK_FAULTS_MAX 4 /* pages of a stack that are brought in for one walk */

/*
 * Walk, in a uprobe program: where a page of the stack is not there it is brought in, and the walk begins
 * anew. Not in the walk itself, which programs that must not sleep share.
 */
static __always_inline u64 stack_capture_fetching(struct hb_task *task, u32 gen, const struct hb_resume *resume)
{
	u64 key = stack_walk(task, gen, resume);

	for (u32 i = 0; hb_can_fault && i < STACK_FAULTS_MAX && task->walk.fault; i++) {
		u8 byte;

		if (bpf_copy_from_user(&byte, sizeof(byte), (void *)task->walk.fault))
			break;
		key = stack_walk(task, gen, resume);
	}
	return stack_walked(task, key);
}

/* mapping.bpf.c */
/* The mapping around @address into walk->mapping. 0; -EBUSY: it is being changed; or another errno: none. */
int mapping_find(struct hb_walk *walk, u64 address);
/* The same into @found, with the list locked. */
__hidden long mapping_at(struct hb_mapping *found, u64 address);

/* mapping_tree.bpf.c: the current process's list of mappings, without its lock */
#define MAPPING_UNREAD 1ULL
/* The description (struct vm_area_struct) of what is mapped at @address, if anything; or MAPPING_UNREAD. */
u64 mapping_tree_at(struct hb_walk *walk, u64 address);
/* Whether somebody has the list for himself, and may be about to change what we read; or it is not known. */
bool mapping_tree_written(void);

/*
 * view.bpf.c: what the kernel has at an address, for loads, which give 0 where nothing is. Each helper that reads costs
 * ten times as much. Only where hb_views.
 */
__hidden struct vm_area_struct *view_vma(u64 address);
__hidden u64 view_word(u64 address);

/* unwind_tables.bpf.c */
enum hb_found {
	HB_FOUND,
	HB_FOUND_FOR_NOW, /* the answer may be another next time */
	HB_FOUND_NOTHING, /* no code is there */
};
/* Make @walk ready for the next two. */
__hidden void unwind_begin(struct hb_walk *walk);
/* What lies at walk->pc, from memory: walk->frame, and walk->rule for its caller. Returns whether it is there. */
bool unwind_known(struct hb_walk *walk);
/* The same found out, from walk->mapping; @err is mapping_find()'s answer. enum hb_found. */
int unwind_find(struct hb_walk *walk, int err);
/*
 * The file that the current process maps at @address has number @object; 0 asks for the one it has.
 * Returns it; 0: it has none, or no file is mapped there; negative errno as mapping_find(), or there is no room.
 */
__hidden s64 unwind_number(u64 address, u32 object);

/* faults.bpf.c */
/* Of an image that is HB_PROC_BEGAN: whether all rows of @gen, and of what it was forked from, are of first pages. */
__hidden bool faults_first(u32 gen);

#ifndef HB_NATIVE
/* vm.bpf.c */
/* A call that changes mappings, under way in a thread. Not on the stack, which the walk needs. */
struct hb_vm_call {
	struct hb_ev_map event;
	struct pt_regs registers; /* that the thread entered the kernel with */
	struct hb_resume resume;
};
/* The current thread's, for an event of @op, with the arguments in @args. NULL: its process is not traced. */
__hidden struct hb_vm_call *vm_begin(u32 op, u64 args[6]);
/* Send the event of a call that takes away. */
__hidden void vm_send(struct hb_vm_call *call);
/* Of one that adds: with the stack that made it, and whether an allocator is at work for another call. */
__hidden void vm_send_with_stack(struct hb_vm_call *call);

/* faults.bpf.c */
/* A place for what a program needs: only one that nothing of its kind interrupts may use each. */
enum hb_fault_room { HB_ROOM_FAULT, HB_ROOM_HUGE, HB_ROOM_END };
/* The current thread touches @address: HB_FAULT_* @flags. For pages of @order. */
__hidden void faults_add(u64 address, u32 order, u32 flags, u32 room);
/* The current thread's mremap has returned @to. */
__hidden void faults_move(u64 to);

#define HB_PF_EXITING 0x00000004u /* include/linux/sched.h */
#define HB_PF_KTHREAD 0x00200000u
#define HB_OOM_CPUSET    1 /* CONSTRAINT_CPUSET, include/linux/oom.h */
#define HB_OOM_MEMPOLICY 2
#define HB_OOM_MEMCG     3

/*
 * oom.bpf.c. Marks are made one at a time, with the kernel's oom_lock held: what they need is there once. @task is
 * a kernel's task_struct, @control an oom_control.
 */
/*
 * The current thread marks @task: send what is known of both, and of the kill. @ctx is the program's context. @number:
 * all that is known of the victim if @task was not found (NULL).
 */
__hidden void oom_mark(void *ctx, struct task_struct *task, u32 number);
/* It has sent SIGKILL to @task in the kernel's name, as it does right before a mark. */
__hidden void oom_name(struct task_struct *task);
/* The current thread takes a SIGKILL. */
__hidden void oom_take_signal(void);
/* @task exits; the memory @mm is free. */
__hidden void oom_exit(struct task_struct *task);
__hidden void oom_free(u64 mm);

/* oom_command.bpf.c */
/* The current thread begins a program, as @task. */
__hidden void oom_command_begin(struct task_struct *task);
/* @child begins with what @parent is. */
__hidden void oom_command_fork(struct task_struct *parent, struct task_struct *child);
/* A process has ended. */
__hidden void oom_command_end(u32 tgid);
/* The command line of the current process, whose memory is @mm, into @event: as it is, else as it was at first. */
__hidden void oom_command_tell(struct hb_ev_oom_after *event, struct mm_struct *mm);

/* oom_control.bpf.c */
/* The current thread enters, and leaves, a search for a victim. */
__hidden void oom_control_begin(u64 control, u32 how);
__hidden void oom_control_end(void);
/* Whether that is known of it. */
__hidden bool oom_control_known(void);
/* Look for it up the stack from @ctx on, by its victim @task, if it is not known yet. */
__hidden void oom_control_search(void *ctx, struct task_struct *task);
/* What it says, into @event. */
__hidden void oom_control_tell(struct hb_ev_oom *event);

/* oom_domain.bpf.c: memory cgroups, as struct mem_cgroup, 0: none */
#define HB_CGROUPS_DEEP 32 /* one inside the other, that are looked at */
__hidden u64 oom_domain_of(struct task_struct *task);
__hidden u64 oom_domain_parent(u64 memcg);
__hidden u64 oom_domain_id(u64 memcg);
/* The highest cgroup from @memcg up that waits for room at its limit now, by its id; 0: none. */
__hidden u64 oom_domain_stuck(u64 memcg);
/* What the cgroups around @task say, into @event. */
__hidden void oom_domain_tell(struct hb_ev_oom *event, struct task_struct *task);
/* Without an oom_control: whose limit was hit, concluded from what they say. */
__hidden void oom_domain_conclude(struct hb_ev_oom *event);

/* oom_stat.bpf.c: the statistics of the domain that @event names, one of those around @task, into it. 0. */
__hidden int oom_stat_tell(struct hb_ev_oom *event, struct task_struct *task);

/* oom_counters.bpf.c */
/* Pages of @mm's memory by enum hb_oom_counter: exact, with what @thread holds back; and as the log has them. 0. */
__hidden int oom_counters_read(u64 mm, struct task_struct *thread, u64 *pages, u64 *logged);
/* A row for @task, a process; 0: it is none, or of another domain than @domain. */
__hidden int oom_task_tell(struct hb_oom_task *row, struct task_struct *task);
#endif

/* unwind_native.bpf.c */
/* Walk by unwind rows, from what @walk says of the first frame, into @stack. Returns its key. */
__hidden u64 unwind_native(struct hb_walk *walk, struct hb_stack *stack);

#endif
