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
#include "../remote/gate.h"
#include "../remote/procfs.h"

#define ATTACH_TRIES    10 /* where a process has no memory for its probe */
#define ATTACH_PAUSE_US 20000

/* By the kernel's name for a mapped file: spares opening libc once more in every process. */
struct known_id {
	struct module_id id;
	struct module *module; /* NULL: not an ELF file */
	struct timespec changed; /* its file, when it was opened */
	UT_hash_handle hh;
};

/* By the opened file. */
struct known_file {
	struct elf_file *file;
	struct module module;
	UT_hash_handle hh;
	UT_hash_handle hh_object;
};

/* A number that the kernel side gave a file before we had one for it. */
struct other_number {
	uint32_t object;
	struct module *module;
	UT_hash_handle hh;
};

struct modules {
	struct session *session;
	struct symcache *cache;
	struct known_id *ids;
	struct known_file *files;
	struct known_file *objects; /* by number */
	struct other_number *others;
	struct unwind_tables *tables;
	unsigned int sources;
	unsigned int paused; /* sources, a bit each, whose modules carry no probes for every process now */
	uint64_t failed;
};

struct modules *modules_new(struct session *session, struct symcache *cache, struct unwind_tables *tables,
			    unsigned int sources)
{
	struct modules *modules = calloc(1, sizeof(*modules));

	if (modules) {
		modules->session = session;
		modules->cache = cache;
		modules->tables = tables;
		modules->sources = sources;
	}
	return modules;
}

