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

#include "record_pages.h"
#include "sample.h"

#define HB_COMM_LEN    16  /* TASK_COMM_LEN, include/linux/sched.h */
#define HB_FRAMES_MAX  127 /* PERF_MAX_STACK_DEPTH, include/uapi/linux/perf_event.h: frames kept unless asked */
#define HB_FRAMES_LIMIT 510 /* the most that can be asked for: task storage takes less than 8 KiB */
#define HB_PENDING_MAX 4   /* calls open at once in one thread: one, and one per signal handler above it */

/* Who owns the bytes. */
enum hb_source {
	HB_SRC_MALLOC = 1, /* an allocator's API */
	HB_SRC_DIRECT = 2, /* Unsafe memory of a JVM */
	HB_SRC_MMAP = 3,   /* mmap, mremap, brk, shmat, outside of the above: bytes are mapped bytes */
	HB_SRC_PAGES = 4,  /* resident pages, a view of its own: never added to the others */
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
#define HB_COOKIE_ALONE_SHIFT  58 /* 1 bit: it calls no probed function, so that its return may go unseen */
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
	__u32 period; /* it was sampled, one in so many bytes on average; 0: it stands for itself */
};
_Static_assert(sizeof(struct hb_block) == 32, "layout is shared with user space");

/*
 * How the calls of a process image are followed, and what that has cost it: by HB_PLAN(generation). Two may share
 * a plan: both are then followed as the dearer of them may be.
 */
#define HB_PLANS 1024
#define HB_PLAN(gen) (((gen) & (HB_PLANS / 2 - 1)) | ((gen) >> 31) * (HB_PLANS / 2))

struct hb_plan {
	__u32 period, pad; /* period: written by user space; 0: every call counts */
	/* Probes hit, in steps of HB_PLAN_STEP for each thread, and at its end the rest; left: on ret instructions. */
	__u64 entered, returned, left, freed;
	__u64 counted; /* calls whose return was waited for: every one, or the samples */
	__u64 direct_entered, direct_returned; /* of a runtime's own functions, each at once; not among those above */
};
_Static_assert(sizeof(struct hb_plan) == 64, "layout is shared with user space");

#define HB_PLAN_STEP 64

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
	/* Of those that were sampled: how many came and went, and the variance of what is outstanding by them. */
	__u64 sampled_count, sampled_freed_count;
	__u64 bytes_variance, count_variance;
};
_Static_assert(sizeof(struct hb_site) == 80, "layout is shared with user space");

#define HB_STACK_NONE 0ULL
#define HB_STACK_SHORT 1ULL /* a bit of each key: its row is in hb_short_stacks, not in hb_stacks */

/*
 * A frame is one word. Bits 63 to 60 say what it is, bit 59 (EXACT) that the address itself is
 * meant: it was interrupted there, while a return address means the call before it.
 *
 *   FRAME_ADDRESS  an address in the process, in no file that we know (JIT code, a file not read yet)
 *   FRAME_OBJECT   bits 58 to 36: the object, bits 35 to 0: offset in its file. True for ever, in
 *                  every process: what was mapped there later does not matter.
 */
#define HB_FRAME_ADDRESS 0ULL
#define HB_FRAME_OBJECT  1ULL
#define HB_FRAME_KIND(frame)   ((frame) >> 60)
#define HB_FRAME_EXACT         (1ULL << 59)
#define HB_FRAME_OBJECT_ID(frame) ((__u32)((frame) >> 36) & 0x7fffffu)
#define HB_FRAME_OFFSET(frame) ((frame) & ((1ULL << 36) - 1))
#define HB_FRAME_IN_OBJECT(object, offset) (HB_FRAME_OBJECT << 60 | (__u64)(object) << 36 | (offset))
#define HB_OBJECT_MAX 0x7fffffu /* objects are numbered from 1, and a number is never given out again */
#define HB_OBJECT_VDSO 1u

