// SPDX-License-Identifier: Apache-2.0
#include "mapwatch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"

#define LAZY_BYTES (64u << 10) /* that much */
#define RING_PAGES 64 /* per CPU, a power of two; an exec of a large program takes two */
#define BELL_PAGES 2 /* what does not fit wakes nobody: a path has up to 4096 bytes */
#define SECOND_NS  1000000000ULL
#define CROWD      100 /* threads that begin in a second: no more is the bell rung for each */
#define MUTED_NS   10000000 /* between two readings meanwhile */

/*
 * The kernel cannot be told that threads are of no interest where mappings are: it writes a record for each that begins
 * or ends. To wake us costs the one that begins it more than all else. So there are two events for each CPU: one that
 * keeps the records and wakes us for many of them only, and a bell, whose records are thrown away, that wakes us for
 * each. While threads come and go in a crowd the bell is muted, and a timer rings in its place.
 */
struct mapwatch {
	struct perf_buffer *buffer, *bell; /* the latter NULL: lazily */
	int map; /* libbpf wants one; nothing is sent through it */
	int epoll, timer;
	bool muted;
	uint64_t crowd_ns; /* since when threads are counted */
	size_t threads;
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

/* PERF_RECORD_FORK; the time and a trailer follow. */
struct record_fork {
	struct perf_event_header header;
	uint32_t pid, parent_pid;
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

/* Processes map what they begin with: of those that come in numbers we want to hear at once. */
static bool is_thread(const struct perf_event_header *header)
{
	const struct record_fork *record = (const void *)header;

	return record->pid == record->parent_pid;
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
	case PERF_RECORD_FORK:
		watch->threads += is_thread(header);
		break;
	case PERF_RECORD_LOST:
		watch->lost += ((const struct record_lost *)(const void *)header)->lost;
		break;
	}
	return LIBBPF_PERF_EVENT_CONT;
}

static enum bpf_perf_event_ret rung(void *ctx, int cpu, struct perf_event_header *header)
{
	(void)ctx;
	(void)cpu;
	(void)header;
	return LIBBPF_PERF_EVENT_CONT;
}

/* NULL with errno. @wakeup_bytes: it wakes us for so many. */
static struct perf_buffer *open_buffer(const struct mapwatch *watch, size_t pages, uint32_t wakeup_bytes,
				       perf_buffer_event_fn each, void *ctx)
{
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
		.wakeup_watermark = wakeup_bytes,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};

	return perf_buffer__new_raw(watch->map, pages, &attr, each, ctx, NULL);
}

static int wait_for(const struct mapwatch *watch, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_bell(struct mapwatch *watch)
{
	watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->timer < 0)
		return -errno;
	watch->bell = open_buffer(watch, BELL_PAGES, 1, rung, NULL);
	if (!watch->bell)
		return -errno;
	return wait_for(watch, watch->timer) ?: wait_for(watch, perf_buffer__epoll_fd(watch->bell));
}

/* The bell first: of events of one CPU the kernel writes to the youngest first, so that what it rings for is there. */
static int open_all(struct mapwatch *watch, bool lazily)
{
	int err = 0;

	watch->map = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "hb_mapwatch", sizeof(int), sizeof(int),
				    libbpf_num_possible_cpus(), NULL);
	watch->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (watch->map < 0 || watch->epoll < 0)
		return -errno;
	if (!lazily)
		err = open_bell(watch);
	if (err)
		return err;
	watch->buffer = open_buffer(watch, RING_PAGES, LAZY_BYTES, received, watch);
	return watch->buffer ? wait_for(watch, perf_buffer__epoll_fd(watch->buffer)) : -errno;
}

int mapwatch_open(struct mapwatch **out, bool lazily)
{
	struct mapwatch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->map = watch->epoll = watch->timer = -1;
	err = open_all(watch, lazily);
	if (err)
		mapwatch_close(watch);
	else
		*out = watch;
	return err;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void mapwatch_close(struct mapwatch *watch)
{
	if (!watch)
		return;
	perf_buffer__free(watch->buffer);
	perf_buffer__free(watch->bell);
	close_fd(watch->epoll);
	close_fd(watch->timer);
	close_fd(watch->map);
	free(watch);
}

int mapwatch_fd(const struct mapwatch *watch)
{
	return watch->epoll;
}

static void mute(struct mapwatch *watch, bool muted)
{
	const struct timespec often = { .tv_nsec = muted ? MUTED_NS : 0 };
	const struct itimerspec timer = { .it_interval = often, .it_value = often };

	for (size_t i = 0; i < perf_buffer__buffer_cnt(watch->bell); i++) {
		const int fd = perf_buffer__buffer_fd(watch->bell, i);

		ioctl(fd, muted ? PERF_EVENT_IOC_DISABLE : PERF_EVENT_IOC_ENABLE, 0);
	}
	timerfd_settime(watch->timer, 0, &timer, NULL);
	watch->muted = muted;
}

/* Muted at once, and rung again after a second that was calm. */
static void mind_crowd(struct mapwatch *watch)
{
	const uint64_t now_ns = clock_mono_ns();

	if (!watch->muted && watch->threads > CROWD)
		mute(watch, true);
	if (now_ns < watch->crowd_ns + SECOND_NS)
		return;
	if (watch->muted && watch->threads <= CROWD)
		mute(watch, false);
	watch->crowd_ns = now_ns;
	watch->threads = 0;
}

static void hear_bell(struct mapwatch *watch)
{
	uint64_t times;
	ssize_t unused;

	perf_buffer__consume(watch->bell);
	unused = read(watch->timer, &times, sizeof(times)); /* or it would be readable for ever */
	(void)unused;
	mind_crowd(watch);
}

int mapwatch_read(struct mapwatch *watch, void (*each)(void *ctx, const struct map_event *event), void *ctx)
{
	watch->each = each;
	watch->ctx = ctx;
	if (watch->bell)
		hear_bell(watch); /* before what it rang for is read */
	return perf_buffer__consume(watch->buffer);
}

uint64_t mapwatch_lost(const struct mapwatch *watch)
{
	return watch->lost;
}
