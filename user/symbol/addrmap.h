/* SPDX-License-Identifier: Apache-2.0 */
/* The executable mappings of one process image: from an address to a place in a file. */
#ifndef HB_SYMBOL_ADDRMAP_H
#define HB_SYMBOL_ADDRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;

struct addrmap_entry {
	uint64_t start, end;   /* [start, end) */
	uint64_t offset;       /* of start in the file */
	char *path;            /* as the process sees it; "" for anonymous memory */
	struct elf_file *file; /* borrowed from the symcache, or NULL */
};

struct addrmap {
	struct addrmap_entry *entries; /* sorted, disjoint */
	size_t count, cap;
};

#define ADDRMAP_ENTRIES_MAX 65536 /* more mappings than that are refused (-E2BIG) */

void addrmap_init(struct addrmap *map);
void addrmap_release(struct addrmap *map);

/*
 * Put a mapping in; whatever it covers is cut or replaced. @path is copied. 0, -ENOMEM, -E2BIG,
 * -EINVAL (empty or wrapping); the map is unchanged if it fails.
 */
int addrmap_add(struct addrmap *map, uint64_t start, uint64_t end, uint64_t offset,
		const char *path, struct elf_file *file);

/* Make @to a copy of @from (fork). @to must be initialised and empty. 0 or -ENOMEM. */
int addrmap_copy(struct addrmap *to, const struct addrmap *from);

/* The mapping around @address, or NULL. */
const struct addrmap_entry *addrmap_find(const struct addrmap *map, uint64_t address);

/* Whether there is a module to name: "[heap]" and the like are memory, "[vdso]" is code. */
bool addrmap_has_module(const struct addrmap_entry *entry);

/* The first mapping that shares an address with [start, end), or NULL. */
const struct addrmap_entry *addrmap_overlap(const struct addrmap *map, uint64_t start, uint64_t end);

#endif
