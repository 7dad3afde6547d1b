// SPDX-License-Identifier: Apache-2.0
/*
 * heldby.board/1, one document on one line. Processes and sites are built and written one by one:
 * a full board as one tree would take gigabytes.
 */
#include "view.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/text.h"
#include "words.h"

#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
#define NEW   (JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY)

/* @failed: memory was short; nothing more is written then. */
struct writer {
	FILE *out;
	const struct report *report;
	struct report_owners owners;
	bool approximate;
	bool failed;
};

static void put(struct writer *w, struct json_object *object, const char *key,
		struct json_object *value)
{
	if (value && object && !json_object_object_add_ex(object, key, value, NEW))
		return;
	json_object_put(value);
	w->failed = true;
}

static void append(struct writer *w, struct json_object *array, struct json_object *value)
{
	if (value && array && !json_object_array_add(array, value))
		return;
	json_object_put(value);
	w->failed = true;
}

static struct json_object *new_text(const char *bytes)
{
	__cleanup(freep) char *clean = text_utf8(bytes);

	return clean ? json_object_new_string(clean) : NULL;
}

/* Strings that are not known are NULL. */
static void put_text(struct writer *w, struct json_object *object, const char *key,
		     const char *text)
{
	if (text)
		put(w, object, key, new_text(text));
}

static void put_number(struct writer *w, struct json_object *object, const char *key,
		       uint64_t number)
{
	put(w, object, key, json_object_new_uint64(number));
}

static void put_bool(struct writer *w, struct json_object *object, const char *key, bool value)
{
	put(w, object, key, json_object_new_boolean(value));
}

static void put_decimal(struct writer *w, struct json_object *object, const char *key, double value)
{
	char text[32];

	if (words_decimal(value, text))
		put(w, object, key, json_object_new_double_s(value, text));
}

static void put_time(struct writer *w, struct json_object *object, const char *key, int64_t unix_ns)
{
	char text[32];

	clock_rfc3339(unix_ns, text);
	put(w, object, key, json_object_new_string(text));
}

/* Writes @object, which it frees, with @open and @close bytes cut off its ends. */
static void flush(struct writer *w, struct json_object *object, size_t open, size_t close)
{
	const char *text = NULL;
	size_t length = 0;

	if (object && !w->failed)
		text = json_object_to_json_string_length(object, PLAIN, &length);
	if (text && length >= open + close)
		fwrite(text + open, 1, length - open - close, w->out);
	else
		w->failed = true;
	json_object_put(object);
}

static struct json_object *hooks_object(struct writer *w)
{
	struct json_object *hooks = json_object_new_object();
	size_t i;

	for (i = 0; i < w->report->hooks_count; i++) {
		const struct report_hook *hook = &w->report->hooks[i];

		if (!json_object_object_get_ex(hooks, hook->source, NULL))
			put_text(w, hooks, hook->source, hook->rung);
	}
	return hooks;
}

static struct json_object *sampling_object(struct writer *w)
{
	struct json_object *sampling = json_object_new_object();

	put_text(w, sampling, "malloc", "exact");
	return sampling;
}

static struct json_object *filters_object(struct writer *w)
{
	struct json_object *filters = json_object_new_object();

	if (w->report->min_size)
		put_number(w, filters, "min_size_bytes", w->report->min_size);
	if (w->report->older_s > 0)
		put_decimal(w, filters, "older_s", w->report->older_s);
	return filters;
}

static void write_head(struct writer *w)
{
	const struct report *report = w->report;
	struct json_object *head = json_object_new_object();

	put_text(w, head, "schema", "heldby.board/1");
	put_time(w, head, "time", report->time_unix_ns);
	put_text(w, head, "host", report->host);
	put_decimal(w, head, "interval_s", report->interval_s);
	put_decimal(w, head, "since_s", report->since_s);
	put_bool(w, head, "final", report->final);
	put(w, head, "hooks", hooks_object(w));
	put(w, head, "sampling", sampling_object(w));
	put_text(w, head, "sort", report_sort_name(report->sort));
	put_text(w, head, "group", report_group_name(report->group));
	if (report->min_size || report->older_s > 0)
		put(w, head, "filters", filters_object(w));
	put_number(w, head, "sites_total_count", report->rows_total);
	flush(w, head, 0, 1);
}

static struct json_object *allocators_array(struct writer *w, const struct process_info *process)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < process->allocators_count; i++)
		append(w, array, new_text(process->allocators[i]));
	return array;
}

static struct json_object *container_object(struct writer *w, const char *id)
{
	struct json_object *container = json_object_new_object();

	put_text(w, container, "id", id);
	return container;
}

static void put_process_sums(struct writer *w, struct json_object *object,
			     const struct process_info *process)
{
	if (!report_sees(process))
		return;
	put_number(w, object, "outstanding_bytes", process->outstanding_bytes);
	put_number(w, object, "outstanding_count", process->outstanding_count);
	put_number(w, object, "allocated_bytes", process->allocated_bytes);
	put_number(w, object, "allocated_count", process->allocated_count);
	put_number(w, object, "freed_bytes", process->freed_bytes);
	put_number(w, object, "freed_count", process->freed_count);
	if (w->approximate || process->blind)
		put_bool(w, object, "approximate", true);
}

