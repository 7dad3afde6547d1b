// SPDX-License-Identifier: Apache-2.0
/* Functions that are not there when it runs. Comments name the lines that calls stand on. */
#include "unwind.h"

#include <cstdlib>
#include <unistd.h>

#define INLINED static inline __attribute__((always_inline))

namespace shop {

template <typename Item> struct shelf {
	size_t bytes;

	__attribute__((always_inline)) void fill(Item extra)
	{
		void *block = malloc(bytes + (size_t)extra); // line: fill

		__asm__ volatile("" ::"r"(block) : "memory");
	}
};

INLINED void stock(size_t bytes)
{
	shelf<int> here = { bytes };

	here.fill(1); // line: stock
}

LOAD_CALL void open(size_t bytes)
{
	stock(bytes); // line: open
	UNWIND_STAY();
}

LOAD_CALL void open_twice(size_t bytes)
{
	stock(bytes); // line: first
	UNWIND_STAY();
	stock(bytes + 10); // line: second
	UNWIND_STAY();
}

}

INLINED void begin(size_t bytes)
{
	shop::open(bytes); // line: begin
	UNWIND_STAY();
}

int main()
{
	begin(7700); // line: main
	shop::open_twice(7710); // line: twice
	_exit(0);
}
