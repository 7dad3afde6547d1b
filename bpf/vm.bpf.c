// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the system calls under way that change a process's mappings: from the registers to the event. */
#include "core.bpf.h"
#include "compat.bpf.h"

/* 400 bytes for each thread of a traced process that changes its mappings. None: count HB_CNT_TASK_STORAGE. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hb_vm_call);
} hb_vm_calls SEC(".maps");

/* In its place, as hb_rooms. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hb_vm_call);
} hb_vm_rooms SEC(".maps");

static __always_inline struct hb_vm_call *room(void)
{
	u32 zero = 0;

	if (hb_no_storage)
		return bpf_map_lookup_elem(&hb_vm_rooms, &zero);
	return bpf_task_storage_get(&hb_vm_calls, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

__hidden struct hb_vm_call *vm_begin(u32 op, u64 args[6])
{
	u32 gen = process_traced();
	struct hb_vm_call *call;
	u64 id;

	if (!gen)
		return NULL;
	call = room();
	if (!call) {
		count(HB_CNT_TASK_STORAGE);
		return NULL;
	}
	compat_user_registers(&call->registers);
	compat_syscall_args(&call->registers, args);
	__builtin_memset(&call->event, 0, sizeof(call->event));
	id = bpf_get_current_pid_tgid();
	call->event.kind = HB_EV_MAP;
	call->event.tgid = id >> 32;
	call->event.tid = (u32)id;
	call->event.time_ns = bpf_ktime_get_ns();
	call->event.gen = gen;
	call->event.op = op;
	call->event.marks = hb_by_thread ? HB_MAP_BY_THREAD : 0;
	return call;
}

__hidden void vm_send(struct hb_vm_call *call)
{
	emit_map(&call->event);
}

__hidden void vm_send_with_stack(struct hb_vm_call *call)
{
	struct hb_task *task = pending_task_create();

	compat_resume(&call->registers, &call->resume);
	if (task) {
		if (pending_open(task, call->resume.sp, call->event.gen))
			call->event.marks |= HB_MAP_OWNED;
		call->event.stack = stack_capture_kept(task, call->event.gen, &call->resume);
	}
	vm_send(call);
}
