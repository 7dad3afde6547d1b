// SPDX-License-Identifier: Apache-2.0
/* From an offset in a file to its rule: pages, and the search in their rows. */
#include "unwind_test.h"

#include <stdlib.h>

#define NO_RULE 0xffffffffu /* bpf/unwind_tables.bpf.c */

u32 unwind_row(u32 index, u32 low);

/* --- rows -------------------------------------------------------------------------------------- */

#define PAGE_INDEX 60000
#define CHUNK	   200

/* @count rows with rising offsets from 0 on; each rule is its row's number, and one more. */
static void random_rows(struct hb_row *rows, u32 count)
{
	u32 left = PAGE_BYTES - 1, wanted = count - 1, filled = 0;

	rows[filled++] = (struct hb_row){ .offset = 0, .rule = 1 };
	for (u32 offset = 1; wanted; offset++, left--) { /* each of those left is as likely */
		if ((u32)rand() % left >= wanted)
			continue;
		rows[filled] = (struct hb_row){ .offset = offset, .rule = filled + 1 };
		filled++;
		wanted--;
	}
	assert_int_equal(filled, count);
}

/* In a chunk whose other rows would all be wrong, at @first. */
static void put_rows(const struct hb_row *rows, u32 first, u32 count)
{
	static struct hb_row others[HB_CHUNK_ROWS];

	for (u32 i = 0; i < HB_CHUNK_ROWS; i++)
		others[i] = (struct hb_row){ .offset = (u32)i * 4, .rule = 0xdead };
	tables_rows(CHUNK, 0, others, HB_CHUNK_ROWS);
	tables_rows(CHUNK, first, rows, count);
	tables_page(PAGE_INDEX, CHUNK, first, count, 1);
}

/* Every offset of the page, against a walk from row to row. */
static void check_all_offsets(const struct hb_row *rows, u32 count)
{
	u32 row = 0;

	for (u32 low = 0; low < PAGE_BYTES; low++) {
		while (row + 1 < count && rows[row + 1].offset <= low)
			row++;
		if (unwind_row(PAGE_INDEX, low) != rows[row].rule)
			fail_msg("%u rows: offset %#x is row %u", count, low, row);
	}
}

/* Around every border of rows. */
static void check_borders(const struct hb_row *rows, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u32 last = i + 1 < count ? rows[i + 1].offset - 1u : (u32)PAGE_BYTES - 1;

		if (unwind_row(PAGE_INDEX, rows[i].offset) != rows[i].rule ||
		    unwind_row(PAGE_INDEX, last) != rows[i].rule)
			fail_msg("%u rows: row %u is not found", count, i);
	}
}

static void every_offset_of_a_page_finds_its_row(void **state)
{
	static const u32 counts[] = { 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, 255, 256, 257, 1000, 1023, 1024,
				      1025, 2840, 4095, 4096, 4097, 8191, 8192, 8193, 8367, 12000, 16383, 16384 };
	static struct hb_row rows[HB_CHUNK_ROWS];

	begin();
	srand(20240917);
	for (u32 i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		u32 room = HB_CHUNK_ROWS - counts[i];

		random_rows(rows, counts[i]);
		put_rows(rows, i % 3 == 0 ? 0 : i % 3 == 1 ? room : (u32)rand() % (room + 1), counts[i]);
		check_all_offsets(rows, counts[i]);
	}
}

static void pages_of_any_number_of_rows_are_searched_to_their_borders(void **state)
{
	static struct hb_row rows[HB_CHUNK_ROWS];

	begin();
	srand(4711);
	for (u32 count = 1; count <= HB_CHUNK_ROWS; count += count < 300 ? 1 : (u32)rand() % 700) {
		u32 room = HB_CHUNK_ROWS - count;

		random_rows(rows, count);
		put_rows(rows, (u32)rand() % (room + 1), count);
		check_borders(rows, count);
	}
}

