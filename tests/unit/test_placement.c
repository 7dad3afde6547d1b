// SPDX-License-Identifier: Apache-2.0
/* Functions made of bytes: which instruction of each is probed, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/probe/placement.h"
#include "../../user/probe/placement_decode.h"

#define TEXT        0x10000 /* where the text lies; a function at FUNCTION, one before it, one behind */
#define TEXT_BYTES  0x4000
#define FUNCTION    0x11000
#define FAR         0x13000 /* of a function far away */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct call_shape malloc_shape = { .role = HB_ROLE_ALLOC, .size = 1 };
static const struct call_shape free_shape = { .role = HB_ROLE_FREE, .ptr = 1 };
static const struct call_shape realloc_shape = { .role = HB_ROLE_REALLOC, .ptr = 1, .size = 2 };
static const struct call_shape resize_shape = { .role = HB_ROLE_RESIZE, .ptr = 1, .size = 2 };

/* A text of nops, in which the tests put functions. */
struct fixture {
	uint8_t text[TEXT_BYTES];
	struct elf_symbol symbols[4];
	struct elf_file file;
	bool nops_called;
};

static int fixture_make(void **state)
{
	static struct fixture fixture;
	size_t i;

	fixture = (struct fixture){
		.symbols = { { .vaddr = TEXT, .size = FUNCTION - TEXT }, { .vaddr = FUNCTION, .size = 0x100 },
			     { .vaddr = FUNCTION + 0x100, .size = 0x100 }, { .vaddr = FAR, .size = 0x100 } },
		.file = {
			.fd = memfd_create("text", MFD_CLOEXEC), .size = TEXT_BYTES, .machine = EM_X86_64,
			.segments = { { .vaddr = TEXT, .filesz = TEXT_BYTES, .flags = PF_R | PF_X } },
			.segments_count = 1, .symbols = fixture.symbols, .symbols_count = 4,
		},
	};
	for (i = 0; i < TEXT_BYTES; i++)
		fixture.text[i] = 0xc3; /* ret; as nop it would be a place itself */
	*state = &fixture;
	return fixture.file.fd < 0;
}

static int fixture_end(void **state)
{
	struct fixture *fixture = *state;

	return close(fixture->file.fd);
}

static void put(struct fixture *fixture, uint64_t vaddr, const void *code, size_t size)
{
	memcpy(fixture->text + (vaddr - TEXT), code, size);
}

/* @code is text of bytes, "\x53" */
#define PUT(fixture, vaddr, code) put(fixture, vaddr, code, sizeof(code) - 1)

static struct placement chosen_at(struct fixture *fixture, uint64_t vaddr, const struct call_shape *shape)
{
	struct image image = { .file = &fixture->file };
	struct placement_request request = { .entry = vaddr, .size = 0x100, .shape = shape };

	assert_int_equal(pwrite(fixture->file.fd, fixture->text, TEXT_BYTES, 0), TEXT_BYTES);
	placement_choose(&image, fixture->nops_called, &request, 1);
	assert_non_null(request.place.why);
	return request.place;
}

static void assert_placed(struct fixture *fixture, const struct call_shape *shape, unsigned int behind, bool cheap,
			  const char *why)
{
	struct placement place = chosen_at(fixture, FUNCTION, shape);

	assert_int_equal(place.vaddr, FUNCTION + behind);
	assert_int_equal(place.cheap, cheap);
	assert_string_equal(place.why, why);
}

#define FIRST  "the first instruction"
#define PASSED "every call passes it unchanged"
#define NULLED "only NULL goes around it"
#define MOVES  "the stack pointer moves"
#define OVER   "an argument is overwritten"
#define UNWIND "a register that unwinding needs is written"
#define LEAVES "it branches, calls or stores"
#define LED    "a jump leads behind it"
#define STARTS "another function starts behind it"

static void assert_code(struct fixture *fixture, const char *code, size_t size, const struct call_shape *shape,
			unsigned int behind, bool cheap, const char *why)
{
	put(fixture, FUNCTION, code, size);
	assert_placed(fixture, shape, behind, cheap, why);
}

/* A function that begins with the bytes @code. */
#define CODE(code, shape, behind, cheap, why) \
	assert_code(*state, code, sizeof(code) - 1, shape, behind, cheap, why)

