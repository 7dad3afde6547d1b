// SPDX-License-Identifier: Apache-2.0
/* OOM kills, where a session sees them. */
#include <bpf/bpf.h>
#include <errno.h>

#include "session_private.h"

int session_oom_fd(const struct session *session)
{
	return session->oom_ring ? ring_buffer__epoll_fd(session->oom_ring) : -1;
}

int session_oom_events(struct session *session, void (*each)(void *ctx, const void *event, size_t bytes), void *ctx)
{
	session->each_oom = each;
	session->each_oom_ctx = ctx;
	return session->oom_ring ? ring_buffer__consume(session->oom_ring) : 0;
}

uint64_t session_oom_sequence(const struct session *session)
{
	return __atomic_load_n(&session->bpf->bss->hb_oom_sequence, __ATOMIC_RELAXED); /* the kernel writes it */
}

int session_oom_tasks(struct session *session, uint64_t domain, const struct hb_oom_task **tasks, size_t *count)
{
	*count = 0;
	if (!session->oom_walk)
		return -EOPNOTSUPP;
	session->bpf->bss->hb_oom_domain = domain;
	return oomhooks_walk(session->oom_walk, tasks, count);
}

void session_oom_indexes(struct session *session, uint64_t address)
{
	session->bpf->bss->hb_oom_indexes = address;
}

int session_oom_command(const struct session *session, uint32_t tgid, uint64_t start_ns, struct hb_oom_earlier *command)
{
	const int fd = bpf_map__fd(session->bpf->maps.hb_oom_commands);

	if (bpf_map_lookup_elem(fd, &tgid, command) || command->start_ns != start_ns ||
	    command->bytes > sizeof(command->text))
		return -ENOENT;
	return 0;
}
