// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "attach.h"
#include "heldby_pointers.skel.h" /* for its bytes only */
#include "session_private.h"
#include "thp.h"

#define COMMANDS_FEW 4096 /* command lines, where each row takes its room from the start */
#define PCS_FEW        256 /* addresses known where no calls are followed: of those who ask for OOM kills */
#define VERIFIER_LINES 24 /* of a program's log: the last say what was refused */

/* What follows @text's last @count lines. */
static char *last_lines(char *text, unsigned int count)
{
	char *at = text + strlen(text);

	while (at > text && count) {
		at--;
		if (*at == '\n' && at[1])
			count--;
	}
	return *at == '\n' ? at + 1 : at;
}

/* libbpf's lines, one level lower than its own idea of them. */
static int libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	enum log_level ours = level == LIBBPF_DEBUG ? LOG_LEVEL_TRACE : LOG_LEVEL_DEBUG;
	__cleanup(freep) char *text = NULL;
	char *rest, *line;

	/* hb_stacks' values are as large as --max-frames wants, and not what its type says: no news. */
	if (strstr(format, "Retrying without BTF"))
		ours = LOG_LEVEL_TRACE;
	if (ours > log_level() || vasprintf(&text, format, args) < 0)
		return 0;
	rest = last_lines(text, VERIFIER_LINES);
	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			log_print(ours, "%s", line);
	}
	return 0;
}

static int choose_programs(struct session *session)
{
	struct heldby_bpf *bpf = session->bpf;
	const bool uprobes = session->rung != RUNG_END;
	bool one = session->rung == RUNG_SESSION;
	int type = session->rung == RUNG_PERF ? 0 : ATTACH_UPROBE_MULTI;
	struct bpf_program *const probes[] = {
		bpf->progs.hb_malloc_sess, bpf->progs.hb_malloc_enter, bpf->progs.hb_malloc_exit,
		bpf->progs.hb_malloc_ret, bpf->progs.hb_free_enter,
	};

	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		bpf_program__set_autoload(probes[i], uprobes);
		bpf_program__set_expected_attach_type(probes[i], type);
		if (session->sleepable)
			bpf_program__set_flags(probes[i], BPF_F_SLEEPABLE);
	}
	bpf_program__set_expected_attach_type(bpf->progs.hb_malloc_sess, ATTACH_UPROBE_SESSION);
	bpf_program__set_autoload(bpf->progs.hb_malloc_sess, uprobes && one);
	bpf_program__set_autoload(bpf->progs.hb_malloc_enter, uprobes && !one);
	bpf_program__set_autoload(bpf->progs.hb_malloc_exit, uprobes && !one);
	bpf_program__set_autoload(bpf->progs.hb_file_number, !session->pointers_why);
	bpf_program__set_autoload(bpf->progs.hb_task_exec, session->storage);
	bpf_program__set_autoload(bpf->progs.hb_task_exit, session->storage);
	bpf_program__set_autoload(bpf->progs.hb_task_signal, session->storage);
	bpf_program__set_autoload(bpf->progs.hb_image_exec, !session->storage);
	bpf_program__set_autoload(bpf->progs.hb_image_exit, !session->storage);
	bpf_map__set_autocreate(bpf->maps.hb_pending, session->storage);
	bpf_map__set_autocreate(bpf->maps.hb_deep, session->storage);
	bpf_map__set_autocreate(bpf->maps.hb_vm_calls, session->storage);
	pagehooks_choose(bpf->obj, session->page_rung, session->huge_rung, session->moves);
	oomhooks_choose(bpf->obj, session->options.oom, session->oom_rung);
	vmhooks_narrow_choose(bpf->obj, session->vm_rung != VM_RUNG_END);
	return vmhooks_choose(bpf->obj, session->vm_rung);
}

/* A ring that holds @events: a power of two, and no less than a page (kernel/bpf/ringbuf.c). */
static uint32_t ring_bytes(uint32_t events)
{
	uint64_t wanted = (uint64_t)events * (sizeof(struct hb_ev_object) + BPF_RINGBUF_HDR_SZ);
	uint64_t bytes = 65536; /* the largest page of the architectures we know */

	while (bytes < wanted && bytes < 1u << 30)
		bytes *= 2;
	return bytes;
}

/*
 * Kernels before 5.11 complain of programs that allocate rows as they come: what is used has all its rows
 * from the start there, and the rest next to none.
 */
