// SPDX-License-Identifier: Apache-2.0
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "cgroup.h"

#define CGROUP_BYTES  (64u << 10) /* of /proc/PID/cgroup: a dozen paths of PATH_MAX at most */
#define MEMINFO_BYTES 4096        /* what is read of it stands in its first lines */
#define ROWS          64          /* cgroups whose limits are kept; 100 KiB */
#define MARKS         64
#define LIMITS_NS     100000000ull /* how old limits may be; how much is used is read each time */
#define HOST_NS       10000000ull  /* and what is available to all, in which 3 GB/s take 30 MB */

/* The limits above one cgroup. */
struct row {
	char *path; /* NULL: free */
	enum cgroup_kind kind;
	uint64_t read_ns;
	size_t count;
	struct cgroup_level levels[CGROUP_LEVELS_MAX];
};

struct mark {
	pid_t pid; /* 0: none yet */
	uint64_t cgroup; /* hash of its path; 0: not known */
	uint64_t time_ns;
};

struct gate {
	pthread_mutex_t lock;
	struct cgroup_mounts mounts;
	char *meminfo;
	struct row rows[ROWS]; /* by hash; another of the same hash takes the place */
	struct mark marks[MARKS]; /* a ring */
	size_t marked;
	uint64_t host_ns; /* when it was read; 0: never */
	bool host_near;
	char text[CGROUP_BYTES];
};

struct gate *gate_new(const struct gate_files *files)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	pthread_mutex_init(&gate->lock, NULL);
	gate->meminfo = strdup(files->meminfo);
	if (gate->meminfo && cgroup_mounts_find(&gate->mounts, files->mountinfo, files->genuine) != -ENOMEM)
		return gate;
	gate_free(gate);
	return NULL;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	for (size_t i = 0; i < ROWS; i++)
		free(gate->rows[i].path);
	cgroup_mounts_release(&gate->mounts);
	pthread_mutex_destroy(&gate->lock);
	free(gate->meminfo);
	free(gate);
}

/* FNV-1a. */
static uint64_t hash_path(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3ull;
	return hash;
}

/* The memory cgroup of @proc, borrowed from @gate; NULL if it has none, *@err is why it cannot be told. */
static const char *cgroup_of(struct gate *gate, const struct proc *proc, enum cgroup_kind *kind, int *err)
{
	ssize_t got = proc_read(proc, "cgroup", gate->text, sizeof(gate->text));

	*err = got < 0 && got != -ENOENT ? (int)got : 0;
	return got < 0 ? NULL : cgroup_memory_path(gate->text, kind);
}

/* The limits above @path; NULL if memory is short. */
static const struct row *row_of(struct gate *gate, enum cgroup_kind kind, const char *path, uint64_t now_ns)
{
	struct row *row = &gate->rows[hash_path(path) % ROWS];
	const bool same = row->path && row->kind == kind && !strcmp(row->path, path);

	if (same && now_ns - row->read_ns < LIMITS_NS)
		return row;
	if (!same) {
		free(row->path);
		row->path = strdup(path);
		if (!row->path)
			return NULL;
		row->kind = kind;
	}
	row->count = cgroup_levels(&gate->mounts.of[kind], kind, path, row->levels);
	row->read_ns = now_ns;
	return row;
}

static bool cgroups_near(struct gate *gate, enum cgroup_kind kind, const char *path, uint64_t now_ns)
{
	const struct row *row = row_of(gate, kind, path, now_ns);

	if (!row)
		return true;
	for (size_t i = 0; i < row->count; i++) {
		if (cgroup_is_near(&gate->mounts.of[kind], kind, path, &row->levels[i]))
			return true;
	}
	return false;
}

/* The number behind @name ("MemTotal:") of @text. */
static bool meminfo_value(const char *text, const char *name, uint64_t *kilobytes)
{
	const char *at = strstr(text, name);

	return at && sscanf(at + strlen(name), "%" SCNu64, kilobytes) == 1;
}

static bool read_host_near(const char *meminfo)
{
	__cleanup(fd_closep) int fd = open(meminfo, O_RDONLY | O_CLOEXEC);
	uint64_t total, available;
	char text[MEMINFO_BYTES];
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (got <= 0)
		return false;
	text[got] = '\0';
	return meminfo_value(text, "MemTotal:", &total) && meminfo_value(text, "MemAvailable:", &available) &&
	       cgroup_near(total > available ? total - available : 0, total);
}

