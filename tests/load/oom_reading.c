// SPDX-License-Identifier: Apache-2.0
/*
 * Memory that is held and processes that are read, for kills for want of memory.
 *
 *   oom_reading hold MIB        wait for a byte, take so much memory, print "ready", and keep it
 *   oom_reading fill MIB        take so much memory, 16 ms for each of them, and leave
 *   oom_reading maps MIB FILE   at each byte do the next of: take so much memory; map FILE, executable, and
 *                               delete it; give the memory back. Print "ready" after each, and stay
 *   oom_reading naive PID FILE  read /proc/PID/FILE again and again, whatever happens to the process
 *   oom_reading gated PID       read its maps, and the pagemap of the largest of them in slices, and open
 *                               its program, as heldby does
 *
 * The readers pause for a millisecond after each reading, say "reading" after the first, and at the
 * process's end how often they read and how often they were refused: "READ REFUSED".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/remote/gate.h"
#include "../../user/remote/maps.h"
#include "../../user/remote/procfs.h"

#define PAGE     4096
#define PAUSE_US 1000
#define FILL_US  16000 /* for a MiB: what is left below a limit lasts longer than a reader waits for a CPU */
#define SLICE    (2u << 20) /* bytes of range, of which one reading of pagemap tells */

static int take(size_t mebibytes, unsigned int pause_us, char **taken)
{
	size_t bytes = mebibytes << 20;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < bytes; i += PAGE) {
		memory[i] = 1;
		if (pause_us && !(i % (1 << 20)))
			usleep(pause_us);
	}
	*taken = memory;
	return 0;
}

static bool told(void)
{
	char byte;

	return read(STDIN_FILENO, &byte, 1) == 1;
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

static int hold(size_t mebibytes)
{
	char *memory;

	if (!told() || take(mebibytes, 0, &memory))
		return 1;
	say("ready");
	for (;;)
		pause();
}

static int map_program(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;

	return fd < 0 || fstat(fd, &stat) || unlink(path) ||
	       mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED;
}

static int map_when_told(size_t mebibytes, const char *path)
{
	char *memory;

	if (!told() || take(mebibytes, 0, &memory))
		return 1;
	say("ready");
	if (!told() || map_program(path))
		return 1;
	say("ready");
	if (!told() || munmap(memory, mebibytes << 20))
		return 1;
	say("ready");
	for (;;)
		pause();
}

/* One whole reading; whether there was anything. */
static bool read_once(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[PAGE];
	ssize_t got, sum = 0;

	if (fd < 0)
		return false;
	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		sum += got;
	close(fd);
	return sum > 0;
}

static void count(unsigned long *readings)
{
	if (!(*readings)++)
		say("reading");
}

static int naive(const char *pid, const char *file)
{
	unsigned long readings = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
	while (read_once(path)) {
		count(&readings);
		usleep(PAUSE_US);
	}
	printf("%lu 0\n", readings);
	return 0;
}

struct seen {
	struct proc_mapped program; /* the first that is of a file */
	uint64_t start, end; /* the largest */
};

static int see(void *ctx, const struct map_line *line)
{
	struct seen *seen = ctx;

	if (!seen->program.end && line->path[0] == '/')
		seen->program = (struct proc_mapped){ line->start, line->end, line->ino, "" };
	if (line->end - line->start > seen->end - seen->start) {
		seen->start = line->start;
		seen->end = line->end;
	}
	return 0;
}

static int look_at_pages(const struct proc *proc, const struct seen *seen)
{
	uint64_t entries[SLICE / PAGE];
	int err = 0, fd = proc_open_file(proc, "pagemap");

	if (fd < 0)
		return fd;
	for (uint64_t at = seen->start; at < seen->end && !err; at += SLICE) {
		err = gate_ask(proc);
		if (!err && pread(fd, entries, sizeof(entries), (off_t)(at / PAGE * sizeof(*entries))) <= 0)
			err = -ESRCH;
	}
	close(fd);
	return err;
}

static int look(const struct proc *proc)
{
	struct seen seen = { .program.path = "" };
	int err = maps_read(proc, see, &seen);

	if (!err)
		err = proc_open_mapped(proc, &seen.program);
	if (err < 0 || close(err))
		return err;
	return look_at_pages(proc, &seen);
}

static int gated(pid_t pid)
{
	unsigned long readings = 0, refusals = 0;
	struct proc proc;
	int err = proc_open(&proc, pid);

	while (!err || err == -EBUSY) {
		err = look(&proc);
		if (!err)
			count(&readings);
		refusals += err == -EBUSY;
		usleep(PAUSE_US);
	}
	printf("%lu %lu\n", readings, refusals);
	return err != -ESRCH && err != -ENOENT;
}

int main(int argc, char **argv)
{
	size_t number = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	char *memory;

	if (argc == 3 && !strcmp(argv[1], "hold"))
		return hold(number);
	if (argc == 3 && !strcmp(argv[1], "fill"))
		return take(number, FILL_US, &memory);
	if (argc == 4 && !strcmp(argv[1], "maps"))
		return map_when_told(number, argv[3]);
	if (argc == 4 && !strcmp(argv[1], "naive"))
		return naive(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "gated"))
		return gated((pid_t)number);
	return 2;
}
