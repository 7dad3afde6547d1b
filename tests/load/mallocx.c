// SPDX-License-Identifier: Apache-2.0
/* jemalloc's own interface. The library has no header here: the documented prototypes and flags. */
#include "load.h"

#include <dlfcn.h>
#include <unistd.h>

#define MALLOCX_LG_ALIGN(shift) (shift)
#define MALLOCX_ZERO		0x40

LOAD_SITE(take_mallocx);
LOAD_SITE(resize_rallocx);
LOAD_SITE(resize_xallocx);

static void *(*mallocx)(size_t, int);
static void *(*rallocx)(void *, size_t, int);
static size_t (*xallocx)(void *, size_t, size_t, int);
static void (*dallocx)(void *, int);
static void (*sdallocx)(void *, size_t, int);

LOAD_CALL void *take_mallocx(size_t bytes, int flags)
{
	return load_took(&truth_take_mallocx, mallocx(bytes, flags), bytes);
}

LOAD_CALL void resize_rallocx(struct load_block *held, size_t bytes)
{
	void *block = rallocx(held->block, bytes, 0);

	load_check(block != NULL, "rallocx");
	load_gave(held->site, held->bytes);
	load_took(&truth_resize_rallocx, block, bytes);
	*held = (struct load_block){ block, bytes, &truth_resize_rallocx };
}

/* In place or not at all; returns the real size, which says whether it was done. */
LOAD_CALL size_t resize_xallocx(struct load_block *held, size_t bytes)
{
	size_t real = xallocx(held->block, bytes, 0, 0);

	if (real >= bytes) {
		load_gave(held->site, held->bytes);
		load_took(&truth_resize_xallocx, held->block, bytes);
		held->bytes = bytes;
		held->site = &truth_resize_xallocx;
	}
	return real;
}

static void find(void *where, const char *name)
{
	*(void **)where = dlsym(RTLD_DEFAULT, name);
	load_check(*(void **)where != NULL, name);
}

static void drop(struct load_block *held, int sized)
{
	load_gave(held->site, held->bytes);
	if (sized)
		sdallocx(held->block, held->bytes, 0);
	else
		dallocx(held->block, 0);
}

int main(void)
{
	find(&mallocx, "mallocx");
	find(&rallocx, "rallocx");
	find(&xallocx, "xallocx");
	find(&dallocx, "dallocx");
	find(&sdallocx, "sdallocx");
	for (size_t i = 0; i < 120; i++) {
		int flags = i % 2 ? MALLOCX_LG_ALIGN(7) : MALLOCX_ZERO;
		size_t bytes = 13 * i + 5;
		struct load_block held = { take_mallocx(bytes, flags), bytes, &truth_take_mallocx };

		load_check(held.block != NULL, "mallocx");
		if (i % 3 == 1)
			resize_rallocx(&held, 4 * bytes);
		if (i % 4 == 2)
			drop(&held, i % 8 == 2 && !(i % 2));
	}
	for (size_t i = 0; i < 60; i++) {
		struct load_block held = { take_mallocx(100, 0), 100, &truth_take_mallocx };

		/* 112 is the class of 100: it fits; a page does not, and the block stays. */
		if (i % 2)
			load_check(resize_xallocx(&held, 110) >= 110, "in place");
		else
			load_check(resize_xallocx(&held, 4096) < 4096, "not in place");
		if (i % 3)
			drop(&held, 0);
	}
	load_write("mallocx");
	_exit(0);
}
