// SPDX-License-Identifier: Apache-2.0
#include "oom_capture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/resident.h"
#include "../remote/gate.h"
#include "../remote/procfs.h"
#include "oom_ask.h"

#define SAMPLE_NS  1000000000u /* between two looks at everybody */
#define SERIES_MAX 2048        /* processes and cgroups whose past is kept */
#define EARLY_COMMANDS 32
#define EARLY_THREADS  256
#define CAPTURE_THREAD "oom-capture" /* as ps and top have it */
#define LAST_KILLS 64 /* whose threads may be marked for some time yet */

struct captures {
	struct oom_ask ask;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	struct capture *all;  /* CAPTURES_MAX */
	uint64_t dropped;     /* no room for them here */
	struct stuck stuck;
	uint64_t repeats; /* marks of those that were told of already */
	uint64_t heard, last_sequence; /* marks, and the last that counts; the ring had no room for those between */
	atomic_bool stop;
	int told;   /* eventfd: for those who listen */
	int wakes;  /* eventfd: for the thread */
	/* The thread's own. Marks that were made by its last look: their events are in the ring since, or nowhere. */
	uint64_t due_sequence;
	/* Bytes by cgroup, in the making; and whose kills were the last. */
	struct cgroup_sum { uint64_t id, bytes; } *sums;
	size_t sums_max;
	struct last { uint64_t start_ns; uint32_t tgid; } last[LAST_KILLS];
	size_t kills;
	/* Command lines whose kill was not heard of yet: the signal comes before the mark. */
	struct hb_ev_oom_after early[EARLY_COMMANDS];
	size_t commands;
	struct hb_ev_oom_thread early_threads[EARLY_THREADS]; /* likewise */
	size_t threads;
};

static void tell(const struct captures *captures)
{
	const uint64_t one = 1;

	(void)!write(captures->told, &one, sizeof(one));
}

/* --- on the thread: what everybody holds ------------------------------------------------------- */

/* Let the sum at @at sink to where no id below it is larger, in a heap of @count. */
static void sink(struct cgroup_sum *sums, size_t at, size_t count)
{
	const struct cgroup_sum sum = sums[at];

	for (size_t below; (below = 2 * at + 1) < count; at = below) {
		if (below + 1 < count && sums[below + 1].id > sums[below].id)
			below++;
		if (sums[below].id <= sum.id)
			break;
		sums[at] = sums[below];
	}
	sums[at] = sum;
}

/* In place: qsort() asks for memory. */
static void sort_by_id(struct cgroup_sum *sums, size_t count)
{
	for (size_t at = count / 2; at-- > 0;)
		sink(sums, at, count);
	for (size_t last = count; last-- > 1;) {
		const struct cgroup_sum sum = sums[last];

		sums[last] = sums[0];
		sums[0] = sum;
		sink(sums, 0, last);
	}
}

static void add_cgroups(struct captures *captures, size_t count)
{
	struct cgroup_sum *sums = captures->sums;

	sort_by_id(sums, count);
	for (size_t i = 0, next; i < count; i = next) {
		uint64_t bytes = 0;

		for (next = i; next < count && sums[next].id == sums[i].id; next++)
			bytes += sums[next].bytes;
		history_add(captures->ask.history, HISTORY_CGROUP, sums[i].id, 0, bytes);
	}
}

static void add_stuck(struct captures *captures, const struct hb_oom_task *tasks, size_t count)
{
	pthread_mutex_lock(&captures->lock);
	stuck_begin(&captures->stuck, clock_mono_ns());
	for (size_t i = 0; i < count; i++) {
		if (tasks[i].stuck)
			stuck_add(&captures->stuck, tasks[i].stuck, tasks[i].tgid);
	}
	stuck_end(&captures->stuck);
	pthread_mutex_unlock(&captures->lock);
}

static void sample(struct captures *captures)
{
	const struct hb_oom_task *tasks;
	size_t count, n = 0;

	if (session_oom_tasks(captures->ask.session, 0, &tasks, &count) == -EOPNOTSUPP)
		return;
	history_begin(captures->ask.history, clock_mono_ns());
	add_stuck(captures, tasks, count);
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = oom_ask_bytes(&captures->ask, &tasks[i]);

		if (!tasks[i].has_mm)
			continue;
		history_add(captures->ask.history, HISTORY_PROCESS, tasks[i].tgid, tasks[i].start_ns, bytes);
		if (n < captures->sums_max)
			captures->sums[n++] = (struct cgroup_sum){ tasks[i].cgroup, bytes };
	}
	add_cgroups(captures, n);
	history_end(captures->ask.history);
}

