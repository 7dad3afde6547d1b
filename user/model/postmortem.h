/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of one OOM kill: the document heldby.postmortem/1 before a view turns it into bytes. Pure data,
 * everything borrowed. Bytes are bytes; a number that may be unknown is POSTMORTEM_UNKNOWN then, never 0.
 */
#ifndef HB_MODEL_POSTMORTEM_H
#define HB_MODEL_POSTMORTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "container.h"
#include "frame.h"
#include "loss.h"

#define POSTMORTEM_UNKNOWN UINT64_MAX
#define POSTMORTEM_ADJ_UNKNOWN INT32_MIN /* of an oom_score_adj, which is -1000 to 1000 */
#define POSTMORTEM_LEVELS_MAX 16
#define POSTMORTEM_NODE_WORDS 16 /* 1,024 NUMA nodes: as many as a kernel can have */
#define POSTMORTEM_SENTENCES_MAX 6
#define POSTMORTEM_SENTENCE_BYTES 512

enum oom_domain {
	OOM_GLOBAL,
	OOM_CPUSET,
	OOM_MEMPOLICY,
	OOM_MEMCG,
	OOM_DOMAIN_UNKNOWN,
};

enum oom_trigger { OOM_TRIGGER_TASK, OOM_TRIGGER_KERNEL, OOM_TRIGGER_SYSRQ };

/* One process of the domain, as it was at the kill. */
struct postmortem_task {
	uint32_t pid;
	const char *comm; /* any bytes, never NULL */
	uint64_t anon_rss_bytes, file_rss_bytes, shmem_rss_bytes, swap_bytes, pgtables_bytes;
	int32_t oom_score_adj; /* may be ADJ_UNKNOWN */
	bool victim;
	bool approximate; /* the resident numbers are the kernel's rough ones, and may be too low */
	const char *cgroup; /* memory cgroup; NULL: unknown */
	const struct container_info *container; /* NULL: none */
	const struct postmortem_sample *history; /* oldest first; of a few others than the victim */
	size_t history_count;
};

/* A thread of the victim, as it was when it was told to die. */
struct postmortem_thread {
	uint32_t thread;
	const char *comm;           /* any bytes, never NULL */
	const struct frame *frames; /* of user space, innermost first */
	size_t frames_count;
};

/* A memory cgroup on the way from the victim's own (first) up to the root. */
struct postmortem_level {
	const char *cgroup; /* path, "/" is the root; NULL: unknown */
	uint64_t limit_bytes, usage_bytes, peak_bytes; /* each may be unknown; no limit: unknown */
};

struct postmortem_sample {
	double age_s;       /* before the kill */
	uint64_t rss_bytes; /* of the process */
	uint64_t cgroup_bytes; /* of all in the domain's cgroup, and below; may be unknown */
};

struct postmortem_loss {
	size_t kind; /* index of its counter, for loss_kind() */
	uint64_t count;
};

struct postmortem {
	int64_t time_unix_ns;
	const char *host, *kernel;
	uint64_t sequence;     /* of this kill, from 1, since heldby listens */
	uint64_t group;        /* sequence of the incident's first victim; 0: it is the only one or the first */
	unsigned int group_count; /* victims of the incident so far, this one included; 1: alone */

	struct {
		uint32_t pid, thread;
		const char *comm;    /* never NULL */
		const char *cmdline; /* words separated by blanks; NULL: unknown */
		const char *cmdline_how; /* "part": its beginning; "earlier": as it was then; NULL: at the kill */
		uint64_t uid;        /* UNKNOWN */
		const char *cgroup;  /* memory cgroup; NULL: unknown */
		const struct container_info *container; /* NULL: none */
		int32_t oom_score_adj; /* ADJ_UNKNOWN */
		uint64_t badness_pages, page_bytes;
		uint64_t lifetime_ns;
		int64_t start_unix_ns; /* 0: unknown */
		uint32_t container_pid; /* its pid in its own pid namespace; 0: the same as pid */
		uint32_t threads_count; /* 0: unknown */
		bool already_dying;    /* it was exiting: the kernel only let it finish */
		unsigned int marks_count;
		uint64_t freed_ns;     /* from the kill until its memory was back; UNKNOWN */
		uint64_t total_vm_bytes, anon_rss_bytes, file_rss_bytes, shmem_rss_bytes, swap_bytes, pgtables_bytes;
		const struct postmortem_thread *threads; /* a few of them: whoever had exited by then is not there */
		size_t threads_shown;
		bool approximate;      /* those of the line above may be too low, as in struct postmortem_task */
	} victim;

	struct {
		enum oom_trigger kind;
		uint32_t pid, thread;
		const char *comm;    /* NULL: not known who it was */
		bool gfp_known;
		uint32_t gfp;
		const char *gfp_mask; /* "GFP_KERNEL_ACCOUNT"; NULL: unknown */
		int32_t order;        /* -1: sysrq, meaningless if !gfp_known */
		const char *cgroup;   /* NULL: unknown */
		const struct container_info *container; /* NULL: none */
		bool other_cgroup;    /* it is in no cgroup below the domain */
		const struct frame *frames; /* innermost first: the kernel's, then its own */
		size_t frames_count;
	} trigger;

