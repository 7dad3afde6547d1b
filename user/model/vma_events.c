// SPDX-License-Identifier: Apache-2.0
/* Events, applied to the ranges of an address space. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vma_parts.h"

/* include/uapi/asm-generic/mman-common.h */
#define PROT_GROWS     0x03000000u /* PROT_GROWSDOWN | PROT_GROWSUP: to the end of the mapping */
#define ANONYMOUS      0x20u
#define HUGETLB        0x40000u
#define HUGE_SHIFT     26
#define HUGE_MASK      63u
#define HUGE_USUAL     21 /* log2 of what most machines have as the default */

/* include/uapi/linux/mman.h */
#define REMAP_FIXED     2u
#define REMAP_DONTUNMAP 4u

#define PROT_USUAL 3u /* PROT_READ | PROT_WRITE: of what nothing is known */

bool vma_whole(const struct vma_set *set, uint64_t addr, uint64_t bytes, uint64_t *end)
{
	uint64_t mask = set->page - 1;

	if ((addr & mask) || !bytes || bytes > UINT64_MAX - mask - addr)
		return false;
	*end = addr + ((bytes + mask) & ~mask);
	return true;
}

/* The same of a call that succeeded: where it cannot be, somebody is wrong. */
static bool done_range(struct vma_set *set, uint64_t addr, uint64_t bytes, uint64_t *end)
{
	const bool is = vma_whole(set, addr, bytes, end);

	set->odd += !is;
	return is;
}

/* --- calls under way --- */

static struct kept *kept_of(struct vma_set *set, uint32_t tid)
{
	for (size_t i = 0; i < KEPT_MAX; i++) {
		if (set->kept[i].tid == tid)
			return &set->kept[i];
	}
	return NULL;
}

static void pieces_release(struct vma_set *set, struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->count; i++)
		vma_release(set, pieces->parts[i].mapping);
	free(pieces->parts);
}

static void kept_end(struct vma_set *set, struct kept *kept)
{
	pieces_release(set, &kept->moving);
	pieces_release(set, &kept->gone);
	*kept = (struct kept){ 0 };
}

/* Put a piece where it had been, as far as nothing else is there now: @back bytes of it. 0 or -ENOMEM. */
static int piece_back(struct vma_set *set, const struct part *part, uint64_t *back)
{
	*back = 0;
	if (vma_reserve(set, vma_parts_in(set, part->start, part->end) + 1))
		return -ENOMEM;
	*back = vma_fill(set, part);
	vma_join(set, part->start, part->end);
	return 0;
}

/* What has no place there any more counts as freed. */
static int moving_back(struct vma_set *set, const struct pieces *moving)
{
	uint64_t back;
	int err = 0;

	for (size_t i = 0; i < moving->count; i++) {
		const struct part *part = &moving->parts[i];

		err = piece_back(set, part, &back) ? -ENOMEM : err;
		vma_book_out(set, part->mapping, part->end - part->start - back);
	}
	return err;
}

static int gone_back(struct vma_set *set, const struct pieces *gone)
{
	uint64_t back;
	int err = 0;

	for (size_t i = 0; i < gone->count; i++) {
		err = piece_back(set, &gone->parts[i], &back) ? -ENOMEM : err;
		vma_book_back(set, gone->parts[i].mapping, back);
	}
	return err;
}

static void book_out_pieces(struct vma_set *set, const struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->count; i++)
		vma_book_out(set, pieces->parts[i].mapping, pieces->parts[i].end - pieces->parts[i].start);
}

/* Give up a call whose end will not be told: what a mremap moved is gone for us. */
static int give_up(struct vma_set *set, struct kept *kept)
{
	const bool moving = kept->op == HB_MAP_REMAP_BEGIN;

	book_out_pieces(set, &kept->moving);
	kept_end(set, kept);
	return moving ? NOT_ENOUGH : 0;
}

