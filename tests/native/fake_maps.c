// SPDX-License-Identifier: Apache-2.0
/* Mappings of files and of none, and the helper that looks at them. */
#include "core.bpf.h"
#include "fake_private.h"

#include <stdlib.h>

#define PAGE	  4096ULL
#define FILES_MAX 4096

/* A file with all that belongs to it. */
struct owned_file {
	struct file file;
	struct inode inode;
	struct super_block sb;
};

static struct owned_file *files[FILES_MAX];
static unsigned int file_count, busy_skip, busy_times;
static unsigned int tree_busy_times;
static u32 calls, tree_walks;

struct file *fake_file(u64 ino, u32 dev, u32 generation)
{
	struct owned_file *owned = calloc(1, sizeof(*owned));

	if (file_count == FILES_MAX)
		fake_die("more files than FILES_MAX");
	files[file_count++] = owned;
	owned->sb.s_dev = dev;
	owned->inode = (struct inode){ .i_ino = ino, .i_generation = generation, .i_sb = &owned->sb };
	owned->file.f_inode = &owned->inode;
	return &owned->file;
}

/* is_exec_mapping(), mm/internal.h: what can be written does not count. */
static u64 exec_pages_of(const struct vm_area_struct *vma)
{
	bool counts = (vma->vm_flags & (FAKE_EXEC | FAKE_WRITE)) == FAKE_EXEC;

	return counts ? (vma->vm_end - vma->vm_start) / PAGE : 0;
}

void fake_map(struct mm_struct *mm, u64 start, u64 end, u64 offset, u64 flags, struct file *file)
{
	struct vm_area_struct *vma = calloc(1, sizeof(*vma));

	if (start % PAGE || end % PAGE || offset % PAGE || start >= end)
		fake_die("a mapping that is not of whole pages");
	*vma = (struct vm_area_struct){
		.vm_start = start, .vm_end = end, .vm_pgoff = offset / PAGE, .vm_flags = flags,
		.vm_mm = mm, .vm_file = file, .next = mm->vmas,
	};
	mm->vmas = vma;
	mm->exec_vm += exec_pages_of(vma);
}

void fake_map_vdso(struct mm_struct *mm, u64 start, u64 end)
{
	fake_map(mm, start, end, 0, FAKE_EXEC, NULL);
	mm->context.vdso = (void *)start;
}

static struct vm_area_struct **place_of(struct mm_struct *mm, u64 address)
{
	struct vm_area_struct **place = &mm->vmas;

	while (*place && (address < (*place)->vm_start || address >= (*place)->vm_end))
		place = &(*place)->next;
	return place;
}

void fake_map_gone(struct mm_struct *mm, u64 start)
{
	struct vm_area_struct **place = place_of(mm, start), *gone = *place;

	if (!gone || gone->vm_start != start)
		fake_die("no mapping begins there");
	*place = gone->next;
	mm->exec_vm -= exec_pages_of(gone);
	free(gone);
}

void fake_find_vma_busy(unsigned int skip, unsigned int times)
{
	busy_skip = skip;
	busy_times = times;
}

u32 fake_find_vma_calls(void)
{
	return calls;
}

long bpf_find_vma(struct task_struct *task, u64 address, void *callback, void *ctx, u64 flags)
{
	long (*found)(struct task_struct *task, struct vm_area_struct *vma, void *ctx) = callback;
	struct vm_area_struct *vma;

	calls++;
	if (flags)
		return -EINVAL;
	if (!task || !task->mm)
		return -ENOENT;
	if (busy_times && !busy_skip) {
		busy_times--;
		return -EBUSY;
	}
	if (busy_skip)
		busy_skip--;
	vma = *place_of(task->mm, address);
	if (!vma)
		return -ENOENT;
	found(task, vma, ctx);
	return 0;
}

void fake_tree_busy(unsigned int times)
{
	tree_busy_times = times;
}

u32 fake_tree_walks(void)
{
	return tree_walks;
}

/* In place of mapping_tree.bpf.c, whose tree only a kernel has. */
u64 mapping_tree_at(struct hb_walk *walk, u64 address)
{
	tree_walks++;
	if (tree_busy_times) {
		tree_busy_times--;
		return MAPPING_UNREAD;
	}
	return (u64)*place_of(bpf_get_current_task_btf()->mm, address);
}

/* Who has made bpf_find_vma() wait is still there. */
bool mapping_tree_written(void)
{
	return busy_times != 0;
}

/* In place of view.bpf.c. */
struct vm_area_struct *view_vma(u64 address)
{
	return (struct vm_area_struct *)address;
}

u64 compat_own_memory(void)
{
	return (u64)bpf_get_current_task_btf()->mm;
}

u64 compat_exec_pages(void)
{
	return bpf_get_current_task_btf()->mm->exec_vm;
}

void fake_maps_free(struct mm_struct *mm)
{
	while (mm->vmas)
		fake_map_gone(mm, mm->vmas->vm_start);
}

void fake_maps_reset(void)
{
	while (file_count)
		free(files[--file_count]);
	fake_find_vma_busy(0, 0);
	fake_tree_busy(0);
	calls = tree_walks = 0;
}
