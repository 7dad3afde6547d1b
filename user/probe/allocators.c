// SPDX-License-Identifier: Apache-2.0
#include "allocators.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "allocator_image.h"
#include "allocator_maker.h"
#include "allocator_points.h"
#include "allocator_table.h"
#include "placement.h"
#include "ret_sites.h"
#include "runtimes.h"

#define ENTRIES_MAX      2048    /* in one file; the richest allocator has some hundred */
#define SAME_NAME_MAX    4       /* addresses of one name, by its versions */
#define INSTRUCTIONS_MAX 200000u /* followed in one file; the richest allocators have 2000 */

/* An entry point that may be probed: a symbol whose name is in the table. */
struct entry {
	unsigned int row;
	const struct elf_symbol *symbol;
	uint64_t vaddr; /* of the symbol; 0: ruled out */
	struct placement place;
};

struct finder {
	struct image image;
	struct entry *entries;
	size_t count, room;
	bool groups[GROUP_END];
	struct ret_stop *allocs, *frees; /* by address: the entries of either kind */
	size_t allocs_count, frees_count;
	size_t instructions; /* followed so far */
	struct point_list points;
};

static void finder_release(struct finder *finder)
{
	free(finder->entries);
	free(finder->allocs);
	free(finder->frees);
	free(finder->points.points);
	image_release(&finder->image);
}

static const struct allocator_row *row_of(const struct entry *entry)
{
	return &allocator_rows[entry->row];
}