static void write_process(struct writer *w, const struct process_info *process)
{
	struct json_object *object = json_object_new_object();

	put_number(w, object, "pid", process->pid);
	if (process->image)
		put_number(w, object, "image", process->image);
	if (process->start_unix_ns)
		put_time(w, object, "start_time", process->start_unix_ns);
	put_text(w, object, "comm", process->comm);
	put_text(w, object, "cgroup", process->cgroup);
	if (process->container_id)
		put(w, object, "container", container_object(w, process->container_id));
	if (process->rss_bytes)
		put_number(w, object, "rss_bytes", process->rss_bytes);
	put_process_sums(w, object, process);
	put(w, object, "allocators", allocators_array(w, process));
	put_text(w, object, "runtime", process->runtime);
	put_text(w, object, "cannot_see", process->blind);
	put_bool(w, object, "exited", process->exited);
	flush(w, object, 0, 0);
}

static struct json_object *frame_object(struct writer *w, const struct frame *frame)
{
	struct json_object *object = json_object_new_object();

	if (frame->function && *frame->function)
		put_text(w, object, "function", frame->function);
	put_text(w, object, "module", frame->module);
	put_text(w, object, "build_id", frame->build_id);
	if (frame->module && w->report->group != GROUP_MODULE)
		put_number(w, object, "offset", frame->offset);
	if (!frame->module)
		put_number(w, object, "address", frame->address);
	put_text(w, object, "kind", frame->kind == FRAME_NATIVE ? "native" : "unknown");
	return object;
}

static struct json_object *frames_array(struct writer *w, const struct board_row *row)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < row->frames_count; i++)
		append(w, array, frame_object(w, &row->frames[i]));
	return array;
}

static void put_row_owner(struct writer *w, struct json_object *object, const struct board_row *row)
{
	const struct process_info *process = report_owners_find(&w->owners, row->gen);

	if (process)
		put_number(w, object, "pid", process->pid);
	if (process && process->image)
		put_number(w, object, "image", process->image);
	if (row->tid)
		put_number(w, object, "thread", row->tid);
	put_text(w, object, "container", row->label);
	put_text(w, object, "source", report_source_name(row->source));
}

static void write_row(struct writer *w, const struct board_row *row)
{
	struct json_object *object = json_object_new_object();

	put_number(w, object, "rank", row->rank);
	put_row_owner(w, object, row);
	put_number(w, object, "outstanding_bytes", row->outstanding_bytes);
	put_number(w, object, "outstanding_count", row->outstanding_count);
	put_number(w, object, "allocated_bytes", row->allocated_bytes);
	put_number(w, object, "allocated_count", row->allocated_count);
	put_number(w, object, "freed_bytes", row->freed_bytes);
	put_number(w, object, "freed_count", row->freed_count);
	if (row->has_peak)
		put_number(w, object, "peak_bytes", row->peak_bytes);
	if (row->has_growth)
		put_decimal(w, object, "growth_bytes_per_s", row->growth_bytes_per_s);
	if (row->has_age)
		put_decimal(w, object, "oldest_s", row->oldest_s);
	if (w->approximate)
		put_bool(w, object, "approximate", true);
	put(w, object, "frames", frames_array(w, row));
	flush(w, object, 0, 0);
}

static struct json_object *losses_object(struct writer *w)
{
	const struct losses *losses = &w->report->losses;
	struct json_object *object = json_object_new_object();
	struct json_object *detail = json_object_new_object();
	size_t i;

	for (i = 0; i < LOSS_END; i++) {
		if (losses->counts[i] && loss_kind(i)->class != LOSS_FILL)
			put_number(w, detail, loss_kind(i)->name, losses->counts[i]);
	}
	put_number(w, object, "lost_count", losses_sum(losses, LOSS_LOST));
	put_number(w, object, "dropped_count", losses_sum(losses, LOSS_DROPPED));
	put_number(w, object, "missed_count", losses_sum(losses, LOSS_MISSED));
	put(w, object, "detail", detail);
	return object;
}

static struct json_object *tables_array(struct writer *w)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < w->report->tables_count; i++) {
		const struct report_table *table = &w->report->tables[i];
		struct json_object *object = json_object_new_object();

		put_text(w, object, "name", table->name);
		put_number(w, object, "rows_count", table->rows);
		put_number(w, object, "max_rows_count", table->max_rows);
		append(w, array, object);
	}
	return array;
}

static void write_tail(struct writer *w)
{
	struct json_object *tail = json_object_new_object();

	put(w, tail, "losses", losses_object(w));
	put(w, tail, "tables", tables_array(w));
	flush(w, tail, 1, 0);
}

static void write_document(struct writer *w)
{
	const struct report *report = w->report;
	size_t i;

	write_head(w);
	fputs(",\"processes\":[", w->out);
	for (i = 0; i < report->processes_count && !w->failed; i++) {
		if (i)
			fputc(',', w->out);
		write_process(w, &report->processes[i]);
	}
	fputs("],\"sites\":[", w->out);
	for (i = 0; i < report->rows_count && !w->failed; i++) {
		if (i)
			fputc(',', w->out);
		write_row(w, &report->rows[i]);
	}
	fputs("],", w->out);
	if (!w->failed)
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
	return w.failed ? -ENOMEM : words_flush(out);
}
