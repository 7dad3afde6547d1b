// SPDX-License-Identifier: Apache-2.0
#include "kallsyms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/cleanup.h"

#define KERNEL        "[kernel]"
#define ROWS_FIRST    4096
#define NAMES_FIRST   (64u << 10)
#define PAGE          4096         /* tools/perf/util/symbol.c has this one for all machines */
#define NOTES_MAX     (64u << 10)  /* bytes; some hundred are usual */

/* A line's parts. @module has its brackets; length 0: there is none. */
struct line {
	uint64_t address;
	char type;
	const char *name, *module;
	size_t name_length, module_length;
};

static bool take_address(const char **at, const char *end, uint64_t *address)
{
	const char *start = *at;

	*address = 0;
	for (; *at < end; ++*at) {
		char c = **at;
		unsigned int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;

		if (digit == 16)
			break;
		if (*address >> 60)
			return false;
		*address = *address << 4 | digit;
	}
	return *at > start;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The length of the name at @at: what compilers make of C and Rust, and the names of BPF programs. */
static size_t name_length(const char *at, const char *end)
{
	const char *start = at;

	while (at < end && (is_letter(*at) || (*at >= '0' && *at <= '9') || *at == '_' || *at == '.' ||
			    *at == '$' || *at == '-'))
		at++;
	return (size_t)(at - start);
}

/* "ffffffffc0a01230 t nft_do_chain\t[nf_tables]": s_show(), kernel/kallsyms.c. */
static bool line_parse(const char *at, const char *end, struct line *line)
{
	if (!take_address(&at, end, &line->address) || end - at < 4 || at[0] != ' ' || !is_letter(at[1]) ||
	    at[2] != ' ')
		return false;
	line->type = at[1];
	line->name = at + 3;
	line->name_length = name_length(line->name, end);
	at = line->name + line->name_length;
	line->module = at;
	line->module_length = 0;
	if (!line->name_length || at == end)
		return line->name_length;
	if (end - at < 4 || at[0] != '\t' || at[1] != '[' || name_length(at + 2, end) != (size_t)(end - at - 3))
		return false;
	line->module = at + 1;
	line->module_length = (size_t)(end - at - 1);
	return end[-1] == ']';
}

static bool name_is(const struct line *line, const char *name)
{
	return line->name_length == strlen(name) && !memcmp(line->name, name, line->name_length);
}

/* @array, moved if need be, with room for @count of @bytes each. NULL: memory is short, and it is as it was. */
static void *reserve(void *array, size_t *cap, size_t first, size_t count, size_t bytes)
{
	size_t room = *cap ? *cap : first;

	if (count <= *cap)
		return array;
	while (room < count)
		room *= 2;
	array = reallocarray(array, room, bytes);
	if (array)
		*cap = room;
	return array;
}

/* There are no more bytes of names than KALLSYMS_BYTES_MAX, so 32 bits say where. */
static int name_add(struct kallsyms *ks, const char *name, size_t length, uint32_t *at)
{
	char *names = reserve(ks->names, &ks->names_cap, NAMES_FIRST, ks->names_bytes + length + 1, 1);

	if (!names)
		return -ENOMEM;
	ks->names = names;
	*at = (uint32_t)ks->names_bytes;
	memcpy(ks->names + ks->names_bytes, name, length);
	ks->names[ks->names_bytes + length] = '\0';
	ks->names_bytes += length + 1;
	return 0;
}

static int module_add(struct kallsyms *ks, const char *name, size_t length)
{
	int err;

	if (ks->modules_count == KALLSYMS_MODULES_MAX)
		return -EFBIG;
	err = name_add(ks, name, length, &ks->modules[ks->modules_count].name);
	if (!err)
		ks->modules_count++;
	return err;
}

/* The module of @line, whose symbols stand together. */
static int module_of(struct kallsyms *ks, const struct line *line, uint16_t *module)
{
	const char *last = ks->names + ks->modules[ks->modules_count - 1].name;

	*module = 0;
	if (!line->module_length)
		return 0;
	if (strlen(last) != line->module_length || memcmp(last, line->module, line->module_length)) {
		int err = module_add(ks, line->module, line->module_length);

		if (err)
			return err;
	}
	*module = (uint16_t)(ks->modules_count - 1);
	return 0;
}

static int row_add(struct kallsyms *ks, const struct line *line)
{
	struct kallsyms_row row = { .address = line->address }, *rows;
	int err;

	if (ks->count == KALLSYMS_SYMBOLS_MAX)
		return -EFBIG;
	rows = reserve(ks->rows, &ks->cap, ROWS_FIRST, ks->count + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	ks->rows = rows;
	err = module_of(ks, line, &row.module);
	if (!err)
		err = name_add(ks, line->name, line->name_length, &row.name);
	if (!err)
		ks->rows[ks->count++] = row;
	return err;
}

static int line_take(struct kallsyms *ks, const char *text, size_t length)
{
	struct line line;

	if (length > KALLSYMS_LINE_MAX || !line_parse(text, text + length, &line)) {
		ks->skipped++;
		return 0;
	}
	/* Whatever their type: _etext is the first byte behind the text, and may be of what comes next. */
	if (!line.module_length && !ks->text && name_is(&line, "_stext"))
		ks->text = line.address;
	if (!line.module_length && !ks->text_end && name_is(&line, "_etext"))
		ks->text_end = line.address;
	if (!line.module_length && !ks->memcg_indexes && name_is(&line, "mem_cgroup_stats_index"))
		ks->memcg_indexes = line.address;
	/* "$x" and the like say where code begins; they are no functions: is_mapping_symbol(). */
	if ((line.type != 't' && line.type != 'T' && line.type != 'w' && line.type != 'W') || *line.name == '$')
		return 0;
	if (line.address)
		return row_add(ks, &line);
	ks->hidden = true;
	return 0;
}

static int lines_read(struct kallsyms *ks, FILE *in)
{
	char text[KALLSYMS_LINE_MAX];
	size_t length = 0, bytes = 0;
	int c, err;

	while ((c = getc_unlocked(in)) != EOF) {
		if (++bytes > KALLSYMS_BYTES_MAX)
			return -EFBIG;
		if (c != '\n') {
			if (length < sizeof(text))
				text[length] = (char)c;
			length++;
			continue;
		}
		err = line_take(ks, text, length);
		if (err)
			return err;
		length = 0;
	}
	if (ferror(in))
		return -EIO;
	ks->skipped += length > 0; /* it was cut off */
	return 0;
}

static int rows_compare(const void *left, const void *right)
{
	const struct kallsyms_row *a = left, *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return (a->name > b->name) - (a->name < b->name); /* as the file has them */
}

/* Code of the kernel that is there at boot only, and more names of what has one, go. */
static void rows_thin_out(struct kallsyms *ks)
{
	size_t i, kept = 0;

	for (i = 0; i < ks->count; i++) {
		const struct kallsyms_row *row = &ks->rows[i];

		if (!row->module && (row->address < ks->text || row->address >= ks->text_end))
			continue;
		if (!kept || ks->rows[kept - 1].address != row->address)
			ks->rows[kept++] = *row;
	}
	ks->count = kept;
}

/* What the kernel makes at run time and lists under a name that is no module's. */
static bool is_made(const char *module)
{
	static const char builtin[] = "[__builtin__";

	return !strcmp(module, "[bpf]") || !strncmp(module, builtin, sizeof(builtin) - 1);
}

static void modules_start(struct kallsyms *ks)
{
	size_t i;

	ks->modules[0].start = ks->text;
	for (i = 0; i < ks->count; i++) {
		struct kallsyms_module *module = &ks->modules[ks->rows[i].module];

		if (!module->start && !is_made(ks->names + module->name))
			module->start = ks->rows[i].address;
	}
}

/* Give back what is not used. */
static void shrink(struct kallsyms *ks)
{
	void *fresh = reallocarray(ks->rows, ks->count, sizeof(*ks->rows));

	if (fresh) {
		ks->rows = fresh;
		ks->cap = ks->count;
	}
	fresh = realloc(ks->names, ks->names_bytes);
	if (fresh) {
		ks->names = fresh;
		ks->names_cap = ks->names_bytes;
	}
	fresh = reallocarray(ks->modules, ks->modules_count, sizeof(*ks->modules));
	if (fresh)
		ks->modules = fresh;
}

/* Open @path, never blocking and only a regular file. NULL with errno. */
static FILE *file_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat stat;
	FILE *file;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &stat) && S_ISREG(stat.st_mode)) {
		file = fdopen(fd, "r");
		if (file)
			return file;
	} else {
		errno = ENOTSUP;
	}
	close(fd);
	return NULL;
}

