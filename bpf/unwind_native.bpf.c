// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames from unwind rows: each frame's rule leads to its caller. Code that no row describes may keep a
 * frame pointer: it is tried, and what it leads to must be code.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

#ifndef HB_POINTERS_ONLY

#define CFA_BYTES_MAX     (1ULL << 30)
#define POINTER_BYTES_MAX (1ULL << 20)

static __always_inline long stop(struct hb_walk *walk, u8 end)
{
	walk->end = end;
	return 1;
}

/* A word of memory that the walk needs. */
static __always_inline long read_word(struct hb_walk *walk, u64 address, u64 *value)
{
	long err = stack_read_u64(address, value);

	walk->once = 1;
	if (err)
		walk->fault = address;
	return err;
}

/* A word of the stack, above those that were read before it. */
static __always_inline long read_up(struct hb_walk *walk, u64 address, u64 *value)
{
	if (!stack_read_up(walk, address, value)) {
		replay_note(walk, address, *value, 0);
		return 0;
	}
	return read_word(walk, address, value); /* which fails as well, and tells */
}

/* The same of two words side by side. */
static __always_inline long read_two_up(struct hb_walk *walk, u64 address, u64 *low, u64 *high)
{
	if (!stack_read_up(walk, address, low) && !stack_read_up(walk, address + 8, high)) {
		replay_note(walk, address, stack_mix(stack_mix(0, *low), *high), 1);
		return 0;
	}
	return read_word(walk, address, low) ?: read_word(walk, address + 8, high);
}

static __always_inline u64 true_address(u64 address)
{
#if defined(__TARGET_ARCH_x86)
	return address;
#else
	return address & ((1ULL << 48) - 1); /* without the signature of pointer authentication */
#endif
}

/* Go on at the caller, whose frame is at @cfa. */
static __always_inline long move(struct hb_walk *walk, u64 cfa, u64 fp, u64 ra, u64 slot)
{
	walk->sp = cfa;
	walk->fp = fp;
	walk->pc = true_address(ra);
	walk->slot = slot;
	walk->exact = 0;
	walk->first = 0;
	walk->lr_valid = 0;
	if (!walk->pc && !walk->by_pointer)
		return stop(walk, HB_END_COMPLETE); /* coroutines end so */
	if (walk->pc < STACK_TEXT_MIN || walk->pc > STACK_TEXT_MAX)
		return stop(walk, walk->by_pointer ? walk->why : HB_END_BAD_CFA);
	return 0;
}

/*
 * Only where nothing else is to be had: code that nobody described, JIT code. Where rows exist and are
 * not at hand most code keeps something else in that register, and what lies where it points may well
 * be an old return address.
 */
static __always_inline long by_pointer(struct hb_walk *walk)
{
	u64 record[2]; /* the caller's frame pointer, the return address */

	walk->once = 1;
	walk->why = walk->rule.more;
	if (walk->why != HB_END_NO_ROWS && walk->why != HB_END_ANONYMOUS)
		return stop(walk, walk->why);
#if !defined(__TARGET_ARCH_x86)
	/* PLT entries and most of the vdso have no rows here, keep nothing, and return by the link register. */
	if (walk->why == HB_END_NO_ROWS && walk->first && walk->lr_valid) {
		walk->by_pointer = 1;
		return move(walk, walk->sp, walk->fp, walk->lr, 0);
	}
#endif
	if (!walk->fp_valid || walk->fp < walk->sp || walk->fp - walk->sp > POINTER_BYTES_MAX || (walk->fp & 7))
		return stop(walk, walk->why);
	/* Without faulting anything in: the process chooses the address, and may never answer the fault. */
	if (bpf_probe_read_user(record, sizeof(record), (void *)walk->fp))
		return stop(walk, walk->why);
	walk->by_pointer = 1;
	walk->bx_valid = 0;
	return move(walk, walk->fp + 16, record[0], record[1], walk->fp + 8);
}

#if defined(__TARGET_ARCH_x86)
/* struct rt_sigframe at sp: siginfo follows a ucontext, whose gregs begin at 40 (uapi/asm/ucontext.h) */
#define SIGNAL_FP(sp) ((sp) + 40 + 8 * 10)
#define SIGNAL_BX(sp) ((sp) + 40 + 8 * 11)
#define SIGNAL_SP(sp) ((sp) + 40 + 8 * 15)
#define SIGNAL_PC(sp) ((sp) + 40 + 8 * 16)
#else
/* struct rt_sigframe at sp: siginfo of 128 bytes, then a ucontext, whose registers begin at 184 */
#define SIGNAL_FP(sp) ((sp) + 312 + 8 * 29)
#define SIGNAL_LR(sp) ((sp) + 312 + 8 * 30)
#define SIGNAL_SP(sp) ((sp) + 312 + 8 * 31)
#define SIGNAL_PC(sp) ((sp) + 312 + 8 * 32)
#endif

