/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's unwind tables: which files there are, what their rows say, which of them each process
 * maps. Rows stay while there is room; then those not looked at for the longest time go.
 */
#ifndef HB_PROBE_UNWIND_TABLES_H
#define HB_PROBE_UNWIND_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session.h"

struct unwind_tables;

/* 0 or negative errno. Reads the rows of the vdso. */
int unwind_tables_new(struct unwind_tables **tables, struct session *session);
void unwind_tables_free(struct unwind_tables *tables);

/*
 * A number for the file behind @fd: frames in it carry that from now on. 0 (no number): it cannot be
 * mapped, or the numbers are used up. Its rows are still to be read.
 */
uint32_t unwind_tables_add(struct unwind_tables *tables, int fd);

/*
 * Tell the kernel side that @fd is (also) the file with number @object; 0 asks for the number that the
 * kernel side gave it. Returns it; 0: it has none, or could not be told.
 */
uint32_t unwind_tables_identify(struct unwind_tables *tables, uint32_t object, int fd);

/*
 * Read the rows of @object from @fd, which is read through a descriptor of its own, and publish them.
 * Takes milliseconds to seconds: for a worker. Rows that are there are left alone. @name is for
 * messages. What cannot be read has no rows, and stacks end there unless it keeps frame pointers.
 */
void unwind_tables_read(struct unwind_tables *tables, uint32_t object, int fd, const char *name);

/* Code of @gen was replaced by other code at the same address. */
void unwind_tables_flush(struct unwind_tables *tables, uint32_t gen);

struct unwind_fill {
	uint64_t rows, max_rows;
	uint64_t dropped; /* files whose rows went to make room, so far */
	uint64_t refused; /* files whose rows did not fit */
};
void unwind_tables_fill(const struct unwind_tables *tables, struct unwind_fill *fill);

#endif
