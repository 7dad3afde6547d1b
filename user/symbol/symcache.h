/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that processes map, each opened once while some process still maps it, and kept: a
 * process that has exited keeps its names. Frames handed out live as long as the cache.
 */
#ifndef HB_SYMBOL_SYMCACHE_H
#define HB_SYMBOL_SYMCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/frame.h"
#include "elffile.h"

#define SYMCACHE_OPEN_MAX   512          /* descriptors kept; beyond it files are indexed and closed */
#define SYMCACHE_TEXT_MAX   (256u << 20) /* bytes of names and paths; what is named beyond stays unnamed */
#define SYMCACHE_LINES_MAX  (512u << 20) /* bytes held of DWARF; what was not used for longest goes first */
#define SYMCACHE_FRAMES_MAX 33           /* frames that one address can yield */

struct symcache;
struct symcache *symcache_new(void);
/* Takes about a second if a debug file is being fetched. */
void symcache_free(struct symcache *cache);

/*
 * The file behind @fd, opened or found again by (device, inode, size, mtime). Borrowed from the
 * cache for its whole life. A new one is looked up for its debug file at once, while its process lives:
 * @path is what the process calls it (NULL: not known), @root its root directory (proc_open_root(); -1:
 * ours). Both are used during the call only. 0 or what elffile_open() gives.
 */
int symcache_add(struct symcache *cache, int fd, const char *path, int root, struct elf_file **file);

/* "[vdso]": offsets in its mapping are the file's. 0, or -ENOENT if this kernel has none. */
int symcache_vdso(struct symcache *cache, struct elf_file **file);

/*
 * Name the code at file offset @offset of @file: the calls inlined there, innermost first, and last the
 * function that they are inlined in. If they are more than @cap the outer ones are left out, but never
 * that last one. @path is what the process calls the file. @exact: the address itself; else it is a
 * return address, and the call before it is meant.
 *
 * Fills all of @frames but address and stopped: strings borrowed from @cache; inlined in all but the
 * last; offset is the virtual address. @file may be NULL (module known by path only: offset is then the
 * file offset). Returns the frames filled: at least 1, at most SYMCACHE_FRAMES_MAX, 0 if @cap is 0.
 *
 * DWARF may cost milliseconds the first time; how much of a CPU it may take is bounded for each file and
 * for all, and who used up his share has frames without it for a while.
 */
size_t symcache_frames(struct symcache *cache, struct elf_file *file, const char *path, uint64_t offset, bool exact,
		       struct frame *frames, size_t cap);

/* The same at virtual address @vaddr, which is what frames have as offset. */
size_t symcache_frames_at(struct symcache *cache, struct elf_file *file, const char *path, uint64_t vaddr, bool exact,
			  struct frame *frames, size_t cap);

/* From now on DWARF may take as long as it takes: for who has nothing else to do. */
void symcache_wait_for_lines(struct symcache *cache);

/*
 * From now on ask the servers that DEBUGINFOD_URLS names for the debug files of files that frames were
 * named in and that have no DWARF here. They are fetched by a thread of their own; naming never waits for
 * it, but frames named after a file came have what it knows. 0; -ENOENT (no server is named), -ENOSYS
 * (libdebuginfod is not installed), or why there is no thread.
 */
int symcache_fetch(struct symcache *cache);

/* Wait at most @timeout_ms until all that was asked for is answered: for a last report. Whether it is. */
bool symcache_fetches_wait(struct symcache *cache, unsigned int timeout_ms);

#endif
