// SPDX-License-Identifier: Apache-2.0
/* A target's beginning and end, and what the traced processes hold, read into the board. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../model/pages.h"
#include "../remote/memstat.h"
#include "../remote/procfs.h"
#include "events.h"
#include "target_private.h"

#define PURGE_PROCESSES 64 /* ended images whose rows are removed in one go, unless a table is half full */

/* Sites by key, while the live blocks are walked. */
struct site_index {
	uint32_t *slots; /* site number + 1, 0: free */
	size_t mask;
	struct board_site *sites;
	uint64_t born_before_ns;
	uint64_t seed; /* of the sample */
};

static size_t site_hash(const struct hb_site_key *key)
{
	uint64_t hash = key->stack ^ ((uint64_t)key->gen << 32 | key->tid) ^ ((uint64_t)key->source << 17);

	hash *= 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 31);
}

static int index_build(struct site_index *index, struct board_site *sites, size_t count)
{
	size_t size = 1024;

	while (size < 2 * count)
		size *= 2;
	index->slots = calloc(size, sizeof(*index->slots));
	if (!index->slots)
		return -ENOMEM;
	index->mask = size - 1;
	index->sites = sites;
	for (size_t i = 0; i < count; i++) {
		size_t slot = site_hash(&sites[i].key) & index->mask;

		while (index->slots[slot])
			slot = (slot + 1) & index->mask;
		index->slots[slot] = i + 1;
		sites[i].walked = true;
	}
	return 0;
}

static void walk_block(void *ctx, const struct hb_block_key *key, const struct hb_block *block)
{
	struct hb_site_key site_key = {
		.stack = block->stack, .gen = key->gen, .tid = block->tid, .source = key->source,
	};
	struct site_index *index = ctx;
	size_t slot = site_hash(&site_key) & index->mask;
	struct hb_weight weight;
	struct board_site *site;

	while (index->slots[slot] && memcmp(&index->sites[index->slots[slot] - 1].key, &site_key, sizeof(site_key)))
		slot = (slot + 1) & index->mask;
	if (!index->slots[slot] || block->born_ns > index->born_before_ns)
		return;
	site = &index->sites[index->slots[slot] - 1];
	hb_weigh(&weight, block->bytes, block->period,
		 hb_sample_hash(hb_block_identity(key->addr, block->born_ns), index->seed));
	site->held_bytes += weight.bytes;
	site->held_count += weight.count;
	site->held_sampled_count += block->period > 0;
	site->held_bytes_variance += weight.bytes_variance;
	site->held_count_variance += weight.count_variance;
	if (!site->oldest_born_ns || block->born_ns < site->oldest_born_ns)
		site->oldest_born_ns = block->born_ns;
}

/*
 * The walk takes time, and blocks come and go meanwhile. It is asked for what only it can tell:
 * the oldest block, and what is held by blocks old enough. Without an age asked for, the totals
 * stand.
 */
static int walk_blocks(struct target *target, struct board_site *sites, size_t count, uint64_t now_ns,
		       uint64_t older_ns)
{
	/* A machine may be up for less time than asked for. */
	struct site_index index = {
		.born_before_ns = now_ns > older_ns ? now_ns - older_ns : 0,
		.seed = session_seed(target->session),
	};
	int err = index_build(&index, sites, count);

	if (!err)
		err = session_blocks(target->session, walk_block, &index);
	free(index.slots);
	for (size_t i = 0; !err && !older_ns && i < count; i++) {
		struct board_site *site = &sites[i];

		site->held_bytes = site->totals.allocated_bytes - site->totals.freed_bytes;
		site->held_count = site->totals.allocated_count - site->totals.freed_count;
	}
	return err;
}

/* Images kept beyond the limit go, the oldest first. */
static void forget_oldest(struct target *target)
{
	struct process *process, *older;
	size_t ended = 0;

	for (process = target->newest; process; process = older) {
		older = process->older;
		if (!process->purged || ++ended <= TARGET_ENDED_MAX)
			continue;
		target_forget(target, process);
		target->forgotten++;
	}
}

