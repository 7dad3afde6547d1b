/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a report says of one process image. Strings are owned by whoever fills the record in
 * (probe/target) and live as long as the report does.
 */
#ifndef HB_MODEL_PROCESS_H
#define HB_MODEL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "container.h"

/* A file whose pages are resident in a process. */
struct file_pages {
	const char *path;
	uint64_t resident_bytes;
	uint64_t mappings; /* of the process */
};

struct process_info {
	uint32_t gen;         /* its generation, the key to its sites */
	uint32_t pid;         /* tgid, initial pid namespace */
	uint32_t image;       /* how many exec calls before this image; 0 for the first we saw */
	int64_t start_unix_ns; /* wall clock; 0: unknown */
	const char *comm;     /* any bytes, never NULL */
	const char *cgroup;   /* memory cgroup's path, or NULL */
	const struct container_info *container; /* or NULL */
	const char *const *allocators; /* "glibc 2.36", ... */
	size_t allocators_count;
	const char *runtime;  /* "jvm 17.0.15+6", or NULL */
	const char *blind;    /* why malloc cannot be seen here, or NULL */
	bool blocks_untraced; /* neither malloc nor direct is traced */
	bool governed;        /* the next two are known */
	enum budget_level malloc_level; /* how closely malloc is followed */
	double malloc_share;  /* of one core, that it costs the process now */
	bool direct_governed; /* as for malloc, of a runtime's own memory */
	enum budget_level direct_level;
	double direct_share;
	const char *direct_blind; /* why it is not seen now, or NULL */
	bool mmap_priced;     /* the next is known */
	double mmap_share;    /* of one core, that the programs which watch its mappings take now: no budget holds */
	bool sampled;         /* its sums are estimates, outstanding_bytes with the standard error */
	uint64_t error_bytes;
	uint64_t rss_bytes;   /* 0: unknown */
	/* Its address space, where mappings are watched; mapped_bytes 0: unknown. */
	uint64_t mapped_bytes, committed_bytes; /* committed: readable or writable */
	uint64_t mapped_before_bytes; /* of mapped_bytes: not seen being mapped */
	uint64_t mapped_by_allocators_bytes;    /* and inside allocators' calls; the rest is in the sites of mmap */
	uint64_t mapped_by_sites_bytes; /* that rest, as the board has it: also of an image that has ended */
	bool mapped_doubtful; /* changes were lost or did not tell all, and the kernel's own list was not read since */
	/* Where page faults are looked at: anonymous and shared memory by who made it resident. */
	bool pages_known;
	/* How old that is, and what is told of files: before this report, or its end. 0: looked at for this report. */
	uint64_t pages_age_ns, files_age_ns;
	uint64_t pages_bytes; /* estimate, all sites */
	uint64_t pages_error_bytes; /* its standard error, which the next two have as well */
	uint64_t pages_unattributed_bytes; /* and what no site is known of */
	uint64_t shared_with_bytes; /* of them shared memory that is known from other processes, or from none */
	uint64_t swapped_bytes;  /* by site, swapped out: estimate */
	uint64_t files_bytes;    /* and pages of files, which are nobody's work */
	const struct file_pages *files; /* by path, most first */
	size_t files_count;
	uint64_t files_left_out_bytes; /* of mappings that were too large to be looked at */
	bool moves_unseen;    /* what mremap moves is among the latter */
	bool exited;          /* this image has ended, by exit or exec */
	/* Sums over its blocks (malloc, direct), whatever the filters show. */
	uint64_t outstanding_bytes, outstanding_count;
	uint64_t allocated_bytes, allocated_count;
	uint64_t freed_bytes, freed_count;
};

#endif
