/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cfi*.c files share; nobody else includes it. The way of the data:
 *
 *   cfi_sections.c  bytes of .eh_frame and .debug_frame, where the text lies
 *   cfi_records.c   their records: CIEs (what functions share) and FDEs (one per function)
 *   cfi_flatten.c   FDEs sorted, overlaps and gaps settled, rows written
 *   cfi_program.c   what a function's instructions make of the state, location by location
 *   cfi_rules.c     a state as one of the rules that the kernel side follows
 *   cfi.c           all of it, and the lookup
 */
#ifndef HB_SYMBOL_CFI_PARTS_H
#define HB_SYMBOL_CFI_PARTS_H

#include <stdbool.h>
#include <string.h>

#include "cfi.h"
#include "cursor.h"

#define CFI_SECTIONS 3 /* .eh_frame, .debug_frame, .debug_frame of the debug file */

/* DWARF register numbers of a machine's ABI. */
struct cfi_machine {
	uint16_t elf; /* e_machine */
	uint8_t sp, fp, ra;
	uint8_t bx;   /* x86_64: rbx; else none */
	bool link;    /* a call leaves the return address in the register ra */
	int64_t signal_sp; /* where a signal frame, at sp, has the interrupted sp; 0: not looked at */
};

#define CFI_NO_REGISTER 255

/* How the caller's value of a register is found. */
enum cfi_how {
	CFI_UNSET,     /* nothing was said */
	CFI_SAME,
	CFI_UNDEFINED,
	CFI_AT_CFA,    /* *(CFA + offset) */
	CFI_AT_FP,     /* *(fp + offset) */
	CFI_OTHER,     /* in some way that we do not follow */
};

struct cfi_saved {
	enum cfi_how how;
	int64_t offset;
};

enum cfi_base {
	CFI_BASE_UNSET,
	CFI_BASE_REGISTER, /* reg + offset */
	CFI_BASE_DEREF,    /* *(at_reg + at_offset) + aux */
	CFI_BASE_PLT,      /* see HB_CFA_PLT */
	CFI_BASE_OTHER,
};

/*
 * The caller's frame as seen from one location: its CFA and the two registers that we follow. An
 * expression leaves reg and offset as they were, and assembly relies on it: def_cfa_register after it
 * goes on with the offset from before.
 */
struct cfi_state {
	enum cfi_base base;
	uint64_t reg, at_reg;
	int64_t offset, at_offset, aux;
	struct cfi_saved fp, ra, bx;
};

/* What the functions of a CIE have in common. */
struct cfi_cie {
	size_t record; /* its offset in the section: so FDEs name it */
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra;      /* the register that stands for the return address */
	uint8_t encoding; /* DW_EH_PE_*, of its FDEs' addresses */
	bool sized;       /* its FDEs have augmentation data */
	bool signal;      /* its functions' callers were interrupted */
	bool broken;
	struct cfi_state initial;
};

struct cfi_section {
	uint8_t *data; /* owned */
	size_t bytes;
	uint64_t vaddr;
	bool eh;        /* .eh_frame, not .debug_frame */
	bool unbounded; /* its end is not known: a zero length ends it */
	struct cfi_cie *cies; /* by record */
	size_t cies_count, cies_room;
};

/* One function. Its instructions follow its CIE's. */
struct cfi_fde {
	uint64_t start, end; /* file offsets */
	uint64_t vaddr;      /* of start */
	size_t program;      /* where in the section */
	uint32_t program_bytes;
	uint32_t cie;        /* index */
	uint8_t section;     /* index */
	bool signal;         /* a signal frame without instructions of its own */
	bool entry;          /* where the kernel starts a program: nothing called it */
};

/* Where bytes of an ELF file come from. */
struct cfi_input {
	const struct elf_file *file; /* or NULL: */
	const uint8_t *image;
	uint64_t bytes; /* of the file, of the image */
};

/* A table being made. */
struct cfi_build {
	struct cfi_table *table;
	size_t rows_room;
	uint16_t *slots; /* hash of the rules: index, 0 is free */
	const struct cfi_machine *machine;
	struct elf_segment text[ELFFILE_SEGMENTS_MAX]; /* executable PT_LOADs */
	size_t text_count;
	uint64_t hdr_vaddr; /* PT_GNU_EH_FRAME, 0: none */
	uint64_t entry_vaddr; /* e_entry, 0: none */
	struct cfi_section sections[CFI_SECTIONS];
	size_t sections_count;
	struct cfi_fde *fdes;
	size_t fdes_count, fdes_room;
};

