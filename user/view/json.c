// SPDX-License-Identifier: Apache-2.0
/*
 * heldby.board/1, one document on one line. Processes and sites are built and written one by one:
 * a full board as one tree would take gigabytes.
 */
#include "view.h"

#include <errno.h>
#include <string.h>

#include "../base/clock.h"
#include "../model/unwinding.h"
#include "json_pen.h"
#include "json_site.h"
#include "words.h"

/* If the pen fails nothing more is written. */
struct writer {
	FILE *out;
	const struct report *report;
	struct report_owners owners;
	struct json_pen pen;
	bool approximate;
};

static void put_time(struct writer *w, struct json_object *object, const char *key, int64_t unix_ns)
{
	char text[32];

	clock_rfc3339(unix_ns, text);
	json_put(&w->pen, object, key, json_object_new_string(text));
}

/* Writes @object, which it frees, with @open and @close bytes cut off its ends. */
static void flush(struct writer *w, struct json_object *object, size_t open, size_t close)
{
	const char *text = NULL;
	size_t length = 0;

	if (object && !w->pen.failed)
		text = json_object_to_json_string_length(object, JSON_PEN_PLAIN, &length);
	if (text && length >= open + close)
		fwrite(text + open, 1, length - open - close, w->out);
	else
		w->pen.failed = true;
	json_object_put(object);
}

static struct json_object *hooks_object(struct writer *w)
{
	struct json_object *hooks = json_object_new_object();
	size_t i;

	for (i = 0; i < w->report->hooks_count; i++) {
		const struct report_hook *hook = &w->report->hooks[i];

		if (!json_object_object_get_ex(hooks, hook->source, NULL))
			json_put_text(&w->pen, hooks, hook->source, hook->rung);
	}
	return hooks;
}

static struct json_object *sampling_object(struct writer *w)
{
	struct json_object *sampling = json_object_new_object();

	json_put_text(&w->pen, sampling, "malloc", w->report->sampling ? w->report->sampling : "exact");
	return sampling;
}

/* What was changed to keep to the budget. */
static struct json_object *changes_array(struct writer *w)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < w->report->changes_count; i++) {
		const struct report_change *change = &w->report->changes[i];
		const struct process_info *process = report_owners_find(&w->owners, change->gen);
		struct json_object *object = json_object_new_object();

		put_time(w, object, "time", change->time_unix_ns);
		if (process)
			json_put_number(&w->pen, object, "pid", process->pid);
		if (change->direct)
			json_put_text(&w->pen, object, "source", report_source_name(HB_SRC_DIRECT));
		json_put_text(&w->pen, object, "from", budget_name(change->from));
		json_put_text(&w->pen, object, "to", budget_name(change->to));
		json_put_decimal(&w->pen, object, "cost_percent", 100 * change->share);
		json_append(&w->pen, array, object);
	}
	return array;
}

static struct json_object *filters_object(struct writer *w)
{
	struct json_object *filters = json_object_new_object();

	if (w->report->min_size)
		json_put_number(&w->pen, filters, "min_size_bytes", w->report->min_size);
	if (w->report->older_s > 0)
		json_put_decimal(&w->pen, filters, "older_s", w->report->older_s);
	return filters;
}

static void write_head(struct writer *w)
{
	const struct report *report = w->report;
	struct json_object *head = json_object_new_object();

	json_put_text(&w->pen, head, "schema", "heldby.board/1");
	put_time(w, head, "time", report->time_unix_ns);
	json_put_text(&w->pen, head, "host", report->host);
	json_put_decimal(&w->pen, head, "interval_s", report->interval_s);
	json_put_decimal(&w->pen, head, "since_s", report->since_s);
	json_put_bool(&w->pen, head, "final", report->final);
	json_put(&w->pen, head, "hooks", hooks_object(w));
	json_put(&w->pen, head, "sampling", sampling_object(w));
	if (report->changes_count)
		json_put(&w->pen, head, "sampling_changes", changes_array(w));
	json_put_text(&w->pen, head, "sort", report_sort_name(report->sort));
	json_put_text(&w->pen, head, "group", report_group_name(report->group));
	if (report->min_size || report->older_s > 0)
		json_put(&w->pen, head, "filters", filters_object(w));
	json_put_number(&w->pen, head, "sites_total_count", report->rows_total);
	flush(w, head, 0, 1);
}

static struct json_object *allocators_array(struct writer *w, const struct process_info *process)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < process->allocators_count; i++)
		json_append(&w->pen, array, json_text(process->allocators[i]));
	return array;
}

