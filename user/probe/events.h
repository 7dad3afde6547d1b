/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two streams put in order: what our programs say of processes, and what the kernel says of their
 * mappings. Each comes through rings of its own; only time tells which was first.
 */
#ifndef HB_PROBE_EVENTS_H
#define HB_PROBE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "mapwatch.h"
#include "session.h"

enum queued_kind {
	QUEUED_PROCESS,
	QUEUED_OBJECT,
	QUEUED_MAP,
	QUEUED_VM,
};

struct queued {
	uint64_t time_ns;
	uint64_t order; /* of arrival, for equal times */
	enum queued_kind kind;
	union {
		struct hb_ev_process process;
		struct hb_ev_object object;
		struct map_event map; /* its path is the queue's */
		struct hb_ev_map vm;
	};
};

struct queue;
struct queue *queue_new(void);
void queue_free(struct queue *queue);

/*
 * Take in all that waits in both streams. What happened while they were read may be known from one
 * of them only, so it stays for the next time. May be called while others are being handled.
 */
void queue_fill(struct queue *queue, struct session *session, struct mapwatch *watch);
/*
 * What may be handled now, oldest first; borrowed until queue_done(), which drops it. NULL with
 * *@count 0: nothing, or no memory for now.
 */
struct queued *queue_ready(struct queue *queue, size_t *count);
void queue_done(struct queue *queue);
/* Whether anything stayed. */
bool queue_waits(const struct queue *queue);

/* Events left out for want of memory. */
uint64_t queue_lost(const struct queue *queue);

#endif
