/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which instruction of a function gets its entry probe. Today its first byte, whatever stands
 * there. A kernel emulates a push or a nop in place and single-steps everything else, at ten
 * times the cost: an instruction a little further on may be the better one, as long as every
 * call passes it with the argument registers and the stack pointer as they were. Such a choice
 * is made here, and everything that places an entry probe asks here.
 */
#ifndef HB_PROBE_PLACEMENT_H
#define HB_PROBE_PLACEMENT_H

#include <stdint.h>

#include "../symbol/elffile.h"

/* The virtual address, in @file, of the instruction to probe for calls of @function. */
uint64_t placement_of(const struct elf_file *file, const struct elf_symbol *function);

#endif
