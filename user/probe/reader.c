// SPDX-License-Identifier: Apache-2.0
/* Reads the kernel's tables, in batches: the cost is that of the rows, not of system calls. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "session_private.h"

#define BATCH_ROWS 4096u

/*
 * Call @each for every row of a hash map. Rows come and go meanwhile: one that stays is seen. A
 * bucket with more rows than a batch (-ENOSPC) makes the batch grow.
 */
static int map_walk(const struct bpf_map *map, void (*each)(void *ctx, const void *key, const void *value),
		    void *ctx)
{
	size_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);
	uint32_t cap = BATCH_ROWS, count;
	/* The kernel's own idea of where it is: a bucket's number (4 bytes), but let a key fit as well. */
	uint64_t token[8] = { 0 };
	bool first = true;
	int err = 0;

	if (value_size >= 512)
		cap = BATCH_ROWS / 16;
	for (;;) {
		__cleanup(freep) void *keys = malloc(cap * key_size);
		__cleanup(freep) void *values = malloc(cap * value_size);

		if (!keys || !values)
			return -ENOMEM;
		while (!err) {
			count = cap;
			err = bpf_map_lookup_batch(bpf_map__fd(map), first ? NULL : token, token, keys, values,
						   &count, NULL) ? -errno : 0;
			if (err && err != -ENOENT)
				break;
			first = false;
			for (uint32_t i = 0; i < count; i++)
				each(ctx, (char *)keys + i * key_size, (char *)values + i * value_size);
		}
		if (err == -ENOENT)
			return 0; /* that was the last batch */
		if (err != -ENOSPC || cap > (1u << 22))
			return err;
		cap *= 4;
		err = 0;
	}
}

/* Rows of a map, put into an array one after the other. */
struct row_list {
	void *rows;
	size_t row_size, count, cap;
	bool short_of_memory;
};

/* Room for one more, zeroed; NULL: there is none. */
static void *row_more(struct row_list *list)
{
	if (list->count == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 1024;
		void *grown = reallocarray(list->rows, cap, list->row_size);

		if (!grown) {
			list->short_of_memory = true;
			return NULL;
		}
		list->rows = grown;
		list->cap = cap;
	}
	return memset((char *)list->rows + list->count++ * list->row_size, 0, list->row_size);
}

/* What was made of @list, if that was done without @err: 0 with its rows and their number, or negative errno. */
static int row_list_end(struct row_list *list, int err, void **rows, size_t *count)
{
	if (!err && list->short_of_memory)
		err = -ENOMEM;
	if (err) {
		free(list->rows);
		return err;
	}
	*rows = list->rows;
	*count = list->count;
	return 0;
}

/* All of @map by @each, whose context is the list. 0 with a malloc'ed array and its length, or negative errno. */
static int map_rows(const struct bpf_map *map, void (*each)(void *ctx, const void *key, const void *value),
		    size_t row_size, void **rows, size_t *count)
{
	struct row_list list = { .row_size = row_size };

	return row_list_end(&list, map_walk(map, each, &list), rows, count);
}

static void add_site(void *ctx, const void *key, const void *value)
{
	struct board_site *site = row_more(ctx);

	if (!site)
		return;
	site->key = *(const struct hb_site_key *)key;
	site->totals = *(const struct hb_site *)value;
}

int session_sites(struct session *session, struct board_site **sites, size_t *count)
{
	void *rows;
	int err = map_rows(session->bpf->maps.hb_sites, add_site, sizeof(**sites), &rows, count);

	if (!err)
		*sites = rows;
	return err;
}

static void add_fault(void *ctx, const void *key, const void *value)
{
	struct session_fault *row = row_more(ctx);

	if (!row)
		return;
	row->key = *(const struct hb_fault_key *)key;
	row->fault = *(const struct hb_fault *)value;
}

int session_faults(struct session *session, struct session_fault **faults, size_t *count)
{
	void *rows;
	int err = map_rows(session->bpf->maps.hb_faults, add_fault, sizeof(**faults), &rows, count);

	if (!err)
		*faults = rows;
	return err;
}

