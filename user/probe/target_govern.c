// SPDX-License-Identifier: Apache-2.0
/*
 * Keeps what tracing malloc costs a process within the budget: reads what its probes were hit, asks model/budget how
 * closely to look, and does it. Probes of one process alone are governed for it alone; where they are in every
 * process that maps the file, all traced processes are governed as one, by their average.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "target_private.h"
#include "trap_cost.h"

#define TICK_NS     400000000ULL
#define STATS_EVERY 8 /* the kernel's statistics run for one tick in so many: they cost something themselves */

struct governor {
	double most; /* of one core */
	struct trap_cost traps;
	double call_work_ns, free_work_ns; /* of a run of the programs */
	struct session_runs runs;          /* when the statistics were switched on */
	int stats;                         /* while they are on, else -1 */
	uint64_t ticks, ticked_ns;
	struct governed all; /* where all are governed as one */
	struct report_change changes[REPORT_CHANGES_MAX]; /* since the last report; beyond it the oldest is forgotten */
	size_t changes_count;
};

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
	target->governor = governor;
	return 0;
}

void governor_free(struct governor *governor)
{
	if (governor && governor->stats >= 0)
		close(governor->stats);
	free(governor);
}

static double average(uint64_t ns, uint64_t runs, double before)
{
	return runs ? (double)ns / (double)runs : before;
}

/* What the programs took while the statistics were on. */
static void read_runs(struct target *target)
{
	struct governor *governor = target->governor;
	struct session_runs runs;

	if (governor->stats >= 0) {
		session_runs(target->session, &runs);
		governor->call_work_ns = average(runs.call_ns - governor->runs.call_ns,
						 runs.calls - governor->runs.calls, governor->call_work_ns);
		governor->free_work_ns = average(runs.free_ns - governor->runs.free_ns,
						 runs.frees - governor->runs.frees, governor->free_work_ns);
		close(governor->stats);
		governor->stats = -1;
	}
	if (governor->ticks % STATS_EVERY)
		return;
	governor->stats = session_stats();
	session_runs(target->session, &governor->runs);
}

static struct budget_prices prices_of(const struct governor *governor, bool stepped_call, bool stepped_free)
{
	const struct trap_cost *traps = &governor->traps;

	return (struct budget_prices){
		.enter_ns = stepped_call ? traps->stepped_ns : traps->emulated_ns,
		.return_ns = traps->return_ns,
		.free_ns = stepped_free ? traps->stepped_ns : traps->emulated_ns,
		.call_work_ns = governor->call_work_ns,
		.free_work_ns = governor->free_work_ns,
	};
}

/* Hits per second since the last tick. */
static void add_load(struct target *target, struct process *process, double seconds, struct budget_load *load)
{
	const volatile struct hb_plan *plan = session_plan(target->session, process->gen);
	const struct hb_plan now = { .entered = plan->entered, .returned = plan->returned, .freed = plan->freed };
	const struct hb_plan *before = &process->governed.before;

	if (process->governed.known) {
		load->entered += (double)(now.entered - before->entered) / seconds;
		load->returned += (double)(now.returned - before->returned) / seconds;
		load->freed += (double)(now.freed - before->freed) / seconds;
	}
	process->governed.before = now;
	process->governed.known = true;
}

static void tell(struct target *target, const struct process *process, const struct governed *governed,
		 enum budget_level from)
{
	struct governor *governor = target->governor;
	struct report_change *change;

	if (governor->changes_count == REPORT_CHANGES_MAX)
		memmove(governor->changes, governor->changes + 1, --governor->changes_count * sizeof(*change));
	change = &governor->changes[governor->changes_count++];
	*change = (struct report_change){
		.time_unix_ns = clock_unix_ns(),
		.gen = process ? process->gen : 0,
		.from = from,
		.to = governed->budget.level,
		.share = governed->budget.share,
	};
}

static void set_period(struct target *target, const struct process *process, enum budget_level level)
{
	session_plan(target->session, process->gen)->period = budget_period(level);
}

/* What is freed from now on is not seen: what it holds is no longer known. */
static void forget_blocks(struct target *target, struct process *process)
{
	int err = session_purge_blocks(target->session, process->gen);

	if (err)
		log_debug("rows of malloc stay for now: %s", strerror(-err));
	board_forget_source(target->board, process->gen, HB_SRC_MALLOC);
}

static bool is_malloc(const struct module *module)
{
	return module->set.count && module->set.allocator[0];
}

static void pause_own(struct target *target, struct process *process)
{
	size_t kept = 0;

	for (size_t i = 0; i < process->probes_count; i++) {
		if (is_malloc(process->probes[i].module))
			session_detach(process->probes[i].probes);
		else
			process->probes[kept++] = process->probes[i];
	}
	process->probes_count = kept;
	forget_blocks(target, process);
}

