// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * malloc, calloc, realloc, memalign, free, and a JVM's Unsafe: by role, whatever the allocator.
 * The cookie of a probe says which role its function plays and where its arguments are.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

static __always_inline u32 cookie_source(u64 cookie)
{
	return HB_COOKIE_GET(cookie, HB_COOKIE_SOURCE_SHIFT, 4);
}

static __always_inline u32 cookie_role(u64 cookie)
{
	return HB_COOKIE_GET(cookie, HB_COOKIE_ROLE_SHIFT, 4);
}

static __always_inline u64 asked_bytes(const u64 *args, u64 cookie)
{
	u64 bytes = args[HB_COOKIE_GET(cookie, HB_COOKIE_SIZE_SHIFT, 3)];
	u32 count_arg = HB_COOKIE_GET(cookie, HB_COOKIE_COUNT_SHIFT, 3);
	u64 times, most;

	if (!count_arg)
		return bytes;
	times = args[count_arg];
	if (!bytes)
		return 0;
	most = ~0ULL / bytes;
	asm volatile("" : "+r"(most)); /* or clang makes a 128-bit product of it, which BPF lacks */
	/* A product that overflows is refused by the allocator; it must not look like 0 to realloc. */
	return times > most ? ~0ULL : bytes * times;
}

/* @task: whose call it is, if it has any open; who calls matters only then. */
static __always_inline void here(struct hb_place *place, struct pt_regs *ctx, const struct hb_task *task, u32 gen)
{
	place->slot = compat_entry_slot(ctx);
	place->caller = task->depth ? compat_caller(ctx) : 0;
	place->ip = PT_REGS_IP(ctx);
	place->gen = gen;
	place->pad = 0;
}

/* Whether the allocator itself frees here: its thread caches, at a thread's end. */
static __always_inline bool by_allocator(struct pt_regs *ctx, u64 cookie)
{
	u64 below = HB_COOKIE_GET(cookie, HB_COOKIE_BELOW_SHIFT, 20) << HB_COOKIE_REACH_SHIFT;
	u64 above = HB_COOKIE_GET(cookie, HB_COOKIE_ABOVE_SHIFT, 20) << HB_COOKIE_REACH_SHIFT;
	u64 low = PT_REGS_IP(ctx) - below;

	return compat_caller(ctx) - low < below + above;
}

/* Count a block out. */
static void release(struct pt_regs *ctx, u64 cookie, struct hb_task *task, const struct hb_block_key *key)
{
	struct hb_block block;

	if (acct_take(key, &block)) {
		acct_sub(key, &block);
		if (task)
			task->last_free = key->addr;
		return;
	}
	if (hb_sampling)
		return; /* it was not sampled, most likely */
	/* free_sized() and the like end in free(), which finds nothing left to do. */
	if (task && task->last_free == key->addr)
		return;
	if (task)
		task->last_free = key->addr;
	if (!hb_min_size && !by_allocator(ctx, cookie))
		count(HB_CNT_FREE_UNKNOWN);
}

/*
 * Whether the block that a call is about to hand out counts; @period: it stands for others as well. A runtime's own
 * memory is always told exactly.
 */
static __always_inline bool counts(struct hb_task *task, u64 cookie, u32 gen, u64 bytes, u32 *period)
{
	if (!hb_sampling || cookie_source(cookie) != HB_SRC_MALLOC || cookie_role(cookie) == HB_ROLE_FREE)
		return true;
	*period = sampling_period(gen);
	return !*period || sampling_take(task, *period, bytes);
}

/*
 * Whether the return of a call whose block does not count need not be seen: not if the function may call another
 * probed one, which must be known to be nested, or gives up a block that does count.
 */
static __noinline bool may_return_unseen(u64 cookie, u64 ptr, u32 gen)
{
	struct hb_block_key key = { .addr = ptr, .gen = gen, .source = cookie_source(cookie) };
	u32 role = cookie_role(cookie);

	if (!HB_COOKIE_GET(cookie, HB_COOKIE_ALONE_SHIFT, 1))
		return false;
	return (role != HB_ROLE_REALLOC && role != HB_ROLE_RESIZE) || !ptr || !acct_has(&key);
}

/* The old block of a realloc, or of a runtime's free. With its own stack: the caller's is deep already. */
static __noinline void give_up(struct pt_regs *ctx, struct hb_task *task, struct hb_pending *call, u32 role)
{
	struct hb_block_key key = { .addr = call->ptr, .gen = call->gen, .source = cookie_source(call->cookie) };

	if (role == HB_ROLE_FREE)
		release(ctx, 0, task, &key); /* a runtime's: it keeps no thread caches above the probe */
	else
		call->has_old = acct_take(&key, &call->old);
}

