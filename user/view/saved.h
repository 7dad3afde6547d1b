/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents that were saved: heldby.board/1 and heldby.postmortem/1, one on a line. Frames that lack a
 * name get one; all else is copied byte by byte. A document is anybody's: it is never held as a tree.
 */
#ifndef HB_VIEW_SAVED_H
#define HB_VIEW_SAVED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../model/frame.h"

#define SAVED_LINE_MAX   (256u << 20) /* bytes of one document */
#define SAVED_FRAME_MAX  (64u << 10)  /* bytes of one frame; larger ones are left alone */
#define SAVED_LEVELS_MAX 33           /* frames that one can become: inlined calls, and the function itself */

/* One line of a file. Begin with { 0 }. */
struct saved_line {
	char *bytes; /* without the newline; not a string */
	size_t length;
	size_t room;
	uint64_t number; /* from 1 */
};

/*
 * Read the next line, of at most @most bytes (SAVED_LINE_MAX). 1; 0 at the end; -EFBIG (too long: skipped,
 * the next can be read), -ENOMEM (so too), -EIO.
 */
int saved_read(struct saved_line *line, FILE *in, size_t most);
void saved_release(struct saved_line *line);

/* Who knows names. */
struct saved_names {
	void *ctx;
	/*
	 * The levels at @saved (module, build_id, offset, exact are set), innermost first, into @frames
	 * of @cap; their number, 0: nothing is known. Strings are borrowed until the next call.
	 */
	size_t (*frames)(void *ctx, const struct frame *saved, struct frame *frames, size_t cap);
};

struct saved_counts {
	uint64_t frames; /* in all documents, without inlined ones */
	uint64_t lacking; /* of them, without a function or its place in the source */
	uint64_t named;  /* and those that gained something */
};

/*
 * Write the document in @line to @out, a newline behind it, and add to @counts. A frame is asked for
 * if it has module, build_id and offset, but no function or no file; what it has is kept. 0; -EBADMSG:
 * it is no JSON, or no document of heldby: *@why says what is wrong, *@at where, and nothing was
 * written; -ENOMEM. Whether writing went well @out knows.
 *
 * A document of a schema that has no frames known here is copied as it is.
 */
int saved_write(const struct saved_line *line, const struct saved_names *names, FILE *out,
		struct saved_counts *counts, const char **why, size_t *at);

#endif
