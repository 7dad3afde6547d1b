// SPDX-License-Identifier: Apache-2.0
/* The live blocks and the sites: sums that agree, whatever fails and whoever comes in between. */
#include "native_test.h"

#define STACK_1 0x1111ULL
#define STACK_2 0x2222ULL

static void add(u64 addr, u64 bytes, u64 stack)
{
	struct hb_alloc alloc = {
		.addr = addr, .bytes = bytes, .stack = stack, .gen = GEN, .source = HB_SRC_MALLOC,
	};

	acct_add(&alloc, acct_site(&alloc));
}

static struct hb_block_key key_of(u64 addr)
{
	return (struct hb_block_key){ .addr = addr, .gen = GEN, .source = HB_SRC_MALLOC };
}

static const struct hb_site *site(u64 stack)
{
	struct hb_site_key key = { .stack = stack, .gen = GEN, .source = HB_SRC_MALLOC };

	return fake_find("hb_sites", &key);
}

static void drop(u64 addr)
{
	struct hb_block_key key = key_of(addr);
	struct hb_block block;

	if (acct_take(&key, &block))
		acct_sub(&key, &block);
}

#define assert_sums(stack, allocated, allocated_n, freed, freed_n, peak)                       \
	do {                                                                                   \
		assert_non_null(site(stack));                                                  \
		assert_int_equal(site(stack)->allocated_bytes, allocated);                     \
		assert_int_equal(site(stack)->allocated_count, allocated_n);                   \
		assert_int_equal(site(stack)->freed_bytes, freed);                             \
		assert_int_equal(site(stack)->freed_count, freed_n);                           \
		assert_int_equal(site(stack)->outstanding_bytes, (allocated) - (freed));       \
		assert_int_equal(site(stack)->peak_bytes, peak);                               \
	} while (0)

static void a_block_counts_at_its_site_until_it_is_taken_and_subtracted(void **state)
{
	struct hb_block_key key = key_of(0x1000);
	struct hb_block block;

	add(0x1000, 100, STACK_1);
	assert_sums(STACK_1, 100, 1, 0, 0, 100);
	assert_int_equal(acct_take(&key, &block), 1);
	assert_int_equal(block.bytes, 100);
	assert_int_equal(block.stack, STACK_1);
	assert_int_equal(fake_rows("hb_live"), 0);
	assert_sums(STACK_1, 100, 1, 0, 0, 100);
	acct_sub(&key, &block);
	assert_sums(STACK_1, 100, 1, 100, 1, 100);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN), 1);
	assert_int_equal(counter(HB_CNT_BLOCKS_OUT), 1);
	assert_int_equal(counter(HB_CNT_SITES_IN), 1);
}

static void the_peak_is_the_most_that_was_outstanding_at_once(void **state)
{
	add(0x1000, 100, STACK_1);
	add(0x2000, 50, STACK_1);
	drop(0x1000);
	add(0x3000, 99, STACK_1);
	assert_sums(STACK_1, 249, 3, 100, 1, 150);
	add(0x4000, 2, STACK_1);
	assert_sums(STACK_1, 251, 4, 100, 1, 151);
}

static void a_block_that_is_not_there_is_not_taken(void **state)
{
	struct hb_block_key key = key_of(0x1000);
	struct hb_block block;

	assert_int_equal(acct_take(&key, &block), 0);
	add(0x1000, 1, STACK_1);
	key.gen++;
	assert_int_equal(acct_take(&key, &block), 0);
	key = key_of(0x1000);
	key.source = HB_SRC_DIRECT;
	assert_int_equal(acct_take(&key, &block), 0);
	assert_int_equal(fake_rows("hb_live"), 1);
}

static void drop_hook(void *arg)
{
	drop(*(u64 *)arg);
}

