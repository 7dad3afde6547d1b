/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that heldby reads, and of each only the fields it reads. CO-RE relocates
 * every access to the running kernel, so order and padding here mean nothing. README.md says how
 * to add one.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <linux/bpf.h> /* UAPI: map types, flags, the fixed-width types */

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
enum { false = 0, true = 1 };

/* The registers at a probe: the context of a program, a fixed layout that is not relocated. */
#if defined(__TARGET_ARCH_x86)
/* arch/x86/include/asm/ptrace.h */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
/* arch/arm64/include/uapi/asm/ptrace.h */
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};
struct pt_regs {
	struct user_pt_regs user_regs;
	__u64 orig_x0; /* a system call's first argument, which its result overwrites */
};
#else
#error "heldby knows x86_64 and arm64"
#endif

/* include/linux/trace_events.h: what programs on tracepoints are given */
struct trace_entry {
	unsigned short type;
	unsigned char flags, preempt_count;
	int pid;
};

/* kernel/trace/trace.h */
struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id;
	long ret;
	char __data[];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* mm/uprobes: include/linux/uprobes.h, kernel/events/uprobes.c */
struct xol_area {
	unsigned long vaddr; /* the page with the return trampoline */
};

struct return_instance {
	unsigned long stack;          /* where the return address was */
	unsigned long orig_ret_vaddr; /* and what it was */
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
};

struct uprobes_state {
	struct xol_area *xol_area;
};

/* arch/x86/include/asm/mmu.h, arch/arm64/include/asm/mmu.h */
typedef struct {
	void *vdso;
} mm_context_t;

/* include/linux/rwsem.h; kernels that are preempted everywhere (PREEMPT_RT) have another */
typedef struct {
	s64 counter;
} atomic_long_t;

struct rw_semaphore {
	atomic_long_t count;
};

/* include/linux/maple_tree.h: from 6.1 on */
struct maple_tree {
	void *ma_root;
};

struct maple_range_64 {
	unsigned long pivot[15];
	void *slot[16];
};

struct maple_arange_64 {
	unsigned long pivot[9];
	void *slot[10];
};

/* include/linux/mm_types.h */
struct mm_struct {
	struct maple_tree mm_mt;
	struct rw_semaphore mmap_lock;
	unsigned long exec_vm; /* pages mapped executable and not writable */
	unsigned long start_brk, brk;
	unsigned long arg_start, arg_end;
	unsigned long total_vm; /* pages */
	atomic_long_t pgtables_bytes;
	mm_context_t context;
	struct uprobes_state uprobes_state;
};

/* include/linux/fs.h */
struct super_block {
	u32 s_dev; /* dev_t */
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	u32 i_generation;
};

struct file {
	struct inode *f_inode;
};

/* include/linux/mm_types.h */
struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
};

/* include/linux/mm.h: a page fault being served */
typedef struct {
	unsigned long pmd;
} pmd_t;

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long address;
	pmd_t *pmd;
	pmd_t orig_pmd; /* 5.14 */
};

/* include/linux/types.h */
typedef struct {
	int counter;
} atomic_t;

/* include/linux/sched/signal.h */
struct signal_struct {
	atomic_t live; /* threads that have not begun to exit */
	int nr_threads;
	short oom_score_adj;
	struct mm_struct *oom_mm;
};

/* include/linux/types.h */
struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

/* include/linux/xarray.h, include/linux/idr.h */
struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct xarray {
	void *xa_head;
};

struct idr {
	struct xarray idr_rt;
};

/* include/linux/pid_namespace.h, include/linux/pid.h */
struct pid_namespace {
	struct idr idr;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};

/* include/linux/uidgid.h, include/linux/cred.h */
typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
};

/* include/linux/kernfs.h */
struct kernfs_node {
	const char *name;
	u64 id;
};

/* include/linux/cgroup-defs.h */
enum cgroup_subsys_id {
	memory_cgrp_id = 0, /* whatever it is in the running kernel */
};

struct cgroup_root;
struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	unsigned int flags;
	struct cgroup_subsys_state *parent;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

