// SPDX-License-Identifier: Apache-2.0
#include "procfs.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "cgroup.h"
#include "gate.h"

#define STAT_BYTES   4096 /* of stat and statm: some fifty numbers and a name of 64 */
#define CGROUP_BYTES (64u << 10)
#define STATUS_BYTES 8192
/* PF_EXITING, PF_DUMPCORE and PF_SIGNALED, include/linux/sched.h */
#define ENDING_FLAGS (0x4u | 0x200u | 0x400u)
#define PROC_PID_INIT_INO 0xEFFFFFFCu /* include/linux/proc_ns.h */
#define NS_PER_S     1000000000ull

ssize_t proc_read_text(int fd, char *text, size_t size)
{
	size_t length = 0;

	while (length < size - 1) {
		ssize_t got = read(fd, text + length, size - 1 - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		length += (size_t)got;
	}
	text[length] = '\0';
	return (ssize_t)length;
}

ssize_t proc_read(const struct proc *proc, const char *name, char *text, size_t size)
{
	__cleanup(fd_closep) int fd = -1;

	fd = openat(proc->dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return proc_read_text(fd, text, size);
}

/* What of a process is gone is gone with it. */
static ssize_t read_file(const struct proc *proc, const char *name, char *text, size_t size)
{
	ssize_t got = proc_read(proc, name, text, size);

	return got == -ENOENT ? -ESRCH : got;
}

/* Of /proc/PID/stat, the first thread's where they differ. */
struct stat_fields {
	char state;
	uint64_t flags;       /* field 9: PF_* */
	uint64_t start_ticks; /* field 22 */
	uint64_t pending;     /* field 31: signals, a bit 1 << (number - 1) each */
};

/* comm may hold any byte, so count from its end. */
static int stat_read(const struct proc *proc, struct stat_fields *fields)
{
	char text[STAT_BYTES], *at;
	ssize_t length = read_file(proc, "stat", text, sizeof(text));
	int field;

	if (length < 0)
		return (int)length;
	at = memrchr(text, ')', (size_t)length);
	if (!at || at[1] != ' ' || !at[2])
		return -EIO;
	*fields = (struct stat_fields){ .state = at[2] };
	at += 2;
	for (field = 4; field <= 31; field++) {
		at = strchr(at, ' ');
		if (!at)
			return field > 22 ? 0 : -EIO;
		at++;
		if (field == 9)
			fields->flags = strtoull(at, NULL, 10);
		else if (field == 22)
			fields->start_ticks = strtoull(at, NULL, 10);
	}
	fields->pending = strtoull(at, NULL, 10);
	return 0;
}

bool proc_initial_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) || st.st_ino == PROC_PID_INIT_INO;
}

int proc_open(struct proc *proc, pid_t pid)
{
	struct stat_fields fields;
	char path[32];
	int err;

	*proc = (struct proc)PROC_INIT;
	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc->dir < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	proc->pid = pid;
	err = stat_read(proc, &fields);
	if (err)
		proc_close(proc);
	else
		proc->start_ticks = fields.start_ticks;
	return err;
}

void proc_close(struct proc *proc)
{
	if (proc->dir >= 0)
		close(proc->dir);
	*proc = (struct proc)PROC_INIT;
}

static bool has_ended(const struct proc *proc, const struct stat_fields *fields)
{
	return fields->state == 'Z' || fields->state == 'X' || fields->start_ticks != proc->start_ticks;
}

bool proc_alive(const struct proc *proc)
{
	struct stat_fields fields;

	return !stat_read(proc, &fields) && !has_ended(proc, &fields);
}

int proc_ends(const struct proc *proc)
{
	struct stat_fields fields;
	int err = stat_read(proc, &fields);

	if (err)
		return err;
	if (has_ended(proc, &fields))
		return -ESRCH;
	return (fields.flags & ENDING_FLAGS) || (fields.pending >> (SIGKILL - 1) & 1);
}

