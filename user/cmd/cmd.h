/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands. A new one is a file and a row. */
#ifndef HB_CMD_CMD_H
#define HB_CMD_CMD_H

#define HELDBY_VERSION "0.1.0"

/* Exit status, beside those of run's command. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_BAD_USAGE = 2, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit status */
};

const struct command *command_find(const char *name);
/* The list of commands, for --help, to stdout. */
void command_list(void);

int cmd_top(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_oom(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_symbolize(int argc, char **argv);

#endif
