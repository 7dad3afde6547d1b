// SPDX-License-Identifier: Apache-2.0
/* heldby.postmortem/1: one kill, one line. Its lists are short, so it is built as one tree. */
#include "postmortem.h"

#include <errno.h>

#include "../base/clock.h"
#include "../model/gfp.h"
#include "json_pen.h"
#include "json_site.h"
#include "words.h"

static void put_time(struct json_pen *pen, struct json_object *object, const char *key, int64_t unix_ns)
{
	char text[32];

	clock_rfc3339(unix_ns, text);
	json_put(pen, object, key, json_object_new_string(text));
}

static void put_known(struct json_pen *pen, struct json_object *object, const char *key, uint64_t number)
{
	if (number != POSTMORTEM_UNKNOWN)
		json_put_number(pen, object, key, number);
}

static void put_adj(struct json_pen *pen, struct json_object *object, int32_t oom_score_adj)
{
	if (oom_score_adj != POSTMORTEM_ADJ_UNKNOWN)
		json_put_signed(pen, object, "oom_score_adj", oom_score_adj);
}

static void put_seconds(struct json_pen *pen, struct json_object *object, const char *key, uint64_t ns)
{
	if (ns != POSTMORTEM_UNKNOWN)
		json_put_decimal(pen, object, key, (double)ns / 1e9);
}

static void put_container(struct json_pen *pen, struct json_object *object, const struct container_info *container)
{
	if (container)
		json_put(pen, object, "container", json_container(pen, container));
}

static void put_victim_memory(struct json_pen *pen, struct json_object *object, const struct postmortem *pm)
{
	put_known(pen, object, "total_vm_bytes", pm->victim.total_vm_bytes);
	put_known(pen, object, "anon_rss_bytes", pm->victim.anon_rss_bytes);
	put_known(pen, object, "file_rss_bytes", pm->victim.file_rss_bytes);
	put_known(pen, object, "shmem_rss_bytes", pm->victim.shmem_rss_bytes);
	put_known(pen, object, "swap_bytes", pm->victim.swap_bytes);
	put_known(pen, object, "pgtables_bytes", pm->victim.pgtables_bytes);
	if (pm->victim.approximate)
		json_put_bool(pen, object, "approximate", true);
}

static struct json_object *thread_object(struct json_pen *pen, const struct postmortem_thread *thread)
{
	struct json_object *object = json_object_new_object(), *frames = json_object_new_array();
	size_t i;

	json_put_number(pen, object, "thread", thread->thread);
	json_put_text(pen, object, "comm", thread->comm);
	for (i = 0; i < thread->frames_count; i++)
		json_append(pen, frames, json_frame(pen, &thread->frames[i], true));
	json_put(pen, object, "frames", frames);
	return object;
}

static void put_threads(struct json_pen *pen, struct json_object *object, const struct postmortem *pm)
{
	struct json_object *array;
	size_t i;

	if (!pm->victim.threads_shown)
		return;
	array = json_object_new_array();
	for (i = 0; i < pm->victim.threads_shown; i++)
		json_append(pen, array, thread_object(pen, &pm->victim.threads[i]));
	json_put(pen, object, "threads", array);
}

static struct json_object *victim_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object();

	json_put_number(pen, object, "pid", pm->victim.pid);
	json_put_number(pen, object, "thread", pm->victim.thread);
	json_put_text(pen, object, "comm", pm->victim.comm);
	json_put_text(pen, object, "cmdline", pm->victim.cmdline);
	json_put_text(pen, object, "cmdline_how", pm->victim.cmdline_how);
	put_known(pen, object, "uid", pm->victim.uid);
	json_put_text(pen, object, "cgroup", pm->victim.cgroup);
	put_container(pen, object, pm->victim.container);
	put_adj(pen, object, pm->victim.oom_score_adj);
	put_known(pen, object, "badness_pages", pm->victim.badness_pages);
	put_seconds(pen, object, "lifetime_s", pm->victim.lifetime_ns);
	put_victim_memory(pen, object, pm);
	if (pm->victim.start_unix_ns)
		put_time(pen, object, "start_time", pm->victim.start_unix_ns);
	if (pm->victim.container_pid)
		json_put_number(pen, object, "container_pid", pm->victim.container_pid);
	if (pm->victim.threads_count)
		json_put_number(pen, object, "threads_count", pm->victim.threads_count);
	json_put_text(pen, object, "outcome", pm->victim.already_dying ? "already dying" : "killed");
	if (pm->victim.marks_count)
		json_put_number(pen, object, "marks_count", pm->victim.marks_count);
	put_seconds(pen, object, "freed_s", pm->victim.freed_ns);
	put_threads(pen, object, pm);
	return object;
}

