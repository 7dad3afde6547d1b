// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Page faults. Almost all of them are of pages that are not sampled: those cost a hash of the address, and
 * no map is touched.
 */
#include "core.bpf.h"
#include "compat.bpf.h"

/* X86_PF_PROT, X86_PF_WRITE: arch/x86/include/asm/trap_pf.h */
#define PF_PROT  1ULL
#define PF_WRITE 2ULL

#define FAULT_FLAG_WRITE_BIT 1ULL /* include/linux/mm_types.h */

static __always_inline bool is_sampled(u64 address)
{
	const u64 granule = address >> hb_page_bits >> hb_granule_order;

	return hb_page_sampled(granule, hb_sample_seed) && hb_page_kept(granule, hb_sample_seed, hb_sample_shift);
}

/*
 * Raised by user space while hb_pages_alloc is not in place; we take it down as soon as a process shows that it is
 * given huge pages, and say so. Those that it had before user space heard of that are counted as unseen.
 */
__u32 hb_huge_awaited = 0;

static __always_inline void look_for_huge(void)
{
	if (hb_no_storage || !hb_huge_awaited || !compat_may_have_huge())
		return;
	hb_huge_awaited = 0;
	if (!emit_huge())
		hb_huge_awaited = 1; /* the next fault tells it */
}

static __always_inline int page(u64 address, u32 flags)
{
	if ((s64)address >= 0 && is_sampled(address))
		faults_add(address, 0, flags, HB_ROOM_FAULT);
	return 0;
}

static __always_inline u32 flags_of(u64 error)
{
	return (error & PF_PROT ? HB_FAULT_PRESENT : 0) | (error & PF_WRITE ? HB_FAULT_WRITE : 0);
}

static __always_inline int fault(u64 address, u64 error)
{
	if (!(address >> hb_page_bits & 3)) /* one page in four will do, and where huge ones begin is among them */
		look_for_huge();
	return page(address, flags_of(error));
}

/* In the exception, with interrupts off: (address, registers, error code). */
SEC("raw_tp/page_fault_user")
int hb_pages_user(u64 *ctx)
{
	return fault(ctx[0], ctx[2]);
}

/* The same where the kernel touches user memory, in system calls. */
SEC("raw_tp/page_fault_kernel")
int hb_pages_kernel(u64 *ctx)
{
	return fault(ctx[0], ctx[2]);
}

/*
 * handle_mm_fault(vma, address, flags, registers): also what the kernel makes resident without touching it. Not
 * told is whether the page was there: who touches it last owns it.
 */
SEC("kprobe/handle_mm_fault")
int hb_pages_fault(struct pt_regs *ctx)
{
	u64 address = PT_REGS_PARM2(ctx);

	if (!is_sampled(address))
		return 0;
	if (!compat_own_vma((struct vm_area_struct *)PT_REGS_PARM1(ctx)))
		return 0; /* of another process: ptrace */
	look_for_huge();
	return page(address, PT_REGS_PARM3(ctx) & FAULT_FLAG_WRITE_BIT ? HB_FAULT_WRITE : 0);
}

#define HUGE_MASK ((1ULL << HB_HUGE_ORDER << hb_page_bits) - 1)

static __always_inline void huge_page(u64 address)
{
	count(HB_CNT_HUGE_SEEN);
	faults_add(address & ~HUGE_MASK, HB_HUGE_ORDER, HB_FAULT_WRITE, HB_ROOM_HUGE);
}

/* do_huge_pmd_anonymous_page(vm_fault) */
SEC("kprobe/do_huge_pmd_anonymous_page")
int hb_pages_huge(struct pt_regs *ctx)
{
	struct vm_fault *fault = (struct vm_fault *)PT_REGS_PARM1(ctx);

	if (compat_own_vma(BPF_CORE_READ(fault, vma)))
		huge_page(BPF_CORE_READ(fault, address));
	return 0;
}

/* mremap, where mappings are not watched: probe_vm.bpf.c tells of it where they are. */
SEC("kretsyscall/mremap")
int hb_pages_move(struct pt_regs *ctx)
{
	faults_move(PT_REGS_RC(ctx));
	return 0;
}

/* The context, as a number: the verifier would not let us count with it. */
__u64 hb_pages_context[1024] = { 0 };
__u64 hb_pages_found[1024] = { 0 }; /* in a register it would be another way through the search for each word */

static __always_inline u64 stack_pointer(u64 *ctx)
{
	volatile u64 *place = &hb_pages_context[bpf_get_smp_processor_id() & 1023];

	*place = (u64)ctx;
	return *place;
}

/*
 * Whether the entry of the page table above @fault's page is what it was when it began: until the huge page is in
 * place. Of a fault that has ended, and was described here, it is not.
 */
static __always_inline bool under_way(struct vm_fault *fault)
{
	u64 before = 0, now = 1; /* none is there yet; 5.10 looks at that alone before */

	if (bpf_core_field_exists(fault->orig_pmd))
		before = BPF_CORE_READ(fault, orig_pmd.pmd);
	return !bpf_probe_read_kernel(&now, sizeof(now), BPF_CORE_READ(fault, pmd)) && now == before;
}

/* The address that the page fault at @place serves; 0: none is described there. */
__noinline u64 pages_fault_at(u64 place)
{
	struct vm_fault *fault = (struct vm_fault *)place;
	u64 vma = (u64)BPF_CORE_READ(fault, vma), address;
	struct vm_area_struct *area = (struct vm_area_struct *)vma;

	if ((s64)vma >= 0 || (vma & 7) || !compat_own_vma(area))
		return 0;
	address = BPF_CORE_READ(fault, address);
	if (address < BPF_CORE_READ(area, vm_start) || address >= BPF_CORE_READ(area, vm_end) || !under_way(fault))
		return 0;
	return address;
}

/*
 * A huge page is allocated, in the fault that wants it, whose description lies up this very stack: (page, order,
 * gfp flags, migrate type). The highest that is found: in frames that do not use all of their room one of an
 * earlier fault may still lie, that of one that ended without a page. Where pages that are there become a huge one
 * when asked, there is no fault at all.
 */
SEC("raw_tp/mm_page_alloc")
int hb_pages_alloc(u64 *ctx)
{
	u32 cpu = bpf_get_smp_processor_id() & 1023;
	volatile u64 *found = &hb_pages_found[cpu];
	u64 bottom, sp;

	if (!ctx[0] || (u32)ctx[1] != HB_HUGE_ORDER || compat_collapses())
		return 0; /* no page: there was none to be had */
	*found = 0;
	bottom = (u64)compat_stack_top() - THREAD_BYTES;
	sp = stack_pointer(ctx) & ~7ULL;
	for (u32 i = 0; i < THREAD_BYTES / 8; i++) {
		u64 address;

		if (sp - bottom >= THREAD_BYTES)
			break; /* in an interrupt, or at its top */
		address = pages_fault_at(sp);
		if (address)
			*found = address;
		sp += 8;
	}
	if (*found)
		huge_page(*found);
	return 0;
}
