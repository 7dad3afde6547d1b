// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/postmortem.h"

#define MIB(n) ((uint64_t)(n) * 1048576)
#define GIB(n) (MIB(n) * 1024)
#define UID    "7d2f5a1c-8a0b-4c39-9d50-6a1f5b7c2e11"
#define UID_   "7d2f5a1c_8a0b_4c39_9d50_6a1f5b7c2e11"

static const struct container_info web = { .id = "0a", .name = "app", .pod = "web", .pod_uid = UID };

/* A victim of 100 MiB of which nothing more is known: two sentences, what and that there is no history. */
static struct postmortem plain(void)
{
	struct postmortem pm;

	postmortem_init(&pm);
	pm.victim.pid = 5;
	pm.victim.comm = "app";
	pm.victim.anon_rss_bytes = MIB(100);
	return pm;
}

/* In a cgroup of 200 MiB, all of it used. */
static struct postmortem limited(void)
{
	struct postmortem pm = plain();

	pm.domain.kind = OOM_MEMCG;
	pm.domain.cgroup = pm.victim.cgroup = "/a/b";
	pm.domain.limit_bytes = pm.domain.usage_bytes = MIB(200);
	return pm;
}

static void expect_count(const struct postmortem *pm, size_t count)
{
	struct postmortem_verdict verdict;

	postmortem_judge(pm, &verdict);
	assert_int_equal(verdict.count, count);
}

/* Whether @wanted is one of the sentences. */
static bool has(const struct postmortem *pm, const char *wanted)
{
	struct postmortem_verdict verdict;
	size_t i;

	postmortem_judge(pm, &verdict);
	for (i = 0; i < verdict.count; i++) {
		if (!strcmp(verdict.sentences[i], wanted))
			return true;
	}
	return false;
}

static void expect(const struct postmortem *pm, const char *wanted)
{
	struct postmortem_verdict verdict;
	size_t i;

	if (has(pm, wanted))
		return;
	postmortem_judge(pm, &verdict);
	print_error("not among them: %s\n", wanted);
	for (i = 0; i < verdict.count; i++)
		print_error("  %s\n", verdict.sentences[i]);
	fail();
}

static void what_died_is_always_said(void **state)
{
	struct postmortem pm = plain();

	(void)state;
	expect_count(&pm, 2);
	expect(&pm, "app (pid 5) was killed: it held 100.0 MiB of anonymous memory.");
	expect(&pm, "How it grew is not known: 0 samples were taken before the kill.");
	pm.victim.swap_bytes = 0;
	expect(&pm, "app (pid 5) was killed: it held 100.0 MiB of anonymous memory.");
	pm.victim.swap_bytes = MIB(3);
	pm.victim.anon_rss_bytes = POSTMORTEM_UNKNOWN;
	expect(&pm, "app (pid 5) was killed.");
	pm = limited();
	pm.victim.lifetime_ns = 900000000000;
	pm.victim.container = &web;
	pm.victim.swap_bytes = MIB(3);
	expect(&pm, "app (pid 5, container web/app) was killed after 15m00s: it held 100.0 MiB of anonymous memory, "
		    "50% of the 200.0 MiB that ran out, and 3.0 MiB in swap.");
}

static void a_container_is_named_by_what_is_known_of_it(void **state)
{
	struct container_info container = { .id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };
	char out[CONTAINER_TITLE_BYTES];

	(void)state;
	assert_string_equal(container_title(&container, out), "0123456789ab");
	strcpy(container.id, "my-own-machine-3");
	assert_string_equal(container_title(&container, out), "my-own-machine-3");
	strcpy(container.name, "db");
	assert_string_equal(container_title(&container, out), "db");
	strcpy(container.pod, "store-0");
	assert_string_equal(container_title(&container, out), "store-0/db");
	*container.name = '\0';
	assert_string_equal(container_title(&container, out), "store-0");
}

static void a_victim_of_a_unit_is_named_with_it(void **state)
{
	struct postmortem pm = plain();

	(void)state;
	pm.victim.cgroup = "/system.slice/cache.service";
	expect(&pm, "app (pid 5, cache.service) was killed: it held 100.0 MiB of anonymous memory.");
	pm.victim.cgroup = "/user.slice/user-7.slice/session-2.scope";
	expect(&pm, "app (pid 5, session-2.scope) was killed: it held 100.0 MiB of anonymous memory.");
	pm.victim.cgroup = "/system.slice"; /* of units, not one itself */
	expect(&pm, "app (pid 5) was killed: it held 100.0 MiB of anonymous memory.");
	pm.victim.cgroup = "/a.service/b";
	expect(&pm, "app (pid 5) was killed: it held 100.0 MiB of anonymous memory.");
}

