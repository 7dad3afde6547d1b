// SPDX-License-Identifier: Apache-2.0
/* Sections: through libelf, and by their names. */
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../base/cleanup.h"
#include "elfparts.h"

#define NAMES_BYTES_MAX (1u << 20)  /* of the section names; a linked file has a kilobyte */
#define INFLATE_IN      (64u << 10) /* packed bytes read at once */
#define INFLATE_RATIO   1032        /* deflate packs no better than that; zlib's technical details */

/* Whether the section table lies in the file and has a bearable number of rows. */
static int sections_check(const struct elf_file *file)
{
	const size_t row = file->narrow ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr);
	Elf32_Shdr narrow;
	Elf64_Ehdr header;
	Elf64_Shdr first;
	uint64_t count;
	int err;

	err = elf_header_read(file, &header);
	if (err)
		return err;
	if (!header.e_shoff || header.e_shentsize != row)
		return -ENOEXEC;
	err = elf_pread(file, header.e_shoff, file->narrow ? (void *)&narrow : (void *)&first, row);
	if (err)
		return err;
	count = header.e_shnum;
	if (!count)
		count = file->narrow ? narrow.sh_size : first.sh_size;
	if (count > ELF_SECTIONS_MAX || header.e_shoff > file->size || count * row > file->size - header.e_shoff)
		return -ENOEXEC;
	return 0;
}

int elf_sections_begin(const struct elf_file *file, Elf **elf)
{
	int err = sections_check(file);
	size_t count;

	if (err)
		return err;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	/* Not ELF_C_READ_MMAP: a file that shrinks under us must be an error, not a SIGBUS. */
	*elf = elf_begin(file->fd, ELF_C_READ, NULL);
	if (!*elf)
		return -ENOEXEC;
	if (elf_kind(*elf) != ELF_K_ELF || elf_getshdrnum(*elf, &count) ||
	    count > ELF_SECTIONS_MAX) {
		elf_end(*elf);
		return -ENOEXEC;
	}
	return 0;
}

/* The names of the sections, or NULL. */
static char *names_read(const struct elf_file *file, Elf *elf, size_t *bytes)
{
	GElf_Shdr header;
	Elf_Scn *section;
	size_t index;
	char *names;

	if (elf_getshdrstrndx(elf, &index))
		return NULL;
	section = elf_getscn(elf, index);
	if (!section || !gelf_getshdr(section, &header) || header.sh_type != SHT_STRTAB ||
	    header.sh_size > NAMES_BYTES_MAX)
		return NULL;
	names = malloc(header.sh_size + 1);
	if (!names || elf_pread(file, header.sh_offset, names, header.sh_size)) {
		free(names);
		return NULL;
	}
	names[header.sh_size] = '\0';
	*bytes = header.sh_size;
	return names;
}

int elf_sections_named(const struct elf_file *file, struct elf_named *wanted, size_t count)
{
	__cleanup(freep) char *names = NULL;
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t i, bytes;
	Elf *elf;
	int err;

	for (i = 0; i < count; i++)
		wanted[i].found = false;
	err = elf_sections_begin(file, &elf);
	if (err)
		return err;
	names = names_read(file, elf, &bytes);
	while (names && (section = elf_nextscn(elf, section)) && gelf_getshdr(section, &header)) {
		if (header.sh_type == SHT_NOBITS || header.sh_name >= bytes || header.sh_offset > file->size ||
		    header.sh_size > file->size - header.sh_offset)
			continue;
		for (i = 0; i < count; i++) {
			if (wanted[i].found || strcmp(names + header.sh_name, wanted[i].name))
				continue;
			wanted[i].found = true;
			wanted[i].header = header;
		}
	}
	elf_end(elf);
	return names ? 0 : -ENOEXEC;
}

/* The compression header, of a file of 32 bits widened. Its bytes, or negative errno. */
static int packing_read(const struct elf_file *file, const GElf_Shdr *header, Elf64_Chdr *packed)
{
	const size_t bytes = file->narrow ? sizeof(Elf32_Chdr) : sizeof(*packed);
	Elf32_Chdr narrow;
	int err;

	if (header->sh_size < bytes)
		return -EBADMSG;
	err = elf_pread(file, header->sh_offset, file->narrow ? (void *)&narrow : (void *)packed, bytes);
	if (err)
		return err;
	if (file->narrow)
		*packed = (Elf64_Chdr){ .ch_type = narrow.ch_type, .ch_size = narrow.ch_size };
	return (int)bytes;
}

int elf_section_bytes(const struct elf_file *file, const GElf_Shdr *header, uint64_t *bytes)
{
	Elf64_Chdr packed;
	int got;

	*bytes = header->sh_size;
	if (!(header->sh_flags & SHF_COMPRESSED))
		return 0;
	got = packing_read(file, header, &packed);
	if (got < 0)
		return got;
	if (packed.ch_type != ELFCOMPRESS_ZLIB)
		return -ENOTSUP;
	if (packed.ch_size / INFLATE_RATIO > header->sh_size)
		return -EBADMSG;
	*bytes = packed.ch_size;
	return 0;
}

/* Unpack what lies behind the compression header into exactly @bytes at @to. */
static int section_inflate(const struct elf_file *file, const GElf_Shdr *header, void *to, uint64_t bytes)
{
	const size_t packing = file->narrow ? sizeof(Elf32_Chdr) : sizeof(Elf64_Chdr);
	uint64_t at = header->sh_offset + packing, end = header->sh_offset + header->sh_size;
	__cleanup(freep) unsigned char *in = malloc(INFLATE_IN);
	z_stream stream = { .next_out = to };
	uint64_t out = 0;
	int err = 0, state = Z_OK;

	if (!in || inflateInit(&stream) != Z_OK)
		return -ENOMEM;
	while (!err && state == Z_OK && out < bytes) {
		size_t have = end - at < INFLATE_IN ? end - at : INFLATE_IN;
		uint64_t room = bytes - out < UINT32_MAX ? bytes - out : UINT32_MAX;

		if (!stream.avail_in) {
			err = have ? elf_pread(file, at, in, have) : -EBADMSG;
			stream.next_in = in;
			stream.avail_in = (uInt)have;
			at += have;
		}
		stream.avail_out = (uInt)room;
		if (!err)
			state = inflate(&stream, Z_NO_FLUSH);
		out += room - stream.avail_out;
	}
	inflateEnd(&stream);
	if (err)
		return err;
	return out == bytes && (state == Z_OK || state == Z_STREAM_END) ? 0 : -EBADMSG;
}

int elf_section_read(const struct elf_file *file, const GElf_Shdr *header, uint64_t cap, void **out, size_t *bytes)
{
	uint64_t size;
	void *to;
	int err = elf_section_bytes(file, header, &size);

	if (err)
		return err;
	if (size > cap)
		return -EFBIG;
	to = malloc(size + 1);
	if (!to)
		return -ENOMEM;
	if (header->sh_flags & SHF_COMPRESSED)
		err = section_inflate(file, header, to, size);
	else
		err = elf_pread(file, header->sh_offset, to, size);
	if (err) {
		free(to);
		return err;
	}
	*out = to;
	*bytes = size;
	return 0;
}
