/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate before everything that holds another process's address space while it is read: maps, smaps,
 * smaps_rollup, numa_maps, pagemap, mem, environ, auxv, cmdline, map_files, process_vm_readv(). If the
 * process is killed for want of memory meanwhile, its memory stays as long as the reading does, but it is no
 * longer among the processes: the kernel finds nobody dying, and kills another one. So nothing of the kind is
 * opened of a process that
 *   - belongs to a memory cgroup within a twentieth of its limit, or to one beneath it;
 *   - runs on a host with less than a twentieth of its memory available;
 *   - is being killed or ends;
 *   - or was marked, it or one of its cgroup, GATE_MARK_NS ago or less.
 * Asked before each opening and between the slices of a reading (of single entries: after each 64 of them). What was
 * refused may be asked for again later. Where no limit can be read (no controller mounted, outside of our cgroup
 * namespace) there is none.
 */
#ifndef HB_REMOTE_GATE_H
#define HB_REMOTE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "procfs.h"

#define GATE_MARK_NS 2000000000ull

enum gate_answer {
	GATE_OPEN,
	GATE_CGROUP, /* a cgroup near its limit */
	GATE_HOST,   /* the host short of memory */
	GATE_MARKED,
	GATE_ENDS,
};

/*
 * Whether the address space of @proc may be held for a moment: 0, -EBUSY (no: gate_why()), -ESRCH. Costs
 * some 40 us. Any thread may ask.
 */
int gate_ask(const struct proc *proc);

/* Why this thread was refused last: "its memory cgroup is ...", never NULL. */
const char *gate_why(void);

/*
 * @pid was chosen to be killed for want of memory: closed for it and the processes of its cgroup. Whoever
 * marks when there is none left calls gate_mark(0) once before, for the gate is made with the first call.
 */
void gate_mark(pid_t pid);

#define GATE_HELD_MAX_NS 1000000u

/*
 * For how many ns a read() counts as having held an address space, that began at @began_ns (CLOCK_MONOTONIC) and ends
 * now. It takes microseconds; one that took longer has waited, for a lock or a processor, and would have the next
 * readings put off for minutes: it counts GATE_HELD_MAX_NS.
 */
uint64_t gate_held_ns(uint64_t began_ns);

/* --- with other files, for tests --- */

struct gate_files {
	const char *mountinfo, *meminfo;
	bool genuine; /* cgroups are looked for on cgroup file systems alone */
};

struct gate;

/* NULL if memory is short. */
struct gate *gate_new(const struct gate_files *files);
void gate_free(struct gate *gate);

/* At the time @now_ns (CLOCK_MONOTONIC): enum gate_answer, or -ESRCH or what reading stat gave. */
int gate_check(struct gate *gate, const struct proc *proc, uint64_t now_ns);
void gate_close(struct gate *gate, const struct proc *proc, uint64_t now_ns);

#endif
