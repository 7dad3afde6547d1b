// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * mmap, munmap, mremap, brk, shmat, shmdt, mprotect and pkey_mprotect of traced processes, as events: these calls'
 * arguments and results say everything that a process does to its own mappings. Each call has one body, and a program
 * for each rung: tracepoints of system calls, kprobes, fentry and fexit.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

/* include/uapi/linux/mman.h, include/uapi/asm-generic/mman-common.h */
#define MAP_FIXED_FLAG 0x10
#define ERRNO_MAX      4095UL

static __always_inline bool failed(long ret)
{
	return (unsigned long)ret >= -ERRNO_MAX;
}

static __always_inline int munmap_enter(void)
{
	u64 args[6];
	struct hb_vm_call *call = vm_begin(HB_MAP_REMOVE, args);

	if (!call)
		return 0;
	call->event.addr = args[0];
	call->event.bytes = args[1];
	vm_send(call);
	return 0;
}

/* Tell of @op if the call failed. */
static __always_inline int tell_failure(long ret, u32 op)
{
	u64 args[6];
	struct hb_vm_call *call = failed(ret) ? vm_begin(op, args) : NULL;

	if (call)
		vm_send(call);
	return 0;
}

static __always_inline int munmap_exit(long ret)
{
	return tell_failure(ret, HB_MAP_RESTORE);
}

static __always_inline int mmap_exit(long ret)
{
	u64 args[6];
	struct hb_vm_call *call = vm_begin(HB_MAP_ADD, args);

	if (!call)
		return 0;
	if (failed(ret)) {
		if (!(args[3] & MAP_FIXED_FLAG))
			return 0;
		call->event.op = HB_MAP_UNCLEAR; /* what was there may be gone */
		vm_send(call);
		return 0;
	}
	call->event.addr = ret;
	call->event.bytes = args[1];
	call->event.prot = args[2];
	call->event.flags = args[3];
	vm_send_with_stack(call);
	return 0;
}

static __always_inline int mremap_enter(void)
{
	u64 args[6];
	struct hb_vm_call *call = vm_begin(HB_MAP_REMAP_BEGIN, args);

	if (!call)
		return 0;
	call->event.old_addr = args[0];
	call->event.old_bytes = args[1];
	call->event.bytes = args[2];
	call->event.flags = args[3];
	call->event.addr = args[4];
	vm_send(call);
	return 0;
}

static __always_inline int mremap_exit(long ret)
{
	u64 args[6];
	struct hb_vm_call *call;

	if (hb_see_pages)
		faults_move(ret);
	call = vm_begin(failed(ret) ? HB_MAP_RESTORE : HB_MAP_REMAP_END, args);
	if (!call)
		return 0;
	if (failed(ret)) {
		vm_send(call);
		return 0;
	}
	call->event.addr = ret;
	call->event.old_addr = args[0];
	call->event.old_bytes = args[1];
	call->event.bytes = args[2];
	call->event.flags = args[3];
	vm_send_with_stack(call);
	return 0;
}

/* The kernel's own word for where the break is: of two threads' results the later may be the older. */
static __always_inline int brk_exit(long ret)
{
	u64 args[6];
	struct hb_vm_call *call = vm_begin(HB_MAP_BREAK, args);

	if (!call || !args[0])
		return 0; /* brk(0) asks */
	call->event.addr = compat_break(&call->event.old_addr);
	vm_send_with_stack(call);
	return 0;
}

/* How long a segment is only its mapping says; older kernels cannot look it up. */
static __always_inline void segment_at(struct hb_vm_call *call, u64 address)
{
#ifndef HB_POINTERS_ONLY
	struct hb_task *task = pending_task_create();

	if (!task || mapping_find(&task->walk, address))
		return;
	call->event.bytes = task->walk.mapping.end - task->walk.mapping.start;
	call->event.prot = task->walk.mapping.prot;
#endif
}

static __always_inline int shmat_exit(long ret)
{
	u64 args[6];
	struct hb_vm_call *call = failed(ret) ? NULL : vm_begin(HB_MAP_ADD, args);

	if (!call)
		return 0;
	call->event.addr = ret;
	call->event.marks |= HB_MAP_SHM;
	segment_at(call, ret);
	if (!call->event.bytes)
		call->event.op = HB_MAP_UNCLEAR;
	vm_send_with_stack(call);
	return 0;
}

static __always_inline int shmdt_enter(void)
{
	u64 args[6];
	struct hb_vm_call *call = vm_begin(HB_MAP_DETACH, args);

	if (!call)
		return 0;
	call->event.addr = args[0];
	vm_send(call);
	return 0;
}

/* It took nothing away, then: what had been announced is to be read again. */
static __always_inline int shmdt_exit(long ret)
{
	return tell_failure(ret, HB_MAP_UNCLEAR);
}

