// SPDX-License-Identifier: Apache-2.0
/*
 * Keeps what tracing malloc and direct memory costs a process within the budget: reads what its probes were hit, asks
 * model/budget how closely to look, and does it. The two share the budget and are told apart by their hits: what a
 * runtime's own functions cost takes malloc's probes away no more than the other way around. Probes of one process
 * alone are governed for it alone; where they are in every process that maps the file, all traced processes are
 * governed as one, by the one that pays most.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../model/changes.h"
#include "../remote/gate.h"
#include "../remote/procfs.h"
#include "target_private.h"
#include "trap_cost.h"

#define TICK_NS     400000000ULL
#define STATS_EVERY 8 /* the kernel's statistics run for one tick in so many: they cost something themselves */

struct governor {
	double most; /* of one core */
	struct trap_cost traps;
	bool all_return;                   /* every call returns through a probe, sampled or not */
	double call_work_ns, free_work_ns; /* of a run of the programs */
	double map_work_ns;                /* of the programs for one change of a mapping */
	struct session_runs runs;          /* when the statistics were switched on */
	uint64_t maps_seen;                /* at that time */
	int stats;                         /* while they are on, else -1 */
	uint64_t ticks, ticked_ns;
	bool changed;                      /* in this tick, how a process is followed */
	struct hb_plan now[HB_PLANS], before[HB_PLANS]; /* hits, of this tick and the last */
	struct budget all[GOVERNED_END];   /* where all are governed as one */
	struct changes changes;            /* since the last report */
};

/* A generation that has the plan @index. */
static uint32_t gen_of(uint32_t index)
{
	return (index & (HB_PLANS / 2 - 1)) | (index / (HB_PLANS / 2)) << 31;
}

/* Of all at once: what is hit while they are looked at is the next tick's. */
static void read_hits(struct target *target)
{
	struct governor *governor = target->governor;

	memcpy(governor->before, governor->now, sizeof(governor->before));
	for (uint32_t i = 0; i < HB_PLANS; i++) {
		const volatile struct hb_plan *plan = session_plan(target->session, gen_of(i));

		governor->now[i] = (struct hb_plan){
			.entered = plan->entered, .returned = plan->returned, .left = plan->left,
			.freed = plan->freed, .counted = plan->counted,
			.direct_entered = plan->direct_entered, .direct_returned = plan->direct_returned,
		};
	}
}

int target_govern(struct target *target, double percent)
{
	struct governor *governor = calloc(1, sizeof(*governor));
	int err;

	if (!governor)
		return -ENOMEM;
	governor->most = percent / 100;
	governor->stats = -1;
	governor->ticked_ns = clock_mono_ns();
	governor->call_work_ns = governor->free_work_ns = 100; /* until they are measured */
	err = trap_cost_measure(target->session, &governor->traps);
	if (err)
		log_debug("what a probe costs could not be measured: %s", strerror(-err));
	log_debug("a probe costs %.0f ns where its instruction is emulated, %.0f where it is stepped over, a return "
		  "%.0f more", governor->traps.emulated_ns, governor->traps.stepped_ns, governor->traps.return_ns);
	governor->all_return = !session_skips_returns(target->session);
	governor->all[HB_SRC_DIRECT].whole = true;
	target->governor = governor;
	read_hits(target); /* our own */
	return 0;
}

void governor_free(struct governor *governor)
{
	if (governor && governor->stats >= 0)
		close(governor->stats);
	free(governor);
}

uint64_t governor_forgotten(const struct governor *governor)
{
	return governor ? governor->changes.forgotten : 0;
}

static double average(uint64_t ns, uint64_t runs, double before)
{
	return runs ? (double)ns / (double)runs : before;
}

/*
 * The programs run at every process's calls, and mostly twice for one change: where there are more runs than that they
 * were others'.
 */
