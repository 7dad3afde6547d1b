// SPDX-License-Identifier: Apache-2.0
/*
 * Source lines: the line programs of .debug_line (DWARF 5 section 6.2). A program is run once from end to
 * end, and its state noted from time to time; a question runs the piece behind the note that is nearest.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dwarf_parts.h"

#define NOTE_BYTES   1024          /* of program between two notes */
#define NOTES_MAX    (1u << 20)
#define PIECE_MAX    (1u << 20)    /* a longer piece (all of it at one address) is not run */
#define HEADER_MAX   (16u << 20)
#define HEADER_FIRST 512
#define COLUMNS_MAX  32            /* of a table of files; 5 are defined */
#define FILES_MAX    (1u << 17)
#define STEPS_OP     2
#define PATH_TEXT    4096          /* a longer path is not worth a line */

/* The state at one place of a program, right after it made a row. */
struct note {
	uint64_t at, bytes;    /* in .debug_line: the operations that follow it */
	uint32_t file, line;   /* the row's */
};

/* One row of a table of folders or files: its path, and which folder it is in. */
struct named {
	struct dwarf_value path;
	uint64_t folder;
};

struct table {
	struct named *rows;
	size_t count, cap;
};

struct dwarf_rows {
	uint64_t offset;        /* of the header */
	uint64_t tables;        /* where its tables of folders and files begin */
	uint64_t program, end;
	uint8_t version, offset_bytes;
	uint8_t min_bytes;      /* of an instruction */
	int8_t line_base;
	uint8_t line_range, opcode_base;
	uint8_t operands[256];  /* of the standard operations */
	struct note *notes;
	size_t notes_count, notes_cap;
	struct dwarf_spans spans; /* of notes */
	bool tables_read;
	struct table folders, files;
};

struct machine {
	uint64_t address;
	uint32_t file, line;
};

enum made { MADE_NOTHING, MADE_ROW, MADE_END };

void dwarf_rows_free(struct dwarf *dwarf, struct dwarf_rows *rows)
{
	if (!rows)
		return;
	dwarf->work->memory -= rows->notes_cap * sizeof(*rows->notes) + rows->spans.cap * sizeof(*rows->spans.rows) +
			       (rows->folders.cap + rows->files.cap) * sizeof(*rows->files.rows);
	free(rows->notes);
	free(rows->spans.rows);
	free(rows->folders.rows);
	free(rows->files.rows);
	free(rows);
}

static bool header_parse(struct dwarf_rows *rows, struct cursor *cursor, uint64_t section_bytes)
{
	const uint8_t *from = cursor->at;
	uint64_t length = cursor_number(cursor, 4), start, header;
	uint64_t version;
	size_t i;

	rows->offset_bytes = 4;
	if (length == UINT32_MAX) {
		rows->offset_bytes = 8;
		length = cursor_number(cursor, 8);
	}
	start = rows->offset + (uint64_t)(cursor->at - from);
	version = cursor_number(cursor, 2);
	if (cursor->bad || start > section_bytes || length > section_bytes - start || version < 2 || version > 5)
		return false;
	rows->version = (uint8_t)version;
	rows->end = start + length;
	if (version == 5 && (cursor_u8(cursor) != 8 || cursor_u8(cursor)))
		return false; /* sizes of addresses, of segment selectors */
	header = cursor_number(cursor, rows->offset_bytes);
	rows->program = rows->offset + (uint64_t)(cursor->at - from) + header;
	if (rows->program < header || rows->program > rows->end)
		return false;
	rows->min_bytes = cursor_u8(cursor);
	if (version >= 4)
		cursor_u8(cursor); /* operations per instruction: neither machine has bundles */
	cursor_u8(cursor); /* is_stmt: all rows count */
	rows->line_base = (int8_t)cursor_u8(cursor);
	rows->line_range = cursor_u8(cursor);
	rows->opcode_base = cursor_u8(cursor);
	for (i = 1; i < rows->opcode_base; i++)
		rows->operands[i] = cursor_u8(cursor);
	rows->tables = rows->offset + (uint64_t)(cursor->at - from);
	return !cursor->bad && rows->line_range && rows->opcode_base;
}

static enum made extended(struct machine *machine, struct cursor *cursor)
{
	uint64_t bytes = cursor_uleb(cursor);
	struct cursor inside = cursor_on(cursor->at, bytes < cursor_left(cursor) ? bytes : cursor_left(cursor));

	cursor_skip(cursor, bytes);
	if (cursor->bad || !bytes)
		return MADE_NOTHING;
	switch (cursor_u8(&inside)) {
	case DW_LNE_end_sequence:
		return MADE_END;
	case DW_LNE_set_address:
		machine->address = cursor_number(&inside, 8);
		cursor->bad = cursor->bad || inside.bad;
	}
	return MADE_NOTHING;
}

