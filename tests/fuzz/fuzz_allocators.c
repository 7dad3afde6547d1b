// SPDX-License-Identifier: Apache-2.0
/* Any bytes as an ELF file to find entry points in: imports, relocations, FDEs, code, JNI tables. */
#include <stdlib.h>
#include <unistd.h>

#include "../../user/probe/allocators.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_file(data, size);
	struct elf_file *file;
	struct probe_set set;

	if (!elffile_open(&file, fd)) {
		if (!allocators_find(file, &set)) {
			for (size_t i = 1; i < set.count; i++) {
				if (set.points[i].offset < set.points[i - 1].offset)
					abort();
			}
			for (size_t i = 0; i < set.count; i++) {
				if (set.points[i].offset >= size || !set.points[i].function)
					abort();
			}
			probe_set_release(&set);
		}
		elffile_free(file);
	}
	close(fd);
	return 0;
}
