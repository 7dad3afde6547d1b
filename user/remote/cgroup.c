// SPDX-License-Identifier: Apache-2.0
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "procfs.h"

#define NUMBER_BYTES 32
#define STAT_BYTES   (16u << 10) /* of memory.stat: some sixty lines */
#define NO_LIMIT_V1  (1ULL << 62) /* PAGE_COUNTER_MAX pages, include/linux/page_counter.h */
#define NEAR_PART    20
#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS, include/linux/exportfs.h */
#define DELETED      " (deleted)" /* d_path(), fs/d_path.c */

/* What the versions call the same things. */
static const struct names {
	const char *type; /* of file system */
	unsigned long magic;
	const char *usage, *limit;
	const char *swap_usage, *swap_limit; /* of both together, or NULL */
	const char *inactive, *dirty, *writeback; /* of memory.stat, in bytes, with what is beneath */
} names[] = {
	[CGROUP_V1] = { "cgroup", CGROUP_SUPER_MAGIC, "memory.usage_in_bytes", "memory.limit_in_bytes",
			"memory.memsw.usage_in_bytes", "memory.memsw.limit_in_bytes",
			"total_inactive_file", "total_dirty", "total_writeback" },
	[CGROUP_V2] = { "cgroup2", CGROUP2_SUPER_MAGIC, "memory.current", "memory.max", NULL, NULL,
			"inactive_file", "file_dirty", "file_writeback" },
};

/* Whether "memory" is among the comma-separated @words. */
static bool has_memory(const char *words, size_t length)
{
	while (length) {
		const char *comma = memchr(words, ',', length);
		size_t word = comma ? (size_t)(comma - words) : length;

		if (word == 6 && !memcmp(words, "memory", 6))
			return true;
		word += comma ? 1 : 0;
		words += word;
		length -= word;
	}
	return false;
}

char *cgroup_memory_path(char *text, enum cgroup_kind *kind)
{
	char *found = NULL, *line, *rest;

	/* "4:memory,hugetlb:/a/b" or "0::/a/b" */
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *words = strchr(line, ':');
		char *path = words ? strchr(words + 1, ':') : NULL;

		if (!path)
			continue;
		words++;
		if (has_memory(words, (size_t)(path - words))) {
			*kind = CGROUP_V1;
			return path + 1;
		}
		if (!strncmp(line, "0::", 3)) {
			*kind = CGROUP_V2;
			found = path + 1;
		}
	}
	return found;
}

/* The kernel writes blanks, newlines and backslashes as \ooo: mangle_path(). In place. */
static void unescape(char *text)
{
	const char *at = text;

	while (*at) {
		if (at[0] == '\\' && strspn(at + 1, "01234567") >= 3 && at[1] < '4') {
			*text++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*text++ = *at++;
		}
	}
	*text = '\0';
}

/* What a line of mountinfo says: id parent device root point options [tags...] - type source options */
struct mount_line {
	char *root, *point;
	enum cgroup_kind kind;
};

static bool parse_mount(char *line, struct mount_line *mount)
{
	char *tail = strstr(line, " - "), *options;

	if (!tail)
		return false;
	*tail = '\0';
	tail += 3;
	for (int i = 0; i < 3; i++)
		strsep(&line, " ");
	mount->root = strsep(&line, " ");
	mount->point = strsep(&line, " ");
	if (!mount->root || !mount->point)
		return false;
	unescape(mount->root);
	unescape(mount->point);
	for (int kind = 0; kind < CGROUP_KINDS; kind++) {
		size_t length = strlen(names[kind].type);

		if (strncmp(tail, names[kind].type, length) || tail[length] != ' ')
			continue;
		mount->kind = kind;
		options = strrchr(tail, ' ') + 1;
		options[strcspn(options, "\n")] = '\0';
		return kind == CGROUP_V2 || has_memory(options, strlen(options));
	}
	return false;
}

static bool is_whole(const struct cgroup_mount *mount)
{
	return mount->dir >= 0 && !strcmp(mount->root, "/");
}

