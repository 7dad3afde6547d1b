// SPDX-License-Identifier: Apache-2.0
#include "jvmargs.h"

#include <string.h>

/* "64m" as the JVM takes it: digits and one of k, m, g, t, in either case. */
static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	const char *unit;
	uint64_t value = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	}
	unit = *text ? strchr(units, *text | 0x20) : NULL;
	if (*text && (!unit || text[1]))
		return false;
	for (const char *at = units; unit && at <= unit; at++) {
		if (__builtin_mul_overflow(value, 1024, &value))
			return false;
	}
	*bytes = value;
	return value != 0;
}

static bool is_java(const char *command)
{
	const char *slash = strrchr(command, '/');

	return !strcmp(slash ? slash + 1 : command, "java");
}

static const char *after(const char *word, const char *prefix)
{
	return strncmp(word, prefix, strlen(prefix)) ? NULL : word + strlen(prefix);
}

bool jvmargs_heap_max(const char *words, size_t bytes, uint64_t *heap_max_bytes)
{
	const char *word = words, *end = words + bytes, *next;
	bool found = false;

	for (; word < end && (next = memchr(word, '\0', (size_t)(end - word))); word = next + 1) {
		const char *size;

		if (word == words && !is_java(word))
			return false;
		size = after(word, "-Xmx");
		if (!size)
			size = after(word, "-XX:MaxHeapSize=");
		found |= size && parse_size(size, heap_max_bytes);
	}
	return found;
}
