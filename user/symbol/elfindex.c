// SPDX-License-Identifier: Apache-2.0
/* The function index of an ELF file: built once, asked by address and by name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "elfparts.h"

#define NONE         UINT32_MAX
#define OUTER_MAX    1024 /* enclosing functions looked at; real code nests two or three deep */
#define ALIASES_MAX  64   /* names at one address looked at */

/* The functions that start at one address. */
struct range {
	uint64_t start, end;
	uint32_t first; /* index of the best of them */
	uint32_t outer; /* the latest range that starts before this one and ends after its start */
};

struct slot {
	uint32_t symbol;
	bool exported; /* some symbol of this name is */
};

struct elf_lookup {
	struct range *ranges;
	size_t ranges_count;
	struct slot *slots; /* hashed names, made by the first question */
	size_t slots_count; /* a power of two */
	uint64_t seed;      /* names are a stranger's: without it they could be made to collide */
};

/* A symbol on its way into the index; its name is not terminated. */
struct candidate {
	uint64_t vaddr, size, limit; /* @limit: end of its section or segment */
	const char *name;
	uint32_t length;
	uint8_t underscores;
	bool global, weak, exported;
};

struct candidates {
	struct candidate *rows;
	size_t count, cap;
	uint64_t name_bytes, name_bytes_max;
};

/* Marks of code and data that some assemblers leave: $x, $d.1 */
static bool is_mark(const char *name, size_t length)
{
	return length >= 2 && name[0] == '$' && strchr("adtx", name[1]) &&
	       (length == 2 || name[2] == '.');
}

/* Where the section or segment around @symbol ends, 0 if it holds no code. */
static uint64_t symbol_limit(const struct elf_file *file, const struct elf_tables *tables,
			     const Elf64_Sym *symbol)
{
	const struct elf_segment *segment = elf_text_segment(file, symbol->st_value);
	const struct elf_section *section;

	if (!segment)
		return 0;
	if (symbol->st_shndx >= tables->sections_count)
		return segment->vaddr + segment->memsz;
	section = &tables->sections[symbol->st_shndx];
	if (symbol->st_value < section->addr || symbol->st_value >= section->end)
		section = NULL;
	if (ELF64_ST_TYPE(symbol->st_info) == STT_NOTYPE && (!section || !section->exec))
		return 0; /* a segment of code may also hold read-only data */
	if (!section || section->end > segment->vaddr + segment->memsz)
		return segment->vaddr + segment->memsz;
	return section->end;
}

static bool is_function(const Elf64_Sym *symbol)
{
	unsigned char type = ELF64_ST_TYPE(symbol->st_info);

	if (!symbol->st_value || !symbol->st_name || symbol->st_shndx == SHN_UNDEF)
		return false;
	if (symbol->st_shndx >= SHN_LORESERVE && symbol->st_shndx != SHN_XINDEX)
		return false;
	return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

static struct candidate *candidate_new(struct candidates *all)
{
	if (all->count == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 1024;
		struct candidate *rows = reallocarray(all->rows, cap, sizeof(*rows));

		if (!rows)
			return NULL;
		all->rows = rows;
		all->cap = cap;
	}
	return &all->rows[all->count++];
}

static int candidate_add(struct candidates *all, const struct elf_file *file,
			 const struct elf_tables *tables, const struct elf_table *table, size_t i)
{
	const Elf64_Sym *symbol = &table->symbols[i];
	uint64_t limit = is_function(symbol) ? symbol_limit(file, tables, symbol) : 0;
	struct candidate *row;
	const char *name, *end, *at;
	size_t length;

	if (!limit || symbol->st_name >= table->strings_bytes)
		return 0;
	name = table->strings + symbol->st_name;
	end = memchr(name, '\0', table->strings_bytes - symbol->st_name);
	all->name_bytes += end ? (size_t)(end - name) : table->strings_bytes - symbol->st_name;
	if (all->name_bytes > all->name_bytes_max || all->count == ELF_SYMBOLS_MAX)
		return -EFBIG;
	if (!end)
		return 0;
	at = memchr(name, '@', (size_t)(end - name));
	length = (size_t)((at ? at : end) - name);
	if (!length || is_mark(name, length))
		return 0;
	row = candidate_new(all);
	if (!row)
		return -ENOMEM;
	*row = (struct candidate){
		.vaddr = symbol->st_value,
		.size = symbol->st_size,
		.limit = limit,
		.name = name,
		.length = (uint32_t)length,
		.global = ELF64_ST_BIND(symbol->st_info) != STB_LOCAL,
		.weak = ELF64_ST_BIND(symbol->st_info) == STB_WEAK,
	};
	row->exported = table->dynamic && row->global &&
			!(table->versions && table->versions[i] & 0x8000) &&
			ELF64_ST_VISIBILITY(symbol->st_other) != STV_HIDDEN &&
			ELF64_ST_VISIBILITY(symbol->st_other) != STV_INTERNAL;
	while (row->underscores < length && row->underscores < UINT8_MAX &&
	       name[row->underscores] == '_')
		row->underscores++;
	return 0;
}

static int candidates_collect(struct candidates *all, const struct elf_file *file,
			      const struct elf_tables *tables)
{
	size_t t, i;
	int err;

	for (t = 0; t < tables->tables_count; t++) {
		for (i = 0; i < tables->tables[t].count; i++) {
			err = candidate_add(all, file, tables, &tables->tables[t], i);
			if (err)
				return err;
		}
	}
	return 0;
}

/*
 * Names may share their tails, so together they can be longer than the strings they stand in; much
 * longer only if somebody wants to keep us busy.
 */
static uint64_t name_bytes_max(const struct elf_sources *sources)
{
	uint64_t bytes = 1 << 20;
	size_t s, t;

	for (s = 0; s < sources->count; s++) {
		for (t = 0; t < sources->tables[s].tables_count; t++)
			bytes += 4 * (uint64_t)sources->tables[s].tables[t].strings_bytes;
	}
	return bytes;
}

static int names_compare(const struct candidate *a, const struct candidate *b)
{
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return memcmp(a->name, b->name, a->length);
}

/* By address, and the best name first. */
static int candidates_compare(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->vaddr != b->vaddr)
		return a->vaddr < b->vaddr ? -1 : 1;
	if (a->global != b->global)
		return a->global ? -1 : 1;
	if (a->underscores != b->underscores)
		return a->underscores < b->underscores ? -1 : 1;
	if (names_compare(a, b))
		return names_compare(a, b);
	if (a->exported != b->exported)
		return a->exported ? -1 : 1;
	return (a->size < b->size) - (a->size > b->size);
}

