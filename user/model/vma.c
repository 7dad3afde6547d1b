// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vma_parts.h"

#define PROT_COMMITTED 3u     /* PROT_READ | PROT_WRITE */
#define MERGE_AT       65536u /* parts from which on neighbours of one site become one */

struct vma_set *vma_new(uint64_t page_bytes)
{
	struct vma_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->page = page_bytes;
	set->merge_at = MERGE_AT;
	set->mappings_room = 16;
	set->mappings_count = MAPPING_FIRST;
	set->mappings = calloc(set->mappings_room, sizeof(*set->mappings));
	if (set->mappings)
		return set;
	free(set);
	return NULL;
}

void vma_free(struct vma_set *set)
{
	if (!set)
		return;
	HASH_CLEAR(hh, set->by_key);
	for (size_t i = 0; i < set->sites_count; i++)
		free(set->sites[i]);
	for (size_t i = 0; i < KEPT_MAX; i++) {
		free(set->kept[i].moving.parts);
		free(set->kept[i].gone.parts);
	}
	free(set->sites);
	free(set->mappings);
	free(set->parts);
	free(set);
}

/* --- who owns it --- */

static enum vma_owner owner_of(uint32_t mapping)
{
	if (mapping >= MAPPING_FIRST)
		return VMA_CALLER;
	return mapping == MAPPING_ALLOCATOR ? VMA_ALLOCATOR : VMA_BEFORE;
}

static struct site *site_of(const struct vma_set *set, uint32_t mapping)
{
	return mapping < MAPPING_FIRST ? NULL : set->sites[set->mappings[mapping].site];
}

static struct site *site_get(struct vma_set *set, const struct site_key *key)
{
	struct site *site;

	HASH_FIND(hh, set->by_key, key, sizeof(*key), site);
	if (site)
		return site;
	if (set->sites_count == set->sites_room) {
		size_t room = set->sites_room ? 2 * set->sites_room : 64;
		void *grown = reallocarray(set->sites, room, sizeof(*set->sites));

		if (!grown)
			return NULL;
		set->sites = grown;
		set->sites_room = room;
	}
	site = calloc(1, sizeof(*site));
	if (!site)
		return NULL;
	site->key = *key;
	site->index = (uint32_t)set->sites_count;
	HASH_ADD(hh, set->by_key, key, sizeof(*key), site);
	if (!site->hh.tbl) {
		free(site);
		return NULL;
	}
	set->sites[set->sites_count++] = site;
	return site;
}

static int mapping_new(struct vma_set *set, uint32_t *mapping)
{
	if (set->free_mapping) {
		*mapping = set->free_mapping;
		set->free_mapping = set->mappings[*mapping].site;
		return 0;
	}
	if (set->mappings_count == UINT32_MAX)
		return -ENOMEM;
	if (set->mappings_count == set->mappings_room) {
		void *grown = reallocarray(set->mappings, 2 * set->mappings_room, sizeof(*set->mappings));

		if (!grown)
			return -ENOMEM;
		set->mappings = grown;
		set->mappings_room *= 2;
	}
	*mapping = (uint32_t)set->mappings_count++;
	return 0;
}

int vma_begin(struct vma_set *set, const struct hb_ev_map *event, uint32_t *mapping)
{
	const struct site_key key = {
		.stack = event->stack,
		.tid = event->marks & HB_MAP_BY_THREAD ? event->tid : 0,
	};
	struct site *site;

	*mapping = MAPPING_ALLOCATOR;
	if (event->marks & HB_MAP_OWNED)
		return 0;
	site = site_get(set, &key);
	if (!site || mapping_new(set, mapping))
		return -ENOMEM;
	set->mappings[*mapping] = (struct mapping){
		.since_ns = event->time_ns,
		.site = site->index,
		.attached = event->marks & HB_MAP_SHM ? event->addr : 0,
	};
	return 0;
}

