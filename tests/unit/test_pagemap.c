// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../user/base/clock.h"
#include "../../user/remote/pagemap.h"

#define PAGE 4096u

/* The entries of our own memory at @at. */
static void entries_at(const void *at, size_t count, uint64_t *entries)
{
	struct proc proc = PROC_INIT;
	struct pagemap map = PAGEMAP_INIT;

	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(pagemap_open(&map, &proc), 0);
	assert_int_equal(pagemap_read(&map, (uintptr_t)at / PAGE, count, entries), 0);
	pagemap_close(&map);
	proc_close(&proc);
}

static char *fresh(size_t pages)
{
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	return at;
}

static void written_pages_are_resident_and_others_are_not(void **state)
{
	char *at = fresh(4);
	uint64_t entries[4];

	(void)state;
	at[PAGE] = 1;
	at[3 * PAGE] = 1;
	entries_at(at, 4, entries);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pagemap_resident(entries[i], 0), i & 1);
	assert_false(entries[1] & PAGEMAP_FILE);
	munmap(at, 4 * PAGE);
}

static void how_long_readings_hold_the_process_is_added_up(void **state)
{
	const uint64_t began_ns = clock_mono_ns();
	struct pagemap map = PAGEMAP_INIT;
	struct proc proc = PROC_INIT;
	uint64_t entry, once_ns;

	(void)state;
	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(pagemap_open(&map, &proc), 0);
	assert_int_equal(map.held_ns, 0);
	assert_int_equal(pagemap_read(&map, (uintptr_t)&entry / PAGE, 1, &entry), 0);
	once_ns = map.held_ns;
	assert_in_range(once_ns, 1, clock_mono_ns() - began_ns);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pagemap_read(&map, (uintptr_t)&entry / PAGE, 1, &entry), 0);
	assert_in_range(map.held_ns, 1000 * 50, clock_mono_ns() - began_ns);
	pagemap_close(&map);
	proc_close(&proc);
}

static void the_page_of_zeros_is_present_and_not_resident(void **state)
{
	volatile char *at = fresh(2);
	const uint64_t zero = pagemap_zero_frame();
	uint64_t entries[2];

	(void)state;
	if (!zero)
		skip(); /* frames are for CAP_SYS_ADMIN */
	(void)at[0];
	at[PAGE] = 1;
	entries_at((char *)at, 2, entries);
	assert_true(entries[0] & PAGEMAP_PRESENT);
	assert_false(pagemap_resident(entries[0], zero));
	assert_true(pagemap_resident(entries[1], zero));
	munmap((char *)at, 2 * PAGE);
}

static void shared_memory_is_marked_as_of_a_file(void **state)
{
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t entry;

	(void)state;
	assert_ptr_not_equal(at, MAP_FAILED);
	*at = 1;
	entries_at(at, 1, &entry);
	assert_true(entry & PAGEMAP_FILE);
	munmap(at, PAGE);
}

static void behind_the_address_space_there_is_nothing(void **state)
{
	uint64_t entries[2] = { 1, 1 };

	(void)state;
	entries_at((void *)0xffff800000000000, 2, entries);
	assert_int_equal(entries[0], 0);
	assert_int_equal(entries[1], 0);
}

static void no_more_than_2_mib_of_range_is_read_at_once(void **state)
{
	struct pagemap map = PAGEMAP_INIT;
	uint64_t entry;

	(void)state;
	assert_int_equal(pagemap_read(&map, 0, PAGEMAP_PAGES_MAX + 1, &entry), -EINVAL);
}

static void sums_come_from_status(void **state)
{
	struct pagemap_sums sums = { 0 };
	struct proc proc = PROC_INIT;

	(void)state;
	assert_int_equal(pagemap_parse_sums("Name:\tx\nVmRSS:\t 99 kB\nRssAnon:\t     12 kB\nRssFile:\t  4 kB\n"
					    "RssShmem:\t  3 kB\n", &sums), 0);
	assert_int_equal(sums.anonymous_bytes, 12288);
	assert_int_equal(sums.file_bytes, 4096);
	assert_int_equal(sums.shared_bytes, 3072);
	assert_int_equal(pagemap_parse_sums("Name:\tx\n", &sums), -EINVAL);
	assert_int_equal(pagemap_parse_sums("Name:\tx\nRssAnon:\t\nRssFile:\t1 kB\nRssShmem:\n", &sums), -EINVAL);
	assert_int_equal(proc_open(&proc, getpid()), 0);
	assert_int_equal(pagemap_sums(&proc, &sums), 0);
	assert_true(sums.anonymous_bytes > PAGE);
	proc_close(&proc);
}

static void shared_memory_is_known_by_its_name_in_maps(void **state)
{
	(void)state;
	assert_true(pagemap_is_shared_memory("/memfd:x"));
	assert_true(pagemap_is_shared_memory("/dev/zero"));
	assert_true(pagemap_is_shared_memory("/SYSV00000000"));
	assert_true(pagemap_is_shared_memory("/dev/shm/segment"));
	assert_false(pagemap_is_shared_memory("/usr/lib/libc.so.6"));
	assert_false(pagemap_is_shared_memory(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_pages_are_resident_and_others_are_not),
		cmocka_unit_test(how_long_readings_hold_the_process_is_added_up),
		cmocka_unit_test(the_page_of_zeros_is_present_and_not_resident),
		cmocka_unit_test(shared_memory_is_marked_as_of_a_file),
		cmocka_unit_test(behind_the_address_space_there_is_nothing),
		cmocka_unit_test(no_more_than_2_mib_of_range_is_read_at_once),
		cmocka_unit_test(sums_come_from_status),
		cmocka_unit_test(shared_memory_is_known_by_its_name_in_maps),
	};

	return cmocka_run_group_tests_name("pagemap", tests, NULL, NULL);
}
