// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the lines of mountinfo and, behind the first NUL, as those of /proc/PID/cgroup. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/remote/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char made[64];

static void tidy(void)
{
	unlink(made);
}

/* @size bytes as a file. */
static const char *file_of(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0) {
		strcpy(made, "/dev/shm/heldby-fuzz-XXXXXX");
		fd = mkstemp(made);
		if (fd < 0)
			abort();
		atexit(tidy);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	return made;
}

/* What leads out of a cgroup file system must not be followed, but the paths are the kernel's to give. */
static void look(const struct cgroup_mounts *mounts, char *text)
{
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
	enum cgroup_kind kind;
	const char *path = cgroup_memory_path(text, &kind);
	size_t count;

	if (!path)
		return;
	if (kind >= CGROUP_KINDS || strchr(path, '\n'))
		abort();
	count = cgroup_levels(&mounts->of[kind], kind, path, levels);
	if (count > CGROUP_LEVELS_MAX || (count && (path[0] != '/' || strstr(path, "/../") == path)))
		abort();
	for (size_t i = 0; i < count; i++) {
		if (levels[i].length > strlen(path))
			abort();
		cgroup_is_near(&mounts->of[kind], kind, path, &levels[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t length = end ? (size_t)(end - data) : size;
	struct cgroup_mounts mounts;
	char *text = calloc(1, size - length + 1);

	if (!text)
		abort();
	if (end)
		memcpy(text, end + 1, size - length - 1);
	if (cgroup_mounts_find(&mounts, file_of(data, length), true))
		abort();
	look(&mounts, text);
	cgroup_mounts_release(&mounts);
	free(text);
	return 0;
}
