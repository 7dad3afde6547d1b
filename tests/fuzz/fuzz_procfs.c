// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the files of /proc/PID that we parse: stat, statm, cgroup, comm. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/remote/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "stat", "statm", "cgroup", "comm" };
static char made[64];

static void tidy(void)
{
	char path[96];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", made, names[i]);
		unlink(path);
	}
	rmdir(made);
}

static int folder(void)
{
	static int fd = -1;
	char path[] = "/dev/shm/heldby-fuzz-XXXXXX";

	if (fd < 0 && mkdtemp(path)) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		atexit(tidy);
		strcpy(made, path);
	}
	return fd;
}

static void put(int dir, const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc proc = { .pid = 1, .dir = folder(), .start_ticks = 1 };
	char comm[16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(proc.dir, names[i], data, size);
	proc_alive(&proc);
	proc_rss_bytes(&proc);
	if (!proc_comm(&proc, comm, sizeof(comm)) && !memchr(comm, '\0', sizeof(comm)))
		abort();
	free(proc_memory_cgroup(&proc));
	return 0;
}
