/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for containers, from the files that a node's runtimes leave: no daemon is asked, no network. A name
 * once known stays known after the container and its files are gone, so look early: at the first sight of a
 * process, long before it is killed.
 *
 * Everything is read beneath one root, "/" or where the node's "/" is mounted; links lead nowhere else. Only
 * regular files of at most 1 MiB are opened, and nothing waits.
 */
#ifndef HB_REMOTE_CONTAINER_NAMES_H
#define HB_REMOTE_CONTAINER_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "../model/container.h"

#define CONTAINER_NAMES_MAX 4096

struct container_names;

/*
 * At most @max containers are remembered, the least recently asked for goes first; 0: CONTAINER_NAMES_MAX.
 * One takes 1 KiB, from when it is known. NULL, and errno says why: memory is short, or there is no @root.
 */
struct container_names *container_names_new(const char *root, size_t max);
void container_names_free(struct container_names *names);

/*
 * The container of the cgroup @path, borrowed until the next call with @names; NULL: it is no container's.
 * What is not known is ""; the id always is, and of what the path itself says nothing is missing. That there
 * is no name is believed for a few seconds, then longer. @now_ns: a clock that only goes forward.
 *
 * In this order: the kubelet's links in /var/log/containers; the files of Docker, CRI-O, podman and
 * containerd, where root's have them; the pod's folder in /var/log/pods. What was found once is found again
 * without a system call and without memory.
 */
const struct container_info *container_names_find(struct container_names *names, const char *path, uint64_t now_ns);

/* What was looked for in vain is looked for again when it is next asked for: a kill cannot wait for a name. */
void container_names_retry(struct container_names *names);

/* Take in every link in /var/log/containers that is not known, as long as there is room: nothing goes for it. */
void container_names_scan(struct container_names *names);

#endif