static void allocate_ahead(struct heldby_bpf *bpf)
{
	struct bpf_map *const used[] = { bpf->maps.hb_procs, bpf->maps.hb_stacks, bpf->maps.hb_faults,
					 bpf->maps.hb_rates, bpf->maps.hb_moves, bpf->maps.hb_moved,
					 bpf->maps.hb_oom_commands };
	struct bpf_map *const unused[] = { bpf->maps.hb_live, bpf->maps.hb_sites, bpf->maps.hb_objects,
					   bpf->maps.hb_inodes, bpf->maps.hb_short_stacks };

	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
		bpf_map__set_map_flags(used[i], 0);
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
		bpf_map__set_map_flags(unused[i], 0);
		bpf_map__set_max_entries(unused[i], 1);
	}
}

static void set_seed(struct session *session)
{
	/* Another sample each time: a program that knew it could hide. */
	if (getrandom(&session->seed, sizeof(session->seed), GRND_NONBLOCK) != sizeof(session->seed))
		session->seed = clock_mono_ns();
	session->bpf->rodata->hb_sample_seed = session->seed;
}

/*
 * How densely processes are sampled to begin with. Of the whole host so that a sample of all of its memory has room
 * in the table, as far as that leaves it as fine as the first pages are; the rest is up to each process's own rate.
 * Not where a small one may be killed and is to be told of: there the table's filling alone makes it coarser.
 */
static uint32_t sample_shift(const struct session_options *options, uint8_t granule)
{
	const uint64_t granules = (uint64_t)sysconf(_SC_PHYS_PAGES) >> granule;
	uint32_t shift = HB_SAMPLE_SHIFT_ALL;

	if (!options->everything)
		return HB_SAMPLE_SHIFT;
	while (!options->oom && shift < HB_SAMPLE_SHIFT_FIRST && granules >> shift > options->max_faults)
		shift++;
	return shift;
}

static void set_pages_knobs(struct session *session, const struct session_options *options)
{
	const bool pages = session->page_rung != PAGES_RUNG_END;
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), medium_bytes = thp_medium_bytes();
	struct heldby_bpf *bpf = session->bpf;

	while (page_bytes << session->granule < medium_bytes)
		session->granule++;
	bpf->rodata->hb_page_bits = (uint32_t)__builtin_ctzl(page_bytes);
	bpf->rodata->hb_granule_order = session->granule;
	bpf->rodata->hb_everything = options->everything;
	bpf->rodata->hb_sample_shift = sample_shift(options, session->granule);
	/* Not where the least of them may be killed, and is to be told of. */
	if (options->everything && !options->oom)
		bpf->rodata->hb_first_faults =
			HB_FIRST_FAULTS >> (bpf->rodata->hb_sample_shift - HB_SAMPLE_SHIFT_ALL);
	bpf->rodata->hb_see_pages = pages;
	bpf_map__set_max_entries(bpf->maps.hb_faults, pages ? options->max_faults : 1);
	bpf_map__set_max_entries(bpf->maps.hb_rates, pages ? options->max_processes : 1);
	bpf_map__set_max_entries(bpf->maps.hb_moved, session_follows_moves(session) ? options->max_processes : 1);
	if (!session_follows_moves(session))
		bpf_map__set_max_entries(bpf->maps.hb_moves, 1);
}

static void set_stacks_knobs(struct session *session, const struct session_options *options)
{
	struct heldby_bpf *bpf = session->bpf;

	/* Where all rows are there from the start two tables would have twice as many. */
	bpf->rodata->hb_short_frames = session->storage ? HB_SHORT_FRAMES : 0;
	bpf->rodata->hb_frames_max = options->max_frames;
	bpf_map__set_value_size(bpf->maps.hb_stacks, offsetof(struct hb_stack, frames[options->max_frames]));
	bpf_map__set_max_entries(bpf->maps.hb_stacks, options->max_stacks);
	bpf_map__set_max_entries(bpf->maps.hb_short_stacks, options->max_stacks);
}

