// SPDX-License-Identifier: Apache-2.0
/* heldby top: running processes, live. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../remote/gate.h"
#include "../remote/procfs.h"
#include "cmd.h"
#include "tracing.h"

static const char *why_not(int err)
{
	switch (err) {
	case -EINVAL:
		return "it is a thread of another process";
	case -ENOEXEC:
		return "it maps no code (a kernel thread?)";
	case -EBUSY:
		return gate_why();
	default:
		return strerror(-err);
	}
}

/* For those that are attached one by one as they are found. */
struct search {
	struct tracing *tracing;
	size_t attached;
};

static int attach_if_meant(void *ctx, pid_t pid)
{
	struct search *search = ctx;
	struct tracing *tracing = search->tracing;
	int err;

	if (pid == getpid() || !target_is(tracing->target, pid, &tracing->options->selection))
		return 0;
	err = target_attach(tracing->target, pid);
	search->attached += !err;
	if (err)
		log_debug("process %d cannot be traced: %s", pid, why_not(err));
	return 0;
}

/* Those that are meant and not traced yet. How many there were. */
static size_t attach_meant(struct tracing *tracing)
{
	struct search search = { .tracing = tracing };

	if (selection_given(&tracing->options->selection))
		proc_each(attach_if_meant, &search);
	return search.attached;
}

static int attach_all(struct tracing *tracing)
{
	if (selection_given(&tracing->options->selection) && !attach_meant(tracing)) {
		log_error("no process that can be traced is meant by what was given");
		return EXIT_FAILED;
	}
	if (tracing->options->everything && target_everything(tracing->target)) {
		log_error("/proc cannot be read");
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < tracing->options->pids_count; i++) {
		pid_t pid = tracing->options->pids[i];
		int err = target_attach(tracing->target, pid);

		if (err) {
			log_error("process %d cannot be traced: %s", pid, why_not(err));
			return EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

/* Report after report, until told to stop or nobody is left. */
static int watch(struct tracing *tracing)
{
	const struct options *options = tracing->options;
	uint64_t step_ns = options->interval_s * 1e9;
	uint64_t next_ns = clock_mono_ns() + step_ns;

	for (uint64_t made = 1;; made++) {
		struct signalfd_siginfo info;
		bool last, told = false;
		int err;

		while (!told && tracing_wait(tracing, next_ns, &info))
			told = info.ssi_signo != SIGCHLD;
		last = told || made == options->count || !target_alive(tracing->target);
		attach_meant(tracing);
		err = tracing_report(tracing, last);
		if (err || last)
			return err;
		/* A report that took longer than the interval leaves out those in between. */
		next_ns += step_ns;
		if (next_ns < clock_mono_ns())
			next_ns = clock_mono_ns();
	}
}

static int attach_and_watch(struct tracing *tracing)
{
	int status = attach_all(tracing);

	if (status)
		return status;
	tracing_ready(tracing);
	return watch(tracing);
}

static int top(const struct options *options)
{
	return tracing_run(options, false, attach_and_watch);
}

int cmd_top(int argc, char **argv)
{
	return options_run(OPTIONS_TOP, argc, argv, top);
}
