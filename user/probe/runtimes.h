/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes that hand out memory of their own through entry points that no allocator's table
 * knows: today the JVM's Unsafe, which is behind direct buffers.
 */
#ifndef HB_PROBE_RUNTIMES_H
#define HB_PROBE_RUNTIMES_H

#include <stddef.h>

#include "allocator_image.h"
#include "allocator_points.h"

/*
 * If the file is a runtime, write its name ("jvm 17.0.15+6") to @runtime, else "", and add its
 * points. What a runtime should have and does not is told in @note. 0, -ENOMEM.
 */
int runtimes_find(const struct image *image, struct point_list *points, char *runtime,
		  size_t runtime_size, char *note, size_t note_size);

#endif
