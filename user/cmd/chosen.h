/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that were chosen on the command line, attached to as they are found. */
#ifndef HB_CMD_CHOSEN_H
#define HB_CMD_CHOSEN_H

#include "tracing.h"

/* Attach to those that are meant by what they are and not traced yet. How many there were. */
size_t chosen_attach(struct tracing *tracing);

/* Attach to those that were given by -p. Prints what fails; an exit status. */
int chosen_attach_pids(struct tracing *tracing);

#endif
