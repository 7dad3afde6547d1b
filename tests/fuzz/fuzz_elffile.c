// SPDX-License-Identifier: Apache-2.0
/* Any bytes as an ELF file: open, index, ask, read. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/symbol/elffile.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct elf_file *file)
{
	char bytes[64];
	uint64_t out;
	size_t i;

	for (i = 0; i < file->symbols_count; i++) {
		const struct elf_symbol *symbol = &file->symbols[i], *found;

		found = elffile_function(file, symbol->vaddr + symbol->size / 2);
		if (found && found->vaddr > symbol->vaddr + symbol->size / 2)
			abort();
		found = elffile_symbol(file, symbol->name);
		if (!found || strcmp(found->name, symbol->name) || found->vaddr > symbol->vaddr)
			abort();
		if (symbol->exported && !elffile_exports(file, symbol->name))
			abort();
	}
	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		elffile_vaddr(file, segment->offset + segment->filesz / 2, &out);
		elffile_offset(file, segment->vaddr + segment->filesz / 2, &out);
		elffile_read(file, segment->vaddr, bytes, sizeof(bytes));
		elffile_function(file, segment->vaddr + segment->memsz - 1);
	}
	elffile_symbol(file, "");
	elffile_function(file, 0);
	elffile_function(file, UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_file(data, size);
	struct elf_file *file;

	if (!elffile_open(&file, fd)) {
		elffile_index(file);
		ask(file);
		elffile_free(file);
	}
	close(fd);
	return 0;
}
