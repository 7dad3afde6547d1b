// SPDX-License-Identifier: Apache-2.0
/* The ranked rows of the text view, each with its stack below it. */
#include "human.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../base/text.h"
#include "../model/pages.h"
#include "words.h"

#define FRAMES_SHOWN  16 /* without -v */
#define STACK_INDENT  6
#define FUNCTION_MIN  16 /* columns a cut function name keeps */
#define MODULE_MIN    16

static void rank_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	snprintf(out, HUMAN_CELL, "%u", ((const struct board_row *)item)->rank);
}

static void outstanding_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	text_bytes(((const struct board_row *)item)->outstanding_bytes, out);
}

static void bytes_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	words_number(((const struct board_row *)item)->outstanding_bytes, out);
}

static void blocks_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	if (((const struct board_row *)item)->source != HB_SRC_PAGES)
		words_number(((const struct board_row *)item)->outstanding_count, out);
}

static void error_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct board_row *row = item;
	char bytes[16];

	(void)h;
	if (row->sampled || row->source == HB_SRC_PAGES)
		snprintf(out, HUMAN_CELL, "%s", text_bytes(pages_root(row->error_square), bytes));
}

/* What the error rests on: of pages, which have no blocks, those are what outstanding_count counts. */
static void samples_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct board_row *row = item;

	(void)h;
	if (row->source == HB_SRC_PAGES)
		words_number(row->outstanding_count, out);
	else if (row->sampled)
		words_number(row->sampled_count, out);
}

static void percent(uint64_t part, uint64_t whole, char out[HUMAN_CELL])
{
	double ratio = whole ? (double)part / whole : 0;
	unsigned int tenths;

	if (part > whole || !whole) /* of a process that is not in the list */
		return;
	tenths = (unsigned int)(1000 * ratio + 0.5);
	if (part && !tenths)
		snprintf(out, HUMAN_CELL, "<0.1%%");
	else
		snprintf(out, HUMAN_CELL, "%u.%u%%", tenths / 10, tenths % 10);
}

static void share_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct board_row *row = item;

	percent(row->outstanding_bytes, row->source == HB_SRC_PAGES ? h->total_pages_bytes : h->total_bytes, out);
}

static void growth_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct board_row *row = item;
	double growth = row->growth_bytes_per_s;
	char bytes[16];

	(void)h;
	if (!row->has_growth || !(fabs(growth) < 1e19))
		return;
	text_bytes((uint64_t)(fabs(growth) + 0.5), bytes);
	snprintf(out, HUMAN_CELL, "%s%s", fabs(growth) < 0.5 ? "" : growth > 0 ? "+" : "-", bytes);
}

static void oldest_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct board_row *row = item;

	(void)h;
	if (row->has_age)
		text_seconds(row->oldest_s, out);
}

static void peak_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct board_row *row = item;

	(void)h;
	if (row->has_peak)
		text_bytes(row->peak_bytes, out);
}

static void allocated_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	if (h->report->sort == SORT_ALLOCATED || h->style->verbose)
		text_bytes(((const struct board_row *)item)->allocated_bytes, out);
}

static const struct human_column row_columns[] = {
	{ "#", rank_cell, false, COLOR_DIM },
	{ "OUTSTANDING", outstanding_cell, false, COLOR_STRONG },
	{ "BYTES", bytes_cell, false, COLOR_NONE },
	{ "+-", error_cell, true, COLOR_NONE },
	{ "SAMPLES", samples_cell, true, COLOR_NONE },
	{ "BLOCKS", blocks_cell, false, COLOR_NONE },
	{ "SHARE", share_cell, false, COLOR_NONE },
	{ "GROWTH/S", growth_cell, true, COLOR_NONE },
	{ "OLDEST", oldest_cell, true, COLOR_NONE },
	{ "PEAK", peak_cell, true, COLOR_NONE },
	{ "ALLOCATED", allocated_cell, true, COLOR_NONE },
	{ .title = NULL },
};

_Static_assert(sizeof(row_columns) / sizeof(row_columns[0]) <= HUMAN_COLUMNS + 1,
	       "human_table has a width for each");

/* Rows that hold nothing say nothing about who holds memory, unless another order was asked for. */
static bool is_shown(const struct human *h, const struct board_row *row)
{
	enum board_sort sort = h->report->sort;

	return row->outstanding_bytes || row->outstanding_count || row->swapped_bytes || h->style->verbose ||
	       sort == SORT_ALLOCATED || sort == SORT_PEAK || sort == SORT_GROWTH;
}

