// SPDX-License-Identifier: Apache-2.0
#include "oom_domain.h"

#include <unistd.h>

#include "oom_capture.h"

enum oom_domain oom_domain_kind(const struct hb_ev_oom *kill)
{
	if (kill->domain_id)
		return OOM_MEMCG;
	if (!kill->control)
		return kill->how == HB_OOM_HOW_NONE ? OOM_DOMAIN_UNKNOWN : OOM_GLOBAL;
	switch (kill->constraint) {
	case OOM_BY_CPUSET:
		return OOM_CPUSET;
	case OOM_BY_MEMPOLICY:
		return OOM_MEMPOLICY;
	case OOM_BY_MEMCG:
		return OOM_MEMCG;
	default:
		return OOM_GLOBAL;
	}
}

#define CHARGED_AHEAD 64 /* pages that a CPU may hold back for a cgroup: MEMCG_CHARGE_BATCH, mm/memcontrol.c */

/* Pages until @usage reaches @max. */
static uint64_t room(uint64_t max, uint64_t usage)
{
	if (max == HB_OOM_UNKNOWN)
		return UINT64_MAX;
	return usage < max ? max - usage : 0;
}

bool oom_ran_out_with_swap(const struct hb_oom_level *level)
{
	const uint64_t left = room(level->memsw_max_pages, level->memsw_usage_pages);
	const uint64_t ahead = CHARGED_AHEAD * (uint64_t)sysconf(_SC_NPROCESSORS_CONF);

	if (level->memsw_max_pages == HB_OOM_UNKNOWN)
		return false;
	return left < room(level->max_pages, level->usage_pages) ||
	       (left <= ahead && level->memsw_usage_pages > level->usage_pages);
}
