// SPDX-License-Identifier: Apache-2.0
/* A64 as words: what each means, and the ways through functions made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/probe/allocators.h"
#include "../../user/probe/ret_decode.h"
#include "../../user/probe/ret_sites.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- one instruction: the words are what binutils makes of the text beside them -------------- */

static struct code decoded(const uint32_t *words, size_t count, uint64_t vaddr)
{
	struct code code;

	assert_true(arm64_decode((const uint8_t *)words, count * 4, vaddr, &code));
	return code;
}

static struct code one(uint32_t word)
{
	struct code code = decoded(&word, 1, 0x10000);

	assert_int_equal(code.length, 4);
	return code;
}

static void assert_leads(uint32_t word, enum code_kind kind, uint64_t to)
{
	struct code code = one(word);

	assert_int_equal(code.kind, kind);
	assert_int_equal(code.target, TARGET_CODE);
	assert_int_equal(code.to, to);
}

static void assert_kinds(const uint32_t *words, size_t count, enum code_kind kind)
{
	for (size_t i = 0; i < count; i++) {
		struct code code = one(words[i]);

		if (code.kind != kind || code.target != TARGET_UNKNOWN)
			fail_msg("%08x is of kind %d, expected %d", words[i], code.kind, kind);
	}
}

static void branches_lead_where_their_offset_says(void **state)
{
	(void)state;
	assert_leads(0x14000002, CODE_JUMP, 0x10008);            /* b .+8 */
	assert_leads(0x17ffffff, CODE_JUMP, 0xfffc);             /* b .-4 */
	assert_leads(0x16000000, CODE_JUMP, 0x10000 - (1 << 27)); /* b .-128M */
	assert_leads(0x94000010, CODE_CALL, 0x10040);            /* bl .+64 */
	assert_leads(0x97fe5249, CODE_CALL, 0x10000 - 0x6b6dc);  /* bl .-439004 */
	assert_leads(0x54000488, CODE_BRANCH, 0x10090);          /* b.hi .+144 */
	assert_leads(0x54ffffa0, CODE_BRANCH, 0xfff4);           /* b.eq .-12 */
	assert_leads(0x54000050, CODE_BRANCH, 0x10008);          /* bc.eq .+8 */
	assert_leads(0xb40000c0, CODE_BRANCH, 0x10018);          /* cbz x0, .+24 */
	assert_leads(0x34000040, CODE_BRANCH, 0x10008);          /* cbz w0, .+8 */
	assert_leads(0xb5ffff00, CODE_BRANCH, 0xffe0);           /* cbnz x0, .-32 */
	assert_leads(0x36000060, CODE_BRANCH, 0x1000c);          /* tbz w0, #0, .+12 */
	assert_leads(0xb7fbffe1, CODE_BRANCH, 0x17ffc);          /* tbnz x1, #63, .+32764 */
	assert_leads(0xb7fc0001, CODE_BRANCH, 0x8000);           /* tbnz x1, #63, .-32768 */
}

static void only_a_ret_without_signature_returns(void **state)
{
	static const uint32_t ret[] = { 0xd65f03c0 };
	static const uint32_t others[] = {
		0xd65f0220, /* ret x17 */
		0xd65f0bff, 0xd65f0fff, /* retaa, retab */
		0xd65f0be2, 0xd65f0fe2, /* retaasppcr x2, retabsppcr x2 */
		0x5500005f, 0x5520005f, /* retaasppc .-8, retabsppc .-8 */
		0xd69f03e0, 0xd6bf03e0, /* eret, drps */
		0x74c00041, 0x75000041, /* cbeq w1, w0, .+8; cbgt w1, #0, .+8: newer than this table */
	};

	(void)state;
	assert_kinds(ret, COUNT(ret), CODE_RET);
	assert_kinds(others, COUNT(others), CODE_UNKNOWN);
	assert_string_equal(one(0xd65f0220).why, "returns by another register");
	assert_string_equal(one(0xd65f0bff).why, "returns by retaa, where the kernel takes no probe");
	assert_string_equal(one(0x5500005f).why, "returns by retaa, where the kernel takes no probe");
	assert_string_equal(one(0x74c00041).why, "has a branch of an unknown kind");
}

