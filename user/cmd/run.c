// SPDX-License-Identifier: Apache-2.0
/* heldby run: a command, from its first instruction to its end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "cmd.h"
#include "tracing.h"

#define TIDY_NS 500000000ULL /* how often room is made in the tables */

/* The command while it waits for us, then while it runs. */
struct child {
	pid_t pid;
	int go;    /* writing a byte lets it exec; closing keeps it from that */
	int error; /* reads the errno of a failed exec, or nothing */
};

static bool runnable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* Where execvp() will find @name, into @path. 0, -ENOENT, -EACCES. */
static int find_command(const char *name, char *path, size_t size)
{
	const char *search = getenv("PATH");
	__cleanup(freep) char *copy = strdup(search ? search : "/bin:/usr/bin");
	char *rest = copy, *dir;
	int err = -ENOENT;

	if (strchr(name, '/')) {
		snprintf(path, size, "%s", name);
		return runnable(path) ? 0 : access(path, F_OK) ? -ENOENT : -EACCES;
	}
	while (rest && (dir = strsep(&rest, ":"))) {
		snprintf(path, size, "%s/%s", *dir ? dir : ".", name);
		if (runnable(path))
			return 0;
		if (!access(path, F_OK))
			err = -EACCES; /* unless another one can be run */
	}
	return err;
}

/* In the child: as if we had never been there. */
static void become(const struct tracing *tracing, int go, int error)
{
	char **command = tracing->options->command;
	char byte;
	int err;

	tracing_restore(tracing);
	if (read(go, &byte, 1) != 1)
		_exit(EXIT_FAILED); /* heldby gave up or died before the command began */
	execvp(command[0], command);
	err = errno;
	if (write(error, &err, sizeof(err)) != sizeof(err))
		_exit(EXIT_FAILED);
	_exit(err == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static int start(struct child *child, const struct tracing *tracing)
{
	int go[2], error[2];

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(error, O_CLOEXEC)) {
		int err = -errno;

		close(go[0]);
		close(go[1]);
		return err;
	}
	child->pid = fork();
	if (!child->pid) {
		close(go[1]); /* or our death would not end the wait */
		become(tracing, go[0], error[1]);
	}
	close(go[0]);
	close(error[1]);
	child->go = go[1];
	child->error = error[0];
	return child->pid < 0 ? -errno : 0;
}

/* Let it exec. 0, or the exit status if that failed. */
static int let_go(struct child *child, const char *name)
{
	int err = 0;

	if (write(child->go, "", 1) != 1)
		err = errno;
	if (!err && read(child->error, &err, sizeof(err)) != sizeof(err))
		return EXIT_OK; /* closed by exec */
	log_error("%s: %s", name, strerror(err));
	return err == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * Wait for the command's end. The first SIGINT or SIGTERM is for the command: one that was sent to
 * us alone is passed on. The second ends us, with a report of what is held then.
 */
static int follow(struct tracing *tracing, const struct child *child)
{
	struct signalfd_siginfo info;
	bool told = false;
	int status;

	for (;;) {
		if (!tracing_wait(tracing, clock_mono_ns() + TIDY_NS, &info)) {
			tracing_tidy(tracing);
			continue;
		}
		if (info.ssi_signo == SIGCHLD) {
			if (waitpid(child->pid, &status, WNOHANG) == child->pid)
				return exit_status(status);
			continue;
		}
		if (told)
			return 128 + (int)info.ssi_signo;
		told = true;
		if (info.ssi_code == SI_USER || info.ssi_code == SI_QUEUE)
			kill(child->pid, info.ssi_signo);
	}
}

static int trace(struct tracing *tracing)
{
	char **command = tracing->options->command;
	struct child child = { .pid = -1, .go = -1, .error = -1 };
	char path[4096];
	int err = find_command(command[0], path, sizeof(path));
	int status, report;

	if (err) {
		log_error("%s: %s", command[0], strerror(-err));
		return err == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	}
	target_preload(tracing->target, path);
	err = start(&child, tracing);
	if (!err)
		err = target_expect(tracing->target, child.pid);
	if (err) {
		log_error("%s cannot be started: %s", command[0], strerror(-err));
		return EXIT_FAILED;
	}
	tracing_ready(tracing);
	status = let_go(&child, command[0]);
	if (status)
		return status;
	status = follow(tracing, &child);
	target_events(tracing->target);
	/* Nobody pays for our report: neither the rest of the host nor we, whose malloc is probed as well. */
	target_stop(tracing->target);
	report = tracing_report(tracing, true);
	return status ? status : report;
}

static int run(const struct options *options)
{
	return tracing_run(options, true, trace);
}

int cmd_run(int argc, char **argv)
{
	return options_run(OPTIONS_RUN, argc, argv, run);
}
