// SPDX-License-Identifier: Apache-2.0
#include "judge.h"

#include "../../user/probe/target_private.h"

/*
 * On x86_64 a frame ends where the record of the frame pointer ends; on aarch64 it begins there, and who
 * follows such records does not know the caller's stack pointer. The oracle takes the record's end for it.
 */
#if defined(__x86_64__)
#define RECORD_ENDS_FRAME true
#else
#define RECORD_ENDS_FRAME false
#endif

static uint64_t ino_of(struct target *target, uint64_t frame)
{
	const struct module *module = modules_by_object(target->modules, HB_FRAME_OBJECT_ID(frame));

	return module ? module->file->ino : 0;
}

/* Whether @frame, a word of ours, is where the oracle is. */
static bool same_place(struct target *target, const struct watched *watched, uint64_t frame,
		       const struct oracle_frame *theirs)
{
	const struct range *range;

	if (HB_FRAME_KIND(frame) == HB_FRAME_ADDRESS)
		return (frame & ~HB_FRAME_EXACT) == theirs->pc;
	range = watched_range(watched, theirs->pc - !theirs->exact);
	if (!range || HB_FRAME_OFFSET(frame) != range->offset + (theirs->pc - range->start))
		return false;
	if (range->vdso)
		return HB_FRAME_OBJECT_ID(frame) == HB_OBJECT_VDSO;
	return range->ino && range->ino == ino_of(target, frame);
}

static bool known(const struct watched *watched, const struct oracle_stack *theirs, size_t i)
{
	return oracle_knows(watched->oracle, theirs->frames[i].pc, theirs->frames[i].exact);
}

/*
 * Whether both mean the address itself, or both the call before it. The oracle means the address itself
 * in a signal trampoline, too, below the frame that was interrupted: no call leads there. Where it has no
 * unwind information it does not know what is called and what is interrupted.
 */
static bool same_kind(const struct watched *watched, uint64_t frame, const struct oracle_stack *theirs, size_t i)
{
	if (!!(frame & HB_FRAME_EXACT) == theirs->frames[i].exact)
		return true;
	if (theirs->frames[i].exact)
		return i + 1 < theirs->count && theirs->frames[i + 1].exact;
	return !known(watched, theirs, i) || (i && !known(watched, theirs, i - 1));
}

uint64_t judge_address(struct target *target, const struct watched *watched, uint64_t frame)
{
	const bool vdso = HB_FRAME_OBJECT_ID(frame) == HB_OBJECT_VDSO;
	const uint64_t at = HB_FRAME_OFFSET(frame) - !(frame & HB_FRAME_EXACT);
	uint64_t ino;

	if (HB_FRAME_KIND(frame) == HB_FRAME_ADDRESS)
		return frame & ~HB_FRAME_EXACT;
	ino = vdso ? 0 : ino_of(target, frame);
	for (size_t i = 0; i < watched->count; i++) {
		const struct range *range = &watched->ranges[i];

		if ((vdso ? range->vdso : range->ino && range->ino == ino) && at >= range->offset &&
		    at - range->offset < range->end - range->start)
			return HB_FRAME_OFFSET(frame) - range->offset + range->start;
	}
	return 0;
}

static bool in_no_file(const struct watched *watched, const struct oracle_frame *frame)
{
	const struct range *range = watched_range(watched, frame->pc - !frame->exact);

	return range && !range->ino && !range->vdso;
}

/* Interrupted at its first instruction, a function may yet return to itself: that is another frame. */
static bool same_frame(const struct oracle_frame *a, const struct oracle_frame *b)
{
	return a->pc == b->pc && a->sp == b->sp && a->exact == b->exact;
}

/*
 * Where there is no unwind information the oracle takes any word for a return address; and where that
 * leads back to the same frame it finds it for ever.
 */
static size_t frames_in_code(const struct watched *watched, const struct oracle_stack *theirs)
{
	const struct oracle_frame *frames = theirs->frames;
	size_t n = 1;

	while (n < theirs->count && watched_range(watched, frames[n].pc - !frames[n].exact) &&
	       !same_frame(&frames[n], &frames[n - 1]))
		n++;
	return n < theirs->count ? n : theirs->count;
}

bool judge_probed(const struct watched *watched, const struct oracle_stack *theirs)
{
	for (size_t i = 0; i < theirs->count; i++) {
		const struct range *range = watched_range(watched, theirs->frames[i].pc);

		if (range && range->probes)
			return true;
	}
	return false;
}

enum verdict judge(struct target *target, struct watched *watched, const struct hb_stack *ours,
		   const struct oracle_stack *theirs, bool jit, size_t *common)
{
	const size_t count = frames_in_code(watched, theirs);
	size_t n = 0;

	while (n < ours->count && n < count && same_kind(watched, ours->frames[n], theirs, n) &&
	       same_place(target, watched, ours->frames[n], &theirs->frames[n]))
		n++;
	*common = n;
	if (n == ours->count && (n == count || ours->end == HB_END_DEPTH))
		return VERDICT_EQUAL;
	if (n == count && theirs->cut)
		return VERDICT_EQUAL;
	for (size_t i = 0; i < n; i++) {
		if (jit && in_no_file(watched, &theirs->frames[i]))
			return VERDICT_GUESSED;
		if (!RECORD_ENDS_FRAME && !known(watched, theirs, i) && !theirs->frames[i].resumed)
			return VERDICT_PARTLY;
	}
	if (n && n == count && !theirs->complete && (theirs->lost || !known(watched, theirs, n - 1)))
		return VERDICT_FURTHER;
	return n == ours->count && ours->end != HB_END_COMPLETE ? VERDICT_SHORTER : VERDICT_DIFFERENT;
}
