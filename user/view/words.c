// SPDX-License-Identifier: Apache-2.0
#include "words.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../base/text.h"

const char *words_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

bool words_is_jit(const struct frame *frame)
{
	return frame->kind != FRAME_KERNEL && frame->module && !strcmp(frame->module, "[jit]");
}

char *words_number(uint64_t number, char out[32])
{
	char digits[32];
	size_t length = snprintf(digits, sizeof(digits), "%" PRIu64, number), i;
	char *to = out;

	for (i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

char *words_decimal(double value, char out[32])
{
	uint64_t milli;
	int length;

	if (!isfinite(value) || fabs(value) >= 1e25)
		return NULL;
	if (fabs(value) >= 1e15) { /* no decimals left worth printing */
		snprintf(out, 32, "%.0f.0", value);
		return out;
	}
	milli = (uint64_t)(fabs(value) * 1000 + 0.5);
	length = snprintf(out, 32, "%s%" PRIu64 ".%03u", value < 0 && milli ? "-" : "",
			  milli / 1000, (unsigned int)(milli % 1000));
	while (out[length - 1] == '0' && out[length - 2] != '.')
		out[--length] = '\0';
	return out;
}

char *words_percent(double share, char out[16])
{
	const double most = 1e6; /* whoever costs more than ten thousand cores is not believed */
	unsigned int tenths = (unsigned int)(1000 * (share < most ? share : most) + 0.5);

	snprintf(out, 16, "%u.%u%%", tenths / 10, tenths % 10);
	return out;
}

char *words_level(enum budget_level level, char out[48])
{
	char bytes[16];

	if (level == BUDGET_EXACT)
		snprintf(out, 48, "every call");
	else if (level == BUDGET_PAUSED)
		snprintf(out, 48, "off");
	else
		snprintf(out, 48, "one sample in %s", text_bytes(budget_period(level), bytes));
	return out;
}

int words_flush(FILE *out)
{
	errno = 0;
	if (!fflush(out) && !ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}
