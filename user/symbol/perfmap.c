// SPDX-License-Identifier: Apache-2.0
#include "perfmap.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* What is left of a line. */
struct cursor {
	const char *at, *end;
};

static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 16;
}

static bool take_hex(struct cursor *cursor, uint64_t *value)
{
	const char *start;

	if (cursor->end - cursor->at > 2 && cursor->at[0] == '0' && (cursor->at[1] | 0x20) == 'x')
		cursor->at += 2;
	*value = 0;
	for (start = cursor->at; cursor->at < cursor->end; cursor->at++) {
		unsigned int digit = digit_value(*cursor->at);

		if (digit == 16)
			break;
		if (*value >> 60)
			return false;
		*value = *value << 4 | digit;
	}
	return cursor->at > start;
}

static bool take_blanks(struct cursor *cursor)
{
	const char *start = cursor->at;

	while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t'))
		cursor->at++;
	return cursor->at > start;
}

int perfmap_parse_line(const char *line, size_t length, struct perfmap_entry *out)
{
	struct cursor cursor = { line, line + length };
	uint64_t size;

	if (memchr(line, '\0', length) || !take_hex(&cursor, &out->start) || !take_blanks(&cursor) ||
	    !take_hex(&cursor, &size) || !take_blanks(&cursor))
		return -EINVAL;
	if (!size || size > UINT64_MAX - out->start || cursor.at == cursor.end)
		return -EINVAL;
	out->end = out->start + size;
	out->name = cursor.at;
	out->length = (size_t)(cursor.end - cursor.at);
	return 0;
}
