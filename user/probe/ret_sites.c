// SPDX-License-Identifier: Apache-2.0
#include "ret_sites.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ret_decode.h"

#define SEEN_SLOTS  65536 /* a power of two, well over RET_INSTRUCTIONS_MAX */
#define WINDOW      4096  /* bytes of text read at once */
#define PADDING_MAX 64    /* bytes of nops between two functions */
#define STUB_MAX    3     /* instructions of a PLT entry up to its jump */

struct machine {
	uint16_t machine; /* e_machine */
	bool (*decode)(const uint8_t *bytes, size_t size, uint64_t vaddr, struct code *code);
};

static const struct machine machines[] = {
	{ EM_X86_64, x86_decode },
	{ EM_AARCH64, arm64_decode },
};

struct walk {
	const struct image *image;
	const struct ret_stop *stops;
	size_t stops_count;
	uint64_t entry;
	bool past_stops;        /* go on where a stop is called or jumped to */
	bool met_stop;
	struct ret_sites *out;
	const struct machine *machine;
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
static bool decode(struct walk *walk, uint64_t vaddr, struct code *code)
{
	uint64_t at = vaddr - walk->window_start;

	if (vaddr < walk->window_start || at >= walk->window_bytes ||
	    walk->window_bytes - at < CODE_BYTES_MAX) {
		if (!window_move(walk, vaddr))
			return false;
		at = 0;
	}
	return walk->machine->decode(walk->window + at, walk->window_bytes - at, vaddr, code);
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
static void call_target(struct walk *walk, const struct code *code, struct image_slot *to)
{
	struct code next;
	uint64_t at = code->to;
	int i;

	memset(to, 0, sizeof(*to));
	if (code->target == TARGET_SLOT)
		image_slot(walk->image, code->to, to);
	if (code->target != TARGET_CODE)
		return;
	to->vaddr = at;
	for (i = 0; i < STUB_MAX && decode(walk, at, &next); i++, at += next.length) {
		struct image_slot through;

		if (next.kind == CODE_JUMP && next.target == TARGET_SLOT &&
		    image_slot(walk->image, next.to, &through))
			*to = through;
		if (next.kind == CODE_JUMP || !next.landing)
			return;
	}
}

/* Whether nothing but padding lies between @vaddr and the start of a function. */
static bool function_follows(struct walk *walk, uint64_t vaddr)
{
	uint64_t end = vaddr + PADDING_MAX;
	struct code next;

	while (vaddr < end) {
		if (image_function_starts(walk->image, vaddr))
			return true;
		if (!decode(walk, vaddr, &next))
			return true; /* the text ends here */
		if (!next.padding)
			return false;
		vaddr += next.length;
	}
	return false;
}

/* Whether the path goes on at @next, behind a call. A compiler ends a function with a call only if
 * that does not return. */
static bool call_returns(struct walk *walk, const struct code *code, uint64_t next)
{
	const struct elf_symbol *symbol;
	struct image_slot to;

	call_target(walk, code, &to);
	if (to.vaddr && stops_here(walk, to.vaddr, true))
		return false;
	symbol = to.vaddr ? elffile_function(walk->image->file, to.vaddr) : NULL;
	if (never_returns(to.name) ||
	    (symbol && symbol->vaddr == to.vaddr && never_returns(symbol->name)))
		return false;
	return !function_follows(walk, next);
}

/* A jump, maybe conditional, which may leave the function: its target's ret is then ours. */
static void jump(struct walk *walk, const struct code *code)
{
	struct image_slot through;

	if (code->target == TARGET_CODE) {
		if (!stops_here(walk, code->to, false))
			follow(walk, code->to);
	} else if (code->target != TARGET_SLOT) {
		give_up(walk, "jumps through a register or table");
	} else if (!image_slot(walk->image, code->to, &through)) {
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

/* Take the instruction at @vaddr. Returns whether the one behind it follows. */
static bool step(struct walk *walk, const struct code *code, uint64_t vaddr)
{
	switch (code->kind) {
	case CODE_PLAIN:
		return true;
	case CODE_RET:
		ret_add(walk, vaddr);
		return false;
	case CODE_CALL:
		return call_returns(walk, code, vaddr + code->length);
	case CODE_JUMP:
		jump(walk, code);
		return false;
	case CODE_BRANCH:
		jump(walk, code);
		return true;
	case CODE_TRAP:
		return false;
	case CODE_UNKNOWN:
		give_up(walk, code->why);
		return false;
	}
	return false;
}

static void path(struct walk *walk, uint64_t vaddr)
{
	struct code code;

	while (walk->out->verdict != RET_UNKNOWN && seen_add(walk, vaddr)) {
		walk->cost++;
		if (++walk->instructions > RET_INSTRUCTIONS_MAX) {
			give_up(walk, "is too long");
			return;
		}
		if (!vaddr || !decode(walk, vaddr, &code)) {
			give_up(walk, "has no readable code");
			return;
		}
		if (!step(walk, &code, vaddr))
			return;
		vaddr += code.length;
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

static const struct machine *machine_of(const struct image *image)
{
	size_t i;

	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].machine == image->file->machine)
			return &machines[i];
	}
	return NULL;
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
		.out = out, .machine = machine_of(image),
		.seen = calloc(SEEN_SLOTS, sizeof(*walk->seen)),
		.pending = calloc(RET_INSTRUCTIONS_MAX, sizeof(*walk->pending)),
	};
	memset(out, 0, sizeof(*out));
	if (!walk->seen || !walk->pending) {
		err = -ENOMEM;
	} else if (!walk->machine) {
		give_up(walk, "is code of a machine that is not known here");
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
