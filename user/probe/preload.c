// SPDX-License-Identifier: Apache-2.0
/*
 * The files that a command will map at its start, so that they carry probes before its first
 * instruction. A dynamic program's interpreter knows best (it lists them under --list, as ldd
 * does); a script's program comes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../remote/procfs.h"
#include "target_private.h"

#define SCRIPT_DEPTH_MAX 4                 /* BINPRM_MAX_RECURSION, include/linux/binfmts.h */
#define LIST_TIMEOUT_NS  (10ULL * 1000000000)
#define LIST_BYTES_MAX   (1u << 20)

/* Read all that comes through @fd within the time; the result is a string, or NULL. */
static char *read_all(int fd)
{
	uint64_t deadline = clock_mono_ns() + LIST_TIMEOUT_NS;
	size_t length = 0;
	char *text = malloc(LIST_BYTES_MAX + 1);

	while (text && length < LIST_BYTES_MAX) {
		struct pollfd poller = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_mono_ns();
		ssize_t n;

		if (now >= deadline || poll(&poller, 1, (deadline - now) / 1000000 + 1) <= 0)
			break;
		n = read(fd, text + length, LIST_BYTES_MAX - length);
		if (n <= 0)
			break;
		length += n;
	}
	if (text)
		text[length] = '\0';
	return text;
}

/* What `@interp --list @command` prints, or NULL. */
static char *list_files(const char *interp, const char *command)
{
	char *argv[] = { (char *)interp, (char *)"--list", (char *)command, NULL };
	posix_spawn_file_actions_t actions;
	int pipe_fds[2];
	char *text = NULL;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (!posix_spawn(&pid, interp, &actions, NULL, argv, environ)) {
		close(pipe_fds[1]);
		pipe_fds[1] = -1;
		text = read_all(pipe_fds[0]);
		kill(pid, SIGKILL); /* it has ended, or it hangs */
		waitpid(pid, NULL, 0);
	}
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[0]);
	if (pipe_fds[1] >= 0)
		close(pipe_fds[1]);
	return text;
}

/* Probe the file at @path. Returns it, or NULL. */
static struct module *preload_file(struct target *target, const char *path)
{
	__cleanup(fd_closep) int fd = file_open_regular(path);
	struct module *module;

	if (fd < 0 || modules_opened(target->modules, fd, path, -1, &module))
		return NULL;
	if (module)
		target_read_rows(target, module);
	if (module && module->set.count && modules_probe_everywhere(target->modules, module))
		log_debug("%s: %s, %zu probes", path, module->set.allocator, module->set.count);
	return module;
}

/*
 * A launcher's library tells what will be loaded by dlopen: a java command links libjli, which
 * loads libjvm from the folder "server" beside it (jdk/src/java.base/unix/native/libjli/java_md.c).
 */
static void preload_runtime(struct target *target, const char *path)
{
	const char *name = strrchr(path, '/');
	char libjvm[PATH_MAX];

	if (!name || strcmp(name, "/libjli.so"))
		return;
	snprintf(libjvm, sizeof(libjvm), "%.*s/server/libjvm.so", (int)(name - path), path);
	preload_file(target, libjvm);
}

/* Lines are "name => /path (0x...)" and "/path (0x...)"; a path may hold blanks. */
static void preload_listed(struct target *target, char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *path = strstr(line, "=> ");
		char *end = strstr(line, " (0x");

		path = path ? path + 3 : line + strspn(line, " \t");
		if (*path != '/' || !end || end < path)
			continue;
		*end = '\0';
		preload_file(target, path);
		preload_runtime(target, path);
	}
}

/* The program of a "#!" line in @fd into @interp (of @size bytes). false: it is no script. */
static bool script_program(int fd, char *interp, size_t size)
{
	char line[256]; /* BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h */
	ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
	char *start;

	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	start = line + 2 + strspn(line + 2, " \t");
	start[strcspn(start, " \t")] = '\0';
	snprintf(interp, size, "%s", start);
	return *start != '\0';
}

void target_preload(struct target *target, const char *command)
{
	char path[PATH_MAX], real[PATH_MAX];

	snprintf(path, sizeof(path), "%s", command);
	for (int depth = 0; depth <= SCRIPT_DEPTH_MAX; depth++) {
		__cleanup(fd_closep) int fd = file_open_regular(path);
		struct module *module;
		char interp[256];

		if (fd < 0)
			return;
		if (script_program(fd, interp, sizeof(interp))) {
			snprintf(path, sizeof(path), "%s", interp);
			continue;
		}
		module = preload_file(target, path);
		if (!module) {
			snprintf(path, sizeof(path), "/bin/sh"); /* what execvp() tries with a script that names none */
			continue;
		}
		if (module->file->has_interp && !module->file->narrow) { /* those get no probes */
			/* $ORIGIN is where the file lies, not where a link to it does. */
			__cleanup(freep) char *text =
				list_files(module->file->interp, realpath(path, real) ? real : path);

			preload_file(target, module->file->interp);
			if (text)
				preload_listed(target, text);
		}
		return;
	}
}
