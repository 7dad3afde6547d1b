// SPDX-License-Identifier: Apache-2.0
#include "target_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../remote/jitfiles.h"
#include "../remote/maps.h"
#include "../remote/procfs.h"
#include "events.h"

struct process *target_process(const struct target *target, uint32_t gen)
{
	struct process *process;

	HASH_FIND(hh, target->by_gen, &gen, sizeof(gen), process);
	return process;
}

static struct process *current_of(const struct target *target, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh_pid, target->by_pid, &pid, sizeof(pid), process);
	return process;
}

static void detach_own(struct process *process)
{
	for (size_t i = 0; i < process->probes_count; i++)
		session_detach(process->probes[i].probes);
	free(process->probes);
	process->probes = NULL;
	process->probes_count = 0;
}

static void image_release(struct image *image)
{
	addrmap_release(&image->map);
	free(image->modules);
	*image = (struct image){ 0 };
	addrmap_init(&image->map);
}

static void process_free(struct process *process)
{
	detach_own(process);
	image_release(&process->now);
	image_release(&process->next);
	jit_free(process->jit);
	vma_free(process->mappings);
	free(process->list);
	free(process->pages);
	filepages_release(&process->files);
	free(process->allocators);
	free(process->cgroup);
	free(process->container);
	free(process);
}

void target_forget(struct target *target, struct process *process)
{
	struct process **link = &target->newest;

	while (*link && *link != process)
		link = &(*link)->older;
	if (*link)
		*link = process->older;
	if (process->gen)
		HASH_DELETE(hh, target->by_gen, process);
	if (current_of(target, process->pid) == process)
		HASH_DELETE(hh_pid, target->by_pid, process);
	board_forget(target->board, process->gen);
	process_free(process);
}

/* A new image of @pid, which is its current one from now on. NULL if memory is short. */
static struct process *process_new(struct target *target, uint32_t pid, uint32_t gen)
{
	struct process *process = calloc(1, sizeof(*process));
	struct process *before = current_of(target, pid);

	if (!process)
		return NULL;
	process->pid = pid;
	process->gen = gen;
	addrmap_init(&process->now.map);
	addrmap_init(&process->next.map);
	if (before)
		HASH_DELETE(hh_pid, target->by_pid, before);
	HASH_ADD(hh_pid, target->by_pid, pid, sizeof(pid), process);
	if (gen)
		HASH_ADD(hh, target->by_gen, gen, sizeof(gen), process);
	process->older = target->newest;
	target->newest = process;
	target_governed_again(target, process, before);
	return process;
}

/* Remember that @image maps @module, which allocates. */
static bool add_module(struct image *image, struct module *module)
{
	struct module **grown;

	for (size_t i = 0; i < image->modules_count; i++) {
		if (image->modules[i] == module)
			return false;
	}
	grown = reallocarray(image->modules, image->modules_count + 1, sizeof(*grown));
	if (!grown)
		return false;
	image->modules = grown;
	image->modules[image->modules_count++] = module;
	return true;
}

void target_probe_own(struct target *target, struct process *process, struct module *module)
{
	struct session_probes *probes;
	struct process_probes *grown;

	if (target_paused(process, modules_source(module)))
		return;
	for (size_t i = 0; i < process->probes_count; i++) {
		if (process->probes[i].module == module)
			return; /* put before an exec: they hold for the process */
	}
	grown = reallocarray(process->probes, process->probes_count + 1, sizeof(*grown));
	if (!grown)
		return;
	process->probes = grown;
	probes = modules_probe(target->modules, module, process->pid);
	if (!probes)
		return;
	grown[process->probes_count].module = module;
	grown[process->probes_count++].probes = probes;
	if (!process->running)
		target->late++;
}

static void put_probes(struct target *target, struct process *process, struct image *image, struct module *module,
		       const char *path)
{
	if (!module->set.count && !module->set.runtime[0])
		return;
	if (!add_module(image, module) || !module->set.count || !target_counts(target, process))
		return;
	if (!target->follow) {
		target_probe_own(target, process, module);
	} else if (modules_probe_everywhere(target->modules, module)) {
		log_debug("%s: probed after process %u had mapped it", path, process->pid);
		target->late++;
	}
}

/* It is to be looked at again, at the next report. */
static void refused(struct target *target, struct process *process)
{
	process->refused = true;
	target->put_off++;
}

