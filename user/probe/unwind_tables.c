// SPDX-License-Identifier: Apache-2.0
#include "unwind_tables.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uthash.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../symbol/cfi.h"
#include "../symbol/vdso.h"
#include "session_private.h"
#include "unwind_pool.h"

#define IDENTIFY_TRIES    50 /* 10 ms */
#define IDENTIFY_PAUSE_US 200
#define DROP_UNUSED_NS    (10ULL * 1000000000) /* rows looked at within this time are not dropped for others */

struct known_rule {
	struct hb_rule rule;
	uint16_t index;
	UT_hash_handle hh;
};

/* Rows in the pool, of all the files that say the same (a library in each of a hundred images). */
struct row_set {
	struct unwind_rows rows;
	uint32_t users;
	struct row_set *next;
};

struct object {
	uint32_t number;
	enum hb_object_state state;
	struct row_set *set; /* READY */
	UT_hash_handle hh;
};

struct unwind_tables {
	struct session *session;
	struct unwind_pool pool;
	struct hb_chunk *chunks; /* the kernel's, each mapped here once it is made */
	size_t chunks_bytes;
	int *chunk_fds; /* of their maps, as many as are made: the first chunks' is the first */
	uint32_t chunk_maps;
	struct known_rule *rules;
	uint32_t rules_count;
	struct object *objects;
	struct row_set *sets;
	uint64_t dropped, refused;
	bool warned;
};

/* --- rules ------------------------------------------------------------------------------------ */

