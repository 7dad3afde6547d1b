// SPDX-License-Identifier: Apache-2.0
/*
 * One OOM kill in, each view's exact bytes out. UPDATE_GOLDEN=1 rewrites the expected files: look at
 * the difference before you keep it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../user/view/postmortem.h"
#include "golden.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define KIB(n) ((uint64_t)(n) * 1024)
#define MIB(n) (KIB(n) * 1024)

#define ID       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD      "/kubepods/burstable/pod7d2f5a1c-8a0b-4c39-9d50-6a1f5b7c2e11"
#define BUILD_ID "8f1c3ab2d4e5f60718293a4b5c6d7e8f90a1b2c3"
#define JVM      "/usr/lib/jvm/java-17/lib/server/libjvm.so"

#define NATIVE(function_, module_, offset_) \
	{ .kind = FRAME_NATIVE, .address = 0x7f1200000000 + (offset_), .function = (function_), \
	  .module = (module_), .build_id = BUILD_ID, .offset = (offset_) }
#define JIT(function_, address_) \
	{ .kind = FRAME_NATIVE, .address = (address_), .function = (function_), .module = "[jit]" }
#define KERNEL(function_, offset_) \
	{ .kind = FRAME_KERNEL, .address = 0xffffffff81000000 + (offset_), .function = (function_), \
	  .module = "[kernel]", .offset = (offset_) }

static const struct frame fault_frames[] = {
	KERNEL("out_of_memory", 0x2b1234),        KERNEL("mem_cgroup_out_of_memory", 0x3401a0),
	KERNEL("try_charge_memcg", 0x3425c1),     KERNEL("charge_memcg", 0x342e11),
	KERNEL("__mem_cgroup_charge", 0x344450),  KERNEL("do_anonymous_page", 0x2fd000),
	KERNEL("handle_mm_fault", 0x2ff210),      KERNEL("exc_page_fault", 0xb40a10),
	KERNEL("asm_exc_page_fault", 0xc00bc6),
	NATIVE("__memset_avx2_unaligned_erms", "/lib/x86_64-linux-gnu/libc.so.6", 0x16d9c0),
	NATIVE("Unsafe_SetMemory0", JVM, 0xe8c2f0),
	JIT("Lapp/Cache;::fill", 0x7f11d0001200),
};

static const struct frame cache_frames[] = {
	NATIVE("Unsafe_SetMemory0", JVM, 0xe8c2f0),
	JIT("Ljava/nio/DirectByteBuffer;::<init>", 0x7f11d0000800),
	JIT("Lapp/Cache;::fill", 0x7f11d0001200),
	NATIVE("thread_native_entry", JVM, 0xc3aa10),
};

static const struct frame heap_frames[] = {
	NATIVE("CollectedHeap::allocate_new_tlab", JVM, 0x5a1c00),
	JIT("Lapp/Main;::handle", 0x7f11d0003300),
	NATIVE("thread_native_entry", JVM, 0xc3aa10),
};

static const struct frame cut_frames[] = {
	{ .kind = FRAME_NATIVE, .function = "inflateInit2_", .module = "/usr/lib/libz.so.1", .offset = 0x4410,
	  .stopped = "no unwind rows for libnative.so" },
};

static const struct board_row holders[] = {
	{ .rank = 1, .gen = 3, .source = HB_SRC_PAGES, .outstanding_bytes = MIB(296), .outstanding_count = 1184,
	  .error_square = 1048576.0 * 1048576.0, .frames = cache_frames, .frames_count = COUNT_OF(cache_frames) },
	{ .rank = 2, .gen = 3, .source = HB_SRC_PAGES, .outstanding_bytes = MIB(240), .outstanding_count = 960,
	  .frames = heap_frames, .frames_count = COUNT_OF(heap_frames) },
	{ .rank = 3, .gen = 4, .source = HB_SRC_PAGES, .outstanding_bytes = MIB(30), .outstanding_count = 120,
	  .frames = cut_frames, .frames_count = COUNT_OF(cut_frames) },
	{ .rank = 4, .gen = 3, .source = HB_SRC_PAGES, .outstanding_bytes = MIB(6), .outstanding_count = 24,
	  .stack = HB_STACK_NONE },
	{ .rank = 1, .gen = 3, .source = HB_SRC_DIRECT, .outstanding_bytes = MIB(300), .outstanding_count = 300,
	  .allocated_bytes = MIB(310), .allocated_count = 310, .freed_bytes = MIB(10), .freed_count = 10,
	  .has_peak = true, .peak_bytes = MIB(300), .has_growth = true, .growth_bytes_per_s = 11534336,
	  .has_age = true, .oldest_s = 871.5, .frames = cache_frames + 1, .frames_count = COUNT_OF(cache_frames) - 1 },
};

static const struct postmortem_sample other_history[] = {
	{ 11.5, MIB(3), POSTMORTEM_UNKNOWN }, { 1.5, KIB(3312), POSTMORTEM_UNKNOWN },
};

static const struct container_info app = {
	.id = ID, .runtime = "containerd", .name = "app", .pod = "web", .namespace = "shop",
	.pod_uid = "7d2f5a1c-8a0b-4c39-9d50-6a1f5b7c2e11", .image = "registry.example/shop/app:1.8",
};

static const struct container_info sidecar = {
	.id = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210", .name = "side\033car", .pod = "web",
};

static const struct postmortem_task tasks[] = {
	{ 16021, "java", MIB(612), KIB(20560), 0, 0, KIB(1980), 0, .victim = true, .cgroup = POD "/" ID,
	  .container = &app },
	{ 16002, "entry\033.sh", KIB(412), KIB(2900), 0, POSTMORTEM_UNKNOWN, KIB(52), 0, .approximate = true,
	  .cgroup = POD "/other", .container = &sidecar, .history = other_history,
	  .history_count = COUNT_OF(other_history) },
};

static const struct postmortem_thread threads[] = {
	{ 16021, "java", heap_frames, COUNT_OF(heap_frames) },
	{ 16044, "pool-\033\xff", fault_frames + 9, 3 },
	{ 16050, "cache", cache_frames, 1 },
	{ 16051, "unknown", NULL, 0 },
	{ 16052, "deep", fault_frames, COUNT_OF(fault_frames) },
};

static const struct postmortem_loss losses[] = {
	{ LOSS_KILLS, 0 }, { HB_CNT_OOM_DROPPED, 1234 }, { LOSS_RECURSION, 2 }, { HB_CNT_FAULTS_FULL, 1 },
	{ HB_CNT_MOVES_FULL, 0 }, { LOSS_HUGE_UNSEEN, 3 },
};

static struct postmortem_sample history[70];

/* Steady for half a minute, then 11 MiB more every second. */
static void fill_history(void)
{
	size_t i;

	for (i = 0; i < COUNT_OF(history); i++) {
		double age_s = (double)(COUNT_OF(history) - i) - 0.4;
		uint64_t rss = age_s > 40 ? MIB(192) : MIB(192) + (uint64_t)((40 - age_s) * 11 * 1048576);

		history[i] = (struct postmortem_sample){ age_s, rss, rss + MIB(20) };
	}
	history[0].cgroup_bytes = POSTMORTEM_UNKNOWN;
}