/* Why a walk ended. Names and sentences are in model/unwinding.c. */
enum hb_end {
	HB_END_COMPLETE = 0,   /* at the outermost frame */
	HB_END_POINTERS = 1,   /* this kernel has only frame pointers: where the chain ended */
	HB_END_DEPTH = 2,      /* more frames than are kept */
	HB_END_NO_ROWS = 3,    /* its file has no unwind rows there, and there is no frame pointer */
	HB_END_PENDING = 4,    /* its file was new, its rows not read yet */
	HB_END_FULL = 5,       /* its file's rows did not fit, or were dropped for others */
	HB_END_UNSUPPORTED = 6, /* its row has a rule that we do not follow */
	HB_END_BAD_CFA = 7,    /* its row leads down the stack, or to an address that is none */
	HB_END_FAULT = 8,      /* the stack could not be read */
	HB_END_UNMAPPED = 9,   /* its return address lies in no executable mapping */
	HB_END_POINTER_LOST = 10, /* its row needs a frame pointer that was not kept */
	HB_END_PROBE = 11,     /* its return address is a probe's, and the true one not known */
	HB_END_ANONYMOUS = 12, /* code in no file (JIT) without a frame pointer */
	HB_END_BUSY = 13,      /* the process's mappings were being changed at that moment */
	HB_END_NARROW = 14,    /* a program of 32 bits: where the chain of its frame pointers ended */
	HB_END_LAST
};

/* frames[0] is the caller of the entry point; innermost first. Rows end after as many frames as are kept. */
struct hb_stack {
	__u16 count;
	__u8 end; /* enum hb_end */
	__u8 pad;
	__u32 gen;
	__u64 frames[HB_FRAMES_LIMIT];
};
_Static_assert(sizeof(struct hb_stack) == 8 + 8 * HB_FRAMES_LIMIT, "layout is shared with user space");
#define HB_SHORT_FRAMES 23 /* as many as make a row of 256 bytes, with what the kernel adds */
struct hb_short_stack {
	__u64 words[1 + HB_SHORT_FRAMES]; /* a struct hb_stack up to its last frame that is kept */
};

/*
 * Unwind rows, made by user space from .eh_frame. Their coordinate is the offset in the file: the kernel has it for
 * any address without knowing where a file was linked to, and it holds in every process. A file is cut into pages of
 * 64 KiB, and a row says: from this offset in its page on, this rule. Each page that a row reaches has one at 0.
 */
#define HB_PAGE_SHIFT 16
#define HB_CHUNK_ROWS 16384 /* the rows of a page lie in one chunk */
#define HB_CHUNKS_TOGETHER 8 /* that are made at once, in one of hb_chunks' maps */

struct hb_row {
	__u16 offset; /* in its page */
	__u16 rule;   /* index into hb_rules */
};
_Static_assert(sizeof(struct hb_row) == 4, "layout is shared with user space");

struct hb_chunk {
	struct hb_row rows[HB_CHUNK_ROWS];
};

/* One page's rows: chunk.rows[first] to [first + count - 1]. count 0: it has none. */
struct hb_page {
	__u16 chunk;
	__u16 first;
	__u16 count;
	__u16 version; /* differs whenever the other three are set anew */
};
_Static_assert(sizeof(struct hb_page) == 8, "layout is shared with user space");

/* How to find the caller's frame. The CFA is the caller's stack pointer at the call. */
enum hb_cfa {
	HB_CFA_NONE = 0,     /* no rows here: try the frame pointer */
	HB_CFA_SP = 1,       /* sp + cfa_offset */
	HB_CFA_FP = 2,       /* fp + cfa_offset */
	HB_CFA_DEREF_SP = 3, /* *(sp + cfa_offset) + aux */
	HB_CFA_DEREF_FP = 4, /* *(fp + cfa_offset) + aux */
	HB_CFA_PLT = 5,      /* x86_64: sp + 8 + 8 * ((pc & 15) >= aux) */
	HB_CFA_SIGNAL = 6,   /* the registers lie in the signal frame at sp */
	HB_CFA_STOP = 7,     /* the outermost frame */
	HB_CFA_UNSUPPORTED = 8,
	HB_CFA_BX = 9,       /* x86_64: rbx + cfa_offset: the dynamic linker, where it binds a symbol */
};