/* --- on the thread: a kill --------------------------------------------------------------------- */

static struct capture *find(struct captures *captures, uint32_t tgid, uint64_t start_ns, uint64_t mm)
{
	for (size_t i = 0; i < CAPTURES_MAX; i++) {
		struct capture *capture = &captures->all[i];

		if (capture->used && capture->kill.tgid == tgid &&
		    (start_ns ? capture->kill.start_ns == start_ns : capture->kill.mm == mm))
			return capture;
	}
	return NULL;
}

static struct capture *unused(struct captures *captures)
{
	for (size_t i = 0; i < CAPTURES_MAX; i++) {
		if (!captures->all[i].used)
			return &captures->all[i];
	}
	return NULL;
}

static void take_command(struct capture *capture, const struct hb_ev_oom_after *after)
{
	const bool whole = capture->after.command_told && capture->after.command_how == HB_OOM_COMMAND_WHOLE;

	capture->after.command_told = true;
	if (whole || (!after->bytes && capture->after.command_bytes))
		return; /* another thread told more, or what was noted is more */
	capture->after.command_bytes = after->bytes;
	capture->after.command_how = after->how;
	memcpy(capture->after.command, after->text, after->bytes);
}

static void take_early_command(struct captures *captures, struct capture *capture)
{
	for (size_t i = 0; i < EARLY_COMMANDS; i++) {
		const struct hb_ev_oom_after *after = &captures->early[i];

		if (after->tgid == capture->kill.tgid && after->start_ns == capture->kill.start_ns)
			take_command(capture, after);
	}
}

static void take_thread(struct capture *capture, const struct hb_ev_oom_thread *thread)
{
	if (capture->after.threads_count == HB_OOM_THREADS)
		return;
	capture->after.threads[capture->after.threads_count] = *thread;
	capture->after.threads_count++;
}

static void take_early_threads(struct captures *captures, struct capture *capture)
{
	const size_t end = captures->threads, kept = end < EARLY_THREADS ? end : EARLY_THREADS;

	for (size_t i = end - kept; i < end; i++) {
		const struct hb_ev_oom_thread *thread = &captures->early_threads[i % EARLY_THREADS];

		if (thread->tgid == capture->kill.tgid && thread->start_ns == capture->kill.start_ns)
			take_thread(capture, thread);
	}
}

/* Threads of a victim that run into the limit once more, as they die, are marked as well. */
static bool marked_before(struct captures *captures, const struct hb_ev_oom *kill)
{
	struct capture *capture = find(captures, kill->tgid, kill->start_ns, 0);

	if (capture)
		capture->after.marks++;
	for (size_t i = 0; i < LAST_KILLS && !capture; i++) {
		if (captures->last[i].tgid == kill->tgid && captures->last[i].start_ns == kill->start_ns)
			return true; /* it was told of already */
	}
	return capture;
}

/* @bytes: of @kill, which ends behind its last level. */
static void on_kill(struct captures *captures, const struct hb_ev_oom *kill, size_t bytes)
{
	struct capture *capture;

	gate_mark((pid_t)kill->tgid); /* first of all: whoever reads it now stops */
	pthread_mutex_lock(&captures->lock);
	captures->heard++;
	if (kill->sequence > captures->last_sequence)
		captures->last_sequence = kill->sequence;
	if (kill->start_ns && marked_before(captures, kill)) {
		captures->repeats++;
		pthread_mutex_unlock(&captures->lock);
		return;
	}
	captures->last[captures->kills++ % LAST_KILLS] = (struct last){ kill->start_ns, kill->tgid };
	capture = unused(captures);
	captures->dropped += !capture;
	pthread_mutex_unlock(&captures->lock);
	if (!capture)
		return;
	memset(capture, 0, offsetof(struct capture, after.command));
	memcpy(&capture->kill, kill, bytes < sizeof(*kill) ? bytes : sizeof(*kill));
	capture->kill.sequence -= captures->repeats; /* of kills, not of marks; what was not heard of leaves its gap */
	capture->after.marks = 1;
	oom_ask(&captures->ask, capture);
	take_early_command(captures, capture);
	take_early_threads(captures, capture);
	pthread_mutex_lock(&captures->lock);
	capture->handed_over = false;
	capture->used = true;
	pthread_mutex_unlock(&captures->lock);
	tell(captures);
}