void vma_forget_moves(struct vma_set *set, uint64_t lost_ns)
{
	for (size_t i = 0; i < KEPT_MAX; i++) {
		struct kept *kept = &set->kept[i];

		if (kept->op != HB_MAP_REMAP_BEGIN || kept->since_ns >= lost_ns)
			continue;
		moving_back(set, &kept->moving);
		kept_end(set, kept);
	}
}

/* Whether @kept is to go rather than @other. A REMOVE has most often ended well long ago; a mremap is under way. */
static bool goes_before(const struct kept *kept, const struct kept *other)
{
	if (kept->op != other->op)
		return kept->op == HB_MAP_REMOVE;
	return kept->order < other->order;
}

/* A free place for a call of @event's thread; another goes for it. *@err: what giving that up gave. */
static struct kept *kept_new(struct vma_set *set, const struct hb_ev_map *event, int *err)
{
	struct kept *place = kept_of(set, 0);

	*err = 0;
	if (!place) {
		place = &set->kept[0];
		for (size_t i = 1; i < KEPT_MAX; i++) {
			if (goes_before(&set->kept[i], place))
				place = &set->kept[i];
		}
		*err = give_up(set, place);
	}
	place->tid = event->tid;
	place->op = event->op;
	place->order = ++set->order;
	place->since_ns = event->time_ns;
	return place;
}

/* Take [start, end) out. 0 or -ENOMEM: nothing is changed. */
static int take(struct vma_set *set, struct pieces *pieces, uint64_t start, uint64_t end)
{
	size_t count = vma_parts_in(set, start, end);

	if (!count)
		return 0;
	pieces->parts = calloc(count, sizeof(*pieces->parts));
	if (!pieces->parts || vma_reserve(set, 1))
		return -ENOMEM;
	pieces->count = vma_cut(set, start, end, pieces->parts);
	for (size_t i = 0; i < count; i++)
		vma_hold(set, pieces->parts[i].mapping);
	return 0;
}

/* --- each operation --- */

/* Map [start, end) for @event's caller, in place of what is there. */
static int map_range(struct vma_set *set, const struct hb_ev_map *event, uint64_t start, uint64_t end, uint32_t prot)
{
	struct part part = { .start = start, .end = end, .prot = prot & PROT_KEPT };

	if (vma_reserve(set, 2) || vma_begin(set, event, &part.mapping))
		return -ENOMEM;
	vma_cut(set, start, end, NULL);
	vma_put(set, &part, 1);
	vma_book_in(set, part.mapping, end - start);
	if (part.mapping == MAPPING_ALLOCATOR)
		vma_join(set, start, end); /* a heap grows piece by piece */
	return 0;
}

uint64_t vma_bytes_of(const struct hb_ev_map *event, int *err)
{
	uint32_t shift = event->flags & ANONYMOUS ? event->flags >> HUGE_SHIFT & HUGE_MASK : 0;
	uint64_t mask = (1ULL << (shift ? shift : HUGE_USUAL)) - 1;

	if (!(event->flags & HUGETLB) || !(event->bytes & mask))
		return event->bytes;
	*err = shift ? 0 : NOT_ENOUGH;
	return (event->bytes + mask) & ~mask; /* 0 if that is too many */
}

static int add(struct vma_set *set, const struct hb_ev_map *event)
{
	int err = 0;
	uint64_t end;

	if (!done_range(set, event->addr, vma_bytes_of(event, &err), &end))
		return 0;
	return map_range(set, event, event->addr, end, event->prot) ? -ENOMEM : err;
}

static int remove_range(struct vma_set *set, const struct hb_ev_map *event)
{
	int err;
	struct kept *kept = kept_new(set, event, &err);
	uint64_t end;

	if (!vma_whole(set, event->addr, event->bytes, &end))
		return err; /* the call fails, too */
	if (take(set, &kept->gone, event->addr, end)) {
		kept_end(set, kept);
		return -ENOMEM;
	}
	book_out_pieces(set, &kept->gone);
	return err;
}

