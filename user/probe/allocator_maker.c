// SPDX-License-Identifier: Apache-2.0
#include "allocator_maker.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BEFORE_MAX 32 /* bytes looked at before a mark */

struct version {
	const struct elf_file *file;
	char text[32];
	bool several;
};

/* The version number @from starts with, "2.36", into @version; a final dot is the sentence's. */
static bool version_take(struct version *version, const char *from)
{
	size_t length = strspn(from, "0123456789.");

	while (length && from[length - 1] == '.')
		length--;
	if (!length || !isdigit((unsigned char)*from) || length >= sizeof(version->text))
		return false;
	memcpy(version->text, from, length);
	version->text[length] = '\0';
	return true;
}

static int glibc_visit(void *arg, uint64_t vaddr)
{
	static const char mark[] = "release version ";
	struct version *version = arg;
	char banner[160];
	const char *at;

	if (image_string(version->file, vaddr, banner, sizeof(banner)) < 0)
		return 0;
	at = strstr(banner, mark);
	return at && version_take(version, at + sizeof(mark) - 1);
}

static void glibc_version(const struct image *image, struct version *version)
{
	image_search(image, "GNU C Library (", 15, glibc_visit, version);
}

static int gperftools_visit(void *arg, uint64_t vaddr)
{
	struct version *version = arg;
	char text[32];

	return image_string(version->file, vaddr, text, sizeof(text)) > 0 &&
	       version_take(version, text + strlen("gperftools "));
}

static void tcmalloc_version(const struct image *image, struct version *version)
{
	image_search(image, "gperftools ", 11, gperftools_visit, version);
}

/* The characters of @set that end before @vaddr, into the end of @text; where they begin. */
static const char *text_before(const struct elf_file *file, uint64_t vaddr, const char *set,
			       char text[BEFORE_MAX])
{
	char *at = text + BEFORE_MAX - 1;

	for (*at = '\0'; at > text && !elffile_read(file, --vaddr, at - 1, 1) && at[-1] &&
	     strchr(set, at[-1]); at--)
		;
	return at;
}

/* "5.3.0-0-g54eaed1d...": the version, commits since, the commit. @vaddr is that of "-g". */
static int jemalloc_visit(void *arg, uint64_t vaddr)
{
	struct version *version = arg;
	char text[BEFORE_MAX], commit[16];
	const char *from;
	size_t length;

	if (image_string(version->file, vaddr + 2, commit, sizeof(commit)) < 7 ||
	    strspn(commit, "0123456789abcdef") < 7)
		return 0;
	from = text_before(version->file, vaddr, "0123456789.-", text);
	length = strspn(from, "0123456789.");
	return length >= 5 && from[length] == '-' && isdigit((unsigned char)from[length + 1]) &&
	       version_take(version, from);
}

static void jemalloc_version(const struct image *image, struct version *version)
{
	image_search(image, "-g", 2, jemalloc_visit, version);
}

/* mi_version() returns 100 * major + 10 * minor + patch, as a constant. */
static void mimalloc_version(const struct image *image, struct version *version)
{
	static const uint8_t landing[] = { 0xf3, 0x0f, 0x1e, 0xfa }; /* endbr64 */
	const struct elf_symbol *symbol = elffile_symbol(image->file, "mi_version");
	uint8_t code[10], *at = code;
	uint32_t number;

	if (!symbol || elffile_read(image->file, symbol->vaddr, code, sizeof(code)))
		return;
	if (!memcmp(at, landing, sizeof(landing)))
		at += sizeof(landing);
	if (at[0] != 0xb8 || at[5] != 0xc3) /* mov $number, %eax; ret */
		return;
	memcpy(&number, at + 1, sizeof(number));
	if (number >= 100 && number <= 999)
		snprintf(version->text, sizeof(version->text), "%u.%u.%u", number / 100,
			 number / 10 % 10, number % 10);
}

