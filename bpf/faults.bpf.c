// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owns the sampled pages: who made each resident. */
#include "core.bpf.h"
#include "compat.bpf.h"

/* 88 bytes and 16 for its bucket per row, as they come: 128 GiB at one page in 128. Full: count HB_CNT_FAULTS_FULL. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18); /* --max-faults */
	__type(key, struct hb_fault_key);
	__type(value, struct hb_fault);
} hb_faults SEC(".maps");

/* By generation. User space puts the records right at each reading, and removes the rows of what has ended. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 14); /* --max-processes */
	__type(key, __u32);
	__type(value, struct hb_rate);
} hb_rates SEC(".maps");

/* What mremap moved, 100 bytes per row. Full: count HB_CNT_MOVES_FULL. User space removes those it needs no more. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 13);
	__type(key, struct hb_move_key);
	__type(value, struct hb_move);
} hb_moves SEC(".maps");

/* By generation, as hb_rates. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 14); /* --max-processes */
	__type(key, __u32);
	__type(value, struct hb_moved);
} hb_moved SEC(".maps");

/* Not in the thread's storage: that would be 3 KB for each thread of the host. */
struct room {
	struct hb_task task; /* for the walk */
	struct hb_resume resume;
	struct pt_regs registers;
	struct hb_ev_process event;
};

/*
 * 4 KB for each CPU and kind: page faults have interrupts off, or preemption; of the programs on page
 * allocations another run on the same CPU is left out by the kernel.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HB_ROOM_END);
	__type(key, __u32);
	__type(value, struct room);
} hb_fault_rooms SEC(".maps");

/* The current process, looked at from now on if it was not before. */
static __always_inline u32 see(struct room *room)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct hb_ev_process *event = &room->event;

	event->kind = HB_EV_SEEN;
	event->tgid = bpf_get_current_pid_tgid() >> 32;
	event->time_ns = bpf_ktime_get_ns();
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	event->old_gen = 0;
	event->parent = 0;
	event->shares = 0;
	BPF_CORE_READ_STR_INTO(&event->comm, task, group_leader, comm);
	return process_see(event->tgid, event);
}

/* How densely @gen is sampled; the rate begins with its first sampled fault. NULL: there is no room. */
static __always_inline struct hb_rate *rate_of(u32 gen)
{
	struct hb_rate *rate = bpf_map_lookup_elem(&hb_rates, &gen), fresh = { .shift = hb_sample_shift };

	if (rate)
		return rate;
	fresh.first = process_began() ? 0 : HB_RATE_OLD;
	bpf_map_update_elem(&hb_rates, &gen, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&hb_rates, &gen);
}

/* One record more. Two CPUs may both find that it was the last one: the sample is coarser then, no less right. */
static __always_inline void rate_add(struct hb_rate *rate)
{
	__sync_fetch_and_add(&rate->records, 1);
	if (rate->records < HB_RATE_RECORDS || rate->shift >= HB_SAMPLE_SHIFT_MAX)
		return;
	rate->records = HB_RATE_RECORDS / 2;
	rate->shift++;
}

/*
 * A page is touched where none was. If @known is of one that has moved away since, it is put aside. A program that
 * moves and touches all the time must not make its own sample coarser.
 */
static __always_inline void put_aside(const struct hb_fault_key *key, const struct hb_fault *known,
				      struct hb_rate *rate)
{
	struct hb_moved *moved = bpf_map_lookup_elem(&hb_moved, &key->gen);
	struct hb_fault_key aside = *key;

	if (!moved || known->time_ns >= moved->last_ns)
		return;
	aside.order |= moved->count << HB_FAULT_ASIDE;
	if (rate->records >= HB_RATE_RECORDS / 8 * 7 || bpf_map_update_elem(&hb_faults, &aside, known, BPF_ANY)) {
		count(HB_CNT_MOVES_FULL);
		return;
	}
	count(HB_CNT_FAULTS_IN);
	if (!key->order)
		rate_add(rate);
}

/* Have @fresh stand for as many pages as each of the first ones that are sampled. Returns whether @page is of those. */
static __always_inline bool sample_first(u64 page, struct hb_fault *fresh)
{
	fresh->shift = HB_SAMPLE_SHIFT_FIRST;
	return hb_page_kept(page >> hb_granule_order, hb_sample_seed, HB_SAMPLE_SHIFT_FIRST);
}

