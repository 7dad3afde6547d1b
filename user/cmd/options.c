// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/log.h"
#include "../base/parse.h"
#include "cmd.h"
#include "options_words.h"

#define TOP       (1u << OPTIONS_TOP)
#define RUN       (1u << OPTIONS_RUN)
#define DOCTOR    (1u << OPTIONS_DOCTOR)
#define SYMBOLIZE (1u << OPTIONS_SYMBOLIZE)
#define OOM       (1u << OPTIONS_OOM)
#define TRACE     (TOP | RUN)
#define LISTEN    (TRACE | OOM)
#define CHOOSE    (TOP | OOM | DOCTOR)
#define ALL       (LISTEN | DOCTOR | SYMBOLIZE)

enum option_id {
	OPT_SOURCES = 256, OPT_MALLOC, OPT_BUDGET, OPT_SORT, OPT_TOP, OPT_MIN_SIZE, OPT_OLDER, OPT_GROUP, OPT_JSON,
	OPT_NO_COLOR,
	OPT_MAX_BLOCKS, OPT_MAX_SITES, OPT_MAX_STACKS, OPT_MAX_PROCESSES, OPT_MAX_EVENTS,
	OPT_MAX_FRAMES, OPT_UNWIND, OPT_UNWIND_MEMORY, OPT_RUNG, OPT_MMAP_RUNG, OPT_PAGES_RUNG,
	OPT_DEBUG_DIR, OPT_MAX_FAULTS, OPT_REPORTS, OPT_MAX_REPORTS, OPT_MAX_REPORT_BYTES, OPT_COUNT, OPT_HOST_ROOT,
	OPT_OOM_RUNG, OPT_NO_JOURNAL, OPT_COMM, OPT_CGROUP, OPT_CONTAINER, OPT_POD, OPT_ALL,
};

struct option_row {
	const char *name;
	int id;               /* a short option's letter, or enum option_id */
	const char *argument; /* NULL: none */
	unsigned int commands;
	const char *help;
};

