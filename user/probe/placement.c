// SPDX-License-Identifier: Apache-2.0
#include "placement.h"

uint64_t placement_of(const struct elf_file *file, const struct elf_symbol *function)
{
	(void)file; /* its bytes decide once there is more than one answer */
	return function->vaddr;
}
