// SPDX-License-Identifier: Apache-2.0
/* C++: operator new in its forms, exceptions thrown over callsites, and news that fail. */
#include "load.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unistd.h>

LOAD_SITE(take_new);
LOAD_SITE(take_new_array);
LOAD_SITE(take_new_nothrow);
LOAD_SITE(take_new_aligned);
LOAD_SITE(thrower_take);
LOAD_SITE(guard_take);
LOAD_SITE(catcher_take);

extern "C" {

LOAD_CALL char *take_new(size_t bytes)
{
	return (char *)load_took(&truth_take_new, ::operator new(bytes), bytes);
}

LOAD_CALL char *take_new_array(size_t bytes)
{
	return (char *)load_took(&truth_take_new_array, ::operator new[](bytes), bytes);
}

LOAD_CALL char *take_new_nothrow(size_t bytes)
{
	return (char *)load_took(&truth_take_new_nothrow, ::operator new(bytes, std::nothrow),
				 bytes);
}

LOAD_CALL char *take_new_aligned(size_t bytes)
{
	return (char *)load_took(&truth_take_new_aligned,
				 ::operator new(bytes, std::align_val_t(256)), bytes);
}

/* The three that follow stand at the throw, in a destructor on its way, and where it is caught. */
LOAD_CALL void *thrower_take(size_t bytes)
{
	return load_took(&truth_thrower_take, malloc(bytes), bytes);
}

LOAD_CALL void *guard_take(size_t bytes)
{
	return load_took(&truth_guard_take, malloc(bytes), bytes);
}

LOAD_CALL void *catcher_take(size_t bytes)
{
	return load_took(&truth_catcher_take, malloc(bytes), bytes);
}

}

static void do_new()
{
	for (size_t i = 0; i < 60; i++) {
		size_t bytes = 11 * i + 1;
		char *one = take_new(bytes);
		char *many = take_new_array(bytes);
		char *quiet = take_new_nothrow(bytes);
		/* Whole multiples: libstdc++ rounds up before it asks aligned_alloc, whose caller it is. */
		size_t rows = 256 * (i + 1);
		char *aligned = take_new_aligned(rows);

		if (i % 2) {
			load_gave(&truth_take_new, bytes);
			::operator delete(one);
			load_gave(&truth_take_new_array, bytes);
			::operator delete[](many, bytes);
			load_gave(&truth_take_new_nothrow, bytes);
			::operator delete(quiet, bytes);
			load_gave(&truth_take_new_aligned, rows);
			::operator delete(aligned, std::align_val_t(256));
		}
	}
}

/* In a crowd of modules only a C name is sure to be printed as it is here. */
struct guard {
	size_t bytes;
	~guard()
	{
		guard_take(bytes);
	}
};

LOAD_CALL static void throw_over(size_t depth)
{
	guard here = { depth + 10 };

	if (depth) {
		throw_over(depth - 1);
		return;
	}
	thrower_take(123);
	throw 42;
}

static void do_throw()
{
	for (int i = 0; i < 200; i++) {
		try {
			throw_over(5);
			load_fail("nothing was thrown");
		} catch (int value) {
			load_check(value == 42, "the thrown value");
			void *block = catcher_take(321);

			if (i % 2) {
				load_gave(&truth_catcher_take, 321);
				free(block);
			}
		}
	}
}

static volatile size_t huge = SIZE_MAX / 4;

/* An exception that leaves operator new must find its way, whatever probes stand there. */
static void do_bad_alloc()
{
	unsigned long long caught = 0;

	for (int i = 0; i < 100; i++) {
		try {
			char *block = take_new(huge);

			load_check(!block, "half the address space was given");
		} catch (const std::bad_alloc &) {
			caught++;
		}
		try {
			char *block = take_new_array(huge);

			load_check(!block, "half the address space was given");
		} catch (const std::bad_alloc &) {
			caught++;
		}
		load_check(!take_new_nothrow(huge), "new(nothrow) gives NULL");
		take_new(17);
	}
	load_check(caught == 200, "every bad_alloc was caught");
	load_fact("caught", caught);
}

static unsigned long long handled;

static void last_resort()
{
	handled++;
	std::set_new_handler(nullptr);
}

static void do_new_handler()
{
	for (int i = 0; i < 20; i++) {
		std::set_new_handler(last_resort);
		try {
			take_new(huge);
			load_fail("half the address space was given");
		} catch (const std::bad_alloc &) {
			take_new(33);
		}
	}
	load_check(handled == 20, "every new handler ran");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "new"))
		do_new();
	else if (!strcmp(mode, "throw"))
		do_throw();
	else if (!strcmp(mode, "bad_alloc"))
		do_bad_alloc();
	else if (!strcmp(mode, "new_handler"))
		do_new_handler();
	else
		load_fail("usage: cxx new|throw|bad_alloc|new_handler");
	load_write(mode);
	_exit(0);
}
