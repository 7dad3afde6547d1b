// SPDX-License-Identifier: Apache-2.0
/* The text view: what people read. Head, processes, ranked rows, and at the end what is missing. */
#include "human.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "../model/unwinding.h"
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

/* "malloc, direct: uprobe.session": neighbours on the same rung share a line. */
static void print_hooks(struct human *h)
{
	const struct report_hook *hooks = h->report->hooks;
	size_t i, count = h->report->hooks_count;

	for (i = 0; i < count; i++) {
		fputs(hooks[i].source, h->out);
		if (i + 1 < count && !strcmp(hooks[i].rung, hooks[i + 1].rung))
			fputs(", ", h->out);
		else
			fprintf(h->out, ": %s\n", hooks[i].rung);
	}
}

/* A period that was asked for; what the budget makes of it is said of each process. */
static void print_sampling(struct human *h)
{
	const char *sampling = h->report->sampling;
	char text[16];

	if (sampling && strcmp(sampling, "exact") && strcmp(sampling, "auto"))
		fprintf(h->out, "malloc is sampled, one block in %s on average: +- is the standard error of a row\n",
			text_bytes(strtoull(sampling, NULL, 10), text));
}

static void print_head(struct human *h)
{
	const struct report *report = h->report;
	char text[32];

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
	fputs("  ", h->out);
	human_processes_count(h);
	fputc('\n', h->out);
	print_filters(h);
	print_sampling(h);
	if (h->style->verbose)
		print_hooks(h);
}

/* " (hb_vm_mmap_tx 12, hb_vm_prot_tx 3)" */
static void print_programs(struct human *h)
{
	const struct losses *losses = &h->report->losses;
	char number[32];

	for (size_t i = 0; i < losses->programs_count; i++) {
		fputs(i ? ", " : " (", h->out);
		human_text(h, COLOR_NONE, losses->programs[i].name, 0);
		fprintf(h->out, " %s", words_number(losses->programs[i].skipped, number));
	}
	if (losses->programs_count)
		fputc(')', h->out);
}

static void print_class(struct human *h, enum loss_class class, const char *name,
			enum human_color color)
{
	const struct losses *losses = &h->report->losses;
	char number[32];
	size_t i;

	for (i = 0; i < LOSS_END; i++) {
		const struct loss_kind *kind = loss_kind(i);
		uint64_t bytes = losses_bytes(losses, i);

		if (kind->class != class || !(losses->counts[i] || bytes))
			continue;
		human_print(h, color, "  %-7s", name);
		fprintf(h->out, " %11s", words_number(losses->counts[i], number));
		if (bytes)
			fprintf(h->out, " (%s bytes)", words_number(bytes, number));
		fprintf(h->out, "  %s", kind->sentence);
		if (i == LOSS_RECURSION)
			print_programs(h);
		fputc('\n', h->out);
	}
}

static void print_losses(struct human *h)
{
	const struct losses *losses = &h->report->losses;

	if (report_lossy(h->report)) {
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

/* "99.98%": rounded down, and never 0 or all where some, or not all, are meant. */
static const char *share(uint64_t part, uint64_t whole, char out[16])
{
	unsigned int hundredths = (unsigned int)((double)part / whole * 10000);

	if (part == whole)
		snprintf(out, 16, "100%%");
	else if (hundredths)
		snprintf(out, 16, "%u.%02u%%", (hundredths > 9999 ? 9999 : hundredths) / 100,
			 (hundredths > 9999 ? 9999 : hundredths) % 100);
	else
		snprintf(out, 16, part ? "<0.01%%" : "0%%");
	return out;
}

/* "Stacks: 99.98% complete of 12,345 walked; 0.01% too deep" */
static void print_stacks(struct human *h)
{
	const struct report_stacks *stacks = &h->report->stacks;
	const char *note = h->report->unwinding_note, *gap = "; ";
	uint64_t walks = report_walks(stacks);
	char text[16], number[32];
	size_t i;

	if (!walks && !note)
		return;
	fputs("Stacks: ", h->out);
	if (walks && !note)
		fprintf(h->out, "%s complete of ", share(stacks->ended[HB_END_COMPLETE], walks, text));
	fprintf(h->out, "%s walked%s", words_number(walks, number), note ? " by frame pointers" : "");
	for (i = HB_END_COMPLETE + 1; i < HB_END_LAST; i++) {
		if (!stacks->ended[i] || (note && i == HB_END_POINTERS))
			continue;
		fprintf(h->out, "%s%s %s", gap, share(stacks->ended[i], walks, text), unwinding_words(i));
		gap = ", ";
	}
	fputc('\n', h->out);
	if (note) {
		fputs("  ", h->out);
		human_text(h, COLOR_WARN, note, 0);
		fputc('\n', h->out);
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

/* "21:05:11 malloc of java 4711: every call -> one sample in 64K (it cost 14.2% of a core)" */
static void print_changes(struct human *h)
{
	size_t i;

	for (i = 0; i < h->report->changes_count; i++) {
		const struct report_change *change = &h->report->changes[i];
		const struct process_info *process = report_owners_find(&h->owners, change->gen);
		char time[32], words[2][48];

		clock_rfc3339(change->time_unix_ns, time);
		human_print(h, COLOR_WARN, "%s %s", time, change->direct ? "direct memory" : "malloc");
		if (process) {
			fputs(" of ", h->out);
			human_text(h, COLOR_NONE, process->comm, 0);
			fprintf(h->out, " %u", process->pid);
		}
		fprintf(h->out, ": %s -> %s", words_level(change->from, words[0]), words_level(change->to, words[1]));
		if (change->share > 0)
			fprintf(h->out, " (it cost %s of a core)", words_percent(change->share, time));
		fputc('\n', h->out);
	}
}

static void print_all(struct human *h)
{
	size_t i;

	for (i = 0; i < h->report->processes_count; i++) {
		const struct process_info *process = &h->report->processes[i];

		h->total_bytes += process->outstanding_bytes + process->mapped_by_sites_bytes;
		h->total_pages_bytes += process->pages_bytes + process->pages_unattributed_bytes;
	}
	print_head(h);
	fputc('\n', h->out);
	human_processes(h);
	print_changes(h);
	fputc('\n', h->out);
	human_rows(h);
	fputc('\n', h->out);
	print_losses(h);
	print_stacks(h);
	print_tables(h);
}

int view_text(FILE *out, const struct report *report, const struct view_style *style)
{
	static const struct view_style plain;
	struct human h = { .out = out, .report = report, .style = style ? style : &plain };
	int err = report_owners_init(&h.owners, report);

	if (!err)
		err = human_processes_init(&h);
	if (!err) {
		print_all(&h);
		err = h.err ? h.err : words_flush(out);
	}
	human_processes_release(&h);
	report_owners_release(&h.owners);
	return err;
}
