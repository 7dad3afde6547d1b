// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * OOM kills. The tracepoint mark_victim sees every one; what else is attached says why, and what came of it.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

#define SIGKILL_NUMBER 9
#define SEND_SIG_PRIV  1 /* include/linux/sched/signal.h: from the kernel itself, in place of a description */

/* out_of_memory(oom_control): the argument, while the function runs. */
SEC("kprobe/out_of_memory")
int hb_oom_enter(struct pt_regs *ctx)
{
	oom_control_begin(PT_REGS_PARM1(ctx), HB_OOM_HOW_KPROBE);
	return 0;
}

SEC("kretprobe/out_of_memory")
int hb_oom_exit(struct pt_regs *ctx)
{
	oom_control_end();
	return 0;
}

SEC("fentry/out_of_memory")
int BPF_PROG(hb_oom_enter_f, struct oom_control *control)
{
	oom_control_begin((u64)control, HB_OOM_HOW_FENTRY);
	return 0;
}

SEC("fexit/out_of_memory")
int BPF_PROG(hb_oom_exit_f)
{
	oom_control_end();
	return 0;
}

/* Attached before the next, and so run before it. */
SEC("raw_tp/mark_victim")
int hb_oom_scan(u64 *ctx)
{
	oom_control_search(ctx, compat_marked(ctx[0]));
	return 0;
}

SEC("raw_tp/mark_victim")
int hb_oom_mark(u64 *ctx)
{
	oom_mark(ctx, compat_marked(ctx[0]), compat_marked_number(ctx[0]));
	return 0;
}

/* (signal, description, task, group, result): in the sender. */
SEC("raw_tp/signal_generate")
int hb_oom_sig(u64 *ctx)
{
	if ((u32)ctx[0] == SIGKILL_NUMBER && ctx[1] == SEND_SIG_PRIV)
		oom_name((struct task_struct *)ctx[2]);
	return 0;
}

/* (signal, description, action): in the thread that takes it. */
SEC("raw_tp/signal_deliver")
int hb_oom_deliver(u64 *ctx)
{
	if ((u32)ctx[0] == SIGKILL_NUMBER)
		oom_take_signal();
	return 0;
}

/* (parent, child): in the parent. */
SEC("raw_tp/sched_process_fork")
int hb_oom_forking(u64 *ctx)
{
	oom_command_fork((struct task_struct *)ctx[0], (struct task_struct *)ctx[1]);
	return 0;
}

/* (task, pid before, bprm): before its first instruction. */
SEC("raw_tp/sched_process_exec")
int hb_oom_begins(u64 *ctx)
{
	oom_command_begin((struct task_struct *)ctx[0]);
	return 0;
}

/* (task) */
SEC("raw_tp/sched_process_exit")
int hb_oom_exiting(u64 *ctx)
{
	oom_exit((struct task_struct *)ctx[0]);
	return 0;
}

/* (mm): its pages are free. */
SEC("raw_tp/exit_mmap")
int hb_oom_freed(u64 *ctx)
{
	oom_free(ctx[0]);
	return 0;
}

/* A process, for the reader of the iterator. */
SEC("iter/task")
int hb_oom_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct hb_oom_task row;

	if (task && oom_task_tell(&row, task))
		bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}
