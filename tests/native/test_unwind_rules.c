// SPDX-License-Identifier: Apache-2.0
/* From a frame to its caller: each kind of rule, on a stack laid out for it. */
#include "unwind_test.h"

static void a_rule_of_the_stack_pointer_finds_the_caller(void **state)
{
	u64 inner, outer;

	begin();
	inner = function(RULE_SP(8));
	outer = function(RULE_SP(0x40));
	put(STACK, outer);
	put(STACK + 0x40, outermost);
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, word(inner), word(outer), word(outermost));
}

static void a_rule_of_the_frame_pointer_finds_the_caller(void **state)
{
	u64 inner, outer;

	begin();
	inner = function(RULE_FP);
	outer = function(RULE_FP);
	put(STACK + 0x100, STACK + 0x200); /* alloca: the stack pointer is anywhere below */
	put(STACK + 0x108, outer);
	put(STACK + 0x200, 0);
	put(STACK + 0x208, outermost);
	walk(inner, STACK + 0x8, STACK + 0x100);
	assert_walked(COMPLETE, word(inner), word(outer), word(outermost));
}

static void a_cfa_that_is_stored_on_the_stack_is_read(void **state)
{
	u64 by_sp, by_fp;

	begin();
	by_sp = function(RULE(DEREF_SP, 0x18, SAME, 0, 8));
	put(STACK + 0x18, STACK + 0x80);
	put(STACK + 0x80, outermost); /* CFA = *(sp + 0x18) + 8 */
	walk(by_sp, STACK, 0);
	assert_walked(COMPLETE, word(by_sp), word(outermost));

	/* A realigned stack: the caller's frame pointer lies at this one, its CFA just below. */
	by_fp = function(RULE(DEREF_FP, -8, AT_FP, 0, 0));
	put(STACK + 0x60, STACK + 0x500);
	put(STACK + 0x58, STACK + 0x98);
	by_sp = function(RULE_FP);
	put(STACK + 0x90, by_sp);
	put(STACK + 0x500, 0);
	put(STACK + 0x508, outermost);
	walk(by_fp, STACK + 0x20, STACK + 0x60);
	assert_walked(COMPLETE, word(by_fp), word(by_sp), word(outermost));
}

static void the_addend_of_a_stored_cfa_may_be_negative(void **state)
{
	u64 pc;

	begin();
	pc = function(RULE(DEREF_SP, 8, SAME, 0, -16));
	put(STACK + 8, STACK + 0x90);
	put(STACK + 0x78, outermost);
	walk(pc, STACK, 0);
	assert_walked(COMPLETE, word(pc), word(outermost));
}

/* An entry of the PLT is 16 bytes: jmp, push, jmp. From @threshold on the push has been done. */
static void check_plt(u32 threshold)
{
	u64 plt = code_function(&program, RULE(PLT, 0, SAME, 0, threshold)) & ~15ULL, wrong = function(RULE_STOP);

	for (u32 at = 0; at < 48; at++) {
		put(STACK, (at & 15) >= threshold ? wrong : outermost);
		put(STACK + 8, (at & 15) >= threshold ? outermost : wrong);
		walk(plt + at, STACK, 0);
		assert_walked(COMPLETE, word(plt + at), word(outermost));
	}
}

static void in_the_plt_the_rule_depends_on_the_instruction(void **state)
{
	begin();
	check_plt(11);
	check_plt(10); /* with endbr64 */
}

/* struct rt_sigframe as the restorer sees it: the return address has been popped. */
static void put_signal(u64 sp, u64 interrupted_fp, u64 interrupted_sp, u64 interrupted_pc)
{
	for (u32 i = 0; i < 23; i++)
		put(sp + 40 + 8 * i, 0x1111111111111111ULL * (i % 15));
	put(sp + 40 + 8 * 10, interrupted_fp);
	put(sp + 40 + 8 * 15, interrupted_sp);
	put(sp + 40 + 8 * 16, interrupted_pc);
}

