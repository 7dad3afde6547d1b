/* SPDX-License-Identifier: Apache-2.0 */
/* What a Java command line says of memory. */
#ifndef HB_MODEL_JVMARGS_H
#define HB_MODEL_JVMARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The most that the Java heap may take: the last -Xmx (or -XX:MaxHeapSize=) of @words, a command line with a 0
 * byte behind each word, of @bytes; the last word may have been cut, and does not count then. false: it is no Java
 * command, or says nothing of it.
 */
bool jvmargs_heap_max(const char *words, size_t bytes, uint64_t *heap_max_bytes);

#endif
