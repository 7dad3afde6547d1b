/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups that wait for room at their limit: where the OOM killer is disabled that lasts, for nobody is killed.
 * Told of once each time, when it does. Fed with all processes, round after round; nothing is allocated.
 */
#ifndef HB_MODEL_STUCK_H
#define HB_MODEL_STUCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STUCK_MAX 64 /* cgroups at once; more are left out */

struct stuck_cgroup {
	uint64_t id;
	uint64_t since_ns;      /* CLOCK_MONOTONIC of the first round */
	uint32_t pid;           /* of one of its processes */
	unsigned int processes; /* of it, and of those below it, in the last round */
	bool told;
};

/* All zero is one that has seen nothing. */
struct stuck {
	struct stuck_cgroup rows[STUCK_MAX];
	size_t count;
	uint64_t now_ns;
};

/* A round: its beginning, each process of such a cgroup, its end. Cgroups without a process in it are over. */
void stuck_begin(struct stuck *stuck, uint64_t now_ns);
void stuck_add(struct stuck *stuck, uint64_t id, uint32_t pid);
void stuck_end(struct stuck *stuck);

/* One that has been so for @least_ns and was not told of, into @out; it counts as told from now on. */
bool stuck_next(struct stuck *stuck, uint64_t least_ns, struct stuck_cgroup *out);

#endif
