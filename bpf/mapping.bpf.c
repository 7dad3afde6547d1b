// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which mapping of the current process lies around an address: as the kernel's own list says. */
#include "core.bpf.h"
#include "compat.bpf.h"

#ifndef HB_POINTERS_ONLY

#define VM_PROT_FLAGS 0x7UL /* VM_READ, VM_WRITE, VM_EXEC, include/linux/mm.h: numbered as PROT_* */
#define VM_EXEC_FLAG  0x4UL

static __always_inline void describe(struct hb_mapping *found, struct vm_area_struct *vma)
{
	struct file *file = BPF_CORE_READ(vma, vm_file);

	found->start = BPF_CORE_READ(vma, vm_start);
	found->end = BPF_CORE_READ(vma, vm_end);
	found->offset = BPF_CORE_READ(vma, vm_pgoff) * 4096;
	found->prot = BPF_CORE_READ(vma, vm_flags) & VM_PROT_FLAGS;
	found->exec = !!(found->prot & VM_EXEC_FLAG);
	found->file = !!file;
	found->vdso = 0;
	found->settled = 1;
	if (file) {
		struct inode *inode = BPF_CORE_READ(file, f_inode);

		found->key.inode = (u64)inode;
		found->key.ino = BPF_CORE_READ(inode, i_ino);
		found->key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		found->key.generation = BPF_CORE_READ(inode, i_generation);
	} else {
		found->vdso = found->start == (u64)BPF_CORE_READ(vma, vm_mm, context.vdso);
	}
}

/* For bpf_find_vma(): where its answer goes. */
struct answer {
	struct hb_mapping *mapping;
};

static long on_vma(struct task_struct *task, struct vm_area_struct *vma, struct answer *answer)
{
	describe(answer->mapping, vma);
	return 0;
}

static __always_inline long ask(struct hb_mapping *found, u64 address)
{
	struct answer answer = { .mapping = found };

	return bpf_find_vma(bpf_get_current_task_btf(), address, on_vma, &answer, 0);
}

static __always_inline bool still(const struct hb_mapping *found, struct vm_area_struct *vma)
{
	return BPF_CORE_READ(vma, vm_start) == found->start && BPF_CORE_READ(vma, vm_end) == found->end &&
	       BPF_CORE_READ(vma, vm_pgoff) * 4096 == found->offset;
}

/* Without the lock. What is found is looked at twice: a change meanwhile would have given us one half of it. */
static __always_inline int look(struct hb_walk *walk, u64 address)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct hb_mapping *found = &walk->mapping;
	bool written = mapping_tree_written();
	struct vm_area_struct *vma = (void *)mapping_tree_at(walk, address);

	if (!vma)
		return written ? -EBUSY : -ENOENT;
	if (vma == (void *)MAPPING_UNREAD)
		return -EBUSY;
	describe(found, vma);
	if (address < found->start || address >= found->end || BPF_CORE_READ(vma, vm_mm) != BPF_CORE_READ(task, mm) ||
	    !still(found, vma))
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
	return err == -EBUSY ? look(walk, address) : err;
}

__hidden long mapping_at(struct hb_mapping *found, u64 address)
{
	return ask(found, address);
}

#endif /* HB_POINTERS_ONLY */
