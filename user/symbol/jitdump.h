/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a jitdump: a header, then records without padding between them, appended as code is
 * made (tools/perf/Documentation/jitdump-specification.txt). Only what names code is taken out: loads
 * and moves. Line numbers are not: who writes them (V8) puts the line into the name as well.
 */
#ifndef HB_SYMBOL_JITDUMP_H
#define HB_SYMBOL_JITDUMP_H

#include <stddef.h>
#include <stdint.h>

#define JITDUMP_HEADER_BYTES 40 /* at least that is needed to parse one */
#define JITDUMP_RECORD_BYTES 16

/*
 * Parse the header in the first @count bytes of a dump. 0 and where the records begin in @first; -EAGAIN
 * (not all of it is there yet), -EBADMSG (no jitdump), -ENOTSUP (of another byte order or version).
 */
int jitdump_parse_header(const void *bytes, size_t count, uint64_t *first);

enum jitdump_kind {
	JITDUMP_OTHER, /* of no interest, or of a kind that is not known */
	JITDUMP_LOAD,  /* [start, end) is code called name */
	JITDUMP_MOVE,  /* what was at old is at [start, end) now */
	JITDUMP_BROKEN, /* a load or move that makes no sense */
};

struct jitdump_record {
	enum jitdump_kind kind;
	uint32_t bytes;      /* of all of the record: the next one is behind them */
	uint64_t start, end; /* empty: code of no length, nothing to name */
	uint64_t old;
	const char *name;    /* in the record, any bytes but NUL; not terminated */
	size_t length;       /* of it, at least 1 */
};

/* How long the record is whose first JITDUMP_RECORD_BYTES are at @bytes. Or -EBADMSG: no record can be
 * so short, and where the next one is nobody knows. */
int jitdump_record_bytes(const void *bytes, uint32_t *total);

/*
 * Parse a record of which the first @count bytes are at @bytes, at least JITDUMP_RECORD_BYTES. A name
 * that reaches beyond them, but not beyond the record, is cut there. 0, or -EBADMSG as above.
 */
int jitdump_parse_record(const void *bytes, size_t count, struct jitdump_record *out);

#endif
