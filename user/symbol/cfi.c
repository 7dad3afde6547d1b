// SPDX-License-Identifier: Apache-2.0
#include "cfi_parts.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "../base/cleanup.h"

#define FEW_FDES           8  /* what the C runtime's own objects give to a file built without tables */
#define COVERED_PERCENT    90 /* less of the text than this described: .debug_frame may know more */
#define INSTRUCTION_BYTES  4  /* aarch64 */
#define ENTRY_BYTES        96 /* what the code at an entry point takes, at least as far as its calls */

static void build_release(struct cfi_build *build)
{
	size_t i;

	for (i = 0; i < build->sections_count; i++) {
		free(build->sections[i].data);
		free(build->sections[i].cies);
	}
	free(build->slots);
	free(build->fdes);
}

bool cfi_sparse(const struct cfi_table *table)
{
	return table->fdes < FEW_FDES || table->covered_bytes < table->text_bytes / 100 * COVERED_PERCENT;
}

static void measure(struct cfi_build *build)
{
	build->table->fdes = build->fdes_count;
	build->table->covered_bytes = cfi_fdes_bytes(build);
}

static int eh_frame_add(struct cfi_build *build, const struct cfi_input *input)
{
	int err = cfi_eh_frame_read(input, build);

	if (!err)
		err = cfi_records_read(build, build->sections_count - 1);
	cfi_fdes_sort(build, 0);
	measure(build);
	return err == -ENOENT ? 0 : err;
}

/* .debug_frame is a help, not a must: what is wrong in it does not make the other rows bad. */
static int debug_frame_add(struct cfi_build *build, const struct cfi_input *input)
{
	size_t before = build->fdes_count;
	int err;

	if (!cfi_sparse(build->table))
		return 0;
	err = cfi_debug_frame_read(input, build);
	if (!err)
		err = cfi_records_read(build, build->sections_count - 1);
	if (err == -EFBIG) {
		build->fdes_count = before;
		build->table->skipped++;
	}
	cfi_fdes_sort(build, before);
	cfi_fdes_drop_covered(build, before);
	cfi_fdes_sort(build, 0);
	measure(build);
	return err == -ENOMEM || err == -EBADF ? err : 0;
}

/* The signal trampoline of aarch64's vdso. */
static int sigreturn_add(struct cfi_build *build, const struct cfi_input *input)
{
	uint64_t vaddr, bytes;

	if (build->machine->elf != EM_AARCH64 || !cfi_symbol_find(input, "__kernel_rt_sigreturn", &vaddr, &bytes) ||
	    vaddr < INSTRUCTION_BYTES)
		return 0;
	if (!bytes)
		bytes = 2 * INSTRUCTION_BYTES; /* mov x8, #__NR_rt_sigreturn; svc #0 */
	return cfi_fde_add(build, (struct cfi_fde){ .signal = true }, vaddr - INSTRUCTION_BYTES,
			   bytes + INSTRUCTION_BYTES);
}

/*
 * The code at the entry point, where nobody has described it: the dynamic linker's (glibc's
 * sysdeps/x86_64/dl-machine.h, RTLD_START), which runs constructors, and musl's _start.
 */
static int entry_add(struct cfi_build *build)
{
	size_t before = build->fdes_count;
	int err;

	if (!build->entry_vaddr)
		return 0;
	err = cfi_fde_add(build, (struct cfi_fde){ .entry = true }, build->entry_vaddr, ENTRY_BYTES);
	if (!err)
		cfi_fdes_drop_covered(build, before);
	return err;
}

/* Give back what the arrays have too much; a shrinking realloc that fails changes nothing. */
static void trim(struct cfi_table *table)
{
	void *rows = realloc(table->rows, (table->rows_count + 1) * sizeof(*table->rows));
	void *rules = realloc(table->rules, table->rules_count * sizeof(*table->rules));

	if (rows)
		table->rows = rows;
	if (rules)
		table->rules = rules;
}

static int table_make(struct cfi_build *build, const struct cfi_input *input, const struct cfi_input *debug)
{
	int err = cfi_rules_init(build);

	if (!err)
		err = cfi_input_open(input, build);
	if (!err)
		err = eh_frame_add(build, input);
	if (!err)
		err = debug_frame_add(build, input);
	if (!err && debug)
		err = debug_frame_add(build, debug);
	if (!err && !input->file)
		err = sigreturn_add(build, input);
	if (!err && !build->fdes_count)
		err = -ENOENT;
	if (err)
		return err;
	cfi_fdes_sort(build, 0);
	measure(build);
	err = entry_add(build);
	if (err)
		return err;
	cfi_fdes_sort(build, 0);
	return cfi_flatten(build);
}

static int read_into(struct cfi_table *table, const struct cfi_input *input, const struct cfi_input *debug)
{
	__cleanup(build_release) struct cfi_build build = { .table = table };
	int err;

	memset(table, 0, sizeof(*table));
	err = table_make(&build, input, debug);
	if (err)
		table->rows_count = 0; /* all or nothing */
	if (table->rules)
		trim(table);
	return err;
}

int cfi_read(struct cfi_table *table, const struct elf_file *file)
{
	return cfi_read_with_debug(table, file, NULL);
}

int cfi_read_with_debug(struct cfi_table *table, const struct elf_file *file, const struct elf_file *debug)
{
	struct cfi_input input = { .file = file, .bytes = file->size }, other = { .file = debug };

	if (debug)
		other.bytes = debug->size;
	return read_into(table, &input, debug ? &other : NULL);
}

int cfi_read_image(struct cfi_table *table, const void *image, size_t bytes)
{
	struct cfi_input input = { .image = image, .bytes = bytes };

	return read_into(table, &input, NULL);
}

void cfi_release(struct cfi_table *table)
{
	free(table->rows);
	free(table->rules);
	memset(table, 0, sizeof(*table));
}

const struct hb_rule *cfi_find(const struct cfi_table *table, uint64_t offset)
{
	static const struct hb_rule none = { .cfa = HB_CFA_NONE };
	size_t low = 0, high = table->rows_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->rows[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &table->rules[table->rows[low - 1].rule] : &none;
}