static int restore(struct vma_set *set, const struct hb_ev_map *event)
{
	struct kept *kept = kept_of(set, event->tid);
	int err;

	if (!kept)
		return NOT_ENOUGH;
	err = kept->unclear ? NOT_ENOUGH : 0;
	if (moving_back(set, &kept->moving) || gone_back(set, &kept->gone))
		err = -ENOMEM;
	kept_end(set, kept);
	return err;
}

static int remap_begin(struct vma_set *set, const struct hb_ev_map *event)
{
	uint64_t old_end = event->old_addr, target_end;
	int err;
	struct kept *kept = kept_new(set, event, &err);

	if (event->old_bytes && !vma_whole(set, event->old_addr, event->old_bytes, &old_end))
		return err; /* the call fails, too */
	kept->old_addr = event->old_addr;
	kept->old_bytes = old_end - event->old_addr;
	kept->stays = !kept->old_bytes || (event->flags & REMAP_DONTUNMAP);
	if (!kept->stays && take(set, &kept->moving, event->old_addr, old_end)) {
		kept_end(set, kept);
		return -ENOMEM;
	}
	if (!(event->flags & REMAP_FIXED) || !vma_whole(set, event->addr, event->bytes, &target_end))
		return err;
	kept->unclear = true;
	if (take(set, &kept->gone, event->addr, target_end))
		return -ENOMEM;
	book_out_pieces(set, &kept->gone);
	return err;
}

/* Put the pieces that mremap moved to @addr, as far as @bytes. Their last protection is the new part's. */
static int put_moved(struct vma_set *set, struct kept *kept, uint64_t addr, uint64_t bytes, uint32_t *prot)
{
	const int err = vma_reserve(set, kept->moving.count);
	size_t placed = 0;

	for (size_t i = 0; i < kept->moving.count; i++) {
		struct part *part = &kept->moving.parts[i];
		const uint64_t whole = part->end - part->start, offset = part->start - kept->old_addr;
		uint64_t stays = 0;

		*prot = part->prot;
		if (addr != kept->old_addr && part->mapping >= MAPPING_FIRST)
			set->mappings[part->mapping].attached = 0; /* shmdt would not find it there */
		if (!err && offset < bytes) {
			stays = whole < bytes - offset ? whole : bytes - offset;
			part->start = addr + offset;
			part->end = part->start + stays;
			placed++;
		}
		vma_book_out(set, part->mapping, whole - stays);
	}
	vma_put(set, kept->moving.parts, placed);
	return err;
}

/* The protection of what is at @address. */
static uint32_t prot_at(const struct vma_set *set, uint64_t address)
{
	const size_t at = vma_find(set, address);

	return at < set->count && set->parts[at].start <= address ? set->parts[at].prot : PROT_USUAL;
}

static int remap_end(struct vma_set *set, const struct hb_ev_map *event)
{
	struct kept *kept = kept_of(set, event->tid);
	const bool known = kept && kept->op == HB_MAP_REMAP_BEGIN;
	struct part before = { .mapping = MAPPING_BEFORE, .prot = PROT_USUAL };
	uint64_t end, moved;
	int err;

	if (!done_range(set, event->addr, event->bytes, &end))
		return NOT_ENOUGH;
	if (known && kept->stays) {
		before.prot = prot_at(set, kept->old_addr);
		kept_end(set, kept);
		return map_range(set, event, event->addr, end, before.prot);
	}
	if (vma_reserve(set, 1))
		return -ENOMEM;
	vma_cut(set, event->addr, end, NULL);
	moved = end - event->addr;
	if (known && kept->old_bytes < moved)
		moved = kept->old_bytes;
	err = known ? put_moved(set, kept, event->addr, moved, &before.prot) : NOT_ENOUGH;
	if (kept)
		kept_end(set, kept);
	/* What was there and not known to us moved along; from Linux 6.17 on it may have been a gap between two. */
	before.start = event->addr;
	before.end = event->addr + moved;
	if (vma_reserve(set, vma_parts_in(set, before.start, before.end) + 1))
		return -ENOMEM;
	if (vma_fill(set, &before) && !err)
		err = NOT_ENOUGH;
	vma_join(set, before.start, before.end);
	if (before.end < end && map_range(set, event, before.end, end, before.prot))
		return -ENOMEM;
	return err;
}

