/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of how closely calls are followed, kept until they are reported. */
#ifndef HB_MODEL_CHANGES_H
#define HB_MODEL_CHANGES_H

#include <stddef.h>
#include <stdint.h>

#include "report.h"

/* All 0 at the beginning. */
struct changes {
	struct report_change rows[REPORT_CHANGES_MAX]; /* oldest first */
	size_t count;
	uint64_t forgotten; /* since the beginning: where there is no room the oldest goes */
};

void changes_add(struct changes *changes, const struct report_change *change);

/* Hand over the latest @cap, oldest first, and empty @changes. Returns their number; older ones are forgotten. */
size_t changes_take(struct changes *changes, struct report_change *rows, size_t cap);

#endif
