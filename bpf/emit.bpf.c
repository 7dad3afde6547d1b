// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the ring and the counters. */
#include "core.bpf.h"

/* Events about processes and their files, up to 80 bytes each with their header. Full: count HB_CNT_RING_FULL. */
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

__hidden void emit_process(const struct hb_ev_process *event)
{
	if (bpf_ringbuf_output(&hb_ring, (void *)event, sizeof(*event), 0))
		count(HB_CNT_RING_FULL);
}

__hidden void emit_object(const struct hb_ev_object *event)
{
	if (bpf_ringbuf_output(&hb_ring, (void *)event, sizeof(*event), 0))
		count(HB_CNT_RING_FULL);
}

__hidden void emit_map(const struct hb_ev_map *event)
{
	if (bpf_ringbuf_output(&hb_map_ring, (void *)event, sizeof(*event), 0))
		count(HB_CNT_MAP_RING_FULL);
}
