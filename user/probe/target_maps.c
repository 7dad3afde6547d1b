// SPDX-License-Identifier: Apache-2.0
/*
 * What the processes map: the events of the kernel side, and the kernel's own list where they do not
 * suffice. The kernel's count of mapped pages tells when that is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../remote/gate.h"
#include "../remote/maps.h"
#include "../remote/procfs.h"
#include "events.h"
#include "target_private.h"

#define RECENT_MAX   (1u << 16) /* changes that are kept, 6 MiB at the most */
#define RECENT_NS    200000000u /* and for how long */
#define OVERLAP_NS   50000000u  /* how long before a reading a call may have begun that it does not show */
#define READINGS_MAX 3          /* of one process for one report */
#define THREADS_MAX  256        /* that are told apart in what happened around a reading */

/* Changes of mappings, as they came: where they were made around a reading, it does not count. */
struct recent {
	struct hb_ev_map *events; /* a ring */
	size_t first, count;
	uint64_t left_out_ns; /* the time of the last that was dropped */
	uint64_t reading_ns;  /* when the last reading of a list began; UINT64_MAX: it is taken over */
	uint64_t pending_ns;  /* when the earliest ended that may not be taken over; UINT64_MAX: there is none */
};

struct recent *recent_new(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	if (!recent)
		return NULL;
	recent->events = calloc(RECENT_MAX, sizeof(*recent->events));
	recent->reading_ns = recent->pending_ns = UINT64_MAX;
	if (recent->events)
		return recent;
	free(recent);
	return NULL;
}

void recent_free(struct recent *recent)
{
	if (!recent)
		return;
	free(recent->events);
	free(recent);
}

static struct hb_ev_map *recent_at(struct recent *recent, size_t i)
{
	return &recent->events[(recent->first + i) % RECENT_MAX];
}

static void recent_drop(struct recent *recent)
{
	recent->left_out_ns = recent_at(recent, 0)->time_ns;
	recent->first = (recent->first + 1) % RECENT_MAX;
	recent->count--;
}

static void recent_keep(struct recent *recent, const struct hb_ev_map *event)
{
	while (recent->count && recent_at(recent, 0)->time_ns + RECENT_NS < event->time_ns &&
	       recent_at(recent, 0)->time_ns + OVERLAP_NS < recent->reading_ns)
		recent_drop(recent);
	if (recent->count == RECENT_MAX)
		recent_drop(recent);
	*recent_at(recent, recent->count++) = *event;
}

/* Whether @process is a 32-bit program, of which only hooks of their own tell; where it may not be looked at, later. */
static void ask_narrow(struct process *process)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	const int answer = proc_open(&proc, process->pid) ? 0 : proc_narrow(&proc);

	process->narrow = answer == 1;
	process->narrow_unknown = answer == -EBUSY;
}

/* Have the hooks for 32-bit programs in place while there are any. */
static void watch_narrow(struct target *target)
{
	struct process *process;
	bool wanted = false;
	int err;

	for (process = target->newest; process && !wanted; process = process->older) {
		if (!process->mappings || process->exited)
			continue;
		if (process->narrow_unknown)
			ask_narrow(process);
		wanted = process->narrow;
	}
	err = session_watch_narrow(target->session, wanted);
	if (err && !target->narrow_refused)
		log_info("calls of 32-bit programs are not seen (%s): their mappings are read for each report",
			 strerror(-err));
	target->narrow_refused = err;
}

void target_maps_begin(struct target *target, struct process *process, const struct process *parent)
{
	if (!target->recent || !target_counts(target, process))
		return;
	process->mappings = vma_new((uint64_t)sysconf(_SC_PAGESIZE));
	process->mappings_stale = true;
	process->mappings_doubtful = true;
	if (!process->mappings)
		return;
	if (parent) {
		process->narrow = parent->narrow;
		process->narrow_unknown = parent->narrow_unknown;
	} else {
		ask_narrow(process);
	}
	if (process->narrow && !parent)
		watch_narrow(target);
	if (parent && parent->mappings && !vma_copy(process->mappings, parent->mappings))
		process->mappings_stale = parent->mappings_stale || parent->mappings_doubtful;
	process->mappings_doubtful = process->mappings_stale;
	if (process->mappings_stale)
		target_maps_read(target, process); /* it may end before the first report */
}