enum hb_saved {
	HB_SAVED_SAME = 0,   /* as in this frame; of a return address: in the link register */
	HB_SAVED_AT_CFA = 1, /* *(CFA + offset) */
	HB_SAVED_AT_FP = 2,  /* *(fp + offset), the fp of this frame */
	HB_SAVED_LOST = 3,
};

struct hb_rule {
	__u8 cfa;  /* enum hb_cfa */
	__u8 fp;   /* enum hb_saved, of the frame pointer */
	__u8 ra;   /* enum hb_saved, of the return address; x86_64: always AT_CFA */
	__u8 more; /* x86_64: rbx is HB_BX_SAME, HB_BX_LOST, or at CFA - 8 * more; of NONE in a walk: why */
	__s32 cfa_offset;
	__s32 fp_offset;
	__s32 aux; /* DEREF: addend; PLT: threshold; arm64: offset of the return address (AT_CFA) */
};
_Static_assert(sizeof(struct hb_rule) == 16, "layout is shared with user space");

#define HB_BX_SAME 0
#define HB_BX_LOST 1 /* where the return address is */

#define HB_RULES_MAX 16384 /* below 1 << 16: a seat of hb_places holds an index + 1 */
#define HB_RULE_NONE 0        /* the index of the rule { HB_CFA_NONE } */
#define HB_RULE_UNSUPPORTED 1 /* and of { HB_CFA_UNSUPPORTED } */

/* A file as the kernel knows it while it is mapped. */
struct hb_inode_key {
	__u64 inode; /* its address: file systems with subvolumes share device and number */
	__u64 ino;
	__u32 dev;
	__u32 generation;
};
_Static_assert(sizeof(struct hb_inode_key) == 24, "layout is shared with user space");

struct hb_inode {
	__u32 object; /* its number */
	__u32 asked;  /* when user space was last asked to look at it, in HB_ASKED units */
};
_Static_assert(sizeof(struct hb_inode) == 8, "layout is shared with user space");

#define HB_ASKED(time_ns) ((__u32)((time_ns) >> 30)) /* about a second */
#define HB_ASK_EVERY 10   /* such units between two questions for the same */

enum hb_object_state {
	HB_OBJECT_PENDING = 0, /* its rows are being read */
	HB_OBJECT_READY = 1,
	HB_OBJECT_FULL = 2,    /* its rows did not fit; they are tried again when asked for */
	HB_OBJECT_DROPPED = 3, /* its rows went to make room; asked for again they may come back */
	HB_OBJECT_NO_ROWS = 4, /* it has none, or could not be read */
};

/* The rows of one object: pages [page_base, page_base + pages). */
struct hb_object {
	__u32 page_base;
	__u32 pages;
	__u32 state;   /* enum hb_object_state */
	__u32 asked;   /* when rows were last asked for while FULL or DROPPED, in HB_ASKED units */
	__u64 used_ns; /* CLOCK_MONOTONIC, when rows were last looked up; written by the kernel side */
};
_Static_assert(sizeof(struct hb_object) == 24, "layout is shared with user space");

#define HB_FLUSHES 1024 /* counters of replaced code, by generation modulo this */

/* A traced process, by tgid in the initial pid namespace. */
#define HB_PROC_TRACED  1u /* its calls count */
#define HB_PROC_AT_EXEC 2u /* counts from its next exec on */
#define HB_PROC_FOLLOW  4u /* its children are traced too */
#define HB_PROC_SEEN    16u /* its page faults are looked at, and its children's; its calls only if TRACED as well */
#define HB_PROC_BEGAN   32u /* its image began while we looked, see HB_RATE_OLD */
#define HB_GEN_USER     0x80000000u /* generations given out by user space have this bit */

