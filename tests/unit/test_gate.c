// SPDX-License-Identifier: Apache-2.0
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../user/base/clock.h"
#include "../../user/remote/gate.h"
#include "../../user/remote/maps.h"

#define MS 1000000ull
#define NOW (5000 * MS)
#define TICKS 77 /* when the process began */

/* A host with a cgroup /pod/one, in which the process 12 lives. */
static struct gate *world(struct proc *proc)
{
	char text[512], mountinfo[192], meminfo[192], process[192];
	struct gate_files files = { .mountinfo = mountinfo, .meminfo = meminfo };
	struct gate *gate;

	assert_true(files_run("rm -rf tree 12 && mkdir -p tree/pod/one 12"));
	snprintf(text, sizeof(text), "1 1 0:1 / %s/tree rw - cgroup2 cgroup2 rw\n", files_folder);
	files_write("mountinfo", text);
	files_write("meminfo", "MemTotal:  100000 kB\nMemFree: 3 kB\nMemAvailable:  50000 kB\n");
	files_write("tree/pod/memory.max", "max\n");
	files_write("tree/pod/memory.current", "100\n");
	files_write("tree/pod/one/memory.max", "1000\n");
	files_write("tree/pod/one/memory.current", "100\n");
	files_write("12/cgroup", "0::/pod/one\n");
	files_write("12/stat", "12 (a) b) S 1 12 12 0 -1 4194304 1 1 1 1 1 1 1 1 20 0 1 0 77 1000 10 99 1 1 0 0 0 0 "
			       "0 0 0\n");
	snprintf(mountinfo, sizeof(mountinfo), "%s/mountinfo", files_folder);
	snprintf(meminfo, sizeof(meminfo), "%s/meminfo", files_folder);
	snprintf(process, sizeof(process), "%s/12", files_folder);
	*proc = (struct proc){ .pid = 12, .start_ticks = TICKS };
	proc->dir = open(process, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(proc->dir >= 0);
	gate = gate_new(&files);
	assert_non_null(gate);
	return gate;
}

static void leave(struct gate *gate, struct proc *proc)
{
	gate_free(gate);
	proc_close(proc);
}

static void closed_while_the_cgroup_is_within_a_twentieth_of_its_limit(void **state)
{
	struct proc proc;
	struct gate *gate = world(&proc);

	(void)state;
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	files_write("tree/pod/one/memory.current", "949\n");
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	files_write("tree/pod/one/memory.current", "950\n");
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_CGROUP); /* at once */
	files_write("tree/pod/one/memory.current", "700\n");
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	leave(gate, &proc);
}

static void closed_while_a_cgroup_above_is(void **state)
{
	struct proc proc;
	struct gate *gate = world(&proc);

	(void)state;
	files_write("tree/pod/memory.max", "2000\n");
	files_write("tree/pod/memory.current", "1950\n");
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_CGROUP);
	leave(gate, &proc);
}

static void limits_are_read_again_after_a_tenth_of_a_second(void **state)
{
	struct proc proc;
	struct gate *gate = world(&proc);

	(void)state;
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	files_write("tree/pod/one/memory.max", "100\n");
	assert_int_equal(gate_check(gate, &proc, NOW + 99 * MS), GATE_OPEN);
	assert_int_equal(gate_check(gate, &proc, NOW + 100 * MS), GATE_CGROUP);
	files_write("12/cgroup", "0::/pod\n"); /* it was moved: seen at once */
	assert_int_equal(gate_check(gate, &proc, NOW + 100 * MS), GATE_OPEN);
	leave(gate, &proc);
}

static void many_cgroups_share_a_table_of_few(void **state)
{
	struct proc proc;
	struct gate *gate = world(&proc);
	char name[64];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "0::/pod/one/%d\n", i);
		files_write("12/cgroup", name);
		assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	}
	files_write("tree/pod/one/memory.current", "1000\n");
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_CGROUP);
	leave(gate, &proc);
}

