// SPDX-License-Identifier: Apache-2.0
/*
 * Calls of an allocator in random order, also of frees with NULL: random_calls SEED COUNT [plain]. COUNT
 * calls of everything that the allocator has, by name, or with "plain" of malloc and free only. Says of
 * the latter how many it made, on stderr: of malloc, of free with a block, of free with NULL.
 * The same seed makes the same calls. Static programs have the C interface only.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef LOAD_STATIC
#include <dlfcn.h>
#endif

#define HELD 256

/* How a function is called. What it hands out goes to a slot, what it takes comes from one. */
enum shape {
	TAKES_SIZE,
	TAKES_SIZE_FLAGS,  /* mallocx: (size, 0) */
	TAKES_COUNT,       /* (count, size) */
	TAKES_ALIGN,       /* (alignment, size) */
	TAKES_SIZE_ALIGN,  /* (size, alignment) */
	TAKES_SIZE_AT,     /* (size, alignment, offset 0) */
	TAKES_POSIX,       /* (where, alignment, size) */
	TAKES_MAY_FAIL,    /* C++: (size, nothrow) */
	RESIZES,           /* (block, size) */
	RESIZES_FLAGS,     /* rallocx: (block, size, 0) */
	RESIZES_COUNT,     /* (block, count, size) */
	RESIZES_ALIGN,     /* (block, size, alignment) */
	FREES,             /* also NULL */
	FREES_SIZE,        /* (block, size), also NULL */
	FREES_BLOCK,       /* (block, 0): a block only */
	SHAPES
};

struct function {
	const char *name;
	enum shape shape;
	void *call;
};

#ifdef LOAD_STATIC
#define FUNCTION(name, shape) { #name, shape, (void *)name }
static struct function functions[] = {
	FUNCTION(malloc, TAKES_SIZE), FUNCTION(calloc, TAKES_COUNT), FUNCTION(realloc, RESIZES),
	FUNCTION(memalign, TAKES_ALIGN), FUNCTION(aligned_alloc, TAKES_ALIGN),
	FUNCTION(posix_memalign, TAKES_POSIX), FUNCTION(reallocarray, RESIZES_COUNT), FUNCTION(free, FREES),
};
#else
static struct function functions[] = {
	{ "malloc", TAKES_SIZE, NULL }, { "free", FREES, NULL },
	{ "calloc", TAKES_COUNT, NULL }, { "realloc", RESIZES, NULL }, { "reallocarray", RESIZES_COUNT, NULL },
	{ "memalign", TAKES_ALIGN, NULL }, { "aligned_alloc", TAKES_ALIGN, NULL },
	{ "posix_memalign", TAKES_POSIX, NULL }, { "valloc", TAKES_SIZE, NULL }, { "pvalloc", TAKES_SIZE, NULL },
	{ "cfree", FREES, NULL }, { "free_sized", FREES_SIZE, NULL },
	{ "_Znwm", TAKES_SIZE, NULL }, { "_Znam", TAKES_SIZE, NULL },
	{ "_ZnwmRKSt9nothrow_t", TAKES_MAY_FAIL, NULL }, { "_ZnamRKSt9nothrow_t", TAKES_MAY_FAIL, NULL },
	{ "_ZnwmSt11align_val_t", TAKES_SIZE_ALIGN, NULL },
	{ "_ZdlPv", FREES, NULL }, { "_ZdaPv", FREES, NULL }, { "_ZdlPvRKSt9nothrow_t", FREES, NULL },
	{ "mallocx", TAKES_SIZE_FLAGS, NULL }, { "rallocx", RESIZES_FLAGS, NULL }, { "dallocx", FREES_BLOCK, NULL },
	{ "mi_malloc", TAKES_SIZE, NULL }, { "mi_zalloc", TAKES_SIZE, NULL }, { "mi_calloc", TAKES_COUNT, NULL },
	{ "mi_mallocn", TAKES_COUNT, NULL }, { "mi_realloc", RESIZES, NULL }, { "mi_reallocn", RESIZES_COUNT, NULL },
	{ "mi_rezalloc", RESIZES, NULL }, { "mi_recalloc", RESIZES_COUNT, NULL },
	{ "mi_malloc_aligned", TAKES_SIZE_ALIGN, NULL }, { "mi_zalloc_aligned", TAKES_SIZE_ALIGN, NULL },
	{ "mi_malloc_aligned_at", TAKES_SIZE_AT, NULL }, { "mi_zalloc_aligned_at", TAKES_SIZE_AT, NULL },
	{ "mi_realloc_aligned", RESIZES_ALIGN, NULL }, { "mi_memalign", TAKES_ALIGN, NULL },
	{ "mi_aligned_alloc", TAKES_ALIGN, NULL }, { "mi_posix_memalign", TAKES_POSIX, NULL },
	{ "mi_valloc", TAKES_SIZE, NULL }, { "mi_pvalloc", TAKES_SIZE, NULL },
	{ "mi_new", TAKES_SIZE, NULL }, { "mi_new_nothrow", TAKES_SIZE, NULL }, { "mi_new_n", TAKES_COUNT, NULL },
	{ "mi_free", FREES, NULL }, { "mi_cfree", FREES, NULL },
	{ "tc_malloc", TAKES_SIZE, NULL }, { "tc_malloc_skip_new_handler", TAKES_SIZE, NULL },
	{ "tc_calloc", TAKES_COUNT, NULL }, { "tc_realloc", RESIZES, NULL }, { "tc_memalign", TAKES_ALIGN, NULL },
	{ "tc_free", FREES, NULL }, { "tc_cfree", FREES, NULL },
};
#endif

