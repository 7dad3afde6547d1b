/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was killed before: which kills are one incident, a group that the kernel killed as a whole, and how many
 * incidents the same cgroup had within ten minutes. The last PAST_KILLS_MAX are kept; nothing is allocated.
 */
#ifndef HB_MODEL_PAST_KILLS_H
#define HB_MODEL_PAST_KILLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAST_KILLS_MAX 16384

struct past_kill {
	uint64_t time_ns;  /* CLOCK_MONOTONIC */
	uint64_t sequence; /* grows from kill to kill */
	uint64_t cgroup;   /* id of the victim's own; 0: not known */
	/*
	 * Of the search that found it: the address of the kernel's oom_control, the badness of who was chosen, and the
	 * thread that searched. Victims of one group have the same of each; the address alone, on a stack that threads
	 * take over from one another, may be another search's within a second.
	 */
	uint64_t control, points;
	uint32_t by_tid;
	bool as_group;     /* control is known, and a cgroup of the victim is killed as a whole */
	bool dying;        /* nobody chose it: no incident of its cgroup */
	double lived_s;
	bool again;        /* past_kills_add() sets it: its cgroup's incident is counted by an earlier victim */
};

/* What was before one kill. */
struct past_told {
	uint64_t group;           /* sequence of its incident's first victim; 0: it is that itself */
	unsigned int group_count; /* victims of its incident so far, itself included */
	unsigned int count;       /* incidents of its cgroup in the ten minutes before its own: a group is one */
	double lived_s[2];        /* shortest and longest life of their first victims in that cgroup; 0: none */
};

/* All zero is one that has seen nothing. */
struct past_kills {
	struct past_kill rows[PAST_KILLS_MAX];
	size_t added;
};

/* Say what was before @kill, and remember it. Kills come in the order of their time. */
void past_kills_add(struct past_kills *past, const struct past_kill *kill, struct past_told *told);

#endif
