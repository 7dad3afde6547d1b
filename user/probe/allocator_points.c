// SPDX-License-Identifier: Apache-2.0
#include "allocator_points.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "placement.h"

#define COOKIE_PAGE  4096 /* of HB_COOKIE_BELOW and _ABOVE, whatever the kernel's own pages are */
#define COOKIE_PAGES ((1ULL << 20) - 1)

static uint64_t pages_up(uint64_t bytes)
{
	uint64_t pages = bytes / COOKIE_PAGE + !!(bytes % COOKIE_PAGE);

	return pages < COOKIE_PAGES ? pages : COOKIE_PAGES;
}

uint64_t point_cookie(const struct elf_file *file, uint64_t vaddr, const struct call_shape *shape)
{
	uint64_t low = vaddr, high = vaddr;
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		if (!(segment->flags & PF_X))
			continue;
		if (segment->vaddr < low)
			low = segment->vaddr;
		if (segment->vaddr + segment->memsz > high)
			high = segment->vaddr + segment->memsz;
	}
	return (uint64_t)shape->role << HB_COOKIE_ROLE_SHIFT |
	       (uint64_t)shape->source << HB_COOKIE_SOURCE_SHIFT |
	       (uint64_t)shape->size << HB_COOKIE_SIZE_SHIFT |
	       (uint64_t)shape->count << HB_COOKIE_COUNT_SHIFT |
	       (uint64_t)shape->ptr << HB_COOKIE_PTR_SHIFT |
	       (uint64_t)shape->throws << HB_COOKIE_THROWS_SHIFT |
	       pages_up(vaddr - low) << HB_COOKIE_BELOW_SHIFT |
	       pages_up(high - vaddr) << HB_COOKIE_ABOVE_SHIFT;
}

int points_add(struct point_list *list, const struct elf_file *file, uint64_t vaddr,
	       enum probe_place place, uint64_t cookie, const char *function)
{
	struct probe_point *grown;
	uint64_t offset;

	/* A segment may claim more than the file has. */
	if (!elffile_offset(file, vaddr, &offset) || offset >= file->size)
		return -ENOENT;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;

		grown = reallocarray(list->points, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		list->points = grown;
		list->room = room;
	}
	list->points[list->count++] = (struct probe_point){
		.offset = offset, .cookie = cookie, .place = place, .function = function,
	};
	return 0;
}

int points_add_entry(struct point_list *list, const struct elf_file *file, uint64_t entry,
		     const struct placement *chosen, enum probe_place place, uint64_t cookie, const char *function)
{
	int err = points_add(list, file, chosen->vaddr, place, cookie, function);
	struct probe_point *point;

	if (err)
		return err;
	point = &list->points[list->count - 1];
	point->entry = point->offset - (chosen->vaddr - entry); /* both are in one segment */
	point->cheap = chosen->cheap;
	point->why = chosen->why;
	snprintf(point->text, sizeof(point->text), "%s", chosen->text);
	return 0;
}

static bool same_place(const struct probe_point *a, const struct probe_point *b)
{
	return a->offset == b->offset && a->place == b->place;
}

static bool comes_before(const struct probe_point *a, const struct probe_point *b)
{
	return a->offset != b->offset ? a->offset < b->offset : a->place < b->place;
}

static bool is_malloc_entry(const struct probe_point *point)
{
	return point->place != PLACE_RET &&
	       HB_COOKIE_GET(point->cookie, HB_COOKIE_SOURCE_SHIFT, 4) == HB_SRC_MALLOC;
}

static uint64_t reach(uint64_t bytes)
{
	uint64_t steps = (bytes + (1u << HB_COOKIE_REACH_SHIFT) - 1) >> HB_COOKIE_REACH_SHIFT;

	return steps < COOKIE_PAGES ? steps : COOKIE_PAGES;
}

/*
 * A free is told where its allocator's own code lies, from the lowest entry point to the highest:
 * what is freed from there is no program's doing (a thread's cache, emptied at its end).
 */
static void mark_frees(struct point_list *list)
{
	const uint64_t fields = COOKIE_PAGES << HB_COOKIE_BELOW_SHIFT | COOKIE_PAGES << HB_COOKIE_ABOVE_SHIFT;
	uint64_t low = UINT64_MAX, high = 0;
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!is_malloc_entry(&list->points[i]))
			continue;
		low = list->points[i].offset < low ? list->points[i].offset : low;
		high = list->points[i].offset > high ? list->points[i].offset : high;
	}
	for (i = 0; i < list->count; i++) {
		struct probe_point *point = &list->points[i];

		if (point->place == PLACE_FREE && is_malloc_entry(point))
			point->cookie = (point->cookie & ~fields) |
					reach(point->offset - low) << HB_COOKIE_BELOW_SHIFT |
					reach(high - point->offset) << HB_COOKIE_ABOVE_SHIFT;
	}
}

/* By insertion: it is stable, and a file has some dozens of points, in rising runs. */
void points_finish(struct point_list *list)
{
	size_t i, at, kept = 0;

	for (i = 1; i < list->count; i++) {
		struct probe_point point = list->points[i];

		for (at = i; at && comes_before(&point, &list->points[at - 1]); at--)
			list->points[at] = list->points[at - 1];
		list->points[at] = point;
	}
	for (i = 0; i < list->count; i++) {
		if (!kept || !same_place(&list->points[kept - 1], &list->points[i]))
			list->points[kept++] = list->points[i];
	}
	list->count = kept;
	mark_frees(list);
}
