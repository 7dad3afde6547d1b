// SPDX-License-Identifier: Apache-2.0
#include "json_pen.h"

#include "../base/cleanup.h"
#include "../base/text.h"
#include "words.h"

#define NEW (JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY)

void json_put(struct json_pen *pen, struct json_object *object, const char *key, struct json_object *value)
{
	if (value && object && !json_object_object_add_ex(object, key, value, NEW))
		return;
	json_object_put(value);
	pen->failed = true;
}

void json_append(struct json_pen *pen, struct json_object *array, struct json_object *value)
{
	if (value && array && !json_object_array_add(array, value))
		return;
	json_object_put(value);
	pen->failed = true;
}

struct json_object *json_text(const char *bytes)
{
	__cleanup(freep) char *clean = text_utf8(bytes);

	return clean ? json_object_new_string(clean) : NULL;
}

void json_put_text(struct json_pen *pen, struct json_object *object, const char *key, const char *text)
{
	if (text)
		json_put(pen, object, key, json_text(text));
}

void json_put_number(struct json_pen *pen, struct json_object *object, const char *key, uint64_t number)
{
	json_put(pen, object, key, json_object_new_uint64(number));
}

void json_put_signed(struct json_pen *pen, struct json_object *object, const char *key, int64_t number)
{
	json_put(pen, object, key, json_object_new_int64(number));
}

void json_put_bool(struct json_pen *pen, struct json_object *object, const char *key, bool value)
{
	json_put(pen, object, key, json_object_new_boolean(value));
}

void json_put_decimal(struct json_pen *pen, struct json_object *object, const char *key, double value)
{
	char text[32];

	if (words_decimal(value, text))
		json_put(pen, object, key, json_object_new_double_s(value, text));
}

static const char *kind_word(enum frame_kind kind)
{
	static const char *const words[] = {
		[FRAME_UNKNOWN] = "unknown", [FRAME_NATIVE] = "native", [FRAME_KERNEL] = "kernel",
	};

	return words[kind];
}

struct json_object *json_frame(struct json_pen *pen, const struct frame *frame, bool offset)
{
	struct json_object *object = json_object_new_object();
	bool in_file = frame->module && !words_is_jit(frame);

	if (frame->function && *frame->function)
		json_put_text(pen, object, "function", frame->function);
	json_put_text(pen, object, "module", frame->module);
	json_put_text(pen, object, "build_id", frame->build_id);
	if (in_file && offset)
		json_put_number(pen, object, "offset", frame->offset);
	if (!in_file && frame->address)
		json_put_number(pen, object, "address", frame->address);
	json_put_text(pen, object, "file", frame->file);
	if (frame->file && frame->line)
		json_put_number(pen, object, "line", frame->line);
	if (frame->inlined)
		json_put_bool(pen, object, "inlined", true);
	if (frame->exact)
		json_put_bool(pen, object, "exact", true);
	json_put_text(pen, object, "kind", kind_word(frame->kind));
	json_put_text(pen, object, "stopped", frame->stopped);
	return object;
}
