/* SPDX-License-Identifier: Apache-2.0 */
/* A folder in memory that stands for a part of /proc or /sys: for targets that read files by name. */
#ifndef HB_TESTS_FUZZ_FOLDER_H
#define HB_TESTS_FUZZ_FOLDER_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static const char *const *folder_made; /* what is in it, what lies in others first; then NULL */

static inline void folder_tidy(void)
{
	char path[256];

	for (size_t i = 0; folder_made[i]; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, folder_made[i]);
		remove(path);
	}
	remove(folder);
}

/* Make it; @made (NULL at its end) is taken away at the end. A descriptor of it. */
static inline int folder_make(const char *const *made)
{
	int fd;

	strcpy(folder, "/dev/shm/heldby-fuzz-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	folder_made = made;
	atexit(folder_tidy);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

static inline void folder_put(int dir, const char *name, const void *data, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

#endif
