// SPDX-License-Identifier: Apache-2.0
/* Very many live blocks of 16 bytes, kept in a chain through themselves; "free" gives them back. */
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES 16

struct link {
	struct link *next;
};

LOAD_SITE(many_take);

LOAD_CALL void *many_take(void)
{
	return load_took(&truth_many_take, malloc(BYTES), BYTES);
}

int main(int argc, char **argv)
{
	size_t count = load_number(argc > 1 ? argv[1] : "");
	const char *mode = argc > 2 ? argv[2] : "keep";
	struct link *first = NULL;

	for (size_t i = 0; i < count; i++) {
		struct link *link = many_take();

		load_check(link != NULL, "a small block");
		link->next = first;
		first = link;
	}
	while (!strcmp(mode, "free") && first) {
		struct load_block held = { first, BYTES, &truth_many_take };

		first = first->next;
		load_drop(&held);
	}
	load_write(mode);
	_exit(0);
}
