// SPDX-License-Identifier: Apache-2.0
#include "board_sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's fields are read one after the other while they change: never below zero. */
static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t board_entry_bytes(const struct board_entry *entry)
{
	const struct hb_site *totals = &entry->now.totals;

	if (entry->now.walked)
		return entry->now.held_bytes;
	return minus(totals->allocated_bytes, totals->freed_bytes);
}

uint64_t board_entry_count(const struct board_entry *entry)
{
	const struct hb_site *totals = &entry->now.totals;

	if (entry->now.walked)
		return entry->now.held_count;
	return minus(totals->allocated_count, totals->freed_count);
}

/* As they are added to and taken from at the same time, for a moment less than nothing may be left. */
static double variance(uint64_t value)
{
	return (int64_t)value > 0 ? (double)value : 0;
}

struct board_doubt board_entry_doubt(const struct board_entry *entry)
{
	const struct hb_site *totals = &entry->now.totals;

	if (entry->now.walked)
		return (struct board_doubt){ entry->now.held_sampled_count, entry->now.held_bytes_variance,
					     entry->now.held_count_variance };
	return (struct board_doubt){ minus(totals->sampled_count, totals->sampled_freed_count),
				     variance(totals->bytes_variance), variance(totals->count_variance) };
}

struct board *board_new(void)
{
	return calloc(1, sizeof(struct board));
}

static struct board_image *image_find(const struct board *board, uint32_t gen)
{
	struct board_image *image;

	HASH_FIND(hh, board->images, &gen, sizeof(gen), image);
	return image;
}

/* The image of @gen, made if it is new. NULL if memory is short. */
static struct board_image *image_get(struct board *board, uint32_t gen)
{
	struct board_image *image = image_find(board, gen);

	if (image)
		return image;
	image = calloc(1, sizeof(*image));
	if (!image)
		return NULL;
	image->gen = gen;
	HASH_ADD(hh, board->images, gen, sizeof(image->gen), image);
	if (image->hh.tbl)
		return image;
	free(image);
	return NULL;
}

static void image_drop_if_empty(struct board *board, struct board_image *image)
{
	if (image->sites)
		return;
	HASH_DEL(board->images, image);
	free(image);
}

/* The image goes with its last site. */
static void drop(struct board *board, struct board_entry *entry)
{
	struct board_image *image = entry->image;

	HASH_DEL(board->entries, entry);
	DL_DELETE(image->sites, entry);
	free(entry);
	image_drop_if_empty(board, image);
}

void board_free(struct board *board)
{
	struct board_entry *entry, *next;

	if (!board)
		return;
	HASH_ITER(hh, board->entries, entry, next)
		drop(board, entry);
	free(board);
}

/* @source 0: all. */
static void forget(struct board *board, uint32_t gen, uint32_t source)
{
	struct board_image *image = image_find(board, gen);
	struct board_entry *entry, *next;

	for (entry = image ? image->sites : NULL; entry; entry = next) {
		next = entry->next;
		if (!source || entry->now.key.source == source)
			drop(board, entry);
	}
}

void board_forget(struct board *board, uint32_t gen)
{
	forget(board, gen, 0);
}

void board_forget_source(struct board *board, uint32_t gen, uint32_t source)
{
	forget(board, gen, source);
}

static struct board_entry *find(const struct board *board, const struct hb_site_key *key)
{
	struct hb_site_key clean = *key;
	struct board_entry *entry;

	clean.pad = 0;
	HASH_FIND(hh, board->entries, &clean, sizeof(clean), entry);
	return entry;
}

static int add(struct board *board, const struct hb_site_key *key)
{
	struct board_image *image = image_get(board, key->gen);
	struct board_entry *entry;

	if (!image)
		return -ENOMEM;
	entry = calloc(1, sizeof(*entry));
	if (entry) {
		entry->now.key = *key;
		entry->now.key.pad = 0;
		entry->order = board->orders;
		entry->image = image;
		HASH_ADD(hh, board->entries, now.key, sizeof(entry->now.key), entry);
	}
	if (!entry || !entry->hh.tbl) {
		free(entry);
		image_drop_if_empty(board, image);
		return -ENOMEM;
	}
	DL_APPEND(image->sites, entry);
	board->orders++;
	return 0;
}

/* Every site of the reading gets its entry, or none does. */
static int make_room(struct board *board, const struct board_site *sites, size_t count)
{
	struct board_entry *entry, *next;
	size_t i;
	int err = 0;

	for (i = 0; i < count && !err; i++) {
		if (!find(board, &sites[i].key))
			err = add(board, &sites[i].key);
	}
	if (!err)
		return 0;
	HASH_ITER(hh, board->entries, entry, next) {
		if (!entry->reading)
			drop(board, entry);
	}
	return err;
}

/* What the entry held becomes the base of its growth. */
static void age(const struct board *board, struct board_entry *entry, bool walked)
{
	if (entry->reading) {
		entry->before_bytes = board_entry_bytes(entry);
		entry->before_ns = entry->read_ns;
		/* With and without a walk different blocks count. */
		entry->has_before = entry->now.walked == walked;
	} else {
		entry->before_bytes = 0;
		entry->before_ns = board->read_ns;
		entry->has_before = board->readings > 0;
	}
}

int board_update(struct board *board, const struct board_site *sites, size_t count,
		 uint64_t now_ns)
{
	uint64_t reading = board->readings + 1;
	size_t i;
	int err = make_room(board, sites, count);

	if (err)
		return err;
	for (i = 0; i < count; i++) {
		struct board_entry *entry = find(board, &sites[i].key);

		if (entry->reading != reading)
			age(board, entry, sites[i].walked);
		entry->now = sites[i];
		entry->now.key.pad = 0;
		entry->reading = reading;
		entry->read_ns = now_ns;
	}
	board->readings = reading;
	board->read_ns = now_ns;
	return 0;
}

void board_sums(const struct board *board, uint32_t gen, struct board_sums *sums)
{
	const struct board_image *image = image_find(board, gen);
	const struct board_entry *entry;

	memset(sums, 0, sizeof(*sums));
	for (entry = image ? image->sites : NULL; entry; entry = entry->next) {
		const struct hb_site *totals = &entry->now.totals;

		if (entry->now.key.source == HB_SRC_MMAP)
			sums->mapped_bytes += minus(totals->allocated_bytes, totals->freed_bytes);
		if (entry->now.key.source != HB_SRC_MALLOC && entry->now.key.source != HB_SRC_DIRECT)
			continue;
		sums->allocated_bytes += totals->allocated_bytes;
		sums->allocated_count += totals->allocated_count;
		sums->freed_bytes += totals->freed_bytes;
		sums->freed_count += totals->freed_count;
		sums->sampled |= totals->sampled_count > 0;
		sums->error_square += variance(totals->bytes_variance);
	}
	sums->outstanding_bytes = minus(sums->allocated_bytes, sums->freed_bytes);
	sums->outstanding_count = minus(sums->allocated_count, sums->freed_count);
}
