// SPDX-License-Identifier: Apache-2.0
#include "vdso.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel made it, so it is believed. What is mapped are whole pages, up to the end of all that it has. */
int vdso_image(const void **image, size_t *bytes)
{
	const char *start = (const char *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), end, i;
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (!start)
		return -ENOENT;
	memcpy(&header, start, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_phentsize != sizeof(segment))
		return -ENOENT;
	end = header.e_shoff + (size_t)header.e_shnum * header.e_shentsize;
	for (i = 0; i < header.e_phnum; i++) {
		memcpy(&segment, start + header.e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_LOAD && segment.p_offset + segment.p_filesz > end)
			end = segment.p_offset + segment.p_filesz;
	}
	*image = start;
	*bytes = (end + page - 1) & ~(page - 1);
	return 0;
}

int vdso_open(void)
{
	const void *image;
	size_t bytes;
	int fd, err = vdso_image(&image, &bytes);

	if (err)
		return err;
	fd = memfd_create("heldby-vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, image, bytes) == (ssize_t)bytes)
		return fd;
	close(fd);
	return -EIO;
}
