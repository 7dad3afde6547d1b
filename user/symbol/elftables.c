// SPDX-License-Identifier: Apache-2.0
/* Where the symbols stand: sections, in up to three files. */
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "debugfile.h"
#include "elfparts.h"

/* The bytes of a section, if they are plain, lie in the file and fit what is left of the cap. */
static Elf_Data *section_data(const struct elf_file *file, struct elf_tables *tables,
			      Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data;

	if (header->sh_flags & SHF_COMPRESSED || header->sh_offset > file->size ||
	    header->sh_size > file->size - header->sh_offset ||
	    header->sh_size > ELFFILE_SYMBOL_BYTES_MAX - tables->bytes)
		return NULL;
	data = elf_rawdata(section, NULL);
	if (!data || !data->d_buf || data->d_size > header->sh_size)
		return NULL;
	tables->bytes += data->d_size;
	return data;
}

/* The versions of the symbols in section @index. */
static void versions_read(const struct elf_file *file, struct elf_tables *tables, size_t index,
			  struct elf_table *table)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	Elf_Data *data;

	while ((section = elf_nextscn(tables->elf, section)) && gelf_getshdr(section, &header)) {
		if (header.sh_type != SHT_GNU_versym || header.sh_link != index)
			continue;
		data = section_data(file, tables, section, &header);
		if (data && data->d_size / sizeof(uint16_t) >= table->count)
			table->versions = data->d_buf;
		return;
	}
}

/* The @count symbols of a file of 32 bits at @from, in @tables' memory. 0, -EFBIG, -ENOMEM. */
static int symbols_widen(struct elf_tables *tables, const Elf32_Sym *from, size_t count, const Elf64_Sym **out)
{
	const uint64_t bytes = (uint64_t)count * sizeof(Elf64_Sym);
	Elf64_Sym *to;

	if (bytes > ELFFILE_SYMBOL_BYTES_MAX - tables->bytes)
		return -EFBIG;
	tables->bytes += bytes;
	to = malloc(bytes + 1);
	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		to[i] = (Elf64_Sym){
			.st_name = from[i].st_name, .st_info = from[i].st_info, .st_other = from[i].st_other,
			.st_shndx = from[i].st_shndx, .st_value = from[i].st_value, .st_size = from[i].st_size,
		};
	}
	tables->widened[tables->tables_count] = to;
	*out = to;
	return 0;
}

static int table_read(const struct elf_file *file, struct elf_tables *tables, Elf_Scn *section,
		      const GElf_Shdr *header)
{
	const size_t row = file->narrow ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym);
	struct elf_table *table = &tables->tables[tables->tables_count];
	Elf_Scn *strings = elf_getscn(tables->elf, header->sh_link);
	GElf_Shdr strings_header;
	Elf_Data *symbol_data, *string_data;
	int err = 0;

	if (header->sh_entsize != row || !strings ||
	    !gelf_getshdr(strings, &strings_header) || strings_header.sh_type != SHT_STRTAB)
		return -ENOEXEC;
	symbol_data = section_data(file, tables, section, header);
	string_data = section_data(file, tables, strings, &strings_header);
	if (!symbol_data || !string_data)
		return -ENOEXEC;
	table->count = symbol_data->d_size / row;
	table->symbols = symbol_data->d_buf;
	if (file->narrow)
		err = symbols_widen(tables, symbol_data->d_buf, table->count, &table->symbols);
	if (err)
		return err;
	table->strings = string_data->d_buf;
	table->strings_bytes = string_data->d_size;
	table->dynamic = header->sh_type == SHT_DYNSYM;
	table->versions = NULL;
	if (table->dynamic)
		versions_read(file, tables, elf_ndxscn(section), table);
	tables->tables_count++;
	return 0;
}

