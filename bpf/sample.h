/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which pages and blocks are sampled, and what a sample stands for: a part of the contract, for both sides reckon
 * alike. Only through record.h.
 */
#ifndef HB_SAMPLE_H
#define HB_SAMPLE_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define HB_SAMPLE_SHIFT       6
#define HB_SAMPLE_SHIFT_ALL   7 /* of processes that nobody chose: they pay less */
#define HB_SAMPLE_SHIFT_FIRST 11 /* of what those touch first */
#define HB_SAMPLE_SHIFT_MAX   20
#define HB_RATE_RECORDS       16384 /* with so many a process image goes over to the next coarser sample */

static inline __u64 hb_sample_hash(__u64 value, __u64 seed)
{
	value = (value ^ seed) * 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio: Knuth's multiplicative hashing */
	return value ^ value >> 32;
}

/* Whether @page is sampled at all: one in 1 << HB_SAMPLE_SHIFT. */
static inline _Bool hb_page_sampled(__u64 page, __u64 seed)
{
	return !((page ^ hb_sample_hash(page >> HB_SAMPLE_SHIFT, seed)) & ((1 << HB_SAMPLE_SHIFT) - 1));
}

/*
 * Whether a sampled page is in the coarser sample of one in 1 << @shift, too: of each pair of blocks the half
 * that a hashed bit says. Every coarser sample lies inside the finer ones.
 */
static inline _Bool hb_page_kept(__u64 page, __u64 seed, __u32 shift)
{
	for (__u32 i = HB_SAMPLE_SHIFT + 1; i <= HB_SAMPLE_SHIFT_MAX && i <= shift; i++) {
		if ((page >> (i - 1) ^ hb_sample_hash(page >> i, seed + i)) & 1)
			return 0;
	}
	return 1;
}

/*
 * Sampling. A thread counts down bytes from a number drawn from an exponential distribution, whose mean is the
 * period; the block in which it passes zero is sampled. A block of x periods is so with P = 1 - exp(-x), whatever
 * was before it, and stands for 1/P blocks and bytes/P bytes (Horvitz and Thompson); its share of the variance of
 * their sums is (1-P)/P^2, times bytes^2. What is no whole number is rounded by a hash of the block's address and
 * birth: right on average, and the same again when it is taken off. What that adds to the variance is in it.
 */
#define HB_PERIOD_MIN 64u         /* bytes */
#define HB_PERIOD_MAX (16u << 20)

struct hb_weight {
	__u64 bytes, count;
	__u64 bytes_variance, count_variance;
};

/* For its salt. An address is given out again and again. */
static inline __u64 hb_block_identity(__u64 addr, __u64 born_ns)
{
	return addr ^ born_ns << 20;
}

#define HB_ONE_SHIFT 20 /* numbers below are fixed point, with so many bits behind it */
#define HB_ONE       (1ULL << HB_ONE_SHIFT)

/* exp(-x) for x below 32. */
static inline __u64 hb_exp_minus(__u64 x)
{
	/* Of x/32 by its series, with 31 bits, then squared five times. */
	__u64 one = 1ULL << 31, y = x << (31 - HB_ONE_SHIFT - 5), term = one, sum = one;

	for (__u32 i = 1; i <= 8; i++) {
		term = (term * y >> 31) / i;
		sum = i & 1 ? sum - term : sum + term;
	}
	for (__u32 i = 0; i < 5; i++)
		sum = sum * sum >> 31;
	return sum >> (31 - HB_ONE_SHIFT);
}

/* x / (1 - exp(-x)), x below 32: what a sample stands for, in periods. Near 0 by its series, which cancels nothing. */
static inline __u64 hb_periods(__u64 x)
{
	__u64 square = x * x >> HB_ONE_SHIFT, fourth = square * square >> HB_ONE_SHIFT;

	if (x < HB_ONE)
		return HB_ONE + x / 2 + square / 12 - fourth / 720 + (fourth * square >> HB_ONE_SHIFT) / 30240;
	return (x << HB_ONE_SHIFT) / (HB_ONE - hb_exp_minus(x));
}

/* a * part, @part at most 1. */
static inline __u64 hb_part_of(__u64 a, __u64 part)
{
	return (a >> HB_ONE_SHIFT) * part + ((a & (HB_ONE - 1)) * part >> HB_ONE_SHIFT);
}

/* What a sampled block of @bytes stands for. @salt: a hash of its address and birth. */
static inline void hb_weigh(struct hb_weight *weight, __u64 bytes, __u32 period, __u64 salt)
{
	__u64 size = bytes ? bytes : 1, x, periods, each, missed, whole;

	weight->bytes = bytes;
	weight->count = 1;
	weight->bytes_variance = weight->count_variance = 0;
	if (!period || size / period >= 32)
		return;
	x = (size << HB_ONE_SHIFT) / period;
	periods = hb_periods(x);
	each = period * periods / size; /* 1/P */
	missed = HB_ONE - (x << HB_ONE_SHIFT) / periods; /* 1-P */
	whole = each >> HB_ONE_SHIFT;
	weight->count = (each + (salt & (HB_ONE - 1))) >> HB_ONE_SHIFT;
	if (bytes) {
		weight->bytes = (period * periods + (salt >> HB_ONE_SHIFT & (HB_ONE - 1))) >> HB_ONE_SHIFT;
		weight->bytes_variance = hb_part_of(weight->bytes * weight->bytes, missed);
	}
	if (whole < 1u << 10) { /* its square with 20 bits behind the point fits */
		__u64 part = each & (HB_ONE - 1);

		each = hb_part_of((each >> 10) * (each >> 10), missed) + (part * (HB_ONE - part) >> HB_ONE_SHIFT);
		weight->count_variance = (each + (salt >> 2 * HB_ONE_SHIFT & (HB_ONE - 1))) >> HB_ONE_SHIFT;
	} else {
		weight->count_variance = hb_part_of(whole * whole, missed);
	}
}

#endif
