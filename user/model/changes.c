// SPDX-License-Identifier: Apache-2.0
#include "changes.h"

#include <string.h>

void changes_add(struct changes *changes, const struct report_change *change)
{
	if (changes->count == REPORT_CHANGES_MAX) {
		memmove(changes->rows, changes->rows + 1, --changes->count * sizeof(changes->rows[0]));
		changes->forgotten++;
	}
	changes->rows[changes->count++] = *change;
}

size_t changes_take(struct changes *changes, struct report_change *rows, size_t cap)
{
	const size_t left = changes->count > cap ? changes->count - cap : 0;
	const size_t count = changes->count - left;

	if (count)
		memcpy(rows, changes->rows + left, count * sizeof(*rows));
	changes->forgotten += left;
	changes->count = 0;
	return count;
}