static void set_knobs(struct session *session, const struct session_options *options)
{
	struct heldby_bpf *bpf = session->bpf;
	uint32_t chunks = session->pointers_why ? 1 : (options->unwind_bytes + sizeof(struct hb_chunk) - 1) /
						       sizeof(struct hb_chunk);

	bpf->rodata->hb_min_size = options->min_size;
	bpf->rodata->hb_by_thread = options->by_thread;
	bpf->rodata->hb_sampling = options->period || options->plans_change;
	bpf->rodata->hb_budget = options->plans_change;
	for (size_t i = 0; i < HB_PLANS; i++)
		bpf->bss->hb_plans[i].period = options->period;
	bpf->rodata->hb_session = session->rung == RUNG_SESSION;
	bpf->rodata->hb_can_fault = session->sleepable;
	bpf->rodata->hb_no_storage = !session->storage;
	bpf->rodata->hb_views = session->views;
	bpf->rodata->hb_unwind = !session->pointers_why;
	bpf->rodata->hb_cpus = (uint32_t)libbpf_num_possible_cpus();
	if (session->rung == RUNG_END && session->vm_rung == VM_RUNG_END)
		bpf_map__set_max_entries(bpf->maps.hb_pcs, PCS_FEW);
	bpf_map__set_max_entries(bpf->maps.hb_live, session->rung == RUNG_END ? 1 : options->max_blocks);
	bpf_map__set_max_entries(bpf->maps.hb_sites, session->rung == RUNG_END ? 1 : options->max_sites);
	bpf_map__set_max_entries(bpf->maps.hb_procs, options->max_processes);
	bpf_map__set_max_entries(bpf->maps.hb_oom_commands, session->storage || options->max_processes < COMMANDS_FEW ?
				 options->max_processes : COMMANDS_FEW);
	bpf_map__set_max_entries(bpf->maps.hb_ring, ring_bytes(options->max_events));
	bpf_map__set_max_entries(bpf->maps.hb_map_ring,
				 session->vm_rung == VM_RUNG_END ? ring_bytes(1) : ring_bytes(options->max_events) * 8);
	set_seed(session);
	set_pages_knobs(session, options);
	set_stacks_knobs(session, options);
	bpf_map__set_max_entries(bpf->maps.hb_chunks, (chunks + HB_CHUNKS_TOGETHER - 1) / HB_CHUNKS_TOGETHER);
	session->chunks = chunks;
	/* Text has about one row in 60 bytes: a chunk's rows are those of some twenty pages. */
	if (chunks * 256 > bpf_map__max_entries(bpf->maps.hb_pages))
		bpf_map__set_max_entries(bpf->maps.hb_pages, chunks * 256);
	if (!session->storage)
		allocate_ahead(bpf);
}

/* The programs, with the unwinder or without it: the same maps and programs by name. */
static struct heldby_bpf *open_programs(bool pointers_only)
{
	struct heldby_bpf *bpf = calloc(1, sizeof(*bpf));

	if (!bpf)
		return NULL;
	if (heldby_bpf__create_skeleton(bpf))
		goto fail;
	if (pointers_only)
		bpf->skeleton->data = (void *)heldby_pointers_bpf__elf_bytes(&bpf->skeleton->data_sz);
	if (!bpf_object__open_skeleton(bpf->skeleton, NULL))
		return bpf;
fail:
	heldby_bpf__destroy(bpf);
	return NULL;
}

static int load_programs(struct session *session, const struct session_options *options)
{
	int err;

	session->bpf = open_programs(session->pointers_object);
	if (!session->bpf)
		return -errno;
	err = choose_programs(session);
	if (err)
		return err;
	set_knobs(session, options);
	return heldby_bpf__load(session->bpf);
}

void session_watch_huge(struct session *session)
{
	int err;

	if (!session->huge_waits)
		return;
	session->bpf->bss->hb_huge_awaited = 0;
	err = pagehooks_attach(session->bpf->obj, PAGES_RUNG_END, session->huge_rung, session->page_hooks,
			       &session->page_hooks_count);
	session->huge_waits = err != 0; /* for another try */
	if (err && !session->huge_warned)
		log_warning("huge pages are given out, and are not seen: %s", strerror(-err));
	if (!err)
		log_debug("huge pages are looked for from now on");
	session->huge_warned = err != 0;
}

static bool is_huge(const void *data, size_t bytes)
{
	struct hb_ev_huge event;

	if (bytes < sizeof(event))
		return false;
	memcpy(&event, data, sizeof(event));
	if (event.kind == HB_EV_HUGE)
		log_debug("process %u was given a huge page", event.tgid);
	return event.kind == HB_EV_HUGE;
}

static int received(void *ctx, void *data, size_t bytes)
{
	struct session *session = ctx;

	if (is_huge(data, bytes))
		session_watch_huge(session);
	else
		session->each(session->each_ctx, data, bytes);
	return 0;
}

