// SPDX-License-Identifier: Apache-2.0
#include "attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* BPF_F_UPROBE_MULTI_RETURN, include/uapi/linux/bpf.h */
#define MULTI_RETURN 1u

/* The kernel resolves a path. Ours leads to the very file we hold, renamed or deleted as it may be. */
static void fd_path(int fd, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", fd);
}

/* link_create of union bpf_attr with its uprobe_multi part, which libbpf 1.1 does not know. */
struct link_create_multi {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t count;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t pad;
};

int attach_multi(int prog_fd, int type, bool returns, int file_fd, const uint64_t *offsets,
		 const uint64_t *cookies, size_t count, pid_t pid)
{
	struct link_create_multi attr;
	char path[32];
	int fd;

	fd_path(file_fd, path);
	memset(&attr, 0, sizeof(attr));
	attr.prog_fd = prog_fd;
	attr.attach_type = type;
	attr.path = (uintptr_t)path;
	attr.offsets = (uintptr_t)offsets;
	attr.cookies = (uintptr_t)cookies;
	attr.count = count;
	attr.multi_flags = returns ? MULTI_RETURN : 0;
	attr.pid = pid;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

/* The dynamic type of an event source, or negative errno. */
static int pmu_type(const char *path)
{
	FILE *file = fopen(path, "re");
	int type;

	if (!file)
		return -errno;
	if (fscanf(file, "%d", &type) != 1)
		type = -EINVAL;
	fclose(file);
	return type;
}

/*
 * A program on a perf event: of process @pid, or (0) of the whole system, for which any CPU will do. Kernels
 * before 5.15 have no link for events: there the event itself holds the program, and it has no @cookie.
 */
static int attach_event(int prog_fd, struct perf_event_attr *attr, pid_t pid, uint64_t cookie)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = cookie);
	int event, link, err = 0;

	attr->size = sizeof(*attr);
	event = syscall(SYS_perf_event_open, attr, pid ? pid : -1, pid ? -1 : 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	link = bpf_link_create(prog_fd, event, BPF_PERF_EVENT, &opts);
	if (link < 0)
		err = -errno;
	if (link < 0 && !cookie && !ioctl(event, PERF_EVENT_IOC_SET_BPF, prog_fd))
		err = 0;
	if (!err && ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0)
		err = -errno;
	if (!err && link < 0)
		return event;
	close(event); /* the link holds it */
	if (err && link >= 0)
		close(link);
	return err ? err : link;
}

int attach_perf(int prog_fd, bool returns, int file_fd, uint64_t offset, uint64_t cookie, pid_t pid)
{
	int type = pmu_type("/sys/bus/event_source/devices/uprobe/type");
	struct perf_event_attr attr = { .config = returns, .probe_offset = offset }; /* format/retprobe: bit 0 */
	char path[32];

	if (type < 0)
		return type;
	fd_path(file_fd, path);
	attr.type = type;
	attr.uprobe_path = (uintptr_t)path;
	return attach_event(prog_fd, &attr, pid, cookie);
}

int attach_tracepoint(int prog_fd, uint64_t id)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .config = id };

	return attach_event(prog_fd, &attr, 0, 0);
}

int attach_kprobe(int prog_fd, bool returns, const char *function)
{
	int type = pmu_type("/sys/bus/event_source/devices/kprobe/type");
	struct perf_event_attr attr = { .config = returns, .kprobe_func = (uintptr_t)function };

	if (type < 0)
		return type;
	attr.type = type;
	return attach_event(prog_fd, &attr, 0, 0);
}

int attach_traced(int prog_fd)
{
	int link = bpf_raw_tracepoint_open(NULL, prog_fd);

	return link < 0 ? -errno : link;
}

/* Whether @dir is the root of a tracefs. */
static bool is_tracefs(int dir)
{
	return dir >= 0 && !faccessat(dir, "events/enable", F_OK, 0);
}

int attach_tracefs(void)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	int dir, context;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		dir = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (is_tracefs(dir))
			return dir;
		if (dir >= 0)
			close(dir);
	}
	/* Mounted nowhere: a mount of our own that nobody else sees. */
	context = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	dir = fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -1 : fsmount(context, FSMOUNT_CLOEXEC, 0);
	if (dir < 0)
		dir = -errno;
	close(context);
	return dir;
}

int64_t attach_tracepoint_id(int tracefs, const char *group, const char *name)
{
	char path[128], text[32] = "";
	int fd;
	ssize_t bytes;

	snprintf(path, sizeof(path), "events/%s/%s/id", group, name);
	fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	return bytes > 0 ? strtoll(text, NULL, 10) : -EIO;
}
