/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a probe costs on this machine, found out on functions of our own. A trap is the price of tracing: what the
 * programs do comes on top, and the kernel's own statistics tell that.
 */
#ifndef HB_PROBE_TRAP_COST_H
#define HB_PROBE_TRAP_COST_H

#include "session.h"

struct trap_cost {
	double emulated_ns; /* an entry at an instruction that the kernel emulates */
	double stepped_ns;  /* at one that it steps over */
	double return_ns;   /* what a trapped return adds to an entry */
	double left_ns;     /* a probed ret instruction */
};

/* Tens of milliseconds. 0 or negative errno; @cost is then what a machine of 2024 takes. */
int trap_cost_measure(struct session *session, struct trap_cost *cost);

#endif
