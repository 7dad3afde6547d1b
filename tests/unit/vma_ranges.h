/* SPDX-License-Identifier: Apache-2.0 */
/* What no report needs of an address space: its ranges one by one, and how far it is from a list. */
#ifndef HB_TESTS_UNIT_VMA_RANGES_H
#define HB_TESTS_UNIT_VMA_RANGES_H

#include "../../user/model/vma_parts.h"

struct vma_range {
	uint64_t start, end;
	uint32_t prot;
	enum vma_owner owner;
	uint64_t stack;    /* of VMA_CALLER */
	uint64_t since_ns; /* CLOCK_MONOTONIC; 0: VMA_BEFORE */
};

static inline enum vma_owner range_owner(uint32_t mapping)
{
	if (mapping >= MAPPING_FIRST)
		return VMA_CALLER;
	return mapping == MAPPING_ALLOCATOR ? VMA_ALLOCATOR : VMA_BEFORE;
}

/* Call @each for every range in order. */
static inline void vma_each(const struct vma_set *set, void (*each)(void *ctx, const struct vma_range *range),
			    void *ctx)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct part *part = &set->parts[i];
		const struct mapping *mapping = part->mapping < MAPPING_FIRST ? NULL : &set->mappings[part->mapping];
		const struct vma_range range = {
			.start = part->start,
			.end = part->end,
			.prot = part->prot,
			.owner = range_owner(part->mapping),
			.stack = mapping ? set->sites[mapping->site]->key.stack : HB_STACK_NONE,
			.since_ns = mapping ? mapping->since_ns : 0,
		};

		each(ctx, &range);
	}
}

/* Bytes in which the set and the kernel's list differ: mapped in one and not in the other. */
static inline uint64_t vma_difference(const struct vma_set *set, const struct vma_line *lines, size_t count)
{
	uint64_t ours = 0, theirs = 0, both = 0;

	for (size_t i = 0; i < set->count; i++)
		ours += set->parts[i].end - set->parts[i].start;
	for (size_t i = 0; i < count; i++) {
		const struct vma_line *line = &lines[i];

		theirs += line->end - line->start;
		for (size_t j = vma_find(set, line->start); j < set->count && set->parts[j].start < line->end; j++) {
			const struct part *part = &set->parts[j];
			uint64_t start = part->start > line->start ? part->start : line->start;
			uint64_t end = part->end < line->end ? part->end : line->end;

			both += end - start;
		}
	}
	return ours + theirs - 2 * both;
}

#endif
