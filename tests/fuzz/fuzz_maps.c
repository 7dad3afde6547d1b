// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a line of maps, and as a maps file. */
#define _GNU_SOURCE 1
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/remote/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t lines;
	uint64_t end; /* of the last */
};

static int check(void *ctx, const struct map_line *line)
{
	struct seen *seen = ctx;

	if (line->start >= line->end || line->start < seen->end || strlen(line->path) > 1 << 20)
		abort();
	seen->end = line->end;
	return ++seen->lines == 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size ? size : 1); /* no byte more than promised */
	char *path = malloc(size + 1);
	struct map_line out;
	struct seen seen = { 0 };
	int fd;

	if (!line || !path)
		abort();
	memcpy(line, data, size);
	if (!maps_parse_line(line, size, &out, path) && strlen(out.path) > size)
		abort();
	free(line);
	free(path);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	maps_walk(fd, check, &seen);
	close(fd);
	return 0;
}
