// SPDX-License-Identifier: Apache-2.0
#include "view.h"

#include <string.h>

static const struct view views[] = {
	{ "text", view_text, true },
	{ "json", view_json, true },
	{ "folded", view_folded, false },
};

const struct view *view_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (!strcmp(views[i].name, name))
			return &views[i];
	}
	return NULL;
}
