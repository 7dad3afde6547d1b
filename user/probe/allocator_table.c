// SPDX-License-Identifier: Apache-2.0
#include "allocator_table.h"

#include <stddef.h>

/*
 * The shapes. Numbers are C argument positions, from 1:
 * ALLOC(size), ALLOC_N(count, size), POSIX(where, size), REALLOC(block, size),
 * REALLOC_N(block, count, size), RESIZE(block, size), FREE(block). The _T ones may throw.
 */
#define SHAPE(role_, size_, count_, ptr_, throws_)                                             \
	{ .role = HB_ROLE_##role_, .source = HB_SRC_MALLOC, .size = size_, .count = count_,    \
	  .ptr = ptr_, .throws = throws_ }
#define ALLOC(size)                  SHAPE(ALLOC, size, 0, 0, false)
#define ALLOC_N(count, size)         SHAPE(ALLOC, size, count, 0, false)
#define ALLOC_T(size)                SHAPE(ALLOC, size, 0, 0, true)
#define ALLOC_NT(count, size)        SHAPE(ALLOC, size, count, 0, true)
#define POSIX(ptr, size)             SHAPE(POSIX, size, 0, ptr, false)
#define REALLOC(ptr, size)           SHAPE(REALLOC, size, 0, ptr, false)
#define REALLOC_N(ptr, count, size)  SHAPE(REALLOC, size, count, ptr, false)
#define REALLOC_T(ptr, size)         SHAPE(REALLOC, size, 0, ptr, true)
#define REALLOC_NT(ptr, count, size) SHAPE(REALLOC, size, count, ptr, true)
#define RESIZE(ptr, size)            SHAPE(RESIZE, size, 0, ptr, false)
#define FREE(ptr)                    SHAPE(FREE, 0, 0, ptr, false)

#define ROW(name, group, shape)         { name, GROUP_##group, PROOF_NONE, shape }
#define PROVE(name, group, kind, shape) { name, GROUP_##group, PROOF_##kind, shape }

/* The C API under a prefix of its own. */
#define C_ROWS(prefix, group)                                                                  \
	PROVE(prefix "malloc", group, ALLOC, ALLOC(1)),                                        \
	PROVE(prefix "free", group, FREE, FREE(1)),                                            \
	ROW(prefix "calloc", group, ALLOC_N(1, 2)),                                            \
	ROW(prefix "realloc", group, REALLOC(1, 2)),                                           \
	ROW(prefix "reallocarray", group, REALLOC_N(1, 2, 3)),                                 \
	ROW(prefix "posix_memalign", group, POSIX(1, 3)),                                      \
	ROW(prefix "memalign", group, ALLOC(2)),                                               \
	ROW(prefix "aligned_alloc", group, ALLOC(2)),                                          \
	ROW(prefix "valloc", group, ALLOC(1)),                                                 \
	ROW(prefix "pvalloc", group, ALLOC(1)),                                                \
	ROW(prefix "cfree", group, FREE(1)),                                                   \
	ROW(prefix "free_sized", group, FREE(1)),                                              \
	ROW(prefix "free_aligned_sized", group, FREE(1))

/* jemalloc's own. A linker may have dropped je_malloc for want of a caller, but not all. */
#define X_ROWS(prefix, group, alloc_proof, free_proof)                                         \
	PROVE(prefix "mallocx", group, alloc_proof, ALLOC(1)),                                 \
	ROW(prefix "rallocx", group, REALLOC(1, 2)),                                           \
	ROW(prefix "xallocx", group, RESIZE(1, 2)),                                            \
	PROVE(prefix "dallocx", group, free_proof, FREE(1)),                                   \
	PROVE(prefix "sdallocx", group, free_proof, FREE(1))

#define JEMALLOC_ROWS(prefix, group)                                                           \
	C_ROWS(prefix, group), X_ROWS(prefix, group, ALLOC, FREE)

