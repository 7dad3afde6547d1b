// SPDX-License-Identifier: Apache-2.0
/*
 * Who made the resident pages resident: the kernel side's records of sampled page faults, and what the
 * processes' page tables say of those pages now.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../model/pages.h"
#include "../remote/gate.h"
#include "../remote/maps.h"
#include "../remote/pagemap.h"
#include "page_reading.h"

#define FRESH_NS    1000000000u /* a record so young may be of a page that is not there yet */
#define CROWD_LEAST 64          /* records that a process keeps however crowded it is */

/* Those it was forked from are needed as long as it lives, and so on up. */
static void mark_needed(struct target *target)
{
	struct process *process, *parent;

	for (process = target->newest; process; process = process->older)
		process->needed = false;
	for (process = target->newest; process; process = process->older) {
		parent = process;
		for (int i = 0; i < PAGE_READING_FORKS && !process->exited && parent && parent->parent_gen; i++) {
			parent = target_process(target, parent->parent_gen);
			if (parent)
				parent->needed = true;
		}
	}
}

/* Take away the records of images that are over, and what is known of them, which are among @sampled. */
static void sweep(struct page_reading *reading, const uint32_t *sampled, size_t sampled_count)
{
	const struct process *process = NULL;
	uint32_t gen = 0;

	for (size_t i = 0; i < reading->count; i++) {
		const struct hb_fault_key *key = &reading->faults[i].key;

		if (key->gen != gen) {
			gen = key->gen;
			process = target_process(reading->target, gen);
		}
		if (!process || process_over(process, reading->began_ns))
			session_drop_fault(reading->target->session, key);
	}
	for (size_t i = 0; i < sampled_count; i++) {
		process = target_process(reading->target, sampled[i]);
		if (!process || process_over(process, reading->began_ns))
			session_forget_rate(reading->target->session, sampled[i]);
	}
	for (size_t i = 0; i < reading->moves_count; i++) {
		const struct hb_move_key *key = &reading->moves[i].key;

		process = target_process(reading->target, key->gen);
		if (!process || process_over(process, reading->began_ns))
			session_drop_move(reading->target->session, key);
	}
}

/* Moves of @process that none of its records followed, and none of its children's. */
static void drop_moves(const struct page_reading *reading, const struct process *process)
{
	size_t first, count = page_reading_moves(reading, process->gen, &first);

	for (size_t i = first; i < first + count && !process->needed; i++) {
		const struct hb_move_key *key = &reading->moves[i].key;

		if (!reading->moves_used[i] && key->time_ns + FRESH_NS <= reading->began_ns)
			session_drop_move(reading->target->session, key);
	}
}

/* Shared memory of a process. */
struct ranges {
	struct { uint64_t first, end; } *list; /* pages */
	size_t count, cap;
	uint64_t page_bytes;
	bool read;
};

static int add_range(void *ctx, const struct map_line *line)
{
	struct ranges *ranges = ctx;

	if (!pagemap_is_shared_memory(line->path))
		return 0;
	if (ranges->count == ranges->cap) {
		size_t cap = ranges->cap ? 2 * ranges->cap : 16;
		void *grown = reallocarray(ranges->list, cap, sizeof(*ranges->list));

		if (!grown)
			return -ENOMEM;
		ranges->list = grown;
		ranges->cap = cap;
	}
	ranges->list[ranges->count].first = line->start / ranges->page_bytes;
	ranges->list[ranges->count++].end = line->end / ranges->page_bytes;
	return 0;
}

/* The range around @page, if it is shared memory; they are sorted as in maps. */
static bool is_shared(const struct ranges *ranges, uint64_t page)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->list[middle].end <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ranges->count && ranges->list[low].first <= page;
}

/* What is read of one process. */
struct look {
	struct pagemap map;
	struct proc proc;
	struct ranges shared;
	uint64_t window; /* first page of the entries below */
	size_t window_pages; /* 0: none */
	uint64_t entries[PAGEMAP_PAGES_MAX];
};

static int entries_of(struct look *look, uint64_t page, size_t pages, const uint64_t **entries)
{
	int err;

	if (page < look->window || page + pages > look->window + look->window_pages) {
		look->window = page;
		look->window_pages = 0;
		err = pagemap_read(&look->map, page, pages, look->entries);
		if (err)
			return err;
		look->window_pages = pages;
	}
	*entries = look->entries + (page - look->window);
	return 0;
}

