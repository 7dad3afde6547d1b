// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the OOM kills: their ring, and the processes and memories that were marked. */
#include "core.bpf.h"
#include "compat.bpf.h"

/* 2.7 KB for a kill six cgroups deep, 1.6 KB for what follows: 240. Full: HB_CNT_OOM_DROPPED; a kill leaves a gap. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} hb_oom_ring SEC(".maps");

struct named {
	u64 start_ns; /* of the process, CLOCK_BOOTTIME */
	u32 by;       /* the thread that sent it SIGKILL and has not marked it yet, 0: none */
	u32 told;     /* more than that is told of it */
};

/* By tgid, processes that are to die. 100 bytes per row; full: the oldest goes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, __u32);
	__type(value, struct named);
} hb_oom_marked SEC(".maps");

/* Of them, those of which it is told what they were doing: how many threads that was told of. As above. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, __u32);
	__type(value, __u32);
} hb_oom_armed SEC(".maps");

/* Their memory, by its address: tgids. As above. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, __u64);
	__type(value, __u32);
} hb_oom_mms SEC(".maps");

struct room {
	struct hb_ev_oom event;
	struct hb_task task; /* for the walk */
	struct hb_resume resume;
	struct pt_regs registers;
};

/* 8 KB: one is enough, since one mark is made at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct room);
} hb_oom_rooms SEC(".maps");

struct thread_room {
	struct hb_task task; /* for the walk */
	struct hb_resume resume;
	struct pt_regs registers;
};

/* 4 KB for each CPU: threads of a victim take their signals side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct thread_room);
} hb_oom_threads SEC(".maps");

__u64 hb_oom_sequence = 0;

static __always_inline void send(const void *record, u64 bytes)
{
	if (bpf_ringbuf_output(&hb_oom_ring, (void *)record, bytes, 0))
		count(HB_CNT_OOM_DROPPED);
}

/* What the victim is; of its memory nothing is held. */
static __always_inline void tell_victim(struct hb_ev_oom *event, struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	u64 numbers = (u64)&pid->numbers, level = BPF_CORE_READ(pid, level);

	event->tgid = BPF_CORE_READ(task, tgid);
	event->tid = BPF_CORE_READ(task, pid);
	event->gen = process_known(event->tgid);
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	event->uid = BPF_CORE_READ(task, cred, uid.val);
	event->score_adj = BPF_CORE_READ(signal, oom_score_adj);
	event->threads = BPF_CORE_READ(signal, nr_threads);
	bpf_probe_read_kernel(&event->inner_pid, sizeof(event->inner_pid),
			      (void *)(numbers + level * bpf_core_type_size(struct upid)));
	BPF_CORE_READ_STR_INTO(&event->comm, task, group_leader, comm);
	BPF_CORE_READ_STR_INTO(&event->thread_comm, task, comm);
	if (!mm)
		mm = BPF_CORE_READ(signal, oom_mm);
	event->mm = (u64)mm;
	event->flags |= HB_OOM_TASK_READ;
	if (!mm)
		return;
	event->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	event->pgtables_bytes = BPF_CORE_READ(mm, pgtables_bytes.counter);
	oom_counters_read((u64)mm, task, event->pages, event->logged_pages);
}

/* Who ran into the limit: the current thread, and where. */
static __always_inline void tell_trigger(struct room *room, void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct hb_ev_oom *event = &room->event;
	u64 id = bpf_get_current_pid_tgid();
	long bytes;

	event->by_tgid = id >> 32;
	event->by_tid = (u32)id;
	event->by_score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	event->by_cgroup = oom_domain_id(oom_domain_of(task));
	bpf_get_current_comm(&event->by_comm, sizeof(event->by_comm));
	bytes = bpf_get_stack(ctx, event->kframes, sizeof(event->kframes), 0);
	event->kframes_count = bytes > 0 ? (u64)bytes / sizeof(event->kframes[0]) : 0;
	if (BPF_CORE_READ(task, flags) & HB_PF_KTHREAD) {
		event->flags |= HB_OOM_KTHREAD;
		return;
	}
	event->by_gen = process_known(event->by_tgid);
	if (!event->by_gen)
		return; /* nobody could say what the addresses mean */
	compat_user_registers(&room->registers);
	compat_resume(&room->registers, &room->resume);
	room->resume.unlocked = 1; /* it may hold its list of mappings for itself */
	event->by_stack = stack_capture_kept(&room->task, event->by_gen, &room->resume);
}

/* Remember the victim. Without a SIGKILL sent right before, by this thread, it was dying already. */
static __always_inline void remember(struct hb_ev_oom *event)
{
	struct named *known = bpf_map_lookup_elem(&hb_oom_marked, &event->tgid);
	struct named fresh = { .start_ns = event->start_ns, .told = 1 };

	if (!known || known->start_ns != event->start_ns || known->by != event->by_tid)
		event->flags |= HB_OOM_DYING;
	bpf_map_update_elem(&hb_oom_marked, &event->tgid, &fresh, BPF_ANY);
	bpf_map_update_elem(&hb_oom_mms, &event->mm, &event->tgid, BPF_ANY);
}

/* As many levels as there are: most of the room is theirs. */
static __always_inline void send_kill(const struct hb_ev_oom *event)
{
	u64 levels = event->levels_count;

	if (levels > HB_OOM_LEVELS)
		levels = HB_OOM_LEVELS;
	send(event, offsetof(struct hb_ev_oom, levels) + levels * sizeof(event->levels[0]));
}

