/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound ownership: __cleanup(function) calls function(&variable) when the scope ends. */
#ifndef HB_BASE_CLEANUP_H
#define HB_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define __cleanup(function) __attribute__((cleanup(function)))

__attribute__((unused)) static inline void file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}

__attribute__((unused)) static inline void fd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* For any pointer: the argument is the address of a pointer of any type. */
__attribute__((unused)) static inline void freep(void *pointer)
{
	free(*(void **)pointer);
}

#endif