static void take_mount(struct cgroup_mounts *mounts, const struct mount_line *line, bool genuine)
{
	struct cgroup_mount *mount = &mounts->of[line->kind];
	struct statfs stat;
	char *root;
	int dir;

	if (mount->dir >= 0 && (is_whole(mount) || strcmp(line->root, "/")))
		return; /* no better than what is there */
	dir = open(line->point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	root = strdup(line->root);
	if (!root || (genuine && (fstatfs(dir, &stat) || (unsigned long)stat.f_type != names[line->kind].magic))) {
		free(root);
		close(dir);
		return;
	}
	fd_closep(&mount->dir);
	free(mount->root);
	mount->dir = dir;
	mount->root = root;
}

int cgroup_mounts_find(struct cgroup_mounts *mounts, const char *mountinfo, bool genuine)
{
	__cleanup(file_closep) FILE *file = fopen(mountinfo, "re");
	__cleanup(freep) char *line = NULL;
	struct mount_line mount;
	size_t cap = 0;

	*mounts = (struct cgroup_mounts)CGROUP_MOUNTS_INIT;
	if (!file)
		return -errno;
	while (getline(&line, &cap, file) > 0) {
		if (parse_mount(line, &mount))
			take_mount(mounts, &mount, genuine);
	}
	return 0;
}

void cgroup_mounts_release(struct cgroup_mounts *mounts)
{
	for (int kind = 0; kind < CGROUP_KINDS; kind++) {
		fd_closep(&mounts->of[kind].dir);
		free(mounts->of[kind].root);
	}
	*mounts = (struct cgroup_mounts)CGROUP_MOUNTS_INIT;
}

/* @path as the mount has it, without a slash before; NULL if it is not there, or would lead upwards. */
static const char *beneath(const struct cgroup_mount *mount, const char *path)
{
	if (mount->dir < 0 || path[0] != '/')
		return NULL;
	if (!is_whole(mount)) {
		size_t length = strlen(mount->root);

		if (strncmp(path, mount->root, length) || (path[length] && path[length] != '/'))
			return NULL;
		path += length;
	}
	for (const char *at = strstr(path, "/.."); at; at = strstr(at + 1, "/..")) {
		if (!at[3] || at[3] == '/')
			return NULL; /* outside of the cgroup namespace that we are in */
	}
	return path + strspn(path, "/");
}

/* The directory of the first @length bytes of @path: an O_PATH descriptor, or negative errno. */
static int open_level(const struct cgroup_mount *mount, const char *path, size_t length)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	char level[PATH_MAX] = ".";
	int fd, tries = 16; /* EAGAIN: somebody renames just now */

	if (length >= sizeof(level))
		return -ENAMETOOLONG;
	if (length) {
		memcpy(level, path, length);
		level[length] = '\0';
	}
	do {
		fd = (int)syscall(SYS_openat2, mount->dir, level, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN && --tries);
	return fd < 0 ? -errno : fd;
}

int cgroup_open(const struct cgroup_mount *mount, const char *path)
{
	const char *inside = beneath(mount, path);

	return inside ? open_level(mount, inside, strlen(inside)) : -ENOENT;
}

/* The directory @id of @top's file system, an O_PATH descriptor, or negative errno. */
static int open_number(int top, uint64_t id)
{
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} handle = { .head = { .handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS } };
	int fd;

	memcpy(handle.room + sizeof(handle.head), &id, sizeof(id));
	fd = open_by_handle_at(top, &handle.head, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Where the directory @fd is, as we see it, into @path. */
static int place_of(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX);
	if (length < 0)
		return -errno;
	if (length == PATH_MAX)
		return -ENAMETOOLONG;
	path[length] = '\0';
	return 0;
}

static bool is_deleted(const char *place)
{
	const size_t length = strlen(place), end = strlen(DELETED);

	return length >= end && !strcmp(place + length - end, DELETED);
}

int cgroup_path(const struct cgroup_mount *mount, uint64_t id, char *path, size_t size)
{
	__cleanup(fd_closep) int top = mount->dir < 0 ? -1 : openat(mount->dir, ".", O_RDONLY | O_CLOEXEC);
	__cleanup(fd_closep) int dir = top < 0 ? -1 : open_number(top, id);
	char above[PATH_MAX], place[PATH_MAX];
	const char *root = is_whole(mount) ? "" : mount->root;
	size_t length;
	int err;

	if (dir < 0)
		return dir == -ESTALE || top < 0 ? -ENOENT : dir;
	err = place_of(top, above);
	if (!err)
		err = place_of(dir, place);
	if (err)
		return err;
	length = strlen(above);
	if (strncmp(place, above, length) || (place[length] && place[length] != '/') ||
	    is_deleted(place))
		return -ENOENT;
	if (strlen(root) + strlen(place + length) + 2 > size)
		return -ENAMETOOLONG;
	snprintf(path, size, "%s%s", root, *root || place[length] ? place + length : "/");
	return 0;
}

/* All of a file, at most @size - 1 bytes, and a NUL. Whether there was any. */
static bool read_text(int level, const char *name, char *text, size_t size)
{
	__cleanup(fd_closep) int fd = openat(level, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && proc_read_text(fd, text, size) > 0;
}

/* A decimal number and no more. */
static bool take_number(const char *text, uint64_t *value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && (!*end || *end == '\n');
}

static bool read_number(int level, const char *name, uint64_t *value)
{
	char text[NUMBER_BYTES];

	return read_text(level, name, text, sizeof(text)) && take_number(text, value);
}

/* "max", and what no memory reaches, is none. */
static uint64_t read_limit(int level, const char *name)
{
	uint64_t value;

	return name && read_number(level, name, &value) && value < NO_LIMIT_V1 ? value : CGROUP_NO_LIMIT;
}

/* The end of the component behind @length bytes of @path. */
static size_t next_level(const char *path, size_t length)
{
	length += strspn(path + length, "/");
	return length + strcspn(path + length, "/");
}

size_t cgroup_levels(const struct cgroup_mount *mount, enum cgroup_kind kind, const char *path,
		     struct cgroup_level levels[CGROUP_LEVELS_MAX])
{
	const char *inside = beneath(mount, path);
	size_t count = 0, length = 0;

	for (int depth = 0; inside && depth < CGROUP_LEVELS_MAX; depth++) {
		struct cgroup_level found = { .length = length };
		__cleanup(fd_closep) int level = open_level(mount, inside, length);

		if (level >= 0) {
			found.limit_bytes = read_limit(level, names[kind].limit);
			found.swap_limit_bytes = read_limit(level, names[kind].swap_limit);
			if (found.limit_bytes != CGROUP_NO_LIMIT || found.swap_limit_bytes != CGROUP_NO_LIMIT)
				levels[count++] = found;
		}
		if (!inside[length])
			break;
		length = next_level(inside, length);
	}
	return count;
}

bool cgroup_near(uint64_t used, uint64_t limit)
{
	return used >= limit - limit / NEAR_PART;
}

/* The number of the line "@name number" of @text, or 0. */
static uint64_t stat_value(const char *text, const char *name)
{
	size_t length = strlen(name);
	uint64_t value;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, length) && line[length] == ' ')
			return take_number(line + length + 1, &value) ? value : 0;
	}
	return 0;
}

