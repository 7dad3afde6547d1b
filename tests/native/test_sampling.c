// SPDX-License-Identifier: Apache-2.0
/* Sampled calls: what a sample stands for, that no return is trapped in vain, and that sums are right on average. */
#include <math.h>

#include "native_test.h"

#define PERIOD 65536u

/* malloc as the table of makers has it: it calls no other entry point. */
static struct function alone(const struct function *function)
{
	struct function copy = *function;

	copy.cookie |= 1ULL << HB_COOKIE_ALONE_SHIFT;
	return copy;
}

static void sampled_take(struct thread *thread, const struct function *function, u64 pc, u64 bytes, u64 block)
{
	thread->pc = pc;
	thread_call(thread, function, bytes, 0, 0);
	thread_return(thread, block);
}

static void a_sample_stands_for_what_its_probability_says(void **state)
{
	static const u32 periods[] = { 64, 1000, 4096, 524288, HB_PERIOD_MAX };

	(void)state;
	for (unsigned int p = 0; p < 5; p++) {
		for (double x = 1.0 / 4096; x < 40; x *= 1.37) {
			const u64 bytes = (u64)(x * periods[p]) + 1;
			const double exactly = (double)bytes / periods[p], chance = -expm1(-exactly);
			const double part = 1 / chance - floor(1 / chance);
			double sum = 0, count = 0, square = 0, count_square = 0;
			struct hb_weight weight;

			/* Salts as evenly spread as they can be: their mean is what is not rounded. */
			for (u32 i = 0; i < 1024; i++) {
				const u64 salt = ((u64)i << 10) | (u64)i << (HB_ONE_SHIFT + 10) |
						 (u64)i << (2 * HB_ONE_SHIFT + 10);

				hb_weigh(&weight, bytes, periods[p], salt);
				sum += weight.bytes / 1024.0;
				count += weight.count / 1024.0;
				square += weight.bytes_variance / 1024.0;
				count_square += weight.count_variance / 1024.0;
			}
			assert_true(fabs(sum - bytes / chance) < 2e-5 * sum + 0.01);
			assert_true(fabs(count - 1 / chance) < 2e-5 * count + 0.002);
			assert_true(fabs(square - (double)bytes * bytes * (1 - chance) / chance / chance) <
				    1e-4 * (double)bytes * bytes / chance / chance + 2 * (double)bytes);
			count_square -= 1 / chance < 1024 ? part * (1 - part) : 0; /* by rounding */
			assert_true(fabs(count_square - (1 - chance) / chance / chance) <
				    2e-3 / chance / chance + 0.01);
		}
	}
}

static void a_block_much_larger_than_the_period_stands_for_itself(void **state)
{
	struct hb_weight weight;

	(void)state;
	hb_weigh(&weight, ~0ULL, 64, ~0ULL);
	assert_int_equal(weight.bytes, ~0ULL);
	assert_int_equal(weight.count, 1);
	assert_int_equal(weight.bytes_variance, 0);
	assert_int_equal(weight.count_variance, 0);
	hb_weigh(&weight, 4096, 0, ~0ULL);
	assert_int_equal(weight.bytes, 4096);
	assert_int_equal(weight.count, 1);
}

static void a_block_of_0_bytes_stands_for_blocks_and_no_bytes(void **state)
{
	struct hb_weight weight;

	(void)state;
	hb_weigh(&weight, 0, 4096, 0);
	assert_int_equal(weight.bytes, 0);
	assert_int_equal(weight.bytes_variance, 0);
	assert_in_range(weight.count, 4095, 4097);
}

/* How many of @calls of @bytes were sampled. */
static u32 sampled_of(struct hb_task *task, u32 calls, u64 bytes)
{
	u32 sampled = 0;

	for (u32 i = 0; i < calls; i++)
		sampled += sampling_take(task, PERIOD, bytes);
	return sampled;
}

static void blocks_are_sampled_as_often_as_their_size_says(void **state)
{
	static const u32 sizes[] = { 1, 16, 1000, 30000, 65536, 200000 };
	struct hb_task task = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		const u32 calls = sizes[i] < 100 ? 40000000 : 400000;
		const double chance = -expm1(-(double)sizes[i] / PERIOD);
		const double off = sampled_of(&task, calls, sizes[i]) - calls * chance;

		assert_true(fabs(off) < 4 * sqrt(calls * chance * (1 - chance)));
	}
}

