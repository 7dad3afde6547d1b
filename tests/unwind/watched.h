/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that were sampled: what they map, and an oracle for each. */
#ifndef HB_TEST_WATCHED_H
#define HB_TEST_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oracle.h"

#define WATCHED_MAX 12 /* remembered at once */

/* An executable mapping. */
struct range {
	uint64_t start, end;
	uint64_t offset;
	uint64_t ino; /* 0: no file */
	bool vdso;
	bool probes; /* the kernel's page for uprobes */
};

struct watched {
	pid_t pid;
	struct oracle *oracle;
	struct range *ranges; /* sorted */
	size_t count;
	uint64_t used;
};

/*
 * @pid, which is stopped, as it is now. Borrowed until the next call. 0 with *@watched, or negative errno.
 */
int watched_get(pid_t pid, struct watched **watched);
void watched_free_all(void);

/* Whether a thread that goes on at @pc is in a system call, or has just returned from one. */
bool watched_in_call(const struct watched *watched, uint64_t pc);

/* The executable mapping around @address, or NULL. */
const struct range *watched_range(const struct watched *watched, uint64_t address);

/* Of a thread: 'T' is stopped, 0 gone. */
char thread_state(pid_t pid, pid_t tid);
/* The program counter and stack pointer of a stopped thread as the kernel shows them. 0 or negative errno. */
int thread_place(pid_t pid, pid_t tid, uint64_t *pc, uint64_t *sp);

#endif
