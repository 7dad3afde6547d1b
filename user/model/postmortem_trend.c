// SPDX-License-Identifier: Apache-2.0
/* What held the memory, how it grew, and what else was odd. */
#include "postmortem_rules.h"

#include <math.h>
#include <string.h>

#include "report.h"

#define SITES_SAID    3
#define ROWS_CALLED   32 /* of the largest rows: what else there is is small */
#define STEADY_PART   20 /* within a twentieth of what it held at the end is steady */
#define STEADY_LEAST_S 10
#define BURST_S       5
#define WAITED_LEAST  1000 /* hundredths of a percent: what is worth saying of pressure */
#define COSTLY_ORDER  3  /* PAGE_ALLOC_COSTLY_ORDER, include/linux/mmzone.h */

/* --- held by ----------------------------------------------------------------------------------- */

/* The largest row after @last in the order of size, ties in their own; NULL: there is none. */
static const struct board_row *next_row(const struct postmortem *pm, const struct board_row *last)
{
	const struct board_row *next = NULL;
	size_t i;

	for (i = 0; i < pm->holders_count; i++) {
		const struct board_row *row = &pm->holders[i];

		if (!row->outstanding_bytes || !postmortem_counts_row(pm, row))
			continue;
		if (last && (row->outstanding_bytes > last->outstanding_bytes ||
			     (row->outstanding_bytes == last->outstanding_bytes && row <= last)))
			continue;
		if (!next || row->outstanding_bytes > next->outstanding_bytes)
			next = row;
	}
	return next;
}

/* Rows that a sentence would call the same: stacks that differ further out, or inside JIT code. */
struct called {
	uint32_t source;
	uint64_t bytes;
	char name[NAME_COLUMNS + 2]; /* one more than is said, so that a cut is seen */
};

/* The largest rows, those of one name as one; largest first. Returns how many. */
static size_t call_rows(const struct postmortem *pm, struct called calleds[ROWS_CALLED])
{
	const struct board_row *row = NULL;
	size_t count = 0, at;

	for (size_t i = 0; i < ROWS_CALLED && (row = next_row(pm, row)); i++) {
		struct called one = { .source = row->source };

		postmortem_site_name(row, one.name, sizeof(one.name));
		for (at = 0; at < count; at++) {
			if (calleds[at].source == one.source && !strcmp(calleds[at].name, one.name))
				break;
		}
		if (at == count)
			calleds[count++] = one;
		if (__builtin_add_overflow(calleds[at].bytes, row->outstanding_bytes, &calleds[at].bytes))
			calleds[at].bytes = UINT64_MAX;
		for (; at && calleds[at - 1].bytes < calleds[at].bytes; at--) {
			one = calleds[at];
			calleds[at] = calleds[at - 1];
			calleds[at - 1] = one;
		}
	}
	return count;
}

static void say_site(const struct called *called, uint64_t resident, struct sentence *s)
{
	const char *source = report_source_name(called->source);

	say_name(s, called->name);
	say(s, " ");
	say_bytes(s, called->bytes);
	say(s, " (%s", source ? source : "");
	if (is_known(resident) && resident) {
		say(s, "%s", source ? ", " : "");
		say_share(s, called->bytes, resident);
	}
	say(s, ")");
}

/* What pages explain, where that is known; else what rows add up to, of which not all need be resident. */
static uint64_t attributed_bytes(const struct postmortem *pm)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < pm->holders_count; i++) {
		const struct board_row *row = &pm->holders[i];

		if (!postmortem_counts_row(pm, row))
			continue;
		if (row->source == HB_SRC_PAGES && pm->holders_explained_bytes)
			return pm->holders_explained_bytes;
		if (__builtin_add_overflow(sum, row->outstanding_bytes, &sum))
			return UINT64_MAX;
	}
	return sum;
}

static bool java_exceeds(const struct postmortem *pm)
{
	uint64_t parts[] = { pm->java_heap_max_bytes, pm->java_direct_bytes };

	return is_known(parts[0]) && exceeds(postmortem_sum(parts, 2), pm->domain.limit_bytes, 100);
}

