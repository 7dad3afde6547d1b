// SPDX-License-Identifier: Apache-2.0
/* The processes of the text view: those that hold most, each with its sums. */
#include "human.h"

#include <errno.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "words.h"

#define PROCESSES_SHOWN 20         /* without -v */
#define FILES_SHOWN     3
#define MMAP_DEAR       0.01 /* of a core: told without -v */
#define START_APART_NS  1000000000 /* a pid does not come round again this soon */

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Images of one process are neighbours, in the order in which they began. */
static int compare_images(const void *left, const void *right)
{
	const struct process_info *a = *(const struct process_info *const *)left;
	const struct process_info *b = *(const struct process_info *const *)right;
	int order = compare_u64(a->pid, b->pid);

	return order ? order : (a > b) - (a < b);
}

/* Most outstanding first; live before exited, then as in the report. */
static int compare_holders(const void *left, const void *right)
{
	const struct process_info *a = *(const struct process_info *const *)left;
	const struct process_info *b = *(const struct process_info *const *)right;
	int order = compare_u64(b->outstanding_bytes, a->outstanding_bytes);

	if (!order)
		order = compare_u64(b->pages_bytes + b->pages_unattributed_bytes,
				    a->pages_bytes + a->pages_unattributed_bytes);
	if (!order)
		order = a->exited - b->exited;
	return order ? order : (a > b) - (a < b);
}

/* A process starts once, but its start is worked out from two clocks for each of its images. */
static bool same_start(const struct process_info *a, const struct process_info *b)
{
	return !a->start_unix_ns || !b->start_unix_ns ||
	       (a->start_unix_ns < b->start_unix_ns + START_APART_NS &&
		b->start_unix_ns < a->start_unix_ns + START_APART_NS);
}

static bool becomes(const struct process_info *image, const struct process_info *next)
{
	return image->exited && next->pid == image->pid && next->image == image->image + 1 &&
	       same_start(image, next);
}

int human_processes_init(struct human *h)
{
	const struct report *report = h->report;
	size_t i, count = report->processes_count;

	h->ranked = calloc(count + 1, sizeof(*h->ranked));
	h->replaced = calloc(count + 1, sizeof(*h->replaced));
	if (!h->ranked || !h->replaced)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		h->ranked[i] = &report->processes[i];
	qsort(h->ranked, count, sizeof(*h->ranked), compare_images);
	for (i = 1; i < count; i++)
		h->replaced[h->ranked[i - 1] - report->processes] =
			becomes(h->ranked[i - 1], h->ranked[i]);
	qsort(h->ranked, count, sizeof(*h->ranked), compare_holders);
	return 0;
}

void human_processes_release(struct human *h)
{
	free(h->ranked);
	free(h->replaced);
	h->ranked = NULL;
	h->replaced = NULL;
}

