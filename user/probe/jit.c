// SPDX-License-Identifier: Apache-2.0
#include "jit.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../remote/jitfiles.h"
#include "../symbol/jitnames.h"

#define READ_EVERY_NS (1ULL * 1000000000)

struct jit {
	struct jitnames *names;
	int map, dump;      /* -1: none yet */
	uint64_t read_ns;   /* when the files were read last; 0: never */
};

struct jit *jit_new(void)
{
	struct jit *jit = calloc(1, sizeof(*jit));

	if (!jit)
		return NULL;
	jit->map = -1;
	jit->dump = -1;
	jit->names = jitnames_new();
	if (jit->names)
		return jit;
	free(jit);
	return NULL;
}

void jit_free(struct jit *jit)
{
	if (!jit)
		return;
	fd_closep(&jit->map);
	fd_closep(&jit->dump);
	jitnames_free(jit->names);
	free(jit);
}

void jit_look(struct jit *jit, pid_t pid)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;

	if (jit && jit->map < 0 && !proc_open(&proc, pid))
		jit->map = jitfiles_open_map(&proc);
}

int jit_dump(struct jit *jit, pid_t pid, const struct proc_mapped *mapped)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;

	if (jit && jit->dump < 0 && !proc_open(&proc, pid))
		jit->dump = jitfiles_open_dump(&proc, mapped);
	return jit && jit->dump == -EBUSY ? -EBUSY : 0;
}

static void read_new(struct jit *jit, pid_t pid)
{
	uint64_t now_ns = clock_mono_ns();

	if (jit->read_ns && now_ns - jit->read_ns < READ_EVERY_NS)
		return;
	jit->read_ns = now_ns;
	jit_look(jit, pid);
	if (jit->map >= 0)
		jitnames_read_map(jit->names, jit->map);
	if (jit->dump >= 0)
		jitnames_read_dump(jit->names, jit->dump);
}

const char *jit_find(struct jit *jit, pid_t pid, uint64_t address)
{
	if (!jit)
		return NULL;
	read_new(jit, pid);
	return jitnames_find(jit->names, address);
}