/* Take the rows of ended images out of the kernel; the board and we keep what they held. */
static void purge(struct target *target, const struct board_site *sites, size_t count)
{
	__cleanup(freep) uint32_t *gens = calloc(target->ended + 1, sizeof(*gens));
	struct process *process;
	const uint64_t now_ns = clock_mono_ns();
	size_t n = 0;
	int err;

	if (!gens)
		return;
	for (process = target->newest; process && n < target->ended; process = process->older) {
		if (process->exited && !process->purged && process->gen && !process->needed &&
		    (!target->everything || process_over(process, now_ns)))
			gens[n++] = process->gen;
	}
	qsort(gens, n, sizeof(*gens), session_compare_gens);
	for (size_t i = 0; i < count; i++) {
		if (bsearch(&sites[i].key.gen, gens, n, sizeof(*gens), session_compare_gens))
			naming_stack(target, sites[i].key.stack);
	}
	err = session_purge(target->session, gens, n);
	if (err) {
		log_debug("rows of ended processes stay for now: %s", strerror(-err));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		process = target_process(target, gens[i]);
		if (!process)
			continue;
		if (target->everything) {
			naming_forget(target, process->gen);
			target_forget(target, process); /* it holds no page any more */
			continue;
		}
		process->purged = true;
		vma_free(process->mappings); /* the board has its sites */
		process->mappings = NULL;
	}
	target->ended -= n;
	forget_oldest(target);
}

static bool purge_is_due(struct target *target)
{
	struct session_fill fill;

	if (!target->ended)
		return false;
	session_fill(target->session, &fill);
	return target->ended >= PURGE_PROCESSES || fill.blocks > fill.max_blocks / 2 ||
	       fill.sites > fill.max_sites / 2 || fill.stacks > fill.max_stacks / 2;
}

/* What the processes are asked from now on belongs together. */
static void begin_look(struct target *target, bool last)
{
	target->look_ns = clock_mono_ns();
	target->look_last = last;
}

int target_read(struct target *target, const struct target_reading *reading)
{
	__cleanup(freep) struct board_site *sites = NULL;
	uint64_t now_ns;
	size_t count = 0;
	int err;

	naming_release(target);
	begin_look(target, reading->last);
	target_retry(target);
	target_maps_check(target);
	err = target_pages_read(target);
	now_ns = clock_mono_ns(); /* later than all that was heard of */
	if (!err)
		err = session_sites(target->session, &sites, &count);
	if (!err && reading->walk)
		err = walk_blocks(target, sites, count, now_ns, reading->older_ns);
	if (!err)
		err = target_maps_sites(target, now_ns > reading->older_ns ? now_ns - reading->older_ns : 0, &sites,
					&count);
	if (!err)
		err = target_pages_sites(target, &sites, &count);
	if (!err)
		err = board_update(target->board, sites, count, now_ns);
	if (!err && !reading->last && purge_is_due(target))
		purge(target, sites, count);
	return err;
}

int target_tidy(struct target *target, const struct target_reading *reading)
{
	int err = 0;

	if (purge_is_due(target))
		return target_read(target, reading);
	/* What a process held when it ended is what was seen last. */
	if (!target->everything) {
		begin_look(target, false);
		err = target_pages_read(target);
	}
	return err;
}

const struct board *target_board(const struct target *target)
{
	return target->board;
}

static void add_allocator(struct process *process, struct process_info *info, const struct module *module)
{
	if (!module->set.allocator[0] || !module->set.count)
		return;
	for (size_t i = 0; i < info->allocators_count; i++) {
		if (!strcmp(process->allocators[i], module->set.allocator))
			return;
	}
	process->allocators[info->allocators_count++] = module->set.allocator;
}

/* Whether it is a 32-bit program: all ELF files that it maps are such. */
static bool is_narrow(const struct process *process)
{
	const struct addrmap *map = &process->now.map;
	bool narrow = false;

	for (size_t i = 0; i < map->count; i++) {
		const struct elf_file *file = map->entries[i].path[0] == '/' ? map->entries[i].file : NULL;

		if (file && !file->narrow)
			return false;
		narrow |= file != NULL;
	}
	return narrow;
}

static const char *why_blind(const struct process *process)
{
	if (process->refused)
		return "its files are not looked at while memory is short: that can get another process killed";
	if (!process->now.map.count || process->now.unread)
		return "it ended before its files could be read";
	for (size_t i = 0; i < process->now.modules_count; i++) {
		if (process->now.modules[i]->failed)
			return "the probes were refused";
	}
	return is_narrow(process) ? MODULES_OF_32_BITS : MODULES_WITHOUT_MALLOC;
}

static void fill_mappings(const struct process *process, struct process_info *info)
{
	struct vma_sums sums;

	if (!process->mappings)
		return;
	vma_sums(process->mappings, &sums);
	info->mapped_bytes = sums.mapped_bytes;
	info->committed_bytes = sums.committed_bytes;
	info->mapped_before_bytes = sums.owned_bytes[VMA_BEFORE];
	info->mapped_by_allocators_bytes = sums.owned_bytes[VMA_ALLOCATOR];
	info->mapped_doubtful = process->mappings_doubtful;
}

