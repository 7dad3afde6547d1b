/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs and maps in the kernel: loaded on the best rung, attached file by file, read row by
 * row. What ends with us, ends: closing the session, or our death, takes every probe away.
 */
#ifndef HB_PROBE_SESSION_H
#define HB_PROBE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../bpf/record.h"
#include "../model/board.h"
#include "../model/loss.h"
#include "allocators.h"
#include "features.h"
#include "oomhooks.h"
#include "pagehooks.h"
#include "vmhooks.h"

struct session_options {
	unsigned int sources; /* bit 1 << enum hb_source each */
	unsigned int optional_sources; /* of them, those to do without where the kernel cannot */
	uint64_t min_size;   /* bytes; smaller blocks are not kept */
	bool by_thread;      /* sites split by thread */
	uint32_t period;     /* malloc: one sample in so many bytes, HB_PERIOD_MIN to HB_PERIOD_MAX; 0: every call */
	bool plans_change;   /* session_plan()'s periods are written, and its hits read */
	uint32_t max_blocks, max_sites, max_stacks, max_processes; /* rows */
	uint32_t max_events; /* events about processes that may wait */
	uint32_t max_frames; /* of a stack, at most HB_FRAMES_LIMIT */
	uint32_t max_faults; /* sampled pages */
	bool everything;     /* page faults of every process of the host */
	uint64_t unwind_bytes; /* for unwind rows */
	enum unwinder unwinder; /* the best to be tried */
	enum rung rung;      /* RUNG_END: the best */
	enum vm_rung vm_rung; /* VM_RUNG_END: the best */
	enum page_rung page_rung; /* PAGES_RUNG_END: the best; huge pages are seen by the same, if they can */
	bool oom;            /* OOM kills are seen */
	enum oom_rung oom_rung; /* OOM_RUNG_BEST: the best */
};

struct session;

/* The sentence that refuses this kernel, if it is older than all that heldby works on; else NULL. */
const char *session_too_old(void);

/*
 * Load the programs and attach those that watch processes; no function is probed yet. On failure
 * negative errno, and @why (of @size bytes) says what to try.
 */
int session_open(struct session **session, const struct session_options *options, char *why, size_t size);
void session_close(struct session *session);

/* The sources that it sees: those asked for, without optional ones that the kernel cannot. */
unsigned int session_sources(const struct session *session);
/* How functions are probed; RUNG_END: they are not. */
const char *session_rung_name(const struct session *session);
/* Where mappings are watched; VM_RUNG_END: they are not. */
enum vm_rung session_vm_rung(const struct session *session);
/* Whether mappings of 32-bit programs are watched as well. 0 or negative errno: they cannot be. */
int session_watch_narrow(struct session *session, bool wanted);
/* Whether every process of the host is looked at: nobody is woken for each of their events then. */
bool session_everything(const struct session *session);

/* Where page faults are seen; PAGES_RUNG_END: they are not. */
enum page_rung session_page_rung(const struct session *session);
/*
 * Look for huge pages from now on, if that waits for somebody to be given one: done when the event comes that says
 * so, and for whoever learns it otherwise. If it fails it says so, and waits for the next who asks.
 */
void session_watch_huge(struct session *session);
/* How an OOM kill's own description is found; OOM_RUNG_END: it is not. */
enum oom_rung session_oom_rung(const struct session *session);
bool session_sleepable(const struct session *session);
/* Whether a call that is not sampled returns without a trap. */
bool session_skips_returns(const struct session *session);
/* Why stacks are walked by frame pointers only; NULL: by unwind rows. */
const char *session_pointers_why(const struct session *session);

/* The probes in one file, for one process or for all. */
struct session_probes;

/*
 * Put @set's probes into @file_fd, for @pid or (0) for every process. Frees first, returns
 * before entries: no window in which a block seen coming is not seen going. On failure negative
 * errno and no probe is left.
 */
int session_attach(struct session *session, int file_fd, const struct probe_set *set, pid_t pid,
		   struct session_probes **probes);
void session_detach(struct session_probes *probes);
/*
 * Take away those that cost most, before session_detach() takes the rest: where each has a link of its own (uprobe)
 * that takes the kernel a tenth of a second each. Calls that are under way are not seen to return.
 */
void session_detach_hot(struct session_probes *probes);

/*
 * How the calls of generation @gen are followed, shared with the kernel side: its period may be written and counts
 * from the next call on, its hits only grow. Borrowed.
 */
volatile struct hb_plan *session_plan(struct session *session, uint32_t gen);

/*
 * Trace the process @tgid under generation @gen (HB_GEN_USER set) with HB_PROC_* @flags. HB_PROC_SEEN alone: unless
 * it has a generation already (-EEXIST); with HB_PROC_TRACED: if it has one, which is @gen.
 */
int session_trace(struct session *session, uint32_t tgid, uint32_t gen, uint32_t flags);
void session_untrace(struct session *session, uint32_t tgid);

/* Descriptor that polls readable when events wait, and their delivery in order: a struct hb_ev_*. */
int session_event_fd(const struct session *session);
int session_events(struct session *session, void (*each)(void *ctx, const void *event, size_t bytes), void *ctx);

