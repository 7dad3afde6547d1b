// SPDX-License-Identifier: Apache-2.0
/* Relocations: what the dynamic linker writes into the file's data before it runs. */
#include "allocator_image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"

#define ROWS_AT_ONCE 2048
#define RELOCS_MAX   (16u << 20) /* rows of one table; the largest libraries have a million */
#define SLOTS_MAX    (1u << 20)

struct machine_relocs {
	uint16_t machine;
	uint32_t relative, glob_dat, jump_slot;
};

static const struct machine_relocs machines[] = {
	{ EM_X86_64, R_X86_64_RELATIVE, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT },
	{ EM_AARCH64, R_AARCH64_RELATIVE, R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT },
};

static const struct machine_relocs *relocs_of(const struct image *image)
{
	size_t i;

	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].machine == image->file->machine)
			return &machines[i];
	}
	return NULL;
}

/* Visit the rows of a RELA table; what lies outside the file ends it. */
static int relocs_visit(const struct image *image, const struct image_table *table,
			int (*visit)(void *, const Elf64_Rela *), void *arg)
{
	__cleanup(freep) Elf64_Rela *rows = malloc(ROWS_AT_ONCE * sizeof(*rows));
	uint64_t done = 0, count = table->bytes / sizeof(*rows);

	if (!rows)
		return -ENOMEM;
	if (count > RELOCS_MAX)
		count = RELOCS_MAX;
	while (done < count) {
		size_t i, now = count - done < ROWS_AT_ONCE ? count - done : ROWS_AT_ONCE;

		if (elffile_read(image->file, table->vaddr + done * sizeof(*rows), rows,
				 now * sizeof(*rows)))
			return 0;
		for (i = 0; i < now; i++) {
			int found = visit(arg, &rows[i]);

			if (found)
				return found;
		}
		done += now;
	}
	return 0;
}

struct slots_load {
	struct image *image;
	const struct machine_relocs *types;
	size_t room;
};

static int slot_load(void *arg, const Elf64_Rela *reloc)
{
	struct slots_load *load = arg;
	struct image *image = load->image;
	uint32_t type = ELF64_R_TYPE(reloc->r_info);

	if (type != load->types->glob_dat && type != load->types->jump_slot)
		return 0;
	if (image->slots_count == SLOTS_MAX)
		return 1;
	if (image->slots_count == load->room) {
		size_t room = load->room ? 2 * load->room : 256;
		struct image_reloc *grown = reallocarray(image->slots, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		image->slots = grown;
		load->room = room;
	}
	image->slots[image->slots_count++] = (struct image_reloc){
		reloc->r_offset, ELF64_R_SYM(reloc->r_info),
	};
	return 0;
}

static int slot_compare(const void *left, const void *right)
{
	const struct image_reloc *a = left, *b = right;

	return (a->vaddr > b->vaddr) - (a->vaddr < b->vaddr);
}

int image_load_slots(struct image *image)
{
	struct slots_load load = { image, relocs_of(image), 0 };
	int err;

	if (image->slots || !load.types)
		return 0;
	err = relocs_visit(image, &image->jump_relocs, slot_load, &load);
	if (!err)
		err = relocs_visit(image, &image->relocs, slot_load, &load);
	if (image->slots_count)
		qsort(image->slots, image->slots_count, sizeof(*image->slots), slot_compare);
	return err < 0 ? err : 0;
}

bool image_slot(const struct image *image, uint64_t slot_vaddr, struct image_slot *out)
{
	struct image_reloc wanted = { slot_vaddr, 0 }, *found;

	memset(out, 0, sizeof(*out));
	if (!image->slots_count)
		return false;
	found = bsearch(&wanted, image->slots, image->slots_count, sizeof(*found), slot_compare);
	return found && image_symbol(image, found->symbol, out);
}

struct pointer_visit {
	uint32_t relative;
	int (*visit)(void *, uint64_t, uint64_t);
	void *arg;
};

static int pointer_visit(void *arg, const Elf64_Rela *reloc)
{
	const struct pointer_visit *to = arg;

	if (ELF64_R_TYPE(reloc->r_info) != to->relative)
		return 0;
	return to->visit(to->arg, reloc->r_offset, (uint64_t)reloc->r_addend);
}

/* With DT_RELR the word in the file is itself the addend. */
static int packed_visit(const struct image *image, uint64_t where, const struct pointer_visit *to)
{
	uint64_t value;

	if (elffile_read(image->file, where, &value, sizeof(value)))
		return 0;
	return to->visit(to->arg, where, value);
}

/* An even word is an address; an odd one has a bit for each of the 63 words that follow. */
static int packed_relocs_visit(const struct image *image, const struct pointer_visit *to)
{
	uint64_t i, word, next = 0, count = image->packed_relocs.bytes / sizeof(word);
	int found = 0, bit;

	for (i = 0; i < count && i < RELOCS_MAX / 64 && !found; i++) {
		if (elffile_read(image->file, image->packed_relocs.vaddr + i * sizeof(word), &word,
				 sizeof(word)))
			return 0;
		if (!(word & 1)) {
			found = packed_visit(image, word, to);
			next = word + sizeof(word);
			continue;
		}
		for (bit = 1; bit < 64 && !found; bit++) {
			if (word >> bit & 1)
				found = packed_visit(image, next + (bit - 1) * sizeof(word), to);
		}
		next += 63 * sizeof(word);
	}
	return found;
}

int image_pointers(const struct image *image, int (*visit)(void *, uint64_t, uint64_t), void *arg)
{
	const struct machine_relocs *types = relocs_of(image);
	struct pointer_visit to = { 0, visit, arg };
	int found;

	if (!types)
		return 0;
	to.relative = types->relative;
	found = relocs_visit(image, &image->relocs, pointer_visit, &to);
	return found ? found : packed_relocs_visit(image, &to);
}