static void the_own_limit_is_told_from_that_of_an_ancestor(void **state)
{
	struct postmortem pm = limited();

	(void)state;
	expect(&pm, "The limit of its own cgroup /a/b (200.0 MiB) was hit.");
	pm.victim.container = &web;
	expect(&pm, "The limit of its own container (200.0 MiB) was hit.");
	pm.victim.cgroup = "/a/b/init.scope"; /* a cgroup inside the container */
	pm.domain.container = &web;
	expect(&pm, "The limit of its own container (200.0 MiB) was hit.");
	pm.domain.container = NULL;
	expect(&pm, "The limit that was hit is that of cgroup /a/b (200.0 MiB), not the container's.");
	pm.domain.cgroup = NULL;
	expect(&pm, "The limit of a cgroup (200.0 MiB) was hit; which one is not known.");
}

static void the_limit_of_a_pod_is_called_so(void **state)
{
	struct postmortem pm = limited();

	(void)state;
	pm.victim.container = &web;
	pm.domain.limit_bytes = GIB(2);
	pm.domain.cgroup = "/kubepods/burstable/pod" UID;
	pm.domain.levels[0] = (struct postmortem_level){ "/c", GIB(2), GIB(1), POSTMORTEM_UNKNOWN };
	pm.domain.levels_count = 1;
	expect(&pm, "The limit that was hit is the pod's (2.0 GiB), not the container's (1.0 GiB of 2.0 GiB used).");
	pm.domain.cgroup = "/kubepods.slice/kubepods-pod" UID_ ".slice";
	pm.domain.levels[0].limit_bytes = POSTMORTEM_UNKNOWN;
	expect(&pm, "The limit that was hit is the pod's (2.0 GiB), not the container's (1.0 GiB used, unlimited).");
	pm.domain.levels[0].usage_bytes = POSTMORTEM_UNKNOWN;
	expect(&pm, "The limit that was hit is the pod's (2.0 GiB), not the container's (unlimited).");
	pm.domain.levels[0].limit_bytes = GIB(3);
	pm.domain.cgroup = "/kubepods.slice";
	expect(&pm, "The limit that was hit is that of cgroup /kubepods.slice (2.0 GiB), "
		    "not the container's (3.0 GiB).");
}

static void a_node_that_ran_out_says_what_it_has(void **state)
{
	struct postmortem pm = plain();

	(void)state;
	pm.domain.kind = OOM_GLOBAL;
	expect(&pm, "The node itself ran out: no cgroup limit was reached.");
	pm.domain.usage_bytes = GIB(15);
	pm.domain.free_bytes = MIB(60);
	expect(&pm, "The node itself ran out: no cgroup limit was reached (it has 15.1 GiB of memory).");
	expect(&pm, "app (pid 5) was killed: it held 100.0 MiB of anonymous memory, <1% of the 15.1 GiB that this host "
		    "has.");
	pm.domain.swap_total_bytes = 0;
	expect(&pm, "The node itself ran out: no cgroup limit was reached (it has 15.1 GiB of memory, and no swap).");
	pm.domain.usage_bytes = POSTMORTEM_UNKNOWN;
	expect(&pm, "app (pid 5) was killed: it held 100.0 MiB of anonymous memory.");
	pm.domain.swap_total_bytes = GIB(2);
	pm.domain.swap_free_bytes = MIB(1);
	expect(&pm, "The node itself ran out: no cgroup limit was reached; the node's swap was full (2.0 GiB).");
}

static void numa_nodes_and_sysrq_are_told(void **state)
{
	struct postmortem pm = plain();

	(void)state;
	pm.domain.kind = OOM_CPUSET;
	pm.domain.free_bytes = GIB(4);
	expect(&pm, "Only some NUMA nodes were allowed (by its cpuset), and they ran out; "
		    "4.0 GiB were free on the whole host.");
	pm.domain.kind = OOM_MEMPOLICY;
	expect(&pm, "Only some NUMA nodes were allowed (by a memory policy), and they ran out; "
		    "4.0 GiB were free on the whole host.");
	pm.domain.kind = OOM_GLOBAL;
	pm.trigger.kind = OOM_TRIGGER_SYSRQ;
	pm.trigger.comm = "kworker/0:1";
	expect(&pm, "Somebody asked for it with sysrq-f; 4.0 GiB were free.");
	expect_count(&pm, 3);
}

