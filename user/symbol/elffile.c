// SPDX-License-Identifier: Apache-2.0
#include "elffile.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "elfparts.h"

#define HEADERS_MAX    4096         /* program headers looked at; a linked file has a dozen */
#define NOTE_BYTES_MAX (64u << 10)  /* of one note segment; the build-id stands near its start */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif

int elf_pread(const struct elf_file *file, uint64_t offset, void *buf, size_t bytes)
{
	char *to = buf;

	if (offset > INT64_MAX || bytes > INT64_MAX - offset)
		return -EIO;
	while (bytes) {
		ssize_t got = pread(file->fd, to, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EIO;
		to += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

/* A file of 32 bits has the same fields, narrower ones. */
static void header_widen(const Elf32_Ehdr *from, Elf64_Ehdr *to)
{
	*to = (Elf64_Ehdr){
		.e_type = from->e_type, .e_machine = from->e_machine, .e_version = from->e_version,
		.e_entry = from->e_entry, .e_phoff = from->e_phoff, .e_shoff = from->e_shoff,
		.e_flags = from->e_flags, .e_ehsize = from->e_ehsize, .e_phentsize = from->e_phentsize,
		.e_phnum = from->e_phnum, .e_shentsize = from->e_shentsize, .e_shnum = from->e_shnum,
		.e_shstrndx = from->e_shstrndx,
	};
	memcpy(to->e_ident, from->e_ident, EI_NIDENT);
}

static Elf64_Phdr segment_widen(const Elf32_Phdr *from)
{
	return (Elf64_Phdr){
		.p_type = from->p_type, .p_flags = from->p_flags, .p_offset = from->p_offset,
		.p_vaddr = from->p_vaddr, .p_paddr = from->p_paddr, .p_filesz = from->p_filesz,
		.p_memsz = from->p_memsz, .p_align = from->p_align,
	};
}

int elf_header_read(const struct elf_file *file, Elf64_Ehdr *header)
{
	unsigned char ident[EI_NIDENT];
	Elf32_Ehdr narrow;
	int err = elf_pread(file, 0, ident, sizeof(ident));

	if (!err && (memcmp(ident, ELFMAG, SELFMAG) || ident[EI_DATA] != NATIVE_DATA ||
		     ident[EI_VERSION] != EV_CURRENT))
		return -ENOEXEC;
	if (!err && ident[EI_CLASS] == ELFCLASS64) {
		err = elf_pread(file, 0, header, sizeof(*header));
	} else if (!err && ident[EI_CLASS] == ELFCLASS32) {
		err = elf_pread(file, 0, &narrow, sizeof(narrow));
		if (!err)
			header_widen(&narrow, header);
		if (!err && header->e_machine != EM_386) /* of x32 code and addresses are of two widths */
			err = -ENOEXEC;
	} else if (!err) {
		err = -ENOEXEC;
	}
	return err == -EIO ? -ENOEXEC : err; /* too short to be one */
}

static int header_read(struct elf_file *file, Elf64_Ehdr *header, bool unlinked)
{
	int err = elf_header_read(file, header);

	if (err)
		return err;
	file->narrow = header->e_ident[EI_CLASS] == ELFCLASS32;
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN && !(unlinked && header->e_type == ET_REL))
		return -ENOEXEC;
	if (header->e_phnum > HEADERS_MAX ||
	    (header->e_phnum && header->e_phentsize != (file->narrow ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr))))
		return -ENOEXEC;
	return 0;
}

static int segment_add(struct elf_file *file, const Elf64_Phdr *header)
{
	struct elf_segment *segment;

	if (!header->p_memsz)
		return 0;
	if (header->p_filesz > header->p_memsz ||
	    header->p_vaddr + header->p_memsz < header->p_vaddr ||
	    header->p_offset + header->p_filesz < header->p_offset ||
	    file->segments_count == ELFFILE_SEGMENTS_MAX)
		return -ENOEXEC;
	segment = &file->segments[file->segments_count++];
	segment->offset = header->p_offset;
	segment->vaddr = header->p_vaddr;
	segment->filesz = header->p_filesz;
	segment->memsz = header->p_memsz;
	segment->flags = header->p_flags;
	return 0;
}

static void interp_read(struct elf_file *file, const Elf64_Phdr *header)
{
	size_t bytes = sizeof(file->interp);

	file->has_interp = true;
	if (header->p_filesz < bytes)
		bytes = header->p_filesz;
	if (elf_pread(file, header->p_offset, file->interp, bytes) ||
	    strnlen(file->interp, bytes) == bytes)
		memset(file->interp, 0, sizeof(file->interp));
}

bool elffile_notes_build_id(const char *notes, size_t bytes, size_t align, char hex[2 * ELFFILE_BUILD_ID_MAX + 1])
{
	size_t at = 0;

	while (bytes - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t name = at + sizeof(note), desc, i;

		memcpy(&note, notes + at, sizeof(note));
		if (note.n_namesz > bytes - name)
			return false;
		desc = (name + note.n_namesz + align - 1) & ~(align - 1);
		if (desc > bytes || note.n_descsz > bytes - desc)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    !memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) &&
		    note.n_descsz && note.n_descsz <= ELFFILE_BUILD_ID_MAX) {
			for (i = 0; i < note.n_descsz; i++) {
				unsigned char byte = (unsigned char)notes[desc + i];

				hex[2 * i] = "0123456789abcdef"[byte >> 4];
				hex[2 * i + 1] = "0123456789abcdef"[byte & 15];
			}
			hex[2 * i] = '\0';
			return true;
		}
		at = (desc + note.n_descsz + align - 1) & ~(align - 1);
		if (at > bytes)
			return false;
	}
	return false;
}