/* Every option, in the order of the help. */
static const struct option_row rows[] = {
	{ "pid", 'p', "PID[,PID...]", CHOOSE, "these processes" },
	{ "comm", OPT_COMM, "NAME", CHOOSE, "processes of that name" },
	{ "cgroup", OPT_CGROUP, "PATH", CHOOSE, "processes of that memory cgroup and those below it" },
	{ "container", OPT_CONTAINER, "ID", CHOOSE, "processes of that container: how its id begins, or its name" },
	{ "pod", OPT_POD, "NAMESPACE/NAME", CHOOSE, "processes of that pod; several of these narrow each other" },
	{ "all", OPT_ALL, NULL, CHOOSE, "every process" },
	{ "sources", OPT_SOURCES, "LIST", OOM,
	  "besides pages also malloc,direct,mmap of the processes chosen (default: pages)" },
	{ "sources", OPT_SOURCES, "LIST", TRACE,
	  "of malloc,direct,mmap,pages (default: malloc,direct,mmap, of top also pages, as far as this kernel can)" },
	{ "malloc", OPT_MALLOC, "HOW", LISTEN,
	  "exact: every call; BYTES: one sample in so many, on average; auto: as exact as --budget allows" },
	{ "budget", OPT_BUDGET, "PERCENT", LISTEN,
	  "of one core, the most that malloc and direct may cost a process under auto; mmap and pages are "
	  "followed at any cost (default: 5)" },
	{ "sort", OPT_SORT, "KEY", TRACE, "outstanding, growth, count, allocated, age, peak (default: outstanding)" },
	{ "group", OPT_GROUP, "KEY", TRACE, "site, callsite, module, thread, process, container (default: site)" },
	{ "top", OPT_TOP, "N", LISTEN, "rows shown, 0 for all (default: 20)" },
	{ "min-size", OPT_MIN_SIZE, "BYTES", TRACE, "leave out smaller blocks" },
	{ "older", OPT_OLDER, "SECONDS", TRACE, "leave out younger blocks" },
	{ "json", OPT_JSON, NULL, LISTEN, "one JSON document per line instead of text" },
	{ "output", 'o', "FORMAT:FILE", TRACE, "also write text, json or folded to FILE (- is stdout)" },
	{ "reports", OPT_REPORTS, "DIR", OOM, "also write each postmortem to DIR, as .json and .folded" },
	{ "max-reports", OPT_MAX_REPORTS, "N", OOM, "kept there, the oldest go (default: 1000)" },
	{ "max-report-bytes", OPT_MAX_REPORT_BYTES, "BYTES", OOM, "of all of them together (default: 256M)" },
	{ "count", OPT_COUNT, "N", OOM, "end after so many kills" },
	{ "no-journal", OPT_NO_JOURNAL, NULL, OOM, "no entries in the journal" },
	{ "host-root", OPT_HOST_ROOT, "DIR", LISTEN | DOCTOR,
	  "where the node's / is mounted: the containers' names are read there (default: /)" },
	{ "oom-rung", OPT_OOM_RUNG, "NAME", OOM,
	  "find the kernel's description of a kill by kprobe, fentry, stack or none (default: the best that works)" },
	{ "max-blocks", OPT_MAX_BLOCKS, "N", LISTEN,
	  "live blocks at once (default: 4194304; 16 bytes each, and 100 when used)" },
	{ "max-sites", OPT_MAX_SITES, "N", LISTEN, "sites at once (default: 65536)" },
	{ "max-stacks", OPT_MAX_STACKS, "N", LISTEN,
	  "stacks of up to 23 frames at once, and as many of more (default: 32768; 256 bytes or 1 KiB when used)" },
	{ "max-processes", OPT_MAX_PROCESSES, "N", LISTEN, "traced processes at once (default: 16384)" },
	{ "max-events", OPT_MAX_EVENTS, "N", LISTEN,
	  "forks, execs and exits waiting to be read (default: 8192; 80 bytes each)" },
	{ "max-frames", OPT_MAX_FRAMES, "N", LISTEN, "frames kept of a stack, up to 510 (default: 127)" },
	{ "max-faults", OPT_MAX_FAULTS, "N", LISTEN,
	  "sampled pages at once (default: 65536; 100 bytes each when used)" },
	{ "unwind", OPT_UNWIND, "HOW", LISTEN | DOCTOR,
	  "eh_frame; frame-pointers alone; oldest: those as before Linux 5.17 (default: eh_frame, if the kernel can)" },
	{ "unwind-memory", OPT_UNWIND_MEMORY, "BYTES", LISTEN,
	  "for the unwind rows of all files (default: 16M); the least used go when it is full" },
	{ "rung", OPT_RUNG, "NAME", LISTEN | DOCTOR,
	  "attach by uprobe.session, uprobe.multi or uprobe (default: the best that works)" },
	{ "mmap-rung", OPT_MMAP_RUNG, "NAME", LISTEN,
	  "watch mappings by tracepoint, kprobe or fentry (default: the best that works)" },
	{ "pages-rung", OPT_PAGES_RUNG, "NAME", LISTEN,
	  "look at page faults by raw_tracepoint or kprobe (default: the best that works)" },
	{ "debug-dir", OPT_DEBUG_DIR, "DIR", SYMBOLIZE,
	  "look for debug files there first, as DIR/.build-id/ab/cdef.debug; may be given more than once" },
	{ "no-color", OPT_NO_COLOR, NULL, LISTEN | DOCTOR, "plain text" },
	{ "verbose", 'v', NULL, ALL, "say more; twice: all" },
	{ "quiet", 'q', NULL, ALL, "say less" },
	{ "help", 'h', NULL, ALL, "this text" },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const command_names[] = { "top", "run", "doctor", "symbolize", "oom" };
static const char *const usages[] = {
	"heldby top [-p PID[,PID...] | --comm NAME ...] [OPTIONS] [INTERVAL [COUNT]]\n"
	"Who holds the memory of running processes, every INTERVAL seconds (default 5). Without a target: of all\n"
	"processes of the host, by the pages that are resident.",
	"heldby run [OPTIONS] -- CMD [ARG...]\n"
	"Trace CMD and its children from their first instruction, and report what is still held at its end.",
	"heldby doctor [-p PID[,PID...] | --comm NAME ...]\n"
	"What this kernel allows, and which allocators and runtimes processes use.",
	"heldby symbolize [--debug-dir DIR]... [FILE]\n"
	"Copy the JSON documents of FILE, or of stdin, to stdout, and give names to frames that lack them: of the\n"
	"files that they lie in, wherever those or their debug files are now. A file counts if its build-id is the\n"
	"saved one. DEBUGINFOD_URLS names servers to ask for what is not here.",
	"heldby oom [-p PID[,PID...] | --comm NAME ...] [OPTIONS]\n"
	"Wait for OOM kills, and tell of each, or of those of the processes chosen: who was killed, whose limit it\n"
	"was, and what held the memory.",
};

void options_help(enum options_for command)
{
	printf("Usage: %s\n\n", usages[command]);
	for (size_t i = 0; i < ROWS; i++) {
		char left[40];

		if (!(rows[i].commands & 1u << command))
			continue;
		if (rows[i].id < 256)
			snprintf(left, sizeof(left), "-%c, --%s%s%s", rows[i].id, rows[i].name,
				 rows[i].argument ? " " : "", rows[i].argument ? rows[i].argument : "");
		else
			snprintf(left, sizeof(left), "    --%s%s%s", rows[i].name, rows[i].argument ? " " : "",
				 rows[i].argument ? rows[i].argument : "");
		printf("  %-30s %s\n", left, rows[i].help);
	}
}

static int usage(enum options_for command, const char *option, const char *value, const char *wanted)
{
	log_error("--%s '%s': %s; see 'heldby %s --help'", option, value, wanted, command_names[command]);
	return -EINVAL;
}

/* The place of @word in @words (NULL-terminated), or -1. */
static int find_word(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++) {
		if (!strcmp(words[i], word))
			return i;
	}
	return -1;
}