void modules_free(struct modules *modules)
{
	struct other_number *other, *next_other;
	struct known_id *id, *next_id;
	struct known_file *file, *next_file;

	if (!modules)
		return;
	HASH_CLEAR(hh_object, modules->objects);
	HASH_ITER(hh, modules->others, other, next_other) {
		HASH_DEL(modules->others, other);
		free(other);
	}
	HASH_ITER(hh, modules->ids, id, next_id) {
		HASH_DEL(modules->ids, id);
		free(id);
	}
	HASH_ITER(hh, modules->files, file, next_file) {
		HASH_DEL(modules->files, file);
		session_detach(file->module.everywhere);
		probe_set_release(&file->module.set);
		free(file->module.allocating);
		free(file->module.path);
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
	if (!(sources >> HB_SRC_MALLOC & 1))
		set->left_out = 0;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* Remember which functions allocate, whatever is traced. */
static void keep_functions(struct module *module)
{
	const struct probe_set *set = &module->set;

	module->allocating = calloc(set->count + 1, sizeof(*module->allocating));
	for (size_t i = 0; module->allocating && i < set->count; i++) {
		const struct elf_symbol *function = NULL;
		uint64_t vaddr;

		/* The probe may lie behind the function's first instruction. */
		if (set->points[i].place != PLACE_RET && elffile_vaddr(module->file, set->points[i].offset, &vaddr))
			function = elffile_function(module->file, vaddr);
		if (function)
			module->allocating[module->allocating_count++] = function->vaddr;
	}
	if (module->allocating)
		qsort(module->allocating, module->allocating_count, sizeof(*module->allocating), compare_addresses);
}

/* Give @known's file its number. */
static void number(struct modules *modules, struct known_file *known, int fd)
{
	if (modules->tables)
		known->module.object = unwind_tables_add(modules->tables, fd);
	if (known->module.object)
		HASH_ADD(hh_object, modules->objects, module.object, sizeof(known->module.object), known);
}

int modules_opened(struct modules *modules, int fd, const char *path, int root, struct module **module)
{
	struct elf_file *file;
	struct known_file *known;
	int err = symcache_add(modules->cache, fd, path, root, &file);

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
	keep_functions(&known->module);
	keep_sources(&known->module.set, modules->sources);
	HASH_ADD_PTR(modules->files, file, known);
	known->module.path = path ? strdup(path) : NULL;
	if (!file->narrow) /* frames of 32 bits are found by pointers alone */
		number(modules, known, fd);
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

/* A mapped file, and the root of the process that maps it. */
struct opened {
	int fd;
	int root; /* or -1 */
};

static void opened_close(struct opened *opened)
{
	fd_closep(&opened->fd);
	fd_closep(&opened->root);
}

static int open_in_process(pid_t pid, const struct proc_mapped *mapped, struct opened *opened)
{
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	int err = proc_open(&proc, pid);

	if (err)
		return err;
	opened->root = proc_open_root(&proc);
	opened->fd = proc_open_mapped(&proc, mapped);
	return opened->fd < 0 ? opened->fd : 0;
}

static int open_mapped(pid_t pid, const struct module_id *id, const struct proc_mapped *mapped, struct opened *opened)
{
	int err = open_in_process(pid, mapped, opened);

	if (!err || err == -ENOTSUP)
		return err;
	opened->fd = open_by_name(id, mapped->path);
	if (opened->fd >= 0)
		return 0;
	return err == -EBUSY ? err : opened->fd; /* what is refused now may be had later */
}

/* Whether the file that @known was made from has been written to since. */
static bool changed(const struct known_id *known)
{
	struct stat st;

	return known->module && known->module->file->fd >= 0 && !fstat(known->module->file->fd, &st) &&
	       (st.st_mtim.tv_sec != known->changed.tv_sec || st.st_mtim.tv_nsec != known->changed.tv_nsec);
}

static void remember(struct modules *modules, const struct module_id *key, struct module *module, int fd)
{
	struct known_id *known;
	struct stat st;

	HASH_FIND(hh, modules->ids, key, sizeof(*key), known);
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known)
			return; /* it is found again by its file */
		known->id = *key;
		HASH_ADD(hh, modules->ids, id, sizeof(known->id), known);
	}
	known->module = module;
	if (!fstat(fd, &st))
		known->changed = st.st_mtim;
}

int modules_mapped(struct modules *modules, pid_t pid, const struct module_id *id, uint64_t start, uint64_t end,
		   const char *path, struct module **module)
{
	const struct proc_mapped mapped = { .start = start, .end = end, .ino = id->ino, .path = path };
	__cleanup(opened_close) struct opened opened = { -1, -1 };
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
	if (known && !changed(known)) {
		*module = known->module;
		return 0;
	}
	err = open_mapped(pid, id, &mapped, &opened);
	if (err == -ENOTSUP)
		return 0;
	if (err) {
		log_debug("%s: cannot be opened (%s); its frames stay unnamed", path,
			  err == -EBUSY ? gate_why() : strerror(-err));
		return err; /* not remembered: the next process that maps it may still have it */
	}
	err = modules_opened(modules, opened.fd, path, opened.root, module);
	if (!err)
		remember(modules, &key, *module, opened.fd);
	return err;
}

/* The kernel side numbered the file before we did: frames have gone out under that number. */
static void also(struct modules *modules, uint32_t object, struct module *module)
{
	struct other_number *other;

	HASH_FIND(hh, modules->others, &object, sizeof(object), other);
	if (other || object == module->object)
		return;
	other = calloc(1, sizeof(*other));
	if (!other)
		return;
	other->object = object;
	other->module = module;
	HASH_ADD(hh, modules->others, object, sizeof(other->object), other);
}

int modules_asked(struct modules *modules, pid_t pid, uint64_t start, uint64_t end, uint64_t ino, uint32_t object,
		  const char *path, struct module **module)
{
	const struct proc_mapped mapped = { .start = start, .end = end, .ino = ino, .path = path };
	__cleanup(opened_close) struct opened opened = { -1, -1 };
	int err = open_in_process(pid, &mapped, &opened);

	*module = NULL;
	if (err)
		return err;
	err = modules_opened(modules, opened.fd, path, opened.root, module);
	if (!err && *module && (*module)->object) {
		unwind_tables_identify(modules->tables, (*module)->object, opened.fd);
		also(modules, object, *module);
	}
	return err;
}

struct module *modules_by_object(const struct modules *modules, uint32_t object)
{
	struct other_number *other;
	struct known_file *known;

	HASH_FIND(hh_object, modules->objects, &object, sizeof(object), known);
	if (known)
		return &known->module;
	HASH_FIND(hh, modules->others, &object, sizeof(object), other);
	return other ? other->module : NULL;
}

/*
 * A probe in every process is a page of each of them: one in a cgroup that is full has none to give, and the kernel
 * then puts no probe at all (register_for_each_vma(), kernel/events/uprobes.c). It is killed or gets room soon.
 */
static int attach_patiently(struct modules *modules, struct module *module, pid_t pid, struct session_probes **probes)
{
	int err, tries = pid ? 1 : ATTACH_TRIES;

	do {
		err = session_attach(modules->session, module->file->fd, &module->set, pid, probes);
		if (err != -ENOMEM || !--tries)
			return err;
		usleep(ATTACH_PAUSE_US);
	} while (true);
}

static struct session_probes *put(struct modules *modules, struct module *module, pid_t pid)
{
	struct session_probes *probes = NULL;
	int err = -EBADF;

	if (!module->set.count)
		return NULL;
	if (module->file->fd >= 0)
		err = attach_patiently(modules, module, pid, &probes);
	if (err == -ESRCH)
		return NULL;
	modules->failed += module->set.left_out;
	if (err) {
		modules->failed += module->set.count;
		log_warning("%s: %zu entry points could not be probed: %s%s", module->set.allocator,
			    module->set.count, strerror(-err),
			    err == -ENOMEM && !pid ? " (a process that maps it has no memory left)" : "");
	}
	return err ? NULL : probes;
}

bool modules_probe_everywhere(struct modules *modules, struct module *module)
{
	if (module->everywhere || module->failed)
		return false;
	if (modules->paused >> modules_source(module) & 1) {
		module->paused = true;
		return false;
	}
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

bool modules_allocates_at(const struct modules *modules, const struct elf_file *file, uint64_t offset)
{
	const struct elf_symbol *function;
	const struct known_file *known;
	uint64_t vaddr;

	HASH_FIND_PTR(modules->files, &file, known);
	if (!known || !known->module.allocating_count)
		return false;
	if (modules_only_allocates(modules, file))
		return true;
	if (!elffile_vaddr(file, offset, &vaddr))
		return false;
	function = elffile_function(file, vaddr);
	return function && bsearch(&function->vaddr, known->module.allocating, known->module.allocating_count,
				   sizeof(function->vaddr), compare_addresses);
}

static bool ends_in(const char *name, const char *end)
{
	const size_t length = strlen(name), tail = strlen(end);

	return length >= tail && !strcmp(name + length - tail, end);
}

void modules_stepped(const struct module *module, bool *call, bool *freed)
{
	for (size_t i = 0; i < module->set.count; i++) {
		const struct probe_point *point = &module->set.points[i];

		*call |= point->place == PLACE_CALL && !point->cheap &&
			 (modules_source(module) == HB_SRC_DIRECT || ends_in(point->function, "malloc"));
		*freed |= point->place == PLACE_FREE && !point->cheap && ends_in(point->function, "free");
	}
}

static void take_away(struct module *module)
{
	session_detach(module->everywhere);
	module->everywhere = NULL;
}

void modules_pause(struct modules *modules, enum hb_source source)
{
	struct known_file *file, *next;

	modules->paused |= 1u << source;
	HASH_ITER(hh, modules->files, file, next) {
		if (modules_source(&file->module) == source)
			session_detach_hot(file->module.everywhere);
	}
	HASH_ITER(hh, modules->files, file, next) {
		if (modules_source(&file->module) != source)
			continue;
		file->module.paused = file->module.everywhere;
		take_away(&file->module);
	}
}

void modules_resume(struct modules *modules, enum hb_source source)
{
	struct known_file *file, *next;

	modules->paused &= ~(1u << source);
	HASH_ITER(hh, modules->files, file, next) {
		if (modules_source(&file->module) != source)
			continue;
		if (file->module.paused)
			modules_probe_everywhere(modules, &file->module);
		file->module.paused = false;
	}
}

void modules_stop(struct modules *modules)
{
	struct known_file *file, *next;

	HASH_ITER(hh, modules->files, file, next)
		take_away(&file->module);
}

uint64_t modules_failed(const struct modules *modules)
{
	return modules->failed;
}
