// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/symbol/kallsyms.h"

/* As kernels write it: per-CPU data first, init code behind the text, what is made at run time unsorted. */
static const char sample[] =
	"0000000000000000 A fixed_percpu_data\n"
	"0000000000001000 A gdt_page\n"
	"ffffffff81000000 T startup_64\n"
	"ffffffff81000000 T _stext\n"
	"ffffffff81000000 T _text\n"
	"ffffffff81000040 t verify_cpu\n"
	"ffffffff81000100 W arch_cpu_idle\n"
	"ffffffff81000200 w weak_thing.isra.0\n"
	"ffffffff81000300 t _RNvXs_NtC4core_$LT$T$GT$\n"
	"ffffffff81400000 T last_function\n"
	"ffffffff81600000 R _etext\n"
	"ffffffff81600000 T __start_rodata_text\n"
	"ffffffff82000000 D jiffies\n"
	"ffffffff83000000 T _sinittext\n"
	"ffffffff83000010 t start_kernel\n"
	"ffffffffc0203010 t nft_trace\t[nf_tables]\n"
	"ffffffffc0203000 t nft_do_chain\t[nf_tables]\n"
	"ffffffffc0203000 d nft_data\t[nf_tables]\n"
	"ffffffffc0204ff0 t nft_exit\t[nf_tables]\n"
	"ffffffffc0101000 t e1000_up\t[e1000]\n"
	"ffffffffc0101000 t $x\t[e1000]\n"
	"ffffffffc0101004 t $d.7\t[e1000]\n"
	"ffffffffc0009000 t ftrace_trampoline\t[__builtin__ftrace]\n"
	"ffffffffc0009100 t ftrace_trampoline\t[__builtin__ftrace]\n"
	"ffffffffc0007e14 t bpf_prog_bb3572c055bc3417_process_fork\t[bpf]\n"
	"ffffffffc0007c24 t bpf_prog_6deef7357e7b4530_hb-task.fork\t[bpf]\n";

/* Two notes, the second is the build-id. */
static const char notes[] = "\4\0\0\0\4\0\0\0\6\0\0\0Xen\0\1\2\3\4"
			    "\4\0\0\0\5\0\0\0\3\0\0\0GNU\0\xab\xcd\xef\1\x23\0\0\0";

static const char *path_of(const char *name)
{
	static char path[2][256];
	static unsigned int next;

	next = !next;
	snprintf(path[next], sizeof(path[next]), "%s/%s", files_folder, name);
	return path[next];
}

static void write_bytes(const char *name, const void *bytes, size_t count)
{
	FILE *to = fopen(path_of(name), "w");

	assert_non_null(to);
	assert_int_equal(fwrite(bytes, 1, count, to), count);
	assert_int_equal(fclose(to), 0);
}

static int load_text(struct kallsyms *ks, const char *text)
{
	write_bytes("kallsyms", text, strlen(text));
	return kallsyms_load(ks, path_of("kallsyms"), path_of("none"));
}

static void load_sample(struct kallsyms *ks)
{
	write_bytes("notes", notes, sizeof(notes) - 1);
	write_bytes("kallsyms", sample, sizeof(sample) - 1);
	assert_int_equal(kallsyms_load(ks, path_of("kallsyms"), path_of("notes")), 0);
	assert_string_equal(ks->why, "");
}

static void expect(const struct kallsyms *ks, uint64_t address, const char *name, const char *module, uint64_t offset)
{
	struct kallsyms_symbol symbol;

	assert_true(kallsyms_find(ks, address, &symbol));
	assert_string_equal(symbol.name, name);
	if (module)
		assert_string_equal(symbol.module, module);
	else
		assert_null(symbol.module);
	assert_int_equal(symbol.offset, offset);
}

static void expect_none(const struct kallsyms *ks, uint64_t address)
{
	struct kallsyms_symbol symbol;

	assert_false(kallsyms_find(ks, address, &symbol));
}

static void expect_failure(const char *text, int err, const char *why)
{
	struct kallsyms ks;
	char wanted[256];

	assert_int_equal(load_text(&ks, text), err);
	snprintf(wanted, sizeof(wanted), "%.60s: %s", path_of("kallsyms"), why);
	assert_string_equal(ks.why, wanted);
	assert_false(ks.hidden);
	assert_int_equal(ks.count, 0);
	expect_none(&ks, 0xffffffff81000000);
	kallsyms_release(&ks);
}

