// SPDX-License-Identifier: Apache-2.0
/*
 * A program whose libraries' rows do not all fit: those of libstdc++, unused for a while, go for those of
 * another library, and come back when they are needed again. unwind_room LIBSTDC++ OTHER
 *
 * 7601: before. 7602: while the rows are gone. 7603: asks for them once more, when the other library's
 * have been unused long enough. 7604: with them.
 */
#include "unwind.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#define UNUSED_S   13     /* longer than what keeps rows, and than what is between two questions */
#define READING_US 700000 /* what they are read in, on a slow machine */

static void *(*operator_new)(size_t bytes);

LOAD_CALL void new_take(size_t bytes)
{
	load_check(operator_new(bytes) != NULL, "operator new");
	UNWIND_STAY();
}

LOAD_CALL void plain_take(void)
{
	UNWIND_TAKE(7601);
	UNWIND_STAY();
}

static void *open_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	load_check(library != NULL, "the library opens");
	return library;
}

int main(int argc, char **argv)
{
	load_check(argc == 3, "two libraries");
	plain_take();
	*(void **)&operator_new = dlsym(open_library(argv[1]), "_Znwm");
	load_check(operator_new != NULL, "libstdc++ has operator new");
	sleep(UNUSED_S);
	open_library(argv[2]);
	usleep(READING_US);
	new_take(7602);
	sleep(UNUSED_S);
	new_take(7603);
	usleep(READING_US);
	new_take(7604);
	_exit(0);
}
