/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame information of an ELF file (.eh_frame, else .debug_frame) flattened into rows: from this
 * offset of the file on, the caller's frame is found by this rule. DWARF 5 section 6.4, and the
 * differences of .eh_frame in the LSB core specification, section 10.6.
 *
 * x86_64 and aarch64, whatever we run on. The file is a stranger's: every read is bounds-checked, all
 * sizes are capped, nothing recurses, and the time is linear in the size of the sections. Nothing is
 * shared between calls: several threads may read at once.
 */
#ifndef HB_SYMBOL_CFI_H
#define HB_SYMBOL_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/record.h"
#include "elffile.h"

#define CFI_ROWS_MAX  (16u << 20)
#define CFI_FDES_MAX  (2u << 20)
#define CFI_CIES_MAX  (256u << 10) /* of one section; a linker keeps some dozens */
#define CFI_BYTES_MAX (128u << 20) /* of one section; 50 to 100 per function are usual */
#define CFI_RULES_MAX 4096         /* different rules in one file; more become HB_CFA_UNSUPPORTED */
#define CFI_PADDING   15           /* bytes between two functions that count as the first one's */

struct cfi_row {
	uint64_t offset; /* in the file, from here on */
	uint32_t rule;   /* index into cfi_table.rules */
};

/*
 * Rows sorted by offset, neighbours differ. rules[HB_RULE_NONE] is { HB_CFA_NONE }, which also stands
 * before the first row, in gaps wider than padding and behind the last function;
 * rules[HB_RULE_UNSUPPORTED] is { HB_CFA_UNSUPPORTED }. What a rule's kind does not use is 0. The code
 * at the entry point is HB_CFA_STOP where nothing else is said about it.
 */
struct cfi_table {
	struct cfi_row *rows;
	size_t rows_count;
	struct hb_rule *rules;
	size_t rules_count;
	size_t fdes;    /* functions described */
	size_t skipped; /* records that were broken, or of nothing in the text, and left out */
	uint64_t text_bytes;    /* executable sections, or segments if there are no sections */
	uint64_t covered_bytes; /* of functions that have rows, with padding */
};

/*
 * Read @file's rows: .eh_frame, and where it describes little of the text, .debug_frame in its gaps.
 * 0; -ENOENT (it has none, or is for another machine: @table is then empty but for the rules above);
 * -ENOMEM, -EFBIG (beyond the caps), -EBADF (file closed), or what reading gave. Needs only @file's
 * descriptor. cfi_release() in any case.
 */
int cfi_read(struct cfi_table *table, const struct elf_file *file);

/*
 * The same, and .debug_frame of @debug, @file's separate debug file: worth it when cfi_sparse() said
 * so of @file alone.
 */
int cfi_read_with_debug(struct cfi_table *table, const struct elf_file *file, const struct elf_file *debug);
bool cfi_sparse(const struct cfi_table *table);

/*
 * The same from an image in memory (the vdso: a whole ELF file whose offsets are its addresses from
 * @image on). -ENOEXEC if it is none. aarch64's vdso has the signal trampoline, which is no function
 * with rows of its own: __kernel_rt_sigreturn gets HB_CFA_SIGNAL, and so does the instruction before
 * it, for there a return address into it is looked up.
 */
int cfi_read_image(struct cfi_table *table, const void *image, size_t bytes);

void cfi_release(struct cfi_table *table);

/* The rule at file offset @offset; never NULL. */
const struct hb_rule *cfi_find(const struct cfi_table *table, uint64_t offset);

#endif
