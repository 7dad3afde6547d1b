// SPDX-License-Identifier: Apache-2.0
/* Tasks, their user memory, and the helpers that look at them. */
#include "fake_bpf.h"
#include "fake_private.h"

#include <stdlib.h>
#include <string.h>

extern __u32 hb_can_fault; /* as fake_bpf.c defines it */

#define PAGE	   4096ULL
#define USER_END   0x00007ffffffff000ULL /* TASK_SIZE_MAX, arch/x86/include/asm/page_64_types.h */
#define OWNED_MAX  4096

struct fake_page {
	struct fake_page *next;
	u64 address;
	bool swapped_out;
	u8 bytes[PAGE];
};

static struct task_struct *tasks[OWNED_MAX];
static struct mm_struct *mms[OWNED_MAX];
static unsigned int task_count, mm_count;
static struct task_struct *current;
static u64 probe_cookie, probe_ip, now_ns;
static u32 faulted_in;

struct mm_struct *fake_mm(u64 trampoline)
{
	struct mm_struct *mm = calloc(1, sizeof(*mm));

	if (mm_count == OWNED_MAX)
		fake_die("more memories than OWNED_MAX");
	mms[mm_count++] = mm;
	mm->area.vaddr = trampoline;
	mm->uprobes_state.xol_area = trampoline ? &mm->area : NULL;
	return mm;
}

struct task_struct *fake_task(int pid, struct task_struct *leader)
{
	struct task_struct *task = calloc(1, sizeof(*task));

	if (task_count == OWNED_MAX)
		fake_die("more tasks than OWNED_MAX");
	tasks[task_count++] = task;
	task->pid = pid;
	task->tgid = leader ? leader->tgid : pid;
	task->group_leader = leader ? leader : task;
	task->mm = leader ? leader->mm : fake_mm(0x7ffffffff000ULL - 2 * PAGE);
	task->signal = &task->group_leader->own_signal;
	task->signal->live.counter++;
	task->start_boottime = 1000000ULL * pid;
	strcpy(task->comm, "fake");
	return task;
}

void fake_task_gone(struct task_struct *task)
{
	fake_storage_free(task);
	if (current == task)
		current = NULL;
}

void fake_current(struct task_struct *task)
{
	current = task;
}

void fake_probe(u64 cookie, u64 func_ip)
{
	probe_cookie = cookie;
	probe_ip = func_ip;
}

void fake_clock(u64 ns)
{
	now_ns = ns;
}

static struct fake_page *page_at(struct mm_struct *mm, u64 address, bool create)
{
	struct fake_page **place = &mm->pages;
	struct fake_page *page;

	address &= ~(PAGE - 1);
	for (; (page = *place); place = &page->next) {
		if (page->address != address)
			continue;
		*place = page->next; /* to the front: the next look is likely for it again */
		page->next = mm->pages;
		mm->pages = page;
		return page;
	}
	if (!create)
		return NULL;
	page = calloc(1, sizeof(*page));
	page->address = address;
	page->next = mm->pages;
	mm->pages = page;
	return page;
}

void fake_write(struct mm_struct *mm, u64 address, const void *bytes, size_t count)
{
	const u8 *from = bytes;

	for (size_t i = 0; i < count; i++)
		page_at(mm, address + i, true)->bytes[(address + i) % PAGE] = from[i];
}

void fake_write_u64(struct mm_struct *mm, u64 address, u64 value)
{
	fake_write(mm, address, &value, sizeof(value));
}

u64 fake_read_u64(struct mm_struct *mm, u64 address)
{
	u8 bytes[8] = { 0 };
	u64 value;

	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		struct fake_page *page = page_at(mm, address + i, false);

		if (page)
			bytes[i] = page->bytes[(address + i) % PAGE];
	}
	memcpy(&value, bytes, sizeof(value));
	return value;
}

void fake_swap_out(struct mm_struct *mm, u64 address)
{
	page_at(mm, address, true)->swapped_out = true;
}

