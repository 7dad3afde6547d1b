// SPDX-License-Identifier: Apache-2.0
#include "history.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../base/resident.h"

#define RING           60
#define NS_PER_S       1000000000ull
#define FINE_GAP_NS    (NS_PER_S * 9 / 10)  /* once a second, however late the one before was */
#define COARSE_GAP_NS  (NS_PER_S * 19 / 2)  /* each tenth of those */
#define UNSEEN_NS      (30 * NS_PER_S)
#define NONE           UINT32_MAX

_Static_assert(HISTORY_SAMPLES_MAX == 2 * RING, "both rings");

struct sample {
	uint64_t time_ns;
	uint64_t bytes;
};

struct ring {
	struct sample of[RING];
	uint64_t count; /* ever written */
};

struct series {
	uint64_t id, start_ns;
	uint64_t seen_ns;
	uint64_t bytes;    /* when it was seen */
	enum history_kind kind;
	uint32_t next;     /* of the same bucket; of a free one: the next free one */
	uint32_t place;    /* in the heap */
	struct ring fine, coarse;
};

struct history {
	struct series *series;
	uint32_t *buckets;  /* first series of each, or NONE */
	uint32_t *heap;     /* series; none holds less than the one above it, at (place - 1) / 2 */
	size_t max, buckets_mask;
	size_t count;       /* of heap: series in use */
	size_t touched;     /* series that were ever in use: the others were not written to yet */
	uint32_t free;
	uint64_t now_ns, fine_ns, coarse_ns; /* of this sampling, and of the last that were kept in the rings */
	bool begun;         /* there was a sampling */
	bool is_fine, is_coarse; /* this one is kept */
	bool swept;         /* nothing unseen is left in this one */
	size_t refusing, refused; /* in this one, and in the last whole one */
	uint64_t evicted;
};

struct history *history_new(size_t max_series)
{
	struct history *history;
	size_t buckets = 1;

	if (!max_series || max_series > HISTORY_SERIES_MAX)
		return NULL;
	history = calloc(1, sizeof(*history));
	if (!history)
		return NULL;
	while (buckets < max_series)
		buckets *= 2;
	history->max = max_series;
	history->buckets_mask = buckets - 1;
	history->free = NONE;
	history->series = calloc(max_series, sizeof(*history->series));
	history->heap = calloc(max_series, sizeof(*history->heap));
	history->buckets = malloc(buckets * sizeof(*history->buckets));
	if (!history->series || !history->heap || !history->buckets) {
		history_free(history);
		return NULL;
	}
	for (size_t i = 0; i < buckets; i++)
		history->buckets[i] = NONE;
	return history;
}

void history_free(struct history *history)
{
	if (!history)
		return;
	free(history->series);
	free(history->heap);
	free(history->buckets);
	free(history);
}

void history_take(struct history *history)
{
	resident_make(history->series, history->max * sizeof(*history->series));
	resident_make(history->heap, history->max * sizeof(*history->heap));
}

/* --- which series ------------------------------------------------------------------------------ */

/* Where the number of the first series of its bucket is. */
static uint32_t *bucket_of(const struct history *history, enum history_kind kind, uint64_t id, uint64_t start_ns)
{
	/* 2^64 / golden ratio: Knuth's multiplicative hashing */
	uint64_t hash = (id ^ (uint64_t)kind << 63) * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ hash >> 32 ^ start_ns) * 0x9e3779b97f4a7c15ull;
	return &history->buckets[(hash >> 32) & history->buckets_mask];
}

static struct series *find(const struct history *history, enum history_kind kind, uint64_t id, uint64_t start_ns)
{
	uint32_t at = *bucket_of(history, kind, id, start_ns);

	for (; at != NONE; at = history->series[at].next) {
		struct series *series = &history->series[at];

		if (series->id == id && series->start_ns == start_ns && series->kind == kind)
			return series;
	}
	return NULL;
}

static void unlink_series(struct history *history, const struct series *series)
{
	uint32_t *link = bucket_of(history, series->kind, series->id, series->start_ns);

	while (&history->series[*link] != series)
		link = &history->series[*link].next;
	*link = series->next;
}

/* --- which of them holds least ----------------------------------------------------------------- */

static uint64_t bytes_at(const struct history *history, size_t place)
{
	return history->series[history->heap[place]].bytes;
}

static void heap_put(struct history *history, size_t place, uint32_t number)
{
	history->heap[place] = number;
	history->series[number].place = (uint32_t)place;
}

/* Put the series at @place where its bytes belong. */
static void heap_settle(struct history *history, size_t place)
{
	uint32_t number = history->heap[place];
	uint64_t bytes = history->series[number].bytes;

	for (; place && bytes_at(history, (place - 1) / 2) > bytes; place = (place - 1) / 2)
		heap_put(history, place, history->heap[(place - 1) / 2]);
	for (;;) {
		size_t below = 2 * place + 1;

		if (below + 1 < history->count && bytes_at(history, below + 1) < bytes_at(history, below))
			below++;
		if (below >= history->count || bytes_at(history, below) >= bytes)
			break;
		heap_put(history, place, history->heap[below]);
		place = below;
	}
	heap_put(history, place, number);
}

static void give_up(struct history *history, struct series *series)
{
	uint32_t number = (uint32_t)(series - history->series), last = history->heap[--history->count];
	size_t place = series->place;

	unlink_series(history, series);
	if (place < history->count) {
		heap_put(history, place, last);
		heap_settle(history, place);
	}
	series->next = history->free;
	history->free = number;
}

