// SPDX-License-Identifier: Apache-2.0
#include "places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096

int places_init(struct places *places, struct target *target, const struct cgroup_mount *mount, size_t max)
{
	*places = (struct places){ .target = target, .mount = mount, .rows = calloc(max, sizeof(*places->rows)) };
	if (!places->rows)
		return -ENOMEM;
	places->max = max;
	return 0;
}

void places_release(struct places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		free(places->rows[i].cgroup);
		free(places->rows[i].container);
	}
	free(places->rows);
	*places = (struct places){ 0 };
}

static struct place *row_of(struct places *places, uint64_t id)
{
	for (size_t i = 0; i < places->count; i++) {
		if (places->rows[i].id == id)
			return &places->rows[i];
	}
	if (!id || places->count == places->max)
		return NULL;
	places->rows[places->count].id = id;
	return &places->rows[places->count++];
}

static void set_cgroup(struct places *places, struct place *place, const char *cgroup)
{
	const struct container_info *container;

	place->cgroup = strdup(cgroup);
	container = place->cgroup ? target_container(places->target, cgroup, false) : NULL;
	place->container = container ? malloc(sizeof(*container)) : NULL;
	if (place->container)
		*place->container = *container;
}

const struct place *places_find(struct places *places, uint64_t id, uint32_t gen, const char *path)
{
	struct place *place = row_of(places, id);
	char asked[PATH_BYTES];

	if (!place || place->cgroup)
		return place;
	if (!path && !cgroup_path(places->mount, id, asked, sizeof(asked)))
		path = asked;
	if (!path && gen) {
		path = target_cgroup(places->target, gen);
		place->id = UINT64_MAX; /* not another's: this one may have been elsewhere when it was looked at */
	}
	if (path)
		set_cgroup(places, place, path);
	return place;
}