/* mimalloc has most functions twice: over the thread's heap, and over one given first. */
#define MI_ROWS(prefix, n)                                                                     \
	ROW(prefix "zalloc", MI, ALLOC(n + 1)),                                                \
	ROW(prefix "calloc", MI, ALLOC_N(n + 1, n + 2)),                                       \
	ROW(prefix "mallocn", MI, ALLOC_N(n + 1, n + 2)),                                      \
	ROW(prefix "malloc_small", MI, ALLOC(n + 1)),                                          \
	ROW(prefix "zalloc_small", MI, ALLOC(n + 1)),                                          \
	ROW(prefix "malloc_aligned", MI, ALLOC(n + 1)),                                        \
	ROW(prefix "malloc_aligned_at", MI, ALLOC(n + 1)),                                     \
	ROW(prefix "zalloc_aligned", MI, ALLOC(n + 1)),                                        \
	ROW(prefix "zalloc_aligned_at", MI, ALLOC(n + 1)),                                     \
	ROW(prefix "calloc_aligned", MI, ALLOC_N(n + 1, n + 2)),                               \
	ROW(prefix "calloc_aligned_at", MI, ALLOC_N(n + 1, n + 2)),                            \
	ROW(prefix "realloc", MI, REALLOC(n + 1, n + 2)),                                      \
	ROW(prefix "reallocn", MI, REALLOC_N(n + 1, n + 2, n + 3)),                            \
	/* Frees the block when it fails, which no role says: such a block stays counted. */   \
	ROW(prefix "reallocf", MI, REALLOC(n + 1, n + 2)),                                     \
	ROW(prefix "rezalloc", MI, REALLOC(n + 1, n + 2)),                                     \
	ROW(prefix "recalloc", MI, REALLOC_N(n + 1, n + 2, n + 3)),                            \
	ROW(prefix "realloc_aligned", MI, REALLOC(n + 1, n + 2)),                              \
	ROW(prefix "realloc_aligned_at", MI, REALLOC(n + 1, n + 2)),                           \
	ROW(prefix "rezalloc_aligned", MI, REALLOC(n + 1, n + 2)),                             \
	ROW(prefix "rezalloc_aligned_at", MI, REALLOC(n + 1, n + 2)),                          \
	ROW(prefix "recalloc_aligned", MI, REALLOC_N(n + 1, n + 2, n + 3)),                    \
	ROW(prefix "recalloc_aligned_at", MI, REALLOC_N(n + 1, n + 2, n + 3))

/* Itanium C++ ABI names: w, a: of one object, of an array. */
#define CXX_ROWS(kind)                                                                         \
	ROW("_Zn" kind "m", CXX, ALLOC_T(1)),                                                  \
	ROW("_Zn" kind "mRKSt9nothrow_t", CXX, ALLOC_T(1)),                                    \
	ROW("_Zn" kind "mSt11align_val_t", CXX, ALLOC_T(1)),                                   \
	ROW("_Zn" kind "mSt11align_val_tRKSt9nothrow_t", CXX, ALLOC_T(1)),                     \
	/* tcmalloc's hint how often a block will be used. */                                  \
	ROW("_Zn" kind "m12__hot_cold_t", CXX, ALLOC_T(1)),                                    \
	ROW("_Zn" kind "mRKSt9nothrow_t12__hot_cold_t", CXX, ALLOC_T(1)),                      \
	ROW("_Zn" kind "mSt11align_val_t12__hot_cold_t", CXX, ALLOC_T(1)),                     \
	ROW("_Zn" kind "mSt11align_val_tRKSt9nothrow_t12__hot_cold_t", CXX, ALLOC_T(1))