struct hb_proc {
	__u32 gen; /* unique per process image: fork and exec begin a new one, vfork shares its parent's */
	__u32 flags;
	__u64 exec_pages; /* executable pages mapped when the kernel side last looked */
	__u32 mappings;   /* changes whenever they did; both are 0 until it looks */
	__u32 pad;
};
_Static_assert(sizeof(struct hb_proc) == 24, "layout is shared with user space");

/* Events, in hb_ring. */
enum hb_ev_kind {
	HB_EV_FORK = 1, /* a child of a traced process is traced */
	HB_EV_EXEC = 2, /* a traced process has a new image */
	HB_EV_EXIT = 3, /* the last thread of a traced process is gone */
	HB_EV_OBJECT = 4, /* a traced process runs code of a file that is not known, or whose rows were dropped */
	HB_EV_MAP = 5,    /* a traced process changes its mappings; in hb_map_ring */
	HB_EV_SEEN = 6,   /* the first sampled page fault of a process that was not known */
	HB_EV_OOM = 7,    /* a victim of the OOM killer was marked; in hb_oom_ring, as the next */
	HB_EV_OOM_AFTER = 8,
	HB_EV_OOM_THREAD = 9,
	HB_EV_HUGE = 10,  /* a process may have huge pages, and nobody looks where they are allocated */
};

struct hb_ev_huge {
	__u32 kind; /* HB_EV_HUGE */
	__u32 tgid;
};
_Static_assert(sizeof(struct hb_ev_huge) == 8, "layout is shared with user space");

struct hb_ev_process {
	__u32 kind; /* enum hb_ev_kind */
	__u32 tgid;
	__u64 time_ns;  /* CLOCK_MONOTONIC */
	__u64 start_ns; /* the process's start, CLOCK_BOOTTIME */
	__u32 gen;      /* FORK, EXEC, SEEN: the new one; EXIT: the one that ended */
	__u32 old_gen;  /* EXEC: the one that ended, 0 if none; FORK: the parent's */
	__u32 parent;   /* FORK: the parent's tgid */
	__u32 shares;   /* FORK: it shares its parent's generation (vfork); EXEC, EXIT: it did, and that goes on */
	char comm[HB_COMM_LEN];
};
_Static_assert(sizeof(struct hb_ev_process) == 56, "layout is shared with user space");

struct hb_ev_object {
	__u32 kind; /* enum hb_ev_kind */
	__u32 tgid;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 gen;
	__u32 object;  /* the number of the file at [start, end): not known to user space, or without its rows */
	__u64 start, end, offset; /* its mapping */
	struct hb_inode_key key;
};
_Static_assert(sizeof(struct hb_ev_object) == 72, "layout is shared with user space");

/*
 * What a call does to the caller's mappings. What takes away is sent at the call's entry, before another
 * thread can be given the range; what adds at its return, when it is there: in the order of their times
 * no addition comes before the removal that made its room.
 */
enum hb_map_op {
	HB_MAP_ADD = 1,     /* [addr, addr + bytes) is mapped: mmap, shmat */
	HB_MAP_REMOVE = 2,  /* is about to be unmapped: munmap */
	HB_MAP_RESTORE = 3, /* the thread's last REMOVE, or REMAP_BEGIN, failed: what it took away is there still */
	HB_MAP_REMAP_BEGIN = 4, /* mremap: [old_addr, old_addr + old_bytes) to bytes; addr with MREMAP_FIXED */
	HB_MAP_REMAP_END = 5,   /* it is at addr now, bytes long */
	HB_MAP_BREAK = 6,   /* the program break is addr, and the heap begins at old_addr */
	HB_MAP_PROTECT = 7, /* has prot now: mprotect, pkey_mprotect */
	HB_MAP_DETACH = 8,  /* shmdt: what shmat mapped at addr is about to go */
	HB_MAP_UNCLEAR = 9, /* something changed that the arguments do not tell: the mappings are to be read anew */
};