static void on_after(struct captures *captures, const struct hb_ev_oom_after *after, size_t bytes)
{
	const bool command = after->what == HB_OOM_COMMAND && bytes >= sizeof(*after) &&
			     after->bytes <= HB_OOM_COMMAND_LEN && after->how <= HB_OOM_COMMAND_EARLIER;
	struct capture *capture;

	pthread_mutex_lock(&captures->lock);
	capture = find(captures, after->tgid, after->start_ns, after->mm);
	if (capture && after->what == HB_OOM_FREED)
		capture->after.freed_ns = after->time_ns;
	if (capture && command)
		take_command(capture, after);
	else if (command)
		captures->early[captures->commands++ % EARLY_COMMANDS] = *after;
	pthread_mutex_unlock(&captures->lock);
	if (capture && after->what == HB_OOM_FREED)
		tell(captures);
}

static void on_thread(struct captures *captures, const struct hb_ev_oom_thread *thread)
{
	struct capture *capture;

	pthread_mutex_lock(&captures->lock);
	capture = find(captures, thread->tgid, thread->start_ns, 0);
	if (capture)
		take_thread(capture, thread);
	else
		captures->early_threads[captures->threads++ % EARLY_THREADS] = *thread;
	pthread_mutex_unlock(&captures->lock);
}

/* Whether all levels that it speaks of are there. */
static bool is_kill(const struct hb_ev_oom *kill, size_t bytes)
{
	const size_t levels = offsetof(struct hb_ev_oom, levels);

	return bytes >= levels && kill->levels_count <= (bytes - levels) / sizeof(kill->levels[0]);
}

static void on_event(void *ctx, const void *event, size_t bytes)
{
	uint32_t kind;

	if (bytes < sizeof(kind))
		return;
	memcpy(&kind, event, sizeof(kind));
	if (kind == HB_EV_OOM && is_kill(event, bytes))
		on_kill(ctx, event, bytes);
	else if (kind == HB_EV_OOM_AFTER && bytes >= offsetof(struct hb_ev_oom_after, text))
		on_after(ctx, event, bytes);
	else if (kind == HB_EV_OOM_THREAD && bytes >= sizeof(struct hb_ev_oom_thread))
		on_thread(ctx, event);
}

/*
 * A record that is heard of shows the gap before it; this shows the one at the end, when a storm is over. Marks of the
 * last look were to be heard of by now: all that were in the ring have been.
 */
static void look_for_gap(struct captures *captures)
{
	pthread_mutex_lock(&captures->lock);
	if (captures->due_sequence > captures->last_sequence)
		captures->last_sequence = captures->due_sequence;
	pthread_mutex_unlock(&captures->lock);
	captures->due_sequence = session_oom_sequence(captures->ask.session);
}

static void *listen(void *arg)
{
	struct captures *captures = arg;
	struct pollfd polled[2] = { { .fd = session_oom_fd(captures->ask.session), .events = POLLIN },
				    { .fd = captures->wakes, .events = POLLIN } };
	uint64_t next_ns = clock_mono_ns();

	oom_ask_rehearse(&captures->ask, captures->all);
	while (!captures->stop) {
		uint64_t now_ns = clock_mono_ns();
		bool looks = now_ns >= next_ns;

		if (looks) {
			sample(captures);
			next_ns = now_ns + SAMPLE_NS;
		}
		poll(polled, 2, (int)((next_ns - now_ns) / 1000000) + 1);
		session_oom_events(captures->ask.session, on_event, captures);
		if (looks)
			look_for_gap(captures);
	}
	return NULL;
}

/* --- for the others ---------------------------------------------------------------------------- */

static int start(struct captures *captures)
{
	sigset_t all, old;
	int err;

	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&captures->thread, NULL, listen, captures);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(captures->thread, CAPTURE_THREAD);
	return err;
}

static void take_memory(struct captures *captures)
{
	resident_make(captures, sizeof(*captures));
	resident_make(captures->all, CAPTURES_MAX * sizeof(*captures->all));
	resident_make(captures->sums, captures->sums_max * sizeof(*captures->sums));
	history_take(captures->ask.history);
}

struct captures *captures_new(struct session *session)
{
	struct captures *captures = calloc(1, sizeof(*captures));

