// SPDX-License-Identifier: Apache-2.0
#include "mapped.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void mapped_took(struct load_site *site, size_t pages)
{
	load_took(site, site, pages * PAGE);
}

void mapped_gave(struct load_site *site, size_t pages, int whole)
{
	__atomic_add_fetch(&site->freed_bytes, pages * PAGE, __ATOMIC_RELAXED);
	if (whole)
		__atomic_add_fetch(&site->freed_count, 1, __ATOMIC_RELAXED);
}

void mapped_refused(const void *result, const char *what)
{
	load_check(result == MAP_FAILED, what);
}

struct sums {
	unsigned long long mapped, committed, probes;
};

static unsigned long long hexadecimal(const char **text)
{
	unsigned long long value = 0;

	for (;; (*text)++) {
		char c = **text;

		if (c >= '0' && c <= '9')
			value = value * 16 + (unsigned long long)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (unsigned long long)(c - 'a' + 10);
		else
			return value;
	}
}

static void add_line(struct sums *sums, const char *line)
{
	unsigned long long start = hexadecimal(&line), end;

	line++; /* - */
	end = hexadecimal(&line);
	load_check(end > start && *line == ' ', "a line of maps");
	if (strstr(line, "[vsyscall]"))
		return;
	sums->mapped += end - start;
	if (strstr(line, "[uprobes"))
		sums->probes += end - start;
	if (line[1] == 'r' || line[2] == 'w')
		sums->committed += end - start;
}

static struct sums read_sums(void)
{
	static char bytes[1 << 16], line[4096];
	int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct sums sums = { 0 };
	size_t used = 0;
	ssize_t n;

	load_check(file >= 0, "maps are readable");
	while ((n = read(file, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			line[used] = bytes[i] == '\n' ? '\0' : bytes[i];
			if (bytes[i] == '\n') {
				add_line(&sums, line);
				used = 0;
			} else if (used < sizeof(line) - 1) {
				used++;
			}
		}
	}
	load_check(!n && !used, "maps were read to their end");
	close(file);
	return sums;
}

unsigned long long mapped_bytes(void)
{
	return read_sums().mapped;
}

void mapped_tell(void)
{
	struct sums sums = read_sums();

	load_fact("mapped_bytes", sums.mapped);
	load_fact("committed_bytes", sums.committed);
	load_fact("probes_bytes", sums.probes);
}