#define ENDBR  "\xf3\x0f\x1e\xfa"
#define TEST   "\x48\x85\xff"         /* test %rdi,%rdi */
#define JE     "\x74\x20"
#define PUSH   "\x53"                 /* push %rbx */
#define NOP5   "\x0f\x1f\x44\x00\x00"
#define TO_RAX "\x48\x89\xf8"         /* mov %rdi,%rax */

static void what_is_emulated_is_probed_where_it_stands_first(void **state)
{
	CODE(PUSH, &malloc_shape, 0, true, FIRST);
	CODE("\x41\x54", &malloc_shape, 0, true, FIRST);             /* push %r12 */
	CODE("\x90", &malloc_shape, 0, true, FIRST);                 /* nop */
	CODE("\xeb\x20", &malloc_shape, 0, true, FIRST);             /* jmp */
	CODE("\xe9\x20\x01\x00\x00", &malloc_shape, 0, true, FIRST); /* jmp */
	CODE("\x74\x20", &malloc_shape, 0, true, FIRST);             /* je */
	CODE("\x0f\x87\x20\x01\x00\x00", &malloc_shape, 0, true, FIRST); /* ja */
}

static void an_instruction_with_a_prefix_is_not_relied_upon(void **state)
{
	CODE("\x66\x90" PUSH, &malloc_shape, 2, true, PASSED);       /* refused by old kernels */
	CODE("\x66\x53\xc3", &malloc_shape, 0, false, MOVES);        /* push %bx */
	CODE("\x3e\x74\x20", &malloc_shape, 0, false, LEAVES);       /* je with a hint */
	CODE("\x48\x53\xc3", &malloc_shape, 0, false, MOVES);        /* rex.w push %rbx */
	CODE("\xf3\x90\xc3", &malloc_shape, 0, false, LEAVES);       /* pause */
}

static void the_push_behind_endbr64_is_the_place(void **state)
{
	CODE(ENDBR PUSH, &malloc_shape, 4, true, PASSED);
	CODE(ENDBR TEST JE PUSH, &free_shape, 9, true, NULLED);
}

static void the_push_behind_the_test_for_null_is_the_place_of_a_free(void **state)
{
	CODE(TEST JE PUSH, &free_shape, 5, true, NULLED);
	CODE("\x48\x83\xff\x00" JE PUSH, &free_shape, 6, true, NULLED);           /* cmp $0,%rdi */
	CODE(TEST "\x48\x8d\x47\xf0" JE PUSH, &free_shape, 9, true, NULLED);      /* lea -16(%rdi),%rax */
	CODE(TEST "\x0f\x84\x20\x01\x00\x00" PUSH, &free_shape, 9, true, NULLED); /* je */
}

static void any_other_branch_is_itself_the_place(void **state)
{
	CODE(TEST JE PUSH, &malloc_shape, 3, true, PASSED);
	CODE(TEST "\x75\x20" PUSH, &free_shape, 3, true, PASSED);                 /* jne */
	CODE("\x85\xff" JE PUSH, &free_shape, 2, true, PASSED);                   /* half a pointer */
	CODE("\x48\x85\xf6" JE PUSH, &free_shape, 3, true, PASSED);               /* another argument */
	CODE("\x48\x85\xf7" JE PUSH, &free_shape, 3, true, PASSED);               /* two of them */
	CODE("\x48\x83\xff\x01" JE PUSH, &free_shape, 4, true, PASSED);           /* cmp $1,%rdi */
	CODE(TEST "\x48\x83\xc0\x01" JE PUSH, &free_shape, 7, true, PASSED);      /* other flags: add $1,%rax */
	CODE(TEST "\x76\x20" PUSH, &free_shape, 3, true, PASSED);                 /* jbe */
	CODE(JE PUSH, &free_shape, 0, true, FIRST);                               /* flags of before */
}

