// SPDX-License-Identifier: Apache-2.0
#include "incident.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../base/log.h"
#include "../model/gfp.h"
#include "../model/jvmargs.h"
#include "../remote/procfs.h"
#include "oom_domain.h"
#include "places.h"

#define PATH_BYTES   4096
#define FRAMES_MAX   512 /* of the trigger: the kernel's and its own */

/* What may be missing from a postmortem: kills themselves, and pages, calls, processes or stacks among its holders. */
static const size_t losses_told[] = {
	LOSS_KILLS, HB_CNT_OOM_DROPPED, LOSS_RECURSION, HB_CNT_FAULTS_FULL, HB_CNT_MOVES_FULL, HB_CNT_PROC_FULL,
	HB_CNT_RING_FULL, HB_CNT_STACK_FULL, HB_CNT_OBJECTS_FULL, LOSS_HUGE_UNSEEN, LOSS_COMMANDS,
};
#define LOSSES_TOLD (sizeof(losses_told) / sizeof(losses_told[0]))

struct incident {
	struct capture *capture;
	struct capture_after after;
	struct target_held held;
	struct postmortem pm;
	char comm[HB_COMM_LEN + 1], by_comm[HB_COMM_LEN + 1];
	char task_comms[CAPTURE_TASKS_MAX][HB_COMM_LEN + 1];
	struct postmortem_task tasks[CAPTURE_TASKS_MAX];
	struct postmortem_sample history[CAPTURE_SAMPLES_MAX];
	struct postmortem_sample others[CAPTURE_OTHERS_MAX][CAPTURE_SAMPLES_MAX];
	char cmdline[HB_OOM_COMMAND_LEN + 1];
	char thread_comms[HB_OOM_THREADS][HB_COMM_LEN + 1];
	struct postmortem_thread threads[HB_OOM_THREADS];
	char *paths[HB_OOM_LEVELS], gfp[GFP_TEXT_BYTES];
	struct container_info container, domain_container;
	struct places places;
	struct frame frames[FRAMES_MAX];
	struct postmortem_loss losses[LOSSES_TOLD];
};

void incidents_init(struct incidents *incidents, struct target *target, size_t holders_max)
{
	struct utsname system;

	*incidents = (struct incidents){ .target = target, .holders_max = holders_max };
	cgroup_mounts_find(&incidents->mounts, "/proc/self/mountinfo", true); /* without: fewer paths are known */
	if (kallsyms_load(&incidents->kernel, KALLSYMS_PATH, KALLSYMS_NOTES))
		log_debug("%s", incidents->kernel.why);
	incidents->has_gfp_bits = oomhooks_gfp_bits(incidents->gfp_bits);
	gethostname(incidents->host, sizeof(incidents->host) - 1);
	if (!uname(&system))
		snprintf(incidents->release, sizeof(incidents->release), "%s", system.release);
}

void incidents_release(struct incidents *incidents)
{
	cgroup_mounts_release(&incidents->mounts);
	kallsyms_release(&incidents->kernel);
}

static uint64_t known(uint64_t pages, uint64_t page_bytes)
{
	return pages == HB_OOM_UNKNOWN || pages > UINT64_MAX / page_bytes ? POSTMORTEM_UNKNOWN : pages * page_bytes;
}

/* @from is not terminated. */
static void copy_comm(char out[HB_COMM_LEN + 1], const char from[HB_COMM_LEN])
{
	memcpy(out, from, HB_COMM_LEN);
	out[HB_COMM_LEN] = '\0';
}

/* The container of @path into @info, which is returned; NULL: none. */
static const struct container_info *container_of(struct incidents *incidents, const char *path,
						 struct container_info *info)
{
	const struct container_info *found = path ? target_container(incidents->target, path, true) : NULL;

	if (!found)
		return NULL;
	*info = *found;
	return info;
}

