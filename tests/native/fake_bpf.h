/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel and libbpf give to bpf/, for ordinary C: types, macros, helpers over fake maps,
 * fake tasks and fake user memory. bpf/core.bpf.h includes this in place of vmlinux.h and
 * libbpf's headers. The second half, fake_*, is for tests: limits, faults, hooks, and a look
 * inside. Everything here is single-threaded; "another thread" is another current task.
 */
#ifndef HB_FAKE_BPF_H
#define HB_FAKE_BPF_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

/* --- types: the fields that bpf/ reads, and behind them what the fakes need ------------------ */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

struct xol_area {
	unsigned long vaddr;
};

struct uprobes_state {
	struct xol_area *xol_area;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	u32 i_generation;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
};

struct mm_struct;

struct vm_area_struct {
	unsigned long vm_start, vm_end, vm_pgoff, vm_flags;
	struct mm_struct *vm_mm;
	struct file *vm_file;

	struct vm_area_struct *next;
};

struct mm_context {
	void *vdso;
};

struct fake_page;

struct mm_struct {
	struct uprobes_state uprobes_state;
	struct mm_context context;
	unsigned long exec_vm;
	struct xol_area area;
	struct fake_page *pages;
	struct vm_area_struct *vmas;
};

struct return_instance {
	unsigned long stack;
	unsigned long orig_ret_vaddr;
};

#define FAKE_RETURNS_MAX 64 /* MAX_URETPROBE_DEPTH, include/linux/uprobes.h */

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct fake_storage;

struct fake_sigset {
	unsigned long sig[1];
};

struct fake_sigaction {
	void *sa_handler;
	unsigned long sa_flags;
};

struct k_sigaction {
	struct fake_sigaction sa;
};

struct task_struct {
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct task_struct *group_leader;
	struct fake_sigset blocked;
	unsigned long sas_ss_sp;
	unsigned long sas_ss_size;
	u64 start_boottime;
	char comm[16];

	struct signal_struct own_signal; /* of a group leader */
	struct pt_regs user_regs;
	struct return_instance returns[FAKE_RETURNS_MAX]; /* oldest first */
	unsigned int return_count;
	struct fake_storage *storage;
};

/* --- macros ---------------------------------------------------------------------------------- */
#define SEC(name)
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define __hidden __attribute__((visibility("hidden")))
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

#define __uint(name, val) int(*name)[val]
#define __type(name, val) __typeof__(val) *name

#define PT_REGS_PARM1(ctx)   ((ctx)->di)
#define PT_REGS_PARM2(ctx)   ((ctx)->si)
#define PT_REGS_PARM3(ctx)   ((ctx)->dx)
#define PT_REGS_PARM4(ctx)   ((ctx)->cx)
#define PT_REGS_PARM5(ctx)   ((ctx)->r8)
#define PT_REGS_FP(ctx)	     ((ctx)->bp)
#define PT_REGS_RC(ctx)	     ((ctx)->ax)
#define PT_REGS_SP(ctx)	     ((ctx)->sp)
#define PT_REGS_IP(ctx)	     ((ctx)->ip)
#define PT_REGS_SP_CORE(ctx) ((ctx)->sp)
#define PT_REGS_IP_CORE(ctx) ((ctx)->ip)

#define BPF_PROG(name, args...) name(args)

#define FAKE_READ1(p, a)	  ((p)->a)
#define FAKE_READ2(p, a, b)	  ((p)->a->b)
#define FAKE_READ3(p, a, b, c)	  ((p)->a->b->c)
#define FAKE_READ4(p, a, b, c, d) ((p)->a->b->c->d)
#define FAKE_PICK(_1, _2, _3, _4, name, ...) name
#define BPF_CORE_READ(p, ...)                                                                  \
	FAKE_PICK(__VA_ARGS__, FAKE_READ4, FAKE_READ3, FAKE_READ2, FAKE_READ1, )(p, __VA_ARGS__)
#define BPF_CORE_READ_STR_INTO(dst, p, ...)                                                    \
	fake_read_str(dst, sizeof(*(dst)), BPF_CORE_READ(p, __VA_ARGS__))

