/* SPDX-License-Identifier: Apache-2.0 */
/* What the names of cgroups and of log files say about containers. Pure: nothing is read, nothing allocated. */
#ifndef HB_REMOTE_CONTAINER_H
#define HB_REMOTE_CONTAINER_H

#include "../model/container.h"

/* What a cgroup's path says. */
struct container_id {
	char id[65];         /* as in struct container_info */
	const char *runtime; /* a word of ours, "" if the path does not tell */
	char pod_uid[40];    /* with dashes; "" if the path has no pod */
};

/*
 * The container that the cgroup @path belongs to. Of either version, absolute or as another cgroup namespace
 * shows it ("/../.."), with or without the kernel's " (deleted)".
 *
 * The id is the last run of exactly 64 digits and letters a to f behind one of "/-:" and before the end, '/'
 * or '.': in a node that is a container itself the inner one is meant. The runtime is the word right before
 * it, and the pod the last "pod<uid>" before it. Without such an id, the last component that names an LXC
 * container or one of systemd's machines: its name is the id.
 *
 * 0, or -ENOENT: no container's, which the cgroup of one's monitor (conmon, nspawn's supervisor) is not
 * either, nor that of a virtual machine. @id is then left alone.
 */
int container_id_parse(const char *path, struct container_id *id);

/*
 * The kubelet's link in /var/log/containers, "<pod>_<namespace>_<container>-<id>.log": neither of the names
 * may hold a '_'. Fills in id, pod, namespace and name, and clears the rest. 0, or -ENOENT: @link is no such
 * name, or one that the kubelet had to cut (255 bytes), and @info is left alone.
 */
int container_link_parse(const char *link, struct container_info *info);

/*
 * The kubelet's folder in /var/log/pods, "<namespace>_<pod>_<uid>", if it is that of info->pod_uid. Fills in
 * pod and namespace. 0, or -ENOENT: @folder is another's, or no such name, and @info is left alone.
 */
int container_folder_parse(const char *folder, struct container_info *info);

#endif