/* Words instead of 0 bytes. */
static void tell_command(struct incident *incident)
{
	static const char *const how[] = { NULL, "part", "earlier" }; /* by enum hb_oom_command */
	const char *command = incident->after.command;
	size_t bytes = incident->after.command_bytes;

	jvmargs_heap_max(command, bytes, &incident->pm.java_heap_max_bytes);
	while (bytes && !command[bytes - 1])
		bytes--;
	if (!bytes)
		return;
	for (size_t i = 0; i < bytes; i++)
		incident->cmdline[i] = command[i] ? command[i] : ' ';
	incident->cmdline[bytes] = '\0';
	incident->pm.victim.cmdline = incident->cmdline;
	incident->pm.victim.cmdline_how = how[incident->after.command_how];
}

static void tell_victim(struct incident *incident, struct incidents *incidents, uint64_t page_bytes)
{
	const struct hb_ev_oom *kill = &incident->capture->kill;
	struct postmortem *pm = &incident->pm;

	copy_comm(incident->comm, kill->comm);
	pm->victim.pid = kill->tgid;
	pm->victim.thread = kill->tid;
	pm->victim.comm = incident->comm;
	pm->victim.page_bytes = page_bytes;
	pm->victim.marks_count = incident->after.marks;
	pm->victim.already_dying = kill->flags & HB_OOM_DYING;
	/* 0: nobody was weighed (oom_kill_allocating_task); below, and unknown: it says nothing about pages. */
	if ((int64_t)kill->chosen_points > 0)
		pm->victim.badness_pages = kill->chosen_points;
	if (incident->after.freed_ns > kill->time_ns)
		pm->victim.freed_ns = incident->after.freed_ns - kill->time_ns;
	if (!(kill->flags & HB_OOM_TASK_READ))
		return;
	tell_command(incident);
	pm->victim.uid = kill->uid;
	pm->victim.cgroup = incident->paths[0] ? incident->paths[0] : target_cgroup(incidents->target, kill->gen);
	pm->victim.container = container_of(incidents, pm->victim.cgroup, &incident->container);
	pm->victim.oom_score_adj = kill->score_adj;
	pm->victim.lifetime_ns = kill->boot_ns > kill->start_ns ? kill->boot_ns - kill->start_ns : 0;
	pm->victim.start_unix_ns = proc_boottime_to_unix_ns(kill->start_ns);
	pm->victim.container_pid = kill->inner_pid == kill->tgid ? 0 : kill->inner_pid;
	pm->victim.threads_count = kill->threads;
	pm->victim.total_vm_bytes = known(kill->total_vm_pages, page_bytes);
	pm->victim.anon_rss_bytes = known(kill->pages[HB_OOM_ANON], page_bytes);
	pm->victim.file_rss_bytes = known(kill->pages[HB_OOM_FILE], page_bytes);
	pm->victim.shmem_rss_bytes = known(kill->pages[HB_OOM_SHMEM], page_bytes);
	pm->victim.swap_bytes = known(kill->pages[HB_OOM_SWAP], page_bytes);
	pm->victim.pgtables_bytes = kill->pgtables_bytes;
}

static void tell_threads(struct incident *incident, struct incidents *incidents)
{
	struct board_names names = target_names(incidents->target);
	const struct capture_after *after = &incident->after;
	struct postmortem *pm = &incident->pm;

	for (size_t i = 0; i < after->threads_count; i++) {
		const struct hb_ev_oom_thread *from = &after->threads[i];
		struct postmortem_thread *thread = &incident->threads[i];

		copy_comm(incident->thread_comms[i], from->comm);
		*thread = (struct postmortem_thread){ .thread = from->tid, .comm = incident->thread_comms[i] };
		if (from->stack != HB_STACK_NONE)
			thread->frames_count = names.frames(names.ctx, from->gen, from->stack, &thread->frames);
	}
	pm->victim.threads = incident->threads;
	pm->victim.threads_shown = after->threads_count;
}

/* Up to the function that marks: what stands above is how we were told. */
static size_t first_kernel_frame(const struct incidents *incidents, const struct hb_ev_oom *kill)
{
	for (size_t i = 0; i < kill->kframes_count; i++) {
		struct kallsyms_symbol symbol;

		if (kallsyms_find(&incidents->kernel, kill->kframes[i], &symbol) &&
		    !strcmp(symbol.name, "mark_oom_victim"))
			return i + 1;
	}
	return 0;
}