static void fill_victim(struct postmortem *pm)
{
	pm->victim.pid = 16021;
	pm->victim.thread = 16021;
	pm->victim.comm = "java";
	pm->victim.cmdline = "java -Xmx512m -XX:MaxDirectMemorySize=512m -jar /opt/app.jar";
	pm->victim.uid = 1000;
	pm->victim.oom_score_adj = 0;
	pm->victim.cgroup = POD "/" ID;
	pm->victim.container = &app;
	pm->victim.badness_pages = 162307;
	pm->victim.page_bytes = 4096;
	pm->victim.lifetime_ns = 913400000000;
	pm->victim.start_unix_ns = 1795294197723456789;
	pm->victim.container_pid = 7;
	pm->victim.threads_count = 43;
	pm->victim.threads = threads;
	pm->victim.threads_shown = COUNT_OF(threads);
	pm->victim.marks_count = 1;
	pm->victim.freed_ns = 42300000;
	pm->victim.total_vm_bytes = MIB(4321);
	pm->victim.anon_rss_bytes = MIB(612);
	pm->victim.file_rss_bytes = KIB(20560);
	pm->victim.shmem_rss_bytes = 0;
	pm->victim.swap_bytes = 0;
	pm->victim.pgtables_bytes = KIB(1980);
}

static void fill_domain(struct postmortem *pm)
{
	pm->domain.kind = OOM_MEMCG;
	pm->domain.how = "kprobe";
	pm->domain.cgroup = POD "/" ID;
	pm->domain.counter = "memory";
	pm->domain.container = &app;
	pm->domain.limit_bytes = MIB(640);
	pm->domain.usage_bytes = MIB(640);
	pm->domain.has_stat = true;
	pm->domain.stat_how = "kernel";
	pm->domain.stat_anon = MIB(613);
	pm->domain.stat_file = MIB(18);
	pm->domain.stat_shmem = 0;
	pm->domain.stat_kernel_stack = KIB(688);
	pm->domain.stat_slab = MIB(4);
	pm->domain.stat_pagetables = KIB(2032);
	pm->domain.pressure_some_10s = 3105;
	pm->domain.pressure_some_60s = 1540;
	pm->domain.pressure_full_10s = 0;
	pm->domain.levels[0] = (struct postmortem_level){ POD "/" ID, MIB(640), MIB(640), MIB(640) };
	pm->domain.levels[1] = (struct postmortem_level){ POD, POSTMORTEM_UNKNOWN, MIB(641), MIB(642) };
	pm->domain.levels[2] = (struct postmortem_level){ "/", POSTMORTEM_UNKNOWN, POSTMORTEM_UNKNOWN,
							  POSTMORTEM_UNKNOWN };
	pm->domain.levels_count = 3;
}

