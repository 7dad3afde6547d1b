// SPDX-License-Identifier: Apache-2.0
/* The walk by frame pointers over what may be garbage, and the store of stacks. */
#include "native_test.h"

#include <string.h>

#define PC    (APP + 0x10)
#define STACK 0x7ffc00000000ULL /* frame records lie here */
#define CODE  0x555500000000ULL /* and return addresses point here */

static struct hb_task *task;
static struct hb_stack *stack; /* the task's scratch */
static struct mm_struct *mm;

static void put_call(u64 ret)
{
	static const u8 call[5] = { 0xe8, 1, 2, 3, 4 };

	fake_write(mm, ret - sizeof(call), call, sizeof(call));
}

/* A frame record at @fp: the caller's frame pointer and a return address behind a call. */
static void put_frame(u64 fp, u64 next, u64 ret)
{
	fake_write_u64(mm, fp, next);
	fake_write_u64(mm, fp + 8, ret);
	put_call(ret);
}

static void begin(void)
{
	struct thread *thread = traced_thread();

	mm = thread->task->mm;
	fake_current(thread->task);
	task = pending_task_create();
	assert_non_null(task);
	memset(task->scratch, 0xee, sizeof(task->scratch));
	stack = (struct hb_stack *)task->scratch;
}

static u64 capture(u32 gen, u64 pc, u64 fp)
{
	struct hb_resume resume = { .pc = pc, .sp = STACK, .fp = fp };

	return stack_capture_fetching(task, gen, &resume);
}

static u64 walk(u64 fp)
{
	return capture(GEN, PC, fp);
}

static void frames_are_walked_innermost_first(void **state)
{
	begin();
	put_frame(STACK + 0x20, STACK + 0x80, CODE + 0x100);
	put_frame(STACK + 0x80, STACK + 0x800, CODE + 0x200);
	put_frame(STACK + 0x800, 0, CODE + 0x300);
	walk(STACK + 0x20);
	assert_int_equal(stack->count, 4);
	assert_int_equal(stack->gen, GEN);
	assert_int_equal(stack->frames[0], PC);
	assert_int_equal(stack->frames[1], CODE + 0x100);
	assert_int_equal(stack->frames[2], CODE + 0x200);
	assert_int_equal(stack->frames[3], CODE + 0x300);
}

static void a_frame_pointer_that_is_none_ends_the_walk(void **state)
{
	static const u64 garbage[] = {
		0, 1, 8, STACK - 8, STACK + 0x21, STACK + 0x24, STACK + (8ULL << 20) + 8,
		~0ULL, ~7ULL, 0xffffffff81000000ULL, 0x00007ffffffffff8ULL, 1ULL << 63,
		STACK + 0x100000, /* not mapped */
	};

	begin();
	put_frame(STACK + 0x20, 0, CODE + 0x100);
	put_frame(STACK + (8ULL << 20) + 8, 0, CODE + 0x100);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		walk(garbage[i]);
		assert_int_equal(stack->count, 1);
		assert_int_equal(stack->frames[0], PC);
	}
}

static void a_cycle_of_frame_pointers_ends_the_walk(void **state)
{
	begin();
	put_frame(STACK + 0x20, STACK + 0x20, CODE + 0x100);
	walk(STACK + 0x20);
	assert_int_equal(stack->count, 2);
	put_frame(STACK + 0x20, STACK + 0x80, CODE + 0x100);
	put_frame(STACK + 0x80, STACK + 0x20, CODE + 0x200);
	walk(STACK + 0x20);
	assert_int_equal(stack->count, 3);
}

static void records_that_overlap_end_the_walk(void **state)
{
	begin();
	put_frame(STACK + 0x20, STACK + 0x28, CODE + 0x100);
	fake_write_u64(mm, STACK + 0x30, CODE + 0x100);
	walk(STACK + 0x20);
	assert_int_equal(stack->count, 2);
}

static void a_record_that_can_be_read_only_in_half_is_none(void **state)
{
	begin();
	fake_write_u64(mm, STACK + 0xff8, STACK + 0x2000);
	walk(STACK + 0xff8);
	assert_int_equal(stack->count, 1);
	fake_write_u64(mm, STACK + 0x1000, CODE + 0x100);
	put_call(CODE + 0x100);
	walk(STACK + 0xff8);
	assert_int_equal(stack->count, 2);
	fake_unmap(mm, STACK + 0x1000);
	walk(STACK + 0xff8);
	assert_int_equal(stack->count, 1);
}

