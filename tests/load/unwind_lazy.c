// SPDX-License-Identifier: Apache-2.0
/* Allocations on the way through the dynamic loader: a resolver (unwind_ifunc.c), constructors. */
#include "unwind.h"

#include <stdlib.h>
#include <unistd.h>

size_t ifunc_value(size_t value);

__attribute__((constructor)) static void program_begin(void)
{
	UNWIND_TAKE(7503);
}

LOAD_CALL void call_lazily(void)
{
	load_check(ifunc_value(41) == 42, "the function's value");
	UNWIND_STAY();
}

int main(void)
{
	call_lazily();
	_exit(0);
}
