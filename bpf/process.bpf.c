// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the traced processes: traced or not, and which generation. */
#include "core.bpf.h"
#include "compat.bpf.h"

/* By tgid. 24 bytes and overhead, taken as they come; full: count HB_CNT_PROC_FULL, do not trace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 14); /* --max-processes */
	__type(key, __u32);
	__type(value, struct hb_proc);
} hb_procs SEC(".maps");

/* This process shares its memory, and so its generation, with the one that made it (vfork). */
#define HB_PROC_SHARES 8u

__u32 hb_last_gen = 0;
__u32 hb_last_mappings = 0;

/*
 * Raised by user space after it has said who is traced. What changes by itself needs no mention: a forked child's
 * threads have looked at nothing yet, and an exec makes its thread look again.
 */
__u32 hb_epoch = 1;

__hidden u32 process_traced(void)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct hb_proc *proc = bpf_map_lookup_elem(&hb_procs, &tgid);

	return proc && (proc->flags & HB_PROC_TRACED) ? proc->gen : 0;
}

__hidden u32 process_traced_by(struct hb_task *task)
{
	u32 epoch = *(volatile u32 *)&hb_epoch;

	if (task->epoch == epoch)
		return task->gen;
	task->gen = process_traced();
	task->epoch = epoch; /* as it was before we looked */
	return task->gen;
}

#define KNOWN (HB_PROC_TRACED | HB_PROC_SEEN)

__hidden u32 process_known(u32 tgid)
{
	struct hb_proc *proc = bpf_map_lookup_elem(&hb_procs, &tgid);

	return proc && (proc->flags & KNOWN) ? proc->gen : 0;
}

__hidden u32 process_seen(void)
{
	return process_known(bpf_get_current_pid_tgid() >> 32);
}

__hidden bool process_began(void)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct hb_proc *proc = bpf_map_lookup_elem(&hb_procs, &tgid);

	return proc && (proc->flags & HB_PROC_BEGAN);
}

#ifndef HB_POINTERS_ONLY
/*
 * The kernel keeps the number of executable pages of each address space. A library that goes and
 * another that comes in its place pass through another number, and dlopen() allocates in between: we
 * look then. What replaces its like in one step is heard of by user space, which flushes.
 */
__hidden u32 process_mappings(void)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct hb_proc *proc = bpf_map_lookup_elem(&hb_procs, &tgid);
	u64 pages;

	if (!proc)
		return 0;
	pages = compat_exec_pages();
	if (proc->exec_pages != pages) {
		/* In this order: whoever sees the new pages sees the new number. */
		proc->mappings = __sync_fetch_and_add(&hb_last_mappings, 1) + 1;
		asm volatile("" ::: "memory");
		proc->exec_pages = pages;
	}
	return proc->mappings;
}

static u32 next_gen(void)
{
	u32 gen = (__sync_fetch_and_add(&hb_last_gen, 1) + 1) & ~HB_GEN_USER;

	return gen ? gen : 1; /* 0 means not traced */
}
#else
/* The object for old kernels: those before 5.12 know no atomic that tells what was there. A row per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} hb_gens SEC(".maps");

#define GEN_CPUS 1024 /* by which the numbers of a CPU are apart; each has two million, then begins anew */

static u32 next_gen(void)
{
	u32 zero = 0, *last = bpf_map_lookup_elem(&hb_gens, &zero);
	u32 cpu = bpf_get_smp_processor_id() & (GEN_CPUS - 1);

	if (!last)
		return 1;
	*last += GEN_CPUS;
	if (*last & HB_GEN_USER)
		*last = GEN_CPUS;
	return *last | cpu;
}
#endif

__hidden u32 process_see(u32 tgid, struct hb_ev_process *event)
{
	struct hb_proc fresh = { 0 };

	fresh.gen = next_gen();
	fresh.flags = HB_PROC_SEEN;
	if (bpf_map_update_elem(&hb_procs, &tgid, &fresh, BPF_NOEXIST)) {
		u32 seen = process_seen(); /* another thread was first */

		if (!seen)
			count(HB_CNT_PROC_FULL);
		return seen;
	}
	event->gen = fresh.gen;
	emit_process(event);
	return fresh.gen;
}

/*
 * A child begins. With memory of its own it is a process of its own, if its parent is followed;
 * sharing its parent's memory (vfork) it counts as its parent, until it execs.
 */
__hidden void process_fork(u32 parent, u32 child, bool shares_memory, struct hb_ev_process *event)
{
	struct hb_proc *from = bpf_map_lookup_elem(&hb_procs, &parent);
	struct hb_proc fresh = { 0 };

	if (!from || !(from->flags & KNOWN))
		return;
	if (!shares_memory && !(from->flags & (HB_PROC_FOLLOW | HB_PROC_SEEN)))
		return;
	event->old_gen = from->gen;
	fresh.flags = (from->flags & (KNOWN | HB_PROC_FOLLOW)) | (shares_memory ? HB_PROC_SHARES : 0);
	if (!shares_memory && !(from->flags & HB_PROC_FOLLOW))
		fresh.flags = HB_PROC_SEEN; /* and no more than that, whatever its parent is */
	if (shares_memory || faults_first(from->gen))
		fresh.flags |= from->flags & HB_PROC_BEGAN; /* what it inherits are first pages */
	fresh.gen = shares_memory ? from->gen : next_gen();
	if (bpf_map_update_elem(&hb_procs, &child, &fresh, BPF_ANY)) {
		count(HB_CNT_PROC_FULL);
		return;
	}
	event->gen = fresh.gen;
	event->shares = shares_memory;
	emit_process(event);
}

/* A new image begins at zero; the old one's blocks are gone with its memory. */
__hidden void process_exec(u32 tgid, struct hb_ev_process *event)
{
	struct hb_proc *old = bpf_map_lookup_elem(&hb_procs, &tgid);
	struct hb_proc fresh = { 0 };

	if (!old)
		return;
	event->old_gen = old->flags & KNOWN ? old->gen : 0;
	event->shares = !!(old->flags & HB_PROC_SHARES);
	if (event->shares && !(old->flags & (HB_PROC_FOLLOW | HB_PROC_SEEN))) {
		event->kind = HB_EV_EXIT; /* it goes its own way, untraced */
		event->gen = old->gen;
		if (!bpf_map_delete_elem(&hb_procs, &tgid))
			emit_process(event);
		return;
	}
	fresh.flags = old->flags & (HB_PROC_SEEN | HB_PROC_FOLLOW);
	if (!(old->flags & HB_PROC_SEEN) || (old->flags & (HB_PROC_TRACED | HB_PROC_SHARES)) == HB_PROC_TRACED)
		fresh.flags |= HB_PROC_TRACED;
	fresh.flags |= HB_PROC_BEGAN;
	fresh.gen = next_gen();
	if (bpf_map_update_elem(&hb_procs, &tgid, &fresh, BPF_ANY)) {
		count(HB_CNT_PROC_FULL);
		bpf_map_delete_elem(&hb_procs, &tgid);
		return;
	}
	event->gen = fresh.gen;
	emit_process(event);
}

/* The last thread is gone. */
__hidden void process_exit(u32 tgid, struct hb_ev_process *event)
{
	struct hb_proc *old = bpf_map_lookup_elem(&hb_procs, &tgid);

	if (!old)
		return;
	event->gen = old->gen;
	event->shares = !!(old->flags & HB_PROC_SHARES);
	if (bpf_map_delete_elem(&hb_procs, &tgid))
		return; /* two threads ended at once: the other one says it */
	emit_process(event);
}
