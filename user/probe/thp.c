// SPDX-License-Identifier: Apache-2.0
#include "thp.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"

#define FOLDER "/sys/kernel/mm/transparent_hugepage"
#define MEDIUM_KILOBYTES_END 2048 /* no granule is as large */

/* The setting in @path, such as "always inherit [madvise] never"; "" if there is none. */
static void read_setting(const char *path, char text[64])
{
	__cleanup(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, 63);

	text[got > 0 ? got : 0] = '\0';
}

/* That of pages of @kilobytes: since 6.8 each size has some of its own. */
static void read_setting_of(uint64_t kilobytes, const char *name, char text[64])
{
	char path[128];

	snprintf(path, sizeof(path), FOLDER "/hugepages-%" PRIu64 "kB/%s", kilobytes, name);
	read_setting(path, text);
}

/* As large as what an entry of the page table above the lowest maps. */
static uint64_t huge_kilobytes(void)
{
	char text[64];

	read_setting(FOLDER "/hpage_pmd_size", text);
	return strtoull(text, NULL, 10) / 1024;
}

static enum thp_policy policy_of(const char *text)
{
	if (!*text || strstr(text, "[never]"))
		return THP_NEVER;
	return strstr(text, "[madvise]") ? THP_ASKED : THP_ALWAYS;
}

/* Of a size whose own setting is @text, or that has none. */
static enum thp_policy policy_or_common(const char *text)
{
	char common[64];

	if (*text && !strstr(text, "[inherit]"))
		return policy_of(text);
	read_setting(FOLDER "/enabled", common);
	return policy_of(common);
}

enum thp_policy thp_policy(void)
{
	char text[64];

	read_setting_of(huge_kilobytes(), "enabled", text);
	return policy_or_common(text);
}

/* Whether no huge pages of shared memory are given out, but by mounts that have a setting of their own. */
static bool shared_never(void)
{
	char text[64];

	read_setting_of(huge_kilobytes(), "shmem_enabled", text);
	if (*text && !strstr(text, "[inherit]"))
		return strstr(text, "[never]");
	read_setting(FOLDER "/shmem_enabled", text);
	return !*text || strstr(text, "[never]") || strstr(text, "[deny]");
}

bool thp_asked_only(void)
{
	return thp_policy() == THP_ASKED && shared_never();
}

uint64_t thp_medium_bytes(void)
{
	uint64_t largest = 0;

	for (uint64_t kilobytes = 8; kilobytes < MEDIUM_KILOBYTES_END; kilobytes *= 2) {
		char text[64];

		read_setting_of(kilobytes, "enabled", text);
		if (*text && policy_or_common(text) != THP_NEVER)
			largest = kilobytes * 1024;
	}
	return largest;
}