static void under_a_signal_handler_is_what_it_interrupted(void **state)
{
	u64 handler, restorer, interrupted, caller;

	begin();
	handler = function(RULE_SP(0x20));
	restorer = code_function(&program, RULE_SIGNAL) + 1; /* the row begins before the function */
	interrupted = function(RULE_FP);
	caller = function(RULE_SP(8));
	put(STACK + 0x18, restorer);
	put_signal(STACK + 0x20, STACK + 0x600, STACK + 0x580, interrupted);
	put(STACK + 0x600, 0);
	put(STACK + 0x608, caller);
	put(STACK + 0x610, outermost);
	walk(handler, STACK, 0xbad0);
	assert_walked(COMPLETE, word(handler), restorer_word(restorer), word(interrupted) | HB_FRAME_EXACT,
		      word(caller), word(outermost));
}

static void a_handler_on_another_stack_goes_back_to_a_lower_one(void **state)
{
	u64 alternate = STACK + 0x100000, restorer, interrupted;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	interrupted = function(RULE_SP(0x10));
	put_signal(alternate, 0, STACK, interrupted);
	put(STACK + 8, outermost);
	walk(restorer, alternate, 0);
	assert_walked(COMPLETE, restorer_word(restorer), word(interrupted) | HB_FRAME_EXACT, word(outermost));
}

static void a_handler_without_rows_returns_to_the_restorer_as_well(void **state)
{
	u64 handler, restorer, interrupted;

	begin();
	handler = function(RULE_NONE);
	restorer = code_function(&program, RULE_SIGNAL) + 1; /* behind no call */
	interrupted = code_function(&program, RULE_SP(0x10)) + 0x33; /* nor this */
	put(STACK + 0x20, 0);
	put(STACK + 0x28, restorer);
	put_signal(STACK + 0x30, 0, STACK + 0x800, interrupted);
	put(STACK + 0x808, outermost);
	walk(handler, STACK, STACK + 0x20);
	assert_walked(COMPLETE, word(handler), restorer_word(restorer), word(interrupted) | HB_FRAME_EXACT,
		      word(outermost));
	put_signal(STACK + 0x30, 0, STACK + 0x800, 0xfff);
	walk(handler, STACK, STACK + 0x20);
	assert_walked(BAD_CFA, word(handler), restorer_word(restorer));
}

static void what_was_interrupted_at_its_first_instruction_has_its_own_rule(void **state)
{
	u64 restorer, before, interrupted, alone;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	before = code_function(&program, RULE_SP(0x100));
	interrupted = code_function(&program, RULE_SP(8));
	alone = function(RULE_SP(8));
	assert_int_equal(interrupted, before + FUNCTION_BYTES);
	put_signal(STACK, 0, STACK + 0x400, interrupted);
	put(STACK + 0x400, alone);
	put(STACK + 0x408, outermost);
	put(STACK + 0x4f8, outermost); /* where the rule of the byte before leads */
	walk(restorer, STACK, 0);
	assert_walked(COMPLETE, restorer_word(restorer), word(interrupted) | HB_FRAME_EXACT, word(alone),
		      word(outermost));

	/* The same address as one that is returned to means the call before it. */
	walk(alone, STACK + 0x400 - 8, 0);
	put(STACK + 0x400 - 8, interrupted);
	walk(alone, STACK + 0x400 - 8, 0);
	assert_walked(COMPLETE, word(alone), word(interrupted), word(outermost));
}

static void a_signal_in_a_signal_handler_is_passed_twice(void **state)
{
	u64 restorer, handler;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	handler = function(RULE_SP(8));
	put_signal(STACK, 0, STACK + 0x800, handler);
	put(STACK + 0x800, restorer);
	put_signal(STACK + 0x808, 0, STACK + 0x1000, handler);
	put(STACK + 0x1000, outermost);
	walk(restorer, STACK, 0);
	assert_walked(COMPLETE, restorer_word(restorer), word(handler) | HB_FRAME_EXACT, restorer_word(restorer),
		      word(handler) | HB_FRAME_EXACT, word(outermost));
}

