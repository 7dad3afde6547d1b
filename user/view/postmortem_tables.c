// SPDX-License-Identifier: Apache-2.0
#include "postmortem_text.h"

#include <stdlib.h>
#include <string.h>

#include "../base/text.h"
#include "../model/pages.h"
#include "words.h"

#define SLOPE_ROWS    6
#define SLOPE_COLUMNS 60
#define SLOPE_LABEL   14 /* columns to the left of the slope */

static void put_bytes(uint64_t bytes, char out[HUMAN_CELL])
{
	char text[16];

	if (bytes != POSTMORTEM_UNKNOWN)
		snprintf(out, HUMAN_CELL, "%s", text_bytes(bytes, text));
}

void postmortem_container(struct human *h, const char *before, const struct container_info *container)
{
	char title[CONTAINER_TITLE_BYTES];

	if (!container)
		return;
	fputs(before, h->out);
	human_text(h, COLOR_NONE, container_title(container, title), 0);
}

/* --- cgroups ----------------------------------------------------------------------------------- */

static void limit_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_level *)item)->limit_bytes, out);
}

static void usage_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_level *)item)->usage_bytes, out);
}

static void peak_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_level *)item)->peak_bytes, out);
}

static const struct human_column level_columns[] = {
	{ "LIMIT", limit_cell, false, COLOR_NONE },
	{ "USED", usage_cell, false, COLOR_NONE },
	{ "PEAK", peak_cell, true, COLOR_NONE },
	{ .title = NULL },
};

void postmortem_levels(struct human *h, const struct postmortem *pm)
{
	struct human_table table = { .columns = level_columns, .last_title = "CGROUP" };
	size_t i, count = pm->domain.levels_count;

	if (count > POSTMORTEM_LEVELS_MAX)
		count = POSTMORTEM_LEVELS_MAX;
	for (i = 0; i < count; i++)
		human_table_measure(h, &table, &pm->domain.levels[i]);
	if (count) {
		fputs("  ", h->out);
		human_table_head(h, &table);
	}
	for (i = 0; i < count; i++) {
		const char *cgroup = pm->domain.levels[i].cgroup;
		bool hit = pm->domain.cgroup && cgroup && !strcmp(pm->domain.cgroup, cgroup);

		fputs("  ", h->out);
		human_table_row(h, &table, &pm->domain.levels[i]);
		human_text(h, hit ? COLOR_BAD : COLOR_NONE, cgroup ? cgroup : "-", 0);
		fputs(hit ? "  <- hit\n" : "\n", h->out);
	}
}

/* --- processes --------------------------------------------------------------------------------- */

static void pid_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	snprintf(out, HUMAN_CELL, "%u", ((const struct postmortem_task *)item)->pid);
}

static void anon_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_task *)item)->anon_rss_bytes, out);
}

static void file_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_task *)item)->file_rss_bytes, out);
}

static void shmem_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_task *)item)->shmem_rss_bytes, out);
}

static void swap_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_task *)item)->swap_bytes, out);
}

static void pgtables_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct postmortem_task *)item)->pgtables_bytes, out);
}

static void adj_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct postmortem_task *task = item;

	(void)h;
	if (task->oom_score_adj != POSTMORTEM_ADJ_UNKNOWN)
		snprintf(out, HUMAN_CELL, "%d", task->oom_score_adj);
}

static const struct human_column task_columns[] = {
	{ "PID", pid_cell, false, COLOR_NONE },
	{ "ANONYMOUS", anon_cell, false, COLOR_STRONG },
	{ "FILE", file_cell, false, COLOR_NONE },
	{ "SHARED", shmem_cell, false, COLOR_NONE },
	{ "SWAP", swap_cell, true, COLOR_NONE },
	{ "PAGE TABLES", pgtables_cell, true, COLOR_NONE },
	{ "ADJ", adj_cell, false, COLOR_NONE },
	{ .title = NULL },
};

