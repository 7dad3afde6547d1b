// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* What may follow the first byte of a sequence: The Unicode Standard, table 3-7. */
struct lead {
	unsigned char first, last;     /* this range of first bytes */
	unsigned char low, high;       /* takes this range of second bytes */
	unsigned char length;          /* and has this many bytes in all */
};

static const struct lead leads[] = {
	{ 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static const struct lead *find_lead(unsigned char byte)
{
	size_t i;

	for (i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		if (byte >= leads[i].first && byte <= leads[i].last)
			return &leads[i];
	}
	return NULL;
}

/*
 * The bytes taken by the character at @p; *@point is its number, or UINT32_MAX if the bytes begin
 * like a character and do not end like one. The closing NUL never continues a sequence.
 */
static size_t next_point(const unsigned char *p, uint32_t *point)
{
	const struct lead *lead = find_lead(*p);
	uint32_t value;
	size_t i;

	*point = UINT32_MAX;
	if (!lead)
		return 1;
	if (lead->length == 1) {
		*point = *p;
		return 1;
	}
	value = *p & (0x7f >> lead->length);
	for (i = 1; i < lead->length; i++) {
		unsigned char low = i == 1 ? lead->low : 0x80;
		unsigned char high = i == 1 ? lead->high : 0xbf;

		if (p[i] < low || p[i] > high)
			return i;
		value = value << 6 | (p[i] & 0x3f);
	}
	*point = value;
	return lead->length;
}

/* Characters that move a terminal's cursor, its state, or the order of the text around them. */
static bool is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || /* C0, DEL, C1 */
	       point == 0x061c || point == 0x200e || point == 0x200f || /* bidi marks */
	       (point >= 0x2028 && point <= 0x202e) || /* line separators, bidi embeddings */
	       (point >= 0x2066 && point <= 0x2069);   /* bidi isolates */
}

static char *clean(const char *bytes, bool printable)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t length = strlen(bytes), size;
	char *out, *to;

	if (__builtin_mul_overflow(length, sizeof(REPLACEMENT) - 1, &size) || size == SIZE_MAX)
		return NULL;
	to = out = malloc(size + 1);
	if (!out)
		return NULL;
	while (*p) {
		uint32_t point;
		size_t taken = next_point(p, &point);

		if (point == UINT32_MAX) {
			memcpy(to, REPLACEMENT, sizeof(REPLACEMENT) - 1);
			to += sizeof(REPLACEMENT) - 1;
		} else if (printable && is_control(point)) {
			*to++ = '?';
		} else {
			memcpy(to, p, taken);
			to += taken;
		}
		p += taken;
	}
	*to = '\0';
	return out;
}

char *text_utf8(const char *bytes)
{
	return clean(bytes, false);
}

char *text_printable(const char *bytes)
{
	return clean(bytes, true);
}

char *text_bytes(uint64_t bytes, char out[16])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int unit = 0;
	uint64_t tenths, scale, rest;

	if (bytes < 1024) {
		snprintf(out, 16, "%u B", (unsigned int)bytes);
		return out;
	}
	do {
		scale = 1ULL << (10 * ++unit);
		rest = bytes % scale * 5; /* by ten would not fit */
		tenths = bytes / scale * 10 + rest / (scale / 2);
		if (rest % (scale / 2) >= scale / 4)
			tenths++; /* half up */
	} while (tenths >= 10240 && unit < 6);
	snprintf(out, 16, "%u.%u %s", (unsigned int)(tenths / 10) % 10000,
		 (unsigned int)(tenths % 10), units[unit]);
	return out;
}

char *text_seconds(double seconds, char out[16])
{
	unsigned int s;

	if (!isfinite(seconds) || seconds < 0) {
		snprintf(out, 16, "-");
		return out;
	}
	if (seconds < 9.95) {
		s = (unsigned int)(seconds * 10 + 0.5);
		snprintf(out, 16, "%u.%us", s / 10, s % 10);
		return out;
	}
	s = seconds < 4e9 ? (unsigned int)(seconds + 0.5) : 4000000000u;
	if (s < 60)
		snprintf(out, 16, "%us", s);
	else if (s < 3600)
		snprintf(out, 16, "%um%02us", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, 16, "%uh%02um", s / 3600, s / 60 % 60);
	else
		snprintf(out, 16, "%ud%02uh", s / 86400, s / 3600 % 24);
	return out;
}
