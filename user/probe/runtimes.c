// SPDX-License-Identifier: Apache-2.0
/*
 * HotSpot's Unsafe functions are local: a stripped libjvm has no symbol of them. But it registers
 * them with JNI, through a table of {name, signature, function}, which stripping leaves alone.
 */
#include "runtimes.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "placement.h"

#define NAMES_MAX   16 /* places where a method's name may stand */
#define ENTRIES_MAX 16 /* words that point at one of them */

struct jvm_method {
	const char *functions[2]; /* since JDK 9, and before */
	const char *names[2];     /* the same as Java's methods */
	const char *signature;
	struct call_shape shape;
};

/* Arguments 1 and 2 are the JNIEnv and the Unsafe object. */
static const struct jvm_method jvm_methods[] = {
	{ { "Unsafe_AllocateMemory0", "Unsafe_AllocateMemory" },
	  { "allocateMemory0", "allocateMemory" }, "(J)J",
	  { .role = HB_ROLE_ALLOC, .source = HB_SRC_DIRECT, .size = 3 } },
	{ { "Unsafe_ReallocateMemory0", "Unsafe_ReallocateMemory" },
	  { "reallocateMemory0", "reallocateMemory" }, "(JJ)J",
	  { .role = HB_ROLE_REALLOC, .source = HB_SRC_DIRECT, .size = 4, .ptr = 3 } },
	{ { "Unsafe_FreeMemory0", "Unsafe_FreeMemory" },
	  { "freeMemory0", "freeMemory" }, "(J)V",
	  { .role = HB_ROLE_FREE, .source = HB_SRC_DIRECT, .ptr = 3 } },
};

struct jni_entry {
	uint64_t where;     /* of the word with the name */
	uint64_t signature; /* what the words behind it are set to */
	uint64_t function;
};

struct jni_search {
	uint64_t names[NAMES_MAX];
	size_t names_count;
	struct jni_entry entries[ENTRIES_MAX];
	size_t entries_count;
};

/* The name may be the tail of a longer one ("reallocateMemory0"): linkers share such bytes. */
static int name_visit(void *arg, uint64_t vaddr)
{
	struct jni_search *search = arg;

	search->names[search->names_count++] = vaddr;
	return search->names_count == NAMES_MAX;
}

static int entry_visit(void *arg, uint64_t where, uint64_t value)
{
	struct jni_search *search = arg;
	size_t i;

	for (i = 0; i < search->names_count; i++) {
		if (search->names[i] != value)
			continue;
		search->entries[search->entries_count++].where = where;
		return search->entries_count == ENTRIES_MAX;
	}
	return 0;
}

static int fields_visit(void *arg, uint64_t where, uint64_t value)
{
	struct jni_search *search = arg;
	size_t i;

	for (i = 0; i < search->entries_count; i++) {
		struct jni_entry *entry = &search->entries[i];

		if (where == entry->where + sizeof(uint64_t))
			entry->signature = value;
		else if (where == entry->where + 2 * sizeof(uint64_t))
			entry->function = value;
	}
	return 0;
}

static bool in_text(const struct elf_file *file, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		if (segment->flags & PF_X && vaddr >= segment->vaddr &&
		    vaddr - segment->vaddr < segment->filesz)
			return true;
	}
	return false;
}

/* The function registered for method @name. 0: none, or it is not clear which; -ENOMEM. */
static int registered_find(const struct image *image, const char *name, const char *signature,
			   uint64_t *function)
{
	struct jni_search search = { 0 };
	char text[16];
	size_t i;
	int err;

	*function = 0;
	err = image_search(image, name, strlen(name) + 1, name_visit, &search);
	if (err >= 0)
		err = image_pointers(image, entry_visit, &search);
	if (err >= 0)
		err = image_pointers(image, fields_visit, &search);
	for (i = 0; err >= 0 && i < search.entries_count; i++) {
		const struct jni_entry *entry = &search.entries[i];

		if (!entry->signature || !in_text(image->file, entry->function) ||
		    image_string(image->file, entry->signature, text, sizeof(text)) < 0 ||
		    strcmp(text, signature))
			continue;
		if (*function && *function != entry->function) {
			*function = 0;
			return 0;
		}
		*function = entry->function;
	}
	return err < 0 ? err : 0;
}

