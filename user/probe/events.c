// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"

struct queue {
	struct queued *events;
	size_t count, cap;
	size_t ready;
	uint64_t horizon_ns; /* up to here both streams were read */
	uint64_t arrived;
	uint64_t lost;
};

struct queue *queue_new(void)
{
	return calloc(1, sizeof(struct queue));
}

static void drop(struct queue *queue, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!queue->events[i].is_process)
			free((char *)queue->events[i].map.path);
	}
	queue->count -= count;
	if (queue->count)
		memmove(queue->events, queue->events + count, queue->count * sizeof(*queue->events));
}

void queue_done(struct queue *queue)
{
	drop(queue, queue->ready);
	queue->ready = 0;
}

bool queue_waits(const struct queue *queue)
{
	return queue->count > 0;
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	drop(queue, queue->count);
	free(queue->events);
	free(queue);
}

static struct queued *append(struct queue *queue, uint64_t time_ns)
{
	struct queued *event;

	if (queue->count == queue->cap) {
		size_t cap = queue->cap ? 2 * queue->cap : 256;
		void *grown = realloc(queue->events, cap * sizeof(*queue->events));

		if (!grown) {
			queue->lost++;
			return NULL;
		}
		queue->events = grown;
		queue->cap = cap;
	}
	event = &queue->events[queue->count++];
	memset(event, 0, sizeof(*event));
	event->time_ns = time_ns;
	event->order = queue->arrived++;
	return event;
}

static void add_process(void *ctx, const struct hb_ev_process *process)
{
	struct queued *event = append(ctx, process->time_ns);

	if (!event)
		return;
	event->is_process = true;
	event->process = *process;
	event->process.comm[sizeof(event->process.comm) - 1] = '\0';
}

static void add_map(void *ctx, const struct map_event *map)
{
	struct queue *queue = ctx;
	struct queued *event = append(queue, map->time_ns);

	if (!event)
		return;
	event->map = *map;
	event->map.path = strdup(map->path);
	if (!event->map.path) {
		queue->count--;
		queue->lost++;
	}
}

void queue_fill(struct queue *queue, struct session *session, struct mapwatch *watch)
{
	queue->horizon_ns = clock_mono_ns();
	mapwatch_read(watch, add_map, queue);
	session_events(session, add_process, queue);
}

static int by_time(const void *a, const void *b)
{
	const struct queued *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

struct queued *queue_ready(struct queue *queue, size_t *count)
{
	if (queue->count)
		qsort(queue->events, queue->count, sizeof(*queue->events), by_time);
	queue->ready = 0;
	while (queue->ready < queue->count && queue->events[queue->ready].time_ns <= queue->horizon_ns)
		queue->ready++;
	*count = queue->ready;
	return queue->events;
}

uint64_t queue_lost(const struct queue *queue)
{
	return queue->lost;
}
