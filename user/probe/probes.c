// SPDX-License-Identifier: Apache-2.0
/* The probes in one file, on whichever rung the session took. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "session_private.h"

struct session_probes {
	size_t count;
	struct probe_link {
		int fd; /* negative: it is closed */
		bool hot;
	} links[]; /* in the order in which they were made */
};

static void link_close(struct probe_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}

void session_detach_hot(struct session_probes *probes)
{
	for (size_t i = probes ? probes->count : 0; i > 0; i--) {
		if (probes->links[i - 1].hot)
			link_close(&probes->links[i - 1]);
	}
}

void session_detach(struct session_probes *probes)
{
	if (!probes)
		return;
	/* Entries go first: a call seen coming is then still seen returning. */
	while (probes->count)
		link_close(&probes->links[--probes->count]);
	free(probes);
}

struct places {
	uint64_t *offsets, *cookies;
	bool *hot;
	size_t count;
};

/* What programs that allocate much call most of all. */
static bool is_hot(const char *function)
{
	static const char *const names[] = { "malloc", "free", "_Znwm", "_Znam", "_ZdlPv", "_ZdlPvm", "_ZdaPv" };
	bool found = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		found |= !strcmp(function, names[i]);
	return found;
}

/* The points of @set at @place; returns of functions that throw are left out of @returns. */
static void gather(const struct probe_set *set, enum probe_place place, bool returns, struct places *places)
{
	places->count = 0;
	for (size_t i = 0; i < set->count; i++) {
		const struct probe_point *point = &set->points[i];

		if (point->place != place)
			continue;
		if (returns && HB_COOKIE_GET(point->cookie, HB_COOKIE_THROWS_SHIFT, 1))
			continue;
		places->offsets[places->count] = point->offset;
		places->cookies[places->count] = point->cookie;
		places->hot[places->count] = is_hot(point->function);
		places->count++;
	}
}

static int put_perf(struct session_probes *probes, struct bpf_program *program, bool returns, int file_fd,
		    const struct places *places, pid_t pid)
{
	for (size_t i = 0; i < places->count; i++) {
		int link = attach_perf(bpf_program__fd(program), returns, file_fd, places->offsets[i],
				       places->cookies[i], pid);

		if (link < 0)
			return link;
		probes->links[probes->count++] = (struct probe_link){ link, places->hot[i] };
	}
	return 0;
}

static int put(struct session *session, struct session_probes *probes, struct bpf_program *program,
	       bool returns, int file_fd, const struct places *places, pid_t pid)
{
	int type = program == session->bpf->progs.hb_malloc_sess ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI;
	int link;

	if (!places->count)
		return 0;
	if (session->rung == RUNG_PERF)
		return put_perf(probes, program, returns, file_fd, places, pid);
	link = attach_multi(bpf_program__fd(program), type, returns, file_fd, places->offsets, places->cookies,
			    places->count, pid);
	if (link < 0)
		return link;
	probes->links[probes->count++] = (struct probe_link){ link, true };
	return 0;
}

static int put_all(struct session *session, struct session_probes *probes, int file_fd,
		   const struct probe_set *set, struct places *places, pid_t pid)
{
	bool one = session->rung == RUNG_SESSION;
	int err;

	gather(set, PLACE_FREE, false, places);
	err = put(session, probes, session->bpf->progs.hb_free_enter, false, file_fd, places, pid);
	if (err)
		return err;
	gather(set, PLACE_RET, false, places);
	err = put(session, probes, session->bpf->progs.hb_malloc_ret, false, file_fd, places, pid);
	if (err)
		return err;
	if (!one) {
		gather(set, PLACE_CALL, true, places);
		err = put(session, probes, session->bpf->progs.hb_malloc_exit, true, file_fd, places, pid);
		if (err)
			return err;
	}
	gather(set, PLACE_CALL, false, places);
	return put(session, probes,
		   one ? session->bpf->progs.hb_malloc_sess : session->bpf->progs.hb_malloc_enter, false,
		   file_fd, places, pid);
}

int session_attach(struct session *session, int file_fd, const struct probe_set *set, pid_t pid,
		   struct session_probes **out)
{
	/* At the worst a link for each point, and two for each call. */
	struct session_probes *probes = calloc(1, sizeof(*probes) + 2 * set->count * sizeof(probes->links[0]));
	struct places places = {
		.offsets = calloc(set->count + 1, sizeof(uint64_t)),
		.cookies = calloc(set->count + 1, sizeof(uint64_t)),
		.hot = calloc(set->count + 1, sizeof(bool)),
	};
	int err = -ENOMEM;

	*out = NULL;
	if (probes && places.offsets && places.cookies && places.hot)
		err = put_all(session, probes, file_fd, set, &places, pid);
	free(places.offsets);
	free(places.cookies);
	free(places.hot);
	if (err)
		session_detach(probes);
	else
		*out = probes;
	return err;
}

int session_watch_narrow(struct session *session, bool wanted)
{
	if (wanted == !!session->narrow_hooks[0])
		return 0;
	if (wanted)
		return vmhooks_narrow_attach(session->bpf->obj, session->narrow_hooks);
	vmhooks_narrow_detach(session->narrow_hooks);
	return 0;
}