/* The same function out of .symtab and .dynsym becomes one. */
static void candidates_merge(struct candidates *all)
{
	size_t i, kept = 0;

	for (i = 0; i < all->count; i++) {
		struct candidate *row = &all->rows[i], *last = kept ? &all->rows[kept - 1] : NULL;

		if (!last || last->vaddr != row->vaddr || last->global != row->global ||
		    names_compare(last, row)) {
			all->rows[kept++] = *row;
			continue;
		}
		last->exported |= row->exported;
		if (row->size > last->size)
			last->size = row->size;
	}
	all->count = kept;
}

static int symbols_store(struct elf_file *file, const struct candidates *all)
{
	size_t i, bytes = 0;
	char *to;

	for (i = 0; i < all->count; i++)
		bytes += all->rows[i].length + 1;
	file->symbols = calloc(all->count + 1, sizeof(*file->symbols));
	file->names = to = malloc(bytes + 1);
	if (!file->symbols || !to)
		return -ENOMEM;
	for (i = 0; i < all->count; i++) {
		const struct candidate *row = &all->rows[i];

		file->symbols[i] = (struct elf_symbol){
			.vaddr = row->vaddr,
			.size = row->size,
			.name = to,
			.global = row->global,
			.exported = row->exported,
		};
		memcpy(to, row->name, row->length);
		to[row->length] = '\0';
		to += row->length + 1;
	}
	file->symbols_count = all->count;
	return 0;
}

static uint64_t candidate_end(const struct candidate *row)
{
	return row->size > row->limit - row->vaddr ? row->limit : row->vaddr + row->size;
}

/* One range per address. A label without a size reaches to the next one, but splits no function. */
static int ranges_build(struct elf_lookup *lookup, const struct candidates *all)
{
	uint32_t i = 0, outer = NONE;

	lookup->ranges = calloc(all->count + 1, sizeof(*lookup->ranges));
	if (!lookup->ranges)
		return -ENOMEM;
	while (i < all->count) {
		struct range *range = &lookup->ranges[lookup->ranges_count];
		uint64_t start = all->rows[i].vaddr, limit = all->rows[i].limit;

		*range = (struct range){ .start = start, .end = start, .first = i };
		for (; i < all->count && all->rows[i].vaddr == start; i++) {
			uint64_t end = candidate_end(&all->rows[i]);

			if (end > range->end)
				range->end = end;
		}
		while (outer != NONE && lookup->ranges[outer].end <= start)
			outer = lookup->ranges[outer].outer;
		range->outer = outer;
		if (range->end == start && outer == NONE)
			range->end = i < all->count && all->rows[i].vaddr < limit ?
				     all->rows[i].vaddr : limit;
		if (range->end > start)
			outer = (uint32_t)lookup->ranges_count;
		lookup->ranges_count++;
	}
	return 0;
}

