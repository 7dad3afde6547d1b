/* SPDX-License-Identifier: Apache-2.0 */
/* Text made safe and readable. */
#ifndef HB_BASE_TEXT_H
#define HB_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Valid UTF-8 from any bytes: what is not valid becomes U+FFFD. malloc'ed, NULL if memory is
 * short. Control characters are kept (JSON escapes them).
 */
char *text_utf8(const char *bytes);

/* As text_utf8(), and control characters (terminal escapes) become '?': for people's terminals. */
char *text_printable(const char *bytes);

/* "512 B", "1.5 KiB", "2.0 GiB": at most 10 characters. @out holds 16 bytes; returned. */
char *text_bytes(uint64_t bytes, char out[16]);
/* "0.4s", "12s", "5m03s", "2h10m", "3d04h". @out holds 16 bytes; returned. */
char *text_seconds(double seconds, char out[16]);

#endif
