// SPDX-License-Identifier: Apache-2.0
#include "gfp.h"

#include <stdio.h>

/* include/linux/gfp.h of 5.10, include/linux/gfp_types.h of 6.9; bit 9 has no user since 6.3 */
static const char *const bits[GFP_NAMED_BITS] = {
	"__GFP_DMA",            /* 0 */
	"__GFP_HIGHMEM",
	"__GFP_DMA32",
	"__GFP_MOVABLE",
	"__GFP_RECLAIMABLE",    /* 4 */
	"__GFP_HIGH",
	"__GFP_IO",
	"__GFP_FS",
	"__GFP_ZERO",           /* 8 */
	"__GFP_ATOMIC",
	"__GFP_DIRECT_RECLAIM",
	"__GFP_KSWAPD_RECLAIM",
	"__GFP_WRITE",          /* 12 */
	"__GFP_NOWARN",
	"__GFP_RETRY_MAYFAIL",
	"__GFP_NOFAIL",
	"__GFP_NORETRY",        /* 16 */
	"__GFP_MEMALLOC",
	"__GFP_COMP",
	"__GFP_NOMEMALLOC",
	"__GFP_HARDWALL",       /* 20 */
	"__GFP_THISNODE",
	"__GFP_ACCOUNT",
};

/* Those with most bits first, for each takes its bits away from the next. */
static const struct composite {
	uint32_t gfp;
	const char *name;
} composites[] = {
	{ 0x100cca, "GFP_HIGHUSER_MOVABLE" },
	{ 0x100cc2, "GFP_HIGHUSER" },
	{ 0x100cc0, "GFP_USER" },
	{ 0x400cc0, "GFP_KERNEL_ACCOUNT" },
	{ 0xcc0, "GFP_KERNEL" },
	{ 0xc40, "GFP_NOFS" },
	{ 0xa20, "GFP_ATOMIC" }, /* before 6.3 */
	{ 0x820, "GFP_ATOMIC" },
	{ 0xc00, "GFP_NOIO" },
};

const char *gfp_bit_name(unsigned int bit)
{
	return bit < GFP_NAMED_BITS ? bits[bit] : NULL;
}

/* The named bits of @gfp where our table has them; *@rest: the others, where the kernel has them. */
static uint32_t to_table(uint32_t gfp, const uint32_t *bit_of, uint32_t *rest)
{
	uint32_t named = 0;
	unsigned int i;

	*rest = gfp;
	for (i = 0; i < GFP_NAMED_BITS; i++) {
		uint32_t bit = bit_of ? bit_of[i] : i;

		if (bit >= 32 || !(gfp & 1u << bit))
			continue;
		named |= 1u << i;
		*rest &= ~(1u << bit);
	}
	return named;
}

static size_t add(char *out, size_t size, size_t length, const char *name)
{
	int added = snprintf(out + length, size - length, "%s%s", length ? "|" : "", name);

	if (added < 0)
		return length;
	return (size_t)added < size - length ? length + (size_t)added : size - 1;
}

const char *gfp_text(uint32_t gfp, const uint32_t *bit_of, char *out, size_t size)
{
	uint32_t rest, named = to_table(gfp, bit_of, &rest);
	char hex[16];
	size_t i, length = 0;

	*out = '\0';
	for (i = 0; i < sizeof(composites) / sizeof(composites[0]); i++) {
		if ((named & composites[i].gfp) != composites[i].gfp)
			continue;
		length = add(out, size, length, composites[i].name);
		named &= ~composites[i].gfp;
	}
	for (i = 0; i < GFP_NAMED_BITS; i++) {
		if (named & 1u << i)
			length = add(out, size, length, bits[i]);
	}
	snprintf(hex, sizeof(hex), "0x%x", rest);
	if (rest || !length)
		length = add(out, size, length, hex);
	return out;
}
