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
	.enter_ns = 200, .return_ns = 350, .free_ns = 200, .call_work_ns = 150, .free_work_ns = 100,
};

/* @pairs a second, of whose calls @part return through a probe. */
static struct budget_load load_of(double pairs, double part)
{
	return (struct budget_load){ .entered = pairs, .returned = pairs * part, .freed = pairs };
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
		cmocka_unit_test(levels_have_periods_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
