/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a perf map, /tmp/perf-PID.map: tools/perf/Documentation/jit-interface.txt. */
#ifndef HB_SYMBOL_PERFMAP_H
#define HB_SYMBOL_PERFMAP_H

#include <stddef.h>
#include <stdint.h>

struct perfmap_entry {
	uint64_t start, end; /* [start, end), not empty */
	const char *name;    /* in the line, any bytes but NUL; not terminated */
	size_t length;       /* of it, at least 1 */
};

/*
 * Parse "START SIZE NAME": hexadecimal with or without 0x, blanks or tabs between them, and a name that
 * may hold such itself. The line comes without its newline and may hold any byte. 0 or -EINVAL.
 */
int perfmap_parse_line(const char *line, size_t length, struct perfmap_entry *out);

#endif
