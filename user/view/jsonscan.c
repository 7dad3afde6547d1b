// SPDX-License-Identifier: Apache-2.0
#include "jsonscan.h"

#include <string.h>

_Static_assert(JSONSCAN_DEPTH_MAX <= 64, "jsonscan.objects has a bit for each level");

void jsonscan_init(struct jsonscan *scan, const char *text, size_t bytes)
{
	*scan = (struct jsonscan){ .text = text, .bytes = bytes, .wants = JSONSCAN_WANTS_VALUE };
}

bool jsonscan_is(const struct jsonscan *scan, const char *word)
{
	return scan->length == strlen(word) && !memcmp(scan->text + scan->start, word, scan->length);
}

static enum jsonscan_token broken(struct jsonscan *scan, const char *why)
{
	scan->why = why;
	return JSONSCAN_BROKEN;
}

/* The next byte, or -1 at the end. */
static int peek(const struct jsonscan *scan)
{
	return scan->at < scan->bytes ? (unsigned char)scan->text[scan->at] : -1;
}

static void skip_blanks(struct jsonscan *scan)
{
	int c = peek(scan);

	while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
		scan->at++;
		c = peek(scan);
	}
}

static bool in_object(const struct jsonscan *scan)
{
	return scan->depth && scan->objects >> (scan->depth - 1) & 1;
}

/* A value has ended: what may follow it. */
static void value_ended(struct jsonscan *scan)
{
	scan->length = scan->at - scan->start;
	scan->wants = scan->depth ? JSONSCAN_WANTS_MORE : JSONSCAN_WANTS_NOTHING;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind a backslash. */
static bool read_escape(struct jsonscan *scan)
{
	int c = peek(scan), i;

	if (c <= 0)
		return false;
	scan->at++;
	if (c != 'u')
		return strchr("\"\\/bfnrt", c);
	for (i = 0; i < 4; i++) {
		if (!is_hex(peek(scan)))
			return false;
		scan->at++;
	}
	return true;
}

/* From the quote that opens a string to behind the one that closes it. */
static bool read_string(struct jsonscan *scan)
{
	int c;

	scan->at++;
	while ((c = peek(scan)) != '"') {
		if (c < ' ') /* the end, too */
			return false;
		scan->at++;
		if (c == '\\' && !read_escape(scan))
			return false;
	}
	scan->at++;
	scan->length = scan->at - scan->start;
	return true;
}

static bool read_digits(struct jsonscan *scan)
{
	size_t first = scan->at;

	while (is_digit(peek(scan)))
		scan->at++;
	return scan->at > first;
}

static bool read_number(struct jsonscan *scan)
{
	if (peek(scan) == '-')
		scan->at++;
	if (peek(scan) == '0')
		scan->at++;
	else if (!read_digits(scan))
		return false;
	if (peek(scan) == '.') {
		scan->at++;
		if (!read_digits(scan))
			return false;
	}
	if (peek(scan) == 'e' || peek(scan) == 'E') {
		scan->at++;
		if (peek(scan) == '+' || peek(scan) == '-')
			scan->at++;
		if (!read_digits(scan))
			return false;
	}
	return true;
}

static bool read_word(struct jsonscan *scan, const char *word)
{
	size_t length = strlen(word);

	if (scan->bytes - scan->at < length || memcmp(scan->text + scan->at, word, length))
		return false;
	scan->at += length;
	return true;
}

static enum jsonscan_token open_level(struct jsonscan *scan, bool object)
{
	uint64_t bit = scan->depth < JSONSCAN_DEPTH_MAX ? 1ULL << scan->depth : 0;

	if (!bit)
		return broken(scan, "it is nested too deep");
	scan->objects = object ? scan->objects | bit : scan->objects & ~bit;
	scan->depth++;
	scan->at++;
	scan->length = 1;
	scan->wants = object ? JSONSCAN_WANTS_FIRST_KEY : JSONSCAN_WANTS_FIRST_VALUE;
	return object ? JSONSCAN_OBJECT : JSONSCAN_ARRAY;
}

static enum jsonscan_token close_level(struct jsonscan *scan)
{
	bool object = in_object(scan);

	if (peek(scan) != (object ? '}' : ']'))
		return broken(scan, object ? "a comma or } is missing" : "a comma or ] is missing");
	scan->at++;
	scan->depth--;
	value_ended(scan);
	return object ? JSONSCAN_OBJECT_END : JSONSCAN_ARRAY_END;
}

static enum jsonscan_token read_key(struct jsonscan *scan)
{
	if (peek(scan) != '"')
		return broken(scan, "a name in quotes is missing");
	if (!read_string(scan))
		return broken(scan, "a string is broken");
	skip_blanks(scan);
	if (peek(scan) != ':')
		return broken(scan, "a colon is missing");
	scan->at++;
	scan->wants = JSONSCAN_WANTS_VALUE;
	return JSONSCAN_KEY;
}

static enum jsonscan_token read_value(struct jsonscan *scan)
{
	enum jsonscan_token token = JSONSCAN_OTHER;
	bool good;

	switch (peek(scan)) {
	case '{':
		return open_level(scan, true);
	case '[':
		return open_level(scan, false);
	case '"':
		token = JSONSCAN_STRING;
		good = read_string(scan);
		break;
	case 't':
		good = read_word(scan, "true");
		break;
	case 'f':
		good = read_word(scan, "false");
		break;
	case 'n':
		good = read_word(scan, "null");
		break;
	default:
		good = read_number(scan);
	}
	if (!good)
		return broken(scan, token == JSONSCAN_STRING ? "a string is broken" : "this is no value");
	value_ended(scan);
	return token;
}

enum jsonscan_token jsonscan_next(struct jsonscan *scan)
{
	if (scan->why)
		return JSONSCAN_BROKEN;
	skip_blanks(scan);
	if (scan->wants == JSONSCAN_WANTS_MORE && peek(scan) == ',') {
		scan->at++;
		scan->wants = in_object(scan) ? JSONSCAN_WANTS_KEY : JSONSCAN_WANTS_VALUE;
		skip_blanks(scan);
	}
	scan->start = scan->at;
	scan->length = 0;
	if (scan->at == scan->bytes)
		return scan->wants == JSONSCAN_WANTS_NOTHING ? JSONSCAN_END : broken(scan, "it ends too early");
	switch (scan->wants) {
	case JSONSCAN_WANTS_FIRST_KEY:
		return peek(scan) == '}' ? close_level(scan) : read_key(scan);
	case JSONSCAN_WANTS_KEY:
		return read_key(scan);
	case JSONSCAN_WANTS_FIRST_VALUE:
		return peek(scan) == ']' ? close_level(scan) : read_value(scan);
	case JSONSCAN_WANTS_VALUE:
		return read_value(scan);
	case JSONSCAN_WANTS_MORE:
		return close_level(scan);
	case JSONSCAN_WANTS_NOTHING:
		break;
	}
	return broken(scan, "something follows its end");
}
