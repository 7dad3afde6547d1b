/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the kernel takes pages away from programs for a moment, to see from which memory node they are used. */
#ifndef HB_BASE_NUMA_H
#define HB_BASE_NUMA_H

#include <stdbool.h>

/* By /proc/sys/kernel/numa_balancing and the nodes that have memory. False where that cannot be told. */
bool numa_balances(void);

/* The same by the texts of both files: "0-1\n", and 1 or more. With one node nothing is to be balanced. */
bool numa_parse(const char *nodes, const char *balancing);

#endif
