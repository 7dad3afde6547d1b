// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the stacks: walks, hashes, stores each once. */
#include "core.bpf.h"

/*
 * Stacks by the hash of their generation and frames. 1,088 bytes per row as it comes; full: count
 * HB_CNT_STACK_FULL, and the bytes go to a site without a stack.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 15); /* --max-stacks */
	__type(key, __u64);
	__type(value, struct hb_stack);
} hb_stacks SEC(".maps");

#define FRAME_BYTES_MAX (8ULL << 20)       /* a frame larger than the usual whole stack is garbage */
#define TEXT_MIN        0x1000ULL          /* page 0 is never mapped */
#define TEXT_MAX        0x00fffffffffff000ULL /* user space ends below, on every architecture we know */

__hidden long stack_read_u64(u64 address, u64 *value)
{
	long err = bpf_probe_read_user(value, sizeof(*value), (void *)address);

	if (err && hb_can_fault)
		err = bpf_copy_from_user(value, sizeof(*value), (void *)address);
	return err;
}

/*
 * Whether the bytes in front of @ret are a call: what a frame pointer that is none leads to is
 * almost never a return address. @before holds the eight bytes that end at @ret.
 */
static __always_inline bool after_call(const u8 *before)
{
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

static __always_inline u64 mix(u64 hash, u64 value)
{
	hash ^= value;
	hash *= 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio: Knuth's multiplicative hashing */
	return hash ^ (hash >> 29);
}

__hidden u64 stack_capture(struct hb_task *task, u32 gen, u64 pc, u64 sp, u64 fp)
{
	struct hb_stack *stack = &task->scratch;
	u64 hash = mix(mix(0, gen), pc); /* in two steps: gen ^ pc is the same for many */
	u32 n = 1;

	stack->gen = gen;
	stack->frames[0] = pc;
	for (int i = 1; i < HB_FRAMES_MAX; i++) {
		u64 record[2]; /* the caller's frame pointer, the return address */
		u64 before;

		if (fp < sp || fp - sp > FRAME_BYTES_MAX || (fp & 7))
			break;
		if (bpf_probe_read_user(record, sizeof(record), (void *)fp))
			break;
		if (record[1] < TEXT_MIN || record[1] > TEXT_MAX)
			break;
		if (bpf_probe_read_user(&before, sizeof(before), (void *)(record[1] - 8)) ||
		    !after_call((const u8 *)&before))
			break;
		stack->frames[i] = record[1];
		hash = mix(hash, record[1]);
		n = i + 1;
		if (record[0] <= fp)
			break;
		sp = fp + 16;
		fp = record[0];
	}
	stack->count = n;
	return hash == HB_STACK_NONE ? 1 : hash;
}

__hidden u64 stack_store(struct hb_task *task, u64 key)
{
	if (bpf_map_lookup_elem(&hb_stacks, &key))
		return key;
	if (!bpf_map_update_elem(&hb_stacks, &key, &task->scratch, BPF_NOEXIST)) {
		count(HB_CNT_STACKS_IN);
		return key;
	}
	if (bpf_map_lookup_elem(&hb_stacks, &key)) /* another CPU was first */
		return key;
	count(HB_CNT_STACK_FULL);
	return HB_STACK_NONE;
}
