// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel's list of mappings, read without its lock: while somebody changes it, and where interrupts are
 * off and the lock can be had only once. It is a maple tree (from 6.1 on), whose nodes are replaced and not
 * changed where readers may be, and freed after those have gone. Where we are no such reader a node may be
 * anything: what is found must itself say that it lies around the address.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

#ifndef HB_POINTERS_ONLY

#define TREE_DEPTH_MAX 8 /* 5 slots used of each node, at least: more mappings than a process may have */

/* A node's address has 8 bits for other things, its type from bit 3 on: lib/maple_tree.c */
#define NODE_MASK   0xffULL
#define NODE_TYPE(entry) ((entry) >> 3 & 0xf)
#define TYPE_LEAF   1 /* enum maple_type: maple_leaf_64 */
#define TYPE_ARANGE 3 /* maple_arange_64: has fewer slots */

#define RANGE_PIVOTS  15
#define ARANGE_PIVOTS 9

/*
 * In which slot of a node @address lies: behind as many pivots, in a row from the first on, as are below it; 0
 * is no pivot but the first. Free of branches: the verifier would follow each of them.
 */
static __always_inline u64 slot_of(const struct hb_walk *walk, u64 address, u64 pivots)
{
	const u64 *at = walk->pivots;
	u64 slot = 0, on = 1;

#pragma unroll
	for (u64 i = 0; i < RANGE_PIVOTS; i++) {
		u64 pivot = *(const volatile u64 *)(at + i);
		u64 below = ((pivot - address) & ~pivot) >> 63; /* both are below 2^63, or the pivot is the last */
		u64 used = (pivot | -pivot) >> 63 | !i;

		on &= below & used & ((i - pivots) >> 63);
		slot += on;
		/* One after the other: made ready all at once they would not fit the stack. */
		asm volatile("" : "+r"(on), "+r"(at), "+r"(slot));
	}
	return slot;
}

__noinline bool mapping_tree_written(void)
{
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;

	if (!mm || !bpf_core_field_exists(mm->mmap_lock.count))
		return true; /* not known */
	return mm->mmap_lock.count.counter & 1; /* RWSEM_WRITER_LOCKED, kernel/locking/rwsem.c */
}

/* The word at @address. 0 or negative errno. */
static __always_inline long read_slot(u64 address, u64 *entry)
{
	if (!hb_views)
		return bpf_probe_read_kernel(entry, sizeof(*entry), (void *)address);
	*entry = view_word(address);
	return 0;
}

/* A node's slot for @address into @entry. 0 or negative errno. */
static __always_inline long step(struct hb_walk *walk, u64 address, u64 *entry)
{
	const struct maple_arange_64 *arange = (void *)(*entry & ~NODE_MASK);
	const struct maple_range_64 *range = (void *)(*entry & ~NODE_MASK);
	bool few = NODE_TYPE(*entry) == TYPE_ARANGE;
	u64 slots = few ? (u64)&arange->slot : (u64)&range->slot, slot;

	if (bpf_probe_read_kernel(walk->pivots, sizeof(walk->pivots), few ? arange->pivot : range->pivot))
		return -EBUSY;
	slot = slot_of(walk, address, few ? ARANGE_PIVOTS : RANGE_PIVOTS);
	return read_slot(slots + slot * 8, entry);
}

__noinline u64 mapping_tree_at(struct hb_walk *walk, u64 address)
{
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;
	u64 entry;

	if (!walk || !mm || !bpf_core_type_exists(struct maple_range_64))
		return MAPPING_UNREAD;
	entry = (u64)mm->mm_mt.ma_root;
	for (int depth = 0; depth < TREE_DEPTH_MAX; depth++) {
		u64 type = NODE_TYPE(entry);

		if ((s64)entry >= 0 || type < TYPE_LEAF || type > TYPE_ARANGE || step(walk, address, &entry))
			return MAPPING_UNREAD;
		if (type == TYPE_LEAF)
			return entry && ((s64)entry >= 0 || (entry & 7)) ? MAPPING_UNREAD : entry;
	}
	return MAPPING_UNREAD;
}

#endif /* HB_POINTERS_ONLY */
