// SPDX-License-Identifier: Apache-2.0
#include "memstat.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "procfs.h"

#define NUMBER_BYTES  32
#define STAT_BYTES    (16u << 10) /* of memory.stat and of vmstat: some seventy and two hundred lines */
#define MEMINFO_BYTES 4096
#define NODES_FOLDER  "/sys/devices/system/node"
#define PRESSURE_BYTES 512 /* of memory.pressure and of memory.oom_control: two and three lines */

struct field {
	const char *name;
	size_t offset;
};

#define FIELD(name, field) { name, offsetof(struct memstat, field) }
#define HOST(name, field)  { name, offsetof(struct memstat_host, field) }

/* "name number", bytes: Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst */
static const struct field fields_v1[] = {
	FIELD("total_rss", anon_bytes), FIELD("total_cache", file_bytes), FIELD("total_shmem", shmem_bytes), { 0 },
};
static const struct field fields_v2[] = {
	FIELD("anon", anon_bytes), FIELD("file", file_bytes), FIELD("shmem", shmem_bytes),
	FIELD("kernel", kernel_bytes), FIELD("kernel_stack", kernel_stack_bytes), FIELD("slab", slab_bytes),
	FIELD("pagetables", pagetables_bytes), FIELD("sock", sock_bytes), { 0 },
};
/* "name:  number kB" */
static const struct field fields_host[] = {
	HOST("MemTotal:", total_bytes), HOST("MemFree:", free_bytes), HOST("MemAvailable:", available_bytes),
	HOST("SwapTotal:", swap_total_bytes), HOST("SwapFree:", swap_free_bytes),
	HOST("AnonPages:", stat.anon_bytes), HOST("Cached:", stat.file_bytes), HOST("Shmem:", stat.shmem_bytes),
	HOST("KernelStack:", stat.kernel_stack_bytes), HOST("SUnreclaim:", stat.slab_bytes),
	HOST("PageTables:", stat.pagetables_bytes), { 0 },
};

/* "name number": mm/vmstat.c, vmstat_text */
static const struct field fields_huge[] = { { "thp_fault_alloc", 0 }, { 0 } };

/* --- text -------------------------------------------------------------------------------------- */

/* What stands between @text and the newline at @end: digits and then @unit. Without them, or too large: UNKNOWN. */
static uint64_t number(const char *text, const char *end, const char *unit, uint64_t unit_bytes)
{
	const size_t unit_length = strlen(unit);
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return MEMSTAT_UNKNOWN;
	}
	if (at == text || (size_t)(end - at) != unit_length || memcmp(at, unit, unit_length) ||
	    __builtin_mul_overflow(value, unit_bytes, &value))
		return MEMSTAT_UNKNOWN;
	return value;
}

/* The field that the line from @line to @end begins with, and a blank behind it; NULL: none. */
static const struct field *field_of(const struct field *fields, const char *line, const char *end)
{
	for (; fields->name; fields++) {
		size_t length = strlen(fields->name);

		if ((size_t)(end - line) > length && !memcmp(line, fields->name, length) && line[length] == ' ')
			return fields;
	}
	return NULL;
}

static void parse(void *out, const struct field *fields, const char *text, const char *unit, uint64_t unit_bytes)
{
	const char *end;

	for (; (end = strchr(text, '\n')); text = end + 1) {
		const struct field *field = field_of(fields, text, end);
		const char *digits;
		uint64_t *value;

		if (!field)
			continue;
		value = (uint64_t *)((char *)out + field->offset);
		digits = text + strlen(field->name);
		digits += strspn(digits, " ");
		if (*value == MEMSTAT_UNKNOWN)
			*value = number(digits, end, unit, unit_bytes);
	}
}

void memstat_parse(struct memstat *stat, bool v1, const char *text)
{
	parse(stat, v1 ? fields_v1 : fields_v2, text, "", 1);
}

void memstat_parse_host(struct memstat_host *host, const char *text)
{
	memset(host, 0xff, sizeof(*host)); /* UNKNOWN */
	parse(host, fields_host, text, " kB", 1024);
}

