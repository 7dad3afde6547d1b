// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../user/base/cleanup.h"
#include "../../user/base/clock.h"

#define START_NS (60ULL * 1000000000) /* a script gets this long until "go" */

static int is_script(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 3 && !strcmp(entry->d_name + length - 3, ".sh");
}

int program_names(const char *here, char ***names)
{
	struct dirent **entries;
	int n = scandir(here, &entries, is_script, alphasort);

	if (n < 0)
		return -errno;
	*names = calloc(n + 1, sizeof(**names));
	for (int i = 0; i < n; i++) {
		if (*names)
			(*names)[i] = strndup(entries[i]->d_name, strlen(entries[i]->d_name) - 3);
		free(entries[i]);
	}
	free(entries);
	return *names ? n : -ENOMEM;
}

/* In the child. */
static void become(const struct program *program, const char *here, int talk)
{
	char path[512];
	int null = open("/dev/null", O_RDWR);

	snprintf(path, sizeof(path), "%s/%s.sh", here, program->name);
	setsid();
	setenv("DIR", program->folder, 1);
	setenv("HERE", here, 1);
	setenv("LC_ALL", "C", 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (talk != 3) {
		dup2(talk, 3);
		close(talk);
	}
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	execl("/bin/sh", "sh", path, (char *)NULL);
	_exit(127);
}

/* Take in one line; true: it was "go". */
static bool told(struct program *program, const char *line)
{
	if (!strncmp(line, "skip ", 5))
		snprintf(program->skip, sizeof(program->skip), "%s", line + 5);
	else if (!strncmp(line, "only ", 5))
		snprintf(program->only, sizeof(program->only), "%s", line + 5);
	else if (!strncmp(line, "attach ", 7) && program->pids_count < PROGRAM_PIDS_MAX)
		program->pids[program->pids_count++] = atoi(line + 7);
	else if (!strcmp(line, "jit"))
		program->jit = true;
	return !strcmp(line, "go") || *program->skip;
}

/* Read its lines until "go". */
static int listen_to(struct program *program, int fd)
{
	const uint64_t until_ns = clock_mono_ns() + START_NS;
	__cleanup(file_closep) FILE *file = fdopen(fd, "r");
	__cleanup(freep) char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!file)
		return -ENOMEM;
	setvbuf(file, NULL, _IONBF, 0); /* what poll() does not see must not wait in a buffer */
	for (;;) {
		struct pollfd waiting = { .fd = fd, .events = POLLIN };
		uint64_t now_ns = clock_mono_ns();

		if (now_ns >= until_ns || poll(&waiting, 1, (until_ns - now_ns) / 1000000 + 1) == 0)
			return -ETIMEDOUT;
		n = getline(&line, &size, file);
		if (n <= 0)
			return -EPIPE;
		line[n - 1] = '\0';
		if (told(program, line))
			return 0;
	}
}

int program_start(struct program *program, const char *here, const char *name)
{
	int talk[2], err;

	*program = (struct program){ .name = name, .folder = "/tmp/heldby-unwind-XXXXXX" };
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* whatever is left behind becomes a child of ours */
	if (!mkdtemp(program->folder) || chmod(program->folder, 0755) || pipe2(talk, O_CLOEXEC))
		return -errno;
	program->script = fork();
	if (!program->script) {
		close(talk[0]);
		fcntl(talk[1], F_SETFD, 0);
		become(program, here, talk[1]);
	}
	close(talk[1]);
	if (program->script < 0) {
		close(talk[0]);
		return -EAGAIN;
	}
	err = listen_to(program, talk[0]);
	return err;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st, (void)type, (void)place;
	remove(path);
	return 0;
}

/* Kill @pid's children, theirs, and so on: from /proc, since some lead sessions of their own. */
static size_t kill_children(pid_t pid)
{
	__cleanup(file_closep) FILE *file = NULL;
	char path[64];
	int child;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &child) == 1) {
		kill(child, SIGKILL);
		n++;
	}
	return n;
}

void program_stop(struct program *program)
{
	/* Those of a killed process become our own children: seen in the next round. */
	for (int round = 0; round < 1000 && kill_children(getpid()); round++) {
		usleep(1000);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	nftw(program->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