int proc_narrow(const struct proc *proc)
{
	__cleanup(fd_closep) int fd = proc_open_file(proc, "exe");
	unsigned char ident[EI_NIDENT];

	if (fd < 0)
		return fd;
	return pread(fd, ident, sizeof(ident), 0) == sizeof(ident) && !memcmp(ident, ELFMAG, SELFMAG) &&
	       ident[EI_CLASS] == ELFCLASS32;
}

bool proc_leads(const struct proc *proc)
{
	static const char tgid[] = "\nTgid:\t"; /* the kernel escapes a newline in the name before it */
	char text[STATUS_BYTES], *line;

	if (read_file(proc, "status", text, sizeof(text)) < 0)
		return false;
	line = strstr(text, tgid);
	return line && strtol(line + sizeof(tgid) - 1, NULL, 10) == proc->pid;
}

static bool has_program(pid_t pid)
{
	char link[32], target[2];

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	return readlink(link, target, sizeof(target)) > 0;
}

int proc_each(int (*each)(void *ctx, pid_t pid), void *ctx)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int result = 0;

	if (!dir)
		return -errno;
	while (!result && (entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name); /* 0 for what is no process */

		if (pid > 0 && has_program(pid))
			result = each(ctx, pid);
	}
	closedir(dir);
	return result;
}

/* Why opening something of @proc failed: what it was asked for is gone, or the process is. */
static int open_error(const struct proc *proc)
{
	int err = -errno;

	return err == -ENOENT && !proc_alive(proc) ? -ESRCH : err;
}

