/* SPDX-License-Identifier: Apache-2.0 */
/* What an allocation was allowed to do: the kernel's gfp mask in the kernel's words. */
#ifndef HB_MODEL_GFP_H
#define HB_MODEL_GFP_H

#include <stddef.h>
#include <stdint.h>

#define GFP_NAMED_BITS 23  /* ___GFP_DMA to ___GFP_ACCOUNT; those above depend on the kernel's configuration */
#define GFP_TEXT_BYTES 512 /* takes every mask */

/* "__GFP_DMA" for 0; the kernel's enum calls it "___GFP_DMA_BIT". NULL from GFP_NAMED_BITS on. */
const char *gfp_bit_name(unsigned int bit);

/*
 * "GFP_KERNEL_ACCOUNT|__GFP_ZERO": composites first, then single bits, then what has no name in hex; "0x0" for
 * nothing. @bit_of: where this kernel has each of the named bits (32 or more: nowhere), for kernels from 6.10 on,
 * whose BTF tells; NULL: where 5.10 to 6.9 have them. What does not fit @size is cut off. Returns @out.
 */
const char *gfp_text(uint32_t gfp, const uint32_t *bit_of, char *out, size_t size);

#endif
