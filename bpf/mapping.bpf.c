// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which mapping of the current process lies around an address: as the kernel's own list says. */
#include "core.bpf.h"
#include "compat.bpf.h"

#ifndef HB_POINTERS_ONLY

#define VM_PROT_FLAGS 0x7UL /* VM_READ, VM_WRITE, VM_EXEC, include/linux/mm.h: numbered as PROT_* */
#define VM_EXEC_FLAG  0x4UL

/* A field, by a load where @from may be followed (@view), else by a helper. */
#define FIELD(view, from, field) ((view) ? (from)->field : BPF_CORE_READ(from, field))

static __always_inline void describe(struct hb_mapping *found, struct vm_area_struct *vma, const bool view)
{
	struct file *file = FIELD(view, vma, vm_file);

	found->start = FIELD(view, vma, vm_start);
	found->end = FIELD(view, vma, vm_end);
	found->offset = FIELD(view, vma, vm_pgoff) * 4096;
	found->prot = FIELD(view, vma, vm_flags) & VM_PROT_FLAGS;
	found->exec = !!(found->prot & VM_EXEC_FLAG);
	found->file = !!file;
	found->vdso = 0;
	found->settled = 1;
	if (file) {
		struct inode *inode = FIELD(view, file, f_inode);
		struct super_block *sb = FIELD(view, inode, i_sb);

		found->key.inode = (u64)inode;
		found->key.ino = FIELD(view, inode, i_ino);
		found->key.dev = FIELD(view, sb, s_dev);
		found->key.generation = FIELD(view, inode, i_generation);
	} else {
		struct mm_struct *mm = FIELD(view, vma, vm_mm);

		found->vdso = found->start == (u64)FIELD(view, mm, context.vdso);
	}
}

/* For bpf_find_vma(): where its answer goes. */
struct answer {
	struct hb_mapping *mapping;
};

static long on_vma(struct task_struct *task, struct vm_area_struct *vma, struct answer *answer)
{
	describe(answer->mapping, vma, true);
	return 0;
}

static __always_inline long ask(struct hb_mapping *found, u64 address)
{
	struct answer answer = { .mapping = found };

	return bpf_find_vma(bpf_get_current_task_btf(), address, on_vma, &answer, 0);
}

/*
 * What is described at @vma, into @found. It is looked at twice: a change meanwhile would have given us one half of it.
 * Returns whether it is the current process's, lies around @address and stayed as it was.
 */
static __always_inline bool describe_twice(struct hb_mapping *found, struct vm_area_struct *vma, u64 address,
					   const bool view)
{
	describe(found, vma, view);
	asm volatile("" ::: "memory");
	return address >= found->start && address < found->end &&
	       (u64)FIELD(view, vma, vm_mm) == compat_own_memory() && FIELD(view, vma, vm_start) == found->start &&
	       FIELD(view, vma, vm_end) == found->end && FIELD(view, vma, vm_pgoff) * 4096 == found->offset;
}

/* Without the lock. */
static __always_inline int look(struct hb_walk *walk, u64 address)
{
	struct hb_mapping *found = &walk->mapping;
	bool written = mapping_tree_written(), same;
	u64 vma = mapping_tree_at(walk, address);

	if (!vma)
		return written || mapping_tree_written() ? -EBUSY : -ENOENT;
	if (vma == MAPPING_UNREAD)
		return -EBUSY;
	if (hb_views)
		same = describe_twice(found, view_vma(vma), address, true);
	else
		same = describe_twice(found, (struct vm_area_struct *)vma, address, false);
	if (!same)
		return -EBUSY;
	found->settled = !written && !mapping_tree_written();
	return 0;
}

__noinline int mapping_find(struct hb_walk *walk, u64 address)
{
	long err = -EBUSY;

	if (!walk)
		return err;
	if (!walk->unlocked)
		err = ask(&walk->mapping, address);
	if (err != -EBUSY)
		return err;
	err = look(walk, address);
	/* Before 6.4 a change is made in the nodes that we read: what is not there may be the next moment. */
	return err ? look(walk, address) : err;
}

__hidden long mapping_at(struct hb_mapping *found, u64 address)
{
	return ask(found, address);
}

#endif /* HB_POINTERS_ONLY */
