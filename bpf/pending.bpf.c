// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns what is between entry and return. Calls are known by where their return address lies: a
 * return belongs to the open call with the same slot, whatever else was entered in between. The
 * outermost call owns the bytes; what an allocator calls itself is nested and not counted. Only
 * a signal handler opens a call of its own above one that is still open.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

/* 3.6 KB for each thread that allocates in a traced process. None to be had: count HB_CNT_TASK_STORAGE. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hb_task);
} hb_pending SEC(".maps");

/* In its place where threads have no storage: for a program that ends before another begins on that CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hb_task);
} hb_rooms SEC(".maps");

/* After a signal, an allocator's own calls are looked for this close below its entry point. */
#define NESTED_BYTES_MAX (64ULL << 10)
/* The least that a signal frame takes: red zone, FPU state, ucontext (arch/x86/kernel/signal.c). */
#define SIGNAL_FRAME_BYTES_MIN 1000ULL

__hidden struct hb_task *pending_task(void)
{
	if (hb_no_storage)
		return NULL;
	return bpf_task_storage_get(&hb_pending, bpf_get_current_task_btf(), 0, 0);
}

__hidden struct hb_task *pending_task_create(void)
{
	struct hb_task *task = NULL;
	u32 zero = 0;

	if (hb_no_storage)
		return bpf_map_lookup_elem(&hb_rooms, &zero);
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

	count(HB_CNT_ABANDONED);
	if (!call->has_old)
		return;
	call->has_old = 0;
	acct_reput(&key, &call->old);
}

static __always_inline bool in_trampoline(u64 address)
{
	u64 trampoline = compat_trampoline();

	return trampoline && address - trampoline < 4096;
}

/* While a handler runs its signal is blocked; SA_NODEFER is remembered as all signals. */
static __always_inline bool handler_runs(const struct hb_pending *open)
{
	return open->barrier && (open->signals == ~0ULL || (open->signals & compat_blocked()));
}

/* Whether the call that was entered at @slot has still to return: its return address is the kernel's. */
static __always_inline bool return_is_trapped(u64 slot)
{
#if defined(__TARGET_ARCH_x86)
	u64 address = 0;

	return stack_read_u64(slot, &address) || in_trampoline(address);
#else
	return true; /* it was in a register, and may be anywhere by now */
#endif
}