/* Run one operation. */
static enum made operate(const struct dwarf_rows *rows, struct machine *machine, struct cursor *cursor)
{
	uint8_t code = cursor_u8(cursor), special, i;

	if (cursor->bad)
		return MADE_NOTHING;
	if (code >= rows->opcode_base) {
		special = code - rows->opcode_base;
		machine->address += (uint64_t)(special / rows->line_range) * rows->min_bytes;
		machine->line += (uint32_t)(rows->line_base + special % rows->line_range);
		return MADE_ROW;
	}
	switch (code) {
	case 0:
		return extended(machine, cursor);
	case DW_LNS_copy:
		return MADE_ROW;
	case DW_LNS_advance_pc:
		machine->address += cursor_uleb(cursor) * rows->min_bytes;
		return MADE_NOTHING;
	case DW_LNS_advance_line:
		machine->line += (uint32_t)cursor_sleb(cursor);
		return MADE_NOTHING;
	case DW_LNS_set_file:
		machine->file = (uint32_t)cursor_uleb(cursor);
		return MADE_NOTHING;
	case DW_LNS_const_add_pc:
		special = UINT8_MAX - rows->opcode_base;
		machine->address += (uint64_t)(special / rows->line_range) * rows->min_bytes;
		return MADE_NOTHING;
	case DW_LNS_fixed_advance_pc:
		machine->address += cursor_number(cursor, 2);
		return MADE_NOTHING;
	default: /* columns and flags, and what later versions may add */
		for (i = 0; i < rows->operands[code]; i++)
			cursor_uleb(cursor);
		return MADE_NOTHING;
	}
}

/* --- the pass that makes notes ---------------------------------------------------------------- */

struct pass {
	struct dwarf *dwarf;
	struct dwarf_rows *rows;
	bool open;                  /* there is a note that the last row belongs to */
	uint64_t start, last;       /* addresses of its first and of the last row */
};

static int note_open(struct pass *pass, const struct machine *machine, uint64_t at)
{
	struct dwarf_rows *rows = pass->rows;

	if (rows->notes_count == rows->notes_cap) {
		size_t cap = rows->notes_cap ? 2 * rows->notes_cap : 16;
		struct note *notes;

		if (cap > NOTES_MAX)
			return -EFBIG;
		notes = reallocarray(rows->notes, cap, sizeof(*notes));
		if (!notes)
			return -ENOMEM;
		pass->dwarf->work->memory += (cap - rows->notes_cap) * sizeof(*notes);
		rows->notes = notes;
		rows->notes_cap = cap;
	}
	rows->notes[rows->notes_count++] = (struct note){ .at = at, .file = machine->file, .line = machine->line };
	pass->open = true;
	pass->start = machine->address;
	return 0;
}

/* The open note is good for addresses below @end, with the operations before @at. */
static int note_close(struct pass *pass, uint64_t end, uint64_t at)
{
	struct dwarf_rows *rows = pass->rows;
	struct note *note = &rows->notes[rows->notes_count - 1];

	pass->open = false;
	if (end <= pass->start) {
		rows->notes_count--;
		return 0;
	}
	note->bytes = at - note->at;
	return dwarf_span_add(pass->dwarf, &rows->spans, pass->start, end, (uint32_t)(rows->notes_count - 1));
}

/* A row was made, or the sequence ended, by the operation before @at. */
static int row_note(struct pass *pass, const struct machine *machine, enum made made, uint64_t at)
{
	int err = 0;

	if (pass->open) {
		const struct note *note = &pass->rows->notes[pass->rows->notes_count - 1];
		bool back = machine->address < pass->last;

		if (back) /* a new sequence that the old one did not end for */
			err = note_close(pass, pass->last, at);
		else if (made == MADE_END || (machine->address > pass->last && at - note->at > NOTE_BYTES))
			err = note_close(pass, machine->address, at);
	}
	if (!err && !pass->open && made == MADE_ROW)
		err = note_open(pass, machine, at);
	pass->last = machine->address;
	return err;
}

static const struct machine machine_start = { .file = 1, .line = 1 };

