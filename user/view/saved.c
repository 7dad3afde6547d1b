// SPDX-License-Identifier: Apache-2.0
#include "saved.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_pen.h"
#include "jsonscan.h"

#define FRAME_DEPTH 8 /* nesting inside of a frame */
#define LINE_ROOM   4096

struct writer {
	const struct saved_line *line;
	const struct saved_names *names;
	struct saved_counts *counts;
	FILE *out;
	struct json_tokener *tokener;
	size_t copied;      /* bytes of the line that have been written */
	bool after_inlined; /* the frame before was inlined into this one */
};

/* Make room for one byte more. */
static int grow(struct saved_line *line, size_t most)
{
	size_t room = line->room ? 2 * line->room : LINE_ROOM;
	char *bytes;

	if (line->length >= most)
		return -EFBIG;
	if (line->length < line->room)
		return 0;
	bytes = realloc(line->bytes, room);
	if (!bytes)
		return -ENOMEM;
	line->bytes = bytes;
	line->room = room;
	return 0;
}

int saved_read(struct saved_line *line, FILE *in, size_t most)
{
	int c = getc_unlocked(in), err = 0;

	line->length = 0;
	if (c == EOF)
		return ferror(in) ? -EIO : 0;
	line->number++;
	for (; c != EOF && c != '\n'; c = getc_unlocked(in)) {
		if (!err)
			err = grow(line, most);
		if (!err)
			line->bytes[line->length++] = (char)c;
	}
	if (ferror(in))
		return -EIO;
	return err ? err : 1;
}

void saved_release(struct saved_line *line)
{
	free(line->bytes);
	*line = (struct saved_line){ 0 };
}

/* The string at @key of @object; NULL: it has none, or one that C cannot hold. */
static const char *text_at(struct json_object *object, const char *key)
{
	struct json_object *value;
	const char *text;

	if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return text && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

static bool flag_at(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) && json_object_is_type(value, json_type_boolean) &&
	       json_object_get_boolean(value);
}

/* Not negative. */
static bool number_at(struct json_object *object, const char *key, uint64_t *number)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_int))
		return false;
	*number = json_object_get_uint64(value);
	/* Of a negative number the one is 0, the other is not. */
	return *number || !json_object_get_int64(value);
}

/* @object as a frame. Whether it says where its code is. */
static bool read_frame(struct json_object *object, struct frame *frame)
{
	const char *kind = text_at(object, "kind");
	uint64_t line = 0;

	*frame = (struct frame){
		.kind = FRAME_NATIVE,
		.inlined = flag_at(object, "inlined"),
		.exact = flag_at(object, "exact"),
		.function = text_at(object, "function"),
		.module = text_at(object, "module"),
		.build_id = text_at(object, "build_id"),
		.file = text_at(object, "file"),
		.stopped = text_at(object, "stopped"),
	};
	if (number_at(object, "line", &line) && line <= UINT32_MAX)
		frame->line = (unsigned int)line;
	return number_at(object, "offset", &frame->offset) && frame->module && frame->build_id &&
	       (!kind || !strcmp(kind, "native"));
}

/* The frames that stand for @saved now, as an array. NULL: they are no better, or memory is short. */
static struct json_object *make_frames(const struct writer *w, const struct frame *saved)
{
	struct frame frames[SAVED_LEVELS_MAX], *own;
	size_t i, first = 0, count = w->names->frames(w->names->ctx, saved, frames, SAVED_LEVELS_MAX);
	struct json_object *array;
	struct json_pen pen = { 0 };

	if (!count || count > SAVED_LEVELS_MAX)
		return NULL;
	if (w->after_inlined) /* its inlined calls stand there already */
		first = count - 1;
	own = &frames[count - 1];
	if (first == count - 1 && (saved->function || !own->function) && (saved->file || !own->file))
		return NULL;
	own->stopped = saved->stopped;
	own->function = saved->function ? saved->function : own->function;
	own->line = saved->file ? saved->line : own->line;
	own->file = saved->file ? saved->file : own->file;
	array = json_object_new_array();
	for (i = first; i < count; i++) {
		struct frame *frame = &frames[i];

		frame->kind = FRAME_NATIVE;
		frame->module = saved->module;
		frame->build_id = saved->build_id;
		frame->offset = saved->offset;
		frame->exact = saved->exact;
		frame->inlined = frame != own;
		json_append(&pen, array, json_frame(&pen, frame, true));
	}
	for (i = 0; !pen.failed && i < json_object_array_length(array); i++)
		pen.failed = !json_object_to_json_string_ext(json_object_array_get_idx(array, i), JSON_PEN_PLAIN);
	if (!pen.failed)
		return array;
	json_object_put(array);
	return NULL;
}

/* Whether the key that was just read is one of @made's, by @tokener's reading of it: an escape may hide it. */
static bool has_key(struct json_object *made, const struct jsonscan *scan, struct json_tokener *tokener)
{
	struct json_object *key;
	bool known;

	json_tokener_reset(tokener);
	key = json_tokener_parse_ex(tokener, scan->text + scan->start, (int)scan->length);
	known = key && json_object_object_get_ex(made, json_object_get_string(key), NULL);
	json_object_put(key);
	return known;
}

