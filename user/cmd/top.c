// SPDX-License-Identifier: Apache-2.0
/* heldby top: running processes, live. */
#include <signal.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "chosen.h"
#include "cmd.h"
#include "tracing.h"

static int attach_all(struct tracing *tracing)
{
	if (selection_given(&tracing->options->selection) && !chosen_attach(tracing)) {
		log_error("no process that can be traced is meant by what was given");
		return EXIT_FAILED;
	}
	if (tracing->options->everything && target_everything(tracing->target)) {
		log_error("/proc cannot be read");
		return EXIT_FAILED;
	}
	return chosen_attach_pids(tracing);
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
		chosen_attach(tracing);
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
