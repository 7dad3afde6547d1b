// SPDX-License-Identifier: Apache-2.0
/* Generations begin and end: fork, vfork, exec, exit, and the events about them. */
#include "native_test.h"

#include <string.h>

#define CHILD 200

static const struct hb_proc *proc_of(u32 tgid)
{
	return fake_find("hb_procs", &tgid);
}

static const struct hb_ev_process *event(u32 index)
{
	return fake_event(index);
}

#define assert_event(index, kind_, tgid_, gen_, old_gen_, parent_, shares_)                    \
	do {                                                                                   \
		assert_non_null(event(index));                                                 \
		assert_int_equal(event(index)->kind, kind_);                                   \
		assert_int_equal(event(index)->tgid, tgid_);                                   \
		assert_int_equal(event(index)->gen, gen_);                                     \
		assert_int_equal(event(index)->old_gen, old_gen_);                             \
		assert_int_equal(event(index)->parent, parent_);                               \
		assert_int_equal(event(index)->shares, shares_);                               \
		assert_int_equal(event(index)->start_ns, 1000000ULL * (tgid_));                \
		assert_string_equal(event(index)->comm, "fake");                               \
	} while (0)

static void a_forked_child_starts_at_zero_with_a_generation_of_its_own(void **state)
{
	struct thread *parent = traced_thread(), *child;

	take(parent, SITE_A, 100, 0x1000);
	child = thread_fork(parent, CHILD, false);
	assert_event(0, HB_EV_FORK, CHILD, 1, GEN, PID, 0);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_TRACED | HB_PROC_FOLLOW);
	give(child, 0x1000); /* what it inherits is its parent's */
	take(child, SITE_A, 7, 0x2000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(1, SITE_A, 7, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_FREE_UNKNOWN), 1);
	assert_int_equal(losses(), 0);
}

