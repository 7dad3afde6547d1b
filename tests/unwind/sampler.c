// SPDX-License-Identifier: Apache-2.0
#include "sampler.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../user/base/clock.h"
#include "../../user/probe/session_private.h"
#include "watched.h"

#define TICK_NS     499979ULL /* prime: no program keeps step with it */
#define LOOK_NS     300000ULL
#define TAKEN_NS    (2ULL * 1000000000) /* something traced runs within this time */
#define STOPPED_NS  (2ULL * 1000000000) /* and stops within this */
#define MAX_STACKS  (1u << 16)

struct sampler {
	struct session *session;
	struct target *target;
	struct bpf_link *ticks[SAMPLE_CPUS_MAX];
	size_t ticks_count;
	struct sample *shared; /* with sample.bpf.c */
};

static int put_tick(struct sampler *sampler, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = TICK_NS,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	struct bpf_link *link;

	if (fd < 0)
		return -errno;
	link = bpf_program__attach_perf_event(sampler->session->bpf->progs.hb_sample_hard, fd);
	if (!link) {
		close(fd);
		return -errno;
	}
	sampler->ticks[sampler->ticks_count++] = link;
	return 0;
}

/* On @cpu, where this thread must be for a moment. */
static int put_clock(struct sampler *sampler, int cpu)
{
	struct sample_start start = { .cpu = cpu };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &start, .ctx_size_in = sizeof(start));
	cpu_set_t before, here;
	int err;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_getaffinity(0, sizeof(before), &before) || sched_setaffinity(0, sizeof(here), &here))
		return -ENODEV;
	err = bpf_prog_test_run_opts(bpf_program__fd(sampler->session->bpf->progs.hb_sample_soft), &options);
	sched_setaffinity(0, sizeof(before), &before);
	if (!err && options.retval)
		err = -EIO;
	return err;
}

/* CPUs that are offline have none. */
static int attach(struct sampler *sampler, bool ranges)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int err = -ENODEV;

	for (int cpu = 0; cpu < cpus && cpu < SAMPLE_CPUS_MAX; cpu++) {
		int one = ranges ? put_tick(sampler, cpu) : put_clock(sampler, cpu);

		if (one != -ENODEV && err)
			err = one;
	}
	return err;
}

static int open_session(struct sampler *sampler)
{
	const struct session_options options = {
		.max_blocks = 1024, .max_sites = 1024, .max_stacks = MAX_STACKS, .max_processes = 4096,
		.max_events = 1 << 14, .max_frames = HB_FRAMES_LIMIT, .unwind_bytes = 64 << 20, .rung = RUNG_END,
	};
	char why[256];
	int err = session_open(&sampler->session, &options, why, sizeof(why));

	if (err)
		fprintf(stderr, "%s\n", why);
	if (!err && session_pointers_why(sampler->session)) {
		fprintf(stderr, "no unwind rows are followed: %s\n", session_pointers_why(sampler->session));
		err = -EOPNOTSUPP;
	}
	if (!err)
		err = target_new(&sampler->target, sampler->session, 0, true, "/");
	return err;
}

int sampler_new(struct sampler **out, bool ranges)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));
	int err = sampler ? open_session(sampler) : -ENOMEM;

	if (!err) {
		sampler->shared = mmap(NULL, sizeof(*sampler->shared), PROT_READ | PROT_WRITE, MAP_SHARED,
				       bpf_map__fd(sampler->session->bpf->maps.hb_samples), 0);
		if (sampler->shared == MAP_FAILED) {
			sampler->shared = NULL;
			err = -errno;
		}
	}
	if (!err)
		err = attach(sampler, ranges);
	if (err) {
		fprintf(stderr, "the sampler cannot work here: %s\n", strerror(-err));
		sampler_free(sampler);
		return err;
	}
	*out = sampler;
	return 0;
}

void sampler_free(struct sampler *sampler)
{
	if (!sampler)
		return;
	for (size_t i = 0; i < sampler->ticks_count; i++)
		bpf_link__destroy(sampler->ticks[i]);
	if (sampler->shared)
		munmap(sampler->shared, sizeof(*sampler->shared));
	target_free(sampler->target);
	session_close(sampler->session);
	free(sampler);
}

struct target *sampler_target(struct sampler *sampler)
{
	return sampler->target;
}

/* Take in what happened; and wait a moment, or until more happens. */
static void look(struct sampler *sampler, uint64_t ns)
{
	const struct timespec moment = { .tv_nsec = ns < LOOK_NS ? ns : LOOK_NS };
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int of_target[2];

	target_fds(sampler->target, of_target);
	fds[0].fd = of_target[0];
	fds[1].fd = of_target[1];
	ppoll(fds, 2, &moment, NULL);
	target_events(sampler->target);
}

void sampler_rest(struct sampler *sampler, uint64_t ns)
{
	const uint64_t until_ns = clock_mono_ns() + ns;
	uint64_t now_ns = clock_mono_ns();

	do {
		look(sampler, until_ns - now_ns);
		now_ns = clock_mono_ns();
	} while (now_ns < until_ns);
}

static uint32_t state_of(const struct sampler *sampler)
{
	return __atomic_load_n(&sampler->shared->state, __ATOMIC_ACQUIRE);
}

/* 0 once a thread is taken, or -ETIMEDOUT: none is, and none will be. */
static int wait_taken(struct sampler *sampler)
{
	const uint64_t until_ns = clock_mono_ns() + TAKEN_NS;

	while (state_of(sampler) != SAMPLE_TAKEN) {
		uint32_t armed = SAMPLE_ARMED;

		if (clock_mono_ns() > until_ns &&
		    __atomic_compare_exchange_n(&sampler->shared->state, &armed, SAMPLE_IDLE, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return -ETIMEDOUT;
		look(sampler, LOOK_NS);
	}
	return 0;
}

static int wait_stopped(struct sampler *sampler)
{
	const struct sample *shared = sampler->shared;
	const uint64_t until_ns = clock_mono_ns() + STOPPED_NS;

	for (;;) {
		char state = thread_state(shared->pid, shared->tid);

		if (!state || state == 'Z' || state == 'X')
			return -ESRCH;
		if (state == 'T')
			return 0;
		if (clock_mono_ns() > until_ns)
			return -EAGAIN;
		look(sampler, LOOK_NS);
	}
}

/* Whether it stands where it stood when its stack was walked. */
static bool unmoved(const struct sample *sample)
{
	uint64_t pc, sp;

	return !thread_place(sample->pid, sample->tid, &pc, &sp) && pc == registers_pc(sample->registers) &&
	       sp == registers_sp(sample->registers);
}

int sampler_take(struct sampler *sampler, struct sample *sample, struct hb_stack *stack)
{
	int err;

	__atomic_store_n(&sampler->shared->state, SAMPLE_ARMED, __ATOMIC_SEQ_CST);
	err = wait_taken(sampler);
	if (err)
		return err;
	err = wait_stopped(sampler);
	__atomic_store_n(&sampler->shared->state, SAMPLE_IDLE, __ATOMIC_SEQ_CST);
	*sample = *sampler->shared;
	if (!err && !unmoved(sample))
		err = -EAGAIN;
	if (!err)
		err = session_stack(sampler->session, sample->key, stack);
	if (err)
		sampler_go_on(sampler, sample);
	return err;
}

void sampler_go_on(struct sampler *sampler, const struct sample *sample)
{
	(void)sampler;
	kill(sample->pid, SIGCONT);
}