static void notes_make(struct dwarf *dwarf, struct dwarf_rows *rows)
{
	struct pass pass = { .dwarf = dwarf, .rows = rows };
	struct machine machine = machine_start;
	struct dwarf_block block;
	struct cursor cursor;
	int err = 0;

	if (rows->end - rows->program > DWARF_PART_MAX ||
	    dwarf_block(dwarf, DWARF_LINE, rows->program, rows->end - rows->program, &block))
		return;
	cursor = cursor_on(block.bytes, block.count);
	while (!err && cursor_left(&cursor) && dwarf_spend(dwarf, STEPS_OP)) {
		enum made made = operate(rows, &machine, &cursor);

		if (cursor.bad)
			break;
		if (made != MADE_NOTHING)
			err = row_note(&pass, &machine, made, rows->program + (uint64_t)(cursor.at - block.bytes));
		if (made == MADE_END)
			machine = machine_start;
	}
	if (pass.open) /* the program was cut off */
		rows->notes_count--;
	free(block.bytes);
	dwarf_spans_sort(&rows->spans);
}

static struct dwarf_rows *rows_of(struct dwarf *dwarf, struct dwarf_unit *unit)
{
	struct dwarf_rows *rows = unit->rows;
	uint8_t header[HEADER_FIRST];
	struct cursor cursor;

	if (rows || unit->line_program == DWARF_NOWHERE)
		return rows;
	rows = unit->rows = calloc(1, sizeof(*rows));
	if (!rows)
		return NULL;
	rows->offset = unit->line_program;
	cursor = cursor_on(header, dwarf_bytes(dwarf, DWARF_LINE, rows->offset, header, sizeof(header)));
	if (cursor_left(&cursor) && header_parse(rows, &cursor, dwarf->sections[DWARF_LINE].bytes))
		notes_make(dwarf, rows);
	else
		rows->version = 0;
	return rows;
}

/* --- questions --------------------------------------------------------------------------------- */

bool dwarf_row_find(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t vaddr, uint64_t *file, uint64_t *line)
{
	struct dwarf_rows *rows = rows_of(dwarf, unit);
	const struct dwarf_span *span = rows ? dwarf_spans_find(&rows->spans, vaddr) : NULL;
	struct machine machine;
	const struct note *note;
	struct dwarf_block block;
	struct cursor cursor;

	if (!span)
		return false;
	note = &rows->notes[span->owner];
	machine = (struct machine){ .address = span->start, .file = note->file, .line = note->line };
	*file = machine.file;
	*line = machine.line;
	if (!note->bytes)
		return true;
	if (note->bytes > PIECE_MAX || dwarf_block(dwarf, DWARF_LINE, note->at, note->bytes, &block))
		return false;
	cursor = cursor_on(block.bytes, block.count);
	while (cursor_left(&cursor) && dwarf_spend(dwarf, STEPS_OP)) {
		enum made made = operate(rows, &machine, &cursor);

		if (cursor.bad || made == MADE_END || (made == MADE_ROW && machine.address > vaddr))
			break;
		if (made == MADE_ROW) {
			*file = machine.file;
			*line = machine.line;
		}
	}
	free(block.bytes);
	return true;
}

/* --- files -------------------------------------------------------------------------------------- */

