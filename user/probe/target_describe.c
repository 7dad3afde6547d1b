// SPDX-License-Identifier: Apache-2.0
/* Who a process is: its name, its cgroup, its container. */
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../remote/procfs.h"
#include "survey.h"
#include "target_private.h"

static void set_container(struct process *process, const struct container_info *container)
{
	free(process->container);
	process->container = container ? malloc(sizeof(*container)) : NULL;
	if (process->container)
		*process->container = *container;
}

const struct container_info *target_container(struct target *target, const char *cgroup, bool again)
{
	const struct container_info *container;

	if (!target->containers)
		return NULL;
	container = container_names_find(target->containers, cgroup, clock_mono_ns());
	if (!again || !container || container->name[0])
		return container;
	container_names_retry(target->containers);
	return container_names_find(target->containers, cgroup, clock_mono_ns());
}

const char *target_cgroup(struct target *target, uint32_t gen)
{
	const struct process *process = target_process(target, gen);

	return process && process->cgroup_read ? process->cgroup : NULL;
}

/* What /proc says of it, as far as it is still there. */
void target_describe(struct target *target, struct process *process)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	char *cgroup;

	process->undescribed = false;
	if (proc_open(&proc, process->pid))
		return;
	if (!process->start_unix_ns)
		process->start_unix_ns = proc_start_unix_ns(&proc);
	if (!process->comm[0])
		proc_comm(&proc, process->comm, sizeof(process->comm));
	cgroup = proc_memory_cgroup(&proc);
	/* A process that ends is moved to the root before it is gone: what it inherited is right. */
	if (!cgroup || !proc_alive(&proc) || (process->cgroup && !strcmp(cgroup, "/"))) {
		free(cgroup);
		return;
	}
	free(process->cgroup);
	process->cgroup = cgroup;
	process->cgroup_read = true;
	set_container(process, target_container(target, cgroup, false));
}

void target_same_cgroup(struct process *to, const struct process *from)
{
	free(to->cgroup);
	to->cgroup = from->cgroup ? strdup(from->cgroup) : NULL;
	to->cgroup_read = false;
	set_container(to, from->container);
}

bool target_is(struct target *target, pid_t pid, const struct selection *selection)
{
	return survey_means(target->containers, pid, selection);
}
