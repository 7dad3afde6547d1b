/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is there before it is needed: the kernel gives a page when it is first written to, if it has any then. */
#ifndef HB_BASE_RESIDENT_H
#define HB_BASE_RESIDENT_H

#include <stddef.h>

/* Have the kernel give each page of @memory now, which keeps its bytes. Whether it may take them back is mlock()'s. */
void resident_make(void *memory, size_t bytes);

#endif