static void jumps_and_calls_by_register_lead_anywhere(void **state)
{
	static const uint32_t jumps[] = {
		0xd61f0220, 0xd61f0000, /* br x17, br x0 */
		0xd61f081f, 0xd61f0c3f, /* braaz x0, brabz x1 */
		0xd71f0a30, 0xd71f0e30, /* braa x17, x16; brab x17, x16 */
	};
	static const uint32_t calls[] = {
		0xd63f0000, 0xd63f03c0, /* blr x0, blr x30 */
		0xd63f081f, 0xd63f0c3f, /* blraaz x0, blrabz x1 */
		0xd73f0a30, 0xd73f0e30, /* blraa x17, x16; blrab x17, x16 */
	};

	(void)state;
	assert_kinds(jumps, COUNT(jumps), CODE_JUMP);
	assert_kinds(calls, COUNT(calls), CODE_CALL);
}

static void what_traps_or_goes_on_is_told_apart(void **state)
{
	static const uint32_t traps[] = { 0x00000000, 0x0000dead, 0xd4207d00, 0xd4200020, 0xd4400000 };
	static const uint32_t plain[] = {
		0xd4000001, 0xd503201f, 0xd503245f, 0xd503233f, 0xd50323bf, /* svc 0, nop, bti c, paciasp, autiasp */
		0xd53bd042, 0xd5033bbf, 0xd50b7520, /* mrs x2, tpidr_el0; dmb ish; ic ivau, x0 */
		0xa9be7bfd, 0xa8c27bfd, 0x910003fd, 0xf9400bf3, /* stp, ldp, mov x29, sp; ldr x19, [sp, #16] */
		0xd2800000, 0x9bc27c20, 0x38616864, 0x4ea01c00, 0x8b0700c3, 0x10000040, 0x58000040, 0xc85ffc20,
	};

	(void)state;
	assert_kinds(traps, COUNT(traps), CODE_TRAP);
	assert_kinds(plain, COUNT(plain), CODE_PLAIN);
	assert_true(one(0x00000000).padding && one(0xd4200020).padding && one(0xd503201f).padding);
	assert_false(one(0xd4400000).padding || one(0xd503245f).padding || one(0xd2800000).padding);
	assert_true(one(0xd503241f).landing && one(0xd503245f).landing && one(0xd503249f).landing &&
		    one(0xd50324df).landing); /* bti, bti c, bti j, bti jc */
	assert_false(one(0xd503201f).landing || one(0xd503233f).landing);
}

static void assert_jump(const uint32_t *words, size_t count, enum code_target target, uint64_t to)
{
	struct code code = decoded(words, count, 0xc850);

	assert_int_equal(code.kind, CODE_JUMP);
	assert_int_equal(code.target, target);
	assert_int_equal(code.to, to);
	assert_int_equal(code.length, count * 4);
}

static void an_entry_of_the_plt_is_one_jump_through_its_slot(void **state)
{
	/* adrp x16; ldr x17, [x16, #]; add x16, x16, #; br x17 */
	static const uint32_t first[] = { 0xf0000150, 0xf9400211, 0x91000210, 0xd61f0220 };
	static const uint32_t last[] = { 0xd0000150, 0xf947fe11, 0x913fe210, 0xd61f0220 };
	static const uint32_t below[] = { 0xd0ffffd0, 0xf9400611, 0x91002210, 0xd61f0220 };
	static const uint32_t without_add[] = { 0xf0000150, 0xf9400a10, 0xd61f0200 }; /* ldr x16; br x16 */
	static const uint32_t checked[] = { 0xf0000150, 0xf9400211, 0x91000210, 0xd503219f, 0xd61f0220 };
	static const uint32_t checks[] = { 0xf0000150, 0xf9400211, 0x91000210, 0xd71f0a30 };

	(void)state;
	assert_jump(first, COUNT(first), TARGET_SLOT, 0x37000);
	assert_jump(last, COUNT(last), TARGET_SLOT, 0x36ff8);
	assert_jump(below, COUNT(below), TARGET_SLOT, 0x6008);
	assert_jump(without_add, COUNT(without_add), TARGET_SLOT, 0x37010);
	assert_jump(checked, COUNT(checked), TARGET_SLOT, 0x37000); /* autia1716; br x17 */
	assert_jump(checks, COUNT(checks), TARGET_SLOT, 0x37000);   /* braa x17, x16 */
}

static void a_way_to_far_code_is_one_jump(void **state)
{
	static const uint32_t far[] = { 0xf0000150, 0x91048e10, 0xd61f0200 }; /* adrp x16; add x16, x16, #291; br x16 */

	(void)state;
	assert_jump(far, COUNT(far), TARGET_CODE, 0x37123);
}

