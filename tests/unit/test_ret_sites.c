// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "allocator_files.h"

#include <Zydis/Zydis.h>

#include "../../user/probe/ret_sites.h"

#define LIB "/usr/lib/x86_64-linux-gnu/"

/* Every way to leave a function, with a label at each ret that matters. */
static const char code[] =
	".macro function name\n"
	".balign 16\n"
	".type \\name,@function\n"
	"\\name:\n"
	".endm\n"
	".macro end name\n"
	".size \\name,.-\\name\n"
	".endm\n"
	".text\n"
	"function two\n test %rdi,%rdi\n je 1f\n"
	"two_first: ret\n"
	"1: xor %eax,%eax\n"
	"two_second: repz ret\nend two\n"
	"function pops\n"
	"pops_ret: ret $8\nend pops\n"
	/* A conditional tail jump: the rets of both. */
	"function tail\n push %rbx\n call other\n pop %rbx\n test %rax,%rax\n jne two\n"
	"tail_ret: ret\nend tail\n"
	"function other\n"
	"other_ret: ret\nend other\n"
	/* Through the PLT, to a function of this very file. */
	".globl shared\n"
	"function shared\n"
	"shared_ret: ret\nend shared\n"
	"function through\n jmp shared@PLT\nend through\n"
	"function through_got\n jmp *shared@GOTPCREL(%rip)\nend through_got\n"
	"function elsewhere\n test %rdi,%rdi\n je 1f\n jmp outside@PLT\n1: ret\nend elsewhere\n"
	"function table\n test %rdi,%rdi\n je 1f\n lea 1f(%rip),%rax\n notrack jmp *%rax\n"
	"1: ret\nend table\n"
	"function variable\n jmp *place(%rip)\nend variable\n"
	/* Calls that do not return, told by what follows them, and by name. */
	"function thrower\n test %rdi,%rdi\n je 1f\n"
	"thrower_ret: ret\n"
	"1: call other\nend thrower\n"
	"function follower\n"
	"follower_ret: ret\nend follower\n"
	"function aborter\n test %rdi,%rdi\n je 1f\n call abort@PLT\n ud2\n"
	"1: nop\n"
	"aborter_ret: ret\nend aborter\n"
	/* Forwarders: whoever calls them gets what stop gives. */
	"function stop\n mov $1,%eax\n"
	"stop_ret: ret\nend stop\n"
	"function calls_stop\n push %rbx\n call stop\n pop %rbx\n ret\nend calls_stop\n"
	"function jumps_to_stop\n jmp stop\nend jumps_to_stop\n"
	"function sometimes_calls_stop\n test %rdi,%rdi\n je 1f\n call stop\n"
	"1: nop\n"
	"sometimes_ret: ret\nend sometimes_calls_stop\n"
	"function sometimes_jumps_to_stop\n test %rdi,%rdi\n je stop\n"
	"sometimes_jump_ret: ret\nend sometimes_jumps_to_stop\n"
	"function endless\n1: jmp 1b\nend endless\n"
	"function long_one\n.rept 20000\nnop\n.endr\n ret\nend long_one\n"
	"function many\n.rept 300\n test %rdi,%rdi\n jne 1f\n ret\n1:\n.endr\n ret\nend many\n"
	".data\nplace: .quad 0\n";

struct fixture {
	struct elf_file *file;
	struct image image;
};

static struct fixture fixture;

static int build(void **state)
{
	char path[256];
	int fd;

	if (files_setup(state))
		return -1;
	files_write("ways.s", code);
	if (!files_run("command -v gcc >/dev/null && gcc -shared -nostdlib -o ways.so ways.s"))
		return 0; /* fixture.file stays NULL: its tests skip */
	snprintf(path, sizeof(path), "%s/ways.so", files_folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elffile_open(&fixture.file, fd) || elffile_index(fixture.file))
		return -1;
	close(fd);
	image_init(&fixture.image, fixture.file);
	return image_load_slots(&fixture.image);
}