/* The same for OOM kills, where they are seen: struct hb_ev_oom, and the beginning of a struct hb_ev_oom_after. */
int session_oom_fd(const struct session *session);
int session_oom_events(struct session *session, void (*each)(void *ctx, const void *event, size_t bytes), void *ctx);
/* The sequence of the last victim that was marked, 0: none was. Its event may be on its way, or found no room. */
uint64_t session_oom_sequence(const struct session *session);
/*
 * The processes of the cgroup @domain (id) and below, or (0) all; as oomhooks_walk() gives them. -EOPNOTSUPP: OOM
 * kills are not seen.
 */
int session_oom_tasks(struct session *session, uint64_t domain, const struct hb_oom_task **tasks, size_t *count);
/* What was noted of the command line of a process that has not ended: 0 or -ENOENT. */
int session_oom_command(const struct session *session, uint32_t tgid, uint64_t start_ns,
			struct hb_oom_earlier *command);
/* Where the kernel's mem_cgroup_stats_index is (0: not known): without, kernels that have it tell no statistics. */
void session_oom_indexes(struct session *session, uint64_t address);

/* Every site, in a malloc'ed array (totals only, nothing walked). 0 or negative errno. */
int session_sites(struct session *session, struct board_site **sites, size_t *count);

/* Call @each for every live block. 0 or negative errno. */
int session_blocks(struct session *session,
		   void (*each)(void *ctx, const struct hb_block_key *key, const struct hb_block *block),
		   void *ctx);

/* The frames of a stack. 0 or -ENOENT. */
int session_stack(struct session *session, uint64_t key, struct hb_stack *stack);

/* One sampled page. */
struct session_fault {
	struct hb_fault_key key;
	struct hb_fault fault;
};

/* Every sampled page, in a malloc'ed array. 0 or negative errno. */
int session_faults(struct session *session, struct session_fault **faults, size_t *count);
/* Take @key's row away. */
void session_drop_fault(struct session *session, const struct hb_fault_key *key);
/* What mremap moved. */
struct session_move {
	struct hb_move_key key;
	struct hb_move move;
};

/* All that was moved and not dropped, in a malloc'ed array. 0 or negative errno. */
int session_moves(struct session *session, struct session_move **moves, size_t *count);
void session_drop_move(struct session *session, const struct hb_move_key *key);
/* Whether moves are seen. */
bool session_follows_moves(const struct session *session);

/* What the sample was drawn by, for hb_page_kept(). */
uint64_t session_seed(const struct session *session);
/* What is sampled are granules of 1 << so many pages: as many as one fault may bring here. */
uint8_t session_granule(const struct session *session);
/*
 * How densely @gen is sampled; the rate that it would begin with if nothing is known. @first_bytes: about how much it
 * touched of its first pages, which are sampled less densely; 0: all of it is sampled alike.
 */
uint32_t session_shift(struct session *session, uint32_t gen, uint64_t *first_bytes);
/*
 * Set that and how many records there are, of a generation that has a rate. It does not go down, and of an image that
 * is at its first pages the number stays as it is.
 */
void session_set_rate(struct session *session, uint32_t gen, const struct hb_rate *rate);
/*
 * The generations of whose sample anything is known beside its pages, some of them twice, in a malloc'ed array. 0 or
 * negative errno.
 */
int session_sampled(struct session *session, uint32_t **gens, size_t *count);
/* Of all that is known of @gen's sample beside its rows. */
void session_forget_rate(struct session *session, uint32_t gen);

/* Remove the live blocks and sites of @source of @gen. 0 or negative errno. */
int session_purge_blocks(struct session *session, uint32_t gen, enum hb_source source);

/* What the programs on functions and on mappings took, and how often they ran, while session_stats() was on. */
struct session_runs {
	uint64_t calls, call_ns; /* of what allocates, entries and returns */
	uint64_t frees, free_ns;
	uint64_t maps, map_ns;   /* of what watches mappings, whoever made them */
};
void session_runs(struct session *session, struct session_runs *runs);
/* Have the kernel measure programs until the descriptor is closed; negative errno: it cannot. */
int session_stats(void);

/* Remove every row of the @count generations in @gens (sorted by session_compare_gens()). 0 or negative errno. */
int session_purge(struct session *session, const uint32_t *gens, size_t count);
int session_compare_gens(const void *a, const void *b);

/* Read the kernel's counters, and the runs it skipped, into @losses, which is all 0. */
void session_losses(struct session *session, struct losses *losses);
/* Why not all runs that it skips are known; NULL: they are. */
const char *session_skips_why(const struct session *session);

/* Rows in use, and what they may grow to. */
struct session_fill {
	uint64_t blocks, max_blocks, sites, max_sites, stacks, max_stacks, max_processes, faults, max_faults;
};
void session_fill(struct session *session, struct session_fill *fill);

/* Call @each for every loaded program with the instructions that the verifier looked at. */
void session_programs(struct session *session, void (*each)(void *ctx, const char *name, uint32_t verified),
		      void *ctx);

#endif