uint64_t memstat_parse_huge(const char *text)
{
	uint64_t count = MEMSTAT_UNKNOWN;

	parse(&count, fields_huge, text, "", 1);
	return count;
}

/* "12.34" behind @name in the line from @line to @end, as 1234. */
static uint64_t hundredths(const char *line, const char *end, const char *name)
{
	const char *at = strstr(line, name);
	uint64_t value = 0;
	size_t digits;

	if (!at || at >= end)
		return MEMSTAT_UNKNOWN;
	at += strlen(name);
	digits = strspn(at, "0123456789");
	/* A percentage: at most 100.00 */
	if (!digits || digits > 3 || at[digits] != '.' || strspn(at + digits + 1, "0123456789") != 2)
		return MEMSTAT_UNKNOWN;
	for (size_t i = 0; i < digits + 3; i++)
		value = i == digits ? value : 10 * value + (uint64_t)(at[i] - '0');
	return value <= 10000 ? value : MEMSTAT_UNKNOWN;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same of "full": Documentation/accounting/psi.rst */
void memstat_parse_pressure(struct memstat_pressure *pressure, const char *text)
{
	const char *end;

	memset(pressure, 0xff, sizeof(*pressure)); /* UNKNOWN */
	for (; (end = strchr(text, '\n')); text = end + 1) {
		const uint64_t in_10s = hundredths(text, end, " avg10="), in_60s = hundredths(text, end, " avg60=");

		if (!strncmp(text, "some ", 5)) {
			pressure->some_10s = in_10s;
			pressure->some_60s = in_60s;
		} else if (!strncmp(text, "full ", 5)) {
			pressure->full_10s = in_10s;
			pressure->full_60s = in_60s;
		}
	}
}

/* A node's number of at most four digits from *@at on, behind which that stands then. -1: there is none. */
static int take_node(const char **at)
{
	const char *start = *at;
	int node = 0;

	for (; **at >= '0' && **at <= '9' && *at - start < 4; ++*at)
		node = 10 * node + (**at - '0');
	return *at == start || node >= MEMSTAT_NODES_MAX ? -1 : node;
}

bool memstat_parse_nodes(uint64_t nodes[MEMSTAT_NODE_WORDS], const char *text)
{
	memset(nodes, 0, MEMSTAT_NODE_WORDS * sizeof(*nodes));
	for (;; text++) {
		int first = take_node(&text), last = first;

		if (first >= 0 && *text == '-') {
			text++;
			last = take_node(&text);
		}
		if (first < 0 || last < first)
			return false;
		for (int i = first; i <= last; i++)
			nodes[i / 64] |= 1ull << i % 64;
		if (*text != ',')
			return !strcmp(text, "\n");
	}
}

uint64_t memstat_parse_node(const char *text)
{
	const char *end;

	for (; (end = strchr(text, '\n')); text = end + 1) {
		const char *at = text + 5;

		if (strncmp(text, "Node ", 5))
			continue;
		at += strspn(at, "0123456789");
		if (strncmp(at, " MemFree:", 9))
			continue;
		at += 9 + strspn(at + 9, " ");
		return number(at, end, " kB", 1024);
	}
	return MEMSTAT_UNKNOWN;
}

/* --- files ------------------------------------------------------------------------------------- */

/* A regular file, at most @size - 1 bytes of it, and a NUL. 0 or negative errno. */
static int read_text(int dir, const char *name, char *text, size_t size)
{
	__cleanup(fd_closep) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat stat;
	ssize_t got;

	if (fd < 0 || fstat(fd, &stat))
		return -errno;
	if (!S_ISREG(stat.st_mode))
		return -EINVAL;
	got = proc_read_text(fd, text, size);
	return got < 0 ? (int)got : 0;
}

static uint64_t read_number(int dir, const char *name)
{
	char text[NUMBER_BYTES];
	const char *end;

	if (read_text(dir, name, text, sizeof(text)))
		return MEMSTAT_UNKNOWN;
	end = strchr(text, '\n');
	return end ? number(text, end, "", 1) : MEMSTAT_UNKNOWN;
}

int memstat_cgroup(const struct cgroup_mounts *mounts, bool v1, const char *path, struct memstat *out)
{
	__cleanup(fd_closep) int dir = cgroup_open(&mounts->of[v1 ? CGROUP_V1 : CGROUP_V2], path);
	char text[STAT_BYTES];
	int err;

	memset(out, 0xff, sizeof(*out)); /* UNKNOWN */
	if (dir < 0)
		return dir;
	/* How much is in use changes soonest. */
	out->usage_bytes = read_number(dir, v1 ? "memory.usage_in_bytes" : "memory.current");
	err = read_text(dir, "memory.stat", text, sizeof(text));
	if (!err)
		memstat_parse(out, v1, text);
	if (v1)
		out->kernel_bytes = read_number(dir, "memory.kmem.usage_in_bytes");
	return err;
}

int memstat_pressure(const struct cgroup_mounts *mounts, const char *path, struct memstat_pressure *out)
{
	__cleanup(fd_closep) int dir = path ? cgroup_open(&mounts->of[CGROUP_V2], path) : -1;
	char text[PRESSURE_BYTES] = "";
	int err = dir;

	if (!path)
		err = read_text(AT_FDCWD, "/proc/pressure/memory", text, sizeof(text));
	else if (dir >= 0)
		err = read_text(dir, "memory.pressure", text, sizeof(text));
	memstat_parse_pressure(out, err < 0 ? "" : text);
	return err < 0 ? err : 0;
}

/* Whether @line is one of @text's. */
static bool has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	return at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
}

