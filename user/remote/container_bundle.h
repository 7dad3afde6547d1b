/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime's own file says of a container: JSON, in which images and pods may have put what they like. */
#ifndef HB_REMOTE_CONTAINER_BUNDLE_H
#define HB_REMOTE_CONTAINER_BUNDLE_H

#include <stddef.h>

#include "../model/container.h"

#define CONTAINER_BUNDLE_MAX (1u << 20) /* bytes; more are not read */

enum container_bundle {
	CONTAINER_BUNDLE_OCI,    /* config.json: the runtime's annotations */
	CONTAINER_BUNDLE_DOCKER, /* config.v2.json: Name, Config.Image, Config.Labels */
	CONTAINER_BUNDLE_LIST,   /* podman's containers.json, which has all of them: id, names, metadata */
};

/*
 * Fill in what is still "" of @info and what @text, of @bytes bytes, says of info->id. What it says of the pod
 * counts only if it names info->pod_uid, the one of the cgroup's path; where the path had none, the
 * annotations count all the same and Docker's labels, which an image can bring along, do not.
 *
 * 0; -ENOENT: it says nothing, or is another container's; -EINVAL: no JSON, or nested too deeply; -E2BIG: too
 * long, or too many values; -ENOMEM. @info is changed if 0 is returned.
 */
int container_bundle_parse(enum container_bundle kind, const char *text, size_t bytes, struct container_info *info);

#endif
