/* SPDX-License-Identifier: Apache-2.0 */
/* The async-signal-safe allocator of own.c: what its users may see and turn. */
#ifndef HB_LOAD_OWN_H
#define HB_LOAD_OWN_H

/* Not 0 while malloc() runs. A jump out of it leaves it set: clear it before the jump. */
extern volatile int own_inside;

/* Rounds of an empty loop before and after a block is taken. */
extern volatile unsigned int own_spin;

/* Called in the middle of malloc() if set; it may raise signals. */
extern void (*volatile own_hook)(void);

#endif