static void mapping_drop(struct vma_set *set, uint32_t mapping)
{
	struct mapping *it = &set->mappings[mapping];

	if (it->bytes || it->holds)
		return;
	it->site = set->free_mapping;
	set->free_mapping = mapping;
}

static void outstanding_up(struct site *site, uint64_t bytes)
{
	site->totals.outstanding_bytes += bytes;
	if (site->totals.peak_bytes < site->totals.outstanding_bytes)
		site->totals.peak_bytes = site->totals.outstanding_bytes;
}

void vma_book_in(struct vma_set *set, uint32_t mapping, uint64_t bytes)
{
	struct site *site = site_of(set, mapping);

	if (!site || !bytes)
		return;
	if (!set->mappings[mapping].bytes)
		site->totals.allocated_count++;
	set->mappings[mapping].bytes += bytes;
	site->totals.allocated_bytes += bytes;
	outstanding_up(site, bytes);
}

void vma_book_out(struct vma_set *set, uint32_t mapping, uint64_t bytes)
{
	struct site *site = site_of(set, mapping);

	if (!site || !bytes)
		return;
	set->mappings[mapping].bytes -= bytes;
	site->totals.freed_bytes += bytes;
	site->totals.outstanding_bytes -= bytes;
	if (!set->mappings[mapping].bytes)
		site->totals.freed_count++;
	mapping_drop(set, mapping);
}

void vma_book_back(struct vma_set *set, uint32_t mapping, uint64_t bytes)
{
	struct site *site = site_of(set, mapping);

	if (!site || !bytes)
		return;
	if (!set->mappings[mapping].bytes)
		site->totals.freed_count--;
	set->mappings[mapping].bytes += bytes;
	site->totals.freed_bytes -= bytes;
	outstanding_up(site, bytes);
}

void vma_hold(struct vma_set *set, uint32_t mapping)
{
	if (mapping >= MAPPING_FIRST)
		set->mappings[mapping].holds++;
}

void vma_release(struct vma_set *set, uint32_t mapping)
{
	if (mapping < MAPPING_FIRST)
		return;
	set->mappings[mapping].holds--;
	mapping_drop(set, mapping);
}

/* --- where it is --- */

int vma_reserve(struct vma_set *set, size_t more)
{
	size_t room = set->room ? set->room : 64;
	void *grown;

	while (room < set->count + more)
		room *= 2;
	if (room == set->room)
		return 0;
	grown = reallocarray(set->parts, room, sizeof(*set->parts));
	if (!grown)
		return -ENOMEM;
	set->parts = grown;
	set->room = room;
	return 0;
}

