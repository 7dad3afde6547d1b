// SPDX-License-Identifier: Apache-2.0
#include "stuck.h"

void stuck_begin(struct stuck *stuck, uint64_t now_ns)
{
	stuck->now_ns = now_ns;
	for (size_t i = 0; i < stuck->count; i++)
		stuck->rows[i].processes = 0;
}

void stuck_add(struct stuck *stuck, uint64_t id, uint32_t pid)
{
	size_t at = 0;

	while (at < stuck->count && stuck->rows[at].id != id)
		at++;
	if (at == STUCK_MAX)
		return;
	if (at == stuck->count)
		stuck->rows[stuck->count++] = (struct stuck_cgroup){ .id = id, .since_ns = stuck->now_ns };
	stuck->rows[at].pid = pid;
	stuck->rows[at].processes++;
}

void stuck_end(struct stuck *stuck)
{
	size_t kept = 0;

	for (size_t i = 0; i < stuck->count; i++) {
		if (stuck->rows[i].processes)
			stuck->rows[kept++] = stuck->rows[i];
	}
	stuck->count = kept;
}

bool stuck_next(struct stuck *stuck, uint64_t least_ns, struct stuck_cgroup *out)
{
	for (size_t i = 0; i < stuck->count; i++) {
		struct stuck_cgroup *row = &stuck->rows[i];

		if (row->told || stuck->now_ns - row->since_ns < least_ns)
			continue;
		row->told = true;
		*out = *row;
		return true;
	}
	return false;
}
