// SPDX-License-Identifier: Apache-2.0
/* heldby symbolize: names for the frames of saved documents, from the files that are here now. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/log.h"
#include "../base/text.h"
#include "../symbol/resolve.h"
#include "../view/saved.h"
#include "cmd.h"
#include "options.h"

struct symbolizing {
	const char *name; /* of the input */
	FILE *in;
	struct resolve *resolve;
	struct saved_counts counts;
	size_t missing; /* files */
};

static size_t name_frame(void *ctx, const struct frame *saved, struct frame *frames, size_t cap)
{
	return resolve_frames(ctx, saved, frames, cap);
}

/* One document. A broken one is left out. */
static int symbolize_line(struct symbolizing *run, const struct saved_line *line)
{
	const struct saved_names names = { .ctx = run->resolve, .frames = name_frame };
	const unsigned long long number = line->number;
	const char *why;
	size_t at;
	int err;

	if (!line->length)
		return EXIT_OK;
	err = saved_write(line, &names, stdout, &run->counts, &why, &at);
	if (err == -EBADMSG)
		log_error("%s, line %llu, byte %zu: %s", run->name, number, at + 1, why);
	else if (err)
		log_error("%s, line %llu: %s", run->name, number, strerror(-err));
	return err ? EXIT_FAILED : EXIT_OK;
}

static int symbolize_lines(struct symbolizing *run)
{
	__cleanup(saved_release) struct saved_line line = { 0 };
	int status = EXIT_OK, got;

	while ((got = saved_read(&line, run->in, SAVED_LINE_MAX)) && got != -EIO) {
		if (got > 0) {
			status |= symbolize_line(run, &line);
		} else {
			log_error("%s, line %llu: %s", run->name, (unsigned long long)line.number,
				  got == -EFBIG ? "a document may have 256 MiB" : strerror(-got));
			status = EXIT_FAILED;
		}
		if (fflush(stdout) || ferror(stdout)) {
			log_error("stdout: %s", strerror(errno));
			return EXIT_FAILED;
		}
	}
	if (!got)
		return status;
	log_error("%s: %s", run->name, strerror(errno));
	return EXIT_FAILED;
}

static void say_missing(void *ctx, const char *path, const char *build_id)
{
	__cleanup(freep) char *shown = text_printable(path);
	__cleanup(freep) char *id = text_printable(build_id);
	struct symbolizing *run = ctx;

	run->missing++;
	log_debug("not found: %s, build-id %s", shown ? shown : "?", id ? id : "?");
}

static void say_counts(struct symbolizing *run)
{
	const struct saved_counts *counts = &run->counts;

	resolve_missing(run->resolve, say_missing, run);
	log_info("%llu frames, %llu without a name or its place in the source; %llu of them gained some",
		 (unsigned long long)counts->frames, (unsigned long long)counts->lacking,
		 (unsigned long long)counts->named);
	if (run->missing)
		log_info("%zu file%s not found (-v names them); --debug-dir and DEBUGINFOD_URLS say where to look",
			 run->missing, run->missing == 1 ? " was" : "s were");
}

static int symbolize(const struct options *options)
{
	struct symbolizing run = { .name = options->file ? options->file : "stdin", .in = stdin };
	const char *servers = getenv("DEBUGINFOD_URLS");
	size_t bad = 0;
	int status, err;

	err = resolve_new(&run.resolve, options->debug_dirs, options->debug_dirs_count, servers && *servers, &bad);
	if (err) {
		log_error("%s: %s", err == -ENOMEM ? "names" : options->debug_dirs[bad], strerror(-err));
		return EXIT_FAILED;
	}
	if (options->file)
		run.in = fopen(options->file, "re");
	if (!run.in) {
		log_error("%s: %s", options->file, strerror(errno));
		resolve_free(run.resolve);
		return EXIT_FAILED;
	}
	status = symbolize_lines(&run);
	if (run.counts.frames)
		say_counts(&run);
	if (options->file)
		fclose(run.in);
	resolve_free(run.resolve);
	return status;
}

int cmd_symbolize(int argc, char **argv)
{
	return options_run(OPTIONS_SYMBOLIZE, argc, argv, symbolize);
}