static void of_two_cpus_that_free_one_block_only_one_subtracts(void **state)
{
	u64 addr = 0x1000;

	add(addr, 64, STACK_1);
	fake_hook("hb_live", FAKE_DELETE, drop_hook, &addr);
	drop(addr);
	assert_sums(STACK_1, 64, 1, 64, 1, 64);
	assert_int_equal(counter(HB_CNT_BLOCKS_OUT), 1);
}

static void an_address_given_out_again_means_a_missed_free_of_the_old_block(void **state)
{
	add(0x1000, 100, STACK_1);
	add(0x1000, 30, STACK_2);
	assert_sums(STACK_1, 100, 1, 100, 1, 100);
	assert_sums(STACK_2, 30, 1, 0, 0, 30);
	assert_int_equal(counter(HB_CNT_FREE_MISSED), 1);
	assert_int_equal(fake_rows("hb_live"), 1);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN) - counter(HB_CNT_BLOCKS_OUT), 1);
}

static void a_missed_free_is_noticed_in_a_full_map_too(void **state)
{
	fake_limit("hb_live", 1);
	add(0x1000, 100, STACK_1);
	add(0x1000, 30, STACK_2);
	assert_sums(STACK_2, 30, 1, 0, 0, 30);
	assert_int_equal(counter(HB_CNT_FREE_MISSED), 1);
	assert_int_equal(counter(HB_CNT_BLOCK_FULL), 0);
}

static void in_a_full_block_map_allocated_and_lost_make_the_truth(void **state)
{
	fake_limit("hb_live", 3);
	for (u64 i = 0; i < 10; i++)
		add(0x1000 + i * 0x1000, 10 + i, STACK_1);
	assert_sums(STACK_1, 10 + 11 + 12, 3, 0, 0, 33);
	assert_int_equal(counter(HB_CNT_BLOCK_FULL), 7);
	assert_int_equal(counter(HB_CNT_BLOCK_FULL_BYTES), 13 + 14 + 15 + 16 + 17 + 18 + 19);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN), 3);
	drop(0x1000);
	add(0x1000, 7, STACK_1);
	assert_sums(STACK_1, 40, 4, 10, 1, 33);
	assert_int_equal(counter(HB_CNT_BLOCK_FULL), 7);
}

static void in_a_full_site_map_allocated_and_lost_make_the_truth(void **state)
{
	fake_limit("hb_sites", 1);
	add(0x1000, 100, STACK_1);
	add(0x2000, 20, STACK_2);
	add(0x3000, 3, STACK_2);
	add(0x4000, 5, STACK_1);
	assert_null(site(STACK_2));
	assert_sums(STACK_1, 105, 2, 0, 0, 105);
	assert_int_equal(counter(HB_CNT_SITE_FULL), 2);
	assert_int_equal(counter(HB_CNT_SITE_FULL_BYTES), 23);
	assert_int_equal(fake_rows("hb_live"), 2);
}

static void a_block_that_cannot_be_kept_for_want_of_memory_is_lost(void **state)
{
	fake_fail("hb_live", FAKE_UPDATE, 0, 2, -ENOMEM);
	add(0x1000, 100, STACK_1);
	add(0x2000, 11, STACK_1);
	assert_sums(STACK_1, 11, 1, 0, 0, 11);
	assert_int_equal(counter(HB_CNT_BLOCK_FULL), 1);
	assert_int_equal(counter(HB_CNT_BLOCK_FULL_BYTES), 100);
}

static void add_hook(void *arg)
{
	add(*(u64 *)arg, 1000, STACK_1);
}

static void two_cpus_that_open_one_site_share_it(void **state)
{
	u64 other = 0x9000;

	fake_hook("hb_sites", FAKE_UPDATE, add_hook, &other);
	add(0x1000, 24, STACK_1);
	assert_sums(STACK_1, 1024, 2, 0, 0, 1024);
	assert_int_equal(counter(HB_CNT_SITES_IN), 1);
	assert_int_equal(fake_rows("hb_sites"), 1);
}

