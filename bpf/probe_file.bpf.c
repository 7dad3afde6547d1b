// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files get their numbers. */
#include "core.bpf.h"

/*
 * Run by user space on a mapping of its own, at the address in the context: only the kernel knows how it
 * names a file, so it looks at the mapping and gives the file behind it the number, or tells the one that
 * it has. Returns negative errno: -EBUSY, another thread of user space is changing its mappings; -ENOMEM, none was at
 * hand just now (the map's memory is made ready in the background).
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
	return 0;
#else
	s64 number = unwind_number(request->address, request->object);

	request->given = number < 0 ? 0 : number;
	return number < 0 ? number : 0;
#endif
}