__attribute__((format(printf, 2, 3)))
static void note_add(struct probe_set *set, const char *format, ...)
{
	size_t used = strlen(set->note), room = sizeof(set->note) - used;
	char text[sizeof(set->note)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (strlen(text) + 3 <= room) /* whole sentences or none */
		snprintf(set->note + used, room, "%s%s", used ? "; " : "", text);
}

static int row_name_compare(const void *left, const void *right)
{
	const unsigned int *a = left, *b = right;

	return strcmp(allocator_rows[*a].name, allocator_rows[*b].name);
}

/* The table's rows by name, and the first of them for each first letter: most names miss. */
struct row_index {
	unsigned int *rows;
	uint8_t letters[256];
};

static int row_index_init(struct row_index *index)
{
	unsigned int i;

	memset(index, 0, sizeof(*index));
	index->rows = calloc(allocator_rows_count, sizeof(*index->rows));
	if (!index->rows)
		return -ENOMEM;
	for (i = 0; i < allocator_rows_count; i++) {
		index->rows[i] = i;
		index->letters[(uint8_t)allocator_rows[i].name[0]] = 1;
	}
	qsort(index->rows, allocator_rows_count, sizeof(*index->rows), row_name_compare);
	return 0;
}

/* The row called @name, or -1. */
static int row_find(const struct row_index *index, const char *name)
{
	size_t low = 0, high = allocator_rows_count;

	if (!index->letters[(uint8_t)*name])
		return -1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(allocator_rows[index->rows[middle]].name, name);

		if (!order)
			return (int)index->rows[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static int entry_add(struct finder *finder, unsigned int row, const struct elf_symbol *symbol)
{
	if (finder->count == finder->room) {
		size_t room = finder->room ? 2 * finder->room : 64;
		struct entry *grown = reallocarray(finder->entries, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		finder->entries = grown;
		finder->room = room;
	}
	finder->entries[finder->count++] = (struct entry){
		.row = row, .symbol = symbol, .vaddr = symbol->vaddr,
	};
	return 0;
}

static int entries_collect(struct finder *finder)
{
	const struct elf_file *file = finder->image.file;
	struct row_index index;
	int err = row_index_init(&index);
	size_t i;

	for (i = 0; i < file->symbols_count && finder->count < ENTRIES_MAX && !err; i++) {
		int row = row_find(&index, file->symbols[i].name);

		if (row >= 0 && file->symbols[i].vaddr)
			err = entry_add(finder, (unsigned int)row, &file->symbols[i]);
	}
	free(index.rows);
	return err;
}

/*
 * A local function may be called "free" and be anything. One is believed only if it is the only
 * one of its name, no global has the name, and its group is proved (see groups_prove()).
 */
static void names_rule_out(struct finder *finder)
{
	size_t i, k;

	for (i = 0; i < finder->count; i++) {
		struct entry *entry = &finder->entries[i];
		size_t others = 0;

		for (k = 0; k < finder->count; k++)
			others += finder->entries[k].row == entry->row &&
				  finder->entries[k].symbol->vaddr != entry->symbol->vaddr;
		if (others >= SAME_NAME_MAX || (others && !entry->symbol->global))
			entry->vaddr = 0;
	}
}

static void resolvers_rule_out(struct finder *finder)
{
	uint64_t *vaddrs = calloc(finder->count + 1, sizeof(*vaddrs));
	size_t i;

	if (!vaddrs)
		return;
	for (i = 0; i < finder->count; i++)
		vaddrs[i] = finder->entries[i].vaddr;
	image_drop_resolvers(&finder->image, vaddrs, finder->count);
	for (i = 0; i < finder->count; i++)
		finder->entries[i].vaddr = vaddrs[i];
	free(vaddrs);
}

/*
 * A group counts if the file defines one of its allocating and one of its freeing functions. The
 * plain names count only in a file that does not import malloc: who imports it does not make it.
 */
static void groups_prove(struct finder *finder)
{
	bool alloc[GROUP_END] = { false }, release[GROUP_END] = { false };
	size_t i;

	for (i = 0; i < finder->count; i++) {
		const struct allocator_row *row = row_of(&finder->entries[i]);

		if (!finder->entries[i].vaddr)
			continue;
		alloc[row->group] |= row->proof == PROOF_ALLOC;
		release[row->group] |= row->proof == PROOF_FREE;
	}
	for (i = 0; i < GROUP_END; i++)
		finder->groups[i] = alloc[i] && release[i];
	if (finder->groups[GROUP_PLAIN] && image_imports(&finder->image, "malloc"))
		finder->groups[GROUP_PLAIN] = false;
	finder->groups[GROUP_CXX] = finder->groups[GROUP_PLAIN];
	/* musl's malloc calls its __libc_malloc, and so does nobody else. */
	finder->groups[GROUP_LIBC] = finder->groups[GROUP_PLAIN] && !maker_is_musl(&finder->image);
}

/* By address, and the preferred name first. */
static int entry_compare(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->vaddr != b->vaddr)
		return a->vaddr < b->vaddr ? -1 : 1;
	return (a->row > b->row) - (a->row < b->row);
}

/* Keep what is proved, one entry per address. */
static void entries_settle(struct finder *finder)
{
	size_t i, kept = 0;

	for (i = 0; i < finder->count; i++) {
		const struct entry *entry = &finder->entries[i];

		if (entry->vaddr && finder->groups[row_of(entry)->group])
			finder->entries[kept++] = *entry;
	}
	finder->count = kept;
	if (kept)
		qsort(finder->entries, kept, sizeof(*finder->entries), entry_compare);
	for (i = 0, kept = 0; i < finder->count; i++) {
		if (!kept || finder->entries[kept - 1].vaddr != finder->entries[i].vaddr)
			finder->entries[kept++] = finder->entries[i];
	}
	finder->count = kept;
}

static int stops_collect(struct finder *finder)
{
	size_t i;

	finder->allocs = calloc(finder->count + 1, sizeof(*finder->allocs));
	finder->frees = calloc(finder->count + 1, sizeof(*finder->frees));
	if (!finder->allocs || !finder->frees)
		return -ENOMEM;
	for (i = 0; i < finder->count; i++) {
		const struct call_shape *shape = &row_of(&finder->entries[i])->shape;
		struct ret_stop stop = { finder->entries[i].vaddr, !shape->throws };

		if (shape->role == HB_ROLE_FREE)
			finder->frees[finder->frees_count++] = stop;
		else
			finder->allocs[finder->allocs_count++] = stop;
	}
	return 0;
}

/* Choose where each entry is probed. */
static int places_choose(struct finder *finder)
{
	__cleanup(freep) struct placement_request *requests = calloc(finder->count + 1, sizeof(*requests));
	size_t i;

	if (!requests)
		return -ENOMEM;
	for (i = 0; i < finder->count; i++)
		requests[i] = (struct placement_request){
			.entry = finder->entries[i].vaddr, .size = finder->entries[i].symbol->size,
			.shape = &row_of(&finder->entries[i])->shape,
		};
	placement_choose(&finder->image, placement_nops_called(), requests, finder->count);
	for (i = 0; i < finder->count; i++)
		finder->entries[i].place = requests[i].place;
	return 0;
}

static uint64_t entry_cookie(const struct finder *finder, const struct entry *entry)
{
	return point_cookie(finder->image.file, entry->place.vaddr, &row_of(entry)->shape);
}

static int entry_point_add(struct finder *finder, const struct entry *entry, enum probe_place place)
{
	int err = points_add_entry(&finder->points, finder->image.file, entry->vaddr, &entry->place, place,
				   entry_cookie(finder, entry), row_of(entry)->name);

	return err == -ENOENT ? 0 : err; /* a symbol for bytes the file does not have */
}

static void leave_out(struct probe_set *set, const struct entry *entry, const char *why)
{
	set->left_out++;
	note_add(set, "%s is not counted: it %s", row_of(entry)->name, why);
}

/*
 * A function that may throw. One that does nothing but call another entry point, like
 * libstdc++'s operator new in a static program, is left to that one.
 */
static int thrower_add(struct finder *finder, const struct entry *entry, struct ret_sites *sites,
		       struct probe_set *set)
{
	size_t i;
	int err;

	if (finder->instructions > INSTRUCTIONS_MAX) {
		leave_out(set, entry, "comes after too much code");
		return 0;
	}
	err = ret_sites_find(&finder->image, entry->vaddr, finder->allocs, finder->allocs_count,
			     sites);
	if (err)
		return err;
	finder->instructions += sites->instructions;
	if (sites->verdict == RET_UNKNOWN)
		leave_out(set, entry, sites->why);
	if (sites->verdict != RET_FOUND || !sites->count)
		return 0;
	err = entry_point_add(finder, entry, PLACE_CALL);
	for (i = 0; i < sites->count && !err; i++)
		err = points_add(&finder->points, finder->image.file, sites->vaddrs[i], PLACE_RET,
				 entry_cookie(finder, entry), row_of(entry)->name);
	return err == -ENOENT ? 0 : err;
}

/* A function that frees, unless all it does is to call another that does, and is probed. */
static int freer_add(struct finder *finder, const struct entry *entry, struct ret_sites *sites)
{
	int err;

	if (row_of(entry)->proof != PROOF_FREE && finder->instructions <= INSTRUCTIONS_MAX) {
		err = ret_sites_find(&finder->image, entry->vaddr, finder->frees,
				     finder->frees_count, sites);
		finder->instructions += err ? 0 : sites->instructions;
		if (err || sites->verdict == RET_BENEATH)
			return err;
	}
	return entry_point_add(finder, entry, PLACE_FREE);
}

static int entries_place(struct finder *finder, struct probe_set *set)
{
	__cleanup(freep) struct ret_sites *sites = malloc(sizeof(*sites));
	size_t i;
	int err = sites ? image_load_slots(&finder->image) : -ENOMEM;

	for (i = 0; i < finder->count && !err; i++) {
		const struct entry *entry = &finder->entries[i];
		const struct call_shape *shape = &row_of(entry)->shape;

		if (shape->role == HB_ROLE_FREE)
			err = freer_add(finder, entry, sites);
		else if (!shape->throws)
			err = entry_point_add(finder, entry, PLACE_CALL);
		else
			err = thrower_add(finder, entry, sites, set);
	}
	return err;
}

/*
 * glibc's dynamic linker has an allocator of its own for the time before libc.so is there; its
 * blocks are no program's. (musl's dynamic linker is its libc: it has neither mark.)
 */
static bool is_dynamic_linker(const struct image *image)
{
	return !strncmp(image->soname, "ld-linux", 8) || !strncmp(image->soname, "ld64.so", 7) ||
	       elffile_exports(image->file, "_dl_allocate_tls");
}

/* A program that brings all its code along, and no name for any of it. */
static bool is_nameless(const struct image *image)
{
	const struct elf_file *file = image->file;

	return !file->symbols_count && !file->has_interp &&
	       (file->type == ET_EXEC || image->flags_1 & DF_1_PIE);
}

static int allocators_search(struct finder *finder, struct probe_set *set)
{
	int err;

	err = entries_collect(finder);
	if (err)
		return err;
	names_rule_out(finder);
	if (finder->count)
		resolvers_rule_out(finder);
	groups_prove(finder);
	entries_settle(finder);
	if (!finder->count)
		return 0;
	maker_name(&finder->image, finder->groups, set->allocator, sizeof(set->allocator));
	err = stops_collect(finder);
	if (!err)
		err = places_choose(finder);
	if (!err)
		err = entries_place(finder, set);
	if (!err)
		points_mark_alone(&finder->points, set->allocator);
	return err;
}

int allocators_find(struct elf_file *file, struct probe_set *set)
{
	__cleanup(finder_release) struct finder finder = { 0 };
	int err;

	memset(set, 0, sizeof(*set));
	if (file->narrow)
		return 0;
	err = elffile_index(file);
	if (err == -ENOMEM)
		return err;
	image_init(&finder.image, file);
	if (is_dynamic_linker(&finder.image))
		return 0;
	if (is_nameless(&finder.image))
		note_add(set, "no symbols: whatever allocates in this file cannot be found");
	err = allocators_search(&finder, set);
	if (!err)
		err = runtimes_find(&finder.image, &finder.points, set->runtime,
				    sizeof(set->runtime), set->note, sizeof(set->note));
	if (err) {
		probe_set_release(set);
		return err;
	}
	points_finish(&finder.points);
	set->points = finder.points.points;
	set->count = finder.points.count;
	finder.points = (struct point_list){ 0 };
	return 0;
}

void probe_set_release(struct probe_set *set)
{
	free(set->points);
	memset(set, 0, sizeof(*set));
}
