// SPDX-License-Identifier: Apache-2.0
/* A file of two gigabytes costs what a small one costs, as long as nobody asks for its lines. */
#define _GNU_SOURCE 1
#include "folder.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* sanitizer/allocator_interface.h, which gcc lacks */
#define bytes_allocated() __sanitizer_get_current_allocated_bytes()
#else
#include <malloc.h>
#define bytes_allocated() mallinfo2().uordblks
#endif

#include "../../user/symbol/debugfile.h"
#include "../../user/symbol/lines.h"

#define LARGE (2ull << 30)

/* Bytes that this process read so far, and 0 if the kernel does not say. */
static uint64_t bytes_read(void)
{
	FILE *io = fopen("/proc/self/io", "r");
	unsigned long bytes = 0;

	if (io && fscanf(io, "rchar: %lu", &bytes) != 1)
		bytes = 0;
	if (io)
		fclose(io);
	return bytes;
}

static int open_name(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", files_folder, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Make .debug_info, which is larger than 100 bytes, two gigabytes of holes. */
static void enlarge(const char *name)
{
	int fd = open_name(name);
	Elf64_Ehdr header;
	Elf64_Shdr section, names;
	char text[16];
	size_t i, found = 0;

	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(pread(fd, &names, sizeof(names), (off_t)(header.e_shoff + header.e_shstrndx * sizeof(names))),
			 sizeof(names));
	for (i = 0; i < header.e_shnum; i++) {
		off_t at = (off_t)(header.e_shoff + i * sizeof(section));

		assert_int_equal(pread(fd, &section, sizeof(section), at), sizeof(section));
		assert_true(pread(fd, text, sizeof(text), (off_t)(names.sh_offset + section.sh_name)) > 0);
		if (strncmp(text, ".debug_info", sizeof(text)))
			continue;
		section.sh_offset = 1 << 20;
		section.sh_size = LARGE;
		assert_int_equal(pwrite(fd, &section, sizeof(section), at), sizeof(section));
		found++;
	}
	assert_int_equal(found, 1);
	assert_int_equal(ftruncate(fd, (off_t)LARGE + (1 << 20)), 0);
	close(fd);
}

struct cost {
	uint64_t read, memory;
	size_t symbols;
};

static struct elf_file *cost_of(const char *name, struct cost *cost)
{
	int fd = open_name(name);
	uint64_t read = bytes_read(), memory = bytes_allocated();
	struct elf_file *file;

	assert_int_equal(elffile_open(&file, fd), 0);
	assert_true(debugfile_has_dwarf(file));
	assert_int_equal(elffile_index(file), 0);
	cost->read = bytes_read() - read;
	cost->memory = bytes_allocated() - memory;
	cost->symbols = file->symbols_count;
	assert_true(cost->memory > sizeof(*file));
	close(fd);
	return file;
}

static void build(void)
{
	files_write("a.c", "int one(int x) { return x; }\nint two(int x) { return one(x) + 1; }\n");
	assert_true(files_run("gcc -g -shared -fPIC -o small.so a.c && cp small.so large.so"));
	enlarge("large.so");
}

static void an_index_reads_the_same_of_a_large_file_as_of_a_small_one(void **state)
{
	struct cost small, large;

	(void)state;
	build();
	elffile_free(cost_of("small.so", &small)); /* the first one pays for buffers */
	elffile_free(cost_of("small.so", &small));
	elffile_free(cost_of("large.so", &large));
	assert_int_equal(large.symbols, small.symbols);
	assert_in_range(large.memory, 0, small.memory + 4096);
	if (!small.read)
		print_message("the bytes read are not compared: this kernel does not count them\n");
	else /* what the question itself reads has a digit more or less */
		assert_in_range(large.read, small.read - 16, small.read + 16);
}

static void nonsense_of_two_gigabytes_is_given_up_soon(void **state)
{
	struct line_level levels[2];
	struct cost cost;
	struct elf_file *file;
	struct lines *lines;
	uint64_t read, began;

	(void)state;
	build();
	file = cost_of("large.so", &cost);
	read = bytes_read();
	began = now_ms();
	lines = lines_open(file, NULL); /* empty units of four bytes each: as many as are taken */
	assert_non_null(lines);
	assert_int_equal(lines_find(lines, elffile_symbol(file, "one")->vaddr, levels, 2), 0);
	assert_in_range(lines_memory(lines), 0, 64 << 20);
	assert_in_range(bytes_read() - read, 0, 64 << 20);
	assert_in_range(now_ms() - began, 0, 30000); /* with sanitizers; half a second without */
	lines_free(lines);
	elffile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_reads_the_same_of_a_large_file_as_of_a_small_one),
		cmocka_unit_test(nonsense_of_two_gigabytes_is_given_up_soon),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
