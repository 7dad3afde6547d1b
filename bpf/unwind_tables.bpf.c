// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Owns the unwind tables: from an address to its frame, and to the rule that finds its caller's. Rows are
 * made by user space of .eh_frame. For kernels without bpf_loop() and bpf_find_vma() (before 5.17)
 * everything is compiled once more with HB_POINTERS_ONLY: the same maps and programs, without the walk.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

/* What the rows of all files say, each rule once. 256 KiB; more become HB_RULE_UNSUPPORTED in user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HB_RULES_MAX);
	__type(key, __u32);
	__type(value, struct hb_rule);
} hb_rules SEC(".maps");

/* The rows, 512 KiB in each, made by user space when needed and written through a mapping. Full: HB_OBJECT_FULL. */
struct chunk_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HB_CHUNKS_TOGETHER);
	__type(key, __u32);
	__uint(value_size, sizeof(struct hb_chunk)); /* its type is not in the object for old kernels */
};
struct {
	__uint(max_entries, 32); /* --unwind-memory */
	__type(key, __u32);
#ifndef HB_NATIVE
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__array(values, struct chunk_map);
#else /* as if they were one */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(value, struct hb_chunk);
#endif
} hb_chunks SEC(".maps");

/* Where the rows of each page are. 8 bytes for 64 KiB of a file; full: HB_OBJECT_FULL. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 16); /* --unwind-memory */
	__type(key, __u32);
	__type(value, struct hb_page);
} hb_pages SEC(".maps");

/* By number. 24 bytes and overhead, as they come; full: no rows for the file, said by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, __u32);
	__type(value, struct hb_object);
} hb_objects SEC(".maps");

/* A file's number, by how the kernel knows it. Full: count HB_CNT_OBJECTS_FULL, and frames are addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct hb_inode_key);
	__type(value, struct hb_inode);
} hb_inodes SEC(".maps");

/* The number given out last; user space gives out numbers, too, and starts behind the vdso's. */
__u32 hb_last_object = HB_OBJECT_VDSO;

#define PLACES      (1U << 16)
#define OFFSET_BITS 36 /* as in HB_FRAME_IN_OBJECT() */

/*
 * The rule of a place in a file, whatever process runs it: in seats, each written in one piece, so that a process that
 * has just begun finds what others needed. 8 bytes each; who comes later to a seat has it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, __u64);
} hb_places SEC(".maps");

/* What was found out about an address of a process. */
struct pc_key {
	u64 pc;       /* and above bit 60: PC_* */
	u32 mappings; /* process_mappings() */
	u32 flushes;
};

#define PC_EXACT (1ULL << 63)
#define PC_FIRST (1ULL << 62)

struct pc {
	u64 frame;
	struct hb_rule rule;
};

/* 100 bytes each, all at the start. Full: the least used goes, and is found out again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, struct pc_key);
	__type(value, struct pc);
} hb_pcs SEC(".maps");

/* User space adds one where code of a process of that generation was replaced by other code. */
__u32 hb_flushes[HB_FLUSHES];

#ifndef HB_POINTERS_ONLY
#define NO_RULE         0xffffffffu

/* NULL: nothing was put there. */
static __always_inline struct hb_chunk *chunk_at(u32 index)
{
#ifndef HB_NATIVE
	u32 together = index / HB_CHUNKS_TOGETHER, inside = index % HB_CHUNKS_TOGETHER;
	void *map = bpf_map_lookup_elem(&hb_chunks, &together);

	return map ? bpf_map_lookup_elem(map, &inside) : NULL;
#else
	return bpf_map_lookup_elem(&hb_chunks, &index);
#endif
}

/*
 * The last of @count rows from @first on whose offset is not above @low, in chunk @index. Free of
 * branches, or the verifier would follow each of 2^14 ways (from 6.18 on also after an arithmetic
 * shift); the empty asm keeps clang from making branches of it again, and from dropping the mask that
 * the verifier wants.
 */
