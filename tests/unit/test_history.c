// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "../../user/model/history.h"

#define S  1000000000ull
#define MS 1000000ull

/* One sampling, with one process in it. */
static void sample(struct history *history, uint64_t now_ns, uint64_t pid, uint64_t bytes)
{
	history_begin(history, now_ns);
	assert_int_equal(history_add(history, HISTORY_PROCESS, pid, 7, bytes), 0);
	history_end(history);
}

static size_t get(const struct history *history, uint64_t pid, uint64_t now_ns, struct history_sample *out)
{
	return history_get(history, HISTORY_PROCESS, pid, 7, now_ns, out, HISTORY_SAMPLES_MAX);
}

static void expect_counts(const struct history *history, size_t series, size_t refused, uint64_t evicted)
{
	struct history_counts counts;

	history_counts(history, &counts);
	assert_int_equal(counts.series, series);
	assert_int_equal(counts.refused, refused);
	assert_int_equal(counts.evicted, evicted);
}

static bool is_known(const struct history *history, uint64_t pid)
{
	struct history_sample out[HISTORY_SAMPLES_MAX];

	return get(history, pid, UINT64_MAX, out) > 0;
}

static void a_sample_a_second_comes_back_oldest_first(void **state)
{
	struct history *history = history_new(4);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	assert_int_equal(get(history, 1, 100 * S, out), 0);
	sample(history, 100 * S, 1, 10);
	sample(history, 101 * S, 1, 11);
	sample(history, 102 * S + 50 * MS, 1, 12);
	assert_int_equal(get(history, 1, 103 * S + 50 * MS, out), 3);
	assert_float_equal(out[0].age_s, 3.05, 1e-9);
	assert_int_equal(out[0].bytes, 10);
	assert_float_equal(out[1].age_s, 2.05, 1e-9);
	assert_int_equal(out[1].bytes, 11);
	assert_float_equal(out[2].age_s, 1, 1e-9);
	assert_int_equal(out[2].bytes, 12);
	history_free(history);
}

static void an_hour_leaves_a_minute_of_seconds_and_ten_minutes_of_tens(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	for (uint64_t second = 0; second <= 3600; second++)
		sample(history, (1000 + second) * S, 1, second);
	/* Of the sixty tens up to 3600 six are within the seconds 3541 to 3600. */
	assert_int_equal(get(history, 1, 4600 * S, out), 114);
	for (size_t i = 0; i < 54; i++) {
		assert_int_equal(out[i].bytes, 3010 + 10 * i);
		assert_float_equal(out[i].age_s, 590.0 - 10.0 * (double)i, 1e-9);
	}
	for (size_t i = 54; i < 114; i++) {
		assert_int_equal(out[i].bytes, 3541 + i - 54);
		assert_float_equal(out[i].age_s, 59.0 - (double)(i - 54), 1e-9);
	}
	history_free(history);
}

static void never_more_than_all_samples_are_told(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	/* Ten minutes of tens, while something else is sampled; then a minute at nearly once a second. */
	for (uint64_t second = 0; second < 1000; second += 10)
		sample(history, second * S, 1, second);
	for (uint64_t i = 0; i < 200; i++)
		sample(history, 1000 * S + i * 900 * MS, 1, 1000 + i);
	assert_in_range(get(history, 1, 2000 * S, out), 61, HISTORY_SAMPLES_MAX);
	for (size_t i = 1; i < 61; i++) {
		assert_true(out[i].age_s < out[i - 1].age_s);
		assert_true(out[i].bytes > out[i - 1].bytes);
	}
	history_free(history);
}

static void the_newest_are_told_where_there_is_little_room(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[2];

	(void)state;
	for (uint64_t second = 0; second < 5; second++)
		sample(history, second * S, 1, second);
	assert_int_equal(history_get(history, HISTORY_PROCESS, 1, 7, 5 * S, out, 2), 2);
	assert_int_equal(out[0].bytes, 3);
	assert_int_equal(out[1].bytes, 4);
	assert_int_equal(history_get(history, HISTORY_PROCESS, 1, 7, 5 * S, out, 0), 0);
	history_free(history);
}

