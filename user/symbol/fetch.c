// SPDX-License-Identifier: Apache-2.0
#include "fetch.h"

#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1 /* a row that finds no memory is not kept: its hh.tbl is NULL then */
#include <uthash.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "debugfile.h"

#define LIBRARY      "libdebuginfod.so.1"
#define FAILURES_MAX 3
#define NS_PER_S     1000000000ull
#define NS_PER_MS    1000000ull

struct library {
	debuginfod_client *(*begin)(void);
	void (*end)(debuginfod_client *client);
	int (*find)(debuginfod_client *client, const unsigned char *build_id, int build_id_bytes, char **path);
	void (*set_progress)(debuginfod_client *client, debuginfod_progressfn_t progress);
};

/* One fetch, as its progress function sees it. */
struct running {
	const atomic_bool *stop; /* or NULL */
	bool too_large;
};

struct request {
	UT_hash_handle hh;    /* the asker's */
	struct request *next; /* in the queue */
	int result;           /* descriptor or negative errno; -EAGAIN: not answered */
	char build_id[];
};

struct fetcher {
	struct library library;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_bool stop;
	/* With the lock: */
	struct request *requests;     /* all */
	struct request *first, *last; /* the queue: those to be answered */
	unsigned int failures;        /* in a row */
};

static bool servers_named(void)
{
	const char *urls = getenv(DEBUGINFOD_URLS_ENV_VAR);

	return urls && urls[strspn(urls, " ")];
}

static void *function(void *handle, const char *name, int *err)
{
	void *address = handle ? dlsym(handle, name) : NULL;

	if (!address)
		*err = -ENOSYS;
	return address;
}

/* Never unloaded: it leaves threads and handlers behind. */
static int library_load(struct library *library)
{
	void *handle;
	int err = 0;

	if (!servers_named())
		return -ENOENT;
	handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	*(void **)&library->begin = function(handle, "debuginfod_begin", &err);
	*(void **)&library->end = function(handle, "debuginfod_end", &err);
	*(void **)&library->find = function(handle, "debuginfod_find_debuginfo", &err);
	*(void **)&library->set_progress = function(handle, "debuginfod_set_progressfn", &err);
	if (err)
		log_debug("debug files are not fetched: %s", handle ? LIBRARY " is too old" : dlerror());
	return err;
}

static _Thread_local struct running *running_now;

/* Called while a file comes in: @have of @all bytes, as far as they are known. Non-zero ends it. */
static int progress(debuginfod_client *client, long have, long all)
{
	struct running *running = running_now;

	(void)client;
	running->too_large = (have > 0 && (uint64_t)have > FETCH_BYTES_MAX) ||
			     (all > 0 && (uint64_t)all > FETCH_BYTES_MAX);
	return running->too_large || (running->stop && atomic_load(running->stop));
}

static int fetch(const struct library *library, const char *build_id, const atomic_bool *stop)
{
	struct running running = { .stop = stop };
	debuginfod_client *client = library->begin();
	struct stat stat;
	int fd;

	if (!client)
		return -ENOMEM;
	running_now = &running;
	library->set_progress(client, progress);
	fd = library->find(client, (const unsigned char *)build_id, 0, NULL); /* 0: it is text */
	library->end(client);
	if (fd < 0)
		return running.too_large ? -EFBIG : fd == -EAGAIN ? -EIO : fd;
	if (!fstat(fd, &stat) && S_ISREG(stat.st_mode) && (uint64_t)stat.st_size <= FETCH_BYTES_MAX)
		return fd;
	close(fd);
	return -EFBIG;
}

int debugfile_fetch(const char *build_id)
{
	struct library library;
	int err = library_load(&library);

	return err ? err : fetch(&library, build_id, NULL);
}

