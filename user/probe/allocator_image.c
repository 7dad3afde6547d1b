// SPDX-License-Identifier: Apache-2.0
#include "allocator_image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"

#define DYNAMIC_MAX   4096 /* entries looked at; a linked file has some dozens */
#define HEADERS_MAX   4096
#define SYMBOLS_MAX   (1u << 20) /* dynamic ones */
#define CHUNK         (64u << 10)
#define RESOLVERS_MAX 65536 /* with more the file is believed in nothing; glibc has a hundred */

/* Encodings of .eh_frame_hdr, LSB 5.0 Core, 10.5.1: the only ones linkers write. */
#define EH_PCREL_SDATA4   0x1b
#define EH_UDATA4         0x03
#define EH_DATAREL_SDATA4 0x3b

struct eh_frame_hdr {
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	int32_t frame;
	uint32_t count;
};
_Static_assert(sizeof(struct eh_frame_hdr) == 12, "as in the file");

struct eh_frame_row {
	int32_t start, descriptor; /* relative to .eh_frame_hdr */
};

static int file_pread(const struct elf_file *file, uint64_t offset, void *buf, size_t bytes)
{
	if (offset > file->size || bytes > file->size - offset)
		return -EIO;
	return pread(file->fd, buf, bytes, (off_t)offset) == (ssize_t)bytes ? 0 : -EIO;
}

int image_string(const struct elf_file *file, uint64_t vaddr, char *text, size_t size)
{
	size_t length = 0;

	/* Byte by byte only near the end of a segment, where a longer read fails. */
	if (elffile_read(file, vaddr, text, size)) {
		while (length < size && !elffile_read(file, vaddr + length, &text[length], 1) &&
		       text[length])
			length++;
		if (!length || length == size)
			return -EFAULT;
		text[length] = '\0';
	}
	text[size - 1] = '\0';
	return (int)strlen(text);
}

static int symbol_read(const struct image *image, uint64_t index, Elf64_Sym *symbol)
{
	if (!image->symtab || index >= SYMBOLS_MAX)
		return -EFAULT;
	return elffile_read(image->file, image->symtab + index * sizeof(*symbol), symbol,
			    sizeof(*symbol));
}

static bool symbol_name(const struct image *image, const Elf64_Sym *symbol, char *name, size_t size)
{
	return symbol->st_name < image->strings.bytes &&
	       image_string(image->file, image->strings.vaddr + symbol->st_name, name, size) >= 0;
}

bool image_symbol(const struct image *image, uint64_t index, struct image_slot *out)
{
	Elf64_Sym symbol;

	memset(out, 0, sizeof(*out));
	if (symbol_read(image, index, &symbol) ||
	    !symbol_name(image, &symbol, out->name, sizeof(out->name)))
		return false;
	if (symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) != STT_GNU_IFUNC)
		out->vaddr = symbol.st_value;
	return true;
}

/* The hash tables tell only of what is defined; the strings follow the symbols in all linkers. */
static uint64_t symbols_count(const struct image *image, uint64_t hash)
{
	uint32_t header[2]; /* buckets, chains: one chain per symbol */
	uint64_t count = 0;

	if (hash && !elffile_read(image->file, hash, header, sizeof(header)))
		count = header[1];
	else if (image->strings.vaddr > image->symtab)
		count = (image->strings.vaddr - image->symtab) / sizeof(Elf64_Sym);
	return count < SYMBOLS_MAX ? count : SYMBOLS_MAX;
}

static void dynamic_entry(struct image *image, const Elf64_Dyn *entry, uint64_t *hash,
			  uint64_t *soname)
{
	uint64_t value = entry->d_un.d_val;

	switch (entry->d_tag) {
	case DT_SYMTAB: image->symtab = value; break;
	case DT_STRTAB: image->strings.vaddr = value; break;
	case DT_STRSZ: image->strings.bytes = value; break;
	case DT_JMPREL: image->jump_relocs.vaddr = value; break;
	case DT_PLTRELSZ: image->jump_relocs.bytes = value; break;
	case DT_RELA: image->relocs.vaddr = value; break;
	case DT_RELASZ: image->relocs.bytes = value; break;
	case DT_RELR: image->packed_relocs.vaddr = value; break;
	case DT_RELRSZ: image->packed_relocs.bytes = value; break;
	case DT_FLAGS_1: image->flags_1 = value; break;
	case DT_HASH: *hash = value; break;
	case DT_SONAME: *soname = value; break;
	}
}