static int map_set(const struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

/* The index of @rule in hb_rules, made if need be. */
static uint16_t rule_index(struct unwind_tables *tables, const struct hb_rule *rule)
{
	struct known_rule *known;
	uint32_t index;

	HASH_FIND(hh, tables->rules, rule, sizeof(*rule), known);
	if (known)
		return known->index;
	known = tables->rules_count < HB_RULES_MAX ? calloc(1, sizeof(*known)) : NULL;
	if (!known)
		return HB_RULE_UNSUPPORTED;
	index = tables->rules_count;
	known->rule = *rule;
	known->index = index;
	if (map_set(tables->session->bpf->maps.hb_rules, &index, rule)) {
		free(known);
		return HB_RULE_UNSUPPORTED;
	}
	tables->rules_count++;
	HASH_ADD(hh, tables->rules, rule, sizeof(known->rule), known);
	return known->index;
}

static uint16_t *rule_indexes(struct unwind_tables *tables, const struct cfi_table *table)
{
	uint16_t *indexes = calloc(table->rules_count + 1, sizeof(*indexes));

	for (size_t i = 0; indexes && i < table->rules_count; i++)
		indexes[i] = rule_index(tables, &table->rules[i]);
	return indexes;
}

/* --- publishing ------------------------------------------------------------------------------- */

static void publish_pages(struct unwind_tables *tables, uint32_t base, struct hb_page *pages, uint32_t count)
{
	const struct bpf_map *map = tables->session->bpf->maps.hb_pages;
	__cleanup(freep) uint32_t *keys = calloc(count, sizeof(*keys));
	uint32_t done = count;

	for (uint32_t i = 0; keys && i < count; i++)
		keys[i] = base + i;
	if (keys && !bpf_map_update_batch(bpf_map__fd(map), keys, pages, &done, NULL))
		return;
	for (uint32_t i = 0; i < count; i++) { /* the kernel has no batches for arrays */
		uint32_t key = base + i;

		map_set(map, &key, &pages[i]);
	}
}

/* 0 or negative errno: the kernel side goes on with what it had. */
static int publish_object(struct unwind_tables *tables, struct object *object, enum hb_object_state state)
{
	const uint64_t now_ns = clock_mono_ns();
	struct hb_object value = { .state = state, .used_ns = now_ns, .asked = HB_ASKED(now_ns) };
	int err;

	if (state == HB_OBJECT_READY) {
		value.page_base = object->set->rows.page_base;
		value.pages = object->set->rows.pages_count;
	}
	err = map_set(tables->session->bpf->maps.hb_objects, &object->number, &value);
	if (err)
		log_debug("object %u: its state cannot be announced: %s", object->number, strerror(-err));
	else
		object->state = state;
	return err;
}

/* --- dropping --------------------------------------------------------------------------------- */

/* When anybody last looked at the rows of @set. */
static uint64_t set_used_ns(const struct unwind_tables *tables, const struct row_set *set)
{
	const int fd = bpf_map__fd(tables->session->bpf->maps.hb_objects);
	const struct object *object;
	struct hb_object value;
	uint64_t used_ns = 0;

	for (object = tables->objects; object; object = object->hh.next) {
		if (object->set == set && !bpf_map_lookup_elem(fd, &object->number, &value) && value.used_ns > used_ns)
			used_ns = value.used_ns;
	}
	return used_ns;
}

static void set_free(struct unwind_tables *tables, struct row_set *set)
{
	struct row_set **link = &tables->sets;

	while (*link && *link != set)
		link = &(*link)->next;
	if (*link)
		*link = set->next;
	unwind_pool_drop(&tables->pool, &set->rows);
	free(set);
}

/*
 * Take the rows out of the kernel's sight, first the objects, then page by page: whoever is reading one
 * notices. false: one of them could not be told, and everything of the set stays as it is.
 */
static bool set_drop(struct unwind_tables *tables, struct row_set *set)
{
	__cleanup(freep) struct hb_page *none = calloc(set->rows.pages_count, sizeof(*none));
	struct object *object;

	if (!none)
		return false;
	for (object = tables->objects; object; object = object->hh.next) {
		if (object->set != set || publish_object(tables, object, HB_OBJECT_DROPPED))
			continue;
		object->set = NULL;
		set->users--;
		tables->dropped++;
	}
	if (set->users)
		return false;
	for (uint32_t i = 0; i < set->rows.pages_count; i++)
		none[i].version = set->rows.pages[i].version + 1;
	publish_pages(tables, set->rows.page_base, none, set->rows.pages_count);
	set_free(tables, set);
	return true;
}

/*
 * Whose rows to drop for @rows, for which @room is not enough (or lies in pieces): of the sets that nobody
 * looked at for a while and that alone make enough room the one unused for the longest time, else the
 * largest. So few files lose their rows. NULL: all of them together would not do, and nothing is dropped
 * for nothing.
 */
static struct row_set *choose_unused(const struct unwind_tables *tables, uint64_t rows, uint64_t room)
{
	uint64_t now_ns = clock_mono_ns(), oldest_ns = now_ns, unused = 0;
	uint64_t enough = rows > room ? rows - room : rows;
	struct row_set *set, *oldest = NULL, *largest = NULL;

	for (set = tables->sets; set; set = set->next) {
		uint64_t used_ns = set_used_ns(tables, set);

		if (used_ns + DROP_UNUSED_NS > now_ns)
			continue;
		unused += set->rows.rows_count;
		if (!largest || set->rows.rows_count > largest->rows.rows_count)
			largest = set;
		if (set->rows.rows_count >= enough && used_ns < oldest_ns) {
			oldest_ns = used_ns;
			oldest = set;
		}
	}
	if (unused + room < rows)
		return NULL;
	return oldest ? oldest : largest;
}

/* Make some room for @rows. false: there is none to be had. */
static bool drop_one(struct unwind_tables *tables, uint64_t rows)
{
	uint64_t room = (uint64_t)tables->pool.chunks_count * HB_CHUNK_ROWS - tables->pool.rows_used;
	struct row_set *set = choose_unused(tables, rows, room);

	return set && set_drop(tables, set);
}

/* --- files ------------------------------------------------------------------------------------ */

static struct object *object_find(const struct unwind_tables *tables, uint32_t number)
{
	struct object *object;

	HASH_FIND(hh, tables->objects, &number, sizeof(number), object);
	return object;
}

static struct object *object_new(struct unwind_tables *tables, uint32_t number)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->number = number;
	HASH_ADD(hh, tables->objects, number, sizeof(number), object);
	publish_object(tables, object, HB_OBJECT_PENDING);
	return object;
}

/* The kernel alone knows how it names a file: let it look at a mapping of ours. */
uint32_t unwind_tables_identify(struct unwind_tables *tables, uint32_t number, int fd)
{
	struct {
		uint64_t address;
		uint32_t object;
		uint32_t given;
	} request = { .object = number };
	/* What the program writes comes back in ctx_in (bpf_prog_test_run_syscall(), net/bpf/test_run.c). */
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &request, .ctx_size_in = sizeof(request));
	long page = sysconf(_SC_PAGESIZE);
	/* Nothing of it is ever read: the file may shrink. */
	void *mapped = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	int err, tries = IDENTIFY_TRIES;
	bool passing; /* what it failed for */

	if (mapped == MAP_FAILED)
		return 0;
	request.address = (uint64_t)mapped;
	for (;;) {
		err = bpf_prog_test_run_opts(bpf_program__fd(tables->session->bpf->progs.hb_file_number), &options);
		passing = (int)options.retval == -EBUSY || (int)options.retval == -ENOMEM;
		if (err || !passing || !--tries)
			break;
		usleep(IDENTIFY_PAUSE_US);
	}
	munmap(mapped, page);
	return err ? 0 : request.given;
}

