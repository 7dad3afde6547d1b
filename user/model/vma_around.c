// SPDX-License-Identifier: Apache-2.0
/*
 * Where the kernel's list need not be what the events say. It is read piece by piece while calls go on: of a call
 * whose event came while it was read, or that had begun, it shows all, a part or nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "vma_parts.h"

#define SPANS_OF_EVENT 2   /* at the most */
#define NEXTS          256 /* threads that are told apart */

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
static void touch_heap(const struct vma_set *set, struct spans *spans, const struct hb_ev_map *event, uint64_t listed)
{
	uint64_t start, end;

	if (!vma_heap_of(set, event, &start, &end))
		return;
	end = listed > end ? listed : end;
	touch(spans, start, set->break_end > end ? set->break_end : end);
}

/* A segment's length is its line's. */
static void touch_segment(struct spans *spans, uint64_t addr, const struct vma_line *lines, size_t count)
{
	const size_t at = vma_line_at(lines, count, addr);

	if (at < count && lines[at].start == addr)
		touch(spans, addr, lines[at].end);
}

static void touch_event(const struct vma_set *set, struct spans *spans, const struct hb_ev_map *event,
			const struct vma_line *lines, size_t count, uint64_t heap_end)
{
	int ignored;

	switch (event->op) {
	case HB_MAP_ADD:
		touch_bytes(set, spans, event->addr, vma_bytes_of(event, &ignored));
		break;
	case HB_MAP_REMOVE:
		touch_bytes(set, spans, event->addr, event->bytes);
		break;
	case HB_MAP_REMAP_END:
		touch_bytes(set, spans, event->old_addr, event->old_bytes);
		touch_bytes(set, spans, event->addr, event->bytes);
		break;
	case HB_MAP_BREAK:
		touch_heap(set, spans, event, heap_end);
		break;
	case HB_MAP_DETACH:
		touch_segment(spans, event->addr, lines, count);
		break;
	default:
		/*
		 * PROTECT: nothing comes or goes. REMAP_BEGIN: it is under way, or its end says all. RESTORE: nor
		 * did anything. UNCLEAR: nobody knows.
		 */
		break;
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

/* Of some threads what they did next; of two in one place the earlier one is forgotten. */
struct next {
	uint32_t tid, op;
};

/* Every event, but of a removal that failed: there the list is right. From the last to the first. */
static void touch_events(const struct vma_set *set, struct spans *spans, const struct vma_around *around,
			 const struct vma_line *lines, size_t count)
{
	const uint64_t heap_end = vma_heap_end(lines, count);
	struct next nexts[NEXTS] = { 0 };

	for (size_t i = around->count; i-- > 0;) {
		const struct hb_ev_map *event = &around->events[i];
		struct next *next = &nexts[event->tid % NEXTS];
		const bool failed = event->op == HB_MAP_REMOVE && next->tid == event->tid &&
				    next->op == HB_MAP_RESTORE;

		*next = (struct next){ event->tid, event->op };
		if (!failed)
			touch_event(set, spans, event, lines, count, heap_end);
	}
}

static void touch_pieces(struct spans *spans, const struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->count; i++)
		touch(spans, pieces->parts[i].start, pieces->parts[i].end);
}

int vma_spans(const struct vma_set *set, const struct vma_line *lines, size_t count, const struct vma_around *around,
	      struct span **spans, size_t *spans_count)
{
	struct spans all = { 0 };
	size_t moving = 0;

	for (size_t i = 0; i < KEPT_MAX; i++)
		moving += set->kept[i].moving.count + set->kept[i].gone.count;
	all.spans = calloc(SPANS_OF_EVENT * around->count + moving + 1, sizeof(*all.spans));
	if (!all.spans)
		return -ENOMEM;
	touch_events(set, &all, around, lines, count);
	for (size_t i = 0; i < KEPT_MAX; i++) {
		const struct kept *kept = &set->kept[i];

		if (kept->op != HB_MAP_REMAP_BEGIN)
			continue; /* a removal is among the events, if it may be under way */
		touch_pieces(&all, &kept->moving);
		touch_pieces(&all, &kept->gone);
	}
	join(&all);
	*spans = all.spans;
	*spans_count = all.count;
	return 0;
}
