/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New executable mappings and execs of every process, as the kernel tells perf: known even if the
 * process is gone by the time we look. This is where names and new allocators come from.
 */
#ifndef HB_PROBE_MAPWATCH_H
#define HB_PROBE_MAPWATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_event {
	bool exec;         /* the process has dropped its old mappings; nothing below path is set */
	uint32_t pid;      /* tgid */
	uint64_t time_ns;  /* CLOCK_MONOTONIC */
	const char *path;  /* as the process sees it; "" for anonymous memory */
	uint64_t start, end, offset;
	uint32_t major, minor;
	uint64_t ino, ino_generation;
};

struct mapwatch;

/*
 * Watch the whole system from now on. @lazily: mapwatch_fd() tells only of much that waits; else at once, or within
 * 10 ms while threads begin by the hundred. 0 or negative errno.
 */
int mapwatch_open(struct mapwatch **watch, bool lazily);
void mapwatch_close(struct mapwatch *watch);

/* Descriptor that polls readable when records wait. */
int mapwatch_fd(const struct mapwatch *watch);

/* Deliver what waits; in order per CPU only. 0 or negative errno. */
int mapwatch_read(struct mapwatch *watch, void (*each)(void *ctx, const struct map_event *event), void *ctx);

/* Records lost so far, for a ring was full. */
uint64_t mapwatch_lost(const struct mapwatch *watch);

#endif
