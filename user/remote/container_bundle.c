// SPDX-License-Identifier: Apache-2.0
#include "container_bundle.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../base/cleanup.h"

#define DEPTH_MAX  16
#define VALUES_MAX (1u << 15) /* of some thousand in use; each may cost a kilobyte in the tree */

/* Whether @text has no more values than that: each has a comma or a bracket before it, but for the first. */
static bool is_small(const char *text, size_t bytes)
{
	size_t values = 1;
	bool quoted = false;

	for (size_t i = 0; i < bytes; i++) {
		char c = text[i];

		if (c == '"')
			quoted = !quoted;
		else if (quoted && c == '\\')
			i++;
		else if (!quoted && (c == ',' || c == '[' || c == '{'))
			values++;
	}
	return values <= VALUES_MAX;
}

static void json_putp(struct json_object **object)
{
	json_object_put(*object);
}

static int parse(const char *text, size_t bytes, struct json_object **object)
{
	struct json_tokener *tokener;

	if (bytes > CONTAINER_BUNDLE_MAX || !is_small(text, bytes))
		return -E2BIG;
	tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*object = json_tokener_parse_ex(tokener, text, (int)bytes);
	json_tokener_free(tokener);
	return *object ? 0 : -EINVAL;
}

/* NULL: @object is none, or has no such member. */
static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, key, &value) ? value
													       : NULL;
}

/* NULL: it is no string, or one that C cannot hold. */
static const char *text_of(struct json_object *value)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return text && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

/* Whether it was unknown, and is not now. */
static bool learn(char *to, size_t size, const char *text)
{
	if (to[0] || !text || !text[0] || strlen(text) >= size)
		return false;
	strcpy(to, text);
	return true;
}

#define LEARN(info, field, text) learn((info)->field, sizeof((info)->field), text)

/* Keys under which runtimes write strings, the first that is there counts. */
struct keys {
	const char *of[4];
};

static const struct keys name_keys = { { "io.kubernetes.cri.container-name", "io.kubernetes.container.name",
					 "nerdctl/name" } };
static const struct keys pod_keys = { { "io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name" } };
static const struct keys namespace_keys = { { "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace" } };
static const struct keys uid_keys = { { "io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid" } };
static const struct keys image_keys = { { "io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName" } };

static const char *first_of(struct json_object *object, const struct keys *keys)
{
	const char *text = NULL;

	for (size_t i = 0; keys->of[i] && !text; i++)
		text = text_of(member(object, keys->of[i]));
	return text;
}

/* The name of a pod's container, and its pod's. Whether there was any that may be believed. */
static bool learn_pod(struct json_object *texts, bool without_uid, struct container_info *info)
{
	const char *uid = first_of(texts, &uid_keys);
	bool learnt;

	if (info->pod_uid[0] ? !uid || strcmp(uid, info->pod_uid) != 0 : !without_uid)
		return false;
	learnt = LEARN(info, name, first_of(texts, &name_keys));
	learnt |= LEARN(info, pod, first_of(texts, &pod_keys));
	learnt |= LEARN(info, namespace, first_of(texts, &namespace_keys));
	learnt |= LEARN(info, pod_uid, uid);
	return learnt;
}

/* io.container.manager, which CRI-O and podman set. */
static const char *manager_of(struct json_object *annotations)
{
	const char *manager = text_of(member(annotations, "io.container.manager"));

	return manager && !strcmp(manager, "libpod") ? "podman" : manager && !strcmp(manager, "cri-o") ? manager : NULL;
}

static bool read_oci(struct json_object *file, struct container_info *info)
{
	struct json_object *annotations = member(file, "annotations");
	const char *type = text_of(member(annotations, "io.kubernetes.cri.container-type"));
	bool learnt = learn_pod(annotations, true, info);

	if (learnt && type && !strcmp(type, "sandbox"))
		LEARN(info, name, "POD"); /* as the others call it */
	learnt |= LEARN(info, image, first_of(annotations, &image_keys));
	learnt |= LEARN(info, runtime, manager_of(annotations));
	return learnt;
}

static bool read_docker(struct json_object *file, struct container_info *info)
{
	struct json_object *config = member(file, "Config");
	const char *id = text_of(member(file, "ID")), *name = text_of(member(file, "Name"));
	bool learnt;

	if (id && strcmp(id, info->id) != 0)
		return false;
	learnt = learn_pod(member(config, "Labels"), false, info);
	learnt |= LEARN(info, name, name && name[0] == '/' ? name + 1 : name);
	learnt |= LEARN(info, image, text_of(member(config, "Image")));
	return learnt;
}

/* What podman keeps as a text within the text. */
static bool read_metadata(const char *text, struct container_info *info)
{
	__cleanup(json_putp) struct json_object *metadata = NULL;

	return text && !parse(text, strlen(text), &metadata) &&
	       LEARN(info, image, text_of(member(metadata, "image-name")));
}

static bool read_list(struct json_object *file, struct container_info *info)
{
	size_t count = json_object_is_type(file, json_type_array) ? json_object_array_length(file) : 0;

	for (size_t i = 0; i < count; i++) {
		struct json_object *row = json_object_array_get_idx(file, i), *names = member(row, "names");
		const char *id = text_of(member(row, "id"));
		bool learnt;

		if (!id || strcmp(id, info->id) != 0)
			continue;
		learnt = json_object_is_type(names, json_type_array) &&
			 LEARN(info, name, text_of(json_object_array_get_idx(names, 0)));
		return read_metadata(text_of(member(row, "metadata")), info) || learnt;
	}
	return false;
}

int container_bundle_parse(enum container_bundle kind, const char *text, size_t bytes, struct container_info *info)
{
	static bool (*const readers[])(struct json_object *file, struct container_info *info) = {
		[CONTAINER_BUNDLE_OCI] = read_oci,
		[CONTAINER_BUNDLE_DOCKER] = read_docker,
		[CONTAINER_BUNDLE_LIST] = read_list,
	};
	__cleanup(json_putp) struct json_object *file = NULL;
	int err = parse(text, bytes, &file);

	if (err)
		return err;
	return readers[kind](file, info) ? 0 : -ENOENT;
}
