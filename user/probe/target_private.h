/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a target share: target.c follows processes, target_unwind.c tells the unwinder of
 * them, collect.c reads what they hold, naming.c names it.
 */
#ifndef HB_PROBE_TARGET_PRIVATE_H
#define HB_PROBE_TARGET_PRIVATE_H

#include <uthash.h>

#include "../base/worker.h"
#include "../model/duty.h"
#include "../model/pages.h"
#include "../model/vma.h"
#include "../remote/container_names.h"
#include "../remote/filepages.h"
#include "jit.h"
#include "mapwatch.h"
#include "target.h"

struct process_probes {
	struct module *module;
	struct session_probes *probes;
};

/* What it maps executable, and which of that allocates. */
struct image {
	struct addrmap map;
	struct module **modules;
	size_t modules_count;
	bool unread; /* a file of it could not be opened in time */
};

#define GOVERNED_END (HB_SRC_DIRECT + 1) /* malloc and direct are kept within the budget */

/* One process image. */
struct process {
	uint32_t gen; /* 0: waits for its exec */
	uint32_t pid;
	uint32_t image;
	int64_t start_unix_ns;
	char comm[HB_COMM_LEN];
	char *cgroup;
	bool cgroup_read; /* of itself; else it is that of whom it was forked from */
	struct container_info *container; /* NULL: it is in none */
	struct image now;
	struct image next; /* what an exec under way is building */
	bool execing;
	bool running;  /* attached to while running: its first modules are no latecomers */
	bool traced;   /* where all processes are seen: its calls count, too */
	uint64_t traced_ns; /* since when, CLOCK_MONOTONIC */
	bool refused;  /* something was not to be opened (remote/gate.h): to be looked at again */
	bool exited;
	bool purged;   /* its rows have left the kernel */
	struct vma_set *mappings; /* what it maps, by who mapped it; NULL: not watched */
	struct vma_line *list;   /* the kernel's list of it, to be taken over when the events before it have come */
	size_t list_count;
	uint64_t list_ns;        /* when its reading began */
	uint64_t list_end_ns;    /* and ended */
	bool mappings_stale; /* events of them were lost or do not tell: to be read anew */
	bool mappings_doubtful; /* and could not be read until now */
	uint64_t mappings_lost_ns; /* when that was noticed last, CLOCK_MONOTONIC */
	uint64_t mappings_unclear_ns; /* when the last was made that did not tell enough, CLOCK_MONOTONIC */
	bool narrow;         /* a 32-bit program: its calls are seen by hooks of their own */
	bool narrow_unknown; /* it could not be asked so far */
	bool mappings_final; /* and will not be: it has ended, and a report has looked since */
	struct jit *jit; /* it runs code in no file; or NULL */
	struct process_probes *probes; /* of its own, when not probed everywhere */
	size_t probes_count;
	const char **allocators; /* names for process_info */
	struct budget budgets[GOVERNED_END]; /* how closely its calls are followed, by source */
	uint64_t maps_seen, maps_told; /* changes of its mappings so far, and at the last tick of the governor */
	double mmap_share;     /* of one core, that seeing them cost it since the tick before */
	uint32_t parent_gen;   /* whom it was forked from, and has had no exec since; 0: nobody that we know */
	uint64_t forked_ns;    /* when, CLOCK_MONOTONIC */
	uint64_t ended_ns;     /* when we heard of its end, CLOCK_MONOTONIC */
	uint8_t page_shift;    /* its pages are sampled one in 1 << page_shift */
	uint64_t first_bytes;  /* of them, less densely: see struct hb_rate */
	bool needed;           /* its page records, by those forked from it */
	bool undescribed;      /* what /proc says of it was not looked at yet */
	struct page_site *pages; /* who made its pages resident */
	size_t pages_count;
	struct pagemap_sums resident; /* all 0: unknown */
	struct filepages files;  /* of a process that was chosen */
	uint64_t pages_ns, files_ns; /* the looks that they are of; 0: none */
	struct duty duty, files_duty; /* how long its address space was held for its own memory, and for the files */
	struct process *older; /* list of all, newest first */
	UT_hash_handle hh;     /* by gen */
	UT_hash_handle hh_pid; /* by pid, the current image only */
};

bool target_paused(const struct process *process, enum hb_source source);

enum answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES };

/* A stack read from the kernel, kept. */
struct kept_stack {
	uint64_t key;
	uint32_t count;
	uint8_t end; /* enum hb_end */
	uint32_t gen;
	uint64_t alike; /* the stack that stands for it and those like it; 0: not known yet */
	uint8_t allocates; /* an allocator's function is among the frames: enum answer */
	UT_hash_handle hh;
	uint64_t frames[];
};

#define ENDED_KEEP_NS 3000000000u /* so long it may be asked what an image held that has ended */

/* It has ended, for long enough, and nobody inherited pages from it. */
static inline bool process_over(const struct process *process, uint64_t now_ns)
{
	return process->exited && !process->needed && now_ns > process->ended_ns + ENDED_KEEP_NS;
}

/* The first stack met of those that are one site. */
struct alike {
	uint64_t hash;
	uint64_t stack;
	uint32_t gen;
	UT_hash_handle hh;
};

/* A sentence or a name that frames borrow. */
struct kept_text {
	UT_hash_handle hh;
	char text[];
};

/* Frames handed out since the last reading. */
struct frame_block {
	struct frame_block *next;
	struct frame frames[];
};

struct recent;