static __always_inline int protect_exit(long ret)
{
	u64 args[6];
	struct hb_vm_call *call;

	if (failed(ret))
		return tell_failure(ret, HB_MAP_UNCLEAR); /* a part may have changed */
	call = vm_begin(HB_MAP_PROTECT, args);
	if (!call)
		return 0;
	call->event.addr = args[0];
	call->event.bytes = args[1];
	call->event.prot = args[2];
	vm_send(call);
	return 0;
}

/* Three programs for each: on a tracepoint, on a kprobe, on fentry or fexit (named by user space). */
#define ON_ENTRY(name, call, body)                                                             \
	SEC("tracepoint/syscalls/sys_enter_" #call)                                            \
	int hb_vm_##name##_te(void *ctx)                                                       \
	{                                                                                      \
		return body();                                                                 \
	}                                                                                      \
	SEC("kprobe")                                                                          \
	int hb_vm_##name##_ke(struct pt_regs *ctx)                                             \
	{                                                                                      \
		return body();                                                                 \
	}                                                                                      \
	SEC("fentry/__x64_sys_" #call)                                                         \
	int hb_vm_##name##_fe(void *ctx)                                                       \
	{                                                                                      \
		return body();                                                                 \
	}

#define ON_RETURN(name, call, body)                                                            \
	SEC("tracepoint/syscalls/sys_exit_" #call)                                             \
	int hb_vm_##name##_tx(struct trace_event_raw_sys_exit *ctx)                            \
	{                                                                                      \
		return body(ctx->ret);                                                         \
	}                                                                                      \
	SEC("kretprobe")                                                                       \
	int hb_vm_##name##_kx(struct pt_regs *ctx)                                             \
	{                                                                                      \
		return body(PT_REGS_RC(ctx));                                                  \
	}                                                                                      \
	SEC("fexit/__x64_sys_" #call)                                                          \
	int BPF_PROG(hb_vm_##name##_fx, const struct pt_regs *registers, long ret)             \
	{                                                                                      \
		return body(ret);                                                              \
	}

ON_RETURN(mmap, mmap, mmap_exit)
ON_ENTRY(unmap, munmap, munmap_enter)
ON_RETURN(unmap, munmap, munmap_exit)
ON_ENTRY(remap, mremap, mremap_enter)
ON_RETURN(remap, mremap, mremap_exit)
ON_RETURN(brk, brk, brk_exit)
ON_RETURN(shmat, shmat, shmat_exit)
ON_ENTRY(shmdt, shmdt, shmdt_enter)
ON_RETURN(shmdt, shmdt, shmdt_exit)
ON_RETURN(prot, mprotect, protect_exit)
ON_RETURN(pkey, pkey_mprotect, protect_exit)

#if defined(__TARGET_ARCH_x86)
/*
 * The same calls of 32-bit programs, by the numbers of arch/x86/entry/syscalls/syscall_32.tbl: no tracepoint of a
 * single system call tells of them. Put in place only while such a program is traced.
 */
enum {
	NARROW_BRK = 45, NARROW_OLD_MMAP = 90, NARROW_MUNMAP = 91, NARROW_IPC = 117, NARROW_MPROTECT = 125,
	NARROW_MREMAP = 163, NARROW_MMAP2 = 192, NARROW_PKEY_MPROTECT = 380, NARROW_SHMAT = 397, NARROW_SHMDT = 398,
};

/* A call whose arguments lie in memory, or whose length they do not tell: the mappings are to be read anew. */
static __always_inline int narrow_unclear(long ret)
{
	u64 args[6];
	struct hb_vm_call *call = failed(ret) ? NULL : vm_begin(HB_MAP_UNCLEAR, args);

	if (call)
		vm_send(call);
	return 0;
}

/* (registers, number) */
SEC("raw_tp/sys_enter")
int hb_narrow_enter(u64 *ctx)
{
	if (!compat_narrow_call())
		return 0;
	if (ctx[1] == NARROW_MUNMAP)
		return munmap_enter();
	if (ctx[1] == NARROW_MREMAP)
		return mremap_enter();
	return 0;
}

/* (registers, result) */
SEC("raw_tp/sys_exit")
int hb_narrow_exit(u64 *ctx)
{
	struct pt_regs *registers = (struct pt_regs *)ctx[0];
	long ret = ctx[1];
	u64 number = 0;

	if (!compat_narrow_call())
		return 0;
	bpf_probe_read_kernel(&number, sizeof(number), &registers->orig_ax);
	switch ((u32)number) {
	case NARROW_BRK:
		return brk_exit(ret);
	case NARROW_MUNMAP:
		return munmap_exit(ret);
	case NARROW_MPROTECT:
	case NARROW_PKEY_MPROTECT:
		return protect_exit(ret);
	case NARROW_MREMAP:
		return mremap_exit(ret);
	case NARROW_MMAP2:
		return mmap_exit(ret);
	case NARROW_OLD_MMAP:
	case NARROW_IPC:
	case NARROW_SHMAT:
	case NARROW_SHMDT:
		return narrow_unclear(ret);
	}
	return 0;
}
#endif
