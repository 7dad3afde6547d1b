// SPDX-License-Identifier: Apache-2.0
#include "mapwatch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LAZY_BYTES (64u << 10) /* that much */
#define RING_PAGES 64 /* per CPU, a power of two; an exec of a large program takes two */

struct mapwatch {
	struct perf_buffer *buffer;
	int map; /* libbpf wants one; nothing is sent through it */
	uint64_t lost;
	void (*each)(void *ctx, const struct map_event *event);
	void *ctx;
};

/* Behind every record: what sample_type asked for (PERF_SAMPLE_TID | PERF_SAMPLE_TIME). */
struct record_trailer {
	uint32_t pid, tid;
	uint64_t time;
};

/* PERF_RECORD_MMAP2, include/uapi/linux/perf_event.h; the path and a trailer follow. */
struct record_mmap2 {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint32_t major, minor;
	uint64_t ino, ino_generation;
	uint32_t prot, flags;
};

/* PERF_RECORD_COMM; the name and a trailer follow. */
struct record_comm {
	struct perf_event_header header;
	uint32_t pid, tid;
};

struct record_lost {
	struct perf_event_header header;
	uint64_t id, lost;
};

static uint64_t record_time(const struct perf_event_header *header)
{
	struct record_trailer trailer;

	memcpy(&trailer, (const char *)header + header->size - sizeof(trailer), sizeof(trailer));
	return trailer.time;
}

static void mapped(struct mapwatch *watch, const struct perf_event_header *header)
{
	const struct record_mmap2 *record = (const void *)header;
	size_t room = header->size - sizeof(*record) - sizeof(struct record_trailer);
	const char *path = (const char *)(record + 1);
	struct map_event event = {
		.pid = record->pid,
		.time_ns = record_time(header),
		.start = record->addr,
		.end = record->addr + record->len,
		.offset = record->pgoff,
		.major = record->major,
		.minor = record->minor,
		.ino = record->ino,
		.ino_generation = record->ino_generation,
	};

	if (header->size <= sizeof(*record) + sizeof(struct record_trailer) || !memchr(path, '\0', room))
		return;
	/* "//anon", "[heap]" and the like are no files, save for the vdso, which has a name worth giving. */
	event.path = path[0] == '/' && path[1] != '/' ? path : strcmp(path, "[vdso]") ? "" : path;
	watch->each(watch->ctx, &event);
}

static void execed(struct mapwatch *watch, const struct perf_event_header *header)
{
	const struct record_comm *record = (const void *)header;
	struct map_event event = { .exec = true, .pid = record->pid, .time_ns = record_time(header), .path = "" };

	if (header->misc & PERF_RECORD_MISC_COMM_EXEC)
		watch->each(watch->ctx, &event);
}

static enum bpf_perf_event_ret received(void *ctx, int cpu, struct perf_event_header *header)
{
	struct mapwatch *watch = ctx;

	(void)cpu;
	switch (header->type) {
	case PERF_RECORD_MMAP2:
		mapped(watch, header);
		break;
	case PERF_RECORD_COMM:
		execed(watch, header);
		break;
	case PERF_RECORD_LOST:
		watch->lost += ((const struct record_lost *)(const void *)header)->lost;
		break;
	}
	return LIBBPF_PERF_EVENT_CONT;
}

int mapwatch_open(struct mapwatch **out, bool lazily)
{
	struct mapwatch *watch = calloc(1, sizeof(*watch));
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.watermark = 1,
		.wakeup_watermark = lazily ? LAZY_BYTES : 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	int err;

	if (!watch)
		return -ENOMEM;
	watch->map = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "hb_mapwatch", sizeof(int), sizeof(int),
				    libbpf_num_possible_cpus(), NULL);
	if (watch->map >= 0)
		watch->buffer = perf_buffer__new_raw(watch->map, RING_PAGES, &attr, received, watch, NULL);
	if (watch->map < 0 || !watch->buffer) {
		err = -errno;
		mapwatch_close(watch);
		return err;
	}
	*out = watch;
	return 0;
}

void mapwatch_close(struct mapwatch *watch)
{
	if (!watch)
		return;
	perf_buffer__free(watch->buffer);
	if (watch->map >= 0)
		close(watch->map);
	free(watch);
}

int mapwatch_fd(const struct mapwatch *watch)
{
	return perf_buffer__epoll_fd(watch->buffer);
}

int mapwatch_read(struct mapwatch *watch, void (*each)(void *ctx, const struct map_event *event), void *ctx)
{
	watch->each = each;
	watch->ctx = ctx;
	return perf_buffer__consume(watch->buffer);
}

uint64_t mapwatch_lost(const struct mapwatch *watch)
{
	return watch->lost;
}
