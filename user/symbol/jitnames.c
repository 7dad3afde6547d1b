// SPDX-License-Identifier: Apache-2.0
#include "jitnames.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "jitdump.h"
#include "perfmap.h"

#define CHUNK_BYTES  (64u << 10)
#define LINE_BYTES   (JITNAMES_NAME_MAX + 64) /* of a line, or of a record: the rest of a name */
#define TAIL_BYTES   64

_Static_assert(2 * LINE_BYTES < CHUNK_BYTES, "a chunk holds a line");

/* A file that is appended to. */
struct source {
	struct jitspans spans;
	dev_t dev;
	ino_t ino;
	off_t size;            /* when it was last looked at */
	struct timespec mtime; /* then */
	off_t at;              /* the first byte that was not taken in */
	size_t allowance;      /* bytes that may be read */
	char tail[TAIL_BYTES]; /* the last bytes before at */
	size_t tail_bytes;
	size_t skipped;
	bool known;   /* what is above is of a file, and at and tail fit together */
	bool passing; /* map: inside a line of which enough was seen */
	int broken;   /* dump: why no more is read */
};

struct jitnames {
	struct source map, dump;
};

static void source_init(struct source *source)
{
	jitspans_init(&source->spans);
	source->allowance = JITNAMES_BYTES_MAX;
}

struct jitnames *jitnames_new(void)
{
	struct jitnames *names = calloc(1, sizeof(*names));

	if (names) {
		source_init(&names->map);
		source_init(&names->dump);
	}
	return names;
}

void jitnames_free(struct jitnames *names)
{
	if (!names)
		return;
	jitspans_release(&names->map.spans);
	jitspans_release(&names->dump.spans);
	free(names);
}