static void print_owner(struct human *h, const struct board_row *row)
{
	const struct process_info *process = report_owners_find(&h->owners, row->gen);
	const char *source = report_source_name(row->source);
	char swapped[16];

	if (h->report->group == GROUP_CONTAINER) {
		human_text(h, COLOR_TITLE, row->label ? row->label : "-", 0);
	} else if (process) {
		human_text(h, COLOR_TITLE, process->comm, 0);
		fprintf(h->out, " %u", process->pid);
		if (human_replaced(h, process))
			fputs(", before exec", h->out);
	} else {
		fputc('-', h->out);
	}
	if (row->tid)
		fprintf(h->out, " thread %u", row->tid);
	if (source)
		human_print(h, COLOR_DIM, "  %s", source);
	if (row->swapped_bytes)
		human_print(h, COLOR_WARN, ", and %s swapped out", text_bytes(row->swapped_bytes, swapped));
}

/* Columns a module's name may take; 0: do not cut. */
static unsigned int module_columns(const struct human *h)
{
	if (!h->style->width || h->style->verbose)
		return 0;
	return h->style->width / 3 > MODULE_MIN ? h->style->width / 3 : MODULE_MIN;
}

/* "libc.so.6+0x1234", or with -v the whole path and the build-id. */
static void print_module(struct human *h, const struct frame *frame, enum human_color color,
			 bool offset)
{
	bool verbose = h->style->verbose;

	human_text(h, color, verbose ? frame->module : words_basename(frame->module),
		   module_columns(h));
	if (offset)
		human_print(h, color, "+0x%" PRIx64, frame->offset);
	if (verbose && frame->build_id) {
		fputs("  ", h->out);
		human_print(h, COLOR_DIM, "build-id ");
		human_text(h, COLOR_DIM, frame->build_id, 0);
	}
}

/* The source file as it is shown; NULL: not known. */
static const char *source_name(const struct human *h, const struct frame *frame)
{
	if (!frame->file || !*frame->file)
		return NULL;
	return h->style->verbose ? frame->file : words_basename(frame->file);
}

/* " at rows.c:118 (inlined)" */
static void print_place(struct human *h, const struct frame *frame)
{
	const char *source = source_name(h, frame);

	if (source) {
		human_print(h, COLOR_DIM, " at ");
		human_text(h, COLOR_DIM, source, module_columns(h));
	}
	if (source && frame->line)
		human_print(h, COLOR_DIM, ":%u", frame->line);
	if (frame->inlined)
		human_print(h, COLOR_DIM, " (inlined)");
}

static unsigned int cut_columns(const char *text, unsigned int most)
{
	size_t length = strlen(text);

	return length < most ? (unsigned int)length : most;
}

/* Columns that print_place() takes; a character of several bytes counts too much. */
static unsigned int place_columns(const struct human *h, const struct frame *frame)
{
	const char *source = source_name(h, frame);
	char line[16] = "";
	unsigned int columns = 0;

	if (source && frame->line)
		snprintf(line, sizeof(line), ":%u", frame->line);
	if (source)
		columns += strlen(" at ") + cut_columns(source, module_columns(h)) + strlen(line);
	return columns + (frame->inlined ? strlen(" (inlined)") : 0);
}

/* Columns left for a function's name in front of what follows it; 0: do not cut. */
static unsigned int function_columns(const struct human *h, const struct frame *frame)
{
	unsigned int most = module_columns(h), taken = STACK_INDENT;

	if (!most)
		return 0;
	taken += place_columns(h, frame);
	if (frame->module)
		taken += 2 + cut_columns(words_basename(frame->module), most);
	if (taken + FUNCTION_MIN > h->style->width)
		return FUNCTION_MIN;
	return h->style->width - taken;
}

/* What is said of a frame that lies in no file. */
static void print_address(struct human *h, const struct frame *frame, bool named)
{
	if (!named && frame->address)
		fprintf(h->out, "0x%" PRIx64 "  ", frame->address);
	if (frame->module)
		human_text(h, named ? COLOR_DIM : COLOR_NONE, frame->module, 0);
	else if (!named)
		fputs(frame->kind == FRAME_KERNEL ? "(in the kernel)" : "(in no known file)", h->out);
}

static void print_frame(struct human *h, const struct frame *frame)
{
	bool named = frame->function && *frame->function;

	fprintf(h->out, "%*s", STACK_INDENT, "");
	if (named) {
		human_text(h, COLOR_NONE, frame->function, function_columns(h, frame));
		if (h->mark_kernel && frame->kind == FRAME_KERNEL)
			fputs("_[k]", h->out);
		print_place(h, frame);
		if (frame->module)
			fputs("  ", h->out);
	}
	if (!frame->module || words_is_jit(frame))
		print_address(h, frame, named);
	else
		print_module(h, frame, named ? COLOR_DIM : COLOR_NONE,
			     h->report->group != GROUP_MODULE && (!named || h->style->verbose));
	if (!named)
		print_place(h, frame);
	fputc('\n', h->out);
}

