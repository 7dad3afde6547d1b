// SPDX-License-Identifier: Apache-2.0
/* Debugging information entries: attributes by their forms (DWARF 5 section 7.5.6). */
#include <dwarf.h>
#include <stdlib.h>

#include "dwarf_parts.h"

#define ENTRY_FIRST 512          /* bytes read for one entry; most are shorter */
#define ENTRY_MAX   (256u << 10)

/* What a form's value takes, if that is no plain number of bytes. */
enum { OFFSET = 0x80, ULEB, SLEB, STRING, BLOCK, BLOCK_1, BLOCK_2, BLOCK_4, CONSTANT, INDIRECT, REF_ADDR };

struct form {
	uint8_t bytes;
	uint8_t kind;    /* enum dwarf_kind */
	uint8_t section; /* of DWARF_TEXT */
	bool in_unit;    /* a DWARF_REF counted from the unit's start */
	bool known;
};

#define FORM(...) { .known = true, __VA_ARGS__ }

static const struct form forms[] = {
	[DW_FORM_addr] = FORM(.bytes = 8, .kind = DWARF_ADDRESS),
	[DW_FORM_block2] = FORM(.bytes = BLOCK_2),
	[DW_FORM_block4] = FORM(.bytes = BLOCK_4),
	[DW_FORM_data2] = FORM(.bytes = 2, .kind = DWARF_NUMBER),
	[DW_FORM_data4] = FORM(.bytes = 4, .kind = DWARF_NUMBER),
	[DW_FORM_data8] = FORM(.bytes = 8, .kind = DWARF_NUMBER),
	[DW_FORM_string] = FORM(.bytes = STRING, .kind = DWARF_TEXT),
	[DW_FORM_block] = FORM(.bytes = BLOCK),
	[DW_FORM_block1] = FORM(.bytes = BLOCK_1),
	[DW_FORM_data1] = FORM(.bytes = 1, .kind = DWARF_NUMBER),
	[DW_FORM_flag] = FORM(.bytes = 1),
	[DW_FORM_sdata] = FORM(.bytes = SLEB, .kind = DWARF_NUMBER),
	[DW_FORM_strp] = FORM(.bytes = OFFSET, .kind = DWARF_TEXT, .section = DWARF_STR),
	[DW_FORM_udata] = FORM(.bytes = ULEB, .kind = DWARF_NUMBER),
	[DW_FORM_ref_addr] = FORM(.bytes = REF_ADDR, .kind = DWARF_REF),
	[DW_FORM_ref1] = FORM(.bytes = 1, .kind = DWARF_REF, .in_unit = true),
	[DW_FORM_ref2] = FORM(.bytes = 2, .kind = DWARF_REF, .in_unit = true),
	[DW_FORM_ref4] = FORM(.bytes = 4, .kind = DWARF_REF, .in_unit = true),
	[DW_FORM_ref8] = FORM(.bytes = 8, .kind = DWARF_REF, .in_unit = true),
	[DW_FORM_ref_udata] = FORM(.bytes = ULEB, .kind = DWARF_REF, .in_unit = true),
	[DW_FORM_indirect] = FORM(.bytes = INDIRECT),
	[DW_FORM_sec_offset] = FORM(.bytes = OFFSET, .kind = DWARF_NUMBER),
	[DW_FORM_exprloc] = FORM(.bytes = BLOCK),
	[DW_FORM_flag_present] = FORM(.bytes = 0),
	[DW_FORM_strx] = FORM(.bytes = ULEB, .kind = DWARF_TEXT_INDEX),
	[DW_FORM_addrx] = FORM(.bytes = ULEB, .kind = DWARF_ADDRESS_INDEX),
	[DW_FORM_ref_sup4] = FORM(.bytes = 4, .kind = DWARF_REF_COMMON),
	[DW_FORM_strp_sup] = FORM(.bytes = OFFSET, .kind = DWARF_TEXT_COMMON),
	[DW_FORM_data16] = FORM(.bytes = 16),
	[DW_FORM_line_strp] = FORM(.bytes = OFFSET, .kind = DWARF_TEXT, .section = DWARF_LINE_STR),
	[DW_FORM_ref_sig8] = FORM(.bytes = 8),
	[DW_FORM_implicit_const] = FORM(.bytes = CONSTANT, .kind = DWARF_NUMBER),
	[DW_FORM_loclistx] = FORM(.bytes = ULEB),
	[DW_FORM_rnglistx] = FORM(.bytes = ULEB, .kind = DWARF_RANGES_INDEX),
	[DW_FORM_ref_sup8] = FORM(.bytes = 8, .kind = DWARF_REF_COMMON),
	[DW_FORM_strx1] = FORM(.bytes = 1, .kind = DWARF_TEXT_INDEX),
	[DW_FORM_strx2] = FORM(.bytes = 2, .kind = DWARF_TEXT_INDEX),
	[DW_FORM_strx3] = FORM(.bytes = 3, .kind = DWARF_TEXT_INDEX),
	[DW_FORM_strx4] = FORM(.bytes = 4, .kind = DWARF_TEXT_INDEX),
	[DW_FORM_addrx1] = FORM(.bytes = 1, .kind = DWARF_ADDRESS_INDEX),
	[DW_FORM_addrx2] = FORM(.bytes = 2, .kind = DWARF_ADDRESS_INDEX),
	[DW_FORM_addrx3] = FORM(.bytes = 3, .kind = DWARF_ADDRESS_INDEX),
	[DW_FORM_addrx4] = FORM(.bytes = 4, .kind = DWARF_ADDRESS_INDEX),
};