static void the_nodes_that_were_allowed_are_told_with_what_was_free(void **state)
{
	struct postmortem pm = plain();
	char nodes[64];

	(void)state;
	pm.domain.kind = OOM_CPUSET;
	pm.domain.free_bytes = GIB(5);
	pm.domain.nodes[0] = 2;
	expect(&pm, "Only NUMA node 1 was allowed (by its cpuset).");
	pm.domain.elsewhere_free_bytes = GIB(4);
	expect(&pm, "Only NUMA node 1 was allowed (by its cpuset): 4.0 GiB were free elsewhere.");
	pm.domain.nodes_free_bytes = 512 << 10;
	expect(&pm, "Only NUMA node 1 was allowed (by its cpuset): 512.0 KiB were free there, 4.0 GiB elsewhere.");
	pm.domain.kind = OOM_MEMPOLICY;
	pm.domain.nodes[0] = 0x8000000000000037;
	pm.domain.nodes[1] = 1;
	pm.domain.nodes[15] = 1ull << 63;
	expect(&pm, "Only NUMA nodes 0-2,4-5,63-64,1023 were allowed (by a memory policy): 512.0 KiB were free there, "
		    "4.0 GiB elsewhere.");
	assert_string_equal(postmortem_nodes(&pm, nodes, 6), "0-2,4");
	assert_true(postmortem_allows_node(&pm, 1023));
	assert_false(postmortem_allows_node(&pm, 1024));
	pm.domain.kind = OOM_GLOBAL; /* whatever was allowed */
	expect(&pm, "The node itself ran out: no cgroup limit was reached.");
}

static void swap_that_counts_is_told(void **state)
{
	struct postmortem_task tasks[] = { { 5, "app", MIB(100), 0, 0, MIB(30), 0, 0, .victim = true },
					   { 6, "b", MIB(1), 0, 0, MIB(20), 0, 0, .victim = false } };
	struct postmortem pm = limited();

	(void)state;
	pm.domain.counter = "memory+swap";
	pm.tasks = tasks;
	pm.tasks_count = pm.tasks_total = 2;
	expect(&pm, "The limit of its own cgroup /a/b (200.0 MiB of memory+swap; swap held 50.0 MiB) was hit.");
	pm.domain.kind = OOM_DOMAIN_UNKNOWN;
	expect(&pm, "Memory plus swap reached its limit; swap held 50.0 MiB.");
	pm.domain.counter = NULL;
	pm.domain.swap_total_bytes = GIB(1);
	pm.domain.swap_free_bytes = 0;
	expect(&pm, "Memory and swap ran out; the node's swap was full (1.0 GiB).");
	pm.domain.swap_total_bytes = 0;
	expect_count(&pm, 2);
}

/* A kill for its oom_score_adj, of the smaller of two. */
static struct postmortem chosen_of(const struct postmortem_task tasks[2])
{
	struct postmortem pm = limited();

	pm.victim.anon_rss_bytes = MIB(80);
	pm.victim.oom_score_adj = 900;
	pm.tasks = tasks;
	pm.tasks_count = pm.tasks_total = 2;
	return pm;
}

static void a_score_that_hit_the_smaller_one_is_told(void **state)
{
	static const char wanted[] =
		"It was chosen by its oom_score_adj of 900; the larger holder is redis (pid 9) with 110.0 MiB.";
	struct postmortem_task tasks[] = { { 9, "redis", MIB(100), MIB(10), 0, 0, 0, 100, .victim = false },
					   { 5, "app", MIB(80), 0, 0, 0, 0, 900, .victim = true } };
	struct postmortem pm = chosen_of(tasks);

	(void)state;
	expect(&pm, wanted);
	tasks[0].oom_score_adj = 900;
	assert_false(has(&pm, wanted));
	tasks[0].oom_score_adj = POSTMORTEM_ADJ_UNKNOWN;
	expect_count(&pm, 3);
	tasks[0].oom_score_adj = 100;
	pm.victim.oom_score_adj = POSTMORTEM_ADJ_UNKNOWN;
	expect_count(&pm, 3);
	pm.victim.oom_score_adj = 900;
	pm.victim.anon_rss_bytes = MIB(100); /* half of the domain */
	assert_false(has(&pm, wanted));
	pm.victim.anon_rss_bytes = MIB(99);
	expect(&pm, wanted);
	tasks[0].anon_rss_bytes = MIB(89); /* and 10 of files: as much as the victim */
	expect_count(&pm, 3);
	tasks[0].anon_rss_bytes = MIB(100);
	tasks[1].anon_rss_bytes = MIB(150); /* the victim is not another, whatever its row says */
	tasks[1].oom_score_adj = 0;
	expect(&pm, wanted);
}

