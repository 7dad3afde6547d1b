// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#include "../../user/remote/procfs.h"

/* A child that runs @before, if any, and then sleeps; 0 if @before failed. */
static pid_t child_start(int (*before)(void *ctx), void *ctx)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (before && before(ctx))
			_exit(1);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void no_process_is_no_such_process(void **state)
{
	struct proc proc;

	(void)state;
	assert_int_equal(proc_open(&proc, 0), -ESRCH);
	assert_int_equal(proc_open(&proc, -1), -ESRCH);
	assert_int_equal(proc_open(&proc, 1 << 30), -ESRCH);
	assert_int_equal(proc.dir, -1);
	proc_close(&proc);
}

static int odd_name(void *ctx)
{
	(void)ctx;
	return prctl(PR_SET_NAME, "a) R (b\n) Z");
}

static void a_name_with_spaces_and_parentheses_confuses_nobody(void **state)
{
	pid_t pid = child_start(odd_name, NULL);
	struct proc proc, own;
	char comm[16], small[4];

	(void)state;
	assert_int_equal(proc_open(&own, getpid()), 0);
	assert_int_equal(proc_open(&proc, pid), 0);
	assert_int_equal(proc_comm(&proc, comm, sizeof(comm)), 0);
	assert_string_equal(comm, "a) R (b\n) Z");
	assert_int_equal(proc_comm(&proc, small, sizeof(small)), 0);
	assert_string_equal(small, "a) ");
	assert_true(proc_alive(&proc));
	assert_true(proc.start_ticks >= own.start_ticks);
	assert_true(proc.start_ticks <= own.start_ticks + 60 * (uint64_t)sysconf(_SC_CLK_TCK));
	proc_close(&own);
	proc_close(&proc);
	child_end(pid);
}

static void a_process_started_now_started_now(void **state)
{
	pid_t pid = child_start(NULL, NULL);
	struct timespec wall, boot;
	struct proc proc;
	int64_t now, start, same;

	(void)state;
	assert_int_equal(proc_open(&proc, pid), 0);
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	now = wall.tv_sec * 1000000000ll + wall.tv_nsec;
	start = proc_start_unix_ns(&proc);
	assert_true(start <= now);
	assert_true(start > now - 2000000000ll);
	same = proc_boottime_to_unix_ns((uint64_t)boot.tv_sec * 1000000000u + (uint64_t)boot.tv_nsec);
	assert_true(llabs(same - now) < 1000000000ll);
	assert_int_equal(proc_boottime_to_unix_ns(UINT64_MAX), 0);
	proc.start_ticks = UINT64_MAX;
	assert_int_equal(proc_start_unix_ns(&proc), 0);
	proc.start_ticks = 0;
	assert_int_equal(proc_start_unix_ns(&proc), 0);
	proc_close(&proc);
	child_end(pid);
}

static int touch_memory(void *ctx)
{
	char *memory = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)ctx;
	if (memory == MAP_FAILED)
		return -1;
	memset(memory, 1, 32 << 20);
	return 0;
}

static void resident_bytes_hold_what_was_touched(void **state)
{
	pid_t pid = child_start(touch_memory, NULL);
	struct proc proc;
	uint64_t bytes;

	(void)state;
	assert_int_equal(proc_open(&proc, pid), 0);
	bytes = proc_rss_bytes(&proc);
	assert_true(bytes >= 32 << 20);
	assert_true(bytes < 256 << 20);
	proc_close(&proc);
	child_end(pid);
}

