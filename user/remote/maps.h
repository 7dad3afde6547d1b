/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/maps, line by line. */
#ifndef HB_REMOTE_MAPS_H
#define HB_REMOTE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "procfs.h"

struct map_line {
	uint64_t start, end;
	uint64_t offset;
	bool read, write, exec, shared;
	unsigned int major, minor;
	uint64_t ino;
	bool deleted;      /* the path ended in " (deleted)", which is cut off */
	const char *path;  /* unescaped (\012 is a newline in maps); "" if anonymous; borrowed */
};

/*
 * Parse one line (without its newline, @length bytes, may contain any byte). @path receives the
 * unescaped path and must hold @length + 1 bytes. 0 or -EINVAL.
 */
int maps_parse_line(const char *line, size_t length, struct map_line *out, char *path);

/*
 * Call @each for every mapping of @proc, upwards and none over another, though the list is read piece by piece; a
 * non-zero return ends the walk and is returned. A line that cannot be parsed is skipped. 0 or negative errno;
 * -EBUSY: refused (gate.h), at the start or on the way.
 */
int maps_read(const struct proc *proc, int (*each)(void *ctx, const struct map_line *line), void *ctx);

/* The same; how long the address space was held is added to @held_ns. */
int maps_read_held(const struct proc *proc, int (*each)(void *ctx, const struct map_line *line), void *ctx,
		   uint64_t *held_ns);

/* The same of a maps file's open descriptor, of a process of our own: nobody is asked. */
int maps_walk(int fd, int (*each)(void *ctx, const struct map_line *line), void *ctx);

#endif
