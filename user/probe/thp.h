/* SPDX-License-Identifier: Apache-2.0 */
/* How this host gives out several pages by one fault (transparent huge pages), from its settings in sysfs. */
#ifndef HB_PROBE_THP_H
#define HB_PROBE_THP_H

#include <stdbool.h>
#include <stdint.h>

enum thp_policy {
	THP_NEVER,
	THP_ASKED,  /* to those who ask (madvise) */
	THP_ALWAYS
};

/* Of huge pages for anonymous memory. */
enum thp_policy thp_policy(void);

/*
 * Whether huge pages are given out to those alone who ask for them, and of anonymous memory alone. A tmpfs may still
 * be mounted so that it has some.
 */
bool thp_asked_only(void);

/*
 * The largest size below that of a huge page in which several pages are given out at once (mTHP), in bytes; 0: none.
 * A fault of such is seen as that of one page.
 */
uint64_t thp_medium_bytes(void);

#endif
