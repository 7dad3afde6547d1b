// SPDX-License-Identifier: Apache-2.0
#include "duty.h"

void duty_add(struct duty *duty, uint64_t now_ns, uint64_t held_ns)
{
	const uint64_t rest_ns = held_ns < UINT64_MAX / DUTY_PARTS ? held_ns * DUTY_PARTS : UINT64_MAX;

	if (duty->free_ns < now_ns)
		duty->free_ns = now_ns;
	duty->free_ns = rest_ns < UINT64_MAX - duty->free_ns ? duty->free_ns + rest_ns : UINT64_MAX;
}

bool duty_may(struct duty *duty, uint64_t look_ns, bool anyway)
{
	if (duty->look_ns != look_ns) {
		duty->look_ns = look_ns;
		duty->granted = anyway || look_ns >= duty->free_ns;
	}
	return duty->granted;
}
