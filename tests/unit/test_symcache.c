// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "folder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../user/symbol/symcache.h"
#include "elf_image.h"

#define T IMAGE_TEXT_VADDR

static const struct image_symbol two[] = {
	{ "first", T + 0x100, 0x10, STT_FUNC, STB_GLOBAL, 0 },
	{ "_ZN3foo3barEi", T + 0x110, 0x10, STT_FUNC, STB_GLOBAL, 0 },
};

static int new_cache(void **state)
{
	*state = symcache_new();
	return !*state;
}

static int free_cache(void **state)
{
	symcache_free(*state);
	return 0;
}

/* A new file with @symbols. */
static int make_file(const struct image_symbol *symbols, size_t count)
{
	struct image image;
	int fd;

	image_make(&image, symbols, count, SHT_SYMTAB);
	fd = image_file(&image, sizeof(image));
	assert_true(fd >= 0);
	return fd;
}

static void one_file_is_opened_once(void **state)
{
	int fd = make_file(two, 2), other = make_file(two, 2);
	struct elf_file *a, *b, *c;

	assert_int_equal(symcache_add(*state, fd, NULL, -1, &a), 0);
	assert_int_equal(symcache_add(*state, fd, NULL, -1, &b), 0);
	assert_int_equal(symcache_add(*state, other, NULL, -1, &c), 0);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	close(fd);
	close(other);
}

static void a_file_that_was_written_to_is_another_file(void **state)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1, .tv_nsec = 5 } };
	int fd = make_file(two, 2);
	struct elf_file *a, *b;

	assert_int_equal(symcache_add(*state, fd, NULL, -1, &a), 0);
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(symcache_add(*state, fd, NULL, -1, &b), 0);
	assert_ptr_not_equal(a, b);
	close(fd);
}

static void what_is_no_elf_file_is_refused_each_time(void **state)
{
	int fd = memfd_create("text", MFD_CLOEXEC);
	struct elf_file *file;

	assert_int_equal(symcache_add(*state, fd, NULL, -1, &file), -ENOEXEC);
	assert_int_equal(symcache_add(*state, fd, NULL, -1, &file), -ENOEXEC);
	assert_int_equal(symcache_add(*state, -1, NULL, -1, &file), -EBADF);
	close(fd);
}

static void a_return_address_means_the_call_before_it(void **state)
{
	int fd = make_file(two, 2);
	struct elf_file *file;
	struct frame frame = { .address = 77 };

	assert_int_equal(symcache_add(*state, fd, NULL, -1, &file), 0);
	close(fd);
	assert_int_equal(symcache_frames(*state, file, "/x", IMAGE_TEXT_OFFSET + 0x110, false, &frame, 1), 1);
	assert_string_equal(frame.function, "first");
	assert_int_equal(frame.offset, T + 0x110);
	assert_int_equal(symcache_frames(*state, file, "/x", IMAGE_TEXT_OFFSET + 0x110, true, &frame, 1), 1);
	assert_string_equal(frame.function, "foo::bar(int)");
	assert_int_equal(frame.offset, T + 0x110);
	assert_int_equal(frame.address, 77);
	assert_int_equal(frame.kind, FRAME_NATIVE);
	assert_null(frame.build_id);
	/* A call was the last instruction there is, so it returns behind the segment. */
	assert_int_equal(symcache_frames(*state, file, "/x", IMAGE_TEXT_OFFSET + 0x2000, false, &frame, 1), 1);
	assert_null(frame.function);
	assert_int_equal(frame.offset, T + 0x2000);
}

static void names_are_made_once_and_shared(void **state)
{
	int fd = make_file(two, 2);
	struct elf_file *file;
	struct frame a, b;
	char path[] = "/lib/x";

	assert_int_equal(symcache_add(*state, fd, NULL, -1, &file), 0);
	close(fd);
	assert_int_equal(symcache_frames(*state, file, path, IMAGE_TEXT_OFFSET + 0x112, true, &a, 1), 1);
	path[5] = 'y';
	assert_string_equal(a.module, "/lib/x"); /* not the caller's bytes */
	path[5] = 'x';
	assert_int_equal(symcache_frames(*state, file, path, IMAGE_TEXT_OFFSET + 0x118, true, &b, 1), 1);
	assert_ptr_equal(a.function, b.function);
	assert_ptr_equal(a.module, b.module);
	assert_int_equal(symcache_frames(*state, file, path, IMAGE_TEXT_OFFSET + 0x112, true, &b, 1), 1);
	assert_ptr_equal(a.function, b.function);
}

