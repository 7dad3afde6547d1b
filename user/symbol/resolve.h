/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for frames that were saved, maybe on another machine and long ago: of the files that they lay
 * in, wherever those or their debug files are now. A file is believed if its build-id is the saved one;
 * a frame that was saved without a build-id gets no name. What is asked may be anybody's words.
 */
#ifndef HB_SYMBOL_RESOLVE_H
#define HB_SYMBOL_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "../model/frame.h"

#define RESOLVE_DIRS_MAX    16
#define RESOLVE_FILES_MAX   65536 /* files asked for; frames of more get no name */
#define RESOLVE_FETCHES_MAX 1000  /* questions to debuginfod servers */

struct resolve;

/*
 * @dirs: folders with debug files, by build-id (.build-id/ab/cdef.debug), looked through before all
 * else; at most RESOLVE_DIRS_MAX. @fetch: what is not found here is asked of the servers in
 * DEBUGINFOD_URLS. 0; -ENOMEM; -E2BIG; or why a folder could not be opened, its place in *@bad.
 */
int resolve_new(struct resolve **resolve, const char *const *dirs, size_t dirs_count, bool fetch, size_t *bad);
void resolve_free(struct resolve *resolve);

/*
 * The levels at @saved (module, build_id, offset, exact are looked at), innermost first, at most @cap;
 * 0: its file was not found. Where several files are found the one that knows most is taken. Strings
 * live as long as @resolve.
 */
size_t resolve_frames(struct resolve *resolve, const struct frame *saved, struct frame *frames, size_t cap);

/* Call @each for every file that was asked for and not found. */
void resolve_missing(const struct resolve *resolve,
		     void (*each)(void *ctx, const char *path, const char *build_id), void *ctx);

#endif
