// SPDX-License-Identifier: Apache-2.0
#include "placement.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../base/cleanup.h"
#include "placement_decode.h"
#include "placement_proof.h"

#define CANDIDATES_MAX 12

struct machine {
	uint16_t machine; /* e_machine */
	bool (*step)(const uint8_t *bytes, size_t size, uint64_t vaddr, struct step *step);
};

static const struct machine machines[] = {
	{ EM_X86_64, x86_step },
	{ EM_AARCH64, arm64_step },
};

struct candidate {
	uint64_t vaddr;
	enum step_cost cost;
	bool past_null; /* calls with NULL do not come here */
	char text[STEP_TEXT];
};

/* The places of one function, the entry first. */
struct straight {
	struct candidate candidates[CANDIDATES_MAX];
	size_t count;
	const char *end; /* why there are no more */
};

/* What the probe reads, and what must be as it was for everything behind it. */
static uint32_t registers_needed(const struct call_shape *shape)
{
	uint32_t needed = STEP_WRITES_STACK | STEP_WRITES_FRAME;

	needed |= 1u << shape->size | 1u << shape->count | 1u << shape->ptr;
	if (shape->role == HB_ROLE_RESIZE)
		needed |= 1u << (shape->size + 1); /* the extra */
	return needed & ~1u;
}

static const char *written(uint32_t writes)
{
	if (writes & STEP_WRITES_STACK)
		return "the stack pointer moves";
	return writes & STEP_WRITES_FRAME ? "a register that unwinding needs is written" : "an argument is overwritten";
}

static void candidate_add(struct straight *straight, const struct step *step, uint64_t vaddr, bool nops_called,
			  bool past_null)
{
	struct candidate *candidate = &straight->candidates[straight->count++];

	candidate->vaddr = vaddr;
	candidate->cost = step->cost == STEP_CALLED && !nops_called ? STEP_STEPPED : step->cost;
	candidate->past_null = past_null;
	snprintf(candidate->text, sizeof(candidate->text), "%s", step->text);
}

/* Whether only a free of NULL leaves the line at @step. @tested: the argument that the flags are about. */
static bool leaves_with_null(const struct call_shape *shape, const struct step *step, uint8_t tested)
{
	uint8_t null = step->null_branch == STEP_NULL_FLAGS ? tested : step->null_branch;

	return null && shape->role == HB_ROLE_FREE && null == shape->ptr;
}

/* Go along the function's first instructions, of which @size bytes are @bytes, as long as they pass. */
static void straight_read(const struct machine *machine, const struct placement_request *request, bool nops_called,
			  const uint8_t *bytes, size_t size, struct straight *straight)
{
	uint32_t needed = registers_needed(request->shape);
	bool past_null = false;
	uint8_t tested = 0;
	struct step step;
	uint64_t at = 0;

	straight->count = 0;
	straight->end = "the code that is looked at ends";
	while (straight->count < CANDIDATES_MAX && at < size) {
		if (!machine->step(bytes + at, size - at, request->entry + at, &step)) {
			straight->end = "the code cannot be decoded";
			return;
		}
		if (at + step.length > size)
			return;
		candidate_add(straight, &step, request->entry + at, nops_called, past_null);
		if (leaves_with_null(request->shape, &step, tested)) {
			past_null = true;
		} else if (step.writes & needed) {
			straight->end = written(step.writes & needed);
			return;
		} else if (!step.passes) {
			straight->end = "it branches, calls or stores";
			return;
		}
		tested = step.null_test ? step.null_test : step.keeps_flags ? tested : 0;
		at += step.length;
	}
}

/* Whether @a is to be preferred. A free with NULL that is not even seen costs nothing. */
static bool better(const struct candidate *a, const struct candidate *b)
{
	if (a->cost != b->cost)
		return a->cost < b->cost;
	return a->past_null != b->past_null ? a->past_null : a->vaddr < b->vaddr;
}

/* The best of those before @limit; the entry is always one. */
static const struct candidate *best_of(const struct straight *straight, uint64_t limit)
{
	const struct candidate *best = &straight->candidates[0];
	size_t i;

	for (i = 1; i < straight->count; i++) {
		const struct candidate *other = &straight->candidates[i];

		if (other->vaddr < limit && better(other, best))
			best = other;
	}
	return best;
}

static void place_put(struct placement *place, const struct straight *straight, const struct candidate *chosen,
		      const char *refused)
{
	place->vaddr = chosen->vaddr;
	place->cheap = chosen->cost != STEP_STEPPED;
	snprintf(place->text, sizeof(place->text), "%s", chosen->text);
	if (!place->cheap)
		place->why = refused ? refused : straight->end;
	else if (chosen == &straight->candidates[0])
		place->why = "the first instruction";
	else
		place->why = chosen->past_null ? "only NULL goes around it" : "every call passes it unchanged";
}

static size_t text_read(const struct image *image, uint64_t vaddr, uint8_t bytes[PLACEMENT_REACH])
{
	uint64_t left = proof_text_left(image->file, vaddr);
	size_t size = left < PLACEMENT_REACH ? left : PLACEMENT_REACH;

	return elffile_read(image->file, vaddr, bytes, size) ? 0 : size;
}

static void first_byte(struct placement_request *request, const char *why)
{
	request->place = (struct placement){ .vaddr = request->entry, .why = why };
}

/* A place that nothing speaks against yet. Returns whether it is to be proved. */
static bool propose(const struct image *image, const struct machine *machine, bool nops_called,
		    struct placement_request *request, struct straight *straight)
{
	uint8_t bytes[PLACEMENT_REACH];
	size_t size = text_read(image, request->entry, bytes);

	first_byte(request, "the code cannot be read");
	if (!size || request->entry > UINT64_MAX / 2) /* sums with it do not overflow */
		return false;
	straight_read(machine, request, nops_called, bytes, size, straight);
	if (!straight->count)
		return false;
	place_put(&request->place, straight, best_of(straight, UINT64_MAX), NULL);
	return request->place.vaddr != request->entry;
}

static int proof_compare(const void *left, const void *right)
{
	const struct proof *a = left, *b = right;

	return (a->entry > b->entry) - (a->entry < b->entry);
}

void placement_choose(const struct image *image, bool nops_called, struct placement_request *requests, size_t count)
{
	__cleanup(freep) struct straight *straights = calloc(count + 1, sizeof(*straights));
	__cleanup(freep) struct proof *proofs = calloc(count + 1, sizeof(*proofs));
	const struct machine *machine = NULL;
	size_t i, open = 0;

	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].machine == image->file->machine)
			machine = &machines[i];
	}
	for (i = 0; i < count; i++) {
		if (!machine || !straights || !proofs)
			first_byte(&requests[i], machine ? "not enough memory" : "code of an unknown machine");
		else if (propose(image, machine, nops_called, &requests[i], &straights[i]))
			proofs[open++] = (struct proof){
				.entry = requests[i].entry, .size = requests[i].size,
				.last = requests[i].place.vaddr, .of = i,
			};
	}
	if (open)
		qsort(proofs, open, sizeof(*proofs), proof_compare);
	if (open)
		proof_find(image, proofs, open);
	for (i = 0; i < open; i++) {
		const struct straight *straight = &straights[proofs[i].of];

		place_put(&requests[proofs[i].of].place, straight, best_of(straight, proofs[i].limit), proofs[i].why);
	}
}

/* Since "uprobes/x86: Add support to optimize uprobes", 6.18; nothing but a probe could ask for the feature. */
bool placement_nops_called(void)
{
	unsigned int major, minor;
	struct utsname name;

	if (uname(&name) || strcmp(name.machine, "x86_64") || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 18);
}
