// SPDX-License-Identifier: Apache-2.0
/*
 * The records of .eh_frame and .debug_frame. The two differ in how a CIE is told from an FDE, how an
 * FDE names its CIE, and in how wide these fields are.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "cfi_parts.h"

#define LENGTH_64 0xffffffffu /* a 64-bit length follows */

struct record {
	size_t offset;   /* of its length field */
	uint64_t id;     /* as it stands there */
	size_t id_offset;
	bool cie;
	struct cursor body; /* behind the id */
};

/* A number in the format that the low half of a DW_EH_PE_* encoding says. */
static uint64_t formatted(struct cursor *cursor, uint8_t encoding)
{
	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_signed:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return cursor_number(cursor, 8);
	case DW_EH_PE_udata4: return cursor_number(cursor, 4);
	case DW_EH_PE_sdata4: return (uint64_t)(int32_t)cursor_number(cursor, 4);
	case DW_EH_PE_udata2: return cursor_number(cursor, 2);
	case DW_EH_PE_sdata2: return (uint64_t)(int16_t)cursor_number(cursor, 2);
	case DW_EH_PE_uleb128: return cursor_uleb(cursor);
	case DW_EH_PE_sleb128: return (uint64_t)cursor_sleb(cursor);
	}
	cursor->bad = true;
	return 0;
}

uint64_t cfi_address(struct cursor *cursor, uint8_t encoding, uint64_t vaddr)
{
	uint64_t value = formatted(cursor, encoding);

	if ((encoding & 0xf0) == DW_EH_PE_pcrel)
		return value ? value + vaddr : 0;
	if (encoding & 0xf0)
		cursor->bad = true;
	return value;
}

/* The virtual address of the byte that @cursor reads next. */
static uint64_t address_of(const struct cfi_section *section, const struct cursor *cursor)
{
	return section->vaddr + (uint64_t)(cursor->at - section->data);
}

/* --- CIE ------------------------------------------------------------------------------------- */

/* The personality routine's address, which nobody needs. */
static void personality_skip(const struct cfi_section *section, struct cursor *body)
{
	uint8_t encoding = cursor_u8(body);

	if (encoding == DW_EH_PE_omit)
		return;
	if ((encoding & 0x70) == DW_EH_PE_aligned) {
		cursor_skip(body, -address_of(section, body) & 7);
		encoding = DW_EH_PE_absptr;
	}
	formatted(body, encoding);
}

/* What the letters of the augmentation say. With a 'z' in front, what is not known can be skipped. */
static void augmentation_parse(const struct cfi_section *section, struct cfi_cie *cie, const char *letters,
			       struct cursor *body)
{
	struct cursor inner, *data = body;

	cie->sized = *letters == 'z';
	if (cie->sized) {
		letters++;
		inner = cfi_part(body, cursor_uleb(body));
		data = &inner;
	}
	for (; *letters && !data->bad; letters++) {
		switch (*letters) {
		case 'R': cie->encoding = cursor_u8(data); break;
		case 'L': cursor_u8(data); break;
		case 'P': personality_skip(section, data); break;
		case 'S': cie->signal = true; break;
		case 'B': /* aarch64: return addresses are signed with key B */
		case 'G': /* aarch64: tagged stack */
			break;
		default:
			body->bad |= !cie->sized;
			return;
		}
	}
	body->bad |= data->bad;
}

static void cie_parse(const struct cfi_build *build, const struct cfi_section *section, struct cfi_cie *cie,
		      struct cursor body)
{
	uint8_t version = cursor_u8(&body);
	const char *letters = cursor_string(&body);

	cie->broken = true;
	cie->encoding = DW_EH_PE_absptr;
	if (!letters || (version != 1 && version != 3 && version != 4))
		return;
	if (version == 4 && cursor_number(&body, 2) != 8)
		return; /* addresses of 8 bytes, no segments */
	if (!strncmp(letters, "eh", 2)) { /* gcc 2: a pointer follows */
		cursor_skip(&body, 8);
		letters += 2;
	}
	cie->code_align = cursor_uleb(&body);
	cie->data_align = cursor_sleb(&body);
	cie->ra = version == 1 ? cursor_u8(&body) : cursor_uleb(&body);
	augmentation_parse(section, cie, letters, &body);
	if (body.bad)
		return;
	cie->broken = cfi_cie_run(build, section, cie, body) != 0;
}

