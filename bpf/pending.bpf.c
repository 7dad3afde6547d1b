// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns what is between entry and return. Calls are known by where their return address lies: a
 * return belongs to the open call with the same slot, whatever else was entered in between. The
 * outermost call owns the bytes; what an allocator calls itself is nested and not counted. Only
 * a signal handler opens a call of its own above one that is still open.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

/* 1.7 KB for each thread that allocates in a traced process. None to be had: count HB_CNT_TASK_STORAGE. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hb_task);
} hb_pending SEC(".maps");

/* An allocator's own calls lie this close below its entry point; a call further down is none. */
#define NESTED_BYTES_MAX (64ULL << 10)
/* The least that a signal frame takes: red zone, FPU state, ucontext (arch/x86/kernel/signal.c). */
#define SIGNAL_FRAME_BYTES_MIN 1000ULL

__hidden struct hb_task *pending_task(void)
{
	return bpf_task_storage_get(&hb_pending, bpf_get_current_task_btf(), 0, 0);
}

__hidden struct hb_task *pending_task_create(void)
{
	struct hb_task *task = NULL;

	/* The lock of the storage may be busy for a moment on this CPU. */
	for (int i = 0; i < 3 && !task; i++)
		task = bpf_task_storage_get(&hb_pending, bpf_get_current_task_btf(), 0,
					    BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!task)
		count(HB_CNT_TASK_STORAGE);
	return task;
}

static __always_inline struct hb_pending *slot_at(struct hb_task *task, u32 index)
{
	return &task->pending[index & (HB_PENDING_MAX - 1)];
}

/* Give back what an abandoned call had taken: nobody can tell whether its block was freed. */
static void abandon(struct hb_pending *call)
{
	struct hb_block_key key = {
		.addr = call->ptr,
		.gen = call->gen,
		.source = HB_COOKIE_GET(call->cookie, HB_COOKIE_SOURCE_SHIFT, 4),
	};
	struct hb_block old;

	count(HB_CNT_ABANDONED);
	if (!call->has_old)
		return;
	old = call->old;
	call->has_old = 0;
	acct_reput(&key, &old);
}

static __always_inline bool in_trampoline(u64 address)
{
	u64 trampoline = compat_trampoline();

	return trampoline && address - trampoline < 4096;
}

static __always_inline bool throws(u64 cookie)
{
	return HB_COOKIE_GET(cookie, HB_COOKIE_THROWS_SHIFT, 1);
}

enum relation {
	OPEN_ABANDONED, /* the open call will never return */
	OPEN_CALLS_US,  /* the open call makes this one */
	OPEN_BENEATH,   /* a signal handler makes this one while the call is open */
};

static enum relation relation_to(const struct hb_pending *open, const struct hb_place *place)
{
	bool alt = compat_on_altstack(place->slot);

	if (open->gen != place->gen)
		return OPEN_ABANDONED; /* from before an exec */
	if (alt && !open->on_altstack)
		return OPEN_BENEATH;
	if (!alt && open->on_altstack)
		return OPEN_ABANDONED;
	if (place->slot > open->slot)
		return OPEN_ABANDONED; /* its frame has been left */
	if (place->slot == open->slot)
		/* A tail call keeps the trampoline in the slot; a new call has overwritten it. */
		return in_trampoline(place->caller) ? OPEN_CALLS_US : OPEN_ABANDONED;
	if (open->barrier && place->slot + SIGNAL_FRAME_BYTES_MIN < open->barrier)
		return OPEN_BENEATH;
	if (open->slot - place->slot > NESTED_BYTES_MAX)
		return OPEN_ABANDONED;
	if (place->caller >= open->text_lo && place->caller < open->text_hi)
		return OPEN_CALLS_US;
	/* What operator new lets others do: the program's new handler, the exception's memory. */
	if (throws(open->cookie))
		return OPEN_BENEATH;
	/* A handler may have left by longjmp: then the caller is not the allocator. */
	return open->barrier ? OPEN_ABANDONED : OPEN_CALLS_US;
}

__hidden bool pending_nested(struct hb_task *task, const struct hb_place *place)
{
	for (int i = 0; i < HB_PENDING_MAX; i++) {
		struct hb_pending *open;
		enum relation relation;

		if (!task->depth)
			return false;
		open = slot_at(task, task->depth - 1);
		relation = relation_to(open, place);
		if (relation != OPEN_ABANDONED)
			return relation == OPEN_CALLS_US;
		abandon(open);
		task->depth--;
	}
	return false;
}

__hidden struct hb_pending *pending_push(struct hb_task *task, const struct hb_place *place, u64 cookie)
{
	struct hb_pending *call;
	u64 below, above;

	if (pending_nested(task, place)) {
		call = slot_at(task, task->depth - 1);
		/* Two return probes will fire at this slot, one for each function, unless ours is not set. */
		if (call->slot == place->slot && !hb_session && !throws(cookie))
			call->chained++;
		return NULL;
	}
	if (task->depth >= HB_PENDING_MAX) {
		count(HB_CNT_PENDING_DEEP);
		return NULL;
	}
	call = slot_at(task, task->depth);
	below = HB_COOKIE_GET(cookie, HB_COOKIE_BELOW_SHIFT, 20) << 12;
	above = HB_COOKIE_GET(cookie, HB_COOKIE_ABOVE_SHIFT, 20) << 12;
	call->slot = place->slot;
	call->cookie = cookie;
	call->text_lo = place->ip - below;
	call->text_hi = place->ip + above;
	call->gen = place->gen;
	call->barrier = 0;
	call->extra = 0;
	call->has_old = 0;
	call->chained = 0;
	call->on_altstack = compat_on_altstack(place->slot);
	task->depth++;
	return call;
}

__hidden int pending_pop(struct hb_task *task, u64 slot, bool by_ret, struct hb_pending *call)
{
	for (int i = HB_PENDING_MAX - 1; i >= 0; i--) {
		struct hb_pending *open = slot_at(task, i);

		if ((u32)i >= task->depth || open->slot != slot)
			continue;
		/* Functions share code: a ret that is probed for one may be another's, which its return probe sees. */
		if (throws(open->cookie) != by_ret)
			return 0;
		/* What was opened above it and has not returned never will. */
		for (int j = HB_PENDING_MAX - 1; j > i; j--) {
			if ((u32)j < task->depth)
				abandon(slot_at(task, j));
		}
		task->depth = i + 1;
		if (open->chained) {
			open->chained--;
			return 0;
		}
		*call = *open;
		task->depth = i;
		return 1;
	}
	return 0;
}

__hidden void pending_end(struct hb_task *task)
{
	for (u32 i = 0; i < HB_PENDING_MAX; i++) {
		if (i < task->depth)
			abandon(slot_at(task, i));
	}
	task->depth = 0;
}

__hidden void pending_signal(struct hb_task *task, u64 sp)
{
	struct hb_pending *open;

	if (!task->depth || task->depth > HB_PENDING_MAX)
		return;
	open = slot_at(task, task->depth - 1);
	/* The highest: an inner handler's frame must not hide the outer one's calls. */
	if (sp > open->barrier)
		open->barrier = sp;
}
