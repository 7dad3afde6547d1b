// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/view/saved.h"

#define BOARD  "{\"schema\":\"heldby.board/1\","
#define FRAMES(frames) BOARD "\"sites\":[{\"frames\":[" frames "]}]}"
#define MODULE "\"module\":\"/bin/app\",\"build_id\":\"abcd\","

static struct frame asked; /* the last question; its strings are gone */
static char asked_module[64], asked_build_id[64];
static size_t questions;

/* 0x10 has a function and a place, 0x20 two inlined calls, 0x30 a function alone, 0x40 a place alone. */
static size_t names(void *ctx, const struct frame *saved, struct frame *frames, size_t cap)
{
	(void)ctx;
	questions++;
	asked = *saved;
	snprintf(asked_module, sizeof(asked_module), "%s", saved->module);
	snprintf(asked_build_id, sizeof(asked_build_id), "%s", saved->build_id);
	assert_true(cap >= 3);
	memset(frames, 0, 3 * sizeof(*frames));
	switch (saved->offset) {
	case 0x10:
		frames[0] = (struct frame){ .function = "alpha", .file = "/src/a.c", .line = 5 };
		return 1;
	case 0x20:
		frames[0] = (struct frame){ .function = "in\xff" "most", .file = "i.h", .line = 1, .inlined = true };
		frames[1] = (struct frame){ .function = "inner", .inlined = true };
		frames[2] = (struct frame){ .function = "outer", .file = "o.c", .line = 9 };
		return 3;
	case 0x30:
		frames[0].function = "gamma";
		return 1;
	case 0x40:
		frames[0].file = "d.c";
		return 1;
	case 0x50:
		return 1;
	default:
		return 0;
	}
}

static const struct saved_names known = { .frames = names };

struct result {
	int err;
	char *text;
	const char *why;
	size_t at;
	struct saved_counts counts;
};

/* What becomes of @bytes of @text; the sanitizer sees a byte read too many. */
static struct result write_bytes(const char *text, size_t bytes)
{
	struct result result = { 0 };
	struct saved_line line = { .bytes = malloc(bytes + !bytes), .length = bytes };
	size_t size = 0;
	FILE *out = open_memstream(&result.text, &size);

	assert_non_null(out);
	assert_non_null(line.bytes);
	memcpy(line.bytes, text, bytes);
	questions = 0;
	memset(&asked, 0, sizeof(asked));
	result.err = saved_write(&line, &known, out, &result.counts, &result.why, &result.at);
	fclose(out);
	saved_release(&line);
	return result;
}

static void expect(const char *text, const char *wanted)
{
	struct result result = write_bytes(text, strlen(text));
	size_t length = strlen(wanted);

	assert_int_equal(result.err, 0);
	assert_int_equal(strlen(result.text), length + 1);
	assert_int_equal(result.text[length], '\n');
	result.text[length] = '\0';
	assert_string_equal(result.text, wanted);
	free(result.text);
}

static void expect_same(const char *text)
{
	expect(text, text);
}

static void expect_broken(const char *text, const char *why, size_t at)
{
	struct result result = write_bytes(text, strlen(text));

	assert_int_equal(result.err, -EBADMSG);
	assert_string_equal(result.text, "");
	assert_string_equal(result.why, why);
	assert_int_equal(result.at, at);
	free(result.text);
}

static void a_frame_gains_its_function_and_its_place(void **state)
{
	(void)state;
	expect(FRAMES("{" MODULE "\"offset\":16,\"kind\":\"native\"}"),
	       FRAMES("{\"function\":\"alpha\"," MODULE "\"offset\":16,\"file\":\"/src/a.c\",\"line\":5,"
		      "\"kind\":\"native\"}"));
	assert_string_equal(asked_module, "/bin/app");
	assert_string_equal(asked_build_id, "abcd");
	assert_false(asked.exact);
	expect(FRAMES("{" MODULE "\"offset\":48}"),
	       FRAMES("{\"function\":\"gamma\"," MODULE "\"offset\":48,\"kind\":\"native\"}"));
}

static void a_frame_becomes_as_many_as_were_inlined_there(void **state)
{
	(void)state;
	expect(FRAMES("{\"kind\":\"unknown\"},{" MODULE "\"offset\":32,\"exact\":true,\"stopped\":\"why\"},{}"),
	       FRAMES("{\"kind\":\"unknown\"},"
		      "{\"function\":\"in\xef\xbf\xbdmost\"," MODULE "\"offset\":32,\"file\":\"i.h\",\"line\":1,"
		      "\"inlined\":true,\"exact\":true,\"kind\":\"native\"},"
		      "{\"function\":\"inner\"," MODULE "\"offset\":32,\"inlined\":true,\"exact\":true,"
		      "\"kind\":\"native\"},"
		      "{\"function\":\"outer\"," MODULE "\"offset\":32,\"file\":\"o.c\",\"line\":9,\"exact\":true,"
		      "\"kind\":\"native\",\"stopped\":\"why\"},{}"));
	assert_true(asked.exact);
	assert_int_equal(questions, 1);
}