/* Whether reading /proc/PID/@name holds the address space for microseconds at most. What is not known may. */
static bool is_harmless(const char *name)
{
	static const char *const names[] = {
		"cgroup", "comm", "limits", "loginuid", "mountinfo", "oom_score_adj", "stat", "statm", "status",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

int proc_open_file(const struct proc *proc, const char *name)
{
	int fd, err = is_harmless(name) ? 0 : gate_ask(proc);

	if (err)
		return err;
	fd = openat(proc->dir, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? open_error(proc) : fd;
}

int proc_comm(const struct proc *proc, char *comm, size_t size)
{
	char text[STAT_BYTES];
	ssize_t length = read_file(proc, "comm", text, sizeof(text));

	if (length < 0)
		return (int)length;
	if (length && text[length - 1] == '\n')
		text[length - 1] = '\0';
	snprintf(comm, size, "%s", text);
	return 0;
}

int64_t proc_boottime_to_unix_ns(uint64_t boottime_ns)
{
	struct timespec boot, wall;
	int64_t booted;

	if (clock_gettime(CLOCK_BOOTTIME, &boot) || clock_gettime(CLOCK_REALTIME, &wall))
		return 0;
	booted = (int64_t)(wall.tv_sec - boot.tv_sec) * (int64_t)NS_PER_S +
		 (wall.tv_nsec - boot.tv_nsec);
	if (boottime_ns > (uint64_t)(INT64_MAX - booted))
		return 0;
	return booted + (int64_t)boottime_ns;
}

int64_t proc_start_unix_ns(const struct proc *proc)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK), ticks = proc->start_ticks;

	if (!ticks || ticks / hz > INT64_MAX / NS_PER_S)
		return 0;
	return proc_boottime_to_unix_ns(ticks / hz * NS_PER_S + ticks % hz * NS_PER_S / hz);
}

static uint64_t statm_bytes(const struct proc *proc, const char *format)
{
	char text[STAT_BYTES];
	uint64_t pages;

	if (read_file(proc, "statm", text, sizeof(text)) < 0 || sscanf(text, format, &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t proc_rss_bytes(const struct proc *proc)
{
	return statm_bytes(proc, "%*u %" SCNu64);
}

uint64_t proc_mapped_bytes(const struct proc *proc)
{
	return statm_bytes(proc, "%" SCNu64);
}

char *proc_memory_cgroup(const struct proc *proc)
{
	__cleanup(freep) char *text = malloc(CGROUP_BYTES);
	enum cgroup_kind kind;
	const char *path;

	if (!text || proc_read(proc, "cgroup", text, CGROUP_BYTES) < 0)
		return NULL;
	path = cgroup_memory_path(text, &kind);
	return path ? strdup(path) : NULL;
}

/* Whether it is a file that the kernel makes up as it is read: that may wait, or take it from somebody else. */
static bool is_made_up(int fd)
{
	static const unsigned long magics[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, PSTOREFS_MAGIC,
		EFIVARFS_MAGIC, BPF_FS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SELINUX_MAGIC,
		BINFMTFS_MAGIC, RDTGROUP_SUPER_MAGIC,
	};
	struct statfs stat;
	size_t i;

	if (fstatfs(fd, &stat))
		return true;
	for (i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if ((unsigned long)stat.f_type == magics[i])
			return true;
	}
	return false;
}

/*
 * Turn @path_fd, an O_PATH descriptor, into one for reading, if it is a regular file: opening a
 * FIFO would wait for its writer, opening a device may do anything, and so may a file of procfs.
 */
static int reopen_regular(int path_fd)
{
	char link[32];
	struct stat stat;
	int fd;

	if (fstat(path_fd, &stat))
		return -errno;
	if (!S_ISREG(stat.st_mode) || is_made_up(path_fd))
		return -ENOTSUP;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int proc_open_mapping(const struct proc *proc, uint64_t start, uint64_t end)
{
	__cleanup(fd_closep) int path_fd = -1;
	int err = gate_ask(proc);
	char name[64];

	if (err)
		return err;
	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, start, end);
	path_fd = openat(proc->dir, name, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return open_error(proc);
	return reopen_regular(path_fd);
}

int proc_open_root(const struct proc *proc)
{
	int root = openat(proc->dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return root;
}

int file_open_in_root(int root, const char *path)
{
	__cleanup(fd_closep) int path_fd = -1;
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int tries = 16; /* EAGAIN: somebody renames or mounts just now */

	do {
		path_fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	} while (path_fd < 0 && errno == EAGAIN && --tries);
	if (path_fd < 0)
		return -errno;
	return reopen_regular(path_fd);
}

int proc_open_in_root(const struct proc *proc, const char *path)
{
	__cleanup(fd_closep) int root = proc_open_root(proc);

	return root < 0 ? root : file_open_in_root(root, path);
}

/*
 * Whether @fd is the file that the kernel maps as inode @ino. An overlay shows numbers of its own, and maps
 * the files beneath it: there the place where it was found has to do.
 */
static bool is_inode(int fd, uint64_t ino)
{
	struct statfs fs;
	struct stat stat;

	if (fstat(fd, &stat))
		return false;
	return stat.st_ino == ino || (!fstatfs(fd, &fs) && fs.f_type == OVERLAYFS_SUPER_MAGIC);
}

int proc_open_mapped(const struct proc *proc, const struct proc_mapped *mapped)
{
	int first = proc_open_mapping(proc, mapped->start, mapped->end), fd;

	if (first == -ENOTSUP || (first >= 0 && is_inode(first, mapped->ino)))
		return first;
	if (first >= 0) {
		close(first); /* another file lies there by now */
		first = -ESTALE;
	}
	fd = mapped->path[0] == '/' ? proc_open_in_root(proc, mapped->path) : first;
	if (fd >= 0 && !is_inode(fd, mapped->ino)) {
		close(fd);
		fd = -ESTALE;
	}
	return fd < 0 && first == -EBUSY ? first : fd;
}

int file_open_regular(const char *path)
{
	__cleanup(fd_closep) int path_fd = -1;

	path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return -errno;
	return reopen_regular(path_fd);
}