/* Only the programs about processes have a place of their own; the rest are put file by file. */
static int attach_hooks(struct session *session, char *why, size_t size)
{
	struct bpf_program *const hooks[] = {
		session->bpf->progs.hb_task_fork,
		session->storage ? session->bpf->progs.hb_task_exec : session->bpf->progs.hb_image_exec,
		session->storage ? session->bpf->progs.hb_task_exit : session->bpf->progs.hb_image_exit,
		session->storage ? session->bpf->progs.hb_task_signal : NULL,
	};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		if (!hooks[i])
			continue;
		session->hooks[i] = bpf_program__attach(hooks[i]);
		if (!session->hooks[i]) {
			snprintf(why, size, "%s could not be attached", bpf_program__name(hooks[i]));
			return -errno;
		}
	}
	return 0;
}

static int received_oom(void *ctx, void *data, size_t bytes)
{
	struct session *session = ctx;

	session->each_oom(session->each_oom_ctx, data, bytes);
	return 0;
}

/* What is needed at a kill is there from the start: when it comes there is no memory. */
static int open_oom(struct session *session)
{
	if (!session->options.oom)
		return 0;
	session->oom_ring = ring_buffer__new(bpf_map__fd(session->bpf->maps.hb_oom_ring), received_oom, session, NULL);
	if (!session->oom_ring)
		return -errno;
	session->oom_walk = oomhooks_walk_new(session->bpf->obj, session->options.max_processes);
	return session->oom_walk ? 0 : -errno;
}

static int open_rings(struct session *session)
{
	session->ring = ring_buffer__new(bpf_map__fd(session->bpf->maps.hb_ring), received, session, NULL);
	if (!session->ring)
		return -errno;
	return ring_buffer__add(session->ring, bpf_map__fd(session->bpf->maps.hb_map_ring), received, session);
}

static int load(struct session *session, const struct session_options *options, char *why, size_t size)
{
	int err;

	snprintf(why, size, "the programs could not be loaded; -vv shows the kernel's reasons");
	err = load_programs(session, options);
	if (err && err != -ENOMEM && !session->pointers_object) {
		if (!session->pointers_why)
			session->pointers_why = "frame pointers only: this kernel refused the unwinder (-vv shows why)";
		session->pointers_object = true;
		heldby_bpf__destroy(session->bpf);
		err = load_programs(session, options);
	}
	if (err == -ENOMEM)
		snprintf(why, size, "the kernel gave no memory for the tables; try a smaller --max-blocks");
	return err;
}

/* What the sources need from the start. @again: a rung was refused and is out, others are to be tried. */
static int attach_sources(struct session *session, bool *again)
{
	int err = vmhooks_attach(session->bpf->obj, session->vm_rung, session->vm_hooks, &session->vm_hooks_count);

	if (err) {
		log_debug("mappings: %s was refused: %s", vmhooks_name(session->vm_rung), strerror(-err));
		session->vm_refused[session->vm_rung] = err;
		*again = true;
		return err;
	}
	if (session->huge_waits)
		log_debug("huge pages wait for somebody who asks for them");
	session->bpf->bss->hb_huge_awaited = session->huge_waits;
	err = pagehooks_attach(session->bpf->obj, session->page_rung,
			       session->huge_waits ? HUGE_RUNG_END : session->huge_rung, session->page_hooks,
			       &session->page_hooks_count);
	if (err) {
		log_debug("page faults: %s was refused: %s", pagehooks_name(session->page_rung), strerror(-err));
		/* It may have been those of huge pages, if they are tried: what is left is tried alone. */
		if (session->huge_rung != HUGE_RUNG_END && !session->huge_waits)
			session->huge_refused[session->huge_rung] = err;
		else
			session->page_refused[session->page_rung] = err;
		*again = true;
		return err;
	}
	session->moves = session->moves && !pagehooks_attach_moves(session->bpf->obj, session->page_hooks,
								   &session->page_hooks_count);
	return 0;
}

static int attach_all(struct session *session, bool *again, char *why, size_t size)
{
	int err = attach_hooks(session, why, size);

	if (!err)
		err = attach_sources(session, again);
	if (!err)
		err = open_rings(session);
	if (!err)
		err = open_oom(session);
	if (!err && session->options.oom)
		err = oomhooks_attach(session->bpf->obj, session->oom_rung, session->oom_hooks,
				      &session->oom_hooks_count);
	return err;
}