static int parse_sources(struct options *options, enum options_for command, const char *list)
{
	__cleanup(freep) char *copy = strdup(list);
	char *rest = copy, *word;

	options->sources = 0;
	while (copy && (word = strsep(&rest, ","))) {
		if (!strcmp(word, "malloc"))
			options->sources |= 1u << HB_SRC_MALLOC;
		else if (!strcmp(word, "direct"))
			options->sources |= 1u << HB_SRC_DIRECT;
		else if (!strcmp(word, "mmap"))
			options->sources |= 1u << HB_SRC_MMAP;
		else if (!strcmp(word, "pages"))
			options->sources |= 1u << HB_SRC_PAGES;
		else
			return usage(command, "sources", list, "malloc, direct, mmap and pages are known");
	}
	options->optional_sources = 0;
	return 0;
}

/* "FORMAT:FILE" */
static int parse_output(struct options *options, enum options_for command, const char *text)
{
	const char *colon = strchr(text, ':');
	__cleanup(freep) char *format = colon ? strndup(text, colon - text) : NULL;
	struct output_option *output = &options->outputs[options->outputs_count];

	if (!format || !colon[1])
		return usage(command, "output", text, "give FORMAT:FILE");
	if (options->outputs_count == OPTIONS_OUTPUTS_MAX)
		return usage(command, "output", text, "no more than 8 may be given");
	output->view = view_find(format);
	output->path = colon + 1;
	if (!output->view)
		return usage(command, "output", text, "FORMAT is text, json or folded");
	options->outputs_count++;
	return 0;
}

