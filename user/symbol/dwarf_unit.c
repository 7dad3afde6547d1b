// SPDX-License-Identifier: Apache-2.0
/* Units of .debug_info (DWARF 5 section 7.5.1), and which of them covers an address. */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "dwarf_parts.h"
#include "elfparts.h"

#define UNITS_MAX    (1u << 18) /* chromium has 40,000 */
#define SPANS_MAX    (2u << 20) /* of all units together */
#define HEADER_BYTES 64         /* a unit's header, and what pads it */

struct collect {
	struct dwarf *dwarf;
	int err;
};

/*
 * A unit's header out of the bytes at its beginning. False: no further unit can be found. Its version is
 * 0 if it is of a kind that we do not read.
 */
static bool header_read(struct cursor *cursor, uint64_t offset, uint64_t section_bytes, struct dwarf_unit *unit)
{
	uint64_t length, start, version;
	const uint8_t *from = cursor->at;
	uint8_t type = DW_UT_compile, address_bytes;

	*unit = (struct dwarf_unit){ .offset = offset, .offset_bytes = 4 };
	length = cursor_number(cursor, 4);
	if (length == UINT32_MAX) {
		unit->offset_bytes = 8;
		length = cursor_number(cursor, 8);
	}
	start = offset + (unit->offset_bytes == 8 ? 12 : 4);
	if (cursor->bad || start > section_bytes || length > section_bytes - start)
		return false;
	unit->end = start + length;
	version = cursor_number(cursor, 2);
	if (version >= 5) {
		type = cursor_u8(cursor);
		address_bytes = cursor_u8(cursor);
		unit->abbrevs = cursor_number(cursor, unit->offset_bytes);
	} else {
		unit->abbrevs = cursor_number(cursor, unit->offset_bytes);
		address_bytes = cursor_u8(cursor);
	}
	if (type == DW_UT_skeleton || type == DW_UT_split_compile)
		cursor_skip(cursor, 8); /* the id of the split unit */
	else if (type == DW_UT_type || type == DW_UT_split_type)
		cursor_skip(cursor, 8 + unit->offset_bytes); /* its signature, where its type is */
	unit->entries = offset + (uint64_t)(cursor->at - from);
	if (!cursor->bad && version >= 2 && version <= 5 && address_bytes == 8 && unit->entries < unit->end)
		unit->version = (uint8_t)version;
	return true;
}

static uint64_t number_or_nowhere(const struct dwarf_value *value)
{
	return value->kind == DWARF_NUMBER ? value->number : DWARF_NOWHERE;
}

/* Whether code may be there: a function that the linker threw away is left at 0 or thereabouts. */
static bool is_text(const struct dwarf *dwarf, uint64_t vaddr)
{
	return dwarf->file->segments_count ? elf_text_segment(dwarf->file, vaddr) != NULL : vaddr != 0;
}

static bool span_take(void *ctx, uint64_t start, uint64_t end)
{
	struct collect *collect = ctx;
	struct dwarf *dwarf = collect->dwarf;

	if (!is_text(dwarf, start))
		return false;
	if (dwarf->spans.count >= SPANS_MAX)
		collect->err = -EFBIG;
	else
		collect->err = dwarf_span_add(dwarf, &dwarf->spans, start, end, (uint32_t)(dwarf->units_count - 1));
	return collect->err;
}

/* What the unit's own entry says about it. */
static int unit_describe(struct dwarf *dwarf, struct dwarf_unit *unit)
{
	struct collect collect = { .dwarf = dwarf };
	struct dwarf_entry entry;

	unit->line_program = unit->str_base = unit->addr_base = unit->rnglists_base = DWARF_NOWHERE;
	if (!unit->version || !dwarf_entry_at(dwarf, unit, unit->entries, &entry))
		return 0;
	unit->line_program = number_or_nowhere(&entry.fields[DWARF_STMT_LIST]);
	unit->str_base = number_or_nowhere(&entry.fields[DWARF_STR_BASE]);
	unit->addr_base = number_or_nowhere(&entry.fields[DWARF_ADDR_BASE]);
	unit->rnglists_base = number_or_nowhere(&entry.fields[DWARF_RNGLISTS_BASE]);
	unit->comp_dir = entry.fields[DWARF_COMP_DIR];
	if (!dwarf_address(dwarf, unit, &entry.fields[DWARF_LOW_PC], &unit->low_pc))
		unit->low_pc = 0;
	if (entry.tag == DW_TAG_compile_unit || entry.tag == DW_TAG_skeleton_unit || entry.tag == DW_TAG_partial_unit)
		dwarf_ranges(dwarf, unit, &entry, span_take, &collect);
	return collect.err;
}

static int unit_add(struct dwarf *dwarf, const struct dwarf_unit *unit)
{
	if (dwarf->units_count == UNITS_MAX)
		return -EFBIG;
	if (dwarf->units_count == dwarf->units_cap) {
		size_t cap = dwarf->units_cap ? 2 * dwarf->units_cap : 16;
		struct dwarf_unit *units = reallocarray(dwarf->units, cap, sizeof(*units));

		if (!units)
			return -ENOMEM;
		dwarf->work->memory += (cap - dwarf->units_cap) * sizeof(*units);
		dwarf->units = units;
		dwarf->units_cap = cap;
	}
	dwarf->units[dwarf->units_count++] = *unit;
	return 0;
}

int dwarf_units_read(struct dwarf *dwarf)
{
	uint64_t at = 0, bytes = dwarf->sections[DWARF_INFO].bytes;
	uint8_t header[HEADER_BYTES];
	struct dwarf_unit unit;
	int err = 0;

	while (!err && at < bytes) {
		struct cursor cursor = cursor_on(header, dwarf_bytes(dwarf, DWARF_INFO, at, header, sizeof(header)));

		if (!cursor_left(&cursor) || !header_read(&cursor, at, bytes, &unit))
			break;
		err = unit_add(dwarf, &unit);
		if (!err)
			err = unit_describe(dwarf, &dwarf->units[dwarf->units_count - 1]);
		if (!err && !dwarf->work->steps)
			err = -EFBIG;
		at = unit.end;
	}
	dwarf_spans_sort(&dwarf->spans);
	return err;
}

void dwarf_units_trim(struct dwarf *dwarf)
{
	size_t i;

	for (i = 0; i < dwarf->units_count; i++) {
		dwarf_functions_free(dwarf, dwarf->units[i].functions);
		dwarf_rows_free(dwarf, dwarf->units[i].rows);
		dwarf->units[i].functions = NULL;
		dwarf->units[i].rows = NULL;
	}
}

struct dwarf_unit *dwarf_unit_of(struct dwarf *dwarf, uint64_t offset)
{
	size_t low = 0, high = dwarf->units_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dwarf->units[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low && offset < dwarf->units[low - 1].end ? &dwarf->units[low - 1] : NULL;
}

struct dwarf_unit *dwarf_unit_around(struct dwarf *dwarf, uint64_t vaddr)
{
	const struct dwarf_span *span = dwarf_spans_find(&dwarf->spans, vaddr);

	return span ? &dwarf->units[span->owner] : NULL;
}