#define LOOKED_AT_AGAIN "its calls are so many that tracing them would cost more than --budget; they are looked at " \
			"again from time to time"

/* Of one core, now: what it cost before its probes went is told with that change. */
static double share_of(const struct budget *budget)
{
	return budget->level == BUDGET_PAUSED ? 0 : budget->share;
}

/* Of mmap, where it is watched; of malloc, where it is called; of direct memory, where a runtime is probed. */
static void fill_governed(const struct target *target, const struct process *process, struct process_info *info)
{
	const struct budget *direct = &process->budgets[HB_SRC_DIRECT];
	const struct budget *malloc = &process->budgets[HB_SRC_MALLOC];

	if (!target->governor || !target_counts(target, process))
		return;
	for (size_t i = 0; i < process->now.modules_count; i++) {
		const struct module *module = process->now.modules[i];

		info->direct_governed |= module->set.count && modules_source(module) == HB_SRC_DIRECT;
	}
	info->mmap_priced = process->mappings && !process->exited;
	info->mmap_share = process->mmap_share;
	info->direct_level = direct->level;
	info->direct_share = share_of(direct);
	if (info->direct_governed && direct->level == BUDGET_PAUSED && !process->exited)
		info->direct_blind = LOOKED_AT_AGAIN;
	info->governed = info->allocators_count;
	info->malloc_level = malloc->level;
	info->malloc_share = share_of(malloc);
	if (info->governed && malloc->level == BUDGET_PAUSED && !process->exited)
		info->blind = LOOKED_AT_AGAIN ", and --malloc BYTES samples them at any cost";
}

static void fill_info(struct target *target, struct process *process, struct process_info *info)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	struct board_sums sums;
	const char **names;

	if (process->undescribed)
		target_describe(target, process);
	memset(info, 0, sizeof(*info));
	info->gen = process->gen;
	info->pid = process->pid;
	info->image = process->image;
	info->start_unix_ns = process->start_unix_ns;
	info->comm = process->comm;
	info->cgroup = process->cgroup;
	info->container = process->container;
	info->exited = process->exited;
	if (!process->exited && !proc_open(&proc, process->pid))
		info->rss_bytes = proc_rss_bytes(&proc);
	fill_mappings(process, info);
	info->blocks_untraced = !(target->sources & (1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT));
	target_pages_info(target, process, info);
	names = reallocarray(process->allocators, process->now.modules_count + 1, sizeof(*names));
	if (names)
		process->allocators = names;
	for (size_t i = 0; names && i < process->now.modules_count; i++) {
		add_allocator(process, info, process->now.modules[i]);
		if (process->now.modules[i]->set.runtime[0])
			info->runtime = process->now.modules[i]->set.runtime;
	}
	info->allocators = process->allocators;
	if (!info->allocators_count && (target->sources >> HB_SRC_MALLOC & 1))
		info->blind = why_blind(process);
	fill_governed(target, process, info);
	board_sums(target->board, process->gen, &sums);
	info->mapped_by_sites_bytes = sums.mapped_bytes;
	info->outstanding_bytes = sums.outstanding_bytes;
	info->outstanding_count = sums.outstanding_count;
	info->allocated_bytes = sums.allocated_bytes;
	info->allocated_count = sums.allocated_count;
	info->freed_bytes = sums.freed_bytes;
	info->freed_count = sums.freed_count;
	info->sampled = sums.sampled;
	info->error_bytes = pages_root(sums.error_square);
}

/* Of the whole host those that have ended hold nothing. */
static bool is_told(const struct target *target, const struct process *process)
{
	return process->gen && !(target->everything && process->exited);
}

int target_processes(struct target *target, struct process_info **processes, size_t *count)
{
	struct process *process;
	size_t n = 0;

	for (process = target->newest; process; process = process->older)
		n += is_told(target, process);
	*processes = calloc(n + 1, sizeof(**processes));
	if (!*processes)
		return -ENOMEM;
	*count = n;
	for (process = target->newest; process; process = process->older) {
		if (is_told(target, process))
			fill_info(target, process, &(*processes)[--n]);
	}
	return 0;
}

uint64_t target_live_blocks(struct target *target)
{
	struct session_fill fill;

	session_fill(target->session, &fill);
	return fill.blocks;
}

/*
 * Of the huge pages given out by now, @huge, those not among the faults @seen. So many at least: among these are some
 * of files, and some that got none. It never gets less.
 */
