// SPDX-License-Identifier: Apache-2.0
#include "jitspans.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"

#define SPANS_FIRST 64
#define NAMES_FIRST (1u << 20) /* never sorted out below that */
#define SMALL_RUN   64
#define KEPT(max)   ((max) / 4 * 3)
#define CUT         "..."

/* A span by the age of its name. */
struct aged {
	uint32_t name, span;
};

void jitspans_init(struct jitspans *all)
{
	memset(all, 0, sizeof(*all));
	all->names_limit = NAMES_FIRST;
}

void jitspans_release(struct jitspans *all)
{
	free(all->spans);
	free(all->names);
	jitspans_init(all);
}

static int spans_reserve(struct jitspans *all, size_t count)
{
	size_t cap = all->cap ? all->cap : SPANS_FIRST;
	struct jitspan *spans;

	if (count <= all->cap)
		return 0;
	while (cap < count)
		cap += cap / 2;
	spans = reallocarray(all->spans, cap, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	all->spans = spans;
	all->cap = cap;
	return 0;
}

static int names_reserve(struct jitspans *all, size_t bytes)
{
	size_t cap = all->names_cap ? all->names_cap : 4096;
	char *names;

	if (bytes <= all->names_cap)
		return 0;
	while (cap < bytes)
		cap *= 2;
	if (cap > JITSPANS_NAMES_MAX) /* @bytes are no more */
		cap = JITSPANS_NAMES_MAX;
	names = realloc(all->names, cap);
	if (!names)
		return -ENOMEM;
	all->names = names;
	all->names_cap = cap;
	return 0;
}

/* What @span has between @from and @to, if anything, becomes the next of @out. */
static void put_piece(struct jitspan *out, size_t *count, const struct jitspan *span, uint64_t from, uint64_t to)
{
	struct jitspan piece = *span;

	if (piece.start < from)
		piece.start = from;
	if (piece.end > to)
		piece.end = to;
	if (piece.start < piece.end)
		out[(*count)++] = piece;
}

/* @over laid on top of @under: at most as many as @under and twice @over. Their number. */
static size_t overlay(const struct jitspan *under, size_t under_count, const struct jitspan *over, size_t over_count,
		      struct jitspan *out)
{
	size_t u = 0, o, count = 0;
	uint64_t from = 0; /* all below is done */

	for (o = 0; o < over_count; o++) {
		for (; u < under_count && under[u].end <= over[o].start; u++)
			put_piece(out, &count, &under[u], from, UINT64_MAX);
		if (u < under_count)
			put_piece(out, &count, &under[u], from, over[o].start);
		out[count++] = over[o];
		from = over[o].end;
		while (u < under_count && under[u].end <= from)
			u++;
	}
	for (; u < under_count; u++)
		put_piece(out, &count, &under[u], from, UINT64_MAX);
	return count;
}

/* Make one of the last two runs. */
static int runs_merge(struct jitspans *all)
{
	__cleanup(freep) struct jitspan *large = NULL;
	size_t under = all->runs[all->runs_count - 2], over = all->runs[all->runs_count - 1];
	size_t count = all->count - under;
	struct jitspan small[SMALL_RUN], *old = small;
	int err = spans_reserve(all, all->count + (all->count - over));

	if (err)
		return err;
	if (count > SMALL_RUN) { /* most are not */
		old = large = malloc(count * sizeof(*large));
		if (!large)
			return -ENOMEM;
	}
	memcpy(old, all->spans + under, count * sizeof(*old));
	all->count = under + overlay(old, over - under, old + (over - under), all->count - over, all->spans + under);
	all->runs_count--;
	return 0;
}

/* Whether the last run is too long to stand beside the one before it. */
static bool runs_uneven(const struct jitspans *all)
{
	size_t last;

	if (all->runs_count < 2)
		return false;
	last = all->runs[all->runs_count - 1];
	return 2 * (all->count - last) >= last - all->runs[all->runs_count - 2];
}

static int aged_compare(const void *left, const void *right)
{
	const struct aged *a = left, *b = right;

	return (a->name > b->name) - (a->name < b->name);
}

/*
 * The first of @order, sorted by age, of the latest @max that are kept, and the bytes of names from there
 * on. Several may share a name: pieces of what was one.
 */
static size_t oldest_kept(const struct jitspans *all, const struct aged *order, size_t max, size_t *bytes)
{
	size_t first = all->count;

	*bytes = 0;
	while (first && all->count - first < max) {
		uint32_t name = order[first - 1].name;
		size_t length = strlen(all->names + name) + 1;

		if (first < all->count && name == order[first].name)
			length = 0;
		if (length > KEPT(JITSPANS_NAMES_MAX) - *bytes)
			break;
		*bytes += length;
		first--;
	}
	return first;
}

/* Copy the names of @order from @first on to @names, and tell their spans. */
static void names_copy(struct jitspans *all, const struct aged *order, size_t first, char *names)
{
	size_t i, bytes = 0;
	uint32_t at = 0;

	for (i = first; i < all->count; i++) {
		if (i == first || order[i].name != order[i - 1].name) {
			const char *name = all->names + order[i].name;
			size_t length = strlen(name) + 1;

			at = (uint32_t)bytes;
			memcpy(names + bytes, name, length);
			bytes += length;
		}
		all->spans[order[i].span].name = at;
	}
}

/* Leave @first of @order out. */
static void spans_drop(struct jitspans *all, const struct aged *order, size_t first)
{
	size_t i, kept = 0;

	for (i = 0; i < first; i++)
		all->spans[order[i].span].end = 0;
	for (i = 0; i < all->count; i++) {
		if (all->spans[i].end)
			all->spans[kept++] = all->spans[i];
	}
	all->count = kept;
}

/* One run, and no name that nothing has; if there are still too many, without the oldest. */
static int sort_out(struct jitspans *all)
{
	/* Fewer than there is room for, or the next one would bring us here again. */
	size_t max = all->count < JITSPANS_MAX ? SIZE_MAX : KEPT(JITSPANS_MAX), i, first, bytes;
	__cleanup(freep) struct aged *order = NULL;
	char *names;
	int err;

	while (all->runs_count > 1) {
		err = runs_merge(all);
		if (err)
			return err;
	}
	order = calloc(all->count + 1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (i = 0; i < all->count; i++)
		order[i] = (struct aged){ all->spans[i].name, (uint32_t)i };
	qsort(order, all->count, sizeof(*order), aged_compare);
	first = oldest_kept(all, order, max, &bytes);
	names = malloc(bytes + 1);
	if (!names)
		return -ENOMEM;
	names_copy(all, order, first, names);
	spans_drop(all, order, first);
	free(all->names);
	all->names = names;
	all->names_bytes = bytes;
	all->names_cap = bytes + 1;
	all->names_limit = bytes > JITSPANS_NAMES_MAX / 4 ? JITSPANS_NAMES_MAX : NAMES_FIRST + 2 * bytes;
	return 0;
}

/* Whether [start, ...) comes behind all of the last run. */
static bool runs_continue(const struct jitspans *all, uint64_t start)
{
	return all->runs_count && all->spans[all->count - 1].end <= start;
}

/* Make room for a span that begins at @start and a name of @bytes. */
static int make_room(struct jitspans *all, uint64_t start, size_t bytes)
{
	int err = 0;

	if (all->count >= JITSPANS_MAX || bytes > all->names_limit - all->names_bytes)
		err = sort_out(all);
	else if (all->runs_count == JITSPANS_RUNS_MAX && !runs_continue(all, start))
		err = runs_merge(all); /* there was no memory for it before */
	if (!err)
		err = names_reserve(all, all->names_bytes + bytes);
	if (!err)
		err = spans_reserve(all, all->count + 1);
	return err;
}

int jitspans_add(struct jitspans *all, uint64_t start, uint64_t end, const char *name, size_t length)
{
	bool cut = length > JITSPANS_NAME_MAX;
	char *to;
	int err;

	if (start >= end || !length)
		return -EINVAL;
	if (cut)
		length = JITSPANS_NAME_MAX;
	err = make_room(all, start, length + 1);
	if (err)
		return err;
	if (!runs_continue(all, start))
		all->runs[all->runs_count++] = all->count;
	all->spans[all->count++] = (struct jitspan){ start, end, (uint32_t)all->names_bytes };
	to = all->names + all->names_bytes;
	memcpy(to, name, length);
	to[length] = '\0';
	if (cut)
		memcpy(to + length - strlen(CUT), CUT, strlen(CUT));
	all->names_bytes += length + 1;
	while (runs_uneven(all) && !runs_merge(all))
		;
	return 0;
}

const char *jitspans_find(const struct jitspans *all, uint64_t address)
{
	size_t run, end = all->count;

	for (run = all->runs_count; run--; end = all->runs[run]) {
		size_t low = all->runs[run], high = end; /* the first that ends after @address */

		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (all->spans[middle].end <= address)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < end && all->spans[low].start <= address)
			return all->names + all->spans[low].name;
	}
	return NULL;
}

size_t jitspans_bytes(const struct jitspans *all)
{
	return all->cap * sizeof(*all->spans) + all->names_cap;
}