static void a_symbol_reaches_up_to_the_next(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	assert_int_equal(ks.count, 14);
	assert_int_equal(ks.skipped, 0);
	expect(&ks, 0xffffffff81000040, "verify_cpu", NULL, 0);
	expect(&ks, 0xffffffff810000ff, "verify_cpu", NULL, 0xbf);
	expect(&ks, 0xffffffff81000100, "arch_cpu_idle", NULL, 0);
	expect(&ks, 0xffffffff81000200, "weak_thing.isra.0", NULL, 0);
	expect(&ks, 0xffffffff81000301, "_RNvXs_NtC4core_$LT$T$GT$", NULL, 1);
	kallsyms_release(&ks);
}

static void of_several_names_the_first_stands(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect(&ks, 0xffffffff81000000, "startup_64", NULL, 0);
	expect(&ks, 0xffffffff8100003f, "startup_64", NULL, 0x3f);
	kallsyms_release(&ks);
}

static void the_kernel_ends_where_its_text_does(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect_none(&ks, 0);
	expect_none(&ks, 0x1000);
	expect_none(&ks, 0xffffffff80ffffff);
	expect_none(&ks, 0xffffffff81600000);
	expect_none(&ks, 0xffffffff83000010);
	expect_none(&ks, UINT64_MAX);
	kallsyms_release(&ks);
}

static void no_symbol_reaches_beyond_a_mebibyte(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect(&ks, 0xffffffff814fffff, "last_function", NULL, 0xfffff);
	expect_none(&ks, 0xffffffff81500000);
	expect(&ks, 0xffffffff810fffff, "_RNvXs_NtC4core_$LT$T$GT$", NULL, 0xffcff);
	expect(&ks, 0xffffffff811002ff, "_RNvXs_NtC4core_$LT$T$GT$", NULL, 0xfffff);
	expect_none(&ks, 0xffffffff81100300);
	kallsyms_release(&ks);
	assert_int_equal(load_text(&ks, "1000 T _stext\n2000 T _etext\n10000 t m\t[m]\n300000 t n\t[m]\n"), 0);
	expect(&ks, 0x10ffff, "m", "[m]", 0xfffff);
	expect_none(&ks, 0x110000);
	kallsyms_release(&ks);
}

static void the_last_function_reaches_to_the_end_of_the_text(void **state)
{
	struct kallsyms ks;

	(void)state;
	assert_int_equal(load_text(&ks, "1000 T _stext\n1000 T a\n2000 T b\n3000 T _etext\n4000 T c\n"), 0);
	assert_int_equal(ks.count, 2);
	expect(&ks, 0x2fff, "b", NULL, 0xfff);
	expect_none(&ks, 0x3000);
	expect_none(&ks, 0x4000);
	kallsyms_release(&ks);
}

static void data_is_known_by_its_name_only_if_it_is_the_kernels_own(void **state)
{
	struct kallsyms ks;

	(void)state;
	assert_int_equal(load_text(&ks, "1000 T _stext\n1000 T a\n3000 T _etext\n"
					"5000 d mem_cgroup_stats_index\t[m]\n"
					"6000 b mem_cgroup_stats_index_\n7000 d mem_cgroup_stats_index\n"), 0);
	assert_int_equal(ks.memcg_indexes, 0x7000);
	assert_int_equal(ks.count, 1);
	kallsyms_release(&ks);
	assert_int_equal(load_text(&ks, "1000 T _stext\n1000 T a\n3000 T _etext\n"), 0);
	assert_int_equal(ks.memcg_indexes, 0);
	kallsyms_release(&ks);
}

static void the_last_function_of_a_module_reaches_to_the_end_of_the_next_page(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect(&ks, 0xffffffffc0203000, "nft_do_chain", "[nf_tables]", 0);
	expect(&ks, 0xffffffffc020300f, "nft_do_chain", "[nf_tables]", 15);
	expect(&ks, 0xffffffffc0204fef, "nft_trace", "[nf_tables]", 0x1fdf);
	expect(&ks, 0xffffffffc0205fff, "nft_exit", "[nf_tables]", 0x100f);
	expect_none(&ks, 0xffffffffc0206000);
	expect(&ks, 0xffffffffc0101fff, "e1000_up", "[e1000]", 0xfff);
	expect_none(&ks, 0xffffffffc0102000);
	kallsyms_release(&ks);
}

static void what_is_made_at_run_time_is_found(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect(&ks, 0xffffffffc0009004, "ftrace_trampoline", "[__builtin__ftrace]", 4);
	expect_none(&ks, 0xffffffffc0007c23);
	expect(&ks, 0xffffffffc0007c24, "bpf_prog_6deef7357e7b4530_hb-task.fork", "[bpf]", 0);
	expect(&ks, 0xffffffffc0007e13, "bpf_prog_6deef7357e7b4530_hb-task.fork", "[bpf]", 0x1ef);
	expect(&ks, 0xffffffffc0008fff, "bpf_prog_bb3572c055bc3417_process_fork", "[bpf]", 0x11eb);
	kallsyms_release(&ks);
}

