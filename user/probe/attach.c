// SPDX-License-Identifier: Apache-2.0
#include "attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* The dynamic type of the uprobe event source, or negative errno. */
static int uprobe_pmu_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type;

	if (!file)
		return -errno;
	if (fscanf(file, "%d", &type) != 1)
		type = -EINVAL;
	fclose(file);
	return type;
}

int attach_perf(int prog_fd, bool returns, int file_fd, uint64_t offset, uint64_t cookie, pid_t pid)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = cookie);
	int type = uprobe_pmu_type();
	struct perf_event_attr attr;
	char path[32];
	int event, link;

	if (type < 0)
		return type;
	fd_path(file_fd, path);
	memset(&attr, 0, sizeof(attr));
	attr.size = sizeof(attr);
	attr.type = type;
	attr.config = returns; /* format/retprobe: bit 0 */
	attr.uprobe_path = (uintptr_t)path;
	attr.probe_offset = offset;
	/* Without a process any CPU will do: the program runs wherever the probe is hit. */
	event = syscall(SYS_perf_event_open, &attr, pid ? pid : -1, pid ? -1 : 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	link = bpf_link_create(prog_fd, event, BPF_PERF_EVENT, &opts);
	if (link >= 0 && ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		int err = -errno;

		close(link);
		link = err;
	}
	close(event); /* the link holds it */
	return link;
}
