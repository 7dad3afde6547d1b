/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source lines and inlined calls, from the DWARF of a file or of its debug file. The file is a stranger's
 * and may be huge: only what a question needs is read, and a question that takes longer than its share is
 * answered with less. What lies in split files (.dwo) is not looked for: there lines are found, inlined
 * calls are not.
 */
#ifndef HB_SYMBOL_LINES_H
#define HB_SYMBOL_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "elffile.h"

#define LINES_INLINED_MAX 32 /* inlined calls at one address; of more some in the middle are left out */

struct lines;

/* One level at an address: innermost first, the last is the function that owns the code. */
struct line_level {
	const char *function; /* mangled name if DWARF has one, else the plain one; or NULL */
	const char *file;     /* path, or NULL */
	unsigned int line;    /* 0: not known */
};

/*
 * Read the index of units of @file's DWARF. @common: what dwz moved out of it, or NULL. Both are
 * borrowed; once they are closed nothing new is found. NULL if there is no DWARF, or memory is short. Not
 * thread-safe.
 */
struct lines *lines_open(const struct elf_file *file, const struct elf_file *common);
void lines_free(struct lines *lines);

/*
 * The levels at @vaddr of the file, at most @cap: the innermost ones and the last. Their number, 0 if DWARF
 * knows nothing of it. Strings are good until the next question.
 */
size_t lines_find(struct lines *lines, uint64_t vaddr, struct line_level *levels, size_t cap);

/* Bytes of memory that it holds: some dozen per unit, and all of DWARF if that is packed. */
uint64_t lines_memory(const struct lines *lines);

#endif
