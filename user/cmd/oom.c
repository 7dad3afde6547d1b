// SPDX-License-Identifier: Apache-2.0
/*
 * heldby oom: waits for OOM kills; one postmortem each. What cannot wait is captured on a thread that asks for no
 * memory (oom_capture.h). To tell of it does take some, for the incident, its names and the document: by then the
 * victim's is mostly back, and if it is not this thread waits for it as all others do, while CAPTURES_MAX kills may
 * wait for this thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../base/resident.h"
#include "../base/text.h"
#include "../view/postmortem.h"
#include "chosen.h"
#include "cmd.h"
#include "incident.h"
#include "reports.h"
#include "tracing.h"

#define LOOK_NS     10000000000u /* between two looks at everybody's pages and containers */
#define SEARCH_NS   2000000000u  /* between two looks for processes that are chosen and not traced yet */
#define PATIENCE_MS 200
#define PENDING_MS  20           /* while a kill waits for what follows it */
#define PENDING_MAX CAPTURES_MAX

struct listening {
	struct tracing *tracing;
	struct captures *captures;
	struct incidents incidents;
	struct reports reports;
	struct incident *pending[PENDING_MAX]; /* in the order of their kills */
	size_t pending_count;
	uint64_t told_count, dropped_told; /* kills; and those of which it was told that they are not */
	bool journal_took, journal_refuses; /* it took an entry once; it did not take the last one, and that was said */
};