/* Take away what load() and attach_all() put in place. */
static void unload(struct session *session)
{
	for (size_t i = 0; i < sizeof(session->hooks) / sizeof(session->hooks[0]); i++) {
		bpf_link__destroy(session->hooks[i]);
		session->hooks[i] = NULL;
	}
	while (session->vm_hooks_count)
		close(session->vm_hooks[--session->vm_hooks_count]);
	vmhooks_narrow_detach(session->narrow_hooks);
	while (session->page_hooks_count)
		bpf_link__destroy(session->page_hooks[--session->page_hooks_count]);
	while (session->oom_hooks_count)
		bpf_link__destroy(session->oom_hooks[--session->oom_hooks_count]);
	oomhooks_walk_free(session->oom_walk);
	ring_buffer__free(session->oom_ring);
	ring_buffer__free(session->ring);
	heldby_bpf__destroy(session->bpf);
	session->oom_walk = NULL;
	session->oom_ring = session->ring = NULL;
	session->bpf = NULL;
}

const char *session_too_old(void)
{
	return features_since(5, 10) ? NULL : "this kernel is too old: Linux 5.10 or newer is needed, 5.15 for malloc";
}

int session_open(struct session **out, const struct session_options *options, char *why, size_t size)
{
	struct session *session = calloc(1, sizeof(*session));
	int err;

	*out = NULL;
	snprintf(why, size, "not enough memory");
	if (!session)
		return -ENOMEM;
	libbpf_set_print(libbpf_print);
	if (session_too_old()) {
		snprintf(why, size, "%s", session_too_old());
		err = -EOPNOTSUPP;
		goto fail;
	}
	session->options = *options;
	for (bool again = true; again;) {
		again = false;
		err = session_choose(session, options, why, size);
		if (!err)
			err = load(session, options, why, size);
		if (!err)
			err = attach_all(session, &again, why, size);
		if (again)
			unload(session);
	}
	if (err)
		goto fail;
	*out = session;
	return 0;
fail:
	session_close(session);
	return err;
}

void session_close(struct session *session)
{
	if (!session)
		return;
	unload(session);
	free(session);
}

const char *session_rung_name(const struct session *session)
{
	static const char *const names[] = { "uprobe.session", "uprobe.multi", "uprobe", "none" };

	return names[session->rung];
}

unsigned int session_sources(const struct session *session)
{
	return session->sources;
}

enum vm_rung session_vm_rung(const struct session *session)
{
	return session->vm_rung;
}

bool session_everything(const struct session *session)
{
	return session->options.everything;
}

enum page_rung session_page_rung(const struct session *session)
{
	return session->page_rung;
}

bool session_follows_moves(const struct session *session)
{
	return session->page_rung != PAGES_RUNG_END &&
	       (session->vm_rung != VM_RUNG_END || session->moves);
}

enum oom_rung session_oom_rung(const struct session *session)
{
	return session->oom_rung;
}

uint64_t session_seed(const struct session *session)
{
	return session->seed;
}

uint8_t session_granule(const struct session *session)
{
	return session->granule;
}

bool session_sleepable(const struct session *session)
{
	return session->sleepable;
}

bool session_skips_returns(const struct session *session)
{
	return session->rung == RUNG_SESSION;
}

const char *session_pointers_why(const struct session *session)
{
	return session->pointers_why;
}

volatile struct hb_plan *session_plan(struct session *session, uint32_t gen)
{
	return &session->bpf->bss->hb_plans[HB_PLAN(gen)];
}

/* Threads remember whether their process is traced: have them look again. */
static void traced_anew(struct session *session)
{
	__atomic_fetch_add(&session->bpf->data->hb_epoch, 1, __ATOMIC_SEQ_CST);
}

int session_trace(struct session *session, uint32_t tgid, uint32_t gen, uint32_t flags)
{
	struct hb_proc proc = { .gen = gen, .flags = flags };
	uint64_t how = BPF_ANY;

	/* What the kernel side has seen by itself has a generation; what is traced besides has one already. */
	if (flags & HB_PROC_SEEN)
		how = flags & HB_PROC_TRACED ? BPF_EXIST : BPF_NOEXIST;
	if (bpf_map_update_elem(bpf_map__fd(session->bpf->maps.hb_procs), &tgid, &proc, how))
		return -errno;
	traced_anew(session);
	return 0;
}

void session_untrace(struct session *session, uint32_t tgid)
{
	bpf_map_delete_elem(bpf_map__fd(session->bpf->maps.hb_procs), &tgid);
	traced_anew(session);
}

int session_event_fd(const struct session *session)
{
	return ring_buffer__epoll_fd(session->ring);
}

int session_events(struct session *session, void (*each)(void *ctx, const void *event, size_t bytes), void *ctx)
{
	session->each = each;
	session->each_ctx = ctx;
	return ring_buffer__consume(session->ring);
}
