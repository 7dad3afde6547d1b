// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The statistics of the cgroup whose limit was hit, as its memory.stat has them, at the mark: by then reclaim, or
 * the kernel's own message, has brought them up to date. Owns nothing: all is the kernel's.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

#define PENDING_PER_CPU 64 /* pages that the kernel leaves out of them: MEMCG_CHARGE_BATCH, mm/memcontrol.c */
#define UNTRACKED       255

/* Where that is in the running kernel, by its name; 0: no such symbol is listed. Set by user space. */
__u64 hb_oom_indexes = 0;

/* Where the sums of @memcg are, and how many; 0: this kernel keeps them in another way. */
struct sums {
	u64 place, count;
	u64 indexes; /* the kernel's table from an item to its sum, a byte each; 0: they are numbered alike */
	u64 less;    /* what such a byte is too high by */
};

static __always_inline bool is_packed(u64 count)
{
	return count < bpf_core_enum_value(enum memcg_stat_item, MEMCG_NR_STAT);
}

/*
 * Since "memcg: dynamically allocate lruvec_stats" and its like (6.10) only what is shown is kept, and found by a
 * table of bytes; there, and in 6.11, its numbers began at 1. Its first item has always been the first of all.
 */
static __always_inline bool find_indexes(struct sums *sums)
{
	u8 first = UNTRACKED;

	if (!is_packed(sums->count))
		return true;
	sums->indexes = hb_oom_indexes;
	if (!sums->indexes || bpf_probe_read_kernel(&first, sizeof(first), (void *)sums->indexes))
		return false;
	sums->less = first;
	return first <= 1;
}

/* Whether hardly anything waits to be added: the kernel's own rule. Before 6.8 each reclaim adds up what waits. */
static __always_inline bool is_fresh(struct memcg_vmstats *stats)
{
	u64 pages = 0;

	if (!bpf_core_field_exists(stats->stats_updates))
		return true;
	bpf_probe_read_kernel(&pages, bpf_core_field_size(stats->stats_updates),
			      (void *)((u64)stats + bpf_core_field_offset(struct memcg_vmstats, stats_updates)));
	return pages <= PENDING_PER_CPU * hb_cpus;
}

/* Beside the group, since 6.1; within it, from 5.13 on; until then a plain array, which is always up to date. */
static __always_inline bool find_sums(struct sums *sums, u64 memcg)
{
	struct mem_cgroup___flat *flat = (struct mem_cgroup___flat *)memcg;
	struct mem_cgroup___within *within = (struct mem_cgroup___within *)memcg;
	struct mem_cgroup *beside = (struct mem_cgroup *)memcg;
	struct memcg_vmstats *stats = NULL;

	if (bpf_core_field_exists(flat->vmstats)) {
		sums->place = memcg + bpf_core_field_offset(struct mem_cgroup___flat, vmstats);
		sums->count = bpf_core_field_size(flat->vmstats) / sizeof(u64);
		return true;
	}
	if (bpf_core_field_exists(beside->vmstats))
		stats = BPF_CORE_READ(beside, vmstats);
	else if (bpf_core_field_exists(within->vmstats))
		stats = (struct memcg_vmstats *)(memcg + bpf_core_field_offset(struct mem_cgroup___within, vmstats));
	if (!stats || !is_fresh(stats))
		return false;
	sums->place = (u64)stats + bpf_core_field_offset(struct memcg_vmstats, state);
	sums->count = bpf_core_field_size(stats->state) / sizeof(u64);
	return find_indexes(sums);
}

/* The sum of @item in its own unit; UNKNOWN: there is none. */
static __always_inline u64 sum_of(const struct sums *sums, u64 item)
{
	s64 value = 0;
	u8 index = 0;

	if (sums->indexes) {
		if (bpf_probe_read_kernel(&index, sizeof(index), (void *)(sums->indexes + item)))
			return HB_OOM_UNKNOWN;
		item = (u8)(index - sums->less);
	}
	if (item >= sums->count ||
	    bpf_probe_read_kernel(&value, sizeof(value), (void *)(sums->place + item * sizeof(value))))
		return HB_OOM_UNKNOWN;
	return value > 0 ? value : 0; /* as memcg_page_state() has it */
}

#define SUM_OF(sums, kind, item) \
	(bpf_core_enum_value_exists(kind, item) ? sum_of(sums, bpf_core_enum_value(kind, item)) : HB_OOM_UNKNOWN)

static __always_inline u64 times(u64 sum, u64 unit)
{
	return sum == HB_OOM_UNKNOWN ? sum : sum * unit;
}

static __always_inline void read_sums(struct hb_ev_oom *event, const struct sums *sums)
{
	const u64 page = 1ULL << hb_page_bits;
	u64 kept = SUM_OF(sums, enum node_stat_item, NR_SLAB_UNRECLAIMABLE_B);
	u64 slab = SUM_OF(sums, enum node_stat_item, NR_SLAB_RECLAIMABLE_B);

	if (slab != HB_OOM_UNKNOWN && kept != HB_OOM_UNKNOWN)
		event->stat[HB_OOM_STAT_SLAB] = slab + kept;
	event->stat[HB_OOM_STAT_ANON] = times(SUM_OF(sums, enum node_stat_item, NR_ANON_MAPPED), page);
	event->stat[HB_OOM_STAT_FILE] = times(SUM_OF(sums, enum node_stat_item, NR_FILE_PAGES), page);
	event->stat[HB_OOM_STAT_SHMEM] = times(SUM_OF(sums, enum node_stat_item, NR_SHMEM), page);
	event->stat[HB_OOM_STAT_KSTACK] = times(SUM_OF(sums, enum node_stat_item, NR_KERNEL_STACK_KB), 1024);
	event->stat[HB_OOM_STAT_PGTABLES] = times(SUM_OF(sums, enum node_stat_item, NR_PAGETABLE), page);
	event->stat[HB_OOM_STAT_SOCK] = times(SUM_OF(sums, enum memcg_stat_item, MEMCG_SOCK), page);
}

__hidden int oom_stat_tell(struct hb_ev_oom *event, struct task_struct *task)
{
	u64 memcg = task && event->domain_id ? oom_domain_of(task) : 0;
	struct sums sums = { 0 };

	for (int i = 0; i < HB_OOM_STATS; i++)
		event->stat[i] = HB_OOM_UNKNOWN;
	for (int i = 0; i < HB_OOM_LEVELS && memcg && oom_domain_id(memcg) != event->domain_id; i++)
		memcg = oom_domain_parent(memcg);
	if (memcg && oom_domain_id(memcg) == event->domain_id && find_sums(&sums, memcg))
		read_sums(event, &sums);
	return 0;
}