	if (!captures)
		return NULL;
	captures->ask.session = session;
	captures->ask.mounts = (struct cgroup_mounts)CGROUP_MOUNTS_INIT;
	cgroup_mounts_find(&captures->ask.mounts, "/proc/self/mountinfo", true); /* without: no memory.stat */
	captures->ask.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	captures->sums_max = 1u << 16;
	captures->ask.history = history_new(SERIES_MAX);
	captures->all = calloc(CAPTURES_MAX, sizeof(*captures->all));
	captures->sums = calloc(captures->sums_max, sizeof(*captures->sums));
	captures->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	captures->wakes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&captures->lock, NULL);
	gate_mark(0); /* while there is memory to make it */
	if (captures->ask.history && captures->all && captures->sums && captures->told >= 0 && captures->wakes >= 0) {
		take_memory(captures);
		if (!start(captures))
			return captures;
	}
	captures->stop = true; /* there is no thread */
	captures_free(captures);
	return NULL;
}

void captures_stop(struct captures *captures)
{
	const struct timespec under_way = { .tv_nsec = 10000000 }; /* a mark takes some 30 us */
	const uint64_t one = 1;

	if (captures->stop)
		return;
	captures->stop = true;
	(void)!write(captures->wakes, &one, sizeof(one));
	pthread_join(captures->thread, NULL);
	captures->due_sequence = session_oom_sequence(captures->ask.session);
	nanosleep(&under_way, NULL);
	session_oom_events(captures->ask.session, on_event, captures);
	look_for_gap(captures);
}

void captures_free(struct captures *captures)
{
	if (!captures)
		return;
	captures_stop(captures);
	if (captures->told >= 0)
		close(captures->told);
	if (captures->wakes >= 0)
		close(captures->wakes);
	pthread_mutex_destroy(&captures->lock);
	cgroup_mounts_release(&captures->ask.mounts);
	history_free(captures->ask.history);
	free(captures->sums);
	free(captures->all);
	free(captures);
}

int captures_fd(const struct captures *captures)
{
	return captures->told;
}

struct capture *captures_next(struct captures *captures)
{
	struct capture *first = NULL;
	uint64_t told;

	(void)!read(captures->told, &told, sizeof(told));
	pthread_mutex_lock(&captures->lock);
	for (size_t i = 0; i < CAPTURES_MAX; i++) {
		struct capture *capture = &captures->all[i];

		if (capture->used && !capture->handed_over &&
		    (!first || capture->kill.sequence < first->kill.sequence))
			first = capture;
	}
	if (first)
		first->handed_over = true;
	pthread_mutex_unlock(&captures->lock);
	return first;
}

bool captures_settled(struct captures *captures, const struct capture *capture, uint64_t now_ns)
{
	bool settled;

	pthread_mutex_lock(&captures->lock);
	settled = capture->after.freed_ns || now_ns - capture->kill.time_ns >= CAPTURE_SETTLES_NS;
	pthread_mutex_unlock(&captures->lock);
	return settled;
}

void captures_after(struct captures *captures, const struct capture *capture, struct capture_after *after)
{
	pthread_mutex_lock(&captures->lock);
	*after = capture->after;
	pthread_mutex_unlock(&captures->lock);
}

void captures_release(struct captures *captures, struct capture *capture)
{
	pthread_mutex_lock(&captures->lock);
	capture->used = false;
	pthread_mutex_unlock(&captures->lock);
}

/* Cut @path to the cgroup @id, which is that or above it. */
static void cut_to(const struct cgroup_mount *mount, char *path, uint64_t id)
{
	bool found = false;

	for (size_t length = strlen(path); length > 1 && !found;) {
		int dir = cgroup_open(mount, path);
		struct stat stat;

		found = dir >= 0 && !fstat(dir, &stat) && stat.st_ino == id;
		if (dir >= 0)
			close(dir);
		while (!found && length > 1 && path[--length] != '/')
			;
		if (!found)
			path[length > 1 ? length : 1] = '\0';
	}
}

bool captures_stuck(struct captures *captures, struct stuck_cgroup *cgroup, char **path)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	bool found;

	pthread_mutex_lock(&captures->lock);
	found = stuck_next(&captures->stuck, CAPTURE_STUCK_NS, cgroup);
	pthread_mutex_unlock(&captures->lock);
	if (!found || proc_open(&proc, (pid_t)cgroup->pid))
		return false;
	*path = proc_memory_cgroup(&proc);
	if (!*path)
		return false;
	cut_to(&captures->ask.mounts.of[CGROUP_V1], *path, cgroup->id);
	if (memstat_oom_disabled(&captures->ask.mounts, *path))
		return true;
	free(*path);
	return false;
}

uint64_t captures_dropped(struct captures *captures)
{
	uint64_t dropped;

	pthread_mutex_lock(&captures->lock);
	dropped = captures->dropped + captures->last_sequence - captures->heard;
	pthread_mutex_unlock(&captures->lock);
	return dropped;
}
