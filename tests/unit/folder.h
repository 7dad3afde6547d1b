/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of the test's own, for what it builds on the spot. */
#ifndef HB_TESTS_UNIT_FOLDER_H
#define HB_TESTS_UNIT_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static char files_folder[128];

__attribute__((unused)) static int files_setup(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(files_folder, sizeof(files_folder), "%s/hb-test-XXXXXX", base ? base : "/tmp");
	return mkdtemp(files_folder) ? 0 : -1;
}

__attribute__((unused)) static int files_teardown(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", files_folder);
	return system(command);
}

/* Run a shell command in the folder. Whether it succeeded. */
__attribute__((unused, format(printf, 1, 2))) static bool files_run(const char *format, ...)
{
	char command[2048];
	int used = snprintf(command, sizeof(command), "cd '%s' && ", files_folder);
	va_list args;

	va_start(args, format);
	vsnprintf(command + used, sizeof(command) - (size_t)used, format, args);
	va_end(args);
	return !system(command);
}

__attribute__((unused)) static void files_need(const char *program)
{
	if (files_run("command -v %s >/dev/null", program))
		return;
	print_message("skipped: there is no %s\n", program);
	skip();
}

__attribute__((unused)) static void files_write(const char *name, const char *text)
{
	char path[256];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", files_folder, name);
	to = fopen(path, "w");
	assert_non_null(to);
	assert_true(fputs(text, to) >= 0);
	assert_int_equal(fclose(to), 0);
}

#endif
