// SPDX-License-Identifier: Apache-2.0
/* Every entry point of the malloc family, one mode each; "all" runs them one after the other. */
#include "load.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#define HAVE_PVALLOC 1
#endif

#define ROUNDS 99

LOAD_SITE(take_malloc);
LOAD_SITE(take_calloc);
LOAD_SITE(take_realloc);
LOAD_SITE(grow_realloc);
LOAD_SITE(shrink_realloc);
LOAD_SITE(zero_realloc);
LOAD_SITE(take_reallocarray);
LOAD_SITE(take_posix_memalign);
LOAD_SITE(take_memalign);
LOAD_SITE(take_aligned_alloc);
LOAD_SITE(take_valloc);
LOAD_SITE(take_pvalloc);
LOAD_SITE(fail_every);

/* Hidden from the compiler, which warns about sizes it can see. */
static volatile size_t huge = SIZE_MAX / 2;

LOAD_CALL void *take_malloc(size_t bytes)
{
	return load_took(&truth_take_malloc, malloc(bytes), bytes);
}

LOAD_CALL void *take_calloc(size_t bytes)
{
	return load_took(&truth_take_calloc, calloc(3, bytes), 3 * bytes);
}

LOAD_CALL void *take_realloc(size_t bytes)
{
	return load_took(&truth_take_realloc, realloc(NULL, bytes), bytes);
}

LOAD_CALL void *take_reallocarray(size_t bytes)
{
	return load_took(&truth_take_reallocarray, reallocarray(NULL, 5, bytes), 5 * bytes);
}

LOAD_CALL void *take_posix_memalign(size_t bytes)
{
	void *block = NULL;

	if (posix_memalign(&block, 256, bytes))
		return NULL;
	return load_took(&truth_take_posix_memalign, block, bytes);
}

LOAD_CALL void *take_memalign(size_t bytes)
{
	return load_took(&truth_take_memalign, memalign(128, bytes), bytes);
}

LOAD_CALL void *take_aligned_alloc(size_t bytes)
{
	return load_took(&truth_take_aligned_alloc, aligned_alloc(64, 64 * bytes), 64 * bytes);
}

LOAD_CALL void *take_valloc(size_t bytes)
{
	return load_took(&truth_take_valloc, valloc(bytes), bytes);
}

#ifdef HAVE_PVALLOC
LOAD_CALL void *take_pvalloc(size_t bytes)
{
	return load_took(&truth_take_pvalloc, pvalloc(bytes), bytes);
}
#endif

/* Two of three are given back; the bytes of one block are @unit per byte passed. */
static void churn(void *(*take)(size_t), struct load_site *site, size_t unit)
{
	for (size_t i = 0; i < ROUNDS; i++) {
		size_t bytes = 7 * i + 1;
		struct load_block held = { take(bytes), unit * bytes, site };

		load_check(held.block != NULL, "a small allocation");
		if (i % 3)
			load_drop(&held);
	}
}

static void do_malloc(void)
{
	churn(take_malloc, &truth_take_malloc, 1);
}

static void do_calloc(void)
{
	churn(take_calloc, &truth_take_calloc, 3);
}

static void do_reallocarray(void)
{
	churn(take_reallocarray, &truth_take_reallocarray, 5);
}

static void do_posix_memalign(void)
{
	churn(take_posix_memalign, &truth_take_posix_memalign, 1);
}

static void do_memalign(void)
{
	churn(take_memalign, &truth_take_memalign, 1);
}

static void do_aligned_alloc(void)
{
	churn(take_aligned_alloc, &truth_take_aligned_alloc, 64);
}

static void do_valloc(void)
{
	churn(take_valloc, &truth_take_valloc, 1);
}

static void do_pvalloc(void)
{
#ifdef HAVE_PVALLOC
	/* Kept: a preloaded allocator without a pvalloc may not be handed libc's block. */
	for (size_t i = 0; i < ROUNDS; i++)
		load_check(take_pvalloc(9 * i + 1) != NULL, "a small pvalloc");
#endif
}

/* The old block goes when the new one is there; with it the bytes change their owner. */
static void resized(struct load_block *held, void *block, size_t bytes, struct load_site *site)
{
	load_gave(held->site, held->bytes);
	load_took(site, block, bytes);
	held->block = block;
	held->bytes = bytes;
	held->site = site;
}

