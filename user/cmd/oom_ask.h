/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked at the moment of a kill: who is in the domain and holds how much, its statistics, the host's, and what
 * the victim held before. For the thread that captures: nothing here waits or asks for memory.
 */
#ifndef HB_CMD_OOM_ASK_H
#define HB_CMD_OOM_ASK_H

#include "../remote/cgroup.h"
#include "oom_capture.h"

/* Whom to ask; borrowed but for @mounts, which is its owner's to release. */
struct oom_ask {
	struct session *session;
	struct history *history;
	struct cgroup_mounts mounts;
	uint64_t page_bytes;
};

/* What a process holds in memory. */
uint64_t oom_ask_bytes(const struct oom_ask *ask, const struct hb_oom_task *task);

/* Everything about capture->kill into the rest of @capture, which is all 0; what cannot be known is left so. */
void oom_ask(const struct oom_ask *ask, struct capture *capture);

/*
 * The same once with nobody's kill, @capture being all 0 before and after: the code and the stack that it takes are in
 * memory then, which would have to be found, or read from disk, at the first kill.
 */
void oom_ask_rehearse(const struct oom_ask *ask, struct capture *capture);

#endif
