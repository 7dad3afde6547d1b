// SPDX-License-Identifier: Apache-2.0
#include "clock.h"

#include <stdio.h>
#include <time.h>

#define NS_PER_S 1000000000LL

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	if (clock_gettime(id, &now))
		return 0;
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_unix_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void clock_rfc3339(int64_t unix_ns, char out[32])
{
	int64_t rest = unix_ns % NS_PER_S;
	time_t seconds = unix_ns / NS_PER_S;
	struct tm tm = { 0 };

	if (rest < 0) { /* before 1970: towards the past, not towards zero */
		rest += NS_PER_S;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	/* An int64_t of nanoseconds spans the years 1677 to 2262; the remainders bound the text. */
	snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (tm.tm_year + 1900u) % 10000,
		 (tm.tm_mon + 1u) % 100, tm.tm_mday % 100u, tm.tm_hour % 100u, tm.tm_min % 100u,
		 tm.tm_sec % 100u, (unsigned int)(rest / 1000000) % 1000);
}