bool human_replaced(const struct human *h, const struct process_info *process)
{
	return h->replaced[process - h->report->processes];
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

static void mapped_cell(const struct human *h, const void *item, char out[HUMAN_CELL])
{
	const struct process_info *process = item;

	(void)h;
	if (process->mapped_bytes)
		text_bytes(process->mapped_bytes, out);
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
	{ "RSS", rss_cell, true, COLOR_NONE },
	{ "MAPPED", mapped_cell, true, COLOR_NONE },
	{ "OUTSTANDING", outstanding_cell, false, COLOR_STRONG },
	{ "BLOCKS", blocks_cell, false, COLOR_NONE },
	{ .title = NULL },
};

/* "allocated 30 = freed 10 + outstanding 20 bytes; 3 = 1 + 2 blocks": anyone can check the sums. */
static void print_balance(struct human *h, const struct process_info *process)
{
	bool bytes = process->allocated_bytes == process->freed_bytes + process->outstanding_bytes;
	bool blocks = process->allocated_count == process->freed_count + process->outstanding_count;
	enum human_color color = bytes && blocks ? COLOR_DIM : COLOR_WARN;
	char number[6][32];

	words_number(process->allocated_bytes, number[0]);
	words_number(process->freed_bytes, number[1]);
	words_number(process->outstanding_bytes, number[2]);
	words_number(process->allocated_count, number[3]);
	words_number(process->freed_count, number[4]);
	words_number(process->outstanding_count, number[5]);
	human_print(h, color, "allocated %s%s freed %s%s outstanding %s bytes; %s%s %s%s %s blocks%s",
		    number[0], bytes ? " =" : ",", number[1], bytes ? " +" : ",", number[2],
		    number[3], blocks ? " =" : ",", number[4], blocks ? " +" : ",", number[5],
		    bytes && blocks ? "" : ": not in balance (read while they changed)");
}

static void print_origin(struct human *h, unsigned int indent, const struct process_info *process)
{
	char text[32], title[CONTAINER_TITLE_BYTES];

	if (process->start_unix_ns) {
		clock_rfc3339(process->start_unix_ns, text);
		fprintf(h->out, "%*sstarted %s\n", (int)indent, "", text);
	}
	if (process->cgroup) {
		fprintf(h->out, "%*scgroup ", (int)indent, "");
		human_text(h, COLOR_NONE, process->cgroup, 0);
		fputc('\n', h->out);
	}
	if (process->container) {
		fprintf(h->out, "%*scontainer ", (int)indent, "");
		human_text(h, COLOR_NONE, container_title(process->container, title), 0);
		fprintf(h->out, "  ");
		human_text(h, COLOR_DIM, process->container->id, 0);
		fputc('\n', h->out);
	}
}

static void print_about(struct human *h, const struct process_info *process)
{
	const char *gap = "  ";
	size_t i;

	human_text(h, COLOR_TITLE, process->comm, 0);
	if (human_replaced(h, process))
		human_print(h, COLOR_WARN, ", before exec");
	else if (process->exited)
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

static void print_blind(struct human *h, unsigned int indent, const char *what, const char *why)
{
	if (!why)
		return;
	fprintf(h->out, "%*s", (int)indent, "");
	human_print(h, COLOR_BAD, "cannot see %s here: ", what);
	human_text(h, COLOR_NONE, why, 0);
	fputc('\n', h->out);
}

static void print_level(struct human *h, unsigned int indent, const char *what, enum budget_level level, double cost)
{
	char words[48], share[16];

	if (level == BUDGET_PAUSED || (level == BUDGET_EXACT && !h->style->verbose))
		return;
	fprintf(h->out, "%*s", (int)indent, "");
	human_print(h, COLOR_DIM, "%s: %s, which costs %s of a core", what, words_level(level, words),
		    words_percent(cost, share));
	fputc('\n', h->out);
}

static void print_mmap(struct human *h, unsigned int indent, const struct process_info *process)
{
	char share[16];

	fprintf(h->out, "%*s", (int)indent, "");
	human_print(h, COLOR_DIM, "mmap: every call, which costs at least %s of a core; --budget does not hold for it",
		    words_percent(process->mmap_share, share));
	fputc('\n', h->out);
}

/* How calls are followed, where that is not every one, and what it costs. */
static void print_governed(struct human *h, unsigned int indent, const struct process_info *process)
{
	if (process->governed && !process->exited)
		print_level(h, indent, "malloc", process->malloc_level, process->malloc_share);
	if (process->direct_governed && !process->exited)
		print_level(h, indent, "direct memory", process->direct_level, process->direct_share);
	if (process->mmap_priced && (h->style->verbose || process->mmap_share >= MMAP_DEAR))
		print_mmap(h, indent, process);
}

/* " (as of 3.2s ago)", where it is not of now. */
static void print_age(struct human *h, const struct process_info *process, uint64_t age_ns)
{
	char text[16];

	if (age_ns)
		human_print(h, COLOR_DIM, " (as of %s %s)", text_seconds((double)age_ns / 1e9, text),
			    process->exited ? "before its end" : "ago");
}

static void print_pages(struct human *h, unsigned int indent, const struct process_info *process)
{
	const bool moved = process->moves_unseen && process->pages_unattributed_bytes;
	char text[16];

	fprintf(h->out, "%*s", (int)indent, "");
	human_print(h, COLOR_DIM, "pages: %s", text_bytes(process->pages_bytes, text));
	if (process->pages_error_bytes)
		human_print(h, COLOR_DIM, " +- %s", text_bytes(process->pages_error_bytes, text));
	human_print(h, COLOR_DIM, " by site");
	print_age(h, process, process->pages_age_ns);
	human_print(h, COLOR_DIM, ", %s unattributed%s", text_bytes(process->pages_unattributed_bytes, text),
		    moved ? ", what mremap moved among them" : "");
	if (process->shared_with_bytes)
		human_print(h, COLOR_DIM, ", of it %s shared memory from elsewhere",
			    text_bytes(process->shared_with_bytes, text));
	if (process->swapped_bytes)
		human_print(h, COLOR_WARN, "; %s by site swapped out", text_bytes(process->swapped_bytes, text));
	fputc('\n', h->out);
}

/* "files: 9.1 MiB resident: libjvm.so 5.0 MiB, libc.so.6 1.1 MiB, 12 more" */
static void print_files(struct human *h, unsigned int indent, const struct process_info *process)
{
	const bool all = h->style->verbose;
	const size_t shown = all || process->files_count < FILES_SHOWN ? process->files_count : FILES_SHOWN;
	char text[16], number[32];

	fprintf(h->out, "%*s", (int)indent, "");
	human_print(h, COLOR_DIM, "files: %s resident", text_bytes(process->files_bytes, text));
	print_age(h, process, process->files_age_ns);
	for (size_t i = 0; i < shown; i++) {
		const struct file_pages *file = &process->files[i];

		fputs(i ? ", " : ": ", h->out);
		human_text(h, COLOR_DIM, all ? file->path : words_basename(file->path), 0);
		human_print(h, COLOR_DIM, " %s", text_bytes(file->resident_bytes, text));
	}
	if (shown < process->files_count)
		human_print(h, COLOR_DIM, ", %s more", words_number(process->files_count - shown, number));
	if (process->files_left_out_bytes)
		human_print(h, COLOR_WARN, "; mappings of %s were not looked at, for that takes too long",
			    text_bytes(process->files_left_out_bytes, text));
	fputc('\n', h->out);
}

static void print_process(struct human *h, const struct human_table *table,
			  const struct process_info *process)
{
	unsigned int indent = table->widths[0] + 2;

	human_table_row(h, table, process);
	print_about(h, process);
	print_blind(h, indent, "malloc", process->blind);
	print_blind(h, indent, "direct memory", process->direct_blind);
	if (process->pages_known)
		print_pages(h, indent, process);
	if (process->files_count || process->files_left_out_bytes)
		print_files(h, indent, process);
	if (report_sees(process) && (!process->pages_known || process->allocated_count)) {
		fprintf(h->out, "%*s", (int)indent, "");
		print_balance(h, process);
		fputc('\n', h->out);
	}
	print_governed(h, indent, process);
	if (process->mapped_doubtful) {
		fprintf(h->out, "%*s", (int)indent, "");
		human_print(h, COLOR_WARN, "mapped may be off: %s", process->exited ?
			    "it ended before its mappings could be read once more" :
			    "not all changes were seen, and its mappings were not read since");
		fputc('\n', h->out);
	}
	if (h->style->verbose)
		print_origin(h, indent, process);
}

/* Some processes, summed up. */
struct crowd {
	size_t processes;
	size_t exited;
	size_t replaced; /* images before an exec; their processes are not counted twice */
	size_t unseen;   /* all of their allocations are unknown */
	uint64_t bytes;
};

static void crowd_add(const struct human *h, struct crowd *crowd,
		      const struct process_info *process)
{
	if (human_replaced(h, process)) {
		crowd->replaced++;
	} else {
		crowd->processes++;
		crowd->exited += process->exited;
	}
	crowd->unseen += !report_sees(process);
	crowd->bytes += process->outstanding_bytes;
}

static void print_crowd(struct human *h, const struct crowd *crowd, const char *more)
{
	char number[32];

	fprintf(h->out, "%s %sprocess%s", words_number(crowd->processes, number), more,
		crowd->processes == 1 ? "" : "es");
	if (crowd->exited)
		fprintf(h->out, " (%s exited)", words_number(crowd->exited, number));
}

void human_processes_count(struct human *h)
{
	struct crowd crowd = { 0 };
	size_t i;

	for (i = 0; i < h->report->processes_count; i++)
		crowd_add(h, &crowd, &h->report->processes[i]);
	print_crowd(h, &crowd, "");
}

/* "... and 380 more processes (355 exited), holding 1.2 MiB; -v shows all" */
static void print_rest(struct human *h, size_t shown)
{
	struct crowd crowd = { 0 };
	char text[32];
	size_t i;

	for (i = shown; i < h->report->processes_count; i++)
		crowd_add(h, &crowd, h->ranked[i]);
	fputs("... and ", h->out);
	if (crowd.processes)
		print_crowd(h, &crowd, "more ");
	if (crowd.replaced)
		fprintf(h->out, "%s%s more before exec", crowd.processes ? " and " : "",
			words_number(crowd.replaced, text));
	if (crowd.unseen < h->report->processes_count - shown)
		fprintf(h->out, ", holding %s", text_bytes(crowd.bytes, text));
	if (crowd.unseen)
		human_print(h, COLOR_BAD, ", malloc unseen in %s", words_number(crowd.unseen, text));
	fputs("; -v shows all\n", h->out);
}

void human_processes(struct human *h)
{
	size_t i, count = h->report->processes_count, shown = count;
	struct human_table table = {
		.columns = process_columns,
		.last_title = "PROCESS, ALLOCATORS",
	};

	if (!count) {
		fputs("No process is traced.\n", h->out);
		return;
	}
	if (!h->style->verbose && count > PROCESSES_SHOWN)
		shown = PROCESSES_SHOWN;
	for (i = 0; i < shown; i++)
		human_table_measure(h, &table, h->ranked[i]);
	human_table_head(h, &table);
	for (i = 0; i < shown && !h->err; i++)
		print_process(h, &table, h->ranked[i]);
	if (shown < count)
		print_rest(h, shown);
}
