// SPDX-License-Identifier: Apache-2.0
/* Allocations while an exception is under way, where it is caught, and behind operator new. */
#include "unwind.h"

#include <cstdlib>
#include <new>
#include <unistd.h>

/* C names, for what is called here is what is tested, not how it is demangled. */
extern "C" {

LOAD_CALL void guard_take(size_t bytes)
{
	UNWIND_TAKE(bytes);
}

struct guard {
	size_t bytes;
	~guard()
	{
		guard_take(bytes);
		UNWIND_STAY();
	}
};

LOAD_CALL void throw_through(size_t bytes)
{
	guard here = { bytes };

	if (bytes)
		throw 42;
	UNWIND_STAY();
}

LOAD_CALL void throw_deep(unsigned int depth, size_t bytes)
{
	if (depth)
		throw_deep(depth - 1, bytes);
	else
		throw_through(bytes);
	UNWIND_STAY();
}

/* The guard runs with this frame and those between it and the throw already given up. */
LOAD_CALL void catch_take(size_t guarded, size_t caught)
{
	try {
		throw_deep(5, guarded);
		load_fail("nothing was thrown");
	} catch (int value) {
		load_check(value == 42, "the thrown value");
		UNWIND_TAKE(caught);
	}
}

/* Thrown again from where it was caught, over a frame that has a guard of its own. */
LOAD_CALL void rethrow_through(size_t guarded, size_t outer)
{
	guard here = { outer };

	try {
		throw_deep(0, guarded);
	} catch (int) {
		throw;
	}
	UNWIND_STAY();
}

LOAD_CALL void new_take(size_t bytes)
{
	void *block = ::operator new(bytes);

	__asm__ volatile("" ::"r"(block) : "memory");
}

LOAD_CALL void new_array_take(size_t bytes)
{
	void *block = ::operator new[](bytes);

	__asm__ volatile("" ::"r"(block) : "memory");
}

}

int main()
{
	catch_take(7101, 7102);
	try {
		rethrow_through(7103, 7104);
	} catch (int) {
		UNWIND_TAKE(7105);
	}
	new_take(7106);
	new_array_take(7107);
	_exit(0);
}
