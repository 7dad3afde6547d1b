/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Differences between kernels and architectures: one function each. */
#ifndef HB_COMPAT_BPF_H
#define HB_COMPAT_BPF_H

#include "core.bpf.h"

/*
 * Return addresses. x86 pushes them: at a function's entry, and at its ret instruction, the stack
 * pointer points at the address; a return probe runs after it was popped. On arm64 the link
 * register holds it, and the stack pointer is the same on both sides.
 */
static __always_inline u64 compat_entry_slot(struct pt_regs *ctx)
{
	return PT_REGS_SP(ctx);
}

static __always_inline u64 compat_return_slot(struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return PT_REGS_SP(ctx) - 8;
#else
	return PT_REGS_SP(ctx);
#endif
}

/* The stack pointer that the caller finds, once the ret instruction at which @ctx stands has run. */
static __always_inline u64 compat_returned_sp(struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return PT_REGS_SP(ctx) + 8;
#else
	return PT_REGS_SP(ctx);
#endif
}

/*
 * What the kernel knows a function's return probe by: x86, where its return address lies (@slot); arm64, the
 * stack pointer it began with, which is its caller's (@sp). 0: nothing returns to the frame.
 */
static __always_inline u64 compat_probed_by(u64 slot, u64 sp, bool returned_to)
{
#if defined(__TARGET_ARCH_x86)
	return slot;
#else
	return returned_to ? sp : 0;
#endif
}

static __always_inline u64 compat_caller(struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	u64 caller = 0;

	stack_read_u64(PT_REGS_SP(ctx), &caller);
	return caller;
#else
	return PT_REGS_RET(ctx);
#endif
}

/* The register that the dynamic linker finds its frame by; 0 where it needs none. */
static __always_inline u64 compat_bx(struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return ctx->bx;
#else
	return 0;
#endif
}

/*
 * The C arguments at a function's entry: args[1] to args[6]; args[0] and args[7] are 0, for "none".
 * All are read, since a computed choice of the register would be a computed context offset, which
 * the verifier refuses.
 */
static __always_inline void compat_args(struct pt_regs *ctx, u64 args[8])
{
	args[0] = 0;
	args[1] = PT_REGS_PARM1(ctx);
	args[2] = PT_REGS_PARM2(ctx);
	args[3] = PT_REGS_PARM3(ctx);
	args[4] = PT_REGS_PARM4(ctx);
	args[5] = PT_REGS_PARM5(ctx);
#if defined(__TARGET_ARCH_x86)
	args[6] = ctx->r9;
#else
	args[6] = ((struct user_pt_regs *)ctx)->regs[5];
#endif
	args[7] = 0;
}

#if !defined(HB_NATIVE)
/*
 * To be called in every uprobe program. From "bpf: Enable private stack for eligible subprogs" (6.13)
 * on, frames of a program may lie on a stack of their CPU, for it is taken that no two threads run it
 * there at once. Uprobe programs have no such guard: they are preempted, or sleep, and another thread's
 * run overwrites their frames. A tail call anywhere keeps a program on its thread's stack; this one
 * is never made, and the verifier drops it.
 */
static __always_inline void compat_own_stack(void *ctx)
{
	if (hb_never)
		bpf_tail_call(ctx, NULL, 0);
}

/*
 * What follows is read at every call of an allocator: by loads, where the kernel lets a program follow the current
 * thread's pointers (5.11), since each helper that reads costs twenty times as much.
 */

/* The return trampoline that the kernel puts in place of return addresses; 0: this process has none. */
static __always_inline u64 compat_trampoline(void)
{
	struct xol_area *area;
	struct mm_struct *mm;

	if (hb_no_storage) {
		area = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), mm, uprobes_state.xol_area);
		return area ? BPF_CORE_READ(area, vaddr) : 0;
	}
	mm = bpf_get_current_task_btf()->mm;
	area = mm ? mm->uprobes_state.xol_area : NULL;
	return area ? area->vaddr : 0;
}

/* Executable pages that are mapped in the current process. */
static __always_inline u64 compat_exec_pages(void)
{
	struct mm_struct *mm;

	if (hb_no_storage)
		return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), mm, exec_vm);
	mm = bpf_get_current_task_btf()->mm;
	return mm ? mm->exec_vm : 0;
}

#define MMF_VM_HUGEPAGE (1UL << 17) /* include/linux/mm_types.h, linux/sched/coredump.h before 6.15 */

/*
 * Whether the current process may have been given huge pages: khugepaged is to look at it, which the kernel notes at
 * the latest in the first fault that is served by one. Needs 5.11 (hb_no_storage).
 */