static void inlined_calls_that_stand_there_are_not_added_again(void **state)
{
	static const char before[] = FRAMES("{\"function\":\"inner\"," MODULE "\"offset\":32,\"inlined\":true},"
					    "{\"function\":\"outer\"," MODULE "\"offset\":32},"
					    "{\"function\":\"next\"," MODULE "\"offset\":48}");

	(void)state;
	expect(before, FRAMES("{\"function\":\"inner\"," MODULE "\"offset\":32,\"inlined\":true},"
			      "{\"function\":\"outer\"," MODULE "\"offset\":32,\"file\":\"o.c\",\"line\":9,"
			      "\"kind\":\"native\"},"
			      "{\"function\":\"next\"," MODULE "\"offset\":48}"));
	assert_int_equal(questions, 2);
}

static void what_a_frame_has_it_keeps(void **state)
{
	(void)state;
	expect(FRAMES("{\"function\":\"mine\"," MODULE "\"offset\":16}"),
	       FRAMES("{\"function\":\"mine\"," MODULE "\"offset\":16,\"file\":\"/src/a.c\",\"line\":5,"
		      "\"kind\":\"native\"}"));
	expect(FRAMES("{" MODULE "\"offset\":16,\"file\":\"mine.c\",\"line\":77}"),
	       FRAMES("{\"function\":\"alpha\"," MODULE "\"offset\":16,\"file\":\"mine.c\",\"line\":77,"
		      "\"kind\":\"native\"}"));
	expect_same(FRAMES("{\"function\":\"f\",\"file\":\"f.c\"," MODULE "\"offset\":16}"));
	assert_int_equal(questions, 0);
}

static void a_frame_that_gains_nothing_is_copied_byte_by_byte(void **state)
{
	(void)state;
	expect_same(FRAMES("{ \"function\" : \"x\" , " MODULE "\"offset\" : 48 }"));
	assert_int_equal(questions, 1);
	expect_same(FRAMES("{" MODULE "\"offset\":80}"));
	expect_same(FRAMES("{" MODULE "\"offset\":4660}"));
	assert_int_equal(questions, 1);
}

static void unknown_fields_stay_behind_the_rest(void **state)
{
	(void)state;
	expect(FRAMES("{\"big\": 99999999999999999999 , \"color\":[1.50,{\"a\":1e3}]," MODULE
		      "\"line\":-3,\"offset\":16,\"function\":7,\"\\u0041\":{},\"z\":null}"),
	       FRAMES("{\"function\":\"alpha\"," MODULE "\"offset\":16,\"file\":\"/src/a.c\",\"line\":5,"
		      "\"kind\":\"native\",\"big\": 99999999999999999999,\"color\":[1.50,{\"a\":1e3}],"
		      "\"\\u0041\":{},\"z\":null}"));
	expect(FRAMES("{" MODULE "\"offset\":48,\"a field of others with a long name\":\"}\",\"a\":-0}"),
	       FRAMES("{\"function\":\"gamma\"," MODULE "\"offset\":48,\"kind\":\"native\","
		      "\"a field of others with a long name\":\"}\",\"a\":-0}"));
	expect(FRAMES("{" MODULE "\"offset\":48,\"address\":99,\"line\":4}"),
	       FRAMES("{\"function\":\"gamma\"," MODULE "\"offset\":48,\"kind\":\"native\",\"address\":99,"
		      "\"line\":4}"));
}

static void a_field_is_known_however_its_name_is_written(void **state)
{
	(void)state;
	expect(FRAMES("{" MODULE "\"offset\":16,\"functi\\u006fn\":null,\"fil\\u00e9\":1}"),
	       FRAMES("{\"function\":\"alpha\"," MODULE "\"offset\":16,\"file\":\"/src/a.c\",\"line\":5,"
		      "\"kind\":\"native\",\"fil\\u00e9\":1}"));
}

#define BEFORE " {\"schema\" : \"heldby.postmortem/1\",\t\"n\":[1.0,1E5,-0,18446744073709551616,0.10]," \
	       "\"n\":\"\\u00e9\\/\",\"trigger\":{\"frames\":[ "
#define BEHIND " , {\"a\":{}} ]},\"holders\":[{\"frames\":[]}]} \r"