/* The last to be killed, and what is in memory stays there: as far as we may. What is not yet comes when it is used. */
static void stay(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-999", 4) != 4)
		log_info("oom_score_adj cannot be lowered (%s): heldby may be killed as others are", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		log_info("memory cannot be locked (%s): a kill may be told late", strerror(errno));
}

/* A view's bytes, in a malloc'ed string. NULL if memory is short. */
static char *make(int (*view)(FILE *out, const struct postmortem *pm, const struct view_style *style),
		  const struct postmortem *pm, const struct view_style *style, size_t *bytes)
{
	char *text = NULL;
	FILE *stream = open_memstream(&text, bytes);
	int err = stream ? view(stream, pm, style) : -ENOMEM;

	if (stream && fclose(stream))
		err = -ENOMEM;
	if (!err)
		return text;
	free(text);
	return NULL;
}

/* A pipe that nobody reads must not keep us from being ended. 0, -EINTR (a signal waits), or negative errno. */
static int put(const struct tracing *tracing, const char *text, size_t bytes)
{
	struct pollfd polled[2] = { { .fd = STDOUT_FILENO, .events = POLLOUT },
				    { .fd = tracing->signals, .events = POLLIN } };

	while (bytes) {
		ssize_t wrote;

		if (poll(polled, 2, -1) < 0)
			continue;
		if (!polled[0].revents)
			return -EINTR;
		/* A pipe that takes anything takes so much at once. */
		wrote = write(STDOUT_FILENO, text, bytes < PIPE_BUF ? bytes : PIPE_BUF);
		if (wrote < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		text += wrote > 0 ? wrote : 0;
		bytes -= wrote > 0 ? (size_t)wrote : 0;
	}
	return 0;
}

static int to_stdout(const struct tracing *tracing, const struct postmortem *pm, const char *json, size_t bytes)
{
	const struct options *options = tracing->options;
	struct view_style style = { .verbose = options->verbose > 0 };
	__cleanup(freep) char *text = NULL;
	struct winsize size;
	int err;

	if (isatty(STDOUT_FILENO)) {
		style.color = !options->no_color && !getenv("NO_COLOR");
		style.width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? 80 : size.ws_col;
	}
	if (!options->json)
		text = make(postmortem_text, pm, &style, &bytes);
	err = options->json || text ? put(tracing, text ? text : json, bytes) : -ENOMEM;
	if (!err)
		return EXIT_OK;
	if (err != -EPIPE) /* a reader that has gone has seen enough */
		log_error("stdout: %s", err == -EINTR ? "told to end while nobody reads it" : strerror(-err));
	return EXIT_FAILED;
}

static bool is_chosen(const struct options *options, const struct postmortem *pm)
{
	bool given = !options->pids_count;

	for (size_t i = 0; i < options->pids_count; i++)
		given |= (uint32_t)options->pids[i] == pm->victim.pid;
	return given && selection_matches(&options->selection, pm->victim.comm, pm->victim.cgroup,
					  pm->victim.container);
}

/*
 * Each is tried: what refused one entry, memory that was short or a journal that started anew, may take the next. A
 * host that never had a journal hears nothing of it.
 */
static void to_journal(struct listening *listening, const struct postmortem *pm, const char *json)
{
	int err = reports_journal(pm, json);

	if (err == -ENOENT && !listening->journal_took) {
		log_debug("kill %llu has no entry: there is no journal here", (unsigned long long)pm->sequence);
		return;
	}
	if (err && !listening->journal_refuses)
		log_warning("journal: %s; from kill %llu on there are no entries until it takes one again",
			    strerror(-err), (unsigned long long)pm->sequence);
	else if (!err && listening->journal_refuses)
		log_info("journal: it takes entries again, from kill %llu on", (unsigned long long)pm->sequence);
	listening->journal_took |= !err;
	listening->journal_refuses = err;
}

/* The next may be told of. */
static void no_memory(const struct hb_ev_oom *kill)
{
	log_error("kill %llu of process %u: not enough memory for its postmortem", (unsigned long long)kill->sequence,
		  kill->tgid);
}

static int tell(struct listening *listening, struct incident *incident)
{
	const struct options *options = listening->tracing->options;
	const uint64_t dropped = captures_dropped(listening->captures);
	const struct postmortem *pm = incident_tell(incident, &listening->incidents, listening->captures);
	size_t bytes = 0;
	__cleanup(freep) char *json = make(postmortem_json, pm, NULL, &bytes);
	int err;

	if (!is_chosen(options, pm))
		return EXIT_OK;
	if (!json) {
		no_memory(&incident_capture(incident)->kill);
		return EXIT_OK;
	}
	if (listening->reports.folder >= 0) {
		err = reports_keep(&listening->reports, pm, json, bytes);
		if (err)
			log_warning("%s: %s; the postmortem of process %u is not kept", options->reports,
				    strerror(-err), pm->victim.pid);
	}
	if (!options->no_journal)
		to_journal(listening, pm, json);
	listening->told_count++;
	listening->dropped_told = dropped; /* among its losses */
	return to_stdout(listening->tracing, pm, json, bytes);
}

/* Kills that are missing: a document of a later one says so, but none may come. */
static void tell_dropped(struct listening *listening)
{
	const uint64_t dropped = captures_dropped(listening->captures);

	if (dropped <= listening->dropped_told)
		return;
	log_warning("%llu %s", (unsigned long long)dropped, loss_kind(LOSS_KILLS)->sentence);
	listening->dropped_told = dropped;
}

static bool enough(const struct listening *listening)
{
	const uint64_t wanted = listening->tracing->options->count;

	return wanted && listening->told_count >= wanted;
}

/* Take in new kills at once, and tell of those that all is known of. @last: of all. */
static int handle(struct listening *listening, bool last)
{
	struct capture *capture;
	size_t done = 0;
	int status = EXIT_OK;

	while (listening->pending_count < PENDING_MAX && (capture = captures_next(listening->captures))) {
		struct incident *incident = incident_new(&listening->incidents, capture);

		if (incident) {
			listening->pending[listening->pending_count++] = incident;
			continue;
		}
		no_memory(&capture->kill);
		captures_release(listening->captures, capture);
	}
	while (!status && done < listening->pending_count && !enough(listening)) {
		struct incident *incident = listening->pending[done];

		capture = incident_capture(incident);
		if (!last && !captures_settled(listening->captures, capture, clock_mono_ns()))
			break;
		status = tell(listening, incident);
		captures_release(listening->captures, capture);
		incident_free(incident);
		done++;
	}
	listening->pending_count -= done;
	memmove(listening->pending, listening->pending + done,
		listening->pending_count * sizeof(listening->pending[0]));
	return status;
}

static void look(struct listening *listening)
{
	const struct target_reading reading = { .walk = false };
	__cleanup(freep) struct process_info *processes = NULL;
	struct target *target = listening->tracing->target;
	size_t count;
	int err = target_read(target, &reading);

	if (!err)
		err = target_processes(target, &processes, &count); /* who is new is described, with its container */
	if (err)
		log_debug("the tables could not be read: %s", strerror(-err));
}

/* Where the OOM killer is disabled nobody is killed, and nothing else would be said. */
static void tell_stuck(struct listening *listening)
{
	struct stuck_cgroup cgroup;
	char *path;

	while (captures_stuck(listening->captures, &cgroup, &path)) {
		__cleanup(freep) char *shown = text_printable(path);

		log_warning("cgroup %s has been at its limit for %.0f s and its OOM killer is disabled: whoever asks "
			    "for memory there hangs (%u processes, one is %u), nobody is killed; raise its limit, or "
			    "write 0 to its memory.oom_control", shown ? shown : "?",
			    (double)(clock_mono_ns() - cgroup.since_ns) / 1e9, cgroup.processes, cgroup.pid);
		free(path);
	}
}

/* Besides page faults. */
static bool traces_calls(const struct tracing *tracing)
{
	return tracing->options->sources != 1u << HB_SRC_PAGES;
}

/* Until told to stop, or enough was told: what is pending then is left to finish(). */
static int listen(struct listening *listening)
{
	struct tracing *tracing = listening->tracing;
	struct pollfd polled[4] = { { .fd = tracing->signals }, { .fd = captures_fd(listening->captures) } };
	uint64_t next_ns = clock_mono_ns() + LOOK_NS, search_ns = clock_mono_ns() + SEARCH_NS;
	int fds[2], status = EXIT_OK;
	bool stop = false;

	target_fds(tracing->target, fds);
	polled[2].fd = fds[0];
	polled[3].fd = fds[1];
	for (size_t i = 0; i < 4; i++)
		polled[i].events = POLLIN;
	while (!status && !stop && !enough(listening)) {
		struct signalfd_siginfo info;

		poll(polled, 4, listening->pending_count ? PENDING_MS : PATIENCE_MS);
		target_events(tracing->target);
		target_tick(tracing->target);
		while (read(tracing->signals, &info, sizeof(info)) == sizeof(info))
			stop |= info.ssi_signo != SIGCHLD;
		status = handle(listening, false);
		if (!listening->pending_count)
			tell_dropped(listening);
		tell_stuck(listening);
		if (!listening->pending_count && traces_calls(tracing) && clock_mono_ns() >= search_ns) {
			chosen_attach(tracing);
			search_ns = clock_mono_ns() + SEARCH_NS;
		}
		if (!listening->pending_count && clock_mono_ns() >= next_ns) {
			look(listening);
			next_ns = clock_mono_ns() + LOOK_NS;
		}
	}
	return status;
}

/* All that was heard of by now, whatever would have followed. */
static int finish(struct listening *listening)
{
	int status = EXIT_OK;

	captures_stop(listening->captures);
	do {
		status = handle(listening, true);
	} while (!status && listening->pending_count && !enough(listening));
	tell_dropped(listening);
	return status;
}

static int open_all(struct listening *listening)
{
	const struct options *options = listening->tracing->options;
	int err;

	if (options->reports) {
		err = reports_open(&listening->reports, options->reports, options->max_reports,
				   options->max_report_bytes);
		if (err) {
			log_error("%s: %s", options->reports, strerror(-err));
			return EXIT_FAILED;
		}
	}
	if (target_everything(listening->tracing->target)) {
		log_error("/proc cannot be read");
		return EXIT_FAILED;
	}
	incidents_init(&listening->incidents, listening->tracing->target, options->top);
	session_oom_indexes(listening->tracing->session, listening->incidents.kernel.memcg_indexes);
	listening->captures = captures_new(listening->tracing->session);
	if (!listening->captures) {
		log_error("not enough memory");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int wait_for_kills(struct tracing *tracing)
{
	__cleanup(freep) struct listening *listening = calloc(1, sizeof(*listening));
	int status;

	if (!listening)
		return EXIT_FAILED;
	resident_make(listening, sizeof(*listening));
	listening->tracing = tracing;
	listening->reports.folder = -1;
	status = open_all(listening);
	if (!status) {
		look(listening);
		log_debug("kills are explained by %s", oomhooks_name(session_oom_rung(tracing->session)));
		if (traces_calls(tracing)) {
			chosen_attach(tracing);
			status = chosen_attach_pids(tracing);
		}
	}
	if (!status) {
		stay();
		tracing_ready(tracing);
		status = listen(listening);
		status = status ? status : finish(listening);
	}
	for (size_t i = 0; i < listening->pending_count; i++)
		incident_free(listening->pending[i]);
	captures_free(listening->captures);
	incidents_release(&listening->incidents);
	reports_close(&listening->reports);
	return status;
}

static int oom(const struct options *options)
{
	return tracing_run(options, false, wait_for_kills);
}

int cmd_oom(int argc, char **argv)
{
	return options_run(OPTIONS_OOM, argc, argv, oom);
}
