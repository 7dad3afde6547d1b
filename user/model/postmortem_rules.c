// SPDX-License-Identifier: Apache-2.0
/* What died, and whose limit was hit. */
#include "postmortem_rules.h"

#include <string.h>

/* --- what: always ------------------------------------------------------------------------------ */

/* The unit of systemd's that a cgroup is, or NULL. */
static const char *unit_of(const char *cgroup)
{
	const char *name = cgroup ? strrchr(cgroup, '/') : NULL;
	const char *kind = name ? strrchr(name, '.') : NULL;

	return kind && (!strcmp(kind, ".service") || !strcmp(kind, ".scope")) ? name + 1 : NULL;
}

static void say_who(const struct postmortem *pm, struct sentence *s)
{
	char name[CONTAINER_TITLE_BYTES];

	say_comm(s, pm->victim.comm);
	say(s, " (pid %u", pm->victim.pid);
	if (pm->victim.container) {
		say(s, ", container ");
		say_path(s, container_title(pm->victim.container, name));
	} else if (unit_of(pm->victim.cgroup)) {
		say(s, ", ");
		say_path(s, unit_of(pm->victim.cgroup));
	}
	say(s, ")");
}

static bool what(const struct postmortem *pm, struct sentence *s)
{
	uint64_t anon = pm->victim.anon_rss_bytes, swap = pm->victim.swap_bytes;
	bool limited = is_known(pm->domain.limit_bytes);
	uint64_t all = limited ? pm->domain.limit_bytes : host_bytes(pm);

	say_who(pm, s);
	say(s, pm->victim.already_dying ? " was exiting when memory ran out" : " was killed");
	if (is_known(pm->victim.lifetime_ns)) {
		say(s, pm->victim.already_dying ? ", after " : " after ");
		say_seconds(s, (double)pm->victim.lifetime_ns / 1e9);
	}
	if (is_known(anon)) {
		say(s, ": it held ");
		say_bytes(s, anon);
		say(s, " of anonymous memory");
	}
	if (is_known(anon) && is_known(all) && all) {
		say(s, ", ");
		say_share(s, anon, all);
		say(s, " of the ");
		say_bytes(s, all);
		say(s, limited ? " that ran out" : " that this host has");
	}
	if (is_known(anon) && is_known(swap) && swap) {
		say(s, ", and ");
		say_bytes(s, swap);
		say(s, " in swap");
	}
	say(s, ".");
	return true;
}

postmortem_rule *const rules_what[] = { what, NULL };

/* --- whose limit ------------------------------------------------------------------------------- */

static bool was_asked_for(const struct postmortem *pm)
{
	return pm->trigger.kind == OOM_TRIGGER_SYSRQ;
}

static bool swap_counts(const struct postmortem *pm)
{
	return pm->domain.counter && strstr(pm->domain.counter, "swap");
}

static bool swap_is_full(const struct postmortem *pm)
{
	uint64_t total = pm->domain.swap_total_bytes, free = pm->domain.swap_free_bytes;

	return is_known(total) && total && is_known(free) && free <= total / 100;
}

static uint64_t swap_held(const struct postmortem *pm)
{
	uint64_t sum = POSTMORTEM_UNKNOWN;
	size_t i;

	for (i = 0; i < pm->tasks_count; i++) {
		uint64_t parts[] = { sum, pm->tasks[i].swap_bytes };

		sum = postmortem_sum(parts, 2);
	}
	return pm->tasks_count ? sum : pm->victim.swap_bytes;
}

static void say_swap(const struct postmortem *pm, struct sentence *s)
{
	uint64_t held = swap_held(pm);

	if (swap_counts(pm) && is_known(held)) {
		say(s, "; swap held ");
		say_bytes(s, held);
	}
	if (swap_is_full(pm)) {
		say(s, "; the node's swap was full (");
		say_bytes(s, pm->domain.swap_total_bytes);
		say(s, ")");
	}
}

/* " (640.0 MiB)", " (1.0 GiB of memory+swap; swap held 300.0 MiB)" */
static void say_limit(const struct postmortem *pm, struct sentence *s)
{
	if (!is_known(pm->domain.limit_bytes))
		return;
	say(s, " (");
	say_bytes(s, pm->domain.limit_bytes);
	if (swap_counts(pm)) {
		say(s, " of ");
		say_name(s, pm->domain.counter);
	}
	say_swap(pm, s);
	say(s, ")");
}

static bool own_limit(const struct postmortem *pm, struct sentence *s)
{
	if (!postmortem_limit_is_own(pm))
		return false;
	if (pm->victim.container) {
		say(s, "The limit of its own container");
	} else {
		say(s, "The limit of its own cgroup ");
		say_path(s, pm->domain.cgroup);
	}
	say_limit(pm, s);
	say(s, " was hit.");
	return true;
}

/* Whether the last folder of @path has a pod's uid in it; systemd's folders have '_' in place of '-'. */
static bool names_uid(const char *path, const char *uid)
{
	const char *at = strrchr(path, '/');
	size_t i;

	for (at = at ? at : path; *at && *uid; at++) {
		for (i = 0; uid[i] && (at[i] == uid[i] || (at[i] == '_' && uid[i] == '-')); i++)
			;
		if (!uid[i])
			return true;
	}
	return false;
}

