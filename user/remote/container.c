// SPDX-License-Identifier: Apache-2.0
#include "container.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ID_DIGITS    64
#define HASH_DIGITS  32 /* of a static pod's uid */
#define DELETED      " (deleted)" /* proc_cgroup_show(), kernel/cgroup/cgroup.c */

/* Part of a text that is somebody else's. */
struct span {
	const char *at;
	size_t length;
};

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_name(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
	       c == '_';
}

static size_t hex_run(const char *at, const char *end)
{
	size_t run = 0;

	while (at + run < end && is_hex(at[run]))
		run++;
	return run;
}

static bool span_is(struct span span, const char *text)
{
	return span.length == strlen(text) && !memcmp(span.at, text, span.length);
}

static void span_copy(char *to, struct span span)
{
	memcpy(to, span.at, span.length);
	to[span.length] = '\0';
}

/* The container's id in a path, or NULL. */
static const char *last_id(const char *path, const char *end)
{
	const char *found = NULL;

	for (const char *at = path; at < end;) {
		size_t run = hex_run(at, end);
		const char *after = at + run;

		if (run == ID_DIGITS && at > path && strchr("/-:", at[-1]) &&
		    (after == end || *after == '/' || *after == '.'))
			found = at;
		at += run ? run : 1;
	}
	return found;
}

/* What stands right before an id. No runtime: the cgroup of what watches the container. */
static const struct word {
	const char *text, *runtime;
} words[] = {
	{ "cri-containerd", "containerd" },
	{ "crio", "cri-o" },
	{ "docker", "docker" },
	{ "libpod", "podman" },
	{ "libpod-payload", "podman" }, /* --cgroups=split */
	{ "nerdctl", "nerdctl" },
	{ "buildkit", "buildkit" },
	{ "runc", "runc" }, /* without anybody above them, under systemd */
	{ "crun", "crun" },
	{ "crio-conmon", NULL },
	{ "libpod-conmon", NULL },
};

/* The word before @id, behind which one of "/-:" stands: the rest of its component, or what a ':' leaves of it. */
static struct span word_before(const char *path, const char *id)
{
	const char *end = id - 1, *at = end;

	while (at > path && at[-1] != '/' && at[-1] != ':')
		at--;
	return (struct span){ at, (size_t)(end - at) };
}

/* Whether a pod's uid begins at @at, and its length: 8-4-4-4-12 hex digits, or 32. */
static size_t uid_length(const char *at, const char *end)
{
	static const unsigned char groups[] = { 8, 4, 4, 4, 12 };
	size_t length = hex_run(at, end);

	if (length == HASH_DIGITS)
		return length;
	length = 0;
	for (size_t i = 0; i < sizeof(groups); i++) {
		if (i && (at + length == end || (at[length] != '-' && at[length] != '_')))
			return 0;
		length += i ? 1 : 0;
		if (hex_run(at + length, end) != groups[i])
			return 0;
		length += groups[i];
	}
	return length;
}

/* The last pod's uid before @end. systemd's slices have '_' for '-'. */
static void last_pod(const char *path, const char *end, char uid[static 40])
{
	const char *at = path;

	uid[0] = '\0';
	while ((at = memmem(at, (size_t)(end - at), "pod", 3))) {
		size_t length = at > path && (at[-1] == '/' || at[-1] == '-') ? uid_length(at + 3, end) : 0;

		at += 3;
		if (!length || at + length == end || !strchr("./:", at[length]))
			continue;
		span_copy(uid, (struct span){ at, length });
		for (char *c = uid; *c; c++)
			*c = *c == '_' ? '-' : *c;
	}
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A machine's name as systemd writes it in a unit's: "\x2d" is '-'. false: none that there could be. */
static bool unescape(struct span text, char name[static 65])
{
	size_t length = 0;

	for (size_t i = 0; i < text.length; i++) {
		char c = text.at[i];

		if (c == '\\') {
			if (text.length - i < 4 || text.at[i + 1] != 'x' || hex_digit(text.at[i + 2]) < 0 ||
			    hex_digit(text.at[i + 3]) < 0)
				return false;
			c = (char)(hex_digit(text.at[i + 2]) << 4 | hex_digit(text.at[i + 3]));
			i += 3;
		}
		if (!is_name(c) || length == ID_DIGITS)
			return false;
		name[length++] = c;
	}
	name[length] = '\0';
	return length > 0;
}

/* Components of paths that are a machine's, with its name in the middle. */
static const struct machine {
	const char *before, *after, *runtime;
} machines[] = {
	{ "lxc.payload.", "", "lxc" },
	{ "systemd-nspawn@", ".service", "nspawn" },
	{ "machine-qemu\\x2d", ".scope", NULL }, /* libvirt's virtual machines */
	{ "machine-", ".scope", "machine" },
	{}
};

/* The row of @component, whose @middle is then set, or NULL. */
static const struct machine *find_machine(struct span component, struct span *middle)
{
	for (const struct machine *row = machines; row->before; row++) {
		size_t before = strlen(row->before), after = strlen(row->after);

		if (component.length <= before + after || memcmp(component.at, row->before, before) ||
		    memcmp(component.at + component.length - after, row->after, after))
			continue;
		*middle = (struct span){ component.at + before, component.length - before - after };
		return row;
	}
	return NULL;
}

/* Take @component, which @above it stands before. */
static void take_machine(struct span above, struct span component, struct container_id *id)
{
	const struct machine *row;
	struct span middle;
	char name[65];

	if (span_is(above, "lxc") && unescape(component, name)) {
		id->runtime = "lxc";
	} else {
		row = find_machine(component, &middle);
		if (!row && span_is(component, "supervisor") && find_machine(above, &middle))
			id->id[0] = '\0'; /* nspawn itself */
		if (!row || !row->runtime || !unescape(middle, name))
			return;
		id->runtime = row->runtime;
	}
	strcpy(id->id, name);
}

static int last_machine(const char *path, const char *end, struct container_id *id)
{
	struct container_id found = { .runtime = "" };
	struct span above = { path, 0 };

	for (const char *at = path; at < end;) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct span component = { at, (size_t)((slash ? slash : end) - at) };

		take_machine(above, component, &found);
		above = component;
		at += component.length + 1;
	}
	if (!found.id[0])
		return -ENOENT;
	*id = found;
	return 0;
}

