// SPDX-License-Identifier: Apache-2.0
/* Any bytes as an ELF file with DWARF, which also is what dwz moved out of it: index the units, ask for places. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/symbol/lines.h"
#include "fuzz_file.h"

#define ASKED 16 /* places in each segment */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct lines *lines, uint64_t vaddr)
{
	struct line_level levels[LINES_INLINED_MAX + 1];
	size_t i, cap = vaddr % 3 ? LINES_INLINED_MAX + 1 : 2, count = lines_find(lines, vaddr, levels, cap);
	volatile size_t bytes = 0;

	if (count > cap)
		abort();
	for (i = 0; i < count; i++) {
		if (levels[i].function)
			bytes += strlen(levels[i].function);
		if (levels[i].file)
			bytes += strlen(levels[i].file);
		if (levels[i].line && !levels[i].file)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_file(data, size);
	struct elf_file *file, *common = NULL;
	struct lines *lines;
	size_t i, k;

	if (!elffile_open(&file, fd)) {
		elffile_open_common(&common, fd);
		lines = lines_open(file, common);
		for (i = 0; lines && i < file->segments_count && i < 4; i++) {
			uint64_t step = file->segments[i].memsz / ASKED;

			for (k = 0; k < ASKED; k++)
				ask(lines, file->segments[i].vaddr + k * (step ? step : 1));
		}
		lines_free(lines);
		elffile_free(common);
		elffile_free(file);
	}
	close(fd);
	return 0;
}
