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

/* A namespace or a type with something inside. */
struct scope {
	uint64_t offset;
	uint32_t outer; /* NONE: it is in none */
	uint32_t depth;
};

/* A function that is declared in a scope. */
struct member {
	uint64_t offset;
	uint32_t scope;
};

struct dwarf_functions {
	struct function *rows;
	size_t count, cap;
	struct dwarf_spans spans;
	struct scope *scopes;
	size_t scopes_count, scopes_cap;
	struct member *members; /* by offset */
	size_t members_count, members_cap;
};

/* A unit being read for its functions. */
struct search {
	struct dwarf *dwarf;
	struct dwarf_functions *functions;
	uint32_t open;  /* the innermost function whose end was not seen yet, NONE */
	uint32_t scope; /* the same for scopes */
	int err;
};

void dwarf_functions_free(struct dwarf *dwarf, struct dwarf_functions *functions)
{
	if (!functions)
		return;
	dwarf->work->memory -= functions->cap * sizeof(*functions->rows) +
			       functions->spans.cap * sizeof(*functions->spans.rows) +
			       functions->scopes_cap * sizeof(*functions->scopes) +
			       functions->members_cap * sizeof(*functions->members);
	free(functions->rows);
	free(functions->spans.rows);
	free(functions->scopes);
	free(functions->members);
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

/* @rows, an array of @count rows of @bytes each, with room for one more; NULL, and search->err, if there is none. */
static void *rows_grow(struct search *search, void *rows, size_t count, size_t *cap, size_t bytes)
{
	size_t wanted = *cap ? 2 * *cap : 16;

	if (count < *cap)
		return rows;
	rows = wanted > FUNCTIONS_MAX ? NULL : reallocarray(rows, wanted, bytes);
	if (!rows) {
		search->err = wanted > FUNCTIONS_MAX ? -EFBIG : -ENOMEM;
		return NULL;
	}
	search->dwarf->work->memory += (wanted - *cap) * bytes;
	*cap = wanted;
	return rows;
}

static void function_add(struct search *search, const struct dwarf_entry *entry, uint32_t depth)
{
	struct dwarf_functions *functions = search->functions;
	struct function *rows = rows_grow(search, functions->rows, functions->count, &functions->cap, sizeof(*rows));

	if (!rows)
		return;
	functions->rows = rows;
	rows[functions->count] = (struct function){
		.offset = entry->offset, .end = entry->next, .outer = search->open, .depth = depth,
	};
	if (entry->children)
		search->open = (uint32_t)functions->count;
	functions->count++;
}

static void scope_add(struct search *search, uint64_t offset, uint32_t depth)
{
	struct dwarf_functions *functions = search->functions;
	struct scope *rows = rows_grow(search, functions->scopes, functions->scopes_count, &functions->scopes_cap,
				       sizeof(*rows));

	if (!rows)
		return;
	functions->scopes = rows;
	rows[functions->scopes_count] = (struct scope){ .offset = offset, .outer = search->scope, .depth = depth };
	search->scope = (uint32_t)functions->scopes_count++;
}

static void member_add(struct search *search, uint64_t offset)
{
	struct dwarf_functions *functions = search->functions;
	struct member *rows = rows_grow(search, functions->members, functions->members_count,
					&functions->members_cap, sizeof(*rows));

	if (!rows)
		return;
	functions->members = rows;
	rows[functions->members_count++] = (struct member){ .offset = offset, .scope = search->scope };
}

/* The entries of depth @depth came to their end at @offset. */
static void depth_end(struct search *search, uint32_t depth, uint64_t offset)
{
	struct function *open = search->open == NONE ? NULL : &search->functions->rows[search->open];
	const struct scope *scope = search->scope == NONE ? NULL : &search->functions->scopes[search->scope];

	if (open && open->depth + 1 == depth) {
		open->end = offset;
		search->open = open->outer;
	}
	if (scope && scope->depth + 1 == depth)
		search->scope = scope->outer;
}

static bool is_naming(uint16_t tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_interface_type || tag == DW_TAG_module;
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
		function_add(search, &entry, depth);
	if (!search->err && search->scope != NONE)
		member_add(search, offset);
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
			depth_end(search, depth, dwarf_tell(&reader));
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
		if (abbrev->children && is_naming(abbrev->tag))
			scope_add(search, offset, depth);
		depth += abbrev->children;
	}
}

static struct dwarf_functions *functions_read(struct dwarf *dwarf, const struct dwarf_unit *unit)
{
	struct dwarf_functions *functions = calloc(1, sizeof(*functions));
	const struct dwarf_abbrevs *table = functions ? dwarf_abbrevs(dwarf, unit) : NULL;
	struct search search = { .dwarf = dwarf, .functions = functions, .open = NONE, .scope = NONE };
	struct dwarf_block block;

	if (!table || unit->end - unit->entries > DWARF_UNIT_MAX ||
	    dwarf_block(dwarf, DWARF_INFO, unit->entries, unit->end - unit->entries, &block))
		return functions;
	unit_search(&search, unit, &block, table);
	free(block.bytes);
	dwarf_spans_sort(&functions->spans);
	return functions;
}

static struct dwarf_functions *functions_of(struct dwarf *dwarf, struct dwarf_unit *unit)
{
	if (!unit->functions)
		unit->functions = functions_read(dwarf, unit);
	return unit->functions;
}

size_t dwarf_outer(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t offset, uint64_t *outer, size_t cap)
{
	const struct dwarf_functions *functions = functions_of(dwarf, unit);
	size_t low = 0, high = functions ? functions->members_count : 0, count = 0;
	uint32_t scope;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions->members[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (!functions || low == functions->members_count || functions->members[low].offset != offset)
		return 0;
	scope = functions->members[low].scope;
	for (; scope != NONE && count < cap; scope = functions->scopes[scope].outer)
		outer[count++] = functions->scopes[scope].offset;
	return count;
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
	const struct dwarf_functions *functions = functions_of(dwarf, unit);
	const struct dwarf_span *span = functions ? dwarf_spans_find(&functions->spans, vaddr) : NULL;
	const struct dwarf_abbrevs *table;
	const struct function *function;
	struct dwarf_block block;
	size_t count;

	if (!span || !cap)
		return 0;
	function = &functions->rows[span->owner];
	table = dwarf_abbrevs(dwarf, unit);
	if (!table || function->end - function->offset > DWARF_PART_MAX ||
	    dwarf_block(dwarf, DWARF_INFO, function->offset, function->end - function->offset, &block))
		return 0;
	count = block_search(dwarf, unit, &block, table, vaddr, entries, cap);
	free(block.bytes);
	return count;
}
