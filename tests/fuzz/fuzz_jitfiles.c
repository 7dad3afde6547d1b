// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the status of a process whose perf map is looked for, and as the path of a mapping. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/remote/jitfiles.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Below the folder that stands for /proc/PID. */
static const char *const made[] = { "root/tmp/perf-1.map", "root/tmp", "root", "status", "" };
static char folder[64];

static void tidy(void)
{
	char path[128];

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, made[i]);
		remove(path);
	}
}

static void put(int dir, const char *name, const void *data, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

static int folder_open(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	strcpy(folder, "/dev/shm/heldby-fuzz-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	atexit(tidy);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || mkdirat(fd, "root", 0700) || mkdirat(fd, "root/tmp", 0700))
		abort();
	put(fd, "root/tmp/perf-1.map", "1000 10 f\n", 10);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc proc = { .pid = 1, .dir = folder_open(), .start_ticks = 0 };
	char *path = malloc(size + 1);
	int fd;

	if (!path)
		abort();
	put(proc.dir, "status", data, size);
	fd = jitfiles_open_map(&proc);
	if (fd >= 0 && (!memmem(data, size, "NStgid:", 7) || !memmem(data, size, "Uid:", 4)))
		abort();
	if (fd >= 0)
		close(fd);
	memcpy(path, data, size);
	path[size] = '\0';
	if (jitfiles_is_dump(path) && !strstr(path, "jit-"))
		abort();
	free(path);
	return 0;
}
