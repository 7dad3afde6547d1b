/* SPDX-License-Identifier: Apache-2.0 */
/* The entry points of all allocators, by name, with what each does with its arguments. */
#ifndef HB_PROBE_ALLOCATOR_TABLE_H
#define HB_PROBE_ALLOCATOR_TABLE_H

#include <stdint.h>

#include "allocator_points.h"

/* Entry points that come and go together; a name alone proves little, its group does. */
enum allocator_group {
	GROUP_PLAIN,       /* the C API, whoever made it: wants malloc and free in one file */
	GROUP_LIBC,        /* __libc_malloc...: only beside GROUP_PLAIN, not in musl */
	GROUP_CXX,         /* operator new and delete: only beside GROUP_PLAIN */
	GROUP_JE,          /* jemalloc with the prefix je_ */
	GROUP_JEMALLOC,    /* jemalloc with the prefix jemalloc_ */
	GROUP_RJEM,        /* jemalloc of Rust's tikv-jemallocator */
	GROUP_TC,          /* tc_malloc...: gperftools */
	GROUP_TCINTERNAL,  /* TCMallocInternalMalloc...: Google's tcmalloc */
	GROUP_MI,          /* mimalloc */
	GROUP_END
};

/* Whether a row proves its group: one of each kind is wanted. */
enum allocator_proof {
	PROOF_NONE,
	PROOF_ALLOC,
	PROOF_FREE,
};

struct allocator_row {
	const char *name;
	enum allocator_group group;
	enum allocator_proof proof;
	struct call_shape shape;
};

/* In order of preference: of several names at one address the first row is taken. */
extern const struct allocator_row allocator_rows[];
extern const unsigned int allocator_rows_count;

#endif