static void add_gen(void *ctx, const void *key, const void *value)
{
	uint32_t *gen = row_more(ctx);

	(void)value;
	if (gen)
		*gen = *(const uint32_t *)key;
}

int session_sampled(struct session *session, uint32_t **gens, size_t *count)
{
	struct row_list list = { .row_size = sizeof(**gens) };
	void *rows;
	int err = map_walk(session->bpf->maps.hb_rates, add_gen, &list);

	if (!err)
		err = map_walk(session->bpf->maps.hb_moved, add_gen, &list);
	err = row_list_end(&list, err, &rows, count);
	if (!err)
		*gens = rows;
	return err;
}

static void add_move(void *ctx, const void *key, const void *value)
{
	struct session_move *row = row_more(ctx);

	if (!row)
		return;
	row->key = *(const struct hb_move_key *)key;
	row->move = *(const struct hb_move *)value;
}

int session_moves(struct session *session, struct session_move **moves, size_t *count)
{
	void *rows;
	int err = map_rows(session->bpf->maps.hb_moves, add_move, sizeof(**moves), &rows, count);

	if (!err)
		*moves = rows;
	return err;
}

void session_drop_move(struct session *session, const struct hb_move_key *key)
{
	bpf_map_delete_elem(bpf_map__fd(session->bpf->maps.hb_moves), key);
}

void session_drop_fault(struct session *session, const struct hb_fault_key *key)
{
	session->purged.faults += !bpf_map_delete_elem(bpf_map__fd(session->bpf->maps.hb_faults), key);
}

uint32_t session_shift(struct session *session, uint32_t gen, uint64_t *first_bytes)
{
	const struct heldby_bpf__rodata *rodata = session->bpf->rodata;
	struct hb_rate rate;

	*first_bytes = 0;
	if (bpf_map_lookup_elem(bpf_map__fd(session->bpf->maps.hb_rates), &gen, &rate))
		return rodata->hb_sample_shift;
	if (rodata->hb_first_faults && rate.first != HB_RATE_OLD && rodata->hb_sample_shift < HB_SAMPLE_SHIFT_FIRST)
		*first_bytes = (uint64_t)rate.first
			       << (rodata->hb_sample_shift + session->granule + rodata->hb_page_bits);
	return rate.shift;
}

void session_set_rate(struct session *session, uint32_t gen, const struct hb_rate *rate)
{
	const uint32_t first_faults = session->bpf->rodata->hb_first_faults;
	struct hb_rate fresh = *rate, now;

	if (bpf_map_lookup_elem(bpf_map__fd(session->bpf->maps.hb_rates), &gen, &now))
		return;
	if (fresh.shift < now.shift)
		fresh.shift = now.shift; /* it grew in between */
	fresh.first = now.first;
	if (now.first < first_faults) {
		if (fresh.shift == now.shift)
			return; /* few records, and that number must not go back */
		fresh.first = first_faults;
	}
	bpf_map_update_elem(bpf_map__fd(session->bpf->maps.hb_rates), &gen, &fresh, BPF_EXIST);
}

void session_forget_rate(struct session *session, uint32_t gen)
{
	bpf_map_delete_elem(bpf_map__fd(session->bpf->maps.hb_rates), &gen);
	bpf_map_delete_elem(bpf_map__fd(session->bpf->maps.hb_moved), &gen);
}

struct block_walk {
	void (*each)(void *ctx, const struct hb_block_key *key, const struct hb_block *block);
	void *ctx;
};

static void give_block(void *ctx, const void *key, const void *value)
{
	struct block_walk *walk = ctx;

	walk->each(walk->ctx, key, value);
}

int session_blocks(struct session *session,
		   void (*each)(void *ctx, const struct hb_block_key *key, const struct hb_block *block), void *ctx)
{
	struct block_walk walk = { each, ctx };

	return map_walk(session->bpf->maps.hb_live, give_block, &walk);
}

