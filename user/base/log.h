/* SPDX-License-Identifier: Apache-2.0 */
/* Talk, on stderr: "heldby: ..." lines. Data goes to stdout and is a view's business. */
#ifndef HB_BASE_LOG_H
#define HB_BASE_LOG_H

enum log_level {
	LOG_LEVEL_ERROR, /* we stop */
	LOG_LEVEL_WARNING, /* we go on, and say with what */
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG, /* -v */
	LOG_LEVEL_TRACE, /* -vv */
};

/* Messages above @level are not printed; the start is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Prints "heldby: " and the message and a newline in one write. errno is kept. */
void log_print(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_print(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_print(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_print(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_print(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...)   log_print(LOG_LEVEL_TRACE, __VA_ARGS__)

#endif
