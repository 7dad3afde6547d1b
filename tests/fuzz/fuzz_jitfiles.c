// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the status of a process whose perf map is looked for, and as the path of a mapping. */
#define _GNU_SOURCE 1
#include "../../user/remote/jitfiles.h"
#include "fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Below the folder that stands for /proc/PID. */
static const char *const made[] = { "root/tmp/perf-1.map", "root/tmp", "root", "status", NULL };

static int folder_open(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	fd = folder_make(made);
	if (mkdirat(fd, "root", 0700) || mkdirat(fd, "root/tmp", 0700))
		abort();
	folder_put(fd, "root/tmp/perf-1.map", "1000 10 f\n", 10);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc proc = { .pid = 1, .dir = folder_open(), .start_ticks = 0 };
	char *path = malloc(size + 1);
	int fd;

	if (!path)
		abort();
	folder_put(proc.dir, "status", data, size);
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
