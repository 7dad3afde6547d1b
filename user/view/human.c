// SPDX-License-Identifier: Apache-2.0
/* The text view: what people read. Head, processes, ranked rows, and at the end what is missing. */
#include "human.h"

#include <string.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "words.h"

static void print_filters(struct human *h)
{
	const struct report *report = h->report;
	char text[16];

	fprintf(h->out, "ranked by %s, grouped by %s", report_sort_name(report->sort),
		report_group_name(report->group));
	if (report->min_size)
		fprintf(h->out, "; only blocks of %s and more", text_bytes(report->min_size, text));
	if (report->older_s > 0)
		fprintf(h->out, "%s older than %s", report->min_size ? "," : "; only blocks",
			text_seconds(report->older_s, text));
	fputc('\n', h->out);
}

static void print_head(struct human *h)
{
	const struct report *report = h->report;
	size_t i, exited = 0;
	char text[32];

	for (i = 0; i < report->processes_count; i++)
		exited += report->processes[i].exited;
	human_print(h, COLOR_TITLE, "heldby");
	fputs("  ", h->out);
	human_text(h, COLOR_TITLE, report->host ? report->host : "-", 0);
	clock_rfc3339(report->time_unix_ns, text);
	fprintf(h->out, "  %s", text);
	fprintf(h->out, "  traced for %s", text_seconds(report->since_s, text));
	if (report->final)
		fputs(", final", h->out);
	else if (report->interval_s > 0)
		fprintf(h->out, ", interval %s", text_seconds(report->interval_s, text));
	fprintf(h->out, "  %s process%s", words_number(report->processes_count, text),
		report->processes_count == 1 ? "" : "es");
	if (exited)
		fprintf(h->out, " (%s exited)", words_number(exited, text));
	fputc('\n', h->out);
	print_filters(h);
	if (!h->style->verbose)
		return;
	for (i = 0; i < report->hooks_count; i++)
		fprintf(h->out, "%s by %s\n", report->hooks[i].source, report->hooks[i].rung);
}

static void pid_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	snprintf(out, HUMAN_CELL, "%u", ((const struct process_info *)item)->pid);
}

static void rss_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct process_info *process = item;

	(void)h;
	if (process->rss_bytes)
		text_bytes(process->rss_bytes, out);
}

static void outstanding_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct process_info *process = item;

	(void)h;
	if (report_sees(process))
		text_bytes(process->outstanding_bytes, out);
}

static void blocks_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct process_info *process = item;

	(void)h;
	if (report_sees(process))
		words_number(process->outstanding_count, out);
}

static const struct human_column process_columns[] = {
	{ "PID", pid_cell, false, COLOR_NONE },
	{ "RSS", rss_cell, false, COLOR_NONE },
	{ "OUTSTANDING", outstanding_cell, false, COLOR_STRONG },
	{ "BLOCKS", blocks_cell, false, COLOR_NONE },
	{ .title = NULL },
};

/* "allocated 30 = freed 10 + outstanding 20 bytes": anyone can check the sums. */
static void print_balance(struct human *h, unsigned int indent, const char *unit,
			  uint64_t allocated, uint64_t freed, uint64_t outstanding)
{
	bool balanced = allocated == freed + outstanding;
	char number[3][32];

	words_number(allocated, number[0]);
	words_number(freed, number[1]);
	words_number(outstanding, number[2]);
	fprintf(h->out, "%*s", (int)indent, "");
	if (balanced)
		human_print(h, COLOR_DIM, "allocated %s = freed %s + outstanding %s %s", number[0],
			    number[1], number[2], unit);
	else
		human_print(h, COLOR_WARN,
			    "allocated %s, freed %s, outstanding %s %s: not in balance (read while "
			    "they changed)", number[0], number[1], number[2], unit);
	fputc('\n', h->out);
}

static void print_origin(struct human *h, unsigned int indent, const struct process_info *process)
{
	char text[32];

	if (process->start_unix_ns) {
		clock_rfc3339(process->start_unix_ns, text);
		fprintf(h->out, "%*sstarted %s\n", (int)indent, "", text);
	}
	if (process->cgroup) {
		fprintf(h->out, "%*scgroup ", (int)indent, "");
		human_text(h, COLOR_NONE, process->cgroup, 0);
		fputc('\n', h->out);
	}
	if (process->container_id) {
		fprintf(h->out, "%*scontainer ", (int)indent, "");
		human_text(h, COLOR_NONE, process->container_id, 0);
		fputc('\n', h->out);
	}
}

