/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another process, seen through /proc. All that is read is a stranger's input. A handle keeps a
 * descriptor of /proc/PID, so a reused pid is noticed: reads then fail with -ESRCH.
 */
#ifndef HB_REMOTE_PROCFS_H
#define HB_REMOTE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc {
	pid_t pid;
	int dir;             /* /proc/PID */
	uint64_t start_ticks; /* field 22 of stat, clock ticks since boot */
};

#define PROC_INIT { .pid = 0, .dir = -1, .start_ticks = 0 }

/*
 * Whether our pid namespace is the initial one, whose pids the kernel side sees. True as well where
 * that cannot be told.
 */
bool proc_initial_pid_namespace(void);

/* Open /proc/@pid. 0, -ESRCH, or what open gave. proc_close() takes PROC_INIT as well. */
int proc_open(struct proc *proc, pid_t pid);
void proc_close(struct proc *proc);

/*
 * Open a file below /proc/PID for reading (O_CLOEXEC). The descriptor or negative errno; -EBUSY: not now, for
 * reading it holds the address space, and gate.h tells why that may not be. Maps are read by maps_read().
 */
int proc_open_file(const struct proc *proc, const char *name);

/* All of @fd, at most @size - 1 bytes, and a NUL into @text. Their number or negative errno. */
ssize_t proc_read_text(int fd, char *text, size_t size);

/* Read a file that holds no address space: at most @size - 1 bytes and a NUL. Their number or negative errno. */
ssize_t proc_read(const struct proc *proc, const char *name, char *text, size_t size);

/* Whether the process this handle was opened for still exists (a zombie does not). */
bool proc_alive(const struct proc *proc);

/* Whether it is being killed, dumped or exits: 0, 1, -ESRCH if it has ended, or what reading stat gave. */
int proc_ends(const struct proc *proc);

/* Whether its program is one of 32 bits: 0, 1; -EBUSY: it must not be opened now (gate_why()); or negative errno. */
int proc_narrow(const struct proc *proc);

/* Whether it is a process, that is, its first thread: /proc/TID finds the others as well. */
bool proc_leads(const struct proc *proc);

/*
 * Call @each for every process that has a program; kernel threads have none. A non-zero return ends
 * the walk and is returned. 0 or negative errno.
 */
int proc_each(int (*each)(void *ctx, pid_t pid), void *ctx);

/* comm, at most @size bytes with the NUL. 0 or negative errno. */
int proc_comm(const struct proc *proc, char *comm, size_t size);

/* Wall-clock start in nanoseconds since 1970, or 0 if unknown. */
int64_t proc_start_unix_ns(const struct proc *proc);
/* The same from a CLOCK_BOOTTIME start as BPF reads it. */
int64_t proc_boottime_to_unix_ns(uint64_t boottime_ns);

/* From statm: resident bytes, and all that is mapped. 0 if unknown. */
uint64_t proc_rss_bytes(const struct proc *proc);
uint64_t proc_mapped_bytes(const struct proc *proc);

/*
 * The memory cgroup's path: the "memory" line of /proc/PID/cgroup (v1), else the "0::" line.
 * malloc'ed, or NULL.
 */
char *proc_memory_cgroup(const struct proc *proc);

/*
 * Open the file that is mapped at [start, end) of the process: through map_files, which finds
 * deleted files and other mount namespaces. Never blocks: only a regular file is opened for
 * reading. The descriptor, or negative errno (-ENOTSUP for anything but a regular file; -EBUSY as
 * proc_open_file()).
 */
int proc_open_mapping(const struct proc *proc, uint64_t start, uint64_t end);

/* A mapped file as the kernel tells of it. */
struct proc_mapped {
	uint64_t start, end;
	uint64_t ino;
	const char *path; /* as the process sees it; "" if not known */
};

/*
 * The same; if it is refused, or the process has something else there by now, the file of that path in the
 * process's root, which holds no address space, if it is the same inode. -EBUSY: refused, and not found so.
 */
int proc_open_mapped(const struct proc *proc, const struct proc_mapped *mapped);

/*
 * The process's root directory, for file_open_in_root(): a descriptor good for nothing else (O_PATH),
 * which lives on when the process ends. -ESRCH, or what open gave.
 */
int proc_open_root(const struct proc *proc);

/*
 * Open @path inside the directory @root, following no symbolic links out of it and none of procfs's
 * magic ones (openat2 RESOLVE_IN_ROOT). Only a regular file, never blocking. The descriptor, or negative
 * errno (-ENOTSUP for anything but a regular file, and for files of procfs, tracefs and their like, where
 * reading may wait or take something away).
 */
int file_open_in_root(int root, const char *path);

/* The same inside the process's root. */
int proc_open_in_root(const struct proc *proc, const char *path);

/* Open @path in our own mount namespace, in the same way but with all links. */
int file_open_regular(const char *path);

#endif
