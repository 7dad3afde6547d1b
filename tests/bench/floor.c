// SPDX-License-Identifier: Apache-2.0
/*
 * The floor of the bench: empty programs on malloc (entry and return) and free of one process, by the
 * same kind of link that heldby takes. floor PID FILE: says "ready", then holds the probes until its
 * stdin ends.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/probe/attach.h"
#include "../../user/probe/features.h"
#include "../../user/symbol/elffile.h"

static int empty_program(int type)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "floor", "Dual BSD/GPL", insns, 2, &opts);
}

static int put(enum rung rung, bool returns, int fd, uint64_t offset, pid_t pid)
{
	int type = rung == RUNG_SESSION ? ATTACH_UPROBE_SESSION : rung == RUNG_MULTI ? ATTACH_UPROBE_MULTI : 0;
	uint64_t cookie = 0;
	int prog;

	if (rung == RUNG_SESSION && !returns) /* free: an entry only */
		type = ATTACH_UPROBE_MULTI;
	prog = empty_program(type);
	if (prog < 0)
		return -errno;
	if (rung == RUNG_PERF)
		return attach_perf(prog, returns, fd, offset, cookie, pid);
	return attach_multi(prog, type, returns && rung != RUNG_SESSION, fd, &offset, &cookie, 1, pid);
}

static uint64_t place_of(const struct elf_file *file, const char *name)
{
	const struct elf_symbol *symbol = elffile_symbol(file, name);
	uint64_t offset = 0;

	if (!symbol || !elffile_offset(file, symbol->vaddr, &offset)) {
		fprintf(stderr, "floor: %s not found\n", name);
		exit(1);
	}
	return offset;
}

int main(int argc, char **argv)
{
	struct features features;
	struct elf_file *file;
	uint64_t taken, given;
	char line[16];
	int fd, err;
	pid_t pid;

	if (argc != 3)
		return 2;
	pid = strtol(argv[1], NULL, 10);
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elffile_open(&file, fd) || elffile_index(file)) {
		fprintf(stderr, "floor: %s cannot be read\n", argv[2]);
		return 1;
	}
	features_probe(&features, false);
	if (features.best == RUNG_END)
		return 1;
	taken = place_of(file, "malloc");
	given = place_of(file, "free");
	err = put(features.best, true, fd, taken, pid);
	if (err >= 0 && features.best != RUNG_SESSION)
		err = put(features.best, false, fd, taken, pid);
	if (err >= 0)
		err = put(features.best, false, fd, given, pid);
	if (err < 0) {
		fprintf(stderr, "floor: %s\n", strerror(-err));
		return 1;
	}
	dprintf(STDOUT_FILENO, "ready %s\n", features.rungs[features.best].name);
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		continue;
	return 0;
}
