// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* longer messages end in "..." */

static const char prefix[] = "heldby: ";
static enum log_level shown = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	shown = level;
}

enum log_level log_level(void)
{
	return shown;
}

/* A stranger's name may be part of the message: its escapes must not reach a terminal. */
static void defuse(char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		unsigned char c = line[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			line[i] = '?';
		else if (c == 0xc2 && i + 1 < length && (unsigned char)line[i + 1] < 0xa0)
			line[i] = line[i + 1] = '?'; /* C1 control characters in UTF-8 */
	}
}

static void write_all(const char *line, size_t length)
{
	while (length) {
		ssize_t n = write(STDERR_FILENO, line, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		length -= n;
	}
}

void log_print(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t length = sizeof(prefix) - 1;
	size_t room = sizeof(line) - length - 1; /* for the newline */
	int saved = errno;
	va_list args;
	int n;

	if (level > shown)
		return;
	memcpy(line, prefix, length);
	va_start(args, format);
	errno = saved; /* for %m */
	n = vsnprintf(line + length, room, format, args);
	va_end(args);
	if (n < 0) {
		errno = saved;
		return;
	}
	if ((size_t)n >= room) {
		length += room - 1;
		memcpy(line + length - 3, "...", 3);
	} else {
		length += n;
	}
	defuse(line, length);
	line[length++] = '\n';
	write_all(line, length);
	errno = saved;
}
