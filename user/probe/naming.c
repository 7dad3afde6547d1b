// SPDX-License-Identifier: Apache-2.0
/* From the words of a stack to frames with names. */
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../model/unwinding.h"
#include "../symbol/lines.h"
#include "target_private.h"

/* Frames of one stack at the most: each may have others inlined into it. */
#define FRAMES_ROOM (HB_FRAMES_LIMIT * 4 + LINES_INLINED_MAX)

struct kept_stack *naming_stack(struct target *target, uint64_t key)
{
	__cleanup(freep) struct hb_stack *stack = NULL;
	struct kept_stack *kept;

	HASH_FIND(hh, target->stacks, &key, sizeof(key), kept);
	if (kept)
		return kept;
	stack = malloc(sizeof(*stack));
	if (!stack || session_stack(target->session, key, stack))
		return NULL;
	kept = malloc(sizeof(*kept) + stack->count * sizeof(kept->frames[0]));
	if (!kept)
		return NULL;
	kept->key = key;
	kept->count = stack->count;
	kept->end = stack->end;
	kept->gen = stack->gen;
	kept->alike = 0;
	kept->allocates = ANSWER_UNKNOWN;
	memcpy(kept->frames, stack->frames, stack->count * sizeof(kept->frames[0]));
	HASH_ADD(hh, target->stacks, key, sizeof(kept->key), kept);
	return kept;
}

void naming_release(struct target *target)
{
	while (target->frames) {
		struct frame_block *block = target->frames;

		target->frames = block->next;
		free(block);
	}
}

/* One word of a stack, and what is known of the place. */
struct place {
	uint64_t word;
	uint64_t address; /* 0: not known */
	uint64_t offset;  /* in the file */
	struct elf_file *file;
	const char *path; /* "" in no file */
	bool exact;
	bool known;       /* it lies in a mapping, or in a file */
};

/* What the process calls @file. */
static const char *path_of(const struct process *process, const struct module *module)
{
	for (size_t i = 0; i < process->now.map.count; i++) {
		if (process->now.map.entries[i].file == module->file)
			return process->now.map.entries[i].path;
	}
	return module->path ? module->path : "";
}

static void place_object(struct target *target, const struct process *process, struct place *place)
{
	const uint32_t object = HB_FRAME_OBJECT_ID(place->word);
	const struct module *module;

	place->offset = HB_FRAME_OFFSET(place->word);
	if (object == HB_OBJECT_VDSO) {
		place->path = "[vdso]";
		place->known = !symcache_vdso(target->symbols, &place->file);
		return;
	}
	module = modules_by_object(target->modules, object);
	if (!module)
		return;
	place->file = module->file;
	place->path = path_of(process, module);
	place->known = true;
}

static void place_address(const struct process *process, struct place *place)
{
	const struct addrmap_entry *entry;

	place->address = place->word & ~HB_FRAME_EXACT;
	/* The call ends before its return address, which may lie behind the mapping. */
	entry = addrmap_find(&process->now.map, place->address - !place->exact);
	if (!entry)
		return;
	place->known = true;
	place->offset = entry->offset + (place->address - entry->start);
	place->file = entry->file;
	if (addrmap_has_module(entry))
		place->path = entry->path;
}

static struct place place_of(struct target *target, const struct process *process, uint64_t word)
{
	struct place place = { .word = word, .path = "", .exact = !!(word & HB_FRAME_EXACT) };

	if (HB_FRAME_KIND(word) == HB_FRAME_OBJECT)
		place_object(target, process, &place);
	else
		place_address(process, &place);
	return place;
}

/* @text, kept as long as the target. NULL if memory is short. */
static const char *keep_text(struct target *target, const char *text)
{
	struct kept_text *kept;
	size_t length = strlen(text);

	HASH_FIND(hh, target->texts, text, length, kept);
	if (kept)
		return kept->text;
	kept = malloc(sizeof(*kept) + length + 1);
	if (!kept)
		return NULL;
	memcpy(kept->text, text, length + 1);
	HASH_ADD_KEYPTR(hh, target->texts, kept->text, length, kept);
	return kept->text;
}

/* Fill at least one and at most @cap frames of @frames. */
static size_t name_place(struct target *target, struct process *process, const struct place *place,
			 struct frame *frames, size_t cap)
{
	size_t n = 1;

	memset(frames, 0, sizeof(*frames));
	frames->exact = place->exact;
	if (*place->path) {
		n = symcache_frames(target->symbols, place->file, place->path, place->offset, place->exact, frames,
				    cap);
	} else if (place->address) {
		const char *name = jit_find(process->jit, process->pid, place->address - !place->exact);

		if (name) {
			frames->function = keep_text(target, name);
			frames->kind = FRAME_NATIVE;
			frames->module = "[jit]";
			frames->offset = place->address;
		}
	}
	for (size_t i = 0; i < n; i++) {
		frames[i].address = place->address;
		frames[i].exact = place->exact;
	}
	return n;
}

/* How many of the innermost frames lie inside the allocator that was called; not all of them. */
static size_t allocator_frames(struct target *target, const struct process *process, const struct kept_stack *kept)
{
	size_t n = 0;

	while (n < kept->count) {
		const struct place place = place_of(target, process, kept->frames[n]);

		if (!place.file || !modules_only_allocates(target->modules, place.file))
			break;
		n++;
	}
	return n < kept->count ? n : 0;
}