/* Executable memory that is no ELF file: JIT code, or the mark of a file that describes it. */
static void made_code(struct target *target, struct process *process, const struct map_event *event)
{
	const struct proc_mapped mapped = {
		.start = event->start, .end = event->end, .ino = event->ino, .path = event->path,
	};
	const bool dump = jitfiles_is_dump(event->path);

	if (*event->path && !dump)
		return;
	if (!process->jit)
		process->jit = jit_new();
	if (!dump)
		jit_look(process->jit, process->pid);
	else if (jit_dump(process->jit, process->pid, &mapped))
		refused(target, process);
}

static void add_mapping(struct target *target, struct process *process, const struct map_event *event)
{
	struct module_id id = {
		.major = event->major,
		.minor = event->minor,
		.ino = event->ino,
		.ino_generation = event->ino_generation,
	};
	struct image *image = process->execing ? &process->next : &process->now;
	struct elf_file *file;
	struct module *module;
	int err = modules_mapped(target->modules, process->pid, &id, event->start, event->end, event->path, &module);

	if (err == -EBUSY) {
		refused(target, process);
	} else if (err) {
		image->unread = true;
		target->unread++;
	}
	file = module ? module->file : NULL;
	target_mapped(target, process, image, event->start, event->end, event->offset, file);
	addrmap_add(&image->map, event->start, event->end, event->offset, event->path, file);
	if (!module) {
		made_code(target, process, event);
		return;
	}
	put_probes(target, process, image, module, event->path);
	target_read_rows(target, module); /* after the probes: what allocates must be seen first */
}

/* A record from mapwatch. Processes that are not traced are of no interest. */
static void on_mapping(struct target *target, const struct map_event *event)
{
	struct process *process = current_of(target, event->pid);

	/* A vfork child that is not followed maps nothing of its parent's. */
	if (!process || process->exited || (!process->gen && !target->follow))
		return;
	if (event->exec) {
		image_release(&process->next);
		process->execing = true;
		return;
	}
	add_mapping(target, process, event);
}

static void ended(struct target *target, struct process *process)
{
	if (process->exited)
		return;
	process->exited = true;
	process->ended_ns = clock_mono_ns();
	target->unread += process->refused; /* it is too late now */
	detach_own(process);
	if (process->gen) {
		target->ended++;
		target->alive--;
	}
}

/* Of the whole host's processes most are gone before anybody asks for them. */
static void new_image(struct target *target, struct process *process)
{
	process->undescribed = true;
	if (!target->everything)
		target_describe(target, process);
}

static void on_fork(struct target *target, const struct hb_ev_process *event)
{
	struct process *parent = target_process(target, event->old_gen);
	struct process *before = current_of(target, event->tgid);
	struct process *child;

	if (before)
		ended(target, before); /* the pid was given out again: we did not hear of its end */
	/* A vfork child is its parent until it execs: known by its pid, but no image of its own. */
	child = process_new(target, event->tgid, event->shares ? 0 : event->gen);
	if (child && parent)
		target_same_cgroup(child, parent);
	if (!child || event->shares)
		return;
	target->alive++;
	memcpy(child->comm, event->comm, sizeof(child->comm));
	child->start_unix_ns = proc_boottime_to_unix_ns(event->start_ns);
	new_image(target, child);
	target_maps_begin(target, child, parent);
	if (!parent)
		return;
	child->parent_gen = parent->gen;
	child->forked_ns = event->time_ns;
	addrmap_copy(&child->now.map, &parent->now.map);
	for (size_t i = 0; i < parent->now.modules_count; i++)
		add_module(&child->now, parent->now.modules[i]);
}

/* The probes of @from alone go on to hold for its next image. */
static void inherit(struct process *to, struct process *from)
{
	to->now = from->next;
	to->jit = from->execing ? from->jit : NULL; /* what mapwatch said of the new image came first */
	from->jit = from->execing ? NULL : from->jit;
	from->next = (struct image){ 0 };
	addrmap_init(&from->next.map);
	to->refused = from->execing && from->refused;
	from->refused = false;
	from->execing = false;
	to->probes = from->probes;
	to->probes_count = from->probes_count;
	from->probes = NULL;
	from->probes_count = 0;
	to->image = from->gen ? from->image + 1 : from->image;
	to->start_unix_ns = from->start_unix_ns;
	to->traced = from->traced;
	to->traced_ns = from->traced_ns;
	target_same_cgroup(to, from);
}

