/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a target share: target.c follows processes, target_unwind.c tells the unwinder of
 * them, collect.c reads what they hold, naming.c names it.
 */
#ifndef HB_PROBE_TARGET_PRIVATE_H
#define HB_PROBE_TARGET_PRIVATE_H

#include <uthash.h>

#include "../base/worker.h"
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

/* One process image. */
struct process {
	uint32_t gen; /* 0: waits for its exec */
	uint32_t pid;
	uint32_t image;
	int64_t start_unix_ns;
	char comm[HB_COMM_LEN];
	char *cgroup;
	char container[65]; /* "" if none */
	struct image now;
	struct image next; /* what an exec under way is building */
	bool execing;
	bool running;  /* attached to while running: its first modules are no latecomers */
	bool exited;
	bool purged;   /* its rows have left the kernel */
	bool space_changed; /* the kernel side is to be told of its mappings */
	struct jit *jit; /* it runs code in no file; or NULL */
	struct process_probes *probes; /* of its own, when not probed everywhere */
	size_t probes_count;
	const char **allocators; /* names for process_info */
	struct process *older; /* list of all, newest first */
	UT_hash_handle hh;     /* by gen */
	UT_hash_handle hh_pid; /* by pid, the current image only */
};

/* A stack read from the kernel, kept. */
struct kept_stack {
	uint64_t key;
	uint32_t count;
	uint8_t end; /* enum hb_end */
	UT_hash_handle hh;
	uint64_t frames[];
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

struct target {
	struct session *session;
	struct mapwatch *watch;
	struct symcache *symbols;
	struct modules *modules;
	struct board *board;
	bool follow;
	uint32_t next_gen;
	struct process *by_gen, *by_pid, *newest;
	size_t alive;
	size_t ended;          /* not yet purged */
	struct queue *queue;   /* events being put in order */
	struct unwind_tables *tables; /* NULL: frame pointers only */
	struct worker *worker; /* reads large files */
	bool fetches;          /* debug files are asked for from a server */
	bool spaces_changed;   /* some process's space_changed is set */
	struct kept_stack *stacks;
	struct kept_text *texts;
	struct frame_block *frames;
	struct frame *room;    /* naming.c: one stack's frames while they are named */
	uint64_t late;         /* LOSS_LATE_ATTACH */
	uint64_t unread;       /* LOSS_UNREAD_FILES */
	uint64_t forgotten;    /* LOSS_FORGOTTEN */
};

struct process *target_process(const struct target *target, uint32_t gen);
void target_forget(struct target *target, struct process *process);

/* Read @module's unwind rows, once. */
void target_read_rows(struct target *target, struct module *module);
/* The kernel side asks for a file, or for its rows. */
void target_object(struct target *target, const struct hb_ev_object *event);
/* @process is about to map [start, end) into @image: whether that replaces other code. */
void target_mapped(struct target *target, struct process *process, const struct image *image, uint64_t start,
		   uint64_t end, uint64_t offset, const struct elf_file *file);
/* Tell the kernel side of mappings that changed. */
void target_spaces(struct target *target);

/* The frames of a stack, read from the kernel once. NULL: it has none, or memory is short. */
const struct kept_stack *naming_stack(struct target *target, uint64_t key);
/* Drop the frames handed out so far. */
void naming_release(struct target *target);

#endif
