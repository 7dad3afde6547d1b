/* SPDX-License-Identifier: Apache-2.0 */
/* One attachment of a program to places in a file, or in the kernel, on one rung. Owned as a file descriptor. */
#ifndef HB_PROBE_ATTACH_H
#define HB_PROBE_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In front of a system call's name: the function that makes it. */
#if defined(__x86_64__)
#define SYSCALL_PREFIX "__x64_sys_"
#elif defined(__aarch64__)
#define SYSCALL_PREFIX "__arm64_sys_"
#else
#error "heldby knows x86_64 and arm64"
#endif

/* enum bpf_attach_type, include/uapi/linux/bpf.h; newer than the headers we build with. */
#define ATTACH_UPROBE_MULTI   48 /* 6.6 */
#define ATTACH_UPROBE_SESSION 57 /* 6.13 */

/*
 * Attach @prog_fd to @count places of the regular file behind @file_fd: a link for all of them.
 * @type is one of the two above; @returns: at return instead of entry (multi only). @pid: only in
 * this process, 0: in every process that maps the file. The link's descriptor or negative errno.
 */
int attach_multi(int prog_fd, int type, bool returns, int file_fd, const uint64_t *offsets,
		 const uint64_t *cookies, size_t count, pid_t pid);

/* The same for one place through a perf event. The link's descriptor or negative errno. */
int attach_perf(int prog_fd, bool returns, int file_fd, uint64_t offset, uint64_t cookie, pid_t pid);

/*
 * To the kernel, wherever it is hit: a tracepoint by its id, a function at its entry or return, and what a
 * program of fentry and fexit was loaded for. A descriptor that ends it when closed, or negative errno.
 */
int attach_tracepoint(int prog_fd, uint64_t id);
int attach_kprobe(int prog_fd, bool returns, const char *function);
int attach_traced(int prog_fd);

/* The root of a tracefs (O_PATH), mounted or not; the id of an event there. Or negative errno. */
int attach_tracefs(void);
int64_t attach_tracepoint_id(int tracefs, const char *group, const char *name);

#endif