static bool build_id_read(struct elf_file *file, uint64_t offset, uint64_t bytes, uint64_t align)
{
	__cleanup(freep) char *notes = NULL;

	if (offset >= file->size)
		return false;
	if (bytes > file->size - offset)
		bytes = file->size - offset;
	if (bytes > NOTE_BYTES_MAX)
		bytes = NOTE_BYTES_MAX;
	notes = malloc(bytes + 1);
	if (!notes || elf_pread(file, offset, notes, bytes))
		return false;
	return elffile_notes_build_id(notes, bytes, align == 8 ? 8 : 4, file->build_id);
}

static void build_id_from_sections(struct elf_file *file)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	Elf *elf;

	if (elf_sections_begin(file, &elf))
		return;
	while ((section = elf_nextscn(elf, section)) && gelf_getshdr(section, &header)) {
		if (header.sh_type == SHT_NOTE && !(header.sh_flags & SHF_COMPRESSED) &&
		    build_id_read(file, header.sh_offset, header.sh_size, header.sh_addralign))
			break;
	}
	elf_end(elf);
}

/* The program headers, in a malloc'ed array of e_phnum. 0, -ENOMEM, -ENOEXEC, or what reading gave. */
static int headers_read(const struct elf_file *file, const Elf64_Ehdr *header, Elf64_Phdr **out)
{
	const size_t count = header->e_phnum;
	Elf64_Phdr *headers = malloc(count * sizeof(*headers));
	Elf32_Phdr narrow;
	int err = headers ? 0 : -ENOMEM;

	if (!err && !file->narrow)
		err = elf_pread(file, header->e_phoff, headers, count * sizeof(*headers));
	for (size_t i = 0; file->narrow && i < count && !err; i++) {
		err = elf_pread(file, header->e_phoff + i * sizeof(narrow), &narrow, sizeof(narrow));
		if (!err)
			headers[i] = segment_widen(&narrow);
	}
	if (err)
		free(headers);
	else
		*out = headers;
	return err == -EIO ? -ENOEXEC : err;
}

static int segments_read(struct elf_file *file, const Elf64_Ehdr *header)
{
	__cleanup(freep) Elf64_Phdr *headers = NULL;
	size_t i;
	int err;

	if (!header->e_phnum)
		return 0;
	err = headers_read(file, header, &headers);
	if (err)
		return err;
	for (i = 0; i < header->e_phnum && !err; i++) {
		const Elf64_Phdr *at = &headers[i];

		if (at->p_type == PT_LOAD) {
			err = segment_add(file, at);
		} else if (at->p_type == PT_INTERP && !file->has_interp) {
			interp_read(file, at);
		} else if (at->p_type == PT_DYNAMIC) {
			file->has_dynamic = true;
			file->dynamic_vaddr = at->p_vaddr;
			file->dynamic_bytes = at->p_filesz;
		} else if (at->p_type == PT_NOTE && !*file->build_id) {
			build_id_read(file, at->p_offset, at->p_filesz, at->p_align);
		}
	}
	return err;
}