static bool host_near(struct gate *gate, uint64_t now_ns)
{
	if (!gate->host_ns || now_ns - gate->host_ns >= HOST_NS) {
		gate->host_near = read_host_near(gate->meminfo);
		gate->host_ns = now_ns;
	}
	return gate->host_near;
}

static bool is_marked(const struct gate *gate, pid_t pid, uint64_t cgroup, uint64_t now_ns)
{
	for (size_t i = 0; i < MARKS; i++) {
		const struct mark *mark = &gate->marks[i];

		if (mark->pid && now_ns - mark->time_ns <= GATE_MARK_NS &&
		    (mark->pid == pid || (cgroup && mark->cgroup == cgroup)))
			return true;
	}
	return false;
}

/* What is safe to read at any time comes first: stat holds the address space too, if but for microseconds. */
static int check(struct gate *gate, const struct proc *proc, uint64_t now_ns)
{
	enum cgroup_kind kind = CGROUP_V1;
	const char *path;
	int err;

	if (is_marked(gate, proc->pid, 0, now_ns))
		return GATE_MARKED;
	path = cgroup_of(gate, proc, &kind, &err);
	if (err)
		return err;
	if (path && is_marked(gate, 0, hash_path(path), now_ns))
		return GATE_MARKED;
	if (path && cgroups_near(gate, kind, path, now_ns))
		return GATE_CGROUP;
	if (host_near(gate, now_ns))
		return GATE_HOST;
	err = proc_ends(proc);
	return err == 1 ? GATE_ENDS : err;
}

int gate_check(struct gate *gate, const struct proc *proc, uint64_t now_ns)
{
	int answer;

	pthread_mutex_lock(&gate->lock);
	answer = check(gate, proc, now_ns);
	pthread_mutex_unlock(&gate->lock);
	return answer;
}

void gate_close(struct gate *gate, const struct proc *proc, uint64_t now_ns)
{
	enum cgroup_kind kind;
	struct mark *mark;
	const char *path;
	int err;

	pthread_mutex_lock(&gate->lock);
	path = cgroup_of(gate, proc, &kind, &err);
	mark = &gate->marks[gate->marked++ % MARKS];
	*mark = (struct mark){ .pid = proc->pid, .cgroup = path ? hash_path(path) : 0, .time_ns = now_ns };
	pthread_mutex_unlock(&gate->lock);
}

/* --- the one gate of this program --- */

static struct gate *the_gate;
static pthread_once_t the_once = PTHREAD_ONCE_INIT;
static _Thread_local enum gate_answer last_answer;

static void make_gate(void)
{
	static const struct gate_files files = {
		.mountinfo = "/proc/self/mountinfo", .meminfo = "/proc/meminfo", .genuine = true,
	};

	the_gate = gate_new(&files);
}

int gate_ask(const struct proc *proc)
{
	int answer = GATE_HOST;

	pthread_once(&the_once, make_gate);
	if (the_gate)
		answer = gate_check(the_gate, proc, clock_mono_ns());
	if (answer <= 0)
		return answer;
	last_answer = (enum gate_answer)answer;
	return -EBUSY;
}

const char *gate_why(void)
{
	static const char *const why[] = {
		[GATE_OPEN] = "it may be read",
		[GATE_CGROUP] = "its memory cgroup is within 5 % of its limit, where a look at the process can get "
				"another one killed",
		[GATE_HOST] = "less than 5 % of the host's memory is available, and a look at the process can get "
			      "another one killed",
		[GATE_MARKED] = "the kernel has just killed for want of memory, it or one of its cgroup",
		[GATE_ENDS] = "it is ending",
	};

	return why[last_answer];
}

void gate_mark(pid_t pid)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc.pid = pid;
	proc.dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC); /* not by proc_open(), which reads stat */
	pthread_once(&the_once, make_gate);
	if (the_gate)
		gate_close(the_gate, &proc, clock_mono_ns());
}

uint64_t gate_held_ns(uint64_t began_ns)
{
	const uint64_t took_ns = clock_mono_ns() - began_ns;

	return took_ns < GATE_HELD_MAX_NS ? took_ns : GATE_HELD_MAX_NS;
}
