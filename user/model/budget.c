// SPDX-License-Identifier: Apache-2.0
#include "budget.h"

#define S               1000000000ULL
#define CALM_NS         (10 * S) /* so long a closer level must have fitted before it is taken */
#define CALM_SHARE      0.6      /* of the budget, that it may take by our reckoning */
#define PATIENCE_NS     (10 * S) /* the first pause; each that follows at once is twice as long */
#define PATIENCE_NS_MAX (320 * S)
#define STEP            8        /* each level is coarser than the one before by this */
#define FAR             4        /* so many budgets: the next level will hardly do */
#define WALK_NS         1000.0   /* a stack, where nothing was measured yet */

uint32_t budget_period(enum budget_level level)
{
	static const uint32_t periods[] = {
		[BUDGET_EXACT] = 0, [BUDGET_FINE] = 64 << 10, [BUDGET_MEDIUM] = 512 << 10,
		[BUDGET_COARSE] = 4096 << 10, [BUDGET_PAUSED] = 4096 << 10,
	};

	return periods[level];
}

const char *budget_name(enum budget_level level)
{
	static const char *const names[] = {
		[BUDGET_EXACT] = "exact", [BUDGET_FINE] = "65536", [BUDGET_MEDIUM] = "524288",
		[BUDGET_COARSE] = "4194304", [BUDGET_PAUSED] = "off",
	};

	return names[level];
}

/* ns per second */
static double frees_ns(const struct budget_load *load, const struct budget_prices *prices)
{
	return load->freed * (prices->free_ns + prices->free_work_ns);
}

static double calls_ns(const struct budget_load *load, const struct budget_prices *prices)
{
	return load->entered * (prices->enter_ns + prices->call_work_ns) +
	       load->returned * (prices->return_ns + prices->call_work_ns) +
	       load->left * (prices->left_ns + prices->call_work_ns);
}

double budget_share(const struct budget_load *load, const struct budget_prices *prices)
{
	return (calls_ns(load, prices) + frees_ns(load, prices)) / S;
}

/* What no sampling takes away. */
static double floor_of(const struct budget_load *load, const struct budget_prices *prices)
{
	const double returned = prices->all_return ? load->returned : 0;

	return (load->entered * prices->enter_ns + returned * prices->return_ns + load->left * prices->left_ns +
		load->freed * prices->free_ns) / S;
}

/* A call when every one counts, before that was measured. */
static double exact_call_ns(const struct budget_load *load, const struct budget_prices *prices)
{
	const double left = load->entered > 0 ? load->left / load->entered : 0;

	return prices->enter_ns + prices->return_ns + left * prices->left_ns + 2 * prices->call_work_ns + WALK_NS;
}

/* What the next closer level would cost. */
static double closer_share(const struct budget *budget, const struct budget_load *load,
			   const struct budget_prices *prices)
{
	double call_ns = budget->exact_call_ns, sample_ns = prices->call_work_ns;

	if (budget->level != BUDGET_FINE) { /* more samples, each with a stack that the average hardly shows */
		sample_ns += prices->all_return ? 0 : prices->return_ns;
		return budget_share(load, prices) +
		       load->counted * ((STEP - 1) * sample_ns + STEP * WALK_NS) / S;
	}
	if (call_ns <= 0)
		call_ns = exact_call_ns(load, prices);
	return (load->entered * call_ns + frees_ns(load, prices)) / S;
}

static void pause_calls(struct budget *budget, uint64_t now_ns)
{
	if (!budget->patience_ns)
		budget->patience_ns = PATIENCE_NS;
	budget->level = BUDGET_PAUSED;
	budget->retry_ns = now_ns + budget->patience_ns;
	if (budget->patience_ns < PATIENCE_NS_MAX)
		budget->patience_ns *= 2;
}

/* It costs too much. */
static void go_down(struct budget *budget, double floor, double most, uint64_t now_ns)
{
	const unsigned int levels = budget->share > FAR * most ? 2 : 1;

	budget->calm_ns = 0;
	if (budget->whole || floor > most || budget->level + levels >= BUDGET_PAUSED)
		pause_calls(budget, now_ns);
	else
		budget->level += levels;
}

/* Whether the next closer level would fit; of the closest one whether a pause that it came from is forgotten. */
static bool is_calm(const struct budget *budget, const struct budget_load *load, const struct budget_prices *prices,
		    double most)
{
	if (budget->level == BUDGET_EXACT)
		return budget->patience_ns && budget->share <= CALM_SHARE * most;
	return closer_share(budget, load, prices) <= CALM_SHARE * most;
}

double budget_room(double most, double other)
{
	return other < most / 2 ? most - other : most / 2;
}

bool budget_step(struct budget *budget, const struct budget_load *load, const struct budget_prices *prices,
		 double most, uint64_t now_ns)
{
	if (budget->level == BUDGET_PAUSED) {
		budget->share = 0;
		if (now_ns < budget->retry_ns)
			return false;
		budget->level = budget->whole ? BUDGET_EXACT : BUDGET_COARSE;
		budget->calm_ns = 0;
		return true;
	}
	budget->share = budget_share(load, prices);
	if (budget->level == BUDGET_EXACT && load->entered > 0)
		budget->exact_call_ns = calls_ns(load, prices) / load->entered;
	if (budget->share > most) {
		go_down(budget, floor_of(load, prices), most, now_ns);
		return true;
	}
	if (!is_calm(budget, load, prices, most)) {
		budget->calm_ns = 0;
		return false;
	}
	if (!budget->calm_ns)
		budget->calm_ns = now_ns;
	if (now_ns - budget->calm_ns < CALM_NS)
		return false;
	budget->calm_ns = 0;
	budget->patience_ns = 0; /* the storm is over */
	if (budget->level == BUDGET_EXACT)
		return false;
	budget->level--;
	return true;
}
