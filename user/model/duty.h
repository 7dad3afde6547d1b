/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long another process's address space is held while it is read: no more than a thousandth of the time. What must
 * not be held at all is told by remote/gate.h, and what a reading counts for; this tells how often it may be. A process
 * that is killed for want of memory while it is read can get another one killed, so what is read less often is what
 * the process risks less often.
 */
#ifndef HB_MODEL_DUTY_H
#define HB_MODEL_DUTY_H

#include <stdbool.h>
#include <stdint.h>

#define DUTY_PARTS 2000u /* of the time one may be spent; a process has two: of its memory, and of files it maps */

/* All 0 to begin with: nothing was read, and it may be. */
struct duty {
	uint64_t free_ns;  /* until then earlier readings are made up for, CLOCK_MONOTONIC */
	uint64_t look_ns;  /* the look that was asked for last */
	bool granted;      /* and the answer */
};

/* @held_ns were spent holding it, until @now_ns. */
void duty_add(struct duty *duty, uint64_t now_ns, uint64_t held_ns);

/*
 * Whether the look that began at @look_ns may hold it. All readings of one look get the answer of the first: what is
 * shown together was read together. @anyway: the last look may, for no later one makes up for it.
 */
bool duty_may(struct duty *duty, uint64_t look_ns, bool anyway);

#endif