static void the_larger_holder_is_named_with_its_container_if_that_is_another(void **state)
{
	struct postmortem_task tasks[] = {
		{ .pid = 9, .comm = "redis", .anon_rss_bytes = MIB(110), .oom_score_adj = 100, .container = &web },
		{ .pid = 5, .comm = "app", .anon_rss_bytes = MIB(80), .oom_score_adj = 900, .victim = true },
	};
	struct postmortem pm = chosen_of(tasks);

	(void)state;
	expect(&pm, "It was chosen by its oom_score_adj of 900; the larger holder is redis (pid 9, container web/app) "
		    "with 110.0 MiB.");
	pm.victim.container = &web;
	expect(&pm, "It was chosen by its oom_score_adj of 900; the larger holder is redis (pid 9) with 110.0 MiB.");
}

static void many_small_processes_are_a_problem_of_their_number(void **state)
{
	struct postmortem_task tasks[50];
	struct postmortem pm = limited();
	size_t i;

	(void)state;
	for (i = 0; i < 50; i++)
		tasks[i] = (struct postmortem_task){ .pid = 10 + i, .comm = "w", .anon_rss_bytes = MIB(4) };
	pm.tasks = tasks;
	pm.tasks_count = pm.tasks_total = 50;
	expect(&pm, "50 processes of about 4.0 MiB each: a fork or worker-count problem.");
	pm.tasks_total = 800;
	expect(&pm, "800 processes, the largest 50 of about 4.0 MiB each: a fork or worker-count problem.");
	tasks[0].anon_rss_bytes = MIB(21);
	expect_count(&pm, 3);
	tasks[0].anon_rss_bytes = MIB(4);
	pm.tasks_count = pm.tasks_total = 49;
	expect_count(&pm, 3);
}

static void memory_that_is_no_processs_is_told(void **state)
{
	struct postmortem pm = limited();

	(void)state;
	pm.domain.has_stat = true;
	pm.domain.stat_file = MIB(90);
	pm.domain.stat_shmem = MIB(61);
	expect(&pm, "61.0 MiB (31%) are files in tmpfs or shared memory: killing a process does not free them.");
	pm.domain.stat_shmem = MIB(29);
	expect(&pm, "61.0 MiB (31%) of page cache could not be reclaimed (dirty or locked).");
	pm.domain.stat_shmem = MIB(30);
	expect_count(&pm, 3);
	pm.domain.stat_pagetables = MIB(11);
	expect(&pm, "Page tables alone take 11.0 MiB (6%): many sparse or shared mappings; huge pages would help.");
	pm.domain.stat_slab = MIB(40);
	expect(&pm, "51.0 MiB (26%) are kernel memory, mostly slab (40.0 MiB); no process's RSS shows it.");
	pm.domain.stat_sock = MIB(41);
	expect(&pm, "92.0 MiB (46%) are kernel memory, mostly socket buffers (41.0 MiB); no process's RSS shows it.");
	pm.domain.has_stat = false;
	expect_count(&pm, 3);
}

static void page_tables_of_processes_count_where_the_cgroup_does_not_tell(void **state)
{
	struct postmortem_task tasks[] = { { 5, "app", MIB(100), 0, 0, 0, MIB(8), 0, .victim = true },
					   { 6, "b", MIB(1), 0, 0, 0, MIB(3), 0, .victim = false } };
	struct postmortem pm = limited();

	(void)state;
	pm.tasks = tasks;
	pm.tasks_count = pm.tasks_total = 2;
	expect(&pm, "Page tables alone take 11.0 MiB (6%): many sparse or shared mappings; huge pages would help.");
}

#define SITE(source_, mib, function_) \
	{ .source = (source_), .outstanding_bytes = MIB(mib), .frames_count = 1, \
	  .frames = &(const struct frame){ .function = (function_), .module = "/usr/lib/x.so", .offset = 0x40 } }

static void the_three_largest_sites_are_told(void **state)
{
	const struct board_row rows[] = {
		SITE(HB_SRC_MALLOC, 20, "b"), SITE(HB_SRC_DIRECT, 50, "a"), SITE(HB_SRC_MMAP, 20, NULL),
		SITE(HB_SRC_MALLOC, 3, "d"), SITE(HB_SRC_MALLOC, 0, "e"),
	};
	struct postmortem pm = plain();

	(void)state;
	pm.holders = rows;
	pm.holders_count = 5;
	expect(&pm, "Held by a 50.0 MiB (direct, 50%), b 20.0 MiB (malloc, 20%), x.so+0x40 20.0 MiB (mmap, 20%); "
		    "7.0 MiB (7%) are not attributed.");
	pm.victim.anon_rss_bytes = MIB(60); /* not all of it was resident */
	pm.holders_count = 2;
	expect(&pm, "Held by a 50.0 MiB (direct, 83%), b 20.0 MiB (malloc, 33%).");
	pm.victim.anon_rss_bytes = POSTMORTEM_UNKNOWN;
	expect(&pm, "Held by a 50.0 MiB (direct), b 20.0 MiB (malloc).");
}