int session_stack(struct session *session, uint64_t key, struct hb_stack *stack)
{
	const struct bpf_map *map = key & HB_STACK_SHORT ? session->bpf->maps.hb_short_stacks :
							   session->bpf->maps.hb_stacks;

	if (key == HB_STACK_NONE || bpf_map_lookup_elem(bpf_map__fd(map), &key, stack))
		return -ENOENT;
	if (stack->count > session->options.max_frames)
		stack->count = session->options.max_frames;
	return 0;
}

/* Whose a row is. */
struct row_of {
	uint32_t (*gen)(const void *key, const void *value);
	uint32_t (*source)(const void *key); /* NULL: of none */
};

struct purge {
	const uint32_t *gens;
	size_t gens_count;
	const struct row_of *row_of;
	uint32_t source; /* 0: any */
	size_t key_size;
	char *keys;
	size_t count, cap;
	bool short_of_memory;
};

int session_compare_gens(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static void collect_key(void *ctx, const void *key, const void *value)
{
	struct purge *purge = ctx;
	uint32_t gen = purge->row_of->gen(key, value);

	if (purge->source && purge->row_of->source(key) != purge->source)
		return;
	if (!bsearch(&gen, purge->gens, purge->gens_count, sizeof(gen), session_compare_gens))
		return;
	if (purge->count == purge->cap) {
		size_t cap = purge->cap ? 2 * purge->cap : 1024;
		void *grown = realloc(purge->keys, cap * purge->key_size);

		if (!grown) {
			purge->short_of_memory = true;
			return;
		}
		purge->keys = grown;
		purge->cap = cap;
	}
	memcpy(purge->keys + purge->count++ * purge->key_size, key, purge->key_size);
}

static uint32_t gen_of_site(const void *key, const void *value)
{
	(void)value;
	return ((const struct hb_site_key *)key)->gen;
}

static uint32_t gen_of_block(const void *key, const void *value)
{
	(void)value;
	return ((const struct hb_block_key *)key)->gen;
}

/* Of both tables: their rows are the beginning of one. */
static uint32_t gen_of_stack(const void *key, const void *value)
{
	(void)key;
	return ((const struct hb_stack *)value)->gen;
}

static uint32_t source_of_site(const void *key)
{
	return ((const struct hb_site_key *)key)->source;
}

static uint32_t source_of_block(const void *key)
{
	return ((const struct hb_block_key *)key)->source;
}

static const struct row_of site_row = { gen_of_site, source_of_site };
static const struct row_of block_row = { gen_of_block, source_of_block };
static const struct row_of stack_row = { gen_of_stack, NULL };

/* @source: 0, or rows of that alone. Returns the rows removed, or negative errno. */
static long purge_map(const struct bpf_map *map, const struct row_of *row_of, uint32_t source, const uint32_t *gens,
		      size_t count)
{
	struct purge purge = {
		.gens = gens, .gens_count = count, .row_of = row_of, .source = source,
		.key_size = bpf_map__key_size(map),
	};
	int err = map_walk(map, collect_key, &purge);
	long removed = 0;

	for (size_t i = 0; !err && i < purge.count; i++)
		removed += !bpf_map_delete_elem(bpf_map__fd(map), purge.keys + i * purge.key_size);
	free(purge.keys);
	return err ? err : purge.short_of_memory ? -ENOMEM : removed;
}

int session_purge(struct session *session, const uint32_t *gens, size_t count)
{
	long blocks = purge_map(session->bpf->maps.hb_live, &block_row, 0, gens, count);
	long sites = purge_map(session->bpf->maps.hb_sites, &site_row, 0, gens, count);
	long stacks = purge_map(session->bpf->maps.hb_stacks, &stack_row, 0, gens, count);
	long short_stacks = purge_map(session->bpf->maps.hb_short_stacks, &stack_row, 0, gens, count);

	session->purged.blocks += blocks > 0 ? blocks : 0;
	session->purged.sites += sites > 0 ? sites : 0;
	session->purged.stacks += stacks > 0 ? stacks : 0;
	session->purged.short_stacks += short_stacks > 0 ? short_stacks : 0;
	stacks = stacks < 0 ? stacks : short_stacks;
	return blocks < 0 ? blocks : sites < 0 ? sites : stacks < 0 ? stacks : 0;
}

int session_purge_blocks(struct session *session, uint32_t gen, enum hb_source source)
{
	long blocks = purge_map(session->bpf->maps.hb_live, &block_row, source, &gen, 1);
	long sites = purge_map(session->bpf->maps.hb_sites, &site_row, source, &gen, 1);

	session->purged.blocks += blocks > 0 ? blocks : 0;
	session->purged.sites += sites > 0 ? sites : 0;
	return blocks < 0 ? blocks : sites < 0 ? sites : 0;
}

static void read_counts(struct session *session, uint64_t counts[HB_CNT_END])
{
	int cpus = libbpf_num_possible_cpus();
	__cleanup(freep) uint64_t *values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;

	memset(counts, 0, HB_CNT_END * sizeof(*counts));
	for (uint32_t i = 0; values && i < HB_CNT_END; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(session->bpf->maps.hb_counts), &i, values))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			counts[i] += values[cpu];
	}
}