/* Go on where the signal interrupted: another stack, maybe, and any instruction. */
static __always_inline long by_signal(struct hb_walk *walk)
{
	u64 frame = walk->sp, fp, sp, pc;

	if (read_word(walk, SIGNAL_FP(frame), &fp) || read_word(walk, SIGNAL_SP(frame), &sp) ||
	    read_word(walk, SIGNAL_PC(frame), &pc))
		return stop(walk, HB_END_FAULT);
#ifdef SIGNAL_LR
	if (read_word(walk, SIGNAL_LR(frame), &walk->lr))
		return stop(walk, HB_END_FAULT);
#endif
	walk->by_pointer = 0;
	if (move(walk, sp, fp, pc, 0))
		return 1;
#ifdef SIGNAL_BX
	walk->bx_slot = SIGNAL_BX(frame);
	walk->bx_valid = 1;
#endif
	walk->fp_valid = 1;
	walk->lr_valid = 1;
	walk->exact = 1;
	walk->first = 1;
	return 0;
}

/* The CFA by a rule other than the two usual ones. 0 or negative errno: the stack could not be read. */
static __always_inline long unusual_cfa(struct hb_walk *walk, u64 *cfa)
{
	u64 base = walk->rule.cfa == HB_CFA_DEREF_FP ? walk->fp : walk->sp;
	long err;

	if (walk->rule.cfa == HB_CFA_PLT) {
		*cfa = walk->sp + 8 + ((walk->pc & 15) >= (u64)walk->rule.aux ? 8 : 0);
		return 0;
	}
	err = read_word(walk, base + walk->rule.cfa_offset, cfa);
	*cfa += walk->rule.aux;
	return err;
}

/* rbx + cfa_offset. 0 or negative errno, as above. */
static __always_inline long bx_cfa(struct hb_walk *walk, u64 *cfa)
{
	long err = 0;

	*cfa = walk->bx;
	if (walk->bx_slot)
		err = read_word(walk, walk->bx_slot, cfa);
	*cfa += walk->rule.cfa_offset;
	return err;
}

#if defined(__TARGET_ARCH_x86)
#define RA_OFFSET(rule) (-8) /* a call pushes it */
#define RA_IN_REGISTER(walk) false
#else
#define RA_OFFSET(rule) ((rule)->aux)
#define RA_IN_REGISTER(walk) ((walk)->rule.ra == HB_SAVED_SAME)
#endif

static __always_inline long by_cfa(struct hb_walk *walk, u64 cfa)
{
	const bool in_register = RA_IN_REGISTER(walk);
	u64 fp = walk->fp, ra = walk->lr, slot = in_register ? 0 : cfa + RA_OFFSET(&walk->rule);

	if (in_register) {
		if (!walk->lr_valid || cfa < walk->sp)
			return stop(walk, HB_END_BAD_CFA);
	} else if (cfa <= walk->sp) {
		return stop(walk, HB_END_BAD_CFA);
	}
	if ((cfa & 7) || cfa - walk->sp > CFA_BYTES_MAX)
		return stop(walk, HB_END_BAD_CFA);
	if (!in_register && walk->rule.fp == HB_SAVED_AT_CFA && walk->rule.fp_offset == RA_OFFSET(&walk->rule) - 8) {
		/* Side by side, as nearly always: from below. */
		if (read_two_up(walk, slot - 8, &fp, &ra))
			return stop(walk, HB_END_FAULT);
		walk->fp_valid = 1;
		walk->fp_begins = 0;
	} else {
		if (!in_register && read_up(walk, slot, &ra))
			return stop(walk, HB_END_FAULT);
		switch (walk->rule.fp) {
		case HB_SAVED_SAME:
			break;
		case HB_SAVED_AT_CFA:
			if (read_up(walk, cfa + walk->rule.fp_offset, &fp))
				return stop(walk, HB_END_FAULT);
			walk->fp_valid = 1;
			walk->fp_begins = 0;
			break;
		case HB_SAVED_AT_FP:
			if (walk->fp_valid && read_word(walk, walk->fp + walk->rule.fp_offset, &fp))
				return stop(walk, HB_END_FAULT);
			break;
		default:
			walk->fp_valid = 0;
		}
	}
	walk->by_pointer = 0;
	if (walk->rule.more == HB_BX_LOST)
		walk->bx_valid = 0;
	else if (walk->rule.more) {
		walk->bx_slot = cfa - 8 * walk->rule.more;
		walk->bx_valid = 1;
	}
	return move(walk, cfa, fp, ra, slot);
}

