// SPDX-License-Identifier: Apache-2.0
/*
 * Mappings that come and go by calls which are not there for mappings: the ring of asynchronous I/O (io_setup), a
 * mapping of a file put together anew (remap_file_pages), a break that is moved without a mapping (PR_SET_MM). Does one
 * thing per letter on its input; answers each with a dot, or with a dash where it may not.
 */
#include "mapped.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS     20000 /* a ring of more than a MiB */
#define FILE_PAGES 256
#define PART_PAGES 16    /* of the file's mapping: another part of the file from then on */
#define OVER_PAGES 64    /* the break is moved over so many, and then grows by as many */

LOAD_SITE(view);

static aio_context_t ring;

static bool set_up(void)
{
	const long ret = syscall(SYS_io_setup, EVENTS, &ring);

	load_check(!ret || errno == ENOSYS || errno == EAGAIN, "io_setup");
	return !ret;
}

static bool destroy(void)
{
	if (!ring)
		return false; /* nor could it be set up */
	load_check(!syscall(SYS_io_destroy, ring), "io_destroy");
	ring = 0;
	return true;
}

/* The part that is put together anew stays the mapping's maker's: no byte comes or goes. */
LOAD_CALL static bool view(void)
{
	const int file = memfd_create("view", MFD_CLOEXEC);
	char *start;

	load_check(file >= 0 && !ftruncate(file, FILE_PAGES * PAGE), "memfd_create");
	start = mmap(NULL, FILE_PAGES * PAGE, READ_WRITE, MAP_SHARED, file, 0);
	load_check(start != MAP_FAILED, "mmap");
	mapped_took(&truth_view, FILE_PAGES);
	load_check(!remap_file_pages(start, PART_PAGES * PAGE, 0, FILE_PAGES / 2, 0), "remap_file_pages");
	return true;
}

/*
 * What the break was moved over is not mapped, what it grows by afterwards is. No call tells the two apart: that it
 * took both is taken back when the list is read, so no site's sums are known here.
 */
LOAD_CALL static bool grow(void)
{
	const unsigned long old = (unsigned long)sbrk(0), moved = old + OVER_PAGES * PAGE;

	if (prctl(PR_SET_MM, PR_SET_MM_BRK, moved, 0, 0)) {
		load_check(errno == EPERM || errno == EINVAL, "prctl");
		return false;
	}
	load_check((unsigned long)syscall(SYS_brk, moved + OVER_PAGES * PAGE) == moved + OVER_PAGES * PAGE, "brk");
	return true;
}

static bool obey(char letter)
{
	switch (letter) {
	case 'i': return set_up();
	case 'd': return destroy();
	case 'v': return view();
	case 'g': return grow();
	default: break;
	}
	mapped_tell();
	load_write("kernel_made");
	return true;
}

int main(void)
{
	char letter;

	while (read(STDIN_FILENO, &letter, 1) == 1)
		load_check(write(STDOUT_FILENO, obey(letter) ? "." : "-", 1) == 1, "a reader on stdout");
	return 0;
}