static void read_map_runs(struct target *target, const struct session_runs *runs)
{
	struct governor *governor = target->governor;
	const uint64_t seen = target->maps_seen - governor->maps_seen, pairs = (runs->maps - governor->runs.maps) / 2;

	governor->map_work_ns = average(runs->map_ns - governor->runs.map_ns, seen > pairs ? seen : pairs,
					governor->map_work_ns);
}

/* What the programs took while the statistics were on. */
static void read_runs(struct target *target)
{
	struct governor *governor = target->governor;
	struct session_runs runs;

	if (governor->stats < 0)
		return;
	session_runs(target->session, &runs);
	governor->call_work_ns = average(runs.call_ns - governor->runs.call_ns, runs.calls - governor->runs.calls,
					 governor->call_work_ns);
	governor->free_work_ns = average(runs.free_ns - governor->runs.free_ns, runs.frees - governor->runs.frees,
					 governor->free_work_ns);
	read_map_runs(target, &runs);
	close(governor->stats);
	governor->stats = -1;
}

/* Switch them on for the tick that comes. */
static void watch_runs(struct target *target)
{
	struct governor *governor = target->governor;

	governor->stats = session_stats();
	session_runs(target->session, &governor->runs);
	governor->maps_seen = target->maps_seen;
}

static struct budget_prices prices_of(const struct governor *governor, bool stepped_call, bool stepped_free)
{
	const struct trap_cost *traps = &governor->traps;

	return (struct budget_prices){
		.enter_ns = stepped_call ? traps->stepped_ns : traps->emulated_ns,
		.return_ns = traps->return_ns,
		.left_ns = traps->left_ns,
		.free_ns = stepped_free ? traps->stepped_ns : traps->emulated_ns,
		.call_work_ns = governor->call_work_ns,
		.free_work_ns = governor->free_work_ns,
		.all_return = governor->all_return,
	};
}

/* Hits per second since the last tick. */
static struct budget_load load_of(const struct target *target, uint32_t gen, enum hb_source source, double seconds)
{
	const struct hb_plan *now = &target->governor->now[HB_PLAN(gen)];
	const struct hb_plan *before = &target->governor->before[HB_PLAN(gen)];
	const double direct = (double)(now->direct_entered - before->direct_entered) / seconds;

	if (source == HB_SRC_DIRECT)
		return (struct budget_load){
			.entered = direct,
			.returned = (double)(now->direct_returned - before->direct_returned) / seconds,
			.counted = direct,
		};
	return (struct budget_load){
		.entered = (double)(now->entered - before->entered) / seconds,
		.returned = (double)(now->returned - before->returned) / seconds,
		.left = (double)(now->left - before->left) / seconds,
		.freed = (double)(now->freed - before->freed) / seconds,
		.counted = (double)(now->counted - before->counted) / seconds,
	};
}

static void tell(struct target *target, const struct process *process, enum hb_source source,
		 const struct budget *budget, enum budget_level from)
{
	const struct report_change change = {
		.time_unix_ns = clock_unix_ns(),
		.gen = process ? process->gen : 0,
		.direct = source == HB_SRC_DIRECT,
		.from = from,
		.to = budget->level,
		.share = budget->share,
	};

	changes_add(&target->governor->changes, &change);
	target->governor->changed = true;
}

static void set_period(struct target *target, const struct process *process, enum budget_level level)
{
	session_plan(target->session, process->gen)->period = budget_period(level);
}

/* What is freed from now on is not seen: what it holds is no longer known. */
static void forget_blocks(struct target *target, struct process *process, enum hb_source source)
{
	int err = session_purge_blocks(target->session, process->gen, source);

	if (err)
		log_debug("rows of %s stay for now: %s", report_source_name(source), strerror(-err));
	board_forget_source(target->board, process->gen, source);
}

static bool shows(const struct module *module, enum hb_source source)
{
	return module->set.count && modules_source(module) == source;
}

