/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the kernel side and user space: map keys and values, events, counters.
 * Fixed-width types only; values are explicit and only ever appended.
 */
#ifndef HB_RECORD_H
#define HB_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define HB_COMM_LEN    16  /* TASK_COMM_LEN, include/linux/sched.h */
#define HB_FRAMES_MAX  127 /* PERF_MAX_STACK_DEPTH, include/uapi/linux/perf_event.h */
#define HB_PENDING_MAX 4   /* calls open at once in one thread: one, and one per signal handler above it */

/* Who owns the bytes. */
enum hb_source {
	HB_SRC_MALLOC = 1, /* an allocator's API */
	HB_SRC_DIRECT = 2, /* Unsafe memory of a JVM */
	HB_SRC_END
};

/* What a probed function does with its arguments: its role. */
enum hb_role {
	HB_ROLE_ALLOC = 1,   /* returns a new block of size (x count) bytes, or NULL */
	HB_ROLE_POSIX = 2,   /* returns 0 and stores the block through its pointer argument */
	HB_ROLE_REALLOC = 3, /* gives up the block in its pointer argument for the one it returns */
	HB_ROLE_RESIZE = 4,  /* resizes the block in place, returns its new usable size (xallocx) */
	HB_ROLE_FREE = 5,    /* releases the block in its pointer argument */
};

/*
 * A probe's cookie: the role, which arguments it takes (1..6, 0: none), and how far the text of
 * its module reaches around the probed instruction, in pages, rounded up. The text tells a call
 * that the allocator makes itself from one that a signal handler makes. For a free that has no
 * return probe it is how far the allocator's own entry points reach, in steps of 16 bytes.
 */
#define HB_COOKIE_REACH_SHIFT  4  /* log2 of such a step */
#define HB_COOKIE_ROLE_SHIFT   0  /* 4 bits, enum hb_role */
#define HB_COOKIE_SOURCE_SHIFT 4  /* 4 bits, enum hb_source */
#define HB_COOKIE_SIZE_SHIFT   8  /* 3 bits, argument with the size; RESIZE: extra follows it */
#define HB_COOKIE_COUNT_SHIFT  11 /* 3 bits, argument to multiply it with */
#define HB_COOKIE_PTR_SHIFT    14 /* 3 bits, argument with the block, or where to store it */
#define HB_COOKIE_THROWS_SHIFT 17 /* 1 bit: no return probe may be set; its ret instructions are probed */
#define HB_COOKIE_BELOW_SHIFT  18 /* 20 bits, pages of text below */
#define HB_COOKIE_ABOVE_SHIFT  38 /* 20 bits, pages of text above */
#define HB_COOKIE_GET(cookie, shift, bits) (((cookie) >> (shift)) & ((1ULL << (bits)) - 1))

/* One live block. */
struct hb_block_key {
	__u64 addr;   /* as the program sees it */
	__u32 gen;    /* generation: one process image, see struct hb_proc */
	__u32 source; /* enum hb_source: with NMT the two address spaces overlap */
};
_Static_assert(sizeof(struct hb_block_key) == 16, "layout is shared with user space");

struct hb_block {
	__u64 bytes; /* as its caller asked for */
	__u64 born_ns; /* CLOCK_MONOTONIC */
	__u64 stack; /* key into hb_stacks */
	__u32 tid;   /* the thread that allocated it, with --group thread; else 0 */
	__u32 pad;
};
_Static_assert(sizeof(struct hb_block) == 32, "layout is shared with user space");

/* One row of the board: a process image, a stack, a source. */
struct hb_site_key {
	__u64 stack; /* key into hb_stacks; HB_STACK_NONE: the stack could not be kept */
	__u32 gen;
	__u32 tid; /* as in struct hb_block */
	__u32 source;
	__u32 pad;
};
_Static_assert(sizeof(struct hb_site_key) == 24, "layout is shared with user space");

struct hb_site {
	__u64 allocated_bytes;
	__u64 allocated_count;
	__u64 freed_bytes;
	__u64 freed_count;
	__u64 outstanding_bytes; /* allocated - freed, kept beside them for an exact peak */
	__u64 peak_bytes;
};
_Static_assert(sizeof(struct hb_site) == 48, "layout is shared with user space");