static void put_process_sums(struct writer *w, struct json_object *object,
			     const struct process_info *process)
{
	if (!report_sees(process))
		return;
	json_put_number(&w->pen, object, "outstanding_bytes", process->outstanding_bytes);
	json_put_number(&w->pen, object, "outstanding_count", process->outstanding_count);
	if (process->sampled)
		json_put_number(&w->pen, object, "standard_error_bytes", process->error_bytes);
	json_put_number(&w->pen, object, "allocated_bytes", process->allocated_bytes);
	json_put_number(&w->pen, object, "allocated_count", process->allocated_count);
	json_put_number(&w->pen, object, "freed_bytes", process->freed_bytes);
	json_put_number(&w->pen, object, "freed_count", process->freed_count);
}

static void put_mappings(struct writer *w, struct json_object *object, const struct process_info *process)
{
	if (!process->mapped_bytes)
		return;
	json_put_number(&w->pen, object, "mapped_bytes", process->mapped_bytes);
	json_put_number(&w->pen, object, "committed_bytes", process->committed_bytes);
	json_put_number(&w->pen, object, "mapped_before_bytes", process->mapped_before_bytes);
	json_put_number(&w->pen, object, "mapped_by_allocators_bytes", process->mapped_by_allocators_bytes);
}

static struct json_object *malloc_object(struct writer *w, const struct process_info *process)
{
	struct json_object *object = json_object_new_object();

	json_put_text(&w->pen, object, "sampling", budget_name(process->malloc_level));
	json_put_decimal(&w->pen, object, "cost_percent", 100 * process->malloc_share);
	return object;
}

static struct json_object *direct_object(struct writer *w, const struct process_info *process)
{
	struct json_object *object = json_object_new_object();

	json_put_text(&w->pen, object, "sampling", budget_name(process->direct_level));
	json_put_decimal(&w->pen, object, "cost_percent", 100 * process->direct_share);
	json_put_text(&w->pen, object, "cannot_see", process->direct_blind);
	return object;
}

static struct json_object *mmap_object(struct writer *w, const struct process_info *process)
{
	struct json_object *object = json_object_new_object();

	json_put_decimal(&w->pen, object, "cost_percent", 100 * process->mmap_share);
	return object;
}

static struct json_object *files_array(struct writer *w, const struct process_info *process)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < process->files_count; i++) {
		const struct file_pages *file = &process->files[i];
		struct json_object *object = json_object_new_object();

		json_put_text(&w->pen, object, "path", file->path);
		json_put_number(&w->pen, object, "resident_bytes", file->resident_bytes);
		json_put_number(&w->pen, object, "mappings_count", file->mappings);
		json_append(&w->pen, array, object);
	}
	return array;
}

static void put_pages(struct writer *w, struct json_object *object, const struct process_info *process)
{
	if (process->pages_age_ns)
		json_put_decimal(&w->pen, object, "pages_age_s", (double)process->pages_age_ns / 1e9);
	json_put_number(&w->pen, object, "pages_unattributed_bytes", process->pages_unattributed_bytes);
	json_put_number(&w->pen, object, "pages_standard_error_bytes", process->pages_error_bytes);
	if (process->shared_with_bytes)
		json_put_number(&w->pen, object, "shared_with_bytes", process->shared_with_bytes);
	if (process->swapped_bytes)
		json_put_number(&w->pen, object, "swapped_bytes", process->swapped_bytes);
	if (process->files_bytes)
		json_put_number(&w->pen, object, "files_resident_bytes", process->files_bytes);
	if (process->files_age_ns)
		json_put_decimal(&w->pen, object, "files_age_s", (double)process->files_age_ns / 1e9);
	if (process->files_count)
		json_put(&w->pen, object, "files", files_array(w, process));
	if (process->files_left_out_bytes)
		json_put_number(&w->pen, object, "files_left_out_bytes", process->files_left_out_bytes);
}

static void write_process(struct writer *w, const struct process_info *process)
{
	struct json_object *object = json_object_new_object();

	json_put_number(&w->pen, object, "pid", process->pid);
	if (process->image)
		json_put_number(&w->pen, object, "image", process->image);
	if (process->start_unix_ns)
		put_time(w, object, "start_time", process->start_unix_ns);
	json_put_text(&w->pen, object, "comm", process->comm);
	json_put_text(&w->pen, object, "cgroup", process->cgroup);
	if (process->container)
		json_put(&w->pen, object, "container", json_container(&w->pen, process->container));
	if (process->rss_bytes)
		json_put_number(&w->pen, object, "rss_bytes", process->rss_bytes);
	put_mappings(w, object, process);
	if (process->pages_known)
		put_pages(w, object, process);
	put_process_sums(w, object, process);
	if (process->governed)
		json_put(&w->pen, object, "malloc", malloc_object(w, process));
	if (process->direct_governed)
		json_put(&w->pen, object, "direct", direct_object(w, process));
	if (process->mmap_priced)
		json_put(&w->pen, object, "mmap", mmap_object(w, process));
	if ((report_sees(process) || process->mapped_bytes) &&
	    (w->approximate || process->blind || process->direct_blind || process->mapped_doubtful))
		json_put_bool(&w->pen, object, "approximate", true);
	json_put(&w->pen, object, "allocators", allocators_array(w, process));
	json_put_text(&w->pen, object, "runtime", process->runtime);
	json_put_text(&w->pen, object, "cannot_see", process->blind);
	json_put_bool(&w->pen, object, "exited", process->exited);
	flush(w, object, 0, 0);
}