/* --- one sampling ------------------------------------------------------------------------------ */

void history_begin(struct history *history, uint64_t now_ns)
{
	if (now_ns < history->now_ns)
		now_ns = history->now_ns;
	history->is_fine = !history->begun || now_ns - history->fine_ns >= FINE_GAP_NS;
	history->is_coarse = history->is_fine && (!history->begun || now_ns - history->coarse_ns >= COARSE_GAP_NS);
	if (history->is_fine)
		history->fine_ns = now_ns;
	if (history->is_coarse)
		history->coarse_ns = now_ns;
	history->now_ns = now_ns;
	history->begun = true;
	history->swept = false;
	history->refusing = 0;
}

static bool is_unseen(const struct history *history, const struct series *series)
{
	return history->now_ns - series->seen_ns >= UNSEEN_NS;
}

/* Give up all that are unseen; the others make a heap anew in the same place. */
static void sweep(struct history *history)
{
	size_t before = history->count;

	if (history->swept)
		return;
	history->swept = true;
	history->count = 0;
	for (size_t i = 0; i < before; i++) {
		uint32_t number = history->heap[i];
		struct series *series = &history->series[number];

		if (is_unseen(history, series)) {
			unlink_series(history, series);
			series->next = history->free;
			history->free = number;
		} else {
			heap_put(history, history->count++, number);
			heap_settle(history, history->count - 1);
		}
	}
}

/* A free series for one that holds @bytes; NULL: all of them are seen, and none holds less. */
static struct series *take(struct history *history, uint64_t bytes)
{
	struct series *series;

	if (history->free == NONE && history->touched < history->max)
		return &history->series[history->touched++];
	if (history->free == NONE)
		sweep(history);
	if (history->free == NONE) {
		if (bytes_at(history, 0) >= bytes)
			return NULL;
		give_up(history, &history->series[history->heap[0]]);
		history->evicted++;
	}
	series = &history->series[history->free];
	history->free = series->next;
	return series;
}

static struct series *make(struct history *history, enum history_kind kind, uint64_t id, uint64_t start_ns,
			   uint64_t bytes)
{
	struct series *series = take(history, bytes);
	uint32_t *bucket;

	if (!series)
		return NULL;
	bucket = bucket_of(history, kind, id, start_ns);
	series->kind = kind;
	series->id = id;
	series->start_ns = start_ns;
	series->fine.count = 0;
	series->coarse.count = 0;
	series->next = *bucket;
	*bucket = (uint32_t)(series - history->series);
	heap_put(history, history->count++, *bucket);
	return series;
}

/* Who was added already in this sampling only has a new number. */
static void ring_write(struct ring *ring, uint64_t now_ns, uint64_t bytes)
{
	if (!ring->count || ring->of[(ring->count - 1) % RING].time_ns != now_ns)
		ring->count++;
	ring->of[(ring->count - 1) % RING] = (struct sample){ now_ns, bytes };
}

int history_add(struct history *history, enum history_kind kind, uint64_t id, uint64_t start_ns, uint64_t bytes)
{
	struct series *series = find(history, kind, id, start_ns);

	if (!series)
		series = make(history, kind, id, start_ns, bytes);
	if (!series) {
		history->refusing++;
		return -ENOSPC;
	}
	series->seen_ns = history->now_ns;
	series->bytes = bytes;
	heap_settle(history, series->place);
	if (history->is_fine)
		ring_write(&series->fine, history->now_ns, bytes);
	if (history->is_coarse)
		ring_write(&series->coarse, history->now_ns, bytes);
	return 0;
}

void history_end(struct history *history)
{
	history->refused = history->refusing;
}

/* --- what it held ------------------------------------------------------------------------------ */

/* The samples of @ring from before @until_ns, oldest first, behind the @count that are in @all. Their number now. */
static size_t gather(const struct ring *ring, uint64_t until_ns, struct sample all[HISTORY_SAMPLES_MAX], size_t count)
{
	uint64_t i = ring->count > RING ? ring->count - RING : 0;

	for (; i < ring->count && ring->of[i % RING].time_ns < until_ns; i++)
		all[count++] = ring->of[i % RING];
	return count;
}

size_t history_get(const struct history *history, enum history_kind kind, uint64_t id, uint64_t start_ns,
		   uint64_t now_ns, struct history_sample *out, size_t max)
{
	const struct series *series = find(history, kind, id, start_ns);
	struct sample all[HISTORY_SAMPLES_MAX];
	const uint64_t end_ns = now_ns < UINT64_MAX ? now_ns + 1 : now_ns;
	uint64_t oldest;
	size_t count, first;

	if (!series || !series->fine.count)
		return 0;
	oldest = series->fine.of[series->fine.count > RING ? series->fine.count % RING : 0].time_ns;
	count = gather(&series->coarse, oldest < end_ns ? oldest : end_ns, all, 0);
	count = gather(&series->fine, end_ns, all, count);
	first = count > max ? count - max : 0;
	for (size_t i = first; i < count; i++) {
		out[i - first].age_s = (double)(now_ns - all[i].time_ns) / NS_PER_S;
		out[i - first].bytes = all[i].bytes;
	}
	return count - first;
}

void history_counts(const struct history *history, struct history_counts *counts)
{
	*counts = (struct history_counts){
		.series = history->count, .refused = history->refused, .evicted = history->evicted,
	};
}
