// SPDX-License-Identifier: Apache-2.0
#include "folder.h"

#include <errno.h>
#include <string.h>

#include "../../user/remote/memstat.h"

#define UNKNOWN MEMSTAT_UNKNOWN

static const struct memstat nothing = {
	UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
};

static void expect(const struct memstat *got, const struct memstat *want)
{
	assert_int_equal(got->usage_bytes, want->usage_bytes);
	assert_int_equal(got->anon_bytes, want->anon_bytes);
	assert_int_equal(got->file_bytes, want->file_bytes);
	assert_int_equal(got->shmem_bytes, want->shmem_bytes);
	assert_int_equal(got->kernel_bytes, want->kernel_bytes);
	assert_int_equal(got->kernel_stack_bytes, want->kernel_stack_bytes);
	assert_int_equal(got->slab_bytes, want->slab_bytes);
	assert_int_equal(got->pagetables_bytes, want->pagetables_bytes);
	assert_int_equal(got->sock_bytes, want->sock_bytes);
}

/* The text's numbers, all others unknown. */
static void expect_text(bool v1, const char *text, const struct memstat *want)
{
	struct memstat got = nothing;

	memstat_parse(&got, v1, text);
	expect(&got, want);
}

#define V2_TEXT \
	"anon 50020352\nfile 8192\nkernel 90112\nkernel_stack 16384\npagetables 114688\nsec_pagetables 5\n" \
	"percpu 1840\nsock 4096\nvmalloc 3\nshmem 2048\nfile_mapped 0\nanon_thp 7\nslab_reclaimable 2\n" \
	"slab_unreclaimable 1\nslab 51640\npgfault 11\n"
#define V2_WANT .anon_bytes = 50020352, .file_bytes = 8192, .shmem_bytes = 2048, .kernel_bytes = 90112, \
	.kernel_stack_bytes = 16384, .slab_bytes = 51640, .pagetables_bytes = 114688, .sock_bytes = 4096

static void the_unified_hierarchy_tells_each_by_its_name(void **state)
{
	(void)state;
	expect_text(false, V2_TEXT, &(struct memstat){ .usage_bytes = UNKNOWN, V2_WANT });
}

#define V1_TEXT \
	"cache 1\nrss 2\nshmem 3\nanon 4\nfile 5\nslab 6\nhierarchical_memory_limit 9223372036854771712\n" \
	"total_cache 2023424\ntotal_rss 1708032\ntotal_rss_huge 9\ntotal_shmem 4096\ntotal_swap 0\n"

static void of_the_first_version_the_totals_count(void **state)
{
	struct memstat want = nothing;

	(void)state;
	want.anon_bytes = 1708032;
	want.file_bytes = 2023424; /* with the shared memory, as in the other version */
	want.shmem_bytes = 4096;
	expect_text(true, V1_TEXT, &want);
}

static void what_is_no_number_or_no_whole_line_is_unknown(void **state)
{
	struct memstat want = nothing;

	(void)state;
	expect_text(false, "", &nothing);
	expect_text(false, "anon 12", &nothing); /* cut */
	expect_text(false, "anon \nfile x\nshmem -1\nslab 1 \nsock 1kB\nkernel\t5\npagetables  \nkernel_stack",
		    &nothing);
	expect_text(false, " anon 1\nxanon 2\nanon_ 3\nanon3\nanon\n\n", &nothing);
	expect_text(false, "anon 18446744073709551616\nfile 99999999999999999999999\n", &nothing);
	want.anon_bytes = 18446744073709551614ull;
	want.sock_bytes = 0;
	expect_text(false, "anon 18446744073709551614\nsock 0\n", &want);
}

static void of_two_lines_the_first_counts(void **state)
{
	struct memstat want = nothing;

	(void)state;
	want.slab_bytes = 1;
	expect_text(false, "slab 1\nslab 2\n", &want);
}

static void expect_host(const char *text, uint64_t total, uint64_t unused, uint64_t available, uint64_t swap,
			uint64_t swap_unused)
{
	struct memstat_host host = { .total_bytes = 5 };

	memstat_parse_host(&host, text);
	assert_int_equal(host.total_bytes, total);
	assert_int_equal(host.free_bytes, unused);
	assert_int_equal(host.available_bytes, available);
	assert_int_equal(host.swap_total_bytes, swap);
	assert_int_equal(host.swap_free_bytes, swap_unused);
}

