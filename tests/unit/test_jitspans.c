// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../user/symbol/jitspans.h"

static int start_empty(void **state)
{
	static struct jitspans all;

	jitspans_init(&all);
	*state = &all;
	return 0;
}

static int release(void **state)
{
	jitspans_release(*state);
	return 0;
}

static int add(struct jitspans *all, uint64_t start, uint64_t end, const char *name)
{
	return jitspans_add(all, start, end, name, strlen(name));
}

/* The name at each of the addresses 0 to @end - 1, as a letter each; '.' for none. */
static const char *describe(const struct jitspans *all, uint64_t end)
{
	static char text[256];
	uint64_t at;

	for (at = 0; at < end; at++) {
		const char *name = jitspans_find(all, at);

		text[at] = name ? *name : '.';
	}
	text[end] = '\0';
	return text;
}

static void a_range_holds_its_first_byte_and_not_its_end(void **state)
{
	struct jitspans *all = *state;

	assert_null(jitspans_find(all, 0));
	assert_int_equal(add(all, 0x1000, 0x1010, "f"), 0);
	assert_null(jitspans_find(all, 0xfff));
	assert_string_equal(jitspans_find(all, 0x1000), "f");
	assert_string_equal(jitspans_find(all, 0x100f), "f");
	assert_null(jitspans_find(all, 0x1010));
	assert_int_equal(add(all, UINT64_MAX - 1, UINT64_MAX, "last"), 0);
	assert_string_equal(jitspans_find(all, UINT64_MAX - 1), "last");
	assert_null(jitspans_find(all, UINT64_MAX));
}

static void later_ranges_cover_earlier_ones(void **state)
{
	struct jitspans *all = *state;

	add(all, 2, 10, "a");
	add(all, 4, 6, "b");
	assert_string_equal(describe(all, 12), "..aabbaaaa..");
	add(all, 0, 3, "c");
	assert_string_equal(describe(all, 12), "cccabbaaaa..");
	add(all, 9, 12, "d");
	assert_string_equal(describe(all, 12), "cccabbaaaddd");
	add(all, 1, 11, "e");
	assert_string_equal(describe(all, 12), "ceeeeeeeeeed");
	add(all, 0, 12, "f");
	assert_string_equal(describe(all, 12), "ffffffffffff");
}

static void what_is_covered_goes_when_enough_covers_it(void **state)
{
	struct jitspans *all = *state;

	add(all, 2, 3, "a");
	add(all, 4, 5, "b");
	assert_int_equal(all->count, 2);
	add(all, 0, 10, "c");
	assert_int_equal(all->runs_count, 1);
	assert_int_equal(all->count, 1);
}

static void a_gap_in_later_ranges_shows_earlier_ones(void **state)
{
	struct jitspans *all = *state;

	add(all, 0, 2, "a");
	add(all, 4, 6, "b");
	add(all, 8, 10, "c");
	add(all, 1, 9, "x");
	add(all, 3, 4, "y");
	add(all, 6, 7, "z");
	assert_string_equal(describe(all, 12), "axxyxxzxxc..");
}

static void empty_ranges_and_names_are_refused(void **state)
{
	struct jitspans *all = *state;

	assert_int_equal(add(all, 5, 5, "a"), -EINVAL);
	assert_int_equal(add(all, 5, 4, "a"), -EINVAL);
	assert_int_equal(add(all, 5, 6, ""), -EINVAL);
	assert_int_equal(all->count, 0);
	assert_int_equal(all->names_bytes, 0);
}

static void a_long_name_is_cut(void **state)
{
	static char name[JITSPANS_NAME_MAX + 1];
	struct jitspans *all = *state;

	memset(name, 'n', sizeof(name));
	assert_int_equal(jitspans_add(all, 0, 1, name, JITSPANS_NAME_MAX), 0);
	assert_int_equal(jitspans_add(all, 1, 2, name, JITSPANS_NAME_MAX + 1), 0);
	assert_int_equal(strlen(jitspans_find(all, 0)), JITSPANS_NAME_MAX);
	assert_int_equal(strspn(jitspans_find(all, 0), "n"), JITSPANS_NAME_MAX);
	assert_int_equal(strlen(jitspans_find(all, 1)), JITSPANS_NAME_MAX);
	assert_int_equal(strspn(jitspans_find(all, 1), "n"), JITSPANS_NAME_MAX - 3);
	assert_string_equal(jitspans_find(all, 1) + JITSPANS_NAME_MAX - 3, "...");
}

/* A sequence that is the same every time. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void any_order_gives_what_painting_gives(void **state)
{
	struct jitspans *all = *state;
	char painted[201], name[2] = "a";
	uint32_t seed = 1, i;
	int round;

	for (round = 0; round < 300; round++) {
		uint32_t adds = 1 + next_random(&seed) % 200;

		memset(painted, '.', 200);
		painted[200] = '\0';
		for (i = 0; i < adds; i++) {
			uint32_t start = next_random(&seed) % 200;
			uint32_t end = start + 1 + next_random(&seed) % (round % 2 ? 4 : 200 - start);

			end = end > 200 ? 200 : end;
			name[0] = (char)('!' + 1 + next_random(&seed) % 90);
			if (name[0] == '.')
				name[0] = '!';
			assert_int_equal(add(all, start, end, name), 0);
			memset(painted + start, name[0], end - start);
		}
		assert_string_equal(describe(all, 200), painted);
		assert_true(all->count <= 2 * adds);
		jitspans_release(all);
	}
}

static void runs_stay_few_in_any_order(void **state)
{
	struct jitspans *all = *state;
	uint64_t i;

	for (i = 0; i < 100000; i++) {
		uint64_t start = (i * 61 % 100000) * 4; /* 61 has no part in 100,000: each once */

		assert_int_equal(add(all, start, start + 4, "f"), 0);
		assert_true(all->runs_count <= 17);
	}
	for (i = 1; i < all->runs_count; i++) {
		size_t end = i + 1 < all->runs_count ? all->runs[i + 1] : all->count;

		assert_true(2 * (end - all->runs[i]) < all->runs[i] - all->runs[i - 1]);
	}
	assert_int_equal(all->count, 100000);
	for (i = 0; i < 400000; i += 3)
		assert_non_null(jitspans_find(all, i));
	assert_null(jitspans_find(all, 400000));
}

