// SPDX-License-Identifier: Apache-2.0
#include "past_kills.h"

#define TEN_MINUTES_NS 600000000000u
#define TOGETHER_NS    1000000000u /* between two victims of a group: the kernel kills them in one loop */

static bool is_together(const struct past_kill *before, const struct past_kill *kill)
{
	return kill->as_group && before->as_group && before->control == kill->control &&
	       before->points == kill->points && before->by_tid == kill->by_tid &&
	       kill->time_ns - before->time_ns < TOGETHER_NS;
}

static void add_to_group(struct past_told *told, const struct past_kill *before)
{
	told->group = !told->group || before->sequence < told->group ? before->sequence : told->group;
	told->group_count++;
}

static void add_incident(struct past_told *told, const struct past_kill *before)
{
	if (!told->count || before->lived_s < told->lived_s[0])
		told->lived_s[0] = before->lived_s;
	if (before->lived_s > told->lived_s[1])
		told->lived_s[1] = before->lived_s;
	told->count++;
}

void past_kills_add(struct past_kills *past, const struct past_kill *kill, struct past_told *told)
{
	struct past_kill *row = &past->rows[past->added % PAST_KILLS_MAX];
	bool again = false;

	*told = (struct past_told){ .group_count = 1 };
	for (size_t i = 0; i < PAST_KILLS_MAX && i < past->added; i++) {
		const struct past_kill *before = &past->rows[i];
		const bool counts = kill->cgroup && before->cgroup == kill->cgroup && !before->dying;

		if (is_together(before, kill)) {
			add_to_group(told, before);
			again |= counts;
		} else if (counts && !before->again && kill->time_ns - before->time_ns < TEN_MINUTES_NS) {
			add_incident(told, before);
		}
	}
	*row = *kill;
	row->again = again;
	past->added++;
}