enum relation {
	OPEN_ABANDONED, /* the open call will never return */
	OPEN_CALLS_US,  /* the open call makes this one */
	OPEN_BENEATH,   /* somebody else makes this one while the call is open: a handler, a hook */
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
	if (handler_runs(open) && place->slot + SIGNAL_FRAME_BYTES_MIN < open->barrier)
		return OPEN_BENEATH;
	/* After a signal the open call may have been left by longjmp: it is believed only when near. */
	if (open->barrier && open->slot - place->slot > NESTED_BYTES_MAX)
		return OPEN_ABANDONED;
	if (place->caller >= open->text_lo && place->caller < open->text_hi)
		return OPEN_CALLS_US;
	if (in_trampoline(place->caller))
		return OPEN_CALLS_US; /* the tail call of a nested call */
	/* What an allocator lets others do is theirs: a new handler, the memory of an exception, a hook. */
	if (cookie_throws(open->cookie))
		return OPEN_BENEATH;
	return open->barrier || !return_is_trapped(open->slot) ? OPEN_ABANDONED : OPEN_BENEATH;
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

/* Out of room: of the operator news that are still open the oldest has most likely thrown. */
static bool drop_thrown(struct hb_task *task)
{
	bool dropped = false;

	for (u32 i = 0; i < HB_PENDING_MAX; i++) {
		if (dropped) {
			*slot_at(task, i - 1) = *slot_at(task, i);
		} else if (cookie_throws(slot_at(task, i)->cookie)) {
			abandon(slot_at(task, i));
			dropped = true;
		}
	}
	if (dropped)
		task->depth--;
	return dropped;
}

/*
 * Whether trapping this return would cost an open call its own. The kernel takes every trapped
 * return below the stack pointer for left behind (arch_uretprobe_is_alive(), arch/x86/kernel/
 * uprobes.c); seen from a signal stack that lies above the thread's, that is a live one, which would
 * then return into the trampoline and end the process.
 */
static __always_inline bool returns_to_nowhere(struct hb_task *task, const struct hb_place *place)
{
	const struct hb_pending *open;

	if (!task->depth)
		return false;
	open = slot_at(task, task->depth - 1);
	return !open->on_altstack && place->slot > open->slot;
}

__hidden struct hb_pending *pending_push(struct hb_task *task, const struct hb_place *place, u64 cookie)
{
	struct hb_pending *call;
	u64 below, above;

	if (pending_nested(task, place)) {
		call = slot_at(task, task->depth - 1);
		/* Two return probes will fire at this slot, one for each function, unless ours is not set. */
		if (call->slot == place->slot && !hb_session && !cookie_throws(cookie))
			call->chained++;
		return NULL;
	}
	if (returns_to_nowhere(task, place)) {
		count(HB_CNT_ALTSTACK);
		return NULL;
	}
	if (task->depth >= HB_PENDING_MAX && !drop_thrown(task)) {
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
	call->signals = 0;
	call->extra = 0;
	call->has_old = 0;
	call->chained = 0;
	call->left_out = 0;
	call->period = 0;
	call->on_altstack = compat_on_altstack(place->slot);
	task->depth++;
	return call;
}

__hidden struct hb_pending *pending_pop(struct hb_task *task, u64 slot, bool by_ret)
{
	for (int i = HB_PENDING_MAX - 1; i >= 0; i--) {
		struct hb_pending *open = slot_at(task, i);

		if ((u32)i >= task->depth || open->slot != slot)
			continue;
		/* Functions share code: a ret that is probed for one may be another's, which its return probe sees. */
		if (cookie_throws(open->cookie) != by_ret)
			return NULL;
		/*
		 * What was opened above it and has not returned never will. Bounds that do not depend on i
		 * are unrolled: clang lays the other loop out so that it is entered by falling into its
		 * middle, which older kernels (6.1) refuse ("back-edge").
		 */
		for (int j = HB_PENDING_MAX - 1; j > 0; j--) {
			if (j > i && (u32)j < task->depth)
				abandon(slot_at(task, j));
		}
		task->depth = i + 1;
		if (open->chained) {
			open->chained--;
			return NULL;
		}
		task->depth = i;
		return open;
	}
	return NULL;
}

__hidden void pending_end(struct hb_task *task)
{
	for (u32 i = 0; i < HB_PENDING_MAX; i++) {
		if (i < task->depth)
			abandon(slot_at(task, i));
	}
	task->depth = 0;
	task->last_free = 0;
	task->epoch = 0;
}

__hidden void pending_signal(struct hb_task *task, u32 signal, u64 sp, bool deferred)
{
	bool alt = compat_on_altstack(sp);

	for (int i = 0; i < HB_PENDING_MAX && task->depth; i++) {
		struct hb_pending *open = slot_at(task, task->depth - 1);

		if (alt && !open->on_altstack)
			return; /* a handler there is interrupted: the call beneath has its barrier */
		if (alt == open->on_altstack && sp <= open->slot + 8) {
			/* The highest: an inner handler's frame must not hide the outer one's calls. */
			if (sp > open->barrier)
				open->barrier = sp;
			open->signals |= deferred ? 1ULL << ((signal - 1) & 63) : ~0ULL;
			return;
		}
		abandon(open); /* its frame has been left */
		task->depth--;
	}
}

__hidden bool pending_open(const struct hb_task *task, u64 sp, u32 gen)
{
	for (u32 i = 0; i < HB_PENDING_MAX; i++) {
		const struct hb_pending *open = &task->pending[i];

		if (i < task->depth && open->gen == gen && open->slot >= sp && open->slot - sp < STACK_FRAME_BYTES_MAX)
			return true;
	}
	return false;
}
