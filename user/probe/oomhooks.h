/* SPDX-License-Identifier: Apache-2.0 */
/* Where the programs of probe_oom.bpf.c are put: OOM kills, and the processes that are there at one. */
#ifndef HB_PROBE_OOMHOOKS_H
#define HB_PROBE_OOMHOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/record.h"
#include "../model/gfp.h"
#include "features.h"

struct bpf_object;
struct bpf_link;

/* How the kernel's own description of a kill is found; every kill is seen on all of them, and on none. */
enum oom_rung {
	OOM_KPROBE, /* the argument of out_of_memory, by kprobe and kretprobe */
	OOM_FENTRY, /* by fentry and fexit, which skip it while another task's run of them is preempted */
	OOM_STACK,  /* searched for on the kernel's stack; stands in for the two above, too */
	OOM_RUNG_END, /* none: concluded from the cgroups */
	OOM_RUNG_BEST /* of options: the best that works */
};

#define OOMHOOKS_MAX 10

/* The rungs, best first, each tried once on out_of_memory with a program that does nothing. */
void oomhooks_probe(struct feature rungs[OOM_RUNG_END]);

/*
 * Where this kernel has the bits of a gfp mask that model/gfp.h names, from its types; they moved in 6.10. false:
 * it does not tell, and they are where they were before. A bit that it lacks is 32.
 */
bool oomhooks_gfp_bits(uint32_t bit_of[GFP_NAMED_BITS]);

/* Whether kills can be seen here at all; the tracepoint is as old as what we need else. */
bool oomhooks_works(void);

/* "kprobe", "fentry", "stack"; "none" */
const char *oomhooks_name(enum oom_rung rung);

/* Before @object is loaded: with @on the programs of @rung are, and those that every rung needs; else none. */
void oomhooks_choose(struct bpf_object *object, bool on, enum oom_rung rung);

/* Put them in place. 0 or negative errno; *@count links, to be destroyed, also on failure. */
int oomhooks_attach(struct bpf_object *object, enum oom_rung rung, struct bpf_link *links[OOMHOOKS_MAX],
		    size_t *count);

/* A walk over all processes: made ready, with room for what it finds, while there is memory. */
struct oomhooks_walk;
struct oomhooks_walk *oomhooks_walk_new(struct bpf_object *object, size_t max_tasks);
void oomhooks_walk_free(struct oomhooks_walk *walk);

/*
 * Walk now: no memory of a process is held for it. *@tasks has *@count rows, borrowed until the next walk.
 * 0; -E2BIG: there are more than the room holds, or another negative errno with the rows until then.
 */
int oomhooks_walk(struct oomhooks_walk *walk, const struct hb_oom_task **tasks, size_t *count);

#endif