static void pause_own(struct target *target, struct process *process, enum hb_source source)
{
	size_t kept = 0;

	for (size_t i = 0; i < process->probes_count; i++) {
		if (shows(process->probes[i].module, source))
			session_detach_hot(process->probes[i].probes);
	}
	for (size_t i = 0; i < process->probes_count; i++) {
		if (shows(process->probes[i].module, source))
			session_detach(process->probes[i].probes);
		else
			process->probes[kept++] = process->probes[i];
	}
	process->probes_count = kept;
	forget_blocks(target, process, source);
}

static void resume_own(struct target *target, struct process *process, enum hb_source source)
{
	const bool running = process->running;

	process->running = true; /* nobody is late */
	for (size_t i = 0; i < process->now.modules_count; i++) {
		if (shows(process->now.modules[i], source))
			target_probe_own(target, process, process->now.modules[i]);
	}
	process->running = running;
}

static void apply(struct target *target, struct process *process, enum hb_source source, enum budget_level from)
{
	const enum budget_level to = process->budgets[source].level;

	if (source == HB_SRC_MALLOC)
		set_period(target, process, to);
	if (to == BUDGET_PAUSED)
		pause_own(target, process, source);
	else if (from == BUDGET_PAUSED)
		resume_own(target, process, source);
}

static struct budget_prices prices_in(const struct target *target, const struct process *process,
				      enum hb_source source)
{
	bool stepped_call = false, stepped_free = false;

	for (size_t i = 0; i < process->now.modules_count; i++) {
		const struct module *module = process->now.modules[i];

		if (shows(module, source))
			modules_stepped(module, &stepped_call, &stepped_free);
	}
	return prices_of(target->governor, stepped_call, stepped_free);
}

static bool is_governed(const struct target *target, const struct process *process)
{
	return process->gen && !process->exited && target_counts(target, process);
}

static enum hb_source other_of(enum hb_source source)
{
	return source == HB_SRC_MALLOC ? HB_SRC_DIRECT : HB_SRC_MALLOC;
}

/* Of one core, in this tick. */
static double share_of(const struct target *target, const struct process *process, enum hb_source source,
		       double seconds)
{
	const struct budget_load load = load_of(target, process->gen, source, seconds);
	const struct budget_prices prices = prices_in(target, process, source);

	return target_paused(process, source) ? 0 : budget_share(&load, &prices);
}

/* Probes that come hold the address space for a moment, and copy pages of its text. */
static bool may_probe(const struct process *process)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;

	return !proc_open(&proc, process->pid) && !gate_ask(&proc);
}

static void govern_one(struct target *target, struct process *process, enum hb_source source, double seconds,
		       uint64_t now_ns)
{
	struct budget *budget = &process->budgets[source];
	const enum budget_level from = budget->level;
	const struct budget_load load = load_of(target, process->gen, source, seconds);
	const struct budget_prices prices = prices_in(target, process, source);
	const double other = share_of(target, process, other_of(source), seconds);

	if (from == BUDGET_PAUSED && now_ns >= budget->retry_ns && !may_probe(process))
		return; /* asked again at the next tick */
	if (!budget_step(budget, &load, &prices, budget_room(target->governor->most, other), now_ns))
		return;
	apply(target, process, source, from);
	tell(target, process, source, budget, from);
}

/* Probes are in every process: they go from all of them, or from none. */
static void apply_to_all(struct target *target, enum hb_source source, enum budget_level from)
{
	const enum budget_level to = target->governor->all[source].level;
	struct process *process;

	for (uint32_t i = 0; source == HB_SRC_MALLOC && i < HB_PLANS; i++)
		session_plan(target->session, gen_of(i))->period = budget_period(to); /* of those to come as well */
	if (to == BUDGET_PAUSED)
		modules_pause(target->modules, source);
	else if (from == BUDGET_PAUSED)
		modules_resume(target->modules, source);
	for (process = target->newest; process; process = process->older) {
		if (!is_governed(target, process))
			continue;
		process->budgets[source].level = to;
		if (to == BUDGET_PAUSED)
			forget_blocks(target, process, source);
	}
}

