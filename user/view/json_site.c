// SPDX-License-Identifier: Apache-2.0
#include "json_site.h"

#include "../model/pages.h"
#include "../model/report.h"

static struct json_object *frames_array(struct json_pen *pen, const struct board_row *row, enum board_group group)
{
	struct json_object *array = json_object_new_array();
	bool offset = group != GROUP_MODULE;
	size_t i;

	for (i = 0; i < row->frames_count; i++) {
		struct frame frame = row->frames[i];

		if (group != GROUP_SITE)
			frame.stopped = NULL; /* the row's other stacks may have ended elsewhere */
		json_append(pen, array, json_frame(pen, &frame, offset));
	}
	return array;
}

static void put_owner(struct json_pen *pen, struct json_object *object, const struct board_row *row,
		      const struct json_site_about *about)
{
	if (about->pid)
		json_put_number(pen, object, "pid", about->pid);
	if (about->image)
		json_put_number(pen, object, "image", about->image);
	if (row->tid)
		json_put_number(pen, object, "thread", row->tid);
	json_put_text(pen, object, "container", row->label);
	json_put_text(pen, object, "source", report_source_name(row->source));
}

static void put_sums(struct json_pen *pen, struct json_object *object, const struct board_row *row)
{
	json_put_number(pen, object, "outstanding_bytes", row->outstanding_bytes);
	if (row->source == HB_SRC_PAGES) {
		json_put_number(pen, object, "standard_error_bytes", pages_root(row->error_square));
		json_put_number(pen, object, "sampled_count", row->outstanding_count);
		if (row->swapped_bytes)
			json_put_number(pen, object, "swapped_bytes", row->swapped_bytes);
		return;
	}
	json_put_number(pen, object, "outstanding_count", row->outstanding_count);
	if (row->sampled) {
		json_put_number(pen, object, "standard_error_bytes", pages_root(row->error_square));
		json_put_number(pen, object, "standard_error_count", pages_root(row->count_error_square));
		json_put_number(pen, object, "sampled_count", row->sampled_count);
	}
	json_put_number(pen, object, "allocated_bytes", row->allocated_bytes);
	json_put_number(pen, object, "allocated_count", row->allocated_count);
	json_put_number(pen, object, "freed_bytes", row->freed_bytes);
	json_put_number(pen, object, "freed_count", row->freed_count);
}

struct json_object *json_site(struct json_pen *pen, const struct board_row *row, const struct json_site_about *about)
{
	struct json_object *object = json_object_new_object();

	json_put_number(pen, object, "rank", row->rank);
	put_owner(pen, object, row, about);
	put_sums(pen, object, row);
	if (row->has_peak)
		json_put_number(pen, object, "peak_bytes", row->peak_bytes);
	if (row->has_growth)
		json_put_decimal(pen, object, "growth_bytes_per_s", row->growth_bytes_per_s);
	if (row->has_age)
		json_put_decimal(pen, object, "oldest_s", row->oldest_s);
	if (about->approximate)
		json_put_bool(pen, object, "approximate", true);
	json_put(pen, object, "frames", frames_array(pen, row, about->group));
	return object;
}

static void put_known(struct json_pen *pen, struct json_object *object, const char *key, const char *text)
{
	if (*text)
		json_put_text(pen, object, key, text);
}

struct json_object *json_container(struct json_pen *pen, const struct container_info *container)
{
	struct json_object *object = json_object_new_object();

	put_known(pen, object, "id", container->id);
	put_known(pen, object, "name", container->name);
	put_known(pen, object, "pod", container->pod);
	put_known(pen, object, "namespace", container->namespace);
	put_known(pen, object, "pod_uid", container->pod_uid);
	put_known(pen, object, "runtime", container->runtime);
	put_known(pen, object, "image", container->image);
	return object;
}