/* The members of the frame at @text that @made has not, as they stand there: fields of others. */
static void copy_members(struct writer *w, struct json_object *made, const char *text, size_t bytes)
{
	struct jsonscan scan;

	jsonscan_init(&scan, text, bytes);
	jsonscan_next(&scan);
	while (jsonscan_next(&scan) == JSONSCAN_KEY) {
		size_t start = scan.start;
		bool known = has_key(made, &scan, w->tokener);

		do
			jsonscan_next(&scan);
		while (scan.depth > 1);
		if (known)
			continue;
		fputc(',', w->out);
		fwrite(text + start, 1, scan.at - start, w->out);
	}
}

/* Write @array's frames, which all have their text, in place of the one that stands from @start to @end. */
static void replace(struct writer *w, struct json_object *array, size_t start, size_t end)
{
	size_t i, length, count = json_object_array_length(array);
	const char *bytes = w->line->bytes;

	fwrite(bytes + w->copied, 1, start - w->copied, w->out);
	for (i = 0; i < count; i++) {
		struct json_object *made = json_object_array_get_idx(array, i);
		const char *text = json_object_to_json_string_length(made, JSON_PEN_PLAIN, &length);

		fputs(i ? "," : "", w->out);
		fwrite(text, 1, length - 1, w->out);
		if (i == count - 1)
			copy_members(w, made, bytes + start, end - start);
		fputc('}', w->out);
	}
	w->copied = end;
	w->counts->named++;
}

static void write_frame(struct writer *w, size_t start, size_t end)
{
	struct json_object *object = NULL, *array = NULL;
	struct frame saved = { 0 };
	bool known;

	json_tokener_reset(w->tokener);
	if (end - start <= SAVED_FRAME_MAX)
		object = json_tokener_parse_ex(w->tokener, w->line->bytes + start, (int)(end - start));
	known = object && read_frame(object, &saved);
	if (!saved.inlined)
		w->counts->frames++;
	if (!saved.inlined && (!saved.function || !saved.file)) {
		w->counts->lacking++;
		array = known ? make_frames(w, &saved) : NULL;
	}
	if (array)
		replace(w, array, start, end);
	w->after_inlined = saved.inlined;
	json_object_put(array);
	json_object_put(object);
}

/* Find the frames: objects right inside of an array called "frames". */
static void write_document(struct writer *w)
{
	unsigned int depth = 0; /* inside of such an array; 0: outside */
	enum jsonscan_token token, before = JSONSCAN_END;
	bool called = false;
	struct jsonscan scan;
	size_t start = 0;

	jsonscan_init(&scan, w->line->bytes, w->line->length);
	for (token = jsonscan_next(&scan); token < JSONSCAN_END; token = jsonscan_next(&scan)) {
		if (token == JSONSCAN_ARRAY && before == JSONSCAN_KEY && called && !depth) {
			depth = scan.depth;
			w->after_inlined = false;
		} else if (token == JSONSCAN_ARRAY_END && scan.depth < depth) {
			depth = 0;
		} else if (token == JSONSCAN_OBJECT && depth && scan.depth == depth + 1) {
			start = scan.start;
		} else if (token == JSONSCAN_OBJECT_END && depth && scan.depth == depth) {
			write_frame(w, start, scan.at);
		}
		if (token == JSONSCAN_KEY)
			called = jsonscan_is(&scan, "\"frames\"");
		before = token;
	}
	fwrite(w->line->bytes + w->copied, 1, w->line->length - w->copied, w->out);
	fputc('\n', w->out);
}

enum schema { SCHEMA_NONE, SCHEMA_OTHER, SCHEMA_FRAMES };

static enum schema schema_of(const struct jsonscan *scan)
{
	static const char prefix[] = "\"heldby.";

	if (jsonscan_is(scan, "\"heldby.board/1\"") || jsonscan_is(scan, "\"heldby.postmortem/1\""))
		return SCHEMA_FRAMES;
	return scan->length > sizeof(prefix) && !memcmp(scan->text + scan->start, prefix, sizeof(prefix) - 1)
		       ? SCHEMA_OTHER : SCHEMA_NONE;
}

/* Whether @line is JSON to its end, and of which schema. */
static int check(const struct saved_line *line, enum schema *schema, const char **why, size_t *at)
{
	enum jsonscan_token token;
	struct jsonscan scan;
	bool called = false;

	*schema = SCHEMA_NONE;
	jsonscan_init(&scan, line->bytes, line->length);
	for (token = jsonscan_next(&scan); token < JSONSCAN_END; token = jsonscan_next(&scan)) {
		if (scan.depth == 1 && token == JSONSCAN_STRING && called && !*schema)
			*schema = schema_of(&scan);
		called = token == JSONSCAN_KEY && scan.depth == 1 && jsonscan_is(&scan, "\"schema\"");
	}
	*at = scan.at;
	*why = token == JSONSCAN_BROKEN ? scan.why : "it is no document of heldby: its schema is missing or another's";
	return token == JSONSCAN_BROKEN || !*schema ? -EBADMSG : 0;
}

int saved_write(const struct saved_line *line, const struct saved_names *names, FILE *out,
		struct saved_counts *counts, const char **why, size_t *at)
{
	struct writer w = { .line = line, .names = names, .counts = counts, .out = out };
	enum schema schema;
	int err = check(line, &schema, why, at);

	if (err)
		return err;
	if (schema == SCHEMA_OTHER) {
		fwrite(line->bytes, 1, line->length, out);
		fputc('\n', out);
		return 0;
	}
	w.tokener = json_tokener_new_ex(FRAME_DEPTH);
	if (!w.tokener)
		return -ENOMEM;
	json_tokener_set_flags(w.tokener, JSON_TOKENER_STRICT);
	write_document(&w);
	json_tokener_free(w.tokener);
	return 0;
}
