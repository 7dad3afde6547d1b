// SPDX-License-Identifier: Apache-2.0
/*
 * One model in, each view's exact bytes out. UPDATE_GOLDEN=1 rewrites the expected files: look at
 * the difference before you keep it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/view/view.h"
#include "../../user/view/words.h"
#include "golden.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BUILD_ID  "8f1c3ab2d4e5f60718293a4b5c6d7e8f90a1b2c3"

#define IN_FILE(address_, function_, module_, build_id_, offset_) \
	{ .kind = FRAME_NATIVE, .address = (address_), .function = (function_), .module = (module_), \
	  .build_id = (build_id_), .offset = (offset_) }

static const struct frame row_frames[] = {
	IN_FILE(0x55d0c0de1234, "parse_row", "/usr/bin/app", BUILD_ID, 0x1234),
	IN_FILE(0x55d0c0de2000,
		"std::vector<std::pair<std::string, unsigned long>, "
		"std::allocator<std::pair<std::string, unsigned long> > >::_M_realloc_insert<"
		"std::string const&, unsigned long&>(int)",
		"/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30", NULL, 0x2000),
	IN_FILE(0x7f0000001000, NULL, "/opt/lib/libstripped.so.1", NULL, 0x1000),
	{ .kind = FRAME_UNKNOWN, .address = 0x7fdeadbeef00 },
};

/* A name may hold whatever its file's author liked. */
static const struct frame hostile_frames[] = {
	IN_FILE(0x401000, "evil\033[2J;\nfn\xff\"\\", "/tmp/a;b\nc\xc3(.so", NULL, 0x1000),
	IN_FILE(0x401100, "r\xc3\xa9sum\xc3\xa9", "/tmp/\xe2\x80\xaegpj.so", NULL, 0x1100),
};

/* What the DWARF of a file adds, code that lies in no file, a walk that ended early. */
static const struct frame named_frames[] = {
	{ .kind = FRAME_NATIVE, .inlined = true, .function = "grow<std::string, unsigned long>",
	  .module = "/usr/bin/app", .build_id = BUILD_ID, .offset = 0x1234, .file = "/build/src/grow.h", .line = 20 },
	{ .kind = FRAME_NATIVE, .inlined = true, .function = "append", .module = "/usr/bin/app",
	  .build_id = BUILD_ID, .offset = 0x1234 },
	{ .kind = FRAME_NATIVE, .function = "parse_row", .module = "/usr/bin/app", .build_id = BUILD_ID,
	  .offset = 0x1234, .file = "rows.c", .line = 118 },
	{ .kind = FRAME_NATIVE, .exact = true, .function = "handler", .module = "/usr/bin/app",
	  .build_id = BUILD_ID, .offset = 0x1300, .file = "../src/a;b\nc.c" },
	{ .kind = FRAME_NATIVE, .address = 0x7f3300001000, .function = "Lapp/Main;::run", .module = "[jit]" },
	{ .kind = FRAME_NATIVE, .address = 0x7f3300002000, .module = "[jit]" },
	{ .kind = FRAME_NATIVE, .module = "/usr/bin/app", .offset = 0x2000, .file = "odd.c", .line = 7 },
	{ .kind = FRAME_UNKNOWN },
	{ .kind = FRAME_NATIVE, .function = "main_loop", .module = "/opt/lib/libfoo.so", .offset = 0x3000,
	  .stopped = "no unwind rows for lib\033[31m;foo.so" },
};

#define IN_KERNEL(function_, module_, build_id_, offset_) \
	{ .kind = FRAME_KERNEL, .address = 0xffffffff81000000 + (offset_), .function = (function_), \
	  .module = (module_), .build_id = (build_id_), .offset = (offset_) }

static const struct frame kernel_frames[] = {
	IN_KERNEL("out_of_memory", "[kernel]", BUILD_ID, 0x2b1234),
	IN_KERNEL(NULL, "[kernel]", BUILD_ID, 0x2b4321),
	IN_KERNEL("nft_do_chain", "[nf_tables]", NULL, 0x42),
	IN_KERNEL(NULL, "[jit]", NULL, 0x43), /* a module may be called that */
	IN_KERNEL("bpf_prog_6deef7357e7b4530_hb_task_fork", "[bpf]", NULL, 0x1f),
	{ .kind = FRAME_KERNEL, .address = 0xffffffffc0000000 },
	IN_FILE(0x55d0c0de1234, "parse_row", "/usr/bin/app", BUILD_ID, 0x1234),
};

static struct frame deep_frames[20];