/* Bytes that the kernel takes back without asking a disk. */
static uint64_t reclaimable(int level, const struct names *name)
{
	char text[STAT_BYTES];
	uint64_t clean, busy;

	if (!read_text(level, "memory.stat", text, sizeof(text)))
		return 0;
	clean = stat_value(text, name->inactive);
	busy = stat_value(text, name->dirty) + stat_value(text, name->writeback);
	return clean > busy ? clean - busy : 0;
}

bool cgroup_is_near(const struct cgroup_mount *mount, enum cgroup_kind kind, const char *path,
		    const struct cgroup_level *level)
{
	const struct names *name = &names[kind];
	const char *inside = beneath(mount, path);
	uint64_t usage = 0, swap_usage = 0, given;
	__cleanup(fd_closep) int dir = inside ? open_level(mount, inside, level->length) : -1;

	if (dir < 0)
		return false;
	read_number(dir, name->usage, &usage);
	if (name->swap_usage)
		read_number(dir, name->swap_usage, &swap_usage);
	if (!cgroup_near(usage, level->limit_bytes) && !cgroup_near(swap_usage, level->swap_limit_bytes))
		return false; /* nearly always */
	given = reclaimable(dir, name);
	return cgroup_near(usage > given ? usage - given : 0, level->limit_bytes) ||
	       cgroup_near(swap_usage > given ? swap_usage - given : 0, level->swap_limit_bytes);
}
