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

static void a_list_that_is_locked_for_a_moment_is_asked_twice(void **state)
{
	begin();
	fake_find_vma_busy(0, 1);
	walk(outermost, STACK, 0);
	assert_walked(COMPLETE, word(outermost));
	assert_int_equal(fake_find_vma_calls(), 2);
}

static void while_the_list_is_locked_what_user_space_knows_is_used(void **state)
{
	struct hb_range ranges[3];
	u64 address;

	begin();
	address = with_library();
	ranges[0] = (struct hb_range){ .start = PROGRAM, .end = program.end, .offset = 0x3000, .object = OBJECT };
	ranges[1] = (struct hb_range){ .start = LIBRARY - 0x1000, .end = LIBRARY };
	ranges[2] = (struct hb_range){ LIBRARY, library.end, .offset = 0x10000, .object = LIBRARY_OBJECT };
	put(STACK + 8, outermost);
	fake_find_vma_busy(0, 1000);
	walk(address, STACK, 0);
	assert_walked(BUSY, address); /* it knows nothing yet */
	tables_space(GEN + 1, ranges, 3);
	walk(address, STACK, 0);
	assert_walked(BUSY, address);
	tables_space(GEN, ranges, 3);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
	assert_int_equal(fake_events(), 0);
	/* It may be wrong: nothing of it is kept. */
	assert_int_equal(fake_rows("hb_pcs"), 0);
	fake_find_vma_busy(0, 0);
	fake_map_gone(mm, LIBRARY);
	walk(address, STACK, 0);
	assert_walked(UNMAPPED, address);
}

static void what_was_used_while_it_was_locked_is_not_used_later_in_the_walk(void **state)
{
	struct hb_range range;
	u64 address;

	begin();
	address = with_library();
	range = (struct hb_range){ LIBRARY, library.end, .offset = 0x10000, .object = LIBRARY_OBJECT };
	tables_space(GEN, &range, 1);
	put(STACK + 8, outermost);
	fake_find_vma_busy(0, 2); /* for the first frame */
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
	fake_map(mm, LIBRARY + 0x100000, LIBRARY + 0x101000, 0, FAKE_EXEC, NULL);
	put(STACK + 8, LIBRARY + 0x100010);
	fake_find_vma_busy(0, 2);
	walk(address, STACK, 0);
	assert_walked(ANONYMOUS, code_word(&library, address), LIBRARY + 0x100010);
}

static void a_range_of_no_file_that_is_known_says_nothing(void **state)
{
	struct hb_range range;
	u64 address;

	begin();
	address = with_library();
	range = (struct hb_range){ .start = LIBRARY, .end = library.end, .offset = 0x10000 };
	tables_space(GEN, &range, 1);
	put(STACK + 8, outermost);
	fake_find_vma_busy(0, 2);
	walk(address, STACK, 0);
	assert_walked(BUSY, address);
	walk(address, STACK, 0); /* least of all for later */
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

static void each_of_128_ranges_is_found_from_end_to_end(void **state)
{
	struct hb_range ranges[HB_RANGES_MAX];

	begin();
	tables_object(OBJECT, 0, 0, HB_OBJECT_NO_ROWS);
	for (u32 count = 0; count <= HB_RANGES_MAX; count += count < 6 ? 1 : 61) {
		for (u32 i = 0; i < count; i++)
			ranges[i] = (struct hb_range){
				.start = LIBRARY + 0x10000 * i, .end = LIBRARY + 0x10000 * i + 0x3000,
				.offset = 0x1000 * i, .object = OBJECT,
			};
		tables_space(GEN, ranges, count);
		fake_find_vma_busy(0, 100000);
		for (u32 i = 0; i < count; i++) {
			walk(ranges[i].start, STACK, 0);
			assert_walked(NO_ROWS, HB_FRAME_IN_OBJECT(OBJECT, 0x1000 * i));
			walk(ranges[i].end - 1, STACK, 0);
			assert_walked(NO_ROWS, HB_FRAME_IN_OBJECT(OBJECT, 0x1000 * i + 0x2fff));
			walk(ranges[i].start - 1, STACK, 0);
			assert_walked(BUSY, ranges[i].start - 1);
			walk(ranges[i].end, STACK, 0);
			assert_walked(BUSY, ranges[i].end);
		}
		walk(LIBRARY - 0x100000, STACK, 0);
		assert_walked(BUSY, LIBRARY - 0x100000);
		walk(LIBRARY + 0x10000000, STACK, 0);
		assert_walked(BUSY, LIBRARY + 0x10000000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(the_vdso_is_object_1),
		ONCE(code_in_no_file_is_an_address_and_needs_no_call),
		ONCE(what_cannot_be_executed_is_no_code),
		ONCE(an_offset_that_no_frame_holds_is_left_an_address),
		ONCE(a_list_that_is_locked_for_a_moment_is_asked_twice),
		ONCE(while_the_list_is_locked_what_user_space_knows_is_used),
		ONCE(what_was_used_while_it_was_locked_is_not_used_later_in_the_walk),
		ONCE(a_range_of_no_file_that_is_known_says_nothing),
		ONCE(each_of_128_ranges_is_found_from_end_to_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