static void a_site_in_malloc_or_memset_is_named_by_who_called_it(void **state)
{
	const struct frame frames[] = { { .function = NULL, .module = "libc.so.6" }, { .function = "malloc" },
					{ .function = "operator new(unsigned long)" }, { .function = "fill" },
					{ .function = "main" } };
	const struct frame filling[] = { { .function = "__memset_avx2_unaligned_erms" },
					 { .function = "Copy::fill_to_memory_atomic(void*, unsigned long)" },
					 { .function = "Unsafe_SetMemory0" } };
	struct board_row row = { .frames = frames, .frames_count = 5 };
	char name[64];

	(void)state;
	assert_string_equal(postmortem_site_name(&row, name, sizeof(name)), "fill");
	row.frames_count = 3; /* nobody is known who called it */
	assert_string_equal(postmortem_site_name(&row, name, sizeof(name)), "malloc");
	row.frames_count = 1;
	assert_string_equal(postmortem_site_name(&row, name, sizeof(name)), "libc.so.6+0x0");
	row = (struct board_row){ .frames = filling, .frames_count = 3 };
	assert_string_equal(postmortem_site_name(&row, name, sizeof(name)), "Unsafe_SetMemory0");
}

static void pages_are_never_added_to_other_sources(void **state)
{
	const struct board_row rows[] = {
		SITE(HB_SRC_MALLOC, 90, "b"), SITE(HB_SRC_PAGES, 60, "a"),
		{ .source = HB_SRC_PAGES, .outstanding_bytes = 9 },
	};
	struct postmortem pm = plain();

	(void)state;
	pm.holders = rows;
	pm.holders_count = 3;
	pm.holders_explained_bytes = MIB(75);
	expect(&pm, "Held by a 60.0 MiB (pages, 60%), unknown stack 9 B (pages, <1%); "
		    "25.0 MiB (25%) are not attributed.");
	pm.holders_explained_bytes = 0;
	expect(&pm, "Held by a 60.0 MiB (pages, 60%), unknown stack 9 B (pages, <1%); "
		    "40.0 MiB (40%) are not attributed.");
	assert_false(postmortem_counts_row(&pm, &rows[0]));
	assert_true(postmortem_counts_row(&pm, &rows[1]));
}

static void of_each_source_so_many_rows_are_shown_as_were_asked_for(void **state)
{
	const struct board_row rows[] = {
		{ .rank = 1, .source = HB_SRC_PAGES }, { .rank = 2, .source = HB_SRC_PAGES },
		{ .rank = 3, .source = HB_SRC_PAGES }, { .rank = 1, .source = HB_SRC_MALLOC },
	};
	const bool shown[] = { true, true, false, true };
	struct postmortem pm = plain();

	(void)state;
	pm.holders_shown = 2;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(postmortem_shows_row(&pm, &rows[i]), shown[i]);
	pm.holders_shown = 0; /* all */
	assert_true(postmortem_shows_row(&pm, &rows[2]));
}

static void a_java_heap_that_does_not_fit_is_told(void **state)
{
	struct postmortem pm = limited();

	(void)state;
	pm.java_heap_max_bytes = MIB(150);
	pm.java_direct_bytes = MIB(51);
	expect(&pm, "-Xmx allows 150.0 MiB of Java heap, and with 51.0 MiB of direct buffers that does not fit in "
		    "the limit of 200.0 MiB.");
	pm.java_direct_bytes = MIB(50);
	expect_count(&pm, 3);
	pm.java_heap_max_bytes = MIB(201);
	pm.java_direct_bytes = POSTMORTEM_UNKNOWN;
	expect(&pm, "-Xmx allows 201.0 MiB of Java heap: that does not fit in the limit of 200.0 MiB.");
}

static void what_a_jvm_holds_outside_of_its_heap_is_told(void **state)
{
	const struct board_row row = SITE(HB_SRC_PAGES, 70, "a");
	struct postmortem pm = plain();

	(void)state;
	pm.holders = &row;
	pm.holders_count = 1;
	pm.java_heap_max_bytes = MIB(32);
	expect(&pm, "Held by a 70.0 MiB (pages, 70%); 30.0 MiB (30%) are not attributed; -Xmx allows 32.0 MiB of Java "
		    "heap: at least 68.0 MiB are outside of it.");
	pm.java_heap_max_bytes = MIB(75);
	expect(&pm, "Held by a 70.0 MiB (pages, 70%); 30.0 MiB (30%) are not attributed.");
	pm.java_heap_max_bytes = MIB(101);
	expect(&pm, "Held by a 70.0 MiB (pages, 70%); 30.0 MiB (30%) are not attributed.");
}