void postmortem_tasks(struct human *h, const struct postmortem *pm)
{
	struct human_table table = { .columns = task_columns, .last_title = "PROCESS" };
	char number[2][32];
	size_t i;

	if (!pm->tasks_count)
		return;
	for (i = 0; i < pm->tasks_count; i++)
		human_table_measure(h, &table, &pm->tasks[i]);
	fputc('\n', h->out);
	human_table_head(h, &table);
	for (i = 0; i < pm->tasks_count; i++) {
		const struct postmortem_task *task = &pm->tasks[i];

		human_table_row(h, &table, task);
		human_text(h, task->victim ? COLOR_BAD : COLOR_NONE, task->comm, 0);
		postmortem_container(h, "  in ", task->container);
		if (task->victim)
			fputs("  <- killed", h->out);
		if (task->approximate)
			human_print(h, COLOR_WARN, "  (may be too low)");
		fputc('\n', h->out);
	}
	if (pm->tasks_total > pm->tasks_count)
		fprintf(h->out, "The first %s of %s processes.\n", words_number(pm->tasks_count, number[0]),
			words_number(pm->tasks_total, number[1]));
}

/* --- holders ----------------------------------------------------------------------------------- */

struct holder {
	const struct board_row *row;
	uint64_t resident; /* anonymous and shared memory of the victim */
};

static void rank_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	snprintf(out, HUMAN_CELL, "%u", ((const struct holder *)item)->row->rank);
}

static void held_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	put_bytes(((const struct holder *)item)->row->outstanding_bytes, out);
}

static void exact_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	(void)h;
	words_number(((const struct holder *)item)->row->outstanding_bytes, out);
}

static void error_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct board_row *row = ((const struct holder *)item)->row;

	(void)h;
	if (row->source == HB_SRC_PAGES || row->sampled)
		put_bytes(pages_root(row->error_square), out);
}

static void share_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct holder *holder = item;
	double percent;

	(void)h;
	if (holder->resident == POSTMORTEM_UNKNOWN || !holder->resident)
		return;
	percent = 100.0 * (double)holder->row->outstanding_bytes / (double)holder->resident;
	if (percent <= 900) /* more is mapped, not resident */
		snprintf(out, HUMAN_CELL, "%.1f%%", percent);
}

static const struct human_column holder_columns[] = {
	{ "#", rank_cell, false, COLOR_DIM },
	{ "HELD", held_cell, false, COLOR_STRONG },
	{ "BYTES", exact_cell, false, COLOR_NONE },
	{ "+-", error_cell, true, COLOR_NONE },
	{ "OF ANON+SHARED", share_cell, true, COLOR_NONE },
	{ .title = NULL },
};

static void print_sampling(struct human *h, const struct postmortem *pm)
{
	const char *sampling = pm->holders_sampling;
	char text[16];

	if (pm->holders_direct_off)
		fputs("Direct memory was not followed when it was killed, to keep to --budget: what it holds is not "
		      "known.\n", h->out);
	if (!sampling || !strcmp(sampling, "exact"))
		return;
	if (strcmp(sampling, "off"))
		fprintf(h->out, "malloc was sampled, one block in %s on average: +- is the standard error of a row.\n",
			text_bytes(strtoull(sampling, NULL, 10), text));
	else
		fputs("malloc was not followed when it was killed, to keep to --budget: what it holds is not known.\n",
		      h->out);
}

static void print_explained(struct human *h, const struct postmortem *pm, uint64_t resident)
{
	double percent = postmortem_explained_percent(pm);
	char text[2][16];

	if (percent >= 0)
		fprintf(h->out, "\nPages explain %s of %s anonymous and shared memory, %.1f%%%s.\n",
			text_bytes(pm->holders_explained_bytes, text[0]), text_bytes(resident, text[1]), percent,
			pm->holders_scaled ? " (estimates added up to more, and were scaled down)" : "");
	if (pm->holders_traced_ns != POSTMORTEM_UNKNOWN)
		fprintf(h->out, "Its calls were traced for the last %s: what it took before is not among them.\n",
			text_seconds((double)pm->holders_traced_ns / 1e9, text[0]));
	print_sampling(h, pm);
	if (pm->holders_approximate) {
		human_print(h, COLOR_WARN, "What sites held may be more: something was lost while they were counted.");
		fputc('\n', h->out);
	}
}

void postmortem_holders(struct human *h, const struct postmortem *pm)
{
	struct human_table table = { .columns = holder_columns, .last_title = "SOURCE" };
	struct holder holder = { .resident = postmortem_victim_anonymous(pm) };
	size_t i;

	fputc('\n', h->out);
	if (!pm->holders_count) {
		human_print(h, COLOR_DIM, "Holders: not known");
		fputc('\n', h->out);
		print_sampling(h, pm);
		return;
	}
	for (i = 0; i < pm->holders_count; i++) {
		holder.row = &pm->holders[i];
		if (postmortem_shows_row(pm, holder.row))
			human_table_measure(h, &table, &holder);
	}
	human_table_head(h, &table);
	for (i = 0; i < pm->holders_count; i++) {
		const char *source = report_source_name(pm->holders[i].source);

		if (!postmortem_shows_row(pm, &pm->holders[i]))
			continue;
		if (i)
			fputc('\n', h->out);
		holder.row = &pm->holders[i];
		human_table_row(h, &table, &holder);
		fprintf(h->out, "%s\n", source ? source : "-");
		human_stack(h, holder.row);
	}
	print_explained(h, pm, holder.resident);
}

