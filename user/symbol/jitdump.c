// SPDX-License-Identifier: Apache-2.0
#include "jitdump.h"

#include <errno.h>
#include <string.h>

#define MAGIC            0x4A695444u /* "JiTD" */
#define VERSION          1
#define HEADER_BYTES_MAX 4096 /* 40 as of today */

enum record_id {
	CODE_LOAD = 0,
	CODE_MOVE = 1,
};

struct header {
	uint32_t magic, version, total_size, elf_mach, pad1, pid;
	uint64_t timestamp, flags;
};

struct prefix {
	uint32_t id, total_size;
	uint64_t timestamp;
};

struct load {
	struct prefix prefix;
	uint32_t pid, tid;
	uint64_t vma, code_addr, code_size, code_index;
	/* the name with its NUL and the code follow */
};

struct move {
	struct prefix prefix;
	uint32_t pid, tid;
	uint64_t vma, old_code_addr, new_code_addr, code_size, code_index;
};

_Static_assert(sizeof(struct header) == JITDUMP_HEADER_BYTES, "as specified");
_Static_assert(sizeof(struct prefix) == JITDUMP_RECORD_BYTES, "as specified");
_Static_assert(sizeof(struct load) == 56, "as specified");
_Static_assert(sizeof(struct move) == 64, "as specified");

int jitdump_parse_header(const void *bytes, size_t count, uint64_t *first)
{
	struct header header;

	if (count < sizeof(header))
		return -EAGAIN;
	memcpy(&header, bytes, sizeof(header));
	if (header.magic == __builtin_bswap32(MAGIC))
		return -ENOTSUP;
	if (header.magic != MAGIC || header.total_size < sizeof(header) || header.total_size > HEADER_BYTES_MAX)
		return -EBADMSG;
	if (header.version != VERSION)
		return -ENOTSUP;
	*first = header.total_size;
	return 0;
}

int jitdump_record_bytes(const void *bytes, uint32_t *total)
{
	struct prefix prefix;

	memcpy(&prefix, bytes, sizeof(prefix));
	*total = prefix.total_size;
	return prefix.total_size < sizeof(prefix) ? -EBADMSG : 0;
}

/* Where perf looks for the code as well: code_addr, which by default is vma. */
static enum jitdump_kind parse_load(const char *bytes, size_t count, struct jitdump_record *out)
{
	struct load load;
	size_t room;

	if (count < sizeof(load))
		return JITDUMP_BROKEN;
	memcpy(&load, bytes, sizeof(load));
	out->start = load.code_addr;
	out->end = load.code_addr + load.code_size;
	out->name = bytes + sizeof(load);
	room = count - sizeof(load);
	out->length = strnlen(out->name, room);
	if (out->length == room && count == out->bytes) /* the record ends before its name */
		return JITDUMP_BROKEN;
	return out->length && out->end >= out->start ? JITDUMP_LOAD : JITDUMP_BROKEN;
}

static enum jitdump_kind parse_move(const char *bytes, size_t count, struct jitdump_record *out)
{
	struct move move;

	if (count < sizeof(move))
		return JITDUMP_BROKEN;
	memcpy(&move, bytes, sizeof(move));
	out->start = move.new_code_addr;
	out->end = move.new_code_addr + move.code_size;
	out->old = move.old_code_addr;
	return out->end >= out->start ? JITDUMP_MOVE : JITDUMP_BROKEN;
}

int jitdump_parse_record(const void *bytes, size_t count, struct jitdump_record *out)
{
	struct prefix prefix;

	memset(out, 0, sizeof(*out));
	memcpy(&prefix, bytes, sizeof(prefix));
	out->bytes = prefix.total_size;
	if (out->bytes < sizeof(prefix))
		return -EBADMSG;
	if (count > out->bytes)
		count = out->bytes;
	if (prefix.id == CODE_LOAD)
		out->kind = parse_load(bytes, count, out);
	else if (prefix.id == CODE_MOVE)
		out->kind = parse_move(bytes, count, out);
	return 0;
}
