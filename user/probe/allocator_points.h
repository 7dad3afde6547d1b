/* SPDX-License-Identifier: Apache-2.0 */
/* A growing list of probe points, and the cookies they carry. */
#ifndef HB_PROBE_ALLOCATOR_POINTS_H
#define HB_PROBE_ALLOCATOR_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/record.h"
#include "../symbol/elffile.h"
#include "allocators.h"

/* What the kernel side must know of one call. Arguments count from 1; 0: it has none. */
struct call_shape {
	enum hb_role role;
	enum hb_source source;
	uint8_t size, count, ptr;
	bool throws;
};

struct point_list {
	struct probe_point *points;
	size_t count, room;
};

/* The cookie for a call that is probed at @vaddr: its shape and the reach of the file's text. */
uint64_t point_cookie(const struct elf_file *file, uint64_t vaddr, const struct call_shape *shape);

/* Append. @function must outlive the list. 0, -ENOENT (no byte of the file is there), -ENOMEM. */
int points_add(struct point_list *list, const struct elf_file *file, uint64_t vaddr,
	       enum probe_place place, uint64_t cookie, const char *function);

/* The same for the entry probe of the function at @entry, whose place was chosen. */
struct placement;
int points_add_entry(struct point_list *list, const struct elf_file *file, uint64_t entry,
		     const struct placement *chosen, enum probe_place place, uint64_t cookie, const char *function);

/* Mark the calls that call no other entry point, as far as that is known of @maker (struct probe_set). */
void points_mark_alone(struct point_list *list, const char *maker);

/* Sort by offset and place; of several points at one (offset, place) the first added stays. */
void points_finish(struct point_list *list);

#endif
