/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files' pages a process has resident, by their paths. A page that was written in a private mapping is no
 * file's any more; shared memory is none; huge pages of hugetlbfs are not resident by the kernel's count.
 */
#ifndef HB_REMOTE_FILEPAGES_H
#define HB_REMOTE_FILEPAGES_H

#include <stddef.h>
#include <stdint.h>

#include "../model/process.h"
#include "pagemap.h"

#define FILEPAGES_MAX       1024u       /* files that are told apart */
#define FILEPAGES_LOOKED_AT (1ull << 18) /* pages of mappings that are looked at in one reading: 1 GiB, some 4 ms */

struct filepages {
	struct file_pages *files; /* malloc'ed, as their paths; most first, and none without a resident page */
	size_t count;
	uint64_t looked_at;       /* pages */
	uint64_t left_out;        /* pages of mappings that were not looked at, for there were too many */
};

/* Read @map's process, whose pages have @page_bytes. 0 or negative errno, -EBUSY: refused; @out is empty then. */
int filepages_read(struct filepages *out, struct pagemap *map, uint64_t page_bytes);
void filepages_release(struct filepages *files);

/* --- with another list, for tests --- */

/* The same by @list, an open file of lines as of maps. */
int filepages_read_list(struct filepages *out, struct pagemap *map, int list, uint64_t page_bytes);

#endif
