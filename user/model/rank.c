// SPDX-License-Identifier: Apache-2.0
/* From the board's sites to ranked rows: members are sorted by group, merged, sorted by rank. */
#include "board_sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"

#define NS_PER_S 1e9

/* One site and the key of the group it belongs to; what the group does not look at is 0. */
struct member {
	const struct board_entry *entry;
	const struct frame *frame; /* the innermost, where the group looks at it */
	const char *text;          /* module or container */
	uint64_t place;            /* stack, offset or address */
	uint32_t gen, tid, source;
};

struct merged {
	struct board_row row;
	uint64_t order;            /* of its oldest site */
	const struct frame *frame;
	size_t sites;
	bool ageless;              /* a site that holds something was not walked */
	/* What it ranks by. */
	bool known;
	uint64_t number;
	double real;
};

struct ranking {
	const struct board *board;
	const struct board_query *query;
	const struct board_names *names;
	struct member *members;
	size_t members_count;
	struct merged *merged;
	size_t merged_count;
};

static const struct frame *innermost(const struct ranking *ranking, const struct board_entry *entry)
{
	const struct hb_site_key *key = &entry->now.key;
	const struct board_names *names = ranking->names;
	const struct frame *frames = NULL;

	if (!names || !names->frames || key->stack == HB_STACK_NONE)
		return NULL;
	return names->frames(names->ctx, key->gen, key->stack, &frames) ? frames : NULL;
}

static const char *container(const struct ranking *ranking, uint32_t gen)
{
	const struct board_names *names = ranking->names;

	return names && names->container ? names->container(names->ctx, gen) : NULL;
}