static void the_host_says_what_its_memory_is(void **state)
{
	struct memstat_host host;

	(void)state;
	memstat_parse_host(&host, "MemTotal:       24684084 kB\nCached:          1700 kB\nSwapCached:            1 kB\n"
				  "AnonPages:           3 kB\nShmem:             500 kB\nKReclaimable:         6 kB\n"
				  "Slab:              900 kB\n"
				  "SUnreclaim:         90 kB\nKernelStack:         8 kB\nPageTables:          7 kB\n");
	assert_int_equal(host.stat.anon_bytes, 3 << 10);
	assert_int_equal(host.stat.file_bytes, 1700 << 10);
	assert_int_equal(host.stat.shmem_bytes, 500 << 10);
	assert_int_equal(host.stat.slab_bytes, 90 << 10);
	assert_int_equal(host.stat.kernel_stack_bytes, 8 << 10);
	assert_int_equal(host.stat.pagetables_bytes, 7 << 10);
	assert_true(host.stat.sock_bytes == UNKNOWN && host.stat.kernel_bytes == UNKNOWN);
}

static void the_host_counts_in_kilobytes(void **state)
{
	(void)state;
	expect_host("MemTotal:       24684084 kB\nMemFree:        23480684 kB\nMemAvailable:   24208340 kB\n"
		    "Buffers:             436 kB\nSwapCached:            1 kB\nSwapTotal:             0 kB\n"
		    "SwapFree:              2 kB\n",
		    25276502016, 24044220416, 24789340160, 0, 2048);
	expect_host("", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
	expect_host("MemTotal: 5\nMemFree: kB\nMemAvailable:7 kB\nSwapTotal: 1 MB\nSwapFree: 3 kB", UNKNOWN, UNKNOWN,
		    UNKNOWN, UNKNOWN, UNKNOWN);
	expect_host("MemTotal: 18014398509481984 kB\nMemFree: 18014398509481983 kB\n", UNKNOWN, 18446744073709550592ull,
		    UNKNOWN, UNKNOWN, UNKNOWN);
}

static void nodes_stand_in_lists_and_ranges(void **state)
{
	static const char *const wrong[] = { "", "\n", "0", "0,\n", ",0\n", "0-\n", "-1\n", "1-0\n", "0 \n", "0\n\n",
					     "1024\n", "0-1024\n", "00001\n", "0--1\n", "0-1-2\n", "(null)\n" };
	uint64_t nodes[MEMSTAT_NODE_WORDS];

	(void)state;
	assert_true(memstat_parse_nodes(nodes, "0\n"));
	assert_int_equal(nodes[0], 1);
	assert_true(memstat_parse_nodes(nodes, "1-3,5,62-64,1023\n"));
	assert_int_equal(nodes[0], 0xc00000000000002eull);
	assert_int_equal(nodes[1], 1);
	assert_int_equal(nodes[2], 0);
	assert_int_equal(nodes[15], 1ull << 63);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(memstat_parse_nodes(nodes, wrong[i]));
}

static void a_node_says_what_is_free_behind_its_name(void **state)
{
	(void)state;
	assert_int_equal(memstat_parse_node("Node 12 MemTotal:  24684084 kB\nNode 12 MemFree:   22972564 kB\n"
					    "Node 12 MemUsed:  1711520 kB\nNode 12 MemFree: 1 kB\n"), 23523905536);
	assert_int_equal(memstat_parse_node("Node 0 MemFree: 0 kB\n"), 0);
	assert_int_equal(memstat_parse_node("Node 0 MemFree: 5 kB"), UNKNOWN); /* cut */
	assert_int_equal(memstat_parse_node("Node 0 MemFree: 5 MB\n"), UNKNOWN);
	assert_int_equal(memstat_parse_node("MemFree: 5 kB\nNode\nNode MemFree: 5\nNode 0\nMemFree: 5 kB\n"),
			 UNKNOWN);
	assert_int_equal(memstat_parse_node(""), UNKNOWN);
}

/* All nodes of this host inside, then all outside. */
static void the_nodes_of_this_host_have_free_memory(void **state)
{
	uint64_t nodes[MEMSTAT_NODE_WORDS];
	struct memstat_nodes all, none;

	(void)state;
	memset(nodes, 0xff, sizeof(nodes));
	if (memstat_nodes(nodes, &all)) /* a kernel without NUMA has none */
		skip();
	assert_in_range(all.inside_bytes, 1, UNKNOWN - 1);
	assert_int_equal(all.outside_bytes, 0);
	memset(nodes, 0, sizeof(nodes));
	assert_int_equal(memstat_nodes(nodes, &none), 0);
	assert_in_range(none.outside_bytes, 1, UNKNOWN - 1);
	assert_int_equal(none.inside_bytes, 0);
}

static void the_host_counts_its_huge_pages(void **state)
{
	(void)state;
	assert_int_equal(memstat_parse_huge("thp_migration_fail 1\nthp_fault_alloc 493\nthp_fault_fallback 7\n"), 493);
	assert_int_equal(memstat_parse_huge("thp_fault_alloc 49385"), UNKNOWN); /* the line is cut */
	assert_int_equal(memstat_parse_huge("thp_fault_allocated 1\nthp_fault_alloc x\n"), UNKNOWN);
	assert_int_equal(memstat_parse_huge(""), UNKNOWN);
}

static void this_host_has_memory(void **state)
{
	struct memstat_host host;

	(void)state;
	assert_int_equal(memstat_host(&host), 0);
	assert_in_range(host.total_bytes, 1u << 20, UNKNOWN - 1);
	assert_in_range(host.free_bytes, 0, host.total_bytes);
	assert_in_range(host.available_bytes, 0, host.total_bytes);
	assert_in_range(host.swap_free_bytes, 0, host.swap_total_bytes);
	assert_int_not_equal(host.swap_total_bytes, UNKNOWN);
}

/* Mounts of /pod (v2) and of everything (v1), which are folders of the test's own. */
static void make_mounts(struct cgroup_mounts *mounts)
{
	char text[512], path[192];

	assert_true(files_run("rm -rf one two && mkdir -p one/a/b two/b"));
	snprintf(text, sizeof(text), "1 1 0:1 / %s/one rw - cgroup cgroup rw,memory\n"
		 "2 1 0:2 /pod %s/two rw - cgroup2 cgroup2 rw\n", files_folder, files_folder);
	files_write("mountinfo", text);
	snprintf(path, sizeof(path), "%s/mountinfo", files_folder);
	assert_int_equal(cgroup_mounts_find(mounts, path, false), 0);
}

static void a_cgroup_of_each_version_is_read_beneath_its_mount(void **state)
{
	struct cgroup_mounts mounts;
	struct memstat got, want = nothing;

	(void)state;
	make_mounts(&mounts);
	files_write("one/a/b/memory.stat", V1_TEXT);
	files_write("one/a/b/memory.usage_in_bytes", "5000000\n");
	files_write("one/a/b/memory.kmem.usage_in_bytes", "77\n");
	want.usage_bytes = 5000000;
	want.anon_bytes = 1708032;
	want.file_bytes = 2023424;
	want.shmem_bytes = 4096;
	want.kernel_bytes = 77;
	assert_int_equal(memstat_cgroup(&mounts, true, "/a/b", &got), 0);
	expect(&got, &want);
	assert_int_equal(memstat_cgroup(&mounts, true, "//a/b/", &got), 0);
	expect(&got, &want);
	files_write("two/b/memory.stat", V2_TEXT);
	files_write("two/b/memory.current", "60000000\n");
	files_write("two/memory.stat", "anon 1\n");
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod/b", &got), 0);
	expect(&got, &(struct memstat){ .usage_bytes = 60000000, V2_WANT });
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod", &got), 0);
	want = nothing;
	want.anon_bytes = 1;
	expect(&got, &want);
	cgroup_mounts_release(&mounts);
}

static void without_memory_stat_the_usage_may_be_known(void **state)
{
	struct cgroup_mounts mounts;
	struct memstat got, want = nothing;

	(void)state;
	make_mounts(&mounts);
	files_write("one/a/memory.usage_in_bytes", "12\n");
	want.usage_bytes = 12;
	assert_int_equal(memstat_cgroup(&mounts, true, "/a", &got), -ENOENT);
	expect(&got, &want);
	files_write("one/a/memory.usage_in_bytes", "0000000000000000000000000000012"); /* no whole line */
	assert_int_equal(memstat_cgroup(&mounts, true, "/a", &got), -ENOENT);
	expect(&got, &nothing);
	files_write("one/a/memory.usage_in_bytes", "max\n");
	assert_int_equal(memstat_cgroup(&mounts, true, "/a", &got), -ENOENT);
	expect(&got, &nothing);
	cgroup_mounts_release(&mounts);
}

static void what_is_not_beneath_the_mount_is_not_read(void **state)
{
	static const char *const outside[] = { "/", "/po", "/pods/b", "/pod/none", "pod/b", "" };
	struct cgroup_mounts mounts, nowhere = CGROUP_MOUNTS_INIT;
	struct memstat got;

	(void)state;
	make_mounts(&mounts);
	assert_true(files_run("mkdir -p two/s/b"));
	files_write("memory.stat", "anon 1\n");
	files_write("two/b/memory.stat", "anon 1\n");
	files_write("two/s/b/memory.stat", "anon 1\n"); /* not of /pods/b */
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		assert_int_equal(memstat_cgroup(&mounts, false, outside[i], &got), -ENOENT);
		expect(&got, &nothing);
	}
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod/..", &got), -ENOENT);
	assert_int_equal(memstat_cgroup(&mounts, true, "/../two/b", &got), -ENOENT);
	assert_int_equal(memstat_cgroup(&nowhere, true, "/a", &got), -ENOENT);
	assert_int_equal(memstat_cgroup(&nowhere, false, "/", &got), -ENOENT);
	expect(&got, &nothing);
	cgroup_mounts_release(&mounts);
}