#define HB_STACK_NONE 0ULL

/* frames[0] is the caller of the entry point; return addresses, innermost first. */
struct hb_stack {
	__u32 count;
	__u32 gen;
	__u64 frames[HB_FRAMES_MAX];
};
_Static_assert(sizeof(struct hb_stack) == 1024, "layout is shared with user space");

/* A traced process, by tgid in the initial pid namespace. */
#define HB_PROC_TRACED  1u /* its calls count */
#define HB_PROC_AT_EXEC 2u /* counts from its next exec on */
#define HB_PROC_FOLLOW  4u /* its children are traced too */
#define HB_GEN_USER     0x80000000u /* generations given out by user space have this bit */

struct hb_proc {
	__u32 gen; /* unique per process image: fork and exec begin a new one, vfork shares its parent's */
	__u32 flags;
};
_Static_assert(sizeof(struct hb_proc) == 8, "layout is shared with user space");

/* Events, in hb_ring. */
enum hb_ev_kind {
	HB_EV_FORK = 1, /* a child of a traced process is traced */
	HB_EV_EXEC = 2, /* a traced process has a new image */
	HB_EV_EXIT = 3, /* the last thread of a traced process is gone */
};

struct hb_ev_process {
	__u32 kind; /* enum hb_ev_kind */
	__u32 tgid;
	__u64 time_ns;  /* CLOCK_MONOTONIC */
	__u64 start_ns; /* the process's start, CLOCK_BOOTTIME */
	__u32 gen;      /* FORK, EXEC: the new one; EXIT: the one that ended */
	__u32 old_gen;  /* EXEC: the one that ended, 0 if none; FORK: the parent's */
	__u32 parent;   /* FORK: the parent's tgid */
	__u32 shares;   /* FORK: it shares its parent's generation (vfork); EXEC, EXIT: it did, and that goes on */
	char comm[HB_COMM_LEN];
};
_Static_assert(sizeof(struct hb_ev_process) == 56, "layout is shared with user space");

/*
 * Counters, in hb_counts, one value per CPU. The sentence of each is in model/loss.c. The *_LIVE
 * pairs tell how full a map is.
 */
enum hb_count {
	HB_CNT_BLOCK_FULL = 0,    /* lost: hb_live took no more; allocations */
	HB_CNT_BLOCK_FULL_BYTES = 1,
	HB_CNT_SITE_FULL = 2,     /* lost: hb_sites took no more; allocations */
	HB_CNT_SITE_FULL_BYTES = 3,
	HB_CNT_STACK_FULL = 4,    /* hb_stacks took no more: counted, without a stack */
	HB_CNT_PROC_FULL = 5,     /* lost: hb_procs took no more; processes */
	HB_CNT_TASK_STORAGE = 6,  /* lost: no storage for a thread; calls */
	HB_CNT_PENDING_DEEP = 7,  /* lost: more than HB_PENDING_MAX open calls; calls */
	HB_CNT_READ_FAILED = 8,   /* lost: the result of posix_memalign could not be read; calls */
	HB_CNT_RING_FULL = 9,     /* dropped: events about processes */
	HB_CNT_FREE_MISSED = 10,  /* missed: a free, noticed as its address was given out again */
	HB_CNT_FREE_UNKNOWN = 11, /* no loss: frees of blocks from before we looked, or inherited */
	HB_CNT_ABANDONED = 12,    /* no loss: calls left by longjmp, cancellation or the thread's end */
	HB_CNT_REPUT_FAILED = 13, /* lost: a block could not go back after a failed realloc */
	HB_CNT_BLOCKS_IN = 14,    /* rows put into hb_live */
	HB_CNT_BLOCKS_OUT = 15,   /* rows taken off it */
	HB_CNT_SITES_IN = 16,     /* rows put into hb_sites */
	HB_CNT_STACKS_IN = 17,    /* rows put into hb_stacks */
	HB_CNT_ALTSTACK = 18,     /* lost: calls of a handler on a stack above that of the call it interrupts */
	HB_CNT_END
};

#endif
