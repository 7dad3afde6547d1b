// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Exact numbers of a process's pages. Since "mm: convert mm's rss stats into percpu_counter" (6.2) each CPU keeps
 * a part of them to itself, and the kernel's own messages leave those out until 6.18.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

/*
 * Its values hold nothing: it is where they lie that counts. How far the CPUs' memory lies apart is told by no
 * symbol that every kernel has.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hb_oom_places SEC(".maps");

/* Addresses as numbers: the verifier would not let us count with them. Whoever writes here writes the same. */
__u64 hb_oom_numbers[HB_CPUS_MAX] = { 0 }; /* of the values above, by CPU */
__u64 hb_oom_number = 0;                   /* of the map */

/* The processes that are told of: those of the cgroup with this id and below; 0: all. Set by user space. */
__u64 hb_oom_domain = 0;

static __always_inline u64 not_negative(s64 value)
{
	return value > 0 ? value : 0;
}

/* Where @cpu's value is. 0: there is no such CPU. */
static __always_inline u64 place_of(u32 cpu)
{
	u32 zero = 0;
	volatile u64 *number = &hb_oom_numbers[cpu & (HB_CPUS_MAX - 1)];
	void *place = bpf_map_lookup_percpu_elem(&hb_oom_places, &zero, cpu);

	if (!place)
		return 0;
	*number = (u64)place;
	return *number;
}

/* Where it would be on a CPU whose memory begins at 0: what the kernel calls a pointer per CPU. */
static __always_inline u64 place_per_cpu(void)
{
	volatile u64 *number = &hb_oom_number;
	u64 place = 0;

	*number = (u64)&hb_oom_places;
	bpf_probe_read_kernel(&place, sizeof(place),
			      (void *)(*number + bpf_core_field_offset(struct bpf_array, pptrs)));
	return place;
}

/* The counters' parts of all CPUs, onto @sums. */
static __always_inline void add_parts(u64 counters, s64 sums[HB_OOM_COUNTERS])
{
	u64 base = place_per_cpu(), parts[HB_OOM_COUNTERS];

#pragma unroll
	for (int i = 0; i < HB_OOM_COUNTERS; i++)
		parts[i] = (u64)BPF_CORE_READ(
			(struct percpu_counter *)(counters + i * bpf_core_type_size(struct percpu_counter)), counters);
	for (u32 cpu = 0; base && cpu < HB_CPUS_MAX && cpu < hb_cpus; cpu++) {
		u64 place = place_of(cpu);

		if (!place)
			continue;
#pragma unroll
		for (int i = 0; i < HB_OOM_COUNTERS; i++) {
			s32 part = 0;

			bpf_probe_read_kernel(&part, sizeof(part), (void *)(parts[i] + (place - base)));
			sums[i] += part;
		}
	}
}

static __always_inline void read_parted(u64 mm, u64 *pages, u64 *logged)
{
	u64 counters = (u64)&((struct mm_struct___percpu *)mm)->rss_stat;
	s64 sums[HB_OOM_COUNTERS];

#pragma unroll
	for (int i = 0; i < HB_OOM_COUNTERS; i++) {
		sums[i] = BPF_CORE_READ(
			(struct percpu_counter *)(counters + i * bpf_core_type_size(struct percpu_counter)), count);
		logged[i] = not_negative(sums[i]);
	}
	add_parts(counters, sums);
#pragma unroll
	for (int i = 0; i < HB_OOM_COUNTERS; i++)
		pages[i] = not_negative(sums[i]);
}

/* One number for all CPUs; each thread holds up to 64 pages back. */
static __always_inline void read_shared(u64 mm, struct task_struct *thread, u64 *pages, u64 *logged)
{
	struct mm_struct___shared *shared = (struct mm_struct___shared *)mm;
	struct task_struct___cached *cached = (struct task_struct___cached *)thread;
	bool caches = thread && bpf_core_field_exists(cached->rss_stat);
	s64 counts[HB_OOM_COUNTERS] = { 0 };
	s32 held[HB_OOM_COUNTERS] = { 0 };

	bpf_probe_read_kernel(counts, sizeof(counts), &shared->rss_stat.count);
	if (caches)
		bpf_probe_read_kernel(held, sizeof(held), &cached->rss_stat.count);
#pragma unroll
	for (int i = 0; i < HB_OOM_COUNTERS; i++) {
		logged[i] = not_negative(counts[i]);
		pages[i] = not_negative(counts[i] + held[i]);
	}
}

/* It returns a number so that what is left in its place is no pointer into the stack, which verifiers refuse. */
__hidden int oom_counters_read(u64 mm, struct task_struct *thread, u64 *pages, u64 *logged)
{
	if (bpf_core_field_exists(((struct mm_struct___shared *)0)->rss_stat.count))
		read_shared(mm, thread, pages, logged);
	else
		read_parted(mm, pages, logged);
	return 0;
}

static __always_inline bool is_within(u64 memcg, u64 domain)
{
	for (int i = 0; i < HB_CGROUPS_DEEP && memcg; i++) {
		if (oom_domain_id(memcg) == domain)
			return true;
		memcg = oom_domain_parent(memcg);
	}
	return false;
}

__hidden int oom_task_tell(struct hb_oom_task *row, struct task_struct *task)
{
	u64 memcg, mm, logged[HB_OOM_COUNTERS];

	if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	memcg = oom_domain_of(task);
	if (hb_oom_domain && !is_within(memcg, hb_oom_domain))
		return 0;
	__builtin_memset(row, 0, sizeof(*row));
	row->tgid = BPF_CORE_READ(task, tgid);
	row->score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	row->start_ns = BPF_CORE_READ(task, start_boottime);
	row->cgroup = oom_domain_id(memcg);
	row->domain = hb_oom_domain;
	row->gen = process_known(row->tgid);
	BPF_CORE_READ_STR_INTO(&row->comm, task, comm);
	mm = (u64)BPF_CORE_READ(task, mm);
	/* A kernel thread may be at work for somebody's memory. */
	if (!mm || (BPF_CORE_READ(task, flags) & HB_PF_KTHREAD))
		return 1;
	row->has_mm = 1;
	row->stuck = oom_domain_stuck(memcg);
	row->pgtables_bytes = BPF_CORE_READ((struct mm_struct *)mm, pgtables_bytes.counter);
	oom_counters_read(mm, task, row->pages, logged);
	return 1;
}
