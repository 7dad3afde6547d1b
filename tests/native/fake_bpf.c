// SPDX-License-Identifier: Apache-2.0
/*
 * Maps, the ring and the knobs. Rows behave as the kernel's: a full map refuses new rows with
 * -E2BIG, BPF_NOEXIST an existing one with -EEXIST. They are stricter in one way: a row's memory
 * is freed at its delete, and a replaced value at once, so that whoever reads on is caught.
 */
#include "fake_bpf.h"
#include "fake_private.h"
#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The knobs: not constant here, so that tests can turn them. bpf/ sees them as core.bpf.h says. */
__u64 hb_min_size;
__u32 hb_everything;
__u32 hb_by_thread;
__u32 hb_session;
__u32 hb_can_fault;
__u32 hb_no_storage;
__u32 hb_unwind;
__u32 hb_views;
__u32 hb_short_frames;
__u32 hb_frames_max;
__u32 hb_sampling;
__u32 hb_budget;
__u64 hb_sample_seed = 0x243f6a8885a308d3ULL; /* pi */

/* Globals of bpf/. */
extern struct hb_plan hb_plans[HB_PLANS];
extern __u32 hb_last_gen, hb_last_mappings, hb_last_object, hb_flushes[HB_FLUSHES];

#define MAPS_MAX 20
#define BUCKETS	 (1u << 14)

struct row {
	struct row *next;
	void *value;
	u64 used; /* when, by the map's ticks */
	u8 key[];
};

struct fake_storage {
	struct fake_storage *next;
	const char *name;
	void *bytes;
};

struct fault {
	unsigned int skip, times;
	long err;
};

struct map {
	char name[16];
	u32 type, key_bytes, value_bytes, declared, limit, count;
	u64 ticks;
	struct fault faults[FAKE_OUTPUT + 1];
	void (*hooks[FAKE_OUTPUT + 1])(void *arg);
	void *hook_args[FAKE_OUTPUT + 1];
	struct row **buckets;
};

static struct map maps[MAPS_MAX];
static void **events;
static u32 event_count;

void fake_die(const char *why)
{
	fprintf(stderr, "fake: %s\n", why);
	abort();
}

static struct map *map_named(const char *name)
{
	name += *name == '&';
	for (unsigned int i = 0; i < MAPS_MAX; i++) {
		if (!maps[i].name[0])
			snprintf(maps[i].name, sizeof(maps[i].name), "%s", name);
		if (!strcmp(maps[i].name, name))
			return &maps[i];
	}
	fake_die("more maps than MAPS_MAX");
	return NULL;
}

static void shape(struct map *map, u32 key_bytes, u32 value_bytes)
{
	if (map->buckets && (map->key_bytes != key_bytes || map->value_bytes != value_bytes))
		fake_die("two maps of one name, or a test's wrong key");
	map->key_bytes = key_bytes;
	map->value_bytes = value_bytes;
	if (!map->buckets)
		map->buckets = calloc(BUCKETS, sizeof(*map->buckets));
}

/* User space sets the size of stacks. */
static u32 value_bytes_of(const struct fake_spec *spec)
{
	return strcmp(spec->name, "&hb_stacks") ? spec->value_bytes : offsetof(struct hb_stack, frames[hb_frames_max]);
}

static struct map *map_of(const struct fake_spec *spec)
{
	struct map *map = map_named(spec->name);

	shape(map, spec->key_bytes, value_bytes_of(spec));
	map->type = spec->type;
	map->declared = spec->max_entries;
	return map;
}

/* The fault that is due, after the hook has run; 0: none. */
static long before(struct map *map, enum fake_op op)
{
	struct fault *fault = &map->faults[op];
	void (*run)(void *) = map->hooks[op];

	if (run) {
		map->hooks[op] = NULL;
		run(map->hook_args[op]);
	}
	if (!fault->times)
		return 0;
	if (fault->skip) {
		fault->skip--;
		return 0;
	}
	fault->times--;
	return fault->err;
}

static u32 bucket_of(const struct map *map, const u8 *key)
{
	u64 hash = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (u32 i = 0; i < map->key_bytes; i++)
		hash = (hash ^ key[i]) * 0x100000001b3ULL;
	return (hash ^ (hash >> 32)) & (BUCKETS - 1);
}