static int parse_rows(uint32_t *rows_wanted, enum options_for command, const char *name, const char *text)
{
	uint64_t value;

	if (parse_u64(text, &value) || !value || value > 1u << 30)
		return usage(command, name, text, "a number from 1 to 1073741824 is wanted");
	*rows_wanted = value;
	return 0;
}

static int parse_debug_dir(struct options *options, enum options_for command, const char *text)
{
	if (options->debug_dirs_count == RESOLVE_DIRS_MAX)
		return usage(command, "debug-dir", text, "no more than 16 may be given");
	options->debug_dirs[options->debug_dirs_count++] = text;
	return 0;
}

static int parse_number(uint64_t *number, enum options_for command, const char *name, const char *text)
{
	return parse_u64(text, number) ? usage(command, name, text, "a number is wanted") : 0;
}

static int parse_word(int *value, const char *const *words, enum options_for command, const char *name,
		      const char *text, const char *wanted)
{
	*value = find_word(words, text);
	return *value < 0 ? usage(command, name, text, wanted) : 0;
}

static int parse_frames(struct options *options, enum options_for command, const char *text)
{
	uint64_t frames;

	if (parse_u64(text, &frames) || !frames || frames > HB_FRAMES_LIMIT)
		return usage(command, "max-frames", text, "a number from 1 to 510 is wanted");
	options->max_frames = frames;
	return 0;
}

static int parse_unwind_memory(struct options *options, enum options_for command, const char *text)
{
	uint64_t bytes;

	if (parse_bytes(text, &bytes) || bytes < 1u << 16 || bytes > 1u << 30)
		return usage(command, "unwind-memory", text, "from 64K to 1G is wanted");
	options->unwind_bytes = bytes;
	return 0;
}

/* "exact", "auto", or bytes */
static int parse_malloc(struct options *options, enum options_for command, const char *text)
{
	uint64_t bytes = 0;

	options->governed = !strcmp(text, "auto");
	options->period = 0;
	if (options->governed || !strcmp(text, "exact"))
		return 0;
	if (parse_bytes(text, &bytes) || bytes < HB_PERIOD_MIN || bytes > HB_PERIOD_MAX)
		return usage(command, "malloc", text, "exact, auto, or bytes from 64 to 16M are wanted, as 512K");
	options->period = bytes;
	return 0;
}

