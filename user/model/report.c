// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <errno.h>
#include <stdlib.h>

static const char *const source_names[HB_SRC_END] = {
	[HB_SRC_MALLOC] = "malloc",
	[HB_SRC_DIRECT] = "direct",
	[HB_SRC_MMAP] = "mmap",
	[HB_SRC_PAGES] = "pages",
};

static const char *const sort_names[] = {
	[SORT_OUTSTANDING] = "outstanding", [SORT_GROWTH] = "growth", [SORT_COUNT] = "count",
	[SORT_ALLOCATED] = "allocated",     [SORT_AGE] = "age",       [SORT_PEAK] = "peak",
};

static const char *const group_names[] = {
	[GROUP_SITE] = "site",     [GROUP_CALLSITE] = "callsite", [GROUP_MODULE] = "module",
	[GROUP_THREAD] = "thread", [GROUP_PROCESS] = "process",   [GROUP_CONTAINER] = "container",
};

static int compare_gens(const void *left, const void *right)
{
	const struct process_info *a = *(const struct process_info *const *)left;
	const struct process_info *b = *(const struct process_info *const *)right;

	return (a->gen > b->gen) - (a->gen < b->gen);
}

int report_owners_init(struct report_owners *owners, const struct report *report)
{
	size_t i, count = report->processes_count;

	owners->count = 0;
	owners->by_gen = calloc(count + 1, sizeof(*owners->by_gen));
	if (!owners->by_gen)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		owners->by_gen[i] = &report->processes[i];
	owners->count = count;
	qsort(owners->by_gen, count, sizeof(*owners->by_gen), compare_gens);
	return 0;
}

void report_owners_release(struct report_owners *owners)
{
	free(owners->by_gen);
	owners->by_gen = NULL;
	owners->count = 0;
}

const struct process_info *report_owners_find(const struct report_owners *owners, uint32_t gen)
{
	const struct process_info wanted = { .gen = gen }, *key = &wanted;
	const struct process_info **found;

	if (!gen || !owners->count)
		return NULL;
	found = bsearch(&key, owners->by_gen, owners->count, sizeof(*found), compare_gens);
	return found ? *found : NULL;
}

size_t report_others(const struct report *report)
{
	size_t others = 0;

	while (others < report->rows_count && report->rows[others].source != HB_SRC_PAGES)
		others++;
	return others;
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

uint64_t report_walks(const struct report_stacks *stacks)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < HB_END_LAST; i++)
		sum += stacks->ended[i];
	return sum;
}

bool report_sees(const struct process_info *process)
{
	return !process->blocks_untraced && (!process->blind || process->allocated_count);
}

/* Lost, dropped and missed. */
static uint64_t losses_all(const struct losses *losses)
{
	return losses_sum(losses, LOSS_LOST) + losses_sum(losses, LOSS_DROPPED) + losses_sum(losses, LOSS_MISSED);
}

bool report_lossy(const struct report *report)
{
	return losses_all(&report->losses);
}

bool report_approximate(const struct report *report)
{
	return losses_all(&report->losses) > report->losses.counts[HB_CNT_MAP_RING_FULL];
}

bool report_row_approximate(const struct report *report, const struct board_row *row)
{
	if (report_approximate(report))
		return true;
	return report->losses.counts[HB_CNT_MAP_RING_FULL] &&
	       (!row->source || row->source == HB_SRC_MMAP);
}
