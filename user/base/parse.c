// SPDX-License-Identifier: Apache-2.0
#include "parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NANO        1000000000u
#define SECONDS_MAX 1e9 /* 31 years: far within 64 bits of nanoseconds */
#define PID_MAX     (1u << 22) /* PID_MAX_LIMIT, include/linux/threads.h */

/* Reads digits at *@text and leaves *@text behind them. */
static int read_digits(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t sum = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum))
			return -ERANGE;
	}
	*text = p;
	*value = sum;
	return 0;
}

/* "12.5": the whole part, and what follows the point in 10^-9; later digits say nothing. */
static int read_decimal(const char **text, uint64_t *whole, uint64_t *nano, bool *point)
{
	uint64_t unit = NANO / 10;
	int err = read_digits(text, whole);

	if (err)
		return err;
	*nano = 0;
	*point = **text == '.';
	if (!*point)
		return 0;
	(*text)++;
	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
		*nano += (uint64_t)(**text - '0') * unit;
	return 0;
}

int parse_u64(const char *text, uint64_t *value)
{
	uint64_t number;
	int err = read_digits(&text, &number);

	if (err)
		return err;
	if (*text)
		return -EINVAL;
	*value = number;
	return 0;
}

/* The power of two that a suffix stands for, or -EINVAL. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "KMGTPE";
	const char *letter;

	if (!*suffix || !strcasecmp(suffix, "B"))
		return 0;
	letter = strchr(letters, *suffix >= 'a' && *suffix <= 'z' ? *suffix - 'a' + 'A' : *suffix);
	if (!letter || (suffix[1] && strcasecmp(suffix + 1, "iB")))
		return -EINVAL;
	return 10 * (int)(letter - letters + 1);
}

int parse_bytes(const char *text, uint64_t *bytes)
{
	unsigned __int128 sum;
	uint64_t whole, nano;
	bool point;
	int shift, err;

	err = read_decimal(&text, &whole, &nano, &point);
	if (err)
		return err;
	shift = suffix_shift(text);
	if (shift < 0 || (point && !shift)) /* there is no half byte */
		return -EINVAL;
	sum = ((unsigned __int128)whole << shift) + (((unsigned __int128)nano << shift) / NANO);
	if (sum > UINT64_MAX)
		return -ERANGE;
	*bytes = sum;
	return 0;
}

int parse_seconds(const char *text, double *seconds)
{
	static const struct {
		const char *name;
		double per_second, seconds;
	} units[] = {
		{ "", 1, 1 }, { "s", 1, 1 }, { "ms", 1000, 1 }, { "m", 1, 60 }, { "h", 1, 3600 },
	};
	uint64_t whole, nano;
	bool point;
	size_t i;
	int err;

	err = read_decimal(&text, &whole, &nano, &point);
	if (err)
		return err;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double value;

		if (strcmp(text, units[i].name))
			continue;
		value = (double)whole + (double)nano / NANO;
		value = value * units[i].seconds / units[i].per_second;
		if (value > SECONDS_MAX)
			return -ERANGE;
		*seconds = value;
		return 0;
	}
	return -EINVAL;
}

int parse_percent(const char *text, double *percent)
{
	uint64_t whole, nano;
	double value;
	bool point;
	int err = read_decimal(&text, &whole, &nano, &point);

	if (err)
		return err;
	value = (double)whole + (double)nano / NANO;
	if ((*text && strcmp(text, "%")) || value <= 0)
		return -EINVAL;
	*percent = value;
	return 0;
}

static bool has_pid(const pid_t *pids, size_t count, pid_t pid)
{
	while (count--) {
		if (pids[count] == pid)
			return true;
	}
	return false;
}

/* Fill @list, which has room for one pid per comma and one more. */
static int read_pids(const char *text, pid_t *list, size_t *count)
{
	for (;;) {
		uint64_t pid;
		int err = read_digits(&text, &pid);

		if (err)
			return err;
		if (!pid)
			return -EINVAL;
		if (pid > PID_MAX)
			return -ERANGE;
		if (!has_pid(list, *count, pid))
			list[(*count)++] = pid;
		if (!*text)
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

int parse_pids(const char *text, pid_t **pids, size_t *count)
{
	size_t cap = 1, filled = 0;
	const char *p;
	pid_t *list;
	int err;

	for (p = text; *p; p++)
		cap += *p == ',';
	list = calloc(cap, sizeof(*list));
	if (!list)
		return -ENOMEM;
	err = read_pids(text, list, &filled);
	if (err) {
		free(list);
		return err;
	}
	*pids = list;
	*count = filled;
	return 0;
}
