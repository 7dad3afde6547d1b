// SPDX-License-Identifier: Apache-2.0
/* What the unwinder needs to know of the traced processes: their files' rows, their mappings. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/log.h"
#include "../remote/gate.h"
#include "../remote/procfs.h"
#include "events.h"
#include "target_private.h"

static void keep_up(void *ctx)
{
	struct target *target = ctx;

	queue_fill(target->queue, target->session, target->watch);
}

void target_aside(struct target *target, void (*job)(void *arg), void *arg)
{
	worker_run(target->worker, job, arg, keep_up, target);
}

struct rows_job {
	struct unwind_tables *tables;
	uint32_t object;
	int fd;
	const char *name;
};

static void read_rows(void *arg)
{
	struct rows_job *job = arg;

	unwind_tables_read(job->tables, job->object, job->fd, job->name);
}

void target_read_rows(struct target *target, struct module *module)
{
	struct rows_job job = {
		.tables = target->tables,
		.object = module->object,
		.fd = module->file->fd,
		.name = module->path ? module->path : "a file",
	};

	if (!module->object || module->rows_read)
		return;
	module->rows_read = true;
	target_aside(target, read_rows, &job);
}

/* Whether @fd is the file that we know as @file: another may lie at its place by now. */
static bool is_file(int fd, const struct elf_file *file)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_dev == file->dev && st.st_ino == file->ino;
}

/* Rows that were dropped, or had no room, are wanted again. */
static void read_again(struct target *target, const struct hb_ev_object *event)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	__cleanup(fd_closep) int fd = -1;
	const struct module *module = modules_by_object(target->modules, event->object);
	struct proc_mapped mapped = { .start = event->start, .end = event->end };
	struct rows_job job = { .tables = target->tables, .object = event->object };

	if (!module || proc_open(&proc, event->tgid))
		return;
	mapped.ino = module->file->ino;
	mapped.path = module->path ? module->path : "";
	fd = proc_open_mapped(&proc, &mapped);
	if (fd < 0 || !is_file(fd, module->file))
		return;
	job.fd = fd;
	job.name = module->path ? module->path : "a file";
	target_aside(target, read_rows, &job);
}

void target_object(struct target *target, const struct hb_ev_object *event)
{
	const struct process *process = target_process(target, event->gen);
	const struct addrmap_entry *entry;
	struct module *module;
	int err;

	if (!target->tables || !process)
		return;
	if (modules_by_object(target->modules, event->object)) {
		read_again(target, event);
		return;
	}
	entry = addrmap_find(&process->now.map, event->start);
	err = modules_asked(target->modules, event->tgid, event->start, event->end, event->key.ino, event->object,
			    entry ? entry->path : "", &module);
	if (err)
		log_debug("process %u: the file at %#llx cannot be read: %s", event->tgid,
			  (unsigned long long)event->start, err == -EBUSY ? gate_why() : strerror(-err));
	if (!err && module)
		target_read_rows(target, module);
}

void target_mapped(struct target *target, struct process *process, const struct image *image, uint64_t start,
		   uint64_t end, uint64_t offset, const struct elf_file *file)
{
	const struct addrmap_entry *before = addrmap_overlap(&image->map, start, end);

	if (target->tables && image == &process->now && before &&
	    (before->file != file || before->offset - before->start != offset - start))
		unwind_tables_flush(target->tables, process->gen);
}

void target_unwind_fill(const struct target *target, struct unwind_fill *fill)
{
	*fill = (struct unwind_fill){ 0 };
	if (target->tables)
		unwind_tables_fill(target->tables, fill);
}
