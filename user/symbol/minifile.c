// SPDX-License-Identifier: Apache-2.0
/* .gnu_debugdata: an ELF file with the symbols that .dynsym lacks, packed by xz ("MiniDebugInfo"). */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "debugfile.h"
#include "elfparts.h"

#define CHUNK_BYTES     (64u << 10)
#define UNPACK_MEMORY   (96u << 20) /* the decoder's: xz -9 needs 65 MiB */

static int write_all(int fd, const uint8_t *bytes, size_t count)
{
	while (count) {
		ssize_t put = write(fd, bytes, count);

		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0) {
			bytes += put;
			count -= (size_t)put;
		}
	}
	return 0;
}

static int error_of(lzma_ret state)
{
	switch (state) {
	case LZMA_OK:
	case LZMA_STREAM_END:
		return 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return -EFBIG;
	default:
		return -EBADMSG;
	}
}

/* Run @stream, whose input is the section at @at of @file, to its end, and write to @fd. */
static int stream_run(lzma_stream *stream, const struct elf_file *file, uint64_t at, uint64_t end, int fd)
{
	__cleanup(freep) uint8_t *in = malloc(CHUNK_BYTES);
	__cleanup(freep) uint8_t *out = malloc(CHUNK_BYTES);
	lzma_ret state = LZMA_OK;
	int err = 0;

	if (!in || !out)
		return -ENOMEM;
	while (!err && state == LZMA_OK) {
		if (!stream->avail_in && at < end) {
			size_t have = end - at < CHUNK_BYTES ? end - at : CHUNK_BYTES;

			err = elf_pread(file, at, in, have);
			if (err)
				return err;
			stream->next_in = in;
			stream->avail_in = have;
			at += have;
		}
		stream->next_out = out;
		stream->avail_out = CHUNK_BYTES;
		state = lzma_code(stream, stream->avail_in || at < end ? LZMA_RUN : LZMA_FINISH);
		err = error_of(state);
		if (!err && stream->total_out > DEBUGFILE_MINI_MAX)
			err = -EFBIG;
		if (!err)
			err = write_all(fd, out, CHUNK_BYTES - stream->avail_out);
	}
	return err;
}

static int unpack(const struct elf_file *file, const GElf_Shdr *section, int fd)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	int err;

	err = error_of(lzma_stream_decoder(&stream, UNPACK_MEMORY, 0));
	if (!err)
		err = stream_run(&stream, file, section->sh_offset, section->sh_offset + section->sh_size, fd);
	lzma_end(&stream);
	return err;
}

int debugfile_mini(const struct elf_file *file, struct elf_file **mini)
{
	struct elf_named section = { .name = ".gnu_debugdata" };
	__cleanup(fd_closep) int fd = -1;
	int err = elf_sections_named(file, &section, 1);

	if (err || !section.found || section.header.sh_flags & SHF_COMPRESSED)
		return err && err != -ENOEXEC ? err : -ENOENT;
	if (section.header.sh_size > DEBUGFILE_MINI_MAX)
		return -EFBIG;
	fd = memfd_create("heldby-symbols", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = unpack(file, &section.header, fd);
	if (!err)
		err = elffile_open(mini, fd);
	if (err || (*mini)->narrow == file->narrow)
		return err;
	elffile_free(*mini);
	return -ENOEXEC;
}