static void resume_own(struct target *target, struct process *process)
{
	const bool running = process->running;

	process->running = true; /* nobody is late */
	for (size_t i = 0; i < process->now.modules_count; i++) {
		if (is_malloc(process->now.modules[i]))
			target_probe_own(target, process, process->now.modules[i]);
	}
	process->running = running;
}

static void apply(struct target *target, struct process *process, enum budget_level from, enum budget_level to)
{
	set_period(target, process, to);
	if (to == BUDGET_PAUSED)
		pause_own(target, process);
	else if (from == BUDGET_PAUSED)
		resume_own(target, process);
}

static void stepped(const struct process *process, bool *call, bool *freed)
{
	for (size_t i = 0; i < process->now.modules_count; i++) {
		const struct module *module = process->now.modules[i];

		if (is_malloc(module))
			modules_stepped(module, call, freed);
	}
}

static bool is_governed(const struct target *target, const struct process *process)
{
	return process->gen && !process->exited && target_counts(target, process);
}

static void govern_one(struct target *target, struct process *process, double seconds, uint64_t now_ns)
{
	struct governed *governed = &process->governed;
	const enum budget_level from = governed->budget.level;
	bool stepped_call = false, stepped_free = false;
	struct budget_load load = { 0 };
	struct budget_prices prices;

	stepped(process, &stepped_call, &stepped_free);
	prices = prices_of(target->governor, stepped_call, stepped_free);
	add_load(target, process, seconds, &load);
	if (!budget_step(&governed->budget, &load, &prices, target->governor->most, now_ns))
		return;
	apply(target, process, from, governed->budget.level);
	tell(target, process, governed, from);
}

/* Probes are in every process: they go from all of them, or from none. */
static void apply_to_all(struct target *target, enum budget_level from, enum budget_level to)
{
	struct process *process;

	for (uint32_t gen = 0; gen < HB_PLANS; gen++)
		session_plan(target->session, (gen & (HB_PLANS / 2 - 1)) | (gen / (HB_PLANS / 2)) << 31)->period =
			budget_period(to); /* of those to come as well */
	if (to == BUDGET_PAUSED)
		modules_pause(target->modules);
	else if (from == BUDGET_PAUSED)
		modules_resume(target->modules);
	for (process = target->newest; process; process = process->older) {
		if (!is_governed(target, process))
			continue;
		process->governed.budget = target->governor->all.budget;
		if (to == BUDGET_PAUSED)
			forget_blocks(target, process);
	}
}

static void govern_all(struct target *target, double seconds, uint64_t now_ns)
{
	struct governed *all = &target->governor->all;
	const enum budget_level from = all->budget.level;
	bool stepped_call = false, stepped_free = false;
	struct budget_load load = { 0 };
	struct budget_prices prices;
	struct process *process;
	double alive = 0;

	for (process = target->newest; process; process = process->older) {
		if (!is_governed(target, process))
			continue;
		alive++;
		stepped(process, &stepped_call, &stepped_free);
		add_load(target, process, seconds, &load);
		process->governed.budget = all->budget;
	}
	if (!alive)
		return;
	load = (struct budget_load){ load.entered / alive, load.returned / alive, load.freed / alive };
	prices = prices_of(target->governor, stepped_call, stepped_free);
	if (!budget_step(&all->budget, &load, &prices, target->governor->most, now_ns))
		return;
	apply_to_all(target, from, all->budget.level);
	tell(target, NULL, all, from);
}

uint64_t target_tick(struct target *target)
{
	const uint64_t now_ns = clock_mono_ns();
	struct governor *governor = target->governor;
	struct process *process;
	double seconds;

	if (!governor)
		return UINT64_MAX;
	if (now_ns < governor->ticked_ns + TICK_NS)
		return governor->ticked_ns + TICK_NS;
	seconds = (double)(now_ns - governor->ticked_ns) / 1e9;
	governor->ticked_ns = now_ns;
	read_runs(target);
	governor->ticks++;
	if (target->follow) {
		govern_all(target, seconds, now_ns);
		return now_ns + TICK_NS;
	}
	for (process = target->newest; process; process = process->older) {
		if (is_governed(target, process))
			govern_one(target, process, seconds, now_ns);
	}
	return now_ns + TICK_NS;
}

bool target_paused(const struct process *process)
{
	return process->governed.budget.level == BUDGET_PAUSED;
}

void target_governed_again(struct target *target, struct process *to, const struct process *from)
{
	if (!target->governor)
		return;
	if (target->follow)
		to->governed.budget = target->governor->all.budget;
	else if (from && !from->exited)
		to->governed.budget = from->governed.budget; /* by exec: its probes hold for the process */
	if (to->gen)
		set_period(target, to, to->governed.budget.level);
}

size_t target_changes(struct target *target, struct report_change *changes, size_t cap)
{
	struct governor *governor = target->governor;
	size_t count = governor ? governor->changes_count : 0;

	if (count > cap)
		count = cap;
	if (count)
		memcpy(changes, governor->changes + governor->changes_count - count, count * sizeof(*changes));
	if (governor)
		governor->changes_count = 0;
	return count;
}