static int unbuild(void **state)
{
	if (fixture.file)
		image_release(&fixture.image);
	elffile_free(fixture.file);
	return files_teardown(state);
}

static uint64_t at(const char *name)
{
	const struct elf_symbol *symbol = elffile_symbol(fixture.file, name);

	if (!symbol)
		fail_msg("there is no %s", name);
	return symbol->vaddr;
}

static void find(const char *function, bool return_probe, struct ret_sites *sites)
{
	struct ret_stop stop;

	if (!fixture.file) {
		print_message("skipped: there is no gcc to assemble with\n");
		skip();
	}
	stop = (struct ret_stop){ at("stop"), return_probe };
	assert_int_equal(ret_sites_find(&fixture.image, at(function), &stop, 1, sites), 0);
}

/* Exactly these, named in order of address; NULL ends. */
static void assert_rets(const char *function, const char *const *names)
{
	struct ret_sites sites;
	size_t i;

	find(function, false, &sites);
	assert_int_equal(sites.verdict, RET_FOUND);
	for (i = 0; names[i]; i++) {
		assert_true(i < sites.count);
		assert_int_equal(sites.vaddrs[i], at(names[i]));
	}
	assert_int_equal(sites.count, i);
}

#define RETS(function, ...) assert_rets(function, (const char *const[]){ __VA_ARGS__, NULL })

static void assert_unknown(const char *function, bool return_probe, const char *why)
{
	struct ret_sites sites;

	find(function, return_probe, &sites);
	assert_int_equal(sites.verdict, RET_UNKNOWN);
	assert_int_equal(sites.count, 0);
	assert_string_equal(sites.why, why);
}

static void both_sides_of_a_condition_return(void **state)
{
	(void)state;
	RETS("two", "two_first", "two_second");
	RETS("pops", "pops_ret");
}

static void the_ret_of_a_function_jumped_to_is_ours(void **state)
{
	(void)state;
	RETS("tail", "two_first", "two_second", "tail_ret");
}

static void the_ret_of_a_function_called_is_not(void **state)
{
	struct ret_sites sites;
	size_t i;

	(void)state;
	find("tail", false, &sites);
	for (i = 0; i < sites.count; i++)
		assert_int_not_equal(sites.vaddrs[i], at("other_ret"));
}

static void a_jump_through_plt_or_got_to_this_file_is_followed(void **state)
{
	(void)state;
	RETS("through", "shared_ret");
	RETS("through_got", "shared_ret");
}

static void a_jump_that_cannot_be_followed_gives_nothing(void **state)
{
	(void)state;
	assert_unknown("elsewhere", false, "ends in another file");
	assert_unknown("table", false, "jumps through a register or table");
	assert_unknown("variable", false, "jumps through a variable");
}

static void a_call_at_the_end_of_a_function_does_not_return(void **state)
{
	(void)state;
	RETS("thrower", "thrower_ret");
	RETS("aborter", "aborter_ret");
}

static void a_function_that_always_ends_in_a_stop_is_left_to_it(void **state)
{
	struct ret_sites sites;

	(void)state;
	find("calls_stop", true, &sites);
	assert_int_equal(sites.verdict, RET_BENEATH);
	assert_int_equal(sites.count, 0);
	find("jumps_to_stop", true, &sites);
	assert_int_equal(sites.verdict, RET_BENEATH);
	find("stop", true, &sites); /* no stop of its own */
	assert_int_equal(sites.verdict, RET_FOUND);
	assert_int_equal(sites.count, 1);
}

static void a_function_that_sometimes_ends_in_a_stop_is_not(void **state)
{
	(void)state;
	RETS("sometimes_calls_stop", "sometimes_ret");
	RETS("sometimes_jumps_to_stop", "stop_ret", "sometimes_jump_ret");
	assert_unknown("sometimes_jumps_to_stop", true, "jumps to a function with a return probe");
}

