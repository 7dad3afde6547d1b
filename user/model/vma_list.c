// SPDX-License-Identifier: Apache-2.0
/* The ranges beside the kernel's own list of them. */
#include <errno.h>
#include <stdlib.h>

#include "vma_parts.h"

static bool sorted(const struct vma_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (lines[i].start >= lines[i].end || (i && lines[i].start < lines[i - 1].end))
			return false;
	}
	return true;
}

struct building {
	struct part *parts;
	size_t count;
};

static void build(struct building *building, uint64_t start, uint64_t end, uint32_t mapping, uint32_t prot)
{
	struct part *last = building->count ? &building->parts[building->count - 1] : NULL;

	if (start >= end)
		return;
	if (last && last->end == start && last->mapping == mapping && last->prot == prot)
		last->end = end;
	else
		building->parts[building->count++] = (struct part){ start, end, mapping, prot };
}

/* What @line maps: known pieces keep their mapping. */
static void build_line(const struct vma_set *set, struct building *building, const struct vma_line *line)
{
	uint64_t at = line->start;

	if (line->stack) {
		build(building, line->start, line->end, MAPPING_STACK, line->prot);
		return;
	}
	for (size_t i = vma_find(set, at); i < set->count && set->parts[i].start < line->end; i++) {
		const struct part *part = &set->parts[i];
		uint64_t start = part->start > at ? part->start : at;
		uint64_t end = part->end < line->end ? part->end : line->end;

		build(building, at, start, MAPPING_BEFORE, line->prot);
		build(building, start, end, part->mapping == MAPPING_STACK ? (uint32_t)MAPPING_BEFORE : part->mapping,
		      line->prot);
		at = end;
	}
	build(building, at, line->end, MAPPING_BEFORE, line->prot);
}

/* @lines in place of the set's ranges. 0 or -ENOMEM. */
static int replace(struct vma_set *set, const struct vma_line *lines, size_t count)
{
	const struct part *old = set->parts;
	const size_t old_count = set->count, room = 2 * (set->count + count) + 1;
	struct building building = { .parts = calloc(room, sizeof(*building.parts)) };

	if (!building.parts)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		build_line(set, &building, &lines[i]);
	/* A mapping of which anything stays has not ended in between. */
	for (size_t i = 0; i < old_count; i++)
		vma_hold(set, old[i].mapping);
	for (size_t i = 0; i < old_count; i++)
		vma_book_out(set, old[i].mapping, old[i].end - old[i].start);
	for (size_t i = 0; i < building.count; i++)
		vma_book_back(set, building.parts[i].mapping, building.parts[i].end - building.parts[i].start);
	for (size_t i = 0; i < old_count; i++)
		vma_release(set, old[i].mapping);
	free(set->parts);
	set->parts = building.parts;
	set->count = building.count;
	set->room = room;
	return 0;
}

int vma_resync(struct vma_set *set, const struct vma_line *lines, size_t count)
{
	int err;

	if (!sorted(lines, count))
		return -EINVAL;
	vma_forget_calls(set, NULL);
	err = replace(set, lines, count);
	for (size_t i = 0; i < count && !err; i++) {
		if (lines[i].heap)
			set->break_end = lines[i].end;
	}
	return err;
}

int vma_follow(struct vma_set *set, const struct vma_set *list)
{
	struct vma_line *lines = calloc(list->count + 1, sizeof(*lines));
	int err;

	if (!lines)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const struct part *part = &list->parts[i];

		lines[i] = (struct vma_line){ .start = part->start, .end = part->end, .prot = part->prot,
					      .stack = part->mapping == MAPPING_STACK };
	}
	vma_forget_calls(set, list);
	err = replace(set, lines, list->count);
	/* A list may be ahead of calls that are still to be told: they go on from our own. */
	if (!err && !set->break_end)
		set->break_end = list->break_end;
	free(lines);
	return err;
}

void vma_lost(struct vma_set *set)
{
	set->break_end = 0;
}

int vma_copy(struct vma_set *child, const struct vma_set *parent)
{
	if (vma_reserve(child, parent->count))
		return -ENOMEM;
	for (size_t i = 0; i < parent->count; i++) {
		child->parts[i] = parent->parts[i];
		if (child->parts[i].mapping != MAPPING_STACK)
			child->parts[i].mapping = MAPPING_BEFORE;
	}
	child->count = parent->count;
	child->break_end = parent->break_end;
	for (size_t i = 0; i < KEPT_MAX; i++) {
		if (parent->kept[i].moving.count)
			return NOT_ENOUGH;
	}
	return 0;
}