static void a_block_put_back_is_as_if_never_taken(void **state)
{
	struct hb_block_key key = key_of(0x1000);
	struct hb_block block;

	add(0x1000, 100, STACK_1);
	assert_int_equal(acct_take(&key, &block), 1);
	acct_reput(&key, &block);
	assert_sums(STACK_1, 100, 1, 0, 0, 100);
	assert_int_equal(block_at(GEN, 0x1000)->bytes, 100);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN) - counter(HB_CNT_BLOCKS_OUT), 1);
}

static void a_block_that_cannot_go_back_leaves_its_site_and_is_reported(void **state)
{
	struct hb_block_key key = key_of(0x1000);
	struct hb_block block;

	fake_limit("hb_live", 1);
	add(0x1000, 100, STACK_1);
	assert_int_equal(acct_take(&key, &block), 1);
	add(0x2000, 8, STACK_2);
	acct_reput(&key, &block);
	assert_sums(STACK_1, 100, 1, 100, 1, 100);
	assert_sums(STACK_2, 8, 1, 0, 0, 8);
	assert_int_equal(counter(HB_CNT_REPUT_FAILED), 1);
	assert_int_equal(counter(HB_CNT_BLOCKS_IN) - counter(HB_CNT_BLOCKS_OUT), 1);
}

static void a_free_after_the_sites_were_put_away_subtracts_nowhere(void **state)
{
	struct hb_site_key key = { .stack = STACK_1, .gen = GEN, .source = HB_SRC_MALLOC };

	add(0x1000, 100, STACK_1);
	fake_drop("hb_sites", &key);
	drop(0x1000);
	assert_int_equal(fake_rows("hb_live"), 0);
	assert_int_equal(fake_rows("hb_sites"), 0);
}

static void sources_and_generations_share_an_address_and_not_a_row(void **state)
{
	struct hb_alloc alloc = {
		.addr = 0x1000, .bytes = 1, .stack = STACK_1, .gen = GEN, .source = HB_SRC_MALLOC,
	};

	acct_add(&alloc, acct_site(&alloc));
	alloc.source = HB_SRC_DIRECT;
	acct_add(&alloc, acct_site(&alloc));
	alloc.gen = GEN + 1;
	acct_add(&alloc, acct_site(&alloc));
	assert_int_equal(fake_rows("hb_live"), 3);
	assert_int_equal(fake_rows("hb_sites"), 3);
	assert_int_equal(counter(HB_CNT_FREE_MISSED), 0);
}

static void a_site_is_known_once_something_was_counted_there(void **state)
{
	struct hb_alloc alloc = {
		.addr = 0x1000, .bytes = 1, .stack = STACK_1, .gen = GEN, .source = HB_SRC_MALLOC,
	};

	assert_false(acct_site(&alloc));
	acct_add(&alloc, acct_site(&alloc));
	assert_true(acct_site(&alloc));
	alloc.tid = 5;
	assert_false(acct_site(&alloc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(a_block_counts_at_its_site_until_it_is_taken_and_subtracted),
		ONCE(the_peak_is_the_most_that_was_outstanding_at_once),
		ONCE(a_block_that_is_not_there_is_not_taken),
		ONCE(of_two_cpus_that_free_one_block_only_one_subtracts),
		ONCE(an_address_given_out_again_means_a_missed_free_of_the_old_block),
		ONCE(a_missed_free_is_noticed_in_a_full_map_too),
		ONCE(in_a_full_block_map_allocated_and_lost_make_the_truth),
		ONCE(in_a_full_site_map_allocated_and_lost_make_the_truth),
		ONCE(a_block_that_cannot_be_kept_for_want_of_memory_is_lost),
		ONCE(two_cpus_that_open_one_site_share_it),
		ONCE(a_block_put_back_is_as_if_never_taken),
		ONCE(a_block_that_cannot_go_back_leaves_its_site_and_is_reported),
		ONCE(a_free_after_the_sites_were_put_away_subtracts_nowhere),
		ONCE(sources_and_generations_share_an_address_and_not_a_row),
		ONCE(a_site_is_known_once_something_was_counted_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