static int parse_option(struct options *options, enum options_for command, int id, const char *text)
{
	static const char *const sorts[] = { "outstanding", "growth", "count", "allocated", "age", "peak", NULL };
	static const char *const groups[] = { "site", "callsite", "module", "thread", "process", "container", NULL };
	static const char *const unwinders[] = { "eh_frame", "frame-pointers", "oldest", NULL };
	static const char *const rungs[] = { "uprobe.session", "uprobe.multi", "uprobe", NULL };
	static const char *const vm_rungs[] = { "tracepoint", "kprobe", "fentry", NULL };
	static const char *const oom_rungs[] = { "kprobe", "fentry", "stack", "none", NULL };
	static const char *const page_rungs[] = { "raw_tracepoint", "kprobe", NULL };
	uint64_t number = 0;
	int word = 0, err = 0;

	switch (id) {
	case 'p':
		free(options->pids);
		options->pids = NULL;
		if (parse_pids(text, &options->pids, &options->pids_count))
			err = usage(command, "pid", text, "process ids are wanted, with commas between");
		break;
	case OPT_COMM:
		options->selection.comm = text;
		break;
	case OPT_CGROUP:
		options->selection.cgroup = text;
		break;
	case OPT_CONTAINER:
		options->selection.container = text;
		break;
	case OPT_POD:
		options->selection.pod = text;
		if (!selection_is_pod(text))
			err = usage(command, "pod", text, "NAMESPACE/NAME is wanted");
		break;
	case OPT_ALL:
		options->selection.all = true;
		break;
	case OPT_SOURCES:
		err = parse_sources(options, command, text);
		break;
	case OPT_MALLOC:
		err = parse_malloc(options, command, text);
		break;
	case OPT_BUDGET:
		if (parse_percent(text, &options->budget_percent))
			err = usage(command, "budget", text, "a percentage of one core is wanted, as 5 or 0.5");
		break;
	case OPT_SORT:
		err = parse_word(&word, sorts, command, "sort", text,
				 "outstanding, growth, count, allocated, age or peak is wanted");
		options->sort = word;
		break;
	case OPT_GROUP:
		err = parse_word(&word, groups, command, "group", text,
				 "site, callsite, module, thread, process or container is wanted");
		options->group = word;
		break;
	case OPT_TOP:
		err = parse_number(&number, command, "top", text);
		options->top = number;
		break;
	case OPT_MIN_SIZE:
		if (parse_bytes(text, &options->min_size))
			err = usage(command, "min-size", text, "bytes are wanted, as 4096 or 64K");
		break;
	case OPT_OLDER:
		if (parse_seconds(text, &options->older_s))
			err = usage(command, "older", text, "seconds are wanted, as 30 or 500ms or 5m");
		break;
	case 'o':
		err = parse_output(options, command, text);
		break;
	case OPT_MAX_BLOCKS:
		err = parse_rows(&options->max_blocks, command, "max-blocks", text);
		break;
	case OPT_MAX_SITES:
		err = parse_rows(&options->max_sites, command, "max-sites", text);
		break;
	case OPT_MAX_STACKS:
		err = parse_rows(&options->max_stacks, command, "max-stacks", text);
		break;
	case OPT_MAX_PROCESSES:
		err = parse_rows(&options->max_processes, command, "max-processes", text);
		break;
	case OPT_MAX_EVENTS:
		err = parse_rows(&options->max_events, command, "max-events", text);
		break;
	case OPT_MAX_FAULTS:
		err = parse_rows(&options->max_faults, command, "max-faults", text);
		break;
	case OPT_MAX_FRAMES:
		err = parse_frames(options, command, text);
		break;
	case OPT_UNWIND:
		err = parse_word(&word, unwinders, command, "unwind", text,
				 "eh_frame, frame-pointers or oldest is wanted");
		options->unwinder = word;
		break;
	case OPT_UNWIND_MEMORY:
		err = parse_unwind_memory(options, command, text);
		break;
	case OPT_RUNG:
		err = parse_word(&word, rungs, command, "rung", text,
				 "uprobe.session, uprobe.multi or uprobe is wanted");
		options->rung = word;
		break;
	case OPT_MMAP_RUNG:
		err = parse_word(&word, vm_rungs, command, "mmap-rung", text, "tracepoint, kprobe or fentry is wanted");
		options->vm_rung = word;
		break;
	case OPT_PAGES_RUNG:
		err = parse_word(&word, page_rungs, command, "pages-rung", text, "raw_tracepoint or kprobe is wanted");
		options->page_rung = word;
		break;
	case OPT_REPORTS:
		options->reports = text;
		break;
	case OPT_MAX_REPORTS:
		err = parse_rows(&options->max_reports, command, "max-reports", text);
		break;
	case OPT_MAX_REPORT_BYTES:
		if (parse_bytes(text, &options->max_report_bytes))
			err = usage(command, "max-report-bytes", text, "bytes are wanted, as 64M");
		break;
	case OPT_COUNT:
		err = parse_number(&options->count, command, "count", text);
		break;
	case OPT_NO_JOURNAL:
		options->no_journal = true;
		break;
	case OPT_HOST_ROOT:
		options->host_root = text;
		break;
	case OPT_OOM_RUNG:
		err = parse_word(&word, oom_rungs, command, "oom-rung", text,
				 "kprobe, fentry, stack or none is wanted");
		options->oom_rung = word;
		break;
	case OPT_DEBUG_DIR:
		err = parse_debug_dir(options, command, text);
		break;
	case OPT_JSON:
		options->json = true;
		break;
	case OPT_NO_COLOR:
		options->no_color = true;
		break;
	case 'v':
		options->verbose = options->verbose < 0 ? 1 : options->verbose + 1;
		break;
	case 'q':
		options->verbose = -1;
		break;
	}
	return err;
}