uint32_t unwind_tables_add(struct unwind_tables *tables, int fd)
{
	uint32_t number = unwind_tables_identify(tables, 0, fd); /* frames have gone out under it */

	if (number && !object_find(tables, number) && object_new(tables, number))
		return number;
	number = __atomic_add_fetch(&tables->session->bpf->data->hb_last_object, 1, __ATOMIC_SEQ_CST);
	if (number > HB_OBJECT_MAX || !object_new(tables, number))
		return 0;
	if (!unwind_tables_identify(tables, number, fd))
		log_debug("object %u: the kernel did not tell its name", number);
	return number;
}

/* Whether rows of @object are worth reading: they never were, or had no room. */
static bool wants_rows(const struct object *object)
{
	return object && (object->state == HB_OBJECT_PENDING || object->state == HB_OBJECT_DROPPED ||
			  object->state == HB_OBJECT_FULL);
}

/* There is no room for its rows (-ENOSPC), or there could be none made. */
static void refuse(struct unwind_tables *tables, struct object *object, const char *name, int err)
{
	const char *why = err == -ENOSPC ? "they do not fit; raise --unwind-memory" : strerror(-err);

	tables->refused += object->state != HB_OBJECT_FULL;
	publish_object(tables, object, HB_OBJECT_FULL);
	log_print(tables->warned ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
		  "%s: no room for its unwind rows, stacks end there: %s", name, why);
	tables->warned = true;
}

/* Rows that are there already under another file's name. */
static struct row_set *set_like(const struct unwind_tables *tables, const struct unwind_rows *rows)
{
	struct row_set *set;

	for (set = tables->sets; set; set = set->next) {
		if (unwind_pool_equal(&tables->pool, &set->rows, rows))
			return set;
	}
	return NULL;
}

static void publish(struct unwind_tables *tables, struct object *object, const struct cfi_table *table,
		    const char *name)
{
	__cleanup(freep) uint16_t *rules = rule_indexes(tables, table);
	struct row_set *set = calloc(1, sizeof(*set)), *like;
	int err = rules && set ? -ENOSPC : -ENOMEM;

	while (err == -ENOSPC) {
		err = unwind_pool_put(&tables->pool, table, rules, &set->rows);
		if (err != -ENOSPC || !drop_one(tables, table->rows_count))
			break;
		err = -ENOSPC;
	}
	if (err) {
		free(set);
		refuse(tables, object, name, err);
		return;
	}
	like = set_like(tables, &set->rows);
	if (like) {
		unwind_pool_drop(&tables->pool, &set->rows);
		free(set);
		set = like;
	} else {
		set->next = tables->sets;
		tables->sets = set;
		publish_pages(tables, set->rows.page_base, set->rows.pages, set->rows.pages_count);
	}
	set->users++;
	object->set = set;
	if (!publish_object(tables, object, HB_OBJECT_READY))
		return;
	object->set = NULL; /* without users they are the first to go */
	set->users--;
}

static void take_in(struct unwind_tables *tables, struct object *object, struct cfi_table *table, int err,
		    const char *name)
{
	if (err || table->rows_count == 0) {
		log_debug("%s: no unwind rows (%s)", name, err ? strerror(-err) : "none in it");
		publish_object(tables, object, HB_OBJECT_NO_ROWS);
		return;
	}
	if (table->skipped)
		log_debug("%s: %zu broken records of unwind information were skipped", name, table->skipped);
	publish(tables, object, table, name);
}

void unwind_tables_read(struct unwind_tables *tables, uint32_t number, int fd, const char *name)
{
	struct object *object = object_find(tables, number);
	struct cfi_table table = { 0 };
	struct elf_file *file = NULL;
	int err;

	if (!wants_rows(object))
		return;
	err = elffile_open(&file, fd);
	if (!err)
		err = cfi_read(&table, file);
	take_in(tables, object, &table, err, name);
	cfi_release(&table);
	elffile_free(file);
}

/* Ours is everybody's: the kernel maps the same one into every process of its kind. */
static int read_vdso(struct unwind_tables *tables)
{
	struct object *object = object_new(tables, HB_OBJECT_VDSO);
	struct cfi_table table = { 0 };
	const void *image;
	size_t bytes;
	int err;

	if (!object)
		return -ENOMEM;
	err = vdso_image(&image, &bytes);
	if (!err)
		err = cfi_read_image(&table, image, bytes);
	take_in(tables, object, &table, err, "[vdso]");
	cfi_release(&table);
	return 0;
}

/* --- processes -------------------------------------------------------------------------------- */