static int attach_mapping(void *ctx, const struct map_line *line);
struct attach_walk {
	struct target *target;
	struct process *process;
};

/* Read the mappings it has now. */
static int read_mappings(struct target *target, struct process *process)
{
	struct attach_walk walk = { .target = target, .process = process };
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	int err = proc_open(&proc, process->pid);

	return err ? err : maps_read(&proc, attach_mapping, &walk);
}

void target_retry(struct target *target)
{
	struct process *process;

	for (process = target->newest; process; process = process->older) {
		if (!process->refused || process->exited || process->execing)
			continue;
		process->refused = false;
		if (read_mappings(target, process) == -EBUSY)
			refused(target, process);
	}
}

static void on_exec(struct target *target, const struct hb_ev_process *event)
{
	struct process *old = current_of(target, event->tgid);
	struct process *fresh = process_new(target, event->tgid, event->gen);

	if (!fresh)
		return;
	target->alive++;
	memcpy(fresh->comm, event->comm, sizeof(fresh->comm));
	if (old) {
		inherit(fresh, old);
		ended(target, old);
		if (!old->gen)
			target_forget(target, old);
	}
	if (!fresh->start_unix_ns)
		fresh->start_unix_ns = proc_boottime_to_unix_ns(event->start_ns);
	new_image(target, fresh);
	target_maps_begin(target, fresh, NULL);
	if (!fresh->now.map.count && read_mappings(target, fresh) == -EBUSY) /* records were lost, or came late */
		refused(target, fresh);
}

/* A process that is known by its page faults alone. */
static void on_seen(struct target *target, const struct hb_ev_process *event)
{
	struct process *process = current_of(target, event->tgid);

	if (process)
		ended(target, process); /* its end was not heard of */
	process = process_new(target, event->tgid, event->gen);
	if (!process)
		return;
	target->alive++;
	memcpy(process->comm, event->comm, sizeof(process->comm));
	process->start_unix_ns = proc_boottime_to_unix_ns(event->start_ns);
	new_image(target, process);
	if (read_mappings(target, process) == -EBUSY)
		refused(target, process);
}

static void on_process(struct target *target, const struct hb_ev_process *event)
{
	struct process *process;

	switch (event->kind) {
	case HB_EV_FORK:
		on_fork(target, event);
		break;
	case HB_EV_EXEC:
		on_exec(target, event);
		break;
	case HB_EV_SEEN:
		on_seen(target, event);
		break;
	case HB_EV_EXIT:
		process = current_of(target, event->tgid);
		if (process && !process->gen)
			target_forget(target, process);
		else if (process && process->gen == event->gen)
			ended(target, process);
		break;
	}
}

void target_events(struct target *target)
{
	struct queued *queued;
	size_t count;

	do {
		queue_fill(target->queue, target->session, target->watch);
		queued = queue_ready(target->queue, &count);
		for (size_t i = 0; i < count; i++) {
			switch (queued[i].kind) {
			case QUEUED_PROCESS:
				on_process(target, &queued[i].process);
				break;
			case QUEUED_OBJECT:
				target_object(target, &queued[i].object);
				break;
			case QUEUED_MAP:
				on_mapping(target, &queued[i].map);
				break;
			case QUEUED_VM:
				target_maps_event(target, &queued[i].vm);
				break;
			}
		}
		queue_done(target->queue);
	} while (queue_waits(target->queue));
}

static int attach_mapping(void *ctx, const struct map_line *line)
{
	struct attach_walk *walk = ctx;
	struct map_event event = {
		.path = line->path,
		.start = line->start,
		.end = line->end,
		.offset = line->offset,
		.major = line->major,
		.minor = line->minor,
		.ino = line->ino,
	};

	if (line->exec)
		add_mapping(walk->target, walk->process, &event);
	return 0;
}

static int see(void *ctx, pid_t pid);