static const char *const java_allocators[] = { "glibc 2.36", "jemalloc 5.3.0" };
static const char *const other_allocators[] = { "glibc 2.36" };

static const struct container_info in_container = { .id = CONTAINER, .name = "app", .pod = "web-0" };

static const struct process_info processes[] = {
	{ .gen = 7, .pid = 4711, .start_unix_ns = 1795295000000000000, .comm = "java",
	  .cgroup = "/kubepods/pod1/" CONTAINER, .container = &in_container,
	  .allocators = java_allocators, .allocators_count = 2, .runtime = "jvm 17.0.15+6",
	  .rss_bytes = 2147483648,
	  .outstanding_bytes = 1610616832, .outstanding_count = 12346,
	  .allocated_bytes = 3221225472, .allocated_count = 24690,
	  .freed_bytes = 1610608640, .freed_count = 12344 },
	{ .gen = 9, .pid = 815, .image = 2, .comm = "x\033[31m\n\xff;y",
	  .cgroup = "/user\nslice\xfe",
	  .allocators = other_allocators, .allocators_count = 1, .exited = true,
	  .outstanding_bytes = 1000, .outstanding_count = 2,
	  .allocated_bytes = 1500, .allocated_count = 3, .freed_bytes = 400, .freed_count = 1 },
	{ .gen = 10, .pid = 16, .comm = "static",
	  .blind = "statically linked and stripped: no symbol for malloc" },
};

static const struct board_row rows[] = {
	{ .rank = 1, .gen = 7, .source = HB_SRC_DIRECT, .stack = 1,
	  .outstanding_bytes = 1610612736, .outstanding_count = 12345,
	  .allocated_bytes = 3221221376, .allocated_count = 24689,
	  .freed_bytes = 1610608640, .freed_count = 12344,
	  .has_peak = true, .peak_bytes = 1717986918, .has_growth = true,
	  .growth_bytes_per_s = 1258291.2, .has_age = true, .oldest_s = 303.25,
	  .frames = row_frames, .frames_count = COUNT_OF(row_frames) },
	{ .rank = 2, .gen = 7, .source = HB_SRC_MALLOC, .stack = 2,
	  .outstanding_bytes = 4096, .outstanding_count = 1,
	  .allocated_bytes = 4096, .allocated_count = 1,
	  .has_peak = true, .peak_bytes = 4096, .has_growth = true, .growth_bytes_per_s = -0.0625,
	  .frames = deep_frames, .frames_count = COUNT_OF(deep_frames) },
	{ .rank = 3, .gen = 9, .source = HB_SRC_MALLOC, .stack = 3,
	  .outstanding_bytes = 900, .outstanding_count = 1,
	  .allocated_bytes = 1300, .allocated_count = 2, .freed_bytes = 400, .freed_count = 1,
	  .has_peak = true, .peak_bytes = 1300,
	  .frames = hostile_frames, .frames_count = COUNT_OF(hostile_frames) },
	{ .rank = 4, .gen = 9, .source = HB_SRC_MALLOC, .stack = HB_STACK_NONE,
	  .outstanding_bytes = 100, .outstanding_count = 1,
	  .allocated_bytes = 100, .allocated_count = 1,
	  .has_peak = true, .peak_bytes = 100 },
	{ .rank = 5, .gen = 7, .source = HB_SRC_MALLOC, .stack = 5,
	  .allocated_bytes = 64, .allocated_count = 1, .freed_bytes = 64, .freed_count = 1,
	  .has_peak = true, .peak_bytes = 64,
	  .frames = row_frames, .frames_count = 1 },
};

static const struct report_hook hooks[] = {
	{ "malloc", "uprobe.session" },
	{ "direct", "uprobe" },
};

static const struct report_table tables[] = {
	{ "blocks", 996148, 1048576, "--max-blocks" },
	{ "sites", 5, 16384, "--max-sites" },
	{ "stacks", 0, 0, NULL },
};

static struct report full_report(void)
{
	return (struct report){
		.time_unix_ns = 1795295111123456789, .host = "node-7",
		.interval_s = 5, .since_s = 35.2,
		.hooks = hooks, .hooks_count = COUNT_OF(hooks),
		.processes = processes, .processes_count = COUNT_OF(processes),
		.rows = rows, .rows_count = COUNT_OF(rows), .rows_total = 314,
		.min_size = 64, .older_s = 0.5,
		.losses = { .counts = {
			[HB_CNT_BLOCK_FULL] = 12, [HB_CNT_BLOCK_FULL_BYTES] = 49152,
			[HB_CNT_RING_FULL] = 2, [HB_CNT_FREE_MISSED] = 3, [LOSS_LATE_ATTACH] = 1,
			[HB_CNT_FREE_UNKNOWN] = 1234567, [HB_CNT_BLOCKS_IN] = 37035,
			[HB_CNT_BLOCKS_OUT] = 24689 } },
		.tables = tables, .tables_count = COUNT_OF(tables),
	};
}