static __always_inline bool compat_may_have_huge(void)
{
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;

	if (!mm)
		return false;
	if (bpf_core_field_exists(((struct mm_struct___bitmap *)mm)->flags))
		return ((struct mm_struct___bitmap *)mm)->flags.__mm_flags[0] & MMF_VM_HUGEPAGE;
	return ((struct mm_struct___word *)mm)->flags & MMF_VM_HUGEPAGE;
}

/* The memory of the current process: a struct mm_struct. */
static __always_inline u64 compat_own_memory(void)
{
	if (hb_no_storage)
		return (u64)BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), mm);
	return (u64)bpf_get_current_task_btf()->mm;
}

/* The heap of the current process: from @start to the break, which is returned. */
static __always_inline u64 compat_break(u64 *start)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	*start = BPF_CORE_READ(task, mm, start_brk);
	return BPF_CORE_READ(task, mm, brk);
}

#define THREAD_BYTES (16U << 10) /* of a thread's kernel stack: THREAD_SIZE, x86_64 */

/* Where the current thread's kernel stack begins: what it entered the kernel with lies right below. */
static __always_inline void *compat_stack_top(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return (void *)((u64)BPF_CORE_READ(task, stack) + THREAD_BYTES);
}

/* A copy of the registers that the current thread entered the kernel with. */
static __always_inline void compat_user_registers(struct pt_regs *registers)
{
	void *from;

	if (hb_no_storage) /* nor bpf_task_pt_regs(), which came with 5.15 */
		from = compat_stack_top() - sizeof(*registers);
	else
		from = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	if (bpf_probe_read_kernel(registers, sizeof(*registers), from))
		__builtin_memset(registers, 0, sizeof(*registers));
}

#define MADV_COLLAPSE 25 /* include/uapi/asm-generic/mman-common.h */
#define USER32_CS 0x23 /* __USER32_CS, arch/x86/include/asm/segment.h */
#define TS_COMPAT 2    /* arch/x86/include/asm/thread_info.h */

/* Whether the registers are those of 32-bit code. */
static __always_inline bool compat_narrow(const struct pt_regs *registers)
{
#if defined(__TARGET_ARCH_x86)
	return registers->cs == USER32_CS;
#else
	return false;
#endif
}

/* Whether the current thread is in a system call by the 32-bit table, whatever code made it. */
static __always_inline bool compat_narrow_call(void)
{
#if defined(__TARGET_ARCH_x86)
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
#else
	return false;
#endif
}

/*
 * Whether the thread is in madvise(MADV_COLLAPSE) or process_madvise(MADV_COLLAPSE): numbers of
 * arch/x86/entry/syscalls/syscall_{32,64}.tbl. Only x86 has the rung that asks.
 */
static __always_inline bool compat_collapses(void)
{
#if defined(__TARGET_ARCH_x86)
	const bool narrow = compat_narrow_call();
	struct pt_regs *registers = hb_no_storage ? compat_stack_top() - sizeof(*registers) :
						    (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	const u64 number = BPF_CORE_READ(registers, orig_ax);

	if (number == (narrow ? 219 : 28))
		return (u32)BPF_CORE_READ(registers, dx) == MADV_COLLAPSE;
	if (number == 440)
		return (u32)(narrow ? BPF_CORE_READ(registers, si) : BPF_CORE_READ(registers, r10)) == MADV_COLLAPSE;
#endif
	return false;
}

/* The vdso of the current process. */
static __always_inline u64 compat_vdso(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return (u64)BPF_CORE_READ(task, mm, context.vdso);
}

/* The arguments of the system call that the thread entered the kernel with: args[0] to args[5]. */
static __always_inline void compat_syscall_args(const struct pt_regs *registers, u64 args[6])
{
#if defined(__TARGET_ARCH_x86)
	if (compat_narrow_call()) {
		args[0] = (u32)registers->bx;
		args[1] = (u32)registers->cx;
		args[2] = (u32)registers->dx;
		args[3] = (u32)registers->si;
		args[4] = (u32)registers->di;
		args[5] = (u32)registers->bp;
		return;
	}
	args[0] = registers->di;
	args[1] = registers->si;
	args[2] = registers->dx;
	args[3] = registers->r10;
	args[4] = registers->r8;
	args[5] = registers->r9;
#else
	args[0] = registers->orig_x0;
	args[1] = registers->user_regs.regs[1];
	args[2] = registers->user_regs.regs[2];
	args[3] = registers->user_regs.regs[3];
	args[4] = registers->user_regs.regs[4];
	args[5] = registers->user_regs.regs[5];
#endif
}

/* Where the thread goes on in user space. */
static __always_inline void compat_resume(const struct pt_regs *registers, struct hb_resume *resume)
{
	__builtin_memset(resume, 0, sizeof(*resume));
	resume->pc = PT_REGS_IP(registers);
	resume->sp = PT_REGS_SP(registers);
	resume->fp = PT_REGS_FP(registers);
#if defined(__TARGET_ARCH_x86)
	resume->bx = registers->bx;
#else
	resume->lr = PT_REGS_RET(registers);
#endif
	resume->exact = 1;
	resume->narrow = compat_narrow(registers);
}

/* Whether page faults fail at once in the current thread: somebody reads memory that may not be there. */
static __always_inline bool compat_faults_fail(void)
{
	/* Reading it by the usual way counts itself. */
	if (hb_no_storage)
		return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), pagefault_disabled) > 1;
	return bpf_get_current_task_btf()->pagefault_disabled != 0;
}

