// SPDX-License-Identifier: Apache-2.0
/*
 * One leak of known size per kind of call, after the idea of bcc's memleak leaker: it says that it
 * is there, waits for a byte, leaks (or, with "none", gives everything back), says so, and waits
 * until its input ends.
 */
#include "load.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMES 10

LOAD_SITE(leak_malloc);
LOAD_SITE(leak_calloc);
LOAD_SITE(leak_realloc);
LOAD_SITE(leak_posix_memalign);
LOAD_SITE(leak_valloc);
LOAD_SITE(leak_memalign);
LOAD_SITE(leak_pvalloc);
LOAD_SITE(leak_aligned_alloc);

LOAD_CALL void *leak_malloc(void)
{
	return load_took(&truth_leak_malloc, malloc(30001), 30001);
}

LOAD_CALL void *leak_calloc(void)
{
	return load_took(&truth_leak_calloc, calloc(3, 10007), 3 * 10007);
}

LOAD_CALL void *leak_realloc(void)
{
	struct load_block held = { leak_malloc(), 30001, &truth_leak_malloc };
	void *block = realloc(held.block, 31337);

	load_check(block != NULL, "realloc");
	load_gave(held.site, held.bytes);
	return load_took(&truth_leak_realloc, block, 31337);
}

LOAD_CALL void *leak_posix_memalign(void)
{
	void *block = NULL;

	load_check(!posix_memalign(&block, 512, 20011), "posix_memalign");
	return load_took(&truth_leak_posix_memalign, block, 20011);
}

LOAD_CALL void *leak_valloc(void)
{
	return load_took(&truth_leak_valloc, valloc(12007), 12007);
}

LOAD_CALL void *leak_memalign(void)
{
	return load_took(&truth_leak_memalign, memalign(1024, 7001), 7001);
}

LOAD_CALL void *leak_pvalloc(void)
{
	return load_took(&truth_leak_pvalloc, pvalloc(5003), 5003);
}

LOAD_CALL void *leak_aligned_alloc(void)
{
	return load_took(&truth_leak_aligned_alloc, aligned_alloc(2048, 4 * 2048), 4 * 2048);
}

static const struct {
	const char *name;
	void *(*leak)(void);
	struct load_site *site;
	size_t bytes;
} kinds[] = {
	{ "malloc", leak_malloc, &truth_leak_malloc, 30001 },
	{ "calloc", leak_calloc, &truth_leak_calloc, 30021 },
	{ "realloc", leak_realloc, &truth_leak_realloc, 31337 },
	{ "posix_memalign", leak_posix_memalign, &truth_leak_posix_memalign, 20011 },
	{ "valloc", leak_valloc, &truth_leak_valloc, 12007 },
	{ "memalign", leak_memalign, &truth_leak_memalign, 7001 },
	{ "pvalloc", leak_pvalloc, &truth_leak_pvalloc, 5003 },
	{ "aligned_alloc", leak_aligned_alloc, &truth_leak_aligned_alloc, 8192 },
};

static int say_and_wait(const char *text)
{
	char byte;

	load_check(write(STDOUT_FILENO, text, strlen(text)) > 0, "a reader on stdout");
	return read(STDIN_FILENO, &byte, 1) == 1;
}

int main(int argc, char **argv)
{
	const char *wanted = argc > 1 ? argv[1] : "none";
	int none = !strcmp(wanted, "none");
	int ran = 0;

	say_and_wait("here\n");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!none && strcmp(wanted, kinds[i].name))
			continue;
		for (int time = 0; time < TIMES; time++) {
			struct load_block held = { kinds[i].leak(), kinds[i].bytes,
						   kinds[i].site };

			load_check(held.block != NULL, wanted);
			if (none)
				load_drop(&held);
		}
		ran++;
	}
	load_check(ran, "usage: leak KIND");
	load_write(wanted);
	say_and_wait("done\n");
	return 0;
}