/* getopt's tables for @command; @longs holds ROWS + 1 entries, @shorts 3 * ROWS + 2 bytes. */
static void build_tables(enum options_for command, struct option *longs, char *shorts)
{
	/* '+': stop at the first word that is no option; ':': tell a missing argument from a bad name. */
	*shorts++ = '+';
	*shorts++ = ':';
	for (size_t i = 0; i < ROWS; i++) {
		if (!(rows[i].commands & 1u << command))
			continue;
		*longs++ = (struct option){ rows[i].name, rows[i].argument ? required_argument : no_argument, NULL,
					    rows[i].id };
		if (rows[i].id < 256) {
			*shorts++ = rows[i].id;
			if (rows[i].argument)
				*shorts++ = ':';
		}
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

enum options_result options_bad(enum options_for command, const char *what, const char *word)
{
	log_error("%s '%s'; see 'heldby %s --help'", what, word, command_names[command]);
	return OPTIONS_USAGE;
}

static void set_defaults(struct options *options, enum options_for command)
{
	*options = (struct options){
		.sources = 1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT | 1u << HB_SRC_MMAP,
		.optional_sources = 1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT | 1u << HB_SRC_MMAP,
		.sort = SORT_OUTSTANDING,
		.group = GROUP_SITE,
		.top = 20,
		.interval_s = 5,
		.governed = command == OPTIONS_TOP || command == OPTIONS_OOM,
		.budget_percent = 5,
		.max_blocks = 1u << 22,
		.max_sites = 1u << 16,
		.max_stacks = 1u << 15,
		.max_processes = 1u << 14,
		.max_events = 1u << 13,
		.max_frames = HB_FRAMES_MAX,
		.max_faults = 1u << 16,
		.unwind_bytes = 16u << 20,
		.rung = RUNG_END,
		.vm_rung = VM_RUNG_END,
		.page_rung = PAGES_RUNG_END,
		.oom_rung = OOM_RUNG_BEST,
		.host_root = "/",
		.max_reports = 1000,
		.max_report_bytes = 256u << 20,
	};
}

enum options_result options_parse(struct options *options, enum options_for command, int argc, char **argv)
{
	struct option longs[ROWS + 1];
	char shorts[3 * ROWS + 2];
	int id;

	set_defaults(options, command);
	build_tables(command, longs, shorts);
	optind = 1;
	opterr = 0;
	while ((id = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (id == 'h') {
			options_help(command);
			return OPTIONS_DONE;
		}
		if (id == '?')
			return options_bad(command, "there is no option", argv[optind - 1]);
		if (id == ':')
			return options_bad(command, "a value is missing after", argv[optind - 1]);
		if (parse_option(options, command, id, optarg))
			return OPTIONS_USAGE;
	}
	if (options->sort == SORT_PEAK && options->group != GROUP_SITE) {
		log_error("--sort peak needs --group site: peaks of different sites do not add up");
		return OPTIONS_USAGE;
	}
	return options_words(options, command, argc - optind, argv + optind);
}

void options_release(struct options *options)
{
	free(options->pids);
	options->pids = NULL;
}

int options_run(enum options_for command, int argc, char **argv, int (*body)(const struct options *options))
{
	struct options options;
	int status = EXIT_OK;

	switch (options_parse(&options, command, argc, argv)) {
	case OPTIONS_DONE:
		break;
	case OPTIONS_USAGE:
		status = EXIT_BAD_USAGE;
		break;
	case OPTIONS_GO:
		log_set_level(options.verbose < 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO + options.verbose);
		status = body(&options);
		break;
	}
	options_release(&options);
	return status;
}