static void a_return_address_outside_of_user_text_ends_the_walk(void **state)
{
	static const u64 bad[] = {
		0, 0xfff, 0x00fffffffffff001ULL, 0xffffffff81000000ULL, ~0ULL, CODE + 0x9000,
	};

	begin();
	put_frame(STACK + 0x20, STACK + 0x80, CODE + 0x100);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_write_u64(mm, STACK + 0x28, bad[i]);
		walk(STACK + 0x20);
		assert_int_equal(stack->count, 1);
	}
}

static void no_more_than_127_frames_are_kept(void **state)
{
	begin();
	for (u64 i = 0; i < 300; i++)
		put_frame(STACK + 16 * i, STACK + 16 * (i + 1), CODE + 0x100 + 8 * i);
	walk(STACK);
	assert_int_equal(stack->count, 127);
	assert_int_equal(stack->frames[1], CODE + 0x100);
	assert_int_equal(stack->frames[126], CODE + 0x100 + 8 * 125);
	assert_int_equal(task->last_free, 0); /* and nothing beside them is touched */
	assert_int_equal(task->depth, 0);
}

struct encoding {
	u8 length;
	u8 bytes[7];
	bool is_call;
};

static const struct encoding encodings[] = {
	{ 5, { 0xe8, 0, 0, 0, 0 }, true },		      /* call rel32 */
	{ 5, { 0xe8, 0xff, 0xff, 0xff, 0xff }, true },
	{ 2, { 0xff, 0xd0 }, true },			      /* call *%rax */
	{ 3, { 0x41, 0xff, 0xd3 }, true },		      /* call *%r11 */
	{ 2, { 0xff, 0x13 }, true },			      /* call *(%rbx) */
	{ 3, { 0xff, 0x50, 0x18 }, true },		      /* call *0x18(%rax) */
	{ 3, { 0xff, 0x14, 0xc5 }, true },		      /* call *(%rbp,%rax,8), without its disp8 */
	{ 4, { 0xff, 0x54, 0x24, 0x08 }, true },	      /* call *8(%rsp) */
	{ 6, { 0xff, 0x15, 1, 2, 3, 4 }, true },	      /* call *x(%rip) */
	{ 6, { 0xff, 0x90, 0, 1, 0, 0 }, true },	      /* call *0x100(%rax) */
	{ 7, { 0xff, 0x94, 0x24, 0, 1, 0, 0 }, true },	      /* call *0x100(%rsp) */
	{ 7, { 0xff, 0x14, 0xc5, 0, 1, 0, 0 }, true },	      /* call *0x100(,%rax,8) */
	{ 7, { 0x41, 0xff, 0x95, 0, 1, 0, 0 }, true },	      /* call *0x100(%r13) */
	{ 2, { 0xff, 0xe0 }, false },			      /* jmp *%rax */
	{ 2, { 0xff, 0xd8 }, false },			      /* lcall: no code of ours */
	{ 5, { 0xe9, 0, 0, 0, 0 }, false },		      /* jmp rel32 */
	{ 2, { 0xff, 0xc0 }, false },			      /* inc %eax */
	{ 7, { 0x48, 0x8d, 0x05, 0, 0, 0, 0 }, false },	      /* lea x(%rip),%rax */
	{ 4, { 0x0f, 0x1f, 0x40, 0x00 }, false },	      /* nop */
	{ 7, { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 }, false },
};

static void only_what_follows_a_call_instruction_is_a_return_address(void **state)
{
	static const u8 nops[8] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 };

	begin();
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		const struct encoding *encoding = &encodings[i];
		u64 ret = CODE + 0x100 + 16 * i;

		put_frame(STACK + 0x20, 0, ret);
		fake_write(mm, ret - sizeof(nops), nops, sizeof(nops));
		fake_write(mm, ret - encoding->length, encoding->bytes, encoding->length);
		walk(STACK + 0x20);
		assert_int_equal(stack->count, encoding->is_call ? 2 : 1);
	}
}

