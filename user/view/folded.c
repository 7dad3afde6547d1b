// SPDX-License-Identifier: Apache-2.0
/*
 * "comm-pid;outermost;...;innermost BYTES", one line per row: what flamegraph.pl reads. An inlined
 * frame is a frame of its own and ends in "_[i]", one of the kernel ends in "_[k]", as
 * stackcollapse-perf.pl marks them and flamegraph.pl --color=java paints them. A stack that was cut off
 * has "[cut: why]" as its outermost frame: such stacks stand together, and are not taken for whole ones
 * that begin in the middle.
 */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/text.h"
#include "words.h"

/* A name must break neither its line nor its stack. */
static int put_name(FILE *out, const char *name)
{
	__cleanup(freep) char *clean = text_printable(name);
	char *p;

	if (!clean)
		return -ENOMEM;
	for (p = clean; *p; p++) {
		if (*p == ';')
			*p = ':';
	}
	fputs(clean, out);
	return 0;
}

static int put_frame(FILE *out, const struct report *report, const struct frame *frame)
{
	bool named = frame->function && *frame->function;
	int err = 0;

	fputc(';', out);
	if (named) {
		err = put_name(out, frame->function);
	} else if (frame->module && !words_is_jit(frame)) {
		err = put_name(out, words_basename(frame->module));
		if (!err && report->group != GROUP_MODULE)
			fprintf(out, "+0x%" PRIx64, frame->offset);
	} else if (frame->address) {
		fprintf(out, "0x%" PRIx64, frame->address);
	} else {
		fputs("[unknown]", out);
	}
	if (frame->kind == FRAME_KERNEL)
		fputs("_[k]", out);
	else if (named && frame->inlined)
		fputs("_[i]", out);
	return err;
}

static int put_root(FILE *out, const struct report_owners *owners, const struct board_row *row)
{
	const struct process_info *process = report_owners_find(owners, row->gen);
	int err;

	if (!process)
		return put_name(out, row->label && *row->label ? row->label : "unknown");
	err = put_name(out, process->comm);
	if (!err)
		fprintf(out, "-%u", process->pid);
	if (!err && row->tid)
		fprintf(out, ";thread-%u", row->tid);
	return err;
}

static bool has_stacks(const struct report *report)
{
	return report->group == GROUP_SITE || report->group == GROUP_CALLSITE ||
	       report->group == GROUP_MODULE;
}

/* The pseudo frame of a walk that did not reach the outermost one. */
static int put_cut(FILE *out, const struct report *report, const struct board_row *row)
{
	const char *stopped = row->frames_count ? row->frames[row->frames_count - 1].stopped : NULL;
	int err;

	if (!stopped || report->group != GROUP_SITE)
		return 0;
	fputs(";[cut: ", out);
	err = put_name(out, stopped);
	fputc(']', out);
	return err;
}

static int put_row(FILE *out, const struct report *report, const struct report_owners *owners,
		   const struct board_row *row)
{
	size_t i;
	int err;

	if (row->source == HB_SRC_PAGES && report_others(report))
		fputs("[pages];", out); /* or they would be added to the others */
	err = put_root(out, owners, row);
	if (!err)
		err = put_cut(out, report, row);
	for (i = row->frames_count; i > 0 && !err; i--)
		err = put_frame(out, report, &row->frames[i - 1]);
	if (err)
		return err;
	if (!row->frames_count && has_stacks(report))
		fputs(";[unknown stack]", out);
	fprintf(out, " %" PRIu64 "\n", row->outstanding_bytes);
	return 0;
}

int view_folded(FILE *out, const struct report *report, const struct view_style *style)
{
	struct report_owners owners;
	size_t i;
	int err = report_owners_init(&owners, report);

	(void)style;
	for (i = 0; i < report->rows_count && !err; i++) {
		if (report->rows[i].outstanding_bytes)
			err = put_row(out, report, &owners, &report->rows[i]);
	}
	report_owners_release(&owners);
	return err ? err : words_flush(out);
}