/*
 * The old block of a realloc within a runtime's: it was taken while only malloc was followed, and is malloc's. Where
 * none is paused there is no such block.
 */
static __noinline void give_up_within(struct pt_regs *ctx, struct hb_task *task, u64 cookie, u64 ptr, u32 gen)
{
	struct hb_block_key key = { .addr = ptr, .gen = gen, .source = cookie_source(cookie) };

	release(ctx, 0, task, &key);
}

/*
 * A call begins. The old block of a realloc is taken off the live ones for the time of the call:
 * as soon as the allocator gives it back another thread can be handed its address.
 * Returns whether its return is to be trapped.
 */
static bool call_enter(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx);
	u32 gen, role = cookie_role(cookie), period = 0;
	struct hb_task *task = pending_task();
	bool wanted = true, alone;
	struct hb_pending *call;
	struct hb_place place;
	u64 args[8], bytes, ptr, more;

	gen = task ? process_traced_by(task) : process_traced();
	if (!gen)
		return false;
	if (!task)
		task = pending_task_create();
	if (!task)
		return false;
	if (hb_budget)
		sampling_entered(task, gen, cookie_source(cookie));
	compat_args(ctx, args);
	bytes = asked_bytes(args, cookie);
	ptr = args[HB_COOKIE_GET(cookie, HB_COOKIE_PTR_SHIFT, 3)];
	more = args[(HB_COOKIE_GET(cookie, HB_COOKIE_SIZE_SHIFT, 3) + 1) & 7];
	alone = !task->depth; /* else it may be nested, and no block of its own */
	if (alone) {
		wanted = counts(task, cookie, gen, bytes, &period);
		if (!wanted && may_return_unseen(cookie, ptr, gen))
			return false;
	}
	here(&place, ctx, task, gen);
	call = pending_push(task, &place, cookie);
	if (!call) {
		if (hb_budget && role == HB_ROLE_REALLOC && ptr)
			give_up_within(ctx, task, cookie, ptr, gen);
		return false;
	}
	if (!alone)
		wanted = counts(task, cookie, gen, bytes, &period);
	call->bytes = bytes;
	call->ptr = ptr;
	call->period = period;
	call->left_out = !wanted;
	if (role == HB_ROLE_RESIZE)
		call->extra = more;
	if ((role == HB_ROLE_REALLOC || role == HB_ROLE_FREE) && ptr)
		give_up(ctx, task, call, role);
	/* An exception through a trapped return would end the process: hb_malloc_ret sees these. */
	return !cookie_throws(cookie);
}

static __always_inline void allocated(struct hb_task *task, const struct hb_pending *call, u64 addr, u64 bytes,
				      const struct hb_resume *resume)
{
	struct hb_alloc alloc = {
		.addr = addr,
		.bytes = bytes,
		.gen = call->gen,
		.source = cookie_source(call->cookie),
		.tid = hb_by_thread ? (u32)bpf_get_current_pid_tgid() : 0,
		.period = call->period,
	};
	struct hb_site *site;

	if (bytes < hb_min_size)
		return;
	alloc.stack = stack_capture_fetching(task, call->gen, resume);
	site = acct_site(&alloc);
	if (!site) {
		if (stack_without_frames(task, alloc.stack))
			alloc.stack = stack_capture_fetching(task, call->gen, resume);
		alloc.stack = stack_store(task, alloc.stack);
	}
	acct_add(&alloc, site);
}

static __always_inline struct hb_block_key old_key(const struct hb_pending *call)
{
	return (struct hb_block_key){
		.addr = call->ptr,
		.gen = call->gen,
		.source = cookie_source(call->cookie),
	};
}

/* Returns the new block, 0: there is none. */
static u64 realloc_returned(struct hb_pending *call, u64 result)
{
	struct hb_block_key key = old_key(call);

	if (!result && call->bytes) { /* failed: the old block lives on */
		if (call->has_old)
			acct_reput(&key, &call->old);
		return 0;
	}
	if (call->has_old)
		acct_sub(&key, &call->old);
	else if (call->ptr && !hb_min_size && !hb_sampling)
		count(HB_CNT_FREE_UNKNOWN);
	return result;
}

/* Returns the block, 0: it is as it was, or not one of ours. Its new size goes to call->bytes. */
static u64 resize_returned(struct hb_pending *call, u64 result)
{
	struct hb_block_key key = old_key(call);
	u64 most = call->bytes + call->extra;
	struct hb_block old;

	if (result < call->bytes)
		return 0; /* refused */
	if (acct_take(&key, &old))
		acct_sub(&key, &old);
	else if (!hb_min_size && !hb_sampling)
		return 0; /* not one of ours; with a minimum it may have been too small until now, or not sampled */
	call->bytes = result < most ? result : most;
	return call->ptr;
}

