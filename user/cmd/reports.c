// SPDX-License-Identifier: Apache-2.0
#include "reports.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../view/postmortem.h"

#define NAME_BYTES 96
#define PART ".part" /* what is being written */
#define PART_S 60    /* and what is so old is not any more */

/* "20261122T112233.123Z-7-4711.json" */
static bool is_ours(const char *name)
{
	size_t length = strlen(name);
	const char *end = name + length;

	return length > 22 && length < NAME_BYTES && name[8] == 'T' && strspn(name, "0123456789") == 8 &&
	       name[19] == 'Z' && (!strcmp(end - 5, ".json") || !strcmp(end - 7, ".folded"));
}

/* What one of us was writing that was killed then. Another may be at work here. */
static void remove_parts(const struct reports *reports)
{
	int fd = openat(reports->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!folder && fd >= 0)
		close(fd);
	while (folder && (entry = readdir(folder))) {
		char name[NAME_BYTES + sizeof(PART)];
		size_t length = strlen(entry->d_name);
		struct stat info;

		if (length < sizeof(PART) || length >= sizeof(name) ||
		    strcmp(entry->d_name + length - strlen(PART), PART))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(length - strlen(PART)), entry->d_name);
		if (is_ours(name) && !fstatat(reports->folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(info.st_mode) && clock_unix_ns() / 1000000000 > info.st_mtime + PART_S)
			unlinkat(reports->folder, entry->d_name, 0);
	}
	if (folder)
		closedir(folder);
}

int reports_open(struct reports *reports, const char *path, uint32_t max_count, uint64_t max_bytes)
{
	*reports = (struct reports){ .folder = -1, .max_count = max_count, .max_bytes = max_bytes };
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	reports->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (reports->folder < 0)
		return -errno;
	remove_parts(reports);
	return 0;
}

void reports_close(struct reports *reports)
{
	if (reports->folder >= 0)
		close(reports->folder);
	reports->folder = -1;
}

static int put(const struct reports *reports, const char *name, const char *text, size_t bytes)
{
	char part[NAME_BYTES + sizeof(PART)];
	FILE *file;
	int err = 0, fd;

	snprintf(part, sizeof(part), "%s" PART, name);
	fd = openat(reports->folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	fwrite(text, 1, bytes, file);
	if (fflush(file) || ferror(file))
		err = -EIO;
	if (fclose(file) && !err)
		err = -errno;
	if (!err && renameat(reports->folder, part, reports->folder, name))
		err = -errno;
	if (err)
		unlinkat(reports->folder, part, 0);
	return err;
}

/* A file of ours. Others in the folder are left alone. */
struct kept {
	char name[NAME_BYTES];
	uint64_t bytes;
};

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct kept *)left)->name, ((const struct kept *)right)->name);
}

static int list(const struct reports *reports, struct kept **out, size_t *out_n)
{
	int fd = openat(reports->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct kept *all = NULL;
	struct dirent *entry;
	size_t n = 0;

	*out = NULL;
	*out_n = 0;
	if (!folder) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	while ((entry = readdir(folder))) {
		struct stat info;
		struct kept *grown;

		if (!is_ours(entry->d_name) ||
		    fstatat(reports->folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW))
			continue;
		grown = reallocarray(all, n + 1, sizeof(*all));
		if (!grown)
			break;
		all = grown;
		snprintf(all[n].name, sizeof(all[n].name), "%.*s", NAME_BYTES - 1, entry->d_name); /* is_ours() */
		all[n++].bytes = (uint64_t)info.st_size;
	}
	closedir(folder);
	if (n)
		qsort(all, n, sizeof(*all), by_name);
	*out = all;
	*out_n = n;
	return 0;
}

static int trim(const struct reports *reports)
{
	__cleanup(freep) struct kept *all = NULL;
	uint64_t bytes = 0, count = 0;
	size_t n = 0;
	int err = list(reports, &all, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		bytes += all[i].bytes;
		count += strstr(all[i].name, ".json") != NULL;
	}
	for (size_t i = 0; i < n && (count > reports->max_count || bytes > reports->max_bytes); i++) {
		if (unlinkat(reports->folder, all[i].name, 0))
			continue;
		bytes -= all[i].bytes;
		count -= strstr(all[i].name, ".json") != NULL;
	}
	return 0;
}

static void name_of(const struct postmortem *pm, const char *ending, char name[NAME_BYTES])
{
	char id[POSTMORTEM_ID_BYTES];

	snprintf(name, NAME_BYTES, "%s%s", postmortem_id(pm, id), ending);
}

int reports_keep(const struct reports *reports, const struct postmortem *pm, const char *json, size_t bytes)
{
	__cleanup(freep) char *folded = NULL;
	char name[NAME_BYTES];
	size_t folded_bytes = 0;
	FILE *stream = open_memstream(&folded, &folded_bytes);
	int err = stream ? postmortem_folded(stream, pm, NULL) : -ENOMEM;

	if (stream && fclose(stream) && !err)
		err = -ENOMEM;
	name_of(pm, ".json", name);
	if (!err)
		err = put(reports, name, json, bytes);
	name_of(pm, ".folded", name);
	if (!err)
		err = put(reports, name, folded, folded_bytes);
	return err ? err : trim(reports);
}

int reports_journal(const struct postmortem *pm, const char *json)
{
	struct iovec *fields;
	size_t count;
	int err;

	if (access("/run/systemd/journal/socket", W_OK))
		return -ENOENT;
	err = postmortem_journal(pm, json, &fields, &count);
	if (err)
		return err;
	err = sd_journal_sendv(fields, (int)count);
	postmortem_journal_free(fields, count);
	return err;
}
