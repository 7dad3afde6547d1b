/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of code that lies in no file, as the program that made it tells: the perf map
 * (/tmp/perf-PID.map: node --perf-basic-prof, dotnet, python -X perf, JDK's Compiler.perfmap) and the
 * jitdump (jit-PID.dump: node --perf-prof, dotnet, LLVM, perf's agent for the JVM). Both are files of
 * the process's own: hostile input, growing while we read. user/remote/jitfiles.h opens them.
 */
#ifndef HB_SYMBOL_JITNAMES_H
#define HB_SYMBOL_JITNAMES_H

#include <stddef.h>
#include <stdint.h>

#include "jitspans.h"

#define JITNAMES_NAME_MAX    JITSPANS_NAME_MAX /* bytes; longer names are cut with "..." */
#define JITNAMES_SYMBOLS_MAX JITSPANS_MAX      /* kept of one file, the latest */

/*
 * What one call reads: a file can be had at once up to the first number, but one that is written anew
 * again and again keeps us no busier than by the second for each call. The rest waits for later calls.
 */
#define JITNAMES_BYTES_MAX  (256u << 20)
#define JITNAMES_BYTES_MORE (16u << 20)

/* Of one process image. Not thread-safe. */
struct jitnames;

/* NULL if memory is short. */
struct jitnames *jitnames_new(void);
void jitnames_free(struct jitnames *names);

/*
 * Take in what was appended to the map behind @fd since the last call; its offset is left alone. Later
 * lines win over earlier ones that they overlap; lines that make no sense are counted and skipped; the
 * last line waits until it is ended. Of a map with more than JITNAMES_BYTES_MAX unread the end is read.
 *
 * Another file, or one that is not what was read with something appended (it shrank, its last bytes read
 * are others, it changed without growing), replaces what the map said before. 0, -ENOMEM, or what
 * reading gave: the names had so far are kept.
 */
int jitnames_read_map(struct jitnames *names, int fd);

/*
 * The same for a jitdump, from its beginning. Also -EBADMSG (no jitdump, or broken: nothing behind that
 * place is read), -ENOTSUP (of another byte order or version).
 */
int jitnames_read_dump(struct jitnames *names, int fd);

/*
 * The name of the code around @address, borrowed until the next read; NULL: none. Any bytes: views make
 * them printable. What a dump says comes before what a map says.
 */
const char *jitnames_find(const struct jitnames *names, uint64_t address);

/* Lines or records skipped so far. */
size_t jitnames_skipped(const struct jitnames *names);

/* Bytes of memory held: up to 224 MiB for each file, if the process wants it so. */
size_t jitnames_bytes(const struct jitnames *names);

#endif
