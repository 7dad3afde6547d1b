// SPDX-License-Identifier: Apache-2.0
/* The ladder from every call to none, and back: steps, hysteresis, pauses. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "../../user/model/budget.h"

#define S   1000000000ULL
#define MOST 0.05

/* A machine on which a pair of malloc and free costs 200 + 350 + 2 x 150 and 200 + 100 ns. */
static const struct budget_prices prices = {
	.enter_ns = 200, .return_ns = 350, .left_ns = 2600, .free_ns = 200, .call_work_ns = 150, .free_work_ns = 100,
};

/* @pairs a second, of whose calls @part return through a probe. */
static struct budget_load load_of(double pairs, double part)
{
	return (struct budget_load){
		.entered = pairs, .returned = pairs * part, .freed = pairs, .counted = pairs * part,
	};
}

static bool step(struct budget *budget, double pairs, uint64_t now_s)
{
	static const double parts[] = { 1, 0.01, 0.001, 0.0001, 0 };
	const struct budget_load load = load_of(pairs, parts[budget->level]);

	return budget_step(budget, &load, &prices, MOST, now_s * S);
}

static void what_fits_is_followed_call_by_call(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	for (uint64_t now = 1; now < 100; now++)
		assert_false(step(&budget, 40000, now));
	assert_int_equal(budget.level, BUDGET_EXACT);
	assert_true(fabs(budget.share - 40000 * (200 + 150 + 350 + 150 + 200 + 100) / 1e9) < 1e-9);
}

static void what_does_not_fit_is_sampled_and_stays_so(void **state)
{
	struct budget budget = { 0 };
	int changes = 0;

	(void)state;
	assert_true(step(&budget, 60000, 1)); /* 6.9 % of a core */
	assert_int_equal(budget.level, BUDGET_FINE);
	for (uint64_t now = 2; now < 1000; now++)
		changes += step(&budget, 60000, now);
	assert_int_equal(changes, 0);
	assert_int_equal(budget.level, BUDGET_FINE);
	assert_true(budget.share < MOST);
}

static void what_is_cheap_again_is_followed_call_by_call_after_ten_seconds(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	step(&budget, 60000, 1);
	assert_int_equal(budget.level, BUDGET_FINE);
	for (uint64_t now = 2; now < 12; now++)
		assert_false(step(&budget, 20000, now));
	assert_true(step(&budget, 20000, 12));
	assert_int_equal(budget.level, BUDGET_EXACT);
	assert_false(step(&budget, 20000, 13));
}

static void a_calm_that_is_interrupted_begins_anew(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	step(&budget, 60000, 1);
	for (uint64_t now = 2; now < 30; now++)
		assert_false(step(&budget, now % 9 ? 20000 : 50000, now));
	assert_int_equal(budget.level, BUDGET_FINE);
}

static void where_the_traps_alone_cost_too_much_the_probes_go_at_once(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	assert_true(step(&budget, 1000000, 1));
	assert_int_equal(budget.level, BUDGET_PAUSED);
	assert_true(budget.share > 1);
	assert_false(step(&budget, 0, 2));
	assert_true(budget.share == 0);
}

static void a_pause_is_followed_by_a_trial_and_each_in_vain_doubles_the_next(void **state)
{
	static const uint64_t pauses[] = { 10, 20, 40, 80, 160, 320, 320 };
	struct budget budget = { 0 };
	uint64_t now = 1;

	(void)state;
	assert_true(step(&budget, 1000000, now));
	for (unsigned int i = 0; i < 7; i++) {
		assert_false(step(&budget, 1000000, now + pauses[i] - 1));
		now += pauses[i];
		assert_true(step(&budget, 1000000, now));
		assert_int_equal(budget.level, BUDGET_COARSE);
		assert_true(step(&budget, 1000000, now));
		assert_int_equal(budget.level, BUDGET_PAUSED);
	}
}

static void after_a_storm_it_goes_up_level_by_level(void **state)
{
	struct budget budget = { 0 };
	uint64_t now = 1, began;

	(void)state;
	step(&budget, 1000000, now);
	assert_int_equal(budget.level, BUDGET_PAUSED);
	for (now = 2; budget.level != BUDGET_COARSE; now++)
		step(&budget, 100, now);
	began = now;
	for (; budget.level != BUDGET_EXACT && now < 1000; now++)
		step(&budget, 100, now);
	assert_in_range(now - began, 30, 36); /* three levels, ten seconds each */
	assert_int_equal(budget.patience_ns, 0);
}

static void samples_that_cost_too_much_get_coarser(void **state)
{
	struct budget budget = { .level = BUDGET_FINE };
	const struct budget_load large = load_of(50000, 1); /* blocks larger than the period: each is a sample */

	(void)state;
	assert_true(budget_step(&budget, &large, &prices, MOST, S));
	assert_int_equal(budget.level, BUDGET_MEDIUM);
	assert_true(budget_step(&budget, &large, &prices, MOST, 2 * S));
	assert_int_equal(budget.level, BUDGET_COARSE);
	assert_true(budget_step(&budget, &large, &prices, MOST, 3 * S));
	assert_int_equal(budget.level, BUDGET_PAUSED);
}

static void what_costs_several_budgets_goes_down_two_levels(void **state)
{
	const struct budget_load large = load_of(49000, 1); /* its traps fit, its samples would not by far */
	struct budget_prices slow = prices;
	struct budget budget = { 0 };

	(void)state;
	slow.call_work_ns = 2000;
	assert_true(budget_step(&budget, &large, &slow, MOST, S));
	assert_true(budget.share > 4 * MOST);
	assert_int_equal(budget.level, BUDGET_MEDIUM);
	assert_true(budget_step(&budget, &large, &slow, MOST, 2 * S));
	assert_int_equal(budget.level, BUDGET_PAUSED);
}