/* Whether the fault at hand brings one of the first pages of its image. */
static __always_inline bool is_first(struct hb_rate *rate, bool present)
{
	if (!hb_first_faults || present || rate->first >= hb_first_faults)
		return false;
	__sync_fetch_and_add(&rate->first, 1);
	return true;
}

/* Whether a page that was there and has no row may be one of the first, which have none for the most part. */
static __always_inline bool may_be_first(const struct hb_rate *rate)
{
	return hb_first_faults && rate->first != HB_RATE_OLD;
}

static __always_inline u64 stack_of(struct room *room, u32 gen)
{
	compat_user_registers(&room->registers);
	compat_resume(&room->registers, &room->resume);
	room->resume.unlocked = 1;
	return stack_capture_kept(&room->task, gen, &room->resume);
}

__hidden bool faults_first(u32 gen)
{
	const struct hb_rate *rate = hb_first_faults ? bpf_map_lookup_elem(&hb_rates, &gen) : NULL;

	return hb_first_faults && (!rate || rate->first < hb_first_faults);
}

__hidden void faults_add(u64 address, u32 order, u32 flags, u32 which)
{
	struct hb_fault_key key = { .page = address >> hb_page_bits, .order = order };
	struct room *room = bpf_map_lookup_elem(&hb_fault_rooms, &which);
	struct hb_fault *known, fresh = { .flags = flags };
	const bool present = flags & HB_FAULT_PRESENT;
	struct hb_rate *rate;

	/* Nothing becomes resident, and it may be a walk of our own that reads. */
	if (!room || compat_faults_fail())
		return;
	key.gen = process_seen();
	if (!key.gen && hb_everything)
		key.gen = see(room);
	if (!key.gen)
		return;
	rate = rate_of(key.gen);
	if (!rate) {
		count(HB_CNT_FAULTS_FULL);
		return;
	}
	if (!order) {
		const u64 granule = key.page >> hb_granule_order;

		if (!hb_page_kept(granule, hb_sample_seed, rate->shift))
			return;
		key.page = granule << hb_granule_order;
		if (is_first(rate, present) && !sample_first(key.page, &fresh))
			return;
	} else if (rate->first < hb_first_faults) {
		rate->first = hb_first_faults; /* what of it is given back and touched anew could not be told */
	}
	known = bpf_map_lookup_elem(&hb_faults, &key);
	/* The first who writes owns the page: a copy on write, after a fork, does not change that. */
	if (known && (known->flags & HB_FAULT_WRITE) && present)
		return;
	if (known && !present)
		put_aside(&key, known, rate);
	if (known && present)
		fresh.shift = known->shift;
	if (!known && present && !order && may_be_first(rate) && !sample_first(key.page, &fresh))
		return;
	fresh.stack = stack_of(room, key.gen);
	fresh.time_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&hb_faults, &key, &fresh, BPF_ANY)) {
		count(HB_CNT_FAULTS_FULL);
	} else if (!known) {
		count(HB_CNT_FAULTS_IN);
		if (!order)
			rate_add(rate);
	}
}

__hidden void faults_move(u64 to)
{
	struct hb_moved *moved, none = { 0 };
	struct hb_move_key key = { 0 };
	struct hb_move move = { 0 };
	struct pt_regs registers;
	u64 args[6]; /* old address, old size, new size, flags, new address */
	u64 mask = (1ULL << hb_page_bits) - 1;

	compat_user_registers(&registers);
	compat_syscall_args(&registers, args);
	if (to >= (u64)-4095 || to == args[0] || !args[1])
		return; /* it failed, moved nothing, or made a second mapping of the same memory */
	key.gen = process_seen();
	if (!key.gen)
		return;
	bpf_map_update_elem(&hb_moved, &key.gen, &none, BPF_NOEXIST);
	moved = bpf_map_lookup_elem(&hb_moved, &key.gen);
	key.time_ns = bpf_ktime_get_ns();
	key.tid = bpf_get_current_pid_tgid();
	move.from = args[0] >> hb_page_bits;
	move.to = to >> hb_page_bits;
	move.pages = ((args[1] < args[2] ? args[1] : args[2]) + mask) >> hb_page_bits;
	if (!moved || bpf_map_update_elem(&hb_moves, &key, &move, BPF_ANY)) {
		count(HB_CNT_MOVES_FULL);
		return;
	}
	__sync_fetch_and_add(&moved->count, 1);
	moved->last_ns = key.time_ns;
}
