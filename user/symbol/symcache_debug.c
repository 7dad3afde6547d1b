// SPDX-License-Identifier: Apache-2.0
/* Debug files of cached files: found when the file is, or fetched; and what DWARF says, within its share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "debugfile.h"
#include "symcache_parts.h"

#define NS_PER_S INT64_C(1000000000)

/* At once, and one part in @part of the time that goes by. */
struct allowance {
	int64_t burst_ns, part;
};

static const struct allowance for_file = { 5 * NS_PER_S, 50 };
static const struct allowance for_all = { 20 * NS_PER_S, 10 };

static bool share_left(struct share *share, const struct allowance *allowance, uint64_t now_ns)
{
	share->left_ns += share->since_ns ? (int64_t)(now_ns - share->since_ns) / allowance->part :
					    allowance->burst_ns;
	if (share->left_ns > allowance->burst_ns)
		share->left_ns = allowance->burst_ns;
	share->since_ns = now_ns;
	return share->left_ns > 0;
}

static int64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* --- debug files ------------------------------------------------------------------------------ */

/* Which of @row's files has DWARF, if it is open. */
static struct elf_file *dwarf_file(const struct cached_file *row)
{
	struct elf_file *const files[] = { row->late, row->file->debug, row->file };
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (files[i] && debugfile_has_dwarf(files[i]))
			return files[i];
	}
	return NULL;
}

static void common_find(struct symcache *cache, struct cached_file *row, const struct elf_file *debug, int root)
{
	if (row->common || debugfile_open_common(debug, root, &row->common))
		return;
	cache->extra_count++;
	symcache_bound(cache);
}

void symcache_debug_find(struct symcache *cache, struct cached_file *row, const char *path, int root)
{
	struct elf_file *debug;

	if (debugfile_has_dwarf(row->file)) {
		common_find(cache, row, row->file, root);
		return;
	}
	if (debugfile_open(row->file, path, root, &debug))
		return;
	elffile_set_debug(row->file, debug);
	cache->extra_count++;
	symcache_bound(cache);
	common_find(cache, row, debug, root);
}

/* A debug file that was closed is found again if it has a build-id and lies in our own root. */
static void debug_reopen(struct symcache *cache, struct cached_file *row)
{
	const struct elf_file *closed = row->late ? row->late : row->file->debug;

	if (!closed || closed->fd >= 0 || row->late_named)
		return;
	elffile_free(row->late);
	row->late = NULL;
	if (debugfile_open(row->file, NULL, -1, &row->late))
		return;
	cache->extra_count++;
	symcache_bound(cache);
}

static void lines_close(struct symcache *cache, struct cached_file *row)
{
	lines_free(row->lines);
	cache->lines_bytes -= row->lines_bytes;
	row->lines_bytes = 0;
	row->lines = NULL;
	row->lines_tried = false;
}

static void extra_close(struct symcache *cache, struct elf_file *extra)
{
	if (!extra || extra->fd < 0)
		return;
	elffile_close(extra);
	cache->extra_count--;
}

void symcache_debug_close(struct symcache *cache, struct cached_file *row)
{
	elffile_index(row->file);
	lines_close(cache, row);
	extra_close(cache, row->file->debug);
	extra_close(cache, row->late);
	extra_close(cache, row->common);
	elffile_free(row->common);
	row->common = NULL;
}

void symcache_debug_free(struct cached_file *row)
{
	lines_free(row->lines);
	elffile_free(row->common);
	elffile_free(row->late);
}

/* --- servers ---------------------------------------------------------------------------------- */

/* The file that came for @row, if it is the right one. */
static void late_take(struct symcache *cache, struct cached_file *row, int result)
{
	__cleanup(fd_closep) int fd = result;
	struct elf_file *debug;

	row->fetch = FETCH_DONE;
	if (fd < 0 || elffile_open(&debug, fd))
		return;
	if (debug->narrow != row->file->narrow || strcmp(debug->build_id, row->file->build_id)) {
		log_debug("a server gave a debug file of another build-id than %s", row->file->build_id);
		elffile_free(debug);
		return;
	}
	lines_close(cache, row);
	extra_close(cache, row->late);
	elffile_free(row->late);
	row->late = debug;
	row->late_named = true;
	cache->extra_count++;
	symcache_bound(cache);
	elffile_index(debug);
	row->edition++;
}

void symcache_fetch_look(struct symcache *cache, struct cached_file *row)
{
	int result;

	if (!cache->fetcher || row->fetch == FETCH_DONE)
		return;
	if (row->fetch == FETCH_NOT) {
		row->fetch = FETCH_DONE;
		if (*row->file->build_id && !row->late && row->file->fd >= 0 && !dwarf_file(row) &&
		    fetcher_ask(cache->fetcher, row->file->build_id))
			row->fetch = FETCH_ASKED;
		return;
	}
	result = fetcher_take(cache->fetcher, row->file->build_id);
	if (result != -EAGAIN)
		late_take(cache, row, result);
}

/* --- DWARF ------------------------------------------------------------------------------------ */

/* Drop what others hold of DWARF, those that were not asked for longest, until it is little enough. */
static void lines_bound(struct symcache *cache, struct cached_file *keep)
{
	while (cache->lines_bytes > SYMCACHE_LINES_MAX) {
		struct cached_file *row, *oldest = NULL;

		for (row = cache->files; row; row = row->hh.next) {
			if (row->lines && row != keep && (!oldest || row->used < oldest->used))
				oldest = row;
		}
		if (!oldest) {
			lines_close(cache, keep);
			keep->lines_tried = true; /* it alone is too much */
			return;
		}
		lines_close(cache, oldest);
	}
}

static void lines_begin(struct symcache *cache, struct cached_file *row)
{
	struct elf_file *dwarf;

	debug_reopen(cache, row);
	row->lines_tried = true;
	dwarf = dwarf_file(row);
	if (!dwarf || dwarf->narrow)
		return;
	common_find(cache, row, dwarf, -1);
	row->lines = lines_open(dwarf, row->common);
}

/* True once for each file. */
static bool tell_once(struct cached_file *row)
{
	bool told = row->lines_told;

	row->lines_told = true;
	return !told;
}

int symcache_levels(struct symcache *cache, struct cached_file *row, uint64_t vaddr, struct line_level *levels,
		    size_t cap)
{
	uint64_t now_ns;
	int64_t began_ns;
	size_t count = 0;
	bool all, own;

	if (row->lines_tried && !row->lines)
		return 0;
	now_ns = clock_mono_ns();
	all = share_left(&cache->share, &for_all, now_ns);
	own = share_left(&row->share, &for_file, now_ns);
	if (!cache->patient && (!all || !own)) {
		if (tell_once(row))
			log_debug("the DWARF of build-id %s takes long to read; some of its frames have no lines",
				  *row->file->build_id ? row->file->build_id : "(none)");
		return -EAGAIN;
	}
	began_ns = cpu_ns();
	if (!row->lines_tried)
		lines_begin(cache, row);
	if (row->lines) {
		count = lines_find(row->lines, vaddr, levels, cap);
		cache->lines_bytes += lines_memory(row->lines) - row->lines_bytes;
		row->lines_bytes = lines_memory(row->lines);
		lines_bound(cache, row);
		if (!row->lines)
			count = 0; /* its strings are gone with it */
	}
	began_ns = cpu_ns() - began_ns;
	cache->share.left_ns -= began_ns;
	row->share.left_ns -= began_ns;
	return (int)count;
}
