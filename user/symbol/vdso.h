/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code that the kernel maps into every process: a whole ELF file, of which ours is a copy like any
 * other's (of a 64-bit process; time namespaces change its data, not its code).
 */
#ifndef HB_SYMBOL_VDSO_H
#define HB_SYMBOL_VDSO_H

#include <stddef.h>

/* Our own, mapped for good; its offsets are its addresses. -ENOENT: this kernel maps none. */
int vdso_image(const void **image, size_t *bytes);

/* A copy as a file in memory: its descriptor, or negative errno. */
int vdso_open(void);

#endif