static size_t functions_count = sizeof(functions) / sizeof(functions[0]);
static void *held[HELD];
static unsigned long long state, malloc_calls, free_calls, null_calls;

/* xorshift64* */
static unsigned long long pick(unsigned long long below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dULL >> 32) % below;
}

/* Mostly small, now and then beyond what any allocator keeps ready, or nothing. */
static size_t some_bytes(void)
{
	switch (pick(64)) {
	case 0: return 0;
	case 1: return 1 + pick(4 << 20);
	case 2:
	case 3: return 1 + pick(100 << 10);
	default: return 1 + pick(2000);
	}
}

static size_t some_alignment(void)
{
	return sizeof(void *) << pick(6);
}

static void *plain_take(size_t bytes)
{
	malloc_calls++;
	return malloc(bytes);
}

static void plain_free(void *block)
{
	if (block)
		free_calls++;
	else
		null_calls++;
	free(block);
}

static void *take(const struct function *function, size_t bytes)
{
	void *block = NULL;

	switch (function->shape) {
	case TAKES_SIZE: return ((void *(*)(size_t))function->call)(bytes);
	case TAKES_SIZE_FLAGS: return ((void *(*)(size_t, int))function->call)(bytes + 1, 0);
	case TAKES_COUNT: return ((void *(*)(size_t, size_t))function->call)(1 + bytes / 8, 8);
	case TAKES_ALIGN: return ((void *(*)(size_t, size_t))function->call)(64, (bytes + 63) & ~(size_t)63);
	case TAKES_SIZE_ALIGN: return ((void *(*)(size_t, size_t))function->call)(bytes, some_alignment());
	case TAKES_SIZE_AT: return ((void *(*)(size_t, size_t, size_t))function->call)(bytes, some_alignment(), 0);
	case TAKES_POSIX:
		((int (*)(void **, size_t, size_t))function->call)(&block, some_alignment(), bytes);
		return block;
	case TAKES_MAY_FAIL: return ((void *(*)(size_t, const void *))function->call)(bytes, "");
	default: abort();
	}
}

static void *resize(const struct function *function, void *block, size_t bytes)
{
	bytes++; /* 0 would free */
	switch (function->shape) {
	case RESIZES: return ((void *(*)(void *, size_t))function->call)(block, bytes);
	case RESIZES_FLAGS:
		return block ? ((void *(*)(void *, size_t, int))function->call)(block, bytes, 0) : NULL;
	case RESIZES_COUNT: return ((void *(*)(void *, size_t, size_t))function->call)(block, 1 + bytes / 8, 8);
	case RESIZES_ALIGN: return ((void *(*)(void *, size_t, size_t))function->call)(block, bytes, 16);
	default: abort();
	}
}

static void release(const struct function *function, void *block)
{
	if (function->shape == FREES)
		((void (*)(void *))function->call)(block);
	else if (function->shape == FREES_SIZE)
		((void (*)(void *, size_t))function->call)(block, block ? malloc_usable_size(block) : 0);
	else if (block)
		((void (*)(void *, int))function->call)(block, 0);
}

static void one_call(void)
{
	const struct function *function = &functions[pick(functions_count)];
	void **slot = &held[pick(HELD)], *block;
	size_t bytes = some_bytes();

	if (function->shape >= FREES) {
		release(function, *slot);
		*slot = NULL;
	} else if (function->shape >= RESIZES) {
		block = resize(function, *slot, bytes);
		*slot = block ? block : *slot;
	} else if (!*slot) {
		*slot = take(function, bytes);
	}
}

static void one_plain_call(void)
{
	void **slot = &held[pick(HELD)];

	if (*slot || !pick(4)) {
		plain_free(*slot);
		*slot = NULL;
	} else {
		*slot = plain_take(some_bytes());
	}
}

/* Keep those that the file with malloc has: one allocator's blocks are not another's. */
static void functions_find(void)
{
#ifndef LOAD_STATIC
	Dl_info own, other;
	size_t kept = 0;

	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &own))
		abort();
	for (size_t i = 0; i < functions_count; i++) {
		functions[i].call = dlsym(RTLD_DEFAULT, functions[i].name);
		if (functions[i].call && dladdr(functions[i].call, &other) && other.dli_fbase == own.dli_fbase)
			functions[kept++] = functions[i];
	}
	functions_count = kept;
#endif
}

int main(int argc, char **argv)
{
	unsigned long long count;
	char line[128];
	int length;

	if (argc < 3)
		return 2;
	state = strtoull(argv[1], NULL, 0) | 1;
	count = strtoull(argv[2], NULL, 0);
	if (argc > 3) {
		while (count--)
			one_plain_call();
	} else {
		functions_find();
		while (count--)
			one_call();
	}
	length = snprintf(line, sizeof(line), "%llu %llu %llu\n", malloc_calls, free_calls, null_calls);
	return write(STDERR_FILENO, line, length) == length ? 0 : 1;
}
