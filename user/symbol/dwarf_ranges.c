// SPDX-License-Identifier: Apache-2.0
/* Addresses of an entry: DWARF 5 section 2.17; range lists: 7.25 there, 2.17.3 of DWARF 4. */
#include <dwarf.h>
#include <stdlib.h>

#include "dwarf_parts.h"

#define LIST_FIRST 256         /* bytes of a list, read at once; most are shorter */
#define LIST_NEXT  (16u << 10) /* and after these */
#define STEPS_ROW  4

struct walk {
	struct dwarf *dwarf;
	const struct dwarf_unit *unit;
	uint64_t base; /* what offsets in the list count from */
	bool (*each)(void *ctx, uint64_t start, uint64_t end);
	void *ctx;
};

/* One row of .debug_ranges. False: the list ends. */
static bool pair_read(struct walk *walk, struct cursor *cursor, uint64_t *start, uint64_t *end)
{
	uint64_t a = cursor_number(cursor, 8), b = cursor_number(cursor, 8);

	*start = *end = 0;
	if (a == UINT64_MAX) {
		walk->base = b;
		return true;
	}
	*start = walk->base + a;
	*end = walk->base + b;
	return a || b;
}

static bool index_address(const struct walk *walk, uint64_t index, uint64_t *address)
{
	struct dwarf_value value = { .kind = DWARF_ADDRESS_INDEX, .number = index };

	return dwarf_address(walk->dwarf, walk->unit, &value, address);
}

/* One row of .debug_rnglists. False: the list ends, or is broken. */
static bool row_read(struct walk *walk, struct cursor *cursor, uint64_t *start, uint64_t *end)
{
	uint64_t a, b;

	*start = *end = 0;
	switch (cursor_u8(cursor)) {
	case DW_RLE_base_addressx:
		return index_address(walk, cursor_uleb(cursor), &walk->base);
	case DW_RLE_startx_endx:
		a = cursor_uleb(cursor);
		b = cursor_uleb(cursor);
		return !cursor->bad && index_address(walk, a, start) && index_address(walk, b, end);
	case DW_RLE_startx_length:
		a = cursor_uleb(cursor);
		b = cursor_uleb(cursor);
		if (cursor->bad || !index_address(walk, a, start))
			return false;
		*end = *start + b;
		return true;
	case DW_RLE_offset_pair:
		*start = walk->base + cursor_uleb(cursor);
		*end = walk->base + cursor_uleb(cursor);
		return true;
	case DW_RLE_base_address:
		walk->base = cursor_number(cursor, 8);
		return true;
	case DW_RLE_start_end:
		*start = cursor_number(cursor, 8);
		*end = cursor_number(cursor, 8);
		return true;
	case DW_RLE_start_length:
		*start = cursor_number(cursor, 8);
		*end = *start + cursor_uleb(cursor);
		return true;
	default: /* DW_RLE_end_of_list among them */
		return false;
	}
}

/* Where @value's list begins. */
static bool list_find(const struct walk *walk, const struct dwarf_value *value, uint64_t *offset)
{
	uint64_t base = walk->unit->rnglists_base;

	*offset = value->number;
	if (value->kind == DWARF_NUMBER)
		return true;
	if (value->kind != DWARF_RANGES_INDEX || base == DWARF_NOWHERE ||
	    value->number > walk->dwarf->sections[DWARF_RNGLISTS].bytes ||
	    !dwarf_number(walk->dwarf, DWARF_RNGLISTS, base + value->number * walk->unit->offset_bytes,
			  walk->unit->offset_bytes, offset))
		return false;
	*offset += base;
	return true;
}

/*
 * The rows in @block that are whole; their bytes, or 0 if the list ends here, or is broken, or there
 * was @enough.
 */
static size_t block_walk(struct walk *walk, const struct dwarf_block *block, bool *enough)
{
	struct cursor cursor = cursor_on(block->bytes, block->count);
	size_t whole = 0;

	while (dwarf_spend(walk->dwarf, STEPS_ROW)) {
		uint64_t start, end;
		bool good = block->section == DWARF_RANGES ? pair_read(walk, &cursor, &start, &end) :
							     row_read(walk, &cursor, &start, &end);

		if (cursor.bad)
			return whole;
		if (!good)
			return 0;
		whole = block->count - cursor_left(&cursor);
		*enough = start < end && walk->each(walk->ctx, start, end);
		if (*enough)
			return 0;
	}
	return 0;
}

static bool list_walk(struct walk *walk, const struct dwarf_value *value)
{
	enum dwarf_section section = walk->unit->version < 5 ? DWARF_RANGES : DWARF_RNGLISTS;
	uint64_t offset, bytes = LIST_FIRST;
	struct dwarf_block block;
	bool enough = false;
	size_t whole;

	if (!list_find(walk, value, &offset))
		return false;
	do {
		if (dwarf_block(walk->dwarf, section, offset, bytes, &block))
			return false;
		whole = block_walk(walk, &block, &enough);
		free(block.bytes);
		offset += whole;
		bytes = LIST_NEXT;
	} while (whole);
	return enough;
}

bool dwarf_ranges(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_entry *entry,
		  bool (*each)(void *ctx, uint64_t start, uint64_t end), void *ctx)
{
	const struct dwarf_value *high = &entry->fields[DWARF_HIGH_PC];
	struct walk walk = { .dwarf = dwarf, .unit = unit, .base = unit->low_pc, .each = each, .ctx = ctx };
	uint64_t start, end;

	if (entry->fields[DWARF_RANGE_LIST].kind != DWARF_NONE)
		return list_walk(&walk, &entry->fields[DWARF_RANGE_LIST]);
	if (!dwarf_address(dwarf, unit, &entry->fields[DWARF_LOW_PC], &start))
		return false;
	if (high->kind == DWARF_NUMBER)
		end = start + high->number;
	else if (!dwarf_address(dwarf, unit, high, &end))
		return false;
	return start < end && each(ctx, start, end);
}
