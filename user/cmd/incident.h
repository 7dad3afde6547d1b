/* SPDX-License-Identifier: Apache-2.0 */
/* One OOM kill on its way from what was captured to a document: what it held, its names, its words. */
#ifndef HB_CMD_INCIDENT_H
#define HB_CMD_INCIDENT_H

#include "../model/postmortem.h"
#include "../model/gfp.h"
#include "../model/past_kills.h"
#include "../probe/oomhooks.h"
#include "../probe/target.h"
#include "../symbol/kallsyms.h"
#include "oom_capture.h"

/* What all incidents share. */
struct incidents {
	struct target *target;
	struct cgroup_mounts mounts;
	struct kallsyms kernel;
	uint32_t gfp_bits[GFP_NAMED_BITS];
	bool has_gfp_bits;
	size_t holders_max; /* rows of holders, 0: all */
	char host[65], release[65];
	struct past_kills past; /* for "kill number 5 of this cgroup" */
};

/* incidents_release() afterwards. */
void incidents_init(struct incidents *incidents, struct target *target, size_t holders_max);
void incidents_release(struct incidents *incidents);

struct incident;

/* At once: what the victim held is asked for before anybody takes it away. NULL: memory is short. */
struct incident *incident_new(struct incidents *incidents, struct capture *capture);
struct capture *incident_capture(const struct incident *incident);

/*
 * When all was heard of: the document. Borrowed from @incident, and its frames until the next target_read().
 * What followed the kill is as @captures has it now, and so are its losses.
 */
const struct postmortem *incident_tell(struct incident *incident, struct incidents *incidents,
				       struct captures *captures);
void incident_free(struct incident *incident);

#endif
