// SPDX-License-Identifier: Apache-2.0
/* Functions of a unit, and the calls inlined into one of them at an address. */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "dwarf_parts.h"

#define NONE          UINT32_MAX
#define FUNCTIONS_MAX (1u << 20) /* of one unit */
#define STEPS_ENTRY   2

/* A function with code of its own. */
struct function {
	uint64_t offset, end; /* its entry and all inside it, in .debug_info */
	uint32_t outer;       /* the function that it is defined in, NONE */
	uint32_t depth;       /* how deep its entry nests */
};

struct dwarf_functions {
	struct function *rows;
	size_t count, cap;
	struct dwarf_spans spans;
};

/* A unit being read for its functions. */
struct search {
	struct dwarf *dwarf;
	struct dwarf_functions *functions;
	uint32_t open; /* the innermost function whose end was not seen yet, NONE */
	int err;
};

void dwarf_functions_free(struct dwarf *dwarf, struct dwarf_functions *functions)
{
	if (!functions)
		return;
	dwarf->work->memory -= functions->cap * sizeof(*functions->rows) +
			       functions->spans.cap * sizeof(*functions->spans.rows);
	free(functions->rows);
	free(functions->spans.rows);
	free(functions);
}

static bool span_take(void *ctx, uint64_t start, uint64_t end)
{
	struct search *search = ctx;
	struct dwarf_functions *functions = search->functions;

	if (functions->spans.count == FUNCTIONS_MAX)
		search->err = -EFBIG;
	else
		search->err = dwarf_span_add(search->dwarf, &functions->spans, start, end,
					     (uint32_t)functions->count);
	return search->err;
}

