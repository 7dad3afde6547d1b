/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a function returns: its ret instructions, found by following its control flow.
 *
 * A return probe rewrites the return address, and an exception thrown through the rewritten frame
 * ends the process. A function that may throw gets probes on its ret instructions instead. All
 * must be known, or blocks are missed, so a search that cannot tell gives nothing.
 *
 * Followed: conditional jumps, jumps within the file, also to other functions (whose ret is then
 * ours too), also through PLT and GOT to symbols the file itself defines. Not followed: calls.
 * Rets of unrelated code may be among the found ones, where a call does not return and nothing
 * in the file says so.
 */
#ifndef HB_PROBE_RET_SITES_H
#define HB_PROBE_RET_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator_image.h"

#define RET_SITES_MAX        256
#define RET_INSTRUCTIONS_MAX 20000 /* looked at for one function */

/* Another probed function. What it hands out or takes back, it accounts for. */
struct ret_stop {
	uint64_t vaddr;
	bool has_return_probe;
};

enum ret_verdict {
	RET_FOUND,   /* @vaddrs are all the ways out */
	RET_BENEATH, /* every way out leads through a stop: the stop's probes see it all */
	RET_UNKNOWN, /* @why the search could not tell */
};

struct ret_sites {
	enum ret_verdict verdict;
	const char *why;                /* static; with RET_UNKNOWN */
	uint64_t vaddrs[RET_SITES_MAX]; /* of the ret instructions, ascending */
	size_t count;
	size_t instructions;            /* looked at: what the search cost */
};

/*
 * Search the function at @entry. @stops are sorted by address; one at @entry itself is not
 * counted. Needs image_load_slots(). 0 with a verdict, or -ENOMEM.
 */
int ret_sites_find(const struct image *image, uint64_t entry, const struct ret_stop *stops,
		   size_t stops_count, struct ret_sites *out);

#endif
