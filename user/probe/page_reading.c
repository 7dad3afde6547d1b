// SPDX-License-Identifier: Apache-2.0
#include "page_reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"

static int by_gen(const void *left, const void *right)
{
	const struct session_fault *a = left, *b = right;

	return (a->key.gen > b->key.gen) - (a->key.gen < b->key.gen);
}

/* Where the rows of @gen begin among @count rows sorted by it, and (returned) their number. */
static size_t rows_of(const void *rows, size_t count, size_t row_size, uint32_t (*gen_of)(const void *row),
		      uint32_t gen, size_t *first)
{
	size_t low = 0, high = count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (gen_of((const char *)rows + middle * row_size) < gen)
			low = middle + 1;
		else
			high = middle;
	}
	*first = low;
	for (end = low; end < count && gen_of((const char *)rows + end * row_size) == gen; end++)
		;
	return end - low;
}

static uint32_t gen_of_fault(const void *row)
{
	return ((const struct session_fault *)row)->key.gen;
}

static uint32_t gen_of_move(const void *row)
{
	return ((const struct session_move *)row)->key.gen;
}

size_t page_reading_records(const struct page_reading *reading, uint32_t gen, struct session_fault **first)
{
	size_t low, found = rows_of(reading->faults, reading->count, sizeof(*reading->faults), gen_of_fault, gen, &low);

	*first = reading->faults + low;
	return found;
}

static int by_gen_and_time(const void *left, const void *right)
{
	const struct session_move *a = left, *b = right;

	if (a->key.gen != b->key.gen)
		return a->key.gen < b->key.gen ? -1 : 1;
	return (a->key.time_ns > b->key.time_ns) - (a->key.time_ns < b->key.time_ns);
}

size_t page_reading_moves(const struct page_reading *reading, uint32_t gen, size_t *first)
{
	return rows_of(reading->moves, reading->moves_count, sizeof(*reading->moves), gen_of_move, gen, first);
}

void page_reading_release(struct page_reading *reading)
{
	free(reading->faults);
	free(reading->moves);
	free(reading->moves_used);
}

int page_reading_begin(struct page_reading *reading, struct target *target)
{
	int err;

	*reading = (struct page_reading){
		.target = target, .began_ns = clock_mono_ns(), .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
		.seed = session_seed(target->session), .granule = session_granule(target->session),
	};
	err = session_faults(target->session, &reading->faults, &reading->count);
	if (!err && session_follows_moves(target->session))
		err = session_moves(target->session, &reading->moves, &reading->moves_count);
	reading->moves_used = err ? NULL : calloc(reading->moves_count + 1, sizeof(*reading->moves_used));
	if (!reading->moves_used)
		return err ? err : -ENOMEM;
	if (reading->count)
		qsort(reading->faults, reading->count, sizeof(*reading->faults), by_gen);
	if (reading->moves_count)
		qsort(reading->moves, reading->moves_count, sizeof(*reading->moves), by_gen_and_time);
	return 0;
}

/* Moves of an address space, and of those it was forked from until then. */
struct followed {
	struct page_move *moves;
	size_t *places; /* among those of the reading */
	size_t count;
};

static void followed_release(struct followed *followed)
{
	free(followed->moves);
	free(followed->places);
}

/* Add those of @gen: of no account if they came after @before_ns, but in their place. 0 or -ENOMEM. */
static int followed_add(struct followed *followed, const struct page_reading *reading, uint32_t gen,
			uint16_t depth, uint64_t before_ns)
{
	size_t first, count = page_reading_moves(reading, gen, &first);
	struct page_move *moves = reallocarray(followed->moves, followed->count + count + 1, sizeof(*moves));
	size_t *places, n = followed->count;

	followed->moves = moves ? moves : followed->moves;
	places = moves ? reallocarray(followed->places, n + count + 1, sizeof(*places)) : NULL;
	followed->places = places ? places : followed->places;
	if (!places)
		return -ENOMEM;
	/* Sorted by time: those of a parent come before all of its child's. */
	memmove(moves + count, moves, n * sizeof(*moves));
	memmove(places + count, places, n * sizeof(*places));
	for (size_t i = 0; i < count; i++) {
		const struct session_move *from = &reading->moves[first + i];

		places[i] = first + i;
		moves[i] = (struct page_move){
			.from = from->move.from, .to = from->move.to,
			.pages = from->key.time_ns < before_ns ? from->move.pages : 0,
			.time_ns = from->key.time_ns < before_ns ? from->key.time_ns : before_ns, .depth = depth,
		};
	}
	followed->count += count;
	return 0;
}

static uint8_t coarser(uint32_t a, uint32_t b)
{
	return (uint8_t)(a > b ? a : b);
}

int page_reading_collect(const struct page_reading *reading, const struct process *process,
			 struct page_record **out, size_t *out_n)
{
	const struct process *of = process;
	uint64_t before_ns = UINT64_MAX;
	__cleanup(followed_release) struct followed followed = { 0 };
	struct page_record *records = NULL;
	size_t n = 0;
	uint8_t coarsest = 0; /* what a child sampled takes the place only of as much of its parents' */

	*out = NULL;
	*out_n = 0;
	for (uint16_t depth = 0; of && depth < PAGE_READING_FORKS; depth++) {
		struct session_fault *first;
		size_t count = page_reading_records(reading, of->gen, &first);
		struct page_record *grown = reallocarray(records, n + count + 1, sizeof(*grown));

		coarsest = coarser(coarsest, of->page_shift);
		records = grown ? grown : records;
		if (!grown || followed_add(&followed, reading, of->gen, depth, before_ns)) {
			free(records);
			return -ENOMEM;
		}
		for (size_t i = 0; i < count; i++) {
			const struct session_fault *fault = &first[i];
			const uint8_t order = page_reading_order(fault);

			if (fault->fault.time_ns >= before_ns ||
			    (!order && !page_reading_kept(reading, fault->key.page, coarsest)))
				continue;
			records[n++] = (struct page_record){
				.page = fault->key.page, .stack = fault->fault.stack, .time_ns = fault->fault.time_ns,
				.gen = fault->key.gen, .depth = depth, .order = order,
				.granule = order ? 0 : reading->granule,
				.shift = order ? 0 : coarser(fault->fault.shift, coarsest),
				.aside = fault->key.order >> HB_FAULT_ASIDE,
				.present = fault->fault.flags & HB_FAULT_PRESENT,
			};
		}
		before_ns = of->forked_ns;
		of = of->parent_gen ? target_process(reading->target, of->parent_gen) : NULL;
	}
	pages_follow(records, n, followed.moves, followed.count);
	for (size_t i = 0; i < followed.count; i++)
		reading->moves_used[followed.places[i]] |= followed.moves[i].used;
	*out_n = pages_settle(records, n);
	*out = records;
	return 0;
}