/* At most @size bytes from @at on. Their number or negative errno. */
static ssize_t read_at(int fd, void *bytes, size_t size, off_t at)
{
	ssize_t got;

	do {
		got = pread(fd, bytes, size, at);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Whether @fd is what was read, and perhaps more. */
static bool source_continues(const struct source *source, int fd, const struct stat *stat)
{
	bool touched = stat->st_mtim.tv_sec != source->mtime.tv_sec || stat->st_mtim.tv_nsec != source->mtime.tv_nsec;
	char tail[TAIL_BYTES];

	if (!source->known || stat->st_dev != source->dev || stat->st_ino != source->ino)
		return false;
	if (stat->st_size < source->size || (stat->st_size == source->size && touched))
		return false;
	return read_at(fd, tail, source->tail_bytes, source->at - (off_t)source->tail_bytes) ==
		       (ssize_t)source->tail_bytes &&
	       !memcmp(tail, source->tail, source->tail_bytes);
}

static int source_begin(struct source *source, int fd)
{
	struct stat stat;

	if (fstat(fd, &stat))
		return -errno;
	source->allowance += JITNAMES_BYTES_MORE;
	if (source->allowance > JITNAMES_BYTES_MAX)
		source->allowance = JITNAMES_BYTES_MAX;
	if (!source_continues(source, fd, &stat)) {
		jitspans_release(&source->spans);
		source->at = 0;
		source->passing = false;
		source->broken = 0;
	}
	source->dev = stat.st_dev;
	source->ino = stat.st_ino;
	source->size = stat.st_size;
	source->mtime = stat.st_mtim;
	return 0;
}

/* Remember what the next call shall find before what it reads. */
static void source_end(struct source *source, int fd)
{
	size_t bytes = source->at < TAIL_BYTES ? (size_t)source->at : TAIL_BYTES;

	source->known = read_at(fd, source->tail, bytes, source->at - (off_t)bytes) == (ssize_t)bytes;
	source->tail_bytes = bytes;
}

/* The next bytes of the file, at most a chunk. Their number, 0 if there are none or no more may be read. */
static ssize_t source_read(struct source *source, int fd, char *chunk)
{
	size_t bytes = CHUNK_BYTES;
	ssize_t got;

	if (bytes > source->allowance)
		return 0;
	if (source->size - source->at < (off_t)bytes)
		bytes = (size_t)(source->size - source->at);
	got = read_at(fd, chunk, bytes, source->at);
	if (got > 0)
		source->allowance -= (size_t)got;
	return got;
}

static int map_line(struct source *map, const char *line, size_t length)
{
	struct perfmap_entry entry;

	if (!perfmap_parse_line(line, length, &entry))
		return jitspans_add(&map->spans, entry.start, entry.end, entry.name, entry.length);
	map->skipped++;
	return 0;
}

/* Take in the lines of @chunk, in @used the bytes that need not be read again. */
static int map_chunk(struct source *map, const char *chunk, size_t count, size_t *used)
{
	*used = 0;
	while (*used < count) {
		const char *line = chunk + *used, *newline = memchr(line, '\n', count - *used);
		size_t length = newline ? (size_t)(newline - line) : count - *used;
		bool enough = newline || length >= LINE_BYTES;
		int err = 0;

		if (!enough && !map->passing)
			break;
		if (!map->passing)
			err = map_line(map, line, length < LINE_BYTES ? length : LINE_BYTES);
		map->passing = !newline;
		*used += newline ? length + 1 : length;
		if (err)
			return err;
	}
	return 0;
}

int jitnames_read_map(struct jitnames *names, int fd)
{
	__cleanup(freep) char *chunk = malloc(CHUNK_BYTES);
	struct source *map = &names->map;
	int err = chunk ? source_begin(map, fd) : -ENOMEM;

	if (err)
		return err;
	if (map->size - map->at > JITNAMES_BYTES_MAX) {
		map->at = map->size - JITNAMES_BYTES_MAX;
		map->passing = true;
	}
	while (!err) {
		ssize_t got = source_read(map, fd, chunk);
		size_t used;

		if (got <= 0) {
			err = (int)got;
			break;
		}
		err = map_chunk(map, chunk, (size_t)got, &used);
		if (!used)
			break;
		map->at += (off_t)used;
	}
	source_end(map, fd);
	return err;
}

/* The moved code keeps its name. */
static int dump_move(struct source *dump, const struct jitdump_record *record)
{
	const char *name = jitspans_find(&dump->spans, record->old);
	char copy[JITSPANS_NAME_MAX + 1];

	if (!name) {
		dump->skipped++;
		return 0;
	}
	strcpy(copy, name);
	return jitspans_add(&dump->spans, record->start, record->end, copy, strlen(copy));
}

static int dump_record(struct source *dump, const struct jitdump_record *record)
{
	if (record->kind == JITDUMP_BROKEN)
		dump->skipped++;
	if (record->start == record->end)
		return 0;
	if (record->kind == JITDUMP_LOAD)
		return jitspans_add(&dump->spans, record->start, record->end, record->name, record->length);
	return record->kind == JITDUMP_MOVE ? dump_move(dump, record) : 0;
}

/* Take in the records that begin in @chunk, in @used the bytes from its beginning to the next one. */
static int dump_chunk(struct source *dump, const char *chunk, size_t count, uint64_t *used)
{
	uint64_t left = (uint64_t)(dump->size - dump->at); /* in the file */

	*used = 0;
	while (*used < count && count - *used >= JITDUMP_RECORD_BYTES) {
		struct jitdump_record record;
		uint32_t total;
		int err = jitdump_record_bytes(chunk + *used, &total);

		if (err) {
			dump->broken = err;
			return err;
		}
		if (total > left - *used)
			break; /* not all of it is written */
		if (total > count - *used && count - *used < LINE_BYTES && *used)
			break; /* its name may be in the next chunk */
		jitdump_parse_record(chunk + *used, count - *used, &record);
		*used += total;
		err = dump_record(dump, &record);
		if (err)
			return err;
	}
	return 0;
}

/* Find where the records begin. -EAGAIN: that much is not written yet. */
static int dump_start(struct source *dump, const char *chunk, size_t count)
{
	uint64_t first;
	int err = jitdump_parse_header(chunk, count, &first);

	if (!err && first > (uint64_t)dump->size)
		err = -EAGAIN;
	if (!err)
		dump->at = (off_t)first;
	else if (err != -EAGAIN)
		dump->broken = err;
	return err;
}

static int dump_read(struct source *dump, int fd, char *chunk)
{
	ssize_t got = source_read(dump, fd, chunk);
	uint64_t used;
	int err;

	if (got <= 0)
		return got ? (int)got : -EAGAIN;
	if (!dump->at)
		return dump_start(dump, chunk, (size_t)got);
	err = dump_chunk(dump, chunk, (size_t)got, &used);
	dump->at += (off_t)used;
	return err || used ? err : -EAGAIN;
}

int jitnames_read_dump(struct jitnames *names, int fd)
{
	__cleanup(freep) char *chunk = malloc(CHUNK_BYTES);
	struct source *dump = &names->dump;
	int err = chunk ? source_begin(dump, fd) : -ENOMEM;

	if (err)
		return err;
	err = dump->broken;
	while (!err)
		err = dump_read(dump, fd, chunk);
	source_end(dump, fd);
	return err == -EAGAIN ? 0 : err;
}

const char *jitnames_find(const struct jitnames *names, uint64_t address)
{
	const char *name = jitspans_find(&names->dump.spans, address);

	return name ? name : jitspans_find(&names->map.spans, address);
}

size_t jitnames_skipped(const struct jitnames *names)
{
	return names->map.skipped + names->dump.skipped;
}

size_t jitnames_bytes(const struct jitnames *names)
{
	return sizeof(*names) + jitspans_bytes(&names->map.spans) + jitspans_bytes(&names->dump.spans);
}