#define HB_MAP_OWNED 1u /* made inside an allocator's call that is accounted on its own */
#define HB_MAP_SHM   2u /* ADD: by shmat */
#define HB_MAP_BY_THREAD 4u /* sites are split by thread */

struct hb_ev_map {
	__u32 kind; /* HB_EV_MAP */
	__u32 tgid;
	__u64 time_ns;  /* CLOCK_MONOTONIC */
	__u32 gen;
	__u32 tid;
	__u32 op;       /* enum hb_map_op */
	__u32 marks;    /* HB_MAP_OWNED, ... */
	__u64 addr, bytes; /* as asked for: bytes need not be whole pages */
	__u64 old_addr, old_bytes;
	__u64 stack;    /* key into hb_stacks; of what adds */
	__u32 prot;     /* PROT_* */
	__u32 flags;    /* MAP_* or MREMAP_* */
};
_Static_assert(sizeof(struct hb_ev_map) == 80, "layout is shared with user space");

/*
 * An OOM kill, as it was at the moment when the victim was marked. Pages where the name says so. What the kernel
 * does not tell is HB_OOM_UNKNOWN.
 */
#define HB_OOM_UNKNOWN    (~0ULL)
#define HB_OOM_LEVELS     16  /* cgroups, from the victim's own up */
#define HB_OOM_NAME_LEN   256 /* of a cgroup's directory; what fills it may have been cut, for there is no limit */
#define HB_OOM_KFRAMES    32

/* How the oom_control was found, best first; HB_OOM_HOW_NONE: it was not, and the domain is concluded. */
enum hb_oom_how {
	HB_OOM_HOW_NONE = 0,
	HB_OOM_HOW_KPROBE = 1,
	HB_OOM_HOW_FENTRY = 2,
	HB_OOM_HOW_STACK = 3,
	HB_OOM_HOW_LOCK = 4,  /* the highest ancestor whose OOM lock is held */
	HB_OOM_HOW_LIMIT = 5, /* the lowest ancestor that is at its limit */
};

/* Pages of a process: exact sums; and what the kernel's own log line says (6.2 to 6.18: less exact). */
enum hb_oom_counter { HB_OOM_FILE = 0, HB_OOM_ANON = 1, HB_OOM_SWAP = 2, HB_OOM_SHMEM = 3, HB_OOM_COUNTERS };

/* Of memory.stat, in bytes. */
enum hb_oom_stat {
	HB_OOM_STAT_ANON = 0,
	HB_OOM_STAT_FILE = 1, /* with the next */
	HB_OOM_STAT_SHMEM = 2,
	HB_OOM_STAT_KSTACK = 3,
	HB_OOM_STAT_SLAB = 4,
	HB_OOM_STAT_PGTABLES = 5, /* 5.10 does not count them */
	HB_OOM_STAT_SOCK = 6,
	HB_OOM_STATS
};

#define HB_OOM_NODE_WORDS 16 /* 1,024 NUMA nodes: as many as a kernel can have */

struct hb_oom_level {
	__u64 id;          /* of the cgroup: its directory's inode number */
	__u64 usage_pages, max_pages, peak_pages;    /* max: UNKNOWN if there is no limit */
	__u64 memsw_usage_pages, memsw_max_pages;    /* v1: memory and swap; v2: swap alone */
	__u64 failed_count;
	__u8 oom_group, oom_lock, under_oom, online;
	__u32 pad;
	char name[HB_OOM_NAME_LEN]; /* of its directory; the root's is "", and one that could not be read */
};