/* The calls of a process that is seen already count from now on. If it execs meanwhile, its next image's. */
static int count_calls(struct target *target, struct process *process)
{
	const uint32_t flags = HB_PROC_SEEN | HB_PROC_TRACED, pid = process->pid;
	int err = session_trace(target->session, pid, process->gen, flags);
	struct process *now;

	target_events(target);
	now = current_of(target, pid);
	if (err || now == process)
		return err == -ENOENT ? -ESRCH : err;
	return now && now->traced && now->gen ? session_trace(target->session, pid, now->gen, flags) : -ESRCH;
}

/* As target_attach(), where all processes are seen: probes into the files that it is known to map. */
static int attach_seen(struct target *target, pid_t pid)
{
	struct process *process;
	int err;

	see(target, pid);
	process = current_of(target, pid);
	if (!process || process->exited || !process->gen || process->execing)
		return -ESRCH; /* or it is on its way to be another image */
	if (process->traced)
		return 0;
	if (!process->now.map.count)
		return process->refused ? -EBUSY : -ENOEXEC;
	process->traced = process->running = true;
	process->traced_ns = clock_mono_ns();
	for (size_t i = 0; i < process->now.modules_count; i++) {
		if (process->now.modules[i]->set.count)
			target_probe_own(target, process, process->now.modules[i]);
	}
	target_maps_begin(target, process, NULL);
	err = count_calls(target, process);
	process->running = false;
	if (!err) {
		target_maps_read(target, process); /* as below */
		return 0;
	}
	process->traced = false;
	detach_own(process);
	vma_free(process->mappings);
	process->mappings = NULL;
	return err;
}

bool target_traces(const struct target *target, pid_t pid)
{
	const struct process *process = current_of(target, (uint32_t)pid);

	return process && !process->exited && target_counts(target, process);
}

int target_attach(struct target *target, pid_t pid)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	struct process *process;
	uint32_t gen;
	int err;

	if (target_traces(target, pid))
		return 0;
	err = proc_open(&proc, pid);
	if (err)
		return err;
	if (!proc_alive(&proc))
		return -ESRCH; /* a zombie */
	if (!proc_leads(&proc))
		return -EINVAL; /* a thread of another process */
	if (target->everything)
		return attach_seen(target, pid);
	gen = HB_GEN_USER | ++target->next_gen;
	process = process_new(target, pid, gen);
	if (!process)
		return -ENOMEM;
	process->running = true;
	target_describe(target, process);
	err = read_mappings(target, process);
	if (!err && !process->now.map.count)
		err = -ENOEXEC;
	target_maps_begin(target, process, NULL);
	/* Only now do its calls count: all probes are in place, so nothing is half seen. */
	if (!err)
		err = session_trace(target->session, pid, gen, HB_PROC_TRACED | (target->follow ? HB_PROC_FOLLOW : 0));
	process->running = false;
	if (!err)
		target_maps_read(target, process); /* what fails is told with the first report */
	if (!err && !proc_alive(&proc)) {
		session_untrace(target->session, pid); /* its end came before we listened */
		err = -ESRCH;
	}
	if (err) {
		target_forget(target, process);
		return err;
	}
	target->alive++;
	return 0;
}

/* One of them all; what cannot be read is looked at again with the reports. */
static int see(void *ctx, pid_t pid)
{
	struct target *target = ctx;
	struct process *process = current_of(target, pid);

	if (process || !(process = process_new(target, pid, HB_GEN_USER | ++target->next_gen)))
		return 0;
	target_describe(target, process);
	if (read_mappings(target, process) == -EBUSY)
		refused(target, process);
	if (session_trace(target->session, pid, process->gen, HB_PROC_SEEN))
		target_forget(target, process); /* the kernel side was first, and says so */
	else
		target->alive++;
	return 0;
}

int target_everything(struct target *target)
{
	target->everything = true;
	return proc_each(see, target);
}

int target_expect(struct target *target, pid_t pid)
{
	if (!process_new(target, pid, 0))
		return -ENOMEM;
	return session_trace(target->session, pid, 0, HB_PROC_AT_EXEC | (target->follow ? HB_PROC_FOLLOW : 0));
}

void target_fds(const struct target *target, int fds[2])
{
	fds[0] = session_event_fd(target->session);
	fds[1] = mapwatch_fd(target->watch);
}

size_t target_alive(const struct target *target)
{
	return target->alive;
}

void target_stop(struct target *target)
{
	struct process *process;

	for (process = target->newest; process; process = process->older)
		detach_own(process);
	modules_stop(target->modules);
}
