/* SPDX-License-Identifier: Apache-2.0 */
/* Where postmortems are kept: a folder that never grows beyond its bounds, and the journal. */
#ifndef HB_CMD_REPORTS_H
#define HB_CMD_REPORTS_H

#include <stddef.h>
#include <stdint.h>

#include "../model/postmortem.h"

struct reports {
	int folder; /* descriptor, -1: none */
	uint32_t max_count;
	uint64_t max_bytes;
};

/* The folder @path is made if it is not there. 0 or negative errno. */
int reports_open(struct reports *reports, const char *path, uint32_t max_count, uint64_t max_bytes);
void reports_close(struct reports *reports);

/*
 * One kill: "TIME-SEQUENCE-PID.json" (@json, of @bytes) and the same with ".folded", each whole or not at all. Then
 * the oldest go until both bounds hold. 0 or negative errno.
 */
int reports_keep(const struct reports *reports, const struct postmortem *pm, const char *json, size_t bytes);

/* An entry in the journal. 0, -ENOENT (there is none), or another negative errno. */
int reports_journal(const struct postmortem *pm, const char *json);

#endif
