// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../user/remote/jitfiles.h"

#define USER  12345
#define OTHER 12346

/* A process of a user, in a root of its own with a /tmp, and a handle of it. */
struct world {
	char dir[64];
	pid_t pid;
	int tmp;
	struct proc proc;
	char name[32]; /* of its map */
};

static pid_t start_process(const char *root, bool own_pids)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(own_pids ? unshare(CLONE_NEWPID) : 0, 0);
	pid = fork();
	if (!pid) {
		gid_t groups[3000]; /* a long line in its status */
		size_t i;

		for (i = 0; i < 3000; i++)
			groups[i] = (gid_t)(4000000000u + i);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (chroot(root) || setgroups(3000, groups) || setresuid(USER, USER, USER) ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int start_world(void **state)
{
	static struct world world;
	int at;

	*state = NULL;
	if (geteuid())
		return 0;
	strcpy(world.dir, "/tmp/heldby-jitfiles-XXXXXX");
	if (!mkdtemp(world.dir))
		return -1;
	at = open(world.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0 || mkdirat(at, "tmp", 0700) || fchmodat(at, "tmp", 01777, 0))
		return -1;
	world.tmp = openat(at, "tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	close(at);
	world.pid = start_process(world.dir, false);
	snprintf(world.name, sizeof(world.name), "perf-%d.map", world.pid);
	*state = &world;
	return proc_open(&world.proc, world.pid);
}

static int end_world(void **state)
{
	struct world *world = *state;
	char path[128];

	if (!world)
		return 0;
	if (world->pid > 0)
		end_process(world->pid);
	proc_close(&world->proc);
	close(world->tmp);
	snprintf(path, sizeof(path), "rm -rf %s", world->dir);
	return system(path);
}

static struct world *world_or_skip(void **state)
{
	if (!*state) {
		print_message("skipped: chroot is for root\n");
		skip();
	}
	return *state;
}

static void put(int dir, const char *name, const char *text, uid_t uid)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchown(fd, uid, 0), 0);
	close(fd);
}

static void expect_text(int fd, const char *text)
{
	char got[64] = "";

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(text));
	assert_string_equal(got, text);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void a_map_is_found_in_the_processs_root(void **state)
{
	struct world *world = world_or_skip(state);

	assert_int_equal(jitfiles_open_map(&world->proc), -ENOENT);
	put(world->tmp, world->name, "1000 10 f\n", USER);
	expect_text(jitfiles_open_map(&world->proc), "1000 10 f\n");
}

static void roots_files_are_believed_and_strangers_are_not(void **state)
{
	struct world *world = world_or_skip(state);

	put(world->tmp, world->name, "of root", 0);
	expect_text(jitfiles_open_map(&world->proc), "of root");
	put(world->tmp, world->name, "of somebody", OTHER);
	assert_int_equal(jitfiles_open_map(&world->proc), -EPERM);
}

static void the_pid_is_the_one_that_the_process_sees(void **state)
{
	struct world *world = world_or_skip(state);
	struct proc inner;
	pid_t parent, pid;
	int out[2];

	/* unshare(CLONE_NEWPID) concerns all later children: they shall not be ours. */
	assert_int_equal(pipe(out), 0);
	parent = fork();
	if (!parent) {
		pid = start_process(world->dir, true);
		if (write(out[1], &pid, sizeof(pid)) == sizeof(pid))
			pause();
		_exit(0);
	}
	assert_int_equal(read(out[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(proc_open(&inner, pid), 0);
	put(world->tmp, "perf-1.map", "inner", USER);
	expect_text(jitfiles_open_map(&inner), "inner");
	assert_int_equal(jitfiles_open_map(&world->proc), -ENOENT);
	proc_close(&inner);
	kill(pid, SIGKILL);
	end_process(parent);
	close(out[0]);
	close(out[1]);
}

static void no_link_leads_to_a_map(void **state)
{
	struct world *world = world_or_skip(state);

	put(world->tmp, "secret", "1000 10 f\n", 0);
	assert_int_equal(symlinkat("secret", world->tmp, world->name), 0);
	assert_int_equal(jitfiles_open_map(&world->proc), -ELOOP);
	assert_int_equal(unlinkat(world->tmp, world->name, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", world->tmp, world->name), 0);
	assert_int_equal(jitfiles_open_map(&world->proc), -ELOOP);
	assert_int_equal(unlinkat(world->tmp, world->name, 0), 0);
}

static void tmp_itself_may_be_a_link_inside_the_root(void **state)
{
	struct world *world = world_or_skip(state);
	char path[128], moved[128];

	put(world->tmp, world->name, "moved", USER);
	snprintf(path, sizeof(path), "%s/tmp", world->dir);
	snprintf(moved, sizeof(moved), "%s/scratch", world->dir);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(jitfiles_open_map(&world->proc), -ENOENT);
	assert_int_equal(symlink("/scratch", path), 0);
	expect_text(jitfiles_open_map(&world->proc), "moved");
	unlink(path);
	assert_int_equal(symlink("/etc", path), 0); /* which is not in that root */
	assert_int_equal(jitfiles_open_map(&world->proc), -ENOENT);
	unlink(path);
	assert_int_equal(rename(moved, path), 0);
}

static void only_a_regular_file_is_a_map(void **state)
{
	struct world *world = world_or_skip(state);

	assert_int_equal(mkfifoat(world->tmp, world->name, 0600), 0);
	assert_int_equal(jitfiles_open_map(&world->proc), -ENOTSUP); /* and did not wait */
	assert_int_equal(unlinkat(world->tmp, world->name, 0), 0);
	assert_int_equal(mkdirat(world->tmp, world->name, 0700), 0);
	assert_int_equal(jitfiles_open_map(&world->proc), -ENOTSUP);
	assert_int_equal(unlinkat(world->tmp, world->name, AT_REMOVEDIR), 0);
}

static void a_map_from_before_the_process_is_another_ones(void **state)
{
	struct world *world = world_or_skip(state);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } };

	put(world->tmp, world->name, "text", USER);
	times[1].tv_sec = (time_t)(proc_start_unix_ns(&world->proc) / 1000000000) - 2;
	assert_int_equal(utimensat(world->tmp, world->name, times, 0), 0);
	assert_int_equal(jitfiles_open_map(&world->proc), -ESTALE);
	times[1].tv_sec += 2;
	assert_int_equal(utimensat(world->tmp, world->name, times, 0), 0);
	expect_text(jitfiles_open_map(&world->proc), "text");
}

static void a_process_that_ended_has_no_files(void **state)
{
	const struct proc_mapped mapped = { 0x1000, 0x2000, 1, "/dump" };
	struct world *world = world_or_skip(state);

	put(world->tmp, world->name, "text", USER);
	end_process(world->pid);
	world->pid = 0;
	assert_int_equal(jitfiles_open_map(&world->proc), -ESRCH);
	assert_int_equal(jitfiles_open_dump(&world->proc, &mapped), -ESRCH);
}

static void a_dump_is_opened_through_its_mapping(void **state)
{
	char path[] = "/tmp/heldby-jitfiles-XXXXXX";
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct proc_mapped mapped = { .path = "" };
	struct proc proc;
	struct stat stat;
	void *mapping;
	int fd;

	world_or_skip(state);
	fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, (off_t)page), 0);
	assert_int_equal(pwrite(fd, "JiTD", 4, 0), 4);
	mapping = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(mapping != MAP_FAILED);
	unlink(path); /* found all the same */
	assert_int_equal(fstat(fd, &stat), 0);
	mapped.start = (uint64_t)(uintptr_t)mapping;
	mapped.end = mapped.start + page;
	mapped.ino = stat.st_ino;
	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(ftruncate(fd, 4), 0);
	expect_text(jitfiles_open_dump(&proc, &mapped), "JiTD");
	assert_int_equal(fchown(fd, OTHER, 0), 0);
	assert_int_equal(jitfiles_open_dump(&proc, &mapped), -EPERM);
	mapped.end += page;
	assert_int_equal(jitfiles_open_dump(&proc, &mapped), -ENOENT);
	munmap(mapping, page);
	close(fd);
	proc_close(&proc);
}

static void dumps_are_known_by_their_names(void **state)
{
	(void)state;
	assert_true(jitfiles_is_dump("/home/me/.debug/jit/java-jit-20261122.XX/jit-4021.dump"));
	assert_true(jitfiles_is_dump("/jit-1.dump"));
	assert_true(jitfiles_is_dump("jit-1.dump"));
	assert_false(jitfiles_is_dump("/tmp/jit-.dump"));
	assert_false(jitfiles_is_dump("/tmp/jit-12"));
	assert_false(jitfiles_is_dump("/tmp/jit-12.dump.old"));
	assert_false(jitfiles_is_dump("/tmp/jit-12x.dump"));
	assert_false(jitfiles_is_dump("/tmp/jit--1.dump"));
	assert_false(jitfiles_is_dump("/jit-1.dump/lib.so"));
	assert_false(jitfiles_is_dump("/tmp/myjit-1.dump"));
	assert_false(jitfiles_is_dump(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_map_is_found_in_the_processs_root),
		TEST(roots_files_are_believed_and_strangers_are_not),
		TEST(the_pid_is_the_one_that_the_process_sees),
		TEST(no_link_leads_to_a_map),
		TEST(tmp_itself_may_be_a_link_inside_the_root),
		TEST(only_a_regular_file_is_a_map),
		TEST(a_map_from_before_the_process_is_another_ones),
		TEST(a_process_that_ended_has_no_files),
		TEST(a_dump_is_opened_through_its_mapping),
		cmocka_unit_test(dumps_are_known_by_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