static void say_java(const struct postmortem *pm, struct sentence *s)
{
	bool direct = is_known(pm->java_direct_bytes) && pm->java_direct_bytes;

	say(s, "-Xmx allows ");
	say_bytes(s, pm->java_heap_max_bytes);
	say(s, " of Java heap");
	if (direct) {
		say(s, ", and with ");
		say_bytes(s, pm->java_direct_bytes);
		say(s, " of direct buffers");
	}
	say(s, "%s that does not fit in the limit of ", direct ? "" : ":");
	say_bytes(s, pm->domain.limit_bytes);
}

/* Whatever the heap held, the rest is not in it: a larger -Xmx would be of no use. */
static void say_beyond_java(const struct postmortem *pm, uint64_t resident, struct sentence *s)
{
	uint64_t heap = pm->java_heap_max_bytes;

	if (!is_known(heap) || !is_known(resident) || resident < heap || !exceeds(resident - heap, resident, 25))
		return;
	say(s, "; -Xmx allows ");
	say_bytes(s, heap);
	say(s, " of Java heap: at least ");
	say_bytes(s, resident - heap);
	say(s, " are outside of it");
}

static bool held_by_sites(const struct postmortem *pm, struct sentence *s)
{
	uint64_t resident = postmortem_victim_anonymous(pm), attributed = attributed_bytes(pm);
	struct called calleds[ROWS_CALLED];
	size_t count = call_rows(pm, calleds);

	if (!count)
		return false;
	say(s, "Held by ");
	for (size_t i = 0; i < count && i < SITES_SAID; i++) {
		say(s, "%s", i ? ", " : "");
		say_site(&calleds[i], resident, s);
	}
	if (is_known(resident) && attributed < resident) {
		say(s, "; ");
		say_bytes(s, resident - attributed);
		say(s, " (");
		say_share(s, resident - attributed, resident);
		say(s, ") are not attributed");
	}
	if (java_exceeds(pm)) {
		say(s, "; ");
		say_java(pm, s);
	} else {
		say_beyond_java(pm, resident, s);
	}
	say(s, ".");
	return true;
}

static bool held_by_java(const struct postmortem *pm, struct sentence *s)
{
	if (!java_exceeds(pm))
		return false;
	say_java(pm, s);
	say(s, ".");
	return true;
}

postmortem_rule *const rules_held[] = { held_by_sites, held_by_java, NULL };

/* --- how it grew ------------------------------------------------------------------------------- */

struct slope {
	double seconds; /* from its beginning until the kill */
	uint64_t bytes;
};

static bool is_sample(const struct postmortem_sample *sample)
{
	return isfinite(sample->age_s) && sample->age_s >= 0 && is_known(sample->rss_bytes);
}

/* What it held at the end: as read at the kill, or in the newest sample. */
static uint64_t last_bytes(const struct postmortem *pm)
{
	uint64_t rss = postmortem_victim_rss(pm);
	size_t i;

	for (i = pm->history_count; i > 0 && !is_known(rss); i--) {
		if (is_sample(&pm->history[i - 1]))
			rss = pm->history[i - 1].rss_bytes;
	}
	return rss;
}

/*
 * How much it grew within the last @most_s seconds, and since when: the growth begins at the last sample that
 * was not yet beyond a twentieth of it. False if it did not grow, or no sample is that young.
 */
static bool slope_within(const struct postmortem *pm, double most_s, struct slope *slope)
{
	uint64_t last = last_bytes(pm), first = 0, growth = 0;
	bool any = false;
	size_t i;

	*slope = (struct slope){ 0 };
	for (i = 0; i < pm->history_count; i++) {
		const struct postmortem_sample *sample = &pm->history[i];

		if (!is_sample(sample) || sample->age_s > most_s)
			continue;
		if (!any) {
			first = sample->rss_bytes;
			growth = first < last ? last - first : 0;
		}
		any = true;
		if (growth && sample->rss_bytes <= first + growth / 20)
			*slope = (struct slope){ sample->age_s, last - sample->rss_bytes };
	}
	return growth && slope->seconds > 0;
}

