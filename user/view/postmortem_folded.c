// SPDX-License-Identifier: Apache-2.0
/* The holders as stacks for a flame graph: a report of the victim alone, for view_folded(). */
#include "postmortem.h"

#include <errno.h>
#include <stdlib.h>

#include "../base/cleanup.h"

int postmortem_folded(FILE *out, const struct postmortem *pm, const struct view_style *style)
{
	struct process_info victim = { .gen = 1, .pid = pm->victim.pid, .comm = pm->victim.comm };
	__cleanup(freep) struct board_row *rows = calloc(pm->holders_count + 1, sizeof(*rows));
	struct report report = { .processes = &victim, .processes_count = 1, .rows = rows, .group = GROUP_SITE };
	size_t i;

	if (!rows)
		return -ENOMEM;
	for (i = 0; i < pm->holders_count; i++) {
		if (!postmortem_counts_row(pm, &pm->holders[i]))
			continue;
		rows[report.rows_count] = pm->holders[i];
		rows[report.rows_count++].gen = victim.gen; /* all images of it are the victim */
	}
	return view_folded(out, &report, style);
}