static struct row **place_of(struct map *map, const void *key)
{
	struct row **place;

	if (!map->buckets)
		return NULL;
	for (place = &map->buckets[bucket_of(map, key)]; *place; place = &(*place)->next) {
		if (!memcmp((*place)->key, key, map->key_bytes))
			break;
	}
	return place;
}

static void row_free(struct row *row)
{
	free(row->value);
	free(row);
}

static void *value_copy(const struct map *map, const void *value)
{
	void *copy = malloc(map->value_bytes);

	memcpy(copy, value, map->value_bytes);
	return copy;
}

static void insert(struct map *map, struct row **place, const void *key, const void *value)
{
	struct row *row = malloc(sizeof(*row) + map->key_bytes);

	row->next = NULL;
	row->used = ++map->ticks;
	row->value = value_copy(map, value);
	memcpy(row->key, key, map->key_bytes);
	*place = row;
	map->count++;
}

static bool is_array(u32 type)
{
	return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static void replace(struct map *map, struct row *row, const void *value)
{
	void *old = row->value;

	row->used = ++map->ticks;
	if (is_array(map->type)) { /* in place */
		memcpy(row->value, value, map->value_bytes);
		return;
	}
	row->value = value_copy(map, value);
	free(old);
}

static void unlink_row(struct map *map, struct row **place)
{
	struct row *row = *place;

	*place = row->next;
	row_free(row);
	map->count--;
}

/* The row that was not used for the longest time goes. */
static void evict(struct map *map)
{
	struct row **oldest = NULL;

	for (u32 i = 0; i < BUCKETS; i++) {
		for (struct row **place = &map->buckets[i]; *place; place = &(*place)->next) {
			if (!oldest || (*place)->used < (*oldest)->used)
				oldest = place;
		}
	}
	if (oldest)
		unlink_row(map, oldest);
}

void *fake_lookup(const struct fake_spec *spec, const void *key)
{
	struct map *map = map_of(spec);
	struct row **place;
	void *zero;

	if (before(map, FAKE_LOOKUP))
		return NULL;
	place = place_of(map, key);
	if (!*place && is_array(spec->type)) { /* an array's rows are there from the start */
		if (*(const u32 *)key >= spec->max_entries)
			return NULL;
		zero = calloc(1, map->value_bytes);
		insert(map, place, key, zero);
		free(zero);
	}
	if (!*place)
		return NULL;
	(*place)->used = ++map->ticks;
	return (*place)->value;
}

long fake_update(const struct fake_spec *spec, const void *key, const void *value, u64 flags)
{
	struct map *map = map_of(spec);
	long err = before(map, FAKE_UPDATE);
	struct row **place = place_of(map, key);

	if (err)
		return err;
	if (*place && flags == BPF_NOEXIST)
		return -EEXIST;
	if (!*place && flags == BPF_EXIST)
		return -ENOENT;
	if (*place) {
		replace(map, *place, value);
		return 0;
	}
	if (map->count >= (map->limit ? map->limit : map->declared)) {
		if (spec->type != BPF_MAP_TYPE_LRU_HASH)
			return -E2BIG;
		evict(map);
		place = place_of(map, key);
	}
	insert(map, place, key, value);
	return 0;
}

long fake_delete(const struct fake_spec *spec, const void *key)
{
	struct map *map = map_of(spec);
	long err = before(map, FAKE_DELETE);
	struct row **place = place_of(map, key);

	if (err)
		return err;
	if (!*place)
		return -ENOENT;
	unlink_row(map, place);
	return 0;
}

void *fake_storage(const char *name, struct task_struct *task, size_t bytes, u64 flags)
{
	struct fake_storage *storage;

	if (!task)
		fake_die("no current task");
	for (storage = task->storage; storage; storage = storage->next) {
		if (!strcmp(storage->name, name))
			return storage->bytes;
	}
	if (!(flags & BPF_LOCAL_STORAGE_GET_F_CREATE) || before(map_named(name), FAKE_STORAGE))
		return NULL;
	storage = malloc(sizeof(*storage));
	storage->name = name;
	storage->bytes = calloc(1, bytes);
	storage->next = task->storage;
	task->storage = storage;
	return storage->bytes;
}

void fake_storage_free(struct task_struct *task)
{
	while (task->storage) {
		struct fake_storage *storage = task->storage;

		task->storage = storage->next;
		free(storage->bytes);
		free(storage);
	}
}

long fake_output(const struct fake_spec *spec, const void *data, u64 bytes, u64 flags)
{
	long err = before(map_named(spec->name), FAKE_OUTPUT);

	if (err)
		return err;
	events = realloc(events, (event_count + 1) * sizeof(*events));
	events[event_count] = malloc(bytes);
	memcpy(events[event_count++], data, bytes);
	return 0;
}

void fake_limit(const char *name, u32 rows)
{
	map_named(name)->limit = rows;
}

void fake_fail(const char *name, enum fake_op op, unsigned int skip, unsigned int times, long err)
{
	map_named(name)->faults[op] = (struct fault){ .skip = skip, .times = times, .err = err };
}

void fake_hook(const char *name, enum fake_op op, void (*run)(void *arg), void *arg)
{
	struct map *map = map_named(name);

	map->hooks[op] = run;
	map->hook_args[op] = arg;
}

void *fake_find(const char *name, const void *key)
{
	struct row **place = place_of(map_named(name), key);

	return place && *place ? (*place)->value : NULL;
}

void fake_put(const char *name, const void *key, size_t key_bytes, const void *value, size_t bytes)
{
	struct map *map = map_named(name);
	struct row **place;

	shape(map, key_bytes, bytes);
	place = place_of(map, key);
	if (*place)
		replace(map, *place, value);
	else
		insert(map, place, key, value);
}

void fake_drop(const char *name, const void *key)
{
	struct map *map = map_named(name);
	struct row **place = place_of(map, key);

	if (place && *place)
		unlink_row(map, place);
}

u32 fake_rows(const char *name)
{
	return map_named(name)->count;
}

void fake_each(const char *name, void (*visit)(const void *key, void *value, void *arg), void *arg)
{
	struct map *map = map_named(name);

	for (u32 i = 0; map->count && i < BUCKETS; i++) {
		for (struct row *row = map->buckets[i]; row; row = row->next)
			visit(row->key, row->value, arg);
	}
}

const void *fake_event(u32 index)
{
	return index < event_count ? events[index] : NULL;
}

u32 fake_events(void)
{
	return event_count;
}

void fake_knobs(u64 min_size, u32 by_thread, u32 session, u32 can_fault)
{
	hb_min_size = min_size;
	hb_by_thread = by_thread;
	hb_session = session;
	hb_can_fault = can_fault;
}

void fake_unwinding(u32 unwind, u32 frames_max)
{
	hb_unwind = unwind;
	hb_frames_max = frames_max;
}

void fake_short_stacks(u32 frames)
{
	hb_short_frames = frames;
}

void fake_sampling(u32 period, u32 budget)
{
	hb_sampling = period || budget;
	hb_budget = budget;
	memset(hb_plans, 0, sizeof(hb_plans));
	for (u32 i = 0; i < HB_PLANS; i++)
		hb_plans[i].period = period;
}

static u64 random_state;

/* Marsaglia's xorshift64, times a constant (Vigna): the same in every run. */
u32 bpf_get_prandom_u32(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dULL >> 32;
}

static void map_clear(struct map *map)
{
	for (u32 i = 0; map->buckets && i < BUCKETS; i++) {
		while (map->buckets[i])
			unlink_row(map, &map->buckets[i]);
	}
	free(map->buckets);
	memset(map, 0, sizeof(*map));
}

void fake_reset(void)
{
	for (unsigned int i = 0; i < MAPS_MAX; i++)
		map_clear(&maps[i]);
	for (u32 i = 0; i < event_count; i++)
		free(events[i]);
	free(events);
	events = NULL;
	event_count = 0;
	hb_last_gen = 0;
	hb_last_mappings = 0;
	hb_last_object = HB_OBJECT_VDSO;
	memset(hb_flushes, 0, sizeof(hb_flushes));
	fake_knobs(0, 0, 0, 0);
	fake_unwinding(0, HB_FRAMES_MAX);
	fake_short_stacks(0);
	fake_sampling(0, 0);
	random_state = 88172645463325252ULL;
	fake_user_reset();
	fake_maps_reset();
}
