/* SPDX-License-Identifier: Apache-2.0 */
/* Which limit a kill was for. */
#ifndef HB_CMD_OOM_DOMAIN_H
#define HB_CMD_OOM_DOMAIN_H

#include <stdbool.h>

#include "../../bpf/record.h"
#include "../model/postmortem.h"

enum oom_domain oom_domain_kind(const struct hb_ev_oom *kill);

/*
 * Whether memory and swap together (v1) ran out at a level, and not its memory: the kernel asks that counter first, and
 * while it has room memory that is full is swapped out, not killed for.
 */
bool oom_ran_out_with_swap(const struct hb_oom_level *level);

#endif
