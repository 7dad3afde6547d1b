// SPDX-License-Identifier: Apache-2.0
/* Was the victim the culprit, or what else was it. */
#include "postmortem_rules.h"

/* What all of the domain used. */
static uint64_t used_bytes(const struct postmortem *pm)
{
	uint64_t sum = POSTMORTEM_UNKNOWN;
	size_t i;

	if (is_known(pm->domain.usage_bytes))
		return pm->domain.usage_bytes;
	if (is_known(pm->domain.limit_bytes))
		return pm->domain.limit_bytes;
	for (i = 0; i < pm->tasks_count; i++) {
		uint64_t parts[] = { sum, postmortem_task_rss(&pm->tasks[i]) };

		sum = postmortem_sum(parts, 2);
	}
	return sum;
}

/* The task that held most, without the victim if @others; NULL: none is known. */
static const struct postmortem_task *largest_task(const struct postmortem *pm, bool others)
{
	const struct postmortem_task *largest = NULL;
	size_t i;

	for (i = 0; i < pm->tasks_count; i++) {
		const struct postmortem_task *task = &pm->tasks[i];
		uint64_t rss = postmortem_task_rss(task);

		if (!is_known(rss) || (others && (task->victim || task->pid == pm->victim.pid)))
			continue;
		if (!largest || rss > postmortem_task_rss(largest))
			largest = task;
	}
	return largest;
}

static bool chosen_by_score(const struct postmortem *pm, struct sentence *s)
{
	const struct postmortem_task *other = largest_task(pm, true);
	uint64_t own = postmortem_victim_rss(pm), all = used_bytes(pm);

	if (!other || !is_known(own) || !is_known(all) || own >= all / 2)
		return false;
	if (pm->victim.oom_score_adj == POSTMORTEM_ADJ_UNKNOWN || other->oom_score_adj == POSTMORTEM_ADJ_UNKNOWN)
		return false;
	if (postmortem_task_rss(other) <= own || pm->victim.oom_score_adj <= other->oom_score_adj)
		return false;
	say(s, "It was chosen by its oom_score_adj of %d; the larger holder is ", pm->victim.oom_score_adj);
	say_comm(s, other->comm);
	say(s, " (pid %u", other->pid);
	say_container(s, pm, other->container);
	say(s, ") with ");
	say_bytes(s, postmortem_task_rss(other));
	say(s, ".");
	return true;
}

static bool many_processes(const struct postmortem *pm, struct sentence *s)
{
	const struct postmortem_task *largest = largest_task(pm, false);
	size_t i, total = pm->tasks_total > pm->tasks_count ? pm->tasks_total : pm->tasks_count, counted = 0;
	uint64_t sum = 0, all = used_bytes(pm);

	if (total < 50 || !largest || !is_known(all) || exceeds(postmortem_task_rss(largest), all, 10))
		return false;
	for (i = 0; i < pm->tasks_count; i++) {
		uint64_t rss = postmortem_task_rss(&pm->tasks[i]);

		if (is_known(rss) && !__builtin_add_overflow(sum, rss, &sum))
			counted++;
	}
	if (total > pm->tasks_count)
		say(s, "%zu processes, the largest %zu of about ", total, pm->tasks_count);
	else
		say(s, "%zu processes of about ", total);
	say_bytes(s, sum / (counted ? counted : 1));
	say(s, " each: a fork or worker-count problem.");
	return true;
}

/* "320.0 MiB (50%)" */
static void say_part(struct sentence *s, uint64_t part, uint64_t whole)
{
	say_bytes(s, part);
	say(s, " (");
	say_share(s, part, whole);
	say(s, ")");
}

static bool shared_files(const struct postmortem *pm, struct sentence *s)
{
	uint64_t all = used_bytes(pm);

	if (!pm->domain.has_stat || !exceeds(pm->domain.stat_shmem, all, 30))
		return false;
	say_part(s, pm->domain.stat_shmem, all);
	say(s, " are files in tmpfs or shared memory: killing a process does not free them.");
	return true;
}

static bool kernel_memory(const struct postmortem *pm, struct sentence *s)
{
	static const char *const names[] = { "slab", "kernel stacks", "page tables", "socket buffers" };
	uint64_t parts[] = { pm->domain.stat_slab, pm->domain.stat_kernel_stack, pm->domain.stat_pagetables,
			     pm->domain.stat_sock };
	uint64_t sum = postmortem_sum(parts, 4), all = used_bytes(pm);
	size_t i, most = 0;

	if (!pm->domain.has_stat || !exceeds(sum, all, 25))
		return false;
	for (i = 0; i < 4; i++) {
		if (is_known(parts[i]) && (!is_known(parts[most]) || parts[i] > parts[most]))
			most = i;
	}
	say_part(s, sum, all);
	say(s, " are kernel memory, mostly %s (", names[most]);
	say_bytes(s, parts[most]);
	say(s, "); no process's RSS shows it.");
	return true;
}

static bool page_tables(const struct postmortem *pm, struct sentence *s)
{
	uint64_t tables = pm->domain.has_stat ? pm->domain.stat_pagetables : POSTMORTEM_UNKNOWN, all = used_bytes(pm);
	size_t i;

	for (i = 0; i < pm->tasks_count && (!pm->domain.has_stat || !is_known(pm->domain.stat_pagetables)); i++) {
		uint64_t parts[] = { tables, pm->tasks[i].pgtables_bytes };

		tables = postmortem_sum(parts, 2);
	}
	if (!exceeds(tables, all, 5))
		return false;
	say(s, "Page tables alone take ");
	say_part(s, tables, all);
	say(s, ": many sparse or shared mappings; huge pages would help.");
	return true;
}

/* memory.stat's file counts tmpfs as well: Documentation/admin-guide/cgroup-v2.rst */
static bool page_cache(const struct postmortem *pm, struct sentence *s)
{
	uint64_t cache = pm->domain.stat_file, shmem = pm->domain.stat_shmem, all = used_bytes(pm);

	if (!pm->domain.has_stat || pm->domain.kind != OOM_MEMCG || !is_known(cache))
		return false;
	if (is_known(shmem))
		cache -= shmem < cache ? shmem : cache;
	if (!exceeds(cache, all, 30))
		return false;
	say_part(s, cache, all);
	say(s, " of page cache could not be reclaimed (dirty or locked).");
	return true;
}

postmortem_rule *const rules_culprit[] = {
	chosen_by_score, many_processes, shared_files, kernel_memory, page_tables, page_cache, NULL,
};
