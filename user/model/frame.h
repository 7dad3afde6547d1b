/* SPDX-License-Identifier: Apache-2.0 */
/* One frame of a stack, named as far as could be. */
#ifndef HB_MODEL_FRAME_H
#define HB_MODEL_FRAME_H

#include <stdint.h>

enum frame_kind {
	FRAME_UNKNOWN, /* in no known mapping */
	FRAME_NATIVE,
};

/* All strings are borrowed from the symbol cache and live as long as it does. */
struct frame {
	enum frame_kind kind;
	uint64_t address;     /* in the process */
	const char *function; /* demangled, or NULL */
	const char *module;   /* path as the process sees it, or NULL */
	const char *build_id; /* hex, or NULL */
	uint64_t offset;      /* address in the ELF file's own terms (vaddr); valid if module is set */
};

#endif
