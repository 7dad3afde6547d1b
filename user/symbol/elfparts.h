/* SPDX-License-Identifier: Apache-2.0 */
/* What the elf*.c files share; nobody else includes it. */
#ifndef HB_SYMBOL_ELFPARTS_H
#define HB_SYMBOL_ELFPARTS_H

#include <elf.h>
#include <gelf.h>
#include <libelf.h>

#include "elffile.h"

#define ELF_SECTIONS_MAX (1u << 17) /* a linked file has some dozens */
#define ELF_SYMBOLS_MAX  (4u << 20) /* functions kept of one file */

/* One symbol table with its strings. All sizes are checked. */
struct elf_table {
	const Elf64_Sym *symbols;
	size_t count;
	const char *strings;
	size_t strings_bytes;
	const uint16_t *versions; /* one per symbol, or NULL; 0x8000: hidden */
	bool dynamic;
};

struct elf_section {
	uint64_t addr, end; /* in memory, 0 and 0 if it is not loaded */
	bool exec;
};

/* The symbol tables of a file, wherever they came from. */
struct elf_tables {
	Elf *elf;                     /* owns what came through sections */
	void *owned[3];               /* what came through PT_DYNAMIC */
	Elf64_Sym *widened[2];        /* the tables' symbols, of a file of 32 bits */
	struct elf_section *sections; /* by section number; NULL: none are known */
	size_t sections_count;
	struct elf_table tables[2];
	size_t tables_count;
	bool separate;                /* a debug file: program headers speak of what is not in it */
	uint64_t bytes;               /* counted against ELFFILE_SYMBOL_BYTES_MAX */
};

/* Read @bytes at @offset. 0, -EIO if the file ends before, or what read gave. */
int elf_pread(const struct elf_file *file, uint64_t offset, void *buf, size_t bytes);

/* The file header, of a file of 32 bits widened. 0, -ENOEXEC (not one of ours), or what reading gave. */
int elf_header_read(const struct elf_file *file, Elf64_Ehdr *header);

/*
 * libelf's view of @file for its sections. -ENOEXEC if the section table is not worth one:
 * libelf takes memory for as many sections as the header claims, so they are counted first.
 */
int elf_sections_begin(const struct elf_file *file, Elf **elf);

/* A section asked for by name: the first that is called so, has bytes, and lies in the file. */
struct elf_named {
	const char *name;
	bool found;
	GElf_Shdr header;
};

/* Look for all of @wanted in one pass. 0 (whatever was found), -ENOEXEC, or what reading gave. */
int elf_sections_named(const struct elf_file *file, struct elf_named *wanted, size_t count);

/* How many bytes a section has when it is unpacked. 0, -EBADMSG, -ENOTSUP (not packed by zlib), -EIO. */
int elf_section_bytes(const struct elf_file *file, const GElf_Shdr *header, uint64_t *bytes);

/*
 * All of a section's bytes, unpacked, in memory of its own (free() it). Errors as above, -ENOMEM, and
 * -EFBIG if they are more than @cap.
 */
int elf_section_read(const struct elf_file *file, const GElf_Shdr *header, uint64_t cap, void **out, size_t *bytes);

/*
 * Find .symtab and .dynsym; @bytes were read already of what ELFFILE_SYMBOL_BYTES_MAX allows. 0 (maybe
 * with none) or the first error, with what could be read.
 */
int elf_tables_read(const struct elf_file *file, struct elf_tables *tables, uint64_t bytes);
void elf_tables_release(struct elf_tables *tables);

/* All that knows names of one file: the file itself, its debug file, what .gnu_debugdata holds. */
struct elf_sources {
	struct elf_tables tables[3]; /* the first are the file's own */
	size_t count;
	struct elf_file *mini;       /* unpacked .gnu_debugdata, or NULL */
};

/* 0, or the first error if no symbols at all could be read. Release in any case. */
int elf_sources_read(const struct elf_file *file, struct elf_sources *sources);
void elf_sources_release(struct elf_sources *sources);

/* The dynamic symbols of a file that has lost its sections, through PT_DYNAMIC. */
int elf_dynamic_read(const struct elf_file *file, struct elf_tables *tables);

/* The executable segment around @vaddr, or NULL. */
const struct elf_segment *elf_text_segment(const struct elf_file *file, uint64_t vaddr);

/* Read the stubs of @file's procedure linkage tables; none if they cannot be understood. 0 or -ENOMEM. */
int elf_stubs_read(struct elf_file *file, const struct elf_tables *tables);

/* Release what elffile_index() made. */
void elf_index_release(struct elf_file *file);

#endif
