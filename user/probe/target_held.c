// SPDX-License-Identifier: Apache-2.0
/* What a process holds by its own calls, asked for by itself: it may just have been killed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "target_private.h"

static int append(struct target_held *held, const struct board_row *row)
{
	struct board_row *grown;

	if (!row->outstanding_bytes)
		return 0;
	grown = reallocarray(held->rows, held->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	held->rows = grown;
	held->rows[held->count++] = *row;
	return 0;
}

/* For a moment less than nothing may be left of it, as of all sums that are taken from and added to at once. */
static double variance(uint64_t value)
{
	return (int64_t)value > 0 ? (double)value : 0;
}

static struct board_row row_of(uint32_t gen, uint32_t source, uint64_t stack, const struct hb_site *totals)
{
	return (struct board_row){
		.gen = gen, .source = source, .stack = stack,
		.outstanding_bytes = totals->allocated_bytes - totals->freed_bytes,
		.outstanding_count = totals->allocated_count - totals->freed_count,
		.allocated_bytes = totals->allocated_bytes, .allocated_count = totals->allocated_count,
		.freed_bytes = totals->freed_bytes, .freed_count = totals->freed_count,
		.sampled = totals->sampled_count > 0,
		.sampled_count = totals->sampled_count - totals->sampled_freed_count,
		.error_square = variance(totals->bytes_variance),
		.count_error_square = variance(totals->count_variance),
	};
}

/* How its calls are followed now. */
static void tell_sampling(struct target *target, const struct process *process, struct target_held *held)
{
	const uint32_t period = session_plan(target->session, process->gen)->period;

	held->direct_off = target_paused(process, HB_SRC_DIRECT);
	if (!(target->sources >> HB_SRC_MALLOC & 1))
		return;
	if (target_paused(process, HB_SRC_MALLOC))
		snprintf(held->sampling, sizeof(held->sampling), "off");
	else if (!period)
		snprintf(held->sampling, sizeof(held->sampling), "exact");
	else
		snprintf(held->sampling, sizeof(held->sampling), "%u", period);
}

static int append_blocks(struct target *target, uint32_t gen, struct target_held *held)
{
	__cleanup(freep) struct board_site *sites = NULL;
	size_t count;
	int err = session_sites(target->session, &sites, &count);

	for (size_t i = 0; !err && i < count; i++) {
		const struct hb_site_key *key = &sites[i].key;
		struct board_row row = row_of(gen, key->source, key->stack, &sites[i].totals);

		if (key->gen == gen)
			err = append(held, &row);
	}
	return err;
}

static int append_mappings(struct target *target, struct process *process, struct target_held *held)
{
	__cleanup(freep) struct vma_site *sites = NULL;
	size_t count;
	int err;

	if (!process->mappings)
		return 0;
	target_maps_settle(target, process);
	held->doubtful |= process->mappings_stale << HB_SRC_MMAP; /* that the kernel was not asked does not matter */
	err = vma_sites(process->mappings, 0, &sites, NULL, &count);
	for (size_t i = 0; !err && i < count; i++) {
		struct board_row row = row_of(process->gen, HB_SRC_MMAP, sites[i].stack, &sites[i].totals);

		err = append(held, &row);
	}
	return err;
}

static int by_source_and_bytes(const void *left, const void *right)
{
	const struct board_row *a = left, *b = right;

	if (a->source != b->source)
		return (a->source > b->source) - (a->source < b->source);
	return (a->outstanding_bytes < b->outstanding_bytes) - (a->outstanding_bytes > b->outstanding_bytes);
}

int target_held_calls(struct target *target, uint32_t gen, struct target_held *held)
{
	struct process *process = target_process(target, gen);
	static const size_t blocks[] = {
		HB_CNT_BLOCK_FULL, HB_CNT_SITE_FULL, HB_CNT_TASK_STORAGE, HB_CNT_PENDING_DEEP, HB_CNT_READ_FAILED,
		HB_CNT_REPUT_FAILED, HB_CNT_ALTSTACK,
	};
	struct losses losses;
	size_t first = held->count;
	int err;

	if (!process || !process->traced)
		return 0;
	held->traced_ns = process->traced_ns;
	tell_sampling(target, process, held);
	err = append_blocks(target, gen, held);
	if (!err)
		err = append_mappings(target, process, held);
	if (held->count > first)
		qsort(held->rows + first, held->count - first, sizeof(*held->rows), by_source_and_bytes);
	for (size_t i = first; i < held->count; i++) {
		const bool begins = i == first || held->rows[i].source != held->rows[i - 1].source;

		held->rows[i].rank = begins ? 1 : held->rows[i - 1].rank + 1;
	}
	target_losses(target, &losses);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		held->doubtful |= losses.counts[blocks[i]] ? 1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT : 0;
	held->doubtful |= (losses.counts[HB_CNT_MAP_RING_FULL] || losses.counts[HB_CNT_TASK_STORAGE]) << HB_SRC_MMAP;
	return err;
}