static void *fetch_all(void *opaque)
{
	struct fetcher *fetcher = opaque;
	struct request *request;

	pthread_mutex_lock(&fetcher->lock);
	while (!atomic_load(&fetcher->stop)) {
		int result = -ENOENT;

		request = fetcher->first;
		if (!request) {
			pthread_cond_wait(&fetcher->changed, &fetcher->lock);
			continue;
		}
		if (fetcher->failures < FAILURES_MAX) {
			pthread_mutex_unlock(&fetcher->lock);
			result = fetch(&fetcher->library, request->build_id, &fetcher->stop);
			pthread_mutex_lock(&fetcher->lock);
			fetcher->failures = result >= 0 || result == -ENOENT ? 0 : fetcher->failures + 1;
			if (fetcher->failures == FAILURES_MAX)
				log_debug("debug files are not fetched any more: %s", strerror(-result));
		}
		request->result = result;
		fetcher->first = request->next;
		pthread_cond_broadcast(&fetcher->changed);
	}
	pthread_mutex_unlock(&fetcher->lock);
	return NULL;
}

/* The thread takes no signals: they are the program's. */
static int thread_start(struct fetcher *fetcher)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&fetcher->thread, NULL, fetch_all, fetcher);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int fetcher_start(struct fetcher **out)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
	pthread_condattr_t attr;
	int err;

	if (!fetcher)
		return -ENOMEM;
	err = library_load(&fetcher->library);
	if (err) {
		free(fetcher);
		return err;
	}
	pthread_mutex_init(&fetcher->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&fetcher->changed, &attr);
	pthread_condattr_destroy(&attr);
	err = thread_start(fetcher);
	if (err) {
		free(fetcher);
		return err;
	}
	*out = fetcher;
	return 0;
}

void fetcher_stop(struct fetcher *fetcher)
{
	struct request *request, *next;

	if (!fetcher)
		return;
	atomic_store(&fetcher->stop, true);
	pthread_mutex_lock(&fetcher->lock);
	pthread_cond_broadcast(&fetcher->changed);
	pthread_mutex_unlock(&fetcher->lock);
	pthread_join(fetcher->thread, NULL);
	HASH_ITER(hh, fetcher->requests, request, next) {
		HASH_DEL(fetcher->requests, request);
		if (request->result >= 0)
			close(request->result);
		free(request);
	}
	pthread_cond_destroy(&fetcher->changed);
	pthread_mutex_destroy(&fetcher->lock);
	free(fetcher);
}

static struct request *request_add(struct fetcher *fetcher, const char *build_id)
{
	size_t length = strlen(build_id);
	struct request *request = calloc(1, sizeof(*request) + length + 1);

	if (!request)
		return NULL;
	memcpy(request->build_id, build_id, length + 1);
	request->result = -EAGAIN;
	HASH_ADD_KEYPTR(hh, fetcher->requests, request->build_id, length, request);
	if (request->hh.tbl)
		return request;
	free(request);
	return NULL;
}

bool fetcher_ask(struct fetcher *fetcher, const char *build_id)
{
	struct request *request;
	bool there;

	pthread_mutex_lock(&fetcher->lock);
	HASH_FIND_STR(fetcher->requests, build_id, request);
	there = request;
	if (!request && HASH_COUNT(fetcher->requests) < FETCH_ASK_MAX) {
		request = request_add(fetcher, build_id);
		there = request;
		if (request && fetcher->first)
			fetcher->last->next = request;
		else if (request)
			fetcher->first = request;
		if (request)
			fetcher->last = request;
		pthread_cond_broadcast(&fetcher->changed);
	}
	pthread_mutex_unlock(&fetcher->lock);
	return there;
}

int fetcher_take(struct fetcher *fetcher, const char *build_id)
{
	struct request *request;
	int result = -ENOENT;

	pthread_mutex_lock(&fetcher->lock);
	HASH_FIND_STR(fetcher->requests, build_id, request);
	if (request) {
		result = request->result;
		if (result >= 0)
			request->result = -ENOENT;
	}
	pthread_mutex_unlock(&fetcher->lock);
	return result;
}

bool fetcher_wait(struct fetcher *fetcher, unsigned int timeout_ms)
{
	uint64_t end_ns = clock_mono_ns() + timeout_ms * NS_PER_MS;
	struct timespec end = { .tv_sec = (time_t)(end_ns / NS_PER_S), .tv_nsec = (long)(end_ns % NS_PER_S) };
	bool done;

	pthread_mutex_lock(&fetcher->lock);
	while (fetcher->first &&
	       pthread_cond_timedwait(&fetcher->changed, &fetcher->lock, &end) != ETIMEDOUT)
		;
	done = !fetcher->first;
	pthread_mutex_unlock(&fetcher->lock);
	return done;
}