/* Who maps inside an allocator's call that no probe sees is told by its stack. */
static void find_owner(struct target *target, const struct process *process, struct hb_ev_map *event)
{
	struct kept_stack *kept;

	if ((event->marks & HB_MAP_OWNED) || event->stack == HB_STACK_NONE)
		return;
	kept = naming_stack(target, event->stack);
	if (kept && naming_allocates(target, process, kept))
		event->marks |= HB_MAP_OWNED;
}

struct lines {
	struct vma_line *lines;
	size_t count, cap;
};

static int add_line(void *ctx, const struct map_line *line)
{
	struct lines *lines = ctx;

	if (!strcmp(line->path, "[vsyscall]"))
		return 0; /* in every process, at an address of the kernel's: no mapping of its own */
	if (lines->count == lines->cap) {
		size_t cap = lines->cap ? 2 * lines->cap : 256;
		void *grown = reallocarray(lines->lines, cap, sizeof(*lines->lines));

		if (!grown)
			return -ENOMEM;
		lines->lines = grown;
		lines->cap = cap;
	}
	lines->lines[lines->count++] = (struct vma_line){
		.start = line->start,
		.end = line->end,
		.prot = (line->read ? PROT_READ : 0) | (line->write ? PROT_WRITE : 0) | (line->exec ? PROT_EXEC : 0),
		.stack = !strcmp(line->path, "[stack]"),
		.heap = !strcmp(line->path, "[heap]"),
	};
	return 0;
}

/*
 * Whether the list can be of @process's image: it may have become another by exec since. Addresses differ, but of
 * programs that are linked to one.
 */
static bool recognized(const struct process *process, const struct lines *lines)
{
	const struct addrmap *map = &process->now.map;

	for (size_t i = 0; i < lines->count; i++) {
		if (addrmap_overlap(map, lines->lines[i].start, lines->lines[i].end))
			return true;
	}
	return lines->count && !map->count; /* no lines: it has ended */
}

/*
 * From /proc/PID/maps, not by an iterator of BPF (iter/task_vma of one process, 6.1+). That costs us half of the time,
 * but leaves out what is mapped: a piece goes on where the mapping ended that had no room in the one before, and what
 * was split off its front meanwhile is in neither (59 of 200 lists of a program that only changes protections lacked
 * something; of 60 by /proc none). Nor does it end: asked for more than there is, it lists the last of it again. Until
 * 6.1.8 a process that exits while it is listed can take the kernel down. And it holds the address space by its lock,
 * which /proc needs no more from 6.17 on: there a thread that maps all the time while its list is read all the time
 * gets a fifth of its calls done.
 */
int target_maps_read(struct target *target, struct process *process)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	struct lines lines = { 0 };
	const uint64_t began_ns = clock_mono_ns();
	uint64_t held_ns = 0;
	int err;

	if (!process->mappings)
		return 0;
	err = proc_open(&proc, process->pid);
	if (err)
		return err;
	err = maps_read_held(&proc, add_line, &lines, &held_ns);
	duty_add(&process->duty, clock_mono_ns(), held_ns);
	target->put_off += err == -EBUSY;
	if (!err && !recognized(process, &lines))
		err = -ESRCH;
	if (err) {
		free(lines.lines);
		return err;
	}
	free(process->list);
	process->list = lines.lines;
	process->list_count = lines.count;
	process->list_ns = began_ns;
	process->list_end_ns = clock_mono_ns();
	target->recent->reading_ns = began_ns;
	if (target->recent->pending_ns > process->list_end_ns)
		target->recent->pending_ns = process->list_end_ns;
	return 0;
}

/* Threads whose latest change has been seen. */
struct threads {
	uint32_t tids[THREADS_MAX];
	size_t count;
};