/* --- history ----------------------------------------------------------------------------------- */

struct slope {
	uint64_t bytes[SLOPE_COLUMNS]; /* the most within each column's time; if it was not looked at then, as before */
	size_t count;
	unsigned int step_s; /* of a column */
	uint64_t most;
};

static uint64_t sample_bytes(const struct postmortem_sample *sample)
{
	return sample->rss_bytes == POSTMORTEM_UNKNOWN ? 0 : sample->rss_bytes;
}

/* As many columns, and of as few seconds each, as hold all that is known. */
static void choose_columns(const struct human *h, double oldest_s, struct slope *slope)
{
	size_t columns = SLOPE_COLUMNS;

	if (h->style->width > SLOPE_LABEL + 8 && h->style->width < SLOPE_LABEL + SLOPE_COLUMNS)
		columns = h->style->width - SLOPE_LABEL;
	slope->step_s = (unsigned int)(oldest_s / (double)columns) + 1;
	slope->count = (size_t)(oldest_s / slope->step_s) + 1;
}

/* The most of those from sample @next on that are @until_s old at least; @before if there is none. */
static uint64_t column_bytes(const struct postmortem *pm, size_t *next, double until_s, uint64_t before)
{
	const size_t first = *next;
	uint64_t most = 0;

	for (; *next < pm->history_count && pm->history[*next].age_s >= until_s; (*next)++) {
		if (sample_bytes(&pm->history[*next]) > most)
			most = sample_bytes(&pm->history[*next]);
	}
	return *next == first ? before : most;
}

static struct slope slope_of(const struct human *h, const struct postmortem *pm)
{
	struct slope slope = { .count = 0 };
	uint64_t bytes = 0;
	size_t i, next = 0;

	if (pm->history_count)
		choose_columns(h, pm->history[0].age_s, &slope);
	for (i = 0; i < slope.count; i++) {
		bytes = column_bytes(pm, &next, (double)(slope.count - 1 - i) * slope.step_s, bytes);
		slope.bytes[i] = bytes;
		if (bytes > slope.most)
			slope.most = bytes;
	}
	return slope;
}

/* Row 0 is the lowest. '#' fills a row, '.' begins one; a column that holds something is always seen. */
static char slope_mark(const struct slope *slope, size_t column, unsigned int row)
{
	double height = (double)slope->bytes[column] / (double)slope->most * SLOPE_ROWS - row;

	if (height >= 0.5)
		return '#';
	return height > 0 ? '.' : ' ';
}

static void print_slope_row(struct human *h, const struct slope *slope, unsigned int row)
{
	char line[SLOPE_COLUMNS + 1], label[16] = "";
	size_t i, length = 0;

	for (i = 0; i < slope->count; i++) {
		line[i] = slope_mark(slope, i, row);
		if (line[i] != ' ')
			length = i + 1;
	}
	line[length] = '\0';
	if (row == SLOPE_ROWS - 1)
		text_bytes(slope->most, label);
	fprintf(h->out, "  %10s |%s\n", label, line);
}

void postmortem_history(struct human *h, const struct postmortem *pm)
{
	struct slope slope = slope_of(h, pm);
	char text[16];
	unsigned int row;

	fputc('\n', h->out);
	if (!slope.count || !slope.most) {
		human_print(h, COLOR_DIM, "History: no samples were taken before the kill");
		fputc('\n', h->out);
		return;
	}
	human_print(h, COLOR_TITLE, "History:");
	fprintf(h->out, " resident memory from %s before the kill on, ", text_seconds(pm->history[0].age_s, text));
	if (slope.step_s == 1)
		fputs("a column for each second\n", h->out);
	else
		fprintf(h->out, "a column for each %u seconds\n", slope.step_s);
	for (row = SLOPE_ROWS; row > 0; row--)
		print_slope_row(h, &slope, row - 1);
}