void fake_unmap(struct mm_struct *mm, u64 address)
{
	struct fake_page *page = page_at(mm, address, true);

	mm->pages = page->next; /* page_at() has put it to the front */
	free(page);
}

u32 fake_pages_faulted_in(void)
{
	return faulted_in;
}

/* As the kernel's: what cannot be read whole is zeroed. */
static long read_user(void *dst, u32 bytes, u64 address, bool fault_in)
{
	u8 *to = dst;

	if (!current)
		fake_die("a program reads without a current task");
	memset(dst, 0, bytes);
	if (address >= USER_END || USER_END - address < bytes)
		return -EFAULT;
	for (u32 i = 0; i < bytes; i++) {
		struct fake_page *page = page_at(current->mm, address + i, false);

		if (!page || (page->swapped_out && !fault_in)) {
			memset(dst, 0, bytes);
			return -EFAULT;
		}
		faulted_in += page->swapped_out;
		page->swapped_out = false;
		to[i] = page->bytes[(address + i) % PAGE];
	}
	return 0;
}

long bpf_probe_read_user(void *dst, u32 bytes, const void *src)
{
	return read_user(dst, bytes, (u64)src, false);
}

long bpf_copy_from_user(void *dst, u32 bytes, const void *src)
{
	if (!hb_can_fault)
		fake_die("bpf_copy_from_user() in a program that must not sleep");
	return read_user(dst, bytes, (u64)src, true);
}

void fake_read_str(void *dst, size_t bytes, const char *src)
{
	size_t length = strnlen(src, bytes - 1);

	memcpy(dst, src, length);
	((char *)dst)[length] = '\0';
}

u64 bpf_get_current_pid_tgid(void)
{
	return (u64)current->tgid << 32 | (u32)current->pid;
}

struct task_struct *bpf_get_current_task_btf(void)
{
	return current;
}

u64 bpf_get_current_task(void)
{
	return (u64)current;
}

u64 bpf_ktime_get_ns(void)
{
	return now_ns += 1000;
}

long bpf_loop(u32 times, void *callback, void *ctx, u64 flags)
{
	long (*step)(u32 index, void *ctx) = callback;
	u32 done = 0;

	if (flags)
		return -EINVAL;
	if (times > 1u << 23) /* BPF_MAX_LOOPS, include/linux/bpf.h */
		return -E2BIG;
	while (done < times && !step(done++, ctx))
		;
	return done;
}

u64 bpf_get_attach_cookie(void *ctx)
{
	return probe_cookie;
}

u64 bpf_get_func_ip(void *ctx)
{
	return probe_ip;
}

long bpf_task_pt_regs(struct task_struct *task)
{
	return (long)&task->user_regs;
}

u64 compat_trampoline(void)
{
	return current->mm->uprobes_state.xol_area ? current->mm->uprobes_state.xol_area->vaddr : 0;
}

u64 compat_probed_return(u64 slot)
{
	for (unsigned int i = current->return_count; i-- > 0;) { /* the kernel's list begins with the newest */
		if (current->returns[i].stack == slot)
			return current->returns[i].orig_ret_vaddr;
	}
	return 0;
}

u64 compat_blocked(void)
{
	return bpf_get_current_task_btf()->blocked.sig[0];
}

bool compat_on_altstack(u64 sp)
{
	return sp > current->sas_ss_sp && sp - current->sas_ss_sp <= current->sas_ss_size;
}

void fake_user_reset(void)
{
	for (unsigned int i = 0; i < task_count; i++) {
		fake_storage_free(tasks[i]);
		free(tasks[i]);
	}
	for (unsigned int i = 0; i < mm_count; i++) {
		while (mms[i]->pages)
			fake_unmap(mms[i], mms[i]->pages->address);
		fake_maps_free(mms[i]);
		free(mms[i]);
	}
	task_count = 0;
	mm_count = 0;
	current = NULL;
	now_ns = 0;
	faulted_in = 0;
}
