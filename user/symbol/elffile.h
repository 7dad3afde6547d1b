/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ELF file, read once: what it is, where its text lies, which functions it has.
 *
 * The file is a stranger's: all reads go through pread (a mapping would turn a truncated file
 * into a SIGBUS), every size is checked against the file and against the caps below.
 */
#ifndef HB_SYMBOL_ELFFILE_H
#define HB_SYMBOL_ELFFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ELFFILE_SYMBOL_BYTES_MAX (512u << 20) /* symbol and string tables together */
#define ELFFILE_SEGMENTS_MAX     64
#define ELFFILE_BUILD_ID_MAX     64 /* bytes; 20 is usual */

struct elf_segment {
	uint64_t offset;   /* in the file */
	uint64_t vaddr;
	uint64_t filesz, memsz;
	uint32_t flags;    /* PF_R | PF_W | PF_X */
};

struct elf_symbol {
	uint64_t vaddr;
	uint64_t size;     /* 0: unknown */
	const char *name;  /* as in the file, without @VERSION */
	bool global;       /* GLOBAL or WEAK */
	bool exported;     /* .dynsym has it, and not only under a version of its own */
};

struct elf_file {
	int fd;            /* open for reading while the file is open, or -1 */
	dev_t dev;
	ino_t ino;
	uint64_t size;
	uint16_t machine, type; /* e_machine, e_type (ET_EXEC, ET_DYN) */
	bool narrow;       /* of 32 bits (i386): its segments, sections and their symbols are read, nothing else */
	bool has_interp;   /* PT_INTERP: a dynamically linked executable */
	bool has_dynamic;
	char interp[256];  /* its path, or "" */
	char build_id[2 * ELFFILE_BUILD_ID_MAX + 1]; /* hex, or "" */
	struct elf_segment segments[ELFFILE_SEGMENTS_MAX]; /* PT_LOAD only */
	size_t segments_count;
	struct elf_file *debug; /* the separate debug file, owned, or NULL */
	/* Function index, sorted by vaddr; filled by elffile_index(). */
	struct elf_symbol *symbols;
	size_t symbols_count;
	bool indexed;
	int index_error;   /* why the index is empty, negative errno */
	char *names;       /* owns the symbols' names */
	struct elf_lookup *lookup; /* by address and by name, elfindex.c */
	struct elf_symbol *stubs;  /* of the PLT, sorted by vaddr, named by what they call; elfstubs.c */
	size_t stubs_count;
	char *stub_names;  /* owns the stubs' names */
	uint64_t dynamic_vaddr, dynamic_bytes; /* PT_DYNAMIC */
};

/*
 * Open the ELF file behind @fd (its own reference: the caller keeps @fd). Only a regular ELF file
 * of our byte order is taken: 64-bit, or i386's. 0, -ENOEXEC (not ELF, or not ours), -ENOMEM, or what read gave.
 */
int elffile_open(struct elf_file **file, int fd);
/* The same for what several debug files have in common, which dwz puts into a file that was never linked. */
int elffile_open_common(struct elf_file **file, int fd);
void elffile_free(struct elf_file *file);

/*
 * Close the descriptor, and the debug file's; what was read stays. elffile_index() and elffile_read()
 * then fail.
 */
void elffile_close(struct elf_file *file);

/*
 * Give @file the separate debug file that belongs to it (debugfile_open() checked that); takes @debug
 * over. Before elffile_index(), which takes its symbols in.
 */
void elffile_set_debug(struct elf_file *file, struct elf_file *debug);

/*
 * Read .symtab, .dynsym, the debug file's .symtab, or, if there is no .symtab in either, the one
 * inside .gnu_debugdata; merge, sort. FUNC, GNU_IFUNC and NOTYPE symbols in executable segments; a
 * 64-bit file without sections still has its dynamic symbols. Of several names at one address the best
 * comes first: global, fewer leading underscores, shorter. DWARF is not read, however much there is
 * of it. Idempotent. 0 or negative errno (the index is then empty but usable): -EFBIG beyond the
 * caps, -EBADF if the file was closed before.
 */
int elffile_index(struct elf_file *file);

/*
 * The function around @vaddr: start <= vaddr < start + size, or for size 0 up to the next symbol
 * or the end of the section. Of nested ones the innermost. NULL: none.
 */
const struct elf_symbol *elffile_function(const struct elf_file *file, uint64_t vaddr);

/*
 * The symbol called @name (exact; of several the first by address), or NULL. Needs the index. The
 * first question hashes all names, so questions of several threads need a lock around them.
 */
const struct elf_symbol *elffile_symbol(const struct elf_file *file, const char *name);

/*
 * Whether .dynsym defines @name as a global or weak function: what dlsym would find. Needs the
 * index.
 */
bool elffile_exports(const struct elf_file *file, const char *name);

/*
 * The stub of the procedure linkage table around @vaddr, by the name of the function that it jumps
 * to, or NULL. Needs the index.
 */
const struct elf_symbol *elffile_stub(const struct elf_file *file, uint64_t vaddr);

/* File offset <-> virtual address, through the PT_LOAD that holds it. false: in none. */
bool elffile_vaddr(const struct elf_file *file, uint64_t offset, uint64_t *vaddr);
bool elffile_offset(const struct elf_file *file, uint64_t vaddr, uint64_t *offset);

/*
 * Search @bytes of ELF notes, which begin at multiples of @align (4, 8), for the build-id, and write it to @hex.
 * false: there is none, or none that can be believed.
 */
bool elffile_notes_build_id(const char *notes, size_t bytes, size_t align, char hex[2 * ELFFILE_BUILD_ID_MAX + 1]);

/*
 * Read @bytes at virtual address @vaddr from the file's image (bss excluded), out of one segment.
 * 0, -EFAULT (not in the image), -EIO (not in the file, or the file is closed).
 */
int elffile_read(const struct elf_file *file, uint64_t vaddr, void *buf, size_t bytes);

#endif
