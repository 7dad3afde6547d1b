/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the names of a stripped file are: in a debug file by build-id or debuglink, inside its
 * .gnu_debugdata, on a server. Every file found here is checked against the build-id, or the debuglink's
 * CRC if there is none, before it is believed.
 */
#ifndef HB_SYMBOL_DEBUGFILE_H
#define HB_SYMBOL_DEBUGFILE_H

#include <stdbool.h>

#include "elffile.h"

#define DEBUGFILE_CRC_MAX  (512u << 20) /* a larger file without a build-id is not believed: reading it takes long */
#define DEBUGFILE_MINI_MAX (64u << 20)  /* .gnu_debugdata, unpacked */

/* Whether @file has DWARF of its own (.debug_info). */
bool debugfile_has_dwarf(const struct elf_file *file);

/*
 * Open the debug file of @file, which its process calls @path (NULL: not known). @root: descriptor of
 * the process's root directory, or -1. Looked at are, in this order,
 *
 *   /usr/lib/debug/.build-id/12/3456....debug  in our own root, which is to be trusted more, then in
 *                                              the process's
 *   NAME in /usr/lib/debug + @path's folder    in the process's root, then in ours
 *   NAME and .debug/NAME beside @path          in the process's root
 *
 * where NAME is what .gnu_debuglink says.
 *
 * No link is followed out of a root; only a regular file is opened, never blocking. Of a file that is
 * closed the build-id is still known. 0; -ENOENT (none is there, or none belongs to @file); -ENOMEM.
 */
int debugfile_open(const struct elf_file *file, const char *path, int root, struct elf_file **debug);

/*
 * Open what dwz moved out of @debug because other debug files have it too: the file that
 * .gnu_debugaltlink names, with the build-id that it says. Roots and errors as above.
 */
int debugfile_open_common(const struct elf_file *debug, int root, struct elf_file **common);

/*
 * Unpack @file's .gnu_debugdata into memory: an ELF file with a .symtab. 0; -ENOENT (it has none);
 * -EFBIG (beyond DEBUGFILE_MINI_MAX, or it takes too much memory to unpack); -EBADMSG (not xz); -ENOEXEC
 * (no ELF file inside); -ENOMEM; or what reading gave.
 */
int debugfile_mini(const struct elf_file *file, struct elf_file **mini);

/*
 * Ask the servers that DEBUGINFOD_URLS names for the debug file of @build_id (hex), and wait for the
 * answer: seconds, or what the timeout says (fetch.h does not wait). A descriptor; -ENOENT (no server is
 * named, or none has it), -ENOSYS (no library for it), -EFBIG, or what the library gave. What came is not
 * checked.
 */
int debugfile_fetch(const char *build_id);

#endif
