// SPDX-License-Identifier: Apache-2.0
/*
 * Stubs of the procedure linkage table: small pieces of code without symbols, each of which jumps to
 * the address in its slot of the global offset table. Which function that is says the relocation of the
 * slot. Linkers differ in the order of stubs, so the jump itself is decoded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "elfparts.h"

#define PLT_BYTES_MAX (4u << 20) /* of one section; libclang's has 0.1 MB */
#define RELOCS_MAX    (4u << 20) /* rows looked at of one table */
#define RELOCS_READ   1024       /* rows read at once */
#define STUBS_MAX     (1u << 18)
#define NAME_BYTES    8192       /* of one name, more than demangle() takes */
#define NAMES_BYTES   (64u << 20)

#define X86_STUB_BYTES  16
#define ARM_STUB_BYTES  24       /* with a landing pad; 16 without */
#define ARM_BTI_C       0xd503245fu

struct stub {
	uint64_t vaddr, bytes;
	uint64_t slot;       /* address of its slot */
	const char *name;    /* not terminated */
	size_t length;
};

struct stubs {
	struct stub *rows;
	size_t count, cap;
	size_t name_bytes;
};

static int stub_add(struct stubs *stubs, uint64_t vaddr, uint64_t bytes, uint64_t slot)
{
	if (stubs->count == STUBS_MAX)
		return 0;
	if (stubs->count == stubs->cap) {
		size_t cap = stubs->cap ? 2 * stubs->cap : 64;
		struct stub *rows = reallocarray(stubs->rows, cap, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		stubs->rows = rows;
		stubs->cap = cap;
	}
	stubs->rows[stubs->count++] = (struct stub){ .vaddr = vaddr, .bytes = bytes, .slot = slot };
	return 0;
}

/* jmp *slot(%rip), maybe with endbr64 and a bnd prefix before it. */
static int x86_stubs(struct stubs *stubs, const uint8_t *code, size_t bytes, uint64_t vaddr, uint64_t each)
{
	uint64_t size = each == 8 ? 8 : X86_STUB_BYTES;
	int32_t distance;
	size_t at, i;

	for (at = 0; at + size <= bytes; at += size) {
		for (i = at; i + 6 <= at + size && (code[i] != 0xff || code[i + 1] != 0x25); i++)
			;
		if (i + 6 > at + size)
			continue;
		memcpy(&distance, code + i + 2, sizeof(distance));
		if (stub_add(stubs, vaddr + at, size, vaddr + i + 6 + (uint64_t)(int64_t)distance))
			return -ENOMEM;
	}
	return 0;
}

/* adrp x16, page; ldr x17, [x16, #offset] */
static int arm_stubs(struct stubs *stubs, const uint8_t *code, size_t bytes, uint64_t vaddr)
{
	uint32_t before = 0, now, next;
	size_t at, first = stubs->count;

	for (at = 0; at + 8 <= bytes; at += 4, before = now) {
		uint64_t start, page;

		memcpy(&now, code + at, sizeof(now));
		memcpy(&next, code + at + 4, sizeof(next));
		if ((now & 0x9f00001f) != 0x90000010 || (next & 0xffc003ff) != 0xf9400211)
			continue;
		page = (uint64_t)(now >> 5 & 0x7ffff) << 14 | (uint64_t)(now >> 29 & 3) << 12;
		page = (page ^ 1ull << 32) - (1ull << 32); /* signed, of 33 bits */
		page += (vaddr + at) & ~0xfffull;
		start = vaddr + at - (before == ARM_BTI_C ? 4 : 0);
		if (stubs->count > first && start - stubs->rows[stubs->count - 1].vaddr < ARM_STUB_BYTES)
			stubs->rows[stubs->count - 1].bytes = start - stubs->rows[stubs->count - 1].vaddr;
		if (stub_add(stubs, start, ARM_STUB_BYTES, page + (next >> 10 & 0xfff) * 8))
			return -ENOMEM;
	}
	return 0;
}

static int section_stubs(struct stubs *stubs, const struct elf_file *file, const struct elf_named *section)
{
	__cleanup(freep) void *code = NULL;
	size_t bytes;
	int err;

	if (!section->found || section->header.sh_flags & SHF_COMPRESSED)
		return 0;
	err = elf_section_read(file, &section->header, PLT_BYTES_MAX, &code, &bytes);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (file->machine == EM_X86_64)
		return x86_stubs(stubs, code, bytes, section->header.sh_addr, section->header.sh_entsize);
	if (file->machine == EM_AARCH64)
		return arm_stubs(stubs, code, bytes, section->header.sh_addr);
	return 0;
}

static int slots_compare(const void *left, const void *right)
{
	const struct stub *a = left, *b = right;

	return (a->slot > b->slot) - (a->slot < b->slot);
}

static int stubs_compare(const void *left, const void *right)
{
	const struct stub *a = left, *b = right;

	return (a->vaddr > b->vaddr) - (a->vaddr < b->vaddr);
}

/* The symbol that @reloc stands for is what the stubs of its slot call; a slot may have several. */
static void reloc_apply(struct stubs *stubs, const Elf64_Rela *reloc, const struct elf_table *symbols)
{
	size_t low = 0, high = stubs->count, index = ELF64_R_SYM(reloc->r_info), left;
	const char *name, *end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (stubs->rows[middle].slot < reloc->r_offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == stubs->count || stubs->rows[low].slot != reloc->r_offset || stubs->rows[low].name ||
	    index >= symbols->count || symbols->symbols[index].st_name >= symbols->strings_bytes)
		return;
	name = symbols->strings + symbols->symbols[index].st_name;
	left = symbols->strings_bytes - symbols->symbols[index].st_name;
	end = memchr(name, '\0', left < NAME_BYTES ? left : NAME_BYTES);
	if (!end || end == name || stubs->name_bytes > NAMES_BYTES)
		return;
	for (; low < stubs->count && stubs->rows[low].slot == reloc->r_offset; low++) {
		stubs->rows[low].name = name;
		stubs->rows[low].length = (size_t)(end - name);
		stubs->name_bytes += (size_t)(end - name);
	}
}

static void relocs_apply(struct stubs *stubs, const struct elf_file *file, const struct elf_named *section,
			 const struct elf_table *symbols)
{
	Elf64_Rela rows[RELOCS_READ];
	uint64_t at, count = section->header.sh_size / sizeof(rows[0]);
	size_t i, have;

	if (!section->found || section->header.sh_flags & SHF_COMPRESSED || section->header.sh_type != SHT_RELA)
		return;
	if (count > RELOCS_MAX)
		count = RELOCS_MAX;
	for (at = 0; at < count; at += have) {
		have = count - at < RELOCS_READ ? count - at : RELOCS_READ;
		if (elf_pread(file, section->header.sh_offset + at * sizeof(rows[0]), rows, have * sizeof(rows[0])))
			return;
		for (i = 0; i < have; i++) {
			if (ELF64_R_SYM(rows[i].r_info))
				reloc_apply(stubs, &rows[i], symbols);
		}
	}
}

static int stubs_store(struct elf_file *file, const struct stubs *stubs)
{
	size_t i, bytes = 0;
	char *to;

	for (i = 0; i < stubs->count; i++)
		bytes += stubs->rows[i].name ? stubs->rows[i].length + 1 : 0;
	file->stubs = calloc(stubs->count + 1, sizeof(*file->stubs));
	file->stub_names = to = malloc(bytes + 1);
	if (!file->stubs || !to)
		return -ENOMEM;
	for (i = 0; i < stubs->count; i++) {
		const struct stub *row = &stubs->rows[i];

		if (!row->name)
			continue;
		file->stubs[file->stubs_count++] = (struct elf_symbol){
			.vaddr = row->vaddr, .size = row->bytes, .name = to,
		};
		memcpy(to, row->name, row->length);
		to[row->length] = '\0';
		to += row->length + 1;
	}
	return 0;
}

int elf_stubs_read(struct elf_file *file, const struct elf_tables *tables)
{
	struct elf_named sections[] = {
		{ .name = ".plt" }, { .name = ".plt.sec" }, { .name = ".plt.got" },
		{ .name = ".rela.plt" }, { .name = ".rela.dyn" },
	};
	const struct elf_table *symbols = NULL;
	struct stubs stubs = { 0 };
	size_t i;
	int err = 0;

	for (i = 0; i < tables->tables_count; i++) {
		if (tables->tables[i].dynamic)
			symbols = &tables->tables[i];
	}
	if (!symbols || file->narrow || elf_sections_named(file, sections, sizeof(sections) / sizeof(sections[0])))
		return 0;
	for (i = 0; i < 3 && !err; i++)
		err = section_stubs(&stubs, file, &sections[i]);
	if (!err && stubs.count) {
		qsort(stubs.rows, stubs.count, sizeof(stubs.rows[0]), slots_compare);
		relocs_apply(&stubs, file, &sections[3], symbols);
		if (sections[2].found) /* these slots are not .rela.plt's */
			relocs_apply(&stubs, file, &sections[4], symbols);
		qsort(stubs.rows, stubs.count, sizeof(stubs.rows[0]), stubs_compare);
		err = stubs_store(file, &stubs);
	}
	free(stubs.rows);
	return err;
}

const struct elf_symbol *elffile_stub(const struct elf_file *file, uint64_t vaddr)
{
	size_t low = 0, high = file->stubs_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->stubs[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || vaddr - file->stubs[low - 1].vaddr >= file->stubs[low - 1].size)
		return NULL;
	return &file->stubs[low - 1];
}