static void a_five_byte_nop_is_the_place_where_the_kernel_makes_a_call_of_it(void **state)
{
	struct fixture *fixture = *state;

	CODE(NOP5 PUSH, &malloc_shape, 5, true, PASSED);
	CODE(ENDBR NOP5 "\xc3", &malloc_shape, 0, false, MOVES);
	fixture->nops_called = true;
	CODE(NOP5 PUSH, &malloc_shape, 0, true, FIRST);
	CODE(PUSH NOP5, &malloc_shape, 0, true, FIRST);
	CODE(ENDBR NOP5 PUSH, &malloc_shape, 4, true, PASSED);
	CODE(TEST JE PUSH NOP5, &free_shape, 5, true, NULLED);
}

static void a_five_byte_nop_across_two_pages_is_no_place(void **state)
{
	struct fixture *fixture = *state;
	uint64_t at = 0x12000 - 4;

	fixture->nops_called = true;
	fixture->symbols[2] = (struct elf_symbol){ .vaddr = at, .size = 0x100 };
	PUT(fixture, at, NOP5 PUSH);
	assert_int_equal(chosen_at(fixture, at, &malloc_shape).vaddr, at + 5);
	at--;
	fixture->symbols[2].vaddr = at;
	PUT(fixture, at, NOP5 PUSH);
	assert_int_equal(chosen_at(fixture, at, &malloc_shape).vaddr, at);
}

static void only_registers_that_the_probe_reads_must_be_as_they_were(void **state)
{
	CODE("\x48\x89\xfe" PUSH, &malloc_shape, 3, true, PASSED);     /* mov %rdi,%rsi */
	CODE("\x48\x89\xfe" PUSH, &realloc_shape, 0, false, OVER);
	CODE("\x40\xb6\x01" PUSH, &realloc_shape, 0, false, OVER);     /* mov $1,%sil */
	CODE("\x31\xd2" PUSH, &realloc_shape, 2, true, PASSED);        /* xor %edx,%edx */
	CODE("\x31\xd2" PUSH, &resize_shape, 0, false, OVER);          /* the extra bytes */
	CODE("\x48\xf7\xe6" PUSH, &resize_shape, 0, false, OVER);      /* mul %rsi, of %rdx too */
	CODE("\x48\x83\xec\x08" PUSH, &malloc_shape, 0, false, MOVES); /* sub $8,%rsp */
	CODE("\x48\x89\xe5" PUSH, &malloc_shape, 0, false, UNWIND);    /* mov %rsp,%rbp */
	CODE("\x31\xdb" PUSH, &malloc_shape, 0, false, UNWIND);        /* xor %ebx,%ebx */
}

static void what_does_more_than_compute_ends_the_search(void **state)
{
	CODE("\x48\x89\x38" PUSH, &malloc_shape, 0, false, LEAVES);             /* mov %rdi,(%rax) */
	CODE("\xf0\x48\x0f\xc1\x00" PUSH, &malloc_shape, 0, false, LEAVES);     /* lock xadd %rax,(%rax) */
	CODE("\xe8\x00\x00\x00\x00" PUSH, &malloc_shape, 0, false, MOVES);      /* call */
	CODE("\xff\xd0" PUSH, &malloc_shape, 0, false, MOVES);                  /* call *%rax */
	CODE("\x0f\x05" PUSH, &malloc_shape, 0, false, LEAVES);                 /* syscall */
	CODE("\xf3\x48\xab" PUSH, &malloc_shape, 0, false, OVER);               /* rep stos */
	CODE("\x0f\xa2" PUSH, &malloc_shape, 0, false, UNWIND);                 /* cpuid */
	CODE("\xcc" PUSH, &malloc_shape, 0, false, LEAVES);                     /* int3 */
	CODE("\x8e\xe0" PUSH, &malloc_shape, 0, false, LEAVES);                 /* mov %eax,%fs */
	CODE("\xc3", &malloc_shape, 0, false, MOVES);                          /* ret */
	CODE("\x06" PUSH, &malloc_shape, 0, false, "the code cannot be read");
	CODE(TO_RAX "\x06" PUSH, &malloc_shape, 0, false, "the code cannot be decoded");
}

static void loads_and_computations_are_passed(void **state)
{
	/* mov %fs:0,%rax; cmpb $0,..(%rip); lea ..(%rip),%r11; test $15,%dil; jne */
	CODE("\x64\x48\x8b\x04\x25\x00\x00\x00\x00"
	     "\x80\x3d\x00\x00\x00\x00\x00"
	     "\x4c\x8d\x1d\x00\x00\x00\x00"
	     "\x40\xf6\xc7\x0f"
	     "\x75\x10", &free_shape, 27, true, PASSED);
}