static void a_process_that_ended_is_gone_for_its_handle(void **state)
{
	pid_t pid = child_start(NULL, NULL);
	struct proc proc;
	siginfo_t info;
	char comm[16];

	(void)state;
	assert_int_equal(proc_open(&proc, pid), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(proc_alive(&proc)); /* a zombie */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(proc_alive(&proc));
	assert_int_equal(proc_open_file(&proc, "maps"), -ESRCH);
	assert_int_equal(proc_comm(&proc, comm, sizeof(comm)), -ESRCH);
	assert_int_equal(proc_rss_bytes(&proc), 0);
	assert_int_equal(proc_open_in_root(&proc, "/etc/passwd"), -ESRCH);
	assert_null(proc_memory_cgroup(&proc));
	proc_close(&proc);
}

static void a_missing_file_of_a_living_process_is_no_missing_process(void **state)
{
	struct proc proc;

	(void)state;
	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(proc_open_file(&proc, "no such file"), -ENOENT);
	assert_int_equal(proc_open_mapping(&proc, 0x1000, 0x2000), -ENOENT);
	proc_close(&proc);
}

/* A directory that stands for /proc/PID, with this text as its "cgroup". */
static char *cgroup_of(const char *text)
{
	char dir[] = "/tmp/heldby-procfs-XXXXXX";
	struct proc proc = PROC_INIT;
	char *found;
	int fd;

	assert_non_null(mkdtemp(dir));
	proc.dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(proc.dir, "cgroup", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	found = proc_memory_cgroup(&proc);
	assert_int_equal(unlinkat(proc.dir, "cgroup", 0), 0);
	assert_int_equal(rmdir(dir), 0);
	proc_close(&proc);
	return found;
}

static void expect_cgroup(const char *text, const char *path)
{
	char *found = cgroup_of(text);

	if (path)
		assert_string_equal(found, path);
	else
		assert_null(found);
	free(found);
}

static void the_memory_controllers_cgroup_comes_before_the_unified_one(void **state)
{
	(void)state;
	expect_cgroup("0::/kubepods/x\n", "/kubepods/x");
	expect_cgroup("0::/unified\n4:hugetlb,memory:/v1/a:b\n", "/v1/a:b");
	expect_cgroup("5:memory:/v1\n0::/unified\n", "/v1");
	expect_cgroup("5:memoryx,xmemory:/no\n0::/\n", "/");
	expect_cgroup("1:name=systemd:/user\n2:cpu:/\n", NULL);
	expect_cgroup("memory\n:\nmemory:\n", NULL);
	expect_cgroup("", NULL);
}

static void expect_text(int fd, const char *text)
{
	char got[64] = "";

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, text);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static void put_text(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Map a page of ctx's file, then delete it. */
static int map_and_delete(void *ctx)
{
	int fd = open(ctx, O_RDONLY | O_CLOEXEC);
	void *want = (void *)0x10000000;

	return fd < 0 || mmap(want, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) != want ||
	       mmap((char *)want + 8192, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == MAP_FAILED || unlink(ctx);
}

static void a_deleted_file_is_read_through_its_mapping(void **state)
{
	char dir[] = "/tmp/heldby-procfs-XXXXXX", path[64];
	struct proc proc;
	pid_t pid;
	int fd;

	(void)state;
	if (geteuid()) {
		print_message("skipped: map_files is for root\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	put_text(dir, "lib.so", "deleted but mapped");
	snprintf(path, sizeof(path), "%s/lib.so", dir);
	pid = child_start(map_and_delete, path);
	assert_true(pid > 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(proc_open(&proc, pid), 0);
	fd = proc_open_mapping(&proc, 0x10000000, 0x10001000);
	expect_text(fd, "deleted but mapped");
	assert_int_equal(proc_open_mapping(&proc, 0x10000000, 0x10002000), -ENOENT);
	child_end(pid);
	assert_int_equal(proc_open_mapping(&proc, 0x10000000, 0x10001000), -ESRCH);
	proc_close(&proc);
	assert_int_equal(rmdir(dir), 0);
}

static int map_device(void *ctx)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	void *want = (void *)0x10000000;

	(void)ctx;
	return fd < 0 || mmap(want, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) != want;
}

static void a_mapped_device_is_not_opened(void **state)
{
	struct proc proc;
	pid_t pid;

	(void)state;
	if (geteuid()) {
		print_message("skipped: map_files is for root\n");
		skip();
	}
	pid = child_start(map_device, NULL);
	assert_true(pid > 0);
	assert_int_equal(proc_open(&proc, pid), 0);
	assert_int_equal(proc_open_mapping(&proc, 0x10000000, 0x10001000), -ENOTSUP);
	proc_close(&proc);
	child_end(pid);
}

static int enter_root(void *ctx)
{
	return chroot(ctx) || chdir("/");
}

static void a_path_is_looked_up_inside_the_root_and_never_leaves_it(void **state)
{
	static const char *const names[] = {
		"plain", "fifo", "outside", "upwards", "inside", "loop", "dir",
	};
	char dir[] = "/tmp/heldby-procfs-XXXXXX", outside[64], path[128];
	struct proc proc;
	pid_t pid;
	int at, root;
	size_t i;

	(void)state;
	if (geteuid()) {
		print_message("skipped: chroot is for root\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	put_text(dir, "plain", "in the root");
	snprintf(outside, sizeof(outside), "%s/plain", dir); /* does not exist inside */
	assert_int_equal(mkfifoat(at, "fifo", 0600), 0);
	assert_int_equal(mkdirat(at, "dir", 0700), 0);
	assert_int_equal(symlinkat(outside, at, "outside"), 0);
	assert_int_equal(symlinkat("../../../../plain", at, "upwards"), 0);
	assert_int_equal(symlinkat("/plain", at, "inside"), 0);
	assert_int_equal(symlinkat("loop", at, "loop"), 0);
	pid = child_start(enter_root, dir);
	assert_true(pid > 0);
	assert_int_equal(proc_open(&proc, pid), 0);
	expect_text(proc_open_in_root(&proc, "/plain"), "in the root");
	expect_text(proc_open_in_root(&proc, "/../../plain"), "in the root");
	expect_text(proc_open_in_root(&proc, "/inside"), "in the root");
	expect_text(proc_open_in_root(&proc, "/upwards"), "in the root");
	assert_int_equal(proc_open_in_root(&proc, "/outside"), -ENOENT);
	assert_int_equal(proc_open_in_root(&proc, outside), -ENOENT);
	assert_int_equal(proc_open_in_root(&proc, "/loop"), -ELOOP);
	assert_int_equal(proc_open_in_root(&proc, "/dir"), -ENOTSUP);
	assert_int_equal(proc_open_in_root(&proc, "/fifo"), -ENOTSUP); /* and did not wait */
	root = proc_open_root(&proc);
	assert_true(root >= 0);
	child_end(pid);
	assert_int_equal(proc_open_root(&proc), -ESRCH);
	proc_close(&proc);
	expect_text(file_open_in_root(root, "/upwards"), "in the root"); /* though the process is gone */
	assert_int_equal(file_open_in_root(root, "/outside"), -ENOENT);
	assert_int_equal(file_open_in_root(root, "/fifo"), -ENOTSUP);
	close(root);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	close(at);
	assert_int_equal(rmdir(dir), 0);
}

static void magic_links_of_procfs_are_not_followed(void **state)
{
	struct proc proc;

	(void)state;
	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(proc_open_in_root(&proc, "/proc/self/exe"), -ELOOP);
	assert_int_equal(proc_open_in_root(&proc, "/proc/self/root/etc/passwd"), -ELOOP);
	proc_close(&proc);
}

static void only_regular_files_are_opened(void **state)
{
	char dir[] = "/tmp/heldby-procfs-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	put_text(dir, "plain", "text");
	snprintf(path, sizeof(path), "%s/plain", dir);
	expect_text(file_open_regular(path), "text");
	unlink(path);
	assert_int_equal(file_open_regular(path), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_open_regular(path), -ENOTSUP);
	unlink(path);
	assert_int_equal(file_open_regular("/dev/null"), -ENOTSUP);
	assert_int_equal(file_open_regular("/proc/self/maps"), -ENOTSUP);
	assert_int_equal(file_open_regular("/sys/kernel/notes"), -ENOTSUP);
	assert_int_equal(file_open_regular(dir), -ENOTSUP);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_process_is_no_such_process),
		cmocka_unit_test(a_name_with_spaces_and_parentheses_confuses_nobody),
		cmocka_unit_test(a_process_started_now_started_now),
		cmocka_unit_test(resident_bytes_hold_what_was_touched),
		cmocka_unit_test(a_process_that_ended_is_gone_for_its_handle),
		cmocka_unit_test(a_missing_file_of_a_living_process_is_no_missing_process),
		cmocka_unit_test(the_memory_controllers_cgroup_comes_before_the_unified_one),
		cmocka_unit_test(a_deleted_file_is_read_through_its_mapping),
		cmocka_unit_test(a_mapped_device_is_not_opened),
		cmocka_unit_test(a_path_is_looked_up_inside_the_root_and_never_leaves_it),
		cmocka_unit_test(magic_links_of_procfs_are_not_followed),
		cmocka_unit_test(only_regular_files_are_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
