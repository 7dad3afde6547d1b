// SPDX-License-Identifier: Apache-2.0
/* The name of a log, the path of a cgroup and the bytes of the runtimes' files, with a NUL between them. */
#define _GNU_SOURCE 1
#include <stdbool.h>
#include <stdint.h>

#include "../../user/remote/container.h"
#include "../../user/remote/container_names.h"
#include "fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LOGS    "var/log/containers"
#define DOCKER  "var/lib/docker/containers"
#define STORAGE "var/lib/containers/storage/overlay-containers"
#define TASKS   "run/containerd/io.containerd.runtime.v2.task"
#define LATER   (1ull << 40)

/* All of it, what lies in others first. */
static const char *const made[] = {
	DOCKER "/" ID "/config.v2.json", STORAGE "/" ID "/userdata/config.json", STORAGE "/containers.json",
	TASKS "/k8s.io/" ID "/config.json", DOCKER "/" ID, STORAGE "/" ID "/userdata", STORAGE "/" ID,
	TASKS "/k8s.io/" ID, TASKS "/k8s.io", TASKS, STORAGE, DOCKER, "run/containerd", "run",
	LOGS, "var/log", "var/lib/containers/storage", "var/lib/containers", "var/lib/docker", "var/lib", "var", NULL,
};
#define FILES 4 /* of them, the first */

static int folder_open(void)
{
	static int fd = -1;
	size_t count = 0;

	if (fd >= 0)
		return fd;
	fd = folder_make(made);
	while (made[count])
		count++;
	while (count-- > FILES) {
		if (mkdirat(fd, made[count], 0700))
			abort();
	}
	return fd;
}

/* A file of that name among the logs. Whether there can be one. */
static bool put_log(int dir, const char *name, bool there)
{
	char path[512];

	if (!name[0] || strchr(name, '/') || strlen(name) > 255 || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	snprintf(path, sizeof(path), LOGS "/%s", name);
	if (there)
		folder_put(dir, path, "", 0);
	else if (unlinkat(dir, path, 0))
		abort();
	return true;
}

static void put_files(int dir, const void *bytes, size_t size)
{
	for (int i = 0; i < FILES; i++)
		folder_put(dir, made[i], bytes, size);
}

/* What the link says is found, and stays; so does what else is found with a name. */
static void look(int dir, const char *log, const char *path, const void *bytes, size_t size)
{
	struct container_names *names = container_names_new(folder, 2);
	struct container_info linked = { .id = "" }, before;
	const struct container_info *found;
	struct container_id id;
	bool has_log = put_log(dir, log, true);

	if (!names)
		abort();
	put_files(dir, bytes, size);
	found = container_names_find(names, path, 0);
	if (!found != !!container_id_parse(path, &id) || (found && strcmp(found->id, id.id) != 0))
		abort();
	if (found && has_log && !container_link_parse(log, &linked) && !strcmp(linked.id, id.id) &&
	    (strcmp(linked.name, found->name) != 0 || strcmp(linked.pod, found->pod) != 0))
		abort();
	before = found ? *found : linked;
	if (has_log)
		put_log(dir, log, false);
	put_files(dir, "", 0);
	found = container_names_find(names, path, LATER);
	if (found && before.name[0] && memcmp(found, &before, sizeof(before)) != 0)
		abort();
	container_names_scan(names);
	container_names_free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *first = memchr(data, 0, size);
	const uint8_t *second = first ? memchr(first + 1, 0, size - (size_t)(first + 1 - data)) : NULL;

	if (!second)
		return -1;
	look(folder_open(), (const char *)data, (const char *)first + 1, second + 1,
	     size - (size_t)(second + 1 - data));
	return 0;
}
