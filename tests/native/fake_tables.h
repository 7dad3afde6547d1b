/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User space's half of the unwind tables, and code for it to describe: files of which each function
 * has one rule, mapped into a fake memory.
 */
#ifndef HB_FAKE_TABLES_H
#define HB_FAKE_TABLES_H

#include "core.bpf.h"

#define FUNCTION_BYTES 0x100
#define PAGE_BYTES     (1ULL << HB_PAGE_SHIFT)

/* A file and its one mapping. Its rows lie in a chunk of its own, in the page where its text begins. */
struct code {
	struct file *file;
	struct mm_struct *mm;
	u32 object;
	u32 page_base; /* hb_pages index of the file's first page */
	u32 pages;
	u32 chunk;
	u64 start, end, offset; /* the mapping */
	u64 next;               /* where the next function goes, in the file */
	u32 rows;
};

/* No rules but the two that are always there. */
void tables_reset(void);
/* The index of @rule in hb_rules, which it gets if it has none. */
u16 tables_rule(const struct hb_rule *rule);
/* Rows into a chunk, and the page that says where they are. */
void tables_rows(u32 chunk, u32 first, const struct hb_row *rows, u32 count);
void tables_page(u32 index, u32 chunk, u32 first, u32 count, u32 version);
void tables_object(u32 object, u32 page_base, u32 pages, enum hb_object_state state);
/* What the kernel side calls @file. */
struct hb_inode_key tables_key(const struct file *file);
void tables_inode(const struct file *file, u32 object);
/* The mappings of @gen that user space knows. */
/* What set_drop() in user/probe/unwind_tables.c does: the object first, then its pages. */
void tables_drop(const struct code *code);

/*
 * A new file, number @object, mapped at [start, start + bytes) from @offset on; the kernel side knows
 * it and has its rows: none yet.
 */
struct code code_new(struct mm_struct *mm, u32 object, u64 start, u64 bytes, u64 offset);
/* The next function of it: FUNCTION_BYTES long, with this rule. Returns its address. */
u64 code_function(struct code *code, struct hb_rule rule);
/* The word of a frame at @address. */
u64 code_word(const struct code *code, u64 address);
/* The instruction that ends at @address is a call. */
void code_call(struct mm_struct *mm, u64 address);

#endif