static int function_add(struct search *search, const struct dwarf_entry *entry, uint32_t depth)
{
	struct dwarf_functions *functions = search->functions;

	if (functions->count == functions->cap) {
		size_t cap = functions->cap ? 2 * functions->cap : 16;
		struct function *rows = reallocarray(functions->rows, cap, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		search->dwarf->work->memory += (cap - functions->cap) * sizeof(*rows);
		functions->rows = rows;
		functions->cap = cap;
	}
	functions->rows[functions->count] = (struct function){
		.offset = entry->offset, .end = entry->next, .outer = search->open, .depth = depth,
	};
	if (entry->children)
		search->open = (uint32_t)functions->count;
	functions->count++;
	return 0;
}

/* The entries of depth @depth came to their end at @offset. */
static void function_end(struct search *search, uint32_t depth, uint64_t offset)
{
	struct function *open = search->open == NONE ? NULL : &search->functions->rows[search->open];

	if (!open || open->depth + 1 != depth)
		return;
	open->end = offset;
	search->open = open->outer;
}

static void subprogram_read(struct search *search, struct dwarf_reader *reader, const struct dwarf_unit *unit,
			    const struct dwarf_abbrevs *table, const struct dwarf_abbrev *abbrev, uint64_t offset,
			    uint32_t depth)
{
	size_t spans = search->functions->spans.count;
	struct dwarf_entry entry;

	dwarf_entry_read(reader, unit, table, abbrev, offset, &entry);
	if (reader->cursor.bad)
		return;
	dwarf_ranges(search->dwarf, unit, &entry, span_take, search);
	if (!search->err && search->functions->spans.count > spans)
		search->err = function_add(search, &entry, depth);
}

/* One pass over all entries, whatever they are: functions may stand inside of types and namespaces. */
static void unit_search(struct search *search, const struct dwarf_unit *unit, const struct dwarf_block *block,
			const struct dwarf_abbrevs *table)
{
	struct dwarf_reader reader = { .cursor = cursor_on(block->bytes, block->count), .block = block };
	uint32_t depth = 0;

	while (!reader.cursor.bad && cursor_left(&reader.cursor) && !search->err) {
		uint64_t offset = dwarf_tell(&reader), code = cursor_uleb(&reader.cursor);
		const struct dwarf_abbrev *abbrev;

		if (!dwarf_spend(search->dwarf, STEPS_ENTRY)) {
			search->err = -EFBIG;
			return;
		}
		if (!code) {
			function_end(search, depth, dwarf_tell(&reader));
			if (!depth || !--depth)
				return;
			continue;
		}
		abbrev = dwarf_abbrev_find(table, code);
		if (!abbrev || !dwarf_spend(search->dwarf, abbrev->bytes == UINT32_MAX ? abbrev->count : 0))
			return;
		if (abbrev->tag == DW_TAG_subprogram)
			subprogram_read(search, &reader, unit, table, abbrev, offset, depth);
		else
			dwarf_entry_skip(&reader, unit, table, abbrev);
		depth += abbrev->children;
	}
}

static struct dwarf_functions *functions_read(struct dwarf *dwarf, const struct dwarf_unit *unit)
{
	struct dwarf_functions *functions = calloc(1, sizeof(*functions));
	const struct dwarf_abbrevs *table = functions ? dwarf_abbrevs(dwarf, unit) : NULL;
	struct search search = { .dwarf = dwarf, .functions = functions, .open = NONE };
	struct dwarf_block block;

	if (!table || unit->end - unit->entries > DWARF_UNIT_MAX ||
	    dwarf_block(dwarf, DWARF_INFO, unit->entries, unit->end - unit->entries, &block))
		return functions;
	unit_search(&search, unit, &block, table);
	free(block.bytes);
	dwarf_spans_sort(&functions->spans);
	return functions;
}

/* --- inside a function ----------------------------------------------------------------------- */

struct around {
	uint64_t vaddr;
};

static bool is_around(void *ctx, uint64_t start, uint64_t end)
{
	const struct around *around = ctx;

	return start <= around->vaddr && around->vaddr < end;
}

static bool is_scope(uint16_t tag)
{
	return tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
	       tag == DW_TAG_catch_block || tag == DW_TAG_with_stmt;
}

/* Pass over the entries inside @entry, if it says where they end. */
static bool jump(struct dwarf_reader *reader, const struct dwarf_entry *entry)
{
	const struct dwarf_value *sibling = &entry->fields[DWARF_SIBLING];
	const struct dwarf_block *block = reader->block;

	if (sibling->kind != DWARF_REF || sibling->number <= entry->next ||
	    sibling->number - block->offset >= block->count)
		return false;
	reader->cursor.at = block->bytes + (sibling->number - block->offset);
	return true;
}

/* Take the innermost call yet; the first and the last ones are worth most. */
static void scope_take(struct dwarf_entry *entries, size_t cap, size_t *count, const struct dwarf_entry *entry)
{
	if (*count < cap)
		entries[(*count)++] = *entry;
	else if (cap > 1) {
		memmove(&entries[1], &entries[2], (cap - 2) * sizeof(*entries));
		entries[cap - 1] = *entry;
	}
}

/*
 * From the function's entry inwards: @inside is the depth of the innermost scope around the address,
 * whose entries are looked at one after another; of all others the insides are passed over.
 */
static size_t block_search(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_block *block,
			   const struct dwarf_abbrevs *table, uint64_t vaddr, struct dwarf_entry *entries, size_t cap)
{
	struct dwarf_reader reader = { .cursor = cursor_on(block->bytes, block->count), .block = block };
	struct around around = { .vaddr = vaddr };
	uint32_t depth = 0, inside = 0;
	size_t count = 0;

	while (cursor_left(&reader.cursor)) {
		uint64_t offset = dwarf_tell(&reader), code = cursor_uleb(&reader.cursor);
		const struct dwarf_abbrev *abbrev = code ? dwarf_abbrev_find(table, code) : NULL;
		struct dwarf_entry entry;

		if (!code && (!depth || --depth <= inside))
			break;
		if (!code)
			continue;
		if (!abbrev || !dwarf_spend(dwarf, STEPS_ENTRY + abbrev->count))
			break;
		if (depth && (depth != inside + 1 || !is_scope(abbrev->tag))) {
			dwarf_entry_skip(&reader, unit, table, abbrev);
			depth += abbrev->children;
			continue;
		}
		dwarf_entry_read(&reader, unit, table, abbrev, offset, &entry);
		if (reader.cursor.bad)
			break;
		if (!depth || dwarf_ranges(dwarf, unit, &entry, is_around, &around)) {
			if (!depth || entry.tag == DW_TAG_inlined_subroutine)
				scope_take(entries, cap, &count, &entry);
			if (!entry.children)
				break;
			inside = depth++;
		} else if (entry.children && !jump(&reader, &entry)) {
			depth++;
		}
	}
	return count;
}

size_t dwarf_scopes(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t vaddr, struct dwarf_entry *entries,
		    size_t cap)
{
	const struct dwarf_abbrevs *table;
	const struct dwarf_span *span;
	const struct function *function;
	struct dwarf_block block;
	size_t count;

	if (!unit->functions)
		unit->functions = functions_read(dwarf, unit);
	span = unit->functions ? dwarf_spans_find(&unit->functions->spans, vaddr) : NULL;
	if (!span || !cap)
		return 0;
	function = &unit->functions->rows[span->owner];
	table = dwarf_abbrevs(dwarf, unit);
	if (!table || function->end - function->offset > DWARF_PART_MAX ||
	    dwarf_block(dwarf, DWARF_INFO, function->offset, function->end - function->offset, &block))
		return 0;
	count = block_search(dwarf, unit, &block, table, vaddr, entries, cap);
	free(block.bytes);
	return count;
}