static void an_offset_outside_of_all_segments_has_a_module_and_no_name(void **state)
{
	int fd = make_file(two, 2);
	struct elf_file *file;
	struct frame frame;

	assert_int_equal(symcache_add(*state, fd, NULL, -1, &file), 0);
	close(fd);
	assert_int_equal(symcache_frames(*state, file, "/x", 0x123456, false, &frame, 1), 1);
	assert_null(frame.function);
	assert_string_equal(frame.module, "/x");
	assert_int_equal(frame.offset, 0x123456);
	assert_int_equal(symcache_frames(*state, NULL, "/y", 0, false, &frame, 1), 1);
	assert_string_equal(frame.module, "/y");
	assert_int_equal(frame.offset, 0);
	assert_null(frame.build_id);
	assert_int_equal(symcache_frames(*state, NULL, "/gone.so", 0x3120, false, &frame, 1), 1);
	assert_int_equal(frame.kind, FRAME_NATIVE);
	assert_string_equal(frame.module, "/gone.so");
	assert_int_equal(frame.offset, 0x3120);
	assert_null(frame.function);
}

static void beyond_the_cap_the_oldest_file_is_closed_and_keeps_its_names(void **state)
{
	struct elf_file *files[SYMCACHE_OPEN_MAX + 2];
	struct frame frame;
	size_t i;

	for (i = 0; i < SYMCACHE_OPEN_MAX + 2; i++) {
		int fd = make_file(two, 2);

		assert_int_equal(symcache_add(*state, fd, NULL, -1, &files[i]), 0);
		close(fd);
	}
	assert_int_equal(files[0]->fd, -1);
	assert_int_equal(files[1]->fd, -1);
	for (i = 2; i < SYMCACHE_OPEN_MAX + 2; i++)
		assert_true(files[i]->fd >= 0);
	assert_int_equal(symcache_frames(*state, files[0], "/x", IMAGE_TEXT_OFFSET + 0x112, true, &frame, 1), 1);
	assert_string_equal(frame.function, "foo::bar(int)");
}

/* A library, stripped and not, with a function inlined twice over around the label. */
static void build(void)
{
	assert_true(files_run("rm -rf lib usr && mkdir -p lib usr/lib/debug/lib"));
	files_write("lib/a.cc",
		    "extern \"C\" int puts(const char *);\n"
		    "namespace a { struct A { int x; inline __attribute__((always_inline)) int in(int y) {\n"
		    "	__asm__ volatile(\".globl mark\\nmark: nop\" : : : \"memory\");\n"
		    "	return x * y; }\n"
		    "	__attribute__((noinline)) int middle(int y) { return in(y) + 1; } }; }\n"
		    "int outer(int y) { a::A a = { y }; puts(\"\"); return a.middle(y) + 1; }\n");
	assert_true(files_run("g++ -g -O2 -shared -fPIC -fvisibility=hidden -Wl,--build-id=0xabcdef -Wl,-z,lazy "
			      "-o lib/a.so \"$PWD\"/lib/a.cc && "
			      "objcopy --only-keep-debug lib/a.so usr/lib/debug/lib/a.dbg && "
			      "strip -o lib/stripped.so lib/a.so && "
			      "objcopy --add-gnu-debuglink=usr/lib/debug/lib/a.dbg lib/stripped.so"));
}

static int open_name(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", files_folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static struct elf_file *add_name(struct symcache *cache, const char *name, const char *path, int root)
{
	struct elf_file *file;
	int fd = open_name(name);

	assert_int_equal(symcache_add(cache, fd, path, root, &file), 0);
	close(fd);
	return file;
}

/* Where the label stands in lib/a.so, as an offset in the file. */
static uint64_t mark_offset(void)
{
	struct elf_file *file;
	uint64_t offset;
	int fd = open_name("lib/a.so");

	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	assert_int_equal(elffile_index(file), 0);
	assert_true(elffile_offset(file, elffile_symbol(file, "mark")->vaddr, &offset));
	elffile_free(file);
	return offset;
}

static void expect_inlined(const struct frame *frames)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/lib/a.cc", files_folder);
	assert_string_equal(frames[0].function, "a::A::in(int)");
	assert_true(frames[0].inlined);
	assert_string_equal(frames[0].file, path);
	assert_int_equal(frames[0].line, 3);
	assert_false(frames[1].inlined);
	assert_string_equal(frames[1].file, path);
	assert_int_equal(frames[1].line, 5);
	assert_int_equal(frames[0].offset, frames[1].offset);
	assert_ptr_equal(frames[0].module, frames[1].module);
	assert_string_equal(frames[0].build_id, "abcdef");
	assert_string_equal(frames[1].build_id, "abcdef");
}