/* mark.flags */
#define HB_OOM_DYING     1u  /* it was exiting already: nobody chose it now */
#define HB_OOM_V1        2u  /* the memory controller is in a v1 hierarchy */
#define HB_OOM_SYSRQ     4u
#define HB_OOM_KTHREAD   8u  /* a kernel thread triggered it */
#define HB_OOM_TASK_READ 16u /* what follows of the victim was read: on 5.10 it has to be found by its pid first */
#define HB_OOM_LEVELS_CUT 32u /* there are more than HB_OOM_LEVELS */

struct hb_ev_oom {
	__u32 kind;     /* HB_EV_OOM */
	__u32 tgid;     /* the victim's process, in the initial pid namespace; if it was not read (flags), the thread */
	__u64 time_ns;  /* CLOCK_MONOTONIC */
	__u64 boot_ns;  /* CLOCK_BOOTTIME */
	__u64 sequence; /* from 1: a gap is a kill that was not told of */
	__u64 start_ns; /* of the victim, CLOCK_BOOTTIME */
	__u64 mm;       /* address of its memory's description: an identity only */
	__u32 tid;      /* the thread that was marked */
	__u32 gen;      /* generation, 0: not known */
	__u32 uid;
	__s32 score_adj;
	__u32 inner_pid; /* its pid in its own pid namespace */
	__u32 threads;
	__u32 flags;    /* HB_OOM_* */
	__u32 how;      /* enum hb_oom_how */
	__u64 total_vm_pages, pgtables_bytes;
	__u64 pages[HB_OOM_COUNTERS], logged_pages[HB_OOM_COUNTERS];
	char comm[HB_COMM_LEN];        /* of the process */
	char thread_comm[HB_COMM_LEN];
	/* Who ran into the limit. */
	__u32 by_tgid, by_tid;
	__s32 by_score_adj;
	__u32 by_pad;
	char by_comm[HB_COMM_LEN];
	__u64 by_cgroup; /* id of its memory cgroup */
	__u64 by_stack;  /* key into hb_stacks: where it was in user space; HB_STACK_NONE */
	__u32 kframes_count, by_gen;
	__u64 kframes[HB_OOM_KFRAMES]; /* the kernel's, innermost first */
	/* The oom_control. */
	__u64 control;   /* its address: victims of one kill of a group have the same. 0: not found */
	__u64 total_pages, chosen_points; /* size of the domain; badness */
	__u64 domain_id; /* cgroup whose limit was hit; 0: none, or not known */
	__u32 gfp;       /* valid if control is set */
	__s32 order;
	__u32 constraint; /* 0 none, 1 cpuset, 2 mempolicy, 3 memcg: enum oom_constraint, include/linux/oom.h */
	__u32 levels_count;
	__u64 nodes[HB_OOM_NODE_WORDS]; /* of cpuset and mempolicy: who may be asked, a bit each; all 0: not known */
	__u64 stat[HB_OOM_STATS]; /* of domain_id and all below it; each may be UNKNOWN */
	struct hb_oom_level levels[HB_OOM_LEVELS]; /* the victim's own cgroup first; only levels_count are sent */
};

/* What follows a kill: for a process that was named or marked. */
enum hb_oom_after {
	HB_OOM_COMMAND = 1, /* the command line, taken in the victim itself */
	HB_OOM_EXITING = 2, /* its last thread exits: up to about 6.15 behind the next, for its memory is gone then */
	HB_OOM_FREED = 3,   /* its memory is back; 5.10 does not tell */
};

/* How much is known of a command line. */
enum hb_oom_command {
	HB_OOM_COMMAND_WHOLE = 0,   /* it was in memory */
	HB_OOM_COMMAND_PART = 1,    /* its first page alone was, or nothing (0 bytes) */
	HB_OOM_COMMAND_EARLIER = 2, /* what it was when its program began, was forked off, or forked itself */
};

#define HB_OOM_COMMAND_LEN 1024
#define HB_OOM_EARLIER_LEN 432

