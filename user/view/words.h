/* SPDX-License-Identifier: Apache-2.0 */
/* Small pieces of text that more than one view needs. */
#ifndef HB_VIEW_WORDS_H
#define HB_VIEW_WORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../model/budget.h"
#include "../model/frame.h"

/* What follows the last '/' of @path, or all of it if nothing does. */
const char *words_basename(const char *path);

/* Whether @frame is in code of no file, where only its address says something. */
bool words_is_jit(const struct frame *frame);

/* "1,610,612,736"; @out holds 32 bytes; returned. */
char *words_number(uint64_t number, char out[32]);

/*
 * With a point in every locale and at most three decimals: "5.0", "0.125". NULL if
 * not finite or beyond 10^25. @out holds 32 bytes.
 */
char *words_decimal(double value, char out[32]);

/* "14.2%" of a share of 1, not negative; @out holds 16 bytes; returned. */
char *words_percent(double share, char out[16]);

/* How closely malloc is followed: "every call", "one sample in 64K", "off". @out holds 48 bytes; returned. */
char *words_level(enum budget_level level, char out[48]);

/* 0 if everything written to @out so far has arrived, else negative errno. */
int words_flush(FILE *out);

#endif