static void a_call_that_was_seen_is_believed_in_that_image_of_the_process_only(void **state)
{
	static const u8 nops[8] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 };

	begin();
	put_frame(STACK + 0x20, 0, CODE + 0x100);
	walk(STACK + 0x20);
	assert_int_equal(stack->count, 2);
	fake_write(mm, CODE + 0x100 - sizeof(nops), nops, sizeof(nops));
	walk(STACK + 0x20);
	assert_int_equal(stack->count, 2);
	capture(GEN + 1, PC, STACK + 0x20);
	assert_int_equal(stack->count, 1);
}

static void text_that_is_swapped_out_ends_the_walk(void **state)
{
	begin();
	put_frame(STACK + 0x20, 0, CODE + 0x100);
	fake_swap_out(mm, CODE + 0x100);
	walk(STACK + 0x20);
	assert_int_equal(stack->count, 1);
}

static void the_key_is_the_same_for_the_same_stack_only(void **state)
{
	u64 key, other;

	begin();
	put_frame(STACK + 0x20, STACK + 0x80, CODE + 0x100);
	put_frame(STACK + 0x80, 0, CODE + 0x200);
	key = walk(STACK + 0x20);
	assert_int_not_equal(key, HB_STACK_NONE);
	assert_int_equal(walk(STACK + 0x20), key);
	/* The same frames elsewhere on the stack. */
	put_frame(STACK + 0x400, STACK + 0x480, CODE + 0x100);
	put_frame(STACK + 0x480, 0, CODE + 0x200);
	assert_int_equal(walk(STACK + 0x400), key);

	put_frame(STACK + 0x480, 0, CODE + 0x208);
	assert_int_not_equal(walk(STACK + 0x400), key);
	put_frame(STACK + 0x400, 0, CODE + 0x100);
	other = walk(STACK + 0x400);
	assert_int_not_equal(other, key);
	put_frame(STACK + 0x400, STACK + 0x480, CODE + 0x200); /* the other order */
	put_frame(STACK + 0x480, 0, CODE + 0x100);
	assert_int_not_equal(walk(STACK + 0x400), key);
	assert_int_not_equal(capture(GEN, PC + 1, STACK + 0x20), key);
	assert_int_not_equal(capture(GEN + 1, PC, STACK + 0x20), key);
}

static void of_100000_stacks_no_two_have_one_key(void **state)
{
	begin();
	for (u64 i = 0; i < 100000; i++) {
		u64 key = capture(GEN, APP + i, 0);
		u32 seen = 1;

		assert_null(fake_find("keys", &key));
		fake_put("keys", &key, sizeof(key), &seen, sizeof(seen));
	}
}

static void a_stack_is_stored_once(void **state)
{
	u64 key;
	const struct hb_stack *row;

	begin();
	put_frame(STACK + 0x20, 0, CODE + 0x100);
	key = walk(STACK + 0x20);
	assert_int_equal(stack_store(task, key), key);
	assert_int_equal(stack_store(task, key), key);
	assert_int_equal(fake_rows("hb_stacks"), 1);
	assert_int_equal(counter(HB_CNT_STACKS_IN), 1);
	row = fake_find("hb_stacks", &key);
	assert_int_equal(row->count, 2);
	assert_int_equal(row->frames[1], CODE + 0x100);
}

static void store_hook(void *arg)
{
	stack_store(task, *(u64 *)arg);
}

static void two_cpus_that_store_one_stack_share_it(void **state)
{
	u64 key;

	begin();
	key = walk(0);
	fake_hook("hb_stacks", FAKE_UPDATE, store_hook, &key);
	assert_int_equal(stack_store(task, key), key);
	assert_int_equal(counter(HB_CNT_STACKS_IN), 1);
	assert_int_equal(counter(HB_CNT_STACK_FULL), 0);
}

static void without_room_there_is_no_stack(void **state)
{
	begin();
	fake_limit("hb_stacks", 1);
	assert_int_equal(stack_store(task, 4), 4);
	assert_int_equal(stack_store(task, 6), HB_STACK_NONE);
	assert_int_equal(counter(HB_CNT_STACK_FULL), 1);
	assert_int_equal(stack_store(task, 4), 4);
}