/* A free whose place is the push, 5 bytes behind the entry, and the je, 3 bytes behind it, the next best. */
static void put_free(struct fixture *fixture)
{
	PUT(fixture, FUNCTION, TEST JE PUSH);
}

/* A jump with four bytes of offset at @from to @to. */
static void put_far_jump(struct fixture *fixture, uint64_t from, uint64_t to)
{
	int32_t offset = (int32_t)(to - from - 5);

	PUT(fixture, from, "\xe9");
	put(fixture, from + 1, &offset, 4);
}

static void put_short_jump(struct fixture *fixture, uint64_t from, uint64_t to)
{
	int8_t offset = (int8_t)(to - from - 2);

	PUT(fixture, from, "\xeb");
	put(fixture, from + 1, &offset, 1);
}

static void a_jump_behind_the_entry_leaves_the_places_before_its_target(void **state)
{
	static const uint64_t far[] = { TEXT, FUNCTION - 5, FUNCTION + 0x40, FUNCTION + 0x100, FAR,
					TEXT + TEXT_BYTES - 5 };
	static const uint64_t near[] = { FUNCTION - 2, FUNCTION - 100, FUNCTION + 0x40, FUNCTION + 0x7a };
	struct fixture *fixture = *state;
	size_t i;

	for (i = 0; i < COUNT(far); i++) {
		memset(fixture->text, 0xc3, TEXT_BYTES);
		put_free(fixture);
		put_far_jump(fixture, far[i], FUNCTION + 5);
		assert_placed(fixture, &free_shape, 3, true, PASSED);
		put_far_jump(fixture, far[i], FUNCTION + 1);
		assert_placed(fixture, &free_shape, 0, false, LED);
	}
	for (i = 0; i < COUNT(near); i++) {
		memset(fixture->text, 0xc3, TEXT_BYTES);
		put_free(fixture);
		put_short_jump(fixture, near[i], FUNCTION + 5);
		assert_placed(fixture, &free_shape, 3, true, PASSED);
		put_short_jump(fixture, near[i], FUNCTION + 3);
		assert_placed(fixture, &free_shape, 0, false, LED);
	}
}

static void a_short_function_is_looked_at_together_with_the_next(void **state)
{
	struct fixture *fixture = *state;

	fixture->symbols[1].size = 8;
	put_free(fixture);
	assert_placed(fixture, &free_shape, 5, true, NULLED);
	fixture->symbols[2].vaddr = FUNCTION + 16;
	put_short_jump(fixture, FUNCTION + 16, FUNCTION + 5);
	assert_placed(fixture, &free_shape, 3, true, PASSED);
}

static void a_jump_to_the_entry_or_beyond_the_place_does_not_matter(void **state)
{
	struct fixture *fixture = *state;

	put_free(fixture);
	put_short_jump(fixture, FUNCTION + 0x40, FUNCTION);
	put_short_jump(fixture, FUNCTION + 0x42, FUNCTION + 6);
	put_far_jump(fixture, FAR, FUNCTION);
	put_far_jump(fixture, TEXT, FUNCTION + 6);
	assert_placed(fixture, &free_shape, 5, true, NULLED);
}

static void a_jump_through_a_register_or_table_leaves_the_entry(void **state)
{
	struct fixture *fixture = *state;

	put_free(fixture);
	PUT(fixture, FUNCTION + 0x40, "\x3e\xff\xe0"); /* notrack jmp *%rax */
	assert_placed(fixture, &free_shape, 0, false, "the function has a jump whose target is not known");
	PUT(fixture, FUNCTION + 0x40, "\xff\x24\xc5\x00\x00\x00\x00"); /* jmp *table(,%rax,8) */
	assert_placed(fixture, &free_shape, 0, false, "the function has a jump whose target is not known");
	PUT(fixture, FUNCTION + 0x40, "\xff\x25\x00\x00\x00\x00\xc3"); /* jmp *slot(%rip): a function */
	assert_placed(fixture, &free_shape, 5, true, NULLED);
	PUT(fixture, FUNCTION + 0x100, "\xff\xe0"); /* in the next function */
	assert_placed(fixture, &free_shape, 5, true, NULLED);
	PUT(fixture, FUNCTION, PUSH); /* where nothing lies between nothing is to be proved */
	PUT(fixture, FUNCTION + 0x40, "\xff\xe0");
	assert_placed(fixture, &free_shape, 0, true, FIRST);
}

