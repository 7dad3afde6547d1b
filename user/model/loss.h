/* SPDX-License-Identifier: Apache-2.0 */
/* What was not counted, by name and sentence. "Never lose silently" lives here. */
#ifndef HB_MODEL_LOSS_H
#define HB_MODEL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "../../bpf/record.h"

enum loss_class {
	LOSS_LOST,    /* a map was full, a read failed */
	LOSS_DROPPED, /* a ring was full */
	LOSS_MISSED,  /* it happened before the probes were there */
	LOSS_NOTE,    /* worth saying, but nothing is missing from the sums */
	LOSS_FILL,    /* how full a table is; not shown among the losses */
	LOSS_BYTES,   /* the bytes of the events that the counter before it counts */
};

/* Counters kept by user space, numbered after the kernel's. */
enum loss_user {
	LOSS_MAP_EVENTS = HB_CNT_END, /* dropped: records of new mappings (perf ring full) */
	LOSS_LATE_ATTACH,             /* missed: allocators probed after their first use */
	LOSS_ATTACH_FAILED,           /* missed: entry points that could not be probed */
	LOSS_RECURSION,               /* missed: program runs the kernel skipped */
	LOSS_UNREAD_FILES,            /* missed: files whose process had ended before they were opened */
	LOSS_FORGOTTEN,               /* note: ended process images no longer kept */
	LOSS_ROWS_REFUSED,            /* note: files whose unwind rows did not fit */
	LOSS_ROWS_DROPPED,            /* note: files whose unwind rows went to make room */
	LOSS_PUT_OFF,                 /* note: readings of processes that were put off */
	LOSS_SKIPPED_PAGES,           /* note: the same as LOSS_RECURSION, of programs of which it loses nothing */
	LOSS_HUGE_UNSEEN,             /* note: huge pages of whom nothing is known, by the kernel's own counter */
	LOSS_MAPS_READ,               /* note: mappings that were read anew */
	LOSS_MAPS_ODD,                /* note: changes of mappings that cannot be */
	LOSS_CHANGES,                 /* note: changes of how malloc is followed that no report told */
	LOSS_KILLS,                   /* dropped: OOM kills that heldby oom does not tell of */
	LOSS_COMMANDS,                /* note: command lines of victims that are not known, in whole or in part */
	LOSS_END
};

#define LOSS_PROGRAMS_MAX 64 /* more than there are */

/* Runs of one program that LOSS_RECURSION counts. */
struct loss_program {
	char name[16]; /* BPF_OBJ_NAME_LEN, include/uapi/linux/bpf.h */
	uint64_t skipped;
};

struct losses {
	uint64_t counts[LOSS_END];
	struct loss_program programs[LOSS_PROGRAMS_MAX]; /* those that were skipped, most first */
	size_t programs_count;
};

struct loss_kind {
	const char *name;     /* key in the JSON's losses.detail: "unknown_frees", ... */
	enum loss_class class;
	const char *sentence; /* what it means and what to try, without the number */
};

/* The kind of counter @index (< LOSS_END); never NULL. */
const struct loss_kind *loss_kind(size_t index);

/* Bytes of the events of counter @index; 0 if they are not counted. */
uint64_t losses_bytes(const struct losses *losses, size_t index);

/* Count @skipped runs of the program @name, into LOSS_RECURSION too. */
void losses_skip(struct losses *losses, const char *name, uint64_t skipped);

/* Sum over one class. */
uint64_t losses_sum(const struct losses *losses, enum loss_class class);

#endif
