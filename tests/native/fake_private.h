/* SPDX-License-Identifier: Apache-2.0 */
/* Between the fake_*.c files. */
#ifndef HB_FAKE_PRIVATE_H
#define HB_FAKE_PRIVATE_H

#include "fake_bpf.h"

/* The test, or a program under test, did what cannot be: say so and abort. */
void fake_die(const char *why) __attribute__((noreturn));
/* Tasks, memories and the clock back to nothing. */
void fake_user_reset(void);
void fake_maps_reset(void);
/* The task's storages go. */
void fake_storage_free(struct task_struct *task);
/* The mappings of @mm go. */
void fake_maps_free(struct mm_struct *mm);

#endif