/* A command line that was noted. */
struct hb_oom_earlier {
	__u64 start_ns; /* of the process, CLOCK_BOOTTIME */
	__u32 bytes, pad;
	char text[HB_OOM_EARLIER_LEN]; /* words, a 0 byte behind each */
};

struct hb_ev_oom_after {
	__u32 kind;   /* HB_EV_OOM_AFTER */
	__u32 tgid;
	__u64 time_ns;
	__u64 start_ns; /* CLOCK_BOOTTIME, with tgid the process; 0 of FREED */
	__u64 mm;       /* of FREED */
	__u32 what;     /* enum hb_oom_after */
	__u32 bytes;    /* of text */
	__u32 how;      /* of COMMAND: enum hb_oom_command */
	__u32 pad;
	char text[HB_OOM_COMMAND_LEN]; /* COMMAND: words, a 0 byte behind each; not sent of the others */
};

/* Where a thread of a victim was in user space as it took the signal: of the first HB_OOM_THREADS or some more. */
#define HB_OOM_THREADS 8
struct hb_ev_oom_thread {
	__u32 kind; /* HB_EV_OOM_THREAD */
	__u32 tgid;
	__u64 start_ns; /* as in struct hb_ev_oom_after */
	__u64 stack;    /* key into hb_stacks; HB_STACK_NONE */
	__u32 tid, gen;
	char comm[HB_COMM_LEN];
};

/* A process as a walk over all of them finds it (iterator over tasks), without holding its memory. */
struct hb_oom_task {
	__u32 tgid;
	__s32 score_adj;
	__u64 start_ns;  /* CLOCK_BOOTTIME */
	__u64 cgroup;    /* id of its memory cgroup */
	__u64 domain;    /* the cgroup asked for (hb_oom_domain): its own, or above it; 0: all were asked for */
	__u64 pages[HB_OOM_COUNTERS];
	__u64 pgtables_bytes;
	__u64 stuck;     /* id of the highest of its cgroups that waits for room at its limit; 0: none */
	__u32 has_mm;    /* 0: it has exited, or is the kernel's: the pages are 0 */
	__u32 gen;
	char comm[HB_COMM_LEN];
};

/*
 * Counters, in hb_counts, one value per CPU. The sentence of each is in model/loss.c. The *_LIVE
 * pairs tell how full a map is.
 */
enum hb_count {
	HB_CNT_BLOCK_FULL = 0,    /* lost: hb_live took no more; allocations */
	HB_CNT_BLOCK_FULL_BYTES = 1,
	HB_CNT_SITE_FULL = 2,     /* lost: hb_sites took no more; allocations */
	HB_CNT_SITE_FULL_BYTES = 3,
	HB_CNT_STACK_FULL = 4,    /* hb_stacks or hb_short_stacks took no more: counted, without a stack */
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
	HB_CNT_OBJECTS_FULL = 19, /* hb_inodes took no more: files not known */
	HB_CNT_MAP_RING_FULL = 20, /* no loss: changes of mappings; they are read anew */
	HB_CNT_FAULTS_FULL = 21, /* lost: hb_faults or hb_rates took no more; sampled pages */
	HB_CNT_FAULTS_IN = 22,   /* rows put into hb_faults */
	HB_CNT_OOM_DROPPED = 23, /* dropped: records of OOM kills, and of what followed them */
	HB_CNT_MOVES_FULL = 24,  /* lost: moves of pages that are not followed, for want of rows */
	HB_CNT_SHORT_STACKS_IN = 25, /* rows put into hb_short_stacks */
	HB_CNT_HUGE_SEEN = 26,   /* faults of huge pages by their own process, followed or not */
	HB_CNT_STACKS_ENDED = 27, /* walks by why they ended: HB_CNT_STACKS_ENDED + enum hb_end */
	HB_CNT_END = HB_CNT_STACKS_ENDED + HB_END_LAST
};

#endif