static void what_came_after_the_kill_is_not_told(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	for (uint64_t second = 0; second < 30; second++)
		sample(history, second * S, 1, second);
	assert_int_equal(get(history, 1, 20 * S, out), 21);
	assert_float_equal(out[20].age_s, 0, 1e-9);
	assert_int_equal(out[20].bytes, 20);
	assert_int_equal(get(history, 1, 20 * S - 1, out), 20);
	/* Nor where only tens are left of what came before it. */
	for (uint64_t second = 30; second < 300; second++)
		sample(history, second * S, 1, second);
	assert_int_equal(get(history, 1, 105 * S, out), 11);
	assert_float_equal(out[10].age_s, 5, 1e-9);
	assert_int_equal(out[10].bytes, 100);
	history_free(history);
}

static void samplings_in_quick_succession_leave_the_first(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	sample(history, 10 * S, 1, 1);
	sample(history, 10 * S + 899 * MS, 1, 2);
	assert_int_equal(get(history, 1, 12 * S, out), 1);
	assert_int_equal(out[0].bytes, 1);
	sample(history, 10 * S + 900 * MS, 1, 3);
	sample(history, 9 * S, 1, 4); /* time does not go back */
	assert_int_equal(get(history, 1, 12 * S, out), 2);
	assert_int_equal(out[1].bytes, 3);
	history_free(history);
}

static void nor_do_they_become_one_of_the_tens(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	sample(history, 0, 1, 1);
	sample(history, 9 * S, 1, 2);
	sample(history, 9 * S + 800 * MS, 1, 3);
	for (uint64_t second = 10; second < 80; second++)
		sample(history, second * S, 1, second);
	assert_int_equal(get(history, 1, 80 * S, out), 62);
	assert_int_equal(out[0].bytes, 1);
	assert_int_equal(out[1].bytes, 10);
	assert_int_equal(out[2].bytes, 20);
	history_free(history);
}

static void one_pid_is_many_processes(void **state)
{
	struct history *history = history_new(100);
	struct history_sample out[2];

	(void)state;
	history_begin(history, 5 * S);
	for (uint64_t start_ns = 0; start_ns < 100; start_ns++)
		assert_int_equal(history_add(history, HISTORY_PROCESS, 1, start_ns, start_ns), 0);
	history_end(history);
	for (uint64_t start_ns = 0; start_ns < 100; start_ns++) {
		assert_int_equal(history_get(history, HISTORY_PROCESS, 1, start_ns, 5 * S, out, 2), 1);
		assert_int_equal(out[0].bytes, start_ns);
	}
	expect_counts(history, 100, 0, 0);
	history_free(history);
}

static void added_twice_in_one_sampling_the_last_counts(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	history_begin(history, S);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 1, 7, 5), 0);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 1, 7, 6), 0);
	history_end(history);
	assert_int_equal(get(history, 1, S, out), 1);
	assert_int_equal(out[0].bytes, 6);
	history_free(history);
}

static void a_kind_an_id_and_a_start_are_one_series(void **state)
{
	static const struct {
		enum history_kind kind;
		uint64_t id, start_ns;
	} keys[] = {
		{ HISTORY_PROCESS, 1, 0 }, { HISTORY_PROCESS, 1, 1 }, { HISTORY_CGROUP, 1, 0 },
		{ HISTORY_PROCESS, 2, 0 }, { HISTORY_PROCESS, 1ull << 63, 0 }, { HISTORY_CGROUP, 1ull << 63, 0 },
	};
	struct history *history = history_new(6);
	struct history_sample out[2];

	(void)state;
	history_begin(history, 5 * S);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(history_add(history, keys[i].kind, keys[i].id, keys[i].start_ns, i + 1), 0);
	history_end(history);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(history_get(history, keys[i].kind, keys[i].id, keys[i].start_ns, 5 * S, out, 2), 1);
		assert_int_equal(out[0].bytes, i + 1);
	}
	assert_int_equal(history_get(history, HISTORY_CGROUP, 2, 0, 5 * S, out, 2), 0);
	expect_counts(history, 6, 0, 0);
	history_free(history);
}

