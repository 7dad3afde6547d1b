/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as people type them. Each takes the whole string or fails with -EINVAL (-ERANGE: too
 * large) and leaves the value alone.
 */
#ifndef HB_BASE_PARSE_H
#define HB_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int parse_u64(const char *text, uint64_t *value);     /* decimal */
int parse_bytes(const char *text, uint64_t *bytes);   /* 4096, 64K, 1.5M, 2GiB; powers of 1024 */
int parse_seconds(const char *text, double *seconds); /* 5, 0.5, 500ms, 2m, 1h, 30s */
int parse_percent(const char *text, double *percent); /* 5, 0.5, 5%; more than 0 */

/* "12,34,56" into a malloc'ed array; free() it. At least one; each 1..2^22; no duplicates kept. */
int parse_pids(const char *text, pid_t **pids, size_t *count);

#endif