static void signs_in_code_are_no_functions(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect(&ks, 0xffffffffc0101000, "e1000_up", "[e1000]", 0);
	expect(&ks, 0xffffffffc0101005, "e1000_up", "[e1000]", 5);
	kallsyms_release(&ks);
}

static void hidden_addresses_are_a_state_of_their_own(void **state)
{
	struct kallsyms ks;

	(void)state;
	assert_int_equal(load_text(&ks, "0000000000000000 A fixed_percpu_data\n0000000000000000 T _stext\n"
					"0000000000000000 T _etext\n0000000000000000 t nft_trace\t[nf_tables]\n"),
			 -EACCES);
	assert_true(ks.hidden);
	assert_int_equal(ks.count, 0);
	assert_string_equal(ks.why, "the kernel hides its addresses (kernel.kptr_restrict)");
	expect_none(&ks, 0);
	kallsyms_release(&ks);
	assert_int_equal(load_text(&ks, "0 T zero\n10 T _stext\n10 T a\n20 T _etext\n"), 0);
	assert_false(ks.hidden);
	expect(&ks, 0x1f, "_stext", NULL, 15);
	kallsyms_release(&ks);
}

static void a_file_without_functions_says_so(void **state)
{
	(void)state;
	expect_failure("", -ENODATA, "there are no functions in it");
	expect_failure("ffffffff81000000 D _stext\nffffffff81600000 D _etext\n", -ENODATA,
		       "there are no functions in it");
	expect_failure("1000 D _stext\n2000 D _etext\n3000 t init\n", -ENODATA, "there are no functions in it");
}

static void without_its_ends_the_text_is_not_known(void **state)
{
	static const char why[] = "it does not tell where the kernel's text lies";

	(void)state;
	expect_failure("ffffffff81000000 T _stext\n", -EBADMSG, why);
	expect_failure("ffffffff81000000 T _etext\n", -EBADMSG, why);
	expect_failure("ffffffff81000000 T _stext\nffffffff81000000 T _etext\n", -EBADMSG, why);
	expect_failure("ffffffff81000000 T _stext\nffffffff80000000 T _etext\n", -EBADMSG, why);
	expect_failure("ffffffff81000000 T _stext\nffffffff81600000 T _etext\t[x]\n", -EBADMSG, why);
	expect_failure("ffffffff81000000 T _stext\t[x]\nffffffff81600000 T _etext\n", -EBADMSG, why);
	expect_failure("ffffffff81000000 T stext\nffffffff81600000 T _etext_\n", -EBADMSG, why);
}

static void what_is_no_such_file_says_why(void **state)
{
	struct kallsyms ks;
	char wanted[256];

	(void)state;
	assert_int_equal(kallsyms_load(&ks, "/nowhere", "/nowhere"), -ENOENT);
	assert_string_equal(ks.why, "/nowhere: No such file or directory");
	assert_int_equal(kallsyms_load(&ks, "/dev/zero", "/nowhere"), -ENOTSUP);
	assert_string_equal(ks.why, "/dev/zero: it is no regular file");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_int_equal(kallsyms_load(&ks, path_of("fifo"), "/nowhere"), -ENOTSUP);
	snprintf(wanted, sizeof(wanted), "%.60s: it is no regular file", path_of("fifo"));
	assert_string_equal(ks.why, wanted);
	assert_false(ks.hidden);
}

static void lines_that_make_no_sense_are_skipped(void **state)
{
	static const char *const lines[] = {
		"", " ", "12", "12 ", "12 t", "12 t ", " 12 t f", "g t f", "12  f", "12 tt f", "12 7 f",
		"12\tt f", "12 t\tf", "12 t f ", "12 t f g", "12 t f\t", "12 t f\t[", "12 t f\t[]",
		"12 t f\t[m", "12 t f\tm]", "12 t f [m]", "12 t f\t[m] ", "12 t f\t[m]]", "12 t f\t[m\t[m]",
		"12 t f\t[m;", "12 t f\tmm]", "12 t f\t[m n]", "12 t \t[m]", "12 t f\033", "12 t f\xc3\xa9",
		"12 t f\t[\xff]", "10000000000000012 t f", "0x12 t f", "12 t f;g", "FF t f", "12 t f\r",
	};
	char text[256];
	struct kallsyms ks;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "10 T _stext\n%s\n20 T _etext\n", lines[i]);
		assert_int_equal(load_text(&ks, text), 0);
		assert_int_equal(ks.skipped, 1);
		assert_int_equal(ks.count, 1);
		kallsyms_release(&ks);
	}
	write_bytes("kallsyms", "10 T _stext\n12 t a\0b\n14 t c\n20 T _etext\n18 t cut", 48);
	assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of("none")), 0);
	assert_int_equal(ks.skipped, 2);
	expect(&ks, 0x12, "_stext", NULL, 2);
	expect(&ks, 0x18, "c", NULL, 4);
	kallsyms_release(&ks);
}