static void growth_is_told_from_a_burst_and_from_standing_still(void **state)
{
	struct postmortem_sample samples[61];
	struct postmortem pm = limited();
	size_t i;

	(void)state;
	pm.victim.file_rss_bytes = MIB(20); /* 120 MiB resident at the kill */
	pm.history = samples;
	pm.history_count = 61;
	for (i = 0; i < 61; i++)
		samples[i] = (struct postmortem_sample){ 60 - (double)i, MIB(60 + i), POSTMORTEM_UNKNOWN };
	expect(&pm, "It grew by 1.0 MiB/s for the last 57s.");
	for (i = 0; i < 61; i++)
		samples[i].rss_bytes = MIB(i < 59 ? 60 : 120);
	expect(&pm, "It grew in a burst: by 60.0 MiB in the last 2.0s.");
	for (i = 0; i < 11; i++) /* young, and at one pace all its life */
		samples[i] = (struct postmortem_sample){ 10 - (double)i, MIB(12 * i), POSTMORTEM_UNKNOWN };
	pm.history_count = 11;
	expect(&pm, "It grew by 12.0 MiB/s for the last 10s.");
	pm.history_count = 61;
	for (i = 0; i < 61; i++)
		samples[i] = (struct postmortem_sample){ 60 - (double)i, MIB(119), POSTMORTEM_UNKNOWN };
	expect(&pm, "It was steady for 1m00s at 120.0 MiB, 60% of the limit.");
	for (i = 0; i < 61; i++)
		samples[i].rss_bytes = MIB(i < 55 ? 180 : 119);
	expect(&pm, "It held between 119.0 MiB and 180.0 MiB in the 1m00s before.");
	for (i = 0; i < 61; i++)
		samples[i] = (struct postmortem_sample){ 600 - 10 * (double)i, MIB(60 + i), POSTMORTEM_UNKNOWN };
	expect(&pm, "It grew by 102.4 KiB/s for the last 9m30s.");
}

static void what_was_waited_for_memory_is_told_behind_the_growth(void **state)
{
	const struct postmortem_sample samples[] = { { 60, MIB(100), POSTMORTEM_UNKNOWN } };
	struct postmortem pm = limited();

	(void)state;
	pm.history = samples;
	pm.history_count = 1;
	pm.domain.pressure_some_10s = pm.domain.pressure_some_60s = 999;
	expect(&pm, "It was steady for 1m00s at 100.0 MiB, 50% of the limit.");
	pm.domain.pressure_some_10s = 4349;
	expect(&pm, "It was steady for 1m00s at 100.0 MiB, 50% of the limit; 43% of the last 10s somebody waited for "
		    "memory there.");
	pm.domain.kind = OOM_GLOBAL;
	pm.domain.pressure_some_60s = 1250;
	expect(&pm, "It was steady for 1m00s at 100.0 MiB, 50% of the limit; 13% of the last minute somebody waited "
		    "for memory on the host.");
}

static void samples_that_make_no_sense_are_passed_over(void **state)
{
	const struct postmortem_sample samples[] = {
		{ -1, 5, 5 }, { 0.0 / 0.0, 5, 5 }, { 1.0 / 0.0, 5, 5 }, { 10, POSTMORTEM_UNKNOWN, 5 },
	};
	struct postmortem pm = plain();

	(void)state;
	pm.history = samples;
	pm.history_count = 4;
	expect(&pm, "How it grew is not known: 0 samples were taken before the kill.");
}

static void kills_before_are_counted(void **state)
{
	const struct postmortem_sample sample = { 20, MIB(100), POSTMORTEM_UNKNOWN };
	struct postmortem pm = plain();

	(void)state;
	pm.kills_before = 4;
	pm.kills_before_lived_s[0] = 95;
	pm.kills_before_lived_s[1] = 101;
	expect(&pm, "Kill number 5 of this cgroup in 10 min, those before lived 1m35s to 1m41s.");
	pm.kills_before_lived_s[1] = 95;
	expect(&pm, "Kill number 5 of this cgroup in 10 min, those before lived 1m35s.");
	pm.history = &sample;
	pm.history_count = 1;
	expect(&pm, "It was steady for 20s at 100.0 MiB; "
		    "kill number 5 of this cgroup in 10 min, those before lived 1m35s.");
}

