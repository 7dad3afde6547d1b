// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fork, exec, exit: generations begin and end. Signals: a handler's calls are its own. */
#include "core.bpf.h"

static __always_inline void describe(struct hb_ev_process *event, u32 kind, struct task_struct *task)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->tgid = BPF_CORE_READ(task, tgid);
	event->time_ns = bpf_ktime_get_ns();
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	BPF_CORE_READ_STR_INTO(&event->comm, task, comm);
}

/* In the parent; the child has not run yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(hb_task_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid);
	struct hb_ev_process event;

	if (from == to)
		return 0; /* a thread */
	describe(&event, HB_EV_FORK, child);
	event.parent = from;
	process_fork(from, to, BPF_CORE_READ(parent, mm) == BPF_CORE_READ(child, mm), &event);
	return 0;
}

/*
 * What is open in the thread will not return, and what it cost is told. Before the event: afterwards user space puts
 * the image away.
 */
static __always_inline void end_calls(void)
{
	struct hb_task *storage = pending_task();

	if (!storage)
		return;
	if (hb_budget)
		sampling_ended(storage);
	pending_end(storage);
}

/* In the new image, before its first instruction. */
static __always_inline int image_begins(struct task_struct *task)
{
	struct hb_ev_process event;

	describe(&event, HB_EV_EXEC, task);
	process_exec(event.tgid, &event);
	return 0;
}

static __always_inline int image_ends(struct task_struct *task)
{
	struct hb_ev_process event;

	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0; /* other threads go on */
	describe(&event, HB_EV_EXIT, task);
	process_exit(event.tgid, &event);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(hb_task_exec, struct task_struct *task)
{
	end_calls();
	return image_begins(task);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(hb_task_exit, struct task_struct *task)
{
	end_calls();
	return image_ends(task);
}

/* The same for kernels where no call can be under way, for no function is probed (before 5.15). */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(hb_image_exec, struct task_struct *task)
{
	return image_begins(task);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(hb_image_exit, struct task_struct *task)
{
	return image_ends(task);
}

#define SIG_IGN_HANDLER 1UL           /* include/uapi/asm-generic/signal-defs.h; 0 is SIG_DFL */
#define SA_NODEFER_FLAG 0x40000000UL

/* In the thread that is about to run a handler; its registers are still the interrupted ones. */
SEC("tp_btf/signal_deliver")
int BPF_PROG(hb_task_signal, int signal, void *info, struct k_sigaction *action)
{
	struct hb_task *storage = pending_task();
	struct pt_regs *regs;
	unsigned long flags;

	if (!storage || (unsigned long)BPF_CORE_READ(action, sa.sa_handler) <= SIG_IGN_HANDLER)
		return 0;
	flags = BPF_CORE_READ(action, sa.sa_flags);
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	pending_signal(storage, signal, PT_REGS_SP_CORE(regs), !(flags & SA_NODEFER_FLAG));
	return 0;
}
