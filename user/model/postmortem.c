// SPDX-License-Identifier: Apache-2.0
#include "postmortem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "postmortem_rules.h"

void postmortem_init(struct postmortem *pm)
{
	const uint64_t unknown = POSTMORTEM_UNKNOWN;
	size_t i;

	*pm = (struct postmortem){
		.group_count = 1,
		.victim = { .comm = "", .uid = unknown, .oom_score_adj = POSTMORTEM_ADJ_UNKNOWN,
			    .badness_pages = unknown, .lifetime_ns = unknown, .freed_ns = unknown,
			    .total_vm_bytes = unknown, .anon_rss_bytes = unknown, .file_rss_bytes = unknown,
			    .shmem_rss_bytes = unknown, .swap_bytes = unknown, .pgtables_bytes = unknown },
		.trigger = { .order = -1 },
		.domain = { .kind = OOM_DOMAIN_UNKNOWN, .limit_bytes = unknown, .usage_bytes = unknown,
			    .nodes_free_bytes = unknown, .elsewhere_free_bytes = unknown,
			    .stat_anon = unknown, .stat_file = unknown, .stat_shmem = unknown,
			    .stat_kernel_stack = unknown, .stat_slab = unknown, .stat_pagetables = unknown,
			    .stat_sock = unknown, .pressure_some_10s = unknown, .pressure_some_60s = unknown,
			    .pressure_full_10s = unknown, .pressure_full_60s = unknown,
			    .free_bytes = unknown, .swap_total_bytes = unknown,
			    .swap_free_bytes = unknown },
		.holders_traced_ns = unknown,
		.java_heap_max_bytes = unknown, .java_direct_bytes = unknown,
	};
	for (i = 0; i < POSTMORTEM_LEVELS_MAX; i++)
		pm->domain.levels[i] = (struct postmortem_level){ NULL, unknown, unknown, unknown };
}

char *postmortem_id(const struct postmortem *pm, char out[POSTMORTEM_ID_BYTES])
{
	char time[32];
	size_t length = 0;
	const char *c;

	clock_rfc3339(pm->time_unix_ns, time);
	for (c = time; *c; c++) {
		if (*c != '-' && *c != ':')
			out[length++] = *c;
	}
	snprintf(out + length, POSTMORTEM_ID_BYTES - length, "-%llu-%u", (unsigned long long)pm->sequence,
		 pm->victim.pid);
	return out;
}

const char *postmortem_domain_name(enum oom_domain kind)
{
	static const char *const names[] = {
		[OOM_GLOBAL] = "global", [OOM_CPUSET] = "cpuset", [OOM_MEMPOLICY] = "mempolicy", [OOM_MEMCG] = "memcg",
		[OOM_DOMAIN_UNKNOWN] = NULL,
	};

	return names[kind];
}

const char *postmortem_trigger_name(enum oom_trigger kind)
{
	static const char *const names[] = {
		[OOM_TRIGGER_TASK] = "task", [OOM_TRIGGER_KERNEL] = "kernel", [OOM_TRIGGER_SYSRQ] = "sysrq",
	};

	return names[kind];
}

uint64_t postmortem_sum(const uint64_t *numbers, size_t count)
{
	uint64_t sum = 0;
	bool any = false;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!is_known(numbers[i]))
			continue;
		any = true;
		if (__builtin_add_overflow(sum, numbers[i], &sum))
			return POSTMORTEM_UNKNOWN;
	}
	return any ? sum : POSTMORTEM_UNKNOWN;
}

uint64_t postmortem_task_rss(const struct postmortem_task *task)
{
	uint64_t parts[] = { task->anon_rss_bytes, task->file_rss_bytes, task->shmem_rss_bytes };

	return postmortem_sum(parts, 3);
}

uint64_t postmortem_victim_rss(const struct postmortem *pm)
{
	uint64_t parts[] = { pm->victim.anon_rss_bytes, pm->victim.file_rss_bytes, pm->victim.shmem_rss_bytes };

	return postmortem_sum(parts, 3);
}

uint64_t postmortem_victim_anonymous(const struct postmortem *pm)
{
	uint64_t parts[] = { pm->victim.anon_rss_bytes, pm->victim.shmem_rss_bytes };

	return postmortem_sum(parts, 2);
}

double postmortem_explained_percent(const struct postmortem *pm)
{
	uint64_t explained = pm->holders_explained_bytes, all = postmortem_victim_anonymous(pm);

	if (!explained || !is_known(explained) || !all || !is_known(all))
		return -1;
	return 100.0 * (double)explained / (double)all;
}

bool postmortem_allows_node(const struct postmortem *pm, unsigned int node)
{
	return node < 64 * POSTMORTEM_NODE_WORDS && pm->domain.nodes[node / 64] >> node % 64 & 1;
}

char *postmortem_nodes(const struct postmortem *pm, char *out, size_t size)
{
	struct sentence s = { .text = out, .size = size };
	unsigned int first, last;

	out[0] = '\0';
	for (first = 0; first < 64 * POSTMORTEM_NODE_WORDS; first = last + 1) {
		for (last = first; postmortem_allows_node(pm, last + 1) && postmortem_allows_node(pm, first);)
			last++;
		if (!postmortem_allows_node(pm, first))
			continue;
		say(&s, "%s%u", s.length ? "," : "", first);
		if (last > first)
			say(&s, "-%u", last);
	}
	return out;
}

