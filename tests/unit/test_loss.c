// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/loss.h"
#include "../../user/model/unwinding.h"

static void every_counter_has_a_name_of_its_own_and_a_sentence(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < LOSS_END; i++) {
		assert_non_null(loss_kind(i)->name);
		assert_non_null(loss_kind(i)->sentence);
		assert_true(strlen(loss_kind(i)->sentence) > 10);
		for (j = 0; j < i; j++)
			assert_string_not_equal(loss_kind(i)->name, loss_kind(j)->name);
	}
}

static void names_are_snake_case(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LOSS_END; i++) {
		const char *name = loss_kind(i)->name;

		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
	}
}

static void an_index_beyond_the_table_has_a_kind_too(void **state)
{
	(void)state;
	assert_non_null(loss_kind(LOSS_END));
	assert_non_null(loss_kind((size_t)-1)->sentence);
}

static void the_promised_names_stay(void **state)
{
	(void)state;
	assert_string_equal(loss_kind(HB_CNT_FREE_UNKNOWN)->name, "unknown_frees");
	assert_string_equal(loss_kind(HB_CNT_FREE_MISSED)->name, "missed_frees");
	assert_string_equal(loss_kind(HB_CNT_BLOCK_FULL)->name, "blocks_full");
}

static void a_class_counts_each_event_once(void **state)
{
	struct losses losses = { .counts = {
		[HB_CNT_BLOCK_FULL] = 3, [HB_CNT_BLOCK_FULL_BYTES] = 4096,
		[HB_CNT_SITE_FULL] = 4,  [HB_CNT_SITE_FULL_BYTES] = 8192,
		[HB_CNT_RING_FULL] = 5,  [LOSS_MAP_EVENTS] = 6,
		[HB_CNT_FREE_MISSED] = 7, [LOSS_RECURSION] = 8,
		[HB_CNT_BLOCKS_IN] = 1000, [HB_CNT_BLOCKS_OUT] = 900,
	} };

	(void)state;
	assert_int_equal(losses_sum(&losses, LOSS_LOST), 7);
	assert_int_equal(losses_sum(&losses, LOSS_DROPPED), 11);
	assert_int_equal(losses_sum(&losses, LOSS_MISSED), 15);
	assert_int_equal(losses_sum(&losses, LOSS_NOTE), 0);
	assert_int_equal(losses_sum(&losses, LOSS_BYTES), 12288);
	assert_int_equal(losses_sum(&losses, LOSS_FILL), 1900);
}

static void unknown_frees_are_no_loss(void **state)
{
	struct losses losses = { .counts = { [HB_CNT_FREE_UNKNOWN] = 9, [HB_CNT_ABANDONED] = 1,
					     [HB_CNT_STACK_FULL] = 2 } };

	(void)state;
	assert_int_equal(losses_sum(&losses, LOSS_LOST), 0);
	assert_int_equal(losses_sum(&losses, LOSS_DROPPED), 0);
	assert_int_equal(losses_sum(&losses, LOSS_MISSED), 0);
	assert_int_equal(losses_sum(&losses, LOSS_NOTE), 12);
}

static void bytes_belong_to_the_counter_before_them(void **state)
{
	struct losses losses = { .counts = {
		[HB_CNT_BLOCK_FULL] = 3, [HB_CNT_BLOCK_FULL_BYTES] = 4096,
		[HB_CNT_SITE_FULL] = 4,  [HB_CNT_SITE_FULL_BYTES] = 8192,
		[HB_CNT_STACK_FULL] = 5,
	} };

	(void)state;
	assert_int_equal(losses_bytes(&losses, HB_CNT_BLOCK_FULL), 4096);
	assert_int_equal(losses_bytes(&losses, HB_CNT_SITE_FULL), 8192);
	assert_int_equal(losses_bytes(&losses, HB_CNT_BLOCK_FULL_BYTES), 0);
	assert_int_equal(losses_bytes(&losses, HB_CNT_SITE_FULL_BYTES), 0);
	assert_int_equal(losses_bytes(&losses, LOSS_END - 1), 0);
	assert_int_equal(losses_bytes(&losses, (size_t)-1), 0);
}

static void walks_are_no_loss_however_they_ended(void **state)
{
	struct losses losses = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < HB_END_LAST; i++)
		losses.counts[HB_CNT_STACKS_ENDED + i] = 10;
	losses.counts[HB_CNT_OBJECTS_FULL] = 3;
	assert_int_equal(losses_sum(&losses, LOSS_FILL), 10 * HB_END_LAST);
	assert_int_equal(losses_sum(&losses, LOSS_NOTE), 3);
	assert_int_equal(losses_sum(&losses, LOSS_LOST), 0);
	assert_int_equal(losses_sum(&losses, LOSS_DROPPED), 0);
	assert_int_equal(losses_sum(&losses, LOSS_MISSED), 0);
}

static void a_walk_has_the_name_of_its_end(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < HB_END_LAST; i++) {
		char name[64];

		snprintf(name, sizeof(name), "walks_%s", unwinding_name(i));
		assert_string_equal(loss_kind(HB_CNT_STACKS_ENDED + i)->name, name);
	}
}

static void skipped_programs_are_in_the_sum_and_by_name_most_first(void **state)
{
	struct losses losses = { 0 };

	(void)state;
	losses_skip(&losses, "hb_vm_prot_kx", 2);
	losses_skip(&losses, "hb_vm_brk_kx", 0);
	losses_skip(&losses, "a name of more than 15 characters", 9);
	losses_skip(&losses, "hb_vm_mmap_kx", 5);
	assert_int_equal(losses.counts[LOSS_RECURSION], 16);
	assert_int_equal(losses.programs_count, 3);
	assert_string_equal(losses.programs[0].name, "a name of more ");
	assert_int_equal(losses.programs[0].skipped, 9);
	assert_string_equal(losses.programs[1].name, "hb_vm_mmap_kx");
	assert_string_equal(losses.programs[2].name, "hb_vm_prot_kx");
	for (int i = 0; i < 2 * LOSS_PROGRAMS_MAX; i++)
		losses_skip(&losses, "more", 1);
	assert_int_equal(losses.programs_count, LOSS_PROGRAMS_MAX);
	assert_int_equal(losses.counts[LOSS_RECURSION], 16 + 2 * LOSS_PROGRAMS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_a_name_of_its_own_and_a_sentence),
		cmocka_unit_test(names_are_snake_case),
		cmocka_unit_test(an_index_beyond_the_table_has_a_kind_too),
		cmocka_unit_test(the_promised_names_stay),
		cmocka_unit_test(a_class_counts_each_event_once),
		cmocka_unit_test(unknown_frees_are_no_loss),
		cmocka_unit_test(bytes_belong_to_the_counter_before_them),
		cmocka_unit_test(walks_are_no_loss_however_they_ended),
		cmocka_unit_test(a_walk_has_the_name_of_its_end),
		cmocka_unit_test(skipped_programs_are_in_the_sum_and_by_name_most_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
