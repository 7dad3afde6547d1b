// SPDX-License-Identifier: Apache-2.0
/* Files: what state their rows are in, and how they get their numbers. */
#include "unwind_test.h"

#define ASK_NS ((u64)HB_ASK_EVERY << 30)

struct file_number { /* bpf/probe_file.bpf.c */
	u64 address;
	u32 object;
	u32 given;
};

int hb_file_number(struct file_number *request);

extern u32 hb_last_object, hb_flushes[HB_FLUSHES];

static const struct hb_object *object_at(u32 object)
{
	return fake_find("hb_objects", &object);
}

static const struct hb_inode *inode_of(const struct file *file)
{
	struct hb_inode_key key = tables_key(file);

	return fake_find("hb_inodes", &key);
}

/* --- states of a file ------------------------------------------------------------------------------ */

static void a_file_whose_rows_are_being_read_ends_the_stack_for_now(void **state)
{
	u64 address;

	begin();
	address = with_library();
	put(STACK + 8, outermost);
	tables_object(library.object, 0, 0, HB_OBJECT_PENDING);
	for (u32 i = 0; i < 3; i++) {
		walk(address, STACK, 0);
		assert_walked(PENDING, code_word(&library, address));
	}
	fake_drop("hb_objects", &library.object); /* not even announced yet */
	walk(address, STACK, 0);
	assert_walked(PENDING, code_word(&library, address));
	assert_int_equal(fake_events(), 0);
	tables_object(library.object, library.page_base, library.pages, HB_OBJECT_READY);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

static void rows_that_went_to_make_room_are_asked_for_now_and_then(void **state)
{
	static const enum hb_object_state states[] = { HB_OBJECT_DROPPED, HB_OBJECT_FULL };
	const struct hb_ev_object *event;
	u64 address, key, first_ns = 1000000000000000;

	for (u32 i = 0; i < 2; i++) {
		fresh(state);
		begin();
		address = with_library();
		tables_object(library.object, 0, 0, states[i]);
		fake_clock(first_ns);
		key = walk(address, STACK, STACK);
		assert_walked(FULL, code_word(&library, address));
		assert_int_equal(walk(address, STACK, STACK), key);
		assert_int_equal(fake_events(), 1);
		event = fake_event(0);
		assert_int_equal(event->kind, HB_EV_OBJECT);
		assert_int_equal(event->tgid, PID);
		assert_true(event->time_ns >= first_ns && event->time_ns < first_ns + 1000000);
		assert_int_equal(event->gen, GEN);
		assert_int_equal(event->object, LIBRARY_OBJECT);
		assert_int_equal(event->start, LIBRARY);
		assert_int_equal(event->end, LIBRARY + 0x40000);
		assert_int_equal(event->offset, 0x10000);
		/* Nobody answers: whoever asked may have ended before user space could look. */
		fake_clock(first_ns + ASK_NS - (1 << 30));
		walk(address, STACK, 0);
		assert_int_equal(fake_events(), 1);
		fake_clock(first_ns + ASK_NS);
		walk(address, STACK, 0);
		walk(address, STACK, 0);
		assert_int_equal(fake_events(), 2);
		assert_int_equal(object_at(LIBRARY_OBJECT)->state, states[i]);
	}
}

static void a_file_without_rows_is_followed_by_frame_pointers(void **state)
{
	u64 address;

	begin();
	address = with_library();
	tables_object(library.object, 0, 0, HB_OBJECT_NO_ROWS);
	walk(address, STACK, 0);
	assert_walked(NO_ROWS, code_word(&library, address));
	put(STACK + 0x20, 0);
	put(STACK + 0x28, outermost);
	walk(address, STACK, STACK + 0x20);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

static void what_is_not_at_hand_is_not_guessed_by_frame_pointers(void **state)
{
	static const struct {
		enum hb_object_state state;
		enum hb_end end;
	} states[] = { { HB_OBJECT_PENDING, HB_END_PENDING }, { HB_OBJECT_FULL, HB_END_FULL },
		       { HB_OBJECT_DROPPED, HB_END_FULL } };
	u64 address;

	begin();
	address = with_library();
	put(STACK + 0x20, 0);
	put(STACK + 0x28, outermost);
	for (u32 i = 0; i < 3; i++) {
		tables_object(library.object, 0, 0, states[i].state);
		walk(address, STACK, STACK + 0x20);
		assert_int_equal(walked()->count, 1);
		assert_int_equal(walked()->end, states[i].end);
	}
	fake_find_vma_busy(0, 1);
	fake_tree_busy(2);
	walk(address, STACK, STACK + 0x20);
	assert_walked(BUSY, address);
}

static void when_a_file_was_last_needed_is_written_down(void **state)
{
	u64 address;

	begin();
	address = with_library();
	fake_clock(5000000);
	walk(address, STACK, 0);
	assert_true(object_at(LIBRARY_OBJECT)->used_ns > 5000000);
	assert_true(object_at(LIBRARY_OBJECT)->used_ns < 6000000);
	assert_int_equal(object_at(OBJECT)->used_ns, 0);
}

static void rows_that_nobody_needs_to_ask_are_in_use_all_the_same(void **state)
{
	u64 address;

	begin();
	address = with_library();
	walk(address, STACK, 0);
	hb_flushes[GEN % HB_FLUSHES]++; /* so the address is looked up, and its place is known */
	fake_clock(5000000);
	walk(address, STACK, 0);
	assert_true(object_at(LIBRARY_OBJECT)->used_ns > 5000000);
	assert_true(object_at(LIBRARY_OBJECT)->used_ns < 6000000);
}

/* --- numbers of files ------------------------------------------------------------------------------ */

/* The library is mapped, and nobody knows it. */
static u64 with_unknown_library(void)
{
	u64 address = with_library();
	struct hb_inode_key key = tables_key(library.file);

	fake_drop("hb_inodes", &key);
	fake_drop("hb_objects", &library.object);
	return address;
}

/* The word of @address in the library if its number is @object. */
static u64 word_under(u32 object, u64 address)
{
	return HB_FRAME_IN_OBJECT(object, address - LIBRARY + 0x10000);
}

static void a_file_met_first_by_the_kernel_side_gets_a_number_and_is_told(void **state)
{
	const struct hb_ev_object *event;
	struct hb_inode_key key;
	struct thread *other;
	u64 address, first_ns = 1000000000000000;

	begin();
	address = with_unknown_library();
	key = tables_key(library.file);
	fake_clock(first_ns);
	for (u32 i = 0; i < 3; i++) {
		walk(address, STACK, 0);
		assert_walked(PENDING, word_under(HB_OBJECT_VDSO + 1, address));
	}
	assert_int_equal(hb_last_object, HB_OBJECT_VDSO + 1);
	/* Another process that maps it has nothing to tell. */
	process_put(PID + 1, GEN + 1, HB_PROC_TRACED);
	other = thread_new(PID + 1, NULL);
	fake_map(other->task->mm, LIBRARY, LIBRARY + 0x40000, 0x10000, FAKE_EXEC, library.file);
	fake_current(other->task);
	assert_non_null(pending_task_create());
	walk_gen(GEN + 1, address, STACK, 0);
	assert_int_equal(walked()->frames[0], word_under(HB_OBJECT_VDSO + 1, address));
	assert_int_equal(fake_events(), 1);
	event = fake_event(0);
	assert_int_equal(event->kind, HB_EV_OBJECT);
	assert_int_equal(event->tgid, PID);
	assert_int_equal(event->gen, GEN);
	assert_int_equal(event->object, HB_OBJECT_VDSO + 1);
	assert_int_equal(event->start, LIBRARY);
	assert_int_equal(event->end, LIBRARY + 0x40000);
	assert_int_equal(event->offset, 0x10000);
	assert_memory_equal(&event->key, &key, sizeof(key));

	/* User space does not answer: the process may have ended before it could look. */
	fake_clock(first_ns + ASK_NS);
	walk_gen(GEN + 1, address, STACK, 0);
	walk_gen(GEN + 1, address, STACK, 0);
	assert_int_equal(fake_events(), 2);
	event = fake_event(1);
	assert_int_equal(event->tgid, PID + 1);
	assert_int_equal(event->object, HB_OBJECT_VDSO + 1);
	/* It answers. */
	fake_current(walker->task);
	tables_object(HB_OBJECT_VDSO + 1, 0, 0, HB_OBJECT_PENDING);
	fake_clock(first_ns + 3 * ASK_NS);
	walk(address, STACK, 0);
	assert_int_equal(fake_events(), 2);
	tables_object(HB_OBJECT_VDSO + 1, library.page_base, library.pages, HB_OBJECT_READY);
	put(STACK + 8, outermost);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, word_under(HB_OBJECT_VDSO + 1, address), word(outermost));
}

static void walk_again(void *arg)
{
	u64 address = *(u64 *)arg;

	walk(address, STACK, 0);
	assert_int_equal(walked()->count, 1);
}

static void two_cpus_that_meet_a_file_give_it_one_number(void **state)
{
	u64 address, first;

	begin();
	address = with_unknown_library();
	fake_hook("hb_inodes", FAKE_UPDATE, walk_again, &address);
	walk(address, STACK, 0);
	first = walked()->frames[0];
	assert_int_equal(fake_events(), 1);
	assert_int_equal(HB_FRAME_OBJECT_ID(first), ((const struct hb_ev_object *)fake_event(0))->object);
	assert_int_equal(HB_FRAME_OBJECT_ID(first), inode_of(library.file)->object);
	walk(address, STACK, 0);
	assert_int_equal(walked()->frames[0], first);
	assert_int_equal(counter(HB_CNT_OBJECTS_FULL), 0);
}

static void without_room_for_its_number_a_file_is_counted(void **state)
{
	u64 address;

	begin();
	address = with_unknown_library();
	fake_limit("hb_inodes", 1); /* the program's */
	for (u32 i = 0; i < 100; i++) {
		walk(address, STACK, 0);
		assert_walked(PENDING, address);
		assert_int_equal(counter(HB_CNT_OBJECTS_FULL), i + 1);
	}
	assert_int_equal(fake_events(), 0);
	assert_int_equal(hb_last_object, HB_OBJECT_VDSO); /* numbers are not used up by what has no room */
	walk(outermost, STACK, 0);
	assert_walked(COMPLETE, word(outermost));
}

static void numbers_end_and_do_not_begin_again(void **state)
{
	u64 address;

	begin();
	address = with_unknown_library();
	hb_last_object = HB_OBJECT_MAX - 1;
	walk(address, STACK, 0);
	assert_walked(PENDING, word_under(HB_OBJECT_MAX, address));
	fake_map_gone(mm, LIBRARY);
	fake_map(mm, LIBRARY, library.end, library.offset, FAKE_EXEC, fake_file(1, 2, 3));
	for (u32 i = 0; i < 10; i++) {
		walk(address, STACK, 0);
		assert_walked(PENDING, address);
	}
	assert_int_equal(hb_last_object, HB_OBJECT_MAX);
	hb_last_object = ~0u;
	walk(address, STACK, 0);
	assert_walked(PENDING, address);
	assert_int_equal(fake_events(), 1);
}

static void what_the_ring_has_no_room_for_is_told_later(void **state)
{
	u64 address, first_ns = 1000000000000000;

	begin();
	address = with_unknown_library();
	fake_clock(first_ns);
	fake_fail("hb_ring", FAKE_OUTPUT, 0, 1, -ENOSPC);
	walk(address, STACK, 0);
	assert_walked(PENDING, word_under(HB_OBJECT_VDSO + 1, address));
	assert_int_equal(counter(HB_CNT_RING_FULL), 1);
	assert_int_equal(fake_events(), 0);
	fake_clock(first_ns + ASK_NS);
	walk(address, STACK, 0);
	assert_int_equal(fake_events(), 1);
}

static void expect_new(u64 address, u32 number)
{
	walk(address, STACK, 0);
	assert_walked(PENDING, word_under(number, address));
	assert_int_equal(fake_events(), number - HB_OBJECT_VDSO);
}

static void files_are_told_apart_by_all_that_names_them(void **state)
{
	struct inode *inode;
	struct file *twin;
	u64 address;

	begin();
	address = with_library();
	inode = library.file->f_inode;
	inode->i_ino++;
	expect_new(address, 2);
	inode->i_ino--;
	inode->i_generation++;
	expect_new(address, 3);
	inode->i_generation--;
	inode->i_sb->s_dev++;
	expect_new(address, 4);
	inode->i_sb->s_dev--;
	twin = fake_file(inode->i_ino, inode->i_sb->s_dev, inode->i_generation); /* in another btrfs subvolume */
	fake_map_gone(mm, LIBRARY);
	fake_map(mm, LIBRARY, library.end, library.offset, FAKE_EXEC, twin);
	expect_new(address, 5);
	fake_map_gone(mm, LIBRARY);
	fake_map(mm, LIBRARY, library.end, library.offset, FAKE_EXEC, library.file);
	put(STACK + 8, outermost);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

static u32 file_number(u64 address, u32 object)
{
	struct file_number request = { .address = address, .object = object, .given = 77 };

	assert_int_equal(hb_file_number(&request), 0);
	return request.given;
}

/* What it returns where it gives none. */
static int no_number(u64 address, u32 object)
{
	struct file_number request = { .address = address, .object = object, .given = 77 };
	int err = hb_file_number(&request);

	assert_int_equal(request.given, 0);
	return err;
}

static void a_file_gets_its_number_by_a_mapping_of_our_own(void **state)
{
	struct file *file;

	begin();
	file = fake_file(123, 4, 5);
	fake_map(mm, 0x7000, 0x8000, 0, 0, file);
	assert_int_equal(file_number(0x7000, 0), 0); /* it has none */
	assert_int_equal(file_number(0x7fff, 99), 99);
	assert_int_equal(inode_of(file)->object, 99);
	assert_int_equal(file_number(0x7000, 0), 99);
	assert_int_equal(file_number(0x7000, 100), 100); /* a file that is read anew */
	assert_int_equal(inode_of(file)->object, 100);
	assert_int_equal(hb_last_object, HB_OBJECT_VDSO); /* these are user space's */

	fake_map(mm, 0x9000, 0xa000, 0, 0, NULL);
	assert_int_equal(no_number(0x9000, 101), 0);
	assert_int_equal(no_number(0xb000, 101), -ENOENT);
	fake_limit("hb_inodes", 2);
	fake_map(mm, 0xb000, 0xc000, 0, 0, fake_file(124, 4, 5));
	assert_int_equal(no_number(0xb000, 101), -E2BIG);
	fake_find_vma_busy(0, 5);
	assert_int_equal(no_number(0x7000, 101), -EBUSY);
	assert_int_equal(inode_of(file)->object, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(a_file_whose_rows_are_being_read_ends_the_stack_for_now),
		ONCE(rows_that_went_to_make_room_are_asked_for_now_and_then),
		ONCE(a_file_without_rows_is_followed_by_frame_pointers),
		ONCE(what_is_not_at_hand_is_not_guessed_by_frame_pointers),
		ONCE(when_a_file_was_last_needed_is_written_down),
		ONCE(rows_that_nobody_needs_to_ask_are_in_use_all_the_same),
		ONCE(a_file_met_first_by_the_kernel_side_gets_a_number_and_is_told),
		ONCE(two_cpus_that_meet_a_file_give_it_one_number),
		ONCE(without_room_for_its_number_a_file_is_counted),
		ONCE(numbers_end_and_do_not_begin_again),
		ONCE(what_the_ring_has_no_room_for_is_told_later),
		ONCE(files_are_told_apart_by_all_that_names_them),
		ONCE(a_file_gets_its_number_by_a_mapping_of_our_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
