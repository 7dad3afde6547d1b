// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Addresses that become structures. In a file of their own: libbpf's linker (1.1) takes a function of the kernel's from
 * one file alone.
 */
#include "core.bpf.h"

#ifndef HB_POINTERS_ONLY

extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

__hidden struct vm_area_struct *view_vma(u64 address)
{
	return bpf_rdonly_cast((void *)address, bpf_core_type_id_kernel(struct vm_area_struct));
}

__hidden u64 view_word(u64 address)
{
	/* As if it were that field of one: what is loaded as a pointer cannot be counted with. */
	return view_vma(address - bpf_core_field_offset(struct vm_area_struct, vm_start))->vm_start;
}

#endif /* HB_POINTERS_ONLY */
