// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the ring and the counters. */
#include "core.bpf.h"

/* Events about processes and what they map, up to 80 bytes each with their header. Full: count HB_CNT_RING_FULL. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024); /* --max-events */
} hb_ring SEC(".maps");

/* Changes of mappings, 88 bytes each with their header. Full: count HB_CNT_MAP_RING_FULL; they are read anew. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024); /* --max-events */
} hb_map_ring SEC(".maps");

/* One value per counter and CPU; cannot fill. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HB_CNT_END);
	__type(key, __u32);
	__type(value, __u64);
} hb_counts SEC(".maps");

__hidden void count_add(u32 counter, u64 value)
{
	u64 *total = bpf_map_lookup_elem(&hb_counts, &counter);

	/* Atomic although per CPU: a program can be preempted by another task's on the same CPU. */
	if (total)
		__sync_fetch_and_add(total, value);
}

__hidden void count(u32 counter)
{
	count_add(counter, 1);
}

/*
 * Of every process of the host nobody needs to hear at once, and waking user space costs more than all the rest:
 * an interrupt to our own CPU. It looks by itself from time to time, and is woken while there is still room. By
 * force, as whatever comes behind what nobody was woken for.
 */
static __always_inline u64 wake_lazily(void)
{
	if (!hb_everything)
		return 0;
	return bpf_ringbuf_query(&hb_ring, BPF_RB_AVAIL_DATA) > bpf_ringbuf_query(&hb_ring, BPF_RB_RING_SIZE) / 4 ?
		       BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

__hidden void emit_process(const struct hb_ev_process *event)
{
	if (bpf_ringbuf_output(&hb_ring, (void *)event, sizeof(*event), wake_lazily()))
		count(HB_CNT_RING_FULL);
}

__hidden void emit_object(const struct hb_ev_object *event)
{
	if (bpf_ringbuf_output(&hb_ring, (void *)event, sizeof(*event), hb_everything ? BPF_RB_FORCE_WAKEUP : 0))
		count(HB_CNT_RING_FULL);
}

__hidden bool emit_huge(void)
{
	const struct hb_ev_huge event = { .kind = HB_EV_HUGE, .tgid = bpf_get_current_pid_tgid() >> 32 };

	return !bpf_ringbuf_output(&hb_ring, (void *)&event, sizeof(event), BPF_RB_FORCE_WAKEUP);
}

__hidden void emit_map(const struct hb_ev_map *event)
{
	if (bpf_ringbuf_output(&hb_map_ring, (void *)event, sizeof(*event), 0))
		count(HB_CNT_MAP_RING_FULL);
}