static void expect(const char *view, const struct report *report, struct view_style style,
		   const char *name)
{
	char *bytes = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&bytes, &size);

	assert_non_null(out);
	assert_non_null(view_find(view));
	assert_int_equal(view_find(view)->write(out, report, &style), 0);
	fclose(out);
	assert_int_equal(strlen(bytes), size);
	expect_file(name, bytes);
	free(bytes);
}

static void text_names_holders_and_ends_with_losses(void **state)
{
	struct report report = full_report();

	(void)state;
	expect("text", &report, (struct view_style){ 0 }, "full.txt");
}

static void verbose_text_leaves_nothing_out(void **state)
{
	struct report report = full_report();

	(void)state;
	expect("text", &report, (struct view_style){ .verbose = true, .width = 60 }, "verbose.txt");
}

static void narrow_colored_text_cuts_names_and_no_numbers(void **state)
{
	struct report report = full_report();

	(void)state;
	expect("text", &report, (struct view_style){ .color = true, .width = 60 }, "narrow.txt");
}

static void an_empty_report_says_so(void **state)
{
	struct report report = { .host = "node-7", .final = true, .since_s = 0.1 };

	(void)state;
	expect("text", &report, (struct view_style){ 0 }, "empty.txt");
	expect("json", &report, (struct view_style){ 0 }, "empty.json");
	expect("folded", &report, (struct view_style){ 0 }, "empty.folded");
}

static void json_is_one_line_of_valid_utf8(void **state)
{
	struct report report = full_report();

	(void)state;
	expect("json", &report, (struct view_style){ .color = true, .width = 10 }, "full.json");
}

static void folded_stacks_begin_with_their_process(void **state)
{
	struct report report = full_report();

	(void)state;
	expect("folded", &report, (struct view_style){ 0 }, "full.folded");
}

static void a_container_has_a_label_and_no_process(void **state)
{
	static const struct board_row grouped[] = {
		{ .rank = 1, .label = CONTAINER, .outstanding_bytes = 1610616832,
		  .outstanding_count = 12346,
		  .allocated_bytes = 3221225472, .allocated_count = 24690,
		  .freed_bytes = 1610608640, .freed_count = 12344 },
		{ .rank = 2, .label = "/user\nslice;\xfe", .source = HB_SRC_MALLOC,
		  .outstanding_bytes = 1000, .outstanding_count = 2, .allocated_bytes = 1400,
		  .allocated_count = 3, .freed_bytes = 400, .freed_count = 1 },
	};
	struct report report = full_report();

	(void)state;
	report.group = GROUP_CONTAINER;
	report.rows = grouped;
	report.rows_count = report.rows_total = COUNT_OF(grouped);
	memset(&report.losses, 0, sizeof(report.losses));
	expect("text", &report, (struct view_style){ 0 }, "container.txt");
	expect("json", &report, (struct view_style){ 0 }, "container.json");
	expect("folded", &report, (struct view_style){ 0 }, "container.folded");
}

static void a_thread_has_its_number(void **state)
{
	static const struct board_row grouped[] = {
		{ .rank = 1, .gen = 7, .tid = 4720,
		  .outstanding_bytes = 4096, .outstanding_count = 1,
		  .allocated_bytes = 4096, .allocated_count = 1 },
	};
	struct report report = full_report();

	(void)state;
	report.group = GROUP_THREAD;
	report.rows = grouped;
	report.rows_count = report.rows_total = 1;
	report.processes_count = 1;
	expect("text", &report, (struct view_style){ 0 }, "thread.txt");
	expect("json", &report, (struct view_style){ 0 }, "thread.json");
	expect("folded", &report, (struct view_style){ 0 }, "thread.folded");
}

static void a_module_has_no_offset(void **state)
{
	static const struct frame module = { .kind = FRAME_NATIVE, .module = "/usr/bin/app",
					     .build_id = BUILD_ID };
	static const struct board_row grouped[] = {
		{ .rank = 1, .gen = 7, .source = HB_SRC_MALLOC, .outstanding_bytes = 4096,
		  .outstanding_count = 1, .allocated_bytes = 4096, .allocated_count = 1,
		  .frames = &module, .frames_count = 1 },
	};
	struct report report = full_report();

	(void)state;
	report.group = GROUP_MODULE;
	report.rows = grouped;
	report.rows_count = report.rows_total = 1;
	report.processes_count = 1;
	expect("text", &report, (struct view_style){ 0 }, "module.txt");
	expect("json", &report, (struct view_style){ 0 }, "module.json");
	expect("folded", &report, (struct view_style){ 0 }, "module.folded");
}

