// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"

struct queue {
	struct queued *events;   /* taken in */
	size_t count, cap;
	struct queued *handling; /* given out by queue_ready() */
	size_t handling_count;
	uint64_t horizon_ns; /* up to here both streams were read */
	uint64_t arrived;
	uint64_t lost;
};

struct queue *queue_new(void)
{
	return calloc(1, sizeof(struct queue));
}

static void events_free(struct queued *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (events[i].kind == QUEUED_MAP)
			free((char *)events[i].map.path);
	}
	free(events);
}

void queue_done(struct queue *queue)
{
	events_free(queue->handling, queue->handling_count);
	queue->handling = NULL;
	queue->handling_count = 0;
}

bool queue_waits(const struct queue *queue)
{
	return queue->count > 0;
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	queue_done(queue);
	events_free(queue->events, queue->count);
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

static void add_process(struct queue *queue, const struct hb_ev_process *process)
{
	struct queued *event = append(queue, process->time_ns);

	if (!event)
		return;
	event->kind = QUEUED_PROCESS;
	event->process = *process;
	event->process.comm[sizeof(event->process.comm) - 1] = '\0';
}

static void add_object(struct queue *queue, const struct hb_ev_object *object)
{
	struct queued *event = append(queue, object->time_ns);

	if (!event)
		return;
	event->kind = QUEUED_OBJECT;
	event->object = *object;
}

static void add_vm(struct queue *queue, const struct hb_ev_map *vm)
{
	struct queued *event = append(queue, vm->time_ns);

	if (!event)
		return;
	event->kind = QUEUED_VM;
	event->vm = *vm;
}

static void add_event(void *ctx, const void *data, size_t bytes)
{
	uint32_t kind;

	if (bytes < sizeof(kind))
		return;
	memcpy(&kind, data, sizeof(kind));
	if (kind == HB_EV_OBJECT && bytes >= sizeof(struct hb_ev_object))
		add_object(ctx, data);
	else if (kind == HB_EV_MAP && bytes >= sizeof(struct hb_ev_map))
		add_vm(ctx, data);
	else if (((kind >= HB_EV_FORK && kind <= HB_EV_EXIT) || kind == HB_EV_SEEN) &&
		 bytes >= sizeof(struct hb_ev_process))
		add_process(ctx, data);
}

static void add_map(void *ctx, const struct map_event *map)
{
	struct queue *queue = ctx;
	struct queued *event = append(queue, map->time_ns);

	if (!event)
		return;
	event->kind = QUEUED_MAP;
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
	session_events(session, add_event, queue);
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
	size_t ready = 0;

	*count = 0;
	if (queue->count)
		qsort(queue->events, queue->count, sizeof(*queue->events), by_time);
	while (ready < queue->count && queue->events[ready].time_ns <= queue->horizon_ns)
		ready++;
	queue->handling = ready ? malloc(ready * sizeof(*queue->handling)) : NULL;
	if (!queue->handling)
		return NULL;
	memcpy(queue->handling, queue->events, ready * sizeof(*queue->handling));
	queue->handling_count = ready;
	queue->count -= ready;
	memmove(queue->events, queue->events + ready, queue->count * sizeof(*queue->events));
	*count = ready;
	return queue->handling;
}

uint64_t queue_lost(const struct queue *queue)
{
	return queue->lost;
}