static void fill_trigger(struct postmortem *pm)
{
	pm->trigger.pid = 16021;
	pm->trigger.thread = 16044;
	pm->trigger.comm = "java";
	pm->trigger.gfp_known = true;
	pm->trigger.gfp = 0xcc0;
	pm->trigger.order = 0;
	pm->trigger.cgroup = POD "/" ID;
	pm->trigger.container = &app;
	pm->trigger.frames = fault_frames;
	pm->trigger.frames_count = COUNT_OF(fault_frames);
}

/* A JVM whose heap and direct buffers do not both fit into its container. */
static struct postmortem java_story(void)
{
	struct postmortem pm;

	postmortem_init(&pm);
	pm.time_unix_ns = 1795295111123456789;
	pm.host = "node-7";
	pm.kernel = "6.18.44";
	pm.sequence = 3;
	fill_victim(&pm);
	fill_trigger(&pm);
	fill_domain(&pm);
	pm.tasks = tasks;
	pm.tasks_count = COUNT_OF(tasks);
	pm.tasks_total = 4;
	pm.holders = holders;
	pm.holders_count = COUNT_OF(holders);
	pm.holders_traced_ns = 871500000000;
	pm.holders_explained_bytes = MIB(572);
	pm.java_heap_max_bytes = MIB(512);
	pm.java_direct_bytes = MIB(300);
	pm.history = history;
	pm.history_count = COUNT_OF(history);
	pm.kills_before = 4;
	pm.kills_before_lived_s[0] = 95;
	pm.kills_before_lived_s[1] = 101.2;
	pm.losses = losses;
	pm.losses_count = COUNT_OF(losses);
	return pm;
}

static void expect(int (*write)(FILE *, const struct postmortem *, const struct view_style *),
		   const struct postmortem *pm, struct view_style style, const char *name)
{
	char *bytes = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&bytes, &size);

	assert_non_null(out);
	assert_int_equal(write(out, pm, &style), 0);
	fclose(out);
	expect_file(name, bytes);
	free(bytes);
}

static void text_tells_the_verdict_first_and_the_losses_last(void **state)
{
	struct postmortem pm = java_story();

	(void)state;
	expect(postmortem_text, &pm, (struct view_style){ 0 }, "postmortem.txt");
}

static void colored_text_fits_a_narrow_terminal(void **state)
{
	struct postmortem pm = java_story();

	(void)state;
	expect(postmortem_text, &pm, (struct view_style){ .color = true, .width = 72 }, "postmortem-narrow.txt");
}

/* Ten minutes as they are kept: ten seconds apart, then one. */
static void the_slope_has_all_ten_minutes(void **state)
{
	static struct postmortem_sample samples[120];
	struct postmortem pm = java_story();
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(samples); i++) {
		double age_s = i < 60 ? 650.5 - 10 * (double)i : 119.5 - (double)i;

		samples[i] = (struct postmortem_sample){ age_s, MIB(700) - (uint64_t)(age_s * 1048576),
							 POSTMORTEM_UNKNOWN };
	}
	samples[20].rss_bytes = MIB(690); /* for a moment */
	pm.history = samples;
	pm.history_count = COUNT_OF(samples);
	expect(postmortem_text, &pm, (struct view_style){ 0 }, "postmortem-slope.txt");
}

static void json_has_what_is_known(void **state)
{
	struct postmortem pm = java_story();

	(void)state;
	expect(postmortem_json, &pm, (struct view_style){ 0 }, "postmortem.json");
}

static void folded_stacks_are_those_of_resident_pages(void **state)
{
	struct postmortem pm = java_story();

	(void)state;
	expect(postmortem_folded, &pm, (struct view_style){ 0 }, "postmortem.folded");
	pm.holders = holders + 4;
	pm.holders_count = 1;
	expect(postmortem_folded, &pm, (struct view_style){ 0 }, "postmortem-direct.folded");
}

static void what_is_unknown_is_absent_or_a_dash(void **state)
{
	struct postmortem pm;

	(void)state;
	postmortem_init(&pm);
	pm.time_unix_ns = 1795295111123456789;
	pm.victim.pid = pm.victim.thread = 5;
	pm.victim.comm = "x\xff\033[31m\n";
	expect(postmortem_text, &pm, (struct view_style){ 0 }, "postmortem-unknown.txt");
	expect(postmortem_json, &pm, (struct view_style){ 0 }, "postmortem-unknown.json");
	expect(postmortem_folded, &pm, (struct view_style){ 0 }, "empty.folded");
}