static void what_was_odd_is_told_last(void **state)
{
	struct postmortem pm = plain();

	(void)state;
	pm.group_count = 3;
	expect(&pm, "The whole cgroup was killed (memory.oom.group): 3 processes so far.");
	pm.trigger.comm = "backup";
	pm.trigger.pid = 77;
	pm.trigger.other_cgroup = true;
	pm.trigger.cgroup = "/system/backup";
	expect(&pm, "The memory was asked for by backup (pid 77) of another cgroup, /system/backup.");
	pm.trigger.container = &web;
	expect(&pm, "The memory was asked for by backup (pid 77, container web/app) of another cgroup, "
		    "/system/backup.");
	pm.trigger.container = NULL;
	pm.trigger.kind = OOM_TRIGGER_KERNEL;
	expect(&pm, "The memory was asked for by backup (pid 77), a thread of the kernel.");
	pm.trigger.gfp_known = true;
	pm.trigger.order = 9;
	expect(&pm, "A request for 512 contiguous pages failed: fragmentation, not lack of memory.");
	pm.victim.already_dying = true;
	expect(&pm, "It (pid 5) was already exiting; the kernel only let it finish: not counted as a kill.");
	expect(&pm, "app (pid 5) was exiting when memory ran out: it held 100.0 MiB of anonymous memory.");
}

static void a_small_request_fails_for_fragmentation_only_if_much_is_free(void **state)
{
	static const char wanted[] =
		"A request for 4 contiguous pages failed with 2.0 GiB free: fragmentation, not lack of memory.";
	struct postmortem pm = plain();

	(void)state;
	pm.domain.kind = OOM_GLOBAL;
	pm.domain.usage_bytes = GIB(15);
	pm.domain.free_bytes = GIB(2) + MIB(100); /* of which the victim's may be */
	pm.trigger.gfp_known = true;
	pm.trigger.order = 2;
	expect(&pm, wanted);
	pm.trigger.order = 0;
	assert_false(has(&pm, wanted));
	pm.trigger.order = 2;
	pm.domain.free_bytes = GIB(1) + MIB(600);
	expect_count(&pm, 3);
	pm.trigger.order = INT32_MAX;
	expect_count(&pm, 3);
}

