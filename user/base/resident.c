// SPDX-License-Identifier: Apache-2.0
#include "resident.h"

#include <unistd.h>

void resident_make(void *memory, size_t bytes)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	volatile char *at = memory;

	for (size_t i = 0; i < bytes; i += page_bytes)
		at[i] = at[i];
	if (bytes)
		at[bytes - 1] = at[bytes - 1];
}