/* --- helpers --------------------------------------------------------------------------------- */
/* A map definition in bpf/ is known by its address; its shape is in its members' types. */
struct fake_spec {
	const void *map;
	const char *name; /* as in bpf/, with an & in front */
	u32 type;
	u32 max_entries;
	u32 key_bytes;
	u32 value_bytes;
};

#define FAKE_SPEC(m, key_bytes_, value_bytes_)                                                 \
	(&(const struct fake_spec){ .map = (m), .name = #m,                                    \
				    .type = sizeof(*(m)->type) / sizeof(int),                  \
				    .max_entries = sizeof(*(m)->max_entries) / sizeof(int),    \
				    .key_bytes = (key_bytes_), .value_bytes = (value_bytes_) })
#define FAKE_HASH(m) FAKE_SPEC(m, sizeof(*(m)->key), sizeof(*(m)->value))
#define FAKE_KEY(m, k) _Static_assert(sizeof(*(k)) == sizeof(*(m)->key), "the key's type")
#define FAKE_VALUE(m, v) _Static_assert(sizeof(*(v)) == sizeof(*(m)->value), "the value's type")

#define bpf_map_lookup_elem(m, k)                                                              \
	({                                                                                     \
		FAKE_KEY(m, k);                                                                \
		fake_lookup(FAKE_HASH(m), k);                                                  \
	})
#define bpf_map_update_elem(m, k, v, flags)                                                    \
	({                                                                                     \
		FAKE_KEY(m, k);                                                                \
		FAKE_VALUE(m, v);                                                              \
		fake_update(FAKE_HASH(m), k, v, flags);                                        \
	})
#define bpf_map_delete_elem(m, k)                                                              \
	({                                                                                     \
		FAKE_KEY(m, k);                                                                \
		fake_delete(FAKE_HASH(m), k);                                                  \
	})
