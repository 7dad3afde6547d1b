// SPDX-License-Identifier: Apache-2.0
#include "survey.h"

#include <errno.h>
#include <stdlib.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../remote/maps.h"
#include "../remote/procfs.h"

#define SURVEY_MODULES_MAX 4096

struct survey {
	struct modules *modules;
	pid_t pid;
	void (*each)(void *ctx, const char *path, const struct module *module);
	void *ctx;
	const struct module *seen[SURVEY_MODULES_MAX]; /* a file is mapped in several pieces */
	size_t seen_count;
};

static int survey_mapping(void *ctx, const struct map_line *line)
{
	struct survey *survey = ctx;
	struct module_id id = { .major = line->major, .minor = line->minor, .ino = line->ino };
	struct module *module;

	if (!line->exec)
		return 0;
	if (modules_mapped(survey->modules, survey->pid, &id, line->start, line->end, line->path, &module))
		return 0;
	if (!module || (!module->set.count && !module->set.runtime[0] && !module->set.note[0]))
		return 0;
	for (size_t i = 0; i < survey->seen_count; i++) {
		if (survey->seen[i] == module)
			return 0;
	}
	if (survey->seen_count < SURVEY_MODULES_MAX)
		survey->seen[survey->seen_count++] = module;
	survey->each(survey->ctx, line->path, module);
	return 0;
}

int survey_process(struct modules *modules, pid_t pid,
		   void (*each)(void *ctx, const char *path, const struct module *module), void *ctx)
{
	__cleanup(freep) struct survey *survey = calloc(1, sizeof(*survey));
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	int err;

	if (!survey)
		return -ENOMEM;
	survey->modules = modules;
	survey->each = each;
	survey->ctx = ctx;
	survey->pid = pid;
	err = proc_open(&proc, pid);
	return err ? err : maps_read(&proc, survey_mapping, survey);
}

bool survey_means(struct container_names *names, pid_t pid, const struct selection *selection)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	__cleanup(freep) char *cgroup = NULL;
	const struct container_info *container;
	char comm[HB_COMM_LEN];

	if (proc_open(&proc, pid) || proc_comm(&proc, comm, sizeof(comm)))
		return false;
	cgroup = proc_memory_cgroup(&proc);
	container = names && cgroup ? container_names_find(names, cgroup, clock_mono_ns()) : NULL;
	return selection_matches(selection, comm, cgroup, container);
}
