// SPDX-License-Identifier: Apache-2.0
#include "debugfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "../base/cleanup.h"
#include "../remote/procfs.h"
#include "cursor.h"
#include "elfparts.h"

#define DEBUG_DIR  "/usr/lib/debug"
#define LINK_BYTES (PATH_MAX + 64) /* .gnu_debuglink, .gnu_debugaltlink: a path and a checksum */
#define CRC_BYTES  (64u << 10)

/* Where to look: our own root and the process's, if that is another one. */
struct roots {
	int own, process; /* descriptors; -1: none */
};

/* What a link section says. */
struct link {
	char path[PATH_MAX];
	uint32_t crc;                                /* .gnu_debuglink */
	char build_id[2 * ELFFILE_BUILD_ID_MAX + 1]; /* .gnu_debugaltlink, hex */
};

bool debugfile_has_dwarf(const struct elf_file *file)
{
	struct elf_named section = { .name = ".debug_info" };

	return file->fd >= 0 && !elf_sections_named(file, &section, 1) && section.found && section.header.sh_size;
}

static bool same_directory(int a, int b)
{
	struct stat left, right;

	return !fstat(a, &left) && !fstat(b, &right) && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

static void roots_open(struct roots *roots, int root)
{
	roots->own = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	roots->process = root >= 0 && !(roots->own >= 0 && same_directory(roots->own, root)) ? root : -1;
}

static void roots_close(struct roots *roots)
{
	if (roots->own >= 0)
		close(roots->own);
}

/* The checksum of .gnu_debuglink. */
static int file_crc(const struct elf_file *file, uint32_t *out)
{
	__cleanup(freep) unsigned char *bytes = NULL;
	uLong crc = crc32(0, NULL, 0);
	uint64_t at;
	int err = 0;

	if (file->size > DEBUGFILE_CRC_MAX)
		return -EFBIG;
	bytes = malloc(CRC_BYTES);
	if (!bytes)
		return -ENOMEM;
	for (at = 0; at < file->size && !err; at += CRC_BYTES) {
		size_t have = file->size - at < CRC_BYTES ? file->size - at : CRC_BYTES;

		err = elf_pread(file, at, bytes, have);
		if (!err)
			crc = crc32(crc, bytes, (uInt)have);
	}
	*out = (uint32_t)crc;
	return err;
}

/* Whether @debug is made from @file: by build-id, or by @link's checksum where @file has none. */
static bool belongs(const struct elf_file *debug, const struct elf_file *file, const struct link *link)
{
	uint32_t crc;

	if (debug->machine != file->machine || (debug->dev == file->dev && debug->ino == file->ino))
		return false;
	if (*file->build_id)
		return !strcmp(debug->build_id, file->build_id);
	return link && !file_crc(debug, &crc) && crc == link->crc;
}

/* The file at @path in @root, if it belongs to @file. */
static int open_debug(int root, const char *path, const struct elf_file *file, const struct link *link,
		      struct elf_file **debug)
{
	__cleanup(fd_closep) int fd = root < 0 ? -ENOENT : file_open_in_root(root, path);
	int err;

	if (fd < 0)
		return -ENOENT;
	err = elffile_open(debug, fd);
	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	if (belongs(*debug, file, link))
		return 0;
	elffile_free(*debug);
	return -ENOENT;
}

static int open_by_build_id(const struct roots *roots, const struct elf_file *file, struct elf_file **debug)
{
	char path[sizeof(DEBUG_DIR) + sizeof(file->build_id) + 32];
	int err;

	if (strlen(file->build_id) < 4)
		return -ENOENT;
	snprintf(path, sizeof(path), DEBUG_DIR "/.build-id/%.2s/%s.debug", file->build_id, file->build_id + 2);
	err = open_debug(roots->own, path, file, NULL, debug);
	if (err == -ENOENT)
		err = open_debug(roots->process, path, file, NULL, debug);
	return err;
}

/*
 * The section @name of @file: a path, zeros up to a multiple of @align, and what follows, at most @size
 * bytes of it at @rest; their number or negative errno.
 */
static ssize_t link_read(const struct elf_file *file, const char *name, struct link *link, size_t align, void *rest,
			 size_t size)
{
	struct elf_named section = { .name = name };
	__cleanup(freep) void *bytes = NULL;
	struct cursor cursor;
	const char *path;
	size_t count;
	int err = elf_sections_named(file, &section, 1);

	if (err || !section.found)
		return -ENOENT;
	err = elf_section_read(file, &section.header, LINK_BYTES, &bytes, &count);
	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	cursor = cursor_on(bytes, count);
	path = cursor_string(&cursor);
	if (!path || !*path || strlen(path) >= sizeof(link->path))
		return -ENOENT;
	memcpy(link->path, path, strlen(path) + 1);
	cursor_skip(&cursor, -(count - cursor_left(&cursor)) & (align - 1));
	if (size > cursor_left(&cursor))
		size = cursor_left(&cursor);
	memcpy(rest, cursor.at, size);
	return (ssize_t)size;
}

/* .gnu_debuglink: a file's name and a CRC32. */
static int debuglink_read(const struct elf_file *file, struct link *link)
{
	ssize_t bytes = link_read(file, ".gnu_debuglink", link, sizeof(link->crc), &link->crc, sizeof(link->crc));

	if (bytes < 0)
		return (int)bytes;
	if (bytes < (ssize_t)sizeof(link->crc) || strchr(link->path, '/') || !strcmp(link->path, ".") ||
	    !strcmp(link->path, ".."))
		return -ENOENT;
	return 0;
}

/* The three places beside @path, in one root. @strange: what is at @path there is another program's. */
static int open_beside(int root, bool strange, const char *path, const struct elf_file *file,
		       const struct link *link, struct elf_file **debug)
{
	static const char *const places[][2] = { { DEBUG_DIR, "" }, { "", "" }, { "", ".debug/" } };
	size_t i, count = strange ? 1 : sizeof(places) / sizeof(places[0]);
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0, err = -ENOENT;
	char at[2 * PATH_MAX + 32];

	if (root < 0 || *path != '/' || folder > PATH_MAX)
		return -ENOENT;
	for (i = 0; i < count && err == -ENOENT; i++) {
		snprintf(at, sizeof(at), "%s%.*s%s%s", places[i][0], folder, path, places[i][1], link->path);
		err = open_debug(root, at, file, link, debug);
	}
	return err;
}

static int open_by_link(const struct roots *roots, const char *path, const struct elf_file *file,
			struct elf_file **debug)
{
	struct link link;
	int err = debuglink_read(file, &link);

	if (err)
		return err;
	err = open_beside(roots->process, false, path, file, &link, debug);
	if (err == -ENOENT)
		err = open_beside(roots->own, roots->process >= 0, path, file, &link, debug);
	return err;
}

int debugfile_open(const struct elf_file *file, const char *path, int root, struct elf_file **debug)
{
	struct roots roots;
	int err;

	roots_open(&roots, root);
	err = open_by_build_id(&roots, file, debug);
	if (err == -ENOENT && path && file->fd >= 0)
		err = open_by_link(&roots, path, file, debug);
	roots_close(&roots);
	return err;
}

/* .gnu_debugaltlink: a path and a build-id. */
static int altlink_read(const struct elf_file *debug, struct link *link)
{
	uint8_t id[ELFFILE_BUILD_ID_MAX];
	ssize_t i, bytes = link_read(debug, ".gnu_debugaltlink", link, 1, id, sizeof(id));

	if (bytes < 0)
		return (int)bytes;
	if (!bytes)
		return -ENOENT;
	for (i = 0; i < bytes; i++)
		snprintf(link->build_id + 2 * i, 3, "%02x", id[i]);
	return 0;
}

static int open_common(int root, const char *path, const struct link *link, struct elf_file **common)
{
	__cleanup(fd_closep) int fd = root < 0 ? -ENOENT : file_open_in_root(root, path);
	int err;

	if (fd < 0)
		return -ENOENT;
	err = elffile_open_common(common, fd);
	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	if (!strcmp((*common)->build_id, link->build_id))
		return 0;
	elffile_free(*common);
	return -ENOENT;
}

int debugfile_open_common(const struct elf_file *debug, int root, struct elf_file **common)
{
	char path[PATH_MAX + sizeof(DEBUG_DIR) + 8];
	struct roots roots;
	struct link link;
	const char *rest;
	int err;

	if (debug->fd < 0)
		return -ENOENT;
	err = altlink_read(debug, &link);
	if (err)
		return err;
	/* A relative path begins at the debug file, whose folders lie below DEBUG_DIR. */
	for (rest = link.path; !strncmp(rest, "../", 3); rest += 3)
		;
	snprintf(path, sizeof(path), "%s%s%s", *rest == '/' ? "" : DEBUG_DIR, *rest == '/' ? "" : "/", rest);
	roots_open(&roots, root);
	/* A stranger's path means our files only where all are debug files. */
	if (roots.process < 0 || (!strncmp(path, DEBUG_DIR "/", sizeof(DEBUG_DIR)) && !strstr(path, "/../")))
		err = open_common(roots.own, path, &link, common);
	else
		err = -ENOENT;
	if (err == -ENOENT)
		err = open_common(roots.process, path, &link, common);
	roots_close(&roots);
	return err;
}
