// SPDX-License-Identifier: Apache-2.0
#include "numa.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define TEXT_BYTES 256 /* of a list of nodes; more than one is told by its beginning */

bool numa_parse(const char *nodes, const char *balancing)
{
	return isdigit((unsigned char)*nodes) && strpbrk(nodes, ",-") && strtol(balancing, NULL, 10) > 0;
}

static bool read_file(const char *path, char text[TEXT_BYTES])
{
	__cleanup(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, TEXT_BYTES - 1);

	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

bool numa_balances(void)
{
	char nodes[TEXT_BYTES], balancing[TEXT_BYTES];

	return read_file("/sys/devices/system/node/has_memory", nodes) &&
	       read_file("/proc/sys/kernel/numa_balancing", balancing) && numa_parse(nodes, balancing);
}
