/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of addresses with names, of which later ones cover earlier ones. They are kept as runs, each
 * sorted and disjoint and less than half as long as the one before it: adding costs O(log n) on the
 * average in whatever order they come, finding O(log^2 n) at worst, and both at any time.
 */
#ifndef HB_SYMBOL_JITSPANS_H
#define HB_SYMBOL_JITSPANS_H

#include <stddef.h>
#include <stdint.h>

#define JITSPANS_MAX       (2u << 20)   /* 24 to 48 bytes each; beyond it the oldest quarter is forgotten */
#define JITSPANS_NAMES_MAX (128u << 20) /* bytes of names; as above */
#define JITSPANS_NAME_MAX  4096         /* bytes of one name; longer ones are cut with "..." */
#define JITSPANS_RUNS_MAX  32           /* halving from JITSPANS_MAX gives 22 */

struct jitspan {
	uint64_t start, end; /* [start, end) */
	uint32_t name;       /* where it is in names: what came later has a larger one */
};

struct jitspans {
	struct jitspan *spans;
	size_t count, cap;
	size_t runs[JITSPANS_RUNS_MAX]; /* where in spans each begins, the latest last */
	size_t runs_count;
	char *names; /* each ends in NUL; also those that nothing has any more */
	size_t names_bytes, names_cap;
	size_t names_limit; /* to sort out at */
};

void jitspans_init(struct jitspans *all);
void jitspans_release(struct jitspans *all);

/*
 * Name [@start, @end) with the @length bytes at @name, which hold no NUL and do not lie in @all. 0,
 * -ENOMEM, -EINVAL (an empty range or name). If it fails all else is kept.
 */
int jitspans_add(struct jitspans *all, uint64_t start, uint64_t end, const char *name, size_t length);

/* The latest name around @address, borrowed until the next addition; NULL: none. */
const char *jitspans_find(const struct jitspans *all, uint64_t address);

/* Bytes of memory held. */
size_t jitspans_bytes(const struct jitspans *all);

#endif