static __always_inline u32 search(u32 index, u32 first, u32 row_count, u32 low)
{
	struct hb_chunk *chunk = chunk_at(index);
	u64 at = first, end = (u64)first + row_count;

	if (!chunk)
		return NO_RULE;
#define TRY(power)                                                                             \
	do {                                                                                   \
		u64 next = at + (1 << (power)), place = next;                                  \
		u64 inside, below, take;                                                       \
                                                                                               \
		asm volatile("" : "+r"(place));                                                \
		place &= HB_CHUNK_ROWS - 1;                                                    \
		inside = next - end;                                                           \
		below = chunk->rows[place].offset - (u64)low - 1;                              \
		asm volatile("" : "+r"(inside), "+r"(below));                                  \
		take = (inside & below) >> 63; /* 1: both are below 0 */                       \
		asm volatile("" : "+r"(take));                                                 \
		at += take << (power);                                                         \
	} while (0)
	TRY(13);
	TRY(12);
	TRY(11);
	TRY(10);
	TRY(9);
	TRY(8);
	TRY(7);
	TRY(6);
	TRY(5);
	TRY(4);
	TRY(3);
	TRY(2);
	TRY(1);
	TRY(0);
#undef TRY
	asm volatile("" : "+r"(at));
	return chunk->rows[at & (HB_CHUNK_ROWS - 1)].rule;
}

/* The rule of an offset in page @index. NO_RULE: the page's rows were replaced meanwhile. */
__noinline u32 unwind_row(u32 index, u32 low)
{
	struct hb_page *page = bpf_map_lookup_elem(&hb_pages, &index);
	struct hb_page before;
	u64 whole;
	u32 rule;

	if (!page)
		return HB_RULE_NONE;
	whole = *(volatile u64 *)page; /* in one piece */
	before = *(struct hb_page *)&whole;
	if (!before.count)
		return HB_RULE_NONE;
	rule = search(before.chunk, before.first, before.count, low);
	asm volatile("" ::: "memory");
	if (*(volatile u64 *)page != whole)
		return NO_RULE;
	return rule;
}

static __always_inline void no_rule(struct hb_walk *walk, u8 why)
{
	walk->rule = (struct hb_rule){ .cfa = HB_CFA_NONE, .more = why };
}

/* Not on the stack: older kernels (6.1) round each function's up to 32 bytes, and 512 are all there is. */
static __always_inline void ask(struct hb_walk *walk, const struct hb_mapping *found, u32 object)
{
	struct hb_ev_object *event = &walk->asked;

	event->kind = HB_EV_OBJECT;
	event->tgid = bpf_get_current_pid_tgid() >> 32;
	event->time_ns = bpf_ktime_get_ns();
	event->gen = walk->gen;
	event->object = object;
	event->start = found->start;
	event->end = found->end;
	event->offset = found->offset;
	event->key = found->key;
	emit_object(event);
}

/* A seat holds the upper 48 bits of what a place becomes here, which no other place does, and its rule's index + 1. */
static __always_inline u64 place_of(u32 object, u64 offset)
{
	u64 place = (u64)object << OFFSET_BITS | offset;

	place ^= place >> 32;
	place *= 0xd6e8feb86659fd93ULL; /* odd: each step can be undone */
	place ^= place >> 32;
	place *= 0xd6e8feb86659fd93ULL;
	return place ^ place >> 32;
}

static __always_inline u64 *seat_of(u64 place)
{
	u32 seat = place & (PLACES - 1);

	return bpf_map_lookup_elem(&hb_places, &seat);
}

/* Rule @index into @walk. */
static __always_inline bool take_rule(struct hb_walk *walk, u32 index)
{
	struct hb_rule *rule = bpf_map_lookup_elem(&hb_rules, &index);

	if (!rule)
		return false;
	walk->rule = *rule;
	if (rule->cfa == HB_CFA_NONE)
		walk->rule.more = HB_END_NO_ROWS;
	return true;
}

