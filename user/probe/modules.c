// SPDX-License-Identifier: Apache-2.0
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uthash.h>

#include "../base/cleanup.h"
#include "../base/log.h"
#include "../remote/procfs.h"

/* By the kernel's name for a mapped file: spares opening libc once more in every process. */
struct known_id {
	struct module_id id;
	struct module *module; /* NULL: not an ELF file */
	UT_hash_handle hh;
};

/* By the opened file. */
struct known_file {
	struct elf_file *file;
	struct module module;
	UT_hash_handle hh;
};

struct modules {
	struct session *session;
	struct symcache *cache;
	struct known_id *ids;
	struct known_file *files;
	unsigned int sources;
	uint64_t failed;
};

struct modules *modules_new(struct session *session, struct symcache *cache, unsigned int sources)
{
	struct modules *modules = calloc(1, sizeof(*modules));

	if (modules) {
		modules->session = session;
		modules->cache = cache;
		modules->sources = sources;
	}
	return modules;
}

void modules_free(struct modules *modules)
{
	struct known_id *id, *next_id;
	struct known_file *file, *next_file;

	if (!modules)
		return;
	HASH_ITER(hh, modules->ids, id, next_id) {
		HASH_DEL(modules->ids, id);
		free(id);
	}
	HASH_ITER(hh, modules->files, file, next_file) {
		HASH_DEL(modules->files, file);
		session_detach(file->module.everywhere);
		probe_set_release(&file->module.set);
		free(file);
	}
	free(modules);
}

/* Leave only the points of the sources that are traced. */
static void keep_sources(struct probe_set *set, unsigned int sources)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (sources >> HB_COOKIE_GET(set->points[i].cookie, HB_COOKIE_SOURCE_SHIFT, 4) & 1)
			set->points[kept++] = set->points[i];
	}
	set->count = kept;
}

int modules_opened(struct modules *modules, int fd, struct module **module)
{
	struct elf_file *file;
	struct known_file *known;
	int err = symcache_add(modules->cache, fd, &file);

	*module = NULL;
	if (err)
		return err == -ENOEXEC ? 0 : err;
	HASH_FIND_PTR(modules->files, &file, known);
	if (known) {
		*module = &known->module;
		return 0;
	}
	known = calloc(1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	known->file = file;
	known->module.file = file;
	err = allocators_find(file, &known->module.set);
	if (err) {
		free(known);
		return err;
	}
	keep_sources(&known->module.set, modules->sources);
	HASH_ADD_PTR(modules->files, file, known);
	if (known->module.set.note[0])
		log_debug("%s: %s", known->module.set.allocator, known->module.set.note);
	*module = &known->module;
	return 0;
}

/* The file of a process that is gone, by name, if it is the one that was mapped. */
static int open_by_name(const struct module_id *id, const char *path)
{
	int fd = file_open_regular(path);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || st.st_ino != id->ino || major(st.st_dev) != id->major || minor(st.st_dev) != id->minor) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

static int open_in_process(pid_t pid, const struct module_id *id, uint64_t start, uint64_t end, const char *path)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	struct stat st;
	int fd = proc_open(&proc, pid);

	if (fd)
		return fd;
	fd = proc_open_mapping(&proc, start, end);
	if (fd >= 0 || fd == -ENOTSUP)
		return fd;
	fd = proc_open_in_root(&proc, path);
	if (fd >= 0 && (fstat(fd, &st) || st.st_ino != id->ino)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

static int open_mapped(pid_t pid, const struct module_id *id, uint64_t start, uint64_t end, const char *path)
{
	int fd = open_in_process(pid, id, start, end, path);

	return fd >= 0 || fd == -ENOTSUP ? fd : open_by_name(id, path);
}

int modules_mapped(struct modules *modules, pid_t pid, const struct module_id *id, uint64_t start, uint64_t end,
		   const char *path, struct module **module)
{
	__cleanup(fd_closep) int fd = -1;
	struct module_id key;
	struct known_id *known;
	int err;

	*module = NULL;
	if (path[0] != '/')
		return 0;
	memset(&key, 0, sizeof(key)); /* padding is part of the hash */
	key.major = id->major;
	key.minor = id->minor;
	key.ino = id->ino;
	key.ino_generation = id->ino_generation;
	HASH_FIND(hh, modules->ids, &key, sizeof(key), known);
	if (known) {
		*module = known->module;
		return 0;
	}
	fd = open_mapped(pid, id, start, end, path);
	if (fd == -ENOTSUP)
		return 0;
	if (fd < 0) {
		log_debug("%s: cannot be opened (%s); its frames stay unnamed", path, strerror(-fd));
		return fd; /* not remembered: the next process that maps it may still have it */
	}
	err = modules_opened(modules, fd, module);
	if (err)
		return err;
	known = calloc(1, sizeof(*known));
	if (!known)
		return 0; /* it is found again by its file */
	known->id = key;
	known->module = *module;
	HASH_ADD(hh, modules->ids, id, sizeof(known->id), known);
	return 0;
}

static struct session_probes *put(struct modules *modules, struct module *module, pid_t pid)
{
	struct session_probes *probes = NULL;
	int err = -EBADF;

	if (!module->set.count)
		return NULL;
	if (module->file->fd >= 0)
		err = session_attach(modules->session, module->file->fd, &module->set, pid, &probes);
	if (err && err != -ESRCH) {
		modules->failed += module->set.count;
		log_warning("%s: %zu entry points could not be probed: %s", module->set.allocator,
			    module->set.count, strerror(-err));
	}
	return err ? NULL : probes;
}

bool modules_probe_everywhere(struct modules *modules, struct module *module)
{
	if (module->everywhere || module->failed)
		return false;
	module->everywhere = put(modules, module, 0);
	module->failed = !module->everywhere;
	return module->everywhere != NULL;
}

struct session_probes *modules_probe(struct modules *modules, struct module *module, pid_t pid)
{
	return put(modules, module, pid);
}

bool modules_only_allocates(const struct modules *modules, const struct elf_file *file)
{
	static const char *const makers[] = { "jemalloc", "tcmalloc", "mimalloc" };
	const struct known_file *known;

	HASH_FIND_PTR(modules->files, &file, known);
	if (!known || file->has_interp)
		return false;
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (!strncmp(known->module.set.allocator, makers[i], strlen(makers[i])))
			return true;
	}
	return false;
}

void modules_stop(struct modules *modules)
{
	struct known_file *file, *next;

	HASH_ITER(hh, modules->files, file, next) {
		session_detach(file->module.everywhere);
		file->module.everywhere = NULL;
	}
}

uint64_t modules_failed(const struct modules *modules)
{
	return modules->failed;
}
