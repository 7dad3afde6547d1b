// SPDX-License-Identifier: Apache-2.0
#include "ret_sites.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#define SEEN_SLOTS  65536 /* a power of two, well over RET_INSTRUCTIONS_MAX */
#define WINDOW      4096  /* bytes of text read at once */
#define PADDING_MAX 64    /* bytes of nops between two functions */
#define STUB_MAX    3     /* instructions of a PLT entry up to its jump */

struct walk {
	const struct image *image;
	const struct ret_stop *stops;
	size_t stops_count;
	uint64_t entry;
	bool past_stops;        /* go on where a stop is called or jumped to */
	bool met_stop;
	struct ret_sites *out;
	ZydisDecoder decoder;
	uint64_t *seen;         /* hash set; 0 is free */
	uint64_t *pending;      /* where to go on */
	size_t pending_count, instructions, cost; /* of this walk, of all */
	uint8_t window[WINDOW];
	uint64_t window_start;
	size_t window_bytes;
};

/* Functions that are left only by exception, or not at all. */
static const char *const noreturns[] = {
	"__cxa_throw", "__cxa_rethrow", "__cxa_bad_cast", "__cxa_bad_typeid",
	"__cxa_throw_bad_array_length", "__cxa_throw_bad_array_new_length",
	"__cxa_call_unexpected", "__cxa_call_terminate", "__cxa_pure_virtual",
	"_Unwind_Resume", "_Unwind_Resume_or_Rethrow", "_ZSt9terminatev",
	"_ZSt17__throw_bad_allocv", "_ZSt28__throw_bad_array_new_lengthv",
	"_ZSt20__throw_system_errori", "_ZSt20__throw_length_errorPKc",
	"__clang_call_terminate", "__stack_chk_fail", "__chk_fail", "__assert_fail",
	"abort", "exit", "_exit", "longjmp", "siglongjmp",
};

static bool never_returns(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(noreturns) / sizeof(noreturns[0]); i++) {
		if (!strcmp(noreturns[i], name))
			return true;
	}
	return false;
}

static void give_up(struct walk *walk, const char *why)
{
	walk->out->verdict = RET_UNKNOWN;
	if (!walk->out->why)
		walk->out->why = why;
}

/* Make the window hold the text from @vaddr on. */
static bool window_move(struct walk *walk, uint64_t vaddr)
{
	const struct elf_file *file = walk->image->file;
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];
		uint64_t left;

		if (!(segment->flags & PF_X) || vaddr < segment->vaddr ||
		    vaddr - segment->vaddr >= segment->filesz)
			continue;
		left = segment->filesz - (vaddr - segment->vaddr);
		walk->window_start = vaddr;
		walk->window_bytes = left < WINDOW ? left : WINDOW;
		if (!elffile_read(file, vaddr, walk->window, walk->window_bytes))
			return true;
		break;
	}
	walk->window_bytes = 0;
	return false;
}

/* The instruction at @vaddr. false: not text, or none. */
static bool decode(struct walk *walk, uint64_t vaddr, ZydisDecodedInstruction *instruction)
{
	uint64_t at = vaddr - walk->window_start;

	if (vaddr < walk->window_start || at >= walk->window_bytes ||
	    walk->window_bytes - at < ZYDIS_MAX_INSTRUCTION_LENGTH) {
		if (!window_move(walk, vaddr))
			return false;
		at = 0;
	}
	return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&walk->decoder, NULL, walk->window + at,
							  walk->window_bytes - at, instruction));
}

/* The target of a relative jump or call. */
static bool direct_target(const ZydisDecodedInstruction *instruction, uint64_t vaddr, uint64_t *to)
{
	if (!instruction->raw.imm[0].size || !instruction->raw.imm[0].is_relative)
		return false;
	*to = vaddr + instruction->length + (uint64_t)instruction->raw.imm[0].value.s;
	return true;
}

/* The word through which "jmp *disp(%rip)" or "call *disp(%rip)" goes. */
static bool slot_of(const ZydisDecodedInstruction *instruction, uint64_t vaddr, uint64_t *slot)
{
	if (!(instruction->attributes & ZYDIS_ATTRIB_HAS_MODRM) || instruction->raw.modrm.mod ||
	    instruction->raw.modrm.rm != 5)
		return false;
	*slot = vaddr + instruction->length + (uint64_t)instruction->raw.disp.value;
	return true;
}