/* A page of a file is nobody's work; one of shared memory is of the process that touched it first, not its child's. */
static int counts(struct look *look, struct page_record *record, uint64_t page, uint64_t entry, bool *counts)
{
	int err = 0;

	*counts = true;
	if (!(entry & PAGEMAP_FILE))
		return 0;
	if (!look->shared.read)
		err = maps_read_held(&look->proc, add_range, &look->shared, &look->map.held_ns);
	look->shared.read = true;
	record->shared = !err && is_shared(&look->shared, page);
	*counts = record->shared && !record->depth;
	return err;
}

static int look_at(struct look *look, struct page_record *record)
{
	const size_t pages = (size_t)1 << (record->order + record->granule);
	const uint64_t zero = pagemap_zero_frame(), *entries;
	int err = entries_of(look, record->page, pages, &entries);

	for (size_t i = 0; !err && i < pages; i++) {
		bool ours = false;

		if (pagemap_resident(entries[i], zero))
			err = counts(look, record, record->page + i, entries[i], &ours);
		record->resident += ours;
		record->swapped += !(entries[i] & PAGEMAP_PRESENT) && (entries[i] & PAGEMAP_SWAPPED);
	}
	return err;
}

/* Where it is their turn; what is not read stays as it was. */
static void look_at_files(const struct target *target, struct process *process, struct pagemap *map,
			  uint64_t page_bytes)
{
	const uint64_t held_ns = map->held_ns;
	struct filepages files;
	int err;

	if (!duty_may(&process->files_duty, target->look_ns, target->look_last))
		return;
	err = filepages_read(&files, map, page_bytes);
	duty_add(&process->files_duty, clock_mono_ns(), map->held_ns - held_ns);
	map->held_ns = held_ns;
	if (err)
		return;
	filepages_release(&process->files);
	process->files = files;
	process->files_ns = target->look_ns;
}

static int look_at_all(const struct target *target, struct look *look, struct process *process,
		       struct page_record *records, size_t count)
{
	int err = proc_open(&look->proc, process->pid);

	if (!err)
		err = pagemap_open(&look->map, &look->proc);
	for (size_t i = 0; !err && i < count; i++)
		err = look_at(look, &records[i]);
	if (err)
		return err;
	if (!target->everything)
		look_at_files(target, process, &look->map, look->shared.page_bytes);
	process->resident = (struct pagemap_sums){ 0 };
	pagemap_sums(&look->proc, &process->resident); /* if it has gone, nothing is resident */
	return 0;
}

/* Stacks that differ only in which instruction of the innermost function touched the page are one site. */
static void merge_alike(struct target *target, struct page_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (records[i].resident || records[i].swapped)
			records[i].stack = naming_alike(target, records[i].gen, records[i].stack);
	}
}

/* Sites that hold nothing any more are told of once more, with nothing. */
static int keep_sites(struct process *process, const struct page_site *sites, size_t count)
{
	struct page_site *all = calloc(process->pages_count + count + 1, sizeof(*all));
	size_t n = count;

	if (!all)
		return -ENOMEM;
	memcpy(all, sites, count * sizeof(*sites));
	for (size_t i = 0; i < process->pages_count; i++) {
		bool again = false;

		for (size_t j = 0; j < count && !again; j++) /* by stack, both */
			again = sites[j].stack == process->pages[i].stack;
		if (!again && (process->pages[i].bytes || process->pages[i].swapped_bytes))
			all[n++].stack = process->pages[i].stack;
	}
	free(process->pages);
	process->pages = all;
	process->pages_count = n;
	return 0;
}

/* How many of @faults are of single pages. */
static size_t single_pages(const struct session_fault *faults, size_t count)
{
	size_t single = 0;

	for (size_t i = 0; i < count; i++)
		single += !page_reading_order(&faults[i]);
	return single;
}

/*
 * What the records of its own tell about how many it should have. Where the table is crowded it gets a coarser
 * sample, and the records outside of that make room at once.
 */
static void set_rate(const struct page_reading *reading, const struct process *process,
		     const struct page_record *records, size_t count)
{
	struct session *session = reading->target->session;
	struct hb_rate rate = { .shift = process->page_shift };
	struct session_fault *own;
	size_t own_count = page_reading_records(reading, process->gen, &own);

	if (reading->crowded && rate.shift < HB_SAMPLE_SHIFT_MAX && single_pages(own, own_count) > CROWD_LEAST)
		rate.shift++;
	for (size_t i = 0; i < own_count; i++) {
		if (page_reading_order(&own[i]))
			continue;
		if (page_reading_kept(reading, own[i].key.page, rate.shift))
			rate.records++;
		else
			session_drop_fault(session, &own[i].key);
	}
	/* What is there no more is forgotten: when the process is killed the records say what it holds. */
	for (size_t i = 0; i < count; i++) {
		const struct page_record *record = &records[i];
		struct hb_fault_key key = {
			.page = record->moved_ns ? record->from : record->page, .gen = record->gen,
			.order = record->order | record->aside << HB_FAULT_ASIDE,
		};

		if (record->depth || record->resident || record->swapped ||
		    record->time_ns + FRESH_NS > reading->began_ns ||
		    (!record->order && !page_reading_kept(reading, key.page, rate.shift)))
			continue;
		session_drop_fault(session, &key);
		rate.records -= !record->order && rate.records;
	}
	if (own_count)
		session_set_rate(session, process->gen, &rate);
}

