// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a jitdump: read in two parts, read at once, and record by record must say the same. */
#define _GNU_SOURCE 1
#include "../../user/symbol/jitdump.h"
#include "fuzz_jit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void model_take(struct jit_model *model, const struct jitdump_record *record)
{
	struct jit_entry fresh = { record->start, record->end, record->name, record->length };
	const struct jit_entry *old = jit_model_find(model, record->old);

	if (record->kind == JITDUMP_BROKEN)
		model->skipped++;
	if (record->start == record->end)
		return;
	if (record->kind == JITDUMP_LOAD) {
		if (record->start > record->end || !record->length)
			abort();
		model->entries[model->count++] = fresh;
	} else if (record->kind == JITDUMP_MOVE && old) {
		fresh.name = old->name;
		fresh.length = old->length;
		model->entries[model->count++] = fresh;
	} else if (record->kind == JITDUMP_MOVE) {
		model->skipped++;
	}
}

static void model_read(struct jit_model *model, const char *bytes, size_t size)
{
	struct jitdump_record record;
	uint64_t at;

	if (jitdump_parse_header(bytes, size, &at) || at > size)
		return;
	while (size - at >= JITDUMP_RECORD_BYTES && model->count < JIT_ENTRIES_MAX) {
		if (jitdump_parse_record(bytes + at, size - at, &record) || record.bytes > size - at)
			return;
		model_take(model, &record);
		at += record.bytes;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return jit_fuzz(data, size, jitnames_read_dump, false, model_read);
}