size_t vma_find(const struct vma_set *set, uint64_t address)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->parts[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

size_t vma_parts_in(const struct vma_set *set, uint64_t start, uint64_t end)
{
	size_t first = vma_find(set, start), last = first;

	while (last < set->count && set->parts[last].start < end)
		last++;
	return last - first;
}

/* Make the parts from @at on, @old of them, @fresh of them. */
static void resize(struct vma_set *set, size_t at, size_t old, size_t fresh)
{
	memmove(&set->parts[at + fresh], &set->parts[at + old], (set->count - at - old) * sizeof(*set->parts));
	set->count = set->count - old + fresh;
}

size_t vma_cut(struct vma_set *set, uint64_t start, uint64_t end, struct part *removed)
{
	const size_t first = vma_find(set, start), count = vma_parts_in(set, start, end);
	struct part edges[2];
	size_t kept = 0;

	if (!count)
		return 0;
	if (set->parts[first].start < start) {
		edges[kept] = set->parts[first];
		edges[kept++].end = start;
	}
	if (set->parts[first + count - 1].end > end) {
		edges[kept] = set->parts[first + count - 1];
		edges[kept++].start = end;
	}
	for (size_t i = 0; i < count; i++) {
		struct part part = set->parts[first + i];

		part.start = part.start < start ? start : part.start;
		part.end = part.end > end ? end : part.end;
		if (removed)
			removed[i] = part;
		else
			vma_book_out(set, part.mapping, part.end - part.start);
	}
	resize(set, first, count, kept);
	memcpy(&set->parts[first], edges, kept * sizeof(edges[0]));
	return count;
}

void vma_put(struct vma_set *set, const struct part *parts, size_t count)
{
	const size_t at = count ? vma_find(set, parts[0].start) : 0;

	if (!count)
		return;
	resize(set, at, 0, count);
	memcpy(&set->parts[at], parts, count * sizeof(*parts));
}

uint64_t vma_fill(struct vma_set *set, const struct part *part)
{
	size_t next = vma_find(set, part->start);
	uint64_t at = part->start, filled = 0;

	while (at < part->end) {
		uint64_t until = next < set->count ? set->parts[next].start : part->end;
		struct part piece = *part;

		if (until <= at) {
			at = set->parts[next++].end;
			continue;
		}
		piece.start = at;
		piece.end = until < part->end ? until : part->end;
		resize(set, next, 0, 1);
		set->parts[next++] = piece;
		filled += piece.end - piece.start;
		at = piece.end;
	}
	return filled;
}

void vma_split(struct vma_set *set, uint64_t address)
{
	const size_t at = vma_find(set, address);

	if (at == set->count || set->parts[at].start >= address)
		return;
	resize(set, at, 1, 2);
	set->parts[at + 1] = set->parts[at]; /* memmove left the old one at @at */
	set->parts[at].end = address;
	set->parts[at + 1].start = address;
}

/*
 * Whether @right goes on where @left ends and can be of the same mapping. What may come back from a call under
 * way keeps its own.
 */
static bool joins(struct vma_set *set, const struct part *left, const struct part *right, bool across)
{
	if (left->end != right->start || left->prot != right->prot)
		return false;
	if (left->mapping == right->mapping)
		return true;
	return across && left->mapping >= MAPPING_FIRST && right->mapping >= MAPPING_FIRST &&
	       set->mappings[left->mapping].site == set->mappings[right->mapping].site &&
	       !set->mappings[left->mapping].attached && !set->mappings[right->mapping].attached &&
	       !set->mappings[right->mapping].holds;
}

/* Bytes of one mapping become another's, of the same site. Where that was the last of it there is one less. */
static void transfer(struct vma_set *set, uint32_t from, uint32_t to, uint64_t bytes)
{
	if (from == to)
		return;
	set->mappings[to].bytes += bytes;
	set->mappings[from].bytes -= bytes;
	if (!set->mappings[from].bytes)
		set->sites[set->mappings[from].site]->totals.allocated_count--;
	mapping_drop(set, from);
}

static void join(struct vma_set *set, size_t from, size_t to, bool across)
{
	size_t kept = from;

	for (size_t i = from + 1; i < to; i++) {
		struct part *left = &set->parts[kept], *right = &set->parts[i];

		if (joins(set, left, right, across)) {
			transfer(set, right->mapping, left->mapping, right->end - right->start);
			left->end = right->end;
		} else {
			set->parts[++kept] = *right;
		}
	}
	if (kept + 1 < to)
		resize(set, kept + 1, to - kept - 1, 0);
}

void vma_join(struct vma_set *set, uint64_t start, uint64_t end)
{
	const size_t first = vma_find(set, start), last = first + vma_parts_in(set, start, end);

	join(set, first ? first - 1 : 0, last < set->count ? last + 1 : last, false);
}

int vma_protect(struct vma_set *set, uint64_t start, uint64_t end, uint32_t prot)
{
	size_t first, last;

	if (vma_reserve(set, 2))
		return -ENOMEM;
	vma_split(set, start);
	vma_split(set, end);
	first = vma_find(set, start);
	last = first + vma_parts_in(set, start, end);
	for (size_t i = first; i < last; i++)
		set->parts[i].prot = prot;
	vma_join(set, start, end);
	return 0;
}

void vma_merge(struct vma_set *set)
{
	if (set->count < set->merge_at)
		return;
	join(set, 0, set->count, true);
	set->merge_at = set->count < MERGE_AT / 2 ? MERGE_AT : 2 * set->count;
}

/* --- what is asked --- */

static void sum_part(struct vma_sums *sums, const struct part *part)
{
	const uint64_t bytes = part->end - part->start;

	sums->mapped_bytes += bytes;
	sums->owned_bytes[owner_of(part->mapping)] += bytes;
	if (part->prot & PROT_COMMITTED)
		sums->committed_bytes += bytes;
	if (part->mapping == MAPPING_STACK)
		sums->stack_bytes += bytes;
}

void vma_sums(const struct vma_set *set, struct vma_sums *sums)
{
	*sums = (struct vma_sums){ .ranges = set->count };
	for (size_t i = 0; i < set->count; i++)
		sum_part(sums, &set->parts[i]);
	for (size_t i = 0; i < KEPT_MAX; i++) {
		for (size_t j = 0; j < set->kept[i].moving.count; j++)
			sum_part(sums, &set->kept[i].moving.parts[j]);
	}
}

/* Add what a part says of its site. */
static void add_part(const struct vma_set *set, const struct part *part, uint64_t born_before_ns,
		     struct vma_site *sites, struct vma_held *held)
{
	const struct mapping *mapping = &set->mappings[part->mapping];
	const uint64_t bytes = part->end - part->start;
	struct vma_site *site;

	if (part->mapping < MAPPING_FIRST)
		return;
	site = &sites[mapping->site];
	if (part->prot & PROT_COMMITTED)
		site->committed_bytes += bytes;
	if (!site->oldest_ns || mapping->since_ns < site->oldest_ns)
		site->oldest_ns = mapping->since_ns;
	if (mapping->since_ns <= born_before_ns)
		held[mapping->site].bytes += bytes;
}

static void add_parts(const struct vma_set *set, uint64_t born_before_ns, struct vma_site *sites,
		      struct vma_held *held)
{
	for (size_t i = 0; i < set->count; i++)
		add_part(set, &set->parts[i], born_before_ns, sites, held);
	for (size_t i = 0; i < KEPT_MAX; i++) {
		for (size_t j = 0; j < set->kept[i].moving.count; j++)
			add_part(set, &set->kept[i].moving.parts[j], born_before_ns, sites, held);
	}
}

int vma_sites(const struct vma_set *set, uint64_t born_before_ns, struct vma_site **sites, struct vma_held **held,
	      size_t *count)
{
	struct vma_held *counted = calloc(set->sites_count + 1, sizeof(*counted));
	bool *is_free = calloc(set->mappings_count, sizeof(*is_free));

	*count = set->sites_count;
	*sites = calloc(set->sites_count + 1, sizeof(**sites));
	if (!*sites || !counted || !is_free) {
		free(counted);
		free(is_free);
		free(*sites);
		*sites = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < set->sites_count; i++) {
		(*sites)[i].stack = set->sites[i]->key.stack;
		(*sites)[i].tid = (uint32_t)set->sites[i]->key.tid;
		(*sites)[i].totals = set->sites[i]->totals;
	}
	add_parts(set, born_before_ns, *sites, counted);
	for (uint32_t i = set->free_mapping; i; i = set->mappings[i].site)
		is_free[i] = true;
	for (size_t i = MAPPING_FIRST; i < set->mappings_count; i++) {
		const struct mapping *mapping = &set->mappings[i];

		if (!is_free[i] && mapping->bytes && mapping->since_ns <= born_before_ns)
			counted[mapping->site].count++;
	}
	free(is_free);
	if (held)
		*held = counted;
	else
		free(counted);
	return 0;
}

uint64_t vma_odd(const struct vma_set *set)
{
	return set->odd;
}
