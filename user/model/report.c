// SPDX-License-Identifier: Apache-2.0
#include "report.h"

static const char *const source_names[HB_SRC_END] = {
	[HB_SRC_MALLOC] = "malloc",
	[HB_SRC_DIRECT] = "direct",
};

static const char *const sort_names[] = {
	[SORT_OUTSTANDING] = "outstanding", [SORT_GROWTH] = "growth", [SORT_COUNT] = "count",
	[SORT_ALLOCATED] = "allocated",     [SORT_AGE] = "age",       [SORT_PEAK] = "peak",
};

static const char *const group_names[] = {
	[GROUP_SITE] = "site",     [GROUP_CALLSITE] = "callsite", [GROUP_MODULE] = "module",
	[GROUP_THREAD] = "thread", [GROUP_PROCESS] = "process",   [GROUP_CONTAINER] = "container",
};

const struct process_info *report_process(const struct report *report, uint32_t gen)
{
	size_t i;

	for (i = 0; gen && i < report->processes_count; i++) {
		if (report->processes[i].gen == gen)
			return &report->processes[i];
	}
	return NULL;
}

const char *report_source_name(uint32_t source)
{
	return source < HB_SRC_END ? source_names[source] : NULL;
}

const char *report_sort_name(enum board_sort sort)
{
	return sort_names[sort];
}

const char *report_group_name(enum board_group group)
{
	return group_names[group];
}

bool report_sees(const struct process_info *process)
{
	return !process->blind || process->allocated_count;
}

bool report_approximate(const struct report *report)
{
	const struct losses *losses = &report->losses;

	return losses_sum(losses, LOSS_LOST) || losses_sum(losses, LOSS_DROPPED) ||
	       losses_sum(losses, LOSS_MISSED);
}
