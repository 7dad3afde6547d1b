/* SPDX-License-Identifier: Apache-2.0 */
/* What every test program here includes. */
#ifndef HB_NATIVE_TEST_H
#define HB_NATIVE_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fake_thread.h"

/* A test of the core alone, and one that holds with return probes and with sessions. */
#define ONCE(test) { #test, test, fresh, done, NULL }
#define BOTH(test) ONCE(test), { #test " (session)", test, fresh, done, (void *)1 }

/* Callsites, a process and its generation. */
#define SITE_A (APP + 0xa0)
#define SITE_B (APP + 0xb0)
#define SITE_C (APP + 0xc0)
#define PID    100
#define GEN    (HB_GEN_USER | 7)

static inline struct thread *traced_thread(void)
{
	process_put(PID, GEN, HB_PROC_TRACED | HB_PROC_FOLLOW);
	return thread_new(PID, NULL);
}

#endif
