// SPDX-License-Identifier: Apache-2.0
#include "container_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../base/cleanup.h"
#include "container.h"
#include "container_bundle.h"
#include "procfs.h"

#define NS_PER_S    1000000000ull
#define RETRY_NS    (5 * NS_PER_S) /* before a name is looked for again, the first time; then twice that */
#define DOUBLED_MAX 4
#define SCAN_NS     NS_PER_S /* between two readings of the links */
#define UNKNOWN_MAX 256
#define ENTRIES_MAX 65536 /* of a folder */
#define SPACES_MAX  64 /* of containerd's namespaces */
#define LINKS       "var/log/containers"
#define FOLDERS     "var/log/pods"

/* A container whose name is known. Places among the others are numbers; 0: none. */
struct known {
	struct container_info info;
	uint32_t next;         /* in its bucket */
	uint32_t newer, older; /* asked for after it and before it */
	bool read;             /* its bundle has been, too */
};

/* One whose name is not, in the slot that its id gives it: many of these push out but each other. */
struct unknown {
	struct container_info info;
	uint64_t retry_ns;
	unsigned int tries;
};

struct container_names {
	int root;
	uint32_t count, max, newest, oldest;
	uint32_t buckets_mask;
	uint32_t *buckets;
	struct known *known; /* max + 1, the first stays free; untouched ones take no memory */
	struct unknown *unknown;
	uint64_t scan_ns; /* no sooner */
};

/* Where runtimes keep a container's file: a folder, the id's below it, and a name. All of root's. */
static const struct place {
	enum container_bundle kind;
	const char *runtime; /* whose it is, "" if more than one's */
	const char *folder, *file;
	bool spaces; /* between folder and id: containerd's namespaces */
} places[] = {
	{ CONTAINER_BUNDLE_DOCKER, "docker", "var/lib/docker/containers", "config.v2.json", false },
	/* CRI-O's, and podman's */
	{ CONTAINER_BUNDLE_OCI, "", "run/containers/storage/overlay-containers", "userdata/config.json", false },
	{ CONTAINER_BUNDLE_OCI, "", "var/lib/containers/storage/overlay-containers", "userdata/config.json", false },
#define CONTAINERD(run) \
	{ CONTAINER_BUNDLE_OCI, "containerd", run "/io.containerd.runtime.v2.task", "config.json", true }
	CONTAINERD("run/containerd"),
	CONTAINERD("run/k3s/containerd"),
	CONTAINERD("run/k0s/containerd"),
	CONTAINERD("var/snap/microk8s/common/run/containerd"),
	{}
};

/* podman's, by storage: volatile is what --rm made. */
static const char *const lists[] = {
	"var/lib/containers/storage/overlay-containers/containers.json",
	"var/lib/containers/storage/overlay-containers/volatile-containers.json",
	"run/containers/storage/overlay-containers/containers.json",
	"run/containers/storage/overlay-containers/volatile-containers.json",
	NULL
};

/* FNV-1a */
static uint32_t hash_of(const char *id)
{
	uint32_t hash = 2166136261u;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619u;
	return hash;
}

struct container_names *container_names_new(const char *root, size_t max)
{
	struct container_names *names = calloc(1, sizeof(*names));
	uint32_t buckets = 1;

	if (!names)
		return NULL;
	if (!max || max >= UINT32_MAX / 2)
		max = CONTAINER_NAMES_MAX;
	while (buckets < max)
		buckets *= 2;
	names->max = (uint32_t)max;
	names->buckets_mask = buckets - 1;
	names->buckets = calloc(buckets, sizeof(*names->buckets));
	names->known = calloc(max + 1, sizeof(*names->known));
	names->unknown = calloc(UNKNOWN_MAX, sizeof(*names->unknown));
	names->root = -1;
	if (names->buckets && names->known && names->unknown)
		names->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (names->root < 0) {
		int saved = errno;

		container_names_free(names);
		errno = saved;
		return NULL;
	}
	return names;
}

void container_names_free(struct container_names *names)
{
	if (!names)
		return;
	fd_closep(&names->root);
	free(names->buckets);
	free(names->known);
	free(names->unknown);
	free(names);
}

static uint32_t *bucket_of(struct container_names *names, const char *id)
{
	return &names->buckets[hash_of(id) & names->buckets_mask];
}

/* The place of a container's name, 0: not known. */
static uint32_t find_known(struct container_names *names, const char *id)
{
	uint32_t at = *bucket_of(names, id);

	while (at && strcmp(names->known[at].info.id, id) != 0)
		at = names->known[at].next;
	return at;
}