__hidden void oom_mark(void *ctx, struct task_struct *task, u32 number)
{
	u32 zero = 0;
	struct room *room = bpf_map_lookup_elem(&hb_oom_rooms, &zero);
	struct hb_ev_oom *event;

	if (!room)
		return;
	event = &room->event;
	__builtin_memset(event, 0, offsetof(struct hb_ev_oom, levels));
	event->kind = HB_EV_OOM;
	event->time_ns = bpf_ktime_get_ns();
	event->boot_ns = bpf_ktime_get_boot_ns();
	event->sequence = ++hb_oom_sequence;
	event->chosen_points = HB_OOM_UNKNOWN;
	event->total_pages = HB_OOM_UNKNOWN;
	if (task) {
		tell_victim(event, task);
		oom_domain_tell(event, task);
	} else {
		event->tgid = event->tid = number;
	}
	oom_control_tell(event);
	if (event->how == HB_OOM_HOW_NONE)
		oom_domain_conclude(event);
	oom_stat_tell(event, task);
	tell_trigger(room, ctx);
	if (task)
		remember(event);
	send_kill(event);
}

__hidden void oom_name(struct task_struct *task)
{
	struct task_struct *self = (struct task_struct *)bpf_get_current_task();
	struct named fresh = { .by = (u32)bpf_get_current_pid_tgid() }, *known;
	u32 tgid = BPF_CORE_READ(task, tgid), none = 0;

	fresh.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	known = bpf_map_lookup_elem(&hb_oom_marked, &tgid);
	if (known && known->start_ns == fresh.start_ns)
		fresh.told = known->told;
	/* Namespaces and tracers kill so, too, as they end. */
	if (!fresh.told && (oom_control_known() || !(BPF_CORE_READ(self, flags) & HB_PF_EXITING))) {
		fresh.told = 1;
		bpf_map_update_elem(&hb_oom_armed, &tgid, &none, BPF_ANY);
	}
	bpf_map_update_elem(&hb_oom_marked, &tgid, &fresh, BPF_ANY);
}

static __always_inline void begin(struct hb_ev_oom_after *event, u32 tgid, u32 what)
{
	__builtin_memset(event, 0, offsetof(struct hb_ev_oom_after, text));
	event->kind = HB_EV_OOM_AFTER;
	event->tgid = tgid;
	event->what = what;
	event->time_ns = bpf_ktime_get_ns();
}

static __always_inline void tell_command(u32 tgid, u64 start_ns, struct mm_struct *mm)
{
	struct hb_ev_oom_after *event = bpf_ringbuf_reserve(&hb_oom_ring, sizeof(*event), 0);

	if (!event) {
		count(HB_CNT_OOM_DROPPED);
		return;
	}
	begin(event, tgid, HB_OOM_COMMAND);
	event->start_ns = start_ns;
	oom_command_tell(event, mm);
	bpf_ringbuf_submit(event, 0);
}

/* Where the current thread is in user space. Of what nobody knows nobody could say what the addresses mean. */
static __always_inline void tell_thread(u32 tgid, u64 start_ns)
{
	struct hb_ev_oom_thread event = { .kind = HB_EV_OOM_THREAD, .tgid = tgid, .start_ns = start_ns };
	u32 zero = 0;
	struct thread_room *room = bpf_map_lookup_elem(&hb_oom_threads, &zero);

	event.gen = process_known(tgid);
	if (!room || !event.gen)
		return;
	event.tid = bpf_get_current_pid_tgid();
	bpf_get_current_comm(&event.comm, sizeof(event.comm));
	compat_user_registers(&room->registers);
	compat_resume(&room->registers, &room->resume);
	room->resume.unlocked = 1; /* the others of its threads are at work */
	event.stack = stack_capture_kept(&room->task, event.gen, &room->resume);
	send(&event, sizeof(event));
}

__hidden void oom_take_signal(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32, before;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	u32 *told = bpf_map_lookup_elem(&hb_oom_armed, &tgid);
	u64 start_ns;

	if (!told || !mm)
		return; /* not of ours */
	before = *told;
	if (before >= HB_OOM_THREADS)
		return;
	*told = before + 1; /* another of its threads may do so now: then one more is told of, or the command twice */
	start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	if (!before)
		tell_command(tgid, start_ns, mm);
	tell_thread(tgid, start_ns);
}

#define WITHOUT_TEXT offsetof(struct hb_ev_oom_after, text)

/* An event without text; the rest of the struct is not there. */
static __always_inline void send_short(u32 tgid, u32 what, u64 start_ns, u64 mm)
{
	u64 words[WITHOUT_TEXT / sizeof(u64)];
	struct hb_ev_oom_after *event = (struct hb_ev_oom_after *)words;

	begin(event, tgid, what);
	event->start_ns = start_ns;
	event->mm = mm;
	send(words, sizeof(words));
}

__hidden void oom_exit(struct task_struct *task)
{
	u32 tgid = BPF_CORE_READ(task, tgid);
	struct named *known, copy;

	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return;
	oom_command_end(tgid);
	known = bpf_map_lookup_elem(&hb_oom_marked, &tgid);
	if (!known)
		return;
	copy = *known;
	if (bpf_map_delete_elem(&hb_oom_marked, &tgid))
		return; /* two threads ended at once: the other one says it */
	bpf_map_delete_elem(&hb_oom_armed, &tgid);
	if (copy.told)
		send_short(tgid, HB_OOM_EXITING, copy.start_ns, 0);
}

__hidden void oom_free(u64 mm)
{
	u32 *known = bpf_map_lookup_elem(&hb_oom_mms, &mm), tgid;

	if (!known)
		return;
	tgid = *known;
	if (!bpf_map_delete_elem(&hb_oom_mms, &mm))
		send_short(tgid, HB_OOM_FREED, 0, mm);
}
