// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the stacks: picks the unwinder, hashes, stores each once. */
#include "core.bpf.h"
#include "compat.bpf.h"

/*
 * Stacks by the hash of their generation, frames and end. 72 bytes and 8 for each frame that may be
 * kept per row, as it comes; full: count HB_CNT_STACK_FULL, and the bytes go to a site without a
 * stack. User space sets the value's size to what --max-frames needs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 15); /* --max-stacks */
	__type(key, __u64);
	__type(value, struct hb_stack);
} hb_stacks SEC(".maps");

/* The same of few frames: nearly all are, and most of a deep one's row would be empty. 256 bytes each. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 15); /* --max-stacks */
	__type(key, __u64);
	__type(value, struct hb_short_stack);
} hb_short_stacks SEC(".maps");

/* Scratch for stacks deeper than usual: 4 KB for each thread that allocates, with --max-frames. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hb_stack);
} hb_deep SEC(".maps");

__hidden long stack_read_u64(u64 address, u64 *value)
{
	return bpf_probe_read_user(value, sizeof(*value), (void *)address);
}

__noinline bool stack_after_call(u64 address)
{
	u64 bytes;
	const u8 *before = (const u8 *)&bytes;

	if (bpf_probe_read_user(&bytes, sizeof(bytes), (void *)(address - 8)))
		return false;
#if defined(__TARGET_ARCH_x86)
	if (before[3] == 0xe8) /* call rel32 */
		return true;
	/* call r/m64: ff /2, 2 to 7 bytes long by its addressing */
#define IS_CALL_RM(i) (before[i] == 0xff && (before[(i) + 1] & 0x38) == 0x10)
	return IS_CALL_RM(6) || IS_CALL_RM(5) || IS_CALL_RM(4) || IS_CALL_RM(2) || IS_CALL_RM(1);
#undef IS_CALL_RM
#else
	u32 insn = *(const u32 *)(before + 4);

	return (insn & 0xfc000000) == 0x94000000 ||  /* bl */
	       (insn & 0xfffff000) == 0xd63f0000 ||  /* blr, blraaz, blrabz */
	       (insn & 0xfffff000) == 0xd73f0000;    /* blraa, blrab */
#endif
}

