// SPDX-License-Identifier: Apache-2.0
/*
 * Runs of our programs that the kernel left out: because one was running on that CPU, or because a kretprobe had
 * no instance left for a call's return. Nothing but these counters tells.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "session_private.h"

#define LINKS_MAX (VM_HOOKS_MAX + PAGEHOOKS_MAX + OOMHOOKS_MAX)

/* include/uapi/linux/bpf.h: enum bpf_link_type, enum bpf_perf_event_type */
#define LINK_PERF_EVENT 7
#define EVENT_KPROBE    3
#define EVENT_KRETPROBE 4

/* struct bpf_link_info with its perf_event.kprobe part, which libbpf 1.1 does not know. */
struct link_info_kprobe {
	uint32_t type;
	uint32_t id;
	uint32_t prog_id;
	uint32_t pad;
	uint32_t event;
	uint32_t event_pad;
	uint64_t name;
	uint32_t name_bytes;
	uint32_t offset;
	uint64_t address;
	uint64_t missed; /* 6.7 */
};

/* What a kprobe's link tells. */
struct link_skips {
	uint32_t prog_id; /* 0: it does not */
	uint64_t missed;
};

/* What the kernel does not fill in stays as it was: only so is a counter that it lacks known from one that is 0. */
static struct link_skips link_skips(int fd)
{
	struct link_info_kprobe info = { .missed = UINT64_MAX };
	uint32_t size = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) || info.type != LINK_PERF_EVENT ||
	    (info.event != EVENT_KPROBE && info.event != EVENT_KRETPROBE) || info.missed == UINT64_MAX)
		return (struct link_skips){ 0 };
	return (struct link_skips){ .prog_id = info.prog_id, .missed = info.missed };
}

/* All links of the session that may be kprobes'. Their number. */
static size_t all_links(const struct session *session, struct link_skips links[LINKS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < session->vm_hooks_count; i++)
		links[count++] = link_skips(session->vm_hooks[i]);
	for (size_t i = 0; i < session->page_hooks_count; i++)
		links[count++] = link_skips(bpf_link__fd(session->page_hooks[i]));
	for (size_t i = 0; i < session->oom_hooks_count; i++)
		links[count++] = link_skips(bpf_link__fd(session->oom_hooks[i]));
	return count;
}

/* Those whose every skip loses nothing: their own reads fault, and interrupts allocate, while they run. */
static bool may_be_skipped(const char *name)
{
	return !strcmp(name, "hb_pages_kernel") || !strcmp(name, "hb_pages_alloc");
}

void session_skips(const struct session *session, struct losses *losses)
{
	struct link_skips links[LINKS_MAX];
	const size_t links_count = all_links(session, links);
	struct bpf_program *program;

	bpf_object__for_each_program(program, session->bpf->obj) {
		const char *name = bpf_program__name(program);
		struct bpf_prog_info info;
		uint64_t skipped;

		if (!session_program_info(program, &info))
			continue;
		skipped = info.recursion_misses;
		for (size_t i = 0; i < links_count; i++)
			skipped += links[i].prog_id == info.id ? links[i].missed : 0;
		if (may_be_skipped(name))
			losses->counts[LOSS_SKIPPED_PAGES] += skipped;
		else
			losses_skip(losses, name, skipped);
	}
}

const char *session_skips_why(const struct session *session)
{
	const bool kprobes = session->vm_rung == VM_KPROBE || session->page_rung == PAGES_KPROBE ||
			     session->huge_rung == HUGE_KPROBE || session->oom_rung == OOM_KPROBE;
	uint32_t size = sizeof(struct bpf_prog_info);
	struct link_skips links[LINKS_MAX];
	struct bpf_prog_info info = { 0 };
	const size_t count = all_links(session, links);
	bool told = !kprobes;

	if (bpf_obj_get_info_by_fd(bpf_program__fd(session->bpf->progs.hb_task_fork), &info, &size))
		return "what the kernel skipped cannot be read";
	if (size < offsetof(struct bpf_prog_info, recursion_misses) + sizeof(info.recursion_misses))
		return "this kernel does not tell which probes it skipped (5.12 does): calls may be missing untold";
	for (size_t i = 0; i < count && !told; i++)
		told = links[i].prog_id != 0;
	return told ? NULL : "this kernel does not tell which calls a kprobe missed (6.7 does): a change of "
			     "protection, a huge page or what triggered an OOM kill may be missing untold";
}
