// SPDX-License-Identifier: Apache-2.0
#include "chosen.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../base/log.h"
#include "../remote/gate.h"
#include "../remote/procfs.h"
#include "cmd.h"

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

	if (pid == getpid() || target_traces(tracing->target, pid))
		return 0;
	if (!target_is(tracing->target, pid, &tracing->options->selection))
		return 0;
	err = target_attach(tracing->target, pid);
	search->attached += !err;
	if (err)
		log_debug("process %d cannot be traced: %s", pid, why_not(err));
	else
		log_debug("process %d is traced from now on", pid);
	return 0;
}

size_t chosen_attach(struct tracing *tracing)
{
	struct search search = { .tracing = tracing };

	if (selection_given(&tracing->options->selection))
		proc_each(attach_if_meant, &search);
	return search.attached;
}

int chosen_attach_pids(struct tracing *tracing)
{
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