static void the_search_has_bounds(void **state)
{
	struct ret_sites sites;

	(void)state;
	find("endless", false, &sites);
	assert_int_equal(sites.verdict, RET_FOUND);
	assert_int_equal(sites.count, 0);
	assert_unknown("long_one", false, "is too long");
	assert_unknown("many", false, "returns at too many places");
}

/* Decode [start, start + bytes) one instruction after the other: every ret must be in the set. */
static size_t sweep(const struct found *found, const struct elf_symbol *symbol)
{
	uint8_t bytes[4096];
	ZydisDecodedInstruction instruction;
	ZydisDecoder decoder;
	uint64_t offset, k = 0;
	size_t rets = 0, i;

	assert_true(symbol->size && symbol->size <= sizeof(bytes));
	assert_int_equal(elffile_read(found->file, symbol->vaddr, bytes, symbol->size), 0);
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (; k < symbol->size; k += instruction.length) {
		assert_true(ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
			&decoder, NULL, bytes + k, symbol->size - k, &instruction)));
		if (instruction.mnemonic != ZYDIS_MNEMONIC_RET)
			continue;
		rets++;
		assert_true(elffile_offset(found->file, symbol->vaddr + k, &offset));
		for (i = 0; i < found->set.count; i++) {
			if (found->set.points[i].place == PLACE_RET &&
			    found->set.points[i].offset == offset)
				break;
		}
		if (i == found->set.count)
			fail_msg("the ret of %s+%lu is not probed", symbol->name, (unsigned long)k);
	}
	return rets;
}

static void assert_swept(const char *path, size_t at_least)
{
	struct found found;
	size_t i, rets = 0, functions = 0;

	found_open(&found, path);
	for (i = 0; i < found.set.count; i++) {
		const struct probe_point *point = &found.set.points[i];

		if (point->place != PLACE_CALL ||
		    !HB_COOKIE_GET(point->cookie, HB_COOKIE_THROWS_SHIFT, 1))
			continue;
		rets += sweep(&found, elffile_symbol(found.file, point->function));
		functions++;
	}
	assert_true(functions >= at_least);
	assert_true(rets >= functions);
	found_close(&found);
}

static void every_ret_inside_operator_new_of_jemalloc_is_probed(void **state)
{
	(void)state;
	assert_swept(LIB "libjemalloc.so.2", 2);
}

static void every_ret_inside_operator_new_of_tcmalloc_is_probed(void **state)
{
	(void)state;
	assert_swept(LIB "libtcmalloc.so.4", 4);
}

static void every_ret_inside_operator_new_of_minimal_tcmalloc_is_probed(void **state)
{
	(void)state;
	assert_swept(LIB "libtcmalloc_minimal.so.4", 4);
}

static void every_ret_inside_operator_new_of_mimalloc_is_probed(void **state)
{
	(void)state;
	assert_swept(LIB "libmimalloc.so.2", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_of_a_condition_return),
		cmocka_unit_test(the_ret_of_a_function_jumped_to_is_ours),
		cmocka_unit_test(the_ret_of_a_function_called_is_not),
		cmocka_unit_test(a_jump_through_plt_or_got_to_this_file_is_followed),
		cmocka_unit_test(a_jump_that_cannot_be_followed_gives_nothing),
		cmocka_unit_test(a_call_at_the_end_of_a_function_does_not_return),
		cmocka_unit_test(a_function_that_always_ends_in_a_stop_is_left_to_it),
		cmocka_unit_test(a_function_that_sometimes_ends_in_a_stop_is_not),
		cmocka_unit_test(the_search_has_bounds),
		cmocka_unit_test(every_ret_inside_operator_new_of_jemalloc_is_probed),
		cmocka_unit_test(every_ret_inside_operator_new_of_tcmalloc_is_probed),
		cmocka_unit_test(every_ret_inside_operator_new_of_minimal_tcmalloc_is_probed),
		cmocka_unit_test(every_ret_inside_operator_new_of_mimalloc_is_probed),
	};

	return cmocka_run_group_tests(tests, build, unbuild);
}
