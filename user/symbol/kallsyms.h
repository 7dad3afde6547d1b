/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the kernel's own code, of its modules and of BPF programs: /proc/kallsyms, read once. Kept is
 * text alone (types t, T, w, W), 16 bytes a symbol and its name: 5 MB where the file has 120,000 lines. A
 * module or program that is loaded later has no name here. The file is the kernel's, but read as if it
 * were a stranger's.
 */
#ifndef HB_SYMBOL_KALLSYMS_H
#define HB_SYMBOL_KALLSYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/frame.h"
#include "elffile.h"

#define KALLSYMS_PATH  "/proc/kallsyms"
#define KALLSYMS_NOTES "/sys/kernel/notes"

#define KALLSYMS_BYTES_MAX   (64u << 20) /* of the file; a distribution's kernel has 10 to 20 MB */
#define KALLSYMS_SYMBOLS_MAX (1u << 20)  /* kept; a distribution's kernel has 200,000 */
#define KALLSYMS_MODULES_MAX 4096
#define KALLSYMS_LINE_MAX    1024        /* bytes; KSYM_NAME_LEN is 512, include/linux/kallsyms.h */
#define KALLSYMS_REACH_MAX   (1u << 20)  /* bytes that a symbol reaches at the most: no function has more */

struct kallsyms_row {
	uint64_t address;
	uint32_t name;   /* where it is in names */
	uint16_t module; /* in modules */
};

struct kallsyms_module {
	uint64_t start; /* of its first symbol; 0: it has no image of its own, as "[bpf]" */
	uint32_t name;  /* where it is in names, with its brackets */
};

struct kallsyms {
	struct kallsyms_row *rows; /* by address, one at each: of several names the first, as in the kernel's log */
	size_t count, cap;
	struct kallsyms_module *modules; /* the first is the kernel itself */
	size_t modules_count;
	char *names; /* each ends in NUL */
	size_t names_bytes, names_cap;
	uint64_t text, text_end; /* _stext, _etext */
	uint64_t memcg_indexes;  /* mem_cgroup_stats_index, since 6.10; 0: not listed (data: CONFIG_KALLSYMS_ALL) */
	size_t skipped;          /* lines that make no sense */
	bool hidden;             /* there are names, but all addresses are 0 */
	char build_id[2 * ELFFILE_BUILD_ID_MAX + 1]; /* the kernel's own, hex, or "" */
	char why[128];           /* a sentence: why nothing is known; "" if something is */
};

/*
 * Read the symbols at @path (KALLSYMS_PATH) and the kernel's build-id in the notes at @notes (KALLSYMS_NOTES).
 * 0, or negative errno with ks->why: -EACCES with ks->hidden (kernel.kptr_restrict), -ENODATA (no text),
 * -EBADMSG (_stext or _etext is missing), -EFBIG (beyond the caps), -ENOTSUP (no regular file), -ENOMEM, or
 * what opening and reading gave. After an error nothing is found in @ks, which all functions here still take.
 * Without its build-id all else works.
 */
int kallsyms_load(struct kallsyms *ks, const char *path, const char *notes);
void kallsyms_release(struct kallsyms *ks);

struct kallsyms_symbol {
	const char *name;   /* borrowed from the kallsyms */
	const char *module; /* "[nf_tables]", "[bpf]"; NULL: the kernel itself */
	uint64_t offset;    /* from the symbol's first byte */
};

/*
 * The symbol around @address. It reaches up to the next one, and at the most KALLSYMS_REACH_MAX; the last one
 * of a module to the end of the next page, as perf has it; the kernel's own to _etext, outside of which and
 * of modules there is none. false: none.
 */
bool kallsyms_find(const struct kallsyms *ks, uint64_t address, struct kallsyms_symbol *symbol);

/*
 * One address of a kernel stack as a frame, of kind FRAME_KERNEL in any case. @exact: the address itself, else
 * it is a return address and the call before it is meant. @ks may be NULL. Strings are borrowed from @ks.
 *
 * Function, as /proc/kallsyms writes it; module "[kernel]" or "[nf_tables]"; and an offset that is the same
 * after every boot: from _stext in the kernel, which also has its build_id; from the first symbol of a module;
 * from the function itself in what has no image ("[bpf]"). Whether there is a name: code of the kernel between
 * symbols has its module and offset without one, all else only its address.
 */
bool kallsyms_frame(const struct kallsyms *ks, uint64_t address, bool exact, struct frame *out);

#endif
