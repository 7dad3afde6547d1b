/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that traced processes map: each opened once, searched once for an allocator, probed
 * once (or once for each process, when probes are not for all).
 */
#ifndef HB_PROBE_MODULES_H
#define HB_PROBE_MODULES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../symbol/symcache.h"
#include "allocators.h"
#include "session.h"
#include "unwind_tables.h"

/* Why malloc cannot be seen in a process, by its files. */
#define MODULES_WITHOUT_MALLOC "none of its files has malloc among its symbols"
#define MODULES_OF_32_BITS     "it is a 32-bit program, whose functions are not probed"

struct module {
	struct elf_file *file;  /* borrowed from the symbol cache */
	struct probe_set set;   /* where it allocates; count 0: nowhere */
	uint64_t *allocating;   /* addresses (vaddr) of the functions that allocate, sorted, traced or not */
	size_t allocating_count;
	struct session_probes *everywhere; /* probes for all processes, or NULL */
	bool failed;            /* probes could not be put */
	bool paused;            /* they are wanted everywhere, but not now */
	uint32_t object;        /* its number in the unwind tables, 0: none */
	bool rows_read;         /* its unwind rows were looked for */
	char *path;             /* as the first process that mapped it sees it, or NULL */
};

struct modules;

/*
 * @tables: NULL where no unwind rows are followed. @sources: which of enum hb_source are traced, a bit
 * 1 << source each. NULL if memory is short.
 */
struct modules *modules_new(struct session *session, struct symcache *cache, struct unwind_tables *tables,
			    unsigned int sources);
void modules_free(struct modules *modules);

/* How the kernel names a file in a mapping; all zero: not known. */
struct module_id {
	uint32_t major, minor;
	uint64_t ino, ino_generation;
};

/*
 * The module that @pid maps at [start, end) from @path. A file not met before is opened through
 * the mapping while the process lives, else by its path in the process's root, else in ours if it
 * is the same file. 0 with *@module, borrowed, NULL if it is no regular ELF file; else what opening
 * it gave: it may hold an allocator, and we cannot know.
 */
int modules_mapped(struct modules *modules, pid_t pid, const struct module_id *id, uint64_t start, uint64_t end,
		   const char *path, struct module **module);

/*
 * The module behind an open file, called @path, of a process whose root directory is @root (-1: not
 * known; its debug file is looked for there). 0 with *@module, borrowed, NULL if it is no ELF file of
 * ours; or negative errno.
 */
int modules_opened(struct modules *modules, int fd, const char *path, int root, struct module **module);

/*
 * The kernel side has given number @object to the file, of inode @ino, that @pid maps at [start, end). 0 or
 * negative errno.
 */
int modules_asked(struct modules *modules, pid_t pid, uint64_t start, uint64_t end, uint64_t ino, uint32_t object,
		  const char *path, struct module **module);

/* The module whose number in the unwind tables is @object; NULL: none. */
struct module *modules_by_object(const struct modules *modules, uint32_t object);

/* Whether the code at @offset of @file belongs to an allocator, or to a function that allocates. */
bool modules_allocates_at(const struct modules *modules, const struct elf_file *file, uint64_t offset);

/* Put @module's probes for every process. True if they are there now and were not before. */
bool modules_probe_everywhere(struct modules *modules, struct module *module);

/* Put them for process @pid alone; the caller detaches. NULL if there is nothing to put or it failed. */
struct session_probes *modules_probe(struct modules *modules, struct module *module, pid_t pid);

/*
 * Whether @file is an allocator and nothing else, so that its frames say nothing of who asked. libc
 * is not: its strdup() asks on somebody's behalf, and a program with an allocator of its own is not.
 */
bool modules_only_allocates(const struct modules *modules, const struct elf_file *file);

/*
 * Whether @module's malloc, and its free, are probed at instructions that the kernel steps over: dearer ones. Of a
 * runtime @call is whether any function is.
 */
void modules_stepped(const struct module *module, bool *call, bool *freed);

/* What is seen in @module: of an allocator malloc, whatever else is in it. */
static inline enum hb_source modules_source(const struct module *module)
{
	return module->set.allocator[0] ? HB_SRC_MALLOC : HB_SRC_DIRECT;
}

/* Take the probes for every process away from modules of @source for a while, and put them back. */
void modules_pause(struct modules *modules, enum hb_source source);
void modules_resume(struct modules *modules, enum hb_source source);

/* Take the probes for every process away. */
void modules_stop(struct modules *modules);

/* Entry points that could not be probed so far, or whose returns could not. */
uint64_t modules_failed(const struct modules *modules);

#endif