int container_id_parse(const char *path, struct container_id *id)
{
	size_t length = strlen(path), deleted = strlen(DELETED);
	const char *end = path + length, *at;
	const char *runtime = "";
	struct span word;

	if (length >= deleted && !strcmp(end - deleted, DELETED))
		end -= deleted;
	at = last_id(path, end);
	if (!at)
		return last_machine(path, end, id);
	word = word_before(path, at);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (span_is(word, words[i].text))
			runtime = words[i].runtime;
	}
	if (!runtime)
		return -ENOENT;
	span_copy(id->id, (struct span){ at, ID_DIGITS });
	id->runtime = runtime;
	last_pod(path, at, id->pod_uid);
	return 0;
}

/* A DNS label or subdomain, of fewer than @size characters. */
static bool is_dns(struct span span, size_t size)
{
	for (size_t i = 0; i < span.length; i++) {
		char c = span.at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.'))
			return false;
	}
	return span.length && span.length < size;
}

/* "one_two_rest" -> one, two; the rest, or NULL. */
static const char *split(const char *text, struct span *one, struct span *two)
{
	const char *first = strchr(text, '_');
	const char *second = first ? strchr(first + 1, '_') : NULL;

	if (!second)
		return NULL;
	*one = (struct span){ text, (size_t)(first - text) };
	*two = (struct span){ first + 1, (size_t)(second - first - 1) };
	return second + 1;
}

int container_link_parse(const char *link, struct container_info *info)
{
	static const char tail[] = ".log";
	struct span pod, namespace, name;
	const char *rest = split(link, &pod, &namespace);
	size_t length = rest ? strlen(rest) : 0, fixed = 1 + ID_DIGITS + strlen(tail);
	const char *id;

	if (length <= fixed)
		return -ENOENT;
	id = rest + length - fixed + 1;
	name = (struct span){ rest, length - fixed };
	if (id[-1] != '-' || hex_run(id, id + ID_DIGITS) != ID_DIGITS || strcmp(id + ID_DIGITS, tail))
		return -ENOENT;
	if (!is_dns(pod, sizeof(info->pod)) || !is_dns(namespace, sizeof(info->namespace)) ||
	    !is_dns(name, sizeof(info->name)))
		return -ENOENT;
	*info = (struct container_info){ 0 };
	span_copy(info->id, (struct span){ id, ID_DIGITS });
	span_copy(info->pod, pod);
	span_copy(info->namespace, namespace);
	span_copy(info->name, name);
	return 0;
}

int container_folder_parse(const char *folder, struct container_info *info)
{
	struct span pod, namespace;
	const char *uid = split(folder, &namespace, &pod);

	if (!uid || !info->pod_uid[0] || strcmp(uid, info->pod_uid) || !is_dns(pod, sizeof(info->pod)) ||
	    !is_dns(namespace, sizeof(info->namespace)))
		return -ENOENT;
	span_copy(info->pod, pod);
	span_copy(info->namespace, namespace);
	return 0;
}