static void closed_while_the_host_has_less_than_a_twentieth_available(void **state)
{
	struct proc proc;
	struct gate *gate = world(&proc);

	(void)state;
	files_write("meminfo", "MemTotal:  100000 kB\nMemFree: 3 kB\nMemAvailable:  5001 kB\n");
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	files_write("meminfo", "MemTotal:  100000 kB\nMemFree: 3 kB\nMemAvailable:  5000 kB\n");
	assert_int_equal(gate_check(gate, &proc, NOW + 9 * MS), GATE_OPEN);
	assert_int_equal(gate_check(gate, &proc, NOW + 10 * MS), GATE_HOST);
	files_write("meminfo", "MemFree: 3 kB\nMemAvailable:  many\n");
	assert_int_equal(gate_check(gate, &proc, NOW + 20 * MS), GATE_OPEN);
	leave(gate, &proc);
}

static void closed_to_a_process_that_ends(void **state)
{
	static const struct {
		const char *state, *flags, *pending;
		int answer;
	} rows[] = {
		{ "S", "4194304", "0", GATE_OPEN },
		{ "R", "4194304", "2", GATE_OPEN }, /* SIGINT, which it may handle */
		{ "R", "4194304", "256", GATE_ENDS }, /* SIGKILL */
		{ "R", "4194308", "0", GATE_ENDS }, /* PF_EXITING */
		{ "D", "4194816", "0", GATE_ENDS }, /* PF_DUMPCORE */
		{ "R", "4195328", "0", GATE_ENDS }, /* PF_SIGNALED */
		{ "Z", "4228108", "0", -ESRCH },
		{ "X", "4228108", "0", -ESRCH },
	};
	struct proc proc;
	struct gate *gate = world(&proc);
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "12 (x) %s 1 12 12 0 -1 %s 1 1 1 1 1 1 1 1 20 0 1 0 77 1000 10 99 1 1 0 0 "
			 "0 %s 0 0 0\n", rows[i].state, rows[i].flags, rows[i].pending);
		files_write("12/stat", text);
		assert_int_equal(gate_check(gate, &proc, NOW), rows[i].answer);
	}
	files_write("12/stat", "12 (x) S 1\n");
	assert_int_equal(gate_check(gate, &proc, NOW), -EIO);
	leave(gate, &proc);
}

static void stat_is_not_read_where_memory_is_short(void **state)
{
	struct proc proc;
	struct gate *gate = world(&proc);

	(void)state;
	assert_true(files_run("rm 12/stat"));
	assert_int_equal(gate_check(gate, &proc, NOW), -ESRCH);
	files_write("tree/pod/one/memory.current", "1000\n");
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_CGROUP);
	leave(gate, &proc);
}

static void a_mark_closes_it_for_the_process_and_its_cgroup_for_two_seconds(void **state)
{
	struct proc proc, other;
	struct gate *gate = world(&proc);

	(void)state;
	other = proc;
	other.pid = 13;
	gate_close(gate, &proc, NOW);
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_MARKED);
	assert_int_equal(gate_check(gate, &other, NOW + 2000 * MS), GATE_MARKED); /* of the same cgroup */
	assert_int_equal(gate_check(gate, &proc, NOW + 2001 * MS), GATE_OPEN);
	gate_close(gate, &proc, NOW);
	files_write("12/cgroup", "0::/pod\n");
	assert_int_equal(gate_check(gate, &other, NOW), GATE_OPEN);
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_MARKED); /* wherever it is moved */
	leave(gate, &proc);
}

static void without_a_controller_there_is_no_limit(void **state)
{
	struct proc proc;
	struct gate *gate = world(&proc);

	(void)state;
	files_write("tree/pod/one/memory.current", "1000\n");
	files_write("12/cgroup", "3:memory:/pod/one\n"); /* of version 1, which is not mounted */
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	assert_true(files_run("rm 12/cgroup"));
	assert_int_equal(gate_check(gate, &proc, NOW), GATE_OPEN);
	leave(gate, &proc);
}