static int symbols_read(struct kallsyms *ks, const char *path)
{
	__cleanup(file_closep) FILE *in = file_open(path);
	int err;

	if (!in)
		return -errno;
	ks->modules = calloc(KALLSYMS_MODULES_MAX, sizeof(*ks->modules));
	if (!ks->modules)
		return -ENOMEM;
	err = module_add(ks, KERNEL, strlen(KERNEL));
	if (!err)
		err = lines_read(ks, in);
	if (err)
		return err;
	if (!ks->count)
		return ks->hidden ? -EACCES : -ENODATA;
	ks->hidden = false;
	if (!ks->text || ks->text >= ks->text_end)
		return -EBADMSG;
	qsort(ks->rows, ks->count, sizeof(*ks->rows), rows_compare);
	rows_thin_out(ks);
	if (!ks->count)
		return -ENODATA;
	modules_start(ks);
	shrink(ks);
	return 0;
}

static void build_id_read(struct kallsyms *ks, const char *path)
{
	__cleanup(file_closep) FILE *in = file_open(path);
	__cleanup(freep) char *notes = malloc(NOTES_MAX);

	if (in && notes)
		elffile_notes_build_id(notes, fread(notes, 1, NOTES_MAX, in), 4, ks->build_id);
}

static void say_why(struct kallsyms *ks, const char *path, int err)
{
	const char *what = strerror(-err);

	if (ks->hidden) {
		snprintf(ks->why, sizeof(ks->why), "the kernel hides its addresses (kernel.kptr_restrict)");
		return;
	}
	if (err == -ENODATA)
		what = "there are no functions in it";
	else if (err == -EBADMSG)
		what = "it does not tell where the kernel's text lies";
	else if (err == -EFBIG)
		what = "there is more in it than can be";
	else if (err == -ENOTSUP)
		what = "it is no regular file";
	snprintf(ks->why, sizeof(ks->why), "%.60s: %s", path, what);
}