static void tell_frames(struct incident *incident, struct incidents *incidents)
{
	const struct hb_ev_oom *kill = &incident->capture->kill;
	struct board_names names = target_names(incidents->target);
	const struct frame *own;
	size_t count = 0, own_count = 0;

	for (size_t i = first_kernel_frame(incidents, kill); i < kill->kframes_count && count < FRAMES_MAX; i++)
		kallsyms_frame(&incidents->kernel, kill->kframes[i], false, &incident->frames[count++]);
	if (kill->by_gen && kill->by_stack != HB_STACK_NONE)
		own_count = names.frames(names.ctx, kill->by_gen, kill->by_stack, &own);
	for (size_t i = 0; i < own_count && count < FRAMES_MAX; i++)
		incident->frames[count++] = own[i];
	incident->pm.trigger.frames = incident->frames;
	incident->pm.trigger.frames_count = count;
}

/* Which of the victim's cgroups @id is; HB_OOM_LEVELS: none. */
static size_t level_of(const struct hb_ev_oom *kill, uint64_t id)
{
	for (size_t i = 0; i < kill->levels_count && i < HB_OOM_LEVELS; i++) {
		if (id && kill->levels[i].id == id)
			return i;
	}
	return HB_OOM_LEVELS;
}

/* Where a process was that is in the cgroup @id. */
static void tell_place(struct incident *incident, uint64_t id, uint32_t gen, const char **cgroup,
		       const struct container_info **container)
{
	const size_t level = level_of(&incident->capture->kill, id);
	const char *path = level < HB_OOM_LEVELS ? incident->paths[level] : NULL;
	const struct place *place = places_find(&incident->places, id, gen, path);

	*cgroup = place ? place->cgroup : NULL;
	*container = place ? place->container : NULL;
}

static void tell_trigger(struct incident *incident, struct incidents *incidents)
{
	const struct hb_ev_oom *kill = &incident->capture->kill;
	struct postmortem *pm = &incident->pm;

	copy_comm(incident->by_comm, kill->by_comm);
	pm->trigger.kind = kill->flags & HB_OOM_SYSRQ ? OOM_TRIGGER_SYSRQ :
			   kill->flags & HB_OOM_KTHREAD ? OOM_TRIGGER_KERNEL : OOM_TRIGGER_TASK;
	pm->trigger.pid = kill->by_tgid;
	pm->trigger.thread = kill->by_tid;
	pm->trigger.comm = incident->by_comm;
	pm->trigger.gfp_known = kill->control != 0;
	if (kill->control) {
		pm->trigger.gfp = kill->gfp;
		pm->trigger.order = kill->order;
		pm->trigger.gfp_mask = gfp_text(kill->gfp, incidents->has_gfp_bits ? incidents->gfp_bits : NULL,
						incident->gfp, sizeof(incident->gfp));
	}
	tell_place(incident, kill->by_cgroup, kill->by_gen, &pm->trigger.cgroup, &pm->trigger.container);
	pm->trigger.other_cgroup = kill->domain_id && pm->trigger.kind == OOM_TRIGGER_TASK &&
				   level_of(kill, kill->by_cgroup) == HB_OOM_LEVELS &&
				   incident->capture->tasks_total && !incident->capture->trigger_inside;
	tell_frames(incident, incidents);
}

static void tell_limit(struct incident *incident, const struct hb_oom_level *level, uint64_t page_bytes)
{
	struct postmortem *pm = &incident->pm;
	const bool with_swap = (incident->capture->kill.flags & HB_OOM_V1) && oom_ran_out_with_swap(level);

	pm->domain.counter = with_swap ? "memory+swap" : "memory";
	pm->domain.limit_bytes = known(with_swap ? level->memsw_max_pages : level->max_pages, page_bytes);
	pm->domain.usage_bytes = known(with_swap ? level->memsw_usage_pages : level->usage_pages, page_bytes);
}

