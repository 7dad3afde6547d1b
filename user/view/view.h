/* SPDX-License-Identifier: Apache-2.0 */
/* The table of views. A view turns one report into bytes on a stream; it neither reads nor asks. */
#ifndef HB_VIEW_VIEW_H
#define HB_VIEW_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "../model/report.h"

struct view_style {
	bool color;
	bool verbose;       /* -v: all frames, modules and offsets */
	unsigned int width; /* columns of the terminal; 0: do not cut */
};

struct view {
	const char *name; /* as in -o NAME:FILE */
	/* Writes one document. 0 or negative errno. */
	int (*write)(FILE *out, const struct report *report, const struct view_style *style);
	bool every;       /* one document per interval; else only the last is worth a file */
};

/* The view called @name, or NULL. */
const struct view *view_find(const char *name);

int view_text(FILE *out, const struct report *report, const struct view_style *style);
int view_json(FILE *out, const struct report *report, const struct view_style *style);
int view_folded(FILE *out, const struct report *report, const struct view_style *style);

#endif