static void set_key(const struct ranking *ranking, struct member *member)
{
	const struct hb_site_key *key = &member->entry->now.key;
	enum board_group group = ranking->query->group;

	if (key->source == HB_SRC_PAGES)
		member->source = key->source; /* never added to the others */
	if (group == GROUP_CONTAINER) {
		member->text = container(ranking, key->gen);
		return;
	}
	member->gen = key->gen;
	if (group == GROUP_THREAD)
		member->tid = key->tid;
	if (group == GROUP_THREAD || group == GROUP_PROCESS)
		return;
	member->source = key->source;
	if (group == GROUP_SITE) {
		member->place = key->stack;
		return;
	}
	member->frame = innermost(ranking, member->entry);
	if (!member->frame)
		return;
	member->text = member->frame->module;
	if (group == GROUP_CALLSITE)
		member->place = member->text ? member->frame->offset : member->frame->address;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_text(const char *a, const char *b)
{
	if (!a || !b)
		return !!a - !!b;
	return a == b ? 0 : strcmp(a, b);
}

static int compare_groups(const struct member *a, const struct member *b)
{
	int order = compare_u64(a->gen, b->gen);

	if (!order)
		order = compare_u64(a->tid, b->tid);
	if (!order)
		order = compare_u64(a->source, b->source);
	if (!order)
		order = compare_u64(a->place, b->place);
	if (!order)
		order = compare_u64(!!a->frame, !!b->frame);
	if (!order)
		order = compare_text(a->text, b->text);
	return order;
}

static int compare_members(const void *left, const void *right)
{
	const struct member *a = left, *b = right;
	int order = compare_groups(a, b);

	return order ? order : compare_u64(a->entry->order, b->entry->order);
}

static int collect(struct ranking *ranking)
{
	size_t count = HASH_COUNT(ranking->board->entries), filled = 0;
	const struct board_entry *entry;

	ranking->members = calloc(count + 1, sizeof(*ranking->members));
	if (!ranking->members)
		return -ENOMEM;
	for (entry = ranking->board->entries; entry; entry = entry->hh.next) {
		if (ranking->query->only_gen && entry->now.key.gen != ranking->query->only_gen)
			continue;
		ranking->members[filled].entry = entry;
		set_key(ranking, &ranking->members[filled++]);
	}
	ranking->members_count = filled;
	qsort(ranking->members, filled, sizeof(*ranking->members), compare_members);
	return 0;
}

static void merge_growth(const struct board *board, const struct board_entry *entry,
			 struct board_row *row)
{
	int64_t bytes = board_entry_bytes(entry) - entry->before_bytes;

	if (entry->reading != board->readings || !entry->has_before ||
	    entry->read_ns <= entry->before_ns)
		return;
	row->has_growth = true;
	row->growth_bytes_per_s += bytes / ((entry->read_ns - entry->before_ns) / NS_PER_S);
}

static void merge_doubt(const struct board_entry *entry, struct board_row *row)
{
	const struct board_doubt doubt = board_entry_doubt(entry);

	if (entry->now.key.source == HB_SRC_PAGES) {
		row->sampled = true;
		row->error_square += (double)entry->now.error_bytes * (double)entry->now.error_bytes;
		row->swapped_bytes += entry->now.swapped_bytes;
		return;
	}
	row->sampled |= entry->now.totals.sampled_count > 0;
	row->sampled_count += doubt.sampled_count;
	row->error_square += doubt.bytes_variance;
	row->count_error_square += doubt.count_variance;
}

static void merge_age(uint64_t now_ns, const struct board_entry *entry, struct merged *merged)
{
	uint64_t born_ns = entry->now.oldest_born_ns;
	double age_s;

	if (!board_entry_count(entry))
		return;
	if (!entry->now.walked || !born_ns) {
		merged->ageless = true;
		return;
	}
	age_s = now_ns > born_ns ? (now_ns - born_ns) / NS_PER_S : 0;
	if (!merged->row.has_age || age_s > merged->row.oldest_s)
		merged->row.oldest_s = age_s;
	merged->row.has_age = true;
}

static void merge(const struct ranking *ranking, const struct member *member, struct merged *merged)
{
	const struct board_entry *entry = member->entry;
	struct board_row *row = &merged->row;

	if (!merged->sites++) {
		merged->order = entry->order;
		merged->frame = member->frame;
		row->gen = member->gen;
		row->tid = member->tid;
		row->source = entry->now.key.source;
		row->stack = entry->now.key.stack;
		row->label = ranking->query->group == GROUP_CONTAINER ? member->text : NULL;
		row->peak_bytes = entry->now.totals.peak_bytes;
	} else if (row->source != entry->now.key.source) {
		row->source = 0;
	}
	row->outstanding_bytes += board_entry_bytes(entry);
	row->outstanding_count += board_entry_count(entry);
	row->allocated_bytes += entry->now.totals.allocated_bytes;
	row->allocated_count += entry->now.totals.allocated_count;
	row->freed_bytes += entry->now.totals.freed_bytes;
	row->freed_count += entry->now.totals.freed_count;
	merge_doubt(entry, row);
	merge_growth(ranking->board, entry, row);
	merge_age(ranking->query->now_ns, entry, merged);
}

static void finish(enum board_sort sort, struct merged *merged)
{
	struct board_row *row = &merged->row;

	row->has_peak = merged->sites == 1 && !row->sampled; /* the highest of estimates is none */
	if (!row->has_peak)
		row->peak_bytes = 0;
	if (merged->ageless) {
		row->has_age = false;
		row->oldest_s = 0;
	}
	merged->known = true;
	switch (sort) {
	case SORT_GROWTH:
		merged->known = row->has_growth;
		merged->real = row->growth_bytes_per_s;
		break;
	case SORT_AGE:
		merged->known = row->has_age;
		merged->real = row->oldest_s;
		break;
	case SORT_PEAK:
		merged->known = row->has_peak;
		merged->number = row->peak_bytes;
		break;
	case SORT_COUNT:
		merged->number = row->outstanding_count;
		break;
	case SORT_ALLOCATED:
		merged->number = row->allocated_bytes;
		break;
	case SORT_OUTSTANDING:
		merged->number = row->outstanding_bytes;
		break;
	}
	if (!merged->known)
		merged->number = row->outstanding_bytes;
}

static bool is_of_pages(const struct merged *merged)
{
	return merged->row.source == HB_SRC_PAGES;
}

/* Pages last, for they are a view of their own; most first. */
static int compare_merged(const void *left, const void *right)
{
	const struct merged *a = left, *b = right;
	int order = (int)is_of_pages(a) - (int)is_of_pages(b);

	if (!order)
		order = (int)b->known - (int)a->known;
	if (!order && a->known)
		order = (b->real > a->real) - (b->real < a->real);
	if (!order)
		order = compare_u64(b->number, a->number);
	return order ? order : compare_u64(a->order, b->order);
}

static int merge_all(struct ranking *ranking)
{
	const struct member *members = ranking->members;
	struct merged *merged;
	size_t i, rows = 0;

	for (i = 0; i < ranking->members_count; i++)
		rows += !i || compare_groups(&members[i - 1], &members[i]);
	merged = calloc(rows + 1, sizeof(*merged));
	if (!merged)
		return -ENOMEM;
	ranking->merged = merged;
	ranking->merged_count = rows;
	for (i = 0; i < ranking->members_count; i++) {
		if (i && compare_groups(&members[i - 1], &members[i]))
			merged++;
		merge(ranking, &members[i], merged);
	}
	for (i = 0; i < rows; i++)
		finish(ranking->query->sort, &ranking->merged[i]);
	qsort(ranking->merged, rows, sizeof(*merged), compare_merged);
	return 0;
}

/* @module is the place behind the rows for a module's frame. */
static void set_frames(const struct ranking *ranking, const struct merged *merged,
		       struct board_row *row, struct frame *module)
{
	const struct board_names *names = ranking->names;

	switch (ranking->query->group) {
	case GROUP_SITE:
		if (names && names->frames && row->stack != HB_STACK_NONE)
			row->frames_count = names->frames(names->ctx, row->gen, row->stack,
							  &row->frames);
		break;
	case GROUP_CALLSITE:
		row->frames = merged->frame;
		row->frames_count = !!merged->frame;
		break;
	case GROUP_MODULE:
		if (!merged->frame || !merged->frame->module)
			break;
		module->kind = merged->frame->kind;
		module->module = merged->frame->module;
		module->build_id = merged->frame->build_id;
		row->frames = module;
		row->frames_count = 1;
		break;
	case GROUP_THREAD:
	case GROUP_PROCESS:
	case GROUP_CONTAINER:
		break;
	}
}

/* The rank of row @i: in its own view. */
static size_t rank_of(const struct ranking *ranking, size_t others, size_t i)
{
	return is_of_pages(&ranking->merged[i]) ? i - others + 1 : i + 1;
}

static int hand_over(const struct ranking *ranking, struct board_row **rows, size_t *count)
{
	size_t i, n = 0, others = 0, wanted = 0, top = ranking->query->top;
	struct board_row *list = NULL;
	struct frame *modules = NULL;

	while (others < ranking->merged_count && !is_of_pages(&ranking->merged[others]))
		others++;
	for (i = 0; i < ranking->merged_count; i++)
		wanted += !top || rank_of(ranking, others, i) <= top;
	if (wanted) {
		list = calloc(wanted, sizeof(*list) + sizeof(*modules));
		if (!list)
			return -ENOMEM;
		modules = (struct frame *)(list + wanted);
	}
	for (i = 0; i < ranking->merged_count && n < wanted; i++) {
		if (top && rank_of(ranking, others, i) > top)
			continue;
		list[n] = ranking->merged[i].row;
		list[n].rank = rank_of(ranking, others, i);
		set_frames(ranking, &ranking->merged[i], &list[n], &modules[n]);
		n++;
	}
	if (ranking->query->total)
		*ranking->query->total = ranking->merged_count;
	*rows = list;
	*count = wanted;
	return 0;
}

int board_rank(const struct board *board, const struct board_query *query,
	       const struct board_names *names, struct board_row **rows, size_t *count)
{
	__cleanup(freep) struct member *members = NULL;
	__cleanup(freep) struct merged *merged = NULL;
	struct ranking ranking = { .board = board, .query = query, .names = names };
	int err = collect(&ranking);

	members = ranking.members;
	if (err)
		return err;
	err = merge_all(&ranking);
	merged = ranking.merged;
	if (err)
		return err;
	return hand_over(&ranking, rows, count);
}
