// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as the files from which the gate decides, a NUL between them: /proc/PID/cgroup, its stat,
 * meminfo, and memory.max, memory.current and memory.stat of a cgroup /a/b.
 */
#define _GNU_SOURCE 1
#include <errno.h>

#include "../../user/remote/gate.h"
#include "fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is fuzzed comes first. */
static const char *const made[] = {
	"cgroup", "stat", "meminfo", "a/b/memory.max", "a/b/memory.current", "a/b/memory.stat",
	"mountinfo", "a/b", "a", NULL,
};
#define FUZZED 6

static int folder_open(void)
{
	static int fd = -1;
	char line[128];

	if (fd >= 0)
		return fd;
	fd = folder_make(made);
	if (mkdirat(fd, "a", 0700) || mkdirat(fd, "a/b", 0700))
		abort();
	snprintf(line, sizeof(line), "1 1 0:1 / %s rw - cgroup2 cgroup2 rw\n", folder);
	folder_put(fd, "mountinfo", line, strlen(line));
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc proc = { .pid = 1, .dir = folder_open(), .start_ticks = 77 };
	char mountinfo[96], meminfo[96];
	struct gate_files files = { .mountinfo = mountinfo, .meminfo = meminfo };
	struct gate *gate;
	int answer;

	for (size_t i = 0; i < FUZZED; i++) {
		const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
		size_t length = end ? (size_t)(end - data) : size;

		folder_put(proc.dir, made[i], data, length);
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
