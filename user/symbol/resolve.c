// SPDX-License-Identifier: Apache-2.0
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* a row that finds no memory is not kept: its hh.tbl is NULL then */
#include <uthash.h>

#include "../base/cleanup.h"
#include "../base/log.h"
#include "../remote/procfs.h"
#include "debugfile.h"
#include "symcache.h"

#define DEBUG_DIR    "/usr/lib/debug" /* where distributions put debug files */
#define FAILURES_MAX 3
#define FILES_HERE   (RESOLVE_DIRS_MAX + 3) /* of the folders, by path, fetched */

/* A file that was asked for. */
struct wanted {
	UT_hash_handle hh;
	struct elf_file *files[FILES_HERE]; /* borrowed from the cache */
	size_t files_count;
	bool fetched;
	const char *path; /* behind the build-id, in @key */
	char key[];       /* the build-id, NUL, the path, NUL */
};

struct resolve {
	struct symcache *cache;
	struct wanted *wanted;
	int dirs[RESOLVE_DIRS_MAX + 1]; /* those given, then DEBUG_DIR, -1 if it is not there */
	size_t dirs_count;              /* those given */
	bool fetch;
	unsigned int fetches;
	unsigned int failures;          /* of fetches, in a row */
};

int resolve_new(struct resolve **out, const char *const *dirs, size_t dirs_count, bool fetch, size_t *bad)
{
	struct resolve *resolve;
	int err;

	if (dirs_count > RESOLVE_DIRS_MAX)
		return -E2BIG;
	resolve = calloc(1, sizeof(*resolve));
	if (!resolve)
		return -ENOMEM;
	resolve->fetch = fetch;
	resolve->dirs[0] = -1;
	resolve->cache = symcache_new();
	err = resolve->cache ? 0 : -ENOMEM;
	if (!err)
		symcache_wait_for_lines(resolve->cache);
	while (!err && resolve->dirs_count < dirs_count) {
		int fd = open(dirs[resolve->dirs_count], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0) {
			err = -errno;
			*bad = resolve->dirs_count;
		} else {
			resolve->dirs[resolve->dirs_count++] = fd;
			resolve->dirs[resolve->dirs_count] = -1;
		}
	}
	if (err) {
		resolve_free(resolve);
		return err;
	}
	resolve->dirs[dirs_count] = open(DEBUG_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*out = resolve;
	return 0;
}

void resolve_free(struct resolve *resolve)
{
	struct wanted *row, *next;
	size_t i;

	if (!resolve)
		return;
	HASH_ITER(hh, resolve->wanted, row, next) {
		HASH_DEL(resolve->wanted, row);
		free(row);
	}
	for (i = 0; i <= resolve->dirs_count; i++) {
		if (resolve->dirs[i] >= 0)
			close(resolve->dirs[i]);
	}
	symcache_free(resolve->cache);
	free(resolve);
}

/* As a file name is made of it. */
static bool is_build_id(const char *text)
{
	size_t length = strlen(text);

	return length >= 4 && !(length % 2) && length <= 2 * ELFFILE_BUILD_ID_MAX &&
	       strspn(text, "0123456789abcdef") == length;
}

/* Keep the file behind @fd, which is closed, if it is the one that is wanted. */
static bool keep(struct resolve *resolve, struct wanted *row, int fd)
{
	struct elf_file *file = NULL;
	bool good = fd >= 0 && row->files_count < FILES_HERE &&
		    !symcache_add(resolve->cache, fd, row->path, -1, &file) && !strcmp(file->build_id, row->key);

	if (fd >= 0)
		close(fd);
	if (good)
		row->files[row->files_count++] = file;
	return good;
}

/* The debug file, or the file itself, as @dir has it by build-id. */
static bool keep_from(struct resolve *resolve, struct wanted *row, int dir)
{
	static const char *const ends[] = { ".debug", "" };
	char name[2 * ELFFILE_BUILD_ID_MAX + 32];
	size_t i;

	for (i = 0; dir >= 0 && i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(name, sizeof(name), ".build-id/%.2s/%s%s", row->key, row->key + 2, ends[i]);
		if (keep(resolve, row, file_open_in_root(dir, name)))
			return true;
	}
	return false;
}

/* Everything about @row's file that this machine has. */
static void look(struct resolve *resolve, struct wanted *row)
{
	size_t i;

	if (!is_build_id(row->key)) {
		row->fetched = true;
		return;
	}
	for (i = 0; i < resolve->dirs_count; i++)
		keep_from(resolve, row, resolve->dirs[i]);
	/* The cache finds the debug file of a file that is there. */
	if (*row->path != '/' || !keep(resolve, row, file_open_regular(row->path)))
		keep_from(resolve, row, resolve->dirs[resolve->dirs_count]);
}

static struct wanted *find(struct resolve *resolve, const char *build_id, const char *path)
{
	size_t id_bytes = strlen(build_id) + 1, bytes = id_bytes + strlen(path) + 1;
	struct wanted *row = malloc(sizeof(*row) + bytes), *known;

	if (!row)
		return NULL;
	memset(row, 0, sizeof(*row));
	memcpy(row->key, build_id, id_bytes);
	memcpy(row->key + id_bytes, path, bytes - id_bytes);
	row->path = row->key + id_bytes;
	HASH_FIND(hh, resolve->wanted, row->key, bytes, known);
	if (!known && HASH_COUNT(resolve->wanted) < RESOLVE_FILES_MAX) {
		HASH_ADD_KEYPTR(hh, resolve->wanted, row->key, bytes, row);
		if (row->hh.tbl) {
			look(resolve, row);
			return row;
		}
	}
	free(row);
	return known;
}

/* Ask the servers, once. Those that fail again and again are not asked any more. */
static bool fetch(struct resolve *resolve, struct wanted *row)
{
	int fd;

	if (!resolve->fetch || row->fetched || resolve->fetches >= RESOLVE_FETCHES_MAX ||
	    resolve->failures >= FAILURES_MAX)
		return false;
	row->fetched = true;
	resolve->fetches++;
	fd = debugfile_fetch(row->key);
	resolve->failures = fd >= 0 || fd == -ENOENT ? 0 : resolve->failures + 1;
	if (resolve->failures)
		log_debug("no debug file for build-id %s came: %s%s", row->key, strerror(-fd),
			  resolve->failures == FAILURES_MAX ? "; the servers are not asked any more" : "");
	return keep(resolve, row, fd);
}

/* How much is known of a frame: its function is worth more than its place in the source. */
static unsigned int worth(const struct frame *frames, size_t count)
{
	const struct frame *own = count ? &frames[count - 1] : NULL;

	return own ? 1 + (own->file ? 1 : 0) + (own->function ? 2 : 0) : 0;
}

#define WORTH_MOST 4

/* What @file knows, into @frames if that is more than what stands there. */
static size_t ask(struct resolve *resolve, const struct wanted *row, struct elf_file *file,
		  const struct frame *saved, struct frame *frames, size_t count, size_t cap)
{
	__cleanup(freep) struct frame *fresh = calloc(cap, sizeof(*fresh));
	size_t found = 0;

	if (fresh)
		found = symcache_frames_at(resolve->cache, file, row->path, saved->offset, saved->exact, fresh, cap);
	if (worth(fresh, found) <= worth(frames, count))
		return count;
	memcpy(frames, fresh, found * sizeof(*frames));
	return found;
}

size_t resolve_frames(struct resolve *resolve, const struct frame *saved, struct frame *frames, size_t cap)
{
	struct wanted *row = NULL;
	size_t i, count = 0;

	if (saved->module && saved->build_id && cap)
		row = find(resolve, saved->build_id, saved->module);
	if (!row)
		return 0;
	for (i = 0; i < row->files_count && worth(frames, count) < WORTH_MOST; i++)
		count = ask(resolve, row, row->files[i], saved, frames, count, cap);
	if (worth(frames, count) < WORTH_MOST && fetch(resolve, row))
		count = ask(resolve, row, row->files[row->files_count - 1], saved, frames, count, cap);
	return count;
}

void resolve_missing(const struct resolve *resolve,
		     void (*each)(void *ctx, const char *path, const char *build_id), void *ctx)
{
	const struct wanted *row;

	for (row = resolve->wanted; row; row = row->hh.next) {
		if (!row->files_count)
			each(ctx, row->path, row->key);
	}
}
