// SPDX-License-Identifier: Apache-2.0
/* Where call frame information lies in an ELF file, and where its text does. */
#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "../base/cleanup.h"
#include "cfi_parts.h"

#define SEGMENTS_MAX 4096        /* program headers looked at; a linked file has a dozen */
#define HEADERS_MAX  (1u << 17)  /* section headers */
#define NAME_BYTES   32          /* of a section's or symbol's name, the longest that is asked for fits */
#define HDR_BYTES    32          /* the head of .eh_frame_hdr */
#define DEFLATE_MAX  1032        /* bytes out of one byte in: zlib's limit, https://zlib.net/zlib_tech.html */
#define SYMBOLS_MAX  4096        /* a vdso has some dozens */

static int input_read(const struct cfi_input *input, uint64_t offset, void *buf, size_t bytes)
{
	char *to = buf;

	if (offset > input->bytes || bytes > input->bytes - offset)
		return -EIO;
	if (!input->file) {
		memcpy(buf, input->image + offset, bytes);
		return 0;
	}
	if (input->file->fd < 0)
		return -EBADF;
	while (bytes) {
		ssize_t got = pread(input->file->fd, to, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		to += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

/* @bytes of the file at @offset in memory of their own. */
static int part_read(const struct cfi_input *input, uint64_t offset, uint64_t bytes, uint8_t **part)
{
	int err;

	if (bytes > CFI_BYTES_MAX)
		return -EFBIG;
	if (offset > input->bytes || bytes > input->bytes - offset)
		return -EIO; /* before memory is taken for it */
	*part = malloc(bytes ? bytes : 1);
	if (!*part)
		return -ENOMEM;
	err = input_read(input, offset, *part, bytes);
	if (err) {
		free(*part);
		*part = NULL;
	}
	return err;
}

static int header_read(const struct cfi_input *input, Elf64_Ehdr *header)
{
	int err = input_read(input, 0, header, sizeof(*header));

	if (err)
		return err == -EIO ? -ENOEXEC : err;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	return 0;
}

static void segment_add(struct cfi_build *build, const Elf64_Phdr *header)
{
	if (header->p_type == PT_GNU_EH_FRAME)
		build->hdr_vaddr = header->p_vaddr;
	if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) || build->text_count == ELFFILE_SEGMENTS_MAX ||
	    header->p_vaddr + header->p_filesz < header->p_vaddr ||
	    header->p_offset + header->p_filesz < header->p_offset)
		return;
	build->text[build->text_count++] = (struct elf_segment){
		.offset = header->p_offset,
		.vaddr = header->p_vaddr,
		.filesz = header->p_filesz,
		.memsz = header->p_memsz,
		.flags = header->p_flags,
	};
}

static int program_headers_read(const struct cfi_input *input, const Elf64_Ehdr *header, Elf64_Phdr **headers)
{
	uint8_t *bytes;
	int err;

	if (header->e_phnum > SEGMENTS_MAX || (header->e_phnum && header->e_phentsize != sizeof(**headers)))
		return -ENOEXEC;
	err = part_read(input, header->e_phoff, header->e_phnum * sizeof(**headers), &bytes);
	if (!err)
		*headers = (Elf64_Phdr *)bytes; /* malloc'ed: aligned */
	return err == -EIO ? -ENOEXEC : err;
}

/* --- sections -------------------------------------------------------------------------------- */

struct sections {
	Elf64_Shdr *rows;
	size_t count;
	uint64_t names; /* file offset of their names */
	uint64_t names_bytes;
};

static void sections_release(struct sections *sections)
{
	free(sections->rows);
}

static int sections_read(const struct cfi_input *input, struct sections *out)
{
	Elf64_Ehdr header;
	Elf64_Shdr first;
	uint64_t count, names;
	uint8_t *bytes;
	int err = header_read(input, &header);

	if (err)
		return err;
	if (!header.e_shoff || header.e_shentsize != sizeof(Elf64_Shdr))
		return -ENOENT;
	err = input_read(input, header.e_shoff, &first, sizeof(first));
	if (err)
		return err == -EIO ? -ENOENT : err;
	/* What does not fit into the header stands in section 0. */
	count = header.e_shnum ? header.e_shnum : first.sh_size;
	names = header.e_shstrndx == SHN_XINDEX ? first.sh_link : header.e_shstrndx;
	if (count > HEADERS_MAX || names >= count)
		return -ENOENT;
	err = part_read(input, header.e_shoff, count * sizeof(Elf64_Shdr), &bytes);
	if (err)
		return err == -EIO ? -ENOENT : err;
	out->rows = (Elf64_Shdr *)bytes;
	out->count = count;
	out->names = out->rows[names].sh_offset;
	out->names_bytes = out->rows[names].sh_size;
	return 0;
}

/* Whether the string at @at of a table of @bytes at file offset @table is @name. */
static bool named(const struct cfi_input *input, uint64_t table, uint64_t bytes, uint64_t at, const char *name)
{
	char found[NAME_BYTES];
	size_t length = strlen(name) + 1;

	return length <= sizeof(found) && at < bytes && length <= bytes - at && table <= UINT64_MAX - at &&
	       !input_read(input, table + at, found, length) && !memcmp(found, name, length);
}

static const Elf64_Shdr *section_find(const struct cfi_input *input, const struct sections *sections,
				      const char *name)
{
	size_t i;

	for (i = 0; i < sections->count; i++) {
		const Elf64_Shdr *section = &sections->rows[i];

		/* NOBITS: a debug file has the headers of all sections, but not their bytes. */
		if (section->sh_type != SHT_NULL && section->sh_type != SHT_NOBITS && section->sh_size &&
		    named(input, sections->names, sections->names_bytes, section->sh_name, name))
			return section;
	}
	return NULL;
}

static uint64_t text_bytes(const struct cfi_input *input, const struct cfi_build *build)
{
	__cleanup(sections_release) struct sections sections = { 0 };
	const uint64_t text = SHF_ALLOC | SHF_EXECINSTR;
	uint64_t bytes = 0, size;
	size_t i;

	if (!sections_read(input, &sections)) {
		for (i = 0; i < sections.count; i++) {
			size = sections.rows[i].sh_size;
			if ((sections.rows[i].sh_flags & text) == text && sections.rows[i].sh_type != SHT_NOBITS &&
			    size <= input->bytes)
				bytes += size;
		}
	}
	for (i = 0; !sections.count && i < build->text_count; i++)
		bytes += build->text[i].filesz < input->bytes ? build->text[i].filesz : input->bytes;
	return bytes;
}

int cfi_input_open(const struct cfi_input *input, struct cfi_build *build)
{
	__cleanup(freep) Elf64_Phdr *headers = NULL;
	Elf64_Ehdr header;
	size_t i;
	int err = header_read(input, &header);

	if (err)
		return err;
	build->machine = cfi_machine_find(header.e_machine);
	build->entry_vaddr = header.e_entry;
	if (!build->machine)
		return -ENOENT;
	err = program_headers_read(input, &header, &headers);
	if (err)
		return err;
	for (i = 0; i < header.e_phnum; i++)
		segment_add(build, &headers[i]);
	build->table->text_bytes = text_bytes(input, build);
	return 0;
}

/* --- .eh_frame ------------------------------------------------------------------------------- */

static int section_load(const struct cfi_input *input, struct cfi_build *build, const Elf64_Shdr *header,
			struct cfi_section *section)
{
	int err;

	if (build->sections_count == CFI_SECTIONS || header->sh_flags & SHF_COMPRESSED)
		return -ENOENT;
	err = part_read(input, header->sh_offset, header->sh_size, &section->data);
	if (err)
		return err == -EIO ? -ENOENT : err;
	section->bytes = header->sh_size;
	section->vaddr = header->sh_addr;
	build->sections[build->sections_count++] = *section;
	return 0;
}

/* The PT_LOAD around @vaddr, as its bytes in the file. */
static int load_find(const struct cfi_input *input, uint64_t vaddr, Elf64_Shdr *part)
{
	__cleanup(freep) Elf64_Phdr *headers = NULL;
	Elf64_Ehdr header;
	size_t i;
	int err = header_read(input, &header);

	if (!err)
		err = program_headers_read(input, &header, &headers);
	for (i = 0; !err && i < header.e_phnum; i++) {
		const Elf64_Phdr *at = &headers[i];
		uint64_t into = vaddr - at->p_vaddr;

		if (at->p_type != PT_LOAD || vaddr < at->p_vaddr || into >= at->p_filesz)
			continue;
		if (at->p_offset > input->bytes || into > input->bytes - at->p_offset)
			return -ENOENT;
		part->sh_addr = vaddr;
		part->sh_offset = at->p_offset + into;
		part->sh_size = at->p_filesz - into;
		if (part->sh_size > input->bytes - part->sh_offset)
			part->sh_size = input->bytes - part->sh_offset;
		return 0;
	}
	return err ? err : -ENOENT;
}

/* .eh_frame by way of .eh_frame_hdr, which every file that can throw has a program header for. */
static int hdr_read(const struct cfi_input *input, struct cfi_build *build, struct cfi_section *section)
{
	uint8_t head[HDR_BYTES];
	struct cursor cursor;
	Elf64_Shdr part = { 0 };
	uint8_t encoding;
	uint64_t vaddr;
	int err;

	err = build->hdr_vaddr ? load_find(input, build->hdr_vaddr, &part) : -ENOENT;
	if (err)
		return err;
	cursor = cursor_on(head, part.sh_size < sizeof(head) ? part.sh_size : sizeof(head));
	err = input_read(input, part.sh_offset, head, cursor_left(&cursor));
	if (err || cursor_u8(&cursor) != 1) /* its version */
		return err && err != -EIO ? err : -ENOENT;
	encoding = cursor_u8(&cursor); /* of .eh_frame's address */
	cursor_skip(&cursor, 2);       /* and of the search table */
	vaddr = cfi_address(&cursor, encoding, build->hdr_vaddr + 4);
	if (cursor.bad)
		return -ENOENT;
	err = load_find(input, vaddr, &part);
	if (err)
		return err;
	if (part.sh_size > CFI_BYTES_MAX)
		part.sh_size = CFI_BYTES_MAX; /* what lies behind it, or it is cut */
	section->unbounded = true;
	return section_load(input, build, &part, section);
}

int cfi_eh_frame_read(const struct cfi_input *input, struct cfi_build *build)
{
	__cleanup(sections_release) struct sections sections = { 0 };
	struct cfi_section section = { .eh = true };
	const Elf64_Shdr *header;
	int err = sections_read(input, &sections);

	header = err ? NULL : section_find(input, &sections, ".eh_frame");
	if (header)
		err = section_load(input, build, header, &section);
	if (header && err != -ENOENT)
		return err;
	return hdr_read(input, build, &section);
}

/* --- .debug_frame ---------------------------------------------------------------------------- */

static int inflate_into(uint8_t *to, size_t to_bytes, const uint8_t *from, size_t from_bytes)
{
	uLongf got = to_bytes;
	int err = uncompress(to, &got, from, from_bytes);

	if (err == Z_MEM_ERROR)
		return -ENOMEM;
	return err == Z_OK && got == to_bytes ? 0 : -ENOENT;
}

static int section_unpack(struct cfi_section *section)
{
	uint8_t *plain;
	Elf64_Chdr header;
	size_t packed;
	int err;

	if (section->bytes < sizeof(header))
		return -ENOENT;
	memcpy(&header, section->data, sizeof(header));
	packed = section->bytes - sizeof(header);
	if (header.ch_type != ELFCOMPRESS_ZLIB || !header.ch_size || header.ch_size / DEFLATE_MAX > packed)
		return -ENOENT;
	if (header.ch_size > CFI_BYTES_MAX)
		return -EFBIG;
	plain = malloc(header.ch_size);
	if (!plain)
		return -ENOMEM;
	err = inflate_into(plain, header.ch_size, section->data + sizeof(header), packed);
	if (err) {
		free(plain);
		return err;
	}
	free(section->data);
	section->data = plain;
	section->bytes = header.ch_size;
	return 0;
}

int cfi_debug_frame_read(const struct cfi_input *input, struct cfi_build *build)
{
	__cleanup(sections_release) struct sections sections = { 0 };
	struct cfi_section section = { .eh = false };
	const Elf64_Shdr *header;
	Elf64_Shdr plain;
	int err = sections_read(input, &sections);

	header = err ? NULL : section_find(input, &sections, ".debug_frame");
	if (!header)
		return err ? err : -ENOENT;
	plain = *header;
	plain.sh_flags &= ~(uint64_t)SHF_COMPRESSED;
	err = section_load(input, build, &plain, &section);
	if (err || !(header->sh_flags & SHF_COMPRESSED))
		return err;
	err = section_unpack(&build->sections[build->sections_count - 1]);
	if (err)
		free(build->sections[--build->sections_count].data);
	return err;
}

/* --- a symbol of a vdso ---------------------------------------------------------------------- */

bool cfi_symbol_find(const struct cfi_input *input, const char *name, uint64_t *vaddr, uint64_t *bytes)
{
	__cleanup(sections_release) struct sections sections = { 0 };
	const Elf64_Shdr *table = NULL, *strings;
	Elf64_Sym symbol;
	uint64_t i;

	if (sections_read(input, &sections))
		return false;
	for (i = 0; i < sections.count && !table; i++) {
		if (sections.rows[i].sh_type == SHT_DYNSYM && sections.rows[i].sh_link < sections.count)
			table = &sections.rows[i];
	}
	if (!table)
		return false;
	strings = &sections.rows[table->sh_link];
	for (i = 0; i < table->sh_size / sizeof(symbol) && i < SYMBOLS_MAX; i++) {
		if (table->sh_offset > input->bytes ||
		    input_read(input, table->sh_offset + i * sizeof(symbol), &symbol, sizeof(symbol)))
			return false;
		if (symbol.st_shndx == SHN_UNDEF ||
		    !named(input, strings->sh_offset, strings->sh_size, symbol.st_name, name))
			continue;
		*vaddr = symbol.st_value;
		*bytes = symbol.st_size;
		return true;
	}
	return false;
}