static int read_process(const struct page_reading *reading, struct process *process)
{
	__cleanup(freep) struct look *look = calloc(1, sizeof(*look));
	__cleanup(freep) struct page_record *records = NULL;
	__cleanup(freep) struct page_site *sites = NULL;
	size_t count, sites_count;
	int err = look ? page_reading_collect(reading, process, &records, &count) : -ENOMEM;

	if (err)
		return err;
	look->map = (struct pagemap)PAGEMAP_INIT;
	look->proc = (struct proc)PROC_INIT;
	look->shared.page_bytes = reading->page_bytes;
	err = look_at_all(reading->target, look, process, records, count);
	duty_add(&process->duty, clock_mono_ns(), look->map.held_ns);
	free(look->shared.list);
	pagemap_close(&look->map);
	proc_close(&look->proc);
	if (err)
		return err;
	merge_alike(reading->target, records, count);
	err = pages_estimate(records, count, reading->page_bytes, &sites, &sites_count);
	if (!err)
		pages_doubt_first(sites, sites_count, process->first_bytes,
				  reading->page_bytes << (HB_SAMPLE_SHIFT_FIRST + reading->granule));
	if (!err)
		err = keep_sites(process, sites, sites_count);
	if (err)
		return err;
	process->pages_ns = reading->target->look_ns;
	set_rate(reading, process, records, count);
	drop_moves(reading, process);
	return 0;
}

/* What was seen of it last stays, with its age; its records are put right as far as they tell by themselves. */
static int leave_process(const struct page_reading *reading, const struct process *process)
{
	__cleanup(freep) struct page_record *records = NULL;
	size_t count;
	int err = page_reading_collect(reading, process, &records, &count);

	if (err)
		return err;
	set_rate(reading, process, NULL, 0);
	drop_moves(reading, process);
	return 0;
}

/* How densely each image is sampled. */
static void read_shifts(struct target *target)
{
	struct process *process;

	for (process = target->newest; process; process = process->older)
		process->page_shift = (uint8_t)session_shift(target->session, process->gen, &process->first_bytes);
}

static void read_all(struct page_reading *reading)
{
	struct target *target = reading->target;
	struct process *process;
	int err;

	read_shifts(target);
	for (process = target->newest; process; process = process->older) {
		if (process->exited || !process->gen)
			continue;
		err = target_may_hold(target, process) ? read_process(reading, process) :
							 leave_process(reading, process);
		target->put_off += err == -EBUSY;
		if (err)
			log_debug("process %u: its pages could not be looked at: %s", process->pid,
				  err == -EBUSY ? gate_why() : strerror(-err));
	}
}

int target_pages_read(struct target *target)
{
	__cleanup(page_reading_release) struct page_reading reading = { 0 };
	__cleanup(freep) uint32_t *sampled = NULL;
	struct session_fill fill;
	size_t sampled_count;
	int err;

	if (session_page_rung(target->session) == PAGES_RUNG_END)
		return 0;
	err = page_reading_begin(&reading, target);
	if (!err)
		err = session_sampled(target->session, &sampled, &sampled_count);
	if (err)
		return err;
	session_fill(target->session, &fill);
	reading.crowded = fill.faults > fill.max_faults / 4 * 3;
	target_events(target); /* whose records these are was told before they were made */
	mark_needed(target);
	read_all(&reading);
	sweep(&reading, sampled, sampled_count);
	return 0;
}

