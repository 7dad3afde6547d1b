/* SPDX-License-Identifier: Apache-2.0 */
/* Who made the allocator in a file, and which version it is. */
#ifndef HB_PROBE_ALLOCATOR_MAKER_H
#define HB_PROBE_ALLOCATOR_MAKER_H

#include <stdbool.h>
#include <stddef.h>

#include "allocator_image.h"
#include "allocator_table.h"

/* Whether the file's C library is musl. Needs the index. */
bool maker_is_musl(const struct image *image);

/*
 * The makers of the groups found, "glibc 2.36", or "glibc 2.36 + jemalloc 5.3.0" where a file has
 * two; "malloc" if the maker left no mark. A version is told only if the file itself tells it.
 */
void maker_name(const struct image *image, const bool groups[GROUP_END], char *text, size_t size);

#endif
