/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects that stand in more than one kind of document. For the files that write JSON. */
#ifndef HB_VIEW_JSON_SITE_H
#define HB_VIEW_JSON_SITE_H

#include "../model/board.h"
#include "../model/container.h"
#include "json_pen.h"

/* What a site's object says beyond its row. */
struct json_site_about {
	uint32_t pid, image;   /* of its process; 0: not told */
	enum board_group group;
	bool approximate;      /* its numbers may be too low */
};

/* A site as it stands in "sites" of heldby.board/1 and "holders" of heldby.postmortem/1. */
struct json_object *json_site(struct json_pen *pen, const struct board_row *row, const struct json_site_about *about);

/* A container, without what is not known. */
struct json_object *json_container(struct json_pen *pen, const struct container_info *container);

#endif
