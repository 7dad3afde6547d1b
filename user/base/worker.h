/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread for work that may take long: reading a large file, naming its code. The caller waits,
 * but goes on with what must not wait.
 */
#ifndef HB_BASE_WORKER_H
#define HB_BASE_WORKER_H

struct worker;

/* NULL if there is no memory or no thread to be had: worker_run() takes that too. */
struct worker *worker_new(void);
void worker_free(struct worker *worker);

/*
 * Run @job(@arg) on the thread and return when it is done. Until then @meanwhile(@ctx) is called here,
 * every few milliseconds; what it touches must not be what @job touches. Without a thread @job runs
 * here, and @meanwhile before it. One job at a time.
 */
void worker_run(struct worker *worker, void (*job)(void *arg), void *arg, void (*meanwhile)(void *ctx), void *ctx);

#endif
