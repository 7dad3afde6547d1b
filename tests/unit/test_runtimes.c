// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "allocator_files.h"

#include <elf.h>

#include "../../user/probe/allocator_image.h"

#define JVM_17 "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so"
#define JVM_25 "/usr/lib/jvm/temurin-25-jdk-amd64/lib/server/libjvm.so"

/* Role, HB_SRC_DIRECT, size, count, ptr, throws: arguments stand behind JNIEnv and the object. */
#define IS_UNSAFE_ALLOC   "1 2 3 0 0 0"
#define IS_UNSAFE_REALLOC "3 2 4 0 3 0"
#define IS_UNSAFE_FREE    "5 2 0 0 3 0"

static void assert_jvm(const struct found *found, const char *runtime)
{
	assert_int_equal(strncmp(found->set.runtime, runtime, strlen(runtime)), 0);
	assert_true(strspn(found->set.runtime + 4, "0123456789.+_") ==
		    strlen(found->set.runtime + 4));
	assert_string_equal(found->set.allocator, "");
	assert_string_equal(found->set.note, "");
	assert_int_equal(found->set.count, 3);
}

static void assert_jvm_by_symbols(const char *path, const char *runtime)
{
	struct found found;

	found_open(&found, path);
	assert_jvm(&found, runtime);
	assert_call(&found, "Unsafe_AllocateMemory0", IS_UNSAFE_ALLOC);
	assert_call(&found, "Unsafe_ReallocateMemory0", IS_UNSAFE_REALLOC);
	assert_call(&found, "Unsafe_FreeMemory0", IS_UNSAFE_FREE);
	found_close(&found);
}

/* Make the file tell of no sections. */
static void sections_drop(const char *name)
{
	char path[256];
	Elf64_Ehdr header;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", files_folder, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = 0;
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	close(fd);
}

/* The stripped copy must give the whole file's answer. */
static void assert_jvm_stripped(const char *path, bool sections)
{
	struct found whole, stripped;
	size_t i;

	found_open(&whole, path);
	files_need("objcopy");
	assert_true(files_run("objcopy --strip-all '%s' stripped.so", path));
	if (!sections)
		sections_drop("stripped.so");
	found_open(&stripped, "stripped.so");
	assert_null(elffile_symbol(stripped.file, "Unsafe_AllocateMemory0"));
	assert_jvm(&stripped, "jvm ");
	assert_string_equal(stripped.set.runtime, whole.set.runtime);
	for (i = 0; i < 3; i++) {
		assert_int_equal(stripped.set.points[i].offset, whole.set.points[i].offset);
		assert_int_equal(stripped.set.points[i].cookie, whole.set.points[i].cookie);
		assert_int_equal(stripped.set.points[i].place, whole.set.points[i].place);
		assert_string_equal(stripped.set.points[i].function, whole.set.points[i].function);
	}
	found_close(&stripped);
	found_close(&whole);
}

static void jdk_17_has_three_unsafe_functions(void **state)
{
	(void)state;
	assert_jvm_by_symbols(JVM_17, "jvm 17.0.");
}

static void jdk_25_has_three_unsafe_functions(void **state)
{
	(void)state;
	assert_jvm_by_symbols(JVM_25, "jvm 25.");
}

static void a_stripped_jdk_17_tells_them_by_its_registrations(void **state)
{
	(void)state;
	assert_jvm_stripped(JVM_17, true);
}

static void a_stripped_jdk_25_tells_them_by_its_registrations(void **state)
{
	(void)state;
	assert_jvm_stripped(JVM_25, true);
}

static void a_jdk_without_sections_tells_them_too(void **state)
{
	(void)state;
	assert_jvm_stripped(JVM_17, false);
	assert_jvm_stripped(JVM_25, false);
}