static void print_about(struct human *h, const struct process_info *process)
{
	const char *gap = "  ";
	size_t i;

	human_text(h, COLOR_TITLE, process->comm, 0);
	if (process->image)
		fprintf(h->out, " (image %u)", process->image);
	if (process->exited)
		human_print(h, COLOR_WARN, " (exited)");
	for (i = 0; i < process->allocators_count; i++, gap = ", ") {
		fputs(gap, h->out);
		human_text(h, COLOR_NONE, process->allocators[i], 0);
	}
	if (process->runtime) {
		fputs(gap, h->out);
		human_text(h, COLOR_NONE, process->runtime, 0);
	}
	fputc('\n', h->out);
}

static void print_process(struct human *h, const struct human_table *table,
			  const struct process_info *process)
{
	unsigned int indent = table->widths[0] + 2;

	human_table_row(h, table, process);
	print_about(h, process);
	if (process->blind) {
		fprintf(h->out, "%*s", (int)indent, "");
		human_print(h, COLOR_BAD, "cannot see malloc here: ");
		human_text(h, COLOR_NONE, process->blind, 0);
		fputc('\n', h->out);
	}
	if (report_sees(process)) {
		print_balance(h, indent, "bytes", process->allocated_bytes, process->freed_bytes,
			      process->outstanding_bytes);
		print_balance(h, indent, "blocks", process->allocated_count, process->freed_count,
			      process->outstanding_count);
	}
	if (h->style->verbose)
		print_origin(h, indent, process);
}

static void print_processes(struct human *h)
{
	const struct report *report = h->report;
	struct human_table table = {
		.columns = process_columns,
		.last_title = "PROCESS, ALLOCATORS",
	};
	size_t i;

	if (!report->processes_count) {
		fputs("No process is traced.\n", h->out);
		return;
	}
	for (i = 0; i < report->processes_count; i++)
		human_table_measure(h, &table, &report->processes[i]);
	human_table_head(h, &table);
	for (i = 0; i < report->processes_count && !h->err; i++)
		print_process(h, &table, &report->processes[i]);
}

static void print_class(struct human *h, enum loss_class class, const char *name,
			enum human_color color)
{
	const struct losses *losses = &h->report->losses;
	char number[32];
	size_t i;

	for (i = 0; i < LOSS_END; i++) {
		const struct loss_kind *kind = loss_kind(i);

		if (kind->class != class || !losses->counts[i])
			continue;
		human_print(h, color, "  %-7s", name);
		fprintf(h->out, " %11s  %s\n", words_number(losses->counts[i], number),
			kind->sentence);
	}
}

static void print_losses(struct human *h)
{
	const struct losses *losses = &h->report->losses;

	if (report_approximate(h->report)) {
		human_print(h, COLOR_BAD, "Losses:");
		fputc('\n', h->out);
		print_class(h, LOSS_LOST, "lost", COLOR_BAD);
		print_class(h, LOSS_DROPPED, "dropped", COLOR_BAD);
		print_class(h, LOSS_MISSED, "missed", COLOR_WARN);
	} else {
		human_print(h, COLOR_GOOD, "Losses: none");
		fputc('\n', h->out);
	}
	if (losses_sum(losses, LOSS_NOTE)) {
		fputs("Notes:\n", h->out);
		print_class(h, LOSS_NOTE, "note", COLOR_DIM);
	}
}

static void print_tables(struct human *h)
{
	const struct report *report = h->report;
	size_t i;

	for (i = 0; i < report->tables_count; i++) {
		const struct report_table *table = &report->tables[i];
		double fill = table->max_rows ? 100.0 * table->rows / table->max_rows : 0;
		unsigned int percent = fill < 999 ? (unsigned int)fill : 999;
		char number[2][32];

		fputs(i ? ", " : "Tables: ", h->out);
		fprintf(h->out, "%s ", table->name);
		if (table->max_rows)
			human_print(h, percent >= 90 ? COLOR_BAD : COLOR_NONE, "%u%% full",
				    percent);
		else
			fputc('-', h->out);
		fprintf(h->out, " (%s of %s", words_number(table->rows, number[0]),
			words_number(table->max_rows, number[1]));
		if (table->option)
			fprintf(h->out, ", %s", table->option);
		fputc(')', h->out);
	}
	if (report->tables_count)
		fputc('\n', h->out);
}

int view_text(FILE *out, const struct report *report, const struct view_style *style)
{
	static const struct view_style plain;
	struct human h = { .out = out, .report = report, .style = style ? style : &plain };
	size_t i;

	for (i = 0; i < report->processes_count; i++)
		h.total_bytes += report->processes[i].outstanding_bytes;
	print_head(&h);
	fputc('\n', out);
	print_processes(&h);
	fputc('\n', out);
	human_rows(&h);
	fputc('\n', out);
	print_losses(&h);
	print_tables(&h);
	return h.err ? h.err : words_flush(out);
}