static const struct board_row named_rows[] = {
	{ .rank = 1, .gen = 7, .source = HB_SRC_MALLOC, .outstanding_bytes = 4096, .outstanding_count = 1,
	  .allocated_bytes = 4096, .allocated_count = 1,
	  .frames = named_frames, .frames_count = COUNT_OF(named_frames) },
	{ .rank = 2, .gen = 7, .source = HB_SRC_MALLOC, .outstanding_bytes = 64, .outstanding_count = 1,
	  .allocated_bytes = 64, .allocated_count = 1,
	  .frames = &named_frames[COUNT_OF(named_frames) - 1], .frames_count = 1 },
};

static struct report named_report(void)
{
	struct report report = full_report();

	report.rows = named_rows;
	report.rows_count = report.rows_total = COUNT_OF(named_rows);
	report.processes_count = 1;
	memset(&report.losses, 0, sizeof(report.losses));
	return report;
}

static void a_frame_says_where_it_was_written_and_a_cut_stack_why(void **state)
{
	struct report report = named_report();

	(void)state;
	expect("text", &report, (struct view_style){ 0 }, "named.txt");
	expect("text", &report, (struct view_style){ .verbose = true }, "named-verbose.txt");
	expect("text", &report, (struct view_style){ .color = true, .width = 50 }, "named-narrow.txt");
	expect("json", &report, (struct view_style){ 0 }, "named.json");
	expect("folded", &report, (struct view_style){ 0 }, "named.folded");
}

static void a_row_of_many_stacks_does_not_say_why_one_ended(void **state)
{
	struct report report = named_report();

	(void)state;
	report.group = GROUP_CALLSITE;
	report.rows = &named_rows[1];
	report.rows_count = report.rows_total = 1;
	expect("text", &report, (struct view_style){ 0 }, "callsite.txt");
	expect("json", &report, (struct view_style){ 0 }, "callsite.json");
	expect("folded", &report, (struct view_style){ 0 }, "callsite.folded");
}

static void a_frame_of_the_kernel_is_told_apart(void **state)
{
	static const struct board_row row = {
		.rank = 1, .gen = 7, .source = HB_SRC_MALLOC, .outstanding_bytes = 4096, .outstanding_count = 1,
		.allocated_bytes = 4096, .allocated_count = 1,
		.frames = kernel_frames, .frames_count = COUNT_OF(kernel_frames),
	};
	struct report report = named_report();

	(void)state;
	report.rows = &row;
	report.rows_count = report.rows_total = 1;
	expect("text", &report, (struct view_style){ 0 }, "kernel.txt");
	expect("text", &report, (struct view_style){ .verbose = true }, "kernel-verbose.txt");
	expect("json", &report, (struct view_style){ 0 }, "kernel.json");
	expect("folded", &report, (struct view_style){ 0 }, "kernel.folded");
}

static void stacks_are_summed_up_by_why_they_ended(void **state)
{
	static const struct report_table unwind_tables[] = {
		{ "stacks", 300, 32768, "--max-stacks" },
		{ "unwind pages", 3900, 4096, "--unwind-memory" },
	};
	struct report report = { .host = "node-7", .final = true, .tables = unwind_tables, .tables_count = 2 };

	(void)state;
	report.stacks.ended[HB_END_COMPLETE] = 1234321;
	expect("text", &report, (struct view_style){ 0 }, "stacks-complete.txt");
	report.stacks.ended[HB_END_DEPTH] = 247;
	report.stacks.ended[HB_END_NO_ROWS] = 123;
	report.stacks.ended[HB_END_BUSY] = 1;
	expect("text", &report, (struct view_style){ 0 }, "stacks.txt");
	expect("json", &report, (struct view_style){ 0 }, "stacks.json");
	report.stacks.ended[HB_END_COMPLETE] = UINT64_MAX / 2; /* rounds to all of them */
	expect("text", &report, (struct view_style){ 0 }, "stacks-most.txt");
}

