// SPDX-License-Identifier: Apache-2.0
#include "lines.h"

#include <errno.h>
#include <stdlib.h>

#include "dwarf_parts.h"

#define STEPS_OPEN  (1u << 28) /* about a second */
#define STEPS_FIND  (1u << 27)
#define DETAILS_MAX (64u << 20) /* bytes kept of units that were asked for */
#define LEVELS_MAX  (LINES_INLINED_MAX + 1)

struct lines {
	struct dwarf dwarf, common;
	struct dwarf_work work;
	uint64_t index_memory; /* of units alone */
	char *texts[2 * LEVELS_MAX]; /* given out by the last question */
	size_t texts_count;
};

static void texts_free(struct lines *lines)
{
	while (lines->texts_count)
		free(lines->texts[--lines->texts_count]);
}

struct lines *lines_open(const struct elf_file *file, const struct elf_file *common)
{
	struct lines *lines = calloc(1, sizeof(*lines));
	int err;

	if (!lines)
		return NULL;
	lines->work.steps = STEPS_OPEN;
	err = dwarf_open(&lines->dwarf, file, &lines->work);
	if (!err)
		err = dwarf_units_read(&lines->dwarf);
	if (!err && common && !dwarf_open(&lines->common, common, &lines->work)) {
		lines->dwarf.common = &lines->common;
		err = dwarf_units_read(&lines->common);
	}
	if (err && err != -EFBIG) { /* too many units: those that were read are good */
		lines_free(lines);
		return NULL;
	}
	lines->index_memory = lines->work.memory;
	return lines;
}

void lines_free(struct lines *lines)
{
	if (!lines)
		return;
	texts_free(lines);
	dwarf_release(&lines->dwarf);
	dwarf_release(&lines->common);
	free(lines);
}

/* Keep @text, which may be NULL, until the next question. */
static const char *text_keep(struct lines *lines, char *text)
{
	lines->texts[lines->texts_count++] = text;
	return text;
}

static unsigned int line_of(uint64_t number)
{
	return number < UINT32_MAX ? (unsigned int)number : 0;
}

/* Where in @unit's sources: file @file, line @line. */
static void place(struct lines *lines, struct dwarf_unit *unit, uint64_t file, uint64_t line, struct line_level *level)
{
	level->file = text_keep(lines, dwarf_row_file(&lines->dwarf, unit, file));
	level->line = level->file ? line_of(line) : 0;
}

/* Where the call to @inner was written. */
static void place_call(struct lines *lines, struct dwarf_unit *unit, const struct dwarf_entry *inner,
		       struct line_level *level)
{
	const struct dwarf_value *file = &inner->fields[DWARF_CALL_FILE], *line = &inner->fields[DWARF_CALL_LINE];

	if (file->kind == DWARF_NUMBER && line->kind == DWARF_NUMBER)
		place(lines, unit, file->number, line->number, level);
}

/* @entries[0] is the function, @count - 1 the innermost call. */
static size_t levels_fill(struct lines *lines, struct dwarf_unit *unit, uint64_t vaddr,
			  const struct dwarf_entry *entries, size_t count, struct line_level *levels, size_t cap)
{
	uint64_t file, line;
	size_t i, filled = 0;

	for (i = count; i-- > 0;) {
		struct line_level *level = &levels[filled];

		if (i && filled + 1 == cap)
			continue;
		*level = (struct line_level){ .line = 0 };
		level->function = text_keep(lines, dwarf_function_name(&lines->dwarf, unit, &entries[i]));
		if (i + 1 < count && !(i == 0 && count == LEVELS_MAX)) /* there its own call may be left out */
			place_call(lines, unit, &entries[i + 1], level);
		else if (i + 1 == count && dwarf_row_find(&lines->dwarf, unit, vaddr, &file, &line))
			place(lines, unit, file, line, level);
		filled++;
	}
	return filled;
}

size_t lines_find(struct lines *lines, uint64_t vaddr, struct line_level *levels, size_t cap)
{
	struct dwarf_unit *unit = dwarf_unit_around(&lines->dwarf, vaddr);
	struct dwarf_entry entries[LEVELS_MAX];
	uint64_t file, line;
	size_t count;

	texts_free(lines);
	if (!unit || !cap || lines->dwarf.file->fd < 0)
		return 0;
	lines->work.steps = STEPS_FIND;
	lines->work.questions++;
	if (lines->work.memory - lines->index_memory > DETAILS_MAX) {
		dwarf_units_trim(&lines->dwarf);
		dwarf_units_trim(&lines->common);
	}
	count = dwarf_scopes(&lines->dwarf, unit, vaddr, entries, LEVELS_MAX);
	if (count)
		return levels_fill(lines, unit, vaddr, entries, count, levels, cap);
	if (!dwarf_row_find(&lines->dwarf, unit, vaddr, &file, &line))
		return 0;
	levels[0] = (struct line_level){ .line = 0 };
	place(lines, unit, file, line, &levels[0]);
	return 1;
}

uint64_t lines_memory(const struct lines *lines)
{
	return lines->work.memory + lines->work.unpacked;
}
