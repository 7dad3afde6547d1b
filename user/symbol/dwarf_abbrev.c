// SPDX-License-Identifier: Apache-2.0
/* Abbreviation tables: .debug_abbrev, DWARF 5 section 7.5.3. */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "dwarf_parts.h"

#define FIRST_BYTES     2048       /* of a table, read at once; most are shorter */
#define TABLE_BYTES_MAX (16u << 20)
#define ROWS_MAX        (1u << 16)
#define ATTRIBUTES_MAX  (1u << 18) /* of all rows together */
#define STEPS_ROW       8

static int attribute_add(struct dwarf_abbrevs *table, const struct dwarf_attribute *attribute)
{
	if (table->attributes_count == table->attributes_cap) {
		size_t cap = table->attributes_cap ? 2 * table->attributes_cap : 64;
		struct dwarf_attribute *rows;

		if (cap > ATTRIBUTES_MAX)
			return -EFBIG;
		rows = reallocarray(table->attributes, cap, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		table->attributes = rows;
		table->attributes_cap = cap;
	}
	table->attributes[table->attributes_count++] = *attribute;
	return 0;
}

static int row_add(struct dwarf_abbrevs *table, const struct dwarf_abbrev *row)
{
	if (table->count == table->cap) {
		size_t cap = table->cap ? 2 * table->cap : 32;
		struct dwarf_abbrev *rows;

		if (cap > ROWS_MAX)
			return -EFBIG;
		rows = reallocarray(table->rows, cap, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		table->rows = rows;
		table->cap = cap;
	}
	table->rows[table->count++] = *row;
	return 0;
}

static uint16_t cut(uint64_t number)
{
	return number < UINT16_MAX ? (uint16_t)number : UINT16_MAX;
}

static int row_read(struct dwarf_abbrevs *table, struct cursor *cursor, uint64_t code, struct dwarf *dwarf)
{
	struct dwarf_abbrev row = { .code = code, .first = (uint32_t)table->attributes_count };
	int err;

	row.tag = cut(cursor_uleb(cursor));
	row.children = cursor_u8(cursor);
	while (!cursor->bad) {
		struct dwarf_attribute attribute;
		uint64_t name = cursor_uleb(cursor), form = cursor_uleb(cursor);
		uint32_t bytes;

		if (!dwarf_spend(dwarf, 1))
			return -EFBIG;
		if (!name && !form)
			break;
		attribute.name = cut(name);
		attribute.form = cut(form);
		attribute.constant = form == DW_FORM_implicit_const ? cursor_sleb(cursor) : 0;
		err = attribute_add(table, &attribute);
		if (err)
			return err;
		row.count++;
		bytes = dwarf_form_bytes(attribute.form, table->version, table->offset_bytes);
		if (row.bytes != UINT32_MAX)
			row.bytes = bytes == UINT32_MAX ? bytes : row.bytes + bytes;
	}
	return cursor->bad ? 0 : row_add(table, &row);
}

/* Read rows out of @block until @code, the end of the table, or of the block. */
static int rows_read(struct dwarf *dwarf, const struct dwarf_block *block, uint64_t code, struct dwarf_abbrevs *table,
		     bool *complete)
{
	struct cursor cursor = cursor_on(block->bytes, block->count);
	int err = 0;

	table->count = table->attributes_count = 0;
	while (!err && !cursor.bad) {
		uint64_t now = cursor_uleb(&cursor);

		if (!dwarf_spend(dwarf, STEPS_ROW))
			return -EFBIG;
		if (cursor.bad || !now)
			break;
		err = row_read(table, &cursor, now, dwarf);
		if (!err && !cursor.bad && now == code)
			break;
	}
	*complete = !cursor.bad;
	return err;
}

static int rows_compare(const void *left, const void *right)
{
	const struct dwarf_abbrev *a = left, *b = right;

	if (a->code != b->code)
		return a->code < b->code ? -1 : 1;
	return (a->first > b->first) - (a->first < b->first);
}

static void rows_sort(struct dwarf_abbrevs *table)
{
	size_t i;

	for (i = 1; i < table->count; i++) {
		if (table->rows[i].code <= table->rows[i - 1].code) {
			qsort(table->rows, table->count, sizeof(table->rows[0]), rows_compare);
			return;
		}
	}
}

int dwarf_abbrevs_read(struct dwarf *dwarf, const struct dwarf_unit *unit, uint64_t code, struct dwarf_abbrevs *table)
{
	struct dwarf_block block;
	uint64_t bytes;
	bool complete = false;
	int err = 0;

	memset(table, 0, sizeof(*table));
	table->offset = unit->abbrevs;
	table->version = unit->version;
	table->offset_bytes = unit->offset_bytes;
	for (bytes = FIRST_BYTES; !err && !complete && bytes <= TABLE_BYTES_MAX; bytes *= 8) {
		err = dwarf_block(dwarf, DWARF_ABBREV, unit->abbrevs, bytes, &block);
		if (err)
			break;
		err = rows_read(dwarf, &block, code, table, &complete);
		if (!err && !complete && block.count < bytes)
			err = -EBADMSG; /* there is no more of it */
		free(block.bytes);
	}
	if (!err && complete) {
		rows_sort(table);
		return 0;
	}
	dwarf_abbrevs_release(table);
	return err ? err : -EFBIG;
}

void dwarf_abbrevs_release(struct dwarf_abbrevs *table)
{
	free(table->rows);
	free(table->attributes);
	memset(table, 0, sizeof(*table));
}

const struct dwarf_abbrevs *dwarf_abbrevs(struct dwarf *dwarf, const struct dwarf_unit *unit)
{
	struct dwarf_abbrevs *oldest = &dwarf->tables[0];
	size_t i;

	for (i = 0; i < sizeof(dwarf->tables) / sizeof(dwarf->tables[0]); i++) {
		struct dwarf_abbrevs *table = &dwarf->tables[i];

		if (table->rows && table->offset == unit->abbrevs && table->version == unit->version &&
		    table->offset_bytes == unit->offset_bytes) {
			table->used = dwarf->work->questions;
			return table;
		}
		if (!table->rows || table->used < oldest->used)
			oldest = table;
		if (!oldest->rows)
			break;
	}
	dwarf_abbrevs_release(oldest);
	if (dwarf_abbrevs_read(dwarf, unit, 0, oldest))
		return NULL;
	oldest->used = dwarf->work->questions;
	return oldest;
}

const struct dwarf_abbrev *dwarf_abbrev_find(const struct dwarf_abbrevs *table, uint64_t code)
{
	size_t low = 0, high = table->count;

	/* Compilers count from 1. */
	if (code - 1 < table->count && table->rows[code - 1].code == code)
		return &table->rows[code - 1];
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->rows[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->count && table->rows[low].code == code ? &table->rows[low] : NULL;
}