/* As object_rule(), from the rows. */
static __always_inline bool find_rule(struct hb_walk *walk, const struct hb_mapping *found, u32 object, u64 offset)
{
	struct hb_object *info = bpf_map_lookup_elem(&hb_objects, &object);
	u32 index, base, pages;
	u64 now_ns, page, *seat, place;

	no_rule(walk, HB_END_PENDING);
	if (!info || info->state == HB_OBJECT_PENDING)
		return false;
	base = info->page_base;
	pages = info->pages;
	now_ns = bpf_ktime_get_ns();
	info->used_ns = now_ns;
	if (info->state == HB_OBJECT_NO_ROWS) {
		no_rule(walk, HB_END_NO_ROWS);
		return true;
	}
	if (info->state != HB_OBJECT_READY) {
		no_rule(walk, HB_END_FULL);
		if (HB_ASKED(now_ns) - info->asked >= HB_ASK_EVERY) {
			info->asked = HB_ASKED(now_ns);
			ask(walk, found, object);
		}
		return false;
	}
	page = offset >> HB_PAGE_SHIFT;
	index = page < pages ? unwind_row(base + page, offset & ((1 << HB_PAGE_SHIFT) - 1)) : HB_RULE_NONE;
	/* The rows may have been dropped meanwhile, their pages be another's, and @info anything. */
	info = bpf_map_lookup_elem(&hb_objects, &object);
	if (index == NO_RULE || !info || info->state != HB_OBJECT_READY || info->page_base != base ||
	    info->pages != pages) {
		no_rule(walk, HB_END_FULL);
		return false;
	}
	place = place_of(object, offset);
	seat = seat_of(place);
	if (seat)
		*(volatile u64 *)seat = (place & ~(PLACES - 1ULL)) | (index + 1);
	return take_rule(walk, index);
}

/* The rule at @offset of @object into @walk. Returns whether it holds from now on. */
static __always_inline bool object_rule(struct hb_walk *walk, const struct hb_mapping *found, u32 object, u64 offset)
{
	u64 place = place_of(object, offset), *seat = seat_of(place), held = seat ? *(volatile u64 *)seat : 0;

	if (((held ^ place) & ~(PLACES - 1ULL)) || !(held & (PLACES - 1)))
		return find_rule(walk, found, object, offset);
	return take_rule(walk, (held & (PLACES - 1)) - 1);
}

/* The number of the file behind a mapping, given out here if need be and told to user space; 0: no room. */
static __always_inline u32 object_of(struct hb_walk *walk, const struct hb_mapping *found)
{
	struct hb_inode_key key = found->key; /* a copy: older kernels (6.1) take keys from the stack or a map only */
	struct hb_inode *known, fresh;
	struct hb_object *info;

	if (found->vdso)
		return HB_OBJECT_VDSO;
	known = bpf_map_lookup_elem(&hb_inodes, &key);
	if (!known) {
		/* A number at once: by its address alone it might be taken for what is mapped there later. */
		if (hb_last_object >= HB_OBJECT_MAX)
			return 0; /* before drawing one: it must not come around */
		fresh.object = __sync_fetch_and_add(&hb_last_object, 1) + 1;
		if (fresh.object > HB_OBJECT_MAX)
			return 0;
		fresh.asked = HB_ASKED(bpf_ktime_get_ns());
		if (!bpf_map_update_elem(&hb_inodes, &key, &fresh, BPF_NOEXIST)) {
			ask(walk, found, fresh.object);
			return fresh.object;
		}
		known = bpf_map_lookup_elem(&hb_inodes, &key);
		if (!known) {
			__sync_val_compare_and_swap(&hb_last_object, fresh.object, fresh.object - 1);
			count(HB_CNT_OBJECTS_FULL);
			return 0;
		}
	}
	fresh.object = known->object;
	info = bpf_map_lookup_elem(&hb_objects, &fresh.object);
	if (info) {
		info->used_ns = bpf_ktime_get_ns(); /* by places, too, that need no rows any more */
	} else {
		fresh.asked = HB_ASKED(bpf_ktime_get_ns());
		if (fresh.asked - known->asked >= HB_ASK_EVERY) {
			known->asked = fresh.asked;
			ask(walk, found, fresh.object);
		}
	}
	return fresh.object;
}

