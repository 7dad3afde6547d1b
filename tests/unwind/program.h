/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs whose stacks are compared: a script each, programs/NAME.sh. It gets a scratch folder in
 * $DIR and the scripts' folder in $HERE, starts what it is about and some load for it, and writes to
 * descriptor 3, a line each: "skip WHY", "jit" (code in no file keeps no frame pointers), "only PREFIX"
 * (processes whose executable's name does not begin so are not compared), "attach PID", and "go". Then
 * it stays until it is killed, with everything that it has started.
 */
#ifndef HB_TEST_PROGRAM_H
#define HB_TEST_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROGRAM_PIDS_MAX 8

struct program {
	const char *name;
	pid_t script;
	char folder[64];  /* $DIR */
	char skip[160];   /* why it cannot run here, or "" */
	char only[32];    /* or "" */
	bool jit;
	pid_t pids[PROGRAM_PIDS_MAX]; /* to attach to; their children count, too */
	size_t pids_count;
};

/* Names of the programs in folder @here, sorted; their number, or negative errno. */
int program_names(const char *here, char ***names);

/* Start @name and wait until it says "go". 0 (look at @program->skip) or negative errno. */
int program_start(struct program *program, const char *here, const char *name);

/* Kill it and all that came of it; remove its folder. */
void program_stop(struct program *program);

#endif
