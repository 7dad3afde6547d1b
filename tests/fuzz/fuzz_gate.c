// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as the files from which the gate decides, a NUL between them: /proc/PID/cgroup, its stat,
 * meminfo, and memory.max, memory.current and memory.stat of a cgroup /a/b.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/remote/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
	"cgroup", "stat", "meminfo", "a/b/memory.max", "a/b/memory.current", "a/b/memory.stat",
};
static const char *const others[] = { "mountinfo", "a/b", "a", "" };
static char folder[64];

static void tidy(void)
{
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, others[i]);
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
	char line[128];

	if (fd >= 0)
		return fd;
	strcpy(folder, "/dev/shm/heldby-fuzz-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	atexit(tidy);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || mkdirat(fd, "a", 0700) || mkdirat(fd, "a/b", 0700))
		abort();
	snprintf(line, sizeof(line), "1 1 0:1 / %s rw - cgroup2 cgroup2 rw\n", folder);
	put(fd, "mountinfo", line, strlen(line));
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc proc = { .pid = 1, .dir = folder_open(), .start_ticks = 77 };
	char mountinfo[96], meminfo[96];
	struct gate_files files = { .mountinfo = mountinfo, .meminfo = meminfo };
	struct gate *gate;
	int answer;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
		size_t length = end ? (size_t)(end - data) : size;

		put(proc.dir, names[i], data, length);
		data = end ? end + 1 : data + size;
		size -= end ? length + 1 : length;
	}
	snprintf(mountinfo, sizeof(mountinfo), "%s/mountinfo", folder);
	snprintf(meminfo, sizeof(meminfo), "%s/meminfo", folder);
	gate = gate_new(&files);
	if (!gate)
		abort();
	answer = gate_check(gate, &proc, 1);
	if (answer > GATE_ENDS || answer == GATE_MARKED || (answer < 0 && answer != -ESRCH && answer != -EIO))
		abort();
	if (gate_check(gate, &proc, 2) != answer)
		abort();
	gate_close(gate, &proc, 3);
	if (gate_check(gate, &proc, 3) != GATE_MARKED)
		abort();
	gate_free(gate);
	return 0;
}