/* A library that looks like a JVM's, with names of before JDK 9 and a decoy. */
static const char old_jvm[] =
	"typedef long (*fn)(void);\n"
	"struct method { const char *name, *signature; fn function; };\n"
	"__attribute__((noinline)) static long a(void) { return 1; }\n"
	"__attribute__((noinline)) static long b(void) { return 2; }\n"
	"__attribute__((noinline)) static long c(void) { return 3; }\n"
	"__attribute__((noinline)) static long decoy(void) { return 4; }\n"
	"static struct method methods[] = {\n"
	"	{ \"allocateMemory\", \"(I)I\", decoy },\n"
	"	{ \"allocateMemory\", \"(J)J\", a },\n"
	"	{ \"reallocateMemory\", \"(JJ)J\", b },\n"
	"	{ \"freeMemory\", \"(J)V\", c },\n"
	"};\n"
	"const char *banner = \"OpenJDK 64-Bit Server VM (25.392-b08) for linux-amd64 \"\n"
	"		     \"JRE (1.8.0_392-8u392-ga-1~deb11u1-b08), built on Nov 1\";\n"
	"long JNI_CreateJavaVM(int i) { return methods[i & 3].function(); }\n"
	"const char *JNI_GetCreatedJavaVMs(int i) { return methods[i & 3].signature; }\n"
	"const char *jvm_name(int i) { return methods[i & 3].name; }\n"
	"long address_a(void) { return (long)a; }\n";

static void assert_old_jvm(const char *flags, bool packed)
{
	struct image image;
	struct found found;

	files_need("gcc");
	files_write("old.c", old_jvm);
	if (!files_run("gcc -O1 -fPIC -shared -nostdlib %s -o old.so old.c 2>/dev/null", flags)) {
		print_message("skipped: this linker does not know %s\n", flags);
		skip();
	}
	found_open(&found, "old.so");
	image_init(&image, found.file);
	assert_int_equal(!!image.packed_relocs.bytes, packed);
	assert_int_equal(!!image.relocs.bytes, !packed);
	image_release(&image);
	assert_jvm(&found, "jvm 1.8.0_392");
	assert_string_equal(
		cookie_text(found_point(&found, "Unsafe_AllocateMemory", PLACE_CALL)->cookie),
		IS_UNSAFE_ALLOC);
	assert_int_equal(found_point(&found, "Unsafe_AllocateMemory", PLACE_CALL)->offset,
			 found_symbol(&found, "a"));
	assert_int_equal(found_point(&found, "Unsafe_ReallocateMemory", PLACE_CALL)->offset,
			 found_symbol(&found, "b"));
	assert_int_equal(found_point(&found, "Unsafe_FreeMemory", PLACE_CALL)->offset,
			 found_symbol(&found, "c"));
	found_close(&found);
}

static void jdk_8_has_them_without_the_zero_and_the_signature_decides(void **state)
{
	(void)state;
	assert_old_jvm("", false);
}

static void packed_relocations_are_read_too(void **state)
{
	(void)state;
	assert_old_jvm("-fuse-ld=lld -Wl,--pack-dyn-relocs=relr", true);
}

static void a_jvm_without_them_says_so(void **state)
{
	struct found found;

	(void)state;
	files_need("gcc");
	files_write("none.c", "int JNI_CreateJavaVM(void) { return 0; }\n"
			      "int JNI_GetCreatedJavaVMs(void) { return 0; }\n");
	assert_true(files_run("gcc -O1 -fPIC -shared -nostdlib -o none.so none.c"));
	found_open(&found, "none.so");
	assert_string_equal(found.set.runtime, "jvm");
	assert_int_equal(found.set.count, 0);
	assert_string_equal(found.set.note,
			    "Unsafe_AllocateMemory0 not found; counting its malloc calls instead");
	found_close(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jdk_17_has_three_unsafe_functions),
		cmocka_unit_test(jdk_25_has_three_unsafe_functions),
		cmocka_unit_test(a_stripped_jdk_17_tells_them_by_its_registrations),
		cmocka_unit_test(a_stripped_jdk_25_tells_them_by_its_registrations),
		cmocka_unit_test(a_jdk_without_sections_tells_them_too),
		cmocka_unit_test(jdk_8_has_them_without_the_zero_and_the_signature_decides),
		cmocka_unit_test(packed_relocations_are_read_too),
		cmocka_unit_test(a_jvm_without_them_says_so),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