static int file_read(struct elf_file *file, bool unlinked)
{
	struct stat stat;
	Elf64_Ehdr header;
	int err;

	if (fstat(file->fd, &stat))
		return -errno;
	if (!S_ISREG(stat.st_mode))
		return -ENOEXEC;
	file->dev = stat.st_dev;
	file->ino = stat.st_ino;
	file->size = (uint64_t)stat.st_size;
	err = header_read(file, &header, unlinked);
	if (err)
		return err;
	file->machine = header.e_machine;
	file->type = header.e_type;
	err = segments_read(file, &header);
	if (!err && !*file->build_id)
		build_id_from_sections(file);
	return err;
}

static int file_open(struct elf_file **out, int fd, bool unlinked)
{
	struct elf_file *file = calloc(1, sizeof(*file));
	int err;

	if (!file)
		return -ENOMEM;
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = file->fd < 0 ? -errno : file_read(file, unlinked);
	if (err) {
		elffile_free(file);
		return err;
	}
	*out = file;
	return 0;
}

int elffile_open(struct elf_file **file, int fd)
{
	return file_open(file, fd, false);
}

int elffile_open_common(struct elf_file **file, int fd)
{
	return file_open(file, fd, true);
}

void elffile_close(struct elf_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	if (file->debug)
		elffile_close(file->debug);
}

void elffile_set_debug(struct elf_file *file, struct elf_file *debug)
{
	elffile_free(file->debug);
	file->debug = debug;
}

void elffile_free(struct elf_file *file)
{
	if (!file)
		return;
	elffile_close(file);
	elffile_free(file->debug); /* which has none itself */
	elf_index_release(file);
	free(file);
}

const struct elf_segment *elf_text_segment(const struct elf_file *file, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		if (segment->flags & PF_X && vaddr >= segment->vaddr &&
		    vaddr - segment->vaddr < segment->memsz)
			return segment;
	}
	return NULL;
}

/*
 * A mapping starts at a page, a segment need not: with @slack the bytes between the two count as
 * the segment's.
 */
static bool segment_holds(const struct elf_segment *segment, uint64_t offset, bool text, bool slack)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), start = segment->offset;

	if (text && !(segment->flags & PF_X))
		return false;
	if (slack && segment->vaddr >= start % page)
		start -= start % page;
	return offset >= start && offset < segment->offset + segment->filesz;
}

bool elffile_vaddr(const struct elf_file *file, uint64_t offset, uint64_t *vaddr)
{
	size_t i, pass;

	/* Two segments may share a page of the file; the question is mostly about code. */
	for (pass = 0; pass < 4; pass++) {
		for (i = 0; i < file->segments_count; i++) {
			const struct elf_segment *segment = &file->segments[i];

			if (!segment_holds(segment, offset, !(pass & 1), pass & 2))
				continue;
			*vaddr = segment->vaddr + (offset - segment->offset);
			return true;
		}
	}
	return false;
}

/* The segment whose file image holds @vaddr. */
static const struct elf_segment *segment_at(const struct elf_file *file, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < file->segments_count; i++) {
		const struct elf_segment *segment = &file->segments[i];

		if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->filesz)
			return segment;
	}
	return NULL;
}

bool elffile_offset(const struct elf_file *file, uint64_t vaddr, uint64_t *offset)
{
	const struct elf_segment *segment = segment_at(file, vaddr);

	if (!segment)
		return false;
	*offset = segment->offset + (vaddr - segment->vaddr);
	return true;
}

int elffile_read(const struct elf_file *file, uint64_t vaddr, void *buf, size_t bytes)
{
	const struct elf_segment *segment = segment_at(file, vaddr);
	uint64_t into;

	if (!segment)
		return -EFAULT;
	into = vaddr - segment->vaddr;
	if (bytes > segment->filesz - into)
		return -EFAULT;
	return elf_pread(file, segment->offset + into, buf, bytes) ? -EIO : 0;
}
