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
	fake_find_vma_busy(0, 1000);
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

/* --- numbers of files ------------------------------------------------------------------------------ */

static void an_unknown_file_is_asked_for_now_and_then(void **state)
{
	const struct hb_ev_object *event;
	struct hb_inode_key key;
	struct thread *other;
	u64 address, first_ns = 1000000000000000;

	begin();
	address = with_library();
	key = tables_key(library.file);
	fake_drop("hb_inodes", &key);
	fake_clock(first_ns);
	for (u32 i = 0; i < 3; i++) {
		walk(address, STACK, 0);
		assert_walked(PENDING, address);
	}
	/* Another process that maps it has nothing to ask either. */
	process_put(PID + 1, GEN + 1, HB_PROC_TRACED);
	other = thread_new(PID + 1, NULL);
	fake_map(other->task->mm, LIBRARY, LIBRARY + 0x40000, 0x10000, FAKE_EXEC, library.file);
	fake_current(other->task);
	assert_non_null(pending_task_create());
	walk_gen(GEN + 1, address, STACK, 0);
	assert_int_equal(fake_events(), 1);
	event = fake_event(0);
	assert_int_equal(event->kind, HB_EV_OBJECT);
	assert_int_equal(event->tgid, PID);
	assert_int_equal(event->gen, GEN);
	assert_int_equal(event->object, 0);
	assert_int_equal(event->start, LIBRARY);
	assert_int_equal(event->end, LIBRARY + 0x40000);
	assert_int_equal(event->offset, 0x10000);
	assert_memory_equal(&event->key, &key, sizeof(key));

	fake_clock(first_ns + ASK_NS);
	walk_gen(GEN + 1, address, STACK, 0);
	walk_gen(GEN + 1, address, STACK, 0);
	assert_int_equal(fake_events(), 2);
	event = fake_event(1);
	assert_int_equal(event->tgid, PID + 1);
	/* It gets its number. */
	fake_current(walker->task);
	tables_inode(library.file, LIBRARY_OBJECT);
	put(STACK + 8, outermost);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

static void walk_again(void *arg)
{
	u64 address = *(u64 *)arg;

	walk(address, STACK, 0);
}

static void two_cpus_that_meet_an_unknown_file_ask_once(void **state)
{
	struct hb_inode_key key;
	u64 address;

	begin();
	address = with_library();
	key = tables_key(library.file);
	fake_drop("hb_inodes", &key);
	fake_hook("hb_inodes", FAKE_UPDATE, walk_again, &address);
	walk(address, STACK, 0);
	assert_int_equal(fake_events(), 1);
	assert_int_equal(counter(HB_CNT_OBJECTS_FULL), 0);
}

static void without_room_for_its_number_a_file_is_counted(void **state)
{
	struct hb_inode_key key;
	u64 address;

	begin();
	address = with_library();
	key = tables_key(library.file);
	fake_drop("hb_inodes", &key);
	fake_limit("hb_inodes", 1); /* the program's */
	walk(address, STACK, 0);
	assert_walked(PENDING, address);
	assert_int_equal(counter(HB_CNT_OBJECTS_FULL), 1);
	assert_int_equal(fake_events(), 0);
	walk(outermost, STACK, 0);
	assert_walked(COMPLETE, word(outermost));
}

static void a_question_that_the_ring_has_no_room_for_is_asked_again(void **state)
{
	struct hb_inode_key key;
	u64 address, first_ns = 1000000000000000;

	begin();
	address = with_library();
	key = tables_key(library.file);
	fake_drop("hb_inodes", &key);
	fake_clock(first_ns);
	fake_fail("hb_ring", FAKE_OUTPUT, 0, 1, -ENOSPC);
	walk(address, STACK, 0);
	assert_int_equal(counter(HB_CNT_RING_FULL), 1);
	assert_int_equal(fake_events(), 0);
	fake_clock(first_ns + ASK_NS);
	walk(address, STACK, 0);
	assert_int_equal(fake_events(), 1);
}

static void expect_unknown(u64 address, u32 asked)
{
	walk(address, STACK, 0);
	assert_walked(PENDING, address);
	assert_int_equal(fake_events(), asked);
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
	expect_unknown(address, 1);
	inode->i_ino--;
	inode->i_generation++;
	expect_unknown(address, 2);
	inode->i_generation--;
	inode->i_sb->s_dev++;
	expect_unknown(address, 3);
	inode->i_sb->s_dev--;
	twin = fake_file(inode->i_ino, inode->i_sb->s_dev, inode->i_generation); /* in another btrfs subvolume */
	fake_map_gone(mm, LIBRARY);
	fake_map(mm, LIBRARY, library.end, library.offset, FAKE_EXEC, twin);
	expect_unknown(address, 4);
	fake_map_gone(mm, LIBRARY);
	fake_map(mm, LIBRARY, library.end, library.offset, FAKE_EXEC, library.file);
	put(STACK + 8, outermost);
	walk(address, STACK, 0);
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

static void a_file_gets_its_number_by_a_mapping_of_our_own(void **state)
{
	struct file_number request = { .address = 0x7000, .object = 99, .given = 5 };
	struct file *file;

	begin();
	file = fake_file(123, 4, 5);
	fake_map(mm, 0x7000, 0x8000, 0, 0, file);
	fake_map(mm, 0x9000, 0xa000, 0, 0, NULL);
	assert_int_equal(hb_file_number(&request), 0);
	assert_int_equal(request.given, 1);
	assert_int_equal(inode_of(file)->object, 99);
	request.object = 100; /* a file that is read anew */
	hb_file_number(&request);
	assert_int_equal(inode_of(file)->object, 100);

	request.address = 0x9000;
	hb_file_number(&request);
	assert_int_equal(request.given, 0);
	request.address = 0xb000;
	request.given = 1;
	hb_file_number(&request);
	assert_int_equal(request.given, 0);
	fake_limit("hb_inodes", 2);
	fake_map(mm, 0xb000, 0xc000, 0, 0, fake_file(124, 4, 5));
	request.given = 1;
	hb_file_number(&request);
	assert_int_equal(request.given, 0);
	request.address = 0x7000;
	fake_find_vma_busy(0, 5);
	request.given = 1;
	hb_file_number(&request);
	assert_int_equal(request.given, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(a_file_whose_rows_are_being_read_ends_the_stack_for_now),
		ONCE(rows_that_went_to_make_room_are_asked_for_now_and_then),
		ONCE(a_file_without_rows_is_followed_by_frame_pointers),
		ONCE(what_is_not_at_hand_is_not_guessed_by_frame_pointers),
		ONCE(when_a_file_was_last_needed_is_written_down),
		ONCE(an_unknown_file_is_asked_for_now_and_then),
		ONCE(two_cpus_that_meet_an_unknown_file_ask_once),
		ONCE(without_room_for_its_number_a_file_is_counted),
		ONCE(a_question_that_the_ring_has_no_room_for_is_asked_again),
		ONCE(files_are_told_apart_by_all_that_names_them),
		ONCE(a_file_gets_its_number_by_a_mapping_of_our_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