static void a_page_without_rows_has_no_rule(void **state)
{
	const struct hb_row others[] = { { .offset = 0, .rule = 9 }, { .offset = 4, .rule = 9 } };

	begin();
	tables_rows(CHUNK, 5, others, 2);
	assert_int_equal(unwind_row(PAGE_INDEX, 0), HB_RULE_NONE);
	tables_page(PAGE_INDEX, CHUNK, 5, 0, 3);
	assert_int_equal(unwind_row(PAGE_INDEX, 0x1234), HB_RULE_NONE);
	assert_int_equal(unwind_row(~0u, 0), HB_RULE_NONE); /* no such page */
	tables_page(PAGE_INDEX, 60000, 0, 1, 3);
	assert_int_equal(unwind_row(PAGE_INDEX, 0), NO_RULE); /* no such chunk */
}

static void what_a_page_says_wrongly_stays_within_its_chunk(void **state)
{
	static const struct hb_row rows[1];

	begin();
	tables_rows(CHUNK, 0, rows, 1);
	for (u32 first = 0; first < 65536; first += 4369) {
		for (u32 count = 1; count < 65536; count += 13107) {
			tables_page(PAGE_INDEX, CHUNK, first, count, 1);
			for (u32 low = 0; low < PAGE_BYTES; low += 0x1111)
				unwind_row(PAGE_INDEX, low); /* the sanitizer would say */
		}
	}
}

/* --- pages --------------------------------------------------------------------------------------- */

static void a_function_goes_on_in_the_next_page(void **state)
{
	struct hb_rule inherited = RULE_SP(0x20), own = RULE_SP(0x30);
	struct hb_row second[2] = { { .offset = 0 }, { .offset = 0x80 } };
	u64 border, pc;

	begin();
	second[0].rule = tables_rule(&inherited);
	second[1].rule = tables_rule(&own);
	tables_rows(40, 10, second, 2);
	tables_page(program.page_base + 1, 40, 10, 2, 1);
	border = PROGRAM + PAGE_BYTES - 0x3000; /* the mapping begins at 0x3000 of the file */
	pc = function(RULE_SP(8));
	/* Interrupted on the border, or returned to just behind it: the second page. */
	put(STACK + 0x18, outermost);
	walk(border, STACK, 0);
	assert_walked(COMPLETE, word(border), word(outermost));
	put(STACK, border + 1);
	put(STACK + 0x20, outermost);
	walk(pc, STACK, 0);
	assert_walked(COMPLETE, word(pc), word(border + 1), word(outermost));
	/* Up to its own row. */
	put(STACK, border + 0x80);
	walk(pc, STACK, 0);
	assert_walked(COMPLETE, word(pc), word(border + 0x80), word(outermost));
	put(STACK, border + 0x81);
	put(STACK + 0x20, 0);
	put(STACK + 0x30, outermost);
	walk(pc, STACK, 0);
	assert_walked(COMPLETE, word(pc), word(border + 0x81), word(outermost));
}

static void a_call_on_the_last_byte_of_a_page_belongs_to_that_page(void **state)
{
	const struct hb_row next = { .offset = 0, .rule = HB_RULE_UNSUPPORTED };
	const u64 border = PROGRAM + PAGE_BYTES - 0x3000;
	u64 pc;

	begin();
	pc = function(RULE_SP(8));
	program.next = PAGE_BYTES - FUNCTION_BYTES;
	assert_int_equal(code_function(&program, RULE_SP(0x20)), border - FUNCTION_BYTES);
	tables_rows(40, 2, &next, 1);
	tables_page(program.page_base + 1, 40, 2, 1, 1);
	put(STACK, border);
	put(STACK + 0x20, outermost);
	walk(pc, STACK, 0);
	assert_walked(COMPLETE, word(pc), word(border), word(outermost));
	walk(border, STACK, 0);
	assert_walked(UNSUPPORTED, word(border));
}

static void behind_the_last_page_of_a_file_there_are_no_rows(void **state)
{
	u64 address;

	begin();
	address = with_library();
	tables_object(library.object, library.page_base, 1, HB_OBJECT_READY); /* rows of the first page alone */
	walk(address, STACK, 0);
	assert_walked(NO_ROWS, code_word(&library, address));
	tables_object(library.object, library.page_base, 2, HB_OBJECT_READY);
	put(STACK + 8, outermost);
	walk(LIBRARY + 0x1000, STACK, 0); /* another address: what is known of the first stays */
	assert_walked(COMPLETE, code_word(&library, LIBRARY + 0x1000), word(outermost));
	/* A page in between without any. */
	walk(LIBRARY + PAGE_BYTES, STACK, 0);
	assert_walked(NO_ROWS, code_word(&library, LIBRARY + PAGE_BYTES));
}