/* The statistics as they were at the mark; with -v those of the file beside them. */
static bool tell_kernel_stat(struct incident *incident)
{
	const struct capture *capture = incident->capture;
	const __u64 *stat = capture->kill.stat;
	struct postmortem *pm = &incident->pm;

	if (stat[HB_OOM_STAT_ANON] == HB_OOM_UNKNOWN)
		return false;
	pm->domain.has_stat = true;
	pm->domain.stat_how = "kernel";
	pm->domain.stat_anon = known(stat[HB_OOM_STAT_ANON], 1);
	pm->domain.stat_file = known(stat[HB_OOM_STAT_FILE], 1);
	pm->domain.stat_shmem = known(stat[HB_OOM_STAT_SHMEM], 1);
	pm->domain.stat_kernel_stack = known(stat[HB_OOM_STAT_KSTACK], 1);
	pm->domain.stat_slab = known(stat[HB_OOM_STAT_SLAB], 1);
	pm->domain.stat_pagetables = known(stat[HB_OOM_STAT_PGTABLES], 1);
	pm->domain.stat_sock = known(stat[HB_OOM_STAT_SOCK], 1);
	if (capture->has_stat)
		log_debug("kill %llu: memory.stat said afterwards: anon %lld file %lld shmem %lld kernel_stack %lld "
			  "slab %lld pagetables %lld sock %lld", (unsigned long long)capture->kill.sequence,
			  (long long)capture->stat.anon_bytes, (long long)capture->stat.file_bytes,
			  (long long)capture->stat.shmem_bytes, (long long)capture->stat.kernel_stack_bytes,
			  (long long)capture->stat.slab_bytes, (long long)capture->stat.pagetables_bytes,
			  (long long)capture->stat.sock_bytes); /* -1: unknown */
	return true;
}

static void tell_nodes(struct incident *incident)
{
	const struct capture *capture = incident->capture;
	struct postmortem *pm = &incident->pm;

	if (pm->domain.kind != OOM_CPUSET && pm->domain.kind != OOM_MEMPOLICY)
		return;
	_Static_assert(sizeof(pm->domain.nodes) == sizeof(capture->kill.nodes), "the same nodes");
	memcpy(pm->domain.nodes, capture->kill.nodes, sizeof(pm->domain.nodes));
	if (!capture->has_nodes)
		return;
	pm->domain.nodes_free_bytes = capture->nodes.inside_bytes;
	pm->domain.elsewhere_free_bytes = capture->nodes.outside_bytes;
}

static void tell_stat(struct incident *incident)
{
	const struct capture *capture = incident->capture;
	struct postmortem *pm = &incident->pm;

	if (!tell_kernel_stat(incident) && capture->has_stat) {
		pm->domain.has_stat = true;
		pm->domain.stat_how = "file";
		pm->domain.stat_anon = capture->stat.anon_bytes;
		pm->domain.stat_file = capture->stat.file_bytes;
		pm->domain.stat_shmem = capture->stat.shmem_bytes;
		pm->domain.stat_kernel_stack = capture->stat.kernel_stack_bytes;
		pm->domain.stat_slab = capture->stat.slab_bytes;
		pm->domain.stat_pagetables = capture->stat.pagetables_bytes;
		pm->domain.stat_sock = capture->stat.sock_bytes;
	}
	tell_nodes(incident);
	pm->domain.pressure_some_10s = capture->pressure.some_10s;
	pm->domain.pressure_some_60s = capture->pressure.some_60s;
	pm->domain.pressure_full_10s = capture->pressure.full_10s;
	pm->domain.pressure_full_60s = capture->pressure.full_60s;
	if (!capture->has_host)
		return;
	pm->domain.swap_total_bytes = capture->host.swap_total_bytes;
	pm->domain.swap_free_bytes = capture->host.swap_free_bytes;
	if (pm->domain.kind == OOM_MEMCG)
		return;
	pm->domain.free_bytes = capture->host.free_bytes;
	if (capture->host.total_bytes != MEMSTAT_UNKNOWN && capture->host.free_bytes <= capture->host.total_bytes)
		pm->domain.usage_bytes = capture->host.total_bytes - capture->host.free_bytes;
}

