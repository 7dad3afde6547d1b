/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the dwarf_*.c files and lines.c share; nobody else includes it. DWARF 2 to 5 for 64-bit programs,
 * and the extensions that dwz makes. The way of the data:
 *
 *   dwarf_data.c    bytes of the sections, texts
 *   dwarf_abbrev.c  abbreviations: what attributes an entry has, and how they are written
 *   dwarf_entry.c   entries (DIEs) and their attributes
 *   dwarf_name.c    what a function is called
 *   dwarf_ranges.c  the addresses that an entry covers
 *   dwarf_unit.c    compilation units, and which of them covers an address
 *   dwarf_scope.c   in a unit: the function around an address, the calls inlined there
 *   dwarf_rows.c    in a unit: the source line of an address
 *
 * libdw is not used for it, because the files are strangers': it recurses as deep as the entries nest,
 * opens by itself whatever path a file names, ends the program when memory is short, and holds all
 * sections in memory. Here nothing recurses, only what a question needs is read, and all work is
 * counted.
 */
#ifndef HB_SYMBOL_DWARF_PARTS_H
#define HB_SYMBOL_DWARF_PARTS_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cursor.h"
#include "elffile.h"

#define DWARF_TEXT_MAX 8192        /* longer texts are not read */
#define DWARF_UNIT_MAX (128u << 20) /* bytes of one unit that are searched */
#define DWARF_PART_MAX (64u << 20)  /* of one function, one line program */
#define DWARF_NOWHERE  UINT64_MAX

enum dwarf_section {
	DWARF_INFO, DWARF_ABBREV, DWARF_LINE, DWARF_STR, DWARF_LINE_STR, DWARF_RANGES, DWARF_RNGLISTS, DWARF_ADDR,
	DWARF_STR_OFFSETS,
	DWARF_SECTIONS
};

/* How an attribute's value is to be understood. */
enum dwarf_kind {
	DWARF_NONE,          /* not there, or in a form that we do not follow */
	DWARF_NUMBER,        /* a constant, or an offset into another section */
	DWARF_ADDRESS,
	DWARF_ADDRESS_INDEX, /* into the unit's part of .debug_addr */
	DWARF_TEXT,          /* at offset @number of @section */
	DWARF_TEXT_INDEX,    /* into the unit's part of .debug_str_offsets */
	DWARF_TEXT_COMMON,   /* in .debug_str of dwz's common file */
	DWARF_REF,           /* an entry, by its offset in .debug_info */
	DWARF_REF_COMMON,    /* the same in dwz's common file */
	DWARF_RANGES_INDEX,  /* into the unit's part of .debug_rnglists */
};

struct dwarf_value {
	uint8_t kind;    /* enum dwarf_kind */
	uint8_t section; /* enum dwarf_section, of DWARF_TEXT */
	uint64_t number;
};

/* The attributes that we keep. */
enum dwarf_field {
	DWARF_LOW_PC, DWARF_HIGH_PC, DWARF_RANGE_LIST, DWARF_NAME, DWARF_LINKAGE_NAME, DWARF_ORIGIN,
	DWARF_SPECIFICATION, DWARF_CALL_FILE, DWARF_CALL_LINE, DWARF_SIBLING, DWARF_STMT_LIST, DWARF_COMP_DIR,
	DWARF_STR_BASE, DWARF_ADDR_BASE, DWARF_RNGLISTS_BASE,
	DWARF_FIELDS
};

struct dwarf_entry {
	uint64_t offset, next; /* in .debug_info: where it stands, where its attributes end */
	uint16_t tag;
	bool children;
	struct dwarf_value fields[DWARF_FIELDS];
};

struct dwarf_attribute {
	uint16_t name, form;
	int64_t constant; /* DW_FORM_implicit_const */
};

struct dwarf_abbrev {
	uint64_t code;
	uint32_t first, count; /* attributes */
	uint32_t bytes;        /* of all of them, UINT32_MAX: differs from entry to entry */
	uint16_t tag;
	bool children;
};

struct dwarf_abbrevs {
	struct dwarf_abbrev *rows; /* sorted by code */
	size_t count, cap;
	struct dwarf_attribute *attributes;
	size_t attributes_count, attributes_cap;
	uint64_t offset;           /* in .debug_abbrev: what the table is known by, with the following */
	uint8_t version, offset_bytes;
	uint64_t used;             /* when last, in questions */
};