static struct form form_find(uint16_t form)
{
	switch (form) {
	case DW_FORM_GNU_addr_index:
		return forms[DW_FORM_addrx];
	case DW_FORM_GNU_str_index:
		return forms[DW_FORM_strx];
	case DW_FORM_GNU_ref_alt:
		return (struct form)FORM(.bytes = OFFSET, .kind = DWARF_REF_COMMON);
	case DW_FORM_GNU_strp_alt:
		return (struct form)FORM(.bytes = OFFSET, .kind = DWARF_TEXT_COMMON);
	default:
		return form < sizeof(forms) / sizeof(forms[0]) ? forms[form] : (struct form){ .known = false };
	}
}

uint32_t dwarf_form_bytes(uint16_t form, uint8_t version, uint8_t offset_bytes)
{
	struct form row = form_find(form);

	if (!row.known)
		return UINT32_MAX;
	switch (row.bytes) {
	case OFFSET:
		return offset_bytes;
	case REF_ADDR:
		return version == 2 ? 8 : offset_bytes;
	case CONSTANT:
		return 0;
	default:
		return row.bytes < OFFSET ? row.bytes : UINT32_MAX;
	}
}

/* The number in a form's bytes; of a block and the like, where it stands. */
static uint64_t number_read(struct dwarf_reader *reader, const struct dwarf_unit *unit, const struct form *form,
			    int64_t constant)
{
	struct cursor *cursor = &reader->cursor;
	uint64_t at = dwarf_tell(reader);

	switch (form->bytes) {
	case OFFSET:
		return cursor_number(cursor, unit->offset_bytes);
	case REF_ADDR:
		return cursor_number(cursor, unit->version == 2 ? 8 : unit->offset_bytes);
	case ULEB:
		return cursor_uleb(cursor);
	case SLEB:
		return (uint64_t)cursor_sleb(cursor);
	case CONSTANT:
		return (uint64_t)constant;
	case STRING:
		cursor_string(cursor);
		return at;
	case BLOCK:
		cursor_skip(cursor, cursor_uleb(cursor));
		return at;
	case BLOCK_1:
	case BLOCK_2:
	case BLOCK_4:
		cursor_skip(cursor, cursor_number(cursor, form->bytes == BLOCK_1 ? 1 : form->bytes == BLOCK_2 ? 2 : 4));
		return at;
	case 0:
		return 1;
	case 16:
		cursor_skip(cursor, 16);
		return at;
	default:
		return cursor_number(cursor, form->bytes);
	}
}

struct dwarf_value dwarf_value_read(struct dwarf_reader *reader, const struct dwarf_unit *unit, uint16_t number,
				    int64_t constant)
{
	struct form form = form_find(number);
	struct dwarf_value value;

	if (form.bytes == INDIRECT) {
		uint64_t other = cursor_uleb(&reader->cursor);

		/* Nothing can be gained by a second indirection, and there is no place for a constant. */
		form = other == DW_FORM_indirect || other == DW_FORM_implicit_const || other > UINT16_MAX ?
		       (struct form){ .known = false } : form_find((uint16_t)other);
	}
	if (!form.known) {
		cursor_fail(&reader->cursor);
		return (struct dwarf_value){ .kind = DWARF_NONE };
	}
	value.kind = form.kind;
	value.section = form.bytes == STRING ? reader->block->section : form.section;
	value.number = number_read(reader, unit, &form, constant);
	if (form.in_unit)
		value.number = value.number < unit->end - unit->offset ? unit->offset + value.number : DWARF_NOWHERE;
	return value;
}