/* None may pay more than the budget: the one that pays most decides, also if it has ended since the last tick. */
static void govern_all(struct target *target, enum hb_source source, double seconds, uint64_t now_ns)
{
	struct budget *all = &target->governor->all[source];
	const enum budget_level from = all->level;
	const double other = target->governor->all[other_of(source)].share;
	struct budget_prices dearest_prices;
	struct budget_load dearest;
	struct process *process;
	double most = -1;

	for (process = target->newest; process; process = process->older) {
		struct budget_prices prices;
		struct budget_load load;

		if (!process->gen || !target_counts(target, process))
			continue;
		load = load_of(target, process->gen, source, seconds);
		prices = prices_in(target, process, source);
		process->budgets[source].level = from;
		process->budgets[source].share = from == BUDGET_PAUSED ? 0 : budget_share(&load, &prices);
		if (process->budgets[source].share <= most)
			continue;
		most = process->budgets[source].share;
		dearest = load;
		dearest_prices = prices;
	}
	if (most < 0 ||
	    !budget_step(all, &dearest, &dearest_prices, budget_room(target->governor->most, other), now_ns))
		return;
	apply_to_all(target, source, from);
	tell(target, NULL, source, all, from);
}

static void govern_each(struct target *target, enum hb_source source, double seconds, uint64_t now_ns)
{
	for (struct process *process = target->newest; process; process = process->older) {
		if (is_governed(target, process))
			govern_one(target, process, source, seconds, now_ns);
	}
}

/* Mappings are not governed: without all of their changes what is mapped would be wrong, not coarse. */
static void price_mappings(struct target *target, double seconds)
{
	for (struct process *process = target->newest; process; process = process->older) {
		const double changes = (double)(process->maps_seen - process->maps_told) / seconds;

		process->mmap_share = changes * target->governor->map_work_ns / 1e9;
		process->maps_told = process->maps_seen;
	}
}

uint64_t target_tick(struct target *target)
{
	const uint64_t now_ns = clock_mono_ns();
	struct governor *governor = target->governor;
	double seconds;

	if (!governor)
		return UINT64_MAX;
	if (now_ns < governor->ticked_ns + TICK_NS)
		return governor->ticked_ns + TICK_NS;
	seconds = (double)(now_ns - governor->ticked_ns) / 1e9;
	governor->ticked_ns = now_ns;
	governor->changed = false;
	read_runs(target);
	read_hits(target);
	for (enum hb_source source = HB_SRC_MALLOC; source < GOVERNED_END; source++) {
		if (target->follow)
			govern_all(target, source, seconds, now_ns);
		else
			govern_each(target, source, seconds, now_ns);
	}
	price_mappings(target, seconds);
	if (governor->changed || governor->ticks % STATS_EVERY == 0)
		watch_runs(target);
	governor->ticks++;
	return now_ns + TICK_NS;
}

bool target_paused(const struct process *process, enum hb_source source)
{
	return process->budgets[source].level == BUDGET_PAUSED;
}

void target_governed_again(struct target *target, struct process *to, const struct process *from)
{
	if (!target->governor)
		return;
	to->budgets[HB_SRC_DIRECT].whole = true;
	if (target->follow)
		memcpy(to->budgets, target->governor->all, sizeof(to->budgets));
	else if (from && !from->exited)
		memcpy(to->budgets, from->budgets, sizeof(to->budgets)); /* by exec: its probes hold for the process */
	if (to->gen)
		set_period(target, to, to->budgets[HB_SRC_MALLOC].level);
}

size_t target_changes(struct target *target, struct report_change *changes, size_t cap)
{
	return target->governor ? changes_take(&target->governor->changes, changes, cap) : 0;
}
