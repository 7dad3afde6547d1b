// SPDX-License-Identifier: Apache-2.0
#include "tracing.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../remote/procfs.h"
#include "cmd.h"

#define GOVERNED (1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT)
#define LAZY_MS 200 /* between two looks at events that wake nobody */
#define WALK_BLOCKS_MAX 100000u /* live blocks that are looked at one by one without being asked to: 50 ms */

static int open_outputs(struct tracing *tracing)
{
	for (size_t i = 0; i < tracing->options->outputs_count; i++) {
		const char *path = tracing->options->outputs[i].path;

		tracing->outputs[i] = strcmp(path, "-") ? fopen(path, "we") : stdout;
		if (!tracing->outputs[i]) {
			log_error("%s: %s", path, strerror(errno));
			return EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

static int catch_signals(struct tracing *tracing)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN }, standard = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &tracing->old_mask);
	sigaction(SIGPIPE, &ignore, &tracing->old_pipe);
	/* Whoever ignores it, and has us inherit that, hears of no child's end. */
	sigaction(SIGCHLD, &standard, &tracing->old_child);
	tracing->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (tracing->signals < 0) {
		log_error("signalfd: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

void tracing_restore(const struct tracing *tracing)
{
	setrlimit(RLIMIT_NOFILE, &tracing->old_files);
	sigaction(SIGPIPE, &tracing->old_pipe, NULL);
	sigaction(SIGCHLD, &tracing->old_child, NULL);
	sigprocmask(SIG_SETMASK, &tracing->old_mask, NULL);
}

/* A descriptor for each file and each probe: take what we are allowed. Best effort. */
static void raise_limits(struct tracing *tracing)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &tracing->old_files);
	limit = tracing->old_files;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* @unseen: sources that nobody asked for by name, and that this kernel cannot watch. */
static void say_unseen(unsigned int unseen)
{
	for (uint32_t source = HB_SRC_MALLOC; source < HB_SRC_END; source++) {
		if (unseen >> source & 1)
			log_info("%s cannot be seen on this kernel; 'heldby doctor' tells why",
				 report_source_name(source));
	}
}

static int open_tracing(struct tracing *tracing, const struct options *options, bool follow)
{
	struct session_options session_options = {
		.sources = options->sources,
		.optional_sources = options->optional_sources,
		.min_size = options->min_size,
		.by_thread = options->group == GROUP_THREAD,
		.period = options->period,
		.plans_change = options->governed,
		.max_blocks = options->max_blocks,
		.max_sites = options->max_sites,
		.max_stacks = options->max_stacks,
		.max_processes = options->max_processes,
		.max_events = options->max_events,
		.max_frames = options->max_frames,
		.max_faults = options->max_faults,
		.everything = options->everything,
		.unwind_bytes = options->unwind_bytes,
		.unwinder = options->unwinder,
		.rung = options->rung,
		.vm_rung = options->vm_rung,
		.page_rung = options->page_rung,
		.oom = options->oom,
		.oom_rung = options->oom_rung,
	};
	char why[256];
	int err;

	*tracing = (struct tracing){ .options = options, .signals = -1 };
	if (!proc_initial_pid_namespace()) {
		log_error("this is not the host's pid namespace: process ids would not match; "
			  "start it with the host's (hostPID: true, --pid=host)");
		return EXIT_FAILED;
	}
	if (access(options->host_root, R_OK | X_OK)) {
		log_error("--host-root %s: %s", options->host_root, strerror(errno));
		return EXIT_FAILED;
	}
	raise_limits(tracing);
	err = open_outputs(tracing);
	if (!err)
		err = catch_signals(tracing);
	if (err)
		return err;
	err = session_open(&tracing->session, &session_options, why, sizeof(why));
	if (err) {
		log_error("%s (%s)", why, strerror(-err));
		return EXIT_FAILED;
	}
	say_unseen(options->sources & ~session_sources(tracing->session));
	log_debug("malloc: attached by %s%s", session_rung_name(tracing->session),
		  session_sleepable(tracing->session) ? ", sleepable" : "");
	err = target_new(&tracing->target, tracing->session, session_sources(tracing->session), follow,
			 options->host_root);
	if (err) {
		log_error("mappings cannot be watched: %s; run as root, or see 'heldby doctor'", strerror(-err));
		return EXIT_FAILED;
	}
	if (options->governed && (session_sources(tracing->session) & GOVERNED) &&
	    target_govern(tracing->target, options->budget_percent)) {
		log_error("not enough memory");
		return EXIT_FAILED;
	}
	tracing->began_ns = tracing->reported_ns = clock_mono_ns();
	return EXIT_OK;
}

static void close_tracing(struct tracing *tracing)
{
	target_free(tracing->target);
	session_close(tracing->session);
	for (size_t i = 0; i < OPTIONS_OUTPUTS_MAX; i++) {
		if (tracing->outputs[i] && tracing->outputs[i] != stdout)
			fclose(tracing->outputs[i]);
	}
	if (tracing->signals >= 0)
		close(tracing->signals);
}

int tracing_run(const struct options *options, bool follow, int (*body)(struct tracing *tracing))
{
	struct tracing tracing;
	int status = open_tracing(&tracing, options, follow);

	if (!status)
		status = body(&tracing);
	close_tracing(&tracing);
	return status;
}

void tracing_ready(struct tracing *tracing)
{
	tracing->began_ns = tracing->reported_ns = clock_mono_ns();
	log_info("ready");
	sd_notify(0, "READY=1");
}

bool tracing_wait(struct tracing *tracing, uint64_t until_ns, struct signalfd_siginfo *info)
{
	struct pollfd polled[3] = { { .fd = tracing->signals, .events = POLLIN },
				    { .events = POLLIN },
				    { .events = POLLIN } };
	const uint64_t most_ms = tracing->options->everything ? LAZY_MS : 3600000;
	uint64_t tick_ns = target_tick(tracing->target);
	size_t alive = target_alive(tracing->target);
	int fds[2];

	target_fds(tracing->target, fds);
	polled[1].fd = fds[0];
	polled[2].fd = fds[1];
	for (;;) {
		uint64_t now = clock_mono_ns();
		const uint64_t next_ns = tick_ns < until_ns ? tick_ns : until_ns;
		uint64_t left_ms = now >= next_ns ? 0 : (next_ns - now) / 1000000 + 1;

		poll(polled, 3, left_ms > most_ms ? (int)most_ms : (int)left_ms);
		target_events(tracing->target);
		tick_ns = target_tick(tracing->target);
		if (read(tracing->signals, info, sizeof(*info)) == sizeof(*info))
			return true;
		if (clock_mono_ns() >= until_ns || (alive && !target_alive(tracing->target)))
			return false;
	}
}

static bool walk_is_wanted(const struct tracing *tracing)
{
	return tracing->options->older_s > 0 || tracing->options->sort == SORT_AGE ||
	       target_live_blocks(tracing->target) <= WALK_BLOCKS_MAX;
}

static int write_to(FILE *out, const struct view *view, const struct report *report, const struct view_style *style)
{
	int err = view->write(out, report, style);

	if (!err && (fflush(out) || ferror(out)))
		err = -EIO;
	return err;
}

static int write_report(struct tracing *tracing, const struct report *report)
{
	const struct options *options = tracing->options;
	struct view_style style = { .verbose = options->verbose > 0 };
	const struct view *view = view_find(options->json ? "json" : "text");
	struct winsize size;
	bool to_stdout = false;

	if (isatty(STDOUT_FILENO)) {
		style.color = !options->no_color && !getenv("NO_COLOR");
		style.width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? 80 : size.ws_col;
	}
	for (size_t i = 0; i < options->outputs_count; i++) {
		const struct output_option *output = &options->outputs[i];
		struct view_style plain = { .verbose = style.verbose };

		to_stdout |= tracing->outputs[i] == stdout;
		if (!output->view->every && !report->final)
			continue;
		if (write_to(tracing->outputs[i], output->view, report, &plain)) {
			log_error("%s: %s", output->path, strerror(errno));
			return EXIT_FAILED;
		}
	}
	if (to_stdout && !options->json)
		return EXIT_OK; /* -o FORMAT:- stands in for the text */
	if (!write_to(stdout, view, report, &style))
		return EXIT_OK;
	if (errno != EPIPE) /* a reader that has gone has seen enough */
		log_error("stdout: %s", strerror(errno));
	return EXIT_FAILED;
}

#define TABLES 6

/* Their number. */
static size_t describe_tables(struct tracing *tracing, struct report_table tables[TABLES])
{
	struct session_fill fill;
	struct unwind_fill unwind;

	session_fill(tracing->session, &fill);
	target_unwind_fill(tracing->target, &unwind);
	tables[0] = (struct report_table){ "blocks", fill.blocks, fill.max_blocks, "--max-blocks" };
	tables[1] = (struct report_table){ "sites", fill.sites, fill.max_sites, "--max-sites" };
	tables[2] = (struct report_table){ "stacks", fill.stacks, fill.max_stacks, "--max-stacks" };
	tables[3] = (struct report_table){ "processes", target_alive(tracing->target), fill.max_processes,
					   "--max-processes" };
	tables[4] = (struct report_table){ "unwind rows", unwind.rows, unwind.max_rows, "--unwind-memory" };
	tables[5] = (struct report_table){ "pages", fill.faults, fill.max_faults, "--max-faults" };
	return fill.max_faults ? TABLES : TABLES - 1;
}

/* Where the sources that are traced are seen; their number. */
static size_t describe_hooks(const struct tracing *tracing, struct report_hook hooks[HB_SRC_END])
{
	const enum vm_rung vm = session_vm_rung(tracing->session);
	size_t count = 0;

	for (uint32_t source = HB_SRC_MALLOC; source <= HB_SRC_DIRECT; source++) {
		if (session_sources(tracing->session) >> source & 1)
			hooks[count++] = (struct report_hook){ report_source_name(source),
							       session_rung_name(tracing->session) };
	}
	if (vm != VM_RUNG_END)
		hooks[count++] = (struct report_hook){ report_source_name(HB_SRC_MMAP), vmhooks_name(vm) };
	if (session_page_rung(tracing->session) != PAGES_RUNG_END)
		hooks[count++] = (struct report_hook){ report_source_name(HB_SRC_PAGES),
						       pagehooks_name(session_page_rung(tracing->session)) };
	return count;
}

/* "exact", "auto", or bytes. */
static const char *describe_sampling(const struct options *options, char text[16])
{
	if (options->governed)
		return "auto";
	if (!options->period)
		return "exact";
	snprintf(text, 16, "%u", options->period);
	return text;
}

/* Ranking asks for names, and names may take long. */
struct ranking {
	struct tracing *tracing;
	uint64_t now_ns;
	bool final;
	struct board_row *rows;
	size_t count, total;
	int err;
};

#define FETCH_TIMEOUT_MS 10000 /* a last report waits that long for debug files from a server */

static void rank(void *arg)
{
	struct ranking *ranking = arg;
	const struct options *options = ranking->tracing->options;
	struct board_names names = target_names(ranking->tracing->target);
	struct board_query query = {
		.sort = options->sort,
		.group = options->group,
		.now_ns = ranking->now_ns,
		.top = options->top,
		.total = &ranking->total,
	};

	ranking->err = board_rank(target_board(ranking->tracing->target), &query, &names, &ranking->rows,
				  &ranking->count);
	if (ranking->err || !ranking->final || !target_names_wait(ranking->tracing->target, FETCH_TIMEOUT_MS))
		return;
	free(ranking->rows);
	ranking->rows = NULL;
	ranking->err = board_rank(target_board(ranking->tracing->target), &query, &names, &ranking->rows,
				  &ranking->count);
}

static struct target_reading reading_of(struct tracing *tracing, bool final)
{
	return (struct target_reading){
		.walk = walk_is_wanted(tracing),
		.older_ns = tracing->options->older_s * 1e9,
		.last = final,
	};
}

void tracing_tidy(struct tracing *tracing)
{
	const struct target_reading reading = reading_of(tracing, false);
	int err = target_tidy(tracing->target, &reading);

	if (err)
		log_debug("rows of ended processes stay for now: %s", strerror(-err));
}

int tracing_report(struct tracing *tracing, bool final)
{
	const struct options *options = tracing->options;
	const struct target_reading reading = reading_of(tracing, final);
	__cleanup(freep) struct process_info *processes = NULL;
	struct ranking ranking = { .tracing = tracing };
	__cleanup(freep) struct board_row *rows = NULL;
	struct report_hook hooks[HB_SRC_END];
	struct report_table tables[TABLES];
	struct report_change changes[REPORT_CHANGES_MAX];
	char sampling[16];
	struct report report = {
		.final = final, .hooks = hooks, .hooks_count = describe_hooks(tracing, hooks),
		.tables = tables,
	};
	char host[65] = "";
	uint64_t now_ns;
	int err;

	now_ns = clock_mono_ns();
	err = target_read(tracing->target, &reading);
	if (!err)
		err = target_processes(tracing->target, &processes, &report.processes_count);
	if (!err) {
		ranking.now_ns = now_ns;
		ranking.final = final;
		target_aside(tracing->target, rank, &ranking);
		err = ranking.err;
		rows = ranking.rows;
		report.rows_count = ranking.count;
		report.rows_total = ranking.total;
	}
	if (err) {
		log_error("the tables could not be read: %s", strerror(-err));
		return EXIT_FAILED;
	}
	gethostname(host, sizeof(host) - 1);
	report.tables_count = describe_tables(tracing, tables);
	target_losses(tracing->target, &report.losses);
	memcpy(report.stacks.ended, &report.losses.counts[HB_CNT_STACKS_ENDED], sizeof(report.stacks.ended));
	report.sampling = describe_sampling(options, sampling);
	report.changes = changes;
	report.changes_count = target_changes(tracing->target, changes, REPORT_CHANGES_MAX);
	report.unwinding_note = session_pointers_why(tracing->session);
	report.time_unix_ns = clock_unix_ns();
	report.host = host;
	report.interval_s = (now_ns - tracing->reported_ns) / 1e9;
	report.since_s = (now_ns - tracing->began_ns) / 1e9;
	report.processes = processes;
	report.rows = rows;
	report.sort = options->sort;
	report.group = options->group;
	report.min_size = options->min_size;
	report.older_s = options->older_s;
	tracing->reported_ns = now_ns;
	return write_report(tracing, &report);
}
