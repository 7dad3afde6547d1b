// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a cgroup's path, and as the names of a container's log and of its pod's folder. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/remote/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UID "11111111-2222-3333-4444-555555555555"

/* What the kernel's and the kubelet's names may hold of a name. */
static void expect_name(const char *text, size_t most)
{
	if (strlen(text) > most)
		abort();
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("-._", *text))
			abort();
	}
}

static void try_path(const char *path)
{
	struct container_id id = { .id = "untouched" }, again;
	char shown[4200];

	if (container_id_parse(path, &id)) {
		if (strcmp(id.id, "untouched") != 0)
			abort();
		return;
	}
	expect_name(id.id, 64);
	expect_name(id.pod_uid, 36);
	if (!id.id[0] || !id.runtime || (strlen(id.pod_uid) != 36 && strlen(id.pod_uid) != 32 && id.pod_uid[0]))
		abort();
	if (strlen(id.id) == 64 && !id.id[strspn(id.id, "0123456789abcdef")] && !strstr(path, id.id) &&
	    !strchr(path, '\\'))
		abort();
	/* What has been removed is the same container's still. */
	if (strlen(path) > 4096 || strstr(path, "(deleted)"))
		return;
	strcpy(shown, path);
	strcat(shown, " (deleted)");
	if (container_id_parse(shown, &again) || strcmp(id.id, again.id) != 0 || strcmp(id.pod_uid, again.pod_uid) != 0)
		abort();
}

/* The parts of a name make it up, and nothing else. */
static void try_link(const char *name)
{
	struct container_info info;
	char made[700];

	if (container_link_parse(name, &info))
		return;
	expect_name(info.name, 253);
	expect_name(info.pod, 253);
	expect_name(info.namespace, 63);
	strcpy(stpcpy(stpcpy(stpcpy(stpcpy(made, info.pod), "_"), info.namespace), "_"), info.name);
	strcat(strcat(strcat(made, "-"), info.id), ".log");
	if (strcmp(made, name) != 0)
		abort();
}

static void try_folder(const char *name)
{
	struct container_info info = { .pod_uid = UID };

	if (container_folder_parse(name, &info)) {
		if (info.pod[0] || info.namespace[0])
			abort();
		return;
	}
	expect_name(info.pod, 253);
	expect_name(info.namespace, 63);
	if (!info.pod[0] || !info.namespace[0] || !strstr(name, UID))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	try_path(text);
	try_link(text);
	try_folder(text);
	free(text);
	return 0;
}