static void tell_domain(struct incident *incident, struct incidents *incidents, uint64_t page_bytes)
{
	static const char *const how[] = { NULL, "kprobe", "fentry", "stack", "oom_lock", "limit" };
	const struct hb_ev_oom *kill = &incident->capture->kill;
	struct postmortem *pm = &incident->pm;

	pm->domain.kind = oom_domain_kind(kill);
	pm->domain.how = kill->how < sizeof(how) / sizeof(how[0]) ? how[kill->how] : NULL;
	for (size_t i = 0; i < kill->levels_count && i < HB_OOM_LEVELS; i++) {
		const struct hb_oom_level *level = &kill->levels[i];

		pm->domain.levels[pm->domain.levels_count++] = (struct postmortem_level){
			.cgroup = incident->paths[i],
			.limit_bytes = known(level->max_pages, page_bytes),
			.usage_bytes = known(level->usage_pages, page_bytes),
			.peak_bytes = known(level->peak_pages, page_bytes),
		};
		if (!kill->domain_id || level->id != kill->domain_id)
			continue;
		pm->domain.cgroup = incident->paths[i];
		pm->domain.container = container_of(incidents, incident->paths[i], &incident->domain_container);
		tell_limit(incident, level, page_bytes);
	}
	if (!pm->domain.cgroup) /* further up than levels go */
		tell_place(incident, kill->domain_id, 0, &pm->domain.cgroup, &pm->domain.container);
	tell_stat(incident);
}

/* As it was at the mark. */
static struct postmortem_task victim_row(const struct incident *incident)
{
	const struct postmortem *pm = &incident->pm;

	return (struct postmortem_task){
		.pid = pm->victim.pid, .comm = incident->comm, .oom_score_adj = pm->victim.oom_score_adj,
		.victim = true, .anon_rss_bytes = pm->victim.anon_rss_bytes,
		.file_rss_bytes = pm->victim.file_rss_bytes, .shmem_rss_bytes = pm->victim.shmem_rss_bytes,
		.swap_bytes = pm->victim.swap_bytes, .pgtables_bytes = pm->victim.pgtables_bytes,
		.cgroup = pm->victim.cgroup, .container = pm->victim.container,
	};
}

/* The others' rows are as they were right after; and the victim's, if nothing was read of it at the mark. */
static void tell_tasks(struct incident *incident, uint64_t page_bytes)
{
	const struct capture *capture = incident->capture;
	struct postmortem *pm = &incident->pm;
	bool seen = false;

	for (size_t i = 0; i < capture->tasks_count; i++) {
		const struct hb_oom_task *from = &capture->tasks[i];
		struct postmortem_task *task = &incident->tasks[pm->tasks_count++];

		copy_comm(incident->task_comms[i], from->comm);
		*task = (struct postmortem_task){
			.pid = from->tgid, .comm = incident->task_comms[i], .oom_score_adj = from->score_adj,
			.victim = from->tgid == pm->victim.pid,
			.anon_rss_bytes = known(from->pages[HB_OOM_ANON], page_bytes),
			.file_rss_bytes = known(from->pages[HB_OOM_FILE], page_bytes),
			.shmem_rss_bytes = known(from->pages[HB_OOM_SHMEM], page_bytes),
			.swap_bytes = known(from->pages[HB_OOM_SWAP], page_bytes),
			.pgtables_bytes = from->pgtables_bytes,
		};
		tell_place(incident, from->cgroup, from->gen, &task->cgroup, &task->container);
		seen |= task->victim;
		if (task->victim && capture->kill.flags & HB_OOM_TASK_READ)
			*task = victim_row(incident);
	}
	pm->tasks = incident->tasks;
	pm->tasks_total = capture->tasks_total;
	if (seen)
		return;
	if (pm->tasks_count == CAPTURE_TASKS_MAX)
		pm->tasks_count--; /* the victim rather than the one that held least */
	incident->tasks[pm->tasks_count++] = victim_row(incident);
	pm->tasks_total++;
}