static void links_pipes_and_folders_are_not_read(void **state)
{
	struct cgroup_mounts mounts;
	struct memstat got;

	(void)state;
	make_mounts(&mounts);
	files_write("two/b/memory.stat", "anon 1\n");
	assert_true(files_run("ln -s b two/link && mkdir two/to two/pipe two/folder && ln -s ../b/memory.stat "
			      "two/to/memory.stat && mkfifo two/pipe/memory.stat && mkdir two/folder/memory.stat"));
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod/link", &got), -ELOOP);
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod/to", &got), -ELOOP);
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod/pipe", &got), -EINVAL);
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod/folder", &got), -EINVAL);
	expect(&got, &nothing);
	cgroup_mounts_release(&mounts);
}

/* More than is read of it: the line at the cut does not count, whatever of it is there. */
static void a_file_without_end_is_cut(void **state)
{
	struct cgroup_mounts mounts;
	struct memstat got, want = nothing;

	(void)state;
	make_mounts(&mounts);
	assert_true(files_run("{ echo 'anon 5'; for i in $(seq 2046); do echo filler1; done; echo 'sock 1234'; "
			      "echo 'slab 9'; } >two/b/memory.stat"));
	want.anon_bytes = 5;
	assert_int_equal(memstat_cgroup(&mounts, false, "/pod/b", &got), 0);
	expect(&got, &want);
	cgroup_mounts_release(&mounts);
}