static void a_child_forked_inside_malloc_does_not_count_its_parents_call(void **state)
{
	struct thread *parent = traced_thread(), *child;

	parent->pc = SITE_A;
	thread_call(parent, &fn_malloc, 100, 0, 0);
	child = thread_fork(parent, CHILD, false);
	thread_return(child, 0x1000);
	thread_return(parent, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(fake_rows("hb_sites"), 1);
}

static void a_new_thread_is_no_fork(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	hb_task_fork(thread->task, other->task);
	assert_int_equal(fake_events(), 0);
	assert_int_equal(fake_rows("hb_procs"), 1);
}

static void a_vforked_child_counts_as_its_parent_until_it_execs(void **state)
{
	struct thread *parent = traced_thread(), *child;

	child = thread_fork(parent, CHILD, true);
	assert_event(0, HB_EV_FORK, CHILD, GEN, GEN, PID, 1);
	take(child, SITE_A, 100, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	thread_exec(child);
	assert_event(1, HB_EV_EXEC, CHILD, 1, GEN, 0, 1);
	take(child, SITE_B, 5, 0x1000);
	give(parent, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 100, 1);
	assert_site(1, SITE_B, 5, 1, 0, 0);
	thread_exit(child);
	assert_event(2, HB_EV_EXIT, CHILD, 1, 0, 0, 0);
}

static void a_vforked_child_that_exits_leaves_its_parents_generation(void **state)
{
	struct thread *parent = traced_thread(), *child;

	child = thread_fork(parent, CHILD, true);
	thread_exit(child);
	assert_event(1, HB_EV_EXIT, CHILD, GEN, 0, 0, 1);
	assert_null(proc_of(CHILD));
	take(parent, SITE_A, 1, 0x1000);
	assert_site(GEN, SITE_A, 1, 1, 0, 0);
}

static void exec_begins_a_new_generation_at_zero(void **state)
{
	struct thread *thread = traced_thread();

	take(thread, SITE_A, 100, 0x1000);
	thread_exec(thread);
	assert_event(0, HB_EV_EXEC, PID, 1, GEN, 0, 0);
	give(thread, 0x1000);
	take(thread, SITE_A, 5, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_site(1, SITE_A, 5, 1, 0, 0);
	assert_int_equal(counter(HB_CNT_FREE_MISSED), 0);
}

static void a_process_told_to_count_from_exec_on_does_not_count_before(void **state)
{
	struct thread *thread = thread_new(PID, NULL);

	process_put(PID, GEN, HB_PROC_AT_EXEC | HB_PROC_FOLLOW);
	take(thread, SITE_A, 100, 0x1000);
	thread_fork(thread, CHILD, false);
	assert_int_equal(fake_rows("hb_sites"), 0);
	assert_int_equal(fake_events(), 0);
	thread_exec(thread);
	assert_event(0, HB_EV_EXEC, PID, 1, 0, 0, 0);
	assert_int_equal(proc_of(PID)->flags, HB_PROC_TRACED | HB_PROC_FOLLOW | HB_PROC_BEGAN);
	take(thread, SITE_A, 5, 0x1000);
	assert_site(1, SITE_A, 5, 1, 0, 0);
}

static void without_follow_children_are_not_traced(void **state)
{
	struct thread *thread = thread_new(PID, NULL), *child;

	process_put(PID, GEN, HB_PROC_TRACED);
	child = thread_fork(thread, CHILD, false);
	take(child, SITE_A, 100, 0x1000);
	assert_null(proc_of(CHILD));
	assert_int_equal(fake_events(), 0);
	assert_int_equal(fake_rows("hb_sites"), 0);
	thread_exec(thread);
	assert_event(0, HB_EV_EXEC, PID, 1, GEN, 0, 0);
	assert_int_equal(proc_of(PID)->flags, HB_PROC_TRACED | HB_PROC_BEGAN);
}

static void without_follow_a_vforked_child_counts_until_it_execs_and_then_no_more(void **state)
{
	struct thread *thread = thread_new(PID, NULL), *child;

	process_put(PID, GEN, HB_PROC_TRACED);
	child = thread_fork(thread, CHILD, true);
	take(child, SITE_A, 100, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	thread_exec(child);
	assert_null(proc_of(CHILD));
	take(child, SITE_A, 10, 0x2000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	assert_int_equal(fake_rows("hb_sites"), 1);
}

static void the_last_thread_ends_the_process(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	thread_exit(thread);
	assert_int_equal(fake_events(), 0);
	take(other, SITE_A, 1, 0x1000);
	thread_exit(other);
	assert_event(0, HB_EV_EXIT, PID, GEN, 0, 0, 0);
	assert_int_equal(fake_rows("hb_procs"), 0);
	assert_site(GEN, SITE_A, 1, 1, 0, 0); /* what it held when it died */
}

static void two_last_threads_that_end_at_once_make_one_event(void **state)
{
	struct thread *thread = traced_thread(), *other = thread_new(PID + 1, thread);

	thread->task->signal->live.counter = 0;
	fake_current(thread->task);
	hb_task_exit(thread->task);
	fake_current(other->task);
	hb_task_exit(other->task);
	assert_int_equal(fake_events(), 1);
}

static void delete_hook(void *arg)
{
	fake_drop("hb_procs", arg);
}

static void an_exit_whose_row_another_took_makes_no_event(void **state)
{
	struct thread *thread = traced_thread();
	u32 key = PID;

	fake_hook("hb_procs", FAKE_DELETE, delete_hook, &key);
	thread_exit(thread);
	assert_int_equal(fake_events(), 0);
}

static void a_reused_pid_is_another_process(void **state)
{
	struct thread *parent = traced_thread(), *child;

	child = thread_fork(parent, CHILD, false);
	take(child, SITE_A, 100, 0x1000);
	thread_exit(child);
	child = thread_fork(parent, CHILD, false);
	assert_event(2, HB_EV_FORK, CHILD, 2, GEN, PID, 0);
	take(child, SITE_A, 5, 0x1000);
	assert_site(1, SITE_A, 100, 1, 0, 0);
	assert_site(2, SITE_A, 5, 1, 0, 0);
	thread_exit(child);
	child = thread_new(CHILD, NULL); /* forked by somebody else */
	take(child, SITE_A, 1, 0x1000);
	assert_int_equal(fake_rows("hb_sites"), 2);
	assert_int_equal(counter(HB_CNT_FREE_MISSED), 0);
}

static void a_process_that_is_only_seen_is_followed_and_its_calls_do_not_count(void **state)
{
	struct thread *thread = thread_new(PID, NULL), *child;

	process_put(PID, GEN, HB_PROC_SEEN);
	take(thread, SITE_A, 100, 0x1000);
	assert_int_equal(fake_rows("hb_sites"), 0);
	child = thread_fork(thread, CHILD, false);
	assert_event(0, HB_EV_FORK, CHILD, 1, GEN, PID, 0);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_SEEN);
	thread_exec(child);
	assert_event(1, HB_EV_EXEC, CHILD, 2, 1, 0, 0);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_SEEN | HB_PROC_BEGAN);
	take(child, SITE_A, 100, 0x1000);
	assert_int_equal(fake_rows("hb_sites"), 0);
	thread_exit(child);
	assert_event(2, HB_EV_EXIT, CHILD, 2, 0, 0, 0);
	assert_null(proc_of(CHILD));
}

static void a_child_begins_as_its_parent_did_while_that_is_at_its_first_pages(void **state)
{
	struct thread *thread = thread_new(PID, NULL), *child;

	process_put(PID, GEN, HB_PROC_SEEN);
	fake_first = true;
	child = thread_fork(thread, CHILD, false);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_SEEN); /* nobody saw how its parent began */
	thread_exit(child);
	thread_exec(thread);
	child = thread_fork(thread, CHILD, false);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_SEEN | HB_PROC_BEGAN);
	thread_exit(child);
	fake_first = false;
	child = thread_fork(thread, CHILD, false);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_SEEN);
}