static void the_first_frame_has_the_rule_of_where_it_goes_on(void **state)
{
	u64 before, here;

	begin();
	before = code_function(&program, RULE_SP(0x20));
	here = code_function(&program, RULE_SP(8));
	put(STACK, outermost);
	put(STACK + 0x18, before + 5);
	walk(here, STACK, 0);
	assert_walked(COMPLETE, word(here), word(outermost));
	/* The byte before is the other function's, whose caller is elsewhere. */
	put(STACK + 0x38, outermost);
	walk(here - 1, STACK, 0);
	assert_walked(COMPLETE, word(here - 1), word(before + 5), word(outermost));
}

static void a_call_can_be_the_last_instruction_of_its_function(void **state)
{
	u64 inner, caller, next;

	begin();
	inner = function(RULE_SP(8));
	caller = code_function(&program, RULE_SP(0x20));
	next = code_function(&program, RULE_UNSUPPORTED);
	assert_int_equal(next, caller + FUNCTION_BYTES);
	put(STACK, next); /* the call does not return: the next function follows at once */
	put(STACK + 0x20, outermost);
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, word(inner), word(next), word(outermost));
}

static void a_call_can_be_the_last_instruction_of_its_mapping(void **state)
{
	struct hb_rule last = RULE_SP(0x10);
	struct hb_row row = { .offset = 0, .rule = 0 };
	u64 inner;

	begin();
	inner = function(RULE_SP(8));
	row.rule = tables_rule(&last);
	tables_rows(40, 0, &row, 1);
	tables_page(program.page_base + 1, 40, 0, 1, 1);
	put(STACK, program.end);
	put(STACK + 0x10, outermost);
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, word(inner), word(program.end), word(outermost));
	/* Even if another file follows it at once. */
	code_new(mm, 9, program.end, 0x1000, 0);
	walk(inner, STACK, 0);
	assert_walked(COMPLETE, word(inner), word(program.end), word(outermost));
}

static void a_frame_pointer_that_stays_is_the_callers(void **state)
{
	u64 leaf, caller;

	begin();
	leaf = function(RULE_SP(0x18));
	caller = function(RULE_FP);
	put(STACK + 0x10, caller);
	put(STACK + 0x40, 0);
	put(STACK + 0x48, outermost);
	walk(leaf, STACK, STACK + 0x40);
	assert_walked(COMPLETE, word(leaf), word(caller), word(outermost));
}

/* @saves brings the caller's frame pointer from @slot, although it has one of its own. */
static void check_saved(struct hb_rule saves, u64 slot)
{
	u64 pc = function(saves), caller = function(RULE_FP);

	put(STACK + 0x40 - 8, caller);
	put(slot, STACK + 0x80);
	put(STACK + 0x80, 0);
	put(STACK + 0x88, outermost);
	walk(pc, STACK, STACK + 0x20);
	assert_walked(COMPLETE, word(pc), word(caller), word(outermost));
	put(slot, 0xbad);
}

static void a_frame_pointer_that_was_saved_is_found(void **state)
{
	begin();
	check_saved(RULE(SP, 0x40, AT_CFA, -16, 0), STACK + 0x30); /* side by side with the return address */
	check_saved(RULE(SP, 0x40, AT_CFA, -0x38, 0), STACK + 8);
	check_saved(RULE(SP, 0x40, AT_CFA, -24, 0), STACK + 0x28);
	check_saved(RULE(SP, 0x40, AT_CFA, 0x10, 0), STACK + 0x50);
	check_saved(RULE(SP, 0x40, AT_CFA, 0, 0), STACK + 0x40);
	check_saved(RULE(SP, 0x40, AT_CFA, 0x14, 0), STACK + 0x54); /* no compiler puts it so */
	check_saved(RULE(SP, 0x40, AT_FP, 0x10, 0), STACK + 0x30);
	check_saved(RULE(FP, 0x20, AT_FP, 0, 0), STACK + 0x20);
	check_saved(RULE(FP, 0x20, AT_CFA, -0x10, 0), STACK + 0x30);
}

