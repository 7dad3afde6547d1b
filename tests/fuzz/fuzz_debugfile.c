// SPDX-License-Identifier: Apache-2.0
/* Any bytes as an ELF file with links to its debug files, packed symbols and stubs. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/symbol/debugfile.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An empty folder, as the root of the process whose file it is. */
static int root_open(void)
{
	static int root = -1;
	char path[] = "/tmp/heldby-fuzz-XXXXXX";

	if (root < 0) {
		if (!mkdtemp(path))
			abort();
		root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		rmdir(path);
	}
	return root;
}

static void ask(struct elf_file *file)
{
	struct elf_file *found;
	size_t i;

	debugfile_has_dwarf(file);
	if (!debugfile_open(file, "/app/prog", root_open(), &found))
		elffile_free(found);
	if (!debugfile_open_common(file, root_open(), &found))
		elffile_free(found);
	if (!debugfile_mini(file, &found)) {
		elffile_index(found);
		elffile_set_debug(file, found);
	}
	elffile_index(file);
	for (i = 0; i < file->stubs_count; i++) {
		const struct elf_symbol *stub = &file->stubs[i];

		if (!*stub->name || (stub->size && !elffile_stub(file, stub->vaddr)))
			abort();
	}
	elffile_stub(file, 0);
	elffile_stub(file, UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_file(data, size);
	struct elf_file *file;

	if (!elffile_open(&file, fd)) {
		ask(file);
		elffile_free(file);
	}
	close(fd);
	return 0;
}