static const struct ret_stop *stop_at(const struct walk *walk, uint64_t vaddr)
{
	size_t low = 0, high = walk->stops_count;

	if (vaddr == walk->entry)
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (walk->stops[middle].vaddr == vaddr)
			return &walk->stops[middle];
		if (walk->stops[middle].vaddr < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool seen_add(struct walk *walk, uint64_t vaddr)
{
	size_t at = (vaddr * 0x9e3779b97f4a7c15ULL) >> 48; /* SEEN_SLOTS is 1 << 16 */

	while (walk->seen[at] && walk->seen[at] != vaddr)
		at = (at + 1) % SEEN_SLOTS;
	if (walk->seen[at])
		return false;
	walk->seen[at] = vaddr;
	return true;
}

static void follow(struct walk *walk, uint64_t vaddr)
{
	if (walk->pending_count == RET_INSTRUCTIONS_MAX)
		give_up(walk, "is too long");
	else
		walk->pending[walk->pending_count++] = vaddr;
}

/* Whether the path ends at stop @to, jumped to or (@call) called. */
static bool stops_here(struct walk *walk, uint64_t to, bool call)
{
	const struct ret_stop *stop = stop_at(walk, to);

	if (!stop)
		return false;
	walk->met_stop = true;
	if (!walk->past_stops)
		return true;
	if (!call && stop->has_return_probe) {
		give_up(walk, "jumps to a function with a return probe");
		return true;
	}
	return false;
}

/*
 * What a call goes to, if that can be told: its address in this file or 0, and its name if that is
 * all there is. Sees through a PLT entry.
 */
static void call_target(struct walk *walk, const ZydisDecodedInstruction *instruction,
			uint64_t vaddr, struct image_slot *to)
{
	ZydisDecodedInstruction next;
	uint64_t at, slot;
	int i;

	memset(to, 0, sizeof(*to));
	if (!direct_target(instruction, vaddr, &at)) {
		if (slot_of(instruction, vaddr, &slot))
			image_slot(walk->image, slot, to);
		return;
	}
	to->vaddr = at;
	for (i = 0; i < STUB_MAX && decode(walk, at, &next); i++, at += next.length) {
		if (next.mnemonic == ZYDIS_MNEMONIC_JMP) {
			struct image_slot through;

			if (slot_of(&next, at, &slot) && image_slot(walk->image, slot, &through))
				*to = through;
			return;
		}
		if (next.mnemonic != ZYDIS_MNEMONIC_ENDBR64)
			return;
	}
}

/* Whether nothing but padding lies between @vaddr and the start of a function. */
static bool function_follows(struct walk *walk, uint64_t vaddr)
{
	uint64_t end = vaddr + PADDING_MAX;
	ZydisDecodedInstruction next;

	while (vaddr < end) {
		if (image_function_starts(walk->image, vaddr))
			return true;
		if (!decode(walk, vaddr, &next))
			return true; /* the text ends here */
		if (next.mnemonic != ZYDIS_MNEMONIC_NOP && next.mnemonic != ZYDIS_MNEMONIC_INT3)
			return false;
		vaddr += next.length;
	}
	return false;
}

/* Whether the path goes on behind this call. A compiler ends a function with a call only if that
 * does not return. */
static bool call_returns(struct walk *walk, const ZydisDecodedInstruction *instruction,
			 uint64_t vaddr)
{
	const struct elf_symbol *symbol;
	struct image_slot to;

	call_target(walk, instruction, vaddr, &to);
	if (to.vaddr && stops_here(walk, to.vaddr, true))
		return false;
	symbol = to.vaddr ? elffile_function(walk->image->file, to.vaddr) : NULL;
	if (never_returns(to.name) ||
	    (symbol && symbol->vaddr == to.vaddr && never_returns(symbol->name)))
		return false;
	return !function_follows(walk, vaddr + instruction->length);
}

/* An unconditional jump, which may leave the function: its target's ret is then ours. */
static void jump(struct walk *walk, const ZydisDecodedInstruction *instruction, uint64_t vaddr)
{
	struct image_slot through;
	uint64_t to, slot;

	if (direct_target(instruction, vaddr, &to)) {
		if (!stops_here(walk, to, false))
			follow(walk, to);
	} else if (!slot_of(instruction, vaddr, &slot)) {
		give_up(walk, "jumps through a register or table");
	} else if (!image_slot(walk->image, slot, &through)) {
		give_up(walk, "jumps through a variable");
	} else if (through.vaddr) {
		if (!stops_here(walk, through.vaddr, false))
			follow(walk, through.vaddr);
	} else if (!never_returns(through.name)) {
		give_up(walk, "ends in another file");
	}
}

static void ret_add(struct walk *walk, uint64_t vaddr)
{
	struct ret_sites *out = walk->out;

	if (out->count == RET_SITES_MAX)
		give_up(walk, "returns at too many places");
	else
		out->vaddrs[out->count++] = vaddr;
}

/* Take one instruction. Returns whether the one behind it follows. */
static bool step(struct walk *walk, const ZydisDecodedInstruction *instruction, uint64_t vaddr)
{
	uint64_t to;

	switch (instruction->meta.category) {
	case ZYDIS_CATEGORY_RET:
		if (instruction->mnemonic == ZYDIS_MNEMONIC_RET &&
		    instruction->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR)
			ret_add(walk, vaddr);
		else
			give_up(walk, "returns to another mode");
		return false;
	case ZYDIS_CATEGORY_CALL:
		return call_returns(walk, instruction, vaddr);
	case ZYDIS_CATEGORY_UNCOND_BR:
		jump(walk, instruction, vaddr);
		return false;
	case ZYDIS_CATEGORY_COND_BR:
		if (!direct_target(instruction, vaddr, &to))
			give_up(walk, "jumps in an unknown way");
		else if (!stops_here(walk, to, false))
			follow(walk, to);
		return true;
	default:
		break;
	}
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_HLT:
		return false;
	default:
		return true;
	}
}

static void path(struct walk *walk, uint64_t vaddr)
{
	ZydisDecodedInstruction instruction;

	while (walk->out->verdict != RET_UNKNOWN && seen_add(walk, vaddr)) {
		walk->cost++;
		if (++walk->instructions > RET_INSTRUCTIONS_MAX) {
			give_up(walk, "is too long");
			return;
		}
		if (!vaddr || !decode(walk, vaddr, &instruction)) {
			give_up(walk, "has no readable code");
			return;
		}
		if (!step(walk, &instruction, vaddr))
			return;
		vaddr += instruction.length;
	}
}

static void walk_all(struct walk *walk, bool past_stops)
{
	memset(walk->seen, 0, SEEN_SLOTS * sizeof(*walk->seen));
	memset(walk->out, 0, sizeof(*walk->out));
	walk->out->verdict = RET_FOUND;
	walk->past_stops = past_stops;
	walk->met_stop = false;
	walk->instructions = 0;
	walk->pending_count = 0;
	follow(walk, walk->entry);
	while (walk->pending_count && walk->out->verdict != RET_UNKNOWN)
		path(walk, walk->pending[--walk->pending_count]);
}

static int vaddr_compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

bool ret_sites_supported(const struct image *image)
{
	return image->file->machine == EM_X86_64;
}

int ret_sites_find(const struct image *image, uint64_t entry, const struct ret_stop *stops,
		   size_t stops_count, struct ret_sites *out)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	int err = 0;

	if (!walk)
		return -ENOMEM;
	*walk = (struct walk){
		.image = image, .stops = stops, .stops_count = stops_count, .entry = entry,
		.out = out,
		.seen = calloc(SEEN_SLOTS, sizeof(*walk->seen)),
		.pending = calloc(RET_INSTRUCTIONS_MAX, sizeof(*walk->pending)),
	};
	memset(out, 0, sizeof(*out));
	ZydisDecoderInit(&walk->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!walk->seen || !walk->pending) {
		err = -ENOMEM;
	} else if (!ret_sites_supported(image)) {
		give_up(walk, "is not x86-64 code");
	} else {
		walk_all(walk, false);
		if (out->verdict == RET_FOUND && !out->count && walk->met_stop)
			out->verdict = RET_BENEATH;
		else if (out->verdict == RET_FOUND && walk->met_stop)
			walk_all(walk, true);
	}
	if (out->verdict == RET_FOUND && out->count)
		qsort(out->vaddrs, out->count, sizeof(out->vaddrs[0]), vaddr_compare);
	else
		out->count = 0;
	out->instructions = walk->cost;
	free(walk->seen);
	free(walk->pending);
	free(walk);
	return err;
}