bool postmortem_shows_row(const struct postmortem *pm, const struct board_row *row)
{
	return !pm->holders_shown || row->rank <= pm->holders_shown;
}

bool postmortem_limit_is_own(const struct postmortem *pm)
{
	const struct container_info *own = pm->victim.container, *hit = pm->domain.container;

	if (pm->domain.kind != OOM_MEMCG)
		return false;
	if (pm->domain.cgroup && pm->victim.cgroup && !strcmp(pm->domain.cgroup, pm->victim.cgroup))
		return true;
	return own && hit && *own->id && !strcmp(own->id, hit->id);
}

bool postmortem_counts_row(const struct postmortem *pm, const struct board_row *row)
{
	bool pages = false;
	size_t i;

	for (i = 0; i < pm->holders_count && !pages; i++)
		pages = pm->holders[i].source == HB_SRC_PAGES;
	return (row->source == HB_SRC_PAGES) == pages;
}

/* What allocates for everybody, or fills memory for everybody, says nothing: who called it does. */
static bool is_everybodys(const char *function)
{
	static const char *const names[] = { "malloc", "calloc", "realloc", "reallocarray", "memalign", "aligned_alloc",
					     "posix_memalign", "valloc", "pvalloc", "memset", "memcpy", "memmove" };
	/* Of C++, of glibc by what the CPU can do, of HotSpot. */
	static const char *const begins[] = { "operator new", "__memset_", "__memcpy_", "__memmove_", "Copy::" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(function, names[i]))
			return true;
	}
	for (i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		if (!strncmp(function, begins[i], strlen(begins[i])))
			return true;
	}
	return false;
}

char *postmortem_site_name(const struct board_row *row, char *out, size_t size)
{
	const char *found = NULL;
	size_t i;

	for (i = 0; i < row->frames_count && (!found || is_everybodys(found)); i++) {
		const char *function = row->frames[i].function;

		if (function && *function && (!found || !is_everybodys(function)))
			found = function;
	}
	if (found) {
		snprintf(out, size, "%s", found);
		return out;
	}
	if (row->frames_count && row->frames[0].module) {
		const char *module = row->frames[0].module, *slash = strrchr(module, '/');

		snprintf(out, size, "%s+0x%" PRIx64, slash && slash[1] ? slash + 1 : module, row->frames[0].offset);
	} else {
		snprintf(out, size, "unknown stack");
	}
	return out;
}

/* --- how rules speak -------------------------------------------------------------------------- */

void say_container(struct sentence *s, const struct postmortem *pm, const struct container_info *container)
{
	const struct container_info *own = pm->victim.container;
	char title[CONTAINER_TITLE_BYTES];

	if (!container || (own && !strcmp(own->id, container->id)))
		return;
	say(s, ", container ");
	say_path(s, container_title(container, title));
}

void say(struct sentence *s, const char *format, ...)
{
	size_t room = s->size - s->length;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(s->text + s->length, room, format, args);
	va_end(args);
	if (length > 0)
		s->length += (size_t)length < room ? (size_t)length : room - 1;
}

void say_bytes(struct sentence *s, uint64_t bytes)
{
	char text[16];

	say(s, "%s", text_bytes(bytes, text));
}

void say_seconds(struct sentence *s, double seconds)
{
	char text[16];

	say(s, "%s", text_seconds(seconds, text));
}

void say_share(struct sentence *s, uint64_t part, uint64_t whole)
{
	double percent = whole ? 100.0 * (double)part / (double)whole : 0;

	if (percent > 999)
		say(s, "more than 999%%");
	else if (part && percent < 1)
		say(s, "<1%%");
	else
		say(s, "%u%%", (unsigned int)(percent + 0.5));
}

void say_name(struct sentence *s, const char *name)
{
	bool whole = strlen(name) <= NAME_COLUMNS;

	say(s, "%.*s%s", whole ? NAME_COLUMNS : NAME_COLUMNS - 3, name, whole ? "" : "...");
}

void say_path(struct sentence *s, const char *path)
{
	size_t length = strlen(path);
	bool whole = length <= NAME_COLUMNS;

	say(s, "%s%s", whole ? "" : "...", whole ? path : path + length - (NAME_COLUMNS - 3));
}

void say_comm(struct sentence *s, const char *comm)
{
	say_name(s, comm && *comm ? comm : "?");
}

/* --- the verdict ------------------------------------------------------------------------------- */

/* Terminals, logs and alerts take a sentence: whatever names have in them becomes '?'. */
static void make_ascii(char *text)
{
	unsigned char *p;

	for (p = (unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
}

void postmortem_judge(const struct postmortem *pm, struct postmortem_verdict *verdict)
{
	postmortem_rule *const *const groups[] = {
		rules_what, rules_limit, rules_culprit, rules_held, rules_trend, rules_odd,
	};
	size_t i, rule;

	_Static_assert(sizeof(groups) / sizeof(groups[0]) <= POSTMORTEM_SENTENCES_MAX, "a sentence for each group");
	memset(verdict, 0, sizeof(*verdict));
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct sentence s = { .text = verdict->sentences[verdict->count], .size = POSTMORTEM_SENTENCE_BYTES };

		for (rule = 0; groups[i][rule]; rule++) {
			if (groups[i][rule](pm, &s))
				break;
		}
		if (!groups[i][rule])
			continue;
		make_ascii(s.text);
		verdict->count++;
	}
}
