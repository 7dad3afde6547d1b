// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a maps file, and as the page table's entries. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/remote/filepages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct proc proc = PROC_INIT;
	int fd = memfd_create("maps", MFD_CLOEXEC);
	struct pagemap map = { .proc = &proc, .fd = fd };
	struct filepages files;

	if ((proc.dir < 0 && proc_open(&proc, getpid())) || fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	lseek(fd, 0, SEEK_SET);
	if (!filepages_read_list(&files, &map, fd, 4096)) {
		for (size_t i = 0; i < files.count; i++) {
			if (!files.files[i].resident_bytes || !files.files[i].mappings || !files.files[i].path[0])
				abort();
		}
		if (files.count > FILEPAGES_MAX || files.looked_at > FILEPAGES_LOOKED_AT)
			abort();
	}
	filepages_release(&files);
	close(fd);
	return 0;
}