static void what_was_sampled_and_is_freed_leaves_nothing(void **state)
{
	struct thread *thread = traced_thread();
	const struct function malloc_alone = alone(&fn_malloc);
	const struct hb_site *site;

	fake_sampling(PERIOD, 0);
	for (u64 i = 0; i < 3000; i++)
		sampled_take(thread, &malloc_alone, SITE_A, 100 + i, 0x100000 + i * 0x4000);
	site = site_at(GEN, SITE_A);
	assert_non_null(site);
	assert_true(site->sampled_count > 30 && site->sampled_count < 200);
	assert_true(site->bytes_variance > 0 && site->count_variance > 0);
	assert_int_equal(fake_rows("hb_live"), site->sampled_count);
	for (u64 i = 0; i < 3000; i++)
		give(thread, 0x100000 + i * 0x4000);
	assert_int_equal(site->outstanding_bytes, 0);
	assert_int_equal(site->allocated_bytes, site->freed_bytes);
	assert_int_equal(site->allocated_count, site->freed_count);
	assert_int_equal(site->sampled_count, site->sampled_freed_count);
	assert_int_equal(site->bytes_variance, 0);
	assert_int_equal(site->count_variance, 0);
	assert_int_equal(fake_rows("hb_live"), 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0); /* of most frees nobody can know whose block it was */
	assert_int_equal(losses(), 0);
}

static void the_return_of_a_call_that_is_not_sampled_is_not_trapped(void **state)
{
	struct thread *thread = traced_thread();
	const struct function malloc_alone = alone(&fn_malloc);

	fake_sampling(HB_PERIOD_MAX, 0);
	thread->pc = SITE_A;
	thread_call(thread, &malloc_alone, 1, 0, 0);
	assert_int_equal(thread->instances, *state ? 0 : 1); /* without a session the kernel traps every one */
	thread_return(thread, 0x1000);
	assert_int_equal(fake_rows("hb_live"), 0);
}

/* Sums over many rounds, beside the truth and what the site says of its error. */
struct truth {
	double bytes, count, estimate, estimate_count, variance;
};

static void compare(struct truth *truth)
{
	assert_true(truth->variance > 0);
	assert_true(fabs(truth->estimate - truth->bytes) < 4 * sqrt(truth->variance));
}

static void take_in(struct truth *truth, u64 pc)
{
	const struct hb_site *site = site_at(GEN, pc);

	if (!site)
		return;
	truth->estimate += site->outstanding_bytes;
	truth->estimate_count += site->allocated_count - site->freed_count;
	truth->variance += site->bytes_variance;
}

/* Everything anew, with other random numbers in each round. */
static struct thread *begin_round(void **state, u32 round)
{
	struct thread *thread;

	done(state);
	fresh(state);
	thread = traced_thread();
	fake_sampling(PERIOD, 0);
	for (u32 i = 0; i < round * 1000; i++)
		bpf_get_prandom_u32();
	return thread;
}

static void nested_calls_of_functions_that_call_others_count_once(void **state)
{
	const struct function malloc_alone = alone(&fn_malloc);
	struct truth truth = { 0 };

	for (int round = 0; round < 100; round++) {
		struct thread *thread = begin_round(state, round);

		for (u64 i = 0; i < 200; i++) {
			const u64 block = 0x100000 + i * 0x4000;

			thread->pc = SITE_A;
			thread_call(thread, &fn_calloc, 10, 100, 0); /* not known to be alone, and it is not */
			thread_call(thread, &malloc_alone, 1000, 0, 0);
			thread_return(thread, block);
			thread_return(thread, block);
			truth.bytes += 1000;
		}
		take_in(&truth, SITE_A);
	}
	compare(&truth);
}

static void realloc_is_a_free_and_an_allocation(void **state)
{
	const struct function malloc_alone = alone(&fn_malloc);
	struct truth first = { 0 }, second = { 0 };

	for (int round = 0; round < 100; round++) {
		struct thread *thread = begin_round(state, round);

		for (u64 i = 0; i < 200; i++) {
			const u64 block = 0x100000 + i * 0x4000;

			sampled_take(thread, &malloc_alone, SITE_A, 3000, block);
			first.bytes += 3000;
			if (i % 4 == 0)
				continue;
			thread->pc = SITE_B;
			thread_call(thread, &fn_realloc, block, 7000, 0);
			thread_return(thread, i % 4 == 1 ? 0 : i % 4 == 2 ? block : block + 0x2000);
			if (i % 4 == 1)
				continue; /* it failed */
			first.bytes -= 3000;
			second.bytes += 7000;
		}
		take_in(&first, SITE_A);
		take_in(&second, SITE_B);
	}
	compare(&first);
	compare(&second);
}

