/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON text (RFC 8259) token by token, without a tree: what nobody looks at can be copied byte by
 * byte, and a text of any size takes no memory. Nothing recurses, nesting is capped. That strings are
 * UTF-8 is not checked.
 */
#ifndef HB_VIEW_JSONSCAN_H
#define HB_VIEW_JSONSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSONSCAN_DEPTH_MAX 64

enum jsonscan_token {
	JSONSCAN_OBJECT,
	JSONSCAN_OBJECT_END,
	JSONSCAN_ARRAY,
	JSONSCAN_ARRAY_END,
	JSONSCAN_KEY,    /* with its quotes; the colon has been read too */
	JSONSCAN_STRING, /* with its quotes */
	JSONSCAN_OTHER,  /* a number, true, false or null */
	JSONSCAN_END,    /* the text was one whole value */
	JSONSCAN_BROKEN, /* it is no JSON: @why says what is wrong at @at */
};

enum jsonscan_wants {
	JSONSCAN_WANTS_VALUE,
	JSONSCAN_WANTS_FIRST_VALUE, /* or the array's end */
	JSONSCAN_WANTS_KEY,
	JSONSCAN_WANTS_FIRST_KEY,   /* or the object's end */
	JSONSCAN_WANTS_MORE,        /* a comma or the end of what it is in */
	JSONSCAN_WANTS_NOTHING,
};

struct jsonscan {
	const char *text;      /* borrowed; need not end in NUL */
	size_t bytes;
	size_t at;             /* what was read of it */
	size_t start, length;  /* the last token's place */
	unsigned int depth;    /* objects and arrays that are open */
	uint64_t objects;      /* bit n: level n is an object */
	enum jsonscan_wants wants;
	const char *why;
};

/* Begin anew at the start of @text. */
void jsonscan_init(struct jsonscan *scan, const char *text, size_t bytes);

/* The next token. After JSONSCAN_END and JSONSCAN_BROKEN there is no other. */
enum jsonscan_token jsonscan_next(struct jsonscan *scan);

/* Whether the last token is @word, quotes included. */
bool jsonscan_is(const struct jsonscan *scan, const char *word);

#endif
