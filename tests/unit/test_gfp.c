// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/gfp.h"

static void expect(uint32_t gfp, const uint32_t *bit_of, const char *wanted)
{
	char out[GFP_TEXT_BYTES];

	assert_ptr_equal(gfp_text(gfp, bit_of, out, sizeof(out)), out);
	assert_string_equal(out, wanted);
}

static void composites_have_their_names(void **state)
{
	(void)state;
	expect(0xcc0, NULL, "GFP_KERNEL");
	expect(0x400cc0, NULL, "GFP_KERNEL_ACCOUNT");
	expect(0x100cc0, NULL, "GFP_USER");
	expect(0x100cc2, NULL, "GFP_HIGHUSER");
	expect(0x100cca, NULL, "GFP_HIGHUSER_MOVABLE");
	expect(0xc40, NULL, "GFP_NOFS");
	expect(0xc00, NULL, "GFP_NOIO");
	expect(0x820, NULL, "GFP_ATOMIC");
	expect(0xa20, NULL, "GFP_ATOMIC");
}

static void what_a_composite_leaves_follows_it(void **state)
{
	(void)state;
	expect(0xdc0, NULL, "GFP_KERNEL|__GFP_ZERO");
	expect(0x140cca, NULL, "GFP_HIGHUSER_MOVABLE|__GFP_COMP");
	expect(0x500cc0, NULL, "GFP_USER|__GFP_ACCOUNT");
	expect(0x1, NULL, "__GFP_DMA");
	expect(0x600000, NULL, "__GFP_THISNODE|__GFP_ACCOUNT");
}

static void bits_without_a_name_are_hex_and_stand_last(void **state)
{
	(void)state;
	expect(0, NULL, "0x0");
	expect(0x800000, NULL, "0x800000");
	expect(0x81000cc0, NULL, "GFP_KERNEL|0x81000000");
}

static void every_mask_fits(void **state)
{
	char out[GFP_TEXT_BYTES];
	uint32_t bit;

	(void)state;
	assert_true(strlen(gfp_text(UINT32_MAX, NULL, out, sizeof(out))) < sizeof(out) - 1);
	for (bit = 0; bit < 32; bit++)
		assert_true(strlen(gfp_text(~(1u << bit), NULL, out, sizeof(out))) < sizeof(out) - 1);
	assert_true(strlen(gfp_text(~0xc00u, NULL, out, sizeof(out))) < sizeof(out) - 1);
	assert_true(strlen(gfp_text(~0xcc0u, NULL, out, sizeof(out))) < sizeof(out) - 1);
}

static void a_short_buffer_cuts(void **state)
{
	char out[8];

	(void)state;
	gfp_text(0x400cc1, NULL, out, sizeof(out));
	assert_string_equal(out, "GFP_KER");
	gfp_text(0x400cc1, NULL, out, 1);
	assert_string_equal(out, "");
}

static void bits_that_moved_are_found_where_the_kernel_has_them(void **state)
{
	uint32_t bit_of[GFP_NAMED_BITS], bit;

	(void)state;
	for (bit = 0; bit < GFP_NAMED_BITS; bit++)
		bit_of[bit] = bit < 9 ? bit : bit - 1; /* as if bit 9 had gone */
	bit_of[9] = UINT32_MAX;
	expect(0x40 | 0x80 | 0x200 | 0x400, bit_of, "GFP_KERNEL");
	expect(0x20 | 0x400, bit_of, "GFP_ATOMIC");
	expect(0x400000 | 0x100, bit_of, "__GFP_ZERO|0x400000");
}

static void bits_have_the_names_of_the_kernel(void **state)
{
	(void)state;
	assert_string_equal(gfp_bit_name(0), "__GFP_DMA");
	assert_string_equal(gfp_bit_name(8), "__GFP_ZERO");
	assert_string_equal(gfp_bit_name(22), "__GFP_ACCOUNT");
	assert_null(gfp_bit_name(GFP_NAMED_BITS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(composites_have_their_names),
		cmocka_unit_test(what_a_composite_leaves_follows_it),
		cmocka_unit_test(bits_without_a_name_are_hex_and_stand_last),
		cmocka_unit_test(every_mask_fits),
		cmocka_unit_test(a_short_buffer_cuts),
		cmocka_unit_test(bits_that_moved_are_found_where_the_kernel_has_them),
		cmocka_unit_test(bits_have_the_names_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