static void stacks_of_few_frames_have_shorter_rows(void **state)
{
	const struct hb_stack *row;
	u64 of_two, of_three;

	begin();
	fake_short_stacks(2);
	put_frame(STACK + 0x20, 0, CODE + 0x100);
	of_two = stack_store(task, walk(STACK + 0x20));
	assert_int_equal(of_two & HB_STACK_SHORT, HB_STACK_SHORT);
	row = fake_find("hb_short_stacks", &of_two);
	assert_int_equal(row->count, 2);
	assert_int_equal(row->gen, GEN);
	assert_int_equal(row->frames[1], CODE + 0x100);
	put_frame(STACK + 0x20, STACK + 0x80, CODE + 0x100);
	put_frame(STACK + 0x80, 0, CODE + 0x200);
	of_three = stack_store(task, walk(STACK + 0x20));
	assert_int_equal(of_three & HB_STACK_SHORT, 0);
	assert_int_equal(((const struct hb_stack *)fake_find("hb_stacks", &of_three))->count, 3);
	assert_int_equal(fake_rows("hb_short_stacks"), 1);
	assert_int_equal(fake_rows("hb_stacks"), 1);
	assert_int_equal(counter(HB_CNT_SHORT_STACKS_IN), 1);
	assert_int_equal(counter(HB_CNT_STACKS_IN), 1);
	assert_true(stack_kept(of_two) && stack_kept(of_three));
	/* Each once, and each table is full by itself. */
	fake_limit("hb_short_stacks", 1);
	assert_int_equal(stack_store(task, of_two), of_two);
	assert_int_equal(stack_store(task, of_two ^ 2), HB_STACK_NONE);
	assert_int_equal(stack_store(task, of_three ^ 2), of_three ^ 2);
	assert_int_equal(counter(HB_CNT_STACK_FULL), 1);
}

static void memory_is_faulted_in_only_where_that_is_allowed(void **state)
{
	u64 value = 1;

	begin();
	fake_write_u64(mm, STACK, 77);
	fake_swap_out(mm, STACK);
	assert_int_equal(stack_fetch_u64(STACK, &value), -EFAULT);
	assert_int_equal(value, 0);
	fake_knobs(0, 0, 0, 1);
	assert_int_equal(stack_fetch_u64(STACK, &value), 0);
	assert_int_equal(value, 77);
	assert_int_equal(stack_read_u64(0, &value), -EFAULT);
	assert_int_equal(stack_read_u64(~0ULL - 3, &value), -EFAULT);
}

static void a_malloc_is_counted_at_its_whole_stack(void **state)
{
	struct thread *thread = traced_thread();
	u64 frames[] = { SITE_A, CODE + 0x100, CODE + 0x200 };
	const struct hb_site *site;

	mm = thread->task->mm;
	thread->bp = thread->sp + 0x40;
	put_frame(thread->bp, thread->bp + 0x40, frames[1]);
	put_frame(thread->bp + 0x40, 0, frames[2]);
	take(thread, SITE_A, 100, 0x1000);
	thread->pc = SITE_A;
	thread_call(thread, &fn_new, 10, 0, 0); /* seen at its ret instruction: the same stack */
	thread_return(thread, 0x2000);
	site = site_of(GEN, frames, 3, HB_SRC_MALLOC, 0);
	assert_non_null(site);
	assert_int_equal(site->allocated_bytes, 110);
	assert_int_equal(fake_rows("hb_sites"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(frames_are_walked_innermost_first),
		ONCE(a_frame_pointer_that_is_none_ends_the_walk),
		ONCE(a_cycle_of_frame_pointers_ends_the_walk),
		ONCE(records_that_overlap_end_the_walk),
		ONCE(a_record_that_can_be_read_only_in_half_is_none),
		ONCE(a_return_address_outside_of_user_text_ends_the_walk),
		ONCE(no_more_than_127_frames_are_kept),
		ONCE(only_what_follows_a_call_instruction_is_a_return_address),
		ONCE(a_call_that_was_seen_is_believed_in_that_image_of_the_process_only),
		ONCE(text_that_is_swapped_out_ends_the_walk),
		ONCE(the_key_is_the_same_for_the_same_stack_only),
		ONCE(of_100000_stacks_no_two_have_one_key),
		ONCE(a_stack_is_stored_once),
		ONCE(two_cpus_that_store_one_stack_share_it),
		ONCE(without_room_there_is_no_stack),
		ONCE(stacks_of_few_frames_have_shorter_rows),
		ONCE(memory_is_faulted_in_only_where_that_is_allowed),
		BOTH(a_malloc_is_counted_at_its_whole_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
