// SPDX-License-Identifier: Apache-2.0
#include "maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "gate.h"

#define LINE_BYTES_MAX (32u << 10) /* PATH_MAX, each byte escaped to four, and the numbers before */
#define READ_BYTES     4096 /* the kernel holds the address space for one read at most */

/* What is left of a line. */
struct cursor {
	const char *at, *end;
};

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

static bool take_number(struct cursor *cursor, unsigned int base, uint64_t max, uint64_t *value)
{
	const char *start = cursor->at;

	*value = 0;
	for (; cursor->at < cursor->end; cursor->at++) {
		unsigned int digit = (unsigned int)digit_value(*cursor->at);

		if (digit >= base)
			break;
		if (*value > (max - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	return cursor->at > start;
}

static bool take_char(struct cursor *cursor, char c)
{
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

/* One letter of "rwxp": @yes or @no. */
static bool take_flag(struct cursor *cursor, char yes, char no, bool *flag)
{
	*flag = take_char(cursor, yes);
	return *flag || take_char(cursor, no);
}

static bool take_numbers(struct cursor *cursor, struct map_line *out)
{
	uint64_t major, minor;

	if (!take_number(cursor, 16, UINT64_MAX, &out->start) || !take_char(cursor, '-') ||
	    !take_number(cursor, 16, UINT64_MAX, &out->end) || !take_char(cursor, ' ') ||
	    !take_flag(cursor, 'r', '-', &out->read) ||
	    !take_flag(cursor, 'w', '-', &out->write) ||
	    !take_flag(cursor, 'x', '-', &out->exec) ||
	    !take_flag(cursor, 's', 'p', &out->shared) || !take_char(cursor, ' ') ||
	    !take_number(cursor, 16, UINT64_MAX, &out->offset) || !take_char(cursor, ' ') ||
	    !take_number(cursor, 16, UINT32_MAX, &major) || !take_char(cursor, ':') ||
	    !take_number(cursor, 16, UINT32_MAX, &minor) || !take_char(cursor, ' ') ||
	    !take_number(cursor, 10, UINT64_MAX, &out->ino))
		return false;
	out->major = (unsigned int)major;
	out->minor = (unsigned int)minor;
	return out->start < out->end;
}

/* The kernel writes a newline in a path as \012, and nothing else so: seq_path(m, path, "\n"). */
static size_t path_unescape(const struct cursor *from, char *path)
{
	const char *at = from->at;
	char *to = path;

	while (at < from->end) {
		if (from->end - at >= 4 && !memcmp(at, "\\012", 4)) {
			*to++ = '\n';
			at += 4;
		} else {
			*to++ = *at++;
		}
	}
	*to = '\0';
	return (size_t)(to - path);
}

int maps_parse_line(const char *line, size_t length, struct map_line *out, char *path)
{
	static const char gone[] = " (deleted)";
	struct cursor cursor = { line, line + length };
	size_t bytes, gone_bytes = sizeof(gone) - 1;

	if (memchr(line, '\0', length) || !take_numbers(&cursor, out))
		return -EINVAL;
	if (cursor.at < cursor.end && *cursor.at != ' ')
		return -EINVAL;
	while (take_char(&cursor, ' '))
		;
	bytes = path_unescape(&cursor, path);
	out->deleted = bytes >= gone_bytes && !strcmp(path + bytes - gone_bytes, gone);
	if (out->deleted)
		path[bytes - gone_bytes] = '\0';
	out->path = path;
	return 0;
}

struct walk {
	int (*each)(void *ctx, const struct map_line *line);
	void *ctx;
	char line[LINE_BYTES_MAX];
	size_t length;
	bool overlong; /* the rest of this line is dropped */
	uint64_t end;  /* of the line before */
	char path[LINE_BYTES_MAX + 1];
};

/*
 * Only what lies above the line before. Each read() goes on where that ended; what lies there may have become one
 * with what was listed, and has its beginning below.
 */
static int walk_above(struct walk *walk, struct map_line *line)
{
	if (line->end <= walk->end)
		return 0;
	if (line->start < walk->end) {
		line->offset += line->ino ? walk->end - line->start : 0;
		line->start = walk->end;
	}
	walk->end = line->end;
	return walk->each(walk->ctx, line);
}

static int walk_line(struct walk *walk)
{
	struct map_line line;
	int err = 0;

	if (walk->length && !walk->overlong &&
	    !maps_parse_line(walk->line, walk->length, &line, walk->path))
		err = walk_above(walk, &line);
	walk->length = 0;
	walk->overlong = false;
	return err;
}

static int walk_bytes(struct walk *walk, const char *bytes, size_t count)
{
	while (count) {
		const char *newline = memchr(bytes, '\n', count);
		size_t length = newline ? (size_t)(newline - bytes) : count;
		int err;

		if (length > sizeof(walk->line) - walk->length)
			walk->overlong = true;
		if (!walk->overlong) {
			memcpy(walk->line + walk->length, bytes, length);
			walk->length += length;
		}
		if (!newline)
			return 0;
		err = walk_line(walk);
		if (err)
			return err;
		bytes += length + 1;
		count -= length + 1;
	}
	return 0;
}

/* read(), again if it was interrupted; what it counts for is added to @held_ns. Bytes or negative errno. */
static ssize_t read_held(int fd, char *bytes, size_t size, uint64_t *held_ns)
{
	const uint64_t began_ns = clock_mono_ns();
	ssize_t got;

	do
		got = read(fd, bytes, size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		got = -errno;
	*held_ns += gate_held_ns(began_ns);
	return got;
}

/* @proc: ask for it before each read, or NULL. */
static int walk_file(int fd, const struct proc *proc, int (*each)(void *ctx, const struct map_line *line), void *ctx,
		     uint64_t *held_ns)
{
	__cleanup(freep) struct walk *walk = malloc(sizeof(*walk));
	char bytes[READ_BYTES];

	if (!walk)
		return -ENOMEM;
	walk->each = each;
	walk->ctx = ctx;
	walk->length = 0;
	walk->overlong = false;
	walk->end = 0;
	for (;;) {
		int err = proc ? gate_ask(proc) : 0;
		ssize_t got = err ? err : read_held(fd, bytes, sizeof(bytes), held_ns);

		if (got < 0)
			return (int)got;
		if (!got)
			return walk_line(walk);
		err = walk_bytes(walk, bytes, (size_t)got);
		if (err)
			return err;
	}
}

int maps_walk(int fd, int (*each)(void *ctx, const struct map_line *line), void *ctx)
{
	uint64_t held_ns = 0;

	return walk_file(fd, NULL, each, ctx, &held_ns);
}

int maps_read_held(const struct proc *proc, int (*each)(void *ctx, const struct map_line *line), void *ctx,
		   uint64_t *held_ns)
{
	__cleanup(fd_closep) int fd = proc_open_file(proc, "maps");

	return fd < 0 ? fd : walk_file(fd, proc, each, ctx, held_ns);
}

int maps_read(const struct proc *proc, int (*each)(void *ctx, const struct map_line *line), void *ctx)
{
	uint64_t held_ns = 0;

	return maps_read_held(proc, each, ctx, &held_ns);
}
