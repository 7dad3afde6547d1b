// SPDX-License-Identifier: Apache-2.0
/*
 * Threads that map and unmap in a kernel made of an array of pages, whose events come before and after what they
 * do, and whose list is read piece by piece in between.
 */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vma_check.h"

#define PAGES   1024
#define STEPS   200000
#define SITES   5
#define THREADS 8
#define HEAP    900 /* page at which it begins */
#define HEAP_MAX 60
#define LOG     1024 /* the last events */
#define SLOW    16   /* pages that are listed in the time of a step */

struct page {
	uint32_t id; /* of the call that mapped it; 0: nothing is mapped */
	uint32_t site;
	uint32_t prot;
	bool busy; /* some thread's call is changing it */
};

/* A call: its event at the entry, what it does, its event at the return. */
enum what { IDLE, MAP, MAP_OVER, UNMAP, REMAP, SBRK, PROTECT };

struct thread {
	enum what what;
	int phase;
	uint32_t from, count, to, fresh, prot;
	uint64_t begun; /* events before it */
	bool fails;
};

static struct page pages[PAGES];
static struct thread threads[THREADS];
static uint64_t mapped_bytes[SITES + 1]; /* ever */
static uint32_t ids, break_page;
static uint64_t chance;

static struct hb_ev_map events[LOG];
static uint64_t logged;
static uint64_t watched; /* the first that the set was told */
static uint32_t unclear; /* events that did not tell enough */
static uint32_t ahead; /* lists that had the new place of a mremap under way */

static uint32_t below(uint32_t limit)
{
	chance = chance * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(chance >> 33) % limit;
}

/* Whether each of the pages is (not) mapped, and no thread is at it. */
static bool all(uint32_t from, uint32_t count, bool mapped)
{
	for (uint32_t i = from; i < from + count; i++) {
		if (i >= HEAP || !pages[i].id == mapped || pages[i].busy)
			return false;
	}
	return true;
}

/* @count pages in a row; HEAP: there are none. */
static uint32_t find(uint32_t count, bool mapped)
{
	for (int tries = 0; tries < 50; tries++) {
		uint32_t at = below(HEAP - count);

		if (all(at, count, mapped))
			return at;
	}
	return HEAP;
}

static void set_busy(uint32_t from, uint32_t count, bool busy)
{
	for (uint32_t i = from; i < from + count; i++)
		pages[i].busy = busy;
}

static void emit(struct vma_set *set, const struct hb_ev_map *ev)
{
	events[logged++ % LOG] = *ev;
	unclear += vma_apply(set, ev) != 0;
}

static struct hb_ev_map event_of(enum hb_map_op op, uint32_t index)
{
	const struct thread *thread = &threads[index];
	struct hb_ev_map ev = event(op, index + 1);

	ev.addr = thread->to * PAGE;
	ev.bytes = thread->fresh * PAGE;
	ev.old_addr = thread->from * PAGE;
	ev.old_bytes = thread->count * PAGE;
	ev.prot = thread->prot;
	ev.stack = 1 + index % SITES;
	return ev;
}

static void maps(uint32_t index, uint32_t from, uint32_t count, uint32_t prot)
{
	const uint32_t id = ++ids, site = 1 + index % SITES;

	for (uint32_t i = from; i < from + count; i++)
		pages[i] = (struct page){ id, site, prot, true };
	mapped_bytes[site] += count * PAGE;
}

static void unmaps(uint32_t from, uint32_t count)
{
	memset(&pages[from], 0, count * sizeof(*pages));
}

/* --- a call's beginning --- */

static void begin_call(struct vma_set *set, uint32_t index)
{
	struct thread *thread = &threads[index];
	struct hb_ev_map ev;

	*thread = (struct thread){ .what = MAP + below(6), .count = 1 + below(12), .fails = !below(8),
				   .prot = below(8) };
	thread->fresh = thread->count;
	thread->begun = logged;
	if (thread->what == MAP)
		return;
	if (thread->what == SBRK) {
		for (uint32_t i = 0; i < THREADS; i++) {
			if (i != index && threads[i].what == SBRK)
				thread->what = IDLE; /* one after the other */
		}
		return;
	}
	thread->from = thread->to = find(thread->count, true);
	if (thread->from == HEAP) {
		thread->what = IDLE;
		return;
	}
	set_busy(thread->from, thread->count, true);
	if (thread->what == UNMAP) {
		ev = event_of(HB_MAP_REMOVE, index);
		emit(set, &ev);
	} else if (thread->what == REMAP) {
		thread->fresh = 1 + below(16);
		ev = event_of(HB_MAP_REMAP_BEGIN, index);
		emit(set, &ev);
	}
}