/* Where the frames of the current thread's stack go. NULL: no memory. */
static __always_inline struct hb_stack *scratch_of(struct hb_task *task)
{
	if (hb_frames_max > HB_FRAMES_MAX)
		return bpf_task_storage_get(&hb_deep, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return (struct hb_stack *)task->scratch;
}

/*
 * Whether a call stands before @address, from memory where it is known: the bytes of code cost more to read
 * than all else of a frame. Code that has changed since is believed once more.
 */
static __always_inline bool known_after_call(struct hb_walk *walk, u64 address)
{
	u64 known = stack_mix(walk->gen, address);
	u64 *seat = &walk->calls[known & (HB_CALLS - 1)];

	if (*seat == known)
		return true;
	if (!stack_after_call(address))
		return false;
	*seat = known;
	return true;
}

/* What lies at a frame pointer: the caller's frame pointer, the return address. 0 or negative errno. */
static __always_inline long read_record(struct hb_walk *walk, u64 fp, u64 record[2])
{
#ifndef HB_POINTERS_ONLY
	return stack_read_up(walk, fp, &record[0]) ?: stack_read_up(walk, fp + 8, &record[1]);
#else /* each branch counts for every frame there: the walk is verified turn by turn */
	return bpf_probe_read_user(record, 16, (void *)fp);
#endif
}

/*
 * Go on at the caller, by the frame pointer: walk->pc, walk->sp and walk->fp. Returns whether there is one. What lies
 * at a frame pointer that is none is almost never a return address, so a call must stand before it.
 */
HB_ONCE int stack_up(struct hb_walk *walk)
{
	u64 record[2], fp;

	if (!walk)
		return 0;
	fp = walk->fp;
	if (fp < walk->sp || fp - walk->sp > STACK_FRAME_BYTES_MAX || (fp & 7))
		return 0;
	if (read_record(walk, fp, record))
		return 0;
	if (record[1] < STACK_TEXT_MIN || record[1] > STACK_TEXT_MAX || !known_after_call(walk, record[1]))
		return 0;
	walk->pc = record[1];
	walk->sp = fp + 16;
	walk->fp = record[0];
	return 1;
}

/* By frame pointers alone. */
static __always_inline void walk_pointers(struct hb_walk *walk, struct hb_stack *stack)
{
	stack->frames[0] = walk->pc | (walk->exact ? HB_FRAME_EXACT : 0);
	walk->hash = stack_mix(walk->hash, stack->frames[0]);
	walk->count = 1;
	walk->end = HB_END_POINTERS;
	walk->window_at = STACK_WINDOW_NONE;
	for (u32 i = 1; i < HB_FRAMES_MAX; i++) {
		if (i >= hb_frames_max) {
			walk->end = HB_END_DEPTH;
			break;
		}
		if (!stack_up(walk))
			break;
		stack->frames[i] = walk->pc;
		walk->hash = stack_mix(walk->hash, walk->pc);
		walk->count = i + 1;
		if (walk->fp < walk->sp)
			break; /* the outermost, though it may be the last that is kept */
	}
}

#if defined(__TARGET_ARCH_x86) && !defined(HB_NATIVE)
#define VDSO_BYTES 0x4000
#define NARROW_FRAMES_MAX 24 /* each is a turn for the verifier, in every program that walks */

/*
 * A program of 32 bits: by frame pointers. Its library calls the kernel through the vdso, which has pushed three
 * registers by then, the frame pointer last; that of a system call may be an argument. A function of its own, which
 * takes nothing from the stack of those that walk by rows.
 */
static __noinline void walk_narrow(struct hb_walk *walk, struct hb_stack *stack)
{
	u64 sp = walk->sp, fp = walk->fp, pc = walk->pc | (walk->exact ? HB_FRAME_EXACT : 0);
	u32 pushed[4], record[2]; /* the caller's frame pointer, the return address */

	if (walk->pc - compat_vdso() < VDSO_BYTES && !bpf_probe_read_user(pushed, sizeof(pushed), (void *)sp)) {
		pc = pushed[3];
		fp = pushed[0];
	}
	stack->frames[0] = pc;
	walk->hash = stack_mix(walk->hash, pc);
	walk->count = 1;
	walk->end = HB_END_NARROW;
	for (u32 i = 1; i < NARROW_FRAMES_MAX && i < hb_frames_max; i++) {
		if (fp < sp || fp - sp > STACK_FRAME_BYTES_MAX || (fp & 3))
			break;
		if (bpf_probe_read_user(record, sizeof(record), (void *)fp) || record[1] < STACK_TEXT_MIN)
			break;
		if (!stack_after_call(record[1]))
			break;
		stack->frames[i] = record[1];
		walk->hash = stack_mix(walk->hash, record[1]);
		walk->count = i + 1;
		if (record[0] <= fp)
			break;
		sp = fp + 8;
		fp = record[0];
	}
}
#else
static __always_inline void walk_narrow(struct hb_walk *walk, struct hb_stack *stack)
{
}
#endif

/* It never sleeps: programs that must not may call it, too. */
HB_ONCE __noinline u64 stack_walk(struct hb_task *task, u32 gen, const struct hb_resume *resume)
{
	struct hb_stack *stack;
	struct hb_walk *walk;

	if (!task || !resume)
		return HB_STACK_NONE;
	stack = scratch_of(task);
	walk = &task->walk;
	if (!stack) {
		count(HB_CNT_STACK_FULL);
		return HB_STACK_NONE;
	}
	walk->pc = resume->pc <= STACK_TEXT_MAX ? resume->pc : 0; /* it may come from the stack, and be anything */
	walk->sp = resume->sp;
	walk->fp = resume->fp;
	walk->lr = resume->lr;
	walk->bx = resume->bx;
	walk->slot = resume->slot;
	walk->exact = !!resume->exact;
	walk->unlocked = !!resume->unlocked;
	walk->fault = 0;
	walk->replayed = 0;
	walk->gen = gen;
	walk->hash = stack_mix(0, gen); /* in a step of its own: gen ^ pc is the same for many */
#ifndef HB_POINTERS_ONLY
	if (hb_unwind && !resume->narrow)
		return unwind_native(walk, stack);
#endif
	if (resume->narrow)
		walk_narrow(walk, stack);
	else
		walk_pointers(walk, stack);
	return stack_end(walk, stack);
}

__hidden bool stack_kept(u64 key)
{
	if (key & HB_STACK_SHORT)
		return bpf_map_lookup_elem(&hb_short_stacks, &key);
	return bpf_map_lookup_elem(&hb_stacks, &key);
}

/* 0 or negative errno. */
static __always_inline long put(u64 key, const struct hb_stack *stack)
{
	const struct hb_short_stack *begin = (const struct hb_short_stack *)stack;
	u32 counter = HB_CNT_STACKS_IN;
	long err;

	if (key & HB_STACK_SHORT) {
		counter = HB_CNT_SHORT_STACKS_IN;
		err = bpf_map_update_elem(&hb_short_stacks, &key, begin, BPF_NOEXIST);
	} else {
		err = bpf_map_update_elem(&hb_stacks, &key, stack, BPF_NOEXIST);
	}
	if (!err)
		count(counter);
	return err;
}

__hidden u64 stack_store(struct hb_task *task, u64 key)
{
	struct hb_stack *stack;

	if (key == HB_STACK_NONE || stack_kept(key))
		return key;
	stack = scratch_of(task);
	if (stack && !put(key, stack))
		return key;
	if (stack_kept(key)) /* another CPU was first */
		return key;
	count(HB_CNT_STACK_FULL);
	return HB_STACK_NONE;
}
