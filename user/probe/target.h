/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes being traced: who they are, what they map, which probes they carry, and what they
 * held when they ended.
 */
#ifndef HB_PROBE_TARGET_H
#define HB_PROBE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../model/board.h"
#include "../model/process.h"
#include "../model/report.h"
#include "../model/selection.h"
#include "../symbol/addrmap.h"
#include "modules.h"
#include "session.h"

#define TARGET_ENDED_MAX 8192 /* process images kept after their end; beyond it the oldest are forgotten */

struct target;

/*
 * @follow: trace the children of traced processes too. That needs probes in every process that
 * maps the files concerned, for a child allocates before anybody could put probes into it alone;
 * without it only the given processes carry probes. @sources: a bit 1 << enum hb_source each.
 * @host_root: where the node's / is mounted, for the names of containers.
 * 0 or negative errno.
 */
int target_new(struct target **target, struct session *session, unsigned int sources, bool follow,
	       const char *host_root);
void target_free(struct target *target);

/* Probe the files that @command (already found on PATH) will map at its start, before it does. */
void target_preload(struct target *target, const char *command);

/* Trace @pid, a child of ours that has not called exec yet, from that exec on. 0 or negative errno. */
int target_expect(struct target *target, pid_t pid);

/*
 * Trace a running process from now on; after target_everything() besides its page faults. 0, -ESRCH (gone, a
 * zombie, or about to be another image), -EINVAL (a thread that is not its process's first), -ENOEXEC (it maps no
 * code: a kernel thread), or what reading or probing it gave.
 */
int target_attach(struct target *target, pid_t pid);

/* Whether target_attach() has nothing to do. */
bool target_traces(const struct target *target, pid_t pid);

/* Whether the process @pid is meant by @selection. Costs two small readings of /proc. */
bool target_is(struct target *target, pid_t pid, const struct selection *selection);

/* Look at the page faults of every process of the host, those to come included. 0 or negative errno. */
int target_everything(struct target *target);

/*
 * Keep what tracing malloc and direct memory costs a traced process below @percent of one core, by sampling the former,
 * and at the worst by taking the probes of either away for a while. For sessions whose plans change. 0 or -ENOMEM.
 */
int target_govern(struct target *target, double percent);
/* Do so now, if it is time. When to do it next, CLOCK_MONOTONIC; UINT64_MAX: never. */
uint64_t target_tick(struct target *target);
/* The changes since this was asked last, the latest @cap of them, oldest first, into @changes. Their number. */
size_t target_changes(struct target *target, struct report_change *changes, size_t cap);

/* Descriptors that poll readable when target_events() has work. */
void target_fds(const struct target *target, int fds[2]);
/* Take in what happened to the processes. */
void target_events(struct target *target);

/* Take every probe away; what was counted can still be read. */
void target_stop(struct target *target);

/* Traced processes that have not ended. */
size_t target_alive(const struct target *target);

struct target_reading {
	bool walk;         /* look at every live block: ages, and @older_ns */
	uint64_t older_ns; /* leave out blocks younger than this */
	bool last;         /* nothing will be read after this: spare the tidying up */
};

/* Read the kernel's tables into the board. 0 or negative errno. */
int target_read(struct target *target, const struct target_reading *reading);
/*
 * Between reports: make room in the kernel's tables where ended processes fill them. What is put away
 * is read as @reading says, for no later reading finds it. 0 or negative errno.
 */
int target_tidy(struct target *target, const struct target_reading *reading);
const struct board *target_board(const struct target *target);

/*
 * One record for each process image, oldest first, in a malloc'ed array (free() it; what it
 * points at lives until the next target_events()). 0 or -ENOMEM.
 */
int target_processes(struct target *target, struct process_info **processes, size_t *count);

/*
 * The container of a cgroup's path, borrowed until anything else is asked of @target; NULL: it is none's. @again:
 * also if its name was looked for in vain a moment ago.
 */
const struct container_info *target_container(struct target *target, const char *cgroup, bool again);

/*
 * The memory cgroup of the process image @gen as it was when that was looked at, borrowed likewise; NULL: not known.
 * What was only inherited is not told: whoever starts a container forks first and moves then.
 */
const char *target_cgroup(struct target *target, uint32_t gen);

/*
 * What the process image @gen holds, by the records of its page faults alone: those of pages that were found to be
 * gone at the last reading are not among them, and of no process anything is read. Where they add up to more than
 * @resident_bytes of anonymous and shared memory they are scaled down to it.
 */
struct target_held {
	struct board_row *rows; /* malloc'ed: free() it. By bytes; without frames */
	size_t count;
	uint64_t bytes;         /* of all rows of pages */
	bool scaled;
	unsigned int doubtful;  /* bit 1 << source: rows of that may be wrong, something was lost */
	uint64_t traced_ns;     /* since when its calls count, CLOCK_MONOTONIC; 0: they do not */
	char sampling[12];      /* of malloc, now: "exact", bytes, or "off"; "": its calls do not count */
	bool direct_off;        /* direct memory is not followed now */
};
/* 0, -ENOENT (the image is not known, or pages are not looked at), or another negative errno. */
int target_held(struct target *target, uint32_t gen, uint64_t resident_bytes, struct target_held *held);

/*
 * Append to @held what @gen holds by its own calls, if those are traced: rows of malloc, direct and mmap, each
 * source's by bytes. 0 or negative errno.
 */
int target_held_calls(struct target *target, uint32_t gen, struct target_held *held);

/* How the board asks for frames and containers. Frames live until the next target_read(). */
struct board_names target_names(struct target *target);

/*
 * Run @job on a thread of its own and wait for it; what the kernel says meanwhile is taken in. @job may
 * read the board and ask for names, and nothing else here is called until it is done.
 */
void target_aside(struct target *target, void (*job)(void *arg), void *arg);

/*
 * Debug files may be under way from a debuginfod server: wait at most @timeout_ms for them. Whether names
 * may be better now. For target_aside().
 */
bool target_names_wait(struct target *target, unsigned int timeout_ms);

/* How full the unwind tables are; all 0 where there are none. */
void target_unwind_fill(const struct target *target, struct unwind_fill *fill);

/* Live blocks, as the kernel's counters have it. */
uint64_t target_live_blocks(struct target *target);

/* Everything that was not counted, the kernel's and ours. */
void target_losses(struct target *target, struct losses *losses);

#endif