static bool is_its_pod(const struct postmortem *pm)
{
	return pm->victim.container && names_uid(pm->domain.cgroup, pm->victim.container->pod_uid);
}

/* ", not the container's (1.2 GiB of 2.0 GiB used)" */
static void say_not_its_own(const struct postmortem *pm, struct sentence *s)
{
	const struct postmortem_level *own = pm->domain.levels;

	if (!pm->victim.container && !pm->victim.cgroup)
		return;
	say(s, ", not %s", pm->victim.container ? "the container's" : "that of its own cgroup");
	if (!pm->domain.levels_count)
		return;
	say(s, " (");
	if (is_known(own->usage_bytes))
		say_bytes(s, own->usage_bytes);
	if (!is_known(own->limit_bytes)) {
		say(s, is_known(own->usage_bytes) ? " used, unlimited)" : "unlimited)");
		return;
	}
	say(s, is_known(own->usage_bytes) ? " of " : "");
	say_bytes(s, own->limit_bytes);
	say(s, is_known(own->usage_bytes) ? " used)" : ")");
}

static bool limit_above(const struct postmortem *pm, struct sentence *s)
{
	if (pm->domain.kind != OOM_MEMCG || !pm->domain.cgroup)
		return false;
	say(s, "The limit that was hit is ");
	if (is_its_pod(pm)) {
		say(s, "the pod's");
	} else {
		say(s, "that of cgroup ");
		say_path(s, pm->domain.cgroup);
	}
	say_limit(pm, s);
	say_not_its_own(pm, s);
	say(s, ".");
	return true;
}

static bool limit_of_a_cgroup(const struct postmortem *pm, struct sentence *s)
{
	if (pm->domain.kind != OOM_MEMCG || !is_known(pm->domain.limit_bytes))
		return false;
	say(s, "The limit of a cgroup");
	say_limit(pm, s);
	say(s, " was hit; which one is not known.");
	return true;
}

static bool the_node(const struct postmortem *pm, struct sentence *s)
{
	if (pm->domain.kind != OOM_GLOBAL || was_asked_for(pm))
		return false;
	say(s, "The node itself ran out: no cgroup limit was reached");
	if (is_known(host_bytes(pm))) {
		say(s, " (it has ");
		say_bytes(s, host_bytes(pm));
		say(s, pm->domain.swap_total_bytes ? " of memory)" : " of memory, and no swap)");
	}
	say_swap(pm, s);
	say(s, ".");
	return true;
}

static bool is_numa(const struct postmortem *pm)
{
	return (pm->domain.kind == OOM_CPUSET || pm->domain.kind == OOM_MEMPOLICY) && !was_asked_for(pm);
}

/* "Only NUMA node 1 was allowed (by its cpuset): 1.2 MiB were free there, 1.6 GiB elsewhere." */
static bool known_nodes(const struct postmortem *pm, struct sentence *s)
{
	const char *gap = ": ";
	char nodes[NAME_COLUMNS];

	if (!is_numa(pm) || !*postmortem_nodes(pm, nodes, sizeof(nodes)))
		return false;
	say(s, strpbrk(nodes, "-,") ? "Only NUMA nodes %s were allowed" : "Only NUMA node %s was allowed", nodes);
	say(s, " (by %s)", pm->domain.kind == OOM_CPUSET ? "its cpuset" : "a memory policy");
	if (is_known(pm->domain.nodes_free_bytes)) {
		say(s, "%s", gap);
		say_bytes(s, pm->domain.nodes_free_bytes);
		say(s, " were free there");
		gap = ", ";
	}
	if (is_known(pm->domain.elsewhere_free_bytes)) {
		say(s, "%s", gap);
		say_bytes(s, pm->domain.elsewhere_free_bytes);
		say(s, *gap == ':' ? " were free elsewhere" : " elsewhere");
	}
	say(s, ".");
	return true;
}

static bool some_nodes(const struct postmortem *pm, struct sentence *s)
{
	if (!is_numa(pm))
		return false;
	say(s, "Only some NUMA nodes were allowed (by %s), and they ran out",
	    pm->domain.kind == OOM_CPUSET ? "its cpuset" : "a memory policy");
	if (is_known(pm->domain.free_bytes)) {
		say(s, "; ");
		say_bytes(s, pm->domain.free_bytes);
		say(s, " were free on the whole host");
	}
	say(s, ".");
	return true;
}

static bool sysrq(const struct postmortem *pm, struct sentence *s)
{
	if (!was_asked_for(pm))
		return false;
	say(s, "Somebody asked for it with sysrq-f");
	if (is_known(pm->domain.free_bytes)) {
		say(s, "; ");
		say_bytes(s, pm->domain.free_bytes);
		say(s, " were free");
	}
	say(s, ".");
	return true;
}

static bool with_swap(const struct postmortem *pm, struct sentence *s)
{
	if (!swap_counts(pm) && !swap_is_full(pm))
		return false;
	say(s, swap_counts(pm) ? "Memory plus swap reached its limit" : "Memory and swap ran out");
	say_swap(pm, s);
	say(s, ".");
	return true;
}

postmortem_rule *const rules_limit[] = {
	own_limit, limit_above, limit_of_a_cgroup, the_node, known_nodes, some_nodes, sysrq, with_swap, NULL,
};