static void put_request(struct json_pen *pen, struct json_object *object, const struct postmortem *pm)
{
	char text[GFP_TEXT_BYTES];

	if (pm->trigger.gfp_mask)
		json_put_text(pen, object, "gfp_mask", pm->trigger.gfp_mask);
	else if (pm->trigger.gfp_known)
		json_put_text(pen, object, "gfp_mask", gfp_text(pm->trigger.gfp, NULL, text, sizeof(text)));
	if (pm->trigger.gfp_known && pm->trigger.order >= 0)
		json_put_signed(pen, object, "order", pm->trigger.order);
}

static struct json_object *trigger_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object(), *frames = json_object_new_array();
	size_t i;

	if (pm->trigger.comm) {
		json_put_number(pen, object, "pid", pm->trigger.pid);
		json_put_number(pen, object, "thread", pm->trigger.thread);
	}
	json_put_text(pen, object, "comm", pm->trigger.comm);
	put_request(pen, object, pm);
	if (pm->trigger.comm)
		json_put_text(pen, object, "kind", postmortem_trigger_name(pm->trigger.kind));
	json_put_text(pen, object, "cgroup", pm->trigger.cgroup);
	put_container(pen, object, pm->trigger.container);
	for (i = 0; i < pm->trigger.frames_count; i++)
		json_append(pen, frames, json_frame(pen, &pm->trigger.frames[i], true));
	json_put(pen, object, "frames", frames);
	return object;
}

static struct json_object *stat_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object();

	put_known(pen, object, "anon", pm->domain.stat_anon);
	put_known(pen, object, "file", pm->domain.stat_file);
	put_known(pen, object, "shmem", pm->domain.stat_shmem);
	put_known(pen, object, "kernel_stack", pm->domain.stat_kernel_stack);
	put_known(pen, object, "slab", pm->domain.stat_slab);
	put_known(pen, object, "pagetables", pm->domain.stat_pagetables);
	put_known(pen, object, "sock", pm->domain.stat_sock);
	return object;
}

static void put_nodes(struct json_pen *pen, struct json_object *object, const struct postmortem *pm)
{
	struct json_object *array = NULL;
	unsigned int i;

	for (i = 0; i < 64 * POSTMORTEM_NODE_WORDS; i++) {
		if (!postmortem_allows_node(pm, i))
			continue;
		if (!array)
			json_put(pen, object, "nodes", array = json_object_new_array());
		json_append(pen, array, json_object_new_int((int)i));
	}
	put_known(pen, object, "nodes_free_bytes", pm->domain.nodes_free_bytes);
	put_known(pen, object, "elsewhere_free_bytes", pm->domain.elsewhere_free_bytes);
}

static void put_percent(struct json_pen *pen, struct json_object *object, const char *key, uint64_t hundredths)
{
	if (hundredths != POSTMORTEM_UNKNOWN)
		json_put_decimal(pen, object, key, (double)hundredths / 100);
}

static struct json_object *pressure_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object();

	put_percent(pen, object, "some_10s_percent", pm->domain.pressure_some_10s);
	put_percent(pen, object, "some_60s_percent", pm->domain.pressure_some_60s);
	put_percent(pen, object, "full_10s_percent", pm->domain.pressure_full_10s);
	put_percent(pen, object, "full_60s_percent", pm->domain.pressure_full_60s);
	return object;
}

static struct json_object *levels_array(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < pm->domain.levels_count; i++) {
		const struct postmortem_level *level = &pm->domain.levels[i];
		struct json_object *object = json_object_new_object();