/* Which field an attribute is, or DWARF_FIELDS. */
static enum dwarf_field field_of(uint16_t name)
{
	switch (name) {
	case DW_AT_low_pc: return DWARF_LOW_PC;
	case DW_AT_high_pc: return DWARF_HIGH_PC;
	case DW_AT_ranges: return DWARF_RANGE_LIST;
	case DW_AT_name: return DWARF_NAME;
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name: return DWARF_LINKAGE_NAME;
	case DW_AT_abstract_origin: return DWARF_ORIGIN;
	case DW_AT_specification: return DWARF_SPECIFICATION;
	case DW_AT_call_file: return DWARF_CALL_FILE;
	case DW_AT_call_line: return DWARF_CALL_LINE;
	case DW_AT_sibling: return DWARF_SIBLING;
	case DW_AT_stmt_list: return DWARF_STMT_LIST;
	case DW_AT_comp_dir: return DWARF_COMP_DIR;
	case DW_AT_str_offsets_base: return DWARF_STR_BASE;
	case DW_AT_addr_base:
	case DW_AT_GNU_addr_base: return DWARF_ADDR_BASE;
	case DW_AT_rnglists_base: return DWARF_RNGLISTS_BASE;
	default: return DWARF_FIELDS;
	}
}

void dwarf_entry_read(struct dwarf_reader *reader, const struct dwarf_unit *unit, const struct dwarf_abbrevs *table,
		      const struct dwarf_abbrev *abbrev, uint64_t offset, struct dwarf_entry *entry)
{
	uint32_t i;

	*entry = (struct dwarf_entry){ .offset = offset, .tag = abbrev->tag, .children = abbrev->children };
	for (i = 0; i < abbrev->count && !reader->cursor.bad; i++) {
		const struct dwarf_attribute *attribute = &table->attributes[abbrev->first + i];
		struct dwarf_value value = dwarf_value_read(reader, unit, attribute->form, attribute->constant);
		enum dwarf_field field = field_of(attribute->name);

		if (field < DWARF_FIELDS && !reader->cursor.bad)
			entry->fields[field] = value;
	}
	entry->next = dwarf_tell(reader);
}

void dwarf_entry_skip(struct dwarf_reader *reader, const struct dwarf_unit *unit, const struct dwarf_abbrevs *table,
		      const struct dwarf_abbrev *abbrev)
{
	uint32_t i;

	if (abbrev->bytes != UINT32_MAX) {
		cursor_skip(&reader->cursor, abbrev->bytes);
		return;
	}
	for (i = 0; i < abbrev->count && !reader->cursor.bad; i++) {
		const struct dwarf_attribute *attribute = &table->attributes[abbrev->first + i];

		dwarf_value_read(reader, unit, attribute->form, attribute->constant);
	}
}

/* The table that has @code: one that is at hand, or @own, read for this one code. */
static const struct dwarf_abbrevs *table_for(struct dwarf *dwarf, const struct dwarf_unit *unit, uint64_t code,
					     struct dwarf_abbrevs *own)
{
	size_t i;

	for (i = 0; i < sizeof(dwarf->tables) / sizeof(dwarf->tables[0]); i++) {
		const struct dwarf_abbrevs *table = &dwarf->tables[i];

		if (table->rows && table->offset == unit->abbrevs && table->version == unit->version &&
		    table->offset_bytes == unit->offset_bytes)
			return table;
	}
	return dwarf_abbrevs_read(dwarf, unit, code, own) ? NULL : own;
}

/* False, and @more is told, if the block ends before the entry does. */
static bool entry_in(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_block *block,
		     struct dwarf_entry *entry, bool *more)
{
	struct dwarf_reader reader = { .cursor = cursor_on(block->bytes, block->count), .block = block };
	struct dwarf_abbrevs own = { 0 };
	const struct dwarf_abbrevs *table;
	const struct dwarf_abbrev *abbrev;
	uint64_t code = cursor_uleb(&reader.cursor);
	bool good = false;

	*more = false;
	table = code ? table_for(dwarf, unit, code, &own) : NULL;
	abbrev = table ? dwarf_abbrev_find(table, code) : NULL;
	if (abbrev && dwarf_spend(dwarf, abbrev->count + 1)) {
		dwarf_entry_read(&reader, unit, table, abbrev, block->offset, entry);
		good = !reader.cursor.bad;
		*more = !good;
	}
	dwarf_abbrevs_release(&own);
	return good;
}

bool dwarf_entry_at(struct dwarf *dwarf, const struct dwarf_unit *unit, uint64_t offset, struct dwarf_entry *entry)
{
	struct dwarf_block block;
	uint64_t bytes;
	bool good = false, more = true;

	if (!unit->version || offset < unit->entries || offset >= unit->end)
		return false;
	for (bytes = ENTRY_FIRST; more && !good && bytes <= ENTRY_MAX; bytes *= 8) {
		uint64_t have = unit->end - offset < bytes ? unit->end - offset : bytes;

		if (dwarf_block(dwarf, DWARF_INFO, offset, have, &block))
			return false;
		good = entry_in(dwarf, unit, &block, entry, &more);
		more = more && have == bytes;
		free(block.bytes);
	}
	return good;
}
