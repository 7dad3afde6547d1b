// SPDX-License-Identifier: Apache-2.0
/*
 * Dynamic symbols without sections: a loaded file must have them, whatever was stripped. The
 * dynamic section does not say how many there are; the hash tables do, each in its way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "elfparts.h"

#define ENTRIES_MAX 4096 /* of PT_DYNAMIC */
#define CHAIN_READ  1024 /* GNU hash values read at once */

struct dynamic {
	uint64_t symbols, strings, strings_bytes, symbol_bytes;
	uint64_t hash, gnu_hash, versions;
};

static int dynamic_parse(const struct elf_file *file, struct dynamic *out)
{
	size_t i, count = file->dynamic_bytes / sizeof(Elf64_Dyn);
	__cleanup(freep) Elf64_Dyn *entries = NULL;
	int err;

	if (count > ENTRIES_MAX)
		count = ENTRIES_MAX;
	entries = calloc(count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	err = elffile_read(file, file->dynamic_vaddr, entries, count * sizeof(*entries));
	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	for (i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
		uint64_t value = entries[i].d_un.d_val;

		switch (entries[i].d_tag) {
		case DT_SYMTAB: out->symbols = value; break;
		case DT_STRTAB: out->strings = value; break;
		case DT_STRSZ: out->strings_bytes = value; break;
		case DT_SYMENT: out->symbol_bytes = value; break;
		case DT_HASH: out->hash = value; break;
		case DT_GNU_HASH: out->gnu_hash = value; break;
		case DT_VERSYM: out->versions = value; break;
		}
	}
	if (!out->symbols || !out->strings || out->symbol_bytes != sizeof(Elf64_Sym))
		return -ENOEXEC;
	return 0;
}

/* The last symbol of the chain that holds @symbol: its hash value has bit 0 set. */
static int gnu_chain_end(const struct elf_file *file, uint64_t chains, uint64_t first,
			 uint64_t symbol, uint64_t *last)
{
	uint32_t values[CHAIN_READ];

	while (symbol < ELF_SYMBOLS_MAX) {
		uint64_t at = chains + (symbol - first) * sizeof(values[0]);
		size_t i, bytes = sizeof(values);

		/* The table may end anywhere before the end of its segment. */
		while (bytes && elffile_read(file, at, values, bytes))
			bytes = bytes / 2 & ~(sizeof(values[0]) - 1);
		if (!bytes)
			return -EFAULT;
		for (i = 0; i < bytes / sizeof(values[0]); i++, symbol++) {
			if (values[i] & 1) {
				*last = symbol;
				return 0;
			}
		}
	}
	return -EFBIG;
}

static int gnu_count(const struct elf_file *file, uint64_t hash, size_t *count)
{
	struct { uint32_t buckets, first, bloom_words, bloom_shift; } header;
	__cleanup(freep) uint32_t *buckets = NULL;
	uint64_t at, last = 0;
	uint32_t i;
	int err = elffile_read(file, hash, &header, sizeof(header));

	if (err)
		return err;
	if (header.buckets > ELF_SYMBOLS_MAX)
		return -EFBIG;
	buckets = calloc((size_t)header.buckets + 1, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	at = hash + sizeof(header) + header.bloom_words * sizeof(uint64_t);
	err = elffile_read(file, at, buckets, header.buckets * sizeof(*buckets));
	if (err)
		return err;
	for (i = 0; i < header.buckets; i++) {
		if (buckets[i] > last)
			last = buckets[i];
	}
	*count = 0;
	if (!last || last < header.first)
		return 0;
	at += header.buckets * sizeof(*buckets);
	err = gnu_chain_end(file, at, header.first, last, &last);
	if (!err)
		*count = last + 1;
	return err;
}

static int symbol_count(const struct elf_file *file, const struct dynamic *dynamic, size_t *count)
{
	uint32_t header[2]; /* buckets, chains: one chain per symbol */
	int err;

	if (dynamic->gnu_hash)
		return gnu_count(file, dynamic->gnu_hash, count);
	if (!dynamic->hash)
		return -ENOEXEC;
	err = elffile_read(file, dynamic->hash, header, sizeof(header));
	if (err)
		return err;
	if (header[1] > ELF_SYMBOLS_MAX)
		return -EFBIG;
	*count = header[1];
	return 0;
}

/* @bytes at @vaddr, owned by @tables. NULL: too large, not there, no memory. */
static void *part_read(const struct elf_file *file, struct elf_tables *tables, size_t slot,
		       uint64_t vaddr, uint64_t bytes)
{
	uint64_t offset;
	void *part;

	/* Before memory is taken for it: so large a part must fit into the file. */
	if (!elffile_offset(file, vaddr, &offset) || offset > file->size ||
	    bytes > file->size - offset || bytes > ELFFILE_SYMBOL_BYTES_MAX - tables->bytes)
		return NULL;
	part = malloc(bytes + 1);
	if (!part || elffile_read(file, vaddr, part, bytes)) {
		free(part);
		return NULL;
	}
	tables->bytes += bytes;
	tables->owned[slot] = part;
	return part;
}

int elf_dynamic_read(const struct elf_file *file, struct elf_tables *tables)
{
	struct elf_table *table = &tables->tables[tables->tables_count];
	struct dynamic dynamic;
	size_t count = 0;
	int err;

	err = dynamic_parse(file, &dynamic);
	if (!err)
		err = symbol_count(file, &dynamic, &count);
	if (err)
		return err;
	table->symbols = part_read(file, tables, 0, dynamic.symbols, count * sizeof(Elf64_Sym));
	table->strings = part_read(file, tables, 1, dynamic.strings, dynamic.strings_bytes);
	if (!table->symbols || !table->strings)
		return -ENOEXEC;
	table->versions = NULL;
	if (dynamic.versions)
		table->versions = part_read(file, tables, 2, dynamic.versions,
					    count * sizeof(uint16_t));
	table->count = count;
	table->strings_bytes = dynamic.strings_bytes;
	table->dynamic = true;
	tables->tables_count++;
	return 0;
}