int target_pages_sites(struct target *target, struct board_site **sites, size_t *count)
{
	struct process *process;

	for (process = target->newest; process; process = process->older) {
		struct board_site *grown;

		if (!process->pages_count)
			continue;
		if (target->everything && process->exited) {
			board_forget(target->board, process->gen);
			process->pages_count = 0;
			continue;
		}
		grown = reallocarray(*sites, *count + process->pages_count, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		*sites = grown;
		for (size_t i = 0; i < process->pages_count; i++) {
			const struct page_site *site = &process->pages[i];

			grown[(*count)++] = (struct board_site){
				.key = { .stack = site->stack, .gen = process->gen, .source = HB_SRC_PAGES },
				.walked = true,
				.held_bytes = site->bytes,
				.held_count = site->sampled_count,
				.error_bytes = site->error_bytes,
				.swapped_bytes = site->swapped_bytes,
				.oldest_born_ns = site->oldest_ns,
			};
		}
	}
	return 0;
}

/* As if all of it were there: nobody may look at a process that is being killed. */
static int sites_unseen(const struct page_reading *reading, const struct process *process, struct page_site **sites,
			size_t *count)
{
	__cleanup(freep) struct page_record *records = NULL;
	size_t n;
	int err = page_reading_collect(reading, process, &records, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		records[i].resident = (uint16_t)(1u << (records[i].order + records[i].granule));
	merge_alike(reading->target, records, n);
	return pages_estimate(records, n, reading->page_bytes, sites, count);
}

static int by_bytes(const void *left, const void *right)
{
	const struct page_site *a = left, *b = right;

	return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

int target_held(struct target *target, uint32_t gen, uint64_t resident_bytes, struct target_held *held)
{
	__cleanup(page_reading_release) struct page_reading reading = { 0 };
	__cleanup(freep) struct page_site *sites = NULL;
	struct process *process = target_process(target, gen);
	uint64_t sum = 0;
	int err;

	*held = (struct target_held){ 0 };
	if (!process || session_page_rung(target->session) == PAGES_RUNG_END)
		return -ENOENT;
	err = page_reading_begin(&reading, target);
	if (err)
		return err;
	read_shifts(target);
	err = sites_unseen(&reading, process, &sites, &held->count);
	held->rows = err ? NULL : calloc(held->count + 1, sizeof(*held->rows));
	if (!held->rows) {
		held->count = 0;
		return err ? err : -ENOMEM;
	}
	qsort(sites, held->count, sizeof(*sites), by_bytes);
	for (size_t i = 0; i < held->count; i++)
		sum += sites[i].bytes;
	held->scaled = sum > resident_bytes;
	for (size_t i = 0; i < held->count; i++) {
		double share = held->scaled ? (double)resident_bytes / (double)sum : 1;
		double error = (double)sites[i].error_bytes * share;

		held->rows[i] = (struct board_row){
			.rank = (unsigned int)i + 1, .gen = gen, .source = HB_SRC_PAGES, .stack = sites[i].stack,
			.outstanding_bytes = (uint64_t)((double)sites[i].bytes * share),
			.outstanding_count = sites[i].sampled_count, .error_square = error * error,
		};
	}
	held->bytes = held->scaled ? resident_bytes : sum;
	return 0;
}

/* How long before the latest look, or before its end, @process was looked at, at @ns. */
static uint64_t age_of(const struct target *target, const struct process *process, uint64_t ns)
{
	const uint64_t now_ns = process->exited ? process->ended_ns : target->look_ns;

	return ns && now_ns > ns ? now_ns - ns : 0;
}

void target_pages_info(const struct target *target, const struct process *process, struct process_info *info)
{
	const uint64_t resident_bytes = process->resident.anonymous_bytes + process->resident.shared_bytes;
	uint64_t shared_bytes = 0;
	double square = 0;

	for (size_t i = 0; i < process->pages_count; i++) {
		const double error = (double)process->pages[i].error_bytes;

		square += error * error;
		info->pages_bytes += process->pages[i].bytes;
		info->swapped_bytes += process->pages[i].swapped_bytes;
		shared_bytes += process->pages[i].shared_bytes;
	}
	info->pages_error_bytes = pages_root(square);
	info->pages_known = process->pages_count || resident_bytes;
	info->pages_age_ns = age_of(target, process, process->pages_ns);
	info->files_age_ns = age_of(target, process, process->files_ns);
	info->moves_unseen = !session_follows_moves(target->session);
	if (resident_bytes > info->pages_bytes)
		info->pages_unattributed_bytes = resident_bytes - info->pages_bytes;
	if (process->resident.shared_bytes > shared_bytes)
		info->shared_with_bytes = process->resident.shared_bytes - shared_bytes;
	if (info->shared_with_bytes > info->pages_unattributed_bytes)
		info->shared_with_bytes = info->pages_unattributed_bytes; /* the sites of the rest are estimates */
	for (size_t i = 0; i < process->files.count; i++)
		info->files_bytes += process->files.files[i].resident_bytes;
	if (info->files_bytes < process->resident.file_bytes)
		info->files_bytes = process->resident.file_bytes; /* to the kernel, files of tmpfs are shared memory */
	info->files = process->files.files;
	info->files_count = process->files.count;
	info->files_left_out_bytes = process->files.left_out * (uint64_t)sysconf(_SC_PAGESIZE);
}
