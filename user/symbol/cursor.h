/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's bytes, read from front to back. Past the end, or at what cannot be, the cursor is bad for
 * good and gives zeros, so a reader may look once, at its end. Numbers are in this machine's byte order.
 */
#ifndef HB_SYMBOL_CURSOR_H
#define HB_SYMBOL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct cursor cursor_on(const void *bytes, size_t count)
{
	return (struct cursor){ .at = bytes, .end = (const uint8_t *)bytes + count };
}

static inline size_t cursor_left(const struct cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static inline void cursor_fail(struct cursor *cursor)
{
	cursor->bad = true;
	cursor->at = cursor->end;
}

static inline void cursor_skip(struct cursor *cursor, uint64_t bytes)
{
	if (cursor_left(cursor) < bytes)
		cursor_fail(cursor);
	else
		cursor->at += bytes;
}

/* A number of @bytes: 1, 2, 4 or 8, and 3, whose only user is DW_FORM_strx3. */
uint64_t cursor_number(struct cursor *cursor, size_t bytes);

static inline uint8_t cursor_u8(struct cursor *cursor)
{
	if (cursor->at == cursor->end) {
		cursor->bad = true;
		return 0;
	}
	return *cursor->at++;
}

/* LEB128, of at most 10 bytes; what does not fit into 64 bits is bad. */
uint64_t cursor_uleb_long(struct cursor *cursor);
int64_t cursor_sleb(struct cursor *cursor);

static inline uint64_t cursor_uleb(struct cursor *cursor)
{
	if (cursor->at < cursor->end && *cursor->at < 0x80)
		return *cursor->at++;
	return cursor_uleb_long(cursor);
}

/* A string with its NUL, borrowed from the bytes. NULL, and bad, if they end before. */
const char *cursor_string(struct cursor *cursor);

#endif
