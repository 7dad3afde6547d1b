/* SPDX-License-Identifier: Apache-2.0 */
/* What sample.bpf.c tells differ.c of the thread that it interrupted. */
#ifndef HB_TEST_SAMPLE_H
#define HB_TEST_SAMPLE_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define SAMPLE_WORDS 36 /* of registers; of arm64 35 are known, of x86_64 21 */

#define SAMPLE_CPUS_MAX 256

/* Context of hb_sample_soft. */
struct sample_start {
	__u32 cpu; /* the one it runs on */
	__u32 pad;
};

/* User space says ARMED, the kernel side goes on from there. */
enum sample_state {
	SAMPLE_IDLE = 0,
	SAMPLE_ARMED = 1, /* take the next traced thread that is interrupted */
	SAMPLE_BUSY = 2,
	SAMPLE_TAKEN = 3, /* it is told to stop; its stack is stored */
};

struct sample {
	__u32 state; /* enum sample_state */
	__u32 pid, tid;
	__u32 pad;
	__u64 key;   /* into hb_stacks */
	__u64 registers[SAMPLE_WORDS]; /* struct pt_regs, with which the program goes on */
};

#endif
