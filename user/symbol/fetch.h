/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug files from the servers that DEBUGINFOD_URLS names, by build-id. Whoever sets that variable wants
 * it; without it nothing is asked. libdebuginfod does the work, if it is installed: it is loaded when it
 * is needed. Its other variables (DEBUGINFOD_TIMEOUT, _MAXTIME, _CACHE_PATH...) mean what they always do.
 */
#ifndef HB_SYMBOL_FETCH_H
#define HB_SYMBOL_FETCH_H

#include <stdbool.h>

#define FETCH_BYTES_MAX (4ull << 30) /* a larger file is not fetched */
#define FETCH_ASK_MAX   4096         /* files that one fetcher asks for */

/* A thread that fetches one file after the other. */
struct fetcher;

/* 0; -ENOENT (no server is named), -ENOSYS (no library), -ENOMEM, -EAGAIN (no thread). */
int fetcher_start(struct fetcher **out);
/* Give up what is being fetched; takes about a second then. NULL is fine. */
void fetcher_stop(struct fetcher *fetcher);

/* Put @build_id into the queue, unless it was there before. false: too many were, or memory is short. */
bool fetcher_ask(struct fetcher *fetcher, const char *build_id);

/*
 * What became of it: a descriptor, once; -EAGAIN (no answer yet); or why there is none, as
 * debugfile_fetch() says. Servers
 * that failed three times in a row are not asked any more.
 */
int fetcher_take(struct fetcher *fetcher, const char *build_id);

/* Wait until all is answered, at most @timeout_ms. Whether it is. */
bool fetcher_wait(struct fetcher *fetcher, unsigned int timeout_ms);

#endif
