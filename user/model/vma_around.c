// SPDX-License-Identifier: Apache-2.0
/*
 * Where the kernel's list need not be what the events say. It is read piece by piece while calls go on: of a call
 * whose event came while it was read, or that had begun, it shows all, a part or nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "vma_parts.h"

/* include/uapi/linux/mman.h */
#define REMAP_FIXED 2u

#define SPANS_OF_EVENT 2 /* at the most */

struct spans {
	struct span *spans;
	size_t count;
};

static void touch(struct spans *spans, uint64_t start, uint64_t end)
{
	if (start < end)
		spans->spans[spans->count++] = (struct span){ start, end };
}

static void touch_bytes(const struct vma_set *set, struct spans *spans, uint64_t addr, uint64_t bytes)
{
	uint64_t end;

	if (vma_whole(set, addr, bytes, &end))
		touch(spans, addr, end);
}

/* The heap as long as it was for anyone: what a brk took away, nothing but the list or the set knows. */
static void touch_heap(const struct vma_set *set, struct spans *spans, const struct hb_ev_map *event,
		       const struct vma_line *lines, size_t count)
{
	const uint64_t mask = set->page - 1;
	uint64_t end = event->addr < UINT64_MAX - mask ? (event->addr + mask) & ~mask : event->addr & ~mask;

	for (size_t i = 0; i < count; i++) {
		if (lines[i].heap && lines[i].end > end)
			end = lines[i].end;
	}
	touch(spans, event->old_addr & ~mask, set->break_end > end ? set->break_end : end);
}

/* A segment's length is its line's. */
static void touch_segment(struct spans *spans, uint64_t addr, const struct vma_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (lines[i].start == addr)
			touch(spans, addr, lines[i].end);
	}
}

static void touch_event(const struct vma_set *set, struct spans *spans, const struct hb_ev_map *event,
			const struct vma_line *lines, size_t count)
{
	int ignored;

	switch (event->op) {
	case HB_MAP_ADD:
		touch_bytes(set, spans, event->addr, vma_bytes_of(event, &ignored));
		break;
	case HB_MAP_REMOVE:
	case HB_MAP_PROTECT:
		touch_bytes(set, spans, event->addr, event->bytes);
		break;
	case HB_MAP_REMAP_BEGIN:
		touch_bytes(set, spans, event->old_addr, event->old_bytes);
		if (event->flags & REMAP_FIXED)
			touch_bytes(set, spans, event->addr, event->bytes);
		break;
	case HB_MAP_REMAP_END:
		touch_bytes(set, spans, event->old_addr, event->old_bytes);
		touch_bytes(set, spans, event->addr, event->bytes);
		break;
	case HB_MAP_BREAK:
		touch_heap(set, spans, event, lines, count);
		break;
	case HB_MAP_DETACH:
		touch_segment(spans, event->addr, lines, count);
		break;
	default:
		break; /* RESTORE: its beginning says where; UNCLEAR: nobody does */
	}
}

static int by_start(const void *a, const void *b)
{
	const struct span *left = a, *right = b;

	return (left->start > right->start) - (left->start < right->start);
}

/* Make one of those that overlap or touch. */
static void join(struct spans *spans)
{
	size_t kept = 0;

	if (!spans->count)
		return;
	qsort(spans->spans, spans->count, sizeof(*spans->spans), by_start);
	for (size_t i = 1; i < spans->count; i++) {
		const struct span *next = &spans->spans[i];
		struct span *last = &spans->spans[kept];

		if (next->start > last->end)
			spans->spans[++kept] = *next;
		else if (next->end > last->end)
			last->end = next->end;
	}
	spans->count = kept + 1;
}

int vma_spans(const struct vma_set *set, const struct vma_line *lines, size_t count, const struct vma_around *around,
	      struct span **spans, size_t *spans_count)
{
	struct spans all = { 0 };

	all.spans = calloc(SPANS_OF_EVENT * around->count + KEPT_MAX + 1, sizeof(*all.spans));
	if (!all.spans)
		return -ENOMEM;
	for (size_t i = 0; i < around->count; i++)
		touch_event(set, &all, &around->events[i], lines, count);
	for (size_t i = 0; i < KEPT_MAX; i++) {
		const struct kept *kept = &set->kept[i];

		if (kept->op == HB_MAP_REMAP_BEGIN && !kept->stays)
			touch(&all, kept->old_addr, kept->old_addr + kept->old_bytes);
	}
	join(&all);
	*spans = all.spans;
	*spans_count = all.count;
	return 0;
}