struct target {
	struct session *session;
	struct mapwatch *watch;
	struct symcache *symbols;
	struct modules *modules;
	struct container_names *containers; /* or NULL */
	struct board *board;
	bool follow;
	bool everything; /* page faults of all processes, which carry no probes */
	struct alike *alikes;
	unsigned int sources; /* a bit 1 << enum hb_source each */
	uint32_t next_gen;
	struct process *by_gen, *by_pid, *newest;
	size_t alive;
	size_t ended;          /* not yet purged */
	struct queue *queue;   /* events being put in order */
	struct unwind_tables *tables; /* NULL: frame pointers only */
	struct worker *worker; /* reads large files */
	bool fetches;          /* debug files are asked for from a server */
	struct governor *governor; /* NULL: calls are followed as the session was told */
	struct kept_stack *stacks;
	struct kept_text *texts;
	struct frame_block *frames;
	struct frame *room;    /* naming.c: one stack's frames while they are named */
	struct recent *recent; /* changes of mappings that may have to be applied once more; NULL: not watched */
	uint64_t map_drops;    /* HB_CNT_MAP_RING_FULL when last looked at */
	uint64_t look_ns;      /* when the latest look at the processes began, CLOCK_MONOTONIC */
	bool look_last;        /* and nothing will be read after it */
	uint64_t late;         /* LOSS_LATE_ATTACH */
	uint64_t unread;       /* LOSS_UNREAD_FILES */
	uint64_t forgotten;    /* LOSS_FORGOTTEN */
	uint64_t put_off;      /* LOSS_PUT_OFF */
	uint64_t huge_before;  /* memstat_huge() when the hooks were in place */
	uint64_t huge_unseen;  /* LOSS_HUGE_UNSEEN */
	uint64_t maps_read_anew; /* LOSS_MAPS_READ */
	uint64_t maps_odd;     /* LOSS_MAPS_ODD */
	bool narrow_refused;   /* calls of 32-bit programs cannot be seen, and that was told */
	uint64_t maps_seen;    /* changes of mappings, of all processes */
};

/* Whether calls of @process count. Of the whole host's processes they do of those that are attached to. */
static inline bool target_counts(const struct target *target, const struct process *process)
{
	return !target->everything || process->traced;
}

/* Whether the latest look may hold the address space of @process, of which its page table and maps are read. */
static inline bool target_may_hold(const struct target *target, struct process *process)
{
	return duty_may(&process->duty, target->look_ns, target->look_last);
}

struct process *target_process(const struct target *target, uint32_t gen);
void target_forget(struct target *target, struct process *process);

/* Put @module's probes for @process alone, unless they are there. */
void target_probe_own(struct target *target, struct process *process, struct module *module);
/* @to begins, where @from was with its pid before, or NULL. */
void target_governed_again(struct target *target, struct process *to, const struct process *from);
void governor_free(struct governor *governor);
/* Changes that no report will tell. */
uint64_t governor_forgotten(const struct governor *governor);

/* Take in what /proc says of @process, as far as it is still there. */
void target_describe(struct target *target, struct process *process);
/* Until then: @to is where @from is. It may be gone before /proc tells. */
void target_same_cgroup(struct process *to, const struct process *from);

/* Look again at the processes of which something was refused. */
void target_retry(struct target *target);

/* Read @module's unwind rows, once. */
void target_read_rows(struct target *target, struct module *module);
/* The kernel side asks for a file, or for its rows. */
void target_object(struct target *target, const struct hb_ev_object *event);
/* @process is about to map [start, end) into @image: whether that replaces other code. */
void target_mapped(struct target *target, struct process *process, const struct image *image, uint64_t start,
		   uint64_t end, uint64_t offset, const struct elf_file *file);

/* target_maps.c: an image begins with what @parent maps (NULL: with nothing that we know). */
void target_maps_begin(struct target *target, struct process *process, const struct process *parent);
void target_maps_event(struct target *target, const struct hb_ev_map *event);
/* Compare what we know of every process with what the kernel counts, and read it anew where they differ. */
void target_maps_check(struct target *target);
/* Read what @process maps now: that counts when all events before have come. 0 or negative errno. */
int target_maps_read(struct target *target, struct process *process);
/* What was read of @process counts from now on, if the events before it have come. 0 or negative errno. */
int target_maps_settle(struct target *target, struct process *process);
/* Append its sites to *@sites, a malloc'ed array of *@count. 0 or -ENOMEM. */
int target_maps_sites(struct target *target, uint64_t born_before_ns, struct board_site **sites, size_t *count);
struct recent *recent_new(void);
void recent_free(struct recent *recent);

/* target_pages.c: look at every process's sampled pages. 0 or negative errno. */
int target_pages_read(struct target *target);
/* As target_maps_sites(). */
int target_pages_sites(struct target *target, struct board_site **sites, size_t *count);
void target_pages_info(const struct target *target, const struct process *process, struct process_info *info);

/* The stack that stands for @stack, of @gen, among those that differ only inside the innermost function. */
uint64_t naming_alike(struct target *target, uint32_t gen, uint64_t stack);
/* Drop the stacks of @gen: nobody will ask for them. */
void naming_forget(struct target *target, uint32_t gen);

/* Whether a function that allocates is among the frames of @kept, a stack of @process. */
bool naming_allocates(struct target *target, const struct process *process, struct kept_stack *kept);
/* The frames of a stack, read from the kernel once. NULL: it has none, or memory is short. */
struct kept_stack *naming_stack(struct target *target, uint64_t key);
/* Drop the frames handed out so far. */
void naming_release(struct target *target);

#endif
