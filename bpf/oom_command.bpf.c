// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns command lines as they were earlier. A victim's own is told as far as it can be read when it dies; its page may
 * be in swap by then, on its way to another NUMA node, or marked for a hint by NUMA balancing, for nobody has touched
 * it since. As a program begins it has just been written.
 */
#include "core.bpf.h"

/* By tgid. 512 bytes per row with what the kernel adds, as they come. Full: later programs are not noted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 14); /* --max-processes */
	__type(key, __u32);
	__type(value, struct hb_oom_earlier);
} hb_oom_commands SEC(".maps");

/* What a row begins as, for which a program's stack is small: nobody writes to it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hb_oom_earlier);
} hb_oom_blank SEC(".maps");

/*
 * The first @room bytes of the current process's command line, whose memory is @mm, into @text, as far as they are in
 * memory: no page is brought in. Returns how many that are; *@whole: all of them.
 */
static __always_inline u32 read_text(char *text, u64 room, struct mm_struct *mm, bool *whole)
{
	u64 start = BPF_CORE_READ(mm, arg_start), bytes = BPF_CORE_READ(mm, arg_end) - start;
	u64 first = (((start >> hb_page_bits) + 1) << hb_page_bits) - start;

	if (bytes > room)
		bytes = room;
	*whole = !bpf_probe_read_user(text, bytes, (void *)start);
	if (*whole)
		return bytes;
	if (first >= bytes)
		return 0;
	asm volatile("" : "+r"(first)); /* or clang knows what the verifier does not */
	if (first > room || bpf_probe_read_user(text, first, (void *)start))
		return 0;
	return first; /* up to the end of its first page */
}

/* The row of @task's process, which is new if it has none. NULL: there is no room. */
static __always_inline struct hb_oom_earlier *row_of(struct task_struct *task, const struct hb_oom_earlier *begins)
{
	u32 tgid = BPF_CORE_READ(task, tgid);
	struct hb_oom_earlier *row = bpf_map_lookup_elem(&hb_oom_commands, &tgid);

	if (row)
		return row;
	bpf_map_update_elem(&hb_oom_commands, &tgid, begins, BPF_NOEXIST);
	return bpf_map_lookup_elem(&hb_oom_commands, &tgid);
}

/* @task's command line as it is, which is the current process's. NULL: there is no room. */
static __always_inline struct hb_oom_earlier *note(struct task_struct *task)
{
	u32 zero = 0;
	struct hb_oom_earlier *blank = bpf_map_lookup_elem(&hb_oom_blank, &zero), *row;
	bool whole;

	row = blank ? row_of(task, blank) : NULL;
	if (!row)
		return NULL;
	row->bytes = 0;
	row->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	row->bytes = read_text(row->text, sizeof(row->text), BPF_CORE_READ(task, mm), &whole);
	return row;
}

__hidden void oom_command_begin(struct task_struct *task)
{
	note(task);
}

__hidden void oom_command_fork(struct task_struct *parent, struct task_struct *child)
{
	u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid);
	struct hb_oom_earlier *row;

	/* A thread; or who shares memory with its parent: mostly it is about to have a program of its own. */
	if (from == to || BPF_CORE_READ(parent, mm) == BPF_CORE_READ(child, mm))
		return;
	row = bpf_map_lookup_elem(&hb_oom_commands, &from);
	if (!row || !row->bytes)
		row = note(parent); /* it ran before us */
	/* In place of what a process left there whose end was not seen. */
	if (!row || bpf_map_update_elem(&hb_oom_commands, &to, row, BPF_ANY))
		return;
	row = bpf_map_lookup_elem(&hb_oom_commands, &to);
	if (row)
		row->start_ns = BPF_CORE_READ(child, start_boottime);
}

__hidden void oom_command_end(u32 tgid)
{
	bpf_map_delete_elem(&hb_oom_commands, &tgid);
}

__hidden void oom_command_tell(struct hb_ev_oom_after *event, struct mm_struct *mm)
{
	u32 tgid = event->tgid; /* on the stack: up to 6.1 a record of a ring is no key */
	struct hb_oom_earlier *row;
	bool whole;

	event->bytes = read_text(event->text, sizeof(event->text), mm, &whole);
	if (whole && event->bytes)
		return;
	event->how = HB_OOM_COMMAND_PART;
	row = bpf_map_lookup_elem(&hb_oom_commands, &tgid);
	if (!row || row->start_ns != event->start_ns || row->bytes <= event->bytes)
		return;
	bpf_probe_read_kernel(event->text, sizeof(row->text), row->text);
	event->bytes = row->bytes;
	event->how = HB_OOM_COMMAND_EARLIER;
}
