// SPDX-License-Identifier: Apache-2.0
/* Constant bytes: the texts by which a library tells its version. */
#include "allocator_image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"

#define CHUNK      (64u << 10)
#define SEARCH_MAX (1ULL << 30) /* a sparse file may claim any size */

static int segment_search(const struct image *image, const struct elf_segment *segment,
			  uint64_t end, const void *bytes, size_t size,
			  int (*visit)(void *, uint64_t), void *arg)
{
	__cleanup(freep) char *buffer = malloc(CHUNK);
	uint64_t at = 0;

	if (!buffer)
		return -ENOMEM;
	while (end - at >= size) {
		uint64_t left = end - at;
		size_t have = left < CHUNK ? left : CHUNK;
		const char *from = buffer, *hit;

		if (elffile_read(image->file, segment->vaddr + at, buffer, have))
			return 0;
		while ((hit = memmem(from, have - (size_t)(from - buffer), bytes, size))) {
			int found = visit(arg, segment->vaddr + at + (uint64_t)(hit - buffer));

			if (found)
				return found;
			from = hit + 1;
		}
		at += have - (size - 1); /* a match may straddle two chunks, whole in one */
	}
	return 0;
}

int image_search(const struct image *image, const void *bytes, size_t size,
		 int (*visit)(void *, uint64_t), void *arg)
{
	uint64_t left = SEARCH_MAX;
	int found = 0;
	size_t i;

	if (!size || size > CHUNK / 2)
		return -EINVAL;
	for (i = 0; i < image->file->segments_count && !found; i++) {
		const struct elf_segment *segment = &image->file->segments[i];
		uint64_t end = segment->filesz < left ? segment->filesz : left;

		if (segment->flags & PF_W)
			continue;
		left -= end;
		found = segment_search(image, segment, end, bytes, size, visit, arg);
	}
	return found;
}
