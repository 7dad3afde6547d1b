// SPDX-License-Identifier: Apache-2.0
#include "filepages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps.h"

struct search {
	struct filepages *found;
	struct pagemap *map;
	uint64_t page_bytes;
	uint64_t entries[PAGEMAP_PAGES_MAX];
};

static bool is_file(const struct map_line *line)
{
	static const char huge[] = "/anon_hugepage";

	return line->ino && line->path[0] == '/' && !pagemap_is_shared_memory(line->path) &&
	       strncmp(line->path, huge, sizeof(huge) - 1) != 0;
}

/* The row of @path, a new one if need be. NULL: memory is short, or there are too many. */
static struct file_pages *row_of(struct filepages *found, const char *path)
{
	struct file_pages *grown;

	for (size_t i = found->count; i-- > 0;) { /* mappings of one file are neighbours */
		if (!strcmp(found->files[i].path, path))
			return &found->files[i];
	}
	if (found->count == FILEPAGES_MAX)
		return NULL;
	grown = reallocarray(found->files, found->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	found->files = grown;
	grown[found->count] = (struct file_pages){ .path = strdup(path) };
	return grown[found->count].path ? &grown[found->count++] : NULL;
}

/* Pages of a file that are resident in [first, first + count). */
static int count_pages(struct search *search, uint64_t first, size_t count, uint64_t *resident)
{
	int err = pagemap_read(search->map, first, count, search->entries);

	for (size_t i = 0; !err && i < count; i++)
		*resident += (search->entries[i] & PAGEMAP_PRESENT) && (search->entries[i] & PAGEMAP_FILE);
	return err;
}

static int look(void *ctx, const struct map_line *line)
{
	struct search *search = ctx;
	struct filepages *found = search->found;
	uint64_t page = line->start / search->page_bytes, left = (line->end - line->start) / search->page_bytes;
	struct file_pages *row;
	uint64_t resident = 0;

	if (!is_file(line))
		return 0;
	row = row_of(found, line->path);
	if (!row || found->looked_at + left > FILEPAGES_LOOKED_AT) {
		found->left_out += left;
		return 0;
	}
	found->looked_at += left;
	while (left) {
		size_t count = left < PAGEMAP_PAGES_MAX ? left : PAGEMAP_PAGES_MAX;
		int err = count_pages(search, page, count, &resident);

		if (err)
			return err;
		page += count;
		left -= count;
	}
	row->mappings++;
	row->resident_bytes += resident * search->page_bytes;
	return 0;
}

static int by_bytes(const void *left, const void *right)
{
	const struct file_pages *a = left, *b = right;

	if (a->resident_bytes != b->resident_bytes)
		return a->resident_bytes < b->resident_bytes ? 1 : -1;
	return strcmp(a->path, b->path);
}

/* @list: an open maps file, or -1: that of @map's process. */
static int read_from(struct filepages *out, struct pagemap *map, int list, uint64_t page_bytes)
{
	struct search *search = calloc(1, sizeof(*search));
	int err = search ? 0 : -ENOMEM;

	*out = (struct filepages){ 0 };
	if (!err) {
		*search = (struct search){ .found = out, .map = map, .page_bytes = page_bytes };
		err = list < 0 ? maps_read_held(map->proc, look, search, &map->held_ns) : maps_walk(list, look, search);
	}
	free(search);
	if (err) {
		filepages_release(out);
		return err;
	}
	if (out->count)
		qsort(out->files, out->count, sizeof(*out->files), by_bytes);
	while (out->count && !out->files[out->count - 1].resident_bytes)
		free((char *)out->files[--out->count].path);
	return 0;
}

int filepages_read(struct filepages *out, struct pagemap *map, uint64_t page_bytes)
{
	return read_from(out, map, -1, page_bytes);
}

int filepages_read_list(struct filepages *out, struct pagemap *map, int list, uint64_t page_bytes)
{
	return read_from(out, map, list, page_bytes);
}

void filepages_release(struct filepages *files)
{
	for (size_t i = 0; i < files->count; i++)
		free((char *)files->files[i].path);
	free(files->files);
	*files = (struct filepages){ 0 };
}
