// SPDX-License-Identifier: Apache-2.0
/*
 * A small allocator that may be interrupted anywhere, and called again from there: slots taken and
 * given back by atomics alone. Slow on purpose, so that interruptions inside it are common. calloc
 * and realloc call malloc and free by name, as many allocators do.
 */
#include "own.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_BYTES 512
#define SLOTS	   (1 << 17)
#define BUMP_BYTES (64UL << 20)

static unsigned char slots[SLOTS][SLOT_BYTES] __attribute__((aligned(4096)));
static unsigned char taken[SLOTS];
static size_t next_slot;

/* Blocks larger than a slot; never given back. */
static unsigned char bump[BUMP_BYTES] __attribute__((aligned(4096)));
static size_t bump_used;

volatile int own_inside;
volatile unsigned int own_spin;
void (*volatile own_hook)(void);

static void spin(void)
{
	for (unsigned int i = own_spin; i; i--)
		__asm__ volatile("" ::: "memory");
}

static void *take_large(size_t bytes, size_t alignment)
{
	size_t whole = bytes + alignment;
	size_t at;

	if (whole < bytes || whole > BUMP_BYTES)
		return NULL;
	at = __atomic_fetch_add(&bump_used, whole, __ATOMIC_RELAXED);
	if (at > BUMP_BYTES - whole)
		return NULL;
	return (void *)(((uintptr_t)&bump[at] + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

static void *take_slot(void)
{
	for (size_t tries = 0; tries < SLOTS; tries++) {
		size_t at = __atomic_fetch_add(&next_slot, 1, __ATOMIC_RELAXED) % SLOTS;
		unsigned char empty = 0;

		if (__atomic_compare_exchange_n(&taken[at], &empty, 1, 0, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return slots[at];
	}
	return NULL;
}

static void *take(size_t bytes, size_t alignment)
{
	void *block;

	spin();
	block = bytes <= SLOT_BYTES && alignment <= SLOT_BYTES ? take_slot() :
								 take_large(bytes, alignment);
	spin();
	if (!block)
		errno = ENOMEM;
	return block;
}

static int in_slots(const void *block)
{
	return (uintptr_t)block >= (uintptr_t)slots &&
	       (uintptr_t)block < (uintptr_t)slots + sizeof(slots);
}

void *malloc(size_t bytes)
{
	int outer = own_inside;
	void *block;

	own_inside = 1;
	if (own_hook)
		own_hook();
	block = take(bytes, 16);
	own_inside = outer;
	return block;
}

void free(void *block)
{
	spin();
	if (!in_slots(block))
		return;
	__atomic_store_n(&taken[((uintptr_t)block - (uintptr_t)slots) / SLOT_BYTES], 0,
			 __ATOMIC_RELEASE);
}

void *calloc(size_t count, size_t bytes)
{
	size_t whole;
	void *block;

	if (__builtin_mul_overflow(count, bytes, &whole)) {
		errno = ENOMEM;
		return NULL;
	}
	block = malloc(whole);
	if (block)
		memset(block, 0, whole);
	return block;
}

void *realloc(void *old, size_t bytes)
{
	size_t room = SLOT_BYTES;
	void *block;

	if (!old)
		return malloc(bytes);
	if (!bytes) {
		free(old);
		return NULL;
	}
	block = malloc(bytes);
	if (!block)
		return NULL;
	/* How long an old large block was is forgotten; its arena can be read to its end. */
	if (!in_slots(old))
		room = (size_t)((uintptr_t)bump + sizeof(bump) - (uintptr_t)old);
	memmove(block, old, bytes < room ? bytes : room);
	free(old);
	return block;
}

int posix_memalign(void **result, size_t alignment, size_t bytes)
{
	void *block;

	if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
		return EINVAL;
	block = take(bytes, alignment);
	if (!block)
		return ENOMEM;
	*result = block;
	return 0;
}

void *memalign(size_t alignment, size_t bytes)
{
	return take(bytes, alignment < 16 ? 16 : alignment);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return memalign(alignment, bytes);
}