static void dynamic_read(struct image *image)
{
	const struct elf_file *file = image->file;
	uint64_t i, count = file->dynamic_bytes / sizeof(Elf64_Dyn), hash = 0, soname = UINT64_MAX;
	Elf64_Dyn entry;

	for (i = 0; file->has_dynamic && i < count && i < DYNAMIC_MAX; i++) {
		if (elffile_read(file, file->dynamic_vaddr + i * sizeof(entry), &entry,
				 sizeof(entry)) || entry.d_tag == DT_NULL)
			break;
		dynamic_entry(image, &entry, &hash, &soname);
	}
	if (image->symtab)
		image->symbols_count = symbols_count(image, hash);
	if (soname < image->strings.bytes &&
	    image_string(file, image->strings.vaddr + soname, image->soname,
			 sizeof(image->soname)) < 0)
		image->soname[0] = '\0';
}

static void frame_table_read(struct image *image, uint64_t vaddr)
{
	struct eh_frame_hdr header;

	if (elffile_read(image->file, vaddr, &header, sizeof(header)) || header.version != 1 ||
	    header.frame_encoding != EH_PCREL_SDATA4 || header.count_encoding != EH_UDATA4 ||
	    header.table_encoding != EH_DATAREL_SDATA4)
		return;
	image->frame_base = vaddr;
	image->frame_starts = vaddr + sizeof(header);
	image->frame_count = header.count;
}

void image_init(struct image *image, const struct elf_file *file)
{
	Elf64_Phdr header;
	Elf64_Ehdr top;
	size_t i;

	*image = (struct image){ .file = file };
	if (file->fd < 0 || file_pread(file, 0, &top, sizeof(top)))
		return;
	dynamic_read(image);
	for (i = 0; i < top.e_phnum && i < HEADERS_MAX; i++) {
		if (file_pread(file, top.e_phoff + i * sizeof(header), &header, sizeof(header)))
			return;
		if (header.p_type == PT_GNU_EH_FRAME)
			frame_table_read(image, header.p_vaddr);
	}
}

void image_release(struct image *image)
{
	free(image->slots);
	image->slots = NULL;
	image->slots_count = 0;
}

bool image_imports(const struct image *image, const char *name)
{
	char other[64];
	Elf64_Sym symbol;
	uint64_t i;

	if (strlen(name) + 2 > sizeof(other))
		return false;
	for (i = 1; i < image->symbols_count && !symbol_read(image, i, &symbol); i++) {
		if (symbol.st_shndx == SHN_UNDEF && symbol.st_name &&
		    symbol_name(image, &symbol, other, strlen(name) + 2) && !strcmp(other, name))
			return true;
	}
	return false;
}

static bool frame_start(const struct image *image, uint64_t index, uint64_t *start)
{
	struct eh_frame_row row;

	if (elffile_read(image->file, image->frame_starts + index * sizeof(row), &row, sizeof(row)))
		return false;
	*start = image->frame_base + (uint64_t)(int64_t)row.start;
	return true;
}

