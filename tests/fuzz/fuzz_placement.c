// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as the text of functions to probe. The first byte says of which machine and for which calls,
 * the next four where functions begin. What is chosen is checked against the rules by other means.
 */
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/probe/placement.h"
#include "../../user/probe/ret_decode.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT      0x10000
#define FUNCTIONS 4
#define HEAD      (1 + FUNCTIONS)

static const struct call_shape shapes[] = {
	{ .role = HB_ROLE_ALLOC, .size = 1 },
	{ .role = HB_ROLE_FREE, .ptr = 1 },
	{ .role = HB_ROLE_REALLOC, .ptr = 1, .size = 3, .count = 2 },
	{ .role = HB_ROLE_RESIZE, .ptr = 1, .size = 2 },
};

/* From the entry on one instruction leads to the next up to the place, but for a free's branch. */
static void check_line(const struct elf_file *file, const struct placement_request *request, const uint8_t *text,
		       size_t size)
{
	uint64_t at = request->entry;
	struct code code;

	while (at < request->place.vaddr) {
		uint64_t done = at - TEXT;
		bool known = file->machine == EM_X86_64 ? x86_decode(text + done, size - done, at, &code) :
							  arm64_decode(text + done, size - done, at, &code);

		if (!known || (code.kind != CODE_PLAIN &&
			       (code.kind != CODE_BRANCH || request->shape->role != HB_ROLE_FREE)))
			abort();
		at += code.length;
	}
	if (at != request->place.vaddr)
		abort();
}

/* No jump of four bytes at any byte of x86's text leads in between. */
static void check_jumps(const struct placement_request *request, const uint8_t *text, size_t size)
{
	for (size_t i = 0; i + 5 <= size; i++) {
		uint64_t to = TEXT + i + 5;
		int32_t offset;

		if (text[i] != 0xe8 && text[i] != 0xe9)
			continue;
		memcpy(&offset, text + i + 1, sizeof(offset));
		to += (uint64_t)(int64_t)offset;
		if (to > request->entry && to <= request->place.vaddr)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct placement_request requests[FUNCTIONS] = { 0 };
	struct elf_symbol symbols[1] = { { .vaddr = TEXT, .size = 1 } };
	struct elf_file file = {
		.symbols = symbols, .symbols_count = 1, .segments_count = 1,
		.segments = { { .vaddr = TEXT, .flags = PF_R | PF_X } },
	};
	struct image image = { .file = &file };

	if (size <= HEAD)
		return 0;
	file.machine = data[0] & 1 ? EM_AARCH64 : EM_X86_64;
	file.size = file.segments[0].filesz = file.segments[0].memsz = size - HEAD;
	file.fd = fuzz_file(data + HEAD, size - HEAD);
	for (int i = 0; i < FUNCTIONS; i++) {
		requests[i].entry = TEXT + data[1 + i];
		requests[i].size = data[0] & 2 ? 0 : size - HEAD;
		requests[i].shape = &shapes[data[0] >> 2 & 3];
	}
	placement_choose(&image, data[0] & 16, requests, FUNCTIONS);
	for (int i = 0; i < FUNCTIONS; i++) {
		const struct placement *place = &requests[i].place;

		if (!place->why || !memchr(place->text, 0, sizeof(place->text)) || place->vaddr < requests[i].entry ||
		    place->vaddr - requests[i].entry >= PLACEMENT_REACH)
			abort();
		if (place->vaddr == requests[i].entry)
			continue;
		if (!place->cheap && requests[i].shape->role != HB_ROLE_FREE)
			abort(); /* nothing was gained; past a free's branch NULL is not seen any more */
		check_line(&file, &requests[i], data + HEAD, size - HEAD);
		if (file.machine == EM_X86_64)
			check_jumps(&requests[i], data + HEAD, size - HEAD);
	}
	close(file.fd);
	return 0;
}
