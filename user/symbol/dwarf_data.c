// SPDX-License-Identifier: Apache-2.0
/* Bytes, texts and addresses of a file's DWARF; spans of addresses. */
#include <errno.h>
#include <stdlib.h>

#include "dwarf_parts.h"
#include "elfparts.h"

#define UNPACKED_MAX (512u << 20) /* of packed sections, which have to be held in memory */
#define BLOCK_STEPS  64           /* a system call, in steps */
#define STEP_BYTES   16           /* copied in a step */
#define UNPACK_BYTES 64           /* unpacked in a step */
#define TEXT_FIRST   256          /* most texts are shorter */
#define OVERLAPS_MAX 16           /* spans looked at that start before an address and may end behind it */

static const char *const section_names[DWARF_SECTIONS] = {
	[DWARF_INFO] = ".debug_info",
	[DWARF_ABBREV] = ".debug_abbrev",
	[DWARF_LINE] = ".debug_line",
	[DWARF_STR] = ".debug_str",
	[DWARF_LINE_STR] = ".debug_line_str",
	[DWARF_RANGES] = ".debug_ranges",
	[DWARF_RNGLISTS] = ".debug_rnglists",
	[DWARF_ADDR] = ".debug_addr",
	[DWARF_STR_OFFSETS] = ".debug_str_offsets",
};

int dwarf_open(struct dwarf *dwarf, const struct elf_file *file, struct dwarf_work *work)
{
	struct elf_named named[DWARF_SECTIONS] = { { 0 } };
	size_t i;
	int err;

	memset(dwarf, 0, sizeof(*dwarf));
	dwarf->file = file;
	dwarf->work = work;
	for (i = 0; i < DWARF_SECTIONS; i++)
		named[i].name = section_names[i];
	err = elf_sections_named(file, named, DWARF_SECTIONS);
	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	for (i = 0; i < DWARF_SECTIONS; i++) {
		dwarf->sections[i].header = named[i].header;
		dwarf->sections[i].found = named[i].found &&
					   !elf_section_bytes(file, &named[i].header, &dwarf->sections[i].bytes);
	}
	return dwarf->sections[DWARF_INFO].found && dwarf->sections[DWARF_ABBREV].found ? 0 : -ENOENT;
}

void dwarf_release(struct dwarf *dwarf)
{
	size_t i;

	dwarf_units_trim(dwarf);
	for (i = 0; i < sizeof(dwarf->tables) / sizeof(dwarf->tables[0]); i++)
		dwarf_abbrevs_release(&dwarf->tables[i]);
	for (i = 0; i < DWARF_SECTIONS; i++)
		free(dwarf->sections[i].unpacked);
	free(dwarf->units);
	free(dwarf->spans.rows);
}

/* Packed sections are unpacked when something of them is asked for. */
static bool unpack(struct dwarf *dwarf, enum dwarf_section section)
{
	uint64_t bytes = dwarf->sections[section].bytes;
	size_t count;

	if (!(dwarf->sections[section].header.sh_flags & SHF_COMPRESSED) || dwarf->sections[section].unpacked)
		return true;
	if (!dwarf_spend(dwarf, bytes / UNPACK_BYTES))
		return false;
	if (bytes > UNPACKED_MAX || dwarf->work->unpacked > UNPACKED_MAX - bytes ||
	    elf_section_read(dwarf->file, &dwarf->sections[section].header, bytes, &dwarf->sections[section].unpacked,
			     &count)) {
		dwarf->sections[section].found = false;
		return false;
	}
	dwarf->work->unpacked += bytes;
	return true;
}

size_t dwarf_bytes(struct dwarf *dwarf, enum dwarf_section section, uint64_t offset, void *to, size_t count)
{
	uint64_t bytes = dwarf->sections[section].bytes;

	if (!dwarf->sections[section].found || offset >= bytes || !unpack(dwarf, section))
		return 0;
	if (count > bytes - offset)
		count = bytes - offset;
	if (!dwarf_spend(dwarf, BLOCK_STEPS + count / STEP_BYTES))
		return 0;
	if (dwarf->sections[section].unpacked)
		memcpy(to, (char *)dwarf->sections[section].unpacked + offset, count);
	else if (elf_pread(dwarf->file, dwarf->sections[section].header.sh_offset + offset, to, count))
		return 0;
	return count;
}

int dwarf_block(struct dwarf *dwarf, enum dwarf_section section, uint64_t offset, uint64_t count,
		struct dwarf_block *block)
{
	uint64_t bytes = dwarf->sections[section].bytes;

