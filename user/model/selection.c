// SPDX-License-Identifier: Apache-2.0
#include "selection.h"

#include <string.h>

bool selection_given(const struct selection *selection)
{
	return selection->comm || selection->cgroup || selection->container || selection->pod || selection->all;
}

bool selection_is_pod(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash && slash != text && slash[1] && !strchr(slash + 1, '/');
}

/* "/a/b" is below "/a", "/ab" is not; a slash at the end of @top does not matter. */
static bool is_below(const char *path, const char *top)
{
	size_t length = strlen(top);

	while (length && top[length - 1] == '/')
		length--;
	return !strncmp(path, top, length) && (!path[length] || path[length] == '/');
}

static bool is_pod(const struct container_info *container, const char *pod)
{
	const char *slash = strchr(pod, '/');
	size_t length = slash ? (size_t)(slash - pod) : 0;

	return slash && strlen(container->namespace) == length && !memcmp(container->namespace, pod, length) &&
	       !strcmp(container->pod, slash + 1);
}

static bool is_container(const struct container_info *container, const char *wanted)
{
	return *wanted && (!strncmp(container->id, wanted, strlen(wanted)) || !strcmp(container->name, wanted));
}

bool selection_matches(const struct selection *selection, const char *comm, const char *cgroup,
		       const struct container_info *container)
{
	if (selection->comm && strcmp(comm, selection->comm))
		return false;
	if (selection->cgroup && !(cgroup && is_below(cgroup, selection->cgroup)))
		return false;
	if (selection->container && !(container && is_container(container, selection->container)))
		return false;
	return !selection->pod || (container && is_pod(container, selection->pod));
}
