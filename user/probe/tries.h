/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a program may be put somewhere in the kernel, found by doing it once with one that does nothing. Each
 * try fills in @feature but for its name; taking the program away again can cost some 20 ms.
 */
#ifndef HB_PROBE_TRIES_H
#define HB_PROBE_TRIES_H

#include "features.h"

/* The tracepoint @name of @group, through a perf event. */
void try_tracepoint(struct feature *feature, const char *group, const char *name);
/* The tracepoint @name, whatever its group. */
void try_raw_tracepoint(struct feature *feature, const char *name);
/* A function's entry, or its return. */
void try_kprobe(struct feature *feature, const char *function);
void try_kretprobe(struct feature *feature, const char *function);
/* A function by fexit: kernels that cannot, or must not, say so only when asked. */
void try_fexit(struct feature *feature, const char *function);

/* It does not work, for @what gave @err (negative errno). */
void feature_refuse(struct feature *feature, const char *what, int err);

#endif
