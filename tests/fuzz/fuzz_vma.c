// SPDX-License-Identifier: Apache-2.0
/* Any bytes as events of an address space, and as lists of its ranges: it stays one, and its sums add up. */
#define _GNU_SOURCE 1
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/model/vma_parts.h"
#include "../unit/vma_check.h"

#define RECORD     8   /* bytes of an input for one event */
#define EVENTS_MAX 600
#define LINES_MAX  16
#define RECENT     32

enum { RESYNC = 10, FOLLOW, COPY, MERGE };

struct input {
	const uint8_t *data;
	size_t size;
};

static struct hb_ev_map recent[RECENT];
static size_t recent_count;

static void wrong(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

/* --- what nobody sees from outside --- */

struct counted {
	uint64_t bytes;
	uint32_t holds;
};

static void count_pieces(struct counted *counted, const struct pieces *pieces, bool mapped)
{
	for (size_t i = 0; i < pieces->count; i++) {
		const struct part *part = &pieces->parts[i];

		if (part->start >= part->end)
			wrong("a kept piece is empty");
		counted[part->mapping].holds++;
		counted[part->mapping].bytes += mapped ? part->end - part->start : 0;
	}
}

static void check_mappings(const struct vma_set *set)
{
	struct counted *counted = calloc(set->mappings_count, sizeof(*counted));
	size_t unused = 0;

	if (!counted)
		abort();
	for (size_t i = 0; i < set->count; i++)
		counted[set->parts[i].mapping].bytes += set->parts[i].end - set->parts[i].start;
	for (size_t i = 0; i < KEPT_MAX; i++) {
		count_pieces(counted, &set->kept[i].moving, true);
		count_pieces(counted, &set->kept[i].gone, false);
	}
	for (uint32_t i = set->free_mapping; i; i = set->mappings[i].site) {
		if (i < MAPPING_FIRST || i >= set->mappings_count || counted[i].bytes || counted[i].holds)
			wrong("a mapping in use is free");
		if (++unused > set->mappings_count)
			wrong("the free mappings are a ring");
	}
	for (size_t i = MAPPING_FIRST; i < set->mappings_count; i++) {
		if (!counted[i].bytes && !counted[i].holds)
			unused--; /* all of these are free */
		else if (set->mappings[i].bytes != counted[i].bytes || set->mappings[i].holds != counted[i].holds)
			wrong("a mapping does not know its bytes");
	}
	if (unused)
		wrong("a mapping is neither free nor in use");
	free(counted);
}

static void check(const struct vma_set *set)
{
	const char *what;
	bool moving = false;

	for (size_t i = 0; i < KEPT_MAX; i++)
		moving |= set->kept[i].moving.count;
	what = check_set(set, moving);
	if (what)
		wrong(what);
	check_mappings(set);
}

/* --- bytes to events --- */

static uint64_t number(const uint8_t *bytes)
{
	return bytes[0] | (uint64_t)bytes[1] << 8;
}

/* Pages close to each other; with the two highest bits inside of one, at the end of all, or far away. */
static uint64_t address(uint64_t number)
{
	const uint64_t page = number & 0x1ff;

	switch (number >> 14) {
	case 1:
		return page * PAGE + (number >> 9 & 31);
	case 2:
		return UINT64_MAX - page * PAGE + (number >> 9 & 1);
	case 3:
		return page << 55 | page * PAGE;
	default:
		return page * PAGE;
	}
}

/* A few bytes or pages; more than there can be; or very many, but so that no sum overflows. */
static uint64_t bytes_of(uint64_t number)
{
	switch (number >> 14) {
	case 1:
		return number & 0x3fff;
	case 2:
		return UINT64_MAX - (number & 0x3f);
	case 3:
		return (number & 0x3f) << 48;
	default:
		return (number & 0x3f) * PAGE;
	}
}

static struct hb_ev_map event_of(const uint8_t *record)
{
	struct hb_ev_map ev = event(record[0] & 15, record[1] & 7);

	ev.stack = record[1] >> 3 & 7;
	ev.marks = record[1] >> 6;
	ev.marks |= record[0] & 0x80 ? HB_MAP_BY_THREAD : 0;
	ev.addr = address(number(record + 2));
	ev.bytes = bytes_of(number(record + 4));
	ev.old_addr = address(number(record + 6));
	ev.old_bytes = bytes_of(number(record + 6) >> 9 | (number(record + 4) & 0xc000));
	ev.prot = record[0] >> 4 & 7;
	ev.flags = record[5] & 6 ? (uint32_t)(record[5] & 6) : (uint32_t)record[5] << 24 | 0x40020;
	if (ev.op == HB_MAP_BREAK) {
		ev.addr = 0x100 * PAGE + bytes_of(number(record + 2));
		ev.old_addr = record[1] & 0x80 ? ev.old_addr : 0x100 * PAGE;
	}
	return ev;
}

/* Sorted lines of the input, or lines that need not be. */
static size_t lines_of(struct input *input, struct vma_line *lines, bool whole)
{
	uint64_t at = 0;
	size_t count = 0;

	for (; count < LINES_MAX && input->size >= 2; count++) {
		const uint8_t gap = input->data[0], pages = input->data[1];

		input->data += 2;
		input->size -= 2;
		if (gap == 0xff)
			break;
		at += (gap & 31) * PAGE;
		lines[count] = (struct vma_line){ .start = at, .end = at + (pages & 31) * PAGE, .prot = gap >> 5,
						  .stack = pages >> 5 == 1, .heap = pages >> 5 == 2 };
		if (whole && !(pages & 31))
			lines[count].end += PAGE;
		at = lines[count].end;
	}
	return count;
}

static void resync(struct vma_set *set, struct input *input, bool whole)
{
	struct vma_line lines[LINES_MAX];
	const size_t count = lines_of(input, lines, whole);
	const int err = follows(set, lines, count);

	if (whole && err)
		wrong("a sorted list was refused");
	if (!err && vma_difference(set, lines, count))
		wrong("the set is not what the list says");
}

static bool in_parts(const struct part *parts, size_t count, uint64_t address)
{
	for (size_t i = 0; i < count; i++) {
		if (parts[i].start <= address && address < parts[i].end)
			return true;
	}
	return false;
}

static bool in_lines(const struct vma_line *lines, size_t count, uint64_t address)
{
	for (size_t i = 0; i < count; i++) {
		if (lines[i].start <= address && address < lines[i].end)
			return true;
	}
	return false;
}

static bool in_spans(const struct span *spans, size_t count, uint64_t address)
{
	for (size_t i = 0; i < count; i++) {
		if (spans[i].start <= address && address < spans[i].end)
			return true;
	}
	return false;
}

/* What was in doubt is as it was, all else as the list has it; and that was in doubt wherever events were. */
static void follow(struct vma_set *set, struct input *input)
{
	struct vma_line lines[LINES_MAX];
	const size_t count = lines_of(input, lines, true);
	const struct vma_around around = {
		.events = recent,
		.count = recent_count < RECENT ? recent_count : RECENT,
		.lost_ns = seconds * 500000000ULL,
	};
	struct part *before;
	struct span *spans;
	size_t before_count, spans_count;

	vma_forget_moves(set, around.lost_ns);
	if (vma_spans(set, lines, count, &around, &spans, &spans_count))
		abort();
	before_count = set->count;
	before = calloc(before_count + 1, sizeof(*before));
	if (before_count)
		memcpy(before, set->parts, before_count * sizeof(*before));
	if (vma_follow(set, lines, count, &around) < 0)
		wrong("a sorted list was refused");
	check(set);
	for (uint64_t page = 0; page < 1024; page++) {
		const uint64_t at = page * PAGE;
		const bool doubtful = in_spans(spans, spans_count, at);
		const bool expected = doubtful ? in_parts(before, before_count, at) : in_lines(lines, count, at);

		if (in_parts(set->parts, set->count, at) != expected)
			wrong(doubtful ? "what was in doubt has changed" : "what was not in doubt is not the list's");
	}
	for (size_t i = 0; i < around.count; i++) {
		const struct hb_ev_map *ev = &recent[i];

		if (ev->op == HB_MAP_ADD && ev->bytes && !(ev->addr % PAGE) && ev->addr < 1024 * PAGE &&
		    ev->bytes < 1024 * PAGE && !in_spans(spans, spans_count, ev->addr))
			wrong("where something was mapped nothing is in doubt");
	}
	free(before);
	free(spans);
}

static struct vma_set *fork_of(struct vma_set *set)
{
	struct vma_set *child = vma_new(PAGE);
	struct vma_sums sums, of_child;

	vma_copy(child, set);
	vma_sums(set, &sums);
	vma_sums(child, &of_child);
	if (of_child.mapped_bytes > sums.mapped_bytes || of_child.owned_bytes[VMA_BEFORE] != of_child.mapped_bytes)
		wrong("the child has more than its parent");
	vma_free(set);
	return child;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vma_set *set = vma_new(PAGE);
	struct input input = { data, size };

	seconds = 0;
	recent_count = 0;
	for (size_t i = 0; i < EVENTS_MAX && input.size >= RECORD; i++) {
		const uint8_t *record = input.data;
		const struct hb_ev_map ev = event_of(record);

		input.data += RECORD;
		input.size -= RECORD;
		if (ev.op == RESYNC) {
			resync(set, &input, record[1] & 1);
		} else if (ev.op == FOLLOW) {
			follow(set, &input);
		} else if (ev.op == COPY && record[1] == 'c') {
			set = fork_of(set);
		} else if (ev.op == MERGE) {
			set->merge_at = 1; /* as if there were very many */
			vma_merge(set);
		} else {
			recent[recent_count++ % RECENT] = ev;
			vma_apply(set, &ev);
		}
		if (i % 8 == 0)
			check(set);
	}
	check(set);
	vma_free(set);
	return 0;
}