static void a_frame_pointer_that_was_lost_serves_no_rule(void **state)
{
	const struct hb_rule needs[] = { RULE_FP, RULE(DEREF_FP, -8, AT_FP, 0, 0) };
	u64 loses, caller;

	begin();
	loses = function(RULE(SP, 8, LOST, 0, 0));
	put(STACK + 0x40, 0);
	put(STACK + 0x48, outermost);
	for (u32 i = 0; i < 2; i++) {
		caller = function(needs[i]);
		put(STACK, caller);
		walk(loses, STACK, STACK + 0x40);
		assert_walked(POINTER_LOST, word(loses), word(caller));
	}
	caller = function(RULE_NONE);
	put(STACK, caller);
	walk(loses, STACK, STACK + 0x40);
	assert_walked(NO_ROWS, word(loses), word(caller));
	/* Who needs none goes on. */
	caller = function(RULE_SP(0x18));
	put(STACK, caller);
	put(STACK + 0x18, outermost);
	walk(loses, STACK, STACK + 0x40);
	assert_walked(COMPLETE, word(loses), word(caller), word(outermost));
}

static void a_lost_frame_pointer_is_known_again_where_one_was_saved(void **state)
{
	static const s32 offsets[] = { -16, -24 }; /* side by side with the return address, and apart */
	u64 loses, saves, needs;

	begin();
	loses = function(RULE(SP, 8, LOST, 0, 0));
	needs = function(RULE_FP);
	put(STACK, 0);
	for (u32 i = 0; i < 2; i++) {
		saves = function(RULE(SP, 0x28, AT_CFA, offsets[i], 0));
		put(STACK, saves);
		put(STACK + 0x28, needs);
		put(STACK + 0x30 + offsets[i], STACK + 0x40);
		put(STACK + 0x40, 0);
		put(STACK + 0x48, outermost);
		walk(loses, STACK, 0xbad);
		assert_walked(COMPLETE, word(loses), word(saves), word(needs), word(outermost));
	}
}

static void a_lost_frame_pointer_is_not_followed_to_one_that_was_saved(void **state)
{
	u64 loses, saves;

	begin();
	loses = function(RULE(SP, 8, LOST, 0, 0));
	saves = function(RULE(SP, 0x10, AT_FP, 0, 0));
	put(STACK, saves);
	put(STACK + 0x10, outermost);
	walk(loses, STACK, 0xbad0);
	assert_walked(COMPLETE, word(loses), word(saves), word(outermost));
}

static void a_signal_brings_all_registers_back(void **state)
{
	u64 loses, restorer, needs;

	begin();
	loses = function(RULE(SP, 8, LOST, 0, 0));
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	needs = function(RULE_FP);
	put(STACK, restorer);
	put_signal(STACK + 8, STACK + 0x640, STACK + 0x600, needs);
	put(STACK + 0x640, 0);
	put(STACK + 0x648, outermost);
	walk(loses, STACK, 0);
	assert_walked(COMPLETE, word(loses), restorer_word(restorer), word(needs) | HB_FRAME_EXACT, word(outermost));
}

static struct hb_rule keeps_bx(struct hb_rule rule, u8 more)
{
	rule.more = more;
	return rule;
}

static void a_frame_found_by_rbx_is_found_wherever_that_is(void **state)
{
	struct hb_resume resume = { .sp = STACK, .bx = STACK + 0x200 };
	u64 saves, leaves, binds;

	begin();
	saves = function(keeps_bx(RULE_SP(0x20), 3));
	leaves = function(RULE_SP(0x10));
	binds = function(RULE(BX, 24, SAME, 0, 0));
	/* In the register all the way. */
	resume.pc = leaves;
	put(STACK + 8, binds);
	put(STACK + 0x210, outermost);
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(COMPLETE, word(leaves), word(binds), word(outermost));
	/* Saved by the first frame, and by the second, where it is another one's. */
	resume.pc = saves;
	put(STACK + 8, STACK + 0x300);
	put(STACK + 0x18, leaves);
	put(STACK + 0x28, binds);
	put(STACK + 0x310, outermost);
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(COMPLETE, word(saves), word(leaves), word(binds), word(outermost));
	put(STACK + 0x18, saves);
	put(STACK + 0x28, STACK + 0x400);
	put(STACK + 0x38, binds);
	put(STACK + 0x410, outermost);
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(COMPLETE, word(saves), word(saves), word(binds), word(outermost));
}