/* Whether the current thread runs on the memory of @vma. */
static __always_inline bool compat_own_vma(struct vm_area_struct *vma)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(vma, vm_mm) == BPF_CORE_READ(task, mm);
}

#define RETURN_INSTANCES_MAX 64 /* MAX_URETPROBE_DEPTH, include/linux/uprobes.h */

/*
 * The return address that a return probe of anybody's has put the trampoline in place of; @by is
 * compat_probed_by(). 0: not known.
 */
static __always_inline u64 compat_probed_return(u64 by)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct return_instance *instance = BPF_CORE_READ(task, utask, return_instances);

	for (int i = 0; i < RETURN_INSTANCES_MAX && instance; i++) {
		if (BPF_CORE_READ(instance, stack) == by)
			return BPF_CORE_READ(instance, orig_ret_vaddr);
		instance = BPF_CORE_READ(instance, next);
	}
	return 0;
}

#define PID_LEVELS_MAX 7 /* of the tree of pids, 6 bits each */

/* The thread with @pid in the initial pid namespace, by that namespace's tree of pids; NULL: there is none. */
static __always_inline struct task_struct *compat_task_of(u32 pid)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u64 entry = (u64)BPF_CORE_READ(task, thread_pid, numbers[0].ns, idr.idr_rt.xa_head);
	struct hlist_node *link;

	for (int i = 0; i < PID_LEVELS_MAX && (entry & 3) == 2; i++) { /* xa_is_node(), include/linux/xarray.h */
		struct xa_node *node = (struct xa_node *)(entry - 2);
		u64 slot = (u64)pid >> (BPF_CORE_READ(node, shift) & 63) & 63;

		if (bpf_probe_read_kernel(&entry, sizeof(entry), (void *)((u64)&node->slots + slot * 8)))
			return NULL;
	}
	if ((s64)entry >= 0)
		return NULL;
	link = BPF_CORE_READ((struct pid *)entry, tasks[0].first);
	task = (struct task_struct *)((u64)link - bpf_core_field_offset(struct task_struct, pid_links));
	return link && (u32)BPF_CORE_READ(task, pid) == pid ? task : NULL;
}

/* Whom mark_victim tells of. Since "mm: update mark_victim tracepoints fields" (6.8, and 6.1) it is given the task. */
static __always_inline struct task_struct *compat_marked(u64 argument)
{
	if (bpf_core_field_exists(((struct trace_event_raw_mark_victim *)0)->uid))
		return (struct task_struct *)argument;
	return compat_task_of(argument);
}

/* The number of that thread where it is all that is told; 0: the task is. */
static __always_inline u32 compat_marked_number(u64 argument)
{
	return bpf_core_field_exists(((struct trace_event_raw_mark_victim *)0)->uid) ? 0 : (u32)argument;
}

/* The signals that the thread blocks, a bit each. */
static __always_inline u64 compat_blocked(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, blocked.sig[0]);
}

/* Whether @sp lies on the thread's alternate signal stack. */
static __always_inline bool compat_on_altstack(u64 sp)
{
	struct task_struct *task;
	u64 start, bytes;

	if (hb_no_storage) {
		task = (struct task_struct *)bpf_get_current_task();
		start = BPF_CORE_READ(task, sas_ss_sp);
		bytes = BPF_CORE_READ(task, sas_ss_size);
	} else {
		task = bpf_get_current_task_btf();
		start = task->sas_ss_sp;
		bytes = task->sas_ss_size;
	}
	return sp > start && sp - start <= bytes;
}
#else
static __always_inline void compat_own_stack(void *ctx)
{
	(void)ctx;
}
#endif

#endif