struct dwarf_unit {
	uint64_t offset, end;      /* in .debug_info */
	uint64_t entries;          /* where its first entry stands; that describes the unit */
	uint64_t abbrevs;          /* offset of its table */
	uint64_t low_pc;           /* what its range lists begin with */
	uint64_t line_program;     /* offset in .debug_line, or DWARF_NOWHERE */
	uint64_t str_base, addr_base, rnglists_base;
	struct dwarf_value comp_dir;
	uint8_t version;           /* 0: cannot be read */
	uint8_t offset_bytes;      /* 4 or 8 */
	struct dwarf_functions *functions; /* NULL: not looked for yet */
	struct dwarf_rows *rows;           /* NULL: not looked for yet */
};

/* Addresses [start, end) belong to row @owner of some array. Sorted by start, they may overlap. */
struct dwarf_span {
	uint64_t start, end;
	uint32_t owner;
};

struct dwarf_spans {
	struct dwarf_span *rows;
	size_t count, cap;
};

/* What may still be spent on the present question, in steps of some nanoseconds. */
struct dwarf_work {
	uint64_t steps;
	uint64_t questions; /* so far */
	uint64_t memory;    /* bytes held, */
	uint64_t unpacked;  /* and those of packed sections */
};

struct dwarf {
	const struct elf_file *file; /* borrowed */
	struct dwarf_work *work;     /* borrowed; shared with @common */
	struct dwarf *common;        /* owned: what dwz moved out of this file; or NULL */
	struct {
		bool found;
		GElf_Shdr header;
		uint64_t bytes;  /* when unpacked */
		void *unpacked;  /* read at once if it is packed, else NULL */
	} sections[DWARF_SECTIONS];
	struct dwarf_unit *units;    /* sorted by offset */
	size_t units_count, units_cap;
	struct dwarf_spans spans;    /* of units */
	struct dwarf_abbrevs tables[8]; /* those used last */
};

/* Bytes of a section, copied. */
struct dwarf_block {
	uint8_t *bytes; /* free() it */
	size_t count;
	uint64_t offset;
	enum dwarf_section section;
};

/* One after another out of a block. */
struct dwarf_reader {
	struct cursor cursor;
	const struct dwarf_block *block;
};

static inline uint64_t dwarf_tell(const struct dwarf_reader *reader)
{
	return reader->block->offset + (uint64_t)(reader->cursor.at - reader->block->bytes);
}

/* Count @steps; false if none are left. */
static inline bool dwarf_spend(struct dwarf *dwarf, uint64_t steps)
{
	if (dwarf->work->steps < steps) {
		dwarf->work->steps = 0;
		return false;
	}
	dwarf->work->steps -= steps;
	return true;
}

/* --- dwarf_data.c --------------------------------------------------------------------------- */

/* Find the sections. 0, -ENOENT (no DWARF), -ENOMEM. */
int dwarf_open(struct dwarf *dwarf, const struct elf_file *file, struct dwarf_work *work);
void dwarf_release(struct dwarf *dwarf);

/* Copy up to @count bytes at @offset; fewer at the section's end. Their number. */
size_t dwarf_bytes(struct dwarf *dwarf, enum dwarf_section section, uint64_t offset, void *to, size_t count);

/* The same as a block. 0; -ENOENT if there are none; -ENOMEM; -EFBIG (no steps left). */
int dwarf_block(struct dwarf *dwarf, enum dwarf_section section, uint64_t offset, uint64_t count,
		struct dwarf_block *block);

/* A number of @bytes (1 to 8) at @offset. */
bool dwarf_number(struct dwarf *dwarf, enum dwarf_section section, uint64_t offset, size_t bytes, uint64_t *number);

/* The text that @value stands for: free() it. NULL: none. */
char *dwarf_text(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_value *value);

/* The address that @value stands for. */
bool dwarf_address(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_value *value,
		   uint64_t *address);

/* Add a span. 0, -ENOMEM. */
int dwarf_span_add(struct dwarf *dwarf, struct dwarf_spans *spans, uint64_t start, uint64_t end, uint32_t owner);
void dwarf_spans_sort(struct dwarf_spans *spans);
/* Of the spans around @vaddr the one that starts last; NULL: none. */
const struct dwarf_span *dwarf_spans_find(const struct dwarf_spans *spans, uint64_t vaddr);

/* --- dwarf_abbrev.c ------------------------------------------------------------------------- */