/* Of the test's own cgroup, where there is a memory controller. */
static void a_real_cgroup_uses_memory(void **state)
{
	__attribute__((cleanup(cgroup_mounts_release))) struct cgroup_mounts mounts;
	static char text[65536];
	enum cgroup_kind kind;
	struct memstat got;
	const char *path;
	FILE *file = fopen("/proc/self/cgroup", "re");

	(void)state;
	assert_int_equal(cgroup_mounts_find(&mounts, "/proc/self/mountinfo", true), 0);
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	path = cgroup_memory_path(text, &kind);
	if (!path || memstat_cgroup(&mounts, kind == CGROUP_V1, path, &got)) {
		print_message("skipped: no memory controller here\n");
		cgroup_mounts_release(&mounts);
		skip();
	}
	assert_int_not_equal(got.anon_bytes, UNKNOWN);
	assert_int_not_equal(got.file_bytes, UNKNOWN);
	assert_int_not_equal(got.shmem_bytes, UNKNOWN);
	assert_in_range(got.shmem_bytes, 0, got.file_bytes);
}

static void expect_pressure(const char *text, uint64_t some_10s, uint64_t some_60s, uint64_t full_10s,
			    uint64_t full_60s)
{
	struct memstat_pressure got;

	memstat_parse_pressure(&got, text);
	assert_int_equal(got.some_10s, some_10s);
	assert_int_equal(got.some_60s, some_60s);
	assert_int_equal(got.full_10s, full_10s);
	assert_int_equal(got.full_60s, full_60s);
}

