// SPDX-License-Identifier: Apache-2.0
#include "placement_proof.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "placement_decode.h"
#include "ret_decode.h"

#define SHORT_JUMP 130u /* bytes from the beginning of a short jump of x86 to its target, and more */
#define PIECE      (64u << 10)

struct machine {
	uint16_t machine; /* e_machine */
	uint64_t near;    /* how far jumps may go that only decoding finds */
	bool (*decode)(const uint8_t *bytes, size_t size, uint64_t vaddr, struct code *code);
	void (*targets)(const uint8_t *bytes, size_t size, uint64_t vaddr, uint64_t low, uint64_t high,
			void (*visit)(void *arg, uint64_t to), void *arg);
};

static const struct machine machines[] = {
	{ EM_X86_64, SHORT_JUMP, x86_decode, x86_targets },
	{ EM_AARCH64, 0, arm64_decode, arm64_targets },
};

struct search {
	const struct image *image;
	const struct machine *machine;
	struct proof *proofs;
	size_t count, instructions;
	uint8_t *bytes; /* PROOF_FUNCTION_MAX twice */
};

uint64_t proof_text_left(const struct elf_file *file, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		if (segment->flags & PF_X && vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->filesz)
			return segment->filesz - (vaddr - segment->vaddr);
	}
	return 0;
}

/* Something leads to @to, behind the entry. */
static void lead_to(struct proof *proof, uint64_t to, const char *why)
{
	if (to <= proof->entry || to > proof->last || to >= proof->limit)
		return;
	proof->limit = to;
	proof->why = why;
}

/* Nothing is proved of @proof. */
static void give_up(struct proof *proof, const char *why)
{
	lead_to(proof, proof->entry + 1, why);
}

static void target_visit(void *arg, uint64_t to)
{
	struct search *search = arg;
	size_t low = 0, high = search->count;

	/* The last function that begins at or before it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (search->proofs[middle].entry <= to)
			low = middle + 1;
		else
			high = middle;
	}
	/* And those that begin where it does: it may have several names. */
	for (size_t i = low; i-- > 0 && search->proofs[i].entry == search->proofs[low - 1].entry;)
		lead_to(&search->proofs[i], to, "a jump leads behind it");
}

/* All jumps and calls of one segment's text, near enough to the functions. */
static void segment_scan(struct search *search, const struct elf_segment *segment, uint64_t low, uint64_t high)
{
	uint64_t from = segment->vaddr, end = segment->vaddr + segment->filesz, middle = low + (high - low) / 2;

	if (end - from > PROOF_SCAN_MAX) {
		if (middle - from > PROOF_SCAN_MAX / 2 && middle > from)
			from = middle - PROOF_SCAN_MAX / 2;
		if (end - from > PROOF_SCAN_MAX)
			end = from + PROOF_SCAN_MAX;
	}
	for (; from < end; from += PIECE) {
		size_t size = end - from < PIECE + SCAN_OVERLAP ? end - from : PIECE + SCAN_OVERLAP;

		if (elffile_read(search->image->file, from, search->bytes, size))
			return;
		if (size < PIECE + SCAN_OVERLAP) { /* the last: its last instruction is wanted too */
			memset(search->bytes + size, 0, SCAN_OVERLAP);
			size += SCAN_OVERLAP;
		}
		search->machine->targets(search->bytes, size, from, low, high, target_visit, search);
	}
}

static void text_scan(struct search *search)
{
	uint64_t low = search->proofs[0].entry, high = search->proofs[search->count - 1].last + 1;
	const struct elf_file *file = search->image->file;
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		if (segment->flags & PF_X && segment->filesz <= UINT64_MAX - segment->vaddr)
			segment_scan(search, segment, low, high);
	}
}