static void pages_replaced(void *arg)
{
	u32 index = library.page_base + 1;
	struct hb_page page = *(struct hb_page *)fake_find("hb_pages", &index);

	(void)arg;
	page.version++;
	fake_put("hb_pages", &index, sizeof(index), &page, sizeof(page));
}

static void rows_that_are_replaced_while_they_are_searched_are_not_believed(void **state)
{
	u64 address;

	begin();
	address = with_library();
	put(STACK + 8, outermost);
	walk(outermost, STACK, 0); /* the fakes know the maps' shapes now */
	fake_hook("hb_chunks", FAKE_LOOKUP, pages_replaced, NULL);
	walk(address, STACK, 0);
	assert_walked(FULL, code_word(&library, address));
	walk(address, STACK, 0); /* and it was not kept */
	assert_walked(COMPLETE, code_word(&library, address), word(outermost));
}

/* User space drops the library's rows, and another file gets their place: rows, pages and all. */
static void dropped_for_another(void *arg)
{
	struct hb_rule wrong = RULE_SP(8);
	struct hb_row rows[] = { { .offset = 0, .rule = tables_rule(&wrong) } };

	(void)arg;
	tables_drop(&library);
	tables_rows(library.chunk, 100, rows, 1);
	tables_page(library.page_base + 1, library.chunk, 100, 1, 77);
	tables_object(50, library.page_base, library.pages, HB_OBJECT_READY);
}

static void dropped(void *arg)
{
	(void)arg;
	tables_drop(&library);
}

/* Only what is said of the file changes: its state, where its pages are, how many. */
static void dropped_in_place(void *arg)
{
	(void)arg;
	tables_object(library.object, library.page_base, library.pages, HB_OBJECT_DROPPED);
}

static void moved(void *arg)
{
	(void)arg;
	tables_object(library.object, library.page_base + 100, library.pages, HB_OBJECT_READY);
}

static void shortened(void *arg)
{
	(void)arg;
	tables_object(library.object, library.page_base, library.pages - 1, HB_OBJECT_READY);
}

static void rows_that_are_dropped_while_they_are_looked_up_are_not_believed(void **state)
{
	static const struct {
		const char *map;
		void (*change)(void *arg);
	} moments[] = {
		{ "hb_objects", dropped },	      { "hb_pages", dropped },
		{ "hb_chunks", dropped },	      { "hb_objects", dropped_for_another },
		{ "hb_pages", dropped_for_another }, { "hb_chunks", dropped_for_another },
		{ "hb_pages", dropped_in_place },     { "hb_pages", moved },
		{ "hb_pages", shortened },
	};
	u64 address;

	for (u32 i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		fresh(state);
		begin();
		address = with_library();
		put(STACK, 0x10000);
		put(STACK + 8, outermost);
		walk(outermost, STACK, 0);
		fake_hook(moments[i].map, FAKE_LOOKUP, moments[i].change, NULL);
		walk(address, STACK, 0);
		assert_walked(FULL, code_word(&library, address));
		/* They come back, to another place. */
		library.page_base = 4000;
		library.chunk = 30;
		library.rows = 1;
		library.next = library.offset;
		tables_rows(30, 100, &(struct hb_row){ 0 }, 1);
		code_function(&library, RULE_SP(0x10));
		tables_object(library.object, library.page_base, library.pages, HB_OBJECT_READY);
		walk(address, STACK, 0);
		assert_walked(COMPLETE, code_word(&library, address), word(outermost));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(every_offset_of_a_page_finds_its_row),
		ONCE(pages_of_any_number_of_rows_are_searched_to_their_borders),
		ONCE(a_page_without_rows_has_no_rule),
		ONCE(what_a_page_says_wrongly_stays_within_its_chunk),
		ONCE(a_function_goes_on_in_the_next_page),
		ONCE(a_call_on_the_last_byte_of_a_page_belongs_to_that_page),
		ONCE(behind_the_last_page_of_a_file_there_are_no_rows),
		ONCE(rows_that_are_replaced_while_they_are_searched_are_not_believed),
		ONCE(rows_that_are_dropped_while_they_are_looked_up_are_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