#define CXX_FREE_ROWS(kind)                                                                    \
	ROW("_Zd" kind "Pv", CXX, FREE(1)),                                                    \
	ROW("_Zd" kind "Pvm", CXX, FREE(1)),                                                   \
	ROW("_Zd" kind "PvRKSt9nothrow_t", CXX, FREE(1)),                                      \
	ROW("_Zd" kind "PvmRKSt9nothrow_t", CXX, FREE(1)),                                     \
	ROW("_Zd" kind "PvSt11align_val_t", CXX, FREE(1)),                                     \
	ROW("_Zd" kind "PvmSt11align_val_t", CXX, FREE(1)),                                    \
	ROW("_Zd" kind "PvSt11align_val_tRKSt9nothrow_t", CXX, FREE(1)),                       \
	ROW("_Zd" kind "PvmSt11align_val_tRKSt9nothrow_t", CXX, FREE(1))

#define TC_NEW_ROWS(name)                                                                      \
	ROW("tc_new" name, TC, ALLOC_T(1)),                                                    \
	ROW("tc_new" name "_nothrow", TC, ALLOC_T(1)),                                         \
	ROW("tc_new" name "_aligned", TC, ALLOC_T(1)),                                         \
	ROW("tc_new" name "_aligned_nothrow", TC, ALLOC_T(1)),                                 \
	ROW("tc_delete" name, TC, FREE(1)),                                                    \
	ROW("tc_delete" name "_sized", TC, FREE(1)),                                           \
	ROW("tc_delete" name "_nothrow", TC, FREE(1)),                                         \
	ROW("tc_delete" name "_aligned", TC, FREE(1)),                                         \
	ROW("tc_delete" name "_sized_aligned", TC, FREE(1)),                                   \
	ROW("tc_delete" name "_aligned_nothrow", TC, FREE(1))

#define TCINTERNAL_NEW_ROWS(name)                                                              \
	ROW("TCMallocInternalNew" name, TCINTERNAL, ALLOC_T(1)),                               \
	ROW("TCMallocInternalNew" name "Nothrow", TCINTERNAL, ALLOC_T(1)),                     \
	ROW("TCMallocInternalNew" name "Aligned", TCINTERNAL, ALLOC_T(1)),                     \
	ROW("TCMallocInternalNew" name "AlignedNothrow", TCINTERNAL, ALLOC_T(1)),              \
	ROW("TCMallocInternalNew" name "Aligned_nothrow", TCINTERNAL, ALLOC_T(1)),             \
	ROW("TCMallocInternalDelete" name, TCINTERNAL, FREE(1)),                               \
	ROW("TCMallocInternalDelete" name "Sized", TCINTERNAL, FREE(1)),                       \
	ROW("TCMallocInternalDelete" name "Nothrow", TCINTERNAL, FREE(1)),                     \
	ROW("TCMallocInternalDelete" name "Aligned", TCINTERNAL, FREE(1)),                     \
	ROW("TCMallocInternalDelete" name "SizedAligned", TCINTERNAL, FREE(1)),                \
	ROW("TCMallocInternalDelete" name "AlignedNothrow", TCINTERNAL, FREE(1)),              \
	ROW("TCMallocInternalDelete" name "Aligned_nothrow", TCINTERNAL, FREE(1))

