/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the address space share: vma.c keeps the ranges, vma_events.c applies events to them,
 * vma_list.c takes over the kernel's own list, but for where vma_around.c says that it may be late.
 */
#ifndef HB_MODEL_VMA_PARTS_H
#define HB_MODEL_VMA_PARTS_H

/* Memory may be short: an entry that could not be added has no table afterwards. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((void)(entry))
#include <uthash.h>

#include "vma.h"

/* include/uapi/asm-generic/mman-common.h */
#define PROT_KEPT 7u /* PROT_READ | PROT_WRITE | PROT_EXEC */

#define NOT_ENOUGH 1 /* the event does not tell all, or one before it was lost */

/* Mappings that are nobody's call. All others have a site. */
enum { MAPPING_BEFORE, MAPPING_ALLOCATOR, MAPPING_STACK, MAPPING_FIRST };

/* A piece of a mapping. */
struct part {
	uint64_t start, end;
	uint32_t mapping;
	uint32_t prot;
};

/* What one call mapped. */
struct mapping {
	uint64_t bytes;    /* of it that are mapped still, or under way in a mremap */
	uint64_t since_ns;
	uint64_t attached; /* where shmat put it; 0: another call's */
	uint32_t site;     /* index into sites; of a free one: the next free one */
	uint32_t holds;    /* kept pieces that may come back */
};

struct site_key {
	uint64_t stack;
	uint64_t tid;
};

struct site {
	struct site_key key;
	struct hb_site totals;
	uint32_t index;
	UT_hash_handle hh;
};

struct pieces {
	struct part *parts;
	size_t count;
};

/* What a call under way took away. */
struct kept {
	uint32_t tid;      /* 0: free */
	uint32_t op;       /* HB_MAP_REMOVE or HB_MAP_REMAP_BEGIN */
	uint64_t order;    /* of its beginning */
	uint64_t since_ns; /* its time */
	uint64_t old_addr, old_bytes; /* REMAP_BEGIN */
	bool stays;        /* nothing moves: MREMAP_DONTUNMAP, or a copy */
	bool unclear;      /* what a failure leaves behind is not known */
	struct pieces moving; /* of a mremap: mapped still, but not known where */
	struct pieces gone;   /* booked as freed: come back if the call fails */
};

#define KEPT_MAX 64 /* threads with a call under way; the oldest is given up, a REMOVE before a mremap */

struct vma_set {
	uint64_t page;
	struct part *parts; /* sorted, disjoint */
	size_t count, room;
	size_t merge_at;    /* count at which neighbours are joined */
	struct mapping *mappings;
	size_t mappings_count, mappings_room;
	uint32_t free_mapping; /* 0: none */
	struct site **sites;
	size_t sites_count, sites_room;
	struct site *by_key;
	struct kept kept[KEPT_MAX];
	uint64_t order;
	uint64_t break_end; /* of the heap; 0: not known */
	uint64_t odd;
};

/* Make room for @more parts. 0 or -ENOMEM. */
int vma_reserve(struct vma_set *set, size_t more);

/* The index of the first part that ends above @address. */
size_t vma_find(const struct vma_set *set, uint64_t address);

/*
 * Take [start, end) out. With @removed (room for all of the set's parts) the pieces go there and nothing is
 * booked; else they are booked as freed. Needs room for one part.
 */
size_t vma_cut(struct vma_set *set, uint64_t start, uint64_t end, struct part *removed);

/* Put @parts, which are sorted, where nothing is from the first to the last. Needs room for @count. */
void vma_put(struct vma_set *set, const struct part *parts, size_t count);

/*
 * Put @part wherever nothing is in its range; the number of bytes that found a place. Needs room for one part
 * more than there are in the range.
 */
uint64_t vma_fill(struct vma_set *set, const struct part *part);
size_t vma_parts_in(const struct vma_set *set, uint64_t start, uint64_t end);

/* A new mapping of @event's caller, of no bytes yet. 0 or -ENOMEM. */
int vma_begin(struct vma_set *set, const struct hb_ev_map *event, uint32_t *mapping);
/* Bytes of a mapping come, and go. */
void vma_book_in(struct vma_set *set, uint32_t mapping, uint64_t bytes);
void vma_book_out(struct vma_set *set, uint32_t mapping, uint64_t bytes);
/* Bytes that were booked out had not gone. */
void vma_book_back(struct vma_set *set, uint32_t mapping, uint64_t bytes);
void vma_hold(struct vma_set *set, uint32_t mapping);
void vma_release(struct vma_set *set, uint32_t mapping);

/* Split parts so that one begins at @address, if it is mapped. Needs room for one. */
void vma_split(struct vma_set *set, uint64_t address);
/* Join pieces of one mapping with the same protection, in [start, end) and with what lies beside. */
void vma_join(struct vma_set *set, uint64_t start, uint64_t end);
/* If there are very many parts, make one of neighbours of one site. */
void vma_merge(struct vma_set *set);

/* Give what is mapped in [start, end) the protection @prot. 0 or -ENOMEM. */
int vma_protect(struct vma_set *set, uint64_t start, uint64_t end, uint32_t prot);

/* vma_events.c: [addr, addr + bytes) in whole pages. false: it cannot be. */
bool vma_whole(const struct vma_set *set, uint64_t addr, uint64_t bytes, uint64_t *end);

/* The heap that the brk of @event leaves, in whole pages. false: it cannot be. */
bool vma_heap_of(const struct vma_set *set, const struct hb_ev_map *event, uint64_t *start, uint64_t *end);

/*
 * The bytes that the mmap of @event maps: those of huge pages are as many as whole ones have. *@err: NOT_ENOUGH
 * where the call does not tell their size, else as it was.
 */
uint64_t vma_bytes_of(const struct hb_ev_map *event, int *err);

/* Put back what moved by mremaps that began before @lost_ns, and forget these calls. */
void vma_forget_moves(struct vma_set *set, uint64_t lost_ns);

/* [start, end) */
struct span {
	uint64_t start, end;
};

/* vma_list.c: the index of the first line that ends above @address; and where the heap ends, 0: there is none. */
size_t vma_line_at(const struct vma_line *lines, size_t count, uint64_t address);
uint64_t vma_heap_end(const struct vma_line *lines, size_t count);

/* vma_around.c: where things came and went by @around and mremaps under way, sorted and disjoint. 0 or -ENOMEM. */
int vma_spans(const struct vma_set *set, const struct vma_line *lines, size_t count, const struct vma_around *around,
	      struct span **spans, size_t *spans_count);

#endif
