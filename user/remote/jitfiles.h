/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files in which a process tells the names of code that it makes. Anyone may put a file where they
 * are looked for, so only what belongs to the process's user or to root is opened, no link is followed to
 * them, and only a regular file, never blocking.
 */
#ifndef HB_REMOTE_JITFILES_H
#define HB_REMOTE_JITFILES_H

#include <stdbool.h>
#include <stdint.h>

#include "procfs.h"

/*
 * The perf map: /tmp/perf-PID.map inside the process's root, PID as the process itself sees it. The
 * descriptor, or -ENOENT, -ESRCH, -ELOOP (a symbolic link), -ENOTSUP (not a regular file), -EPERM (of
 * another user), -ESTALE (last written before this process began: of one that had its pid), or what else
 * opening gave.
 */
int jitfiles_open_map(const struct proc *proc);

/*
 * The jitdump that the process maps, executable: writers map its first page so that it is found, wherever it
 * lies. The descriptor or negative errno as above, or as proc_open_mapped() (-EBUSY: try again later).
 */
int jitfiles_open_dump(const struct proc *proc, const struct proc_mapped *mapped);

/* Whether a mapping's path is called as jitdumps are: jit-PID.dump. */
bool jitfiles_is_dump(const char *path);

#endif