/* The next @bytes as a cursor of their own. */
static inline struct cursor cfi_part(struct cursor *cursor, uint64_t bytes)
{
	struct cursor part = { .at = cursor->at, .end = cursor->at };

	if (bytes > cursor_left(cursor)) {
		cursor_fail(cursor);
		part.bad = true;
		return part;
	}
	part.end = cursor->at += bytes;
	return part;
}

/*
 * An address in one of the DW_EH_PE_* encodings: absolute or relative to the field itself, which lies
 * at @vaddr. 0 stays 0 (nothing). Other bases and indirection make the cursor bad.
 */
uint64_t cfi_address(struct cursor *cursor, uint8_t encoding, uint64_t vaddr);

/* --- cfi_sections.c ------------------------------------------------------------------------- */

/*
 * Fill machine, text, hdr_vaddr and text_bytes. -ENOEXEC (no ELF file), -ENOENT (for another
 * machine), or what reading gave.
 */
int cfi_input_open(const struct cfi_input *input, struct cfi_build *build);

/*
 * Add .eh_frame, by section header or else PT_GNU_EH_FRAME, or .debug_frame, to the build's sections.
 * 0, -ENOENT (not there, or cut off), -EFBIG, -ENOMEM, or what reading gave.
 */
int cfi_eh_frame_read(const struct cfi_input *input, struct cfi_build *build);
int cfi_debug_frame_read(const struct cfi_input *input, struct cfi_build *build);

/* Where the dynamic symbol @name lies: false if it does not. */
bool cfi_symbol_find(const struct cfi_input *input, const char *name, uint64_t *vaddr, uint64_t *bytes);

/* --- cfi_records.c -------------------------------------------------------------------------- */

/* Collect the FDEs of sections[@section]. 0, -ENOMEM, -EFBIG; broken records are counted and skipped. */
int cfi_records_read(struct cfi_build *build, size_t section);

/* Add the function [@vaddr, @vaddr + @bytes) as @fde says. It must begin in the text and ends with it. */
int cfi_fde_add(struct cfi_build *build, struct cfi_fde fde, uint64_t vaddr, uint64_t bytes);

/* --- cfi_program.c -------------------------------------------------------------------------- */

/* Run a CIE's own instructions: fill its initial state. 0 or -EBADMSG. */
int cfi_cie_run(const struct cfi_build *build, const struct cfi_section *section, struct cfi_cie *cie,
		struct cursor code);

/* Write the rows of [fde->start, @end). 0, -EBADMSG (its instructions are broken), or as cfi_row_add(). */
int cfi_fde_run(struct cfi_build *build, const struct cfi_fde *fde, uint64_t end);

/* --- cfi_rules.c ---------------------------------------------------------------------------- */

/* NULL: not one of ours. */
const struct cfi_machine *cfi_machine_find(uint16_t elf);

/* What the expressions of the CFA and of the frame pointer's place mean, if it is one of the few we know. */
void cfi_base_expression(const struct cfi_machine *machine, struct cursor code, struct cfi_state *state);
void cfi_saved_expression(const struct cfi_machine *machine, struct cursor code, struct cfi_saved *saved);

/*
 * @signal: of a function whose caller was interrupted, which need not be by a signal: user space that
 * switches contexts says so too. The kernel's frame is told by where its CFA lies.
 */
struct hb_rule cfi_rule_make(const struct cfi_machine *machine, const struct cfi_state *state, bool signal);

/* Begin with the two fixed rules. 0, -ENOMEM. */
int cfi_rules_init(struct cfi_build *build);

/* The index of @rule, added if it is new. HB_RULE_UNSUPPORTED when there are too many. */
uint32_t cfi_rule_intern(struct cfi_build *build, const struct hb_rule *rule);

/* --- cfi_flatten.c -------------------------------------------------------------------------- */

/* Sort the FDEs from @first on; of those that start at one place keep the first. */
void cfi_fdes_sort(struct cfi_build *build, size_t first);

/* Take off those from @first on that begin inside one of those before it. Both parts are sorted. */
void cfi_fdes_drop_covered(struct cfi_build *build, size_t first);

/* Bytes of text that the sorted FDEs describe, with padding. */
uint64_t cfi_fdes_bytes(const struct cfi_build *build);

/* All sorted FDEs to rows. 0, -ENOMEM, -EFBIG. */
int cfi_flatten(struct cfi_build *build);

/* From @offset on, @rule. Offsets of different rules rise. 0, -ENOMEM, -EFBIG. */
int cfi_row_add(struct cfi_build *build, uint64_t offset, uint32_t rule);

#endif
