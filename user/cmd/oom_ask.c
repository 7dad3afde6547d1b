// SPDX-License-Identifier: Apache-2.0
#include "oom_ask.h"

#include <errno.h>
#include <string.h>

#include "../base/clock.h"

#define PATH_BYTES 4096

uint64_t oom_ask_bytes(const struct oom_ask *ask, const struct hb_oom_task *task)
{
	return (task->pages[HB_OOM_FILE] + task->pages[HB_OOM_ANON] + task->pages[HB_OOM_SHMEM]) * ask->page_bytes;
}

/* The victim is kept in any case; what it held is known by its mark. */
static uint64_t rank_of(const struct oom_ask *ask, const struct capture *capture, const struct hb_oom_task *task)
{
	return task->tgid == capture->kill.tgid ? UINT64_MAX : oom_ask_bytes(ask, task);
}

/* Keep those that hold most, in order; @tasks has all, and of the kernel's threads, too, which hold nothing. */
static void keep_tasks(const struct oom_ask *ask, struct capture *capture, const struct hb_oom_task *tasks,
		       size_t count)
{
	capture->tasks_count = 0;
	capture->tasks_total = 0;
	for (size_t i = 0; i < count; i++) {
		size_t at = capture->tasks_count;

		capture->trigger_inside |= tasks[i].tgid == capture->kill.by_tgid;
		if (!tasks[i].has_mm && tasks[i].tgid != capture->kill.tgid)
			continue;
		capture->tasks_total++;
		while (at && rank_of(ask, capture, &capture->tasks[at - 1]) < rank_of(ask, capture, &tasks[i]))
			at--;
		if (at == CAPTURE_TASKS_MAX)
			continue;
		if (capture->tasks_count < CAPTURE_TASKS_MAX)
			capture->tasks_count++;
		memmove(&capture->tasks[at + 1], &capture->tasks[at],
			(capture->tasks_count - at - 1) * sizeof(capture->tasks[0]));
		capture->tasks[at] = tasks[i];
	}
}

/* What is free on the NUMA nodes that were allowed, and on the others, if that is known. */
static bool ask_nodes(const struct hb_ev_oom *kill, struct memstat_nodes *out)
{
	uint64_t nodes[MEMSTAT_NODE_WORDS], any = 0;

	_Static_assert(sizeof(nodes) == sizeof(kill->nodes), "the same nodes");
	memcpy(nodes, kill->nodes, sizeof(nodes));
	for (size_t i = 0; i < MEMSTAT_NODE_WORDS; i++)
		any |= nodes[i];
	return any && !memstat_nodes(nodes, out);
}

void oom_ask(const struct oom_ask *ask, struct capture *capture)
{
	const struct hb_ev_oom *kill = &capture->kill;
	const struct hb_oom_task *tasks;
	char path[PATH_BYTES];
	size_t count;
	int err = session_oom_tasks(ask->session, kill->domain_id, &tasks, &count);

	memstat_parse_pressure(&capture->pressure, ""); /* nothing is known */
	if (!err || err == -E2BIG)
		keep_tasks(ask, capture, tasks, count);
	for (size_t i = 0; i < kill->levels_count && i < HB_OOM_LEVELS; i++) {
		if (!kill->domain_id || kill->levels[i].id != kill->domain_id)
			continue;
		if (!(kill->flags & HB_OOM_V1))
			memstat_pressure(&ask->mounts, capture_path(kill, i, path, sizeof(path)),
					 &capture->pressure);
		capture->has_stat = !memstat_cgroup(&ask->mounts, kill->flags & HB_OOM_V1,
						    capture_path(kill, i, path, sizeof(path)), &capture->stat);
	}
	capture->has_nodes = ask_nodes(kill, &capture->nodes);
	capture->has_host = !memstat_host(&capture->host);
	if (!kill->domain_id)
		memstat_pressure(&ask->mounts, NULL, &capture->pressure);
	capture->time_unix_ns = clock_unix_ns() - (int64_t)(clock_mono_ns() - kill->time_ns);
	capture->rss_count = history_get(ask->history, HISTORY_PROCESS, kill->tgid, kill->start_ns, kill->time_ns,
					 capture->rss, CAPTURE_SAMPLES_MAX);
	if (kill->levels_count)
		capture->cgroup_count = history_get(ask->history, HISTORY_CGROUP, kill->levels[0].id, 0,
						    kill->time_ns, capture->cgroup, CAPTURE_SAMPLES_MAX);
}

void oom_ask_rehearse(const struct oom_ask *ask, struct capture *capture)
{
	capture->kill.levels_count = 1;
	capture->kill.levels[0].id = capture->kill.domain_id = 1;
	capture->kill.nodes[0] = 1;
	oom_ask(ask, capture);
	capture->kill.flags = HB_OOM_V1;
	oom_ask(ask, capture);
	memset(capture, 0, sizeof(*capture));
}