static uint64_t huge_unseen(struct target *target, uint64_t huge, uint64_t seen)
{
	if (huge == MEMSTAT_UNKNOWN || target->huge_before == MEMSTAT_UNKNOWN || huge < target->huge_before + seen)
		return target->huge_unseen;
	if (huge - target->huge_before - seen > target->huge_unseen)
		target->huge_unseen = huge - target->huge_before - seen;
	return target->huge_unseen;
}

void target_losses(struct target *target, struct losses *losses)
{
	const bool pages = session_page_rung(target->session) != PAGES_RUNG_END;
	/* Before what was seen is read: else what is on its way would be missing. */
	const uint64_t huge = pages ? memstat_huge() : MEMSTAT_UNKNOWN;
	struct unwind_fill unwind;

	memset(losses, 0, sizeof(*losses));
	session_losses(target->session, losses);
	losses->counts[LOSS_HUGE_UNSEEN] = huge_unseen(target, huge, losses->counts[HB_CNT_HUGE_SEEN]);
	if (losses->counts[LOSS_HUGE_UNSEEN])
		session_watch_huge(target->session); /* whatever the faults have told */
	losses->counts[LOSS_MAP_EVENTS] = mapwatch_lost(target->watch) + queue_lost(target->queue);
	losses->counts[LOSS_LATE_ATTACH] = target->late;
	/* Pages are seen whatever allocates; a stack that ends for want of a file is told as such. */
	losses->counts[LOSS_UNREAD_FILES] = target->sources == 1u << HB_SRC_PAGES ? 0 : target->unread;
	losses->counts[LOSS_ATTACH_FAILED] = modules_failed(target->modules);
	losses->counts[LOSS_FORGOTTEN] = target->forgotten;
	losses->counts[LOSS_PUT_OFF] = target->put_off;
	losses->counts[LOSS_MAPS_READ] = target->maps_read_anew;
	losses->counts[LOSS_MAPS_ODD] = target->maps_odd;
	losses->counts[LOSS_CHANGES] = governor_forgotten(target->governor);
	target_unwind_fill(target, &unwind);
	losses->counts[LOSS_ROWS_REFUSED] = unwind.refused;
	losses->counts[LOSS_ROWS_DROPPED] = unwind.dropped;
}

int target_new(struct target **out, struct session *session, unsigned int sources, bool follow,
	       const char *host_root)
{
	struct target *target = calloc(1, sizeof(*target));
	int err = -ENOMEM;

	if (!target)
		return -ENOMEM;
	target->session = session;
	target->follow = follow;
	target->sources = sources;
	target->huge_before = memstat_huge();
	target->symbols = symcache_new();
	target->board = board_new();
	target->queue = queue_new();
	target->fetches = target->symbols && !symcache_fetch(target->symbols);
	target->worker = worker_new(); /* if there is none, we wait ourselves */
	if (target->symbols && target->board && target->queue) {
		if (session_vm_rung(session) != VM_RUNG_END)
			target->recent = recent_new();
		err = session_pointers_why(session) ? 0 : unwind_tables_new(&target->tables, session);
		if (!err)
			target->modules = modules_new(session, target->symbols, target->tables, sources);
	}
	target->containers = container_names_new(host_root, 0);
	if (target->containers)
		container_names_scan(target->containers);
	else
		log_debug("%s: %s; containers have no names", host_root, strerror(errno));
	if (target->modules)
		err = mapwatch_open(&target->watch, session_everything(session));
	if (err) {
		target_free(target);
		return err;
	}
	*out = target;
	return 0;
}

void target_free(struct target *target)
{
	struct kept_stack *kept, *next;
	struct kept_text *text, *next_text;
	struct alike *alike, *next_alike;

	if (!target)
		return;
	if (target->board) {
		while (target->newest)
			target_forget(target, target->newest);
	}
	naming_release(target);
	HASH_ITER(hh, target->stacks, kept, next) {
		HASH_DEL(target->stacks, kept);
		free(kept);
	}
	HASH_ITER(hh, target->alikes, alike, next_alike) {
		HASH_DEL(target->alikes, alike);
		free(alike);
	}
	HASH_ITER(hh, target->texts, text, next_text) {
		HASH_DEL(target->texts, text);
		free(text);
	}
	free(target->room);
	recent_free(target->recent);
	worker_free(target->worker);
	governor_free(target->governor);
	modules_free(target->modules);
	unwind_tables_free(target->tables);
	mapwatch_close(target->watch);
	queue_free(target->queue);
	board_free(target->board);
	symcache_free(target->symbols);
	container_names_free(target->containers);
	free(target);
}