static void leave_order(struct container_names *names, uint32_t at)
{
	struct known *known = &names->known[at];

	*(known->newer ? &names->known[known->newer].older : &names->newest) = known->older;
	*(known->older ? &names->known[known->older].newer : &names->oldest) = known->newer;
}

static void make_newest(struct container_names *names, uint32_t at)
{
	struct known *known = &names->known[at];

	known->newer = 0;
	known->older = names->newest;
	*(names->newest ? &names->known[names->newest].newer : &names->oldest) = at;
	names->newest = at;
}

/* The place of the least recently asked for, which is forgotten. */
static uint32_t forget_oldest(struct container_names *names)
{
	uint32_t at = names->oldest, *link = bucket_of(names, names->known[at].info.id);

	while (*link != at)
		link = &names->known[*link].next;
	*link = names->known[at].next;
	leave_order(names, at);
	return at;
}

/* Remember what is not known yet. Its place. */
static uint32_t remember(struct container_names *names, const struct container_info *info)
{
	uint32_t at = names->count < names->max ? ++names->count : forget_oldest(names);
	uint32_t *bucket = bucket_of(names, info->id);

	names->known[at] = (struct known){ .info = *info, .next = *bucket };
	*bucket = at;
	make_newest(names, at);
	return at;
}

/* @path, a folder beneath the root. NULL: not there. */
static DIR *open_folder(const struct container_names *names, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd, tries = 16; /* EAGAIN: somebody renames or mounts just now */
	DIR *dir;

	do {
		fd = (int)syscall(SYS_openat2, names->root, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN && --tries);
	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

/* Take in the links: @wanted, which may be NULL, at the cost of another, the rest while there is room. */
static void scan(struct container_names *names, const char *wanted)
{
	DIR *dir = open_folder(names, LINKS);
	struct container_info info;
	struct dirent *entry;

	if (!dir)
		return;
	for (int i = 0; i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
		if (container_link_parse(entry->d_name, &info) || find_known(names, info.id))
			continue;
		if (names->count < names->max || (wanted && !strcmp(info.id, wanted)))
			remember(names, &info);
	}
	closedir(dir);
}

void container_names_scan(struct container_names *names)
{
	scan(names, NULL);
}

/* All of the regular file @path beneath the root; -EFBIG if that is too much. The bytes or negative errno. */
static ssize_t read_whole(const struct container_names *names, const char *path, char **text)
{
	__cleanup(fd_closep) int fd = file_open_in_root(names->root, path);
	size_t length = 0, room;
	struct stat stat;

	if (fd < 0)
		return fd;
	if (fstat(fd, &stat))
		return -errno;
	if (stat.st_size > CONTAINER_BUNDLE_MAX)
		return -EFBIG;
	room = (size_t)stat.st_size;
	*text = malloc(room + 1);
	if (!*text)
		return -ENOMEM;
	while (length < room) {
		ssize_t got = read(fd, *text + length, room - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

/* 0: it said something. */
static int read_bundle(const struct container_names *names, enum container_bundle kind, const char *path,
		       struct container_info *info)
{
	__cleanup(freep) char *text = NULL;
	ssize_t length = read_whole(names, path, &text);

	return length < 0 ? (int)length : container_bundle_parse(kind, text, (size_t)length, info);
}

/* The container's own file in @folder. 0: it said something. */
static int read_place(const struct container_names *names, const struct place *place, const char *folder,
		      struct container_info *info)
{
	char path[PATH_MAX];
	int err, length = snprintf(path, sizeof(path), "%s/%s/%s", folder, info->id, place->file);

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	err = read_bundle(names, place->kind, path, info);
	if (!err && !info->runtime[0])
		strcpy(info->runtime, place->runtime);
	return err;
}

/* The same in each of the folder's folders. */
static int read_spaces(const struct container_names *names, const struct place *place, struct container_info *info)
{
	DIR *dir = open_folder(names, place->folder);
	struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return err;
	for (int i = 0; err && i < SPACES_MAX && (entry = readdir(dir)); i++) {
		char folder[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(folder, sizeof(folder), "%s/%s", place->folder, entry->d_name);
		err = read_place(names, place, folder, info);
	}
	closedir(dir);
	return err;
}

static void fill(char *to, const char *from)
{
	if (!to[0])
		strcpy(to, from);
}

/* What is still "" of @info is @more's. */
static void fill_all(struct container_info *info, const struct container_info *more)
{
	fill(info->id, more->id);
	fill(info->runtime, more->runtime);
	fill(info->name, more->name);
	fill(info->pod, more->pod);
	fill(info->namespace, more->namespace);
	fill(info->pod_uid, more->pod_uid);
	fill(info->image, more->image);
}

/*
 * What the runtimes' files say. The lists, which may be long, are read only for what has a file of podman's:
 * everybody may make up a path.
 */
static void read_places(const struct container_names *names, struct container_info *info)
{
	struct container_info found = { .id = "" };
	int err = -ENOENT;

	strcpy(found.id, info->id);
	strcpy(found.pod_uid, info->pod_uid);
	for (const struct place *place = places; place->folder && err; place++) {
		err = place->spaces ? read_spaces(names, place, &found)
				    : read_place(names, place, place->folder, &found);
	}
	if (!strcmp(found.runtime, "podman")) {
		for (size_t i = 0; lists[i] && !found.name[0]; i++)
			read_bundle(names, CONTAINER_BUNDLE_LIST, lists[i], &found);
	}
	fill_all(info, &found);
}

/* The pod's name, where the container's is not to be had. */
static void read_folders(const struct container_names *names, struct container_info *info)
{
	DIR *dir = open_folder(names, FOLDERS);
	struct dirent *entry;

	if (!dir)
		return;
	for (int i = 0; i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
		if (!container_folder_parse(entry->d_name, info))
			break;
	}
	closedir(dir);
}

/* What the path itself says. */
static void take_id(struct container_info *info, const struct container_id *id)
{
	fill(info->id, id->id);
	fill(info->runtime, id->runtime);
	fill(info->pod_uid, id->pod_uid);
}

static bool is_machine(const struct container_id *id)
{
	return strlen(id->id) != 64 || id->id[strspn(id->id, "0123456789abcdef")];
}

/* A known one, which was asked for by @id. */
static const struct container_info *touch(struct container_names *names, uint32_t at, const struct container_id *id)
{
	struct known *known = &names->known[at];

	leave_order(names, at);
	make_newest(names, at);
	if (!known->read) { /* links tell neither image nor runtime */
		known->read = true;
		take_id(&known->info, id);
		read_places(names, &known->info);
	}
	return &known->info;
}

/* The slot for an id. Emptied if it was another's. */
static struct unknown *slot_of(struct container_names *names, const struct container_id *id)
{
	struct unknown *unknown = &names->unknown[hash_of(id->id) % UNKNOWN_MAX];

	if (strcmp(unknown->info.id, id->id) != 0)
		*unknown = (struct unknown){ 0 };
	return unknown;
}

/* One whose name is not known: look for it, unless that was in vain lately. */
static const struct container_info *look(struct container_names *names, const struct container_id *id, uint64_t now_ns)
{
	struct unknown *unknown = slot_of(names, id);
	uint32_t at = 0;

	if (now_ns < unknown->retry_ns)
		return &unknown->info;
	take_id(&unknown->info, id);
	if (now_ns >= names->scan_ns) {
		names->scan_ns = now_ns + SCAN_NS;
		scan(names, id->id);
		at = find_known(names, id->id);
	}
	if (!at) {
		read_places(names, &unknown->info);
		if (unknown->info.name[0]) {
			at = remember(names, &unknown->info);
			names->known[at].read = true;
		}
	}
	if (at) {
		*unknown = (struct unknown){ 0 };
		return touch(names, at, id);
	}
	if (!unknown->info.pod[0])
		read_folders(names, &unknown->info);
	unknown->retry_ns = now_ns + (RETRY_NS << unknown->tries);
	if (unknown->tries < DOUBLED_MAX)
		unknown->tries++;
	return &unknown->info;
}

void container_names_retry(struct container_names *names)
{
	names->scan_ns = 0;
	for (size_t i = 0; i < UNKNOWN_MAX; i++)
		names->unknown[i].retry_ns = 0;
}

/* A machine's name is its id, so there is nothing to remember. */
static const struct container_info *machine(struct container_names *names, const struct container_id *id)
{
	struct unknown *unknown = slot_of(names, id);

	take_id(&unknown->info, id);
	fill(unknown->info.name, id->id);
	return &unknown->info;
}

const struct container_info *container_names_find(struct container_names *names, const char *path, uint64_t now_ns)
{
	struct container_id id;
	uint32_t at;

	if (container_id_parse(path, &id))
		return NULL;
	if (is_machine(&id))
		return machine(names, &id);
	at = find_known(names, id.id);
	return at ? touch(names, at, &id) : look(names, &id, now_ns);
}
