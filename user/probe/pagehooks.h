/* SPDX-License-Identifier: Apache-2.0 */
/* Where the programs of probe_pages.bpf.c are put: page faults, and faults of huge pages. */
#ifndef HB_PROBE_PAGEHOOKS_H
#define HB_PROBE_PAGEHOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "features.h"

struct bpf_object;
struct bpf_link;

enum page_rung {
	PAGES_RAW_TRACEPOINT, /* exceptions:page_fault_user and _kernel (x86) */
	PAGES_KPROBE,         /* handle_mm_fault: also what the kernel makes resident without touching it */
	PAGES_RUNG_END
};

/* Which faults are of huge pages. */
enum huge_rung {
	HUGE_KPROBE,          /* do_huge_pmd_anonymous_page */
	HUGE_RAW_TRACEPOINT,  /* kmem:mm_page_alloc, which every allocation of pages passes */
	HUGE_RUNG_END
};

#define PAGEHOOKS_MAX 4

/*
 * Each is tried once, with a program that does nothing. Moves: whether mremap can have a hook of its own, whose price
 * nobody else pays; a tracepoint's would be paid by each system call of the host.
 */
void pagehooks_try(enum page_rung rung, struct feature *feature);
void pagehooks_try_huge(enum huge_rung rung, struct feature *feature);
void pagehooks_try_moves(struct feature *feature);

/* "raw_tracepoint", "kprobe"; "none" */
const char *pagehooks_name(enum page_rung rung);

/* Before @object is loaded: only the programs of these rungs are; *_RUNG_END: none. @moves: and that of mremap. */
void pagehooks_choose(struct bpf_object *object, enum page_rung pages, enum huge_rung huge, bool moves);

/* Put them in place, *@count links behind those that are there, to be destroyed. 0 or negative errno (none is). */
int pagehooks_attach(struct bpf_object *object, enum page_rung pages, enum huge_rung huge,
		     struct bpf_link *links[PAGEHOOKS_MAX], size_t *count);
/* The same of mremap's. */
int pagehooks_attach_moves(struct bpf_object *object, struct bpf_link *links[PAGEHOOKS_MAX], size_t *count);

#endif