static void a_change_of_period_changes_no_sum(void **state)
{
	static const u32 periods[] = { 0, 4096, 524288, 65536, 0 };
	const struct function malloc_alone = alone(&fn_malloc);
	struct truth truth = { 0 };

	for (int round = 0; round < 100; round++) {
		struct thread *thread = begin_round(state, round);

		for (u64 i = 0; i < 500; i++) {
			const u64 block = 0x100000 + i * 0x4000, old = 0x100000 + (i - 50) * 0x4000;

			hb_plans[HB_PLAN(GEN)].period = periods[i / 100];
			sampled_take(thread, &malloc_alone, SITE_A, 2000, block);
			truth.bytes += 2000;
			if (i < 50 || i % 3)
				continue;
			give(thread, old); /* allocated under another period, now and then */
			truth.bytes -= 2000;
		}
		take_in(&truth, SITE_A);
	}
	compare(&truth);
}

static void direct_memory_is_exact_whatever_the_period(void **state)
{
	struct thread *thread = traced_thread();

	fake_sampling(HB_PERIOD_MAX, 0);
	for (u64 i = 0; i < 10; i++) {
		thread->pc = SITE_A;
		thread_call(thread, &fn_unsafe_alloc, 0, 0, 64);
		thread_call(thread, &fn_malloc, 64, 0, 0);
		thread_return(thread, 0x1000 + i * 64);
		thread_return(thread, 0x1000 + i * 64);
	}
	assert_int_equal(fake_rows("hb_live"), 10);
	assert_int_equal(fake_rows("hb_sites"), 1);
}

static void direct_calls_are_counted_apart_from_those_of_malloc_within(void **state)
{
	const struct hb_plan *plan = &hb_plans[HB_PLAN(GEN)];
	struct thread *thread = traced_thread();

	(void)state;
	fake_sampling(HB_PERIOD_MAX, 1);
	for (u64 i = 0; i < 3; i++) {
		thread_call(thread, &fn_unsafe_alloc, 0, 0, 64);
		thread_call(thread, &fn_malloc, 64, 0, 0);
		thread_return(thread, 0x1000);
		thread_return(thread, 0x1000);
		thread_call(thread, &fn_unsafe_free, 0x1000, 0, 0);
		thread_call(thread, &fn_free, 0x1000, 0, 0);
		thread_return(thread, 0);
		thread_return(thread, 0);
	}
	assert_int_equal(plan->direct_entered, 6);
	assert_int_equal(plan->direct_returned, 6);
	hb_task_exit(thread->task);
	assert_int_equal(plan->entered, 3);
	assert_int_equal(plan->freed, 3);
	assert_int_equal(plan->counted, 0);
}

static void what_was_taken_while_direct_memory_was_not_followed_is_freed_by_its_functions(void **state)
{
	struct thread *thread = traced_thread();

	(void)state;
	fake_sampling(0, 1);
	take(thread, SITE_A, 64, 0x1000);
	take(thread, SITE_A, 100, 0x2000);
	assert_int_equal(fake_rows("hb_live"), 2);
	thread_call(thread, &fn_unsafe_free, 0x1000, 0, 0);
	thread_call(thread, &fn_free, 0x1000, 0, 0);
	thread_return(thread, 0);
	thread_return(thread, 0);
	assert_int_equal(fake_rows("hb_live"), 1);
	thread_call(thread, &fn_unsafe_realloc, 0x2000, 200, 0);
	thread_call(thread, &fn_realloc, 0x2000, 200, 0);
	thread_return(thread, 0x3000);
	thread_return(thread, 0x3000);
	assert_int_equal(site_at(GEN, SITE_A)->outstanding_bytes, 0);
	assert_int_equal(fake_rows("hb_live"), 1); /* the new one, and that is direct */
	assert_int_equal(losses(), 0);
}

static void hits_are_counted_in_steps(void **state)
{
	struct thread *thread = traced_thread();
	const struct hb_plan *plan = &hb_plans[HB_PLAN(GEN)];

	fake_sampling(0, 1);
	for (u64 i = 0; i < 200; i++) {
		take(thread, SITE_A, 16, 0x1000);
		give(thread, 0x1000);
	}
	assert_int_equal(plan->entered, 200 / HB_PLAN_STEP * HB_PLAN_STEP);
	assert_int_equal(plan->returned, 200 / HB_PLAN_STEP * HB_PLAN_STEP);
	assert_int_equal(plan->freed, 200 / HB_PLAN_STEP * HB_PLAN_STEP);
	assert_int_equal(plan->counted, 200 / HB_PLAN_STEP * HB_PLAN_STEP);
	assert_int_equal(plan->left, 0);
}