static int section_table_read(const struct elf_file *file, struct elf_tables *tables)
{
	bool seen_symtab = false, seen_dynsym = false;
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t count;
	int err = 0, now;

	if (elf_getshdrnum(tables->elf, &count))
		return -ENOEXEC;
	tables->sections = calloc(count + 1, sizeof(*tables->sections));
	if (!tables->sections)
		return -ENOMEM;
	tables->sections_count = count;
	while ((section = elf_nextscn(tables->elf, section)) && gelf_getshdr(section, &header)) {
		struct elf_section *to = &tables->sections[elf_ndxscn(section)];

		if (header.sh_flags & SHF_ALLOC && header.sh_addr + header.sh_size > header.sh_addr) {
			to->addr = header.sh_addr;
			to->end = header.sh_addr + header.sh_size;
			to->exec = header.sh_flags & SHF_EXECINSTR;
		}
		if (header.sh_type == SHT_NOBITS && file->has_dynamic && header.sh_addr == file->dynamic_vaddr)
			tables->separate = true;
		if (header.sh_type == SHT_SYMTAB && !seen_symtab)
			seen_symtab = true;
		else if (header.sh_type == SHT_DYNSYM && !seen_dynsym)
			seen_dynsym = true;
		else
			continue;
		now = table_read(file, tables, section, &header);
		if (now && !err)
			err = now;
	}
	return err;
}

int elf_tables_read(const struct elf_file *file, struct elf_tables *tables, uint64_t bytes)
{
	bool dynamic = false;
	size_t i;
	int err;

	memset(tables, 0, sizeof(*tables));
	tables->bytes = bytes;
	err = elf_sections_begin(file, &tables->elf);
	if (err == -ENOEXEC || err == -EIO)
		err = 0; /* no sections is no error */
	else if (!err)
		err = section_table_read(file, tables);
	for (i = 0; i < tables->tables_count; i++)
		dynamic |= tables->tables[i].dynamic;
	if (!dynamic && file->has_dynamic && !file->narrow && !tables->separate && tables->tables_count < 2) {
		int now = elf_dynamic_read(file, tables);

		err = now ? (err ? err : now) : 0;
	}
	return err;
}

void elf_tables_release(struct elf_tables *tables)
{
	size_t i;

	for (i = 0; i < sizeof(tables->owned) / sizeof(tables->owned[0]); i++)
		free(tables->owned[i]);
	for (i = 0; i < sizeof(tables->widened) / sizeof(tables->widened[0]); i++)
		free(tables->widened[i]);
	free(tables->sections);
	if (tables->elf)
		elf_end(tables->elf);
	memset(tables, 0, sizeof(*tables));
}

static bool has_symtab(const struct elf_sources *sources)
{
	size_t s, t;

	for (s = 0; s < sources->count; s++) {
		for (t = 0; t < sources->tables[s].tables_count; t++) {
			if (!sources->tables[s].tables[t].dynamic)
				return true;
		}
	}
	return false;
}

static int source_read(const struct elf_file *file, struct elf_sources *sources, int err)
{
	uint64_t bytes = sources->count ? sources->tables[sources->count - 1].bytes : 0;
	int now = elf_tables_read(file, &sources->tables[sources->count], bytes);

	sources->count++;
	return err ? err : now;
}

int elf_sources_read(const struct elf_file *file, struct elf_sources *sources)
{
	size_t i, found = 0;
	int err;

	memset(sources, 0, sizeof(*sources));
	err = source_read(file, sources, 0);
	if (file->debug && file->debug->fd >= 0)
		err = source_read(file->debug, sources, err);
	if (!has_symtab(sources) && !debugfile_mini(file, &sources->mini))
		err = source_read(sources->mini, sources, err);
	for (i = 0; i < sources->count; i++)
		found += sources->tables[i].tables_count;
	return found ? 0 : err;
}

void elf_sources_release(struct elf_sources *sources)
{
	size_t i;

	for (i = 0; i < sources->count; i++)
		elf_tables_release(&sources->tables[i]);
	elffile_free(sources->mini);
}
