/* SPDX-License-Identifier: Apache-2.0 */
/* The product's session and target, and sample.bpf.c beside them: a stack at a random moment. */
#ifndef HB_TEST_SAMPLER_H
#define HB_TEST_SAMPLER_H

#include "../../bpf/record.h"
#include "../../user/probe/target.h"
#include "sample.h"

struct sampler;

/* @ranges: walk where the kernel's list of mappings is closed to us. 0 or negative errno, said on stderr. */
int sampler_new(struct sampler **sampler, bool ranges);
void sampler_free(struct sampler *sampler);

struct target *sampler_target(struct sampler *sampler);

/* Take in what the kernel says of the processes for @ns. */
void sampler_rest(struct sampler *sampler, uint64_t ns);

/*
 * Stop a traced thread at a random moment, with all of its process: sampler_go_on() continues it. 0 with
 * *@sample; -ETIMEDOUT: none ran; -ESRCH: it ended; -EAGAIN: it is not where it was when its stack was
 * walked. In all cases but the first nothing is stopped.
 */
int sampler_take(struct sampler *sampler, struct sample *sample, struct hb_stack *stack);
void sampler_go_on(struct sampler *sampler, const struct sample *sample);

#endif