bool vma_heap_of(const struct vma_set *set, const struct hb_ev_map *event, uint64_t *start, uint64_t *end)
{
	const uint64_t mask = set->page - 1;

	if (!event->addr || event->old_addr > event->addr || event->addr > UINT64_MAX - mask)
		return false;
	*start = (event->old_addr + mask) & ~mask;
	*end = (event->addr + mask) & ~mask;
	return true;
}

static int set_break(struct vma_set *set, const struct hb_ev_map *event)
{
	const uint64_t old = set->break_end;
	struct part part = { .prot = PROT_USUAL };
	uint64_t start, end;

	if (!vma_heap_of(set, event, &start, &end)) {
		set->odd++;
		return 0;
	}
	set->break_end = end;
	if (old > end) {
		if (vma_reserve(set, 1))
			return -ENOMEM;
		vma_cut(set, end, old, NULL);
		return 0;
	}
	part.start = old > start ? old : start;
	part.end = end;
	if (part.start >= part.end)
		return 0;
	if (vma_reserve(set, vma_parts_in(set, part.start, part.end) + 1) || vma_begin(set, event, &part.mapping))
		return -ENOMEM;
	if (old)
		vma_cut(set, part.start, part.end, NULL); /* a list showed it before its call was told */
	vma_hold(set, part.mapping);
	vma_book_in(set, part.mapping, vma_fill(set, &part));
	vma_release(set, part.mapping);
	vma_join(set, part.start, part.end);
	return 0;
}

static int protect(struct vma_set *set, const struct hb_ev_map *event)
{
	uint64_t end;

	if (!event->bytes || !done_range(set, event->addr, event->bytes, &end))
		return 0;
	if (vma_protect(set, event->addr, end, event->prot & PROT_KEPT))
		return -ENOMEM;
	return event->prot & PROT_GROWS ? NOT_ENOUGH : 0;
}

static int detach(struct vma_set *set, const struct hb_ev_map *event)
{
	size_t kept = 0;
	bool found = false;

	for (size_t i = 0; i < set->count; i++) {
		const struct part part = set->parts[i];
		const bool attached = part.mapping >= MAPPING_FIRST && event->addr &&
				      set->mappings[part.mapping].attached == event->addr;

		if (attached) {
			vma_book_out(set, part.mapping, part.end - part.start);
			found = true;
		} else {
			set->parts[kept++] = part;
		}
	}
	set->count = kept;
	return found ? 0 : NOT_ENOUGH;
}

static int apply(struct vma_set *set, const struct hb_ev_map *event)
{
	switch (event->op) {
	case HB_MAP_ADD:
		return add(set, event);
	case HB_MAP_REMOVE:
		return remove_range(set, event);
	case HB_MAP_RESTORE:
		return restore(set, event);
	case HB_MAP_REMAP_BEGIN:
		return remap_begin(set, event);
	case HB_MAP_REMAP_END:
		return remap_end(set, event);
	case HB_MAP_BREAK:
		return set_break(set, event);
	case HB_MAP_PROTECT:
		return protect(set, event);
	case HB_MAP_DETACH:
		return detach(set, event);
	case HB_MAP_UNCLEAR:
		return NOT_ENOUGH;
	default:
		set->odd++;
		return NOT_ENOUGH;
	}
}

int vma_apply(struct vma_set *set, const struct hb_ev_map *event)
{
	struct kept *kept = event->tid ? kept_of(set, event->tid) : NULL;
	int err = 0, given_up = 0;

	if (!event->tid) {
		set->odd++; /* no thread has it */
		return NOT_ENOUGH;
	}
	/* A thread does one thing after the other: what was under way has ended well. */
	if (kept && event->op != HB_MAP_RESTORE && event->op != HB_MAP_REMAP_END)
		given_up = give_up(set, kept);
	err = apply(set, event);
	vma_merge(set);
	return err ? err : given_up;
}
