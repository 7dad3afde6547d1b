/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address space of one process image: an interval for each mapped range, with who mapped it. Fed with
 * the kernel side's struct hb_ev_map in the order of their times, and now and then with what the kernel
 * itself lists. All addresses and sizes are bytes; ranges are whole pages, [start, end).
 */
#ifndef HB_MODEL_VMA_H
#define HB_MODEL_VMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/record.h"

/* Who owns a range. */
enum vma_owner {
	VMA_CALLER,    /* whoever made the system call: known by its stack */
	VMA_ALLOCATOR, /* an allocator, inside a call that is accounted on its own */
	VMA_BEFORE,    /* not seen being mapped: from before tracing, inherited, or mapped by the kernel itself */
	VMA_OWNERS
};

struct vma_set;

/* An empty address space whose pages have @page_bytes (a power of two). NULL: memory is short. */
struct vma_set *vma_new(uint64_t page_bytes);
void vma_free(struct vma_set *set);

/*
 * One event. What cannot be (ranges that overflow or begin inside of a page) changes nothing, and is counted in
 * vma_odd() unless it is a call's beginning: the call fails, then. 0; 1 where the event does not tell enough, or
 * follows one that was lost, and -ENOMEM: the set may be untrue until vma_follow().
 */
int vma_apply(struct vma_set *set, const struct hb_ev_map *event);

/* One line of the kernel's own list. */
struct vma_line {
	uint64_t start, end;
	uint32_t prot; /* PROT_READ | PROT_WRITE | PROT_EXEC */
	bool stack;    /* the main thread's stack, which grows without a call */
	bool heap;     /* where the last of these ends is the program break */
};

/*
 * What may have happened while a list was read. The set has had these events already; of each of them the list
 * shows all, a part or nothing.
 */
struct vma_around {
	const struct hb_ev_map *events;
	size_t count;
	uint64_t lost_ns; /* mremaps under way that began before: their ends may have been lost. 0: none were */
	bool untrue;      /* the set may not have been right before, where a mremap took it from */
};

/*
 * Make the set what the kernel's list said: @lines are sorted and disjoint. Ranges known before keep their owner
 * where the list has them; what the list has in addition belongs to VMA_BEFORE. Where something came or went @around
 * its reading, or a mremap is under way, the set's own ranges stay as they are: the events tell all of it, in order.
 * 0; 1: it may be untrue still, for a mremap under way may have been seen at its new place and count twice until its
 * end is told, or one moved what was not right; -EINVAL: not sorted, or empty lines: nothing is changed; -ENOMEM: the
 * list is not taken over, or only in part.
 */
int vma_follow(struct vma_set *set, const struct vma_line *lines, size_t count, const struct vma_around *around);

/* Events were lost: where the break is will be known from the next vma_follow(). */
void vma_lost(struct vma_set *set);

/*
 * What a forked child, an empty set, begins with: all of @parent's ranges, VMA_BEFORE. 0; 1 if a mremap was under
 * way in the parent: the child may be untrue; -ENOMEM.
 */
int vma_copy(struct vma_set *child, const struct vma_set *parent);

/* Bytes of all ranges, and of what a mremap under way has taken up: that is mapped somewhere. */
struct vma_sums {
	uint64_t mapped_bytes;
	uint64_t committed_bytes; /* of it readable or writable */
	uint64_t owned_bytes[VMA_OWNERS]; /* mapped, by owner: their sum is mapped_bytes */
	uint64_t stack_bytes;     /* of it the main stack */
	size_t ranges;
};
void vma_sums(const struct vma_set *set, struct vma_sums *sums);

/*
 * One stack's mappings, of VMA_CALLER. allocated = freed + outstanding, in bytes; a count goes up with each
 * range that is mapped, and down when the last byte of it is gone.
 */
struct vma_site {
	uint64_t stack; /* as in struct hb_ev_map */
	uint32_t tid;   /* the thread, with HB_MAP_BY_THREAD; else 0 */
	struct hb_site totals;
	uint64_t committed_bytes; /* of the outstanding bytes, those readable or writable */
	uint64_t oldest_ns; /* when the oldest of what is outstanding was mapped; 0: nothing is */
};

/*
 * Every site that ever mapped something, in the order of their first mapping, in a malloc'ed array.
 * @born_before_ns: count into @held_bytes and @held_count of each (same order, may be NULL) only ranges
 * mapped no later. 0 or -ENOMEM.
 */
struct vma_held {
	uint64_t bytes, count;
};
int vma_sites(const struct vma_set *set, uint64_t born_before_ns, struct vma_site **sites, struct vma_held **held,
	      size_t *count);

/* Events that could not be. */
uint64_t vma_odd(const struct vma_set *set);

#endif
