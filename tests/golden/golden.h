/* SPDX-License-Identifier: Apache-2.0 */
/* Exact bytes against a file of this folder, which UPDATE_GOLDEN=1 rewrites. Include after cmocka.h. */
#ifndef HB_TESTS_GOLDEN_GOLDEN_H
#define HB_TESTS_GOLDEN_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole of a file as a string; "" if there is none. */
static char *file_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0, got;
	FILE *out = open_memstream(&text, &size);
	char buf[4096];

	assert_non_null(out);
	while (file && (got = fread(buf, 1, sizeof(buf), file)) > 0)
		fwrite(buf, 1, got, out);
	if (file)
		fclose(file);
	fclose(out);
	return text;
}

static void expect_file(const char *name, const char *bytes)
{
	char path[512], *wanted;

	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, name);
	if (getenv("UPDATE_GOLDEN")) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(bytes, file);
		assert_int_equal(fclose(file), 0);
	}
	wanted = file_text(path);
	if (strcmp(bytes, wanted))
		print_error("%s differs; the view wrote:\n%s", name, bytes);
	assert_string_equal(bytes, wanted);
	free(wanted);
}

#endif
