/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of jitdumps, as programs write them. */
#ifndef HB_TESTS_JITDUMP_IMAGE_H
#define HB_TESTS_JITDUMP_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DUMP_MAGIC 0x4A695444u

struct dump_header {
	uint32_t magic, version, total_size, elf_mach, pad1, pid;
	uint64_t timestamp, flags;
};

struct dump_load {
	uint32_t id, total_size;
	uint64_t timestamp;
	uint32_t pid, tid;
	uint64_t vma, code_addr, code_size, code_index;
};

struct dump_move {
	uint32_t id, total_size;
	uint64_t timestamp;
	uint32_t pid, tid;
	uint64_t vma, old_code_addr, new_code_addr, code_size, code_index;
};

static inline size_t dump_put(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
	return bytes;
}

static inline size_t dump_put_header(void *to)
{
	struct dump_header header = { DUMP_MAGIC, 1, sizeof(header), 62, 0xdeadbeef, 1, 2, 0 };

	return dump_put(to, &header, sizeof(header));
}

/* A load of @code bytes, zeros, at @start. The bytes of the record. */
static inline size_t dump_put_load(void *to, uint64_t start, size_t code, const char *name)
{
	struct dump_load load = { 0, 0, 1, 1, 1, start, start, code, 7 };
	size_t length = strlen(name) + 1;
	char *at = to;

	load.total_size = (uint32_t)(sizeof(load) + length + code);
	at += dump_put(at, &load, sizeof(load));
	at += dump_put(at, name, length);
	memset(at, 0, code);
	return load.total_size;
}

static inline size_t dump_put_move(void *to, uint64_t old, uint64_t start, size_t code)
{
	struct dump_move move = { 1, sizeof(move), 1, 1, 1, start, old, start, code, 7 };

	return dump_put(to, &move, sizeof(move));
}

/* A record of another kind, with @bytes of anything behind its 16. */
static inline size_t dump_put_other(void *to, uint32_t id, size_t bytes)
{
	struct { uint32_t id, total_size; uint64_t timestamp; } prefix = { id, (uint32_t)(16 + bytes), 1 };

	memset((char *)to + dump_put(to, &prefix, sizeof(prefix)), 0xee, bytes);
	return prefix.total_size;
}

#endif