static void what_only_looks_like_an_entry_of_the_plt_is_none(void **state)
{
	static const uint32_t near_misses[][5] = {
		{ 0xf0000150, 0xf9400231, 0x91000210, 0xd61f0220 }, /* ldr x17, [x17] */
		{ 0xf0000150, 0xb9400211, 0x91000210, 0xd61f0220 }, /* ldr w17, [x16] */
		{ 0xf0000150, 0xf9400211, 0x91000210, 0xd61f0200 }, /* br x16 */
		{ 0xf0000150, 0xf9400211, 0x91000210, 0xd63f0220 }, /* blr x17 */
		{ 0xf0000150, 0xf9400210, 0x91000210, 0xd61f0200 }, /* ldr x16, [x16]; add x16, x16, #0 */
		{ 0xf0000150, 0xf9400211, 0x91000231, 0xd61f0220 }, /* add x17, x17, #0 */
		{ 0xf0000150, 0xf9400211, 0x91000210, 0xd503201f, 0xd61f0220 },
		{ 0x70000150, 0xf9400211, 0x91000210, 0xd61f0220 }, /* adr x16 */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(near_misses); i++) {
		struct code code = decoded(near_misses[i], 5, 0xc850);

		assert_int_equal(code.kind, CODE_PLAIN);
		assert_int_equal(code.length, 4);
	}
}

static void bytes_that_are_no_word_are_no_instruction(void **state)
{
	static const uint32_t plt[] = { 0xf0000150, 0xf9400211, 0x91000210, 0xd61f0220 };
	const uint8_t *bytes = (const uint8_t *)plt;
	struct code code;

	(void)state;
	assert_false(arm64_decode(bytes, 0, 0x1000, &code));
	assert_false(arm64_decode(bytes, 3, 0x1000, &code));
	assert_false(arm64_decode(bytes, 16, 0x1002, &code));
	assert_true(arm64_decode(bytes, 15, 0x1000, &code)); /* the br is cut off */
	assert_int_equal(code.kind, CODE_PLAIN);
}

/* --- ways through functions ------------------------------------------------------------------ */

#define BASE  0x10000ull
#define SLOTS 0x30000ull /* of the PLT: shared, abort, outside */

#define B(words)   (0x14000000 | ((uint32_t)(words) & 0x3ffffff))
#define BL(words)  (0x94000000 | ((uint32_t)(words) & 0x3ffffff))
#define CBZ(words) (0xb4000000 | ((uint32_t)(words) & 0x7ffff) << 5)
#define BEQ(words) (0x54000000 | ((uint32_t)(words) & 0x7ffff) << 5)
#define RET        0xd65f03c0
#define NOP        0xd503201f
#define BTI        0xd503245f
#define STP        0xa9bf7bfd /* stp x29, x30, [sp, #-16]! */
#define LDP        0xa8c17bfd /* ldp x29, x30, [sp], #16 */
#define BR_X1      0xd61f0020
#define PLT(slot)  0x90000110, 0xf9400211 | (slot) << 10, 0x91000210 | (slot) << 13 /* 32 pages up */
#define BR_X17     0xd61f0220

/* The functions begin at multiples of 8 words, their number. */
enum { TWO, TAIL, THROUGH, SHARED, ABORTER, THROWER, FOLLOWER, SIGNED, TABLE, ELSEWHERE, FAR, LANDS, STUBS, FUNCTIONS };

static const uint32_t text[FUNCTIONS + 2][8] = {
	[TWO] = { CBZ(3), NOP, RET, 0xd2800000, 0x36000040, NOP, RET }, /* tbz w0, #0, .+8 */
	/* Both rets of the one that is jumped to, none of the one that is called. */
	[TAIL] = { STP, BL(8 * (SHARED - TAIL) - 1), LDP, BEQ(8 * (TWO - TAIL) - 3), B(2), BR_X1, RET },
	[THROUGH] = { B(8 * (STUBS - THROUGH)) },
	[SHARED] = { BTI, RET },
	/* Calls that do not return: by name, and because a function follows. */
	[ABORTER] = { CBZ(2), RET, BL(8 * (STUBS - ABORTER) + 2), BR_X1 },
	[THROWER] = { CBZ(5), RET, BR_X1, BR_X1, BR_X1, BL(8 * (TWO - THROWER) - 5), NOP },
	[FOLLOWER] = { RET },
	[SIGNED] = { 0xd503233f, CBZ(2), RET, 0xd65f0bff }, /* paciasp, ..., retaa */
	[TABLE] = { CBZ(2), RET, BR_X1 },
	[ELSEWHERE] = { CBZ(2), RET, B(8 * (STUBS - ELSEWHERE) + 8) },
	[FAR] = { 0x90000010, 0x91000210 | (0x400 + 32 * FOLLOWER) << 10, 0xd61f0200 }, /* adrp x16, add, br */
	/* Into the midst of a PLT entry. */
	[LANDS] = { B(8 * (STUBS - LANDS) + 3) },
	[STUBS] = { PLT(0), BR_X17, BTI, PLT(1) },
	[STUBS + 1] = { 0xd503219f, BR_X17, PLT(2), 0xd503219f, BR_X17 },
};