static void a_frame_by_an_rbx_that_was_lost_ends_the_stack(void **state)
{
	struct hb_resume resume = { .sp = STACK, .bx = STACK + 0x200 };
	u64 loses, saves, bare, binds;

	begin();
	loses = function(keeps_bx(RULE_SP(0x10), HB_BX_LOST));
	saves = function(keeps_bx(RULE_SP(0x20), 2));
	bare = function(RULE_NONE);
	binds = function(RULE(BX, 24, SAME, 0, 0));
	resume.pc = loses;
	put(STACK + 8, binds);
	put(STACK + 0x210, outermost);
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(POINTER_LOST, word(loses), word(binds));
	/* Code that nobody described may have put anything there. */
	resume.pc = bare;
	resume.fp = STACK;
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(POINTER_LOST, word(bare), word(binds));
	/* What is saved after that is the caller's again. */
	resume.pc = loses;
	put(STACK + 8, saves);
	put(STACK + 0x20, STACK + 0x200);
	put(STACK + 0x28, binds);
	stack_capture_fetching(pending_task(), GEN, &resume);
	assert_walked(COMPLETE, word(loses), word(saves), word(binds), word(outermost));
}

static void where_there_is_no_rule_a_frame_pointer_leads_on(void **state)
{
	u64 bare, caller, no_call;

	begin();
	bare = function(RULE_NONE);
	caller = function(RULE_SP(0x20));
	put(STACK + 0x40, 0x1234);
	put(STACK + 0x48, caller);
	put(STACK + 0x68, outermost); /* the caller's stack pointer: just above the record */
	walk(bare, STACK, STACK + 0x40);
	assert_walked(COMPLETE, word(bare), word(caller), word(outermost));
	/* Only what the pointer itself has found must be behind a call. */
	no_call = code_function(&program, RULE_STOP) + 0x33;
	put(STACK + 0x68, no_call);
	walk(bare, STACK, STACK + 0x40);
	assert_walked(COMPLETE, word(bare), word(caller), word(no_call));
	/* Right at the stack pointer, and a whole megabyte up. */
	put(STACK, 0);
	put(STACK + 8, caller);
	put(STACK + 0x28, outermost);
	walk(bare, STACK, STACK);
	assert_walked(COMPLETE, word(bare), word(caller), word(outermost));
	put(STACK + (1 << 20) + 8, caller);
	put(STACK + (1 << 20) + 0x28, outermost);
	walk(bare, STACK, STACK + (1 << 20));
	assert_walked(COMPLETE, word(bare), word(caller), word(outermost));
}

static void where_there_is_no_rule_a_register_that_is_none_ends_the_stack(void **state)
{
	static const u64 registers[] = {
		0, 1, 8, STACK - 8, STACK + 0x81, STACK + 0x94, STACK + (1 << 20) + 8, ~0ULL, ~7ULL,
		0xffffffff81000000ULL, 1ULL << 63, STACK + 0x9000, /* nothing there */
	};
	u64 bare, caller, data;

	begin();
	bare = function(RULE_NONE);
	caller = function(RULE_SP(0x20));
	put(STACK + 0x40, 0);
	put(STACK + 0x48, caller);
	put(STACK + 0x89, caller);
	put(STACK + 0x9c, caller);
	put(STACK, caller);
	put(STACK + (1 << 20) + 0x10, caller);
	for (u32 i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		walk(bare, STACK, registers[i]);
		assert_walked(NO_ROWS, word(bare));
	}
	/* What is found there must be code, and behind a call. */
	data = LIBRARY;
	fake_map(mm, data, data + 0x1000, 0, 0, fake_file(1, 2, 3));
	code_call(mm, data + 0x100);
	static const u64 found[] = { 1, 0xfff, 0x00fffffffffff001ULL, ~0ULL, LIBRARY + 0x100, LIBRARY + 0x8000,
				     STACK + 0x100, PROGRAM + 0x4242, PROGRAM + 0x15 };

	for (u32 i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		put(STACK + 0x48, found[i]);
		walk(bare, STACK, STACK + 0x40);
		assert_walked(NO_ROWS, word(bare));
	}
	put(STACK + 0x48, bare + 5); /* no rule there either */
	walk(bare, STACK, STACK + 0x40);
	assert_walked(NO_ROWS, word(bare));
}

