// SPDX-License-Identifier: Apache-2.0
/* Functions to rows: sorted, without overlaps, gaps marked. */
#include <errno.h>
#include <stdlib.h>

#include "cfi_parts.h"

static int by_place(const void *left, const void *right)
{
	const struct cfi_fde *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->section != b->section)
		return a->section < b->section ? -1 : 1;
	return a->program < b->program ? -1 : a->program > b->program;
}

void cfi_fdes_sort(struct cfi_build *build, size_t first)
{
	size_t i, kept = first;

	for (i = first + 1; i < build->fdes_count && build->fdes[i - 1].start < build->fdes[i].start;)
		i++;
	if (i >= build->fdes_count)
		return; /* as they should be */
	qsort(build->fdes + first, build->fdes_count - first, sizeof(*build->fdes), by_place);
	for (i = first + 1; i < build->fdes_count; i++) {
		if (build->fdes[i].start != build->fdes[kept].start)
			build->fdes[++kept] = build->fdes[i];
	}
	build->fdes_count = kept + 1;
}

/* Whether one of the first @count FDEs holds @offset. */
static bool covered(const struct cfi_build *build, size_t count, uint64_t offset)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (build->fdes[middle].start <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low && offset < build->fdes[low - 1].end;
}

void cfi_fdes_drop_covered(struct cfi_build *build, size_t first)
{
	size_t i, kept = first;

	for (i = first; i < build->fdes_count; i++) {
		if (!covered(build, first, build->fdes[i].start))
			build->fdes[kept++] = build->fdes[i];
	}
	build->fdes_count = kept;
}

/* Where the rows of FDE @index end: one that begins inside it wins. */
static uint64_t end_of(const struct cfi_build *build, size_t index)
{
	const struct cfi_fde *fde = &build->fdes[index];

	if (index + 1 < build->fdes_count && fde[1].start < fde->end)
		return fde[1].start;
	return fde->end;
}

/* Whether what lies between @end and the start of FDE @next is only padding. */
static bool padded(const struct cfi_build *build, uint64_t end, size_t next)
{
	return next < build->fdes_count && build->fdes[next].start - end <= CFI_PADDING;
}

uint64_t cfi_fdes_bytes(const struct cfi_build *build)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < build->fdes_count; i++) {
		uint64_t end = end_of(build, i);

		if (padded(build, end, i + 1))
			end = build->fdes[i + 1].start;
		bytes += end - build->fdes[i].start;
	}
	return bytes;
}

int cfi_row_add(struct cfi_build *build, uint64_t offset, uint32_t rule)
{
	struct cfi_table *table = build->table;
	struct cfi_row *last = table->rows_count ? &table->rows[table->rows_count - 1] : NULL;

	if (rule == (last ? last->rule : HB_RULE_NONE))
		return 0;
	if (table->rows_count == CFI_ROWS_MAX)
		return -EFBIG;
	if (table->rows_count == build->rows_room) {
		size_t room = build->rows_room ? 2 * build->rows_room : 1024;
		struct cfi_row *more = realloc(table->rows, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		table->rows = more;
		build->rows_room = room;
	}
	table->rows[table->rows_count++] = (struct cfi_row){ .offset = offset, .rule = rule };
	return 0;
}

/* One FDE's rows. If its instructions are broken it has none. */
static int fde_flatten(struct cfi_build *build, const struct cfi_fde *fde, uint64_t end)
{
	size_t rows = build->table->rows_count;
	int err = cfi_fde_run(build, fde, end);

	if (err != -EBADMSG)
		return err;
	build->table->rows_count = rows;
	build->table->skipped++;
	return cfi_row_add(build, fde->start, HB_RULE_NONE);
}

int cfi_flatten(struct cfi_build *build)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < build->fdes_count; i++) {
		uint64_t end = end_of(build, i);

		err = fde_flatten(build, &build->fdes[i], end);
		if (!err && !padded(build, end, i + 1))
			err = cfi_row_add(build, end, HB_RULE_NONE);
	}
	return err;
}
