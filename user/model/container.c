// SPDX-License-Identifier: Apache-2.0
#include "container.h"

#include <stdio.h>
#include <string.h>

char *container_title(const struct container_info *container, char out[CONTAINER_TITLE_BYTES])
{
	const char *name = container->name, *pod = container->pod;

	if (*name || *pod)
		snprintf(out, CONTAINER_TITLE_BYTES, "%s%s%s", pod, *name && *pod ? "/" : "", name);
	else if (strlen(container->id) == 64)
		snprintf(out, CONTAINER_TITLE_BYTES, "%.12s", container->id); /* as docker shows it */
	else
		snprintf(out, CONTAINER_TITLE_BYTES, "%s", container->id);
	return out;
}
