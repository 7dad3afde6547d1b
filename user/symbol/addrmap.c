// SPDX-License-Identifier: Apache-2.0
#include "addrmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void addrmap_init(struct addrmap *map)
{
	memset(map, 0, sizeof(*map));
}

void addrmap_release(struct addrmap *map)
{
	size_t i;

	for (i = 0; i < map->count; i++)
		free(map->entries[i].path);
	free(map->entries);
	addrmap_init(map);
}

/* The first entry that ends after @address, or count. */
static size_t entry_after(const struct addrmap *map, uint64_t address)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->entries[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int entries_reserve(struct addrmap *map, size_t count)
{
	struct addrmap_entry *entries;
	size_t cap = map->cap ? map->cap : 16;

	if (count <= map->cap)
		return 0;
	while (cap < count)
		cap *= 2;
	entries = reallocarray(map->entries, cap, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	map->entries = entries;
	map->cap = cap;
	return 0;
}

static void entry_cut_front(struct addrmap_entry *entry, uint64_t start)
{
	entry->offset += start - entry->start;
	entry->start = start;
}

/* Put @fresh in place of entries [@first, @last), of which the outer two may stick out. */
static int entries_replace(struct addrmap *map, size_t first, size_t last,
			   const struct addrmap_entry *fresh)
{
	struct addrmap_entry head = { 0 }, tail = { 0 }, *to;
	bool has_head = first < last && map->entries[first].start < fresh->start;
	bool has_tail = first < last && map->entries[last - 1].end > fresh->end;
	size_t i, count = 1 + has_head + has_tail, total = map->count - (last - first) + count;
	int err;

	if (total > ADDRMAP_ENTRIES_MAX)
		return -E2BIG;
	err = entries_reserve(map, total);
	if (err)
		return err;
	if (has_head) {
		head = map->entries[first];
		head.end = fresh->start;
	}
	if (has_tail) {
		tail = map->entries[last - 1];
		entry_cut_front(&tail, fresh->end);
		if (has_head && first == last - 1)
			tail.path = strdup(tail.path);
		if (!tail.path)
			return -ENOMEM;
	}
	for (i = first; i < last; i++) {
		if (!(has_head && i == first) && !(has_tail && i == last - 1))
			free(map->entries[i].path);
	}
	to = &map->entries[first];
	memmove(to + count, &map->entries[last], (map->count - last) * sizeof(*to));
	if (has_head)
		*to++ = head;
	*to++ = *fresh;
	if (has_tail)
		*to = tail;
	map->count = total;
	return 0;
}

int addrmap_add(struct addrmap *map, uint64_t start, uint64_t end, uint64_t offset,
		const char *path, struct elf_file *file)
{
	struct addrmap_entry fresh = { start, end, offset, NULL, file };
	size_t first, last;
	int err;

	if (start >= end || offset + (end - start) < offset)
		return -EINVAL;
	first = last = entry_after(map, start);
	while (last < map->count && map->entries[last].start < end)
		last++;
	fresh.path = strdup(path);
	if (!fresh.path)
		return -ENOMEM;
	err = entries_replace(map, first, last, &fresh);
	if (err)
		free(fresh.path);
	return err;
}

int addrmap_copy(struct addrmap *to, const struct addrmap *from)
{
	int err = entries_reserve(to, from->count);

	if (err)
		return err;
	while (to->count < from->count) {
		struct addrmap_entry *entry = &to->entries[to->count];

		*entry = from->entries[to->count];
		entry->path = strdup(entry->path);
		if (!entry->path) {
			addrmap_release(to);
			return -ENOMEM;
		}
		to->count++;
	}
	return 0;
}

const struct addrmap_entry *addrmap_find(const struct addrmap *map, uint64_t address)
{
	size_t at = entry_after(map, address);

	return at < map->count && map->entries[at].start <= address ? &map->entries[at] : NULL;
}

const struct addrmap_entry *addrmap_overlap(const struct addrmap *map, uint64_t start, uint64_t end)
{
	size_t at = entry_after(map, start);

	return at < map->count && map->entries[at].start < end ? &map->entries[at] : NULL;
}

bool addrmap_has_module(const struct addrmap_entry *entry)
{
	if (entry->file)
		return true;
	if (*entry->path == '[')
		return !strcmp(entry->path, "[vdso]") || !strcmp(entry->path, "[vsyscall]");
	return *entry->path;
}