static void a_call_inlined_is_a_frame_of_its_own(void **state)
{
	struct frame frames[4] = { { .address = 77 } }, again[4];
	struct elf_file *file;
	uint64_t offset, vaddr;

	build();
	offset = mark_offset();
	file = add_name(*state, "lib/a.so", "/a.so", -1);
	assert_int_equal(symcache_frames(*state, file, "/a.so", offset, true, frames, 4), 2);
	expect_inlined(frames);
	/* The label is a symbol without a size: it does not cut the function in two. */
	assert_string_equal(frames[1].function, "a::A::middle(int)");
	assert_true(frames[0].exact);
	assert_int_equal(frames[0].address, 77);
	assert_true(elffile_vaddr(file, offset, &vaddr));
	assert_int_equal(symcache_frames_at(*state, file, "/a.so", vaddr + 1, false, again, 4), 2);
	assert_ptr_equal(again[0].function, frames[0].function);
	assert_ptr_equal(again[1].file, frames[1].file);
	assert_int_equal(again[0].offset, vaddr + 1);
	assert_false(again[0].exact);
	assert_int_equal(symcache_frames(*state, file, "/a.so", offset, true, again, 1), 1);
	assert_ptr_equal(again[0].function, frames[1].function);
	assert_false(again[0].inlined);
	assert_int_equal(symcache_frames(*state, file, "/a.so", offset, true, again, 0), 0);
}

