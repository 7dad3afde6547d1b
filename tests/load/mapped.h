/* SPDX-License-Identifier: Apache-2.0 */
/* What programs that change their own mappings have in common. Nothing here allocates or maps. */
#ifndef HB_LOAD_MAPPED_H
#define HB_LOAD_MAPPED_H

#include <stddef.h>
#include <sys/mman.h>

#include "load.h"

#define PAGE ((size_t)4096)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

/* Count @pages mapped by one call of @site. */
void mapped_took(struct load_site *site, size_t pages);

/* Count @pages of what @site mapped as gone. @whole: they were the last of their call's. */
void mapped_gave(struct load_site *site, size_t pages, int whole);

/*
 * The facts mapped_bytes and committed_bytes (readable or writable): sums of this process's /proc/self/maps
 * without [vsyscall], which is the kernel's. And probes_bytes, what of it the kernel has mapped by itself for
 * uprobes, at any moment.
 */
void mapped_tell(void);
unsigned long long mapped_bytes(void);

/* Whether a call that must fail did so. */
void mapped_refused(const void *result, const char *what);

#endif
