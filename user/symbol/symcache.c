// SPDX-License-Identifier: Apache-2.0
#include "symcache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "symcache_parts.h"
#include "vdso.h"

static uint64_t hash_seed;

unsigned int symcache_hash(const void *key, size_t bytes)
{
	const unsigned char *at = key, *end = at + bytes;
	uint64_t hash = hash_seed ^ bytes, word;

	for (; at < end; at += bytes) {
		word = 0;
		bytes = end - at < (ptrdiff_t)sizeof(word) ? (size_t)(end - at) : sizeof(word);
		memcpy(&word, at, bytes);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	return (unsigned int)(hash ^ hash >> 32);
}

struct symcache *symcache_new(void)
{
	if (!hash_seed && getrandom(&hash_seed, sizeof(hash_seed), GRND_NONBLOCK) < 0)
		hash_seed = (uintptr_t)&hash_seed;
	return calloc(1, sizeof(struct symcache));
}

void symcache_free(struct symcache *cache)
{
	struct cached_file *row, *next;

	if (!cache)
		return;
	fetcher_stop(cache->fetcher);
	symcache_places_free(cache);
	symcache_texts_free(cache);
	HASH_CLEAR(by_file, cache->by_file);
	HASH_ITER(hh, cache->files, row, next) {
		HASH_DEL(cache->files, row);
		symcache_debug_free(row);
		elffile_free(row->file);
		free(row);
	}
	free(cache);
}

struct cached_file *symcache_row(const struct symcache *cache, const struct elf_file *file)
{
	struct cached_file *row;

	HASH_FIND(by_file, cache->by_file, &file, sizeof(file), row);
	return row;
}

static bool is_open(const struct elf_file *file)
{
	return file && file->fd >= 0;
}

static bool has_extra(const struct cached_file *row)
{
	return is_open(row->file->debug) || is_open(row->late) || is_open(row->common);
}

/* What was not used for longest, but not what is used now; NULL: none. @extra: debug files, else files. */
static struct cached_file *least_used(const struct symcache *cache, bool extra)
{
	struct cached_file *row, *found = NULL;

	for (row = cache->files; row; row = row->hh.next) {
		if ((extra ? has_extra(row) : is_open(row->file)) &&
		    row->used < (found ? found->used : cache->questions))
			found = row;
	}
	return found;
}

/* An index needs its file no more. Debug files go first: most can be found again. */
void symcache_bound(struct symcache *cache)
{
	while (cache->open_count + cache->extra_count > SYMCACHE_OPEN_MAX) {
		struct cached_file *row = cache->extra_count ? least_used(cache, true) : NULL;
		bool extra = row;

		if (!extra)
			row = least_used(cache, false);
		if (!row)
			return;
		symcache_debug_close(cache, row);
		if (!extra) {
			elffile_close(row->file);
			cache->open_count--;
		}
	}
}

static int row_keep(struct symcache *cache, struct cached_file *row)
{
	HASH_ADD(hh, cache->files, key, sizeof(row->key), row);
	if (!row->hh.tbl)
		return -ENOMEM;
	HASH_ADD_KEYPTR(by_file, cache->by_file, &row->file, sizeof(row->file), row);
	if (row->by_file.tbl)
		return 0;
	HASH_DEL(cache->files, row);
	return -ENOMEM;
}

static int file_add(struct symcache *cache, int fd, const struct file_key *key, struct cached_file **out)
{
	struct cached_file *row = calloc(1, sizeof(*row));
	int err;

	if (!row)
		return -ENOMEM;
	row->key = *key;
	row->used = ++cache->questions;
	err = elffile_open(&row->file, fd);
	if (!err) {
		err = row_keep(cache, row);
		if (err)
			elffile_free(row->file);
	}
	if (err) {
		free(row);
		return err;
	}
	cache->open_count++;
	symcache_bound(cache);
	*out = row;
	return 0;
}

int symcache_add(struct symcache *cache, int fd, const char *path, int root, struct elf_file **file)
{
	struct cached_file *row;
	struct file_key key;
	struct stat stat;
	int err = 0;

	if (fstat(fd, &stat))
		return -errno;
	key = (struct file_key){
		.dev = stat.st_dev,
		.ino = stat.st_ino,
		.size = (uint64_t)stat.st_size,
		.mtime_s = (uint64_t)stat.st_mtim.tv_sec,
		.mtime_ns = (uint64_t)stat.st_mtim.tv_nsec,
	};
	HASH_FIND(hh, cache->files, &key, sizeof(key), row);
	if (!row) {
		err = file_add(cache, fd, &key, &row);
		if (!err)
			symcache_debug_find(cache, row, path, root);
	}
	if (err)
		return err;
	row->used = ++cache->questions;
	*file = row->file;
	return 0;
}

int symcache_vdso(struct symcache *cache, struct elf_file **file)
{
	struct file_key key = { .ino = 0 }; /* no file has that */
	__cleanup(fd_closep) int fd = -1;
	int err;

	if (!cache->vdso) {
		fd = vdso_open();
		err = fd < 0 ? fd : file_add(cache, fd, &key, &cache->vdso);
		if (err)
			return err;
		cache->vdso->lines_tried = true;
		cache->vdso->fetch = FETCH_DONE;
	}
	*file = cache->vdso->file;
	return 0;
}

void symcache_wait_for_lines(struct symcache *cache)
{
	cache->patient = true;
}

int symcache_fetch(struct symcache *cache)
{
	return cache->fetcher ? 0 : fetcher_start(&cache->fetcher);
}

bool symcache_fetches_wait(struct symcache *cache, unsigned int timeout_ms)
{
	return !cache->fetcher || fetcher_wait(cache->fetcher, timeout_ms);
}