static int by_held(const void *left, const void *right)
{
	uint64_t a = postmortem_task_rss(left), b = postmortem_task_rss(right);

	return (a < b) - (a > b);
}

static struct postmortem_sample sample_of(const struct history_sample *from)
{
	return (struct postmortem_sample){ from->age_s, from->bytes, .cgroup_bytes = POSTMORTEM_UNKNOWN };
}

static void tell_history(struct incident *incident)
{
	const struct capture *capture = incident->capture;

	for (size_t i = 0; i < capture->rss_count; i++) {
		incident->history[i] = sample_of(&capture->rss[i]);
		if (capture->domain_bytes[i] != CAPTURE_UNKNOWN)
			incident->history[i].cgroup_bytes = capture->domain_bytes[i];
	}
	incident->pm.history = incident->history;
	incident->pm.history_count = capture->rss_count;
}

/* The past of those besides the victim that held most; its own is the document's. */
static void tell_others(struct incident *incident)
{
	const struct capture *capture = incident->capture;
	size_t other = 0;

	for (size_t i = 0; i < incident->pm.tasks_count && other < CAPTURE_OTHERS_MAX; i++) {
		if (incident->tasks[i].victim)
			continue;
		for (size_t at = 0; at < capture->others_count[other]; at++)
			incident->others[other][at] = sample_of(&capture->others[other][at]);
		incident->tasks[i].history = incident->others[other];
		incident->tasks[i].history_count = capture->others_count[other];
		other++;
	}
}

/* Whether a cgroup of the victim, up to the one whose limit was hit, is to be killed as a whole. */
static bool dies_as_group(const struct hb_ev_oom *kill)
{
	for (size_t i = 0; i < kill->levels_count && i < HB_OOM_LEVELS; i++) {
		if (kill->levels[i].oom_group)
			return true;
		if (kill->domain_id && kill->levels[i].id == kill->domain_id)
			break;
	}
	return false;
}

/* The kills before this one, which is remembered for the next. */
static void tell_before(struct incident *incident, struct incidents *incidents)
{
	const struct hb_ev_oom *kill = &incident->capture->kill;
	const struct past_kill row = {
		.time_ns = kill->time_ns, .sequence = kill->sequence,
		.cgroup = kill->levels_count ? kill->levels[0].id : 0,
		.control = kill->control, .points = kill->chosen_points, .by_tid = kill->by_tid,
		.as_group = kill->control && dies_as_group(kill), .dying = kill->flags & HB_OOM_DYING,
		.lived_s = (double)(kill->boot_ns - kill->start_ns) / 1e9,
	};
	struct postmortem *pm = &incident->pm;
	struct past_told told;

	past_kills_add(&incidents->past, &row, &told);
	pm->group = told.group;
	pm->group_count = told.group_count;
	pm->kills_before = told.count;
	memcpy(pm->kills_before_lived_s, told.lived_s, sizeof(told.lived_s));
}

static void tell_holders(struct incident *incident, const struct incidents *incidents)
{
	struct board_names names = target_names(incidents->target);
	struct target_held *held = &incident->held;
	struct postmortem *pm = &incident->pm;

	pm->holders = held->rows;
	pm->holders_count = held->count;
	pm->holders_shown = incidents->holders_max;
	pm->holders_scaled = held->scaled;
	pm->holders_explained_bytes = held->bytes;
	pm->holders_approximate = held->doubtful;
	pm->holders_sampling = *held->sampling ? held->sampling : NULL;
	pm->holders_direct_off = held->direct_off;
	if (held->traced_ns && incident->capture->kill.time_ns > held->traced_ns)
		pm->holders_traced_ns = incident->capture->kill.time_ns - held->traced_ns;
	for (size_t i = 0; i < pm->holders_count; i++)
		held->rows[i].frames_count = names.frames(names.ctx, held->rows[i].gen, held->rows[i].stack,
							  &held->rows[i].frames);
}