static int cie_add(struct cfi_build *build, struct cfi_section *section, const struct record *record)
{
	struct cfi_cie *cie;

	if (section->cies_count == CFI_CIES_MAX)
		return -EFBIG;
	if (section->cies_count == section->cies_room) {
		size_t room = section->cies_room ? 2 * section->cies_room : 16;
		struct cfi_cie *more = realloc(section->cies, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		section->cies = more;
		section->cies_room = room;
	}
	cie = &section->cies[section->cies_count++];
	*cie = (struct cfi_cie){ .record = record->offset };
	cie_parse(build, section, cie, record->body);
	build->table->skipped += cie->broken;
	return 0;
}

/* The CIE whose record begins at @offset, or NULL. @hint: where it was last time. */
static struct cfi_cie *cie_find(const struct cfi_section *section, uint64_t offset, struct cfi_cie *hint)
{
	size_t low = 0, high = section->cies_count;

	if (hint && hint->record == offset)
		return hint;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (section->cies[middle].record == offset)
			return &section->cies[middle];
		if (section->cies[middle].record < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* --- FDE ------------------------------------------------------------------------------------- */

/* The CIE that FDE @record names; in .eh_frame by the distance back from the name itself. */
static struct cfi_cie *cie_of(const struct cfi_section *section, const struct record *record, struct cfi_cie *hint)
{
	if (!section->eh)
		return cie_find(section, record->id, hint);
	return record->id > record->id_offset ? NULL : cie_find(section, record->id_offset - record->id, hint);
}

static const struct elf_segment *text_at(const struct cfi_build *build, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < build->text_count; i++) {
		const struct elf_segment *segment = &build->text[i];

		if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->filesz)
			return segment;
	}
	return NULL;
}

int cfi_fde_add(struct cfi_build *build, struct cfi_fde fde, uint64_t vaddr, uint64_t bytes)
{
	const struct elf_segment *text = text_at(build, vaddr);
	uint64_t into = text ? vaddr - text->vaddr : 0;

	if (!text || !bytes) {
		build->table->skipped++;
		return 0;
	}
	if (bytes > text->filesz - into)
		bytes = text->filesz - into;
	if (build->fdes_count == CFI_FDES_MAX)
		return -EFBIG;
	if (build->fdes_count == build->fdes_room) {
		size_t room = build->fdes_room ? 2 * build->fdes_room : 256;
		struct cfi_fde *more = realloc(build->fdes, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		build->fdes = more;
		build->fdes_room = room;
	}
	fde.vaddr = vaddr;
	fde.start = text->offset + into;
	fde.end = fde.start + bytes;
	build->fdes[build->fdes_count++] = fde;
	return 0;
}

static int fde_parse(struct cfi_build *build, size_t index, const struct cfi_cie *cie, struct cursor body)
{
	const struct cfi_section *section = &build->sections[index];
	uint64_t vaddr = cfi_address(&body, cie->encoding, address_of(section, &body));
	uint64_t bytes = formatted(&body, cie->encoding);

	if (cie->sized)
		cursor_skip(&body, cursor_uleb(&body));
	if (body.bad || bytes > INT64_MAX) {
		build->table->skipped++;
		return 0;
	}
	if (!vaddr)
		return 0; /* the linker left the function out */
	return cfi_fde_add(build, (struct cfi_fde){
		.program = (size_t)(body.at - section->data),
		.program_bytes = (uint32_t)cursor_left(&body),
		.cie = (uint32_t)(cie - section->cies),
		.section = (uint8_t)index,
	}, vaddr, bytes);
}

/* --- records --------------------------------------------------------------------------------- */

/*
 * The next record. false at the end, or where nothing can follow: then @cursor is bad. A zero length
 * may be padding between two linked parts.
 */
static bool record_next(const struct cfi_section *section, struct cursor *cursor, struct record *record)
{
	uint64_t length = 0;
	size_t width = 4; /* of the id */

	while (!length && cursor_left(cursor) >= 4) {
		record->offset = (size_t)(cursor->at - section->data);
		length = cursor_number(cursor, 4);
		if (!length && section->unbounded)
			return false;
	}
	if (!length)
		return false;
	if (length == LENGTH_64) {
		length = cursor_number(cursor, 8);
		width = section->eh ? 4 : 8;
	}
	record->body = cfi_part(cursor, length);
	if (cursor->bad)
		return false;
	record->id_offset = (size_t)(record->body.at - section->data);
	record->id = cursor_number(&record->body, width);
	record->cie = record->id == (section->eh ? 0 : width == 4 ? DW_CIE_ID_32 : DW_CIE_ID_64);
	return true;
}

int cfi_records_read(struct cfi_build *build, size_t index)
{
	struct cfi_section *section = &build->sections[index];
	struct cursor cursor = cursor_on(section->data, section->bytes);
	struct cfi_cie *cie = NULL;
	struct record record;
	int err = 0;

	while (!err && record_next(section, &cursor, &record)) {
		if (record.body.bad)
			build->table->skipped++; /* too short for an id */
		else if (record.cie)
			err = cie_add(build, section, &record);
	}
	build->table->skipped += cursor.bad;
	cursor = cursor_on(section->data, section->bytes);
	while (!err && record_next(section, &cursor, &record)) {
		if (record.cie || record.body.bad)
			continue;
		cie = cie_of(section, &record, cie);
		if (cie && !cie->broken)
			err = fde_parse(build, index, cie, record.body);
		else
			build->table->skipped++;
	}
	return err;
}