static void a_process_and_its_cgroup_have_samples_of_the_same_age(void **state)
{
	struct history *history = history_new(2);
	struct history_sample process[HISTORY_SAMPLES_MAX], cgroup[HISTORY_SAMPLES_MAX];
	size_t count;

	(void)state;
	for (uint64_t second = 0; second < 300; second++) {
		history_begin(history, second * S);
		history_add(history, HISTORY_CGROUP, 9, 0, second);
		if (second >= 3)
			history_add(history, HISTORY_PROCESS, 1, 7, second);
		history_end(history);
	}
	count = get(history, 1, 300 * S, process);
	assert_int_equal(count, 60 + 23); /* seconds 10, 20, ... 230, then 240 to 299 */
	assert_int_equal(history_get(history, HISTORY_CGROUP, 9, 0, 300 * S, cgroup, HISTORY_SAMPLES_MAX), count + 1);
	for (size_t i = 0; i < count; i++) {
		assert_float_equal(process[i].age_s, cgroup[i + 1].age_s, 1e-9);
		assert_int_equal(process[i].bytes, cgroup[i + 1].bytes);
	}
	history_free(history);
}

static void the_smallest_makes_room_for_a_larger_one(void **state)
{
	struct history *history = history_new(3);

	(void)state;
	history_begin(history, S);
	for (uint64_t pid = 1; pid <= 3; pid++)
		assert_int_equal(history_add(history, HISTORY_PROCESS, pid, 7, 100 * pid), 0);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 4, 7, 99), -ENOSPC);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 5, 7, 100), -ENOSPC); /* no larger */
	expect_counts(history, 3, 0, 0); /* told when the sampling is over */
	history_end(history);
	expect_counts(history, 3, 2, 0);
	history_begin(history, 2 * S);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 1, 7, 500), 0); /* it has grown */
	assert_int_equal(history_add(history, HISTORY_PROCESS, 6, 7, 201), 0);
	history_end(history);
	expect_counts(history, 3, 0, 1);
	assert_true(is_known(history, 1));
	assert_false(is_known(history, 2));
	assert_true(is_known(history, 3));
	assert_true(is_known(history, 6));
	history_free(history);
}

static void those_not_seen_for_thirty_seconds_go_before_the_smallest(void **state)
{
	struct history *history = history_new(3);

	(void)state;
	sample(history, S, 1, 1000);
	sample(history, 2 * S, 2, 10);
	sample(history, 3 * S, 3, 2000);
	history_begin(history, 30 * S);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 4, 7, 5), -ENOSPC); /* all were seen */
	history_end(history);
	assert_true(is_known(history, 1)); /* nobody needed the room */
	history_begin(history, 31 * S);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 4, 7, 5), 0);
	history_end(history);
	assert_false(is_known(history, 1));
	assert_true(is_known(history, 2));
	expect_counts(history, 3, 0, 0);
	history_begin(history, 60 * S);
	assert_int_equal(history_add(history, HISTORY_PROCESS, 5, 7, 6), 0); /* 2 and 3 go */
	assert_int_equal(history_add(history, HISTORY_PROCESS, 6, 7, 1), 0);
	history_end(history);
	expect_counts(history, 3, 0, 0);
	assert_true(is_known(history, 4));
	assert_false(is_known(history, 3));
	history_free(history);
}

static void who_comes_back_begins_anew(void **state)
{
	struct history *history = history_new(1);
	struct history_sample out[HISTORY_SAMPLES_MAX];

	(void)state;
	sample(history, S, 1, 10);
	sample(history, 2 * S, 2, 11);
	assert_false(is_known(history, 1));
	sample(history, 3 * S, 1, 12);
	assert_int_equal(get(history, 1, 4 * S, out), 1);
	assert_int_equal(out[0].bytes, 12);
	expect_counts(history, 1, 0, 2);
	history_free(history);
}