bool session_program_info(const struct bpf_program *program, struct bpf_prog_info *info)
{
	uint32_t size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_program__fd(program) >= 0 && !bpf_obj_get_info_by_fd(bpf_program__fd(program), info, &size);
}

void session_programs(struct session *session, void (*each)(void *ctx, const char *name, uint32_t verified), void *ctx)
{
	struct bpf_program *program;
	struct bpf_prog_info info;

	bpf_object__for_each_program(program, session->bpf->obj) {
		if (session_program_info(program, &info))
			each(ctx, bpf_program__name(program), info.verified_insns);
	}
}

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

/* Where the runs of the program @name are counted; NULL: nowhere. @ns: and their time. */
static uint64_t *runs_of(struct session_runs *runs, const char *name, uint64_t **ns)
{
	if (begins(name, "hb_malloc_")) {
		*ns = &runs->call_ns;
		return &runs->calls;
	}
	if (begins(name, "hb_free_")) {
		*ns = &runs->free_ns;
		return &runs->frees;
	}
	*ns = &runs->map_ns;
	return begins(name, "hb_vm_") || begins(name, "hb_narrow_") ? &runs->maps : NULL;
}

void session_runs(struct session *session, struct session_runs *runs)
{
	struct bpf_program *program;
	struct bpf_prog_info info;

	*runs = (struct session_runs){ 0 };
	bpf_object__for_each_program(program, session->bpf->obj) {
		uint64_t *ns, *count = runs_of(runs, bpf_program__name(program), &ns);

		if (!count || !session_program_info(program, &info))
			continue;
		*count += info.run_cnt;
		*ns += info.run_time_ns;
	}
}

int session_stats(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}

void session_losses(struct session *session, struct losses *losses)
{
	read_counts(session, losses->counts);
	session_skips(session, losses);
}

void session_fill(struct session *session, struct session_fill *fill)
{
	uint64_t counts[HB_CNT_END], short_stacks;

	read_counts(session, counts);
	short_stacks = counts[HB_CNT_SHORT_STACKS_IN] - session->purged.short_stacks;
	fill->blocks = counts[HB_CNT_BLOCKS_IN] - counts[HB_CNT_BLOCKS_OUT] - session->purged.blocks;
	fill->sites = counts[HB_CNT_SITES_IN] - session->purged.sites;
	fill->stacks = counts[HB_CNT_STACKS_IN] - session->purged.stacks;
	if (fill->stacks < short_stacks) /* of the two tables the fuller one */
		fill->stacks = short_stacks;
	fill->faults = counts[HB_CNT_FAULTS_IN] - session->purged.faults;
	fill->max_faults = session->page_rung == PAGES_RUNG_END ? 0 : session->options.max_faults;
	fill->max_blocks = session->options.max_blocks;
	fill->max_sites = session->options.max_sites;
	fill->max_stacks = session->options.max_stacks;
	fill->max_processes = session->options.max_processes;
}
