/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a kill's text, each with a blank line and its title before it. For the postmortem_*.c files. */
#ifndef HB_VIEW_POSTMORTEM_TEXT_H
#define HB_VIEW_POSTMORTEM_TEXT_H

#include "../model/postmortem.h"
#include "human.h"

/* Its title with @before before it; nothing for NULL. */
void postmortem_container(struct human *h, const char *before, const struct container_info *container);
/* The cgroups on the way up to the root; without a title; nothing if none is known. */
void postmortem_levels(struct human *h, const struct postmortem *pm);
void postmortem_tasks(struct human *h, const struct postmortem *pm);
void postmortem_holders(struct human *h, const struct postmortem *pm);
/* A slope of all that is known, its columns by time. */
void postmortem_history(struct human *h, const struct postmortem *pm);

#endif