static void pressure_is_told_in_hundredths_of_a_percent(void **state)
{
	(void)state;
	expect_pressure("some avg10=12.34 avg60=100.00 avg300=0.57 total=5\nfull avg10=0.00 avg60=9.09 avg300=0.00 "
			"total=2\n", 1234, 10000, 0, 909);
	expect_pressure("some avg10=0.07 avg60=0.50 avg300=0.00 total=0\n", 7, 50, UNKNOWN, UNKNOWN);
	expect_pressure("some avg10=100.01 avg60=1.5 avg300=0.00\nfull avg60=x avg10=1234.00\nsome", UNKNOWN, UNKNOWN,
			UNKNOWN, UNKNOWN);
	expect_pressure("some \nfull avg10=3.00\n", UNKNOWN, UNKNOWN, 300, UNKNOWN); /* a line has its own */
	expect_pressure("", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
}

static void pressure_is_read_of_a_cgroup_and_of_the_host(void **state)
{
	struct cgroup_mounts mounts;
	struct memstat_pressure got;

	(void)state;
	make_mounts(&mounts);
	assert_true(files_run("echo 'some avg10=1.00 avg60=2.00 avg300=3.00 total=4' >two/b/memory.pressure"));
	assert_int_equal(memstat_pressure(&mounts, "/pod/b", &got), 0);
	assert_int_equal(got.some_60s, 200);
	assert_int_equal(got.full_10s, UNKNOWN);
	assert_int_equal(memstat_pressure(&mounts, "/pod/nowhere", &got), -ENOENT);
	assert_int_equal(got.some_60s, UNKNOWN);
	if (!memstat_pressure(&mounts, NULL, &got))
		assert_in_range(got.some_10s, 0, 10000);
	cgroup_mounts_release(&mounts);
}

static void a_disabled_oom_killer_matters_where_somebody_waits(void **state)
{
	static const struct { const char *text; bool disabled; } rows[] = {
		{ "oom_kill_disable 1\nunder_oom 1\noom_kill 0\n", true },
		{ "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n", false },
		{ "oom_kill_disable 0\nunder_oom 1\noom_kill 0\n", false },
		{ "x oom_kill_disable 1\nunder_oom 11\n", false },
	};
	struct cgroup_mounts mounts;

	(void)state;
	make_mounts(&mounts);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		files_write("one/a/memory.oom_control", rows[i].text);
		assert_int_equal(memstat_oom_disabled(&mounts, "/a"), rows[i].disabled);
	}
	assert_false(memstat_oom_disabled(&mounts, "/nowhere"));
	cgroup_mounts_release(&mounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unified_hierarchy_tells_each_by_its_name),
		cmocka_unit_test(of_the_first_version_the_totals_count),
		cmocka_unit_test(what_is_no_number_or_no_whole_line_is_unknown),
		cmocka_unit_test(of_two_lines_the_first_counts),
		cmocka_unit_test(the_host_says_what_its_memory_is),
		cmocka_unit_test(the_host_counts_in_kilobytes),
		cmocka_unit_test(nodes_stand_in_lists_and_ranges),
		cmocka_unit_test(a_node_says_what_is_free_behind_its_name),
		cmocka_unit_test(the_nodes_of_this_host_have_free_memory),
		cmocka_unit_test(the_host_counts_its_huge_pages),
		cmocka_unit_test(this_host_has_memory),
		cmocka_unit_test(a_cgroup_of_each_version_is_read_beneath_its_mount),
		cmocka_unit_test(without_memory_stat_the_usage_may_be_known),
		cmocka_unit_test(what_is_not_beneath_the_mount_is_not_read),
		cmocka_unit_test(links_pipes_and_folders_are_not_read),
		cmocka_unit_test(a_file_without_end_is_cut),
		cmocka_unit_test(a_real_cgroup_uses_memory),
		cmocka_unit_test(a_disabled_oom_killer_matters_where_somebody_waits),
		cmocka_unit_test(pressure_is_told_in_hundredths_of_a_percent),
		cmocka_unit_test(pressure_is_read_of_a_cgroup_and_of_the_host),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