static void zeroes_at_a_register_that_is_no_frame_pointer_are_no_end(void **state)
{
	u64 bare;

	begin();
	bare = function(RULE_NONE);
	put(STACK + 0x40, 0);
	put(STACK + 0x48, 0);
	walk(bare, STACK, STACK + 0x40);
	assert_walked(NO_ROWS, word(bare));
}

static void a_cfa_must_lie_above_the_stack_pointer(void **state)
{
	static const struct {
		s32 offset;
		bool good;
	} cases[] = {
		{ 8, true }, { 16, true }, { 0, false }, { -8, false }, { 4, false }, { 12, false }, { 17, false },
		{ 1 << 30, true }, { (1 << 30) + 8, false }, { INT32_MIN, false }, { INT32_MAX - 7, false },
	};
	u64 pc;

	begin();
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pc = function(RULE_SP(cases[i].offset));
		put(STACK + (s64)cases[i].offset - 8, outermost);
		walk(pc, STACK, 0);
		if (cases[i].good)
			assert_walked(COMPLETE, word(pc), word(outermost));
		else
			assert_walked(BAD_CFA, word(pc));
	}
}

static void a_return_address_that_can_be_none_ends_the_stack(void **state)
{
	static const u64 bad[] = { 1, 0xfff, 0x00fffffffffff001ULL, 1ULL << 60, 0xffffffff81000000ULL, ~0ULL };
	u64 pc;

	begin();
	pc = function(RULE_SP(8));
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(STACK, bad[i]);
		walk(pc, STACK, 0);
		assert_walked(BAD_CFA, word(pc));
	}
	put(STACK, 0x1000); /* may be one, but nothing is mapped there */
	walk(pc, STACK, 0);
	assert_walked(UNMAPPED, word(pc));
	put(STACK, 0); /* coroutines end so */
	walk(pc, STACK, 0);
	assert_walked(COMPLETE, word(pc));
}

static void a_stack_pointer_from_nowhere_ends_the_stack(void **state)
{
	static const u64 pointers[] = { 0, 8, 16, ~0ULL, ~7ULL, 1ULL << 63, 0xffffffff81000000ULL, STACK + 0x800000 };
	u64 restorer, pc;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	pc = function(RULE_SP(8));
	for (u32 i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		put_signal(STACK, 0, pointers[i], pc);
		walk(restorer, STACK, 0);
		/* The last addresses of all: the CFA comes around to 0. */
		if (pointers[i] == ~7ULL || pointers[i] == ~0ULL)
			assert_walked(BAD_CFA, restorer_word(restorer), word(pc) | HB_FRAME_EXACT);
		else
			assert_walked(FAULT, restorer_word(restorer), word(pc) | HB_FRAME_EXACT);
	}
}

static void what_another_walk_read_is_not_this_ones_stack(void **state)
{
	u64 restorer, pc;

	begin();
	restorer = code_function(&program, RULE_SIGNAL) + 1;
	pc = function(RULE_SP(8));
	put(STACK, outermost);
	for (u32 i = 1; i < 64; i++)
		put(STACK + 8 * i, outermost);
	walk(pc, STACK, 0); /* reads them all */
	assert_walked(COMPLETE, word(pc), word(outermost));
	for (u32 i = 1; i < 16; i++) {
		put_signal(STACK + 0x400, 0, 0ULL - i * (1ULL << 32), pc); /* addresses of the kernel's */
		walk(restorer, STACK + 0x400, 0);
		assert_walked(FAULT, restorer_word(restorer), word(pc) | HB_FRAME_EXACT);
	}
	put(STACK, 0x10000); /* the same stack, with another word in it */
	walk(pc, STACK, 0);
	assert_walked(UNMAPPED, word(pc));
}