/* Move to the caller. 1: there is none, and walk->end says why. */
__noinline int unwind_caller(struct hb_walk *walk)
{
	u64 cfa;

	if (!walk)
		return 1;
	switch (walk->rule.cfa) {
	case HB_CFA_SP:
		cfa = walk->sp + walk->rule.cfa_offset;
		break;
	case HB_CFA_FP:
		if (!walk->fp_valid)
			return stop(walk, HB_END_POINTER_LOST);
		walk->by_fp |= walk->fp_begins;
		cfa = walk->fp + walk->rule.cfa_offset;
		break;
	case HB_CFA_DEREF_FP:
		if (!walk->fp_valid)
			return stop(walk, HB_END_POINTER_LOST);
		/* fall through */
	case HB_CFA_DEREF_SP:
	case HB_CFA_PLT:
		if (unusual_cfa(walk, &cfa))
			return stop(walk, HB_END_FAULT);
		break;
	case HB_CFA_BX:
		if (!walk->bx_valid)
			return stop(walk, HB_END_POINTER_LOST);
		walk->once = 1;
		if (bx_cfa(walk, &cfa))
			return stop(walk, HB_END_FAULT);
		break;
	case HB_CFA_NONE:
		return by_pointer(walk);
	case HB_CFA_SIGNAL:
		return by_signal(walk);
	case HB_CFA_STOP:
		return stop(walk, HB_END_COMPLETE);
	default:
		return stop(walk, HB_END_UNSUPPORTED);
	}
	return by_cfa(walk, cfa);
}

/* Where a call returns that has a return probe, known by @by; 0: not known. */
__noinline u64 unwind_probed(u64 by)
{
	return compat_probed_return(by);
}

/* For bpf_loop(): whose stack it is, and where its frames go. */
struct step {
	struct hb_walk *walk;
	struct hb_stack *stack;
};

/*
 * The mapping around walk->pc into walk->mapping: mostly that of the frame before, a microsecond ago. Returns as
 * mapping_find(), which may leave anything behind where it fails.
 */
static __always_inline int find_mapping(struct hb_walk *walk)
{
	/* A call can be the last instruction of its function, or its page. */
	const u64 address = walk->pc - !walk->first;
	struct hb_mapping *last = &walk->mapping;
	int err = 0;

	if (address - last->start >= last->end - last->start) {
		walk->object = 0;
		err = mapping_find(walk, address);
		if (err)
			last->start = last->end = 0;
	}
	return err;
}

/* Record the frame at walk->pc and move to its caller. 1 ends the walk. */
static long one_step(u32 index, struct step *step)
{
	struct hb_walk *walk = step->walk;
	u32 n = walk->count;
	int found = HB_FOUND;
	u64 by;

	if (n >= hb_frames_max)
		return stop(walk, HB_END_DEPTH);
	by = compat_probed_by(walk->slot, walk->sp, !walk->exact);
	if (walk->trampoline && by && walk->pc - walk->trampoline < 4096) {
		walk->once = 1;
		walk->pc = true_address(unwind_probed(by));
		if (!walk->pc || walk->pc > STACK_TEXT_MAX)
			return stop(walk, HB_END_PROBE);
	}
	if (walk->unlocked || !unwind_known(walk))
		found = unwind_find(walk, find_mapping(walk));
	if (found != HB_FOUND)
		walk->once = 1;
	if (found == HB_FOUND_NOTHING && n)
		return stop(walk, walk->by_pointer ? walk->why : HB_END_UNMAPPED);
	/* A register that is no frame pointer shows so; only JIT code and handlers return to where no call is. */
	if (walk->by_pointer && !(walk->rule.cfa == HB_CFA_NONE && walk->rule.more == HB_END_ANONYMOUS) &&
	    walk->rule.cfa != HB_CFA_SIGNAL && !stack_after_call(walk->pc))
		return stop(walk, walk->why);
	step->stack->frames[n] = walk->frame;
	walk->count = n + 1;
	walk->hash = stack_mix(walk->hash, walk->frame);
	return unwind_caller(walk) ? 1 : 0;
}

__hidden u64 unwind_native(struct hb_walk *walk, struct hb_stack *stack)
{
	struct step step = { .walk = walk, .stack = stack };
	u64 key;

	walk->window_at = STACK_WINDOW_NONE;
	unwind_begin(walk);
	key = replay_find(walk);
	if (key != HB_STACK_NONE) {
		walk->replayed = 1;
		return key;
	}
	walk->trampoline = compat_trampoline();
	walk->count = 0;
	walk->first = 1;
	walk->fp_valid = 1;
	walk->bx_slot = 0;
	walk->bx_valid = 1;
	walk->lr_valid = walk->lr != 0;
	walk->by_pointer = 0;
	walk->why = HB_END_UNMAPPED;
	walk->end = HB_END_DEPTH;
	walk->mapping.start = walk->mapping.end = 0;
	bpf_loop(HB_FRAMES_LIMIT + 1, one_step, &step, 0);
	key = stack_end(walk, stack);
	replay_keep(walk, key);
	return key;
}

#endif /* HB_POINTERS_ONLY */
