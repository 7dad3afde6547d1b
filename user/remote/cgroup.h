/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory cgroups and their limits, of both versions, read from files that hold no process's address space.
 * The names are chosen by others: a path is opened beneath its mount, and no link is followed.
 */
#ifndef HB_REMOTE_CGROUP_H
#define HB_REMOTE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cgroup_kind { CGROUP_V1, CGROUP_V2, CGROUP_KINDS };

/* Where the memory controller's hierarchy can be read. */
struct cgroup_mount {
	int dir;    /* -1: nowhere */
	char *root; /* what of the hierarchy is mounted there; "/": all of it */
};

struct cgroup_mounts {
	struct cgroup_mount of[CGROUP_KINDS];
};

#define CGROUP_MOUNTS_INIT { { { .dir = -1 }, { .dir = -1 } } }

/*
 * Find the mounts in the file @mountinfo (as /proc/PID/mountinfo), whole hierarchies first. @genuine: only
 * what is a cgroup file system indeed, for something else may be mounted on top. What is not found stays
 * nowhere. 0 or negative errno; cgroup_mounts_release() in either case.
 */
int cgroup_mounts_find(struct cgroup_mounts *mounts, const char *mountinfo, bool genuine);
void cgroup_mounts_release(struct cgroup_mounts *mounts);

/*
 * The memory cgroup's path in @text, the lines of /proc/PID/cgroup: that of the "memory" line (v1), else of
 * the "0::" line. Borrowed from @text, which is cut up; NULL if there is none. The kernel lets no newline
 * into a cgroup's name.
 */
char *cgroup_memory_path(char *text, enum cgroup_kind *kind);

/*
 * The directory of the cgroup @path beneath @mount, an O_PATH descriptor; without memory being allocated. -ENOENT:
 * gone, or not beneath it; or another negative errno.
 */
int cgroup_open(const struct cgroup_mount *mount, const char *path);

/*
 * The path of the cgroup @id, its directory's inode number, of @mount's hierarchy into @path. 0, -ENOENT (gone, or not
 * beneath the mount), or another negative errno: -EPERM without CAP_DAC_READ_SEARCH.
 */
int cgroup_path(const struct cgroup_mount *mount, uint64_t id, char *path, size_t size);

#define CGROUP_LEVELS_MAX 64 /* from the mount down; deeper ones are not looked at */
#define CGROUP_NO_LIMIT   UINT64_MAX

/* A cgroup with a limit: the first @length bytes of a path lead to it. */
struct cgroup_level {
	size_t length;
	uint64_t limit_bytes;      /* of memory */
	uint64_t swap_limit_bytes; /* of memory and swap together, which v1 alone has */
};

/*
 * The levels of @path, from the mount down, that have a limit now. Those that are gone, not mounted or
 * without the controller have none. Returns how many of @levels were filled.
 */
size_t cgroup_levels(const struct cgroup_mount *mount, enum cgroup_kind kind, const char *path,
		     struct cgroup_level levels[CGROUP_LEVELS_MAX]);

/*
 * Whether @level of @path is within a twentieth of its limit. What the kernel takes back first does not
 * count, clean files that nobody has used lately: many cgroups are full of them all the time, and none is
 * killed for them.
 */
bool cgroup_is_near(const struct cgroup_mount *mount, enum cgroup_kind kind, const char *path,
		    const struct cgroup_level *level);

/* Whether @used of @limit bytes is within a twentieth of it. */
bool cgroup_near(uint64_t used, uint64_t limit);

#endif
