// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns the search for a victim that is under way: the kernel's oom_control, a local variable of the function that
 * called out_of_memory(). It is that function's argument; or it lies up the stack, and is known by its victim.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

#define SEARCHED_WORDS 512 /* 4 KiB; it lies some 300 bytes up */

struct hb_oom_call {
	u64 task;    /* who searches; 0: nobody */
	u64 control;
	u64 total_pages, points; /* HOW_STACK: as they were when it was found, for the next victims of a group */
	u64 place, top; /* of the program's context, and of the stack that it lies on */
	u64 victim, leader; /* who is looked for there */
	u32 how;     /* enum hb_oom_how */
	u32 pad;
	u64 words[SEARCHED_WORDS]; /* of the stack */
};

/* 4 KB, one row: the kernel's oom_lock lets one search at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hb_oom_call);
} hb_oom_calls SEC(".maps");

static __always_inline struct hb_oom_call *the_call(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&hb_oom_calls, &zero);
}

__hidden void oom_control_begin(u64 control, u32 how)
{
	struct hb_oom_call *call = the_call();

	if (!call)
		return;
	call->control = control;
	call->how = how;
	call->task = bpf_get_current_task();
}

__hidden void oom_control_end(void)
{
	struct hb_oom_call *call = the_call();

	if (call && call->task == bpf_get_current_task())
		call->task = 0;
}

__hidden bool oom_control_known(void)
{
	struct hb_oom_call *call = the_call();

	return call && call->task == bpf_get_current_task() && call->how != HB_OOM_HOW_STACK;
}

#if defined(__TARGET_ARCH_x86) /* how large a thread's stack is elsewhere, no type tells */

#define ORDER_MAX 12
#define GFP_END   (1u << 30)

static __always_inline bool is_above(struct task_struct *task, u64 memcg)
{
	u64 at = oom_domain_of(task);

	for (int i = 0; i < HB_CGROUPS_DEEP && at; i++) {
		if (at == memcg)
			return true;
		at = oom_domain_parent(at);
	}
	return false;
}

/* Whether an oom_control lies at @place, all of it, for a search that @task may be the victim of. */
static __always_inline bool fits(u64 place, u64 task)
{
	struct oom_control *control = (struct oom_control *)place;
	u64 memcg = (u64)BPF_CORE_READ(control, memcg), zones = (u64)BPF_CORE_READ(control, zonelist);
	u32 constraint = BPF_CORE_READ(control, constraint);
	s32 order = BPF_CORE_READ(control, order);

	if (constraint > HB_OOM_MEMCG || order < -1 || order > ORDER_MAX)
		return false;
	if (BPF_CORE_READ(control, gfp_mask) >= GFP_END)
		return false;
	if ((constraint == HB_OOM_MEMCG) != (memcg != 0))
		return false;
	if (memcg)
		return !zones && is_above((struct task_struct *)task, memcg);
	return !zones || (s64)zones < 0;
}

/* The oom_control whose victim word @i of the stack is, 0: it is not. Verified once, and not for each word. */
__noinline u64 oom_control_at(u32 i)
{
	struct hb_oom_call *call = the_call();
	u64 word, place;

	if (!call)
		return 0;
	word = call->words[i & (SEARCHED_WORDS - 1)];
	if (word != call->victim && word != call->leader)
		return 0;
	place = call->place + i * sizeof(u64) - bpf_core_field_offset(struct oom_control, chosen);
	/* Words from above the top are of an earlier search. */
	if (place < call->place || place >= call->top)
		return 0;
	return fits(place, call->victim) ? place : 0;
}

/* Whether what was found for the last victim is there still: of a group only the first was chosen. */
static __always_inline bool goes_on(const struct hb_oom_call *call)
{
	struct oom_control *control = (struct oom_control *)call->control;

	return call->control > call->place && call->control < call->top && fits(call->control, call->victim) &&
	       BPF_CORE_READ(control, totalpages) == call->total_pages &&
	       (u64)BPF_CORE_READ(control, chosen_points) == call->points;
}

/* The stack from @ctx on. Returns whether it could be read. */
static __always_inline bool read_stack(struct hb_oom_call *call, void *ctx)
{
	u64 bytes;

	*(volatile u64 *)&call->place = (u64)ctx; /* as a number: the verifier would not let us count with it */
	call->top = (u64)compat_stack_top();
	bytes = call->top - *(volatile u64 *)&call->place;
	if (bytes >= THREAD_BYTES)
		return false; /* not on the thread's own */
	if (bytes > sizeof(call->words))
		bytes = sizeof(call->words);
	return !bpf_probe_read_kernel(call->words, bytes, (void *)call->place);
}

__hidden void oom_control_search(void *ctx, struct task_struct *task)
{
	struct hb_oom_call *call = the_call();
	u64 found = 0;

	if (!call || !task || oom_control_known() || !read_stack(call, ctx))
		return;
	call->victim = (u64)task;
	call->leader = (u64)BPF_CORE_READ(task, group_leader);
	for (u32 i = 0; i < SEARCHED_WORDS && !found; i++)
		found = oom_control_at(i);
	if (found) {
		call->control = found;
		call->total_pages = BPF_CORE_READ((struct oom_control *)found, totalpages);
		call->points = BPF_CORE_READ((struct oom_control *)found, chosen_points);
		call->how = HB_OOM_HOW_STACK;
		call->task = bpf_get_current_task();
	} else if (call->task != bpf_get_current_task() || !goes_on(call)) {
		call->task = 0;
	}
}

#else
__hidden void oom_control_search(void *ctx, struct task_struct *task)
{
}
#endif

/* The NUMA nodes that had to have the memory: as the kernel's constrained_alloc() has them. */
static __always_inline void tell_nodes(struct hb_ev_oom *event, struct oom_control *control)
{
	u64 bytes = bpf_core_type_size(nodemask_t), from = 0;

	if (event->constraint == HB_OOM_CPUSET && bpf_core_field_exists(((struct task_struct *)0)->mems_allowed))
		from = bpf_get_current_task() + bpf_core_field_offset(struct task_struct, mems_allowed);
	else if (event->constraint == HB_OOM_MEMPOLICY)
		from = (u64)BPF_CORE_READ(control, nodemask);
	if (bytes > sizeof(event->nodes))
		bytes = sizeof(event->nodes);
	if (from)
		bpf_probe_read_kernel(event->nodes, bytes, (void *)from);
}

__hidden void oom_control_tell(struct hb_ev_oom *event)
{
	struct hb_oom_call *call = the_call();
	struct oom_control *control;
	u64 memcg;

	if (!call || call->task != bpf_get_current_task())
		return;
	control = (struct oom_control *)call->control;
	event->control = call->control;
	event->how = call->how;
	event->gfp = BPF_CORE_READ(control, gfp_mask);
	event->order = BPF_CORE_READ(control, order);
	if (event->order == -1)
		event->flags |= HB_OOM_SYSRQ;
	memcg = (u64)BPF_CORE_READ(control, memcg);
	event->domain_id = oom_domain_id(memcg);
	/* Where nobody was searched for, these two were never set. */
	event->constraint = memcg ? HB_OOM_MEMCG : BPF_CORE_READ(control, constraint);
	event->total_pages = BPF_CORE_READ(control, totalpages);
	if (!event->total_pages)
		event->total_pages = HB_OOM_UNKNOWN;
	tell_nodes(event, control);
	if (BPF_CORE_READ(control, chosen))
		event->chosen_points = BPF_CORE_READ(control, chosen_points);
}