/* Of those that were exiting already, and so take no signal, and of whom nothing could be read, none is expected. */
static bool lacks_command(const struct incident *incident)
{
	const struct capture_after *after = &incident->after;

	if (after->command_told)
		return after->command_how == HB_OOM_COMMAND_PART;
	return !after->command_bytes && (incident->capture->kill.flags & (HB_OOM_TASK_READ | HB_OOM_DYING)) ==
	       HB_OOM_TASK_READ;
}

/* Of all kills and all processes so far: what is missing from this document may be among it. */
static void tell_losses(struct incident *incident, struct incidents *incidents, uint64_t dropped_kills)
{
	struct losses all;

	target_losses(incidents->target, &all);
	all.counts[LOSS_KILLS] = dropped_kills;
	all.counts[LOSS_COMMANDS] = lacks_command(incident);
	for (size_t i = 0; i < LOSSES_TOLD; i++)
		incident->losses[i] = (struct postmortem_loss){ losses_told[i], all.counts[losses_told[i]] };
	incident->pm.holders_approximate |= !!all.counts[HB_CNT_FAULTS_FULL] << HB_SRC_PAGES;
}

struct incident *incident_new(struct incidents *incidents, struct capture *capture)
{
	const struct hb_ev_oom *kill = &capture->kill;
	struct incident *incident = calloc(1, sizeof(*incident));
	uint64_t resident;

	if (!incident)
		return NULL;
	incident->capture = capture;
	target_events(incidents->target); /* it may have begun a moment ago */
	resident = (kill->pages[HB_OOM_ANON] + kill->pages[HB_OOM_SHMEM]) * (uint64_t)sysconf(_SC_PAGESIZE);
	if (kill->gen && (target_held(incidents->target, kill->gen, resident, &incident->held) ||
			  target_held_calls(incidents->target, kill->gen, &incident->held)))
		log_debug("kill %llu: what process %u held is not known", (unsigned long long)kill->sequence,
			  kill->tgid);
	return incident;
}

struct capture *incident_capture(const struct incident *incident)
{
	return incident->capture;
}

static void make_paths(struct incident *incident)
{
	const struct hb_ev_oom *kill = &incident->capture->kill;
	char path[PATH_BYTES];

	for (size_t i = 0; i < kill->levels_count && i < HB_OOM_LEVELS; i++) {
		if (capture_path(incident->capture, i, path, sizeof(path)))
			incident->paths[i] = strdup(path);
	}
}

const struct postmortem *incident_tell(struct incident *incident, struct incidents *incidents,
				       struct captures *captures)
{
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	struct postmortem *pm = &incident->pm;

	postmortem_init(pm);
	captures_after(captures, incident->capture, &incident->after);
	pm->time_unix_ns = incident->capture->time_unix_ns;
	pm->host = incidents->host;
	pm->kernel = incidents->release;
	pm->losses = incident->losses;
	pm->losses_count = LOSSES_TOLD;
	pm->sequence = incident->capture->kill.sequence;
	make_paths(incident);
	places_init(&incident->places, incidents->target,
		    &incidents->mounts.of[incident->capture->kill.flags & HB_OOM_V1 ? CGROUP_V1 : CGROUP_V2],
		    CAPTURE_TASKS_MAX + 2); /* tasks, trigger, domain; without: nothing is known of them */
	tell_victim(incident, incidents, page_bytes);
	tell_threads(incident, incidents);
	tell_trigger(incident, incidents);
	tell_domain(incident, incidents, page_bytes);
	tell_tasks(incident, page_bytes);
	tell_others(incident);
	qsort(incident->tasks, pm->tasks_count, sizeof(*incident->tasks), by_held);
	tell_holders(incident, incidents);
	tell_history(incident);
	tell_before(incident, incidents);
	tell_losses(incident, incidents, captures_dropped(captures));
	return pm;
}

void incident_free(struct incident *incident)
{
	if (!incident)
		return;
	for (size_t i = 0; i < HB_OOM_LEVELS; i++)
		free(incident->paths[i]);
	places_release(&incident->places);
	free(incident->held.rows);
	free(incident);
}