/* --- what it does --- */

static void remaps(uint32_t index, struct thread *thread)
{
	struct page moving[16];
	const uint32_t more = thread->fresh > thread->count ? thread->fresh - thread->count : 0;
	const uint32_t stays = thread->fresh - more, prot = pages[thread->from + thread->count - 1].prot;

	thread->to = thread->from;
	if (!more && below(2)) {
		unmaps(thread->from + stays, thread->count - stays);
		return;
	}
	if (more && !below(2) && all(thread->from + thread->count, more, false)) {
		maps(index, thread->from + thread->count, more, prot);
		return;
	}
	thread->to = find(thread->fresh, false);
	if (thread->to == HEAP) {
		thread->fails = true;
		return;
	}
	memcpy(moving, &pages[thread->from], stays * sizeof(*moving));
	unmaps(thread->from, thread->count);
	memcpy(&pages[thread->to], moving, stays * sizeof(*moving));
	maps(index, thread->to + stays, more, prot);
}

static void do_call(uint32_t index)
{
	struct thread *thread = &threads[index];
	uint32_t end;

	if (thread->fails && thread->what != SBRK)
		return;
	switch (thread->what) {
	case MAP:
		thread->to = find(thread->count, false);
		thread->fails = thread->to == HEAP;
		if (!thread->fails)
			maps(index, thread->to, thread->count, thread->prot);
		break;
	case MAP_OVER:
		maps(index, thread->to, thread->count, thread->prot);
		break;
	case UNMAP:
		unmaps(thread->from, thread->count);
		break;
	case REMAP:
		remaps(index, thread);
		break;
	case PROTECT:
		for (uint32_t i = thread->from; i < thread->from + thread->count; i++)
			pages[i].prot = thread->prot;
		break;
	default:
		end = HEAP + below(HEAP_MAX);
		if (end > break_page)
			maps(index, break_page, end - break_page, READ_WRITE);
		else
			unmaps(end, break_page - end);
		break_page = end;
	}
}

/* --- its return --- */

static void end_call(struct vma_set *set, uint32_t index)
{
	struct thread *thread = &threads[index];
	struct hb_ev_map ev = event_of(HB_MAP_ADD, index);
	bool told = !thread->fails;

	if (thread->what == UNMAP || thread->what == REMAP) {
		ev.op = thread->fails ? HB_MAP_RESTORE : HB_MAP_REMAP_END;
		told = thread->fails || thread->what == REMAP;
	} else if (thread->what == PROTECT) {
		ev.op = HB_MAP_PROTECT;
	} else if (thread->what == SBRK) {
		ev.op = HB_MAP_BREAK;
		ev.old_addr = HEAP * PAGE;
		ev.addr = break_page * PAGE;
		told = true;
		set_busy(HEAP, HEAP_MAX, false);
	}
	if (told)
		emit(set, &ev);
	if (thread->what != SBRK && (thread->what != UNMAP || thread->fails)) {
		if (!thread->fails)
			set_busy(thread->to, thread->fresh, false);
		else if (thread->what != MAP)
			set_busy(thread->from, thread->count, false);
	}
	thread->what = IDLE;
}

static void step(struct vma_set *set)
{
	const uint32_t index = below(THREADS);
	struct thread *thread = &threads[index];

	if (thread->what == IDLE)
		begin_call(set, index);
	else if (!thread->phase++)
		do_call(index);
	else
		end_call(set, index);
}

static void end_all(struct vma_set *set)
{
	for (uint32_t i = 0; i < THREADS; i++) {
		if (threads[i].what != IDLE && !threads[i].phase++)
			do_call(i);
		if (threads[i].what != IDLE)
			end_call(set, i);
	}
}

/* --- the list --- */

/* Read it while calls go on, and bring the set up to it. Returns whether it is as the kernel is, for all it knows. */
static bool read_list(struct vma_set *set, bool untrue)
{
	static struct vma_line lines[PAGES];
	static struct hb_ev_map recent[LOG];
	struct vma_around around = { .events = recent, .untrue = untrue };
	uint64_t first = logged;
	const uint32_t before = unclear;
	size_t count = 0;
	int got;

	/* What had begun may be done while it is read. */
	for (uint32_t i = 0; i < THREADS; i++) {
		if (threads[i].what == UNMAP && threads[i].begun < first)
			first = threads[i].begun < watched ? watched : threads[i].begun;
	}
	for (uint32_t i = 0; i < PAGES; i++) {
		if (pages[i].id)
			lines[count++] = (struct vma_line){ i * PAGE, (i + 1) * PAGE, pages[i].prot, false, i >= HEAP };
		if (i < HEAP && !below(SLOW)) /* the heap is one mapping, and one line */
			step(set);
	}
	assert_true(logged - first <= LOG);
	for (uint64_t i = first; i < logged; i++)
		recent[around.count++] = events[i % LOG];
	got = vma_follow(set, lines, count, &around);
	assert_true(got == 0 || got == 1);
	ahead += got;
	return !got && unclear == before;
}