	struct {
		enum oom_domain kind;
		const char *how;     /* "kprobe", "fentry", "stack", "oom_lock", "limit"; NULL: unknown */
		const char *cgroup;  /* of OOM_MEMCG: whose limit was hit; NULL: unknown */
		const char *counter; /* "memory", "memory+swap", "swap"; NULL: unknown */
		const struct container_info *container; /* of that cgroup; NULL: it is none */
		uint64_t limit_bytes, usage_bytes;
		/* OOM_CPUSET, OOM_MEMPOLICY: the NUMA nodes that were allowed, a bit each; all 0: not known. */
		uint64_t nodes[POSTMORTEM_NODE_WORDS];
		uint64_t nodes_free_bytes, elsewhere_free_bytes; /* on those, and on all others; UNKNOWN */
		bool has_stat;
		const char *stat_how; /* "kernel": at the kill; "file": read right after; NULL: not known */
		/* Bytes, by the names of memory.stat; each may be UNKNOWN. */
		uint64_t stat_anon, stat_file, stat_shmem, stat_kernel_stack, stat_slab, stat_pagetables, stat_sock;
		/* Of the last 10 and 60 s, when some or all of those with work waited for memory: hundredths of %. */
		uint64_t pressure_some_10s, pressure_some_60s, pressure_full_10s, pressure_full_60s;
		struct postmortem_level levels[POSTMORTEM_LEVELS_MAX]; /* the victim's own first */
		size_t levels_count;
		uint64_t free_bytes; /* of the host, global kills; UNKNOWN */
		uint64_t swap_total_bytes, swap_free_bytes; /* of the host; UNKNOWN */
	} domain;

	const struct postmortem_task *tasks; /* those that held most first; the victim is among them */
	size_t tasks_count;
	size_t tasks_total; /* before they were cut */

	/* What the victim held by stack, largest first, sources apart: malloc, direct, mmap, pages. */
	const struct board_row *holders;
	size_t holders_count;
	size_t holders_shown;       /* of each source in the text and the JSON; the verdict takes all. 0: all */
	unsigned int holders_approximate; /* bit 1 << source: something was lost while those were counted */
	bool holders_scaled;        /* pages: estimates added up to more than was resident, and were scaled down */
	uint64_t holders_traced_ns; /* how long before the kill its calls began to count; UNKNOWN: pages alone */
	const char *holders_sampling; /* of malloc, at the kill: "exact", bytes, "off" (too dear); NULL: not traced */
	bool holders_direct_off; /* direct memory was too dear to be followed at the kill */
	uint64_t holders_explained_bytes; /* of anonymous and shared memory, by pages; 0: no pages */

	/* Of a Java process, when it was last looked at; UNKNOWN each if not. */
	uint64_t java_heap_max_bytes, java_direct_bytes;

	const struct postmortem_sample *history; /* oldest first */
	size_t history_count;
	unsigned int kills_before;  /* incidents of the same cgroup within the last ten minutes: a group is one */
	double kills_before_lived_s[2]; /* shortest and longest life of those */

	/* What heldby itself did not see, since it listens; each of another kind. */
	const struct postmortem_loss *losses;
	size_t losses_count;
};

/* "20261122T112233.123Z-7-4711": when, the number of the kill, and the victim's pid. Sorted by it they are by time. */
#define POSTMORTEM_ID_BYTES 64
char *postmortem_id(const struct postmortem *pm, char out[POSTMORTEM_ID_BYTES]);

struct postmortem_verdict {
	char sentences[POSTMORTEM_SENTENCES_MAX][POSTMORTEM_SENTENCE_BYTES];
	size_t count;
};

/* Nothing is known: numbers UNKNOWN, pointers NULL, comms "", counts 0. */
void postmortem_init(struct postmortem *pm);

/*
 * A few sentences from rules, each with its number: what died, whose limit it was, whether it was the culprit,
 * what held the memory, how it grew, what else was odd; of each of these the first rule that holds. Text is
 * printable ASCII, whatever names are like.
 */
void postmortem_judge(const struct postmortem *pm, struct postmortem_verdict *verdict);

/* "memcg", "global", "cpuset", "mempolicy"; NULL for OOM_DOMAIN_UNKNOWN */
const char *postmortem_domain_name(enum oom_domain kind);

/* "task", "kernel", "sysrq" */
const char *postmortem_trigger_name(enum oom_trigger kind);

/* The sum of those that are known; UNKNOWN if none is, or the sum does not fit. */
uint64_t postmortem_sum(const uint64_t *numbers, size_t count);

/* Anonymous, file and shared memory together, as postmortem_sum() adds them. */
uint64_t postmortem_task_rss(const struct postmortem_task *task);
uint64_t postmortem_victim_rss(const struct postmortem *pm);

/* The same of the victim without files: what its holders can hold. */
uint64_t postmortem_victim_anonymous(const struct postmortem *pm);
/* What pages explain of that in percent; below 0: nothing, or it is not known. */
double postmortem_explained_percent(const struct postmortem *pm);

/* Whether NUMA node @node was one of those allowed. */
bool postmortem_allows_node(const struct postmortem *pm, unsigned int node);
/* Those nodes as the kernel lists them: "0-1,3", cut to @size; "" if they are not known. Returns @out. */
char *postmortem_nodes(const struct postmortem *pm, char *out, size_t size);

/* Whether a holder is one of those that are shown, by its rank among those of its source. */
bool postmortem_shows_row(const struct postmortem *pm, const struct board_row *row);

/* Whether the limit that was hit is that of the victim's own cgroup, or of its container. */
bool postmortem_limit_is_own(const struct postmortem *pm);

/*
 * Whether a holder is one of those that may be added up: pages where there are any, for they see
 * everything that is resident; else all the others.
 */
bool postmortem_counts_row(const struct postmortem *pm, const struct board_row *row);

/*
 * The innermost frame of @row that has a name, any bytes, cut to @size, but not that of a function which allocates
 * or fills memory for everybody (malloc, memset), if there are others; else "libfoo.so+0x12", else "unknown stack".
 * Returns @out.
 */
char *postmortem_site_name(const struct board_row *row, char *out, size_t size);

#endif