static void mappings_are_told_beside_blocks_and_share_one_sum_with_them(void **state)
{
	static const struct process_info mapping[] = {
		{ .gen = 1, .pid = 4711, .comm = "app", .rss_bytes = 3 << 20, .mapped_bytes = 12 << 20,
		  .committed_bytes = 8 << 20, .mapped_before_bytes = 2 << 20, .mapped_by_allocators_bytes = 6 << 20,
		  .mapped_by_sites_bytes = 4 << 20, .outstanding_bytes = 1 << 20, .outstanding_count = 7,
		  .allocated_bytes = 1 << 20, .allocated_count = 7 },
		{ .gen = 2, .pid = 4712, .comm = "lost", .rss_bytes = 1 << 20, .mapped_bytes = 4096,
		  .committed_bytes = 4096, .mapped_before_bytes = 4096, .mapped_doubtful = true },
		{ .gen = 3, .pid = 4713, .comm = "unwatched", .rss_bytes = 1 << 20, .blocks_untraced = true },
		{ .gen = 4, .pid = 4714, .comm = "short", .mapped_bytes = 8192, .committed_bytes = 4096, .exited = true,
		  .mapped_doubtful = true },
	};
	static const struct board_row row[] = { {
		.rank = 1, .gen = 1, .source = HB_SRC_MMAP, .stack = 1, .outstanding_bytes = 4 << 20,
		.outstanding_count = 2, .allocated_bytes = 5 << 20, .allocated_count = 3, .freed_bytes = 1 << 20,
		.freed_count = 1, .frames = row_frames, .frames_count = 1,
	}, {
		.rank = 2, .gen = 1, .source = HB_SRC_MALLOC, .stack = 2, .outstanding_bytes = 1 << 20,
		.outstanding_count = 7, .allocated_bytes = 1 << 20, .allocated_count = 7, .frames = row_frames,
		.frames_count = 1,
	} };
	static const struct report_hook hook[] = { { "mmap", "tracepoint" } };
	struct report report = full_report();

	(void)state;
	report.processes = mapping;
	report.processes_count = COUNT_OF(mapping);
	report.rows = row;
	report.rows_count = report.rows_total = COUNT_OF(row);
	report.hooks = hook;
	report.hooks_count = 1;
	losses_skip(&report.losses, "hb_vm_prot_tx", 3);
	losses_skip(&report.losses, "hb_vm_mmap_tx", 12345);
	losses_skip(&report.losses, "hb_vm_unmap_te", 0);
	expect("text", &report, (struct view_style){ 0 }, "mappings.txt");
	expect("json", &report, (struct view_style){ 0 }, "mappings.json");
}

static void a_kernel_that_follows_frame_pointers_only_is_named(void **state)
{
	struct report report = { .host = "node-7", .final = true,
				 .unwinding_note = "this kernel lacks bpf_loop: stacks by frame pointers only" };

	(void)state;
	expect("text", &report, (struct view_style){ .color = true }, "pointers-none.txt");
	report.stacks.ended[HB_END_POINTERS] = 990;
	report.stacks.ended[HB_END_DEPTH] = 10;
	expect("text", &report, (struct view_style){ 0 }, "pointers.txt");
	expect("json", &report, (struct view_style){ 0 }, "pointers.json");
}

/* A shell's loop: 380 times a bash that becomes an ls, 20 daemons that live on, one of them unseen. */
#define LOOPS   380
#define DAEMONS 20
static struct process_info crowd[2 * LOOPS + DAEMONS];

static void fill_process(struct process_info *process, uint64_t bytes, uint64_t blocks)
{
	process->allocators = other_allocators;
	process->allocators_count = 1;
	process->outstanding_bytes = bytes;
	process->outstanding_count = blocks;
	process->allocated_bytes = 2 * bytes;
	process->allocated_count = 2 * blocks;
	process->freed_bytes = bytes;
	process->freed_count = blocks;
}

static struct report crowded_report(void)
{
	struct report report = full_report();
	size_t i;

	for (i = 0; i < LOOPS; i++) {
		struct process_info *bash = &crowd[2 * i], *ls = bash + 1;

		*bash = (struct process_info){ .gen = 1000 + 2 * i, .pid = 5000 + i, .comm = "bash",
					       .start_unix_ns = 1795295000000000000,
					       .exited = true };
		*ls = *bash;
		ls->gen++;
		ls->image = 1;
		ls->comm = "ls";
		ls->exited = i < 375;
		fill_process(bash, i == 3 ? 40960 : 80, 5);
		fill_process(ls, 1024, 4);
	}
	for (i = 0; i < DAEMONS; i++) {
		struct process_info *process = &crowd[2 * LOOPS + i];

		*process = (struct process_info){ .gen = 100 + i, .pid = 100 + i, .comm = "daemon",
						  .rss_bytes = 1048576 };
		if (i == 7)
			process->blind = "none of its files has malloc among its symbols";
		else
			fill_process(process, i < 15 ? 65536 * (i + 1) : 512, 1 + i);
	}
	report.processes = crowd;
	report.processes_count = COUNT_OF(crowd);
	memset(&report.losses, 0, sizeof(report.losses));
	return report;
}