/* include/linux/page_counter.h */
struct page_counter {
	atomic_long_t usage;
	unsigned long failcnt;
	unsigned long watermark;
	unsigned long max;
	bool track_failcnt;
};

/* include/linux/memcontrol.h */
enum memcg_memory_event {
	MEMCG_MAX = 0, /* likewise */
};

enum node_stat_item {
	NR_SLAB_RECLAIMABLE_B = 0, /* likewise, all of them */
	NR_SLAB_UNRECLAIMABLE_B,
	NR_ANON_MAPPED,
	NR_FILE_PAGES,
	NR_SHMEM,
	NR_KERNEL_STACK_KB,
	NR_PAGETABLE,
};

enum memcg_stat_item {
	MEMCG_SOCK = 0,
	MEMCG_NR_STAT,
};

/* mm/memcontrol.c */
struct memcg_vmstats {
	long state[1];
	atomic_long_t stats_updates; /* atomic_t in some */
};

struct mem_cgroup {
	struct memcg_vmstats *vmstats;
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct page_counter memsw; /* v2: the same place is called swap, and counts that */
	atomic_long_t memory_events[1];
	bool oom_group;
	bool oom_lock;
	int under_oom;
};

/* As it was from 5.13 to 6.0, and before. */
struct mem_cgroup___within {
	struct memcg_vmstats vmstats;
};

struct mem_cgroup___flat {
	atomic_long_t vmstats[1];
};

/* include/linux/nodemask.h, since 6.9 nodemask_types.h */
typedef struct {
	unsigned long bits[1];
} nodemask_t;

/* include/linux/oom.h */
enum oom_constraint {
	CONSTRAINT_NONE,
};

struct oom_control {
	void *zonelist;
	nodemask_t *nodemask;
	struct mem_cgroup *memcg;
	unsigned int gfp_mask;
	int order;
	unsigned long totalpages;
	struct task_struct *chosen;
	long chosen_points;
	enum oom_constraint constraint;
};

/* include/trace/events/oom.h */
struct trace_event_raw_mark_victim {
	u32 uid;
};

/* include/linux/percpu_counter.h */
struct percpu_counter {
	s64 count;
	s32 *counters;
};

/* include/linux/mm_types_task.h, until 6.2 */
struct mm_rss_stat {
	atomic_long_t count[4];
};

struct task_rss_stat {
	int count[4];
};

/* mm_struct's counters of pages, before and since 6.2; and what a thread had not yet added to them */
struct mm_struct___shared {
	struct mm_rss_stat rss_stat;
};

struct mm_struct___percpu {
	struct percpu_counter rss_stat[4];
};

struct task_struct___cached {
	struct task_rss_stat rss_stat;
};

/* mm_struct's flags, before and since 6.18 */
struct mm_struct___word {
	unsigned long flags;
};

typedef struct {
	unsigned long __mm_flags[1];
} mm_flags_t;

struct mm_struct___bitmap {
	mm_flags_t flags;
};

/* include/linux/bpf.h: a map of values per CPU */
struct bpf_array {
	void *pptrs[1];
};

/* include/linux/bpf.h, kernel/bpf/task_iter.c: what a program of an iterator is given */
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};

/* include/linux/signal_types.h, include/uapi/asm-generic/signal.h */
typedef struct {
	unsigned long sig[1];
} sigset_t;

struct sigaction {
	void *sa_handler;
	unsigned long sa_flags;
};

struct k_sigaction {
	struct sigaction sa;
};

/* include/linux/sched.h */
struct thread_info {
	u32 status; /* TS_*, x86 */
};

struct task_struct {
	struct thread_info thread_info;
	void *stack;
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct uprobe_task *utask;
	struct task_struct *group_leader;
	unsigned int flags; /* PF_* */
	struct pid *thread_pid;
	struct hlist_node pid_links[4];
	struct cred *cred;
	struct css_set *cgroups;
	int pagefault_disabled;
	sigset_t blocked;
	nodemask_t mems_allowed;
	unsigned long sas_ss_sp; /* sigaltstack */
	unsigned long sas_ss_size;
	u64 start_boottime;
	char comm[16];
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task; /* NULL: that was all */
};

#pragma clang attribute pop

#endif
