// SPDX-License-Identifier: Apache-2.0
#include "oom_ask.h"

#include <errno.h>
#include <string.h>

#include "../base/clock.h"
#include "oom_domain.h"

#define DOMAIN_CGROUPS 64 /* whose past is added up */

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

/* Add what the cgroup @id held when the victim was looked at: all were looked at in the same moments. */
static void add_cgroup(const struct oom_ask *ask, struct capture *capture, uint64_t id)
{
	struct history_sample past[CAPTURE_SAMPLES_MAX];
	size_t next = 0, count = history_get(ask->history, HISTORY_CGROUP, id, 0, capture->kill.time_ns, past,
					     CAPTURE_SAMPLES_MAX);

	for (size_t i = 0; i < capture->rss_count; i++) {
		uint64_t *bytes = &capture->domain_bytes[i];

		while (next < count && past[next].age_s > capture->rss[i].age_s)
			next++;
		if (next < count && past[next].age_s == capture->rss[i].age_s)
			*bytes = past[next].bytes + (*bytes == CAPTURE_UNKNOWN ? 0 : *bytes);
	}
}

/* The domain's past is that of its cgroups which have a process now, the victim's first. Too many: it is not known. */
static void ask_domain_past(const struct oom_ask *ask, struct capture *capture, const struct hb_oom_task *tasks,
			    size_t count)
{
	uint64_t ids[DOMAIN_CGROUPS] = { capture->kill.levels[0].id };
	size_t n = 1, at;

	for (size_t i = 0; i < count; i++) {
		for (at = 0; at < n && ids[at] != tasks[i].cgroup; at++)
			;
		if (at == DOMAIN_CGROUPS)
			return;
		if (at == n)
			ids[n++] = tasks[i].cgroup;
	}
	for (at = 0; at < n; at++)
		add_cgroup(ask, capture, ids[at]);
}

static void ask_past(const struct oom_ask *ask, struct capture *capture, const struct hb_oom_task *tasks, size_t count)
{
	const struct hb_ev_oom *kill = &capture->kill;
	size_t others = 0;

	capture->rss_count = history_get(ask->history, HISTORY_PROCESS, kill->tgid, kill->start_ns, kill->time_ns,
					 capture->rss, CAPTURE_SAMPLES_MAX);
	memset(capture->domain_bytes, 0xff, sizeof(capture->domain_bytes)); /* UNKNOWN */
	if (kill->domain_id && kill->levels_count)
		ask_domain_past(ask, capture, tasks, count);
	for (size_t i = 0; i < capture->tasks_count && others < CAPTURE_OTHERS_MAX; i++) {
		const struct hb_oom_task *task = &capture->tasks[i];

		if (task->tgid == kill->tgid)
			continue;
		capture->others_count[others] =
			history_get(ask->history, HISTORY_PROCESS, task->tgid, task->start_ns, kill->time_ns,
				    capture->others[others], CAPTURE_SAMPLES_MAX);
		others++;
	}
}

/* What was noted of the victim's command line: until it takes its signal, which may take long, it tells of none. */
static void ask_command(const struct oom_ask *ask, struct capture *capture)
{
	struct capture_after *after = &capture->after;
	struct hb_oom_earlier earlier;

	if (session_oom_command(ask->session, capture->kill.tgid, capture->kill.start_ns, &earlier))
		return;
	after->command_bytes = earlier.bytes;
	after->command_how = HB_OOM_COMMAND_EARLIER;
	memcpy(after->command, earlier.text, earlier.bytes);
}

void oom_ask(const struct oom_ask *ask, struct capture *capture)
{
	const struct hb_ev_oom *kill = &capture->kill;
	const struct hb_oom_task *tasks;
	char path[CAPTURE_PATH_BYTES];
	size_t count;
	int err;

	ask_command(ask, capture);
	err = session_oom_tasks(ask->session, kill->domain_id, &tasks, &count);
	memstat_parse_pressure(&capture->pressure, ""); /* nothing is known */
	if (!err || err == -E2BIG)
		keep_tasks(ask, capture, tasks, count);
	capture_ask_path(capture, &ask->mounts);
	for (size_t i = 0; i < kill->levels_count && i < HB_OOM_LEVELS; i++) {
		if (!kill->domain_id || kill->levels[i].id != kill->domain_id ||
		    !capture_path(capture, i, path, sizeof(path)))
			continue;
		if (!(kill->flags & HB_OOM_V1))
			memstat_pressure(&ask->mounts, path, &capture->pressure);
		capture->has_stat = !memstat_cgroup(&ask->mounts, kill->flags & HB_OOM_V1, path, &capture->stat);
	}
	capture->has_nodes = ask_nodes(kill, &capture->nodes);
	capture->has_host = !memstat_host(&capture->host);
	if (!kill->domain_id)
		memstat_pressure(&ask->mounts, NULL, &capture->pressure);
	if (oom_domain_kind(kill) == OOM_GLOBAL && !(kill->flags & HB_OOM_SYSRQ)) {
		capture->has_stat = capture->has_host;
		capture->stat = capture->host.stat;
	}
	capture->time_unix_ns = clock_unix_ns() - (int64_t)(clock_mono_ns() - kill->time_ns);
	ask_past(ask, capture, tasks, count);
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
