// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a perf map: read in two parts, read at once, and line by line must say the same. */
#define _GNU_SOURCE 1
#include "../../user/symbol/perfmap.h"
#include "fuzz_jit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The lines of @text that have ended. */
static void model_read(struct jit_model *model, const char *text, size_t size)
{
	const char *newline;

	while ((newline = memchr(text, '\n', size)) && model->count < JIT_ENTRIES_MAX) {
		size_t length = (size_t)(newline - text);
		struct perfmap_entry entry;

		if (!perfmap_parse_line(text, length, &entry)) {
			if (entry.start >= entry.end || !entry.length || entry.name < text ||
			    entry.name + entry.length != newline)
				abort();
			model->entries[model->count++] =
				(struct jit_entry){ entry.start, entry.end, entry.name, entry.length };
		} else {
			model->skipped++;
		}
		text += length + 1;
		size -= length + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return jit_fuzz(data, size, jitnames_read_map, true, model_read);
}