struct file {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Dyn dynamic[9];
	uint32_t hash[2];
	Elf64_Sym symbols[FUNCTIONS + 3];
	Elf64_Rela relocs[3];
	char strings[128];
	uint32_t text[FUNCTIONS + 2][8] __attribute__((aligned(1024)));
};
_Static_assert(offsetof(struct file, text) == 0x400, "as FAR has it");

#define AT(member) (BASE + offsetof(struct file, member))

static void symbol_put(struct file *file, size_t index, const char *name, uint64_t vaddr)
{
	size_t used = 1;

	while (file->strings[used])
		used += strlen(file->strings + used) + 1;
	assert_true(used + strlen(name) + 1 < sizeof(file->strings));
	strcpy(file->strings + used, name);
	file->symbols[index] = (Elf64_Sym){
		.st_name = (Elf64_Word)used, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
		.st_shndx = vaddr ? 1 : SHN_UNDEF, .st_value = vaddr, .st_size = vaddr ? 4 : 0,
	};
}

static uint64_t at(unsigned int function, unsigned int word)
{
	return AT(text) + 32 * function + 4 * word;
}

/* A file of @machine with the functions, called @names (NULL: as their number). */
static struct elf_file *made(uint16_t machine, const char *const *names)
{
	static const char *const outside[] = { "abort", "outside" };
	struct file file = {
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_DYN, .e_machine = machine, .e_version = EV_CURRENT,
			.e_phoff = offsetof(struct file, segments), .e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
		},
		.segments = {
			{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = BASE,
			  .p_filesz = sizeof(file), .p_memsz = sizeof(file) },
			{ .p_type = PT_DYNAMIC, .p_offset = offsetof(struct file, dynamic), .p_vaddr = AT(dynamic),
			  .p_filesz = sizeof(file.dynamic), .p_memsz = sizeof(file.dynamic) },
		},
		.dynamic = {
			{ DT_SYMTAB, { AT(symbols) } }, { DT_SYMENT, { sizeof(Elf64_Sym) } },
			{ DT_STRTAB, { AT(strings) } }, { DT_STRSZ, { sizeof(file.strings) } },
			{ DT_HASH, { AT(hash) } },
			{ DT_JMPREL, { AT(relocs) } }, { DT_PLTRELSZ, { sizeof(file.relocs) } },
		},
		.hash = { 0, FUNCTIONS + 3 },
	};
	struct elf_file *opened;
	char number[16];
	size_t i;
	int fd;

	for (i = 0; i < FUNCTIONS; i++) {
		snprintf(number, sizeof(number), "%zu", i);
		symbol_put(&file, i + 1, names && names[i] ? names[i] : number, at(i, 0));
	}
	for (i = 0; i < COUNT(outside); i++)
		symbol_put(&file, FUNCTIONS + 1 + i, outside[i], 0);
	for (i = 0; i < COUNT(file.relocs); i++)
		file.relocs[i] = (Elf64_Rela){ SLOTS + 8 * i, ELF64_R_INFO(i ? FUNCTIONS + i : SHARED + 1,
									 R_AARCH64_JUMP_SLOT), 0 };
	memcpy(file.text, text, sizeof(text));
	fd = memfd_create("arm64", MFD_CLOEXEC);
	assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
	assert_int_equal(elffile_open(&opened, fd), 0);
	close(fd);
	assert_int_equal(elffile_index(opened), 0);
	return opened;
}

static void find(uint16_t machine, uint64_t entry, struct ret_sites *sites)
{
	struct elf_file *file = made(machine, NULL);
	struct image image;

	image_init(&image, file);
	assert_int_equal(image_load_slots(&image), 0);
	assert_int_equal(ret_sites_find(&image, entry, NULL, 0, sites), 0);
	image_release(&image);
	elffile_free(file);
}