static void a_process_that_is_seen_and_traced_stays_so_over_an_exec_and_its_children_are_only_seen(void **state)
{
	struct thread *thread = thread_new(PID, NULL), *child;

	process_put(PID, GEN, HB_PROC_SEEN | HB_PROC_TRACED);
	take(thread, SITE_A, 100, 0x1000);
	assert_site(GEN, SITE_A, 100, 1, 0, 0);
	child = thread_fork(thread, CHILD, false);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_SEEN);
	take(child, SITE_A, 5, 0x2000);
	assert_int_equal(fake_rows("hb_sites"), 1);
	thread_exit(child);
	child = thread_fork(thread, CHILD, true);
	thread_exec(child);
	assert_int_equal(proc_of(CHILD)->flags, HB_PROC_SEEN | HB_PROC_BEGAN);
	thread_exec(thread);
	assert_int_equal(proc_of(PID)->flags, HB_PROC_SEEN | HB_PROC_TRACED | HB_PROC_BEGAN);
	take(thread, SITE_A, 7, 0x1000);
	assert_site(proc_of(PID)->gen, SITE_A, 7, 1, 0, 0);
}

static void processes_that_are_not_traced_make_no_events(void **state)
{
	struct thread *thread = thread_new(PID, NULL), *child;

	child = thread_fork(thread, CHILD, false);
	thread_exec(child);
	thread_exit(child);
	thread_exit(thread);
	assert_int_equal(fake_events(), 0);
	assert_int_equal(fake_rows("hb_procs"), 0);
}

static void a_child_without_room_is_lost_and_counted(void **state)
{
	struct thread *parent = traced_thread(), *child;

	fake_limit("hb_procs", 1);
	child = thread_fork(parent, CHILD, false);
	take(child, SITE_A, 100, 0x1000);
	assert_int_equal(counter(HB_CNT_PROC_FULL), 1);
	assert_int_equal(fake_events(), 0);
	assert_int_equal(fake_rows("hb_sites"), 0);
	thread_exec(parent); /* its own row is there already */
	assert_event(0, HB_EV_EXEC, PID, 2, GEN, 0, 0);
}

static void an_exec_that_cannot_be_kept_ends_the_tracing(void **state)
{
	struct thread *thread = traced_thread();

	fake_fail("hb_procs", FAKE_UPDATE, 0, 1, -ENOMEM);
	thread_exec(thread);
	assert_null(proc_of(PID));
	assert_int_equal(counter(HB_CNT_PROC_FULL), 1);
	take(thread, SITE_A, 1, 0x1000);
	assert_int_equal(fake_rows("hb_sites"), 0);
}

static void an_event_that_the_ring_refuses_is_counted(void **state)
{
	struct thread *thread = traced_thread();

	fake_fail("hb_ring", FAKE_OUTPUT, 0, 1, -EAGAIN);
	thread_exec(thread);
	assert_int_equal(fake_events(), 0);
	assert_int_equal(counter(HB_CNT_RING_FULL), 1);
	take(thread, SITE_A, 1, 0x1000);
	assert_site(1, SITE_A, 1, 1, 0, 0);
}

static void events_are_in_the_order_of_their_times(void **state)
{
	struct thread *thread = traced_thread(), *child;

	child = thread_fork(thread, CHILD, false);
	thread_exec(child);
	thread_exit(child);
	assert_int_equal(fake_events(), 3);
	for (u32 i = 1; i < 3; i++)
		assert_true(event(i - 1)->time_ns < event(i)->time_ns);
}

static void a_long_name_is_cut_and_ends(void **state)
{
	struct thread *thread = traced_thread();

	memcpy(thread->task->comm, "0123456789abcdef", HB_COMM_LEN);
	thread_exec(thread);
	assert_string_equal(event(0)->comm, "0123456789abcde");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_forked_child_starts_at_zero_with_a_generation_of_its_own),
		BOTH(a_child_forked_inside_malloc_does_not_count_its_parents_call),
		ONCE(a_new_thread_is_no_fork),
		BOTH(a_vforked_child_counts_as_its_parent_until_it_execs),
		BOTH(a_vforked_child_that_exits_leaves_its_parents_generation),
		BOTH(exec_begins_a_new_generation_at_zero),
		BOTH(a_process_told_to_count_from_exec_on_does_not_count_before),
		ONCE(without_follow_children_are_not_traced),
		ONCE(without_follow_a_vforked_child_counts_until_it_execs_and_then_no_more),
		ONCE(the_last_thread_ends_the_process),
		ONCE(two_last_threads_that_end_at_once_make_one_event),
		ONCE(an_exit_whose_row_another_took_makes_no_event),
		BOTH(a_reused_pid_is_another_process),
		ONCE(a_process_that_is_only_seen_is_followed_and_its_calls_do_not_count),
		ONCE(a_child_begins_as_its_parent_did_while_that_is_at_its_first_pages),
		ONCE(a_process_that_is_seen_and_traced_stays_so_over_an_exec_and_its_children_are_only_seen),
		ONCE(processes_that_are_not_traced_make_no_events),
		ONCE(a_child_without_room_is_lost_and_counted),
		ONCE(an_exec_that_cannot_be_kept_ends_the_tracing),
		ONCE(an_event_that_the_ring_refuses_is_counted),
		ONCE(events_are_in_the_order_of_their_times),
		ONCE(a_long_name_is_cut_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
