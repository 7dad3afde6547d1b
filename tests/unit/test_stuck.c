// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/model/stuck.h"

#define SECOND 1000000000ull

/* A round in which @count processes, from @pid on, are in the cgroup @id. */
static void round_of(struct stuck *stuck, uint64_t seconds, uint64_t id, uint32_t pid, unsigned int count)
{
	stuck_begin(stuck, seconds * SECOND);
	for (unsigned int i = 0; i < count; i++)
		stuck_add(stuck, id, pid + i);
	stuck_end(stuck);
}

static void a_cgroup_is_told_once_when_it_lasted(void **state)
{
	struct stuck_cgroup row;
	struct stuck stuck = { 0 };

	(void)state;
	assert_false(stuck_next(&stuck, 0, &row));
	round_of(&stuck, 10, 7, 100, 2);
	assert_false(stuck_next(&stuck, 5 * SECOND, &row));
	round_of(&stuck, 14, 7, 100, 3);
	assert_false(stuck_next(&stuck, 5 * SECOND, &row));
	round_of(&stuck, 15, 7, 100, 3);
	assert_true(stuck_next(&stuck, 5 * SECOND, &row));
	assert_int_equal(row.id, 7);
	assert_int_equal(row.since_ns, 10 * SECOND);
	assert_int_equal(row.processes, 3);
	assert_in_range(row.pid, 100, 102);
	assert_false(stuck_next(&stuck, 5 * SECOND, &row));
	round_of(&stuck, 16, 7, 100, 3);
	assert_false(stuck_next(&stuck, 5 * SECOND, &row));
}

static void one_that_got_room_begins_anew(void **state)
{
	struct stuck_cgroup row;
	struct stuck stuck = { 0 };

	(void)state;
	round_of(&stuck, 10, 7, 100, 1);
	round_of(&stuck, 15, 7, 100, 1);
	assert_true(stuck_next(&stuck, 5 * SECOND, &row));
	round_of(&stuck, 16, 7, 100, 0);
	assert_int_equal(stuck.count, 0);
	round_of(&stuck, 17, 7, 100, 1);
	round_of(&stuck, 21, 7, 100, 1);
	assert_false(stuck_next(&stuck, 5 * SECOND, &row));
	round_of(&stuck, 22, 7, 100, 1);
	assert_true(stuck_next(&stuck, 5 * SECOND, &row));
	assert_int_equal(row.since_ns, 17 * SECOND);
}

static void more_than_there_is_room_for_are_left_out(void **state)
{
	struct stuck_cgroup row;
	struct stuck stuck = { 0 };
	size_t told = 0;

	(void)state;
	for (uint64_t seconds = 10; seconds < 20; seconds += 5) {
		stuck_begin(&stuck, seconds * SECOND);
		for (uint64_t id = 1; id <= STUCK_MAX + 9; id++)
			stuck_add(&stuck, id, (uint32_t)id);
		stuck_end(&stuck);
	}
	while (stuck_next(&stuck, 5 * SECOND, &row))
		assert_int_equal(row.id, ++told);
	assert_int_equal(told, STUCK_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cgroup_is_told_once_when_it_lasted),
		cmocka_unit_test(one_that_got_room_begins_anew),
		cmocka_unit_test(more_than_there_is_room_for_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
