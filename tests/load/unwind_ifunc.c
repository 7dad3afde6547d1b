// SPDX-License-Identifier: Apache-2.0
/* A library whose function is chosen when it is first called, by a resolver that allocates. */
#include "unwind.h"

#include <stdlib.h>

size_t ifunc_value(size_t value);

LOAD_CALL static size_t plain_value(size_t value)
{
	return value + 1;
}

static size_t (*resolve_value(void))(size_t)
{
	UNWIND_TAKE(7501);
	return plain_value;
}

size_t ifunc_value(size_t value) __attribute__((ifunc("resolve_value")));

/* Called by the dynamic loader before main: its stack does not begin at _start. */
__attribute__((constructor)) static void library_begin(void)
{
	UNWIND_TAKE(7502);
}