static int index_build(struct elf_file *file)
{
	struct candidates all = { 0 };
	struct elf_sources sources;
	size_t i;
	int err;

	err = elf_sources_read(file, &sources);
	all.name_bytes_max = name_bytes_max(&sources);
	for (i = 0; i < sources.count && !err; i++)
		err = candidates_collect(&all, file, &sources.tables[i]);
	if (!err) {
		if (all.count)
			qsort(all.rows, all.count, sizeof(*all.rows), candidates_compare);
		candidates_merge(&all);
		err = symbols_store(file, &all);
	}
	file->lookup = err ? NULL : calloc(1, sizeof(*file->lookup));
	if (!err)
		err = file->lookup ? ranges_build(file->lookup, &all) : -ENOMEM;
	if (!err)
		err = elf_stubs_read(file, &sources.tables[0]);
	free(all.rows);
	elf_sources_release(&sources);
	return err;
}

void elf_index_release(struct elf_file *file)
{
	if (file->lookup) {
		free(file->lookup->ranges);
		free(file->lookup->slots);
	}
	free(file->lookup);
	free(file->symbols);
	free(file->names);
	free(file->stubs);
	free(file->stub_names);
	file->lookup = NULL;
	file->symbols = file->stubs = NULL;
	file->names = file->stub_names = NULL;
	file->symbols_count = file->stubs_count = 0;
}

int elffile_index(struct elf_file *file)
{
	if (file->indexed)
		return file->index_error;
	file->indexed = true;
	file->index_error = file->fd < 0 ? -EBADF : index_build(file);
	if (file->index_error)
		elf_index_release(file);
	return file->index_error;
}

/* The best name of @range for @vaddr: of unequal aliases one that reaches so far. */
static const struct elf_symbol *range_symbol(const struct elf_file *file, const struct range *range,
					     uint64_t vaddr)
{
	const struct elf_symbol *first = &file->symbols[range->first], *symbol = first;
	const struct elf_symbol *end = file->symbols + file->symbols_count;

	for (; symbol < end && symbol - first < ALIASES_MAX && symbol->vaddr == range->start;
	     symbol++) {
		if (!symbol->size || vaddr - symbol->vaddr < symbol->size)
			return symbol;
	}
	return NULL;
}

const struct elf_symbol *elffile_function(const struct elf_file *file, uint64_t vaddr)
{
	const struct elf_lookup *lookup = file->lookup;
	size_t low = 0, high = lookup ? lookup->ranges_count : 0, steps;
	uint32_t at;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lookup->ranges[middle].start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	at = (uint32_t)(low - 1);
	for (steps = 0; at != NONE && steps < OUTER_MAX; steps++) {
		const struct range *range = &lookup->ranges[at];

		if (vaddr < range->end)
			return range_symbol(file, range, vaddr);
		at = range->outer;
	}
	return NULL;
}

static uint64_t name_hash(const char *name, uint64_t seed)
{
	uint64_t hash = seed;

	for (; *name; name++) {
		hash = (hash ^ (unsigned char)*name) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	return hash;
}

/* The slot of @name: its own, or the free one where it belongs. There is always a free one. */
static struct slot *slot_find(const struct elf_file *file, const char *name)
{
	const struct elf_lookup *lookup = file->lookup;
	size_t at = name_hash(name, lookup->seed) & (lookup->slots_count - 1);

	while (lookup->slots[at].symbol != NONE &&
	       strcmp(file->symbols[lookup->slots[at].symbol].name, name))
		at = (at + 1) & (lookup->slots_count - 1);
	return &lookup->slots[at];
}

static bool slots_build(const struct elf_file *file)
{
	struct elf_lookup *lookup = file->lookup;
	size_t i, count = 16;

	if (lookup->slots)
		return true;
	while (count < 2 * file->symbols_count)
		count *= 2;
	lookup->slots = malloc(count * sizeof(*lookup->slots));
	if (!lookup->slots)
		return false;
	lookup->slots_count = count;
	if (getrandom(&lookup->seed, sizeof(lookup->seed), GRND_NONBLOCK) < 0)
		lookup->seed = (uintptr_t)lookup->slots;
	for (i = 0; i < count; i++)
		lookup->slots[i] = (struct slot){ .symbol = NONE };
	for (i = 0; i < file->symbols_count; i++) {
		struct slot *slot = slot_find(file, file->symbols[i].name);

		if (slot->symbol == NONE)
			slot->symbol = (uint32_t)i;
		slot->exported |= file->symbols[i].exported;
	}
	return true;
}

const struct elf_symbol *elffile_symbol(const struct elf_file *file, const char *name)
{
	const struct slot *slot;

	if (!file->lookup || !slots_build(file))
		return NULL;
	slot = slot_find(file, name);
	return slot->symbol == NONE ? NULL : &file->symbols[slot->symbol];
}

bool elffile_exports(const struct elf_file *file, const char *name)
{
	const struct slot *slot;

	if (!file->lookup || !slots_build(file))
		return false;
	slot = slot_find(file, name);
	return slot->symbol != NONE && slot->exported;
}