		json_put_text(pen, object, "cgroup", level->cgroup);
		put_known(pen, object, "limit_bytes", level->limit_bytes);
		put_known(pen, object, "usage_bytes", level->usage_bytes);
		put_known(pen, object, "peak_bytes", level->peak_bytes);
		json_append(pen, array, object);
	}
	return array;
}

static struct json_object *domain_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object();

	json_put_text(pen, object, "kind", postmortem_domain_name(pm->domain.kind));
	json_put_text(pen, object, "how", pm->domain.how);
	json_put_text(pen, object, "cgroup", pm->domain.cgroup);
	put_container(pen, object, pm->domain.container);
	json_put_text(pen, object, "counter", pm->domain.counter);
	put_known(pen, object, "limit_bytes", pm->domain.limit_bytes);
	put_known(pen, object, "usage_bytes", pm->domain.usage_bytes);
	put_known(pen, object, "free_bytes", pm->domain.free_bytes);
	put_known(pen, object, "swap_total_bytes", pm->domain.swap_total_bytes);
	put_known(pen, object, "swap_free_bytes", pm->domain.swap_free_bytes);
	put_nodes(pen, object, pm);
	if (pm->domain.has_stat)
		json_put(pen, object, "stat", stat_object(pen, pm));
	json_put_text(pen, object, "stat_how", pm->domain.stat_how);
	if (pm->domain.pressure_some_10s != POSTMORTEM_UNKNOWN)
		json_put(pen, object, "pressure", pressure_object(pen, pm));
	if (pm->domain.levels_count)
		json_put(pen, object, "levels", levels_array(pen, pm));
	return object;
}

static struct json_object *history_array(struct json_pen *pen, const struct postmortem_sample *samples, size_t count)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < count; i++) {
		struct json_object *object = json_object_new_object();

		json_put_decimal(pen, object, "age_s", samples[i].age_s);
		put_known(pen, object, "rss_bytes", samples[i].rss_bytes);
		put_known(pen, object, "cgroup_bytes", samples[i].cgroup_bytes);
		json_append(pen, array, object);
	}
	return array;
}

static struct json_object *task_object(struct json_pen *pen, const struct postmortem_task *task)
{
	struct json_object *object = json_object_new_object();

	json_put_number(pen, object, "pid", task->pid);
	json_put_text(pen, object, "comm", task->comm);
	json_put_text(pen, object, "cgroup", task->cgroup);
	put_container(pen, object, task->container);
	put_known(pen, object, "anon_rss_bytes", task->anon_rss_bytes);
	put_known(pen, object, "file_rss_bytes", task->file_rss_bytes);
	put_known(pen, object, "shmem_rss_bytes", task->shmem_rss_bytes);
	put_known(pen, object, "swap_bytes", task->swap_bytes);
	put_known(pen, object, "pgtables_bytes", task->pgtables_bytes);
	if (task->approximate)
		json_put_bool(pen, object, "approximate", true);
	put_adj(pen, object, task->oom_score_adj);
	json_put_bool(pen, object, "victim", task->victim);
	if (task->history_count)
		json_put(pen, object, "history", history_array(pen, task->history, task->history_count));
	return object;
}

static struct json_object *tasks_array(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < pm->tasks_count; i++)
		json_append(pen, array, task_object(pen, &pm->tasks[i]));
	return array;
}

/* As in a board's document. */
static struct json_object *sampling_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object();

	json_put_text(pen, object, "malloc", pm->holders_sampling);
	if (pm->holders_direct_off)
		json_put_text(pen, object, "direct", budget_name(BUDGET_PAUSED));
	return object;
}

static struct json_object *holders_array(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_site_about about = {
		.pid = pm->victim.pid, .group = GROUP_SITE,
	};
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < pm->holders_count; i++) {
		about.approximate = pm->holders_approximate >> pm->holders[i].source & 1;
		if (postmortem_shows_row(pm, &pm->holders[i]))
			json_append(pen, array, json_site(pen, &pm->holders[i], &about));
	}
	return array;
}

static struct json_object *jvm_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object();

	put_known(pen, object, "heap_max_bytes", pm->java_heap_max_bytes);
	put_known(pen, object, "direct_reserved_bytes", pm->java_direct_bytes);
	return object;
}