/* Find out what lies at walk->pc: its frame, and the rule for its caller. @err is mapping_find()'s answer. */
static __always_inline enum hb_found find_out(struct hb_walk *walk, int err)
{
	const struct hb_mapping *found = &walk->mapping;
	bool holds;
	u64 offset;

	walk->frame = walk->pc | (walk->exact ? HB_FRAME_EXACT : 0);
	if (err == -EBUSY) {
		no_rule(walk, HB_END_BUSY);
		return HB_FOUND_FOR_NOW;
	}
	if (err || !found->exec) {
		no_rule(walk, HB_END_UNMAPPED);
		return HB_FOUND_NOTHING;
	}
	if (!found->file && !found->vdso) {
		no_rule(walk, HB_END_ANONYMOUS);
		return HB_FOUND;
	}
	if (!walk->object)
		walk->object = object_of(walk, found);
	offset = walk->pc - found->start + (found->vdso ? 0 : found->offset);
	if (!walk->object || offset >> OFFSET_BITS) {
		no_rule(walk, HB_END_PENDING);
		return HB_FOUND_FOR_NOW;
	}
	walk->frame = HB_FRAME_IN_OBJECT(walk->object, offset) | (walk->exact ? HB_FRAME_EXACT : 0);
	holds = object_rule(walk, found, walk->object, offset - !walk->first);
	if (walk->rule.cfa == HB_CFA_SIGNAL)
		walk->frame |= HB_FRAME_EXACT; /* nobody calls a signal trampoline: handlers return to its start */
	return holds && found->settled ? HB_FOUND : HB_FOUND_FOR_NOW;
}

static __always_inline struct pc_key key_of(const struct hb_walk *walk)
{
	return (struct pc_key){
		.pc = walk->pc | (walk->exact ? PC_EXACT : 0) | (walk->first ? PC_FIRST : 0),
		.mappings = walk->mappings,
		.flushes = walk->flushes,
	};
}

/* Global, as others here: verified once, whatever called it. */
__noinline bool unwind_known(struct hb_walk *walk)
{
	struct pc_key key;
	struct pc *known;

	if (!walk || !walk->mappings)
		return false; /* the process is not traced any more, and its calls still under way share the number 0 */
	key = key_of(walk);
	known = bpf_map_lookup_elem(&hb_pcs, &key);
	if (!known)
		return false;
	walk->frame = known->frame;
	walk->rule = known->rule;
	return true;
}

__noinline int unwind_find(struct hb_walk *walk, int err)
{
	enum hb_found found;
	struct pc_key key;
	struct pc fresh;

	if (!walk)
		return HB_FOUND_NOTHING;
	found = find_out(walk, err);
	/* Who walks without the list's lock comes from everywhere, and mostly once. */
	if (found == HB_FOUND && walk->mappings && !walk->unlocked) {
		key = key_of(walk);
		fresh.frame = walk->frame;
		fresh.rule = walk->rule;
		bpf_map_update_elem(&hb_pcs, &key, &fresh, BPF_ANY);
	}
	return found;
}

__hidden void unwind_begin(struct hb_walk *walk)
{
	walk->mappings = process_mappings();
	walk->flushes = hb_flushes[walk->gen & (HB_FLUSHES - 1)];
}

__hidden s64 unwind_number(u64 address, u32 object)
{
	struct hb_inode inode = { .object = object }, *known;
	struct hb_mapping found = { 0 };
	long err = mapping_at(&found, address);

	if (err || !found.file)
		return err;
	if (!object) {
		known = bpf_map_lookup_elem(&hb_inodes, &found.key);
		return known ? known->object : 0;
	}
	err = bpf_map_update_elem(&hb_inodes, &found.key, &inode, BPF_ANY);
	return err ? err : object;
}

#endif /* HB_POINTERS_ONLY */
