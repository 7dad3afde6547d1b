/* SPDX-License-Identifier: Apache-2.0 */
/* Which allocators and runtimes a process uses, without tracing it. */
#ifndef HB_PROBE_SURVEY_H
#define HB_PROBE_SURVEY_H

#include <stdbool.h>
#include <sys/types.h>

#include "../model/selection.h"
#include "../remote/container_names.h"
#include "allocators.h"
#include "modules.h"

/*
 * Call @each for every file that @pid maps executable and that has an allocator, a runtime or a
 * note. @path is borrowed for the call. 0, -ESRCH, -EACCES or what reading gave.
 */
int survey_process(struct modules *modules, pid_t pid,
		   void (*each)(void *ctx, const char *path, const struct module *module), void *ctx);

/* Whether the process @pid is meant by @selection. @names may be NULL. Costs two small readings of /proc. */
bool survey_means(struct container_names *names, pid_t pid, const struct selection *selection);

#endif