static void a_line_may_have_a_kibibyte_and_no_more(void **state)
{
	char text[4096], name[KALLSYMS_LINE_MAX];
	struct kallsyms ks;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[KALLSYMS_LINE_MAX - 5] = '\0';
	snprintf(text, sizeof(text), "10 T _stext\n20 T _etext\n12 t %s\n14 t %sx\n16 t y\n", name, name);
	assert_int_equal(load_text(&ks, text), 0);
	assert_int_equal(ks.skipped, 1);
	expect(&ks, 0x15, name, NULL, 3);
	expect(&ks, 0x16, "y", NULL, 0);
	kallsyms_release(&ks);
}

static void write_many(size_t symbols, size_t modules)
{
	FILE *to = fopen(path_of("kallsyms"), "w");
	size_t i;

	assert_non_null(to);
	fputs("0 T zero\n1 T _stext\n7fffffff R _etext\n", to);
	for (i = 1; i < symbols; i++)
		fprintf(to, "%zx T f\n", 8 * i);
	for (i = 0; i < modules; i++)
		fprintf(to, "%zx t m\t[m%zu]\n", 0x80000000 + 8 * i, i % 2);
	assert_int_equal(fclose(to), 0);
}

static void what_is_larger_than_a_kernel_is_refused(void **state)
{
	static const char why[] = "there is more in it than can be";
	struct kallsyms ks;

	(void)state;
	write_many(KALLSYMS_SYMBOLS_MAX, 0);
	assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of("none")), 0);
	assert_int_equal(ks.count, KALLSYMS_SYMBOLS_MAX);
	expect(&ks, 0x7fffff, "f", NULL, 7);
	kallsyms_release(&ks);
	write_many(KALLSYMS_SYMBOLS_MAX + 1, 0);
	assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of("none")), -EFBIG);
	assert_non_null(strstr(ks.why, why));
	assert_false(ks.hidden);
	write_many(1, KALLSYMS_MODULES_MAX - 1);
	assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of("none")), 0);
	assert_int_equal(ks.modules_count, KALLSYMS_MODULES_MAX);
	kallsyms_release(&ks);
	write_many(1, KALLSYMS_MODULES_MAX);
	assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of("none")), -EFBIG);
	assert_int_equal(truncate(path_of("kallsyms"), 0), 0);
	assert_int_equal(truncate(path_of("kallsyms"), (off_t)KALLSYMS_BYTES_MAX + 1), 0);
	assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of("none")), -EFBIG);
	assert_non_null(strstr(ks.why, why));
	assert_int_equal(truncate(path_of("kallsyms"), 0), 0);
}

static void expect_frame(const struct kallsyms *ks, uint64_t address, bool exact, const char *function,
			 const char *module, uint64_t offset)
{
	struct frame frame;

	memset(&frame, 0xee, sizeof(frame));
	assert_int_equal(kallsyms_frame(ks, address, exact, &frame), !!function);
	assert_int_equal(frame.kind, FRAME_KERNEL);
	assert_int_equal(frame.address, address);
	assert_int_equal(frame.exact, exact);
	assert_false(frame.inlined);
	assert_null(frame.file);
	assert_null(frame.stopped);
	if (function)
		assert_string_equal(frame.function, function);
	else
		assert_null(frame.function);
	if (module)
		assert_string_equal(frame.module, module);
	else
		assert_null(frame.module);
	if (module && !strcmp(module, "[kernel]"))
		assert_string_equal(frame.build_id, "abcdef0123");
	else
		assert_null(frame.build_id);
	assert_int_equal(frame.offset, offset);
}

static void a_frame_means_the_call_before_its_return_address(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect_frame(&ks, 0xffffffff81000040, true, "verify_cpu", "[kernel]", 0x40);
	expect_frame(&ks, 0xffffffff81000040, false, "startup_64", "[kernel]", 0x40);
	expect_frame(&ks, 0xffffffff81000041, false, "verify_cpu", "[kernel]", 0x41);
	expect_frame(&ks, 0xffffffff81000000, false, NULL, NULL, 0);
	kallsyms_release(&ks);
}