static int descending(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Numbers are drawn anew in each round, so that those kept move up and down; without ties. */
static void the_largest_are_kept_whatever_the_order(void **state)
{
	enum { KEPT = 50, ALL = 400, ROUNDS = 40 };
	struct history *history = history_new(KEPT);
	uint64_t bytes[ALL], sorted[ALL], random = 12345;

	(void)state;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < ALL; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			bytes[i] = sorted[i] = (random >> 33) * ALL + i;
		}
		qsort(sorted, ALL, sizeof(sorted[0]), descending);
		history_begin(history, round * S);
		/* Those of before have their new numbers first, then all may compete. */
		for (size_t i = 0; i < ALL; i++) {
			if (is_known(history, i))
				assert_int_equal(history_add(history, HISTORY_PROCESS, i, 7, bytes[i]), 0);
		}
		for (size_t i = 0; i < ALL; i++)
			history_add(history, HISTORY_PROCESS, i, 7, bytes[i]);
		history_end(history);
		for (size_t i = 0; i < ALL; i++)
			assert_int_equal(is_known(history, i), bytes[i] >= sorted[KEPT - 1]);
	}
	history_free(history);
}

/* A sweep in the middle leaves the heap in order: the next to go is the smallest still. */
static void after_the_unseen_went_the_smallest_still_goes_first(void **state)
{
	enum { MAX = 64 };
	struct history *history = history_new(MAX);

	(void)state;
	for (uint64_t odd = 0; odd < 2; odd++) {
		history_begin(history, odd ? 40 * S : S);
		for (uint64_t pid = odd; pid < MAX; pid += 2)
			assert_int_equal(history_add(history, HISTORY_PROCESS, pid, 7, 1000 - pid * 7 % MAX), 0);
		history_end(history);
	}
	history_begin(history, 41 * S);
	for (uint64_t pid = MAX; pid < MAX + 32; pid++)
		assert_int_equal(history_add(history, HISTORY_PROCESS, pid, 7, 5000), 0);
	expect_counts(history, MAX, 0, 0);
	for (uint64_t i = 1; i <= 32; i++) {
		uint64_t smallest = UINT64_MAX, which = 0;

		for (uint64_t pid = 1; pid < MAX; pid += 2) {
			if (is_known(history, pid) && 1000 - pid * 7 % MAX < smallest) {
				smallest = 1000 - pid * 7 % MAX;
				which = pid;
			}
		}
		assert_int_equal(history_add(history, HISTORY_PROCESS, 1000 + i, 7, 5000), 0);
		assert_false(is_known(history, which));
		expect_counts(history, MAX, 0, i);
	}
	assert_int_equal(history_add(history, HISTORY_PROCESS, 2000, 7, 5000), -ENOSPC);
	history_end(history);
	expect_counts(history, MAX, 1, 32);
	history_free(history);
}

static void odd_sizes_are_refused(void **state)
{
	(void)state;
	assert_null(history_new(0));
	assert_null(history_new(HISTORY_SERIES_MAX + 1));
	history_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_a_second_comes_back_oldest_first),
		cmocka_unit_test(an_hour_leaves_a_minute_of_seconds_and_ten_minutes_of_tens),
		cmocka_unit_test(never_more_than_all_samples_are_told),
		cmocka_unit_test(the_newest_are_told_where_there_is_little_room),
		cmocka_unit_test(what_came_after_the_kill_is_not_told),
		cmocka_unit_test(samplings_in_quick_succession_leave_the_first),
		cmocka_unit_test(nor_do_they_become_one_of_the_tens),
		cmocka_unit_test(one_pid_is_many_processes),
		cmocka_unit_test(added_twice_in_one_sampling_the_last_counts),
		cmocka_unit_test(a_kind_an_id_and_a_start_are_one_series),
		cmocka_unit_test(a_process_and_its_cgroup_have_samples_of_the_same_age),
		cmocka_unit_test(the_smallest_makes_room_for_a_larger_one),
		cmocka_unit_test(those_not_seen_for_thirty_seconds_go_before_the_smallest),
		cmocka_unit_test(who_comes_back_begins_anew),
		cmocka_unit_test(the_largest_are_kept_whatever_the_order),
		cmocka_unit_test(after_the_unseen_went_the_smallest_still_goes_first),
		cmocka_unit_test(odd_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
