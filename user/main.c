// SPDX-License-Identifier: Apache-2.0
/* Finds the command and runs it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/cmd.h"

static int help(void)
{
	printf("heldby: who holds the memory?\n\nUsage: heldby COMMAND [OPTIONS]\n\n");
	command_list();
	printf("\n'heldby COMMAND --help' lists a command's options.\n");
	return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

/* Nothing that we open may end up as 0, 1 or 2; a command that we run does not inherit these. */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const struct command *command;

	fill_standard_fds();
	if (argc < 2) {
		log_error("give a command; see 'heldby --help'");
		return EXIT_BAD_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help();
	if (!strcmp(argv[1], "--version")) {
		printf("heldby %s\n", HELDBY_VERSION);
		return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
	}
	command = command_find(argv[1]);
	if (!command) {
		log_error("there is no command '%s'; see 'heldby --help'", argv[1]);
		return EXIT_BAD_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
