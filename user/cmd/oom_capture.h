/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be taken at the moment of an OOM kill: on a thread of its own, which does nothing that waits or asks
 * for memory, for the host has none then, and the processes and cgroups that it asks about are about to go. All that it
 * writes to, and the code and stack that it takes, is in memory when captures_new() returns or a moment later: it
 * takes no page fault. It also keeps what each process and cgroup held before.
 */
#ifndef HB_CMD_OOM_CAPTURE_H
#define HB_CMD_OOM_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/history.h"
#include "../model/stuck.h"
#include "../probe/session.h"
#include "../remote/memstat.h"

#define CAPTURES_MAX 512 /* kills that wait to be told of, 30 KB each; more are counted as dropped */
#define CAPTURE_TASKS_MAX 64
#define CAPTURE_SAMPLES_MAX 120
#define CAPTURE_OTHERS_MAX 3 /* processes besides the victim whose past is told */
#define CAPTURE_PATH_BYTES 4096
#define CAPTURE_UNKNOWN UINT64_MAX
#define CAPTURE_STUCK_NS 5000000000u /* so long a cgroup may wait for room without being told of */
#define CAPTURE_SETTLES_NS 2000000000u /* so long a victim's memory is waited for: all else is said before */

/* kill.constraint: enum oom_constraint, include/linux/oom.h */
#define OOM_BY_CPUSET    1
#define OOM_BY_MEMPOLICY 2
#define OOM_BY_MEMCG     3

/* What followed a kill, as far as it was heard of: it may grow until the kill was told. */
struct capture_after {
	unsigned int marks;
	uint64_t freed_ns; /* CLOCK_MONOTONIC; 0: not heard of */
	struct hb_ev_oom_thread threads[HB_OOM_THREADS]; /* as they took the signal */
	size_t threads_count;
	bool command_told; /* by the victim, as it took the signal */
	uint32_t command_bytes, command_how; /* enum hb_oom_command */
	char command[HB_OOM_COMMAND_LEN]; /* a 0 byte behind each word */
};

struct capture {
	struct hb_ev_oom kill;
	int64_t time_unix_ns;
	struct hb_oom_task tasks[CAPTURE_TASKS_MAX]; /* of the domain, those that hold most */
	size_t tasks_count, tasks_total;
	bool trigger_inside; /* who ran into the limit is one of them */
	bool has_stat, has_host, has_nodes;
	struct memstat stat;      /* of the domain, right after the kill: the mark may have it, too */
	struct memstat_nodes nodes; /* kill.nodes and all others */
	struct memstat_host host;
	struct memstat_pressure pressure; /* in the domain's cgroup, or on the host */
	struct history_sample rss[CAPTURE_SAMPLES_MAX]; /* of the victim */
	uint64_t domain_bytes[CAPTURE_SAMPLES_MAX]; /* at the same times: of all in the domain; CAPTURE_UNKNOWN */
	size_t rss_count;
	/* Of the first of @tasks, without the victim. */
	struct history_sample others[CAPTURE_OTHERS_MAX][CAPTURE_SAMPLES_MAX];
	size_t others_count[CAPTURE_OTHERS_MAX];
	size_t asked; /* a level of the kill whose path was asked for: its name, or one above it, is not there */
	char asked_path[CAPTURE_PATH_BYTES]; /* "": not known */
	struct capture_after after; /* to others by captures_after() alone */
	bool used, handed_over;
};

struct captures;

/* Listen from now on. NULL: no memory, or no thread. */
struct captures *captures_new(struct session *session);

/* Listen no longer. What the kernel had told by then is taken in: captures_next() and the others work on. */
void captures_stop(struct captures *captures);
void captures_free(struct captures *captures);

/* Polls readable when captures_next() has one, or something settled. */
int captures_fd(const struct captures *captures);

/* The next kill that was not handed over yet, at once; NULL: none. To be given back with captures_release(). */
struct capture *captures_next(struct captures *captures);

/* Whether all that follows @capture's kill was heard of, its memory being back as the last, or enough time passed. */
bool captures_settled(struct captures *captures, const struct capture *capture, uint64_t now_ns);
/* All of it as it is now, into @after. */
void captures_after(struct captures *captures, const struct capture *capture, struct capture_after *after);
void captures_release(struct captures *captures, struct capture *capture);

/*
 * A cgroup that has waited for room for some time, its OOM killer being disabled, and was not told of yet. False:
 * none, and nothing is to be freed. @path is malloc'ed.
 */
bool captures_stuck(struct captures *captures, struct stuck_cgroup *cgroup, char **path);

/*
 * Kills that are not told of: all CAPTURES_MAX were in use, or the ring was full. Of those that no other followed it
 * is known a second or two later, and at once after captures_stop().
 */
uint64_t captures_dropped(struct captures *captures);

/* The path of level @index of a kill's cgroups into @path, from the root on. Returns it; NULL: it is not known. */
const char *capture_path(const struct capture *capture, size_t index, char *path, size_t size);

/* For capture_path(), once, while the cgroups are there. */
void capture_ask_path(struct capture *capture, const struct cgroup_mounts *mounts);

#endif