static void code_take(const struct code *code, struct proof *proof, bool own)
{
	bool leads = code->kind == CODE_CALL || code->kind == CODE_JUMP || code->kind == CODE_BRANCH;

	if (leads && code->target == TARGET_CODE)
		lead_to(proof, code->to, "a jump leads behind it");
	else if (own && code->kind == CODE_JUMP && code->target == TARGET_UNKNOWN)
		give_up(proof, "the function has a jump whose target is not known");
	else if (own && code->kind == CODE_UNKNOWN)
		give_up(proof, "the function has a jump of an unknown kind");
}

/*
 * Decode from @from, which is known to begin an instruction, through the function to @end and on to
 * @behind. The function must be come upon at its beginning.
 */
static void neighbours_decode(struct search *search, struct proof *proof, uint64_t from, uint64_t end, uint64_t behind)
{
	uint64_t left = proof_text_left(search->image->file, from), at = from;
	struct code code;

	if (behind - from > left)
		behind = from + left;
	if (behind - from > 2 * PROOF_FUNCTION_MAX ||
	    elffile_read(search->image->file, from, search->bytes, behind - from)) {
		give_up(proof, "too much code would have to be decoded");
		return;
	}
	while (at < behind) {
		if (search->instructions++ == PROOF_INSTRUCTIONS_MAX) {
			search->instructions--;
			give_up(proof, "too much code would have to be decoded");
			return;
		}
		if (!search->machine->decode(search->bytes + (at - from), behind - at, at, &code)) {
			if (at < end)
				give_up(proof, "the code cannot be decoded");
			return;
		}
		code_take(&code, proof, at >= proof->entry && at < end);
		if (at < proof->entry && code.length > proof->entry - at) {
			give_up(proof, "the code before it cannot be decoded");
			return;
		}
		at += code.length;
	}
}

/* Where decoding may begin to see all that is less than @before bytes before @entry. */
static uint64_t begins_before(const struct image *image, uint64_t entry, uint64_t before)
{
	uint64_t near = entry > before ? entry - before : 0, start;

	if (!before)
		return entry;
	if (proof_text_left(image->file, near))
		return image_function_before(image, near);
	/* The text begins in between: of the addresses from there on the first that is text. */
	for (start = near; start < entry && !proof_text_left(image->file, start); start++)
		continue;
	return start;
}

static void function_prove(struct search *search, struct proof *proof)
{
	uint64_t before = search->machine->near, start, end, behind, next;

	/* Between the entry and the last byte no other function starts. */
	next = image_function_after(search->image, proof->entry);
	lead_to(proof, next, "another function starts behind it");
	end = proof->size ? proof->entry + proof->size : next;
	if (proof->size > PROOF_FUNCTION_MAX || end - proof->entry > PROOF_FUNCTION_MAX) {
		give_up(proof, "too much code would have to be decoded");
		return;
	}
	if (end <= proof->last) {
		give_up(proof, "the function ends before");
		return;
	}
	behind = proof->last + before > end ? proof->last + before : end;
	start = begins_before(search->image, proof->entry, before);
	if (proof->entry - start > PROOF_FUNCTION_MAX) {
		give_up(proof, "what comes before it is not known");
		return;
	}
	neighbours_decode(search, proof, start, end, behind);
}

void proof_find(const struct image *image, struct proof *proofs, size_t count)
{
	__cleanup(freep) uint8_t *bytes = malloc(2 * PROOF_FUNCTION_MAX + SCAN_OVERLAP);
	struct search search = { .image = image, .proofs = proofs, .count = count, .bytes = bytes };
	size_t i, next;

	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].machine == image->file->machine)
			search.machine = &machines[i];
	}
	for (i = 0; i < count; i++)
		proofs[i].limit = UINT64_MAX;
	for (i = 0; i < count; i++) {
		for (next = i + 1; next < count && proofs[next].entry == proofs[i].entry; next++)
			continue;
		if (!bytes || !search.machine)
			give_up(&proofs[i], "not enough memory");
		else if (next < count)
			lead_to(&proofs[i], proofs[next].entry, "another function starts behind it");
	}
	if (!bytes || !search.machine)
		return;
	text_scan(&search);
	for (i = 0; i < count; i++)
		function_prove(&search, &proofs[i]);
}
