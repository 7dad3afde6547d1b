// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a perf map: read in two parts, read at once, and line by line must say the same. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/symbol/jitnames.h"
#include "../../user/symbol/perfmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENTRIES_MAX 64
#define UNSEEN      __attribute__((no_sanitize("coverage"))) /* what it does guides no search */

struct model {
	struct perfmap_entry entries[ENTRIES_MAX];
	size_t count, skipped;
};

/* The lines of @text that have ended. */
static void model_read(struct model *model, const char *text, size_t size)
{
	const char *newline;

	while ((newline = memchr(text, '\n', size)) && model->count < ENTRIES_MAX) {
		size_t length = (size_t)(newline - text);
		struct perfmap_entry *entry = &model->entries[model->count];

		if (!perfmap_parse_line(text, length, entry)) {
			if (entry->start >= entry->end || !entry->length || entry->name < text ||
			    entry->name + entry->length != newline)
				abort();
			model->count++;
		} else {
			model->skipped++;
		}
		text += length + 1;
		size -= length + 1;
	}
}

UNSEEN static void check(const struct model *model, const struct jitnames *names, uint64_t address)
{
	const char *found = jitnames_find(names, address);
	size_t i = model->count;

	while (i && !(model->entries[i - 1].start <= address && address < model->entries[i - 1].end))
		i--;
	if (!i != !found)
		abort();
	if (i && (strlen(found) != model->entries[i - 1].length ||
		  memcmp(found, model->entries[i - 1].name, model->entries[i - 1].length)))
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
	char *text;

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
	text = malloc(size ? size : 1); /* no byte more than promised */
	if (!text)
		abort();
	memcpy(text, data + 1, size);
	put(fd, text, half, 0);
	if (jitnames_read_map(parts, fd))
		abort();
	put(fd, text + half, size - half, (off_t)half);
	if (jitnames_read_map(parts, fd) || jitnames_read_map(whole, fd))
		abort();
	model_read(&model, text, size);
	if (model.count < ENTRIES_MAX) {
		check_all(&model, parts);
		check_all(&model, whole);
	}
	free(text);
	jitnames_free(parts);
	jitnames_free(whole);
	return 0;
}
