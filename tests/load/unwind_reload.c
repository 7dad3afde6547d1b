// SPDX-License-Identifier: Apache-2.0
/*
 * Two libraries that come to lie at the same address one after the other: unwind_reload ROUNDS
 * PAUSE_MS A B. In each round each is opened, called after the pause, and closed. With a fact for
 * how often a library lay where the one before it had.
 */
#include "unwind.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned long long same_place;

LOAD_CALL void open_and_call(const char *path, const char *function, long pause_ms)
{
	static ElfW(Addr) last;
	struct timespec pause = { pause_ms / 1000, pause_ms % 1000 * 1000000 };
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	struct link_map *map;
	void (*take)(void);

	load_check(library && !dlinfo(library, RTLD_DI_LINKMAP, &map), "a library");
	same_place += map->l_addr == last;
	last = map->l_addr;
	*(void **)&take = dlsym(library, function);
	load_check(take != NULL, "its function");
	if (pause_ms)
		nanosleep(&pause, NULL);
	take();
	load_check(!dlclose(library), "closed");
}

int main(int argc, char **argv)
{
	load_check(argc == 5, "usage: unwind_reload ROUNDS PAUSE_MS A B");
	for (unsigned long long i = 0; i < load_number(argv[1]); i++) {
		open_and_call(argv[3], "first_take", (long)load_number(argv[2]));
		open_and_call(argv[4], "second_take", (long)load_number(argv[2]));
	}
	load_fact("same_place", same_place);
	load_write("reload");
	_exit(0);
}