static void of_many_processes_those_that_hold_most_are_listed(void **state)
{
	static const struct board_row owned[] = {
		{ .rank = 1, .gen = 114, .source = HB_SRC_MALLOC, .outstanding_bytes = 983040,
		  .outstanding_count = 15 },
		{ .rank = 2, .gen = 1006, .source = HB_SRC_MALLOC, .outstanding_bytes = 40960,
		  .outstanding_count = 5 },
		{ .rank = 3, .gen = 1007, .source = HB_SRC_MALLOC, .outstanding_bytes = 1024,
		  .outstanding_count = 4 },
	};
	struct report report = crowded_report();

	(void)state;
	report.rows = owned;
	report.rows_count = report.rows_total = COUNT_OF(owned);
	report.group = GROUP_PROCESS;
	expect("text", &report, (struct view_style){ 0 }, "crowd.txt");
}

static void twenty_processes_are_listed_and_one_more_is_summed_up(void **state)
{
	struct report report = crowded_report();

	(void)state;
	report.processes = crowd + 2 * LOOPS - 1;
	report.processes_count = 20;
	report.rows_count = report.rows_total = 0;
	expect("text", &report, (struct view_style){ 0 }, "twenty.txt");
	report.processes_count = 21;
	expect("text", &report, (struct view_style){ 0 }, "twentyone.txt");
}

static void an_image_before_an_exec_says_so_and_a_reused_pid_does_not(void **state)
{
	static const struct process_info images[] = {
		{ .gen = 1, .pid = 50, .comm = "sh", .start_unix_ns = 1000000900, .exited = true },
		{ .gen = 9, .pid = 50, .comm = "env", .start_unix_ns = 1000000700, .image = 1,
		  .exited = true },
		{ .gen = 3, .pid = 50, .comm = "app", .image = 2, .exited = true },
		{ .gen = 4, .pid = 50, .comm = "reused", .start_unix_ns = 2000000000, .exited = true },
		{ .gen = 6, .pid = 50, .comm = "missed", .start_unix_ns = 3000000000, .image = 1,
		  .exited = true },
		{ .gen = 5, .pid = 51, .comm = "late", .start_unix_ns = 3000000000, .image = 2 },
	};
	struct report report = { .host = "node-7", .final = true, .processes = images,
				 .processes_count = COUNT_OF(images) };

	(void)state;
	expect("text", &report, (struct view_style){ .verbose = true }, "exec.txt");
	expect("json", &report, (struct view_style){ 0 }, "exec.json");
}

static void hooks_on_the_same_rung_share_a_line(void **state)
{
	static const struct report_hook same[] = {
		{ "malloc", "uprobe.session" }, { "direct", "uprobe.session" }, { "mmap", "fexit" },
	};
	struct report report = { .host = "node-7", .hooks = same, .hooks_count = COUNT_OF(same) };

	(void)state;
	expect("text", &report, (struct view_style){ .verbose = true }, "hooks.txt");
}

