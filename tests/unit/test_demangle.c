// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/symbol/demangle.h"

static void expect(const char *name, const char *readable)
{
	char *got = demangle(name);

	assert_non_null(got);
	assert_string_equal(got, readable);
	free(got);
}

static void cpp_names_come_with_their_parameters(void **state)
{
	(void)state;
	expect("_Znwm", "operator new(unsigned long)");
	expect("_ZN3foo3barEi", "foo::bar(int)");
	expect("_ZNSt6vectorIiSaIiEE9push_backERKi",
	       "std::vector<int, std::allocator<int> >::push_back(int const&)");
	expect("_ZN9Unsafe_fn4workEv.constprop.0", "Unsafe_fn::work() [clone .constprop.0]");
}

static void rust_legacy_names_lose_their_hash(void **state)
{
	(void)state;
	expect("_ZN5alloc5alloc15exchange_malloc17h5c4eb5a5f0d7a6b1E",
	       "alloc::alloc::exchange_malloc");
	expect("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar"
	       "17h930b740aa94f1d3aE", "<Test + 'static as foo::Bar<Test>>::bar");
}

static void a_rust_hash_of_few_different_digits_goes_too(void **state)
{
	(void)state;
	expect("_ZN3foo3bar17h0000000000000000E", "foo::bar");
}

static void rust_v0_names_are_readable(void **state)
{
	(void)state;
	expect("_RNvC6_123foo3bar", "123foo::bar");
	expect("_RNvCs1234_7mycrate4main", "mycrate::main");
	expect("_RNvC4utf8u10mnchen_3ya", "utf8::m\xc3\xbcnchen");
}

static void plain_names_are_not_mangled(void **state)
{
	static const char *const names[] = {
		"", "malloc", "main", "_start", "__libc_malloc", "_Z", "_R", "_ZN", "i", "Z3foov",
		"_Rust", "_ZNotMangled", "_ZN3foo17hE",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(demangle(names[i]));
}

/*
 * f(pair<int, int>, pair<A, A>, pair<B, B>, ...) where A is the argument before, B the one before
 * that: 2^@depth words of text. Each pair adds two numbered parts, "std::pair" and itself.
 */
static void name_that_doubles(char *name, unsigned int depth)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	unsigned int i;

	name += sprintf(name, "_Z1fSt4pairIiiE");
	for (i = 0; i < depth; i++) {
		char number[3] = { digits[2 * i % 36] };

		if (2 * i >= 36) {
			number[0] = digits[2 * i / 36];
			number[1] = digits[2 * i % 36];
		}
		name += sprintf(name, "St4pairIS%s_S%s_E", number, number);
	}
}

static void text_that_doubles_again_and_again_is_cut(void **state)
{
	char name[1024], *got;

	(void)state;
	name_that_doubles(name, 30);
	got = demangle(name);
	assert_non_null(got);
	assert_int_equal(strlen(got), DEMANGLE_MAX);
	assert_string_equal(got + DEMANGLE_MAX - 3, "...");
	assert_memory_equal(got, "f(std::pair<int, int>, ", 23);
	free(got);
}

static void names_nested_too_deep_or_too_long_stay_as_they_are(void **state)
{
	char *name = malloc(1 << 20);

	(void)state;
	memset(name, 'P', (1 << 20) - 1);
	name[(1 << 20) - 1] = '\0';
	memcpy(name, "_Z1f", 4);
	assert_null(demangle(name));
	name[8192] = '\0';
	assert_null(demangle(name));
	name[8191] = 'i';
	assert_null(demangle(name));
	memcpy(name, "_RNvC", 5);
	memset(name + 5, 'N', 8000);
	assert_null(demangle(name));
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpp_names_come_with_their_parameters),
		cmocka_unit_test(rust_legacy_names_lose_their_hash),
		cmocka_unit_test(a_rust_hash_of_few_different_digits_goes_too),
		cmocka_unit_test(rust_v0_names_are_readable),
		cmocka_unit_test(plain_names_are_not_mangled),
		cmocka_unit_test(text_that_doubles_again_and_again_is_cut),
		cmocka_unit_test(names_nested_too_deep_or_too_long_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