static void a_thread_that_ends_tells_the_hits_of_its_last_step(void **state)
{
	struct thread *thread = traced_thread();
	const struct hb_plan *plan = &hb_plans[HB_PLAN(GEN)];

	(void)state;
	fake_sampling(0, 1);
	for (u64 i = 0; i < HB_PLAN_STEP - 1; i++) {
		take(thread, SITE_A, 16, 0x1000);
		give(thread, 0x1000);
	}
	assert_int_equal(plan->entered, 0);
	hb_task_exit(thread->task);
	assert_int_equal(plan->entered, HB_PLAN_STEP - 1);
	assert_int_equal(plan->returned, HB_PLAN_STEP - 1);
	assert_int_equal(plan->freed, HB_PLAN_STEP - 1);
	assert_int_equal(plan->counted, HB_PLAN_STEP - 1);
	assert_int_equal(plan->left, 0);
	hb_task_exit(thread->task); /* once only */
	assert_int_equal(plan->entered, HB_PLAN_STEP - 1);
}

static void returns_are_hit_by_calls_that_are_not_sampled_where_there_is_no_session(void **state)
{
	const struct hb_plan *plan = &hb_plans[HB_PLAN(GEN)];
	const struct function malloc_alone = alone(&fn_malloc);
	struct thread *thread = traced_thread();

	fake_sampling(HB_PERIOD_MAX, 1);
	for (u64 i = 0; i < 2 * HB_PLAN_STEP; i++)
		sampled_take(thread, &malloc_alone, SITE_A, 1, 0x1000 + i * 16);
	assert_int_equal(plan->entered, 2 * HB_PLAN_STEP);
	assert_int_equal(plan->returned, *state ? 0 : 2 * HB_PLAN_STEP);
	assert_int_equal(plan->counted, 0);
}

static void ret_instructions_are_hit_whether_their_call_is_sampled_or_not(void **state)
{
	const struct hb_plan *plan = &hb_plans[HB_PLAN(GEN)];
	const struct function new_alone = alone(&fn_new);
	struct thread *thread = traced_thread();

	(void)state;
	fake_sampling(HB_PERIOD_MAX, 1);
	for (u64 i = 0; i < 2 * HB_PLAN_STEP; i++)
		sampled_take(thread, &new_alone, SITE_A, 1, 0x1000 + i * 16);
	assert_int_equal(plan->left, 2 * HB_PLAN_STEP);
	assert_int_equal(plan->returned, 0);
	assert_int_equal(plan->counted, 0);
}

static void a_free_of_null_is_hit_as_others_are(void **state)
{
	const struct hb_plan *plan = &hb_plans[HB_PLAN(GEN)];
	struct thread *thread = traced_thread();

	(void)state;
	fake_sampling(0, 1);
	take(thread, SITE_A, 16, 0x1000);
	for (int i = 0; i < HB_PLAN_STEP; i++)
		give(thread, 0);
	assert_int_equal(plan->freed, HB_PLAN_STEP);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(a_sample_stands_for_what_its_probability_says),
		ONCE(a_block_much_larger_than_the_period_stands_for_itself),
		ONCE(a_block_of_0_bytes_stands_for_blocks_and_no_bytes),
		ONCE(blocks_are_sampled_as_often_as_their_size_says),
		BOTH(what_was_sampled_and_is_freed_leaves_nothing),
		BOTH(the_return_of_a_call_that_is_not_sampled_is_not_trapped),
		BOTH(nested_calls_of_functions_that_call_others_count_once),
		BOTH(realloc_is_a_free_and_an_allocation),
		BOTH(a_change_of_period_changes_no_sum),
		BOTH(direct_memory_is_exact_whatever_the_period),
		BOTH(direct_calls_are_counted_apart_from_those_of_malloc_within),
		BOTH(what_was_taken_while_direct_memory_was_not_followed_is_freed_by_its_functions),
		BOTH(hits_are_counted_in_steps),
		BOTH(a_thread_that_ends_tells_the_hits_of_its_last_step),
		BOTH(returns_are_hit_by_calls_that_are_not_sampled_where_there_is_no_session),
		BOTH(ret_instructions_are_hit_whether_their_call_is_sampled_or_not),
		BOTH(a_free_of_null_is_hit_as_others_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