/* How many functions of the unwind table start at or before @vaddr. */
static uint64_t frames_until(const struct image *image, uint64_t vaddr)
{
	uint64_t low = 0, high = image->frame_count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2, start;

		if (!frame_start(image, middle, &start))
			return 0;
		if (start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* How many symbols start at or before @vaddr. */
static size_t symbols_until(const struct elf_file *file, uint64_t vaddr)
{
	size_t low = 0, high = file->symbols_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->symbols[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool image_function_starts(const struct image *image, uint64_t vaddr)
{
	const struct elf_symbol *symbol = elffile_function(image->file, vaddr);
	uint64_t until, start;

	if (symbol && symbol->vaddr == vaddr && symbol->size) /* without: a label, maybe */
		return true;
	until = frames_until(image, vaddr);
	return until && frame_start(image, until - 1, &start) && start == vaddr;
}

static const struct elf_segment *text_around(const struct elf_file *file, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		if (segment->flags & PF_X && vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->filesz)
			return segment;
	}
	return NULL;
}

uint64_t image_function_before(const struct image *image, uint64_t vaddr)
{
	const struct elf_segment *text = text_around(image->file, vaddr);
	size_t symbols = symbols_until(image->file, vaddr);
	uint64_t found, start, until;

	if (!text)
		return 0;
	found = text->vaddr;
	while (symbols && !image->file->symbols[symbols - 1].size && image->file->symbols[symbols - 1].vaddr > found)
		symbols--;
	if (symbols && image->file->symbols[symbols - 1].vaddr > found)
		found = image->file->symbols[symbols - 1].vaddr;
	until = frames_until(image, vaddr);
	if (until && frame_start(image, until - 1, &start) && start > found && start <= vaddr)
		found = start;
	return found;
}

uint64_t image_function_after(const struct image *image, uint64_t vaddr)
{
	const struct elf_segment *text = text_around(image->file, vaddr);
	size_t symbols = symbols_until(image->file, vaddr);
	uint64_t found, start, until;

	if (!text)
		return vaddr;
	found = text->vaddr + text->filesz;
	if (symbols < image->file->symbols_count && image->file->symbols[symbols].vaddr < found)
		found = image->file->symbols[symbols].vaddr;
	until = frames_until(image, vaddr);
	if (until < image->frame_count && frame_start(image, until, &start) && start > vaddr && start < found)
		found = start;
	return found;
}

struct resolvers {
	uint64_t *vaddrs;
	size_t count, seen;
};

static void resolver_drop(struct resolvers *resolvers, const Elf64_Sym *symbol)
{
	size_t i;

	if (ELF64_ST_TYPE(symbol->st_info) != STT_GNU_IFUNC)
		return;
	if (resolvers->seen++ == RESOLVERS_MAX)
		memset(resolvers->vaddrs, 0, resolvers->count * sizeof(*resolvers->vaddrs));
	for (i = 0; resolvers->seen <= RESOLVERS_MAX && i < resolvers->count; i++) {
		if (resolvers->vaddrs[i] == symbol->st_value)
			resolvers->vaddrs[i] = 0;
	}
}

static void resolvers_drop_in(const struct image *image, const Elf64_Shdr *section,
			      struct resolvers *resolvers)
{
	__cleanup(freep) Elf64_Sym *rows = malloc(CHUNK);
	uint64_t done, left = section->sh_size / sizeof(*rows);

	for (done = 0; rows && left; ) {
		size_t i, now = left < CHUNK / sizeof(*rows) ? left : CHUNK / sizeof(*rows);

		if (file_pread(image->file, section->sh_offset + done * sizeof(*rows), rows,
			       now * sizeof(*rows)))
			return;
		for (i = 0; i < now; i++)
			resolver_drop(resolvers, &rows[i]);
		done += now;
		left -= now;
	}
}

void image_drop_resolvers(const struct image *image, uint64_t *vaddrs, size_t count)
{
	struct resolvers resolvers = { vaddrs, count, 0 };
	Elf64_Shdr section;
	Elf64_Sym symbol;
	Elf64_Ehdr top;
	uint64_t i;

	for (i = 1; i < image->symbols_count && !symbol_read(image, i, &symbol); i++)
		resolver_drop(&resolvers, &symbol);
	if (file_pread(image->file, 0, &top, sizeof(top)) || !top.e_shoff ||
	    top.e_shentsize != sizeof(section))
		return;
	for (i = 0; i < top.e_shnum; i++) {
		if (file_pread(image->file, top.e_shoff + i * sizeof(section), &section,
			       sizeof(section)))
			return;
		if (section.sh_type != SHT_SYMTAB)
			continue;
		if (section.sh_size <= ELFFILE_SYMBOL_BYTES_MAX)
			resolvers_drop_in(image, &section, &resolvers);
		return; /* a file has one; elffile_index() reads the first */
	}
}
