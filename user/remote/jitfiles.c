// SPDX-License-Identifier: Apache-2.0
#include "jitfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/cleanup.h"

#define NS_PER_S 1000000000ll
#define SLACK_NS NS_PER_S /* between a file's clock and the one processes begin by */

/* What of /proc/PID/status tells where its files are and whose. */
struct owner {
	pid_t pid; /* in the innermost of its pid namespaces */
	uid_t uid; /* that its files get */
};

/* The last number of a line like "NStgid:\t4021\t17\n". */
static bool last_number(const char *line, const char *key, unsigned long *value)
{
	const char *at;
	char *end;

	if (strncmp(line, key, strlen(key)))
		return false;
	at = strrchr(line, '\t');
	if (!at || at[1] < '0' || at[1] > '9')
		return false;
	*value = strtoul(at + 1, &end, 10);
	return *end == '\n' || !*end;
}

/* A line may be long: a process can be in 65,536 groups. */
static int owner_read(const struct proc *proc, struct owner *owner)
{
	__cleanup(file_closep) FILE *status = NULL;
	__cleanup(freep) char *line = NULL;
	bool has_pid = false, has_uid = false;
	int fd = proc_open_file(proc, "status");
	unsigned long value;
	size_t cap = 0;

	if (fd < 0)
		return fd;
	status = fdopen(fd, "r");
	if (!status) {
		close(fd);
		return -ENOMEM;
	}
	while (!(has_pid && has_uid) && getline(&line, &cap, status) > 0) {
		if (last_number(line, "NStgid:", &value)) {
			owner->pid = (pid_t)value;
			has_pid = owner->pid > 0;
		} else if (last_number(line, "Uid:", &value)) { /* real, effective, saved, file system */
			owner->uid = (uid_t)value;
			has_uid = true;
		}
	}
	return has_pid && has_uid ? 0 : -ESRCH;
}

/* Whether what @stat tells of may be believed: 0 or why not. */
static int owner_check(const struct owner *owner, const struct stat *stat)
{
	if (!S_ISREG(stat->st_mode))
		return -ENOTSUP;
	return stat->st_uid == owner->uid || !stat->st_uid ? 0 : -EPERM;
}

static int open_path(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | flags, .resolve = resolve };
	int fd, tries = 16; /* EAGAIN: somebody renames or mounts just now */

	do {
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN && --tries);
	return fd < 0 ? -errno : fd;
}

/* Find /tmp/@name in the process's root: an O_PATH descriptor. /tmp may be a link, the file may not. */
static int find_in_tmp(const struct proc *proc, const char *name)
{
	__cleanup(fd_closep) int root = proc_open_root(proc);
	__cleanup(fd_closep) int tmp = -1;

	if (root < 0)
		return root;
	tmp = open_path(root, "tmp", O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (tmp < 0)
		return tmp;
	return open_path(tmp, name, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

static bool is_older(const struct stat *stat, const struct proc *proc)
{
	int64_t start = proc_start_unix_ns(proc);

	return stat->st_mtim.tv_sec < (start - SLACK_NS) / NS_PER_S;
}

int jitfiles_open_map(const struct proc *proc)
{
	__cleanup(fd_closep) int path_fd = -1;
	struct owner owner;
	struct stat stat;
	char path[32];
	int err = owner_read(proc, &owner);

	if (err)
		return err;
	snprintf(path, sizeof(path), "perf-%d.map", owner.pid);
	path_fd = find_in_tmp(proc, path);
	if (path_fd < 0)
		return path_fd;
	if (fstat(path_fd, &stat))
		return -errno;
	err = owner_check(&owner, &stat);
	if (err)
		return err;
	if (is_older(&stat, proc))
		return -ESTALE;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	return file_open_regular(path);
}

int jitfiles_open_dump(const struct proc *proc, const struct proc_mapped *mapped)
{
	struct owner owner;
	struct stat stat;
	int fd, err = owner_read(proc, &owner);

	if (err)
		return err;
	fd = proc_open_mapped(proc, mapped);
	if (fd < 0)
		return fd;
	err = fstat(fd, &stat) ? -errno : owner_check(&owner, &stat);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

bool jitfiles_is_dump(const char *path)
{
	const char *name = strrchr(path, '/');
	size_t digits;

	name = name ? name + 1 : path;
	if (strncmp(name, "jit-", 4))
		return false;
	digits = strspn(name + 4, "0123456789");
	return digits && !strcmp(name + 4 + digits, ".dump");
}