/* @unit's table, borrowed until some others were asked for. NULL: broken, or no memory. */
const struct dwarf_abbrevs *dwarf_abbrevs(struct dwarf *dwarf, const struct dwarf_unit *unit);

/* Read @unit's table up to @code only. 0, -EBADMSG, -ENOMEM, -EFBIG. */
int dwarf_abbrevs_read(struct dwarf *dwarf, const struct dwarf_unit *unit, uint64_t code,
		       struct dwarf_abbrevs *table);
void dwarf_abbrevs_release(struct dwarf_abbrevs *table);

/* NULL: not in the table. */
const struct dwarf_abbrev *dwarf_abbrev_find(const struct dwarf_abbrevs *table, uint64_t code);

/* --- dwarf_entry.c -------------------------------------------------------------------------- */

/* Bytes that @form takes in @unit, UINT32_MAX: it depends. */
uint32_t dwarf_form_bytes(uint16_t form, uint8_t version, uint8_t offset_bytes);

/* Read one value. What cannot be understood makes the cursor bad. */
struct dwarf_value dwarf_value_read(struct dwarf_reader *reader, const struct dwarf_unit *unit, uint16_t form,
				    int64_t constant);

/* Read the attributes of an entry whose code was read just now, at @offset. */
void dwarf_entry_read(struct dwarf_reader *reader, const struct dwarf_unit *unit, const struct dwarf_abbrevs *table,
		      const struct dwarf_abbrev *abbrev, uint64_t offset, struct dwarf_entry *entry);
/* Pass over them. */
void dwarf_entry_skip(struct dwarf_reader *reader, const struct dwarf_unit *unit, const struct dwarf_abbrevs *table,
		      const struct dwarf_abbrev *abbrev);

/* The entry at @offset of @unit. */
bool dwarf_entry_at(struct dwarf *dwarf, const struct dwarf_unit *unit, uint64_t offset, struct dwarf_entry *entry);

/* --- dwarf_name.c --------------------------------------------------------------------------- */

/*
 * The name of a function, free() it: the mangled one if there is one, else the plain one with the scopes
 * that it is declared in; of what it is an instance of. NULL: none.
 */
char *dwarf_function_name(struct dwarf *dwarf, struct dwarf_unit *unit, const struct dwarf_entry *entry);

/* --- dwarf_ranges.c ------------------------------------------------------------------------- */

/*
 * Call @each with the address ranges of @entry until it says that it has enough. Returns whether it did.
 * Empty and impossible ranges are left out.
 */
bool dwarf_ranges(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_entry *entry,
		  bool (*each)(void *ctx, uint64_t start, uint64_t end), void *ctx);

/* --- dwarf_unit.c --------------------------------------------------------------------------- */

/* Read the headers of all units, and what addresses they cover. 0, -ENOMEM, -EFBIG (too much of it). */
int dwarf_units_read(struct dwarf *dwarf);

/* The unit that holds the entry at @offset, or NULL. */
struct dwarf_unit *dwarf_unit_of(struct dwarf *dwarf, uint64_t offset);
/* Forget what was read of units for the questions asked so far. */
void dwarf_units_trim(struct dwarf *dwarf);
/* The unit that covers @vaddr, or NULL. */
struct dwarf_unit *dwarf_unit_around(struct dwarf *dwarf, uint64_t vaddr);

/* --- dwarf_scope.c -------------------------------------------------------------------------- */

/*
 * The function around @vaddr and the calls inlined there: entries[0] the function, then inwards. If they
 * are more than @cap those in the middle are left out. Their number; 0: none.
 */
size_t dwarf_scopes(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t vaddr, struct dwarf_entry *entries,
		    size_t cap);
/* The namespaces and types that the function at @offset of @unit is declared in, innermost first. */
size_t dwarf_outer(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t offset, uint64_t *outer, size_t cap);
void dwarf_functions_free(struct dwarf *dwarf, struct dwarf_functions *functions);

/* --- dwarf_rows.c --------------------------------------------------------------------------- */

/* The line of @vaddr, and the number of its file. */
bool dwarf_row_find(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t vaddr, uint64_t *file, uint64_t *line);
/* The path of file @number in @unit's line program, free() it; NULL: none. */
char *dwarf_row_file(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t number);
void dwarf_rows_free(struct dwarf *dwarf, struct dwarf_rows *rows);

#endif