static bool burst(const struct postmortem *pm, struct sentence *s)
{
	struct slope now, before;

	if (!slope_within(pm, BURST_S, &now) || !exceeds(now.bytes, last_bytes(pm), 25))
		return false;
	if (slope_within(pm, 60, &before) && now.bytes <= before.bytes / 2)
		return false;
	say(s, "It grew in a burst: by ");
	say_bytes(s, now.bytes);
	say(s, " in the last ");
	say_seconds(s, now.seconds);
	return true;
}

static bool growth(const struct postmortem *pm, struct sentence *s)
{
	static const double windows_s[] = { 60, 600, 6 * 3600 };
	struct slope slope;
	size_t i;

	for (i = 0; i < sizeof(windows_s) / sizeof(windows_s[0]); i++) {
		double per_s;

		if (!slope_within(pm, windows_s[i], &slope) || !exceeds(slope.bytes, last_bytes(pm), 100 / STEADY_PART))
			continue;
		per_s = (double)slope.bytes / slope.seconds;
		say(s, "It grew by ");
		say_bytes(s, per_s < 1e19 ? (uint64_t)(per_s + 0.5) : UINT64_MAX);
		say(s, "/s for the last ");
		say_seconds(s, slope.seconds);
		return true;
	}
	return false;
}

/* The age of the oldest sample from which on all were about @last. */
static double steady_seconds(const struct postmortem *pm, uint64_t last)
{
	double seconds = 0;
	size_t i;

	for (i = pm->history_count; i > 0; i--) {
		const struct postmortem_sample *sample = &pm->history[i - 1];
		uint64_t apart = sample->rss_bytes > last ? sample->rss_bytes - last : last - sample->rss_bytes;

		if (!is_sample(sample))
			continue;
		if (apart > last / STEADY_PART)
			break;
		seconds = sample->age_s;
	}
	return seconds;
}

static bool steady(const struct postmortem *pm, struct sentence *s)
{
	uint64_t last = last_bytes(pm), all = pm->domain.limit_bytes;
	double seconds;

	if (!is_known(last))
		return false;
	seconds = steady_seconds(pm, last);
	if (seconds < STEADY_LEAST_S)
		return false;
	say(s, "It was steady for ");
	say_seconds(s, seconds);
	say(s, " at ");
	say_bytes(s, last);
	if (is_known(all) && all) {
		say(s, ", ");
		say_share(s, last, all);
		say(s, " of the limit");
	}
	return true;
}

static bool changing(const struct postmortem *pm, struct sentence *s)
{
	uint64_t low = UINT64_MAX, high = 0;
	double oldest_s = 0;
	size_t i;

	for (i = 0; i < pm->history_count; i++) {
		const struct postmortem_sample *sample = &pm->history[i];

		if (!is_sample(sample))
			continue;
		low = sample->rss_bytes < low ? sample->rss_bytes : low;
		high = sample->rss_bytes > high ? sample->rss_bytes : high;
		oldest_s = sample->age_s > oldest_s ? sample->age_s : oldest_s;
	}
	if (low == UINT64_MAX)
		return false;
	say(s, "It held between ");
	say_bytes(s, low);
	say(s, " and ");
	say_bytes(s, high);
	say(s, " in the ");
	say_seconds(s, oldest_s);
	say(s, " before");
	return true;
}

/* " number 5 of this cgroup in 10 min, those before lived 1m35s to 1m41s" */
static void say_kills(const struct postmortem *pm, struct sentence *s)
{
	const double *lived_s = pm->kills_before_lived_s;

	say(s, " number %llu of this cgroup in 10 min, those before lived ", pm->kills_before + 1ULL);
	say_seconds(s, lived_s[0]);
	if (lived_s[1] > lived_s[0]) {
		say(s, " to ");
		say_seconds(s, lived_s[1]);
	}
}

