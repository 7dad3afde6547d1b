/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets of JIT names share: a model that knows every entry, and the input read in two parts
 * and at once. All must say the same.
 */
#ifndef FUZZ_JIT_H
#define FUZZ_JIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/symbol/jitnames.h"

#define JIT_ENTRIES_MAX 64
#ifdef __clang__
#define JIT_UNSEEN      __attribute__((no_sanitize("coverage"))) /* what it does guides no search */
#else
#define JIT_UNSEEN
#endif

struct jit_entry {
	uint64_t start, end;
	const char *name;
	size_t length;
};

struct jit_model {
	struct jit_entry entries[JIT_ENTRIES_MAX];
	size_t count, skipped;
};

/* The latest entry around @address, or NULL. */
JIT_UNSEEN static inline const struct jit_entry *jit_model_find(const struct jit_model *model, uint64_t address)
{
	size_t i = model->count;

	while (i && !(model->entries[i - 1].start <= address && address < model->entries[i - 1].end))
		i--;
	return i ? &model->entries[i - 1] : NULL;
}

JIT_UNSEEN static inline void jit_check(const struct jit_model *model, const struct jitnames *names, uint64_t address)
{
	const struct jit_entry *wanted = jit_model_find(model, address);
	const char *found = jitnames_find(names, address);

	if (!wanted != !found)
		abort();
	if (wanted && (strlen(found) != wanted->length || memcmp(found, wanted->name, wanted->length)))
		abort();
}

JIT_UNSEEN static inline void jit_check_all(const struct jit_model *model, const struct jitnames *names)
{
	size_t i;

	if (jitnames_skipped(names) != model->skipped)
		abort();
	for (i = 0; i < model->count; i++) {
		jit_check(model, names, model->entries[i].start);
		jit_check(model, names, model->entries[i].start - 1);
		jit_check(model, names, model->entries[i].end - 1);
		jit_check(model, names, model->entries[i].end);
	}
}

static inline void jit_put(int fd, const char *bytes, size_t count, off_t at)
{
	if (pwrite(fd, bytes, count, at) != (ssize_t)count)
		abort();
}

/*
 * Run one input: its first byte says where the rest is cut. @fill tells the model what is in it; @any: @read
 * must take anything.
 */
static inline int jit_fuzz(const uint8_t *data, size_t size, int (*read)(struct jitnames *names, int fd), bool any,
		    void (*fill)(struct jit_model *model, const char *bytes, size_t size))
{
	static int fd = -1;
	struct jitnames *parts = jitnames_new(), *whole = jitnames_new();
	size_t half = size ? data[0] * (size - 1) / UINT8_MAX : 0;
	struct jit_model model = { .count = 0 };
	int first, second;
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
	jit_put(fd, bytes, half, 0);
	first = read(parts, fd);
	jit_put(fd, bytes + half, size - half, (off_t)half);
	second = read(parts, fd);
	if (second != read(whole, fd) || (any && (first || second)))
		abort();
	fill(&model, bytes, size);
	if (model.count < JIT_ENTRIES_MAX) {
		jit_check_all(&model, parts);
		jit_check_all(&model, whole);
	}
	free(bytes);
	jitnames_free(parts);
	jitnames_free(whole);
	return 0;
}

#endif