/* Exactly these, by rising address. */
static void assert_rets(unsigned int function, const uint64_t *rets, size_t count)
{
	struct ret_sites sites;

	find(EM_AARCH64, at(function, 0), &sites);
	assert_null(sites.why);
	assert_int_equal(sites.verdict, RET_FOUND);
	assert_int_equal(sites.count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(sites.vaddrs[i], rets[i]);
}

#define RETS(function, ...) \
	assert_rets(function, (const uint64_t[]){ __VA_ARGS__ }, COUNT(((const uint64_t[]){ __VA_ARGS__ })))

static void assert_unknown(uint16_t machine, uint64_t entry, const char *why)
{
	struct ret_sites sites;

	find(machine, entry, &sites);
	assert_int_equal(sites.verdict, RET_UNKNOWN);
	assert_int_equal(sites.count, 0);
	assert_string_equal(sites.why, why);
}

static void both_sides_of_a_condition_return(void **state)
{
	(void)state;
	RETS(TWO, at(TWO, 2), at(TWO, 6));
}

static void the_rets_of_a_function_jumped_to_are_ours_and_of_one_called_are_not(void **state)
{
	(void)state;
	RETS(TAIL, at(TWO, 2), at(TWO, 6), at(TAIL, 6));
	RETS(FAR, at(FOLLOWER, 0));
}

static void a_jump_through_the_plt_to_this_file_is_followed(void **state)
{
	(void)state;
	RETS(THROUGH, at(SHARED, 1));
}

static void a_call_that_does_not_return_ends_the_way(void **state)
{
	(void)state;
	RETS(ABORTER, at(ABORTER, 1));
	RETS(THROWER, at(THROWER, 1));
}

static void what_cannot_be_followed_or_probed_gives_nothing(void **state)
{
	(void)state;
	assert_unknown(EM_AARCH64, at(SIGNED, 0), "returns by retaa, where the kernel takes no probe");
	assert_unknown(EM_AARCH64, at(TABLE, 0), "jumps through a register or table");
	assert_unknown(EM_AARCH64, at(LANDS, 0), "jumps through a register or table");
	assert_unknown(EM_AARCH64, at(ELSEWHERE, 0), "ends in another file");
	assert_unknown(EM_AARCH64, at(TWO, 0) + 2, "has no readable code");
	assert_unknown(EM_RISCV, at(TWO, 0), "is code of a machine that is not known here");
}

static const struct probe_point *point_of(const struct probe_set *set, enum probe_place place, uint64_t vaddr)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->points[i].place == place && set->points[i].offset == vaddr - BASE)
			return &set->points[i];
	}
	return NULL;
}

static void operator_new_is_probed_at_its_rets_and_what_cannot_be_is_told(void **state)
{
	static const char *const names[FUNCTIONS] = {
		[FOLLOWER] = "malloc", [SHARED] = "free", [TWO] = "_Znwm", [SIGNED] = "_Znam",
		[FAR] = "_ZnwmSt11align_val_t", [THROUGH] = "_ZdlPv",
	};
	struct elf_file *file = made(EM_AARCH64, names);
	struct probe_set set;

	(void)state;
	assert_int_equal(allocators_find(file, &set), 0);
	assert_string_equal(set.note, "_Znam is not counted: it returns by retaa, where the kernel takes no probe");
	assert_int_equal(set.left_out, 1);
	assert_string_equal(point_of(&set, PLACE_CALL, at(FOLLOWER, 0))->function, "malloc");
	assert_string_equal(point_of(&set, PLACE_FREE, at(SHARED, 0))->function, "free");
	assert_string_equal(point_of(&set, PLACE_CALL, at(TWO, 0))->function, "_Znwm");
	assert_string_equal(point_of(&set, PLACE_RET, at(TWO, 2))->function, "_Znwm");
	assert_string_equal(point_of(&set, PLACE_RET, at(TWO, 6))->function, "_Znwm");
	assert_int_equal(set.count, 5); /* what only goes on to malloc or free is left to these */
	probe_set_release(&set);
	elffile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(branches_lead_where_their_offset_says),
		cmocka_unit_test(only_a_ret_without_signature_returns),
		cmocka_unit_test(jumps_and_calls_by_register_lead_anywhere),
		cmocka_unit_test(what_traps_or_goes_on_is_told_apart),
		cmocka_unit_test(an_entry_of_the_plt_is_one_jump_through_its_slot),
		cmocka_unit_test(a_way_to_far_code_is_one_jump),
		cmocka_unit_test(what_only_looks_like_an_entry_of_the_plt_is_none),
		cmocka_unit_test(bytes_that_are_no_word_are_no_instruction),
		cmocka_unit_test(both_sides_of_a_condition_return),
		cmocka_unit_test(the_rets_of_a_function_jumped_to_are_ours_and_of_one_called_are_not),
		cmocka_unit_test(a_jump_through_the_plt_to_this_file_is_followed),
		cmocka_unit_test(a_call_that_does_not_return_ends_the_way),
		cmocka_unit_test(what_cannot_be_followed_or_probed_gives_nothing),
		cmocka_unit_test(operator_new_is_probed_at_its_rets_and_what_cannot_be_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
