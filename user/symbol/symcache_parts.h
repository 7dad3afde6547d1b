/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the symcache*.c files share; nobody else includes it.
 *
 *   symcache.c        the files: added, found again, closed
 *   symcache_debug.c  what more is known of a file: DWARF, here or on a server
 *   symcache_name.c   frames, and the answers that are kept
 *   symcache_text.c   texts, each kept once
 */
#ifndef HB_SYMBOL_SYMCACHE_PARTS_H
#define HB_SYMBOL_SYMCACHE_PARTS_H

#include <stddef.h>

/* Of names and addresses that are a stranger's: with a seed, or they could be made to collide. */
unsigned int symcache_hash(const void *key, size_t bytes);

#define HASH_FUNCTION(key, bytes, hash) ((hash) = symcache_hash(key, bytes))
#define HASH_NONFATAL_OOM 1 /* a row that finds no memory is not kept: its hh.tbl is NULL then */
#include <uthash.h>

#include "fetch.h"
#include "lines.h"
#include "symcache.h"

struct file_key {
	uint64_t dev, ino, size, mtime_s, mtime_ns;
};

/* CPU time that may be spent: so much at once, so much of the time that goes by. */
struct share {
	uint64_t since_ns; /* when it was last looked at; 0: not yet */
	int64_t left_ns;   /* less than 0: the last question took more than was left */
};

enum cached_fetch {
	FETCH_NOT,   /* not asked, or there is no need to */
	FETCH_ASKED,
	FETCH_DONE,  /* answered, in whatever way */
};

struct cached_file {
	struct file_key key;
	struct elf_file *file;
	struct elf_file *common;   /* what dwz moved out of the debug file, or NULL */
	struct elf_file *late;     /* a debug file that came after the index was made, or NULL */
	bool late_named;           /* its symbols are news */
	struct lines *lines;       /* or NULL: not opened yet, or none */
	bool lines_tried, lines_told;
	struct share share;
	enum cached_fetch fetch;
	uint32_t edition;          /* answers of an earlier one are out of date */
	uint64_t used;             /* when last, in questions */
	uint64_t lines_bytes;
	UT_hash_handle hh, by_file;
};

struct place;
struct text;

struct symcache {
	struct cached_file *files;
	struct cached_file *by_file;
	size_t open_count;       /* descriptors of the files themselves, */
	size_t extra_count;      /* and of all that belongs to them */
	struct cached_file *vdso;
	struct place *places;
	struct text *texts;
	uint64_t text_bytes, lines_bytes, questions;
	struct share share;
	bool patient;                    /* shares do not count */
	struct fetcher *fetcher; /* NULL: servers are not asked */
};

/* --- symcache.c ----------------------------------------------------------------------------- */

struct cached_file *symcache_row(const struct symcache *cache, const struct elf_file *file);
/* Close what are too many descriptors. */
void symcache_bound(struct symcache *cache);

/* --- symcache_debug.c ----------------------------------------------------------------------- */

/* Look for the debug file of a file just added. */
void symcache_debug_find(struct symcache *cache, struct cached_file *row, const char *path, int root);
/* Close all that belongs to @row but its file; names stay, DWARF does not. */
void symcache_debug_close(struct symcache *cache, struct cached_file *row);
/* Free it. */
void symcache_debug_free(struct cached_file *row);

/* The levels that DWARF knows at @vaddr, at most @cap; 0: none. -EAGAIN: the share is used up, ask later. */
int symcache_levels(struct symcache *cache, struct cached_file *row, uint64_t vaddr, struct line_level *levels,
		    size_t cap);
/* Ask the servers for @row's debug file if it is wanted; take it if it came. */
void symcache_fetch_look(struct symcache *cache, struct cached_file *row);

/* --- symcache_name.c ------------------------------------------------------------------------ */

void symcache_places_free(struct symcache *cache);

/* --- symcache_text.c ------------------------------------------------------------------------ */

/* @text, kept as long as the cache. NULL if it is NULL or empty, or memory is short. */
const char *symcache_text(struct symcache *cache, const char *text);
/* The readable form of a function's name, with @end behind it. */
const char *symcache_readable(struct symcache *cache, const char *name, const char *end);
void symcache_texts_free(struct symcache *cache);

#endif