static void a_function_that_begins_in_between_leaves_the_places_before_it(void **state)
{
	struct fixture *fixture = *state;

	put_free(fixture);
	fixture->symbols[2].vaddr = FUNCTION + 6;
	assert_placed(fixture, &free_shape, 5, true, NULLED);
	fixture->symbols[2].vaddr = FUNCTION + 5;
	assert_placed(fixture, &free_shape, 3, true, PASSED);
	fixture->symbols[2] = (struct elf_symbol){ .vaddr = FUNCTION + 3 }; /* a label */
	assert_placed(fixture, &free_shape, 0, false, STARTS);
}

static void two_functions_share_no_place(void **state)
{
	struct fixture *fixture = *state;
	struct image image = { .file = &fixture->file };
	struct placement_request requests[2] = {
		{ .entry = FUNCTION + 3, .size = 0x100, .shape = &malloc_shape },
		{ .entry = FUNCTION, .size = 0x100, .shape = &malloc_shape },
	};

	fixture->file.symbols_count = 1; /* nothing else tells of them */
	PUT(fixture, FUNCTION, TO_RAX TO_RAX PUSH);
	assert_int_equal(pwrite(fixture->file.fd, fixture->text, TEXT_BYTES, 0), TEXT_BYTES);
	placement_choose(&image, false, requests, 2);
	assert_int_equal(requests[0].place.vaddr, FUNCTION + 6);
	assert_int_equal(requests[1].place.vaddr, FUNCTION);
	assert_string_equal(requests[1].place.why, STARTS);
}

static void code_that_cannot_be_decoded_proves_nothing(void **state)
{
	struct fixture *fixture = *state;

	put_free(fixture);
	PUT(fixture, FUNCTION + 0x80, "\x06");
	assert_placed(fixture, &free_shape, 0, false, "the code cannot be decoded");
	PUT(fixture, FUNCTION + 0x80, "\xc3");
	PUT(fixture, FUNCTION - 2, "\xe9"); /* reaches into the function */
	assert_placed(fixture, &free_shape, 0, false, "the code before it cannot be decoded");
	PUT(fixture, FUNCTION - 2, "\xc3");
	PUT(fixture, FUNCTION + 0x101, "\x06"); /* the next function, and too far away */
	assert_placed(fixture, &free_shape, 5, true, NULLED);
}

static void a_function_that_ends_early_or_late_proves_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct image image = { .file = &fixture->file };
	struct placement_request request = { .entry = FUNCTION, .size = 5, .shape = &free_shape };

	put_free(fixture);
	assert_int_equal(pwrite(fixture->file.fd, fixture->text, TEXT_BYTES, 0), TEXT_BYTES);
	placement_choose(&image, false, &request, 1);
	assert_int_equal(request.place.vaddr, FUNCTION);
	assert_string_equal(request.place.why, "the function ends before");
	request.size = UINT64_MAX - FUNCTION;
	placement_choose(&image, false, &request, 1);
	assert_int_equal(request.place.vaddr, FUNCTION);
	request.size = 0; /* up to the next one */
	placement_choose(&image, false, &request, 1);
	assert_int_equal(request.place.vaddr, FUNCTION + 5);
}