static void all_else_of_a_document_stays_as_it_was(void **state)
{
	(void)state;
	expect(BEFORE "{" MODULE "\"offset\":48}" BEHIND,
	       BEFORE "{\"function\":\"gamma\"," MODULE "\"offset\":48,\"kind\":\"native\"}" BEHIND);
	assert_int_equal(questions, 1);
}

static void only_objects_right_inside_of_frames_are_frames(void **state)
{
	static const char frame[] = "{" MODULE "\"offset\":16}";
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), BOARD "\"frames\":%s,\"x\":[%s],\"frames\":[[%s],{\"frames\":[%s]},5,\"%s\"]}",
		 frame, frame, frame, frame, "frames");
	expect_same(text);
	assert_int_equal(questions, 0);
}

static void a_frame_without_a_place_is_not_asked_for(void **state)
{
	static const char *const frames[] = {
		FRAMES("{\"module\":\"/bin/app\",\"offset\":16}"),
		FRAMES("{\"build_id\":\"abcd\",\"offset\":16}"),
		FRAMES("{" MODULE "\"kind\":\"native\"}"),
		FRAMES("{" MODULE "\"offset\":-16}"),
		FRAMES("{" MODULE "\"offset\":16.0}"),
		FRAMES("{" MODULE "\"offset\":\"16\"}"),
		FRAMES("{" MODULE "\"offset\":null}"),
		FRAMES("{" MODULE "\"offset\":16,\"kind\":\"java\"}"),
		FRAMES("{" MODULE "\"offset\":16,\"inlined\":true}"),
		FRAMES("{\"module\":[],\"build_id\":\"abcd\",\"offset\":16}"),
		FRAMES("{\"module\":\"/bin/\\u0000app\",\"build_id\":\"abcd\",\"offset\":16}"),
		FRAMES("{" MODULE "\"offset\":16,\"x\":[[[[[[[[[[]]]]]]]]]]}"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		expect_same(frames[i]);
		assert_int_equal(questions, 0);
	}
	expect(FRAMES("{" MODULE "\"offset\":0}"), FRAMES("{" MODULE "\"offset\":0}"));
	assert_int_equal(questions, 1);
	expect_same(FRAMES("{" MODULE "\"offset\":18446744073709551615}"));
	assert_int_equal(asked.offset, UINT64_MAX);
}

static void a_frame_of_the_kernel_is_left_alone(void **state)
{
	(void)state;
	expect_same(FRAMES("{\"function\":\"out_of_memory\",\"module\":\"[kernel]\",\"build_id\":\"abcd\","
			   "\"offset\":16,\"kind\":\"kernel\"},"
			   "{\"module\":\"[kernel]\",\"build_id\":\"abcd\",\"offset\":16,\"kind\":\"kernel\"},"
			   "{\"function\":\"nft_do_chain\",\"module\":\"[nf_tables]\",\"offset\":16,"
			   "\"kind\":\"kernel\"},"
			   "{\"address\":18446744071578845184,\"kind\":\"kernel\"}"));
	assert_int_equal(questions, 0);
}

static void frames_are_counted(void **state)
{
	static const char text[] = FRAMES("{\"function\":\"i\",\"inlined\":true},{\"function\":\"f\",\"file\":\"f\"},"
					  "{" MODULE "\"offset\":16},{" MODULE "\"offset\":99},{}");
	struct result result = write_bytes(text, strlen(text));

	(void)state;
	assert_int_equal(result.counts.frames, 4);
	assert_int_equal(result.counts.lacking, 3);
	assert_int_equal(result.counts.named, 1);
	free(result.text);
}

static void other_documents_of_heldby_go_through(void **state)
{
	(void)state;
	expect_same("{\"schema\":\"heldby.ledger/1\",\"frames\":[{" MODULE "\"offset\":16}]}");
	expect_same("{\"schema\":\"heldby.board/2\",\"frames\":[{" MODULE "\"offset\":16}]}");
	assert_int_equal(questions, 0);
}

static void what_is_no_document_is_refused_whole(void **state)
{
	static const char stranger[] = "it is no document of heldby: its schema is missing or another's";

	(void)state;
	expect_broken("", "it ends too early", 0);
	expect_broken(BOARD "\"frames\":[{" MODULE "\"offset\":16}]", "it ends too early", 89);
	expect_broken(BOARD "\"a\":nul}", "this is no value", 31);
	expect_broken("{}", stranger, 2);
	expect_broken("[\"schema\",\"heldby.board/1\"]", stranger, 27);
	expect_broken("\"heldby.board/1\"", stranger, 16);
	expect_broken("{\"schema\":\"other\"}", stranger, 18);
	expect_broken("{\"schema\":\"heldby.\"}", stranger, 20);
	expect_broken("{\"a\":{\"schema\":\"heldby.board/1\"}}", stranger, 33);
	expect_broken("{\"schema\":[\"heldby.board/1\"]}", stranger, 29);
}

static void a_frame_beyond_the_cap_is_left_alone(void **state)
{
	size_t bytes = SAVED_FRAME_MAX + 4096;
	char *text = malloc(bytes + 1), *at = text;

	(void)state;
	assert_non_null(text);
	at += sprintf(at, BOARD "\"frames\":[{" MODULE "\"offset\":16,\"x\":\"");
	memset(at, 'x', SAVED_FRAME_MAX);
	strcpy(at + SAVED_FRAME_MAX, "\"}]}");
	expect_same(text);
	assert_int_equal(questions, 0);
	free(text);
}

static FILE *file_of(const char *text, size_t bytes)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, bytes, file), bytes);
	rewind(file);
	return file;
}

