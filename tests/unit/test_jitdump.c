// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "../../user/symbol/jitdump.h"
#include "jitdump_image.h"

static void a_header_says_where_the_records_begin(void **state)
{
	char bytes[64] = { 0 };
	uint64_t first = 0;
	uint32_t longer = 48;

	(void)state;
	assert_int_equal(dump_put_header(bytes), 40);
	assert_int_equal(jitdump_parse_header(bytes, 40, &first), 0);
	assert_int_equal(first, 40);
	memcpy(bytes + 8, &longer, 4);
	assert_int_equal(jitdump_parse_header(bytes, 40, &first), 0);
	assert_int_equal(first, 48);
	assert_int_equal(jitdump_parse_header(bytes, 39, &first), -EAGAIN);
	assert_int_equal(jitdump_parse_header(bytes, 0, &first), -EAGAIN);
}

static void other_files_byte_orders_and_versions_are_told_apart(void **state)
{
	struct dump_header header;
	uint64_t first;

	(void)state;
	dump_put_header(&header);
	header.version = 2;
	assert_int_equal(jitdump_parse_header(&header, sizeof(header), &first), -ENOTSUP);
	dump_put_header(&header);
	header.magic = 0x4454694A;
	assert_int_equal(jitdump_parse_header(&header, sizeof(header), &first), -ENOTSUP);
	header.magic = 0x464c457f;
	assert_int_equal(jitdump_parse_header(&header, sizeof(header), &first), -EBADMSG);
	dump_put_header(&header);
	header.total_size = 39;
	assert_int_equal(jitdump_parse_header(&header, sizeof(header), &first), -EBADMSG);
	header.total_size = UINT32_MAX;
	assert_int_equal(jitdump_parse_header(&header, sizeof(header), &first), -EBADMSG);
}

static void a_load_names_its_code(void **state)
{
	struct jitdump_record record;
	char bytes[256];
	size_t count = dump_put_load(bytes, 0x7f0000001000, 32, "JS:*foo a.js:1:13");

	(void)state;
	assert_int_equal(count, 56 + 18 + 32);
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_LOAD);
	assert_int_equal(record.bytes, count);
	assert_int_equal(record.start, 0x7f0000001000);
	assert_int_equal(record.end, 0x7f0000001020);
	assert_int_equal(record.length, 17);
	assert_memory_equal(record.name, "JS:*foo a.js:1:13", 17);
}

static void a_name_is_cut_at_the_bytes_at_hand_but_not_at_the_records_end(void **state)
{
	struct jitdump_record record;
	struct dump_load load;
	char bytes[256];

	(void)state;
	dump_put_load(bytes, 0x1000, 32, "function");
	assert_int_equal(jitdump_parse_record(bytes, 56 + 4, &record), 0);
	assert_int_equal(record.kind, JITDUMP_LOAD);
	assert_int_equal(record.length, 4);
	memcpy(&load, bytes, sizeof(load));
	load.total_size = 56 + 8; /* the name's NUL lies behind */
	memcpy(bytes, &load, sizeof(load));
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_BROKEN);
	assert_int_equal(record.bytes, 64);
}

static void loads_without_a_name_or_beyond_all_addresses_are_broken(void **state)
{
	struct jitdump_record record;
	struct dump_load load;
	char bytes[256];

	(void)state;
	dump_put_load(bytes, 0x1000, 32, "");
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_BROKEN);
	dump_put_load(bytes, UINT64_MAX - 31, 32, "f");
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_BROKEN);
	dump_put_load(bytes, 0x1000, 0, "f");
	memcpy(&load, bytes, sizeof(load));
	load.total_size = 55; /* not even its numbers */
	memcpy(bytes, &load, sizeof(load));
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_BROKEN);
	assert_int_equal(record.bytes, 55);
}

static void a_load_of_no_code_names_nothing(void **state)
{
	struct jitdump_record record;
	char bytes[256];

	(void)state;
	dump_put_load(bytes, 0x1000, 0, "f");
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_LOAD);
	assert_true(record.start == record.end);
}

static void a_move_says_from_where_to_where(void **state)
{
	struct jitdump_record record;
	uint32_t less = 63;
	char bytes[64];

	(void)state;
	assert_int_equal(dump_put_move(bytes, 0x1000, 0x2000, 0x30), 64);
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_MOVE);
	assert_int_equal(record.bytes, 64);
	assert_int_equal(record.old, 0x1000);
	assert_int_equal(record.start, 0x2000);
	assert_int_equal(record.end, 0x2030);
	memcpy(bytes + 4, &less, 4);
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_BROKEN);
	dump_put_move(bytes, 0x1000, UINT64_MAX, 1);
	assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
	assert_int_equal(record.kind, JITDUMP_BROKEN);
}

static void records_of_other_kinds_are_passed_over(void **state)
{
	static const uint32_t ids[] = { 2, 3, 4, 5, UINT32_MAX };
	struct jitdump_record record;
	char bytes[64];
	uint32_t total;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		dump_put_other(bytes, ids[i], 24);
		assert_int_equal(jitdump_parse_record(bytes, sizeof(bytes), &record), 0);
		assert_int_equal(record.kind, JITDUMP_OTHER);
		assert_int_equal(record.bytes, 40);
		assert_int_equal(jitdump_record_bytes(bytes, &total), 0);
		assert_int_equal(total, 40);
	}
}

static void no_record_is_shorter_than_its_head(void **state)
{
	struct jitdump_record record;
	uint32_t total, less = 15;
	char bytes[64];

	(void)state;
	dump_put_other(bytes, 3, 0);
	assert_int_equal(jitdump_parse_record(bytes, 16, &record), 0);
	memcpy(bytes + 4, &less, 4);
	assert_int_equal(jitdump_parse_record(bytes, 16, &record), -EBADMSG);
	assert_int_equal(jitdump_record_bytes(bytes, &total), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_says_where_the_records_begin),
		cmocka_unit_test(other_files_byte_orders_and_versions_are_told_apart),
		cmocka_unit_test(a_load_names_its_code),
		cmocka_unit_test(a_name_is_cut_at_the_bytes_at_hand_but_not_at_the_records_end),
		cmocka_unit_test(loads_without_a_name_or_beyond_all_addresses_are_broken),
		cmocka_unit_test(a_load_of_no_code_names_nothing),
		cmocka_unit_test(a_move_says_from_where_to_where),
		cmocka_unit_test(records_of_other_kinds_are_passed_over),
		cmocka_unit_test(no_record_is_shorter_than_its_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
