// SPDX-License-Identifier: Apache-2.0
#include "symcache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HASH_NONFATAL_OOM 1 /* a row that finds no memory is not kept: its hh.tbl is NULL then */
#include <uthash.h>

#include "demangle.h"

#define PLACES_MAX (1u << 20) /* memoized answers; beyond them each is searched again */

struct file_key {
	uint64_t dev, ino, size, mtime_s, mtime_ns;
};

struct cached_file {
	struct file_key key;
	struct elf_file *file;
	UT_hash_handle hh;
};

/* What was found at one address of one file. */
struct place_key {
	const struct elf_file *file;
	uint64_t vaddr;
};

struct place {
	struct place_key key;
	const char *function; /* or NULL */
	UT_hash_handle hh;
};

/* A symbol's readable name; a symbol whose name reads well already has no row. */
struct readable {
	const struct elf_symbol *symbol;
	char *name;
	UT_hash_handle hh;
};

struct module {
	UT_hash_handle hh;
	char path[];
};

struct symcache {
	struct cached_file *files;       /* uthash keeps them in the order they came */
	struct cached_file *oldest_open; /* and those from here on are open */
	size_t open_count;
	struct place *places;
	struct readable *readables;
	struct module *modules;
};

struct symcache *symcache_new(void)
{
	return calloc(1, sizeof(struct symcache));
}

void symcache_free(struct symcache *cache)
{
	struct cached_file *file, *next_file;
	struct place *place, *next_place;
	struct readable *readable, *next_readable;
	struct module *module, *next_module;

	if (!cache)
		return;
	HASH_ITER(hh, cache->places, place, next_place) {
		HASH_DEL(cache->places, place);
		free(place);
	}
	HASH_ITER(hh, cache->readables, readable, next_readable) {
		HASH_DEL(cache->readables, readable);
		free(readable->name);
		free(readable);
	}
	HASH_ITER(hh, cache->modules, module, next_module) {
		HASH_DEL(cache->modules, module);
		free(module);
	}
	HASH_ITER(hh, cache->files, file, next_file) {
		HASH_DEL(cache->files, file);
		elffile_free(file->file);
		free(file);
	}
	free(cache);
}

/* An index needs its file no more. */
static void close_oldest(struct symcache *cache)
{
	struct cached_file *oldest = cache->oldest_open;

	elffile_index(oldest->file);
	elffile_close(oldest->file);
	cache->oldest_open = oldest->hh.next;
	cache->open_count--;
}

static int file_add(struct symcache *cache, int fd, const struct file_key *key,
		    struct elf_file **out)
{
	struct cached_file *row = calloc(1, sizeof(*row));
	int err;

	if (!row)
		return -ENOMEM;
	row->key = *key;
	while (cache->open_count >= SYMCACHE_OPEN_MAX)
		close_oldest(cache);
	err = elffile_open(&row->file, fd);
	if (!err) {
		HASH_ADD(hh, cache->files, key, sizeof(row->key), row);
		if (!row->hh.tbl) {
			elffile_free(row->file);
			err = -ENOMEM;
		}
	}
	if (err) {
		free(row);
		return err;
	}
	if (!cache->oldest_open)
		cache->oldest_open = row;
	cache->open_count++;
	*out = row->file;
	return 0;
}

int symcache_add(struct symcache *cache, int fd, struct elf_file **file)
{
	struct cached_file *row;
	struct file_key key;
	struct stat stat;

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
	if (!row)
		return file_add(cache, fd, &key, file);
	*file = row->file;
	return 0;
}

/* @path, kept as long as the cache. NULL if it is empty or memory is short. */
static const char *module_name(struct symcache *cache, const char *path)
{
	size_t length = path ? strlen(path) : 0;
	struct module *row;

	if (!length)
		return NULL;
	HASH_FIND(hh, cache->modules, path, length, row);
	if (row)
		return row->path;
	row = calloc(1, sizeof(*row) + length + 1);
	if (!row)
		return NULL;
	memcpy(row->path, path, length + 1);
	HASH_ADD_KEYPTR(hh, cache->modules, row->path, length, row);
	if (row->hh.tbl)
		return row->path;
	free(row);
	return NULL;
}

/* The readable name of @symbol; its own where there is none, or no memory to keep one. */
static const char *symbol_name(struct symcache *cache, const struct elf_symbol *symbol)
{
	struct readable *row;

	HASH_FIND_PTR(cache->readables, &symbol, row);
	if (row)
		return row->name;
	row = calloc(1, sizeof(*row));
	if (!row)
		return symbol->name;
	row->symbol = symbol;
	row->name = demangle(symbol->name);
	if (row->name) {
		HASH_ADD_PTR(cache->readables, symbol, row);
		if (row->hh.tbl)
			return row->name;
	}
	free(row->name);
	free(row);
	return symbol->name;
}

static const char *function_name(struct symcache *cache, struct elf_file *file, uint64_t vaddr)
{
	const struct elf_symbol *symbol;
	struct place_key key = { .file = file, .vaddr = vaddr };
	const char *function;
	struct place *row;

	HASH_FIND(hh, cache->places, &key, sizeof(key), row);
	if (row)
		return row->function;
	elffile_index(file); /* if it fails nothing is found: so be it */
	symbol = elffile_function(file, vaddr);
	function = symbol ? symbol_name(cache, symbol) : NULL;
	row = HASH_COUNT(cache->places) < PLACES_MAX ? calloc(1, sizeof(*row)) : NULL;
	if (row) {
		row->key = key;
		row->function = function;
		HASH_ADD(hh, cache->places, key, sizeof(row->key), row);
		if (!row->hh.tbl)
			free(row);
	}
	return function;
}

void symcache_frame(struct symcache *cache, struct elf_file *file, const char *path,
		    uint64_t offset, int exact, struct frame *frame)
{
	uint64_t back = exact || !offset ? 0 : 1, vaddr;

	frame->kind = FRAME_NATIVE;
	frame->function = NULL;
	frame->module = module_name(cache, path);
	frame->build_id = file && *file->build_id ? file->build_id : NULL;
	frame->offset = offset;
	/* The byte before a return address lies in the function that called. */
	if (!file || !elffile_vaddr(file, offset - back, &vaddr))
		return;
	frame->offset = vaddr + back;
	frame->function = function_name(cache, file, vaddr);
}
