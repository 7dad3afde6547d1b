/* SPDX-License-Identifier: Apache-2.0 */
/* Where the processes of one kill were. Of none of them anything is read: they may be dying. */
#ifndef HB_CMD_PLACES_H
#define HB_CMD_PLACES_H

#include <stddef.h>
#include <stdint.h>

#include "../probe/target.h"
#include "../remote/cgroup.h"

/* A memory cgroup and its container; NULL each: not known, or none. */
struct place {
	uint64_t id; /* of the cgroup: its directory's inode number */
	char *cgroup;
	struct container_info *container;
};

struct places {
	struct target *target;
	const struct cgroup_mount *mount; /* of the hierarchy that the memory controller is in */
	struct place *rows; /* each cgroup once */
	size_t count, max;
};

/* For at most @max cgroups. 0 or -ENOMEM, and then none is ever found; places_release() in either case. */
int places_init(struct places *places, struct target *target, const struct cgroup_mount *mount, size_t max);
void places_release(struct places *places);

/*
 * The place of a process that is in the cgroup @id. @path: of that, if it is known. Else the kernel is asked, and
 * where the cgroup has gone it is the last that was seen of the process image @gen (0: none). NULL: @id is 0, or
 * there is no room. Borrowed from @places.
 */
const struct place *places_find(struct places *places, uint64_t id, uint32_t gen, const char *path);

#endif
