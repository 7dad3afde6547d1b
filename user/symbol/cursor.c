// SPDX-License-Identifier: Apache-2.0
#include "cursor.h"

#define LEB_BYTES_MAX 10

uint64_t cursor_number(struct cursor *cursor, size_t bytes)
{
	uint16_t half;
	uint32_t word;
	uint64_t value = 0;

	if (cursor_left(cursor) < bytes) {
		cursor_fail(cursor);
		return 0;
	}
	switch (bytes) {
	case 1:
		value = *cursor->at;
		break;
	case 2:
		memcpy(&half, cursor->at, sizeof(half));
		value = half;
		break;
	case 3: /* both our machines are little-endian */
		value = cursor->at[0] | cursor->at[1] << 8 | (uint32_t)cursor->at[2] << 16;
		break;
	case 4:
		memcpy(&word, cursor->at, sizeof(word));
		value = word;
		break;
	case 8:
		memcpy(&value, cursor->at, sizeof(value));
		break;
	default:
		cursor_fail(cursor);
		return 0;
	}
	cursor->at += bytes;
	return value;
}

/* The bits of one LEB128 number; @shift is left behind the last of them, @last is its last byte. */
static uint64_t leb_bits(struct cursor *cursor, unsigned int *shift, uint8_t *last)
{
	uint64_t value = 0;
	unsigned int i;
	uint8_t byte;

	for (i = 0; i < LEB_BYTES_MAX; i++) {
		byte = cursor_u8(cursor);
		if (i < LEB_BYTES_MAX - 1)
			value |= (uint64_t)(byte & 0x7f) << 7 * i;
		else
			value |= (uint64_t)(byte & 1) << 63;
		if (byte < 0x80) {
			*shift = 7 * (i + 1);
			*last = byte;
			return value;
		}
	}
	cursor_fail(cursor);
	*shift = 64;
	*last = 0;
	return 0;
}

uint64_t cursor_uleb_long(struct cursor *cursor)
{
	unsigned int shift;
	uint8_t last;
	uint64_t value = leb_bits(cursor, &shift, &last);

	if (shift > 64 && last > 1) {
		cursor_fail(cursor);
		return 0;
	}
	return value;
}

int64_t cursor_sleb(struct cursor *cursor)
{
	unsigned int shift;
	uint8_t last;
	uint64_t value = leb_bits(cursor, &shift, &last);

	if (shift > 64 && last && last != 0x7f) {
		cursor_fail(cursor);
		return 0;
	}
	if (shift < 64 && last & 0x40)
		value |= UINT64_MAX << shift;
	return (int64_t)value;
}

const char *cursor_string(struct cursor *cursor)
{
	const uint8_t *text = cursor->at;
	const uint8_t *end = cursor_left(cursor) ? memchr(text, '\0', cursor_left(cursor)) : NULL;

	if (!end) {
		cursor_fail(cursor);
		return NULL;
	}
	cursor->at = end + 1;
	return (const char *)text;
}