/* Storage is per task; no max_entries. */
#define bpf_task_storage_get(m, task, init, flags)                                             \
	fake_storage(#m, task, sizeof(*(m)->value), flags)
/* Nobody reads lazily here. */
#define BPF_RB_NO_WAKEUP    1ULL
#define BPF_RB_FORCE_WAKEUP 2ULL
#define bpf_ringbuf_query(m, what) 0ULL
#define BPF_RB_AVAIL_DATA 0
#define BPF_RB_RING_SIZE  1
#define bpf_ringbuf_output(m, data, bytes, flags)                                              \
	fake_output(FAKE_SPEC(m, 0, 0), data, bytes, flags)

void *fake_lookup(const struct fake_spec *spec, const void *key);
long fake_update(const struct fake_spec *spec, const void *key, const void *value, u64 flags);
long fake_delete(const struct fake_spec *spec, const void *key);
void *fake_storage(const char *name, struct task_struct *task, size_t bytes, u64 flags);
long fake_output(const struct fake_spec *spec, const void *data, u64 bytes, u64 flags);
void fake_read_str(void *dst, size_t bytes, const char *src);

u64 bpf_get_current_pid_tgid(void);
struct task_struct *bpf_get_current_task_btf(void);
u64 bpf_get_current_task(void);
u64 bpf_ktime_get_ns(void);
u32 bpf_get_prandom_u32(void);
u64 bpf_get_attach_cookie(void *ctx);
u64 bpf_get_func_ip(void *ctx);
long bpf_task_pt_regs(struct task_struct *task);
long bpf_probe_read_user(void *dst, u32 bytes, const void *src);
long bpf_copy_from_user(void *dst, u32 bytes, const void *src);
/* The callback's type is of the caller's choice, as with the kernel's. */
long bpf_loop(u32 times, void *callback, void *ctx, u64 flags);
long bpf_find_vma(struct task_struct *task, u64 address, void *callback, void *ctx, u64 flags);

/* What compat.bpf.h leaves to us. */
u64 compat_trampoline(void);
bool compat_on_altstack(u64 sp);
u64 compat_blocked(void);
u64 compat_exec_pages(void);
u64 compat_own_memory(void);
u64 compat_probed_return(u64 slot);

/* --- for tests: maps ------------------------------------------------------------------------- */
enum fake_op {
	FAKE_LOOKUP,
	FAKE_UPDATE,
	FAKE_DELETE,
	FAKE_STORAGE, /* creation in task storage */
	FAKE_OUTPUT,  /* into the ring */
};

/* Everything as after load: no rows, no tasks, no faults, knobs 0. */
void fake_reset(void);
void fake_knobs(u64 min_size, u32 by_thread, u32 session, u32 can_fault);
/* hb_unwind, and hb_frames_max with the size of hb_stacks' rows that goes with it. */
void fake_unwinding(u32 unwind, u32 frames_max);
/* hb_short_frames */
void fake_short_stacks(u32 frames);
/* Every plan has @period (0: exact); with @budget hits are counted. */
void fake_sampling(u32 period, u32 budget);
/* Map @name takes at most @rows rows; 0: as many as it is declared with. */
void fake_limit(const char *name, u32 rows);
/* Of the operations @op on map @name that come, let @skip pass, then fail @times with @err. */
void fake_fail(const char *name, enum fake_op op, unsigned int skip, unsigned int times, long err);
/* Just before the next @op on map @name, once, run @run: another CPU. */
void fake_hook(const char *name, enum fake_op op, void (*run)(void *arg), void *arg);
/* What user space does through the syscall: no fault, no hook, no limit. */
void *fake_find(const char *name, const void *key);
void fake_put(const char *name, const void *key, size_t key_bytes, const void *value, size_t bytes);
void fake_drop(const char *name, const void *key);
u32 fake_rows(const char *name);
/* Calls @visit for each row; it may change the value, not the rows. */
void fake_each(const char *name, void (*visit)(const void *key, void *value, void *arg), void *arg);
/* The events sent so far, oldest first; NULL: there are not so many. */
const void *fake_event(u32 index);
u32 fake_events(void);

/* --- for tests: tasks and user memory -------------------------------------------------------- */
/* With @leader a thread of its process; else a process of its own, with memory of its own. */
struct task_struct *fake_task(int pid, struct task_struct *leader);
struct mm_struct *fake_mm(u64 trampoline); /* trampoline 0: this process has none */
/* The task is gone, and its storage with it. */
void fake_task_gone(struct task_struct *task);
void fake_current(struct task_struct *task);
void fake_probe(u64 cookie, u64 func_ip);
/* The monotonic clock shows this now, and a little more at each look. */
void fake_clock(u64 ns);

/* Pages come into being by writing; elsewhere reading faults. */
void fake_write(struct mm_struct *mm, u64 address, const void *bytes, size_t count);
void fake_write_u64(struct mm_struct *mm, u64 address, u64 value);
u64 fake_read_u64(struct mm_struct *mm, u64 address); /* 0 where nothing is */
/* The page is swapped out: only bpf_copy_from_user() can read it, and brings it in. */
void fake_swap_out(struct mm_struct *mm, u64 address);
void fake_unmap(struct mm_struct *mm, u64 address);
u32 fake_pages_faulted_in(void);

/* --- for tests: mappings --------------------------------------------------------------------- */
#define FAKE_WRITE 0x2UL /* VM_WRITE, VM_EXEC: include/linux/mm.h */
#define FAKE_EXEC  0x4UL

/* A file, and its inode at an address of its own. Lives until fake_reset(). */
struct file *fake_file(u64 ino, u32 dev, u32 generation);
/* Map [start, end); @file NULL: no file. Counts in the memory's executable pages as the kernel counts. */
void fake_map(struct mm_struct *mm, u64 start, u64 end, u64 offset, u64 flags, struct file *file);
void fake_map_vdso(struct mm_struct *mm, u64 start, u64 end);
/* Take the mapping at @start away; the bytes in it stay. */
void fake_map_gone(struct mm_struct *mm, u64 start);
/* Of the calls of bpf_find_vma() that come, let @skip pass, then fail @times with -EBUSY. */
void fake_find_vma_busy(unsigned int skip, unsigned int times);
/* Of the readings of the list without its lock that come, fail @times with -EBUSY. */
void fake_tree_busy(unsigned int times);
/* How many there were. */
u32 fake_tree_walks(void);
/* How often bpf_find_vma() was called. */
u32 fake_find_vma_calls(void);

#endif