/* Whether @tid is new to @threads; beyond THREADS_MAX all are. */
static bool first_of(struct threads *threads, uint32_t tid)
{
	for (size_t i = 0; i < threads->count; i++) {
		if (threads->tids[i] == tid)
			return false;
	}
	if (threads->count < THREADS_MAX)
		threads->tids[threads->count++] = tid;
	return true;
}

/*
 * Whether @event may have done its work while a list was read that began at @list_ns. What is sent as a call begins
 * may do so later: if it is not among the @done, whose threads went on to something else before the reading.
 */
static bool is_around(const struct hb_ev_map *event, uint64_t list_ns, struct threads *done)
{
	if (event->time_ns >= list_ns)
		return true;
	if (!first_of(done, event->tid))
		return false;
	return (event->op == HB_MAP_REMOVE || event->op == HB_MAP_DETACH) && event->time_ns + OVERLAP_NS >= list_ns;
}

/* Of @process, in the order of their times, in a malloc'ed array of @count. NULL: memory is short. */
static struct hb_ev_map *events_around(struct target *target, const struct process *process, size_t *count)
{
	struct recent *recent = target->recent;
	struct hb_ev_map *events = calloc(recent->count + 1, sizeof(*events));
	struct threads done = { 0 };
	size_t first = recent->count;

	for (size_t i = recent->count; events && i-- > 0;) {
		const struct hb_ev_map *event = recent_at(recent, i);

		if (event->gen == process->gen && is_around(event, process->list_ns, &done))
			events[--first] = *event;
	}
	*count = recent->count - first;
	if (events)
		memmove(events, events + first, *count * sizeof(*events));
	return events;
}

int target_maps_settle(struct target *target, struct process *process)
{
	struct vma_around around = { .untrue = process->mappings_stale };
	struct hb_ev_map *events;
	int err;

	if (!process->list)
		return 0;
	events = events_around(target, process, &around.count);
	around.events = events;
	/* A mremap that began before something was lost may have ended, if it is long ago. */
	around.lost_ns = process->list_ns < OVERLAP_NS ? 0 : process->list_ns - OVERLAP_NS;
	if (around.lost_ns > process->mappings_lost_ns)
		around.lost_ns = process->mappings_lost_ns;
	err = events ? vma_follow(process->mappings, process->list, process->list_count, &around) : -ENOMEM;
	free(events);
	free(process->list);
	process->list = NULL;
	if (process->list_ns == target->recent->reading_ns)
		target->recent->reading_ns = UINT64_MAX;
	if (err < 0)
		return err;
	process->mappings_stale = process->mappings_unclear_ns >= process->list_ns || (err && around.untrue);
	process->mappings_doubtful = err || target->recent->left_out_ns + OVERLAP_NS >= process->list_ns;
	return 0;
}

/* Take over the lists that ended before @time_ns, for all events before that have come. */
static void settle_until(struct target *target, uint64_t time_ns)
{
	struct recent *recent = target->recent;

	if (recent->pending_ns > time_ns)
		return;
	recent->pending_ns = UINT64_MAX;
	for (struct process *process = target->newest; process; process = process->older) {
		if (process->list && process->list_end_ns <= time_ns)
			target_maps_settle(target, process); /* what fails is told with the next report */
		else if (process->list && process->list_end_ns < recent->pending_ns)
			recent->pending_ns = process->list_end_ns;
	}
}

void target_maps_event(struct target *target, const struct hb_ev_map *from)
{
	struct process *process = target_process(target, from->gen);
	struct hb_ev_map event = *from;
	uint64_t odd;

	settle_until(target, from->time_ns);
	if (!process || !process->mappings)
		return;
	process->maps_seen++;
	target->maps_seen++;
	find_owner(target, process, &event);
	odd = vma_odd(process->mappings);
	if (vma_apply(process->mappings, &event)) {
		process->mappings_stale = true;
		process->mappings_unclear_ns = event.time_ns;
	}
	target->maps_odd += vma_odd(process->mappings) - odd;
	recent_keep(target->recent, &event);
}

