// SPDX-License-Identifier: Apache-2.0
#include "options_words.h"

#include <string.h>

#include "../base/log.h"
#include "../base/parse.h"

/* No process was named: all of them, by the one source that needs no probe in them. */
static bool set_everything(struct options *options)
{
	if (options->sources != 1u << HB_SRC_PAGES && !options->optional_sources) {
		log_error("without a target all processes are looked at, by their pages alone (--sources pages); for "
			  "malloc, direct and mmap give processes with -p PID[,PID...], --comm, --container, ...");
		return false;
	}
	options->everything = true;
	options->sources = 1u << HB_SRC_PAGES;
	options->optional_sources = 0;
	return true;
}

/* Processes are chosen in one way. */
static bool chosen_twice(const struct options *options)
{
	if (!options->pids_count || !selection_given(&options->selection))
		return false;
	log_error("give processes by -p, or by what they are (--comm, --cgroup, --container, --pod, --all)");
	return true;
}

/* Pages are looked at in any case, and of all processes; calls of those that are chosen. */
static enum options_result parse_oom_words(struct options *options, int count, char **words)
{
	const bool given = !options->optional_sources; /* --sources */

	if (chosen_twice(options))
		return OPTIONS_USAGE;
	options->everything = options->oom = true;
	options->sources = 1u << HB_SRC_PAGES | (given ? options->sources : 0);
	options->optional_sources = 1u << HB_SRC_PAGES;
	if (options->sources != 1u << HB_SRC_PAGES && !options->pids_count && !selection_given(&options->selection)) {
		log_error("malloc, direct and mmap are traced in processes that are chosen: with -p PID[,PID...], "
			  "--comm, --cgroup, --container, --pod or --all");
		return OPTIONS_USAGE;
	}
	return count ? options_bad(OPTIONS_OOM, "one word too many:", words[0]) : OPTIONS_GO;
}

/* Beside the rest, where nobody said which sources. */
static void add_pages(struct options *options)
{
	if (!options->optional_sources)
		return;
	options->sources |= 1u << HB_SRC_PAGES;
	options->optional_sources |= 1u << HB_SRC_PAGES;
}

static enum options_result parse_top_words(struct options *options, int count, char **words)
{
	if (chosen_twice(options))
		return OPTIONS_USAGE;
	if (options->pids_count || selection_given(&options->selection))
		add_pages(options);
	else if (!set_everything(options))
		return OPTIONS_USAGE;
	if (count > 2)
		return options_bad(OPTIONS_TOP, "one word too many:", words[2]);
	if (count > 0 && (parse_seconds(words[0], &options->interval_s) || options->interval_s < 0.01))
		return options_bad(OPTIONS_TOP, "INTERVAL is a number of seconds, not", words[0]);
	if (count > 1 && (parse_u64(words[1], &options->count) || !options->count))
		return options_bad(OPTIONS_TOP, "COUNT is a number of reports, not", words[1]);
	return OPTIONS_GO;
}

enum options_result options_words(struct options *options, enum options_for command, int count, char **words)
{
	switch (command) {
	case OPTIONS_TOP:
		return parse_top_words(options, count, words);
	case OPTIONS_RUN:
		if (!count) {
			log_error("give the command to trace: heldby run -- CMD [ARG...]");
			return OPTIONS_USAGE;
		}
		options->command = words;
		return OPTIONS_GO;
	case OPTIONS_SYMBOLIZE:
		if (count > 1)
			return options_bad(command, "one word too many:", words[1]);
		options->file = count && strcmp(words[0], "-") ? words[0] : NULL;
		return OPTIONS_GO;
	case OPTIONS_OOM:
		return parse_oom_words(options, count, words);
	case OPTIONS_DOCTOR:
		if (chosen_twice(options))
			return OPTIONS_USAGE;
		break;
	}
	return count ? options_bad(command, "one word too many:", words[0]) : OPTIONS_GO;
}
