/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the memory controller says of a cgroup and the kernel of the host. Read while there is no memory left, of
 * whoever is being killed: nothing is allocated, and none of these files holds a process's address space.
 */
#ifndef HB_REMOTE_MEMSTAT_H
#define HB_REMOTE_MEMSTAT_H

#include <stdbool.h>
#include <stdint.h>

#include "cgroup.h"

#define MEMSTAT_UNKNOWN UINT64_MAX

/*
 * A cgroup and all beneath it. Bytes, each may be MEMSTAT_UNKNOWN: of v1 kernel_stack, slab, pagetables and sock
 * always are.
 */
struct memstat {
	uint64_t usage_bytes; /* v2's root has none */
	uint64_t anon_bytes;
	uint64_t file_bytes;  /* with shmem_bytes, as v2's "file"; of v1 total_cache, which means the same */
	uint64_t shmem_bytes; /* tmpfs and shared memory */
	uint64_t kernel_bytes; /* v2 since 5.18; v1: memory.kmem.usage_in_bytes */
	uint64_t kernel_stack_bytes, slab_bytes, pagetables_bytes, sock_bytes; /* parts of the kernel's, but sock */
};

/* Bytes, each may be MEMSTAT_UNKNOWN. */
struct memstat_host {
	uint64_t total_bytes, free_bytes, available_bytes;
	uint64_t swap_total_bytes, swap_free_bytes;
	struct memstat stat; /* slab: what cannot be reclaimed; usage, kernel and sock are unknown */
};

/*
 * How much of the last 10 and 60 seconds some of those with work to do, or all of them, waited for memory:
 * hundredths of a percent, each may be MEMSTAT_UNKNOWN.
 */
struct memstat_pressure {
	uint64_t some_10s, some_60s, full_10s, full_60s;
};

/* Free on some NUMA nodes, and on all others that have memory. Bytes, each may be MEMSTAT_UNKNOWN. */
struct memstat_nodes {
	uint64_t inside_bytes, outside_bytes;
};

#define MEMSTAT_NODES_MAX 1024 /* as many as a kernel can have: a bit each in so many words */
#define MEMSTAT_NODE_WORDS (MEMSTAT_NODES_MAX / 64)

/*
 * The cgroup @path ("/a/b", as /proc/PID/cgroup has it) of the mounts that were found before. 0 if memory.stat
 * could be read; else negative errno (-ENOENT: gone, not mounted, no such controller), and only usage_bytes and
 * v1's kernel_bytes may be known. Costs some 30 us.
 */
int memstat_cgroup(const struct cgroup_mounts *mounts, bool v1, const char *path, struct memstat *out);

/*
 * The pressure in the cgroup @path of the unified hierarchy, or (NULL) on the host. 0, -ENOENT (there are kernels
 * without), or another negative errno; then nothing is known.
 */
int memstat_pressure(const struct cgroup_mounts *mounts, const char *path, struct memstat_pressure *out);

/* Whether somebody waits in the cgroup @path of the first version while its OOM killer is disabled. */
bool memstat_oom_disabled(const struct cgroup_mounts *mounts, const char *path);

/* From /sys/devices/system/node, @nodes being those inside. 0 or negative errno; then nothing is known. */
int memstat_nodes(const uint64_t nodes[MEMSTAT_NODE_WORDS], struct memstat_nodes *out);

/* From /proc/meminfo. 0 or negative errno; then nothing is known. */
int memstat_host(struct memstat_host *out);

/* Huge pages given out in faults since the host began, to all programs, from /proc/vmstat; or MEMSTAT_UNKNOWN. */
uint64_t memstat_huge(void);
uint64_t memstat_parse_huge(const char *text); /* the text of vmstat */

/*
 * The text of memory.stat, of meminfo, or of memory.pressure. Only whole lines count, for the text may have been
 * cut; of two of the same name the first. memstat_parse() fills what is UNKNOWN in @stat and leaves the rest alone.
 */
void memstat_parse(struct memstat *stat, bool v1, const char *text);
void memstat_parse_host(struct memstat_host *host, const char *text);
void memstat_parse_pressure(struct memstat_pressure *pressure, const char *text);

/* "0-1,3\n", as the kernel lists nodes, into @nodes. Whether it is such a list. */
bool memstat_parse_nodes(uint64_t nodes[MEMSTAT_NODE_WORDS], const char *text);
/* What is free by a node's own meminfo ("Node 1 MemFree: 12 kB"). */
uint64_t memstat_parse_node(const char *text);

#endif
