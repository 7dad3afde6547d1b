// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a jitdump: read in two parts, read at once, and record by record must say the same. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/symbol/jitdump.h"
#include "../../user/symbol/jitnames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENTRIES_MAX 64
#define UNSEEN      __attribute__((no_sanitize("coverage"))) /* what it does guides no search */

struct entry {
	uint64_t start, end;
	const char *name;
	size_t length;
};

struct model {
	struct entry entries[ENTRIES_MAX];
	size_t count, skipped;
};

UNSEEN static const struct entry *model_find(const struct model *model, uint64_t address)
{
	size_t i = model->count;

	while (i && !(model->entries[i - 1].start <= address && address < model->entries[i - 1].end))
		i--;
	return i ? &model->entries[i - 1] : NULL;
}

static void model_take(struct model *model, const struct jitdump_record *record)
{
	struct entry fresh = { record->start, record->end, record->name, record->length };
	const struct entry *old = model_find(model, record->old);

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

static void model_read(struct model *model, const char *bytes, size_t size)
{
	struct jitdump_record record;
	uint64_t at;

	if (jitdump_parse_header(bytes, size, &at) || at > size)
		return;
	while (size - at >= JITDUMP_RECORD_BYTES && model->count < ENTRIES_MAX) {
		if (jitdump_parse_record(bytes + at, size - at, &record) || record.bytes > size - at)
			return;
		model_take(model, &record);
		at += record.bytes;
	}
}

UNSEEN static void check(const struct model *model, const struct jitnames *names, uint64_t address)
{
	const struct entry *wanted = model_find(model, address);
	const char *found = jitnames_find(names, address);

	if (!wanted != !found)
		abort();
	if (wanted && (strlen(found) != wanted->length || memcmp(found, wanted->name, wanted->length)))
		abort();
}

UNSEEN static void check_all(const struct model *model, const struct jitnames *names)
{
	size_t i;

	if (jitnames_skipped(names) != model->skipped)
		abort();
	for (i = 0; i < model->count; i++) {
		check(model, names, model->entries[i].start);
		check(model, names, model->entries[i].start - 1);
		check(model, names, model->entries[i].end - 1);
		check(model, names, model->entries[i].end);
	}
}

static void put(int fd, const char *bytes, size_t count, off_t at)
{
	if (pwrite(fd, bytes, count, at) != (ssize_t)count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct jitnames *parts = jitnames_new(), *whole = jitnames_new();
	size_t half = size ? data[0] * (size - 1) / UINT8_MAX : 0;
	struct model model = { .count = 0 };
	char *bytes;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (!parts || !whole || fd < 0 || ftruncate(fd, 0))
		abort();
	if (!size || size > JITNAMES_NAME_MAX) {
		jitnames_free(parts);
		jitnames_free(whole);
		return -1;
	}
	size--;
	bytes = malloc(size ? size : 1); /* no byte more than promised */
	if (!bytes)
		abort();
	memcpy(bytes, data + 1, size);
	put(fd, bytes, half, 0);
	jitnames_read_dump(parts, fd);
	put(fd, bytes + half, size - half, (off_t)half);
	if (jitnames_read_dump(parts, fd) != jitnames_read_dump(whole, fd))
		abort();
	model_read(&model, bytes, size);
	if (model.count < ENTRIES_MAX) {
		check_all(&model, parts);
		check_all(&model, whole);
	}
	free(bytes);
	jitnames_free(parts);
	jitnames_free(whole);
	return 0;
}
