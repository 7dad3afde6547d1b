/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes are meant: what was given narrows, what was not does not matter. */
#ifndef HB_MODEL_SELECTION_H
#define HB_MODEL_SELECTION_H

#include <stdbool.h>

#include "container.h"

struct selection {
	const char *comm;      /* the process's name, whole */
	const char *cgroup;    /* the memory cgroup's path: it or one below it */
	const char *container; /* an id, or how one begins; or a container's name, whole */
	const char *pod;       /* "NAMESPACE/NAME" */
	bool all;              /* every process */
};

/* Whether anything was given. */
bool selection_given(const struct selection *selection);

/* Whether @text is what --pod takes. */
bool selection_is_pod(const char *text);

/* Whether a process is meant. @cgroup and @container may be NULL: it is not known, or there is none. */
bool selection_matches(const struct selection *selection, const char *comm, const char *cgroup,
		       const struct container_info *container);

#endif
