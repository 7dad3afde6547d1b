// SPDX-License-Identifier: Apache-2.0
/* Any string as a symbol's name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/symbol/demangle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1), *readable;

	if (!name)
		abort();
	memcpy(name, data, size);
	name[size] = '\0';
	readable = demangle(name);
	if (readable && (!*readable || strlen(readable) > DEMANGLE_MAX))
		abort();
	free(readable);
	free(name);
	return 0;
}
