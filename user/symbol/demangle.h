/* SPDX-License-Identifier: Apache-2.0 */
/* C++ (Itanium) and Rust (legacy and v0) names made readable. */
#ifndef HB_SYMBOL_DEMANGLE_H
#define HB_SYMBOL_DEMANGLE_H

#define DEMANGLE_MAX 4096 /* longer results are cut with "..." */

/*
 * The readable form of @name in a malloc'ed string (free() it), or NULL if @name is not mangled
 * or memory is short. A Rust legacy hash ("::h" and 16 hex digits) is left out. Safe on hostile
 * names: their length and nesting are bounded.
 */
char *demangle(const char *name);

#endif
