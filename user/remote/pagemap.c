// SPDX-License-Identifier: Apache-2.0
#include "pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "gate.h"

#define READINGS_PER_QUESTION 64 /* of the gate: 30 us of single pages, 500 us of full ranges */
#define STATUS_BYTES 8192

int pagemap_open(struct pagemap *map, const struct proc *proc)
{
	int fd = proc_open_file(proc, "pagemap");

	if (fd < 0)
		return fd;
	*map = (struct pagemap){ .proc = proc, .fd = fd };
	return 0;
}

void pagemap_close(struct pagemap *map)
{
	if (map->fd >= 0)
		close(map->fd);
	*map = (struct pagemap)PAGEMAP_INIT;
}

static int read_entries(int fd, uint64_t page, size_t count, uint64_t *entries)
{
	size_t bytes = count * sizeof(*entries);
	ssize_t got;

	if (page > INT64_MAX / sizeof(*entries))
		return -EINVAL;
	do
		got = pread(fd, entries, bytes, (off_t)(page * sizeof(*entries)));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	memset((char *)entries + got, 0, bytes - (size_t)got);
	return 0;
}

int pagemap_read(struct pagemap *map, uint64_t page, size_t count, uint64_t *entries)
{
	int err = count > PAGEMAP_PAGES_MAX ? -EINVAL : 0;
	uint64_t began_ns;

	if (!err && ++map->readings % READINGS_PER_QUESTION == 0)
		err = gate_ask(map->proc);
	if (err)
		return err;
	began_ns = clock_mono_ns();
	err = read_entries(map->fd, page, count, entries);
	map->held_ns += gate_held_ns(began_ns);
	return err;
}

static uint64_t zero_frame;
static pthread_once_t zero_once = PTHREAD_ONCE_INIT;

/* By a page of our own that is read before it is written. */
static void find_zero(void)
{
	const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	__cleanup(fd_closep) int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char *page = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;

	if (page == MAP_FAILED)
		return;
	(void)*page;
	if (fd >= 0 && !read_entries(fd, (uintptr_t)page / bytes, 1, &entry) && (entry & PAGEMAP_PRESENT))
		zero_frame = PAGEMAP_FRAME(entry);
	munmap((void *)page, bytes);
}

uint64_t pagemap_zero_frame(void)
{
	pthread_once(&zero_once, find_zero);
	return zero_frame;
}

bool pagemap_resident(uint64_t entry, uint64_t zero)
{
	return (entry & PAGEMAP_PRESENT) && !(zero && PAGEMAP_FRAME(entry) == zero);
}

/* "RssAnon:\t  1234 kB" */
static bool status_bytes(const char *text, const char *name, uint64_t *bytes)
{
	const char *at = strstr(text, name);
	uint64_t kilobytes;

	if (!at || sscanf(at + strlen(name), "%" SCNu64, &kilobytes) != 1 || kilobytes > UINT64_MAX / 1024)
		return false;
	*bytes = kilobytes * 1024;
	return true;
}

int pagemap_parse_sums(const char *text, struct pagemap_sums *sums)
{
	/* The name comes first, and is whatever the process likes, but has no newline in it. */
	return status_bytes(text, "\nRssAnon:", &sums->anonymous_bytes) &&
	       status_bytes(text, "\nRssFile:", &sums->file_bytes) &&
	       status_bytes(text, "\nRssShmem:", &sums->shared_bytes) ? 0 : -EINVAL;
}

int pagemap_sums(const struct proc *proc, struct pagemap_sums *sums)
{
	char text[STATUS_BYTES];
	ssize_t got = proc_read(proc, "status", text, sizeof(text));

	return got < 0 ? (int)got : pagemap_parse_sums(text, sums);
}

bool pagemap_is_shared_memory(const char *path)
{
	static const char *const prefixes[] = { "/memfd:", "/dev/zero", "/dev/shm/", "/SYSV", "[anon_shmem:" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (!strncmp(path, prefixes[i], strlen(prefixes[i])))
			return true;
	}
	return false;
}
