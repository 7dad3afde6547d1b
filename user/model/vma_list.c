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
	size_t count, room;
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

/* The set's own ranges in [from, to). */
static void build_own(const struct vma_set *set, struct building *building, uint64_t from, uint64_t to)
{
	for (size_t i = vma_find(set, from); i < set->count && set->parts[i].start < to; i++) {
		const struct part *part = &set->parts[i];

		build(building, part->start > from ? part->start : from, part->end < to ? part->end : to,
		      part->mapping, part->prot);
	}
}

/* What @line maps in [from, to): known pieces keep their mapping. */
static void build_line(const struct vma_set *set, struct building *building, const struct vma_line *line,
		       uint64_t from, uint64_t to)
{
	uint64_t at = from;

	if (line->stack) {
		build(building, from, to, MAPPING_STACK, line->prot);
		return;
	}
	for (size_t i = vma_find(set, at); i < set->count && set->parts[i].start < to; i++) {
		const struct part *part = &set->parts[i];
		uint64_t start = part->start > at ? part->start : at;
		uint64_t end = part->end < to ? part->end : to;

		build(building, at, start, MAPPING_BEFORE, line->prot);
		build(building, start, end, part->mapping == MAPPING_STACK ? (uint32_t)MAPPING_BEFORE : part->mapping,
		      line->prot);
		at = end;
	}
	build(building, at, to, MAPPING_BEFORE, line->prot);
}

/* A list, from line to line, upwards. */
struct reading {
	const struct vma_line *lines;
	size_t count, next;
};

/* What the list has in [from, to). */
static void build_listed(const struct vma_set *set, struct building *building, struct reading *reading, uint64_t from,
			 uint64_t to)
{
	for (; reading->next < reading->count; reading->next++) {
		const struct vma_line *line = &reading->lines[reading->next];

		if (line->start >= to)
			return;
		if (line->end > from)
			build_line(set, building, line, line->start > from ? line->start : from,
				   line->end < to ? line->end : to);
		if (line->end > to)
			return; /* the rest of it is still to come */
	}
}

/* @building in place of the set's ranges, which it takes over. */
static void replace(struct vma_set *set, const struct building *building)
{
	const struct part *old = set->parts;
	const size_t old_count = set->count;

	/* A mapping of which anything stays has not ended in between. */
	for (size_t i = 0; i < old_count; i++)
		vma_hold(set, old[i].mapping);
	for (size_t i = 0; i < old_count; i++)
		vma_book_out(set, old[i].mapping, old[i].end - old[i].start);
	for (size_t i = 0; i < building->count; i++)
		vma_book_back(set, building->parts[i].mapping, building->parts[i].end - building->parts[i].start);
	for (size_t i = 0; i < old_count; i++)
		vma_release(set, old[i].mapping);
	free(set->parts);
	set->parts = building->parts;
	set->count = building->count;
	set->room = building->room;
}

size_t vma_line_at(const struct vma_line *lines, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (lines[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Whether something is moving: it is in no range, but may be in the list. */
static bool moves(const struct vma_set *set)
{
	for (size_t i = 0; i < KEPT_MAX; i++) {
		if (set->kept[i].moving.count)
			return true;
	}
	return false;
}

static uint64_t bytes_before(const struct part *parts, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += parts[i].mapping == MAPPING_BEFORE ? parts[i].end - parts[i].start : 0;
	return bytes;
}

uint64_t vma_heap_end(const struct vma_line *lines, size_t count)
{
	uint64_t end = 0;

	for (size_t i = 0; i < count; i++)
		end = lines[i].heap ? lines[i].end : end;
	return end;
}

/* The index of the first span that ends above @address. */
static size_t span_at(const struct span *spans, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (spans[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The list may have been read before @event changed a protection: do so once more outside of @spans. 0 or -ENOMEM. */
static int protect_again(struct vma_set *set, const struct hb_ev_map *event, const struct span *spans, size_t count)
{
	const uint32_t prot = event->prot & PROT_KEPT;
	uint64_t at = event->addr, end;
	int err = 0;

	if (!vma_whole(set, at, event->bytes, &end))
		return 0;
	for (size_t i = span_at(spans, count, at); i < count && spans[i].start < end && !err; i++) {
		if (spans[i].start > at)
			err = vma_protect(set, at, spans[i].start, prot);
		at = spans[i].end;
	}
	return at < end && !err ? vma_protect(set, at, end, prot) : err;
}

/* Whether a mremap has moved anything, or is about to. */
static bool any_moves(const struct vma_set *set, const struct vma_around *around)
{
	for (size_t i = 0; i < around->count; i++) {
		if (around->events[i].op == HB_MAP_REMAP_END)
			return true;
	}
	return moves(set);
}

/* The set's own ranges in @spans, the list's outside of them. 0 or -ENOMEM. */
static int build_both(const struct vma_set *set, const struct vma_line *lines, size_t count, const struct span *spans,
		      size_t spans_count, struct building *building)
{
	struct reading reading = { .lines = lines, .count = count };
	uint64_t at = 0;

	building->room = 2 * (set->count + count + 2 * spans_count) + 1;
	building->parts = calloc(building->room, sizeof(*building->parts));
	if (!building->parts)
		return -ENOMEM;
	for (size_t i = 0; i < spans_count; i++) {
		build_listed(set, building, &reading, at, spans[i].start);
		build_own(set, building, spans[i].start, spans[i].end);
		at = spans[i].end;
	}
	build_listed(set, building, &reading, at, UINT64_MAX);
	return 0;
}

int vma_follow(struct vma_set *set, const struct vma_line *lines, size_t count, const struct vma_around *around)
{
	struct building building = { 0 };
	struct span *spans = NULL;
	size_t spans_count = 0;
	bool untrue = false;
	int err = sorted(lines, count) ? 0 : -EINVAL;

	if (err)
		return err;
	vma_forget_moves(set, around->lost_ns);
	err = vma_spans(set, lines, count, around, &spans, &spans_count);
	if (!err)
		err = build_both(set, lines, count, spans, spans_count, &building);
	if (!err) {
		/* What nobody was known to have mapped may be where it has moved to. */
		untrue = moves(set) &&
			 bytes_before(building.parts, building.count) > bytes_before(set->parts, set->count);
		replace(set, &building);
		if (!set->break_end) /* the list may be ahead of calls still to be told: they go on from our own */
			set->break_end = vma_heap_end(lines, count);
	}
	for (size_t i = 0; i < around->count && !err; i++) {
		if (around->events[i].op == HB_MAP_PROTECT)
			err = protect_again(set, &around->events[i], spans, spans_count);
	}
	free(spans);
	return err ? err : untrue || (around->untrue && any_moves(set, around));
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
