/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the verdict: the rules, by group, and how they speak. For the postmortem*.c files. */
#ifndef HB_MODEL_POSTMORTEM_RULES_H
#define HB_MODEL_POSTMORTEM_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postmortem.h"

#define NAME_COLUMNS 64 /* what is kept of a name, or of the end of a path */

/* A sentence being written; what does not fit is cut off. */
struct sentence {
	char *text;
	size_t length, size;
};

void say(struct sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_bytes(struct sentence *s, uint64_t bytes); /* "640.0 MiB" */
void say_seconds(struct sentence *s, double seconds);
void say_share(struct sentence *s, uint64_t part, uint64_t whole); /* "96%" */
void say_name(struct sentence *s, const char *name); /* cut at its end */
void say_path(struct sentence *s, const char *path); /* cut at its beginning: what is meant stands at the end */
/* ", container web/app" if it is known and not the victim's */
void say_container(struct sentence *s, const struct postmortem *pm, const struct container_info *container);
void say_comm(struct sentence *s, const char *comm); /* "?" for NULL */

/* Says its sentence, or nothing if it does not hold. */
typedef bool postmortem_rule(const struct postmortem *pm, struct sentence *s);

/* The groups, each ended by NULL. Of each the first rule that holds is heard. */
extern postmortem_rule *const rules_what[], *const rules_limit[], *const rules_culprit[], *const rules_held[],
	*const rules_trend[], *const rules_odd[];

static inline bool is_known(uint64_t number)
{
	return number != POSTMORTEM_UNKNOWN;
}

/* @part of @whole in percent is more than @percent, both being known. */
static inline bool exceeds(uint64_t part, uint64_t whole, unsigned int percent)
{
	return is_known(part) && is_known(whole) && whole && (double)part * 100 > (double)whole * percent;
}

/*
 * All memory of the host; may be unknown. Its parts were read after the kill, when some of the victim's memory may
 * have been given back already: only their sum is what it was.
 */
static inline uint64_t host_bytes(const struct postmortem *pm)
{
	uint64_t parts[] = { pm->domain.usage_bytes, pm->domain.free_bytes };

	return is_known(parts[0]) && is_known(parts[1]) ? postmortem_sum(parts, 2) : POSTMORTEM_UNKNOWN;
}

#endif