int kallsyms_load(struct kallsyms *ks, const char *path, const char *notes)
{
	bool hidden;
	int err;

	memset(ks, 0, sizeof(*ks));
	err = symbols_read(ks, path);
	if (!err) {
		build_id_read(ks, notes);
		return 0;
	}
	hidden = ks->hidden && err == -EACCES;
	kallsyms_release(ks);
	ks->hidden = hidden;
	say_why(ks, path, err);
	return err;
}

void kallsyms_release(struct kallsyms *ks)
{
	free(ks->rows);
	free(ks->modules);
	free(ks->names);
	memset(ks, 0, sizeof(*ks));
}

/* How many bytes the row at @i reaches, if nothing begins before. */
static uint64_t row_reach(const struct kallsyms *ks, size_t i)
{
	const struct kallsyms_row *row = &ks->rows[i], *next = i + 1 < ks->count ? row + 1 : NULL;
	uint64_t left = ks->text_end - row->address;

	if (!row->module)
		return left < KALLSYMS_REACH_MAX ? left : KALLSYMS_REACH_MAX;
	/* Behind a module comes anything. symbols__fixup_end(), tools/perf/util/symbol.c */
	if (!next || next->module != row->module)
		return PAGE + (-row->address & (PAGE - 1));
	return KALLSYMS_REACH_MAX;
}

static const struct kallsyms_row *row_at(const struct kallsyms *ks, uint64_t address)
{
	size_t low = 0, high = ks->count; /* the first behind @address */

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ks->rows[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - ks->rows[low - 1].address >= row_reach(ks, low - 1))
		return NULL;
	return &ks->rows[low - 1];
}

bool kallsyms_find(const struct kallsyms *ks, uint64_t address, struct kallsyms_symbol *symbol)
{
	const struct kallsyms_row *row = row_at(ks, address);

	if (!row)
		return false;
	symbol->name = ks->names + row->name;
	symbol->module = row->module ? ks->names + ks->modules[row->module].name : NULL;
	symbol->offset = address - row->address;
	return true;
}

bool kallsyms_frame(const struct kallsyms *ks, uint64_t address, bool exact, struct frame *out)
{
	/* The byte before a return address lies in the function that called. */
	uint64_t asked = address - (exact || !address ? 0 : 1);
	const struct kallsyms_row *row = ks ? row_at(ks, asked) : NULL;
	const struct kallsyms_module *module;

	*out = (struct frame){ .kind = FRAME_KERNEL, .exact = exact, .address = address };
	if (!ks || (!row && (asked < ks->text || asked >= ks->text_end)))
		return false;
	module = &ks->modules[row ? row->module : 0];
	out->module = ks->names + module->name;
	out->offset = address - (module->start ? module->start : row->address);
	if (module == ks->modules && *ks->build_id)
		out->build_id = ks->build_id;
	if (row)
		out->function = ks->names + row->name;
	return row;
}
