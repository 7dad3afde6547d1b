// SPDX-License-Identifier: Apache-2.0
/* Frames: what was found at a place is kept, for the same places are asked for again and again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symcache_parts.h"

#define PLACES_MAX (1u << 20) /* answers kept; beyond them each place is searched again */

/* One frame of an answer. Its strings are the cache's. */
struct level {
	const char *function, *file;
	unsigned int line;
};

/* What was found at one address of one file. */
struct place_key {
	const struct elf_file *file;
	uint64_t vaddr;
};

struct place {
	struct place_key key;
	uint32_t edition;
	uint32_t count;
	UT_hash_handle hh;
	struct level levels[];
};

void symcache_places_free(struct symcache *cache)
{
	struct place *place, *next;

	HASH_ITER(hh, cache->places, place, next) {
		HASH_DEL(cache->places, place);
		free(place);
	}
}

/* The function around @vaddr as symbols have it. */
static const char *symbol_at(struct symcache *cache, const struct cached_file *row, uint64_t vaddr)
{
	const struct elf_symbol *symbol = NULL;

	if (row->late_named)
		symbol = elffile_function(row->late, vaddr);
	elffile_index(row->file); /* if it fails nothing is found: so be it */
	if (!symbol)
		symbol = elffile_function(row->file, vaddr);
	return symbol ? symcache_readable(cache, symbol->name, "") : NULL;
}

static const char *stub_at(struct symcache *cache, const struct cached_file *row, uint64_t vaddr)
{
	const struct elf_symbol *stub = elffile_stub(row->file, vaddr);

	return stub ? symcache_readable(cache, stub->name, "@plt") : NULL;
}

/* Search @vaddr: the levels, at least one. *@keep: the answer is as good as it gets. */
static size_t place_search(struct symcache *cache, struct cached_file *row, uint64_t vaddr, struct level *levels,
			   bool *keep)
{
	struct line_level found[SYMCACHE_FRAMES_MAX];
	int got = symcache_levels(cache, row, vaddr, found, SYMCACHE_FRAMES_MAX);
	size_t i, count = got > 0 ? (size_t)got : 0;
	const char *symbol;

	*keep = got != -EAGAIN;
	for (i = 0; i < count; i++) {
		levels[i] = (struct level){ .file = symcache_text(cache, found[i].file), .line = found[i].line };
		if (found[i].function)
			levels[i].function = symcache_readable(cache, found[i].function, "");
	}
	if (!count)
		levels[count++] = (struct level){ .line = 0 };
	/* A symbol tells apart what DWARF does not: the parts that compilers cut functions into. */
	symbol = symbol_at(cache, row, vaddr);
	if (!symbol && !levels[count - 1].function)
		symbol = stub_at(cache, row, vaddr);
	if (symbol)
		levels[count - 1].function = symbol;
	return count;
}

static struct place *place_find(struct symcache *cache, const struct cached_file *row, uint64_t vaddr)
{
	struct place_key key = { .file = row->file, .vaddr = vaddr };
	struct place *place;

	HASH_FIND(hh, cache->places, &key, sizeof(key), place);
	if (!place || place->edition == row->edition)
		return place;
	HASH_DEL(cache->places, place);
	free(place);
	return NULL;
}

static void place_keep(struct symcache *cache, const struct cached_file *row, uint64_t vaddr,
		       const struct level *levels, size_t count)
{
	struct place *place;

	if (HASH_COUNT(cache->places) >= PLACES_MAX)
		return;
	place = calloc(1, sizeof(*place) + count * sizeof(*levels));
	if (!place)
		return;
	place->key = (struct place_key){ .file = row->file, .vaddr = vaddr };
	place->edition = row->edition;
	place->count = (uint32_t)count;
	memcpy(place->levels, levels, count * sizeof(*levels));
	HASH_ADD(hh, cache->places, key, sizeof(place->key), place);
	if (!place->hh.tbl)
		free(place);
}

/* The levels at @vaddr, into @levels. */
static size_t levels_at(struct symcache *cache, struct cached_file *row, uint64_t vaddr, struct level *levels)
{
	const struct place *place;
	size_t count;
	bool keep;

	row->used = ++cache->questions;
	symcache_fetch_look(cache, row);
	place = place_find(cache, row, vaddr);
	if (place) {
		memcpy(levels, place->levels, place->count * sizeof(*levels));
		return place->count;
	}
	count = place_search(cache, row, vaddr, levels, &keep);
	if (keep)
		place_keep(cache, row, vaddr, levels, count);
	return count;
}

/* @levels into at most @cap frames, each like @like: the innermost ones and the last. */
static size_t frames_fill(const struct level *levels, size_t count, const struct frame *like, struct frame *frames,
			  size_t cap)
{
	size_t i, filled = 0;

	for (i = 0; i < count; i++) {
		struct frame *frame = &frames[filled];

		if (i + 1 < count && filled + 1 >= cap)
			continue;
		frame->kind = FRAME_NATIVE;
		frame->inlined = i + 1 < count;
		frame->exact = like->exact;
		frame->function = levels[i].function;
		frame->module = like->module;
		frame->build_id = like->build_id;
		frame->offset = like->offset;
		frame->file = levels[i].file;
		frame->line = levels[i].line;
		filled++;
	}
	return filled;
}

/* @vaddr is what is looked up, if there is a @row; like->offset what the frames say. */
static size_t name(struct symcache *cache, struct cached_file *row, uint64_t vaddr, const struct frame *like,
		   struct frame *frames, size_t cap)
{
	struct level levels[SYMCACHE_FRAMES_MAX] = { { .line = 0 } };
	size_t count = row && cap ? levels_at(cache, row, vaddr, levels) : 1;

	/* Nothing lies before it: "returned" to at its first byte, as __start_context is. */
	if (row && cap && count == 1 && !levels[0].function && !like->exact)
		count = levels_at(cache, row, vaddr + 1, levels);

	return cap ? frames_fill(levels, count, like, frames, cap) : 0;
}

static struct frame frame_like(struct symcache *cache, const struct elf_file *file, const char *path, bool exact)
{
	return (struct frame){
		.exact = exact,
		.module = symcache_text(cache, path),
		.build_id = file && *file->build_id ? file->build_id : NULL,
	};
}

size_t symcache_frames_at(struct symcache *cache, struct elf_file *file, const char *path, uint64_t vaddr, bool exact,
			  struct frame *frames, size_t cap)
{
	struct frame like = frame_like(cache, file, path, exact);
	struct cached_file *row = file ? symcache_row(cache, file) : NULL;

	like.offset = vaddr;
	/* The byte before a return address lies in the function that called. */
	return name(cache, row, vaddr - (exact || !vaddr ? 0 : 1), &like, frames, cap);
}

size_t symcache_frames(struct symcache *cache, struct elf_file *file, const char *path, uint64_t offset, bool exact,
		       struct frame *frames, size_t cap)
{
	struct frame like = frame_like(cache, file, path, exact);
	uint64_t back = exact || !offset ? 0 : 1, vaddr;

	like.offset = offset;
	if (!file || !elffile_vaddr(file, offset - back, &vaddr))
		return name(cache, NULL, 0, &like, frames, cap);
	like.offset = vaddr + back;
	return name(cache, symcache_row(cache, file), vaddr, &like, frames, cap);
}
