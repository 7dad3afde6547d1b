// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns the live blocks and the sites. At rest, the sum over the sites equals the sum over the
 * live blocks, plus those taken off for the time of a realloc.
 */
#include "core.bpf.h"

/*
 * Live blocks. A bucket of 16 bytes for each row that could be, then 100 bytes per row as it
 * comes; full: count HB_CNT_BLOCK_FULL and its bytes, add nothing to the site.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20); /* --max-blocks */
	__type(key, struct hb_block_key);
	__type(value, struct hb_block);
} hb_live SEC(".maps");

/* Sites. About 130 bytes per row as it comes; full: count HB_CNT_SITE_FULL and its bytes, add nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16); /* --max-sites */
	__type(key, struct hb_site_key);
	__type(value, struct hb_site);
} hb_sites SEC(".maps");

static __always_inline void site_key_of(struct hb_site_key *key, u64 stack, u32 gen, u32 tid, u32 source)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->stack = stack;
	key->gen = gen;
	key->tid = tid;
	key->source = source;
}

__hidden bool acct_has(const struct hb_block_key *key)
{
	return bpf_map_lookup_elem(&hb_live, key);
}

__hidden struct hb_site *acct_site(const struct hb_alloc *alloc)
{
	struct hb_site_key key;

	site_key_of(&key, alloc->stack, alloc->gen, alloc->tid, alloc->source);
	return bpf_map_lookup_elem(&hb_sites, &key);
}

static const struct hb_site fresh; /* there is no room for it on the stack */

static __always_inline struct hb_site *site_make(const struct hb_alloc *alloc)
{
	struct hb_site_key key;

	site_key_of(&key, alloc->stack, alloc->gen, alloc->tid, alloc->source);
	if (!bpf_map_update_elem(&hb_sites, &key, &fresh, BPF_NOEXIST))
		count(HB_CNT_SITES_IN);
	return bpf_map_lookup_elem(&hb_sites, &key); /* another CPU may have been first */
}

/* Exact: each value that outstanding_bytes takes on is seen by the add that made it. */
static __always_inline void site_raise_peak(struct hb_site *site, u64 outstanding)
{
	u64 peak = site->peak_bytes;

	for (int i = 0; i < 8 && outstanding > peak; i++) {
		u64 seen = __sync_val_compare_and_swap(&site->peak_bytes, peak, outstanding);

		if (seen == peak)
			break;
		peak = seen;
	}
}

/* What one block, or one that was sampled, adds to its site. */
static __always_inline void weigh(struct hb_weight *weight, u64 addr, const struct hb_block *block)
{
	weight->bytes = block->bytes;
	weight->count = 1;
	weight->bytes_variance = weight->count_variance = 0;
	if (hb_sampling && block->period)
		sampling_weigh(weight, block->bytes, hb_block_identity(addr, block->born_ns), block->period);
}

__hidden void acct_sub(const struct hb_block_key *key, const struct hb_block *block)
{
	struct hb_site_key site_key;
	struct hb_weight weight;
	struct hb_site *site;

	site_key_of(&site_key, block->stack, key->gen, block->tid, key->source);
	site = bpf_map_lookup_elem(&hb_sites, &site_key);
	if (!site)
		return; /* user space has put the process's sites away */
	weigh(&weight, key->addr, block);
	__sync_fetch_and_add(&site->freed_bytes, weight.bytes);
	__sync_fetch_and_add(&site->freed_count, weight.count);
	__sync_fetch_and_add(&site->outstanding_bytes, -weight.bytes);
	if (hb_sampling && block->period) {
		__sync_fetch_and_add(&site->sampled_freed_count, 1);
		__sync_fetch_and_add(&site->bytes_variance, -weight.bytes_variance);
		__sync_fetch_and_add(&site->count_variance, -weight.count_variance);
	}
}

__hidden int acct_take(const struct hb_block_key *key, struct hb_block *block)
{
	struct hb_block *row = bpf_map_lookup_elem(&hb_live, key);

	if (!row)
		return 0;
	*block = *row; /* before the delete: afterwards the memory may be another row's */
	if (bpf_map_delete_elem(&hb_live, key))
		return 0; /* another CPU's delete won, and subtracts */
	count(HB_CNT_BLOCKS_OUT);
	return 1;
}

/* An address can be given out again only after it was freed: we missed that. */
static void drop_stale(const struct hb_block_key *key)
{
	struct hb_block stale;

	if (!acct_take(key, &stale))
		return;
	acct_sub(key, &stale);
	count(HB_CNT_FREE_MISSED);
}

__hidden void acct_add(const struct hb_alloc *alloc, struct hb_site *site)
{
	struct hb_block_key key = { .addr = alloc->addr, .gen = alloc->gen, .source = alloc->source };
	struct hb_block block = {
		.bytes = alloc->bytes, .stack = alloc->stack, .tid = alloc->tid, .period = alloc->period,
	};
	struct hb_weight weight;
	u64 outstanding;

	if (!site)
		site = site_make(alloc);
	block.born_ns = bpf_ktime_get_ns();
	weigh(&weight, alloc->addr, &block);
	if (!site) {
		count_add(HB_CNT_SITE_FULL, weight.count);
		count_add(HB_CNT_SITE_FULL_BYTES, weight.bytes);
		return;
	}
	if (bpf_map_update_elem(&hb_live, &key, &block, BPF_NOEXIST)) {
		drop_stale(&key);
		if (bpf_map_update_elem(&hb_live, &key, &block, BPF_NOEXIST)) {
			count_add(HB_CNT_BLOCK_FULL, weight.count);
			count_add(HB_CNT_BLOCK_FULL_BYTES, weight.bytes);
			return;
		}
	}
	count(HB_CNT_BLOCKS_IN);
	__sync_fetch_and_add(&site->allocated_bytes, weight.bytes);
	__sync_fetch_and_add(&site->allocated_count, weight.count);
	if (hb_sampling && alloc->period) {
		__sync_fetch_and_add(&site->sampled_count, 1);
		__sync_fetch_and_add(&site->bytes_variance, weight.bytes_variance);
		__sync_fetch_and_add(&site->count_variance, weight.count_variance);
	}
	outstanding = __sync_fetch_and_add(&site->outstanding_bytes, weight.bytes) + weight.bytes;
	site_raise_peak(site, outstanding);
}

__hidden void acct_reput(const struct hb_block_key *key, const struct hb_block *block)
{
	if (bpf_map_update_elem(&hb_live, key, block, BPF_NOEXIST)) {
		/* 7.2's verifier loses sight of what a caller's caller passes on. */
		struct hb_block_key own = *key;

		/* It lives on, but its free will not be recognised: take its bytes off now, and say so. */
		acct_sub(&own, block);
		count(HB_CNT_REPUT_FAILED);
		return;
	}
	count(HB_CNT_BLOCKS_IN);
}
