/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes and cgroups held in the last ten minutes: a sample a second of the last minute, and one in ten
 * seconds before. All memory is asked for when a history is made, 2 KiB for each series; the kernel gives it when it is
 * first written to, or when history_take() is called. Not for several threads.
 */
#ifndef HB_MODEL_HISTORY_H
#define HB_MODEL_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#define HISTORY_SERIES_MAX  (1u << 20)
#define HISTORY_SAMPLES_MAX 120 /* of one series */

enum history_kind { HISTORY_PROCESS, HISTORY_CGROUP };

struct history_sample {
	double age_s;
	uint64_t bytes;
};

struct history_counts {
	size_t series;   /* kept now */
	size_t refused;  /* of the last whole sampling: not kept, for no smaller one was */
	uint64_t evicted; /* since the beginning: given up for larger ones, seen within 30 s before */
};

struct history;

/* For at most @max_series, 1 to HISTORY_SERIES_MAX. NULL if memory is short or the number is another. */
struct history *history_new(size_t max_series);
void history_free(struct history *history);

/* Have the kernel give all of its memory now: it can go on then while the host has none left. */
void history_take(struct history *history);

/*
 * One sampling: begin, add each process and cgroup that there is, end. @now_ns is CLOCK_MONOTONIC. Samplings less
 * than 0.9 s after the last that was kept leave no samples, so that a late one never takes the place of what was
 * before a kill.
 */
void history_begin(struct history *history, uint64_t now_ns);

/*
 * @bytes are held now by process @id (started at @start_ns: pids come again) or by cgroup @id (@start_ns is 0).
 * 0, or -ENOSPC: there is no room, and no series that was not seen for 30 s or is smaller. Room is made by giving
 * up those not seen for 30 s, all of them; then the one that held least when it was last seen.
 */
int history_add(struct history *history, enum history_kind kind, uint64_t id, uint64_t start_ns, uint64_t bytes);
void history_end(struct history *history);

/*
 * The samples of one series as of @now_ns, oldest first, none from after that moment; if there are more than @max
 * the newest of them. Samples of one sampling have the same age in all series. Returns how many of @out were
 * filled; 0: it is not known.
 */
size_t history_get(const struct history *history, enum history_kind kind, uint64_t id, uint64_t start_ns,
		   uint64_t now_ns, struct history_sample *out, size_t max);

void history_counts(const struct history *history, struct history_counts *counts);

#endif