/* Whether what we know of @process is as much as the kernel counts. */
static bool agrees(const struct process *process)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	struct vma_sums sums;

	if (process->mappings_stale || proc_open(&proc, process->pid))
		return false;
	vma_sums(process->mappings, &sums);
	return sums.mapped_bytes == proc_mapped_bytes(&proc);
}

/* Events that have not come, of whatever process. */
static uint64_t drops(struct target *target)
{
	struct losses losses = { 0 };

	session_losses(target->session, &losses);
	return losses.counts[HB_CNT_MAP_RING_FULL] + losses.counts[HB_CNT_TASK_STORAGE] + losses.counts[LOSS_RECURSION];
}

/*
 * A process that maps all the time never agrees, for its last changes have not come yet: it is read once,
 * and again only if that did not suffice. Where events were @dropped just now, those around the reading may be
 * among them.
 */
static void check(struct target *target, struct process *process, bool dropped)
{
	target_maps_settle(target, process);
	if (dropped) {
		vma_lost(process->mappings);
		process->mappings_stale = true;
		process->mappings_lost_ns = clock_mono_ns();
	}
	if (agrees(process)) {
		process->mappings_doubtful = false;
		return;
	}
	if (!target_may_hold(target, process)) {
		process->mappings_doubtful = true; /* until a later report reads it */
		return;
	}
	for (int i = 0; i < READINGS_MAX; i++) {
		int err = target_maps_read(target, process);

		target->maps_read_anew += !err;
		target_events(target); /* from while it was read, or a mremap loses its owner */
		err = err ? err : process->exited ? 0 : target_maps_settle(target, process);
		if (err) {
			log_debug("process %u: its mappings could not be read: %s", process->pid,
				  err == -EBUSY ? gate_why() : strerror(-err));
			process->mappings_doubtful = true;
			return;
		}
		target_events(target);
		if (process->exited)
			return;
		if (!process->mappings_stale && !process->mappings_doubtful && (!dropped || agrees(process))) {
			process->mappings_stale = dropped; /* the next report looks again */
			return;
		}
	}
	process->mappings_stale = process->mappings_doubtful = true;
}

void target_maps_check(struct target *target)
{
	struct process *process;
	uint64_t dropped;

	if (!target->recent)
		return;
	target_events(target);
	watch_narrow(target);
	dropped = drops(target);
	for (process = target->newest; process; process = process->older) {
		if (process->mappings && !process->exited)
			check(target, process, dropped != target->map_drops);
		if (!process->exited || process->mappings_final)
			continue;
		target_maps_settle(target, process);
		process->mappings_doubtful |= process->mappings_stale || dropped != target->map_drops;
		process->mappings_final = true;
	}
	target->map_drops = dropped;
}

static int append(struct board_site **sites, size_t *count, uint32_t gen, const struct vma_site *own,
		  const struct vma_held *held, size_t own_count)
{
	struct board_site *grown = reallocarray(*sites, *count + own_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*sites = grown;
	for (size_t i = 0; i < own_count; i++) {
		grown[*count + i] = (struct board_site){
			.key = { .stack = own[i].stack, .gen = gen, .tid = own[i].tid, .source = HB_SRC_MMAP },
			.totals = own[i].totals,
			.walked = true,
			.held_bytes = held[i].bytes,
			.held_count = held[i].count,
			.oldest_born_ns = own[i].oldest_ns,
		};
	}
	*count += own_count;
	return 0;
}

int target_maps_sites(struct target *target, uint64_t born_before_ns, struct board_site **sites, size_t *count)
{
	struct process *process;
	int err = 0;

	for (process = target->newest; process && !err; process = process->older) {
		__cleanup(freep) struct vma_site *own = NULL;
		__cleanup(freep) struct vma_held *held = NULL;
		size_t own_count;

		if (!process->mappings)
			continue;
		err = vma_sites(process->mappings, born_before_ns, &own, &held, &own_count);
		if (!err)
			err = append(sites, count, process->gen, own, held, own_count);
	}
	return err;
}
