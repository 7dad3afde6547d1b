// SPDX-License-Identifier: Apache-2.0
/*
 * Paths of a kill's cgroups. A kill has their names from the victim's own up, of which the highest may not be there
 * and any may be cut; what is missing is asked for by the cgroups' numbers while they are there.
 */
#include <string.h>

#include "oom_capture.h"

/* The names of levels @from to below @to with a slash before each, the last first. false: @size is too small. */
static bool join(const struct hb_ev_oom *kill, size_t from, size_t to, char *path, size_t size)
{
	size_t used = strlen(path);

	for (size_t i = to; i-- > from;) {
		const size_t length = strnlen(kill->levels[i].name, HB_OOM_NAME_LEN);

		if (length + 2 > size - used)
			return false;
		path[used++] = '/';
		memcpy(path + used, kill->levels[i].name, length);
		used += length;
		path[used] = '\0';
	}
	return true;
}

/* What fills its room may have been cut, and only the root has no name. */
static bool is_whole(const struct hb_oom_level *level)
{
	const size_t length = strnlen(level->name, HB_OOM_NAME_LEN);

	return length && length < HB_OOM_NAME_LEN - 1;
}

/* The first level from @index on whose name is not whole; the root's, where all are. */
static size_t first_cut(const struct hb_ev_oom *kill, size_t index)
{
	while (index < kill->levels_count && index < HB_OOM_LEVELS && is_whole(&kill->levels[index]))
		index++;
	return index;
}

static bool is_root(const struct hb_ev_oom *kill, size_t index)
{
	return !(kill->flags & HB_OOM_LEVELS_CUT) && index + 1 == kill->levels_count && !kill->levels[index].name[0];
}

/* Drop the last component. */
static void go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
}

/* From what was asked for: a level's path is those of the levels above it as well. */
static bool from_asked(const struct capture *capture, size_t index, char *path, size_t size)
{
	const char *asked = capture->asked_path;

	if (!asked[0] || strlen(asked) >= size)
		return false;
	if (!strcmp(asked, "/"))
		asked++;
	memcpy(path, asked, strlen(asked) + 1);
	for (size_t i = capture->asked; i < index; i++)
		go_up(path);
	return index >= capture->asked || (first_cut(&capture->kill, index) >= capture->asked &&
					   join(&capture->kill, index, capture->asked, path, size));
}

const char *capture_path(const struct capture *capture, size_t index, char *path, size_t size)
{
	const struct hb_ev_oom *kill = &capture->kill;
	const size_t end = first_cut(kill, index);
	bool known;

	path[0] = '\0';
	known = end < HB_OOM_LEVELS && is_root(kill, end) ? join(kill, index, end, path, size)
							  : from_asked(capture, index, path, size);
	if (!known)
		return NULL;
	if (!path[0])
		strcpy(path, "/");
	return path;
}

void capture_ask_path(struct capture *capture, const struct cgroup_mounts *mounts)
{
	const struct hb_ev_oom *kill = &capture->kill;
	const struct cgroup_mount *mount = &mounts->of[kill->flags & HB_OOM_V1 ? CGROUP_V1 : CGROUP_V2];
	size_t i = first_cut(kill, 0), count = kill->levels_count;

	capture->asked_path[0] = '\0';
	if (!count || count > HB_OOM_LEVELS || (i < count && is_root(kill, i)))
		return;
	if (i == count)
		i--; /* all names are whole, and there are more levels */
	for (; i < count && !capture->asked_path[0]; i++) {
		capture->asked = i;
		if (cgroup_path(mount, kill->levels[i].id, capture->asked_path, sizeof(capture->asked_path)))
			capture->asked_path[0] = '\0';
	}
}
