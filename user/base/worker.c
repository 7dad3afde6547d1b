// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define MEANWHILE_NS (5L * 1000000)

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void (*job)(void *arg); /* NULL: none waits or runs */
	void *arg;
	bool ending;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	pthread_mutex_lock(&worker->lock);
	while (!worker->ending) {
		if (!worker->job) {
			pthread_cond_wait(&worker->changed, &worker->lock);
			continue;
		}
		pthread_mutex_unlock(&worker->lock);
		worker->job(worker->arg);
		pthread_mutex_lock(&worker->lock);
		worker->job = NULL;
		pthread_cond_broadcast(&worker->changed);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

struct worker *worker_new(void)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	pthread_condattr_t attributes;
	sigset_t all, before;
	int err;

	if (!worker)
		return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	/* Signals are for the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		return worker;
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
	return NULL;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

static struct timespec soon(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_nsec += MEANWHILE_NS;
	if (time.tv_nsec >= 1000000000L) {
		time.tv_nsec -= 1000000000L;
		time.tv_sec++;
	}
	return time;
}

void worker_run(struct worker *worker, void (*job)(void *arg), void *arg, void (*meanwhile)(void *ctx), void *ctx)
{
	if (!worker) {
		meanwhile(ctx);
		job(arg);
		return;
	}
	pthread_mutex_lock(&worker->lock);
	worker->job = job;
	worker->arg = arg;
	pthread_cond_broadcast(&worker->changed);
	while (worker->job) {
		struct timespec until = soon();

		if (pthread_cond_timedwait(&worker->changed, &worker->lock, &until) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&worker->lock);
		meanwhile(ctx);
		pthread_mutex_lock(&worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
}
