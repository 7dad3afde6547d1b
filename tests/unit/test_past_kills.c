// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../user/model/past_kills.h"

#define MS     1000000ull
#define SECOND (1000 * MS)

static int make(void **state)
{
	*state = calloc(1, sizeof(struct past_kills));
	return *state ? 0 : -1;
}

static int drop(void **state)
{
	free(*state);
	return 0;
}

/* A kill of cgroup 7 whose number is @sequence. */
static struct past_kill of(uint64_t sequence, uint64_t time_ns)
{
	return (struct past_kill){ .sequence = sequence, .time_ns = time_ns, .cgroup = 7, .lived_s = (double)sequence };
}

/* The same of a group, by the search of thread @by_tid. */
static struct past_kill of_group(uint64_t sequence, uint64_t time_ns, uint32_t by_tid)
{
	struct past_kill kill = of(sequence, time_ns);

	kill.as_group = true;
	kill.control = 0xffffc90000123c00;
	kill.points = 4000;
	kill.by_tid = by_tid;
	return kill;
}

static void expect(struct past_kills *past, struct past_kill kill, uint64_t group, unsigned int group_count,
		   unsigned int count)
{
	struct past_told told;

	past_kills_add(past, &kill, &told);
	assert_int_equal(told.group, group);
	assert_int_equal(told.group_count, group_count);
	assert_int_equal(told.count, count);
}

static void kills_of_ten_minutes_are_counted_with_their_lives(void **state)
{
	struct past_kills *past = *state;
	struct past_kill kill;
	struct past_told told;

	expect(past, of(1, 10 * SECOND), 0, 1, 0);
	expect(past, of(2, 400 * SECOND), 0, 1, 1);
	kill = of(3, 401 * SECOND);
	past_kills_add(past, &kill, &told);
	assert_int_equal(told.count, 2);
	assert_true(told.lived_s[0] == 1 && told.lived_s[1] == 2);
	expect(past, of(4, 610 * SECOND), 0, 1, 2);
	kill = of(5, 611 * SECOND);
	kill.cgroup = 8;
	expect(past, kill, 0, 1, 0);
	kill.cgroup = 0; /* of those that are not known none is another's */
	expect(past, kill, 0, 1, 0);
	expect(past, kill, 0, 1, 0);
}

static void one_that_was_dying_is_no_incident(void **state)
{
	struct past_kills *past = *state;
	struct past_kill kill = of(1, SECOND);

	kill.dying = true;
	expect(past, kill, 0, 1, 0);
	expect(past, of(2, 2 * SECOND), 0, 1, 0);
}

static void a_group_is_one_incident_of_each_of_its_cgroups(void **state)
{
	struct past_kills *past = *state;
	struct past_kill other = of_group(3, SECOND + 2 * MS, 100);

	other.cgroup = 8;
	expect(past, of_group(1, SECOND, 100), 0, 1, 0);
	expect(past, of_group(2, SECOND + MS, 100), 1, 2, 0);
	expect(past, other, 1, 3, 0);
	other.sequence = 4;
	expect(past, other, 1, 4, 0);
	expect(past, of(5, 100 * SECOND), 0, 1, 1);
	other = of(6, 101 * SECOND);
	other.cgroup = 8;
	expect(past, other, 0, 1, 1);
}

static void another_search_on_the_same_stack_is_another_incident(void **state)
{
	struct past_kills *past = *state;
	struct past_kill kill = of_group(6, SECOND + 5 * MS, 101);

	expect(past, of_group(1, SECOND, 100), 0, 1, 0);
	expect(past, of_group(2, SECOND + MS, 100), 1, 2, 0);
	expect(past, of_group(3, SECOND + 2 * MS, 101), 0, 1, 1); /* another thread */
	expect(past, of_group(4, SECOND + 3 * MS, 101), 3, 2, 1);
	kill.points++; /* the same thread, another choice */
	expect(past, kill, 0, 1, 2);
	expect(past, of_group(7, 3 * SECOND, 101), 0, 1, 3); /* much later */
	kill = of_group(8, 3 * SECOND + MS, 101);
	kill.control += 64;
	expect(past, kill, 0, 1, 4);
	kill.as_group = false; /* by itself */
	expect(past, kill, 0, 1, 5);
}

static void the_oldest_are_forgotten(void **state)
{
	struct past_kills *past = *state;

	for (unsigned int i = 0; i < PAST_KILLS_MAX; i++)
		expect(past, of(1 + i, SECOND + i), 0, 1, i);
	expect(past, of(20000, 2 * SECOND), 0, 1, PAST_KILLS_MAX);
	expect(past, of(20001, 2 * SECOND), 0, 1, PAST_KILLS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kills_of_ten_minutes_are_counted_with_their_lives, make, drop),
		cmocka_unit_test_setup_teardown(one_that_was_dying_is_no_incident, make, drop),
		cmocka_unit_test_setup_teardown(a_group_is_one_incident_of_each_of_its_cgroups, make, drop),
		cmocka_unit_test_setup_teardown(another_search_on_the_same_stack_is_another_incident, make, drop),
		cmocka_unit_test_setup_teardown(the_oldest_are_forgotten, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
