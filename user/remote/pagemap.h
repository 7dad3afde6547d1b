/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/pagemap: which pages of a process are resident. Each reading holds the address space for a moment:
 * it takes 2 MiB of range at the most, and gate.h is asked on the way.
 */
#ifndef HB_REMOTE_PAGEMAP_H
#define HB_REMOTE_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procfs.h"

#define PAGEMAP_PAGES_MAX 512 /* of one reading */

/* An entry, Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_FILE    (1ull << 61) /* of a file, or shared memory */
#define PAGEMAP_FRAME(entry) ((entry) & ((1ull << 55) - 1)) /* if present; 0 without CAP_SYS_ADMIN */

struct pagemap {
	const struct proc *proc; /* borrowed */
	int fd;
	unsigned int readings;
	uint64_t held_ns; /* that these held the address space */
};

#define PAGEMAP_INIT { .proc = NULL, .fd = -1, .readings = 0, .held_ns = 0 }

/* 0, -EBUSY (refused, gate_why()), or negative errno. pagemap_close() takes PAGEMAP_INIT as well. */
int pagemap_open(struct pagemap *map, const struct proc *proc);
void pagemap_close(struct pagemap *map);

/*
 * The entries of @count pages from @page (an address by the page size) on; behind the end of the address space
 * they are 0. 0, -EINVAL (more than PAGEMAP_PAGES_MAX), -EBUSY, or negative errno.
 */
int pagemap_read(struct pagemap *map, uint64_t page, size_t count, uint64_t *entries);

/* The frame of the page that all untouched memory reads as: present, but nobody's. 0: not to be told. */
uint64_t pagemap_zero_frame(void);

/* Whether an entry says that a page counts as resident: present, and not the page of zeros. */
bool pagemap_resident(uint64_t entry, uint64_t zero_frame);

/* What is resident, by kind. */
struct pagemap_sums {
	uint64_t anonymous_bytes, file_bytes;
	uint64_t shared_bytes; /* shared memory, files of tmpfs among it */
};

/* From status. 0 or negative errno. */
int pagemap_sums(const struct proc *proc, struct pagemap_sums *sums);

/* The same from the text of a status file. 0 or -EINVAL. */
int pagemap_parse_sums(const char *text, struct pagemap_sums *sums);

/* Whether a mapping of that path, as maps has it, is shared memory and no file's: memfd, shm, shared anonymous. */
bool pagemap_is_shared_memory(const char *path);

#endif
