/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the search for allocators needs of an ELF file beyond its functions: imports, relocations,
 * where functions start when no symbol says so, and constant bytes. Everything is read through
 * the program headers, so that it works without sections.
 */
#ifndef HB_PROBE_ALLOCATOR_IMAGE_H
#define HB_PROBE_ALLOCATOR_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../symbol/elffile.h"

struct image_table {
	uint64_t vaddr, bytes;
};

struct image_reloc {
	uint64_t vaddr;  /* of the word that is set */
	uint64_t symbol; /* index of the dynamic symbol it is set to */
};

struct image {
	const struct elf_file *file; /* borrowed */
	uint64_t symtab;             /* DT_SYMTAB, 0: none */
	uint64_t symbols_count;
	struct image_table strings, jump_relocs, relocs, packed_relocs;
	uint64_t flags_1;            /* DT_FLAGS_1 */
	char soname[64];             /* or "" */
	uint64_t frame_starts;       /* the sorted table of .eh_frame_hdr: int32_t pairs, or 0 */
	uint64_t frame_base;         /* what its addresses are relative to */
	uint64_t frame_count;
	struct image_reloc *slots;   /* by vaddr; see image_load_slots() */
	size_t slots_count;
};

/* Borrows @file. What a damaged file does not have is left out. */
void image_init(struct image *image, const struct elf_file *file);
void image_release(struct image *image);

/* Whether the dynamic symbols have @name undefined: the file calls someone else's. */
bool image_imports(const struct image *image, const char *name);

/* A dynamic symbol. */
struct image_slot {
	uint64_t vaddr; /* where this file defines it, 0: it does not */
	char name[128];
};

bool image_symbol(const struct image *image, uint64_t index, struct image_slot *out);

/* Read which words of PLT and GOT are set to which symbol. Idempotent. 0, -ENOMEM. */
int image_load_slots(struct image *image);

/* What the word at @slot_vaddr is set to. false: none of PLT or GOT. Needs the slots loaded. */
bool image_slot(const struct image *image, uint64_t slot_vaddr, struct image_slot *out);

/*
 * Call @visit(@arg, where, value) for each word that holds an address within the file itself.
 * Stops at, and returns, the first non-zero answer; else 0.
 */
int image_pointers(const struct image *image, int (*visit)(void *, uint64_t, uint64_t), void *arg);

/* Whether a function is known to start at @vaddr, by symbol or by unwind table. */
bool image_function_starts(const struct image *image, uint64_t vaddr);

/*
 * The nearest known start of a function: the last at or before @vaddr, else where its text begins, or 0;
 * and the first behind it, else where the text ends. Labels without a size count for the latter only.
 */
uint64_t image_function_before(const struct image *image, uint64_t vaddr);
uint64_t image_function_after(const struct image *image, uint64_t vaddr);

/*
 * Of the @count addresses, clear those that are resolvers (STT_GNU_IFUNC): what stands there
 * returns a function, and is none of the name itself.
 */
void image_drop_resolvers(const struct image *image, uint64_t *vaddrs, size_t count);

/*
 * Call @visit(@arg, vaddr) for each place where @bytes stand in segments that are not writable,
 * in order of address within each. Stops at, and returns, the first non-zero answer; else 0.
 */
int image_search(const struct image *image, const void *bytes, size_t size,
		 int (*visit)(void *, uint64_t), void *arg);

/* The string at @vaddr into @text, cut to fit. Returns its length, or -EFAULT. */
int image_string(const struct elf_file *file, uint64_t vaddr, char *text, size_t size);

#endif