static void pages_are_a_view_of_their_own_with_what_is_swapped_out_and_the_files(void **state)
{
	static const struct file_pages files[] = {
		{ "/usr/lib/jvm/lib/server/libjvm.so", 9437184, 5 }, { "/usr/lib/a;b\033[1m\n\xff.so", 2097152, 4 },
		{ "/usr/lib/locale/locale-archive", 700416, 1 }, { "/usr/bin/app", 4096, 2 },
	};
	static const struct process_info resident[] = {
		{ .gen = 7, .pid = 4711, .comm = "java", .rss_bytes = 536870912, .allocators = other_allocators,
		  .allocators_count = 1, .outstanding_bytes = 4096, .outstanding_count = 1,
		  .allocated_bytes = 4096, .allocated_count = 1,
		  .pages_known = true, .pages_bytes = 268435456, .pages_error_bytes = 1258291,
		  .pages_unattributed_bytes = 33554432,
		  .shared_with_bytes = 16777216, .swapped_bytes = 67108864, .moves_unseen = true,
		  .files_age_ns = 21000000000, .files_bytes = 12582912, .files = files, .files_count = COUNT_OF(files),
		  .files_left_out_bytes = 1099511627776 },
		{ .gen = 9, .pid = 815, .comm = "other", .blocks_untraced = true, .pages_known = true,
		  .pages_age_ns = 7340000000, .pages_bytes = 4194304 },
		{ .gen = 11, .pid = 816, .comm = "gone", .blocks_untraced = true, .pages_known = true, .exited = true,
		  .pages_age_ns = 300000000, .pages_bytes = 8388608 },
	};
	static const struct board_row views[] = {
		{ .rank = 1, .gen = 7, .source = HB_SRC_MALLOC, .stack = 1, .outstanding_bytes = 4096,
		  .outstanding_count = 1, .allocated_bytes = 4096, .allocated_count = 1, .has_peak = true,
		  .peak_bytes = 4096, .frames = row_frames, .frames_count = 1 },
		{ .rank = 1, .gen = 7, .source = HB_SRC_PAGES, .stack = 1, .outstanding_bytes = 268435456,
		  .outstanding_count = 1024, .sampled = true, .error_square = 67645734912.0, .has_age = true,
		  .oldest_s = 12.5, .frames = row_frames, .frames_count = 1 },
		{ .rank = 2, .gen = 7, .source = HB_SRC_PAGES, .stack = 2, .sampled = true,
		  .swapped_bytes = 67108864, .frames = row_frames, .frames_count = 2 },
	};
	struct report report = full_report();

	(void)state;
	report.processes = resident;
	report.processes_count = COUNT_OF(resident);
	report.rows = views;
	report.rows_count = COUNT_OF(views);
	report.rows_total = 31;
	memset(&report.losses, 0, sizeof(report.losses));
	expect("text", &report, (struct view_style){ 0 }, "pages.txt");
	expect("text", &report, (struct view_style){ .verbose = true }, "pages-verbose.txt");
	expect("json", &report, (struct view_style){ 0 }, "pages.json");
	expect("folded", &report, (struct view_style){ 0 }, "pages.folded");
	report.rows++;
	report.rows_count--;
	expect("folded", &report, (struct view_style){ 0 }, "pages-alone.folded");
}

static void estimates_are_told_with_their_error_and_changes_with_their_reason(void **state)
{
	static const struct process_info governed[] = {
		{ .gen = 1, .pid = 50, .comm = "busy", .allocators = other_allocators, .allocators_count = 1,
		  .governed = true, .malloc_level = BUDGET_FINE, .malloc_share = 0.0314, .sampled = true,
		  .error_bytes = 4096, .outstanding_bytes = 100000, .outstanding_count = 300,
		  .allocated_bytes = 100000, .allocated_count = 300 },
		{ .gen = 2, .pid = 51, .comm = "storm", .allocators = other_allocators, .allocators_count = 1,
		  .governed = true, .malloc_level = BUDGET_PAUSED, .blind = "it costs too much" },
		{ .gen = 3, .pid = 52, .comm = "calm", .allocators = other_allocators, .allocators_count = 1,
		  .governed = true, .malloc_share = 0.0004 },
		{ .gen = 4, .pid = 53, .comm = "java", .allocators = other_allocators, .allocators_count = 1,
		  .runtime = "jvm 17.0.15+6", .governed = true, .direct_governed = true, .direct_share = 0.0211 },
		{ .gen = 5, .pid = 54, .comm = "netty", .allocators = other_allocators, .allocators_count = 1,
		  .runtime = "jvm 17.0.15+6", .governed = true, .direct_governed = true,
		  .direct_level = BUDGET_PAUSED, .direct_blind = "its calls are too many", .mmap_priced = true,
		  .mmap_share = 0.123 },
	};
	static const struct board_row estimates[] = {
		{ .rank = 1, .gen = 1, .source = HB_SRC_MALLOC, .outstanding_bytes = 100000, .outstanding_count = 300,
		  .allocated_bytes = 100000, .allocated_count = 300, .sampled = true, .sampled_count = 2,
		  .error_square = 4096.0 * 4096, .count_error_square = 81 },
	};
	static const struct report_change changes[] = {
		{ .time_unix_ns = 1000000000, .gen = 1, .to = BUDGET_FINE, .share = 0.1416 },
		{ .time_unix_ns = 2500000000, .gen = 2, .from = BUDGET_COARSE, .to = BUDGET_PAUSED, .share = 2.5 },
		{ .time_unix_ns = 3500000000, .from = BUDGET_PAUSED, .to = BUDGET_COARSE },
		{ .time_unix_ns = 4500000000, .gen = 5, .direct = true, .to = BUDGET_PAUSED, .share = 0.62 },
	};
	struct report report = {
		.host = "node-7", .processes = governed, .processes_count = COUNT_OF(governed), .rows = estimates,
		.rows_count = 1, .rows_total = 1, .sampling = "auto", .changes = changes,
		.changes_count = COUNT_OF(changes),
	};

	(void)state;
	expect("text", &report, (struct view_style){ .verbose = true }, "governed.txt");
	expect("json", &report, (struct view_style){ 0 }, "governed.json");
	report.sampling = "524288";
	report.processes_count = report.rows_count = report.changes_count = 0;
	expect("text", &report, (struct view_style){ 0 }, "sampled.txt");
}

