/* SPDX-License-Identifier: Apache-2.0 */
/* What a command makes of its options together, and of the words behind them. */
#ifndef HB_CMD_OPTIONS_WORDS_H
#define HB_CMD_OPTIONS_WORDS_H

#include "options.h"

/* Of @command: its @count @words. OPTIONS_GO, or OPTIONS_USAGE after a line that says why. */
enum options_result options_words(struct options *options, enum options_for command, int count, char **words);

/* Say that @word is wrong, and where help is. OPTIONS_USAGE. */
enum options_result options_bad(enum options_for command, const char *what, const char *word);

#endif