static void compare_range(void *ctx, const struct vma_range *range)
{
	uint32_t *next = ctx;

	for (; *next < range->start / PAGE; ++*next)
		assert_int_equal(pages[*next].id, 0);
	for (; *next < range->end / PAGE; ++*next) {
		assert_int_not_equal(pages[*next].id, 0);
		assert_int_equal(range->owner, VMA_CALLER);
		assert_int_equal(range->stack, pages[*next].site);
		assert_int_equal(range->prot, pages[*next].prot);
	}
}

/* No reading adds to what a site has allocated. */
static void compare_sites(const struct vma_set *set)
{
	struct vma_site *sites;
	size_t count;

	assert_int_equal(vma_sites(set, 0, &sites, NULL, &count), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(sites[i].totals.allocated_bytes, mapped_bytes[sites[i].stack]);
	free(sites);
}

static void compare(const struct vma_set *set)
{
	const char *wrong = check_set(set, false);
	uint32_t next = 0;

	if (wrong)
		fail_msg("%s", wrong);
	vma_each(set, compare_range, &next);
	for (; next < PAGES; next++)
		assert_int_equal(pages[next].id, 0);
	compare_sites(set);
}

static void begin(uint64_t seed)
{
	memset(pages, 0, sizeof(pages));
	memset(threads, 0, sizeof(threads));
	memset(mapped_bytes, 0, sizeof(mapped_bytes));
	ids = 0;
	break_page = HEAP;
	chance = seed;
	logged = 0;
	ahead = unclear = 0;
	watched = 0;
	seconds = 0;
}

static void the_events_alone_give_every_page_its_owner(void **state)
{
	struct vma_set *set = vma_new(PAGE);

	(void)state;
	begin(1);
	for (uint32_t i = 1; i <= STEPS; i++) {
		step(set);
		if (i % 200 == 0) {
			end_all(set);
			compare(set);
		}
	}
	assert_true(logged > STEPS / 5);
	assert_int_equal(unclear, 0);
	vma_free(set);
}

static void a_list_read_while_calls_go_on_changes_nothing(void **state)
{
	struct vma_set *set = vma_new(PAGE);

	(void)state;
	begin(2);
	for (uint32_t i = 1; i <= STEPS; i++) {
		step(set);
		if (i % 300 == 77)
			read_list(set, false);
		if (i % 600 == 0) {
			end_all(set);
			compare(set);
		}
	}
	assert_true(ahead > 0);
	assert_int_equal(unclear, 0);
	vma_free(set);
}

static bool same_places(const struct vma_set *set)
{
	uint32_t at = 0;

	for (size_t i = 0; i < set->count; i++) {
		for (; at < set->parts[i].start / PAGE; at++) {
			if (pages[at].id)
				return false;
		}
		for (; at < set->parts[i].end / PAGE; at++) {
			if (!pages[at].id || pages[at].prot != set->parts[i].prot)
				return false;
		}
	}
	for (; at < PAGES; at++) {
		if (pages[at].id)
			return false;
	}
	return true;
}

/*
 * With calls under way as watching begins: of those nobody is told where they began. The second list mends that, or
 * it is known that it has not.
 */
static void a_set_that_is_watched_from_the_middle_on_is_right_soon_or_says_that_it_is_not(void **state)
{
	uint32_t at_once = 0, soon = 0;

	(void)state;
	begin(3);
	for (int round = 0; round < 2000; round++) {
		struct vma_set *unseen = vma_new(PAGE), *set = vma_new(PAGE);
		bool sure = false;

		for (int i = 0; i < 300; i++)
			step(unseen);
		watched = logged;
		for (int reading = 0; reading < 3; reading++) {
			const uint32_t before = unclear;

			sure = read_list(set, !sure);
			end_all(set);
			sure &= unclear == before;
			assert_null(check_set(set, false));
			at_once += !reading && same_places(set);
			soon += reading == 1 && sure;
			if (reading && sure)
				assert_true(same_places(set));
		}
		vma_free(unseen);
		vma_free(set);
	}
	assert_true(at_once > 600 && soon > 600); /* all others say so */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_events_alone_give_every_page_its_owner),
		cmocka_unit_test(a_list_read_while_calls_go_on_changes_nothing),
		cmocka_unit_test(a_set_that_is_watched_from_the_middle_on_is_right_soon_or_says_that_it_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