static void text_that_is_not_there_is_probed_at_its_first_byte(void **state)
{
	struct fixture *fixture = *state;
	struct placement place = chosen_at(fixture, TEXT + TEXT_BYTES, &malloc_shape);

	assert_int_equal(place.vaddr, TEXT + TEXT_BYTES);
	assert_string_equal(place.why, "the code cannot be read");
	place = chosen_at(fixture, UINT64_MAX - 1, &malloc_shape);
	assert_int_equal(place.vaddr, UINT64_MAX - 1);
	PUT(fixture, TEXT + TEXT_BYTES - 4, TO_RAX "\x48"); /* cut off */
	place = chosen_at(fixture, TEXT + TEXT_BYTES - 4, &malloc_shape);
	assert_int_equal(place.vaddr, TEXT + TEXT_BYTES - 4);
	assert_string_equal(place.why, "the code cannot be decoded");
	fixture->file.machine = EM_RISCV;
	place = chosen_at(fixture, FUNCTION, &malloc_shape);
	assert_int_equal(place.vaddr, FUNCTION);
	assert_string_equal(place.why, "code of an unknown machine");
}

static void a_function_at_the_start_of_the_text_has_nothing_before_it(void **state)
{
	struct fixture *fixture = *state;
	struct placement_request request = { .entry = TEXT, .size = 0x80, .shape = &free_shape };
	struct image image = { .file = &fixture->file };

	fixture->symbols[0].size = 0x80;
	PUT(fixture, TEXT, TEST JE PUSH);
	assert_int_equal(pwrite(fixture->file.fd, fixture->text, TEXT_BYTES, 0), TEXT_BYTES);
	placement_choose(&image, false, &request, 1);
	assert_int_equal(request.place.vaddr, TEXT + 5);
}

static void the_text_of_an_instruction_is_objdumps(void **state)
{
	struct fixture *fixture = *state;

	PUT(fixture, FUNCTION, "\x41\x54");
	assert_string_equal(chosen_at(fixture, FUNCTION, &malloc_shape).text, "push %r12");
	PUT(fixture, FUNCTION, "\x77\x0e");
	assert_string_equal(chosen_at(fixture, FUNCTION, &malloc_shape).text, "ja 0x11010");
	PUT(fixture, FUNCTION, "\x0f\x84\xfa\x00\x00\x00");
	assert_string_equal(chosen_at(fixture, FUNCTION, &malloc_shape).text, "je 0x11100");
	PUT(fixture, FUNCTION, "\xe9\xfb\x00\x00\x00");
	assert_string_equal(chosen_at(fixture, FUNCTION, &malloc_shape).text, "jmp 0x11100");
	fixture->nops_called = true;
	PUT(fixture, FUNCTION, NOP5);
	assert_string_equal(chosen_at(fixture, FUNCTION, &malloc_shape).text, "nopl 0x0(%rax,%rax,1)");
}

/* --- A64: the words are what binutils makes of the text beside them ---------------------------- */

static void assert_words(struct fixture *fixture, const uint32_t *words, size_t count, const struct call_shape *shape,
			 unsigned int behind, bool cheap, const char *why)
{
	static const uint32_t ret = 0xd65f03c0;
	size_t i;

	fixture->file.machine = EM_AARCH64;
	for (i = 0; i < TEXT_BYTES; i += 4)
		memcpy(fixture->text + i, &ret, 4);
	put(fixture, FUNCTION, words, count * 4);
	assert_placed(fixture, shape, behind, cheap, why);
}

#define WORDS(shape, behind, cheap, why, ...) do {                                             \
		const uint32_t words_[] = { __VA_ARGS__ };                                     \
		assert_words(*state, words_, COUNT(words_), shape, behind, cheap, why);        \
	} while (0)

#define A_CBZ  0xb4000100 /* cbz x0, .+32 */
#define A_ADRP 0x90000009 /* adrp x9, . */
#define A_STP  0xa9be7bfd /* stp x29, x30, [sp, #-32]! */

static void arm64_branches_and_page_addresses_are_emulated(void **state)
{
	WORDS(&malloc_shape, 0, true, FIRST, 0x14000002);            /* b */
	WORDS(&malloc_shape, 0, true, FIRST, 0x54000048);            /* b.hi */
	WORDS(&malloc_shape, 0, true, FIRST, A_CBZ);
	WORDS(&malloc_shape, 0, true, FIRST, 0x35000100);            /* cbnz w0 */
	WORDS(&malloc_shape, 0, true, FIRST, 0x36080060);            /* tbz */
	WORDS(&malloc_shape, 0, true, FIRST, A_ADRP);
	WORDS(&malloc_shape, 0, true, FIRST, 0x10000041);            /* adr */
	WORDS(&malloc_shape, 4, true, PASSED, 0xd503245f, A_ADRP);   /* bti c */
	WORDS(&malloc_shape, 4, true, PASSED, 0xf100401f, 0x54000048); /* cmp x0, #16; b.hi */
	WORDS(&malloc_shape, 4, true, PASSED, 0xd503201f, A_ADRP);   /* nop: not by all kernels */
}

