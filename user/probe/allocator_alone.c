// SPDX-License-Identifier: Apache-2.0
/*
 * Which entry points call no other: the return of one whose block is not sampled may then go unseen. Nothing is
 * believed of a maker or a function that is not here, and of each the tests count blocks with sampling on. Only what
 * is called most often is worth a row: realloc and the aligned ones end in malloc for some of their arguments.
 */
#include "allocator_points.h"

#include <string.h>

struct alone_row {
	const char *maker;
	const char *functions[8];
};

static const struct alone_row rows[] = {
	{ "glibc ", { "malloc", "calloc", "__libc_malloc", "__libc_calloc" } },
	{ "musl", { "malloc", "__libc_malloc" } },
	{ "jemalloc", { "malloc", "calloc", "je_malloc", "je_calloc", "mallocx", "je_mallocx" } },
	{ "tcmalloc", { "malloc", "calloc", "tc_malloc", "tc_calloc" } },
	{ "mimalloc", { "malloc", "mi_malloc", "_Znwm" } },
};

static bool is_alone(const struct alone_row *row, const char *function)
{
	for (size_t i = 0; i < sizeof(row->functions) / sizeof(row->functions[0]) && row->functions[i]; i++) {
		if (!strcmp(row->functions[i], function))
			return true;
	}
	return false;
}

void points_mark_alone(struct point_list *list, const char *maker)
{
	if (strstr(maker, " + "))
		return; /* one may call the other */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strncmp(maker, rows[i].maker, strlen(rows[i].maker)))
			continue;
		for (size_t at = 0; at < list->count; at++) {
			struct probe_point *point = &list->points[at];

			if (point->place == PLACE_CALL && is_alone(&rows[i], point->function))
				point->cookie |= 1ULL << HB_COOKIE_ALONE_SHIFT;
		}
	}
}