	*block = (struct dwarf_block){ .offset = offset, .section = section };
	if (!dwarf->sections[section].found || offset >= bytes || !count)
		return -ENOENT;
	if (count > bytes - offset)
		count = bytes - offset;
	if (dwarf->work->steps < BLOCK_STEPS + count / STEP_BYTES)
		return -EFBIG;
	block->bytes = malloc(count);
	if (!block->bytes)
		return -ENOMEM;
	block->count = dwarf_bytes(dwarf, section, offset, block->bytes, count);
	if (block->count)
		return 0;
	free(block->bytes);
	block->bytes = NULL;
	return -ENOENT;
}

bool dwarf_number(struct dwarf *dwarf, enum dwarf_section section, uint64_t offset, size_t bytes, uint64_t *number)
{
	uint8_t raw[8];
	struct cursor cursor = cursor_on(raw, bytes);

	if (bytes > sizeof(raw) || dwarf_bytes(dwarf, section, offset, raw, bytes) != bytes)
		return false;
	*number = cursor_number(&cursor, bytes);
	return true;
}

static char *text_at(struct dwarf *dwarf, enum dwarf_section section, uint64_t offset)
{
	char text[DWARF_TEXT_MAX];
	size_t have = dwarf_bytes(dwarf, section, offset, text, TEXT_FIRST);

	if (have == TEXT_FIRST && !memchr(text, '\0', have))
		have = dwarf_bytes(dwarf, section, offset, text, sizeof(text));
	return have && memchr(text, '\0', have) ? strdup(text) : NULL;
}

/* Row @index of a table of @size-byte numbers that begins at @base. */
static bool table_number(struct dwarf *dwarf, enum dwarf_section section, uint64_t base, uint64_t index, size_t size,
			 uint64_t *number)
{
	if (base == DWARF_NOWHERE || index > dwarf->sections[section].bytes / size)
		return false;
	return dwarf_number(dwarf, section, base + index * size, size, number);
}

char *dwarf_text(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_value *value)
{
	uint64_t offset;

	switch (value->kind) {
	case DWARF_TEXT:
		return text_at(dwarf, value->section, value->number);
	case DWARF_TEXT_INDEX:
		if (!table_number(dwarf, DWARF_STR_OFFSETS, unit->str_base, value->number, unit->offset_bytes,
				  &offset))
			return NULL;
		return text_at(dwarf, DWARF_STR, offset);
	case DWARF_TEXT_COMMON:
		return dwarf->common ? text_at(dwarf->common, DWARF_STR, value->number) : NULL;
	default:
		return NULL;
	}
}

bool dwarf_address(struct dwarf *dwarf, const struct dwarf_unit *unit, const struct dwarf_value *value,
		   uint64_t *address)
{
	if (value->kind == DWARF_ADDRESS) {
		*address = value->number;
		return true;
	}
	return value->kind == DWARF_ADDRESS_INDEX &&
	       table_number(dwarf, DWARF_ADDR, unit->addr_base, value->number, sizeof(*address), address);
}

int dwarf_span_add(struct dwarf *dwarf, struct dwarf_spans *spans, uint64_t start, uint64_t end, uint32_t owner)
{
	if (spans->count == spans->cap) {
		size_t cap = spans->cap ? 2 * spans->cap : 16;
		struct dwarf_span *rows = reallocarray(spans->rows, cap, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		dwarf->work->memory += (cap - spans->cap) * sizeof(*rows);
		spans->rows = rows;
		spans->cap = cap;
	}
	spans->rows[spans->count++] = (struct dwarf_span){ .start = start, .end = end, .owner = owner };
	return 0;
}

static int spans_compare(const void *left, const void *right)
{
	const struct dwarf_span *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end) /* what is found first stands last: the smallest, */
		return a->end > b->end ? -1 : 1;
	return (a->owner < b->owner) - (a->owner > b->owner); /* the one that came first */
}

void dwarf_spans_sort(struct dwarf_spans *spans)
{
	if (spans->count)
		qsort(spans->rows, spans->count, sizeof(spans->rows[0]), spans_compare);
}

const struct dwarf_span *dwarf_spans_find(const struct dwarf_spans *spans, uint64_t vaddr)
{
	size_t low = 0, high = spans->count, looked;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (spans->rows[middle].start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	for (looked = 0; low && looked < OVERLAPS_MAX; looked++) {
		low--;
		if (vaddr < spans->rows[low].end)
			return &spans->rows[low];
	}
	return NULL;
}