static void write_row(struct writer *w, const struct board_row *row)
{
	const struct process_info *process = report_owners_find(&w->owners, row->gen);
	struct json_site_about about = {
		.group = w->report->group, .approximate = report_row_approximate(w->report, row),
	};

	if (process) {
		about.pid = process->pid;
		about.image = process->image;
	}
	flush(w, json_site(&w->pen, row, &about), 0, 0);
}

static struct json_object *losses_object(struct writer *w)
{
	const struct losses *losses = &w->report->losses;
	struct json_object *object = json_object_new_object();
	struct json_object *detail = json_object_new_object();
	struct json_object *programs = losses->programs_count ? json_object_new_object() : NULL;
	size_t i;

	for (i = 0; i < LOSS_END; i++) {
		if (losses->counts[i] && loss_kind(i)->class != LOSS_FILL)
			json_put_number(&w->pen, detail, loss_kind(i)->name, losses->counts[i]);
	}
	for (i = 0; i < losses->programs_count; i++)
		json_put_number(&w->pen, programs, losses->programs[i].name, losses->programs[i].skipped);
	json_put_number(&w->pen, object, "lost_count", losses_sum(losses, LOSS_LOST));
	json_put_number(&w->pen, object, "dropped_count", losses_sum(losses, LOSS_DROPPED));
	json_put_number(&w->pen, object, "missed_count", losses_sum(losses, LOSS_MISSED));
	json_put(&w->pen, object, "detail", detail);
	if (losses->programs_count)
		json_put(&w->pen, object, "skipped_programs", programs);
	return object;
}

static struct json_object *tables_array(struct writer *w)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < w->report->tables_count; i++) {
		const struct report_table *table = &w->report->tables[i];
		struct json_object *object = json_object_new_object();

		json_put_text(&w->pen, object, "name", table->name);
		json_put_number(&w->pen, object, "rows_count", table->rows);
		json_put_number(&w->pen, object, "max_rows_count", table->max_rows);
		json_append(&w->pen, array, object);
	}
	return array;
}

/* How stacks were found, and why walks up them ended where they did. */
static struct json_object *unwinding_object(struct writer *w)
{
	const struct report_stacks *stacks = &w->report->stacks;
	struct json_object *object = json_object_new_object();
	struct json_object *ended = json_object_new_object();
	size_t i;

	for (i = 0; i < HB_END_LAST; i++) {
		if (i != HB_END_COMPLETE && stacks->ended[i])
			json_put_number(&w->pen, ended, unwinding_name(i), stacks->ended[i]);
	}
	json_put_text(&w->pen, object, "mode", w->report->unwinding_note ? "frame_pointers" : "eh_frame");
	json_put_text(&w->pen, object, "note", w->report->unwinding_note);
	json_put_number(&w->pen, object, "walks_count", report_walks(stacks));
	json_put_number(&w->pen, object, "complete_count", stacks->ended[HB_END_COMPLETE]);
	json_put(&w->pen, object, "ended", ended);
	return object;
}

static void write_tail(struct writer *w)
{
	struct json_object *tail = json_object_new_object();

	json_put(&w->pen, tail, "unwinding", unwinding_object(w));
	json_put(&w->pen, tail, "losses", losses_object(w));
	json_put(&w->pen, tail, "tables", tables_array(w));
	flush(w, tail, 1, 0);
}

static void write_document(struct writer *w)
{
	const struct report *report = w->report;
	size_t i;

	write_head(w);
	fputs(",\"processes\":[", w->out);
	for (i = 0; i < report->processes_count && !w->pen.failed; i++) {
		if (i)
			fputc(',', w->out);
		write_process(w, &report->processes[i]);
	}
	fputs("],\"sites\":[", w->out);
	for (i = 0; i < report->rows_count && !w->pen.failed; i++) {
		if (i)
			fputc(',', w->out);
		write_row(w, &report->rows[i]);
	}
	fputs("],", w->out);
	if (!w->pen.failed)
		write_tail(w);
	fputc('\n', w->out);
}

int view_json(FILE *out, const struct report *report, const struct view_style *style)
{
	struct writer w = { .out = out, .report = report };
	int err = report_owners_init(&w.owners, report);

	(void)style;
	if (err)
		return err;
	w.approximate = report_approximate(report);
	write_document(&w);
	report_owners_release(&w.owners);
	return w.pen.failed ? -ENOMEM : words_flush(out);
}
