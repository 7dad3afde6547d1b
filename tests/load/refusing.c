// SPDX-License-Identifier: Apache-2.0
/*
 * Preloaded into heldby: a kernel that lets the first program be attached somewhere and refuses all others, as one
 * does whose number of events or whose policy allows no more. HB_REFUSE says where: "tracepoint" for those by perf
 * events, or the name of a raw tracepoint.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

static int refused_event(const char *where, const struct perf_event_attr *attr)
{
	return attr->type == PERF_TYPE_TRACEPOINT && !strcmp(where, "tracepoint");
}

static int refused_program(const char *where, long command, const union bpf_attr *attr)
{
	const char *name = (const char *)(uintptr_t)attr->raw_tracepoint.name;

	return command == BPF_RAW_TRACEPOINT_OPEN && name && !strcmp(where, name);
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	static unsigned int asked;
	const char *where = getenv("HB_REFUSE");
	long words[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		words[i] = va_arg(list, long);
	va_end(list);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if (where && ((number == SYS_perf_event_open && refused_event(where, (const void *)words[0])) ||
		      (number == SYS_bpf && refused_program(where, words[0], (const void *)words[1]))) && asked++) {
		errno = EACCES;
		return -1;
	}
	return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