static void ascending_ranges_are_one_run(void **state)
{
	struct jitspans *all = *state;
	uint64_t i;

	for (i = 0; i < 1000; i++)
		add(all, 2 * i, 2 * i + 2, "f");
	assert_int_equal(all->runs_count, 1);
	assert_int_equal(all->count, 1000);
}

static void names_that_nothing_has_any_more_make_room(void **state)
{
	struct jitspans *all = *state;
	char name[101];
	int i;

	memset(name, 'n', 100);
	name[100] = '\0';
	add(all, 500, 501, "first");
	for (i = 0; i < 100000; i++) { /* ten megabytes of names */
		snprintf(name, sizeof(name), "%099d", i);
		name[99] = 'x';
		assert_int_equal(add(all, (uint64_t)i % 10, (uint64_t)i % 10 + 1, name), 0);
	}
	assert_true(jitspans_bytes(all) < 3 << 20);
	assert_string_equal(jitspans_find(all, 500), "first");
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "%099d", 99990 + i);
		name[99] = 'x';
		assert_string_equal(jitspans_find(all, (uint64_t)i), name);
	}
}

static void the_oldest_quarter_makes_room_for_more(void **state)
{
	struct jitspans *all = *state;
	char name[16];
	uint64_t i;

	for (i = 0; i <= JITSPANS_MAX; i++) {
		/* The even places first and then the odd ones: age is not order. */
		uint64_t at = i < JITSPANS_MAX / 2 ? 2 * i : 2 * (i - JITSPANS_MAX / 2) + 1;

		snprintf(name, sizeof(name), "f%llx", (unsigned long long)i);
		assert_int_equal(add(all, at, at + 1, name), 0);
	}
	assert_int_equal(all->count, JITSPANS_MAX / 4 * 3 + 1);
	assert_null(jitspans_find(all, 0));
	assert_string_equal(jitspans_find(all, 1), "f100000");
	assert_null(jitspans_find(all, 2 * (JITSPANS_MAX / 4 - 1)));
	assert_string_equal(jitspans_find(all, 2 * (JITSPANS_MAX / 4)), "f80000");
	assert_string_equal(jitspans_find(all, JITSPANS_MAX - 1), "f1fffff");
	assert_string_equal(jitspans_find(all, JITSPANS_MAX + 1), "f200000");
	assert_true(jitspans_bytes(all) <= 160 << 20);
}

static void room_is_made_for_many_also_where_little_was_covered(void **state)
{
	struct jitspans *all = *state;
	uint64_t i;

	for (i = 0; i < JITSPANS_MAX - 1; i++)
		assert_int_equal(add(all, i, i + 1, "f"), 0);
	assert_int_equal(add(all, 0, 1, "g"), 0);
	assert_int_equal(all->count, JITSPANS_MAX);
	assert_int_equal(add(all, 1, 2, "h"), 0);
	assert_int_equal(all->count, JITSPANS_MAX / 4 * 3 + 1);
	assert_string_equal(jitspans_find(all, 0), "g");
	assert_string_equal(jitspans_find(all, 1), "h");
	assert_null(jitspans_find(all, 2));
	assert_null(jitspans_find(all, JITSPANS_MAX / 4 - 1));
	assert_string_equal(jitspans_find(all, JITSPANS_MAX / 4), "f");
}

static void more_bytes_of_names_than_are_kept_leave_the_latest(void **state)
{
	static char name[JITSPANS_NAME_MAX];
	struct jitspans *all = *state;
	uint64_t i, count = JITSPANS_NAMES_MAX / (JITSPANS_NAME_MAX + 1), first = 0;

	memset(name, 'n', sizeof(name));
	for (i = 0; i <= count; i++)
		assert_int_equal(jitspans_add(all, i, i + 1, name, sizeof(name)), 0);
	while (!jitspans_find(all, first))
		first++;
	/* It is full after @count; three quarters of the bytes stay, and one came since. */
	assert_int_equal(first, count - JITSPANS_NAMES_MAX / 4 * 3 / (JITSPANS_NAME_MAX + 1));
	for (i = first; i <= count; i++)
		assert_non_null(jitspans_find(all, i));
	assert_true(jitspans_bytes(all) <= 129 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_empty, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_range_holds_its_first_byte_and_not_its_end),
		TEST(later_ranges_cover_earlier_ones),
		TEST(what_is_covered_goes_when_enough_covers_it),
		TEST(a_gap_in_later_ranges_shows_earlier_ones),
		TEST(empty_ranges_and_names_are_refused),
		TEST(a_long_name_is_cut),
		TEST(any_order_gives_what_painting_gives),
		TEST(runs_stay_few_in_any_order),
		TEST(ascending_ranges_are_one_run),
		TEST(names_that_nothing_has_any_more_make_room),
		TEST(the_oldest_quarter_makes_room_for_more),
		TEST(room_is_made_for_many_also_where_little_was_covered),
		TEST(more_bytes_of_names_than_are_kept_leave_the_latest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