static void a_stream_that_is_full_is_an_error(void **state)
{
	static const char *const names[] = { "text", "json", "folded" };
	struct report report = full_report();
	struct view_style style = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(names); i++) {
		FILE *out = fopen("/dev/full", "w");

		assert_non_null(out);
		assert_int_equal(view_find(names[i])->write(out, &report, &style), -ENOSPC);
		fclose(out);
	}
}

static void a_view_is_found_by_its_whole_name(void **state)
{
	(void)state;
	assert_ptr_equal(view_find("json")->write, view_json);
	assert_false(view_find("folded")->every);
	assert_null(view_find("jso"));
	assert_null(view_find(""));
}

static void expect_decimal(double value, const char *wanted)
{
	char out[32];

	assert_string_equal(words_decimal(value, out), wanted);
}

static void decimals_are_plain_and_short(void **state)
{
	char out[32];

	(void)state;
	expect_decimal(0, "0.0");
	expect_decimal(5, "5.0");
	expect_decimal(35.2, "35.2");
	expect_decimal(0.0625, "0.063");
	expect_decimal(-0.0001, "0.0");
	expect_decimal(-1.5, "-1.5");
	expect_decimal(1e14, "100000000000000.0");
	expect_decimal(-1e18, "-1000000000000000000.0");
	assert_null(words_decimal(1e30, out));
	assert_null(words_decimal(1.0 / 0.0, out));
}

static void numbers_have_commas_at_thousands(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(words_number(0, out), "0");
	assert_string_equal(words_number(999, out), "999");
	assert_string_equal(words_number(1000, out), "1,000");
	assert_string_equal(words_number(UINT64_MAX, out), "18,446,744,073,709,551,615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_names_holders_and_ends_with_losses),
		cmocka_unit_test(verbose_text_leaves_nothing_out),
		cmocka_unit_test(narrow_colored_text_cuts_names_and_no_numbers),
		cmocka_unit_test(an_empty_report_says_so),
		cmocka_unit_test(json_is_one_line_of_valid_utf8),
		cmocka_unit_test(folded_stacks_begin_with_their_process),
		cmocka_unit_test(a_container_has_a_label_and_no_process),
		cmocka_unit_test(a_thread_has_its_number),
		cmocka_unit_test(a_module_has_no_offset),
		cmocka_unit_test(a_frame_says_where_it_was_written_and_a_cut_stack_why),
		cmocka_unit_test(a_row_of_many_stacks_does_not_say_why_one_ended),
		cmocka_unit_test(a_frame_of_the_kernel_is_told_apart),
		cmocka_unit_test(stacks_are_summed_up_by_why_they_ended),
		cmocka_unit_test(mappings_are_told_beside_blocks_and_share_one_sum_with_them),
		cmocka_unit_test(a_kernel_that_follows_frame_pointers_only_is_named),
		cmocka_unit_test(of_many_processes_those_that_hold_most_are_listed),
		cmocka_unit_test(twenty_processes_are_listed_and_one_more_is_summed_up),
		cmocka_unit_test(an_image_before_an_exec_says_so_and_a_reused_pid_does_not),
		cmocka_unit_test(hooks_on_the_same_rung_share_a_line),
		cmocka_unit_test(pages_are_a_view_of_their_own_with_what_is_swapped_out_and_the_files),
		cmocka_unit_test(estimates_are_told_with_their_error_and_changes_with_their_reason),
		cmocka_unit_test(a_stream_that_is_full_is_an_error),
		cmocka_unit_test(a_view_is_found_by_its_whole_name),
		cmocka_unit_test(decimals_are_plain_and_short),
		cmocka_unit_test(numbers_have_commas_at_thousands),
	};
	size_t i;

	for (i = 0; i < COUNT_OF(deep_frames); i++)
		deep_frames[i] = (struct frame)IN_FILE(0x1000 + i, "descend", "/usr/bin/app", BUILD_ID,
						       0x1000 + i);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