static void where_every_call_returns_through_a_probe_sampling_spares_its_work_alone(void **state)
{
	const struct budget_load calls = { .entered = 60000, .returned = 60000, .freed = 60000, .counted = 60 };
	struct budget_prices trapped = prices;
	struct budget budget = { .level = BUDGET_MEDIUM };

	(void)state;
	trapped.all_return = true;
	trapped.call_work_ns = 20;
	trapped.free_work_ns = 20;
	assert_true(fabs(budget_share(&calls, &trapped) - 60000 * (220 + 370 + 220) / 1e9) < 1e-9);
	assert_false(budget_step(&budget, &calls, &trapped, MOST, S));
	assert_true(budget_step(&budget, &calls, &trapped, 0.045, 2 * S)); /* the traps alone take 0.045 */
	assert_int_equal(budget.level, BUDGET_COARSE);
	assert_true(budget_step(&budget, &calls, &trapped, 0.0449, 3 * S));
	assert_int_equal(budget.level, BUDGET_PAUSED);
}

static void ret_instructions_are_paid_for_whether_their_calls_count_or_not(void **state)
{
	const struct budget_load calls = { .entered = 20000, .left = 20000, .freed = 20000, .counted = 20 };
	struct budget budget = { .level = BUDGET_FINE };

	(void)state;
	assert_true(fabs(budget_share(&calls, &prices) - 20000 * (350 + 2750 + 300) / 1e9) < 1e-9);
	assert_true(budget_step(&budget, &calls, &prices, MOST, S)); /* and no coarser level would spare them */
	assert_int_equal(budget.level, BUDGET_PAUSED);
}

static void a_closer_level_costs_more_samples_each_with_a_stack(void **state)
{
	struct budget budget = { .level = BUDGET_MEDIUM };
	struct budget_load load = load_of(10000, 0.1);
	uint64_t now;

	(void)state;
	/* 0.007 now; eight times as many samples, with a stack each, 0.0035 + 0.008 more: 0.0185. */
	for (now = 1; now < 20; now++)
		assert_false(budget_step(&budget, &load, &prices, 0.0185 / 0.6 - 0.0003, now * S));
	for (now = 20; now < 30; now++)
		assert_false(budget_step(&budget, &load, &prices, 0.0185 / 0.6 + 0.0003, now * S));
	assert_true(budget_step(&budget, &load, &prices, 0.0185 / 0.6 + 0.0003, now * S));
	assert_int_equal(budget.level, BUDGET_FINE);
}

static void what_is_whole_is_followed_call_by_call_or_not_at_all(void **state)
{
	struct budget budget = { .whole = true };
	uint64_t now = 1;

	(void)state;
	assert_true(step(&budget, 60000, now)); /* 6.9 % of a core: samples would do */
	assert_int_equal(budget.level, BUDGET_PAUSED);
	assert_true(step(&budget, 60000, now += 10));
	assert_int_equal(budget.level, BUDGET_EXACT);
	assert_true(step(&budget, 60000, ++now));
	assert_false(step(&budget, 0, now += 19)); /* in vain: twice as long */
	assert_true(step(&budget, 0, ++now));
	assert_int_equal(budget.level, BUDGET_EXACT);
	for (unsigned int i = 0; i <= 10; i++)
		assert_false(step(&budget, 100, ++now));
	assert_int_equal(budget.patience_ns, 0);
}

static void two_that_share_a_budget_have_half_of_it_each_at_least(void **state)
{
	(void)state;
	assert_true(fabs(budget_room(0.05, 0) - 0.05) < 1e-9);
	assert_true(fabs(budget_room(0.05, 0.01) - 0.04) < 1e-9);
	assert_true(fabs(budget_room(0.05, 0.04) - 0.025) < 1e-9);
	assert_true(fabs(budget_room(0.05, 3) - 0.025) < 1e-9);
}

static void levels_have_periods_and_names(void **state)
{
	(void)state;
	assert_int_equal(budget_period(BUDGET_EXACT), 0);
	assert_int_equal(budget_period(BUDGET_FINE), 65536);
	assert_int_equal(budget_period(BUDGET_MEDIUM), 524288);
	assert_int_equal(budget_period(BUDGET_COARSE), 4194304);
	assert_string_equal(budget_name(BUDGET_EXACT), "exact");
	assert_string_equal(budget_name(BUDGET_MEDIUM), "524288");
	assert_string_equal(budget_name(BUDGET_PAUSED), "off");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_followed_call_by_call),
		cmocka_unit_test(what_does_not_fit_is_sampled_and_stays_so),
		cmocka_unit_test(what_is_cheap_again_is_followed_call_by_call_after_ten_seconds),
		cmocka_unit_test(a_calm_that_is_interrupted_begins_anew),
		cmocka_unit_test(where_the_traps_alone_cost_too_much_the_probes_go_at_once),
		cmocka_unit_test(a_pause_is_followed_by_a_trial_and_each_in_vain_doubles_the_next),
		cmocka_unit_test(after_a_storm_it_goes_up_level_by_level),
		cmocka_unit_test(samples_that_cost_too_much_get_coarser),
		cmocka_unit_test(what_costs_several_budgets_goes_down_two_levels),
		cmocka_unit_test(where_every_call_returns_through_a_probe_sampling_spares_its_work_alone),
		cmocka_unit_test(ret_instructions_are_paid_for_whether_their_calls_count_or_not),
		cmocka_unit_test(a_closer_level_costs_more_samples_each_with_a_stack),
		cmocka_unit_test(what_is_whole_is_followed_call_by_call_or_not_at_all),
		cmocka_unit_test(two_that_share_a_budget_have_half_of_it_each_at_least),
		cmocka_unit_test(levels_have_periods_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
