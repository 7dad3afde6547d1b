// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files get their numbers. */
#include "core.bpf.h"

/*
 * Run by user space on a mapping of its own, at the address in the context: only the kernel knows how it
 * names a file, so it looks at the mapping and gives the file behind it the number, or tells the one that
 * it has.
 */
struct file_number {
	u64 address;
	u32 object;
	u32 given;
};

SEC("syscall")
int hb_file_number(struct file_number *request)
{
#ifdef HB_POINTERS_ONLY
	request->given = 0;
#else
	request->given = unwind_number(request->address, request->object);
#endif
	return 0;
}
