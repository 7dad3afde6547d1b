// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "../../user/base/worker.h"

/* What a job and its caller note down; each writes its own half, and the other's only behind a semaphore. */
struct notes {
	pthread_t job_thread;
	unsigned int jobs;
	unsigned int meanwhiles;
	unsigned int meanwhiles_wanted;
	unsigned int meanwhiles_before; /* when the job ran */
	sem_t go;
	sem_t gone;
};

static struct notes notes;

static void begin(unsigned int meanwhiles_wanted)
{
	notes = (struct notes){ .meanwhiles_wanted = meanwhiles_wanted };
	assert_int_equal(sem_init(&notes.go, 0, 0), 0);
	assert_int_equal(sem_init(&notes.gone, 0, 0), 0);
}

static void job(void *arg)
{
	struct notes *of = arg;

	of->job_thread = pthread_self();
	of->meanwhiles_before = of->meanwhiles;
	of->jobs++;
}

/* Goes on only when the caller has been called so often. */
static void long_job(void *arg)
{
	struct notes *of = arg;

	while (sem_wait(&of->go))
		;
	job(arg);
	sem_post(&of->gone);
}

static void meanwhile(void *ctx)
{
	struct notes *of = ctx;

	of->meanwhiles++;
	if (of->meanwhiles == of->meanwhiles_wanted)
		sem_post(&of->go);
}

static void a_job_runs_on_another_thread_and_is_done_afterwards(void **state)
{
	struct worker *worker = worker_new();

	(void)state;
	assert_non_null(worker);
	begin(0);
	worker_run(worker, job, &notes, meanwhile, &notes);
	assert_int_equal(notes.jobs, 1);
	assert_false(pthread_equal(notes.job_thread, pthread_self()));
	worker_free(worker);
}

static void the_caller_goes_on_while_a_job_runs(void **state)
{
	struct worker *worker = worker_new();

	(void)state;
	assert_non_null(worker);
	begin(5);
	worker_run(worker, long_job, &notes, meanwhile, &notes);
	assert_int_equal(notes.jobs, 1);
	assert_true(notes.meanwhiles_before >= 5);
	worker_free(worker);
}

/* The job ends while the caller is busy elsewhere. */
static void meanwhile_the_job_ends(void *ctx)
{
	struct notes *of = ctx;

	of->meanwhiles++;
	sem_post(&of->go);
	while (sem_wait(&of->gone))
		;
}

static void a_job_that_ends_meanwhile_is_noticed(void **state)
{
	struct worker *worker = worker_new();

	(void)state;
	assert_non_null(worker);
	begin(0);
	worker_run(worker, long_job, &notes, meanwhile_the_job_ends, &notes);
	assert_int_equal(notes.jobs, 1);
	assert_int_equal(notes.meanwhiles, 1);
	worker_free(worker);
}

static void jobs_run_one_after_the_other_on_one_thread(void **state)
{
	struct worker *worker = worker_new();
	pthread_t first = pthread_self();

	(void)state;
	assert_non_null(worker);
	begin(0);
	for (unsigned int i = 1; i <= 2000; i++) {
		worker_run(worker, job, &notes, meanwhile, &notes);
		assert_int_equal(notes.jobs, i);
		assert_false(pthread_equal(notes.job_thread, pthread_self()));
		if (i > 1)
			assert_true(pthread_equal(notes.job_thread, first));
		first = notes.job_thread;
	}
	worker_free(worker);
}

static void two_workers_do_not_meet(void **state)
{
	struct worker *one = worker_new(), *two = worker_new();
	pthread_t first;

	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	begin(0);
	worker_run(one, job, &notes, meanwhile, &notes);
	first = notes.job_thread;
	worker_run(two, job, &notes, meanwhile, &notes);
	assert_false(pthread_equal(first, notes.job_thread));
	worker_run(one, job, &notes, meanwhile, &notes);
	assert_true(pthread_equal(first, notes.job_thread));
	worker_free(one);
	worker_free(two);
}

static void without_a_thread_the_job_runs_here_and_the_rest_before(void **state)
{
	(void)state;
	begin(0);
	worker_run(NULL, job, &notes, meanwhile, &notes);
	assert_int_equal(notes.jobs, 1);
	assert_int_equal(notes.meanwhiles, 1);
	assert_int_equal(notes.meanwhiles_before, 1);
	assert_true(pthread_equal(notes.job_thread, pthread_self()));
}

static void ask_mask(void *arg)
{
	pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void signals_are_left_to_the_thread_that_waits_for_them(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGWINCH, SIGUSR1, SIGALRM, SIGPIPE };
	struct worker *worker;
	sigset_t before, after, there;

	(void)state;
	begin(0);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	worker = worker_new();
	assert_non_null(worker);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	worker_run(worker, ask_mask, &there, meanwhile, &notes);
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(sigismember(&there, signals[i]), 1);
		assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
	}
	worker_free(worker);
}

static void a_worker_ends_whether_it_worked_or_not(void **state)
{
	(void)state;
	begin(0);
	worker_free(NULL);
	for (unsigned int i = 0; i < 200; i++) {
		struct worker *worker = worker_new();

		assert_non_null(worker);
		if (i % 2)
			worker_run(worker, job, &notes, meanwhile, &notes);
		worker_free(worker);
	}
	assert_int_equal(notes.jobs, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_runs_on_another_thread_and_is_done_afterwards),
		cmocka_unit_test(the_caller_goes_on_while_a_job_runs),
		cmocka_unit_test(a_job_that_ends_meanwhile_is_noticed),
		cmocka_unit_test(jobs_run_one_after_the_other_on_one_thread),
		cmocka_unit_test(two_workers_do_not_meet),
		cmocka_unit_test(without_a_thread_the_job_runs_here_and_the_rest_before),
		cmocka_unit_test(signals_are_left_to_the_thread_that_waits_for_them),
		cmocka_unit_test(a_worker_ends_whether_it_worked_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
