/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON objects, field by field. Memory may be short at any of them: the pen remembers it, and what it
 * made then must not be written. For the files that write JSON.
 */
#ifndef HB_VIEW_JSON_PEN_H
#define HB_VIEW_JSON_PEN_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "../model/frame.h"

#define JSON_PEN_PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct json_pen {
	bool failed;
};

/* Each takes @value over. Keys are constants, and new to @object. */
void json_put(struct json_pen *pen, struct json_object *object, const char *key, struct json_object *value);
void json_append(struct json_pen *pen, struct json_object *array, struct json_object *value);

/* A string from any bytes; NULL if memory is short. */
struct json_object *json_text(const char *bytes);

/* Strings and decimals that are not known (NULL, not finite) are left out. */
void json_put_text(struct json_pen *pen, struct json_object *object, const char *key, const char *text);
void json_put_number(struct json_pen *pen, struct json_object *object, const char *key, uint64_t number);
void json_put_signed(struct json_pen *pen, struct json_object *object, const char *key, int64_t number);
void json_put_bool(struct json_pen *pen, struct json_object *object, const char *key, bool value);
void json_put_decimal(struct json_pen *pen, struct json_object *object, const char *key, double value);

/* A frame as it stands in "frames". @offset: whether its offset means something. */
struct json_object *json_frame(struct json_pen *pen, const struct frame *frame, bool offset);

#endif