static int table_add(struct dwarf *dwarf, struct table *table, const struct named *row)
{
	if (table->count == table->cap) {
		size_t cap = table->cap ? 2 * table->cap : 16;
		struct named *rows;

		if (cap > FILES_MAX || !dwarf_spend(dwarf, cap))
			return -EFBIG;
		rows = reallocarray(table->rows, cap, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		dwarf->work->memory += (cap - table->cap) * sizeof(*rows);
		table->rows = rows;
		table->cap = cap;
	}
	table->rows[table->count++] = *row;
	return 0;
}

/* Before DWARF 5: strings up to an empty one; files have three numbers each. Row 0 is not written down. */
static void old_table_read(struct dwarf *dwarf, struct dwarf_reader *reader, bool files, struct table *table)
{
	struct cursor *cursor = &reader->cursor;
	struct named row = { .path = { .kind = DWARF_NONE } };

	while (!cursor->bad && !table_add(dwarf, table, &row)) {
		uint64_t at = dwarf_tell(reader);
		const char *text = cursor_string(cursor);

		if (!text || !*text)
			return;
		row = (struct named){ .path = { .kind = DWARF_TEXT, .section = DWARF_LINE, .number = at } };
		if (files) {
			row.folder = cursor_uleb(cursor);
			cursor_uleb(cursor); /* time, size */
			cursor_uleb(cursor);
		}
	}
	cursor_fail(cursor); /* the next table begins nowhere */
}

/* A column of a table of DWARF 5. */
struct column {
	uint16_t what, form;
};

static uint8_t columns_read(struct cursor *cursor, struct column *columns)
{
	uint8_t i, count = cursor_u8(cursor);

	if (count > COLUMNS_MAX)
		cursor_fail(cursor);
	for (i = 0; i < count && !cursor->bad; i++) {
		uint64_t what = cursor_uleb(cursor), form = cursor_uleb(cursor);

		columns[i].what = what < UINT16_MAX ? (uint16_t)what : UINT16_MAX;
		columns[i].form = form < UINT16_MAX ? (uint16_t)form : UINT16_MAX;
	}
	return count;
}

static void new_table_read(struct dwarf *dwarf, struct dwarf_reader *reader, const struct dwarf_unit *unit,
			   struct table *table)
{
	struct column columns[COLUMNS_MAX];
	uint8_t k, count = columns_read(&reader->cursor, columns);
	uint64_t i, rows = cursor_uleb(&reader->cursor);

	for (i = 0; i < rows && !reader->cursor.bad; i++) {
		struct named row = { .path = { .kind = DWARF_NONE } };

		for (k = 0; k < count; k++) {
			struct dwarf_value value = dwarf_value_read(reader, unit, columns[k].form, 0);

			if (columns[k].what == DW_LNCT_path)
				row.path = value;
			else if (columns[k].what == DW_LNCT_directory_index && value.kind == DWARF_NUMBER)
				row.folder = value.number;
		}
		if (reader->cursor.bad || !dwarf_spend(dwarf, count) || table_add(dwarf, table, &row))
			cursor_fail(&reader->cursor);
	}
}

static void tables_read(struct dwarf *dwarf, struct dwarf_unit *unit)
{
	struct dwarf_rows *rows = unit->rows;
	/* Forms are of the line program's sizes, texts by index of the unit's. */
	struct dwarf_unit as = {
		.version = rows->version, .offset_bytes = rows->offset_bytes, .str_base = unit->str_base,
	};
	struct dwarf_block block;
	struct dwarf_reader reader;

	rows->tables_read = true;
	if (rows->program <= rows->tables || rows->program - rows->tables > HEADER_MAX ||
	    dwarf_block(dwarf, DWARF_LINE, rows->tables, rows->program - rows->tables, &block))
		return;
	reader = (struct dwarf_reader){ .cursor = cursor_on(block.bytes, block.count), .block = &block };
	if (rows->version >= 5) {
		new_table_read(dwarf, &reader, &as, &rows->folders);
		new_table_read(dwarf, &reader, &as, &rows->files);
	} else {
		old_table_read(dwarf, &reader, false, &rows->folders);
		old_table_read(dwarf, &reader, true, &rows->files);
	}
	free(block.bytes);
}

/* @folder/@name, or what of it is there; both are given away. */
static char *path_join(char *folder, char *name)
{
	char *path = NULL;

	if (!name || *name == '/' || !folder || !*folder) {
		free(folder);
		return name;
	}
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		path = NULL;
	free(folder);
	free(name);
	return path;
}

/* "a/./b" and "a//b" say what "a/b" says. */
static void path_tidy(char *path)
{
	char *to = path, *from = path;

	while (*from) {
		if (from[0] == '/' && from[1] == '/')
			from++;
		else if (from[0] == '/' && from[1] == '.' && from[2] == '/')
			from += 2;
		else
			*to++ = *from++;
	}
	*to = '\0';
}

/* The text in row @number of @table; NULL: there is none. */
static char *table_text(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct table *table, uint64_t number)
{
	return number < table->count ? dwarf_text(dwarf, unit, &table->rows[number].path) : NULL;
}

/*
 * Folder 0 is the unit's own, which DWARF 5 puts into the table as well; the others begin there. Where
 * packagers made it relative (./csu) it leads nowhere, and they are clearer without it.
 */
static char *folder_path(struct dwarf *dwarf, const struct dwarf_unit *unit, uint64_t number)
{
	char *own = table_text(dwarf, unit, &unit->rows->folders, 0), *folder = NULL;

	if (!own)
		own = dwarf_text(dwarf, unit, &unit->comp_dir);
	if (number)
		folder = table_text(dwarf, unit, &unit->rows->folders, number);
	if (!folder)
		return own;
	if (own && *own == '/')
		return path_join(own, folder);
	free(own);
	return folder;
}

char *dwarf_row_file(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t number)
{
	struct dwarf_rows *rows = rows_of(dwarf, unit);
	char *path;

	if (!rows || !rows->version)
		return NULL;
	if (!rows->tables_read)
		tables_read(dwarf, unit);
	path = table_text(dwarf, unit, &rows->files, number);
	if (path && *path != '/')
		path = path_join(folder_path(dwarf, unit, rows->files.rows[number].folder), path);
	if (path && strlen(path) >= PATH_TEXT) {
		free(path);
		return NULL;
	}
	if (path)
		path_tidy(path);
	return path;
}
