// SPDX-License-Identifier: Apache-2.0
/* Mappings: of files, of none, and moments at which the kernel's list of them is locked. */
#include "unwind_test.h"

static void the_vdso_is_object_1(void **state)
{
	const u64 vdso = 0x7ffd12340000ULL;
	struct hb_rule rule = RULE_SP(0x10);
	struct hb_row rows[] = { { .offset = 0 }, { .offset = 0xa00, .rule = 0 } };

	begin();
	rows[1].rule = tables_rule(&rule);
	tables_rows(9, 3, rows, 2);
	tables_page(5, 9, 3, 2, 1);
	tables_object(HB_OBJECT_VDSO, 5, 1, HB_OBJECT_READY);
	fake_map_vdso(mm, vdso, vdso + 0x2000);
	mm->vmas->vm_pgoff = 0x7ffd12340; /* whatever the kernel writes there */
	put(STACK + 8, outermost);
	walk(vdso + 0xa10, STACK, 0);
	assert_walked(COMPLETE, HB_FRAME_IN_OBJECT(HB_OBJECT_VDSO, 0xa10), word(outermost));
	walk(vdso + 0x9ff, STACK, 0);
	assert_walked(NO_ROWS, HB_FRAME_IN_OBJECT(HB_OBJECT_VDSO, 0x9ff));
	/* Code in no file that does not begin there is not the vdso. */
	fake_map(mm, vdso + 0x2000, vdso + 0x3000, 0, FAKE_EXEC, NULL);
	walk(vdso + 0x2a10, STACK, 0);
	assert_walked(ANONYMOUS, vdso + 0x2a10);
}

static void code_in_no_file_is_an_address_and_needs_no_call(void **state)
{
	const u64 jit = 0x7f4000000000ULL;

	begin();
	fake_map(mm, jit, jit + 0x10000, 0, FAKE_EXEC | FAKE_WRITE, NULL);
	put(STACK + 0x20, STACK + 0x40);
	put(STACK + 0x28, jit + 0x200);
	put(STACK + 0x40, 0);
	put(STACK + 0x48, outermost);
	walk(jit + 0x100, STACK, STACK + 0x20);
	assert_walked(COMPLETE, jit + 0x100, jit + 0x200, word(outermost));
	/* From there into a file a call is needed. */
	put(STACK + 0x48, outermost + 1);
	walk(jit + 0x100, STACK, STACK + 0x20);
	assert_walked(ANONYMOUS, jit + 0x100, jit + 0x200);
	put(STACK + 0x48, 0);
	walk(jit + 0x100, STACK, STACK + 0x20);
	assert_walked(ANONYMOUS, jit + 0x100, jit + 0x200);
}

static void what_cannot_be_executed_is_no_code(void **state)
{
	u64 pc;

	begin();
	pc = function(RULE_SP(8));
	fake_map(mm, LIBRARY, LIBRARY + 0x1000, 0, FAKE_WRITE, program.file);
	put(STACK, LIBRARY + 0x10);
	walk(pc, STACK, 0);
	assert_walked(UNMAPPED, word(pc));
	/* Where the thread itself is said to be, that is kept. */
	walk(LIBRARY + 0x10, STACK, 0);
	assert_walked(UNMAPPED, LIBRARY + 0x10);
}

static void an_offset_that_no_frame_holds_is_left_an_address(void **state)
{
	const u64 last = 1ULL << 36;
	struct file *file;

	begin();
	file = fake_file(55, 1, 1);
	tables_inode(file, 8);
	tables_object(8, 3000, 1, HB_OBJECT_READY);
	fake_map(mm, LIBRARY, LIBRARY + 0x2000, last - 0x1000, FAKE_EXEC, file);
	walk(LIBRARY + 0xfff, STACK, 0);
	assert_walked(NO_ROWS, HB_FRAME_IN_OBJECT(8, last - 1));
	walk(LIBRARY + 0x1000, STACK, 0);
	assert_int_equal(walked()->count, 1);
	assert_int_equal(walked()->frames[0], LIBRARY + 0x1000);
}

/* --- moments at which the kernel's list is locked ------------------------------------------------------ */

static void while_the_list_is_locked_it_is_read_all_the_same_and_nothing_of_it_is_kept(void **state)
{
	u64 address;

	begin();
	address = with_library();
	put(STACK + 8, outermost);
	fake_find_vma_busy(0, 1000);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
	assert_int_equal(fake_tree_walks(), 2);
	assert_int_equal(fake_rows("hb_pcs"), 0);
	fake_map_gone(mm, LIBRARY); /* nothing there: but it may be about to come */
	walk(address, STACK, 0);
	assert_walked(BUSY, address);
	fake_find_vma_busy(0, 0);
	walk(address, STACK, 0);
	assert_walked(UNMAPPED, address);
}

static void where_it_cannot_be_read_either_the_walk_ends_for_now(void **state)
{
	u64 address;

	begin();
	address = with_library();
	put(STACK + 8, outermost);
	fake_find_vma_busy(0, 1);
	fake_tree_busy(2); /* it is tried twice */
	walk(address, STACK, 0);
	assert_walked(BUSY, address);
	fake_find_vma_busy(0, 1000);
	fake_tree_busy(1);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
	fake_find_vma_busy(0, 0);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

static void with_interrupts_off_the_list_is_never_locked_and_addresses_are_not_kept(void **state)
{
	struct hb_resume resume = { .sp = STACK, .unlocked = 1 };

	begin();
	resume.pc = with_library();
	put(STACK + 8, outermost);
	for (u32 i = 1; i <= 2; i++) {
		memset(pending_task()->walk.replays, 0, sizeof(pending_task()->walk.replays));
		assert_true(stack_capture(pending_task(), GEN, &resume) != HB_STACK_NONE);
		assert_walked(COMPLETE, code_word(&library, resume.pc), word(outermost));
		assert_int_equal(fake_find_vma_calls(), 0);
		assert_int_equal(fake_tree_walks(), 2 * i);
		assert_int_equal(fake_rows("hb_pcs"), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(the_vdso_is_object_1),
		ONCE(code_in_no_file_is_an_address_and_needs_no_call),
		ONCE(what_cannot_be_executed_is_no_code),
		ONCE(an_offset_that_no_frame_holds_is_left_an_address),
		ONCE(while_the_list_is_locked_it_is_read_all_the_same_and_nothing_of_it_is_kept),
		ONCE(where_it_cannot_be_read_either_the_walk_ends_for_now),
		ONCE(with_interrupts_off_the_list_is_never_locked_and_addresses_are_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