void unwind_tables_flush(struct unwind_tables *tables, uint32_t gen)
{
	uint32_t *flushes = tables->session->bpf->bss->hb_flushes;

	__atomic_add_fetch(&flushes[gen % HB_FLUSHES], 1, __ATOMIC_SEQ_CST);
}

/* --- life ------------------------------------------------------------------------------------- */

/* One more map for chunks, into hb_chunks and into our reserved range. The kernel takes some 16 ms to put it there. */
static int add_chunks(struct unwind_tables *tables)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	struct hb_chunk *chunks = &tables->chunks[tables->chunk_maps * HB_CHUNKS_TOGETHER];
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "hb_chunk", sizeof(uint32_t), sizeof(*chunks), HB_CHUNKS_TOGETHER,
				&options);
	int err = fd < 0 ? -errno : 0;

	if (!err && mmap(chunks, HB_CHUNKS_TOGETHER * sizeof(*chunks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, 0) == MAP_FAILED)
		err = -errno;
	if (!err)
		err = map_set(tables->session->bpf->maps.hb_chunks, &tables->chunk_maps, &fd);
	if (!err) {
		tables->chunk_fds[tables->chunk_maps++] = fd;
		return 0;
	}
	/* A mapping that failed may have taken away what was reserved there, and one that did not must not stay. */
	mmap(chunks, HB_CHUNKS_TOGETHER * sizeof(*chunks), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (fd >= 0)
		close(fd);
	return err == -ENOSPC ? -ENOMEM : err;
}

/* For unwind_pool_init(). */
static int make_chunk(void *ctx, uint32_t chunk)
{
	struct unwind_tables *tables = ctx;
	int err = 0;

	while (!err && chunk / HB_CHUNKS_TOGETHER >= tables->chunk_maps)
		err = add_chunks(tables);
	return err;
}

/* Addresses for all chunks, and none of them made. */
static int reserve_chunks(struct unwind_tables *tables)
{
	const uint32_t maps = bpf_map__max_entries(tables->session->bpf->maps.hb_chunks);

	tables->chunk_fds = calloc(maps, sizeof(*tables->chunk_fds));
	if (!tables->chunk_fds)
		return -ENOMEM;
	tables->chunks_bytes = (size_t)maps * HB_CHUNKS_TOGETHER * sizeof(struct hb_chunk);
	tables->chunks = mmap(NULL, tables->chunks_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (tables->chunks == MAP_FAILED) {
		tables->chunks = NULL;
		return -errno;
	}
	return unwind_pool_init(&tables->pool, tables->chunks, tables->session->chunks,
				bpf_map__max_entries(tables->session->bpf->maps.hb_pages), make_chunk, tables);
}

int unwind_tables_new(struct unwind_tables **out, struct session *session)
{
	static const struct hb_rule none = { .cfa = HB_CFA_NONE }, unsupported = { .cfa = HB_CFA_UNSUPPORTED };
	struct unwind_tables *tables = calloc(1, sizeof(*tables));
	int err;

	if (!tables)
		return -ENOMEM;
	tables->session = session;
	err = reserve_chunks(tables);
	if (!err && (rule_index(tables, &none) != HB_RULE_NONE ||
		     rule_index(tables, &unsupported) != HB_RULE_UNSUPPORTED))
		err = -ENOMEM;
	if (!err)
		err = read_vdso(tables);
	if (err) {
		unwind_tables_free(tables);
		return err;
	}
	*out = tables;
	return 0;
}

void unwind_tables_free(struct unwind_tables *tables)
{
	struct known_rule *rule, *next_rule;
	struct object *object, *next_object;

	if (!tables)
		return;
	HASH_ITER(hh, tables->rules, rule, next_rule) {
		HASH_DEL(tables->rules, rule);
		free(rule);
	}
	HASH_ITER(hh, tables->objects, object, next_object) {
		HASH_DEL(tables->objects, object);
		free(object);
	}
	while (tables->sets)
		set_free(tables, tables->sets);
	unwind_pool_release(&tables->pool);
	if (tables->chunks)
		munmap(tables->chunks, tables->chunks_bytes);
	while (tables->chunk_maps)
		close(tables->chunk_fds[--tables->chunk_maps]);
	free(tables->chunk_fds);
	free(tables);
}

void unwind_tables_fill(const struct unwind_tables *tables, struct unwind_fill *fill)
{
	*fill = (struct unwind_fill){
		.rows = tables->pool.rows_used,
		.max_rows = (uint64_t)tables->pool.chunks_count * HB_CHUNK_ROWS,
		.dropped = tables->dropped,
		.refused = tables->refused,
	};
}
