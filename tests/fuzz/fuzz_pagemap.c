// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a status file, and as a path in maps. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/remote/pagemap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct pagemap_sums sums = { 1, 1, 1 };

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (!pagemap_parse_sums(text, &sums) &&
	    (sums.anonymous_bytes % 1024 || sums.file_bytes % 1024 || sums.shared_bytes % 1024))
		abort();
	pagemap_is_shared_memory(text);
	free(text);
	return 0;
}