bool memstat_oom_disabled(const struct cgroup_mounts *mounts, const char *path)
{
	__cleanup(fd_closep) int dir = cgroup_open(&mounts->of[CGROUP_V1], path);
	char text[PRESSURE_BYTES];

	return dir >= 0 && !read_text(dir, "memory.oom_control", text, sizeof(text)) &&
	       has_line(text, "oom_kill_disable 1") && has_line(text, "under_oom 1");
}

static void add_known(uint64_t *sum, uint64_t bytes)
{
	if (bytes == MEMSTAT_UNKNOWN || *sum == MEMSTAT_UNKNOWN || __builtin_add_overflow(*sum, bytes, sum))
		*sum = MEMSTAT_UNKNOWN;
}

int memstat_nodes(const uint64_t nodes[MEMSTAT_NODE_WORDS], struct memstat_nodes *out)
{
	__cleanup(fd_closep) int dir = open(NODES_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t there[MEMSTAT_NODE_WORDS];
	char text[MEMINFO_BYTES] = "";
	int err = dir < 0 ? -errno : read_text(dir, "has_memory", text, sizeof(text));

	memset(out, 0xff, sizeof(*out)); /* UNKNOWN */
	if (err || !memstat_parse_nodes(there, text))
		return err ? err : -EINVAL;
	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < MEMSTAT_NODES_MAX; i++) {
		const bool inside = nodes[i / 64] >> i % 64 & 1;
		char name[32];

		if (!(there[i / 64] >> i % 64 & 1))
			continue;
		snprintf(name, sizeof(name), "node%u/meminfo", i);
		err = read_text(dir, name, text, sizeof(text));
		add_known(inside ? &out->inside_bytes : &out->outside_bytes,
			  err ? MEMSTAT_UNKNOWN : memstat_parse_node(text));
	}
	return 0;
}

int memstat_host(struct memstat_host *out)
{
	char text[MEMINFO_BYTES] = "";
	int err = read_text(AT_FDCWD, "/proc/meminfo", text, sizeof(text));

	memstat_parse_host(out, err ? "" : text);
	return err;
}

uint64_t memstat_huge(void)
{
	char text[STAT_BYTES];

	return read_text(AT_FDCWD, "/proc/vmstat", text, sizeof(text)) ? MEMSTAT_UNKNOWN : memstat_parse_huge(text);
}