static void lines_are_read_one_by_one_and_numbered(void **state)
{
	FILE *in = file_of("one\n\nth\0ee\nlast", 15);
	struct saved_line line = { 0 };

	(void)state;
	assert_int_equal(saved_read(&line, in, 1000), 1);
	assert_int_equal(line.length, 3);
	assert_memory_equal(line.bytes, "one", 3);
	assert_int_equal(saved_read(&line, in, 1000), 1);
	assert_int_equal(line.length, 0);
	assert_int_equal(saved_read(&line, in, 1000), 1);
	assert_memory_equal(line.bytes, "th\0ee", 5);
	assert_int_equal(line.number, 3);
	assert_int_equal(saved_read(&line, in, 1000), 1);
	assert_int_equal(line.length, 4);
	assert_int_equal(saved_read(&line, in, 1000), 0);
	assert_int_equal(line.number, 4);
	saved_release(&line);
	fclose(in);
}

static void a_line_beyond_the_cap_is_skipped_and_the_next_is_read(void **state)
{
	FILE *in = file_of("12345\n123456\n\nlast", 18);
	struct saved_line line = { 0 };

	(void)state;
	assert_int_equal(saved_read(&line, in, 5), 1);
	assert_int_equal(line.length, 5);
	assert_int_equal(saved_read(&line, in, 5), -EFBIG);
	assert_int_equal(line.number, 2);
	assert_int_equal(saved_read(&line, in, 5), 1);
	assert_int_equal(line.length, 0);
	assert_int_equal(saved_read(&line, in, 5), 1);
	assert_int_equal(line.number, 4);
	assert_memory_equal(line.bytes, "last", 4);
	assert_int_equal(saved_read(&line, in, 5), 0);
	saved_release(&line);
	fclose(in);
}

static void a_line_may_be_longer_than_a_page(void **state)
{
	char *text = malloc(100001);
	struct saved_line line = { 0 };
	FILE *in;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 100000);
	text[100000] = '\n';
	in = file_of(text, 100001);
	assert_int_equal(saved_read(&line, in, SAVED_LINE_MAX), 1);
	assert_int_equal(line.length, 100000);
	assert_memory_equal(line.bytes, text, 100000);
	saved_release(&line);
	fclose(in);
	free(text);
}

static void what_cannot_be_read_is_no_end(void **state)
{
	FILE *in = fopen("/", "r");
	struct saved_line line = { 0 };

	(void)state;
	assert_non_null(in);
	assert_int_equal(saved_read(&line, in, 1000), -EIO);
	saved_release(&line);
	fclose(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_gains_its_function_and_its_place),
		cmocka_unit_test(a_frame_becomes_as_many_as_were_inlined_there),
		cmocka_unit_test(inlined_calls_that_stand_there_are_not_added_again),
		cmocka_unit_test(what_a_frame_has_it_keeps),
		cmocka_unit_test(a_frame_that_gains_nothing_is_copied_byte_by_byte),
		cmocka_unit_test(unknown_fields_stay_behind_the_rest),
		cmocka_unit_test(a_field_is_known_however_its_name_is_written),
		cmocka_unit_test(all_else_of_a_document_stays_as_it_was),
		cmocka_unit_test(only_objects_right_inside_of_frames_are_frames),
		cmocka_unit_test(a_frame_without_a_place_is_not_asked_for),
		cmocka_unit_test(a_frame_of_the_kernel_is_left_alone),
		cmocka_unit_test(frames_are_counted),
		cmocka_unit_test(other_documents_of_heldby_go_through),
		cmocka_unit_test(what_is_no_document_is_refused_whole),
		cmocka_unit_test(a_frame_beyond_the_cap_is_left_alone),
		cmocka_unit_test(lines_are_read_one_by_one_and_numbered),
		cmocka_unit_test(a_line_beyond_the_cap_is_skipped_and_the_next_is_read),
		cmocka_unit_test(a_line_may_be_longer_than_a_page),
		cmocka_unit_test(what_cannot_be_read_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
