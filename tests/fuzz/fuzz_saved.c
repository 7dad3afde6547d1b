// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a saved document: without names it stays as it is, with names it stays JSON. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>

#include "../../user/view/jsonscan.h"
#include "../../user/view/saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t nobody(void *ctx, const struct frame *saved, struct frame *frames, size_t cap)
{
	(void)ctx;
	(void)frames;
	if (!saved->module || !saved->build_id || saved->inlined || cap < 2)
		abort();
	return 0;
}

/* Every even place has a call inlined into it. */
static size_t everybody(void *ctx, const struct frame *saved, struct frame *frames, size_t cap)
{
	static const struct frame inner = { .function = "inner", .inlined = true };
	static const struct frame outer = { .function = "\xff" "outer\"\\", .file = "/src/\n.c", .line = 7 };
	size_t count = 0;

	(void)ctx;
	if (cap < 2)
		abort();
	if (saved->offset % 2 == 0)
		frames[count++] = inner;
	frames[count++] = outer;
	return count;
}

/* What becomes of @line; NULL: it was refused. */
static char *rewrite(const struct saved_line *line, const struct saved_names *names, size_t *bytes)
{
	struct saved_counts counts = { 0 };
	const char *why = NULL;
	char *text = NULL;
	size_t at = 0;
	FILE *out = open_memstream(&text, bytes);
	int err;

	if (!out)
		abort();
	err = saved_write(line, names, out, &counts, &why, &at);
	fclose(out);
	if (counts.named > counts.lacking || counts.lacking > counts.frames)
		abort();
	if (!err)
		return text;
	if (!why || at > line->length || *bytes)
		abort();
	free(text);
	return NULL;
}

static void check(const struct saved_line *line)
{
	static const struct saved_names none = { .frames = nobody }, all = { .frames = everybody };
	struct saved_line named = { 0 };
	size_t bytes, again_bytes;
	struct jsonscan scan;
	enum jsonscan_token token;
	char *again;
	char *same = rewrite(line, &none, &bytes);

	if (!same)
		return;
	if (bytes != line->length + 1 || memcmp(same, line->bytes, line->length) || same[line->length] != '\n')
		abort();
	free(same);
	named.bytes = rewrite(line, &all, &named.length);
	if (!named.bytes)
		abort();
	named.length--;
	jsonscan_init(&scan, named.bytes, named.length);
	do
		token = jsonscan_next(&scan);
	while (token < JSONSCAN_END);
	again = rewrite(&named, &all, &again_bytes);
	if (token != JSONSCAN_END || !again || again_bytes != named.length + 1 ||
	    memcmp(again, named.bytes, again_bytes))
		abort();
	free(again);
	saved_release(&named);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct saved_line line = { 0 };
	FILE *in = size ? fmemopen((void *)data, size, "r") : NULL;

	while (in && saved_read(&line, in, 4096) > 0)
		check(&line);
	if (in)
		fclose(in);
	saved_release(&line);
	return 0;
}
