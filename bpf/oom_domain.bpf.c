// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The memory cgroups around a process, and which of them was at its limit. Owns nothing: all is the kernel's. */
#include "core.bpf.h"
#include "compat.bpf.h"

#define CSS_ONLINE_FLAG (1u << 1)   /* CSS_ONLINE, include/linux/cgroup-defs.h */
#define NO_LIMIT        (1ULL << 50) /* pages; PAGE_COUNTER_MAX is far above, on every page size */

/* What a kernel may be built without. */
#define READ_OR(otherwise, from, field) \
	(bpf_core_field_exists((from)->field) ? (u64)BPF_CORE_READ(from, field) : (otherwise))

__hidden u64 oom_domain_of(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	u64 state = 0, controllers = (u64)&set->subsys;

	if (!set || !bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return 0;
	controllers += bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(u64);
	bpf_probe_read_kernel(&state, sizeof(state), (void *)controllers);
	return state ? state - bpf_core_field_offset(struct mem_cgroup, css) : 0;
}

__hidden u64 oom_domain_parent(u64 memcg)
{
	u64 state = (u64)BPF_CORE_READ((struct mem_cgroup *)memcg, css.parent);

	return state ? state - bpf_core_field_offset(struct mem_cgroup, css) : 0;
}

__hidden u64 oom_domain_id(u64 memcg)
{
	return memcg ? BPF_CORE_READ((struct mem_cgroup *)memcg, css.cgroup, kn, id) : 0;
}

/* Whose limit was hit is marked so with all below it. With version 1 that can last. */
__hidden u64 oom_domain_stuck(u64 memcg)
{
	u64 found = 0;

	for (int i = 0; i < HB_OOM_LEVELS && memcg; i++) {
		if (!READ_OR(0, (struct mem_cgroup *)memcg, under_oom))
			break;
		found = memcg;
		memcg = oom_domain_parent(memcg);
	}
	return oom_domain_id(found);
}

static __always_inline u64 limit(u64 pages)
{
	return pages > NO_LIMIT ? HB_OOM_UNKNOWN : pages;
}

/* How often its limit was run into. Newer kernels keep the counter in v1 hierarchies alone. */
static __always_inline u64 failures(struct mem_cgroup *memcg)
{
	u64 events = (u64)&memcg->memory_events, count = HB_OOM_UNKNOWN;

	if (!bpf_core_field_exists(memcg->memory.track_failcnt) || BPF_CORE_READ(memcg, memory.track_failcnt))
		return READ_OR(HB_OOM_UNKNOWN, memcg, memory.failcnt);
	events += bpf_core_enum_value(enum memcg_memory_event, MEMCG_MAX) * sizeof(u64);
	bpf_probe_read_kernel(&count, sizeof(count), (void *)events);
	return count;
}

static __always_inline void tell_level(struct hb_oom_level *level, struct mem_cgroup *memcg)
{
	level->id = oom_domain_id((u64)memcg);
	level->usage_pages = BPF_CORE_READ(memcg, memory.usage.counter);
	level->max_pages = limit(BPF_CORE_READ(memcg, memory.max));
	level->peak_pages = READ_OR(HB_OOM_UNKNOWN, memcg, memory.watermark);
	level->memsw_usage_pages = READ_OR(HB_OOM_UNKNOWN, memcg, memsw.usage.counter);
	level->memsw_max_pages = limit(READ_OR(HB_OOM_UNKNOWN, memcg, memsw.max));
	level->failed_count = failures(memcg);
	level->oom_group = READ_OR(0, memcg, oom_group);
	level->oom_lock = READ_OR(0, memcg, oom_lock);
	level->under_oom = !!READ_OR(0, memcg, under_oom);
	level->online = !!(BPF_CORE_READ(memcg, css.flags) & CSS_ONLINE_FLAG);
	level->pad = 0;
	if (bpf_probe_read_kernel_str(level->name, sizeof(level->name), BPF_CORE_READ(memcg, css.cgroup, kn, name)) < 0)
		level->name[0] = '\0';
}

__hidden void oom_domain_tell(struct hb_ev_oom *event, struct task_struct *task)
{
	u64 memcg = oom_domain_of(task);
	u32 count = 0;

	if (memcg && BPF_CORE_READ((struct mem_cgroup *)memcg, css.cgroup, root) !=
			     BPF_CORE_READ(task, cgroups, dfl_cgrp, root))
		event->flags |= HB_OOM_V1;
	for (u32 i = 0; i < HB_OOM_LEVELS && memcg; i++) {
		tell_level(&event->levels[i], (struct mem_cgroup *)memcg);
		memcg = oom_domain_parent(memcg);
		count = i + 1;
	}
	event->levels_count = count;
	if (memcg)
		event->flags |= HB_OOM_LEVELS_CUT;
}

/* Without branches from here on: the verifier would follow each, at each level. */
#define FAR ((1ULL << 62) - 1) /* what UNKNOWN becomes; all else is below */

/* 1 if @a is below @b, else 0; both are below 2^63. */
static __always_inline u64 is_below(u64 a, u64 b)
{
	u64 below = (a - b) >> 63;

	asm volatile("" : "+r"(below));
	return below;
}

/* Pages that may still come; far many, where neither number is known. */
static __always_inline u64 room_below(u64 usage, u64 max)
{
	s64 room = (max & FAR) - (usage & FAR / 2);

	return room & ~(room >> 63);
}

static __always_inline u64 choose(u64 first, u64 a, u64 b)
{
	return (a & -first) | (b & (first - 1));
}

/* Of the levels with no more room than a hundredth of their limit that with the least, the lowest of equals. */
static __always_inline void conclude_from_limits(struct hb_ev_oom *event)
{
	const u64 is_v1 = event->flags / HB_OOM_V1 & 1;
	u64 least = FAR, id = 0;

	for (u32 i = 0; i < HB_OOM_LEVELS && i < event->levels_count; i++) {
		const struct hb_oom_level *level = &event->levels[i];
		u64 room = room_below(level->usage_pages, level->max_pages), max = level->max_pages & FAR;
		u64 both = room_below(level->memsw_usage_pages, level->memsw_max_pages), better;

		better = is_v1 & is_below(both, room);
		room = choose(better, both, room);
		max = choose(better, level->memsw_max_pages, max);
		better = is_below(room, least) & is_below(room, max / 100 + 1);
		least = choose(better, room, least);
		id = choose(better, level->id, id);
	}
	if (least == FAR)
		return;
	event->domain_id = id;
	event->how = HB_OOM_HOW_LIMIT;
}

__hidden void oom_domain_conclude(struct hb_ev_oom *event)
{
	for (u32 i = 0; i < HB_OOM_LEVELS && i < event->levels_count; i++) {
		if (!event->levels[i].oom_lock)
			continue;
		event->domain_id = event->levels[i].id; /* the highest: all below it hold theirs */
		event->how = HB_OOM_HOW_LOCK;
	}
	if (event->how == HB_OOM_HOW_NONE)
		conclude_from_limits(event);
}