static void a_stored_cfa_that_is_garbage_ends_the_stack(void **state)
{
	static const u64 stored[] = { 0, 1, STACK, STACK - 8, STACK + 12, ~0ULL, 1ULL << 63 };
	u64 pc;

	begin();
	pc = function(RULE(DEREF_SP, 0, SAME, 0, 0));
	for (u32 i = 0; i < sizeof(stored) / sizeof(stored[0]); i++) {
		put(STACK, stored[i]);
		walk(pc, STACK, 0);
		assert_walked(BAD_CFA, word(pc));
	}
}

static void a_kind_of_rule_that_is_not_known_is_not_followed(void **state)
{
	struct hb_rule rule = RULE_SP(8);
	u64 pc;

	begin();
	put(STACK, outermost);
	for (u32 cfa = HB_CFA_UNSUPPORTED; cfa < 256; cfa += cfa == HB_CFA_UNSUPPORTED ? 2 : cfa < 12 ? 1 : 61) {
		rule.cfa = cfa;
		pc = function(rule);
		walk(pc, STACK, 0);
		assert_walked(UNSUPPORTED, word(pc));
	}
	/* A way of keeping the frame pointer that is not known: it is lost. */
	rule = RULE_SP(8);
	rule.fp = 77;
	pc = function(rule);
	walk(pc, STACK, 0);
	assert_walked(COMPLETE, word(pc), word(outermost));
	put(STACK, function(RULE_FP));
	walk(pc, STACK, STACK);
	assert_int_equal(walked()->end, HB_END_POINTER_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(a_rule_of_the_stack_pointer_finds_the_caller),
		ONCE(a_rule_of_the_frame_pointer_finds_the_caller),
		ONCE(a_cfa_that_is_stored_on_the_stack_is_read),
		ONCE(the_addend_of_a_stored_cfa_may_be_negative),
		ONCE(in_the_plt_the_rule_depends_on_the_instruction),
		ONCE(under_a_signal_handler_is_what_it_interrupted),
		ONCE(a_handler_on_another_stack_goes_back_to_a_lower_one),
		ONCE(a_handler_without_rows_returns_to_the_restorer_as_well),
		ONCE(what_was_interrupted_at_its_first_instruction_has_its_own_rule),
		ONCE(a_signal_in_a_signal_handler_is_passed_twice),
		ONCE(the_first_frame_has_the_rule_of_where_it_goes_on),
		ONCE(a_call_can_be_the_last_instruction_of_its_function),
		ONCE(a_call_can_be_the_last_instruction_of_its_mapping),
		ONCE(a_frame_pointer_that_stays_is_the_callers),
		ONCE(a_frame_pointer_that_was_saved_is_found),
		ONCE(a_frame_pointer_that_was_lost_serves_no_rule),
		ONCE(a_lost_frame_pointer_is_known_again_where_one_was_saved),
		ONCE(a_lost_frame_pointer_is_not_followed_to_one_that_was_saved),
		ONCE(a_signal_brings_all_registers_back),
		ONCE(a_frame_found_by_rbx_is_found_wherever_that_is),
		ONCE(a_frame_by_an_rbx_that_was_lost_ends_the_stack),
		ONCE(where_there_is_no_rule_a_frame_pointer_leads_on),
		ONCE(where_there_is_no_rule_a_register_that_is_none_ends_the_stack),
		ONCE(zeroes_at_a_register_that_is_no_frame_pointer_are_no_end),
		ONCE(a_cfa_must_lie_above_the_stack_pointer),
		ONCE(a_return_address_that_can_be_none_ends_the_stack),
		ONCE(a_stack_pointer_from_nowhere_ends_the_stack),
		ONCE(what_another_walk_read_is_not_this_ones_stack),
		ONCE(a_stored_cfa_that_is_garbage_ends_the_stack),
		ONCE(a_kind_of_rule_that_is_not_known_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
