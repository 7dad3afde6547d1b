// SPDX-License-Identifier: Apache-2.0
/* Names and paths, each kept once; mangled ones are made readable once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"
#include "symcache_parts.h"

#define TEXT_LENGTH_MAX 16384

struct text {
	UT_hash_handle hh;
	const struct text *readable; /* NULL: not asked for yet */
	char bytes[];
};

static struct text *text_row(struct symcache *cache, const char *bytes)
{
	size_t length = strnlen(bytes, TEXT_LENGTH_MAX + 1);
	struct text *row;

	if (!length || length > TEXT_LENGTH_MAX)
		return NULL;
	HASH_FIND(hh, cache->texts, bytes, length, row);
	if (row)
		return row;
	if (cache->text_bytes + sizeof(*row) + length > SYMCACHE_TEXT_MAX)
		return NULL;
	row = calloc(1, sizeof(*row) + length + 1);
	if (!row)
		return NULL;
	memcpy(row->bytes, bytes, length + 1);
	HASH_ADD_KEYPTR(hh, cache->texts, row->bytes, length, row);
	if (!row->hh.tbl) {
		free(row);
		return NULL;
	}
	cache->text_bytes += sizeof(*row) + length;
	return row;
}

const char *symcache_text(struct symcache *cache, const char *text)
{
	const struct text *row = text ? text_row(cache, text) : NULL;

	return row ? row->bytes : NULL;
}

const char *symcache_readable(struct symcache *cache, const char *name, const char *end)
{
	struct text *row = text_row(cache, name);
	char joined[DEMANGLE_MAX + 16], *readable;

	if (!row)
		return NULL;
	if (!row->readable) {
		readable = demangle(name);
		row->readable = readable ? text_row(cache, readable) : NULL;
		free(readable);
		if (!row->readable)
			row->readable = row;
	}
	if (!*end)
		return row->readable->bytes;
	snprintf(joined, sizeof(joined), "%.*s%s", DEMANGLE_MAX, row->readable->bytes, end);
	return symcache_text(cache, joined);
}

void symcache_texts_free(struct symcache *cache)
{
	struct text *row, *next;

	HASH_ITER(hh, cache->texts, row, next) {
		HASH_DEL(cache->texts, row);
		free(row);
	}
}