/* The entry of @method: by symbol, else as registered. 0 or -ENOMEM, with vaddr 0 for none. */
static int method_find(const struct image *image, const struct jvm_method *method,
		       struct elf_symbol *out)
{
	size_t i;
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < 2; i++) {
		const struct elf_symbol *symbol = elffile_symbol(image->file, method->functions[i]);

		if (symbol) {
			*out = *symbol;
			out->name = method->functions[i];
			return 0;
		}
	}
	for (i = 0; i < 2 && !out->vaddr && !err; i++) {
		err = registered_find(image, method->names[i], method->signature, &out->vaddr);
		out->name = method->functions[i];
	}
	return err;
}

static int methods_add(const struct image *image, const struct elf_symbol found[3], struct point_list *points)
{
	struct placement_request requests[3];
	size_t i;
	int err = 0;

	for (i = 0; i < 3; i++)
		requests[i] = (struct placement_request){
			.entry = found[i].vaddr, .size = found[i].size, .shape = &jvm_methods[i].shape,
		};
	placement_choose(image, placement_nops_called(), requests, 3);
	for (i = 0; i < 3 && !err; i++) {
		const struct placement *place = &requests[i].place;

		/* A free too is a call with a return: until then the free() beneath it is its own. */
		err = points_add_entry(points, image->file, found[i].vaddr, place, PLACE_CALL,
				       point_cookie(image->file, place->vaddr, &jvm_methods[i].shape), found[i].name);
		err = err == -ENOENT ? 0 : err;
	}
	return err;
}

struct jvm_version {
	const struct elf_file *file;
	char text[32];
};

/* "... for linux-amd64 JRE (17.0.15+6-Debian-1deb12u1), built on ...": the numbers of it. */
static int version_visit(void *arg, uint64_t vaddr)
{
	struct jvm_version *version = arg;
	char text[64], *from = text + strlen(" JRE (");
	size_t length;

	if (image_string(version->file, vaddr, text, sizeof(text)) < (int)strlen(" JRE (1"))
		return 0;
	length = strspn(from, "0123456789._+");
	if (!length || length >= sizeof(version->text) ||
	    (from[length] != ')' && from[length] != '-'))
		return 0;
	memcpy(version->text, from, length);
	version->text[length] = '\0';
	return 1;
}

int runtimes_find(const struct image *image, struct point_list *points, char *runtime,
		  size_t runtime_size, char *note, size_t note_size)
{
	struct jvm_version version = { .file = image->file };
	struct elf_symbol found[3];
	size_t i;
	int err;

	_Static_assert(sizeof(jvm_methods) / sizeof(jvm_methods[0]) == 3, "found[] has one each");
	*runtime = '\0';
	if (!elffile_exports(image->file, "JNI_CreateJavaVM") ||
	    !elffile_exports(image->file, "JNI_GetCreatedJavaVMs"))
		return 0;
	err = image_search(image, " JRE (", 6, version_visit, &version);
	if (err < 0)
		return err;
	snprintf(runtime, runtime_size, "jvm%s%s", *version.text ? " " : "", version.text);
	for (i = 0; i < 3; i++) {
		err = method_find(image, &jvm_methods[i], &found[i]);
		if (err)
			return err;
		if (!found[i].vaddr) {
			/* Without all three, what is freed unseen would be held for ever. */
			snprintf(note, note_size, "%s not found; counting its malloc calls instead",
				 jvm_methods[i].functions[0]);
			return 0;
		}
	}
	return methods_add(image, found, points);
}
