// SPDX-License-Identifier: Apache-2.0
#include "demangle.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

#define NAME_MAX_BYTES (8u << 10)
#define HASH_LENGTH    19 /* "::h" and 16 hex digits */
#define CUT            "..."

struct output {
	jmp_buf full;
	size_t length;
	char text[DEMANGLE_MAX + 1];
};

/*
 * A short name can stand for text that grows exponentially with its length, so printing is left
 * by a jump once there is enough. The demanglers hold no memory then, with one exception: while
 * they hand over an identifier with non-ASCII letters. Those are let pass.
 */
static void output_add(const char *text, size_t length, void *opaque)
{
	struct output *out = opaque;
	size_t i;

	if (!length) /* @text may be NULL then */
		return;
	if (length <= DEMANGLE_MAX - out->length) {
		memcpy(out->text + out->length, text, length);
		out->length += length;
		return;
	}
	memcpy(out->text + out->length, text, DEMANGLE_MAX - out->length);
	out->length = DEMANGLE_MAX;
	memcpy(out->text + DEMANGLE_MAX - strlen(CUT), CUT, strlen(CUT));
	for (i = 0; i < length; i++) {
		if ((unsigned char)text[i] >= 0x80)
			return;
	}
	longjmp(out->full, 1);
}

static bool is_hex(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (!text[i] || !strchr("0123456789abcdef", text[i]))
			return false;
	}
	return true;
}

/* A name as rustc made them before v0: C++ with a hash as its last part. */
static bool is_rust_legacy(const char *name)
{
	const char *hash = name;

	if (strncmp(name, "_ZN", 3))
		return false;
	while ((hash = strstr(hash, "17h"))) {
		hash += 3;
		if (is_hex(hash, 16) && hash[16] == 'E')
			return true;
	}
	return false;
}

static bool demangle_into(struct output *out, const char *name, bool rust)
{
	if (setjmp(out->full))
		return true; /* cut, but good */
	out->length = 0;
	if (rust)
		return rust_demangle_callback(name, DMGL_PARAMS, output_add, out);
	return cplus_demangle_v3_callback(name, DMGL_PARAMS | DMGL_ANSI, output_add, out);
}

/* What the Rust demangler takes for no hash (too few different digits) is one all the same. */
static void hash_strip(struct output *out)
{
	char *hash;

	if (out->length <= HASH_LENGTH || out->length == DEMANGLE_MAX)
		return;
	hash = out->text + out->length - HASH_LENGTH;
	if (!memcmp(hash, "::h", 3) && is_hex(hash + 3, 16))
		out->length -= HASH_LENGTH;
}

char *demangle(const char *name)
{
	struct output out;
	bool legacy, done = false;

	if (strnlen(name, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES)
		return NULL;
	legacy = is_rust_legacy(name);
	if (legacy || !strncmp(name, "_R", 2))
		done = demangle_into(&out, name, true);
	if (!done && (!strncmp(name, "_Z", 2) || !strncmp(name, "_GLOBAL__", 9))) {
		done = demangle_into(&out, name, false);
		if (done && legacy)
			hash_strip(&out);
	}
	return done && out.length ? strndup(out.text, out.length) : NULL;
}