static void arm64_everything_else_is_stepped(void **state)
{
	WORDS(&malloc_shape, 0, false, LEAVES, A_STP);
	WORDS(&malloc_shape, 0, false, LEAVES, 0xd503233f, A_ADRP); /* paciasp: the return address changes */
	WORDS(&malloc_shape, 0, false, LEAVES, 0x94000002, A_ADRP); /* bl */
	WORDS(&malloc_shape, 0, false, LEAVES, 0xd4000001, A_ADRP); /* svc */
	WORDS(&malloc_shape, 0, false, LEAVES, 0xf90007e0, A_ADRP); /* str x0, [sp, #8] */
	WORDS(&malloc_shape, 0, false, LEAVES, 0xc85ffc01, A_ADRP); /* ldaxr */
	WORDS(&malloc_shape, 0, false, LEAVES, 0xf8408401, A_ADRP); /* ldr x1, [x0], #8 */
	WORDS(&malloc_shape, 0, false, MOVES, 0xd10043ff, A_ADRP);  /* sub sp, sp, #16 */
	WORDS(&malloc_shape, 0, false, MOVES, 0x8b2163ff, A_ADRP);  /* add sp, sp, x1 */
	WORDS(&malloc_shape, 0, false, UNWIND, 0x910003fd, A_ADRP); /* mov x29, sp */
	WORDS(&malloc_shape, 0, false, UNWIND, 0xb940041e, A_ADRP); /* ldr w30, [x0, #4] */
}

static void arm64_free_is_probed_behind_its_test_for_null(void **state)
{
	WORDS(&free_shape, 4, true, NULLED, A_CBZ, A_ADRP);
	WORDS(&free_shape, 0, true, FIRST, A_CBZ, A_STP);
	WORDS(&malloc_shape, 0, true, FIRST, A_CBZ, A_ADRP);
	WORDS(&free_shape, 0, true, FIRST, 0x34000100, A_ADRP); /* cbz w0: half of it */
	WORDS(&free_shape, 0, true, FIRST, 0xb4000101, A_ADRP); /* cbz x1 */
	WORDS(&free_shape, 0, true, FIRST, 0xb5000100, A_ADRP); /* cbnz x0 */
}

static void arm64_instructions_write_what_they_write(void **state)
{
	static const struct {
		uint32_t word, writes;
	} rows[] = {
		{ 0x91000462, 1u << 3 }, /* add x2, x3, #1 */
		{ 0x92400c01, 1u << 2 }, /* and x1, x0, #15 */
		{ 0xf2400c1f, 0 },       /* tst x0, #15 */
		{ 0xd28000a3, 1u << 4 }, /* mov x3, #5 */
		{ 0xf2a000a3, 1u << 4 }, /* movk x3, #5, lsl #16 */
		{ 0xd343fc04, 1u << 5 }, /* lsr x4, x0, #3 */
		{ 0xaa0003e1, 1u << 2 }, /* mov x1, x0 */
		{ 0xea01001f, 0 },       /* tst x0, x1 */
		{ 0xeb01001f, 0 },       /* cmp x0, x1 */
		{ 0x8b010005, 1u << 6 }, /* add x5, x0, x1 */
		{ 0x8b214005, 1u << 6 }, /* add x5, x0, w1, uxtw */
		{ 0x9a820020, 1u << 1 }, /* csel x0, x1, x2, eq */
		{ 0x9b017c03, 1u << 4 }, /* mul x3, x0, x1 */
		{ 0xd53bd049, 0 },       /* mrs x9, tpidr_el0 */
		{ 0x5800004a, 0 },       /* ldr x10, .+8 */
		{ 0x98000041, 1u << 2 }, /* ldrsw x1, .+8 */
		{ 0xf9400001, 1u << 2 }, /* ldr x1, [x0] */
		{ 0x39400001, 1u << 2 }, /* ldrb w1, [x0] */
		{ 0xb9800802, 1u << 3 }, /* ldrsw x2, [x0, #8] */
		{ 0xf85f8001, 1u << 2 }, /* ldur x1, [x0, #-8] */
		{ 0xf8626801, 1u << 2 }, /* ldr x1, [x0, x2] */
		{ 0xa9400520, 1u << 1 | 1u << 2 }, /* ldp x0, x1, [x9] */
		{ 0xf9800000, 0 },       /* prfm pldl1keep, [x0] */
		{ 0xf1000400, 1u << 1 }, /* subs x0, x0, #1 */
	};
	struct step step;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(arm64_step((const uint8_t *)&rows[i].word, 4, 0x1000, &step));
		if (!step.passes || step.writes != rows[i].writes)
			fail_msg("%08x passes %d, writes %x", rows[i].word, step.passes, step.writes);
	}
	assert_false(arm64_step((const uint8_t *)&rows[0].word, 3, 0x1000, &step));
	assert_false(arm64_step((const uint8_t *)&rows[0].word, 4, 0x1002, &step));
}