bool naming_allocates(struct target *target, const struct process *process, struct kept_stack *kept)
{
	if (kept->allocates == ANSWER_UNKNOWN) {
		kept->allocates = ANSWER_NO;
		for (size_t i = 0; i < kept->count && kept->allocates == ANSWER_NO; i++) {
			const struct place place = place_of(target, process, kept->frames[i]);

			if (place.file &&
			    modules_allocates_at(target->modules, place.file, place.offset - !place.exact))
				kept->allocates = ANSWER_YES;
		}
	}
	return kept->allocates == ANSWER_YES;
}

/* The function that @place is in, as a number; else the place itself. */
static uint64_t function_of(struct target *target, const struct process *process, uint64_t word)
{
	const struct place place = place_of(target, process, word);
	const struct elf_symbol *symbol = NULL;
	uint64_t vaddr;

	if (place.file && !elffile_index(place.file) && elffile_vaddr(place.file, place.offset, &vaddr))
		symbol = elffile_function(place.file, vaddr);
	return symbol ? symbol->vaddr : word;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t alike_hash(struct target *target, const struct process *process, const struct kept_stack *kept)
{
	uint64_t hash = mix(mix(0, kept->gen), function_of(target, process, kept->frames[0]));

	for (uint32_t i = 1; i < kept->count; i++)
		hash = mix(hash, kept->frames[i]);
	return mix(hash, kept->end);
}

uint64_t naming_alike(struct target *target, uint32_t gen, uint64_t stack)
{
	const struct process *process = target_process(target, gen);
	struct kept_stack *kept = naming_stack(target, stack);
	struct alike *alike;
	uint64_t hash;

	if (!kept || !kept->count || !process)
		return stack;
	if (kept->alike)
		return kept->alike;
	hash = alike_hash(target, process, kept);
	HASH_FIND(hh, target->alikes, &hash, sizeof(hash), alike);
	if (!alike) {
		alike = calloc(1, sizeof(*alike));
		if (!alike)
			return stack;
		*alike = (struct alike){ .hash = hash, .stack = stack, .gen = kept->gen };
		HASH_ADD(hh, target->alikes, hash, sizeof(alike->hash), alike);
	}
	kept->alike = alike->stack;
	return kept->alike;
}

void naming_forget(struct target *target, uint32_t gen)
{
	struct kept_stack *kept, *next;
	struct alike *alike, *next_alike;

	HASH_ITER(hh, target->stacks, kept, next) {
		if (kept->gen == gen) {
			HASH_DEL(target->stacks, kept);
			free(kept);
		}
	}
	HASH_ITER(hh, target->alikes, alike, next_alike) {
		if (alike->gen == gen) {
			HASH_DEL(target->alikes, alike);
			free(alike);
		}
	}
}

/* Why the walk went no further, on its last frame. */
static void say_end(struct target *target, const struct kept_stack *kept, struct frame *last)
{
	char text[512];

	if (kept->end == HB_END_COMPLETE || kept->end == HB_END_POINTERS)
		return;
	unwinding_sentence(kept->end, last->module, text, sizeof(text));
	last->stopped = keep_text(target, text);
}

static size_t name_stack(struct target *target, struct process *process, const struct kept_stack *kept,
			 struct frame *frames)
{
	size_t at = allocator_frames(target, process, kept), n = 0;

	for (; at < kept->count && n < FRAMES_ROOM; at++) {
		const struct place place = place_of(target, process, kept->frames[at]);

		/* Garbage from a register that held no frame pointer. */
		if (!place.known && n && kept->end == HB_END_POINTERS)
			break;
		n += name_place(target, process, &place, frames + n, FRAMES_ROOM - n);
	}
	if (n)
		say_end(target, kept, &frames[n - 1]);
	return n;
}

static size_t name_frames(void *ctx, uint32_t gen, uint64_t stack, const struct frame **frames)
{
	struct target *target = ctx;
	struct process *process = target_process(target, gen);
	const struct kept_stack *kept = naming_stack(target, stack);
	struct frame_block *block;
	size_t count;

	*frames = NULL;
	if (!target->room)
		target->room = calloc(FRAMES_ROOM, sizeof(*target->room));
	if (!kept || !kept->count || !process || !target->room)
		return 0;
	count = name_stack(target, process, kept, target->room);
	block = malloc(sizeof(*block) + count * sizeof(block->frames[0]));
	if (!block)
		return 0;
	memcpy(block->frames, target->room, count * sizeof(block->frames[0]));
	block->next = target->frames;
	target->frames = block;
	*frames = block->frames;
	return count;
}

static const char *name_container(void *ctx, uint32_t gen)
{
	const struct process *process = target_process(ctx, gen);

	if (!process)
		return NULL;
	return process->container ? process->container->id : process->cgroup;
}

bool target_names_wait(struct target *target, unsigned int timeout_ms)
{
	if (target->fetches)
		symcache_fetches_wait(target->symbols, timeout_ms);
	return target->fetches;
}

struct board_names target_names(struct target *target)
{
	return (struct board_names){ .ctx = target, .frames = name_frames, .container = name_container };
}
