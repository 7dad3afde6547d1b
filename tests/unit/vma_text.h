/* SPDX-License-Identifier: Apache-2.0 */
/* An address space as text, for tests. */
#ifndef HB_TESTS_UNIT_VMA_TEXT_H
#define HB_TESTS_UNIT_VMA_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "vma_check.h"

/* Sites by their stacks; 0 is the allocator. T1 and T2 are threads. */
enum { ALLOCATOR, A, B, C };
enum { T1 = 101, T2 };

#define STACK 1u
#define HEAP  2u
#define LINE(from, to, prot_, what) { .start = (from) * PAGE, .end = (to) * PAGE, .prot = (prot_), \
				      .stack = (what) == STACK, .heap = (what) == HEAP }

struct text {
	char bytes[2048];
	size_t length;
};

static inline void describe_range(void *ctx, const struct vma_range *range)
{
	struct text *text = ctx;
	char owner[24] = "-";

	if (range->owner == VMA_ALLOCATOR)
		strcpy(owner, "m");
	if (range->owner == VMA_CALLER)
		snprintf(owner, sizeof(owner), "%c", (char)('A' + (int)range->stack - A));
	text->length += (size_t)snprintf(text->bytes + text->length, sizeof(text->bytes) - text->length,
					 "%s%llu-%llu %s", text->length ? ", " : "", range->start / PAGE,
					 range->end / PAGE, owner);
	if (range->prot != READ_WRITE)
		text->length += (size_t)snprintf(text->bytes + text->length, sizeof(text->bytes) - text->length, " %x",
						 range->prot);
	assert_true(text->length < sizeof(text->bytes));
}

/* "10-14 A, 14-16 m 1": pages, who owns them (-: from before, m: the allocator), protection if not read-write. */
#define assert_ranges(set, expected)                                                           \
	do {                                                                                   \
		struct text text_ = { 0 };                                                     \
		const char *wrong_;                                                            \
		vma_each(set, describe_range, &text_);                                         \
		assert_string_equal(text_.bytes, expected);                                    \
		wrong_ = check_set(set, true);                                                 \
		assert_string_equal(wrong_ ? wrong_ : "", "");                                 \
	} while (0)

static inline struct vma_site site_of(const struct vma_set *set, uint64_t stack, uint64_t born_before,
				      struct vma_held *held)
{
	struct vma_site *sites, found = { 0 };
	struct vma_held *all;
	size_t count;

	*held = (struct vma_held){ 0 };
	assert_int_equal(vma_sites(set, born_before * 1000000000ULL, &sites, &all, &count), 0);
	for (size_t i = 0; i < count; i++) {
		if (sites[i].stack == stack) {
			found = sites[i];
			*held = all[i];
		}
	}
	free(sites);
	free(all);
	return found;
}

/* "14/3 - 4/1 = 10/2 peak 12": pages and counts allocated, freed, outstanding; pages at the peak. */
#define assert_site(set, stack, expected)                                                      \
	do {                                                                                   \
		char text_[128];                                                               \
		struct vma_held held_;                                                         \
		const struct vma_site site_ = site_of(set, stack, 1000000, &held_);            \
		const struct hb_site *totals_ = &site_.totals;                                 \
		snprintf(text_, sizeof(text_), "%llu/%llu - %llu/%llu = %llu/%llu peak %llu",  \
			 totals_->allocated_bytes / PAGE, totals_->allocated_count,            \
			 totals_->freed_bytes / PAGE, totals_->freed_count,                    \
			 totals_->outstanding_bytes / PAGE,                                    \
			 totals_->allocated_count - totals_->freed_count, totals_->peak_bytes / PAGE); \
		assert_string_equal(text_, expected);                                          \
	} while (0)

static inline struct vma_sums sums_of(const struct vma_set *set)
{
	struct vma_sums sums;

	vma_sums(set, &sums);
	return sums;
}

__attribute__((unused)) static int vma_setup(void **state)
{
	seconds = 0;
	*state = vma_new(PAGE);
	return *state ? 0 : -1;
}

__attribute__((unused)) static int vma_teardown(void **state)
{
	vma_free(*state);
	return 0;
}

#define vma_test(test) cmocka_unit_test_setup_teardown(test, vma_setup, vma_teardown)

#endif