static void a_debug_file_in_the_root_of_the_process_is_kept_when_the_root_is_gone(void **state)
{
	struct frame frames[4];
	struct elf_file *file;
	uint64_t offset;
	int root;

	build();
	offset = mark_offset();
	root = open(files_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	file = add_name(*state, "lib/stripped.so", "/lib/stripped.so", root);
	close(root);
	assert_true(files_run("rm -r lib usr"));
	assert_non_null(file->debug);
	assert_int_equal(symcache_frames(*state, file, "/lib/stripped.so", offset, true, frames, 4), 2);
	expect_inlined(frames);
	assert_string_equal(frames[1].function, "a::A::middle(int)");
}

static void a_stub_has_the_name_of_what_it_calls(void **state)
{
	const struct elf_symbol *stub;
	struct elf_file *file;
	struct frame frame;

	build();
	file = add_name(*state, "lib/stripped.so", NULL, -1);
	assert_int_equal(elffile_index(file), 0);
	for (stub = file->stubs; stub < file->stubs + file->stubs_count && strcmp(stub->name, "puts"); stub++)
		;
	assert_true(stub < file->stubs + file->stubs_count);
	assert_int_equal(symcache_frames_at(*state, file, "/a", stub->vaddr + 1, true, &frame, 1), 1);
	assert_string_equal(frame.function, "puts@plt");
}

static void the_vdso_has_names(void **state)
{
	const struct elf_symbol *symbol;
	struct elf_file *file, *again;
	struct frame frame;
	uint64_t offset;

	assert_int_equal(symcache_vdso(*state, &file), 0);
	assert_int_equal(symcache_vdso(*state, &again), 0);
	assert_ptr_equal(file, again);
	assert_int_equal(elffile_index(file), 0);
	symbol = elffile_symbol(file, "clock_gettime"); /* aarch64: __kernel_clock_gettime alone */
	if (!symbol)
		symbol = elffile_symbol(file, "__kernel_clock_gettime");
	assert_non_null(symbol);
	assert_true(elffile_offset(file, symbol->vaddr, &offset));
	assert_int_equal(symcache_frames(*state, file, "[vdso]", offset + 5, false, &frame, 1), 1);
	assert_string_equal(frame.function, symbol->name);
	assert_string_equal(frame.module, "[vdso]");
}

static void debug_files_are_closed_first_and_found_again(void **state)
{
	struct frame first[8], later[8];
	struct elf_file *libc, *file;
	uint64_t vaddr;
	size_t i, open_files = 0;
	Dl_info info;
	int fd;

	assert_int_not_equal(dladdr((void *)getppid, &info), 0);
	fd = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	assert_int_equal(symcache_add(*state, fd, info.dli_fname, -1, &libc), 0);
	close(fd);
	if (!libc->debug) {
		print_message("skipped: there is no debug file of libc\n");
		skip();
	}
	elffile_index(libc);
	vaddr = elffile_symbol(libc, "malloc")->vaddr;
	assert_in_range(symcache_frames_at(*state, libc, "libc", vaddr, true, first, 8), 1, 8);
	assert_non_null(first[0].file);
	for (i = 0; i < SYMCACHE_OPEN_MAX - 1; i++) {
		fd = make_file(two, 2);
		assert_int_equal(symcache_add(*state, fd, NULL, -1, &file), 0);
		close(fd);
		open_files += file->fd >= 0;
	}
	assert_int_equal(open_files, SYMCACHE_OPEN_MAX - 1);
	assert_true(libc->fd >= 0);
	assert_int_equal(libc->debug->fd, -1);
	/* Not asked before, so found anew, and another file is closed for it. */
	assert_in_range(symcache_frames_at(*state, libc, "libc", vaddr + 1, true, later, 8), 1, 8);
	assert_non_null(later[0].file);
	assert_string_equal(later[0].file, first[0].file);
}

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 600,000 blocks inside one another around each of its addresses: all would take minutes. */
static void a_file_that_takes_long_gets_no_more_than_its_share(void **state)
{
	struct elf_file *file;
	struct frame frame;
	uint64_t vaddr, i;
	double began;

	files_write("slow.s",
		    ".text\n.globl mark\n.type mark, @function\nmark: .zero 8192\n.size mark, 8192\n"
		    ".section .debug_abbrev,\"\",@progbits\n"
		    "abbrevs: .uleb128 1, 0x11\n.byte 1\n.uleb128 0x11, 1, 0x12, 7, 0, 0\n"
		    ".uleb128 2, 0x0b\n.byte 1\n.uleb128 0x11, 1, 0x12, 7, 0, 0\n"
		    ".uleb128 3, 0x2e\n.byte 1\n.uleb128 0x11, 1, 0x12, 7, 0, 0\n.byte 0\n"
		    ".section .debug_info,\"\",@progbits\n"
		    ".long 2f - 1f\n1: .short 4\n.long abbrevs\n.byte 8\n.uleb128 1\n.quad mark, 8192\n"
		    ".uleb128 3\n.quad mark, 8192\n"
		    ".rept 600000\n.uleb128 2\n.quad mark, 8192\n.endr\n.zero 600002\n2:\n");
	assert_true(files_run("gcc -shared -nostdlib -o slow.so slow.s"));
	file = add_name(*state, "slow.so", NULL, -1);
	assert_int_equal(elffile_index(file), 0);
	vaddr = elffile_symbol(file, "mark")->vaddr;
	began = cpu_s();
	for (i = 0; i < 8192; i++) {
		assert_int_equal(symcache_frames_at(*state, file, "/slow", vaddr + i, true, &frame, 1), 1);
		assert_string_equal(frame.function, "mark");
	}
	assert_true(cpu_s() - began > 1);
	assert_true(cpu_s() - began < 12); /* 5 seconds, one in 50 after that, one question too many */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_cache, free_cache)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_file_is_opened_once),
		TEST(a_file_that_was_written_to_is_another_file),
		TEST(what_is_no_elf_file_is_refused_each_time),
		TEST(a_return_address_means_the_call_before_it),
		TEST(names_are_made_once_and_shared),
		TEST(an_offset_outside_of_all_segments_has_a_module_and_no_name),
		TEST(beyond_the_cap_the_oldest_file_is_closed_and_keeps_its_names),
		TEST(a_call_inlined_is_a_frame_of_its_own),
		TEST(a_debug_file_in_the_root_of_the_process_is_kept_when_the_root_is_gone),
		TEST(a_stub_has_the_name_of_what_it_calls),
		TEST(the_vdso_has_names),
		TEST(debug_files_are_closed_first_and_found_again),
		TEST(a_file_that_takes_long_gets_no_more_than_its_share),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