static void fill_odd(struct postmortem *pm)
{
	pm->group = 1;
	pm->group_count = 3;
	pm->victim.thread = 16030;
	pm->victim.cmdline_how = "earlier";
	pm->victim.already_dying = true;
	pm->victim.approximate = true;
	pm->trigger.kind = OOM_TRIGGER_KERNEL;
	pm->trigger.gfp = 0xcc0 | 1 << 24;
	pm->trigger.order = 9;
	pm->trigger.other_cgroup = true;
	pm->trigger.cgroup = "/other\n\xfe";
	pm->trigger.container = NULL;
	pm->holders_approximate = ~0u;
	pm->holders_scaled = true;
	pm->domain.kind = OOM_GLOBAL;
	pm->domain.limit_bytes = POSTMORTEM_UNKNOWN;
	pm->domain.usage_bytes = MIB(15000);
	pm->domain.free_bytes = MIB(900);
	pm->domain.swap_total_bytes = MIB(2048);
	pm->domain.swap_free_bytes = 0;
	pm->domain.levels_count = 0;
	pm->domain.cgroup = NULL;
}

static void odd_kills_say_what_was_odd(void **state)
{
	struct postmortem pm = java_story();

	(void)state;
	fill_odd(&pm);
	expect(postmortem_text, &pm, (struct view_style){ .verbose = true }, "postmortem-odd.txt");
	expect(postmortem_json, &pm, (struct view_style){ 0 }, "postmortem-odd.json");
}

static void a_kill_of_one_node_tells_which_were_allowed(void **state)
{
	struct postmortem pm = java_story();

	(void)state;
	fill_odd(&pm);
	pm.domain.kind = OOM_CPUSET;
	pm.domain.stat_how = "file";
	pm.domain.nodes[0] = 0x16;
	pm.domain.nodes_free_bytes = KIB(640);
	pm.domain.elsewhere_free_bytes = MIB(899);
	expect(postmortem_text, &pm, (struct view_style){ 0 }, "postmortem-nodes.txt");
	expect(postmortem_json, &pm, (struct view_style){ 0 }, "postmortem-nodes.json");
}

static void samples_of_malloc_have_their_errors(void **state)
{
	const struct board_row row = {
		.rank = 1, .gen = 3, .source = HB_SRC_MALLOC, .outstanding_bytes = MIB(12), .outstanding_count = 12000,
		.allocated_bytes = MIB(40), .allocated_count = 40000, .freed_bytes = MIB(28), .freed_count = 28000,
		.sampled = true, .sampled_count = 190, .error_square = 1048576.0 * 1048576.0,
		.count_error_square = 900.0 * 900.0, .frames = heap_frames, .frames_count = COUNT_OF(heap_frames),
	};
	struct postmortem pm;

	(void)state;
	postmortem_init(&pm);
	pm.host = "node-7";
	pm.kernel = "6.18.44";
	pm.sequence = 3;
	fill_victim(&pm);
	pm.holders = &row;
	pm.holders_count = 1;
	pm.holders_traced_ns = 871500000000;
	pm.holders_sampling = "65536";
	expect(postmortem_text, &pm, (struct view_style){ 0 }, "postmortem-sampled.txt");
	expect(postmortem_json, &pm, (struct view_style){ 0 }, "postmortem-sampled.json");
	pm.holders_count = 0;
	pm.holders_sampling = "off";
	pm.holders_direct_off = true;
	expect(postmortem_text, &pm, (struct view_style){ 0 }, "postmortem-off.txt");
}

static void a_stream_that_is_full_is_an_error(void **state)
{
	int (*const writes[])(FILE *, const struct postmortem *, const struct view_style *) = {
		postmortem_text, postmortem_json, postmortem_folded,
	};
	struct postmortem pm = java_story();
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(writes); i++) {
		FILE *out = fopen("/dev/full", "w");

		assert_non_null(out);
		assert_int_equal(writes[i](out, &pm, NULL), -ENOSPC);
		fclose(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_tells_the_verdict_first_and_the_losses_last),
		cmocka_unit_test(colored_text_fits_a_narrow_terminal),
		cmocka_unit_test(the_slope_has_all_ten_minutes),
		cmocka_unit_test(json_has_what_is_known),
		cmocka_unit_test(folded_stacks_are_those_of_resident_pages),
		cmocka_unit_test(what_is_unknown_is_absent_or_a_dash),
		cmocka_unit_test(odd_kills_say_what_was_odd),
		cmocka_unit_test(a_kill_of_one_node_tells_which_were_allowed),
		cmocka_unit_test(samples_of_malloc_have_their_errors),
		cmocka_unit_test(a_stream_that_is_full_is_an_error),
	};

	fill_history();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
