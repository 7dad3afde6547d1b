// SPDX-License-Identifier: Apache-2.0
/*
 * Stops a traced thread where an interrupt found it, and walks its stack with the walker that the probes
 * use. It is sent SIGSTOP and goes no further in the program, so another unwinder sees the same state.
 */
#include "../../bpf/core.bpf.h"

#include "sample.h"

#define SIGSTOP_NUMBER         19 /* include/uapi/asm-generic/signal.h */
#define CLOCK_MONOTONIC_NUMBER 1  /* include/uapi/linux/time.h */

_Static_assert(sizeof(struct pt_regs) <= SAMPLE_WORDS * sizeof(__u64), "the registers have room");

/* One sample at a time, mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sample);
} hb_samples SEC(".maps");

static __always_inline struct sample *the_sample(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&hb_samples, &zero);
}

/* The current thread, if it is one to take. */
static __always_inline int take(void)
{
	struct sample *sample = the_sample();
	struct hb_resume resume = { .exact = 1 };
	struct pt_regs *registers, *copy;
	struct hb_task *task;
	u32 gen;

	if (!sample || sample->state != SAMPLE_ARMED)
		return 0;
	gen = process_traced();
	if (!gen || __sync_val_compare_and_swap(&sample->state, SAMPLE_ARMED, SAMPLE_BUSY) != SAMPLE_ARMED)
		return 0;
	/* What the program goes on with, whether the interrupt came in it or in the kernel. */
	registers = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	copy = (struct pt_regs *)sample->registers; /* not here: the walk needs the stack */
	task = pending_task_create();
	/* It cannot be stopped when it is exiting, and not while another signal of ours is on its way. */
	if (!task || bpf_probe_read_kernel(copy, sizeof(*copy), registers) || bpf_send_signal_thread(SIGSTOP_NUMBER)) {
		sample->state = SAMPLE_ARMED;
		return 0;
	}
	resume.pc = PT_REGS_IP(copy);
	resume.sp = PT_REGS_SP(copy);
	resume.fp = PT_REGS_FP(copy);
#if defined(__TARGET_ARCH_x86)
	resume.bx = copy->bx;
#endif
#if defined(__TARGET_ARCH_arm64)
	resume.lr = PT_REGS_RET(copy);
#endif
	sample->pid = bpf_get_current_pid_tgid() >> 32;
	sample->tid = (u32)bpf_get_current_pid_tgid();
	sample->key = stack_store(task, stack_capture(task, gen, &resume));
	__sync_val_compare_and_swap(&sample->state, SAMPLE_BUSY, SAMPLE_TAKEN); /* with a barrier */
	return 0;
}

/* A clock for each CPU. */
struct clock {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SAMPLE_CPUS_MAX);
	__type(key, __u32);
	__type(value, struct clock);
} hb_clocks SEC(".maps");

#define TICK_NS 1000000 /* at the most, between two looks at what a CPU runs */

/* In a soft interrupt: others are let in, as in a probe, so that all of the walk can be done. */
static int tick(void *map, __u32 *cpu, struct clock *clock)
{
	take();
	bpf_timer_start(&clock->timer, bpf_get_prandom_u32() % TICK_NS, 0);
	return 0;
}

/* Run by user space on each CPU: from now on threads there are taken. */
SEC("syscall")
int hb_sample_soft(struct sample_start *start)
{
	__u32 cpu = start->cpu;
	struct clock *clock = bpf_map_lookup_elem(&hb_clocks, &cpu);

	if (!clock || bpf_timer_init(&clock->timer, &hb_clocks, CLOCK_MONOTONIC_NUMBER) ||
	    bpf_timer_set_callback(&clock->timer, tick) || bpf_timer_start(&clock->timer, TICK_NS, 0))
		return 1;
	return 0;
}

/*
 * In the interrupt itself: the kernel's list of mappings can be locked once only (its lock is given back
 * when interrupts are on again), so that most of what is mapped is read without it.
 */
SEC("perf_event")
int hb_sample_hard(void *ctx)
{
	return take();
}