LOAD_CALL void grow_realloc(struct load_block *held, size_t bytes)
{
	void *block = realloc(held->block, bytes);

	load_check(block != NULL, "a block grows");
	resized(held, block, bytes, &truth_grow_realloc);
}

LOAD_CALL void shrink_realloc(struct load_block *held, size_t bytes)
{
	void *block = realloc(held->block, bytes);

	load_check(block != NULL, "a block shrinks");
	resized(held, block, bytes, &truth_shrink_realloc);
}

/* NULL means freed; some allocators give an empty block instead. */
LOAD_CALL void zero_realloc(struct load_block *held)
{
	void *block = realloc(held->block, 0);

	resized(held, block, 0, &truth_zero_realloc);
}

static void do_realloc(void)
{
	churn(take_realloc, &truth_take_realloc, 1);
	for (size_t i = 0; i < ROUNDS; i++) {
		struct load_block held = { take_realloc(i + 1), i + 1, &truth_take_realloc };

		grow_realloc(&held, 100 * i + 2);
		grow_realloc(&held, 3000 * i + 3); /* also over the size where mremap begins */
		if (i % 2)
			shrink_realloc(&held, 10 * i + 1);
		if (i % 4 == 3)
			load_drop(&held);
		if (i % 4 == 2)
			zero_realloc(&held);
	}
}

static void do_free(void)
{
	struct load_block held = { take_malloc(1000), 1000, &truth_take_malloc };

	for (int i = 0; i < 1000; i++)
		free(NULL);
	load_drop(&held);
}

static void do_zero(void)
{
	struct load_block held = { take_malloc(0), 0, &truth_take_malloc };

	load_drop(&held);
	take_malloc(0);
	take_calloc(0);
}

/* Large enough that the allocator maps memory inside the call. */
static void do_large(void)
{
	for (size_t i = 1; i <= 20; i++) {
		struct load_block held = { take_malloc(i * 300001), i * 300001,
					   &truth_take_malloc };

		load_check(held.block != NULL, "a large allocation");
		if (i % 2)
			load_drop(&held);
	}
}

/* Nothing here returns a block; were anything counted, it would stand under this name. */
LOAD_CALL void fail_every(struct load_block *held)
{
	void *garbage = (void *)0x1234560;

	load_check(!malloc(huge), "malloc of half the address space fails");
	load_check(!calloc(huge, 4), "calloc overflows");
	load_check(!reallocarray(NULL, huge, 4), "reallocarray overflows");
	load_check(!reallocarray(held->block, huge, 4), "reallocarray of a block overflows");
	load_check(!realloc(held->block, huge), "realloc to half the address space fails");
	load_check(!realloc(NULL, huge), "realloc of nothing fails");
	load_check(posix_memalign(&garbage, 3, 100) == EINVAL, "posix_memalign wants powers of 2");
	load_check(posix_memalign(&garbage, 64, huge) == ENOMEM, "posix_memalign fails");
	load_check(!aligned_alloc(64, huge & ~63ULL), "aligned_alloc fails");
	load_check(!memalign(64, huge), "memalign fails");
}

static void do_failed(void)
{
	struct load_block held = { take_malloc(4321), 4321, &truth_take_malloc };
	struct load_block other = { take_malloc(99), 99, &truth_take_malloc };

	memset(held.block, 0x5a, held.bytes);
	for (int i = 0; i < 10; i++)
		fail_every(&held);
	load_check(*(unsigned char *)held.block == 0x5a, "a failed realloc leaves the old block");
	load_drop(&other);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	{ "malloc", do_malloc },
	{ "calloc", do_calloc },
	{ "realloc", do_realloc },
	{ "reallocarray", do_reallocarray },
	{ "posix_memalign", do_posix_memalign },
	{ "memalign", do_memalign },
	{ "aligned_alloc", do_aligned_alloc },
	{ "valloc", do_valloc },
	{ "pvalloc", do_pvalloc },
	{ "free", do_free },
	{ "zero", do_zero },
	{ "large", do_large },
	{ "failed", do_failed },
};

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "all";
	int ran = 0;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(mode, "all") && strcmp(mode, modes[i].name))
			continue;
		modes[i].run();
		ran++;
	}
	load_check(ran, "usage: calls MODE");
	load_write(mode);
	_exit(0);
}