/* A child with a hundred mappings more than others have, some pages of them of @path. */
static pid_t child_start(const char *path)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		char *at = (char *)0x10000000;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < 100; i++) {
			if (mmap(at + 8192 * i, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
				_exit(1);
		}
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int count_line(void *ctx, const struct map_line *line)
{
	(void)line;
	++*(int *)ctx;
	return 0;
}

static int count_and_mark(void *ctx, const struct map_line *line)
{
	count_line(ctx, line);
	if (*(int *)ctx == 1)
		gate_mark(getppid()); /* of our cgroup, and so of the child's */
	return 0;
}

/* The gate of this process: what is marked here stays so for the tests that follow. */
static void what_is_closed_is_neither_opened_nor_read_on(void **state)
{
	char path[192];
	struct proc_mapped mapped = { .start = 0x10000000, .end = 0x10001000, .path = path };
	int lines = 0, all = 0, fd;
	struct proc proc;
	struct stat stat;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "%s/mapped", files_folder);
	files_write("mapped", "text");
	assert_int_equal(lstat(path, &stat), 0);
	mapped.ino = stat.st_ino;
	pid = child_start(path);
	assert_int_equal(proc_open(&proc, pid), 0);
	assert_int_equal(maps_read(&proc, count_line, &all), 0);
	assert_true(all > 100);
	assert_int_equal(maps_read(&proc, count_and_mark, &lines), -EBUSY);
	assert_true(lines > 0 && lines < 90); /* the rest of its first 4 KiB */
	assert_int_equal(maps_read(&proc, count_line, &lines), -EBUSY);
	assert_int_equal(proc_open_file(&proc, "smaps_rollup"), -EBUSY);
	assert_int_equal(proc_open_file(&proc, "environ"), -EBUSY);
	assert_non_null(strstr(gate_why(), "killed for want of memory"));
	assert_int_equal(proc_open_mapping(&proc, mapped.start, mapped.end), -EBUSY);
	fd = proc_open_file(&proc, "status");
	assert_true(fd >= 0);
	close(fd);
	fd = proc_open_mapped(&proc, &mapped); /* by its path */
	assert_true(fd >= 0);
	close(fd);
	mapped.ino++; /* another file has the path by now */
	assert_int_equal(proc_open_mapped(&proc, &mapped), -EBUSY);
	mapped.path = "";
	assert_int_equal(proc_open_mapped(&proc, &mapped), -EBUSY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	proc_close(&proc);
}

static void a_read_that_waited_counts_for_a_millisecond(void **state)
{
	uint64_t began_ns = clock_mono_ns(), counts_ns = gate_held_ns(began_ns);

	(void)state;
	assert_true(counts_ns <= clock_mono_ns() - began_ns);
	assert_int_equal(gate_held_ns(began_ns - 60000000000), GATE_HELD_MAX_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_while_the_cgroup_is_within_a_twentieth_of_its_limit),
		cmocka_unit_test(closed_while_a_cgroup_above_is),
		cmocka_unit_test(limits_are_read_again_after_a_tenth_of_a_second),
		cmocka_unit_test(many_cgroups_share_a_table_of_few),
		cmocka_unit_test(closed_while_the_host_has_less_than_a_twentieth_available),
		cmocka_unit_test(closed_to_a_process_that_ends),
		cmocka_unit_test(stat_is_not_read_where_memory_is_short),
		cmocka_unit_test(a_mark_closes_it_for_the_process_and_its_cgroup_for_two_seconds),
		cmocka_unit_test(without_a_controller_there_is_no_limit),
		cmocka_unit_test(what_is_closed_is_neither_opened_nor_read_on),
		cmocka_unit_test(a_read_that_waited_counts_for_a_millisecond),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
