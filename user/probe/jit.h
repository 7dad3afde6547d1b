/* SPDX-License-Identifier: Apache-2.0 */
/* Names of one process's JIT code: the files in which it tells them, and what was read of them. */
#ifndef HB_PROBE_JIT_H
#define HB_PROBE_JIT_H

#include <stdint.h>
#include <sys/types.h>

#include "../remote/procfs.h"

struct jit;

/* NULL if memory is short; every function here takes NULL. */
struct jit *jit_new(void);
void jit_free(struct jit *jit);

/*
 * @pid has mapped executable memory in no file: look for its perf map, unless it is open already. It
 * stays open, for the process may end before its names are wanted.
 */
void jit_look(struct jit *jit, pid_t pid);

/* @pid maps a jitdump. 0, also if it cannot be used; -EBUSY: not to be opened now, ask again later. */
int jit_dump(struct jit *jit, pid_t pid, const struct proc_mapped *mapped);

/*
 * The name of the code around @address, borrowed until the next call; NULL: none. What is new in the
 * files is read at most once a second.
 */
const char *jit_find(struct jit *jit, pid_t pid, uint64_t address);

#endif
