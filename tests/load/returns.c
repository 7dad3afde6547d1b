// SPDX-License-Identifier: Apache-2.0
/*
 * Another tracer: returns FILE OFFSET... probes the returns of the functions at those offsets of a
 * file, in whatever process, until its input ends; then prints how many there were.
 */
#include "load.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UPROBE	   "/sys/bus/event_source/devices/uprobe/"
#define EVENTS_MAX 4096

static int events[EVENTS_MAX];
static size_t events_count;

/* The number behind @before in a file of the kernel's. */
static unsigned int kernel_number(const char *path, const char *before)
{
	FILE *file = fopen(path, "re");
	unsigned int value = 0;
	char text[64];

	load_check(file && fgets(text, sizeof(text), file) && !strncmp(text, before, strlen(before)), path);
	value = (unsigned int)strtoul(text + strlen(before), NULL, 10);
	fclose(file);
	return value;
}

static void probe(const char *path, unsigned long long offset)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = kernel_number(UPROBE "type", ""),
		.config = 1ULL << kernel_number(UPROBE "format/retprobe", "config:"),
		.uprobe_path = (unsigned long)path,
		.probe_offset = offset,
	};

	for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		load_check(events_count < EVENTS_MAX, "fewer probes");
		events[events_count] = (int)syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1,
						    PERF_FLAG_FD_CLOEXEC);
		load_check(events[events_count++] >= 0, "the kernel takes a return probe");
	}
}

int main(int argc, char **argv)
{
	unsigned long long total = 0, value;
	char ignored;

	for (int i = 2; i < argc; i++)
		probe(argv[1], load_number(argv[i]));
	load_check(printf("ready\n") > 0 && !fflush(stdout), "its reader");
	while (read(STDIN_FILENO, &ignored, 1) > 0)
		;
	for (size_t i = 0; i < events_count; i++) {
		load_check(read(events[i], &value, sizeof(value)) == sizeof(value), "a count");
		total += value;
	}
	printf("%llu\n", total);
	return 0;
}
