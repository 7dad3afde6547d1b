/* SPDX-License-Identifier: Apache-2.0 */
/* What run and top share: a session and its target, the wait for events, reports on all outputs. */
#ifndef HB_CMD_TRACING_H
#define HB_CMD_TRACING_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "../probe/target.h"
#include "options.h"

struct tracing {
	const struct options *options;
	struct session *session;
	struct target *target;
	FILE *outputs[OPTIONS_OUTPUTS_MAX];
	uint64_t began_ns, reported_ns; /* CLOCK_MONOTONIC */
	int signals;                    /* signalfd of SIGINT, SIGTERM, SIGCHLD */
	/* As we were started, for a command that we start. */
	sigset_t old_mask;
	struct sigaction old_child, old_pipe;
	struct rlimit old_files;
};

/*
 * A whole trace: load the programs, open the outputs, catch signals, do @body, and take all of it away.
 * @follow: as target_new() has it. Prints what fails. The exit status.
 */
int tracing_run(const struct options *options, bool follow, int (*body)(struct tracing *tracing));

/* In a forked child: signals and limits as we found them. */
void tracing_restore(const struct tracing *tracing);

/* Say that the probes are in place: "heldby: ready", and to the service manager. */
void tracing_ready(struct tracing *tracing);

/*
 * Take in events until @until_ns (CLOCK_MONOTONIC), a signal, or the end of the last traced
 * process, whichever is first. True: a signal, in @info.
 */
bool tracing_wait(struct tracing *tracing, uint64_t until_ns, struct signalfd_siginfo *info);

/* Between reports: put away what ended processes left in the kernel's tables. */
void tracing_tidy(struct tracing *tracing);

/* Read the tables and write a report to every output. 0 or an exit status (1: nobody reads it). */
int tracing_report(struct tracing *tracing, bool final);

#endif
