// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns the plans: which calls of a process count, and what its probes have cost it. The arithmetic of samples is
 * in sample.h, for user space walks over blocks as well.
 */
#include "core.bpf.h"

/* 64 KiB, mapped into user space, which sets periods and reads hits without a system call. Cannot fill. */
struct hb_plan hb_plans[HB_PLANS];

#define LN2       186065279ULL /* ln(2) with 28 bits behind the point */
#define LOG_SHIFT 28

/* -ln(random / 2^32), @random not 0: exponential, mean 1, with 28 bits behind the point. */
static __always_inline u64 minus_log(u32 random)
{
	u64 halvings = 0, mantissa = random, z, square, sum;

	/* mantissa * 2^-halvings / 2^32, with the mantissa's bit 31 set. */
	for (u32 step = 16; step; step >>= 1) {
		if (!(mantissa >> (32 - step))) {
			mantissa <<= step;
			halvings += step;
		}
	}
	/* mantissa = 2^31 m, 1 <= m < 2: ln(m) = 2 artanh((m - 1) / (m + 1)), which is at most 1/3. */
	z = ((mantissa - (1ULL << 31)) << LOG_SHIFT) / (mantissa + (1ULL << 31));
	square = z * z >> LOG_SHIFT;
	sum = (1ULL << LOG_SHIFT) / 11;
	for (int i = 9; i > 0; i -= 2)
		sum = (sum * square >> LOG_SHIFT) + (1ULL << LOG_SHIFT) / i;
	return (halvings + 1) * LN2 - 2 * (z * sum >> LOG_SHIFT);
}

static __always_inline struct hb_plan *plan_of(u32 gen)
{
	u64 index = HB_PLAN(gen);

	asm volatile("" : "+r"(index)); /* or clang knows it in bounds, and 6.1's verifier does not */
	return &hb_plans[index & (HB_PLANS - 1)];
}

__hidden u32 sampling_period(u32 gen)
{
	return plan_of(gen)->period;
}

/* Bytes until the next sample. */
HB_ONCE u64 sampling_countdown(u32 period)
{
	u32 random = bpf_get_prandom_u32();

	return (u64)period * minus_log(random ? random : 1) >> LOG_SHIFT;
}

__hidden bool sampling_take(struct hb_task *task, u32 period, u64 bytes)
{
	u64 size = bytes ? bytes : 1;

	if (task->period != period) {
		/* What is left of another period's countdown says nothing: no memory is what exponential means. */
		task->period = period;
		task->countdown = sampling_countdown(period);
	}
	if (task->countdown >= size) {
		task->countdown -= size;
		return false;
	}
	task->countdown = sampling_countdown(period);
	return true;
}

HB_ONCE int sampling_weigh(struct hb_weight *weight, u64 bytes, u64 identity, u32 period)
{
	if (!weight)
		return 0;
	hb_weigh(weight, bytes, period, hb_sample_hash(identity, hb_sample_seed));
	return 0;
}

static __always_inline void hit(u32 *hits, u64 *total)
{
	if (++*hits < HB_PLAN_STEP)
		return;
	*hits = 0;
	__sync_fetch_and_add(total, HB_PLAN_STEP);
}

__hidden void sampling_entered(struct hb_task *task, u32 gen, u32 source)
{
	struct hb_plan *plan = plan_of(gen);

	if (source == HB_SRC_MALLOC)
		hit(&task->entered, &plan->entered);
	else
		__sync_fetch_and_add(&plan->direct_entered, 1); /* seldom: a thread need not keep steps of it */
}

__hidden void sampling_returned(struct hb_task *task, u32 gen, bool by_ret, const struct hb_pending *call)
{
	struct hb_plan *plan = plan_of(gen);

	if (call && HB_COOKIE_GET(call->cookie, HB_COOKIE_SOURCE_SHIFT, 4) != HB_SRC_MALLOC) {
		__sync_fetch_and_add(&plan->direct_returned, 1);
		return;
	}
	if (by_ret)
		hit(&task->left, &plan->left);
	else
		hit(&task->returned, &plan->returned);
	if (call)
		hit(&task->counted, &plan->counted);
}

__hidden void sampling_freed(struct hb_task *task, u32 gen)
{
	if (task)
		hit(&task->freed, &plan_of(gen)->freed);
	else
		__sync_fetch_and_add(&plan_of(gen)->freed, 1); /* a thread that has allocated nothing */
}

/* Without a look at which are 0: a thread ends once, and older verifiers follow each branch anew. */
static __always_inline void pass_on(u32 *hits, u64 *total)
{
	__sync_fetch_and_add(total, *hits);
	*hits = 0;
}

__hidden void sampling_ended(struct hb_task *task)
{
	struct hb_plan *plan = plan_of(task->gen);

	pass_on(&task->entered, &plan->entered);
	pass_on(&task->returned, &plan->returned);
	pass_on(&task->left, &plan->left);
	pass_on(&task->freed, &plan->freed);
	pass_on(&task->counted, &plan->counted);
}