static struct json_object *kills_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object();

	json_put_number(pen, object, "count", pm->kills_before);
	json_put_decimal(pen, object, "shortest_lifetime_s", pm->kills_before_lived_s[0]);
	json_put_decimal(pen, object, "longest_lifetime_s", pm->kills_before_lived_s[1]);
	return object;
}

static struct json_object *verdict_array(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *array = json_object_new_array();
	struct postmortem_verdict verdict;
	size_t i;

	postmortem_judge(pm, &verdict);
	for (i = 0; i < verdict.count; i++)
		json_append(pen, array, json_text(verdict.sentences[i]));
	return array;
}

/* By name, as "detail" of a board's losses. */
static struct json_object *losses_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *object = json_object_new_object(), *detail = json_object_new_object();
	size_t i;

	for (i = 0; i < pm->losses_count; i++) {
		if (pm->losses[i].count)
			json_put_number(pen, detail, loss_kind(pm->losses[i].kind)->name, pm->losses[i].count);
	}
	json_put(pen, object, "detail", detail);
	return object;
}

static void put_head(struct json_pen *pen, struct json_object *document, const struct postmortem *pm)
{
	json_put_text(pen, document, "schema", "heldby.postmortem/1");
	put_time(pen, document, "time", pm->time_unix_ns);
	json_put_text(pen, document, "host", pm->host);
	json_put_text(pen, document, "kernel", pm->kernel);
	if (pm->sequence)
		json_put_number(pen, document, "sequence", pm->sequence);
	if (pm->group)
		json_put_number(pen, document, "group", pm->group);
	if (pm->group_count > 1)
		json_put_number(pen, document, "group_count", pm->group_count);
}

static struct json_object *document_object(struct json_pen *pen, const struct postmortem *pm)
{
	struct json_object *document = json_object_new_object();

	put_head(pen, document, pm);
	json_put(pen, document, "victim", victim_object(pen, pm));
	json_put(pen, document, "trigger", trigger_object(pen, pm));
	json_put(pen, document, "domain", domain_object(pen, pm));
	json_put(pen, document, "tasks", tasks_array(pen, pm));
	if (pm->tasks_total > pm->tasks_count)
		json_put_number(pen, document, "tasks_total_count", pm->tasks_total);
	json_put(pen, document, "holders", holders_array(pen, pm));
	if (pm->holders_explained_bytes)
		put_known(pen, document, "holders_explained_bytes", pm->holders_explained_bytes);
	if (postmortem_explained_percent(pm) >= 0)
		json_put_decimal(pen, document, "holders_explained_percent", postmortem_explained_percent(pm));
	if (pm->holders_traced_ns != POSTMORTEM_UNKNOWN)
		json_put_decimal(pen, document, "holders_traced_s", (double)pm->holders_traced_ns / 1e9);
	if (pm->holders_scaled)
		json_put_bool(pen, document, "holders_scaled", true);
	if (pm->holders_sampling || pm->holders_direct_off)
		json_put(pen, document, "sampling", sampling_object(pen, pm));
	if (pm->java_heap_max_bytes != POSTMORTEM_UNKNOWN || pm->java_direct_bytes != POSTMORTEM_UNKNOWN)
		json_put(pen, document, "jvm", jvm_object(pen, pm));
	json_put(pen, document, "history", history_array(pen, pm->history, pm->history_count));
	if (pm->kills_before)
		json_put(pen, document, "kills_before", kills_object(pen, pm));
	json_put(pen, document, "verdict", verdict_array(pen, pm));
	json_put(pen, document, "losses", losses_object(pen, pm));
	return document;
}

int postmortem_json(FILE *out, const struct postmortem *pm, const struct view_style *style)
{
	struct json_pen pen = { .failed = false };
	struct json_object *document = document_object(&pen, pm);
	const char *text = NULL;
	size_t length = 0;

	(void)style;
	if (document && !pen.failed)
		text = json_object_to_json_string_length(document, JSON_PEN_PLAIN, &length);
	if (text) {
		fwrite(text, 1, length, out);
		fputc('\n', out);
	}
	json_object_put(document);
	return text ? words_flush(out) : -ENOMEM;
}