/* "; 43% of the last minute somebody waited for memory there" */
static void say_pressure(const struct postmortem *pm, struct sentence *s)
{
	const uint64_t in_10s = pm->domain.pressure_some_10s, in_60s = pm->domain.pressure_some_60s;
	const bool longer = is_known(in_60s) && in_60s >= WAITED_LEAST;

	if (!longer && (!is_known(in_10s) || in_10s < WAITED_LEAST))
		return;
	say(s, "; %u%% of the last %s somebody waited for memory %s",
	    (unsigned int)((longer ? in_60s : in_10s) + 50) / 100, longer ? "minute" : "10s",
	    pm->domain.kind == OOM_MEMCG ? "there" : "on the host");
}

static bool grew(const struct postmortem *pm, struct sentence *s)
{
	if (!burst(pm, s) && !growth(pm, s) && !steady(pm, s) && !changing(pm, s))
		return false;
	if (pm->kills_before) {
		say(s, "; kill");
		say_kills(pm, s);
	}
	say_pressure(pm, s);
	say(s, ".");
	return true;
}

static bool killed_before(const struct postmortem *pm, struct sentence *s)
{
	if (!pm->kills_before)
		return false;
	say(s, "Kill");
	say_kills(pm, s);
	say_pressure(pm, s);
	say(s, ".");
	return true;
}

static bool not_watched(const struct postmortem *pm, struct sentence *s)
{
	(void)pm;
	say(s, "How it grew is not known: 0 samples were taken before the kill.");
	return true;
}

postmortem_rule *const rules_trend[] = { grew, killed_before, not_watched, NULL };

/* --- odd --------------------------------------------------------------------------------------- */

static bool already_dying(const struct postmortem *pm, struct sentence *s)
{
	if (!pm->victim.already_dying)
		return false;
	say(s, "It (pid %u) was already exiting; the kernel only let it finish: not counted as a kill.",
	    pm->victim.pid);
	return true;
}

/* At least so much was free at the kill: it was read later, when the victim's memory may have been back. */
static uint64_t surely_free(const struct postmortem *pm)
{
	uint64_t free = pm->domain.free_bytes, back = postmortem_victim_rss(pm);

	if (!is_known(free) || !is_known(back))
		return free;
	return free > back ? free - back : 0;
}

/* Some of what is free could not be had in one piece. */
static bool fragmented(const struct postmortem *pm, struct sentence *s)
{
	uint64_t free = surely_free(pm);
	bool plenty = pm->domain.kind == OOM_GLOBAL && exceeds(free, pm->domain.usage_bytes, 10);
	int32_t order = pm->trigger.order;

	if (!pm->trigger.gfp_known || order < 1 || order > 30 || (order <= COSTLY_ORDER && !plenty))
		return false;
	say(s, "A request for %u contiguous pages failed", 1u << order);
	if (is_known(free) && free) {
		say(s, " with ");
		say_bytes(s, free);
		say(s, " free");
	}
	say(s, ": fragmentation, not lack of memory.");
	return true;
}

static bool asked_by_another(const struct postmortem *pm, struct sentence *s)
{
	bool kernel = pm->trigger.kind == OOM_TRIGGER_KERNEL;

	if (!kernel && (pm->trigger.kind != OOM_TRIGGER_TASK || !pm->trigger.other_cgroup))
		return false;
	say(s, "The memory was asked for by ");
	say_comm(s, pm->trigger.comm);
	say(s, " (pid %u", pm->trigger.pid);
	say_container(s, pm, pm->trigger.container);
	say(s, ")");
	if (kernel) {
		say(s, ", a thread of the kernel.");
		return true;
	}
	say(s, " of another cgroup");
	if (pm->trigger.cgroup) {
		say(s, ", ");
		say_path(s, pm->trigger.cgroup);
	}
	say(s, ".");
	return true;
}

static bool whole_group(const struct postmortem *pm, struct sentence *s)
{
	if (pm->group_count < 2)
		return false;
	say(s, "The whole cgroup was killed (memory.oom.group): %u processes so far.", pm->group_count);
	return true;
}

postmortem_rule *const rules_odd[] = { already_dying, fragmented, asked_by_another, whole_group, NULL };