/* The block that a call hands out as it returns @result; 0: none. */
static u64 handed_out(struct hb_pending *call, u64 result)
{
	u64 addr;

	switch (cookie_role(call->cookie)) {
	case HB_ROLE_ALLOC:
		return result;
	case HB_ROLE_POSIX:
		if ((u32)result)
			return 0;
		if (!stack_fetch_u64(call->ptr, &addr))
			return addr;
		count(HB_CNT_READ_FAILED);
		return 0;
	case HB_ROLE_REALLOC:
		return realloc_returned(call, result);
	case HB_ROLE_RESIZE:
		return resize_returned(call, result);
	}
	return 0;
}

/* A call returns to @resume with @result; its return address was at @slot. */
static void call_leave(u64 slot, bool by_ret, u64 result, const struct hb_resume *resume)
{
	struct hb_task *task = pending_task();
	struct hb_pending *call;
	u64 addr;
	u32 gen;

	if (!task)
		return;
	call = task->depth ? pending_pop(task, slot, by_ret) : NULL;
	if (hb_budget) {
		gen = call ? call->gen : process_traced_by(task);
		if (gen)
			sampling_returned(task, gen, by_ret, call); /* its trap is paid for in any case */
	}
	if (!call)
		return;
	addr = handed_out(call, result);
	if (addr && !call->left_out)
		allocated(task, call, addr, call->bytes, resume);
}

/* In a return probe: the kernel has put the true return address into the registers. */
static __always_inline int leave_by_return(struct pt_regs *ctx)
{
	struct hb_resume resume = {
		.pc = PT_REGS_IP(ctx),
		.sp = PT_REGS_SP(ctx),
		.fp = PT_REGS_FP(ctx),
		.bx = compat_bx(ctx),
	};

	call_leave(compat_return_slot(ctx), false, PT_REGS_RC(ctx), &resume);
	return 0;
}

SEC("uprobe")
int hb_malloc_enter(struct pt_regs *ctx)
{
	compat_own_stack(ctx);
	call_enter(ctx);
	return 0;
}

SEC("uretprobe")
int hb_malloc_exit(struct pt_regs *ctx)
{
	compat_own_stack(ctx);
	return leave_by_return(ctx);
}

/*
 * Both in one, for uprobe.session: it runs at entry and, if it returned 0 there, at return. At
 * entry, and only there, the instruction pointer is the probed address.
 */
SEC("uprobe")
int hb_malloc_sess(struct pt_regs *ctx)
{
	compat_own_stack(ctx);
	if (PT_REGS_IP(ctx) != bpf_get_func_ip(ctx))
		return leave_by_return(ctx);
	return call_enter(ctx) ? 0 : 1;
}

/* On each ret instruction of a function that must have no return probe, for it may throw. */
SEC("uprobe")
int hb_malloc_ret(struct pt_regs *ctx)
{
	struct hb_resume resume = {
		.pc = compat_caller(ctx),
		.sp = compat_returned_sp(ctx),
		.fp = PT_REGS_FP(ctx),
		.bx = compat_bx(ctx),
		.slot = compat_entry_slot(ctx), /* somebody's return probe may be waiting there */
	};

	compat_own_stack(ctx);
	call_leave(compat_entry_slot(ctx), true, PT_REGS_RC(ctx), &resume);
	return 0;
}

SEC("uprobe")
int hb_free_enter(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx);
	struct hb_block_key key;
	struct hb_place place;
	struct hb_task *task;
	u64 args[8];
	u32 gen;

	compat_own_stack(ctx);
	compat_args(ctx, args);
	key.addr = args[HB_COOKIE_GET(cookie, HB_COOKIE_PTR_SHIFT, 3)];
	if (!key.addr && !hb_budget)
		return 0;
	task = pending_task();
	gen = task ? process_traced_by(task) : process_traced();
	if (!gen)
		return 0;
	if (hb_budget)
		sampling_freed(task, gen);
	if (!key.addr)
		return 0;
	key.gen = gen;
	key.source = cookie_source(cookie);
	if (hb_sampling && !acct_has(&key))
		return 0; /* of no account, whoever frees it */
	/* With a budget a live block may be freed within a runtime's free: taken while only malloc was followed. */
	if (!hb_budget && task && task->depth) {
		here(&place, ctx, task, gen);
		if (pending_nested(task, &place))
			return 0;
	}
	release(ctx, cookie, task, &key);
	return 0;
}
