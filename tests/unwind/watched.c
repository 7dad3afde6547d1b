// SPDX-License-Identifier: Apache-2.0
#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/base/cleanup.h"
#include "../../user/remote/maps.h"

static struct watched all[WATCHED_MAX];
static uint64_t now;

static void release(struct watched *watched)
{
	oracle_free(watched->oracle);
	free(watched->ranges);
	*watched = (struct watched){ 0 };
}

void watched_free_all(void)
{
	for (size_t i = 0; i < WATCHED_MAX; i++)
		release(&all[i]);
}

static int add_range(void *ctx, const struct map_line *line)
{
	struct watched *watched = ctx;
	struct range *grown;

	if (!line->exec)
		return 0;
	grown = reallocarray(watched->ranges, watched->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	watched->ranges = grown;
	grown[watched->count++] = (struct range){
		.start = line->start, .end = line->end, .offset = line->offset, .ino = line->ino,
		.vdso = !strcmp(line->path, "[vdso]"), .probes = !strcmp(line->path, "[uprobes]"),
	};
	return 0;
}

static int read_ranges(struct watched *watched, pid_t pid)
{
	__cleanup(fd_closep) int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : maps_walk(fd, add_range, watched);
}

static bool same_files(const struct watched *a, const struct watched *b)
{
	size_t i = 0, j = 0;

	for (;;) {
		while (i < a->count && !a->ranges[i].ino && !a->ranges[i].vdso)
			i++;
		while (j < b->count && !b->ranges[j].ino && !b->ranges[j].vdso)
			j++;
		if (i == a->count || j == b->count)
			return i == a->count && j == b->count;
		if (memcmp(&a->ranges[i++], &b->ranges[j++], sizeof(struct range)))
			return false;
	}
}

static struct watched *slot_of(pid_t pid)
{
	struct watched *oldest = &all[0];

	for (size_t i = 0; i < WATCHED_MAX; i++) {
		if (all[i].pid == pid)
			return &all[i];
		if (all[i].used < oldest->used)
			oldest = &all[i];
	}
	release(oldest);
	oldest->pid = pid;
	return oldest;
}

int watched_get(pid_t pid, struct watched **out)
{
	struct watched *watched = slot_of(pid), fresh = { 0 };
	int err = read_ranges(&fresh, pid);

	watched->used = ++now;
	if (!err && !watched->oracle)
		err = oracle_new(&watched->oracle, pid);
	else if (!err && !same_files(watched, &fresh))
		err = oracle_remap(watched->oracle);
	free(watched->ranges);
	watched->ranges = fresh.ranges;
	watched->count = fresh.count;
	if (err)
		release(watched);
	*out = watched;
	return err;
}

const struct range *watched_range(const struct watched *watched, uint64_t address)
{
	for (size_t i = 0; i < watched->count; i++) {
		if (address >= watched->ranges[i].start && address < watched->ranges[i].end)
			return &watched->ranges[i];
	}
	return NULL;
}

bool watched_in_call(const struct watched *watched, uint64_t pc)
{
	uint64_t before;

	if (!oracle_read(watched->oracle, pc - sizeof(before), &before))
		return false;
#if defined(__x86_64__)
	return before >> 48 == 0x050f; /* syscall */
#else
	return before >> 32 == 0xd4000001; /* svc #0 */
#endif
}

static int read_line(pid_t pid, pid_t tid, const char *name, char *text, size_t size)
{
	__cleanup(fd_closep) int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

char thread_state(pid_t pid, pid_t tid)
{
	char text[512];
	const char *comm_end;

	if (read_line(pid, tid, "stat", text, sizeof(text)))
		return 0;
	comm_end = strrchr(text, ')');
	return comm_end && comm_end[1] ? comm_end[2] : 0;
}

/* "running"; "-1 SP PC"; "NUMBER ARGUMENT... SP PC": fs/proc/base.c, proc_pid_syscall() */
int thread_place(pid_t pid, pid_t tid, uint64_t *pc, uint64_t *sp)
{
	char text[512], *before;
	int err = read_line(pid, tid, "syscall", text, sizeof(text));

	if (err)
		return err;
	before = strrchr(text, ' ');
	if (!before)
		return -EBUSY;
	*pc = strtoull(before + 1, NULL, 16);
	*before = '\0';
	before = strrchr(text, ' ');
	if (!before)
		return -EBUSY;
	*sp = strtoull(before + 1, NULL, 16);
	return 0;
}