/* A string of its own, "1.2.3"; taken if the file has but one of the kind. */
static int musl_visit(void *arg, uint64_t vaddr)
{
	struct version *version = arg, found = { .file = version->file };
	char text[16];

	if (image_string(version->file, vaddr + 1, text, sizeof(text)) < 5 ||
	    !version_take(&found, text) || strcmp(found.text, text) || !strchr(text + 2, '.'))
		return 0;
	version->several = *version->text && strcmp(version->text, text);
	memcpy(version->text, found.text, sizeof(found.text));
	return version->several;
}

static void musl_version(const struct image *image, struct version *version)
{
	image_search(image, "\0" "1.", 3, musl_visit, version);
	if (version->several)
		version->text[0] = '\0';
}

struct maker {
	const char *name;
	const char *marks[8]; /* functions of which one is enough, NULL ends */
	void (*find_version)(const struct image *image, struct version *version);
};

/* What an allocator's own API marks; glibc last, for others give its names out too. */
static const struct maker makers[] = {
	{ "asan", { "__asan_init" }, NULL },
	{ "hwasan", { "__hwasan_init" }, NULL },
	{ "msan", { "__msan_init" }, NULL },
	{ "tsan", { "__tsan_init" }, NULL },
	{ "lsan", { "__lsan_init" }, NULL },
	{ "jemalloc", { "mallctl", "mallocx", "malloc_stats_print" }, jemalloc_version },
	{ "tcmalloc",
	  { "tc_malloc", "TCMallocInternalMalloc", "MallocExtension_Internal_GetStats" },
	  tcmalloc_version },
	{ "mimalloc", { "mi_malloc" }, mimalloc_version },
	{ "scudo", { "__scudo_print_stats", "__scudo_get_stack_depot_addr" }, NULL },
	{ "musl", { "__libc_malloc_impl", "__malloc_donate", "__bin_chunk", "__expand_heap",
		    "__malloc_allzerop" }, musl_version },
	{ "glibc", { "__libc_mallopt", "_int_malloc", "gnu_get_libc_version", "__libc_memalign" },
	  glibc_version },
};

static const struct maker *maker_by_name(const char *name)
{
	const struct maker *maker = makers;

	while (strcmp(maker->name, name))
		maker++;
	return maker;
}

static bool marked(const struct image *image, const struct maker *maker)
{
	size_t i;

	for (i = 0; maker->marks[i]; i++) {
		if (elffile_symbol(image->file, maker->marks[i]))
			return true;
	}
	return false;
}

static int first_visit(void *arg, uint64_t vaddr)
{
	(void)arg;
	(void)vaddr;
	return 1;
}

bool maker_is_musl(const struct image *image)
{
	return marked(image, maker_by_name("musl")) ||
	       (!elffile_symbol(image->file, "gnu_get_libc_version") &&
		elffile_symbol(image->file, "__libc_start_main") &&
		image_search(image, "musl libc (", 11, first_visit, NULL) > 0);
}

static const struct maker *plain_maker(const struct image *image)
{
	size_t i;

	for (i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (marked(image, &makers[i]))
			return &makers[i];
	}
	return maker_is_musl(image) ? maker_by_name("musl") : NULL;
}

static void append(const struct image *image, const struct maker *maker, char *text, size_t size)
{
	struct version version = { .file = image->file };
	size_t used = strlen(text);

	if (maker && maker->find_version)
		maker->find_version(image, &version);
	snprintf(text + used, size - used, "%s%s%s%s", used ? " + " : "",
		 maker ? maker->name : "malloc", *version.text ? " " : "", version.text);
}

void maker_name(const struct image *image, const bool groups[GROUP_END], char *text, size_t size)
{
	static const struct { enum allocator_group group; const char *maker; } owners[] = {
		{ GROUP_JE, "jemalloc" }, { GROUP_JEMALLOC, "jemalloc" },
		{ GROUP_RJEM, "jemalloc" }, { GROUP_TC, "tcmalloc" },
		{ GROUP_TCINTERNAL, "tcmalloc" }, { GROUP_MI, "mimalloc" },
	};
	size_t i;

	*text = '\0';
	if (groups[GROUP_PLAIN])
		append(image, plain_maker(image), text, size);
	for (i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		if (groups[owners[i].group] && !strstr(text, owners[i].maker))
			append(image, maker_by_name(owners[i].maker), text, size);
	}
}