/* A walk that did not reach the outermost frame says why; rows of several stacks cannot. */
static void print_stopped(struct human *h, const struct board_row *row)
{
	const char *stopped = row->frames_count ? row->frames[row->frames_count - 1].stopped : NULL;

	if (!stopped || h->report->group != GROUP_SITE)
		return;
	human_print(h, COLOR_DIM, "%*s(stack ends here: ", STACK_INDENT, "");
	human_text(h, COLOR_DIM, stopped, 0);
	human_print(h, COLOR_DIM, ")");
	fputc('\n', h->out);
}

static bool has_stacks(enum board_group group)
{
	return group == GROUP_SITE || group == GROUP_CALLSITE || group == GROUP_MODULE;
}

void human_stack(struct human *h, const struct board_row *row)
{
	size_t i, more = 0, shown = row->frames_count;

	if (!shown && has_stacks(h->report->group)) {
		human_print(h, COLOR_DIM, "%*s(stack unknown)", STACK_INDENT, "");
		fputc('\n', h->out);
	}
	if (!h->style->verbose && shown > FRAMES_SHOWN) {
		shown = FRAMES_SHOWN;
		more = row->frames_count - shown;
	}
	for (i = 0; i < shown; i++)
		print_frame(h, &row->frames[i]);
	if (more) {
		human_print(h, COLOR_DIM, "%*s... %zu more frame%s (-v shows all)", STACK_INDENT,
			    "", more, more == 1 ? "" : "s");
		fputc('\n', h->out);
	}
	print_stopped(h, row);
}

/* What the table left out, in one sentence each; @bytes are those of the rows shown, 0: nothing is to be said. */
static void print_left_out(struct human *h, size_t hidden, uint64_t bytes)
{
	const struct report *report = h->report;
	const char *what = report_group_name(report->group);
	char all[HUMAN_CELL] = "", sum[16], number[2][32];

	if (report->rows_total > report->rows_count) {
		fprintf(h->out, "The first %s of %s %s rows", words_number(report->rows_count, number[0]),
			words_number(report->rows_total, number[1]), what);
		percent(bytes, h->total_bytes, all);
		if (bytes)
			fprintf(h->out, ", holding %s%s%s%s", text_bytes(bytes, sum), *all ? ", " : "", all,
				*all ? " of all outstanding" : "");
		fputs("; --top 0 shows all.\n", h->out);
	}
	if (hidden)
		fprintf(h->out, "Left out: %s %s row%s holding nothing now; -v shows all.\n",
			words_number(hidden, number[0]), what, hidden == 1 ? "" : "s");
}

static const char *last_title(enum board_group group)
{
	static const char *const titles[] = {
		[GROUP_SITE] = "PROCESS, SOURCE", [GROUP_CALLSITE] = "PROCESS, SOURCE",
		[GROUP_MODULE] = "PROCESS, SOURCE", [GROUP_THREAD] = "PROCESS, THREAD, SOURCE",
		[GROUP_PROCESS] = "PROCESS, SOURCE", [GROUP_CONTAINER] = "CONTAINER, SOURCE",
	};

	return titles[group];
}

/* What the rows so far left out, and hold. */
struct shown {
	size_t hidden;
	uint64_t bytes;
};

/* A table of the rows from @first up to @end. */
static void print_view(struct human *h, size_t first, size_t end, struct shown *shown)
{
	const struct report *report = h->report;
	struct human_table table = {
		.columns = row_columns,
		.last_title = last_title(report->group),
	};
	size_t i, hidden = 0, printed = 0;

	for (i = first; i < end; i++) {
		shown->bytes += report->rows[i].outstanding_bytes;
		if (is_shown(h, &report->rows[i]))
			human_table_measure(h, &table, &report->rows[i]);
		else
			hidden++;
	}
	shown->hidden += hidden;
	if (hidden < end - first)
		human_table_head(h, &table);
	else
		fputs("Nothing is outstanding.\n", h->out);
	for (i = first; i < end && !h->err; i++) {
		const struct board_row *row = &report->rows[i];

		if (!is_shown(h, row))
			continue;
		if (printed++ && has_stacks(report->group))
			fputc('\n', h->out);
		human_table_row(h, &table, row);
		print_owner(h, row);
		fputc('\n', h->out);
		human_stack(h, row);
	}
}

void human_rows(struct human *h)
{
	const struct report *report = h->report;
	const size_t others = report_others(report), all = report->rows_count;
	struct shown shown = { 0 };

	if (!all)
		fputs("No allocation was seen.\n", h->out);
	if (others)
		print_view(h, 0, others, &shown);
	if (others && others < all) {
		fputc('\n', h->out);
		human_print(h, COLOR_TITLE, "Resident pages, by who touched them; not to be added to the rows above");
		fputc('\n', h->out);
	}
	if (others < all)
		print_view(h, others, all, &shown);
	if (shown.hidden || report->rows_total > all)
		fputc('\n', h->out);
	print_left_out(h, shown.hidden, others && others < all ? 0 : shown.bytes); /* a sum of both is none */
}
