/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HB_BASE_CLOCK_H
#define HB_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_mono_ns(void);  /* CLOCK_MONOTONIC, what bpf_ktime_get_ns() reads */
int64_t clock_unix_ns(void);   /* CLOCK_REALTIME */

/* RFC 3339 in UTC with milliseconds, "2026-11-21T21:05:11.123Z"; @out holds 32 bytes. */
void clock_rfc3339(int64_t unix_ns, char out[32]);

#endif