static void arm64_jumps_behind_the_entry_leave_it(void **state)
{
	/* cmp x0, #16; b.hi, and a branch there from two words later */
	WORDS(&malloc_shape, 0, false, LED, 0xf100401f, 0x54000048, 0xd503201f, 0x17fffffe); /* b .-8 */
	WORDS(&malloc_shape, 0, false, LED, 0xf100401f, 0x54000048, 0xd503201f, 0xb4ffffc1); /* cbz x1, .-8 */
	WORDS(&malloc_shape, 0, false, LED, 0xf100401f, 0x54000048, 0xd503201f, 0x360fffc1); /* tbz w1, #1, .-8 */
	WORDS(&malloc_shape, 4, true, PASSED, 0xf100401f, 0x54000048, 0xd503201f, 0x17fffffd); /* b .-12 */
	WORDS(&malloc_shape, 0, false, "the function has a jump whose target is not known",
	      0xf100401f, 0x54000048, 0xd61f0020); /* br x1 */
}

#define TEST_OF(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OF(what_is_emulated_is_probed_where_it_stands_first),
		TEST_OF(an_instruction_with_a_prefix_is_not_relied_upon),
		TEST_OF(the_push_behind_endbr64_is_the_place),
		TEST_OF(the_push_behind_the_test_for_null_is_the_place_of_a_free),
		TEST_OF(any_other_branch_is_itself_the_place),
		TEST_OF(a_five_byte_nop_is_the_place_where_the_kernel_makes_a_call_of_it),
		TEST_OF(a_five_byte_nop_across_two_pages_is_no_place),
		TEST_OF(only_registers_that_the_probe_reads_must_be_as_they_were),
		TEST_OF(what_does_more_than_compute_ends_the_search),
		TEST_OF(loads_and_computations_are_passed),
		TEST_OF(a_jump_behind_the_entry_leaves_the_places_before_its_target),
		TEST_OF(a_short_function_is_looked_at_together_with_the_next),
		TEST_OF(a_jump_to_the_entry_or_beyond_the_place_does_not_matter),
		TEST_OF(a_jump_through_a_register_or_table_leaves_the_entry),
		TEST_OF(a_function_that_begins_in_between_leaves_the_places_before_it),
		TEST_OF(two_functions_share_no_place),
		TEST_OF(code_that_cannot_be_decoded_proves_nothing),
		TEST_OF(a_function_that_ends_early_or_late_proves_nothing),
		TEST_OF(text_that_is_not_there_is_probed_at_its_first_byte),
		TEST_OF(a_function_at_the_start_of_the_text_has_nothing_before_it),
		TEST_OF(the_text_of_an_instruction_is_objdumps),
		TEST_OF(arm64_branches_and_page_addresses_are_emulated),
		TEST_OF(arm64_everything_else_is_stepped),
		TEST_OF(arm64_free_is_probed_behind_its_test_for_null),
		TEST_OF(arm64_instructions_write_what_they_write),
		TEST_OF(arm64_jumps_behind_the_entry_leave_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