static void long_names_are_cut_at_the_end_and_paths_at_the_beginning(void **state)
{
	char name[66];
	struct postmortem pm = limited();

	(void)state;
	memset(name, 'n', 65);
	name[64] = '\0';
	pm.victim.comm = name;
	pm.victim.anon_rss_bytes = POSTMORTEM_UNKNOWN;
	expect(&pm, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn (pid 5) was killed.");
	name[64] = 'n';
	name[65] = '\0';
	expect(&pm, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn... (pid 5) was killed.");
	name[0] = '/';
	name[64] = 'e';
	pm.victim.cgroup = pm.domain.cgroup = name;
	expect(&pm, "The limit of its own cgroup ...nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnne "
		    "(200.0 MiB) was hit.");
}

/* Names of every length, of every byte, everywhere a name can be. */
static void hostile_names_make_printable_ascii_that_fits(void **state)
{
	static char name[4096];
	struct container_info container;
	const struct frame frame = { .function = name, .module = name };
	const struct board_row rows[] = {
		{ .source = HB_SRC_MALLOC, .outstanding_bytes = UINT64_MAX - 1, .frames = &frame, .frames_count = 1 },
		{ .source = 77, .outstanding_bytes = UINT64_MAX - 1, .frames = &frame, .frames_count = 1 },
		{ .source = HB_SRC_MMAP, .outstanding_bytes = 3, .frames = &frame, .frames_count = 1 },
	};
	const struct postmortem_task task = { .pid = 9, .comm = name, .anon_rss_bytes = UINT64_MAX - 1,
					      .file_rss_bytes = POSTMORTEM_UNKNOWN, .oom_score_adj = -1000 };
	struct postmortem_verdict verdict;
	struct postmortem pm = limited();
	size_t i, length, j;

	(void)state;
	memset(&container, 0xff, sizeof(container));
	container.id[64] = container.name[253] = container.pod[253] = container.pod_uid[39] = '\0';
	pm.victim.comm = pm.trigger.comm = pm.domain.counter = pm.trigger.cgroup = name;
	pm.victim.container = &container;
	pm.victim.cgroup = "/other";
	pm.victim.anon_rss_bytes = MIB(50);
	pm.victim.oom_score_adj = 1000;
	pm.victim.lifetime_ns = UINT64_MAX - 1;
	pm.domain.cgroup = name;
	pm.domain.swap_total_bytes = UINT64_MAX - 1;
	pm.domain.swap_free_bytes = 0;
	pm.trigger.other_cgroup = true;
	pm.tasks = &task;
	pm.tasks_count = pm.tasks_total = 1;
	pm.holders = rows;
	pm.holders_count = 3;
	pm.java_heap_max_bytes = UINT64_MAX - 1;
	pm.kills_before = UINT32_MAX;
	for (length = 0; length < sizeof(name) - 1; length += length < 300 ? 1 : 500) {
		for (i = 0; i < length; i++)
			name[i] = (char)(1 + (i * 7 + length) % 255);
		name[length] = '\0';
		postmortem_judge(&pm, &verdict);
		assert_int_equal(verdict.count, POSTMORTEM_SENTENCES_MAX);
		for (i = 0; i < verdict.count; i++) {
			assert_in_range(strlen(verdict.sentences[i]), 1, POSTMORTEM_SENTENCE_BYTES - 1);
			assert_int_equal(verdict.sentences[i][strlen(verdict.sentences[i]) - 1], '.');
			for (j = 0; verdict.sentences[i][j]; j++)
				assert_in_range(verdict.sentences[i][j], 0x20, 0x7e);
		}
	}
}

static void kinds_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(postmortem_domain_name(OOM_MEMCG), "memcg");
	assert_string_equal(postmortem_domain_name(OOM_GLOBAL), "global");
	assert_string_equal(postmortem_domain_name(OOM_CPUSET), "cpuset");
	assert_string_equal(postmortem_domain_name(OOM_MEMPOLICY), "mempolicy");
	assert_null(postmortem_domain_name(OOM_DOMAIN_UNKNOWN));
	assert_string_equal(postmortem_trigger_name(OOM_TRIGGER_TASK), "task");
	assert_string_equal(postmortem_trigger_name(OOM_TRIGGER_KERNEL), "kernel");
	assert_string_equal(postmortem_trigger_name(OOM_TRIGGER_SYSRQ), "sysrq");
}

static void a_sum_leaves_out_what_is_unknown_and_never_wraps(void **state)
{
	const uint64_t numbers[] = { 3, POSTMORTEM_UNKNOWN, 4, UINT64_MAX - 5 };

	(void)state;
	assert_int_equal(postmortem_sum(numbers, 3), 7);
	assert_true(postmortem_sum(numbers + 1, 1) == POSTMORTEM_UNKNOWN);
	assert_true(postmortem_sum(numbers, 4) == POSTMORTEM_UNKNOWN);
	assert_true(postmortem_sum(numbers, 0) == POSTMORTEM_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_died_is_always_said),
		cmocka_unit_test(a_container_is_named_by_what_is_known_of_it),
		cmocka_unit_test(a_victim_of_a_unit_is_named_with_it),
		cmocka_unit_test(the_own_limit_is_told_from_that_of_an_ancestor),
		cmocka_unit_test(the_limit_of_a_pod_is_called_so),
		cmocka_unit_test(a_node_that_ran_out_says_what_it_has),
		cmocka_unit_test(numa_nodes_and_sysrq_are_told),
		cmocka_unit_test(the_nodes_that_were_allowed_are_told_with_what_was_free),
		cmocka_unit_test(swap_that_counts_is_told),
		cmocka_unit_test(a_score_that_hit_the_smaller_one_is_told),
		cmocka_unit_test(the_larger_holder_is_named_with_its_container_if_that_is_another),
		cmocka_unit_test(many_small_processes_are_a_problem_of_their_number),
		cmocka_unit_test(memory_that_is_no_processs_is_told),
		cmocka_unit_test(page_tables_of_processes_count_where_the_cgroup_does_not_tell),
		cmocka_unit_test(the_three_largest_sites_are_told),
		cmocka_unit_test(a_site_in_malloc_or_memset_is_named_by_who_called_it),
		cmocka_unit_test(pages_are_never_added_to_other_sources),
		cmocka_unit_test(of_each_source_so_many_rows_are_shown_as_were_asked_for),
		cmocka_unit_test(a_java_heap_that_does_not_fit_is_told),
		cmocka_unit_test(what_a_jvm_holds_outside_of_its_heap_is_told),
		cmocka_unit_test(growth_is_told_from_a_burst_and_from_standing_still),
		cmocka_unit_test(what_was_waited_for_memory_is_told_behind_the_growth),
		cmocka_unit_test(samples_that_make_no_sense_are_passed_over),
		cmocka_unit_test(kills_before_are_counted),
		cmocka_unit_test(what_was_odd_is_told_last),
		cmocka_unit_test(a_small_request_fails_for_fragmentation_only_if_much_is_free),
		cmocka_unit_test(long_names_are_cut_at_the_end_and_paths_at_the_beginning),
		cmocka_unit_test(hostile_names_make_printable_ascii_that_fits),
		cmocka_unit_test(kinds_have_their_names),
		cmocka_unit_test(a_sum_leaves_out_what_is_unknown_and_never_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