static void an_offset_is_the_same_after_every_boot(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect_frame(&ks, 0xffffffff81000310, true, "_RNvXs_NtC4core_$LT$T$GT$", "[kernel]", 0x310);
	expect_frame(&ks, 0xffffffffc0204ff4, true, "nft_exit", "[nf_tables]", 0x1ff4);
	expect_frame(&ks, 0xffffffffc0101010, true, "e1000_up", "[e1000]", 0x10);
	expect_frame(&ks, 0xffffffffc0007e18, true, "bpf_prog_bb3572c055bc3417_process_fork", "[bpf]", 4);
	expect_frame(&ks, 0xffffffffc0009108, true, "ftrace_trampoline", "[__builtin__ftrace]", 8);
	kallsyms_release(&ks);
}

static void code_without_a_symbol_has_its_place(void **state)
{
	struct kallsyms ks;

	(void)state;
	load_sample(&ks);
	expect_frame(&ks, 0xffffffff81500001, true, NULL, "[kernel]", 0x500001);
	expect_frame(&ks, 0xffffffff81600000, false, NULL, "[kernel]", 0x600000);
	expect_frame(&ks, 0xffffffff81600000, true, NULL, NULL, 0);
	expect_frame(&ks, 0xffffffffc0206000, true, NULL, NULL, 0);
	expect_frame(&ks, 0, false, NULL, NULL, 0);
	kallsyms_release(&ks);
	write_bytes("kallsyms", "1000 R _stext\n1010 T f\n2000 R _etext\n", 38);
	assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of("notes")), 0);
	expect_frame(&ks, 0x100f, true, NULL, "[kernel]", 0xf);
	expect_frame(&ks, 0x1014, true, "f", "[kernel]", 0x14);
	kallsyms_release(&ks);
}

static void without_symbols_a_frame_has_its_address(void **state)
{
	struct kallsyms ks;

	(void)state;
	expect_frame(NULL, 0xffffffff81000040, true, NULL, NULL, 0);
	assert_int_equal(load_text(&ks, "0 T _stext\n0 T _etext\n"), -EACCES);
	expect_frame(&ks, 0xffffffff81000040, false, NULL, NULL, 0);
	expect_frame(&ks, 0, true, NULL, NULL, 0);
	kallsyms_release(&ks);
}

static void without_its_notes_the_kernel_has_no_build_id(void **state)
{
	static const char *const others[] = { "none", "empty", "cut" };
	struct kallsyms ks;
	struct frame frame;
	size_t i;

	(void)state;
	write_bytes("kallsyms", sample, sizeof(sample) - 1);
	write_bytes("empty", "", 0);
	write_bytes("cut", notes, sizeof(notes) - 5);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(kallsyms_load(&ks, path_of("kallsyms"), path_of(others[i])), 0);
		assert_string_equal(ks.build_id, "");
		assert_true(kallsyms_frame(&ks, 0xffffffff81000040, true, &frame));
		assert_null(frame.build_id);
		kallsyms_release(&ks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_is_known_by_its_name_only_if_it_is_the_kernels_own),
		cmocka_unit_test(a_symbol_reaches_up_to_the_next),
		cmocka_unit_test(of_several_names_the_first_stands),
		cmocka_unit_test(the_kernel_ends_where_its_text_does),
		cmocka_unit_test(no_symbol_reaches_beyond_a_mebibyte),
		cmocka_unit_test(the_last_function_reaches_to_the_end_of_the_text),
		cmocka_unit_test(the_last_function_of_a_module_reaches_to_the_end_of_the_next_page),
		cmocka_unit_test(what_is_made_at_run_time_is_found),
		cmocka_unit_test(signs_in_code_are_no_functions),
		cmocka_unit_test(hidden_addresses_are_a_state_of_their_own),
		cmocka_unit_test(a_file_without_functions_says_so),
		cmocka_unit_test(without_its_ends_the_text_is_not_known),
		cmocka_unit_test(what_is_no_such_file_says_why),
		cmocka_unit_test(lines_that_make_no_sense_are_skipped),
		cmocka_unit_test(a_line_may_have_a_kibibyte_and_no_more),
		cmocka_unit_test(what_is_larger_than_a_kernel_is_refused),
		cmocka_unit_test(a_frame_means_the_call_before_its_return_address),
		cmocka_unit_test(an_offset_is_the_same_after_every_boot),
		cmocka_unit_test(code_without_a_symbol_has_its_place),
		cmocka_unit_test(without_symbols_a_frame_has_its_address),
		cmocka_unit_test(without_its_notes_the_kernel_has_no_build_id),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
