// SPDX-License-Identifier: Apache-2.0
/* Names of functions: mangled, or put together from those of the scopes that they are declared in. */
#include <dwarf.h>
#include <stdlib.h>

#include "dwarf_parts.h"

#define HOPS_MAX  16 /* from an instance to the entry with the name; real ones take three */
#define OUTER_MAX 16 /* scopes around a function */

/* Put @outer and "::" before the name that ends @text of @size bytes; *@start is where it begins. */
static void name_prepend(char *text, size_t *start, const char *outer)
{
	size_t length = strlen(outer);

	if (length + 2 > *start)
		return;
	memcpy(text + *start - 2, "::", 2);
	memcpy(text + *start - 2 - length, outer, length);
	*start -= length + 2;
}

/* @plain, which is given away, with the scopes around the entry at @offset before it. */
static char *name_qualify(struct dwarf *dwarf, struct dwarf_unit *unit, uint64_t offset, char *plain)
{
	uint64_t outer[OUTER_MAX];
	size_t i, count = dwarf_outer(dwarf, unit, offset, outer, OUTER_MAX);
	size_t length = strlen(plain), start = DWARF_TEXT_MAX - 1 - length;
	char text[DWARF_TEXT_MAX];
	struct dwarf_entry entry;

	if (!count)
		return plain;
	memcpy(text + start, plain, length + 1);
	for (i = 0; i < count && dwarf_entry_at(dwarf, unit, outer[i], &entry); i++) {
		char *name = dwarf_text(dwarf, unit, &entry.fields[DWARF_NAME]);

		if (name || entry.tag == DW_TAG_namespace)
			name_prepend(text, &start, name ? name : "(anonymous namespace)");
		free(name);
	}
	free(plain);
	return strdup(text + start);
}

char *dwarf_function_name(struct dwarf *dwarf, struct dwarf_unit *unit, const struct dwarf_entry *entry)
{
	struct dwarf_entry at = *entry;
	size_t hops;

	for (hops = 0; hops < HOPS_MAX; hops++) {
		const struct dwarf_value *next = &at.fields[DWARF_ORIGIN];
		char *name = dwarf_text(dwarf, unit, &at.fields[DWARF_LINKAGE_NAME]);

		if (name)
			return name;
		if (next->kind == DWARF_NONE)
			next = &at.fields[DWARF_SPECIFICATION];
		if (next->kind != DWARF_REF && next->kind != DWARF_REF_COMMON) {
			/* The end of the way: what is left is a name that its scopes tell apart from others. */
			name = dwarf_text(dwarf, unit, &at.fields[DWARF_NAME]);
			return name ? name_qualify(dwarf, unit, at.offset, name) : NULL;
		}
		if (next->kind == DWARF_REF_COMMON)
			dwarf = dwarf->common;
		unit = dwarf ? dwarf_unit_of(dwarf, next->number) : NULL;
		if (!unit || !dwarf_entry_at(dwarf, unit, next->number, &at))
			return NULL;
	}
	return NULL;
}
