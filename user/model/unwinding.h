/* SPDX-License-Identifier: Apache-2.0 */
/* Why walks up a stack ended: the name, the words and the sentence of each enum hb_end. */
#ifndef HB_MODEL_UNWINDING_H
#define HB_MODEL_UNWINDING_H

#include <stddef.h>

#include "../../bpf/record.h"

/* Key in the JSON's unwinding.ended: "no_rows", ... NULL beyond HB_END_LAST. */
const char *unwinding_name(enum hb_end end);

/* What follows a share of all walks: "without unwind rows", ... NULL beyond HB_END_LAST. */
const char *unwinding_words(enum hb_end end);

/*
 * The sentence for a stack that ended so, into @out of @size bytes, cut to fit. @module: path of the
 * file that the walk stopped in, whose last part is named; NULL where it is not known. Returns the
 * length of @out: 0 for HB_END_COMPLETE, of which there is nothing to say.
 */
int unwinding_sentence(enum hb_end end, const char *module, char *out, size_t size);

#endif
