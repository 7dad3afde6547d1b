// SPDX-License-Identifier: Apache-2.0
#include "cmd.h"

#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
	{ "run", "trace a command from its first instruction to its end", cmd_run },
	{ "top", "who holds the memory of running processes, live", cmd_top },
	{ "oom", "wait for OOM kills, and tell who held the memory", cmd_oom },
	{ "doctor", "what this kernel and these processes allow", cmd_doctor },
	{ "symbolize", "names for the frames of saved JSON documents", cmd_symbolize },
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

void command_list(void)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		printf("  %-9s %s\n", commands[i].name, commands[i].summary);
}