const struct allocator_row allocator_rows[] = {
	C_ROWS("", PLAIN),
	X_ROWS("", PLAIN, NONE, NONE),

	C_ROWS("__libc_", LIBC),
	ROW("__posix_memalign", LIBC, POSIX(1, 3)),

	CXX_ROWS("w"),
	CXX_ROWS("a"),
	CXX_FREE_ROWS("l"),
	CXX_FREE_ROWS("a"),
	/* These return the block and its size; the block comes first, in the first register. */
	ROW("__size_returning_new", CXX, ALLOC_T(1)),
	ROW("__size_returning_new_aligned", CXX, ALLOC_T(1)),
	ROW("__size_returning_new_hot_cold", CXX, ALLOC_T(1)),
	ROW("__size_returning_new_aligned_hot_cold", CXX, ALLOC_T(1)),
	ROW("tcmalloc_size_returning_operator_new", CXX, ALLOC_T(1)),
	ROW("tcmalloc_size_returning_operator_new_nothrow", CXX, ALLOC_T(1)),

	JEMALLOC_ROWS("je_", JE),
	JEMALLOC_ROWS("jemalloc_", JEMALLOC),
	JEMALLOC_ROWS("_rjem_", RJEM),

	C_ROWS("tc_", TC),
	ROW("tc_malloc_skip_new_handler", TC, ALLOC(1)),
	TC_NEW_ROWS(""),
	TC_NEW_ROWS("array"),

	PROVE("TCMallocInternalMalloc", TCINTERNAL, ALLOC, ALLOC(1)),
	PROVE("TCMallocInternalFree", TCINTERNAL, FREE, FREE(1)),
	ROW("TCMallocInternalCalloc", TCINTERNAL, ALLOC_N(1, 2)),
	ROW("TCMallocInternalRealloc", TCINTERNAL, REALLOC(1, 2)),
	ROW("TCMallocInternalReallocArray", TCINTERNAL, REALLOC_N(1, 2, 3)),
	ROW("TCMallocInternalPosixMemalign", TCINTERNAL, POSIX(1, 3)),
	ROW("TCMallocInternalMemalign", TCINTERNAL, ALLOC(2)),
	ROW("TCMallocInternalAlignedAlloc", TCINTERNAL, ALLOC(2)),
	ROW("TCMallocInternalValloc", TCINTERNAL, ALLOC(1)),
	ROW("TCMallocInternalPvalloc", TCINTERNAL, ALLOC(1)),
	ROW("TCMallocInternalPvAlloc", TCINTERNAL, ALLOC(1)),
	ROW("TCMallocInternalCfree", TCINTERNAL, FREE(1)),
	ROW("TCMallocInternalFreeSized", TCINTERNAL, FREE(1)),
	ROW("TCMallocInternalFreeAlignedSized", TCINTERNAL, FREE(1)),
	ROW("TCMallocInternalSdallocx", TCINTERNAL, FREE(1)),
	TCINTERNAL_NEW_ROWS(""),
	TCINTERNAL_NEW_ROWS("Array"),

	PROVE("mi_malloc", MI, ALLOC, ALLOC(1)),
	PROVE("mi_free", MI, FREE, FREE(1)),
	MI_ROWS("mi_", 0),
	ROW("mi_heap_malloc", MI, ALLOC(2)),
	MI_ROWS("mi_heap_", 1),
	/* Grows a block where it stands, or returns NULL and leaves it. */
	ROW("mi_expand", MI, REALLOC(1, 2)),
	ROW("mi_reallocarray", MI, REALLOC_N(1, 2, 3)),
	ROW("mi_posix_memalign", MI, POSIX(1, 3)),
	ROW("mi_memalign", MI, ALLOC(2)),
	ROW("mi_aligned_alloc", MI, ALLOC(2)),
	ROW("mi_valloc", MI, ALLOC(1)),
	ROW("mi_pvalloc", MI, ALLOC(1)),
	ROW("mi_cfree", MI, FREE(1)),
	ROW("mi_free_size", MI, FREE(1)),
	ROW("mi_free_size_aligned", MI, FREE(1)),
	ROW("mi_free_aligned", MI, FREE(1)),
	ROW("mi_new", MI, ALLOC_T(1)),
	ROW("mi_new_nothrow", MI, ALLOC_T(1)),
	ROW("mi_new_aligned", MI, ALLOC_T(1)),
	ROW("mi_new_aligned_nothrow", MI, ALLOC_T(1)),
	ROW("mi_new_n", MI, ALLOC_NT(1, 2)),
	ROW("mi_new_realloc", MI, REALLOC_T(1, 2)),
	ROW("mi_new_reallocn", MI, REALLOC_NT(1, 2, 3)),
	ROW("mi_heap_alloc_new", MI, ALLOC_T(2)),
	ROW("mi_heap_alloc_new_n", MI, ALLOC_NT(2, 3)),
};

const unsigned int allocator_rows_count = sizeof(allocator_rows) / sizeof(allocator_rows[0]);
