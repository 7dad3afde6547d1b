/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that processes map, each opened once while some process still maps it, and kept: a
 * process that has exited keeps its names. Frames handed out live as long as the cache.
 */
#ifndef HB_SYMBOL_SYMCACHE_H
#define HB_SYMBOL_SYMCACHE_H

#include <stddef.h>
#include <stdint.h>

#include "../model/frame.h"
#include "elffile.h"

#define SYMCACHE_OPEN_MAX 512 /* files kept open; beyond it the oldest is indexed and closed */

struct symcache;
struct symcache *symcache_new(void);
void symcache_free(struct symcache *cache);

/*
 * The file behind @fd, opened or found again by (device, inode, size, mtime). Borrowed from the
 * cache for its whole life. 0 or what elffile_open() gives.
 */
int symcache_add(struct symcache *cache, int fd, struct elf_file **file);

/*
 * Name the code at file offset @offset of @file. @path is what the process calls the file.
 * @exact: the address itself; else it is a return address, and the call before it is meant.
 * Fills function, module, build_id, offset, kind of @frame (strings borrowed from @cache), not
 * address. @file may be NULL (module known by path only: offset is then the file offset).
 */
void symcache_frame(struct symcache *cache, struct elf_file *file, const char *path,
		    uint64_t offset, int exact, struct frame *frame);

#endif
